// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for a window with a lock: one lock to send, none to claim
 *
 * Ids go out in order under a lock, which tasks that wait in line and a new connection need.
 * A request is found by the hash of its id, so one that stays in flight is in no other's way.
 * A claim is one cmpxchg, a grant one atomic add. All the rest that the window does is
 * missing: it cannot grow, return an id, wait, reset, abandon, tell an age or count.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "../window.h"

struct locked_slot {
	atomic64_t id;	/* of the request in flight plus 1, or 0 */
	struct bench_req *req;
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

static noinline int window_locked_begin(void *table, unsigned int charge, struct bench_req *req,
					u64 *id)
{
	struct locked_table *t = table;
	struct locked_slot *slot;
	unsigned int n = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&t->lock, flags);
	if (t->limit - t->next < charge)
		t->limit += atomic64_xchg(&t->credits, 0);
	if (t->limit - t->next < charge) {
		raw_spin_unlock_irqrestore(&t->lock, flags);
		return -EAGAIN;
	}
	*id = t->next;
	t->next += charge;
	while (atomic64_read(&(slot = locked_slot(t, *id, n))->id))
		n++;
	if (n > t->reach)
		WRITE_ONCE(t->reach, n);
	WRITE_ONCE(slot->req, req);
	/* Pairs with the acquire in locked_find(). */
	atomic64_set_release(&slot->id, *id + 1);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	return 0;
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
