// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for slots that keep what the atlas promises
 *
 * floor_min with the atlas' slot: a state word beside the request, so that the request
 * may be any pointer; a generation in the word, so that a late reply maps to nothing
 * and a claim cannot take the request of the next use; the jiffy, for the age. Two
 * atomic operations a cycle, as in floor_min. There is no search: the load proposes a
 * free slot.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>

#include "../loop.h"

#define SLOT_LIVE	1
#define SLOT_BUSY	2
#define SLOT_GEN	4	/* the generation counts in these */
#define SLOT_INDEX	16	/* bits of an id; above them are those of the generation */

struct floor_slot {
	atomic64_t word;
	void *req;
};

static void *floor_slots_create(unsigned int max)
{
	return kvcalloc(max, sizeof(struct floor_slot), GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static void floor_slots_destroy(void *table)
{
	kvfree(table);
}

static __always_inline struct floor_slot *floor_slot(void *table, u32 id)
{
	return (struct floor_slot *)table + (u16)id;
}

/* Is this the word of a slot that has @id in flight? */
static __always_inline bool floor_match(u64 word, u32 id)
{
	return !(((u32)word ^ ((id >> SLOT_INDEX) * SLOT_GEN | SLOT_LIVE)) &
		 (0xffffu * SLOT_GEN | SLOT_LIVE | SLOT_BUSY));
}

static noinline int floor_slots_associate(void *table, struct bench_req *req, u32 *id)
{
	struct floor_slot *slot = floor_slot(table, *id);
	s64 word = atomic64_read(&slot->word);
	u32 gen = (u32)word + SLOT_GEN;
	u64 next, now = jiffies;

	if (word & (SLOT_LIVE | SLOT_BUSY))
		return -ENOSPC;
	next = now << 32 | gen | SLOT_BUSY;
	if (!atomic64_try_cmpxchg(&slot->word, &word, next))
		return -ENOSPC;
	WRITE_ONCE(slot->req, req);
	*id = (u16)*id | gen / SLOT_GEN << SLOT_INDEX;
	/* Publishes @req; pairs with the acquire in floor_slots_map(). */
	atomic64_set_release(&slot->word, next - SLOT_BUSY + SLOT_LIVE);
	return 0;
}

static noinline struct bench_req *floor_slots_map(void *table, u32 id)
{
	struct floor_slot *slot = floor_slot(table, id);
	u64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	if (!floor_match(word, id))
		return NULL;
	req = READ_ONCE(slot->req);
	/* Reads the request before it checks that the slot still has @id. */
	smp_rmb();
	return atomic64_read(&slot->word) == word ? req : NULL;
}

static noinline struct bench_req *floor_slots_dissociate(void *table, u32 id,
							 struct bench_req *found)
{
	struct floor_slot *slot = floor_slot(table, id);
	s64 word = atomic64_read_acquire(&slot->word);
	struct bench_req *req;

	do {
		if (!floor_match(word, id))
			return NULL;
		req = READ_ONCE(slot->req);
	} while (!atomic64_try_cmpxchg(&slot->word, &word, word - SLOT_LIVE));
	return req;
}

BENCH_BASELINE(floor_slots, "floor_slots", .proposed = true);
