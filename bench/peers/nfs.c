// SPDX-License-Identifier: GPL-2.0
/*
 * The slot table of NFSv4.1 in 7.3: nfs4_alloc_slot() and the queue of a synchronous RPC task
 * in nfs4_setup_sequence(), nfs41_wake_and_assign_slot() and nfs4_free_slot()
 *
 * The slots are an array, not a list that is walked to the slot, and the queue has one
 * priority. NFS finds the request of a reply elsewhere; here the slot has it.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "../loop.h"

#define NFS_NO_SLOT	U32_MAX
#define NFS_QUEUED	0	/* bit of nfs_task::state */

struct nfs_task {
	struct list_head list;
	unsigned long state;
	u32 slot;
};

struct nfs_table {
	spinlock_t lock; /* serialises all up to @highest */
	unsigned long *used;
	u32 max;
	u32 highest;
	spinlock_t queue_lock; /* of the RPC queue, inside @lock */
	struct list_head queue;
	struct bench_req *slot[];
};

static void *nfs_create(unsigned int max)
{
	struct nfs_table *t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->used = bitmap_zalloc(max, GFP_KERNEL);
	if (!t->used) {
		kvfree(t);
		return ERR_PTR(-ENOMEM);
	}
	spin_lock_init(&t->lock);
	spin_lock_init(&t->queue_lock);
	INIT_LIST_HEAD(&t->queue);
	t->max = max;
	t->highest = NFS_NO_SLOT;
	return t;
}

static void nfs_destroy(void *table)
{
	struct nfs_table *t = table;

	bitmap_free(t->used);
	kvfree(t);
}

static u32 nfs_alloc_slot(struct nfs_table *t)
{
	u32 i = find_first_zero_bit(t->used, t->max);

	if (i >= t->max)
		return NFS_NO_SLOT;
	__set_bit(i, t->used);
	if (i > t->highest || t->highest == NFS_NO_SLOT)
		t->highest = i;
	return i;
}

static void nfs_free_slot(struct nfs_table *t, u32 i)
{
	u32 highest;

	__clear_bit(i, t->used);
	if (i == t->highest) {
		highest = find_last_bit(t->used, i);
		t->highest = highest < i ? highest : NFS_NO_SLOT;
	}
}

static void nfs_sleep_on(struct nfs_table *t, struct nfs_task *task)
{
	spin_lock(&t->queue_lock);
	__set_bit(NFS_QUEUED, &task->state);
	list_add_tail(&task->list, &t->queue);
	spin_unlock(&t->queue_lock);
}

static bool nfs_wake_and_assign_slot(struct nfs_table *t, u32 i)
{
	struct nfs_task *task;

	spin_lock(&t->queue_lock);
	task = list_first_entry_or_null(&t->queue, struct nfs_task, list);
	if (task) {
		list_del(&task->list);
		task->slot = i;
		clear_bit_unlock(NFS_QUEUED, &task->state);
		/* The bit before the look at the queue; only the address of @task is used. */
		smp_mb__after_atomic();
		wake_up_bit(&task->state, NFS_QUEUED);
	}
	spin_unlock(&t->queue_lock);
	return task;
}

static int nfs_start(struct nfs_table *t, u32 i, struct bench_req *req, u32 *id)
{
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[i], req);
	*id = i;
	return 0;
}

static int nfs_associate(void *table, struct bench_req *req, u32 *id)
{
	struct nfs_table *t = table;
	u32 i;

	spin_lock(&t->lock);
	i = nfs_alloc_slot(t);
	spin_unlock(&t->lock);
	return i == NFS_NO_SLOT ? -ENOSPC : nfs_start(t, i, req, id);
}

static int nfs_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct nfs_task task = {};
	struct nfs_table *t = table;
	bool wait;
	int err = 0;

	spin_lock(&t->lock);
	task.slot = nfs_alloc_slot(t);
	wait = task.slot == NFS_NO_SLOT;
	if (wait)
		nfs_sleep_on(t, &task);
	spin_unlock(&t->lock);
	if (wait)
		err = wait_on_bit(&task.state, NFS_QUEUED, TASK_UNINTERRUPTIBLE);
	return err ?: nfs_start(t, task.slot, req, id);
}

static struct bench_req *nfs_map(void *table, u32 id)
{
	struct nfs_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id]);
	rcu_read_unlock();
	return req;
}

static struct bench_req *nfs_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct nfs_table *t = table;
	struct bench_req *req = xchg(&t->slot[id], NULL);

	if (req) {
		spin_lock(&t->lock);
		if (!nfs_wake_and_assign_slot(t, id))
			nfs_free_slot(t, id);
		spin_unlock(&t->lock);
	}
	return req;
}

static struct bench_req *nfs_end(void *table, unsigned int charge, u32 id,
				 struct bench_req *found)
{
	return nfs_dissociate(table, id, found);
}

BENCH_BASELINE(nfs, "nfs_slots", .waits_only = true, .wait = nfs_wait, .end = nfs_end);
