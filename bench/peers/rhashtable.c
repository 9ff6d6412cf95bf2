// SPDX-License-Identifier: GPL-2.0
/*
 * A resizable hash table with ids from a counter
 *
 * The ids have 16 bits, as MIDs do; an id that is in use is skipped.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/rhashtable.h>

#include "../loop.h"

struct rht_node {
	struct rhash_head head;
	u32 id;
};

struct rht_table {
	struct rhashtable ht;
	struct rhashtable_params params;
	atomic_t next;
};

static const struct rhashtable_params rht_params = {
	.key_len = sizeof(u32),
	.key_offset = offsetof(struct rht_node, id),
	.head_offset = offsetof(struct rht_node, head),
};

static void *rht_create(unsigned int max)
{
	struct rht_table *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int err;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->params = rht_params;
	t->params.nelem_hint = max;
	err = rhashtable_init(&t->ht, &t->params);
	if (err) {
		kfree(t);
		return ERR_PTR(err);
	}
	return t;
}

static void rht_destroy(void *table)
{
	struct rht_table *t = table;

	rhashtable_destroy(&t->ht);
	kfree(t);
}

static int rht_associate(void *table, struct bench_req *req, u32 *id)
{
	struct rht_table *t = table;
	struct rht_node *node = bench_req_node(req, struct rht_node);
	int err;

	do {
		node->id = (u16)atomic_inc_return(&t->next);
		err = rhashtable_lookup_insert_fast(&t->ht, &node->head, rht_params);
	} while (err == -EEXIST);
	*id = node->id;
	return err;
}

static struct bench_req *rht_map(void *table, u32 id)
{
	struct rht_table *t = table;
	struct rht_node *node = rhashtable_lookup_fast(&t->ht, &id, rht_params);

	return node ? bench_node_req(node) : NULL;
}

static struct bench_req *rht_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct rht_table *t = table;
	struct rht_node *node = bench_req_node(found, struct rht_node);

	return rhashtable_remove_fast(&t->ht, &node->head, rht_params) ? NULL : found;
}

BENCH_BASELINE(rht, "rhashtable", .linked = true, .unbounded = true);
