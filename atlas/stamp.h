/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stamp - when the request of each slot began, in nanoseconds, see midlatency.h
 *
 * The stamps are an array beside the slots.  A table has none until latency is switched on
 * for its atlas, or, if it is younger, until it is switched on for another one.
 */
#ifndef _MIDATLAS_STAMP_H
#define _MIDATLAS_STAMP_H

/* Whether associates and dissociates have more to do than usual */
static __always_inline bool mid_atlas_timed(void)
{
	return static_branch_unlikely(&mid_timed);
}

/* The stamp of a slot, 0 if it has none */
static u64 mid_slot_stamp(const struct mid_table *t, unsigned int i)
{
	/* Pairs with mid_atlas_clear_stamps(). */
	const u64 *begun = smp_load_acquire(&t->begun);

	return begun ? READ_ONCE(begun[i]) : 0;
}

/* The slot is BUSY for the caller, and a request begins. */
static void mid_slot_set_stamp(struct mid_atlas *atlas, struct mid_table *t, unsigned int i)
{
	u64 *begun;

	if (!mid_atlas_timed())
		return;
	/* Pairs with mid_atlas_clear_stamps(). */
	begun = smp_load_acquire(&t->begun);
	if (begun)
		WRITE_ONCE(begun[i], mid_latency_stamp(&atlas->folder.latency));
}

/* Gives the current table an array, if it still is the one that has none. */
static bool mid_atlas_install_stamps(struct mid_atlas *atlas, unsigned int order, u64 *begun)
{
	struct mid_table *t;
	unsigned long flags;
	bool same;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	t = mid_atlas_table_locked(atlas);
	same = t->order == order;
	if (same) {
		/* The zeroes first; pairs with mid_slot_stamp(). */
		smp_store_release(&t->begun, begun);
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return same;
}

/* No request has a stamp after this, and the current table has an array for them. */
static int mid_atlas_clear_stamps(struct mid_atlas *atlas)
{
	struct mid_table *t;
	unsigned int order;
	u64 *begun;

	do {
		rcu_read_lock();
		for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
			if (t->begun)
				memset(t->begun, 0, sizeof(u64) << t->order);
		t = rcu_dereference(atlas->table);
		order = t->order;
		begun = t->begun;
		rcu_read_unlock();
		if (begun)
			return 0;
		begun = mid_atlas_alloc(sizeof(u64) << order, GFP_KERNEL);
		if (!begun)
			return -ENOMEM;
		if (mid_atlas_install_stamps(atlas, order, begun))
			return 0;
		kvfree(begun);
	} while (1);
}

#endif /* _MIDATLAS_STAMP_H */
