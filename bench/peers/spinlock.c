// SPDX-License-Identifier: GPL-2.0
/*
 * An array with a list of its free slots, last freed first, under a spinlock
 *
 * Lookups take no lock.
 */
#include <linux/err.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "../loop.h"

#define SPIN_NONE	U32_MAX

struct spin_slot {
	struct bench_req *req;
	u32 next; /* free slot */
};

struct spin_table {
	spinlock_t lock; /* serialises all but lookups */
	u32 free;
	struct spin_slot slot[];
};

static void *spinlock_create(unsigned int max)
{
	struct spin_table *t;
	unsigned int i;

	t = kvzalloc(struct_size(t, slot, max), GFP_KERNEL);
	if (!t)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&t->lock);
	for (i = 0; i < max; i++)
		t->slot[i].next = i + 1;
	t->slot[max - 1].next = SPIN_NONE;
	return t;
}

static void spinlock_destroy(void *table)
{
	kvfree(table);
}

static __always_inline int spin_pop(struct spin_table *t, struct bench_req *req, u32 *id)
{
	u32 i = t->free;

	if (i == SPIN_NONE)
		return -ENOSPC;
	t->free = t->slot[i].next;
	/* Publishes @req; pairs with the READ_ONCE() of a lookup. */
	smp_store_release(&t->slot[i].req, req);
	*id = i;
	return 0;
}

static __always_inline struct bench_req *spin_push(struct spin_table *t, u32 id)
{
	struct spin_slot *slot = &t->slot[id];
	struct bench_req *req = slot->req;

	if (req) {
		WRITE_ONCE(slot->req, NULL);
		slot->next = t->free;
		t->free = id;
	}
	return req;
}

static noinline struct bench_req *spinlock_map(void *table, u32 id)
{
	struct spin_table *t = table;
	struct bench_req *req;

	rcu_read_lock();
	req = READ_ONCE(t->slot[id].req);
	rcu_read_unlock();
	return req;
}

static noinline int spinlock_associate(void *table, struct bench_req *req, u32 *id)
{
	struct spin_table *t = table;
	int err;

	spin_lock(&t->lock);
	err = spin_pop(t, req, id);
	spin_unlock(&t->lock);
	return err;
}

static noinline struct bench_req *spinlock_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct spin_table *t = table;
	struct bench_req *req;

	spin_lock(&t->lock);
	req = spin_push(t, id);
	spin_unlock(&t->lock);
	return req;
}

BENCH_BASELINE(spinlock, "spinlock");

#define spinlock_irq_create	spinlock_create
#define spinlock_irq_destroy	spinlock_destroy
#define spinlock_irq_map		spinlock_map

static noinline int spinlock_irq_associate(void *table, struct bench_req *req, u32 *id)
{
	struct spin_table *t = table;
	unsigned long flags;
	int err;

	spin_lock_irqsave(&t->lock, flags);
	err = spin_pop(t, req, id);
	spin_unlock_irqrestore(&t->lock, flags);
	return err;
}

static noinline struct bench_req *spinlock_irq_dissociate(void *table, u32 id,
							  struct bench_req *found)
{
	struct spin_table *t = table;
	struct bench_req *req;
	unsigned long flags;

	spin_lock_irqsave(&t->lock, flags);
	req = spin_push(t, id);
	spin_unlock_irqrestore(&t->lock, flags);
	return req;
}

BENCH_BASELINE(spinlock_irq, "spinlock_irqsave");
