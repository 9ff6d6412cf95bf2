// SPDX-License-Identifier: GPL-2.0
/*
 * The tags of blk-mq: an sbitmap_queue allocates the ids and takes them back for the CPU
 * that allocated them; an array beside it holds the requests
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sbitmap.h>
#include <linux/sched.h>

#include "../loop.h"

struct sbq_slot {
	struct bench_req *req;
	unsigned int cpu;
};

struct sbq_table {
	struct sbitmap_queue sbq;
	atomic_t wait_index;
	struct sbq_slot slot[];
};

static void *sbq_create(unsigned int max)
{
	struct sbq_table *t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);
	int err;

	if (!t)
		return ERR_PTR(-ENOMEM);
	err = sbitmap_queue_init_node(&t->sbq, max, -1, false, GFP_KERNEL, NUMA_NO_NODE);
	if (err) {
		kvfree(t);
		return ERR_PTR(err);
	}
	return t;
}

static void sbq_destroy(void *table)
{
	struct sbq_table *t = table;

	sbitmap_queue_free(&t->sbq);
	kvfree(t);
}

static int sbq_associate(void *table, struct bench_req *req, u32 *id)
{
	struct sbq_table *t = table;
	unsigned int cpu;
	int i = sbitmap_queue_get(&t->sbq, &cpu);

	if (i < 0)
		return -ENOSPC;
	t->slot[i].cpu = cpu;
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[i].req, req);
	*id = i;
	return 0;
}

static struct bench_req *sbq_map(void *table, u32 id)
{
	struct sbq_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id].req);
	rcu_read_unlock();
	return req;
}

static struct bench_req *sbq_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct sbq_table *t = table;
	struct bench_req *req = xchg(&t->slot[id].req, NULL);

	if (req)
		sbitmap_queue_clear(&t->sbq, id, t->slot[id].cpu);
	return req;
}

/* As blk_mq_get_tag() does */
static int sbq_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct sbq_table *t = table;
	struct sbq_wait_state *ws;
	DEFINE_SBQ_WAIT(wait);

	if (!sbq_associate(table, req, id))
		return 0;
	for (;;) {
		ws = sbq_wait_ptr(&t->sbq, &t->wait_index);
		sbitmap_prepare_to_wait(&t->sbq, ws, &wait, TASK_UNINTERRUPTIBLE);
		if (!sbq_associate(table, req, id))
			break;
		schedule();
		sbitmap_finish_wait(&t->sbq, ws, &wait);
		if (!sbq_associate(table, req, id))
			return 0;
	}
	sbitmap_finish_wait(&t->sbq, ws, &wait);
	return 0;
}

static struct bench_req *sbq_end(void *table, unsigned int charge, u32 id,
				 struct bench_req *found)
{
	return sbq_dissociate(table, id, found);
}

BENCH_BASELINE(sbq, "sbitmap_queue", .wait = sbq_wait, .end = sbq_end);
