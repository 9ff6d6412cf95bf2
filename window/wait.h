/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wait - which task gets the next ids, and the tasks that wait for them
 *
 * Waiters are served first come, first served, so that small reserves do not starve a
 * large one.  Urgent ones have a queue of their own, which is served first.  The caller
 * that makes ids or room available takes ids on behalf of the waiter.  All decisions are
 * made under the lock: either the waiter is given ids, or it leaves without any:
 *
 *	T1: grant			T2: waiter, is killed
 *
 *	lock, @limit += credits
 *	takes ids for T2
 *	removes T2 from the queue
 *	complete(T2), unlock
 *					lock
 *					in the queue? no: uses the ids
 *					unlock
 *
 * If T2 gets the lock first, T1 serves the next waiter in the queue.  If the ids are
 * available already but too few for T2, T2 serves the next waiter when it leaves.
 *
 * There is one exception to this order.  Returned ids that cannot satisfy the first
 * waiter go to the waiter or new caller that needs the fewest.  Otherwise nobody sends
 * the id that the server waits for:
 *
 *	server				client
 *
 *	grants nothing: id 7 is missing	first in line waits for 16 new ids
 *					7 was returned, second in line
 *					wants one id and waits for the first
 *
 * New ids are only given to the first waiter, so it is served as long as the server
 * grants credits.
 *
 * If nothing is in flight and no span is out, no reply can come that would grant.  Then
 * the first waiter leaves with -EDEADLK, and the next one is looked at.  This is true
 * only if the credits of a reply are granted before its request is dissociated:
 *
 *	T1: receiver			T2: waits for one id
 *
 *	dissociate: 0 in flight
 *	serves: no ids, nothing in
 *	flight: T2 gets -EDEADLK
 *	grant: too late
 *
 * The other order takes no lock before T2 is in the queue, so T2 looks at the ids again
 * after it has seen that nothing is in flight:
 *
 *	T1: receiver			T2: wants one id
 *
 *					lock, no ids
 *	grant: credits += 1
 *	dissociate: @freed += 2
 *					nothing is in flight
 *					looks again: one id
 */
#ifndef _MIDWINDOW_WAIT_H
#define _MIDWINDOW_WAIT_H

/**
 * struct mid_want - what a caller asks for
 * @min: the fewest ids that it needs
 * @max: the most ids that it can use
 * @urgent: before all others
 * @epoch: of an urgent one, the connection that it is meant for
 */
struct mid_want {
	unsigned int min;
	unsigned int max;
	bool urgent;
	u32 epoch;
};

/**
 * struct mid_waiter - a task that waits for ids
 * @node: in a mid_window::queue while @err is -EAGAIN
 * @single: in mid_window::singles, likewise, if it is ordinary and needs one id
 * @by_min: in mid_window::by_min, likewise, if it is ordinary and needs more
 * @want: what it asks for
 * @err: %-EAGAIN while it waits, 0 if it was given @span, otherwise the error
 *	that it returns
 * @woken: completed when another caller has changed @err
 * @span: its ids
 * @task: the task
 * @since: when it began to wait, in nanoseconds
 *
 * It takes two cache lines, as the CPU that serves it has to fetch each.
 */
struct mid_waiter {
	struct list_head node;
	union {
		struct list_head single;
		struct rb_node by_min;
	};
	struct mid_want want;
	int err;
	struct completion woken;
	struct mid_span span;
	struct task_struct *task;
	u64 since;
} __aligned(64);

static struct mid_waiter *mid_window_first_waiter(struct mid_window *w)
{
	struct list_head *queue = &w->queue[!list_empty(&w->queue[true])];

	lockdep_assert_held(&w->lock);

	return list_first_entry_or_null(queue, struct mid_waiter, node);
}

/* The ordinary waiter that needs the fewest ids, or NULL */
static struct mid_waiter *mid_window_least_waiter(struct mid_window *w)
{
	struct mid_waiter *single;

	single = list_first_entry_or_null(&w->singles, struct mid_waiter, single);
	return single ?: rb_entry_safe(rb_first_cached(&w->by_min), struct mid_waiter, by_min);
}

/*
 * While a task waits, claims take the lock, and so do grants once the first in line has found
 * too few ids, see mid_ids_pull().  After a shut claims always do.
 */
static void mid_window_set_slow(struct mid_window *w)
{
	bool slow = w->shut || mid_window_first_waiter(w);

	if (slow == w->slow)
		return;
	w->slow = slow;
	if (slow) {
		atomic64_or(MID_FREED_SLOW, &w->freed);
	} else {
		atomic64_andnot(MID_CREDITS_SLOW, &w->credits);
		atomic64_andnot(MID_FREED_SLOW | MID_FREED_ROOM, &w->freed);
	}
}

static bool mid_waiter_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mid_waiter, by_min)->want.min <
	       rb_entry(b, struct mid_waiter, by_min)->want.min;
}

/* Most tasks need one id, and the first of these is found without the tree. */
static bool mid_waiter_is_single(const struct mid_waiter *waiter)
{
	return waiter->want.min == 1;
}

static void mid_waiter_enqueue(struct mid_window *w, struct mid_waiter *waiter,
			       struct mid_want want)
{
	init_completion(&waiter->woken);
	waiter->task = current;
	waiter->since = ktime_get_mono_fast_ns();
	waiter->want = want;
	waiter->err = -EAGAIN;
	atomic_inc(&w->waiting);
	list_add_tail(&waiter->node, &w->queue[waiter->want.urgent]);
	if (!waiter->want.urgent && mid_waiter_is_single(waiter))
		list_add_tail(&waiter->single, &w->singles);
	else if (!waiter->want.urgent)
		rb_add_cached(&waiter->by_min, &w->by_min, mid_waiter_less);
	mid_window_set_slow(w);
}

static void mid_waiter_dequeue(struct mid_window *w, struct mid_waiter *waiter, int err)
{
	waiter->err = err;
	list_del(&waiter->node);
	if (!waiter->want.urgent && mid_waiter_is_single(waiter))
		list_del(&waiter->single);
	else if (!waiter->want.urgent)
		rb_erase_cached(&waiter->by_min, &w->by_min);
	mid_window_set_slow(w);
}

/* Only a reply to a request in flight, or a caller that has a span, can change that. */
static bool mid_window_is_dead(struct mid_window *w)
{
	return !w->spans && !mid_window_in_use(w);
}

/*
 * There were too few ids for the first in line: looks again if nothing is in flight, as
 * what the last reply granted is visible then.  How many there are now, %-EDEADLK or
 * %-EAGAIN.  An event, once until a call finds enough and no task waits.
 */
static noinline int mid_window_starve(struct mid_window *w, struct mid_want want, u64 *first)
{
	bool dead = mid_window_is_dead(w);
	unsigned int n = dead ? mid_ids_find(w, want.min, want.max, want.urgent, first) : 0;
	u64 unsent;

	if (n)
		return n;
	if (!w->starved && trace_midwindow_stall_enabled()) {
		unsent = mid_ids_lowest_unsent(w);
		trace_midwindow_stall(w, unsent, unsent != w->next);
	}
	w->starved = true;
	return dead ? -EDEADLK : -EAGAIN;
}

/*
 * The ids for the first in line: how many, from @first on, or why there are none:
 * -ENOSPC if there is no room.
 */
static __always_inline int mid_window_pick(struct mid_window *w, struct mid_want want, u64 *first)
{
	int n;

	if (want.urgent && want.epoch != w->epoch)
		return -ESTALE;
	if (!want.urgent && w->paused)
		return -EAGAIN;
	n = mid_ids_find(w, want.min, want.max, want.urgent, first);
	if (unlikely(!n))
		n = mid_window_starve(w, want, first);
	if (unlikely(n < 0))
		return n;
	if (unlikely(w->starved) && !w->slow)
		w->starved = false;
	return mid_window_has_room(w) ? n : -ENOSPC;
}

/* The same for an ordinary one that is not the first: only returned ids */
static int mid_window_pick_returned(struct mid_window *w, struct mid_want want, u64 *first)
{
	u64 max = min_t(u64, want.max, mid_ids_available(w, false));
	unsigned int n;

	if (w->paused || max < want.min || w->returned < want.min || !mid_window_has_room(w))
		return -EAGAIN;
	n = mid_ids_find_returned(w, want.min, max, first);
	return n ? n : -EAGAIN;
}

/* The same for a caller that finds tasks in line, or the window shut */
static noinline int mid_window_pick_slow(struct mid_window *w, struct mid_want want, u64 *first)
{
	struct mid_waiter *least = mid_window_least_waiter(w);

	if (w->shut)
		return -ESHUTDOWN;
	if (want.urgent && list_empty(&w->queue[true]))
		return mid_window_pick(w, want, first);
	if (want.urgent || !least || want.min >= least->want.min)
		return -EAGAIN;
	return mid_window_pick_returned(w, want, first);
}

/* Counts a call that got no ids; @n is what mid_window_pick() returned. */
static noinline void mid_window_note_failure(struct mid_window *w, int n)
{
	if (n == -ENOSPC)
		WRITE_ONCE(w->crowded, true);
	if (n == -EAGAIN || n == -EDEADLK || n == -ENOSPC)
		w->exhausted++;
}

/* The same for a caller that is not in line */
static __always_inline int mid_window_pick_now(struct mid_window *w, struct mid_want want,
					       u64 *first)
{
	int n;

	if (likely(!w->slow))
		n = mid_window_pick(w, want, first);
	else
		n = mid_window_pick_slow(w, want, first);
	if (unlikely(n < 0))
		mid_window_note_failure(w, n);
	return n;
}

/* Serves one waiter.  Returns whether there may be enough for another. */
static bool mid_window_serve_one(struct mid_window *w)
{
	struct mid_waiter *waiter = mid_window_first_waiter(w);
	u64 first;
	int n;

	if (!waiter)
		return false;
	/* The bit first: a claim that does not see it is seen when room is looked for again. */
	if (!mid_window_has_room(w))
		atomic64_or(MID_FREED_ROOM, &w->freed);
	n = w->shut ? -ESHUTDOWN : mid_window_pick(w, waiter->want, &first);
	if (n == -EAGAIN || n == -ENOSPC) {
		waiter = mid_window_least_waiter(w);
		n = waiter ? mid_window_pick_returned(w, waiter->want, &first) : -EAGAIN;
		if (n < 0)
			return false;
	}
	if (n > 0)
		mid_ids_take_span(w, first, n, &waiter->span);
	mid_waiter_dequeue(w, waiter, min(n, 0));
	/* It may be gone when the lock is released. */
	complete(&waiter->woken);
	return n < 0 || mid_ids_any(w);
}

/* Serves all waiters for whom there is enough. */
static noinline void mid_window_serve(struct mid_window *w, unsigned long flags)
{
	/* One at a time: this bounds the time with interrupts off. */
	while (w->slow && mid_window_serve_one(w)) {
		raw_spin_unlock_irqrestore(&w->lock, flags);
		raw_spin_lock_irqsave(&w->lock, flags);
	}
}

/* The same, and releases the lock */
static __always_inline void mid_window_serve_unlock(struct mid_window *w, unsigned long flags)
	__releases(&w->lock)
{
	if (unlikely(w->slow))
		mid_window_serve(w, flags);
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/*
 * Releases the lock when ids were used, so the lowest unsent id may be another one.  This
 * helps the first in line if new ids are granted, but were too far above it.
 */
static __always_inline void mid_window_used_unlock(struct mid_window *w, unsigned long flags)
	__releases(&w->lock)
{
	if (unlikely(w->slow) && w->limit != w->next)
		mid_window_serve(w, flags);
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/* A begin beside tasks in line, or after a shut; releases the lock */
static noinline int mid_window_begin_slow(struct mid_window *w, struct mid_want want, void *ctx,
					  struct mid_tag *tag, unsigned long flags)
	__releases(&w->lock)
{
	u64 first;
	int n = mid_window_pick_slow(w, want, &first);

	mid_window_note_failure(w, n);
	if (n > 0) {
		mid_ids_take(w, first, n);
		mid_window_fill(w, first, n, ctx, tag);
	}
	mid_window_used_unlock(w, flags);
	return n;
}

/* An entry became FREE: counts it.  The window may be gone after this. */
static __always_inline void mid_window_freed(struct mid_window *w)
{
	/* A full barrier: FREE first; pairs with mid_window_in_use() [room-free]. */
	u64 freed = atomic64_add_return(MID_FREED_ONE, &w->freed);

	if (likely(!(freed & MID_FREED_SLOW)))
		return;
	/* What has ended was counted in @associated before, so the last one sees that it is. */
	if (freed & MID_FREED_ROOM || freed / MID_FREED_ONE == READ_ONCE(w->associated))
		mid_window_freed_slow(w);
}

/* A claim has freed the entry of @ctx. */
static __always_inline void mid_window_ended(struct mid_window *w, u32 epoch, u64 id, void *ctx,
					     u64 begun, u64 word)
{
	if (mid_window_watched())
		mid_window_watch_end(w, epoch, id, ctx, begun, word);
	mid_window_freed(w);
}

/*
 * Waits for ids, and releases the lock and the RCU section of the caller.  While a task is
 * counted as waiting the window stays, see mid_window_destroy().  Not inline: a waiter is
 * large, and most calls need none.
 */
static noinline int mid_waiter_wait(struct mid_window *w, struct mid_want want,
				    unsigned long timeout, struct mid_span *span,
				    unsigned long flags)
	__releases(&w->lock)
	__releases(RCU)
{
	long left = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
	bool behind = w->slow;
	struct mid_waiter waiter;

	mid_waiter_enqueue(w, &waiter, want);
	/* What came before the queue was seen */
	if (!behind)
		mid_window_serve_unlock(w, flags);
	else
		raw_spin_unlock_irqrestore(&w->lock, flags);
	rcu_read_unlock();

	trace_midwindow_wait(w, waiter.want.min, waiter.want.max);
	left = wait_for_completion_killable_timeout(&waiter.woken, left);
	if (left <= 0) {
		raw_spin_lock_irqsave(&w->lock, flags);
		if (waiter.err == -EAGAIN)
			mid_waiter_dequeue(w, &waiter, left ? left : -ETIMEDOUT);
		/* What was too little for us may do for the next. */
		mid_window_serve_unlock(w, flags);
	}
	if (!waiter.err)
		*span = waiter.span;

	/* A destroy may not see us wait any more: then it frees after this. */
	rcu_read_lock();
	trace_midwindow_wait_end(w, waiter.err);
	/* A full barrier; pairs with mid_window_await_waiters(). */
	if (atomic_dec_and_test(&w->waiting) && READ_ONCE(w->shut))
		complete(&w->left);
	rcu_read_unlock();
	return waiter.err;
}

/* After a shut: waits until the last waiter has left. */
static void mid_window_await_waiters(struct mid_window *w)
{
	/* @shut before the count; pairs with mid_waiter_wait(). */
	smp_mb();
	while (atomic_read(&w->waiting))
		wait_for_completion(&w->left);
}

#endif /* _MIDWINDOW_WAIT_H */
