/* SPDX-License-Identifier: GPL-2.0 */
/*
 * service - how many slots are in service, and growth
 *
 * The maximum is kept by counting slots, not MIDs: no associate succeeds while more
 * slots are in service than the maximum allows, over all tables.  The others are
 * PARKED.  To lower the maximum is to park slots, free ones at once and the others
 * when they become free.  To drain is to lower it to nothing.
 *
 * A table never changes its size, because that would change the meaning of the MIDs
 * in flight.  When it is full and the maximum allows, a larger one is put in front of
 * it.  The MIDs of the *older* table stay there until they are dissociated; each slot
 * that becomes free there is parked, and one of the current table comes into service
 * for it.  The older table is freed, after a grace period, when all its slots are parked.
 *
 * Some of the maximum may be kept *aside* for urgent requests (aside.h).  Their slots are
 * in service only while such a request is in one.
 *
 * Where the older tables have all MIDs of a slot in use, the slot is *blocked*: parked,
 * but not to return before an older table has freed a slot that has the same low bits.
 *
 * A slot that became free is *settled*: parked if it is surplus, or handed to the first
 * waiter.
 */
#ifndef _MIDATLAS_SERVICE_H
#define _MIDATLAS_SERVICE_H

/* How many more slots may be in service; negative if there are too many */
static int mid_atlas_spare(struct mid_atlas *atlas)
{
	unsigned int aside = min(atlas->aside, atlas->max);

	lockdep_assert_held(&atlas->lock);

	if (mid_atlas_draining(atlas))
		return -(int)atlas->online;
	return (int)(atlas->max - aside + min(aside, atlas->urgent)) - (int)atlas->online;
}

/* May an urgent request have a slot that is aside? */
static bool mid_atlas_may_use_aside(struct mid_atlas *atlas)
{
	return !mid_atlas_draining(atlas) && atlas->online < atlas->max &&
	       atlas->urgent < min(atlas->aside, atlas->max);
}

/* After each change: sets or clears OVER_LIMIT.  Must the call that frees a slot settle it? */
static void mid_atlas_tell_over_limit(struct mid_atlas *atlas)
{
	WRITE_ONCE(atlas->changes, atlas->changes + 1);
	mid_atlas_set_mode(atlas, MID_MODE_OVER_LIMIT,
			   atlas->urgent || mid_atlas_spare(atlas) < 0);
}

/* Puts a parked slot of the current table @t into service, and returns it. */
static unsigned int mid_table_unpark(struct mid_atlas *atlas, struct mid_table *t)
{
	unsigned int i = t->parked_head;

	t->parked_head = (unsigned long)t->slots[i].ctx;
	t->parked--;
	t->online++;
	WRITE_ONCE(atlas->online, atlas->online + 1);
	return i;
}

/* Puts a slot of the current table into service for all.  Returns it, or -ENOSPC. */
static int mid_atlas_unpark(struct mid_atlas *atlas)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int i;

	if (!t->parked || mid_atlas_spare(atlas) <= 0)
		return -ENOSPC;
	i = mid_table_unpark(atlas, t);
	mid_slot_free(&t->slots[i], atomic64_read(&t->slots[i].word));
	/* No CPU has freed it, so none would know of it. */
	if (mid_find_is_low(atlas))
		mid_find_note(raw_cpu_ptr(atlas->cpu), i);
	return i;
}

/* Wakes the first waiter if the table may grow, which takes a task that may allocate. */
static void mid_atlas_let_grow(struct mid_atlas *atlas)
{
	struct mid_waiter *w = mid_atlas_first_waiter(atlas);

	if (w && mid_atlas_spare(atlas) > 0) {
		w->leads = true;
		complete(&w->woken);
	}
}

/* Takes an older table that has no slot in service out of the chain. */
static void mid_atlas_unlink(struct mid_atlas *atlas, struct mid_table *old)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);

	while (rcu_access_pointer(t->older) != old)
		t = rcu_dereference_protected(t->older, true);
	rcu_assign_pointer(t->older, rcu_dereference_protected(old->older, true));
	if (!rcu_access_pointer(mid_atlas_table_locked(atlas)->older))
		mid_atlas_set_mode(atlas, MID_MODE_OLDER, false);
	/* A lookup may be in there [older-unlink]. */
	call_rcu(&old->rcu, mid_table_free_rcu);
}

/*
 * Slot @j of the @older table is parked, whatever generation it had last: unblocks the
 * slots of the current table whose MIDs it may have had.
 *
 *	T1: associate (older table)	T2: grow		T3: dissociate(M)
 *
 *	                                table = new, M's slot
 *	                                is blocked there
 *								word: -> FREE
 *	word: FREE -> BUSY, MID is M'
 *	the table is not current
 *	gives it back, parks it
 *	unblocks M, too
 *								is parked: done
 */
static void mid_atlas_unblock(struct mid_atlas *atlas, const struct mid_table *older,
			      unsigned int j)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int i;

	for (i = j; t->blocked && i <= t->mask; i += older->mask + 1) {
		if (t->slots[i].ctx == MID_BLOCKED &&
		    mid_word_state(atomic64_read(&t->slots[i].word)) == MID_PARKED) {
			t->blocked--;
			mid_table_park(t, i);
		}
	}
}

/*
 * A slot that the caller has made PARKED is out of service.  Returns the slot of the
 * current table that came into service for it, or -ENOSPC.
 */
static int mid_slot_parked(struct mid_atlas *atlas, struct mid_table *t, unsigned int i,
			   bool blocked)
{
	bool older = t != mid_atlas_table_locked(atlas);
	int next;

	t->online--;
	WRITE_ONCE(atlas->online, atlas->online - 1);
	if (older) {
		mid_atlas_unblock(atlas, t, i);
	} else if (blocked) {
		WRITE_ONCE(t->slots[i].ctx, MID_BLOCKED);
		t->blocked++;
	} else {
		mid_table_park(t, i);
	}
	next = mid_atlas_unpark(atlas);
	if (next < 0)
		mid_atlas_let_grow(atlas);
	if (older && !t->online)
		mid_atlas_unlink(atlas, t);
	mid_atlas_tell_over_limit(atlas);
	if (!atlas->online && mid_atlas_draining(atlas))
		complete(&atlas->drained);
	return next;
}

/* Slot @i is that of an urgent request, which does not count for the others. */
static void mid_slot_begin_urgent(struct mid_atlas *atlas, struct mid_table *t, unsigned int i)
{
	__set_bit(i, t->urgent);
	atlas->urgent++;
	mid_atlas_tell_over_limit(atlas);
}

/* Slot @i had an urgent request, and has it no more. */
static void mid_slot_end_urgent(struct mid_atlas *atlas, struct mid_table *t, unsigned int i)
{
	if (!test_bit(i, t->urgent))
		return;
	__clear_bit(i, t->urgent);
	atlas->urgent--;
	mid_atlas_tell_over_limit(atlas);
}

/* Parks slot @i, which is BUSY and the caller's.  @next is as for mid_slot_place(). */
static void mid_slot_park(struct mid_atlas *atlas, struct mid_table *t, unsigned int i, u64 word,
			  bool blocked, int *next)
{
	mid_slot_end_urgent(atlas, t, i);
	atomic64_set(&t->slots[i].word, mid_word_with(word, MID_PARKED));
	*next = mid_slot_parked(atlas, t, i, blocked);
}

/*
 * Slot @i is BUSY and the caller's: parks it if it is surplus or has no MID of its own, or
 * hands it to the first waiter, but not if the caller is @urgent.  Returns false if it may
 * stay as it is.  @next is the slot of the current table that came into service for it, or an
 * error.
 */
static bool mid_slot_place(struct mid_atlas *atlas, struct mid_table *t, unsigned int i,
			   bool urgent, u64 *word, int *next)
{
	struct mid_waiter *w = urgent ? NULL : mid_atlas_first_waiter(atlas);
	bool surplus;

	mid_slot_end_urgent(atlas, t, i);
	surplus = t != mid_atlas_table_locked(atlas) || mid_atlas_spare(atlas) < 0;
	*next = -ENOENT;
	if (surplus || !mid_slot_unique(t, i, word)) {
		mid_slot_park(atlas, t, i, *word, !surplus, next);
	} else if (w) {
		w->t = t;
		w->i = i;
		w->word = *word;
		mid_waiter_release(atlas, w, 0);
		mid_atlas_let_grow(atlas);
	} else {
		return false;
	}
	return true;
}

/* Settles slot @i, if it is free.  Returns the slot that is to be settled next, or an error. */
static int mid_slot_settle(struct mid_atlas *atlas, struct mid_table *t, unsigned int i)
{
	int next = -ENOENT;
	u64 word;

	if (mid_slot_is_free(&t->slots[i]))
		mid_slot_end_urgent(atlas, t, i);
	if (t == mid_atlas_table_locked(atlas) && mid_atlas_spare(atlas) >= 0 &&
	    !mid_atlas_first_waiter(atlas))
		return -ENOENT;
	if (mid_slot_take(&t->slots[i], t->step, &word))
		mid_slot_place(atlas, t, i, false, &word, &next);
	return next;
}

static void mid_atlas_settle(struct mid_atlas *atlas, struct mid_table *t, int i)
{
	unsigned long flags;

	/* One at a time, so that interrupts are off for a bounded time. */
	while (i >= 0) {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		i = mid_slot_settle(atlas, t, i);
		t = mid_atlas_table_locked(atlas);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
	}
}

/* Settles the free slots of @t.  Returns how many there were. */
static unsigned int mid_table_settle(struct mid_atlas *atlas, struct mid_table *t)
{
	unsigned int i, n = 0;

	for (i = 0; i <= t->mask; i++) {
		if (mid_slot_is_free(&t->slots[i])) {
			mid_atlas_settle(atlas, t, i);
			n++;
		}
	}
	return n;
}

static unsigned int mid_atlas_settle_older(struct mid_atlas *atlas)
{
	struct mid_table *t;
	unsigned int n = 0;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	while ((t = rcu_dereference(t->older)))
		n += mid_table_settle(atlas, t);
	rcu_read_unlock();
	return n;
}

static noinline void mid_slot_freed_slow(struct mid_atlas *atlas, struct mid_table *t,
					 unsigned int i)
{
	if (rcu_access_pointer(atlas->table) != t ||
	    atomic_read(&atlas->mode) & MID_MODE_LOCK)
		mid_atlas_settle(atlas, t, i);
	/* The slot first, then the count; pairs with mid_find_check_all(). */
	if (atomic_read(&atlas->mode) >= MID_MODE_SCAN)
		atomic_fetch_inc_release(&atlas->free_seq);
}

/* To be called after a slot became FREE, and a full barrier */
static void mid_slot_freed(struct mid_atlas *atlas, struct mid_table *t, unsigned int i)
{
	if (mid_find_is_low(atlas))
		mid_find_note(raw_cpu_ptr(atlas->cpu), i);
	if (unlikely(atomic_read(&atlas->mode)))
		mid_slot_freed_slow(atlas, t, i);
}

/*
 * Whether the table of 2^@seen slots may grow, for an @urgent request maybe, how large the
 * next table is, and how many of its slots come into service.  Returns -EEXIST if it has
 * grown already, -ENOSPC if as many slots as the maximum are in service.
 */
static int mid_atlas_plan(struct mid_atlas *atlas, unsigned int seen, bool urgent,
			  unsigned int *order, unsigned int *online)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int most = order_base_2(atlas->max);
	int spare = max(mid_atlas_spare(atlas), 0);

	if (t->order != seen)
		return -EEXIST;
	if (mid_atlas_draining(atlas))
		return -ESHUTDOWN;
	/* Parked slots come first, and the call that raised the maximum puts them into service. */
	if (!(spare || (urgent && mid_atlas_may_use_aside(atlas))) || t->parked ||
	    t->order == MID_BITS)
		return -ENOSPC;
	*order = max(t->order + 1, min_t(unsigned int, MID_FIRST_ORDER, most));
	*online = min3((unsigned int)BIT(*order), (unsigned int)spare, (unsigned int)MID_RESERVED);
	return 0;
}

/* Puts @new in front of the current table. */
static void mid_atlas_push(struct mid_atlas *atlas, struct mid_table *new)
{
	RCU_INIT_POINTER(new->older, mid_atlas_table_locked(atlas));
	mid_atlas_set_mode(atlas, MID_MODE_OLDER, true);
	/*
	 * OLDER before the new table, and before the slots that the caller checks
	 * next; pairs with the cmpxchg of mid_slot_take() and of the claims.
	 */
	smp_mb__after_atomic();
	rcu_assign_pointer(atlas->table, new);
	WRITE_ONCE(atlas->online, atlas->online + new->online);
	mid_find_forget(atlas);
}

/*
 * The table of 2^@seen slots was full: puts a larger one in front of it.  Returns 0 if
 * an associate should try again.
 */
static int mid_atlas_grow(struct mid_atlas *atlas, unsigned int seen, bool urgent, gfp_t gfp)
{
	unsigned int order, online, order_now, online_now;
	struct mid_table *t, *new;
	unsigned long flags;
	int err;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	err = mid_atlas_plan(atlas, seen, urgent, &order, &online);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (err)
		return err == -EEXIST ? 0 : err;

	might_alloc(gfp);
	new = mid_table_alloc(order, gfp);
	if (!new)
		return -ENOMEM;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	mid_table_init(new, online, mid_table_next_gen(t, order));
	raw_spin_lock_irqsave(&atlas->lock, flags);
	err = mid_atlas_plan(atlas, seen, urgent, &order_now, &online_now);
	if (!err && order_now == order && online_now == online) {
		mid_atlas_push(atlas, new);
		new = NULL;
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (!new) {
		/* The new table before the old one's slots [grow-free]. */
		smp_mb();
		mid_table_settle(atlas, t);
		if (atomic_read(&atlas->mode) & MID_MODE_WAITERS)
			mid_table_settle(atlas, rcu_dereference(atlas->table));
	}
	rcu_read_unlock();
	mid_table_free(new);
	return err == -EEXIST ? 0 : err;
}

#endif /* _MIDATLAS_SERVICE_H */
