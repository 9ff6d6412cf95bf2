// SPDX-License-Identifier: GPL-2.0
/*
 * The floor: no way to have exactly one owner costs less
 *
 * An id is the index of an array slot.  It is published by a cmpxchg, found by a
 * load and claimed by an xchg, in three calls.  Which slot is free it need not
 * find out: the load proposes one.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/rcupdate.h>

#include "../loop.h"

static void *f2_create(unsigned int max)
{
	return kvcalloc(max, sizeof(void *), GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static void f2_destroy(void *table)
{
	kvfree(table);
}

static noinline int f2_associate(void *table, struct bench_req *req, u32 *id)
{
	struct bench_req **slot = table;

	return cmpxchg(&slot[*id], NULL, req) ? -ENOSPC : 0;
}

static noinline struct bench_req *f2_map(void *table, u32 id)
{
	struct bench_req **slot = table;

	return READ_ONCE(slot[id]);
}

static noinline struct bench_req *f2_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct bench_req **slot = table;

	return xchg(&slot[id], NULL);
}

BENCH_PEER(f2, "f2", .proposed = true);
