// SPDX-License-Identifier: GPL-2.0
/*
 * A bare RCU array: the lower bound for a lookup
 *
 * It cannot allocate ids, so only its lookups are measured.
 */
#include <linux/err.h>
#include <linux/rcupdate.h>

#include "../loop.h"

struct array_slot {
	struct bench_req __rcu *req;
#ifdef ARRAY_WIDE
	u64 unused;
#endif
};

struct array_table {
	struct array_slot *slot;
};

static void *array_create(unsigned int max)
{
	struct array_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->slot = kvcalloc(max, sizeof(*t->slot), GFP_KERNEL);
	if (!t->slot) {
		kfree(t);
		return ERR_PTR(-ENOMEM);
	}
	return t;
}

static void array_destroy(void *table)
{
	struct array_table *t = table;

	kvfree(t->slot);
	kfree(t);
}

static int array_associate(void *table, struct bench_req *req, u32 *id)
{
	struct array_table *t = table;

	rcu_assign_pointer(t->slot[*id].req, req);
	return 0;
}

static noinline struct bench_req *array_map(void *table, u32 id)
{
	struct array_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = rcu_dereference(t->slot[id].req);
	rcu_read_unlock();
	return req;
}

static struct bench_req *array_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct array_table *t = table;
	struct bench_req *req = array_map(table, id);

	RCU_INIT_POINTER(t->slot[id].req, NULL);
	return req;
}

#ifdef ARRAY_WIDE
BENCH_BASELINE(array, "wide_array", .proposed = true, .spread = true, .lookup_only = true);
#else
BENCH_BASELINE(array, "array", .proposed = true, .lookup_only = true);
#endif
