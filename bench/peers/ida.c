// SPDX-License-Identifier: GPL-2.0
/* An IDA allocates the ids; an array beside it holds the requests. */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>

#include "../loop.h"

struct ida_table {
	struct ida ida;
	unsigned int max;
	struct bench_req *slot[];
};

static void *ida_array_create(unsigned int max)
{
	struct ida_table *t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	ida_init(&t->ida);
	t->max = max;
	return t;
}

static void ida_array_destroy(void *table)
{
	struct ida_table *t = table;

	ida_destroy(&t->ida);
	kvfree(t);
}

static int ida_array_associate(void *table, struct bench_req *req, u32 *id)
{
	struct ida_table *t = table;
	int ret = ida_alloc_max(&t->ida, t->max - 1, GFP_NOWAIT);

	if (ret < 0)
		return ret;
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[ret], req);
	*id = ret;
	return 0;
}

static struct bench_req *ida_array_map(void *table, u32 id)
{
	struct ida_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id]);
	rcu_read_unlock();
	return req;
}

static struct bench_req *ida_array_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct ida_table *t = table;
	struct bench_req *req = xchg(&t->slot[id], NULL);

	if (req)
		ida_free(&t->ida, id);
	return req;
}

BENCH_BASELINE(ida_array, "ida");
