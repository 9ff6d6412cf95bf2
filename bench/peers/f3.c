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
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/jiffies.h>
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

static void *f3_create(unsigned int max)
{
	return kvcalloc(max, sizeof(struct f3_slot), GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static void f3_destroy(void *table)
{
	kvfree(table);
}

/* Is this the word of a slot that has @id in flight? */
static __always_inline bool f3_match(u64 word, u32 id)
{
	return !(((u32)word ^ (id >> F3_INDEX << 2 | F3_LIVE)) & (0xffffu << 2 | 3));
}

static noinline int f3_associate(void *table, struct bench_req *req, u32 *id)
{
	u32 i = *id & (BIT(F3_INDEX) - 1);
	struct f3_slot *slot = (struct f3_slot *)table + i;
	s64 word = atomic64_read(&slot->word);
	u32 use = (u32)word + F3_USE;
	u64 now = jiffies, next = now << 32 | use | F3_BUSY;

	if (word & (F3_LIVE | F3_BUSY) || !atomic64_try_cmpxchg(&slot->word, &word, next))
		return -ENOSPC;
	WRITE_ONCE(slot->req, req);
	*id = i | use >> 2 << F3_INDEX;
	atomic64_set_release(&slot->word, next - F3_BUSY + F3_LIVE);
	return 0;
}

static noinline struct bench_req *f3_map(void *table, u32 id)
{
	struct f3_slot *slot = (struct f3_slot *)table + (id & (BIT(F3_INDEX) - 1));
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
	struct f3_slot *slot = (struct f3_slot *)table + (id & (BIT(F3_INDEX) - 1));
	s64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	do {
		if (!f3_match(word, id))
			return NULL;
		req = READ_ONCE(slot->req);
	} while (!atomic64_try_cmpxchg(&slot->word, &word, word - F3_LIVE));
	return req;
}

BENCH_PEER(f3, "f3", .proposed = true);
