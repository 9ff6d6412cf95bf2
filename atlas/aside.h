/* SPDX-License-Identifier: GPL-2.0 */
/*
 * aside - slots for urgent requests
 *
 * Of the maximum, mid_atlas::aside slots are not in service.  An urgent associate takes
 * one of them straight from PARKED to BUSY, so no other caller ever finds it FREE, and
 * marks it in mid_table::urgent.  While there is such a slot OVER_LIMIT is set, so the
 * call that frees it goes to settle it under the lock (service.h).  That clears the mark,
 * and parks the slot: it is aside again.
 *
 *	T1: dissociate (urgent request)	T2: associate
 *
 *	word: LIVE -> FREE
 *					word: FREE -> BUSY
 *					mode & OVER_LIMIT? lock, the slot is marked:
 *					parks it, unlock, tries again
 *	mode & OVER_LIMIT? lock
 *	word is PARKED: done
 *
 * Where no slot is parked, an urgent associate takes an ordinary one, as all others do but
 * that it does not give it to a waiter.  If not all that is aside is in use, it marks that
 * slot, and another may come into service in its place.
 */
#ifndef _MIDATLAS_ASIDE_H
#define _MIDATLAS_ASIDE_H

/*
 * Takes a slot of @t that is aside, with a full barrier; @word is then the slot's word.
 * Returns the slot's number, -ENOSPC if @t has none, or -EAGAIN to begin again.
 */
static int mid_aside_take(struct mid_atlas *atlas, struct mid_table *t, u64 *word)
{
	int i = -ENOSPC, next = -ENOENT;
	unsigned long flags;
	bool aside;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	/* Or one that set_max or set_aside is about to put into service. */
	aside = mid_atlas_may_use_aside(atlas);
	if (t != mid_atlas_table_locked(atlas)) {
		i = -EAGAIN;
	} else if (t->parked && (aside || mid_atlas_spare(atlas) > 0)) {
		i = mid_table_unpark(atlas, t);
		if (aside)
			mid_slot_begin_urgent(atlas, t, i);
		*word = mid_word_with(atomic64_read(&t->slots[i].word), MID_BUSY);
		mid_slot_advance(&t->slots[i], t->step, word);
		if (!mid_slot_unique(t, i, word)) {
			mid_slot_park(atlas, t, i, *word, true, &next);
			i = -EAGAIN;
		}
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (next >= 0)
		mid_slot_freed_slow(atlas, t, next);
	return i;
}

#endif /* _MIDATLAS_ASIDE_H */
