// SPDX-License-Identifier: GPL-2.0
/*
 * The floor of what a MID atlas promises
 *
 * f2 with the slot that the promises need: a context that may be any pointer, so
 * that the state is a word of its own; a version in it, so that a late reply maps
 * to nothing and a claim cannot take the next use's context; the jiffy, for the age.
 * Two atomic operations, as in f2.  It, too, is told which slot is free, and it has
 * no maximum, no growth, no waiters, no counts: what the atlas costs above this is
 * those, and the search.
 *
 * With F3_WALK it searches, as little as can be: each CPU walks through the table, and
 * remembers where it is.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/overflow.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "../loop.h"

#define F3_LIVE		1
#define F3_BUSY		2
#define F3_USE		4
#define F3_INDEX	16	/* bits of an id; above them are some of the uses */

struct f3_slot {
	atomic64_t word;
	void *req;
};

/**
 * struct f3_table - the slots
 * @max: how many
 * @next: where each CPU looks next, if it has to
 * @slots: the slots
 */
struct f3_table {
	unsigned int max;
	unsigned int __percpu *next;
	struct f3_slot slots[] ____cacheline_aligned;
};

static void f3_destroy(void *table)
{
	struct f3_table *t = table;

	free_percpu(t->next);
	kvfree(t);
}

static void *f3_create(unsigned int max)
{
	struct f3_table *t = kvzalloc(struct_size(t, slots, max), GFP_KERNEL);
	int cpu;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->max = max;
	t->next = alloc_percpu(unsigned int);
	if (!t->next) {
		f3_destroy(t);
		return ERR_PTR(-ENOMEM);
	}
	for_each_possible_cpu(cpu)
		per_cpu(*t->next, cpu) = cpu * (max / nr_cpu_ids);
	return t;
}

static __always_inline struct f3_slot *f3_slot(void *table, u32 id)
{
	struct f3_table *t = table;

	return &t->slots[id & (BIT(F3_INDEX) - 1)];
}

/* Is this the word of a slot that has @id in flight? */
static __always_inline bool f3_match(u64 word, u32 id)
{
	return !(((u32)word ^ (id >> F3_INDEX << 2 | F3_LIVE)) & (0xffffu << 2 | 3));
}

/* Slot @i, if it is free */
static __always_inline bool f3_take(void *table, unsigned int i, struct bench_req *req,
				    u32 *id)
{
	struct f3_slot *slot = f3_slot(table, i);
	s64 word = atomic64_read(&slot->word);
	u32 use = (u32)word + F3_USE;
	u64 now = jiffies, next = now << 32 | use | F3_BUSY;

	if (word & (F3_LIVE | F3_BUSY) || !atomic64_try_cmpxchg(&slot->word, &word, next))
		return false;
	WRITE_ONCE(slot->req, req);
	*id = i | use >> 2 << F3_INDEX;
	atomic64_set_release(&slot->word, next - F3_BUSY + F3_LIVE);
	return true;
}

#ifdef F3_WALK
static noinline int f3_associate(void *table, struct bench_req *req, u32 *id)
{
	struct f3_table *t = table;
	unsigned int *next = raw_cpu_ptr(t->next);
	unsigned int tries = t->max, i;

	do {
		i = READ_ONCE(*next);
		WRITE_ONCE(*next, i + 1 < t->max ? i + 1 : 0);
		if (f3_take(t, i, req, id))
			return 0;
	} while (--tries);
	return -ENOSPC;
}
#else
static noinline int f3_associate(void *table, struct bench_req *req, u32 *id)
{
	return f3_take(table, *id & (BIT(F3_INDEX) - 1), req, id) ? 0 : -ENOSPC;
}
#endif

static noinline struct bench_req *f3_map(void *table, u32 id)
{
	struct f3_slot *slot = f3_slot(table, id);
	u64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	if (!f3_match(word, id))
		return NULL;
	req = READ_ONCE(slot->req);
	/* The request, then whether it is still that of @id. */
	smp_rmb();
	return atomic64_read(&slot->word) == word ? req : NULL;
}

static noinline struct bench_req *f3_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct f3_slot *slot = f3_slot(table, id);
	s64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	do {
		if (!f3_match(word, id))
			return NULL;
		req = READ_ONCE(slot->req);
	} while (!atomic64_try_cmpxchg(&slot->word, &word, word - F3_LIVE));
	return req;
}

#ifdef F3_WALK
BENCH_PEER(f3, "f3_walk", .proposed = true);
#else
BENCH_PEER(f3, "f3", .proposed = true);
#endif
