/* SPDX-License-Identifier: GPL-2.0 */
/*
 * quarantine - MIDs of requests that were given up; the replies may still come
 *
 * No request gets an ABANDONED MID until its late reply comes, the quarantine has passed,
 * or a quarter of the maximum is abandoned and this one is the oldest.  All of that is
 * under the lock, so the MID is freed once.
 *
 * The abandoned MIDs are in a list, the oldest first.  No two MIDs in use are the same,
 * so a MID names its slot, and @ctx of the slot has room for the two neighbours.
 */
#ifndef _MIDATLAS_QUARANTINE_H
#define _MIDATLAS_QUARANTINE_H

static unsigned int mid_atlas_max_abandoned(struct mid_atlas *atlas)
{
	return READ_ONCE(atlas->max) / 4;
}

/* The slot that has the abandoned @mid, and its table */
static struct mid_slot *mid_quarantine_slot(struct mid_atlas *atlas, u16 mid,
					    struct mid_table **table)
{
	struct mid_slot *slot;
	struct mid_table *t;

	for (t = mid_atlas_table_locked(atlas); t; t = rcu_dereference(t->older)) {
		slot = mid_table_slot(t, mid);
		*table = t;
		if (mid_word_matches(atomic64_read(&slot->word), mid_key(mid, MID_ABANDONED),
				     t->match | MID_STATE))
			return slot;
	}
	return NULL;
}

static u16 mid_slot_older(const struct mid_slot *slot)
{
	return (unsigned long)slot->ctx;
}

static u16 mid_slot_newer(const struct mid_slot *slot)
{
	return (unsigned long)slot->ctx >> MID_KEY_BITS;
}

static void mid_slot_set_neighbours(struct mid_slot *slot, u16 older, u16 newer)
{
	/* Marked: a map that began while the slot was LIVE may be reading. */
	WRITE_ONCE(slot->ctx, (void *)((unsigned long)newer << MID_KEY_BITS | older));
}

/* Makes two MIDs neighbours in the list, where MID_RESERVED stands for its ends. */
static void mid_quarantine_link(struct mid_atlas *atlas, u16 older, u16 newer)
{
	struct mid_slot *slot;
	struct mid_table *t;

	if (older == MID_RESERVED) {
		atlas->oldest = newer;
	} else {
		slot = mid_quarantine_slot(atlas, older, &t);
		mid_slot_set_neighbours(slot, mid_slot_older(slot), newer);
	}
	if (newer == MID_RESERVED) {
		atlas->newest = older;
	} else {
		slot = mid_quarantine_slot(atlas, newer, &t);
		mid_slot_set_neighbours(slot, older, mid_slot_newer(slot));
	}
}

/* The end of a quarantine: the slot of the abandoned @mid is FREE after this. */
static void mid_quarantine_end(struct mid_atlas *atlas, struct mid_slot *slot)
{
	mid_quarantine_link(atlas, mid_slot_older(slot), mid_slot_newer(slot));
	WRITE_ONCE(atlas->abandoned, atlas->abandoned - 1);
	mid_slot_free(slot, atomic64_read(&slot->word));
}

/*
 * Ends the quarantine of @mid, for its late reply or because its time has come.  Returns
 * false if it had ended already.
 */
static bool mid_atlas_unabandon(struct mid_atlas *atlas, u16 mid, bool late)
{
	struct mid_slot *slot;
	struct mid_table *t;
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	slot = mid_quarantine_slot(atlas, mid, &t);
	if (slot && (late || !mid_word_left(atomic64_read(&slot->word), MID_MAX_QUARANTINE))) {
		/* Before the MID is free: the next associate may have it at once. */
		if (late)
			trace_midatlas_late(atlas, mid);
		else
			trace_midatlas_expire(atlas, mid);
		mid_quarantine_end(atlas, slot);
	} else {
		slot = NULL;
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (slot)
		mid_slot_freed(atlas, t, mid & t->mask);
	return slot;
}

/* If too many MIDs are abandoned, frees the oldest.  Returns its slot and table. */
static struct mid_slot *mid_quarantine_pop(struct mid_atlas *atlas, struct mid_table **t)
{
	struct mid_slot *slot;

	if (atlas->abandoned <= mid_atlas_max_abandoned(atlas))
		return NULL;
	slot = mid_quarantine_slot(atlas, atlas->oldest, t);
	trace_midatlas_expire(atlas, atlas->oldest);
	mid_quarantine_end(atlas, slot);
	return slot;
}

/* The maximum is smaller. */
static void mid_atlas_trim_quarantine(struct mid_atlas *atlas)
{
	struct mid_slot *slot;
	struct mid_table *t;
	unsigned long flags;

	do {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		slot = mid_quarantine_pop(atlas, &t);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		if (slot)
			mid_slot_freed(atlas, t, slot - t->slots);
	} while (slot);
}

/* Has @expiry run by the jiffy @expires. */
static void mid_atlas_arm(struct mid_atlas *atlas, unsigned long expires)
{
	lockdep_assert_held(&atlas->lock);

	if (atlas->armed && time_before_eq(atlas->expires, expires))
		return;
	atlas->armed = true;
	atlas->expires = expires;
	cancel_delayed_work(&atlas->expiry);
	schedule_delayed_work(&atlas->expiry, max((long)(expires - jiffies), 0l));
}

/* Ends what has passed in @t.  Returns in how many jiffies the next one is, or @left. */
static unsigned long mid_table_expire(struct mid_atlas *atlas, struct mid_table *t,
				      unsigned long left)
{
	unsigned long rest;
	unsigned int i;
	u64 word;

	for (i = 0; i <= t->mask; i++) {
		word = atomic64_read(&t->slots[i].word);
		if (mid_word_state(word) != MID_ABANDONED)
			continue;
		rest = mid_word_left(word, MID_MAX_QUARANTINE);
		if (rest)
			left = min(left, rest);
		else
			mid_atlas_unabandon(atlas, mid_word_mid(t, i, word), false);
	}
	return left;
}

static void mid_atlas_expire(struct work_struct *work)
{
	struct mid_atlas *atlas = container_of(to_delayed_work(work), struct mid_atlas, expiry);
	unsigned long flags, left = ULONG_MAX;
	struct mid_table *t;

	/* Before the slots: what is abandoned from now on arms it again, or is seen. */
	raw_spin_lock_irqsave(&atlas->lock, flags);
	atlas->armed = false;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		left = mid_table_expire(atlas, t, left);
	rcu_read_unlock();
	if (left == ULONG_MAX)
		return;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	mid_atlas_arm(atlas, jiffies + left);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
}

/*
 * LIVE with @ctx to ABANDONED, in one of the tables.  Of MIDs that are in use there is
 * one, so only one table can have it.
 */
static bool mid_quarantine_begin(struct mid_atlas *atlas, u16 mid, void *ctx,
				 unsigned long quarantine)
{
	unsigned long until = jiffies + quarantine;
	struct mid_table *t = mid_atlas_table_locked(atlas);

	while (t && !mid_slot_abandon(mid_table_slot(t, mid), &atlas->lock,
				      mid_key(mid, MID_LIVE), t->match, ctx, until))
		t = rcu_dereference(t->older);
	if (!t)
		return false;
	trace_midatlas_abandon(atlas, mid, ctx, quarantine);
	this_cpu_inc(atlas->cpu->dissociated);
	WRITE_ONCE(atlas->abandoned, atlas->abandoned + 1);
	mid_quarantine_link(atlas, atlas->newest, mid);
	mid_quarantine_link(atlas, mid, MID_RESERVED);
	mid_atlas_arm(atlas, until);
	return true;
}

#endif /* _MIDATLAS_QUARANTINE_H */
