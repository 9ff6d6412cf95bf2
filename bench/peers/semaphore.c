// SPDX-License-Identifier: GPL-2.0
/*
 * A semaphore counts the free ids, and an IDA allocates them; an array beside them holds the
 * requests
 *
 * up() hands the count to the task that has waited longest.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/semaphore.h>

#include "../loop.h"

struct semaphore_table {
	struct semaphore sem;
	struct ida ida;
	struct bench_req *slot[];
};

static void *semaphore_create(unsigned int max)
{
	struct semaphore_table *t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	sema_init(&t->sem, max);
	ida_init(&t->ida);
	return t;
}

static void semaphore_destroy(void *table)
{
	struct semaphore_table *t = table;

	ida_destroy(&t->ida);
	kvfree(t);
}

/* Gives an id to a caller that has the count for it. */
static int semaphore_counted(struct semaphore_table *t, struct bench_req *req, u32 *id)
{
	int ret = ida_alloc(&t->ida, GFP_NOWAIT);

	if (ret < 0) {
		up(&t->sem);
		return ret;
	}
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[ret], req);
	*id = ret;
	return 0;
}

static int semaphore_associate(void *table, struct bench_req *req, u32 *id)
{
	struct semaphore_table *t = table;

	return down_trylock(&t->sem) ? -ENOSPC : semaphore_counted(t, req, id);
}

static int semaphore_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct semaphore_table *t = table;

	return down_killable(&t->sem) ?: semaphore_counted(t, req, id);
}

static struct bench_req *semaphore_map(void *table, u32 id)
{
	struct semaphore_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id]);
	rcu_read_unlock();
	return req;
}

static struct bench_req *semaphore_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct semaphore_table *t = table;
	struct bench_req *req = xchg(&t->slot[id], NULL);

	if (req) {
		ida_free(&t->ida, id);
		up(&t->sem);
	}
	return req;
}

static struct bench_req *semaphore_end(void *table, unsigned int charge, u32 id,
				       struct bench_req *found)
{
	return semaphore_dissociate(table, id, found);
}

BENCH_BASELINE(semaphore, "semaphore_ida", .waits_only = true, .wait = semaphore_wait,
	       .end = semaphore_end);
