/* SPDX-License-Identifier: GPL-2.0 */
/*
 * find - a free slot for an associate
 *
 * *Scan.*  Each CPU goes through the table in order and takes the next free slot,
 * so a MID rests until the CPU comes round again.  The table is dealt out in chunks,
 * one for each CPU, and @cursor says which chunk is next, so CPUs rarely write to
 * the same cache line.  In a small table, which has generation bits enough, a CPU goes
 * round in its chunk as long as at most one in eight slots that it meets there is busy.
 *
 * *Cache.*  Where a quarter or less of the slots is free ("low space"), or half of a
 * small table, a scan meets many busy slots.  There each CPU keeps a small ring of slots
 * that it freed, and takes the oldest first.  It leaves the last @keep of them alone as long as a
 * scan finds another slot: the more slots are free, the longer a freed MID rests.  A
 * CPU whose ring is empty, because it only sends, moves another CPU's ring to its own.
 *
 * Neither owns a slot.  A slot in a ring is FREE in the table, the take's cmpxchg
 * decides, and any CPU may take any slot.  An entry that is lost, doubled or outdated,
 * because an interrupt came in between, costs a try.  So no slot is stranded, and
 * nothing here disables preemption or interrupts.
 *
 * If both fail, all slots are checked.  An associate may report -ENOSPC only if no slot
 * was free *and* none was freed behind its back.  It raises MODE_SCAN, and each
 * dissociate that sees it counts in @free_seq:
 *
 *	T1: associate			T2: dissociate
 *
 *	mode += SCAN			word: LIVE -> FREE
 *	smp_mb				cmpxchg's full barrier
 *	free_seq, slots, free_seq	mode & SCAN? free_seq++
 *
 * Either T1 sees the slot free, or it sees the count change and checks again
 * [search-free, search-count].  A check looks at each slot once, at most 65,535; it is
 * repeated only if another CPU freed a slot meanwhile.
 */
#ifndef _MIDATLAS_FIND_H
#define _MIDATLAS_FIND_H

static __always_inline bool mid_find_is_low(const struct mid_atlas *atlas)
{
	return READ_ONCE(atlas->keep) != MID_ROOMY;
}

/* Decides, from a sample of what is in use, whether space is low and how far to scan then. */
static void mid_find_tune(struct mid_atlas *atlas, unsigned int in_use)
{
	unsigned int online = READ_ONCE(atlas->online), free = online - min(in_use, online);
	unsigned int low = online / (online > BIT(MID_STAY_ORDER) ? 4 : 2);
	/* A border that moves keeps the CPUs from changing their ways each tick. */
	unsigned int enough = low + (mid_find_is_low(atlas) ? online / 8 : 0);
	unsigned int keep = min(free / (2 * nr_cpu_ids), MID_MOST_KEPT);
	/* Twice what it takes on average, or few where that would be too many */
	unsigned int probes = 2 * online / (free + 1);

	if (free > enough)
		keep = MID_ROOMY;
	if (probes > MID_MOST_PROBES || probes < MID_PROBES)
		probes = MID_PROBES;
	if (READ_ONCE(atlas->keep) != keep)
		WRITE_ONCE(atlas->keep, keep);
	if (READ_ONCE(atlas->probes) != probes)
		WRITE_ONCE(atlas->probes, probes);
}

/* Slot @i was freed: remembers it where space is low. */
static __always_inline void mid_find_note(struct mid_cpu *cpu, unsigned int i)
{
	u8 noted = READ_ONCE(cpu->noted);

	if ((u8)(noted - READ_ONCE(cpu->recalled)) < MID_RING) {
		WRITE_ONCE(cpu->ring[noted % MID_RING], i);
		WRITE_ONCE(cpu->noted, noted + 1);
	}
}

/* The oldest slot in the ring, @i, if there are more than @keep */
static __always_inline bool mid_find_recall(struct mid_cpu *cpu, unsigned int keep,
					    unsigned int *i)
{
	u8 recalled = READ_ONCE(cpu->recalled);

	if ((u8)(READ_ONCE(cpu->noted) - recalled) <= keep)
		return false;
	*i = READ_ONCE(cpu->ring[recalled % MID_RING]);
	WRITE_ONCE(cpu->recalled, recalled + 1);
	return true;
}

static __always_inline bool mid_find_ends_chunk(const struct mid_table *t, unsigned int i)
{
	return !((i + 1) & (t->chunk - 1));
}

/* Where a CPU goes on after slot @i, the last of a chunk in which it met @busy busy slots */
static unsigned int mid_find_turn(struct mid_table *t, unsigned int i, unsigned int busy)
{
	if (i != MID_NO_SLOT && t->order <= MID_STAY_ORDER && busy <= t->chunk / 8)
		return i + 1 - t->chunk;
	return atomic_fetch_add_relaxed(t->chunk, &t->cursor) & t->mask;
}

/* Which slot to try first, @i; false if that takes more than a look */
static __always_inline bool mid_find_guess(struct mid_atlas *atlas, const struct mid_table *t,
					   unsigned int *i)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	unsigned int keep = READ_ONCE(atlas->keep);

	if (unlikely(keep != MID_ROOMY) && mid_find_recall(cpu, keep, i)) {
		*i &= t->mask;
		return true;
	}
	*i = READ_ONCE(cpu->next) & t->mask;
	if (unlikely(mid_find_ends_chunk(t, *i)))
		return false;
	/* If that slot is busy, a scan goes on behind it. */
	WRITE_ONCE(cpu->next, *i + 1);
	return true;
}

/* Scans up to @most slots in order.  Like the others below, returns the slot or -ENOSPC. */
static int mid_find_scan(struct mid_cpu *cpu, struct mid_table *t, unsigned int most, u64 *word)
{
	unsigned int next = READ_ONCE(cpu->next), busy = READ_ONCE(cpu->busy) + 1, i;
	bool taken;

	most = min(most, t->mask + 1);
	if (next == MID_NO_SLOT)
		next = mid_find_turn(t, MID_NO_SLOT, 0);
	do {
		i = next & t->mask;
		taken = mid_slot_take(&t->slots[i], t->step, word);
		busy += !taken;
		next = i + 1;
		if (mid_find_ends_chunk(t, i)) {
			next = mid_find_turn(t, i, busy);
			busy = 0;
		}
	} while (!taken && --most);
	WRITE_ONCE(cpu->busy, busy);
	WRITE_ONCE(cpu->next, next);
	return taken ? i : -ENOSPC;
}

static int mid_find_in_ring(struct mid_cpu *cpu, struct mid_table *t, unsigned int keep, u64 *word)
{
	unsigned int i;

	while (mid_find_recall(cpu, keep, &i)) {
		i &= t->mask;
		if (mid_slot_take(&t->slots[i], t->step, word))
			return i;
	}
	return -ENOSPC;
}

/* Moves another CPU's ring to this one, which has nothing in its own. */
static void mid_find_take_over(struct mid_atlas *atlas, struct mid_cpu *cpu)
{
	unsigned int i, n = 0;
	struct mid_cpu *other;
	int id;

	for_each_possible_cpu(id) {
		other = per_cpu_ptr(atlas->cpu, id);
		while (other != cpu && n < MID_RING && mid_find_recall(other, 0, &i)) {
			mid_find_note(cpu, i);
			n++;
		}
		if (n)
			break;
	}
}

/* All slots: -ENOSPC means that there was a moment when none was free. */
static int mid_find_check_all(struct mid_atlas *atlas, struct mid_table *t, u64 *word)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	unsigned int next = READ_ONCE(cpu->next), i = 0, n;
	bool taken = false;
	int seq;

	atomic_add(MID_MODE_SCAN, &atlas->mode);
	/* SCAN before the check; pairs with the cmpxchg that frees. */
	smp_mb__after_atomic();
	do {
		seq = atomic_read_acquire(&atlas->free_seq);
		for (n = 0; n <= t->mask && !taken; n++) {
			i = (next + n) & t->mask;
			taken = mid_slot_take(&t->slots[i], t->step, word);
		}
		/* The check before the count; pairs with mid_slot_freed_slow(). */
		smp_rmb();
	} while (!taken && atomic_read(&atlas->free_seq) != seq);
	atomic_sub(MID_MODE_SCAN, &atlas->mode);
	if (!taken)
		return -ENOSPC;
	WRITE_ONCE(cpu->next, i + 1);
	return i;
}

/*
 * Takes a free slot, with a full barrier; @word is then the slot's word.  Returns
 * the slot's number, or -ENOSPC if there was a moment when none was free.
 */
static int mid_find_take(struct mid_atlas *atlas, struct mid_table *t, u64 *word)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	int i;

	if (!mid_find_is_low(atlas)) {
		i = mid_find_scan(cpu, t, MID_PROBES, word);
		if (i >= 0)
			return i;
		/* Is space low, or only here? */
		mid_atlas_sample(atlas);
		WRITE_ONCE(cpu->next, MID_NO_SLOT);
	}
	i = mid_find_in_ring(cpu, t, READ_ONCE(atlas->keep), word);
	/* A smaller table is checked as a whole. */
	if (i < 0 && t->mask >= MID_PROBES)
		i = mid_find_scan(cpu, t, READ_ONCE(atlas->probes), word);
	if (i < 0) {
		/* Less is free than the last sample said. */
		if (READ_ONCE(atlas->keep))
			mid_atlas_sample(atlas);
		i = mid_find_in_ring(cpu, t, 0, word);
	}
	if (i < 0) {
		mid_find_take_over(atlas, cpu);
		i = mid_find_in_ring(cpu, t, 0, word);
	}
	return i < 0 ? mid_find_check_all(atlas, t, word) : i;
}

/* No CPU knows of a slot any more: the table is new. */
static void mid_find_forget(struct mid_atlas *atlas)
{
	struct mid_cpu *cpu;
	int id;

	for_each_possible_cpu(id) {
		cpu = per_cpu_ptr(atlas->cpu, id);
		WRITE_ONCE(cpu->next, MID_NO_SLOT);
		WRITE_ONCE(cpu->busy, 0);
		WRITE_ONCE(cpu->recalled, READ_ONCE(cpu->noted));
	}
}

#endif /* _MIDATLAS_FIND_H */
