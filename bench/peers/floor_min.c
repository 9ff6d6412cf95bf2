// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for any table with exactly one owner
 *
 * An id is the index of an array slot. A cmpxchg publishes it, a load finds it and
 * an xchg claims it, in three calls. There is no search: the load proposes a free slot.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/rcupdate.h>

#include "../loop.h"

static void *floor_min_create(unsigned int max)
{
	return kvcalloc(max, sizeof(void *), GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static void floor_min_destroy(void *table)
{
	kvfree(table);
}

static noinline int floor_min_associate(void *table, struct bench_req *req, u32 *id)
{
	struct bench_req **slot = table;

	return cmpxchg(&slot[*id], NULL, req) ? -ENOSPC : 0;
}

static noinline struct bench_req *floor_min_map(void *table, u32 id)
{
	struct bench_req **slot = table;

	return READ_ONCE(slot[id]);
}

static noinline struct bench_req *floor_min_dissociate(void *table, u32 id,
						       struct bench_req *found)
{
	struct bench_req **slot = table;

	return xchg(&slot[id], NULL);
}

BENCH_BASELINE(floor_min, "floor_min", .proposed = true);
