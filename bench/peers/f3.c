// SPDX-License-Identifier: GPL-2.0
/*
 * The floor of what a MID atlas promises
 *
 * f2 with the slot that the promises need: a context that may be any pointer, so
 * that the state is a word of its own; a version in it, so that a late reply maps
 * to nothing and a claim cannot take the next use's context; the jiffy, for the age.
 * Two atomic operations, as in f2.  It, too, is told which slot is free.
 *
 * With F3_ALL it searches, as little as can be: each CPU walks through the table, and
 * remembers where it is. Its ids are MIDs, of 16 bits, it takes what it freed
 * last once the table was nearly full, and asks what somebody has to ask who can grow, keeps
 * a maximum, has tasks that wait, can be drained and counts (f3_all.h), but does nothing
 * about it.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "../loop.h"

#define F3_LIVE		1
#define F3_BUSY		2
#define F3_USE		4
#define F3_INDEX	16	/* bits of an id; above them are some of the uses */
#define F3_FAR		8	/* so many busy slots in a row: nearly full */
#define F3_NONE		(~0u - 1)	/* looks like the last slot */

struct f3_slot {
	atomic64_t word;
	void *req;
};

/**
 * struct f3_cpu - what each CPU has
 * @next: where it looks next, if it has to; F3_NONE once the table was nearly full
 * @walk: where it looks then
 * @last: but for the slot that it freed last, or F3_NONE if it has taken that
 * @associated: how many requests it gave an id
 * @dissociated: how many it took out
 * @peak: the largest difference of the two
 */
struct f3_cpu {
	unsigned int next;
	unsigned int walk;
	unsigned int last;
	unsigned long associated;
	unsigned long dissociated;
	long peak;
};

/**
 * struct f3_table - the slots
 * @current_table: the table itself: one that grows has another one some day
 * @mode: not 0 if somebody waits, or drains, or lowers the maximum
 * @sampled: the jiffy in which somebody last looked how many are in flight
 * @max: how many slots there are
 * @mask: the bits of a MID that are the slot's number
 * @spare: the others
 * @match: the bits of a slot's word that a MID fixes
 * @step: what the next use adds to the word
 * @cpu: what each CPU has
 * @slots: the slots
 */
struct f3_table {
	struct f3_table __rcu *current_table;
	atomic_t mode;
	unsigned long sampled;
	unsigned int max;
	unsigned int mask;
	unsigned int spare;
	unsigned int match;
	unsigned int step;
	struct f3_cpu __percpu *cpu;
	struct f3_slot slots[] ____cacheline_aligned;
};

#ifdef F3_ALL
#include "f3_all.h"
#else
static __always_inline struct f3_table *f3_table(void *table)
{
	return table;
}

static __always_inline unsigned long f3_index(const struct f3_table *t, u32 id)
{
	return id & (BIT(F3_INDEX) - 1);
}

static __always_inline u32 f3_step(const struct f3_table *t)
{
	return F3_USE;
}

static __always_inline u32 f3_id(const struct f3_table *t, unsigned int i, u32 word)
{
	return i | word / F3_USE << F3_INDEX;
}

static __always_inline bool f3_is_reserved(u32 id)
{
	return false;
}

/* Is this the word of a slot that has @id in flight? */
static __always_inline bool f3_match(const struct f3_table *t, u64 word, u32 id)
{
	return !(((u32)word ^ ((id >> F3_INDEX) * F3_USE | F3_LIVE)) &
		 (0xffffu * F3_USE | F3_LIVE | F3_BUSY));
}

static __always_inline bool f3_may_associate(const void *req)
{
	return true;
}

static __always_inline void f3_tighten(const struct f3_table *t)
{
}

static __always_inline bool f3_associated(struct f3_table *t)
{
	return true;
}

static __always_inline struct bench_req *f3_dissociated(struct f3_table *t, unsigned int i,
							struct bench_req *req)
{
	return req;
}
#endif

static void f3_destroy(void *table)
{
	struct f3_table *t = table;

	free_percpu(t->cpu);
	kvfree(t);
}

static void *f3_create(unsigned int max)
{
	unsigned int slots = roundup_pow_of_two(max);
	struct f3_table *t = kvzalloc(struct_size(t, slots, slots), GFP_KERNEL);
	int cpu;

	if (!t)
		return ERR_PTR(-ENOMEM);
	RCU_INIT_POINTER(t->current_table, t);
	t->max = max;
	t->mask = slots - 1;
	t->spare = (u16)~t->mask;
	t->match = t->spare * F3_USE | F3_LIVE | F3_BUSY;
	t->step = slots * F3_USE;
	t->cpu = alloc_percpu(struct f3_cpu);
	if (!t->cpu) {
		f3_destroy(t);
		return ERR_PTR(-ENOMEM);
	}
	for_each_possible_cpu(cpu)
		per_cpu_ptr(t->cpu, cpu)->next = cpu * (max / nr_cpu_ids);
	return t;
}

/* Slot @i, if it is free */
static __always_inline bool f3_take(struct f3_table *t, unsigned int i,
				    struct bench_req *req, u32 *id)
{
	struct f3_slot *slot = &t->slots[i];
	s64 word = atomic64_read(&slot->word);
	u32 use = (u32)word + f3_step(t);
	u64 next, now = jiffies;

	if (word & (F3_LIVE | F3_BUSY))
		return false;
	if (unlikely(f3_is_reserved(f3_id(t, i, use))))
		use += f3_step(t);
	next = now << 32 | use | F3_BUSY;
	if (!atomic64_try_cmpxchg(&slot->word, &word, next))
		return false;
	WRITE_ONCE(slot->req, req);
	if (!f3_associated(t))
		return false;
	*id = f3_id(t, i, use);
	atomic64_set_release(&slot->word, next - F3_BUSY + F3_LIVE);
	return true;
}

#ifdef F3_ALL
/* The slot that comes next; or, once the table was nearly full, the one freed last */
static __always_inline unsigned int f3_next(struct f3_table *t)
{
	struct f3_cpu *cpu = raw_cpu_ptr(t->cpu);
	unsigned int i = READ_ONCE(cpu->next);

	if (likely(i + 1 < t->max)) {
		WRITE_ONCE(cpu->next, i + 1);
		return i;
	}
	if (i != F3_NONE) {
		WRITE_ONCE(cpu->next, 0);
		return i;
	}
	i = READ_ONCE(cpu->last);
	if (i != F3_NONE) {
		WRITE_ONCE(cpu->last, F3_NONE);
		return i;
	}
	i = READ_ONCE(cpu->walk);
	WRITE_ONCE(cpu->walk, i + 1 < t->max ? i + 1 : 0);
	return i;
}

static noinline int f3_search(struct f3_table *t, struct bench_req *req, u32 *id)
{
	unsigned int tries;

	for (tries = 1; tries < t->max; tries++) {
		if (f3_take(t, f3_index(t, f3_next(t)), req, id))
			return 0;
		if (tries == F3_FAR)
			f3_tighten(t);
	}
	return -ENOSPC;
}

static noinline int f3_associate(void *table, struct bench_req *req, u32 *id)
{
	struct f3_table *t = f3_table(table);

	if (!f3_may_associate(req))
		return -EINVAL;
	if (likely(f3_take(t, f3_index(t, f3_next(t)), req, id)))
		return 0;
	return f3_search(t, req, id);
}
#else
static noinline int f3_associate(void *table, struct bench_req *req, u32 *id)
{
	struct f3_table *t = f3_table(table);

	return f3_take(t, f3_index(t, *id), req, id) ? 0 : -ENOSPC;
}
#endif

static noinline struct bench_req *f3_map(void *table, u32 id)
{
	struct f3_table *t = f3_table(table);
	struct f3_slot *slot = &t->slots[f3_index(t, id)];
	u64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	if (!f3_match(t, word, id))
		return NULL;
	req = READ_ONCE(slot->req);
	/* The request, then whether it is still that of @id. */
	smp_rmb();
	return atomic64_read(&slot->word) == word ? req : NULL;
}

static noinline struct bench_req *f3_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct f3_table *t = f3_table(table);
	struct f3_slot *slot = &t->slots[f3_index(t, id)];
	s64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	do {
		if (!f3_match(t, word, id))
			return NULL;
		req = READ_ONCE(slot->req);
	} while (!atomic64_try_cmpxchg(&slot->word, &word, word - F3_LIVE));
	return f3_dissociated(t, f3_index(t, id), req);
}

#ifdef F3_ALL
BENCH_PEER(f3, "f3_all", .proposed = true);
#else
BENCH_PEER(f3, "f3", .proposed = true);
#endif
