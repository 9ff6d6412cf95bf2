/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts that SMB1 and SMB2 share in fs/smb/client of 7.3: a list of requests under a
 * lock, a linear search for a request (cifs_find_mid(), __smb2_find_mid()), and its removal
 * from the list (dequeue_mid())
 *
 * The reference on the request is left out: no other baseline of the atlas takes one.
 */
#ifndef _MIDATLAS_BENCH_CIFS_H
#define _MIDATLAS_BENCH_CIFS_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "../loop.h"

#define CIFS_SUBMITTED	1
#define CIFS_RECEIVED	2
#define CIFS_COMMAND	0x2b

struct cifs_mid {
	struct list_head list;
	u64 mid;
	int state;
	u16 command;
	bool dequeued;
};

struct cifs_table {
	spinlock_t counter_lock; /* serialises @current_mid; outside @queue_lock */
	u64 current_mid;
	spinlock_t queue_lock; /* serialises @pending and what is in it */
	struct list_head pending;
};

static inline void cifs_init(struct cifs_table *t)
{
	spin_lock_init(&t->counter_lock);
	spin_lock_init(&t->queue_lock);
	INIT_LIST_HEAD(&t->pending);
}

static inline void *cifs_create(unsigned int max)
{
	struct cifs_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	cifs_init(t);
	return t;
}

static inline void cifs_destroy(void *table)
{
	kfree(table);
}

/* The ids of SMB2 */
static inline u64 cifs_next_mid(struct cifs_table *t)
{
	u64 mid;

	spin_lock(&t->counter_lock);
	mid = t->current_mid++;
	spin_unlock(&t->counter_lock);
	return mid;
}

static inline void cifs_enqueue(struct cifs_table *t, struct bench_req *req, u64 mid)
{
	struct cifs_mid *entry = bench_req_node(req, struct cifs_mid);

	entry->mid = mid;
	entry->state = CIFS_SUBMITTED;
	entry->command = CIFS_COMMAND;
	entry->dequeued = false;
	spin_lock(&t->queue_lock);
	list_add_tail(&entry->list, &t->pending);
	spin_unlock(&t->queue_lock);
}

static inline struct bench_req *cifs_find(struct cifs_table *t, u64 mid)
{
	struct cifs_mid *entry;

	spin_lock(&t->queue_lock);
	list_for_each_entry(entry, &t->pending, list) {
		if (entry->mid == mid && entry->state == CIFS_SUBMITTED &&
		    entry->command == CIFS_COMMAND) {
			spin_unlock(&t->queue_lock);
			return bench_node_req(entry);
		}
	}
	spin_unlock(&t->queue_lock);
	return NULL;
}

static inline struct bench_req *cifs_dequeue(struct cifs_table *t, struct bench_req *found)
{
	struct cifs_mid *entry = bench_req_node(found, struct cifs_mid);
	struct bench_req *req = NULL;

	spin_lock(&t->queue_lock);
	if (!entry->dequeued) {
		entry->state = CIFS_RECEIVED;
		list_del_init(&entry->list);
		entry->dequeued = true;
		req = found;
	}
	spin_unlock(&t->queue_lock);
	return req;
}

#endif /* _MIDATLAS_BENCH_CIFS_H */
