// SPDX-License-Identifier: GPL-2.0
/*
 * The tags of net/9p: an IDR that allocates the lowest free id, preloaded, under a spinlock
 * with interrupts off
 *
 * The reference on the request is left out: no other baseline takes one.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "../loop.h"

struct ninep_table {
	struct idr idr;
	spinlock_t lock; /* serialises all but lookups */
	unsigned int max;
};

static void *ninep_create(unsigned int max)
{
	struct ninep_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	/* idr_init() without clearing the structure again */
	INIT_RADIX_TREE(&t->idr.idr_rt, IDR_RT_MARKER);
	spin_lock_init(&t->lock);
	t->max = max;
	return t;
}

static void ninep_destroy(void *table)
{
	struct ninep_table *t = table;

	idr_destroy(&t->idr);
	kfree(t);
}

static int ninep_associate(void *table, struct bench_req *req, u32 *id)
{
	struct ninep_table *t = table;
	int ret;

	idr_preload(GFP_NOFS);
	spin_lock_irq(&t->lock);
	ret = idr_alloc(&t->idr, req, 0, t->max, GFP_NOWAIT);
	spin_unlock_irq(&t->lock);
	idr_preload_end();
	if (ret < 0)
		return ret;
	*id = ret;
	return 0;
}

static struct bench_req *ninep_map(void *table, u32 id)
{
	struct ninep_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = idr_find(&t->idr, id);
	rcu_read_unlock();
	return req;
}

static struct bench_req *ninep_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct ninep_table *t = table;
	struct bench_req *req;
	unsigned long flags;

	spin_lock_irqsave(&t->lock, flags);
	req = idr_remove(&t->idr, id);
	spin_unlock_irqrestore(&t->lock, flags);
	return req;
}

BENCH_BASELINE(ninep, "9p");
