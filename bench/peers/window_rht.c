// SPDX-License-Identifier: GPL-2.0
/*
 * Credits and ids from two counters, and a resizable hash table that finds the request of
 * an id
 */
#include <linux/err.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "credits.h"

struct rht_node {
	struct rhash_head head;
	u64 id;
};

struct rht_table {
	struct credits_table credits;
	struct rhashtable ht;
};

static const struct rhashtable_params rht_params = {
	.key_len = sizeof(u64),
	.key_offset = offsetof(struct rht_node, id),
	.head_offset = offsetof(struct rht_node, head),
};

static void *window_rht_create(unsigned int max)
{
	struct rhashtable_params params = rht_params;
	struct rht_table *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int err;

	if (!t)
		return ERR_PTR(-ENOMEM);
	credits_init(&t->credits);
	params.nelem_hint = max;
	err = rhashtable_init(&t->ht, &params);
	if (err) {
		kfree(t);
		return ERR_PTR(err);
	}
	return t;
}

static void window_rht_destroy(void *table)
{
	struct rht_table *t = table;

	rhashtable_destroy(&t->ht);
	kfree(t);
}

static int window_rht_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct rht_node *node = bench_req_node(req, struct rht_node);
	struct rht_table *t = table;
	int err = credits_take(&t->credits, charge, &node->id);

	*id = node->id;
	return err ?: rhashtable_insert_fast(&t->ht, &node->head, rht_params);
}

static struct bench_req *window_rht_map(void *table, u32 id)
{
	struct rht_table *t = table;
	struct rht_node *node;
	u64 key = id;

	node = rhashtable_lookup_fast(&t->ht, &key, rht_params);
	return node ? bench_node_req(node) : NULL;
}

static void window_rht_grant(void *table, unsigned int credits)
{
	credits_grant(table, credits);
}

static struct bench_req *window_rht_claim(void *table, u32 id, struct bench_req *found)
{
	struct rht_node *node = bench_req_node(found, struct rht_node);
	struct rht_table *t = table;

	return rhashtable_remove_fast(&t->ht, &node->head, rht_params) ? NULL : found;
}

BENCH_WINDOW(window_rht, "window_rhashtable", .linked = true);
