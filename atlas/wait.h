/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wait - the queue of tasks that wait for a MID
 *
 * The caller that frees a slot hands it, BUSY, to the first waiter.  Everything is
 * decided under the lock, so a waiter either gets a MID or leaves the queue:
 *
 *	T1: dissociate			T2: waiter, is killed
 *
 *	word: LIVE -> FREE
 *	full barrier
 *	mode & WAITERS? lock
 *	takes the slot for T2
 *	removes T2 from the queue
 *	complete(T2)
 *	unlock
 *					lock
 *					in the queue? no: uses the MID
 *					unlock
 *
 * Had T2 got the lock first, T1 would have found the next waiter in the queue.  And
 * no slot misses the queue [waiter-free, waiter-give-back]:
 *
 *	T1: dissociate			T2: begins to wait
 *
 *	word: LIVE -> FREE		lock, adds itself, mode |= WAITERS
 *	full barrier			smp_mb
 *	mode & WAITERS?			checks all slots, once
 *
 * T2 does so for all that join the queue behind it: these only take the lock once, and find
 * their slot when they are woken.  If the table may grow, that is told to the first of them.
 *
 * An associate that takes a slot while there are WAITERS gives it to the first of
 * them, so no waiter is overtaken.
 */
#ifndef _MIDATLAS_WAIT_H
#define _MIDATLAS_WAIT_H

/**
 * struct mid_waiter - a task in mid_atlas_associate_wait()
 * @node: in mid_atlas::waiters while @err is -EAGAIN
 * @woken: completed when @err has changed, or when the table may grow
 * @t: the table of the slot that the task was given
 * @i: the slot
 * @word: the slot's word
 * @err: 0 when the task was given a slot, -EAGAIN before, or -ESHUTDOWN
 * @leads: it settles the free slots, and grows the table, for all in the queue
 * @task: the task
 * @since: when it began to wait, in nanoseconds
 */
struct mid_waiter {
	struct list_head node;
	struct completion woken;
	struct mid_table *t;
	unsigned int i;
	u64 word;
	int err;
	bool leads;
	struct task_struct *task;
	u64 since;
};

static struct mid_waiter *mid_atlas_first_waiter(struct mid_atlas *atlas)
{
	lockdep_assert_held(&atlas->lock);

	return list_first_entry_or_null(&atlas->waiters, struct mid_waiter, node);
}

static void mid_waiter_dequeue(struct mid_atlas *atlas, struct mid_waiter *w, int err)
{
	WRITE_ONCE(w->err, err);
	list_del(&w->node);
	if (list_empty(&atlas->waiters))
		mid_atlas_set_mode(atlas, MID_MODE_WAITERS, false);
}

/* Wakes a waiter that has what it waits for.  It may be gone when the lock is released. */
static void mid_waiter_release(struct mid_atlas *atlas, struct mid_waiter *w, int err)
{
	mid_waiter_dequeue(atlas, w, err);
	complete(&w->woken);
}

/* Joins the queue (-EAGAIN), if it is not empty or the task may be the @first (else -ENOSPC) */
static int mid_waiter_enqueue(struct mid_atlas *atlas, struct mid_waiter *w, bool first)
{
	unsigned long flags;
	int err = -EAGAIN;

	init_completion(&w->woken);
	w->task = current;
	w->since = ktime_get_mono_fast_ns();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	w->leads = !mid_atlas_first_waiter(atlas);
	if (mid_atlas_draining(atlas))
		err = -ESHUTDOWN;
	else if (w->leads && !first)
		err = -ENOSPC;
	else
		list_add_tail(&w->node, &atlas->waiters);
	if (err == -EAGAIN && w->leads) {
		mid_atlas_set_mode(atlas, MID_MODE_WAITERS, true);
		/* WAITERS before the check of all slots; pairs with the frees' cmpxchg. */
		smp_mb__after_atomic();
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return err;
}

/*
 * Counts a task in that destroy has to wait for, and out.  In an RCU section, so that a
 * destroy that does not see it frees the atlas after this:
 *
 *	T1: associate_wait		T2: destroy
 *
 *	@waiting += 1, full barrier	mode |= DRAIN, full barrier
 *	mode & DRAIN? leaves		@waiting is not 0? waits for @left
 *
 *	@waiting -= 1, full barrier
 *	mode & DRAIN, @waiting was 1:
 *	complete(@left)
 */
static void mid_atlas_leave(struct mid_atlas *atlas)
{
	if (atomic_dec_and_test(&atlas->waiting) && mid_atlas_draining(atlas))
		complete(&atlas->left);
}

/* Returns false if a drain has begun. */
static bool mid_atlas_enter(struct mid_atlas *atlas)
{
	atomic_inc(&atlas->waiting);
	/* The count before DRAIN; pairs with mid_atlas_await_waiters(). */
	smp_mb__after_atomic();
	if (!mid_atlas_draining(atlas))
		return true;
	mid_atlas_leave(atlas);
	return false;
}

/* After mid_atlas_shut(): waits until the last waiter has left. */
static void mid_atlas_await_waiters(struct mid_atlas *atlas)
{
	/* DRAIN before the count; pairs with mid_atlas_enter(), mid_atlas_leave(). */
	smp_mb();
	while (atomic_read(&atlas->waiting))
		wait_for_completion(&atlas->left);
}

#endif /* _MIDATLAS_WAIT_H */
