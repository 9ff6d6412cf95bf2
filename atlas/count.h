/* SPDX-License-Identifier: GPL-2.0 */
/*
 * count - what is in use, and the high-water mark
 *
 * Each CPU counts its associates and dissociates.  A sum is exact when no call is in
 * progress.  Otherwise it is too low, because the associates are summed first, but for
 * a slot that was freed and taken again before the dissociate was counted.
 */
#ifndef _MIDATLAS_COUNT_H
#define _MIDATLAS_COUNT_H

static unsigned int mid_atlas_in_use(struct mid_atlas *atlas)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(atlas->cpu, cpu)->associated);
	sum += READ_ONCE(atlas->abandoned);
	/* Pairs with the slot's cmpxchg between associate and dissociate. */
	smp_rmb();
	for_each_possible_cpu(cpu)
		sum -= READ_ONCE(per_cpu_ptr(atlas->cpu, cpu)->dissociated);
	/* Never more than there are slots in service. */
	return clamp((long)sum, 0L, (long)READ_ONCE(atlas->online));
}

/* So many are in use: raises the high-water mark, and says how to find a free slot. */
static void mid_atlas_note_in_use(struct mid_atlas *atlas, unsigned int in_use)
{
	int high = atomic_read(&atlas->high);

	while ((int)in_use > high && !atomic_try_cmpxchg(&atlas->high, &high, in_use))
		;
	mid_find_tune(atlas, in_use);
}

/* An associate found no slot: all that are in service are in use.  No sum is needed. */
static void mid_atlas_note_full(struct mid_atlas *atlas)
{
	mid_atlas_note_in_use(atlas, READ_ONCE(atlas->online));
}

/*
 * A counter that all CPUs write would cost more than the high-water mark is worth.
 * It is sampled before the first dissociate of each tick, when an associate meets busy
 * slots, and by stats.  It can miss what comes and goes between.
 */
static noinline void mid_atlas_sample(struct mid_atlas *atlas)
{
	/* First: a CPU that sees it need not read all counts, too. */
	WRITE_ONCE(atlas->sampled, jiffies);
	mid_atlas_note_in_use(atlas, mid_atlas_in_use(atlas));
}

static __always_inline bool mid_atlas_sample_is_due(const struct mid_atlas *atlas)
{
	return READ_ONCE(atlas->sampled) - jiffies;
}

static void mid_atlas_count_dissociate(struct mid_atlas *atlas)
{
	if (mid_atlas_sample_is_due(atlas))
		mid_atlas_sample(atlas);
	this_cpu_inc(atlas->cpu->dissociated);
}

#endif /* _MIDATLAS_COUNT_H */
