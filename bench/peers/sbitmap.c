// SPDX-License-Identifier: GPL-2.0
/*
 * An sbitmap allocates the ids, without the wait queues of sbitmap_queue; an array beside
 * it holds the requests
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sbitmap.h>

#include "../loop.h"

struct sbitmap_table {
	struct sbitmap sb;
	struct bench_req *slot[];
};

static void *sbget_create(unsigned int max)
{
	struct sbitmap_table *t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);
	int err;

	if (!t)
		return ERR_PTR(-ENOMEM);
	err = sbitmap_init_node(&t->sb, max, -1, GFP_KERNEL, NUMA_NO_NODE, false, true);
	if (err) {
		kvfree(t);
		return ERR_PTR(err);
	}
	return t;
}

static void sbget_destroy(void *table)
{
	struct sbitmap_table *t = table;

	sbitmap_free(&t->sb);
	kvfree(t);
}

static int sbget_associate(void *table, struct bench_req *req, u32 *id)
{
	struct sbitmap_table *t = table;
	int i = sbitmap_get(&t->sb);

	if (i < 0)
		return -ENOSPC;
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[i], req);
	*id = i;
	return 0;
}

static struct bench_req *sbget_map(void *table, u32 id)
{
	struct sbitmap_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id]);
	rcu_read_unlock();
	return req;
}

static struct bench_req *sbget_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct sbitmap_table *t = table;
	struct bench_req *req = xchg(&t->slot[id], NULL);

	if (req)
		sbitmap_put(&t->sb, id);
	return req;
}

BENCH_BASELINE(sbget, "sbitmap_get");
