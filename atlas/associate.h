/* SPDX-License-Identifier: GPL-2.0 */
/*
 * associate - an associate off the fast path: something rare is in progress, the table is
 * full, the request is urgent, or associates are traced or timed
 */
#ifndef _MIDATLAS_ASSOCIATE_H
#define _MIDATLAS_ASSOCIATE_H

/**
 * struct mid_associate - an associate off the fast path
 * @ctx: the request
 * @mid: where to store its MID
 * @gfp: how to allocate
 * @urgent: may have a slot that is aside, and passes the waiters
 * @order: of the table that was tried last
 * @older: there were older tables
 * @changes: mid_atlas::changes before that
 */
struct mid_associate {
	void *ctx;
	u16 *mid;
	gfp_t gfp;
	bool urgent;
	unsigned int order;
	bool older;
	unsigned int changes;
};

/*
 * Something rare is in progress: may this slot, which we made BUSY with a full
 * barrier, go LIVE?  If not, it is not ours any more.
 */
static int mid_slot_confirm(struct mid_atlas *atlas, struct mid_table *t, unsigned int i,
			    bool urgent, u64 *word)
{
	bool placed, draining, waiters;
	unsigned long flags;
	int next;

	if (!urgent && !(atomic_read(&atlas->mode) & MID_MODE_LOCK) &&
	    mid_slot_unique(t, i, word) && rcu_access_pointer(atlas->table) == t)
		return 0;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	placed = mid_slot_place(atlas, t, i, urgent, word, &next);
	if (!placed && urgent && mid_atlas_may_use_aside(atlas)) {
		mid_slot_begin_urgent(atlas, t, i);
		next = mid_atlas_unpark(atlas);
		if (next < 0)
			mid_atlas_let_grow(atlas);
	}
	draining = mid_atlas_draining(atlas);
	waiters = mid_atlas_first_waiter(atlas);
	t = mid_atlas_table_locked(atlas);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (next >= 0)
		mid_slot_freed_slow(atlas, t, next);
	if (!placed)
		return 0;
	if (draining)
		return -ESHUTDOWN;
	/* If that was the last waiter, what else is free is for us. */
	return waiters && !urgent ? -ENOSPC : -EAGAIN;
}

/* What to add to a BUSY slot's word, so that it goes NEW, not LIVE, during a sweep */
static u64 mid_atlas_new(const struct mid_atlas *atlas)
{
	return atomic_read(&atlas->mode) & MID_MODE_SWEEP ? MID_NEW - MID_LIVE : 0;
}

/* A slot that is BUSY for us, and has its request, goes LIVE. */
static __always_inline void mid_atlas_publish(struct mid_atlas *atlas, struct mid_slot *slot,
					      u64 word, u16 new_mid, u16 *mid)
{
	/* Often a member of the request: once it is LIVE it is not ours. */
	*mid = new_mid;
	this_cpu_inc(atlas->cpu->associated);
	mid_slot_publish(slot, word);
}

/* 0, -ENOSPC if the table is full, -ESHUTDOWN, or -EAGAIN to begin again */
static int mid_table_associate(struct mid_atlas *atlas, struct mid_table *t,
			       const struct mid_associate *a)
{
	int i = -ENOSPC, err;
	u64 word;

	if (a->urgent)
		i = mid_aside_take(atlas, t, &word);
	if (i == -ENOSPC) {
		i = mid_find_take(atlas, t, &word);
		if (i >= 0 && (a->urgent || atomic_read(&atlas->mode) ||
			       mid_word_mid(t, i, word) == MID_RESERVED)) {
			err = mid_slot_confirm(atlas, t, i, a->urgent, &word);
			if (err)
				return err;
		}
	}
	if (i < 0)
		return i;
	trace_midatlas_associate(atlas, mid_word_mid(t, i, word), a->ctx);
	mid_slot_set_stamp(atlas, t, i);
	WRITE_ONCE(t->slots[i].ctx, a->ctx);
	word += mid_atlas_new(atlas);
	mid_atlas_publish(atlas, &t->slots[i], word, mid_word_mid(t, i, word), a->mid);
	return 0;
}

/* The same, for the current table */
static int mid_atlas_try(struct mid_atlas *atlas, struct mid_associate *a)
{
	struct mid_table *t;
	int err;

	do {
		rcu_read_lock();
		/* Both before the slots are checked; pairs with mid_slot_parked(). */
		a->changes = smp_load_acquire(&atlas->changes);
		a->older = atomic_read_acquire(&atlas->mode) & MID_MODE_OLDER;
		t = rcu_dereference(atlas->table);
		a->order = t->order;
		err = mid_table_associate(atlas, t, a);
		rcu_read_unlock();
	} while (unlikely(err == -EAGAIN));
	return err;
}

static void mid_atlas_count_exhausted(struct mid_atlas *atlas)
{
	trace_midatlas_exhausted(atlas);
	atomic64_inc(&atlas->exhausted);
	mid_atlas_note_full(atlas);
}

/*
 * The table that @a tried was full: grows it.  Where it cannot grow, a slot of
 * an older table may have become free, for which another comes into service, put
 * there by us or by another call:
 *
 *	T1: associate			T2: dissociate (older table)
 *
 *	table is full
 *					word: LIVE -> FREE
 *					lock, word: FREE -> PARKED
 *	nothing to settle
 *					a slot of the table into service, unlock
 *	lock, cannot grow
 *	table is full?
 *
 * So the table is checked once more after the older ones.  The same is true of a slot that an
 * urgent request frees: it goes aside, or it comes into service in the place of another.
 */
static int mid_atlas_try_harder(struct mid_atlas *atlas, struct mid_associate *a)
{
	unsigned int settled;
	int err, why;
	bool changed;

	do {
		settled = a->older ? mid_atlas_settle_older(atlas) : 0;
		why = mid_atlas_grow(atlas, a->order, a->urgent, a->gfp);
		changed = READ_ONCE(atlas->changes) != a->changes;
		/* Without memory, too: it took time, and slots become free. */
		if (why && why != -ENOMEM && !(why == -ENOSPC && (a->older || changed)))
			break;
		err = mid_atlas_try(atlas, a);
		if (err != -ENOSPC)
			return err;
	} while (!why || settled || changed);

	if (why == -ENOSPC)
		mid_atlas_count_exhausted(atlas);
	return why;
}

static noinline int mid_atlas_associate_slow(struct mid_atlas *atlas, void *ctx, u16 *mid,
					     gfp_t gfp, bool urgent)
{
	struct mid_associate a = { .ctx = ctx, .mid = mid, .gfp = gfp, .urgent = urgent };
	int err = mid_atlas_try(atlas, &a);

	if (err == -ENOSPC)
		err = mid_atlas_try_harder(atlas, &a);
	return err;
}

/* Slot @i is BUSY for us and has its request, but may not go LIVE as it is. */
static noinline int mid_atlas_associate_again(struct mid_atlas *atlas, struct mid_table *t,
					      unsigned int i, u64 word, u16 *mid, gfp_t gfp)
	__releases(RCU)
{
	void *ctx = t->slots[i].ctx;

	mid_slot_free(&t->slots[i], word);
	mid_slot_freed(atlas, t, i);
	rcu_read_unlock();
	return mid_atlas_associate_slow(atlas, ctx, mid, gfp, false);
}

#endif /* _MIDATLAS_ASSOCIATE_H */
