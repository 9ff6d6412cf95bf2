// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bounds for a window with a lock: one trip through it to send, none to claim
 *
 * Ids go out in order under a lock, which tasks that wait in line and a new connection need.
 * A request is found by the hash of its id, so one that stays in flight is in no other's way.
 * A claim is one cmpxchg, a grant one atomic add. All the rest that the window does is
 * missing: it cannot grow, return an id, wait, reset, abandon, tell an age or count.
 *
 * window_locked_reserve reserves its ids in one trip and associates in another, as the sender
 * of a compound does. In it tasks can wait for ids, first come, first served: a grant takes
 * the ids for the first task, and wakes it.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "../window.h"

#define LOCKED_WAITED	BIT_ULL(63)	/* in locked_table::credits: tasks wait */

struct locked_slot {
	atomic64_t id;	/* of the request in flight plus 1, or 0 */
	struct bench_req *req;
};

struct locked_waiter {
	struct list_head node;
	struct completion woken;
	unsigned int charge;
	u64 id;
};

struct locked_table {
	struct bench_window window;
	struct locked_slot *slot;
	unsigned int bits;
	unsigned int reach;
	atomic64_t credits ____cacheline_aligned;
	raw_spinlock_t lock ____cacheline_aligned;
	u64 next;
	u64 limit;
	struct list_head waiters;
};

static void *window_locked_create(unsigned int max)
{
	struct locked_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	/* At most three quarters are used. */
	t->bits = max(5, order_base_2(max + max / 3 + 1));
	t->slot = kvcalloc(BIT(t->bits), sizeof(*t->slot), GFP_KERNEL);
	if (!t->slot) {
		kfree(t);
		return ERR_PTR(-ENOMEM);
	}
	raw_spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->waiters);
	t->limit = 1;
	return t;
}

static void window_locked_destroy(void *table)
{
	struct locked_table *t = table;

	kvfree(t->slot);
	kfree(t);
}

static __always_inline struct locked_slot *locked_slot(struct locked_table *t, u64 id,
						       unsigned int n)
{
	return &t->slot[(hash_64(id, t->bits) + n) & (BIT(t->bits) - 1)];
}

/* Takes ids.  @waited is LOCKED_WAITED if a task waits for them. */
static __always_inline bool locked_take(struct locked_table *t, unsigned int charge, u64 waited,
					u64 *id)
{
	if (t->limit - t->next < charge)
		/* The bit before the credits; pairs with locked_reserve_grant(). */
		t->limit += atomic64_xchg(&t->credits, waited) & ~LOCKED_WAITED;
	if (t->limit - t->next < charge)
		return false;
	*id = t->next;
	t->next += charge;
	return true;
}

/* Lets a request be found. */
static __always_inline void locked_put(struct locked_table *t, struct bench_req *req, u64 id)
{
	struct locked_slot *slot;
	unsigned int n = 0;

	while (atomic64_read(&(slot = locked_slot(t, id, n))->id))
		n++;
	if (n > t->reach)
		WRITE_ONCE(t->reach, n);
	WRITE_ONCE(slot->req, req);
	/* Pairs with the acquire in locked_find(). */
	atomic64_set_release(&slot->id, id + 1);
}

static noinline int window_locked_begin(void *table, unsigned int charge, struct bench_req *req,
					u64 *id)
{
	struct locked_table *t = table;
	unsigned long flags;
	bool taken;

	raw_spin_lock_irqsave(&t->lock, flags);
	taken = locked_take(t, charge, 0, id);
	if (taken)
		locked_put(t, req, *id);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	return taken ? 0 : -EAGAIN;
}

static __always_inline struct locked_slot *locked_find(struct locked_table *t, u32 id)
{
	struct locked_slot *slot;
	unsigned int n = 0;

	do {
		slot = locked_slot(t, id, n);
		if (atomic64_read_acquire(&slot->id) == (u64)id + 1)
			return slot;
	} while (n++ < READ_ONCE(t->reach));
	return NULL;
}

static noinline struct bench_req *window_locked_map(void *table, u32 id)
{
	struct locked_slot *slot = locked_find(table, id);

	return slot ? READ_ONCE(slot->req) : NULL;
}

static noinline void window_locked_grant(void *table, unsigned int credits)
{
	struct locked_table *t = table;

	atomic64_add(credits, &t->credits);
}

static noinline struct bench_req *window_locked_claim(void *table, u32 id,
						      struct bench_req *found)
{
	struct locked_slot *slot = locked_find(table, id);
	struct bench_req *req;

	if (!slot)
		return NULL;
	req = READ_ONCE(slot->req);
	return atomic64_cmpxchg(&slot->id, (u64)id + 1, 0) == (u64)id + 1 ? req : NULL;
}

BENCH_WINDOW(window_locked, "window_locked");

#define locked_reserve_create	window_locked_create
#define locked_reserve_destroy	window_locked_destroy
#define locked_reserve_map	window_locked_map
#define locked_reserve_claim	window_locked_claim

static noinline bool locked_reserve(struct locked_table *t, unsigned int charge, u64 *id)
{
	unsigned long flags;
	bool taken;

	raw_spin_lock_irqsave(&t->lock, flags);
	taken = locked_take(t, charge, 0, id);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	return taken;
}

static noinline int locked_associate(struct locked_table *t, struct bench_req *req, u64 id)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&t->lock, flags);
	locked_put(t, req, id);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	return 0;
}

static int locked_reserve_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	return locked_reserve(table, charge, id) ? locked_associate(table, req, *id) : -EAGAIN;
}

/* Takes ids for the tasks that wait, as long as there are enough, under the lock. */
static void locked_serve(struct locked_table *t)
{
	struct locked_waiter *first;

	while ((first = list_first_entry_or_null(&t->waiters, struct locked_waiter, node))) {
		if (!locked_take(t, first->charge, LOCKED_WAITED, &first->id))
			return;
		list_del(&first->node);
		complete(&first->woken);
	}
	atomic64_andnot(LOCKED_WAITED, &t->credits);
}

static int locked_reserve_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct locked_waiter waiter = { .charge = charge };
	struct locked_table *t = table;
	unsigned long flags;

	init_completion(&waiter.woken);
	raw_spin_lock_irqsave(&t->lock, flags);
	list_add_tail(&waiter.node, &t->waiters);
	if (list_is_first(&waiter.node, &t->waiters))
		locked_serve(t);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	wait_for_completion(&waiter.woken);
	*id = waiter.id;
	return locked_associate(t, req, waiter.id);
}

static noinline void locked_reserve_grant(void *table, unsigned int credits)
{
	struct locked_table *t = table;
	unsigned long flags;

	if (!(atomic64_add_return(credits, &t->credits) & LOCKED_WAITED))
		return;
	raw_spin_lock_irqsave(&t->lock, flags);
	locked_serve(t);
	raw_spin_unlock_irqrestore(&t->lock, flags);
}

BENCH_WINDOW(locked_reserve, "window_locked_reserve", .wait = locked_reserve_wait,
	     .end = locked_reserve_end);
