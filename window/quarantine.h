/* SPDX-License-Identifier: GPL-2.0 */
/*
 * quarantine - requests that were abandoned; the replies may still come
 *
 * Each id is used only once, so the quarantine does not protect it from reuse.  The id is
 * remembered to tell a late reply from one with an invalid id, and a drain waits for
 * it.  The entry stays, ABANDONED, in a list, the oldest first.
 *
 *	T1: late reply			T2: end of the quarantine
 *
 *	slot is ABANDONED|v		slot is ABANDONED|v
 *	lock, still ABANDONED|v:
 *	frees it, unlock
 *					lock, not ABANDONED|v any
 *					more: leaves it alone
 */
#ifndef _MIDWINDOW_QUARANTINE_H
#define _MIDWINDOW_QUARANTINE_H

#ifndef MID_LEAST_ABANDONED	/* the model has a smaller one */
#define MID_LEAST_ABANDONED	16
#endif
#define MID_MAX_QUARANTINE	BIT(30)	/* jiffies */

/* Ends the quarantine of an entry, if @word says that it still is the same one. */
static bool mid_window_unabandon(struct mid_window *w, struct mid_entry *e, u64 word, bool late)
{
	unsigned long flags;
	bool ours;

	raw_spin_lock_irqsave(&w->lock, flags);
	ours = (u64)atomic64_read(&e->slot.word) == word;
	if (ours) {
		if (late)
			trace_midwindow_late(w, e->epoch, e->id);
		list_del(&e->node);
		w->nr_abandoned--;
		w->late += late;
		mid_slot_free(&e->slot, word);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (ours)
		mid_window_freed(w);
	return ours;
}

/* Has @expiry run by the jiffy @expires. */
static void mid_window_arm(struct mid_window *w, unsigned long expires)
{
	lockdep_assert_held(&w->lock);

	if (w->armed && time_before_eq(w->expires, expires))
		return;
	w->armed = true;
	w->expires = expires;
	cancel_delayed_work(&w->expiry);
	schedule_delayed_work(&w->expiry, max((long)(expires - jiffies), 0l));
}

static void mid_window_expire(struct work_struct *work)
{
	struct mid_window *w = container_of(to_delayed_work(work), struct mid_window, expiry);
	unsigned long flags, rest, left = ULONG_MAX;
	struct mid_entry *e;
	struct mid_hash *h;
	u64 word;

	raw_spin_lock_irqsave(&w->lock, flags);
	w->armed = false;
	raw_spin_unlock_irqrestore(&w->lock, flags);

	for (e = NULL; (e = mid_window_next_entry(w, &h, e)); ) {
		word = atomic64_read(&e->slot.word);
		if (mid_word_state(word) != MID_ABANDONED)
			continue;
		rest = mid_word_left(word, MID_MAX_QUARANTINE);
		if (rest)
			left = min(left, rest);
		else
			mid_window_unabandon(w, e, word, false);
	}
	if (left == ULONG_MAX)
		return;
	raw_spin_lock_irqsave(&w->lock, flags);
	mid_window_arm(w, jiffies + left);
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/* LIVE with @ctx to ABANDONED.  If too many are, the oldest is forgotten. */
static bool mid_window_begin_quarantine(struct mid_window *w, struct mid_entry *e, void *ctx,
					unsigned long quarantine)
{
	unsigned int most = max(w->hash->room / 4, MID_LEAST_ABANDONED);
	unsigned long until = jiffies + quarantine;

	if (!mid_slot_abandon(&e->slot, &w->lock, MID_LIVE, MID_STATE, ctx, until))
		return false;
	trace_midwindow_abandon(w, e->epoch, e->id, ctx, quarantine);
	list_add_tail(&e->node, &w->abandoned);
	if (++w->nr_abandoned > most) {
		e = list_first_entry(&w->abandoned, struct mid_entry, node);
		list_del(&e->node);
		w->nr_abandoned--;
		mid_slot_free(&e->slot, atomic64_read(&e->slot.word));
		atomic64_add(MID_FREED_ONE, &w->freed);
	}
	mid_window_arm(w, until);
	return true;
}

/* Ends the quarantines of an epoch that is over. */
static void mid_window_end_quarantines(struct mid_window *w, u32 epoch)
{
	struct mid_entry *e;
	struct mid_hash *h;
	u64 word;

	for (e = NULL; (e = mid_window_next_entry(w, &h, e)); ) {
		word = atomic64_read_acquire(&e->slot.word);
		if (mid_word_state(word) == MID_ABANDONED && READ_ONCE(e->epoch) == epoch)
			mid_window_unabandon(w, e, word, false);
	}
}

#endif /* _MIDWINDOW_QUARANTINE_H */
