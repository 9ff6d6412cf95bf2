// SPDX-License-Identifier: GPL-2.0
/*
 * Credits and ids from two counters, and an XArray that finds the request of an id
 *
 * Tasks alone may use the XArray with its default lock. "irqsave" may also be used where the
 * window may, in interrupts.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "credits.h"

struct xarray_table {
	struct credits_table credits;
	struct xarray xa;
};

static void *window_xarray_create(unsigned int max)
{
	struct xarray_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	credits_init(&t->credits);
	xa_init(&t->xa);
	return t;
}

static void window_xarray_destroy(void *table)
{
	struct xarray_table *t = table;

	xa_destroy(&t->xa);
	kfree(t);
}

static int window_xarray_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct xarray_table *t = table;
	int err = credits_take(&t->credits, charge, id);

	return err ?: xa_err(xa_store(&t->xa, *id, req, GFP_KERNEL));
}

static struct bench_req *window_xarray_map(void *table, u32 id)
{
	struct xarray_table *t = table;

	return xa_load(&t->xa, id);
}

static void window_xarray_grant(void *table, unsigned int credits)
{
	credits_grant(table, credits);
}

static struct bench_req *window_xarray_claim(void *table, u32 id, struct bench_req *found)
{
	struct xarray_table *t = table;

	return xa_erase(&t->xa, id);
}

BENCH_WINDOW(window_xarray, "window_xarray");

static void *window_xairq_create(unsigned int max)
{
	struct xarray_table *t = window_xarray_create(max);

	if (!IS_ERR(t))
		xa_init_flags(&t->xa, XA_FLAGS_LOCK_IRQ);
	return t;
}

#define window_xairq_destroy	window_xarray_destroy
#define window_xairq_map	window_xarray_map
#define window_xairq_grant	window_xarray_grant

static int window_xairq_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct xarray_table *t = table;
	unsigned long flags;
	void *old;
	int err;

	err = credits_take(&t->credits, charge, id);
	if (err)
		return err;
	xa_lock_irqsave(&t->xa, flags);
	old = __xa_store(&t->xa, *id, req, GFP_NOWAIT);
	xa_unlock_irqrestore(&t->xa, flags);
	return xa_err(old);
}

static struct bench_req *window_xairq_claim(void *table, u32 id, struct bench_req *found)
{
	struct xarray_table *t = table;
	struct bench_req *req;
	unsigned long flags;

	xa_lock_irqsave(&t->xa, flags);
	req = __xa_erase(&t->xa, id);
	xa_unlock_irqrestore(&t->xa, flags);
	return req;
}

BENCH_WINDOW(window_xairq, "window_xarray_irqsave");
