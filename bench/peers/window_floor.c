// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for a window: two counters, and floor_min in the slot of an id
 *
 * The slot of an id is its place modulo the size. An id whose slot is taken is left out,
 * which no server would allow. There are as many slots as ids of twice the maximum, so that
 * an old request is seldom in the way, and all requests have the same charge.
 */
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "credits.h"

struct floor_table {
	struct credits_table credits;
	struct bench_req **slot;
	unsigned int mask;
};

static void *window_floor_create(unsigned int max)
{
	struct floor_table *t = kzalloc(sizeof(*t), GFP_KERNEL);
	unsigned long size = max(64ul, roundup_pow_of_two(2ul * max));

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->slot = kvcalloc(size, sizeof(*t->slot), GFP_KERNEL);
	if (!t->slot) {
		kfree(t);
		return ERR_PTR(-ENOMEM);
	}
	t->mask = size - 1;
	credits_init(&t->credits);
	return t;
}

static void window_floor_destroy(void *table)
{
	struct floor_table *t = table;

	kvfree(t->slot);
	kfree(t);
}

static __always_inline struct bench_req **floor_slot(struct floor_table *t, u64 id)
{
	return &t->slot[(id >> t->credits.window.shift) & t->mask];
}

static noinline int window_floor_begin(void *table, unsigned int charge, struct bench_req *req,
				       u64 *id)
{
	struct floor_table *t = table;
	int err = credits_take(&t->credits, charge, id);

	if (err)
		return err;
	while (cmpxchg(floor_slot(t, *id), NULL, req))
		*id = credits_next(&t->credits, charge);
	return 0;
}

static noinline struct bench_req *window_floor_map(void *table, u32 id)
{
	return READ_ONCE(*floor_slot(table, id));
}

static noinline void window_floor_grant(void *table, unsigned int credits)
{
	credits_grant(table, credits);
}

static noinline struct bench_req *window_floor_claim(void *table, u32 id,
						     struct bench_req *found)
{
	return xchg(floor_slot(table, id), NULL);
}

BENCH_WINDOW(window_floor, "window_floor");
