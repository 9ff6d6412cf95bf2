// SPDX-License-Identifier: GPL-2.0
/* A cyclic IDR under a spinlock; lookups under RCU */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "../loop.h"

struct idr_table {
	struct idr idr;
	spinlock_t lock; /* serialises all but lookups */
	unsigned int max;
};

static void *idr_cyclic_create(unsigned int max)
{
	struct idr_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	/* idr_init() without clearing the structure again */
	INIT_RADIX_TREE(&t->idr.idr_rt, IDR_RT_MARKER);
	spin_lock_init(&t->lock);
	t->max = max;
	return t;
}

static void idr_cyclic_destroy(void *table)
{
	struct idr_table *t = table;

	idr_destroy(&t->idr);
	kfree(t);
}

static int idr_cyclic_associate(void *table, struct bench_req *req, u32 *id)
{
	struct idr_table *t = table;
	int ret;

	spin_lock(&t->lock);
	ret = idr_alloc_cyclic(&t->idr, req, 0, t->max, GFP_NOWAIT);
	spin_unlock(&t->lock);
	if (ret < 0)
		return ret;
	*id = ret;
	return 0;
}

static struct bench_req *idr_cyclic_map(void *table, u32 id)
{
	struct idr_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = idr_find(&t->idr, id);
	rcu_read_unlock();
	return req;
}

static struct bench_req *idr_cyclic_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct idr_table *t = table;
	struct bench_req *req;

	spin_lock(&t->lock);
	req = idr_remove(&t->idr, id);
	spin_unlock(&t->lock);
	return req;
}

BENCH_BASELINE(idr_cyclic, "idr_cyclic");
