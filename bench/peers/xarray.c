// SPDX-License-Identifier: GPL-2.0
/* An allocating XArray, cyclic and lowest-first */
#include <linux/err.h>
#include <linux/xarray.h>

#include "../loop.h"

struct xarray_table {
	struct xarray xa;
	struct xa_limit limit;
	u32 next;
};

static void *xarray_create(unsigned int max)
{
	struct xarray_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	xa_init_flags(&t->xa, XA_FLAGS_ALLOC);
	t->limit = XA_LIMIT(0, max - 1);
	return t;
}

static void xarray_destroy(void *table)
{
	struct xarray_table *t = table;

	xa_destroy(&t->xa);
	kfree(t);
}

static struct bench_req *xarray_map(void *table, u32 id)
{
	struct xarray_table *t = table;

	return xa_load(&t->xa, id);
}

static struct bench_req *xarray_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct xarray_table *t = table;

	return xa_erase(&t->xa, id);
}

static int xarray_associate(void *table, struct bench_req *req, u32 *id)
{
	struct xarray_table *t = table;

	return xa_alloc(&t->xa, id, req, t->limit, GFP_KERNEL);
}

BENCH_BASELINE(xarray, "xa_alloc");

#define xarray_cyclic_create		xarray_create
#define xarray_cyclic_destroy		xarray_destroy
#define xarray_cyclic_map		xarray_map
#define xarray_cyclic_dissociate	xarray_dissociate

static int xarray_cyclic_associate(void *table, struct bench_req *req, u32 *id)
{
	struct xarray_table *t = table;
	int err;

	/* Up to 6.12, xa_alloc_cyclic() returns 1 if the ids have wrapped. */
	err = xa_alloc_cyclic(&t->xa, id, req, t->limit, &t->next, GFP_KERNEL);
	return min(err, 0);
}

BENCH_BASELINE(xarray_cyclic, "xa_alloc_cyclic");
