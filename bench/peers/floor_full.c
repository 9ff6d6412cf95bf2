// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for all features of the atlas
 *
 * floor_slots with 16-bit MIDs, a search for a free slot, and the checks and counters
 * that growth, the maximum, waiters, drain and statistics need. The slow paths behind
 * the checks are stubs: none of the checks is ever true in a measurement.
 *
 * The search: each CPU scans the table in order. Once the table was nearly full, a CPU
 * takes the slot that it freed last.
 */
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "../loop.h"

#define SLOT_LIVE	1
#define SLOT_BUSY	2
#define SLOT_GEN	4		/* the generation counts in these */
#define SLOT_FAR	8		/* busy slots in a row that mean: nearly full */
#define SLOT_NONE	(~0u - 1)	/* compares like the last slot */
#define MID_RESERVED	0xffff

struct floor_slot {
	atomic64_t word;
	void *req;
};

/**
 * struct floor_cpu - per CPU
 * @next: the slot to try next; SLOT_NONE once the table was nearly full
 * @scan: the slot to try next while @next and @last are SLOT_NONE
 * @last: the slot that this CPU freed last; SLOT_NONE if there is none
 * @associated: number of associates
 * @dissociated: number of dissociates
 * @peak: largest difference of the two
 */
struct floor_cpu {
	unsigned int next;
	unsigned int scan;
	unsigned int last;
	unsigned long associated;
	unsigned long dissociated;
	long peak;
};

/**
 * struct floor_table - the slots
 * @current_table: this table; one that has grown would have another
 * @mode: not 0 if a slow path is needed: waiters, drain, or a lower maximum
 * @sampled: the jiffy of the last sample of the number in flight
 * @max: number of slots in use
 * @mask: the bits of a MID that are the slot's number
 * @gen_bits: the other bits of a MID
 * @match: the bits of a slot's word that a MID determines
 * @step: what the next generation adds to the word
 * @cpu: per-CPU part
 * @slots: the slots
 */
struct floor_table {
	struct floor_table __rcu *current_table;
	atomic_t mode;
	unsigned long sampled;
	unsigned int max;
	unsigned int mask;
	unsigned int gen_bits;
	unsigned int match;
	unsigned int step;
	struct floor_cpu __percpu *cpu;
	struct floor_slot slots[] ____cacheline_aligned;
};

static __always_inline struct floor_table *floor_table(void *table)
{
	return rcu_dereference_raw(((struct floor_table *)table)->current_table);
}

static __always_inline struct floor_slot *floor_slot(struct floor_table *t, u32 id)
{
	return &t->slots[(unsigned long)(id & t->mask)];
}

/* Is this the word of a slot that has @id in flight? */
static __always_inline bool floor_match(const struct floor_table *t, u64 word, u32 id)
{
	return !(((u32)word ^ (id * SLOT_GEN | SLOT_LIVE)) & t->match);
}

/* The MID of slot @i in the generation of @word */
static __always_inline u32 floor_mid(const struct floor_table *t, unsigned int i, u32 word)
{
	return i | (word / SLOT_GEN & t->gen_bits);
}

static void floor_full_destroy(void *table)
{
	struct floor_table *t = table;

	free_percpu(t->cpu);
	kvfree(t);
}

static void *floor_full_create(unsigned int max)
{
	unsigned int slots = roundup_pow_of_two(max);
	struct floor_table *t = kvzalloc(struct_size(t, slots, slots), GFP_KERNEL);
	int cpu;

	if (!t)
		return ERR_PTR(-ENOMEM);
	RCU_INIT_POINTER(t->current_table, t);
	t->max = max;
	t->mask = slots - 1;
	t->gen_bits = (u16)~t->mask;
	t->match = t->gen_bits * SLOT_GEN | SLOT_LIVE | SLOT_BUSY;
	t->step = slots * SLOT_GEN;
	t->cpu = alloc_percpu(struct floor_cpu);
	if (!t->cpu) {
		floor_full_destroy(t);
		return ERR_PTR(-ENOMEM);
	}
	for_each_possible_cpu(cpu)
		per_cpu_ptr(t->cpu, cpu)->next = cpu * (max / nr_cpu_ids);
	return t;
}

/* The slot to try next */
static __always_inline unsigned int floor_next(struct floor_table *t)
{
	struct floor_cpu *cpu = raw_cpu_ptr(t->cpu);
	unsigned int i = READ_ONCE(cpu->next);

	if (likely(i + 1 < t->max)) {
		WRITE_ONCE(cpu->next, i + 1);
		return i;
	}
	if (i != SLOT_NONE) {
		WRITE_ONCE(cpu->next, 0);
		return i;
	}
	i = READ_ONCE(cpu->last);
	if (i != SLOT_NONE) {
		WRITE_ONCE(cpu->last, SLOT_NONE);
		return i;
	}
	i = READ_ONCE(cpu->scan);
	WRITE_ONCE(cpu->scan, i + 1 < t->max ? i + 1 : 0);
	return i;
}

/* Takes slot @i if it is free. */
static __always_inline bool floor_take(struct floor_table *t, unsigned int i,
				       struct bench_req *req, u32 *id)
{
	struct floor_slot *slot = floor_slot(t, i);
	s64 word = atomic64_read(&slot->word);
	u32 gen = (u32)word + t->step;
	u64 next, now = jiffies;

	if (word & (SLOT_LIVE | SLOT_BUSY))
		return false;
	if (unlikely(floor_mid(t, i, gen) == MID_RESERVED))
		gen += t->step;
	next = now << 32 | gen | SLOT_BUSY;
	if (!atomic64_try_cmpxchg(&slot->word, &word, next))
		return false;
	WRITE_ONCE(slot->req, req);
	if (unlikely(atomic_read(&t->mode)))
		return false;
	this_cpu_inc(t->cpu->associated);
	*id = floor_mid(t, i, gen);
	/* Publishes @req; pairs with the acquire in floor_full_map(). */
	atomic64_set_release(&slot->word, next - SLOT_BUSY + SLOT_LIVE);
	return true;
}

static noinline void floor_nearly_full(struct floor_table *t)
{
	struct floor_cpu *cpu = raw_cpu_ptr(t->cpu);

	WRITE_ONCE(cpu->last, SLOT_NONE);
	WRITE_ONCE(cpu->next, SLOT_NONE);
}

static noinline int floor_search(struct floor_table *t, struct bench_req *req, u32 *id)
{
	unsigned int tries;

	for (tries = 1; tries < t->max; tries++) {
		if (floor_take(t, floor_next(t), req, id))
			return 0;
		if (tries == SLOT_FAR)
			floor_nearly_full(t);
	}
	return -ENOSPC;
}

static noinline int floor_full_associate(void *table, struct bench_req *req, u32 *id)
{
	struct floor_table *t = floor_table(table);

	if (IS_ERR_OR_NULL(req))
		return -EINVAL;
	if (likely(floor_take(t, floor_next(t), req, id)))
		return 0;
	return floor_search(t, req, id);
}

static noinline struct bench_req *floor_full_map(void *table, u32 id)
{
	struct floor_table *t = floor_table(table);
	struct floor_slot *slot = floor_slot(t, id);
	u64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	if (!floor_match(t, word, id))
		return NULL;
	req = READ_ONCE(slot->req);
	/* Reads the request before it checks that the slot still has @id. */
	smp_rmb();
	return atomic64_read(&slot->word) == word ? req : NULL;
}

static __always_inline void floor_note(struct floor_cpu *cpu, unsigned int i)
{
	if (unlikely(READ_ONCE(cpu->next) == SLOT_NONE))
		WRITE_ONCE(cpu->last, i);
}

/* The slow path of a dissociate: a new peak on this CPU, a new jiffy, or a mode */
static noinline struct bench_req *floor_freed_slow(struct floor_table *t, unsigned int i,
						   struct bench_req *req)
{
	struct floor_cpu *cpu = raw_cpu_ptr(t->cpu);
	long net = READ_ONCE(cpu->associated) - READ_ONCE(cpu->dissociated);

	floor_note(cpu, i);
	WRITE_ONCE(t->sampled, jiffies);
	WRITE_ONCE(cpu->peak, max(net, READ_ONCE(cpu->peak)));
	this_cpu_inc(t->cpu->dissociated);
	return req;
}

static __always_inline bool floor_sample_is_old(const struct floor_table *t)
{
	unsigned long now = jiffies;

	return time_after(now, READ_ONCE(t->sampled));
}

static __always_inline struct bench_req *floor_freed(struct floor_table *t, unsigned int i,
						     struct bench_req *req)
{
	struct floor_cpu *cpu = raw_cpu_ptr(t->cpu);
	long net = READ_ONCE(cpu->associated) - READ_ONCE(cpu->dissociated);

	if (unlikely(net > READ_ONCE(cpu->peak) || floor_sample_is_old(t) ||
		     atomic_read(&t->mode)))
		return floor_freed_slow(t, i, req);
	floor_note(cpu, i);
	this_cpu_inc(t->cpu->dissociated);
	return req;
}

static noinline struct bench_req *floor_full_dissociate(void *table, u32 id,
							struct bench_req *found)
{
	struct floor_table *t = floor_table(table);
	struct floor_slot *slot = floor_slot(t, id);
	s64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	do {
		if (!floor_match(t, word, id))
			return NULL;
		req = READ_ONCE(slot->req);
	} while (!atomic64_try_cmpxchg(&slot->word, &word, word - SLOT_LIVE));
	return floor_freed(t, id & t->mask, req);
}

BENCH_BASELINE(floor_full, "floor_full", .proposed = true);
