// SPDX-License-Identifier: GPL-2.0
/*
 * The lower bound for all promises of the window, as floor_full is for those of the atlas
 *
 * One trip through a lock to send, none to claim. What each promise needs when nothing
 * unusual happens:
 *
 *	no id is left out, and none comes back
 *				a lock around the ids
 *	an old request is in no other's way
 *				entries that are found by a hash of the id
 *	no server makes two ids meet
 *				a secret in that hash
 *	a new connection	its number in the credits and in each entry
 *	tasks in line, drain	SLOW, in the words that a grant and a claim change
 *	pause, shut, ids that were returned or are set aside
 *				@mode, which is 0
 *	growth			a pointer to the entries, and a look at the room
 *	growth, drain, -EDEADLK	a count of what began, and one of what has ended
 *	exactly one owner, also beside a map
 *				the generation of an entry
 *	timeouts, quarantine	a timestamp
 *	CANCEL, latency		members that a begin clears
 *	spans			two bits for each id, and two counts
 *
 * The slow paths behind the checks are stubs.
 *
 * window_full_reserve reserves its ids in one trip through the lock and associates in
 * another, as the sender of a compound does. In it tasks can wait for ids, first come, first
 * served: a grant takes the ids for the first task, and wakes it.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "../../midwindow.h"
#include "../window.h"

#define FULL_LIVE	1
#define FULL_BUSY	2
#define FULL_STATE	3
#define FULL_GEN	4		/* the generation counts in these */
#define FULL_LOW	GENMASK(26, 0)	/* the timestamp is in the bits above */
#define FULL_TIME	27

#define FULL_SLOW	BIT_ULL(31)	/* in full_table::credits */
#define FULL_EPOCH	32		/* the same */
#define FULL_ENDED	2		/* full_table::ended counts in these, bit 0 is SLOW */
#define FULL_IDS	(2 * MID_WINDOW_MAX_SPAN)

struct full_entry {
	atomic64_t word;
	struct bench_req *req;
	u64 id;
	u64 async_id;
	u32 epoch;
	u32 charge;
	u64 begun;
	struct list_head node;
} __aligned(64);

struct full_hash {
	struct full_hash *older;
	struct full_entry *entries;
	unsigned int bits;
	unsigned int mask;
	unsigned int room;
	unsigned int reach;
};

struct full_span {
	u64 first;
	unsigned int n;
	u32 epoch;
};

struct full_waiter {
	struct list_head node;
	struct completion woken;
	unsigned int charge;
	struct full_span span;
};

/**
 * struct full_table - the window
 * @window: the charge of each request
 * @hash: the newest entries
 * @secret: for the homes
 * @stride: the same
 * @epoch: the connection
 * @credits: epoch, SLOW, and the credits that were granted and not moved to @limit
 * @ended: how many requests have ended, and SLOW
 * @lock: protects what follows
 * @mode: not 0 if a slow path is needed
 * @next: the next id
 * @limit: the first id that was not granted
 * @bound: the first id that the bits do not cover
 * @began: how many requests began
 * @ended_seen: a lower bound of how many have ended
 * @spans: how many ids are in spans
 * @rooms: how many spans keep room
 * @bits: two for each id: in a span, and keeps room
 * @waiters: the tasks in line
 */
struct full_table {
	struct bench_window window;
	struct full_hash *hash;
	u64 secret;
	u32 stride;
	u32 epoch;
	atomic64_t credits ____cacheline_aligned;
	atomic64_t ended;
	raw_spinlock_t lock ____cacheline_aligned;
	u32 mode;
	u64 next;
	u64 limit;
	u64 bound;
	u64 began;
	u64 ended_seen;
	u16 spans;
	u16 rooms;
	unsigned long (*bits)[2];
	struct list_head waiters;
};

static void full_hash_free(struct full_hash *h)
{
	if (h)
		kvfree(h->entries);
	kfree(h);
}

static struct full_hash *full_hash_alloc(unsigned int max)
{
	struct full_hash *h = kzalloc(sizeof(*h), GFP_KERNEL);

	if (!h)
		return NULL;
	/* At most three quarters are used. */
	h->bits = max(5, order_base_2(max + max / 3 + 1));
	h->mask = BIT(h->bits) - 1;
	h->room = 3 << h->bits >> 2;
	h->entries = kvcalloc(BIT(h->bits), sizeof(*h->entries), GFP_KERNEL);
	if (h->entries)
		return h;
	full_hash_free(h);
	return NULL;
}

static void window_full_destroy(void *table)
{
	struct full_table *t = table;

	full_hash_free(t->hash);
	kvfree(t->bits);
	kfree(t);
}

static void *window_full_create(unsigned int max)
{
	struct full_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->hash = full_hash_alloc(max);
	t->bits = kvcalloc(FULL_IDS / BITS_PER_LONG, sizeof(*t->bits), GFP_KERNEL);
	if (!t->hash || !t->bits) {
		window_full_destroy(t);
		return ERR_PTR(-ENOMEM);
	}
	raw_spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->waiters);
	t->secret = get_random_u64() | 1;
	t->stride = 5 + (u32)(t->secret >> 32) % 14 * 2;
	t->epoch = 1;
	atomic64_set(&t->credits, (u64)t->epoch << FULL_EPOCH);
	t->limit = 1;
	t->bound = FULL_IDS;
	return t;
}

static __always_inline struct full_entry *full_entry(struct full_table *t, struct full_hash *h,
						     u64 id, unsigned int n)
{
	u64 product = (id >> h->bits) * t->secret;

	return &h->entries[(id * t->stride + (product ^ product >> 32) + n) & h->mask];
}

/* No two ids in use share a bit: new ones stay below FULL_IDS above the lowest in a span. */
static noinline bool full_may_take(struct full_table *t, unsigned int charge)
{
	u64 lowest = t->bound - FULL_IDS;

	while (lowest + BITS_PER_LONG <= t->next &&
	       !t->bits[BIT_WORD(lowest & (FULL_IDS - 1))][0])
		lowest += BITS_PER_LONG;
	t->bound = lowest + FULL_IDS;
	return t->next + charge <= t->bound;
}

/* Takes ids for a caller that is first in line. */
static __always_inline bool full_take(struct full_table *t, unsigned int charge, u64 slow, u64 *id)
{
	if (t->limit - t->next < charge)
		/* SLOW before the credits; pairs with window_full_grant(). */
		t->limit += atomic64_xchg(&t->credits, (u64)t->epoch << FULL_EPOCH | slow) &
			    (FULL_SLOW - 1);
	if (t->limit - t->next < charge)
		return false;
	if (unlikely(t->next + charge > t->bound) && !full_may_take(t, charge))
		return false;
	*id = t->next;
	t->next += charge;
	return true;
}

static __always_inline bool full_has_room(struct full_table *t)
{
	unsigned int room = t->hash->room - t->rooms;

	if (likely(t->began - t->ended_seen < room))
		return true;
	/* Pairs with window_full_claim(). */
	t->ended_seen = (u64)atomic64_read_acquire(&t->ended) / FULL_ENDED;
	return t->began - t->ended_seen < room;
}

/* Ids for a request, or why there are none; what each error leads to is a stub. */
static __always_inline int full_pick(struct full_table *t, unsigned int charge, u64 *id)
{
	if (unlikely(t->mode))
		return -ESHUTDOWN;
	if (unlikely(!full_has_room(t)))
		return -ENOSPC;
	return likely(full_take(t, charge, 0, id)) ? 0 : -EAGAIN;
}

static __always_inline u64 full_now(void)
{
	unsigned long now = jiffies;

	return (u64)now << FULL_TIME;
}

/* Lets a request be found. */
static __always_inline void full_put(struct full_table *t, unsigned int charge,
				     struct bench_req *req, u64 id, struct mid_tag *tag)
{
	struct full_hash *h = t->hash;
	struct full_entry *e;
	unsigned int n = 0;
	u64 word;

	while ((word = atomic64_read(&(e = full_entry(t, h, id, n))->word)) & FULL_STATE)
		n++;
	if (unlikely(n > h->reach))
		WRITE_ONCE(h->reach, n);
	word = ((word & FULL_LOW) + FULL_GEN) | full_now();
	atomic64_set(&e->word, word | FULL_BUSY);
	/* Pairs with the smp_rmb() of a map. */
	smp_wmb();
	WRITE_ONCE(e->id, id);
	WRITE_ONCE(e->epoch, t->epoch);
	WRITE_ONCE(e->charge, charge);
	WRITE_ONCE(e->req, req);
	e->async_id = 0;
	e->begun = 0;
	t->began++;
	tag->id = id;
	tag->epoch = t->epoch;
	/* Pairs with the acquire in full_find(). */
	atomic64_set_release(&e->word, word | FULL_LIVE);
}

static noinline int window_full_begin(void *table, unsigned int charge, struct bench_req *req,
				      u64 *id)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	struct full_table *t = table;
	unsigned long flags;
	int err;

	if (IS_ERR_OR_NULL(req) || unlikely(charge - 1 >= MID_WINDOW_MAX_SPAN))
		return -EINVAL;
	rcu_read_lock();
	raw_spin_lock_irqsave(&t->lock, flags);
	err = full_pick(t, charge, id);
	if (likely(!err))
		full_put(t, charge, req, *id, tag);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	rcu_read_unlock();
	return err;
}

static __always_inline struct full_entry *full_find(struct full_table *t, u32 epoch, u64 id,
						    u64 *word)
{
	struct full_entry *e;
	struct full_hash *h;
	unsigned int n;

	if (READ_ONCE(t->epoch) != epoch)
		return NULL;
	/* Pairs with what a growth would do. */
	for (h = smp_load_acquire(&t->hash); h; h = h->older) {
		n = 0;
		do {
			e = full_entry(t, h, id, n);
			/* Pairs with the release in full_put(). */
			*word = atomic64_read_acquire(&e->word);
			if (READ_ONCE(e->id) == id && READ_ONCE(e->epoch) == epoch &&
			    *word & FULL_LIVE)
				return e;
		} while (n++ < READ_ONCE(h->reach));
	}
	return NULL;
}

static noinline struct bench_req *window_full_map(void *table, u32 id)
{
	struct full_table *t = table;
	struct full_entry *e;
	struct bench_req *req;
	u64 word;

	do {
		e = full_find(t, 1, id, &word);
		if (!e)
			return NULL;
		req = READ_ONCE(e->req);
		/* Pairs with the barriers of a claim and of full_put(). */
		smp_rmb();
	} while (unlikely(atomic64_read(&e->word) != word));
	return req;
}

/* The bits of @n ids from @first on: those of one word, and how many these are */
static __always_inline unsigned long *full_bits(struct full_table *t, u64 first, unsigned int n,
						unsigned long *mask, unsigned int *part)
{
	unsigned int bit = first % BITS_PER_LONG;

	*part = min_t(unsigned int, n, BITS_PER_LONG - bit);
	*mask = GENMASK(bit + *part - 1, bit);
	return t->bits[BIT_WORD(first & (FULL_IDS - 1))];
}

/* Ids go into a span, which keeps room for one request. */
static __always_inline void full_to_span(struct full_table *t, unsigned int n,
					 struct full_span *span)
{
	u64 first = span->first;
	unsigned long *bits, mask;
	unsigned int part;

	t->spans += n;
	t->rooms++;
	span->n = n;
	span->epoch = t->epoch;
	bits = full_bits(t, first, n, &mask, &part);
	bits[1] |= BIT_MASK(first);
	bits[0] |= mask;
	while (unlikely(n > part)) {
		first += part;
		n -= part;
		bits = full_bits(t, first, n, &mask, &part);
		bits[0] |= mask;
	}
}

/* Ids leave a span. Returns whether all of them were in one, and whether it kept @room. */
static __always_inline bool full_from_span(struct full_table *t, u64 first, unsigned int n,
					   bool *room)
{
	unsigned long *bits, mask;
	unsigned int part;

	*room = false;
	for (; n; first += part, n -= part) {
		bits = full_bits(t, first, n, &mask, &part);
		if (unlikely(mask & ~bits[0]))
			return false;
		*room |= !!(bits[1] & mask);
		bits[0] &= ~mask;
		bits[1] &= ~mask;
	}
	return true;
}

/* Takes ids for the tasks in line, as long as there are enough, under the lock. */
static void full_serve(struct full_table *t)
{
	struct full_waiter *first;

	while ((first = list_first_entry_or_null(&t->waiters, struct full_waiter, node))) {
		if (!full_has_room(t) ||
		    !full_take(t, first->charge, FULL_SLOW, &first->span.first))
			return;
		full_to_span(t, first->charge, &first->span);
		list_del(&first->node);
		complete(&first->woken);
	}
	atomic64_andnot(FULL_SLOW, &t->credits);
	atomic64_andnot(1, &t->ended);
}

static noinline void full_grant_slow(struct full_table *t, unsigned int credits)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&t->lock, flags);
	t->limit += credits;
	full_serve(t);
	raw_spin_unlock_irqrestore(&t->lock, flags);
}

static noinline void window_full_grant(void *table, unsigned int credits)
{
	struct full_table *t = table;
	s64 old = atomic64_read(&t->credits);

	do {
		if ((u64)old >> FULL_EPOCH != 1)
			return;
		if (unlikely(old & FULL_SLOW ||
			     credits > FULL_SLOW - 1 - (old & (FULL_SLOW - 1)))) {
			full_grant_slow(t, credits);
			return;
		}
	} while (!atomic64_try_cmpxchg(&t->credits, &old, old + credits));
}

static noinline struct bench_req *window_full_claim(void *table, u32 id, struct bench_req *found)
{
	struct full_table *t = table;
	struct full_entry *e;
	struct bench_req *req;
	u64 word, ended;
	s64 old;

	rcu_read_lock();
	do {
		e = full_find(t, 1, id, &word);
		if (!e) {
			rcu_read_unlock();
			return NULL;
		}
		req = READ_ONCE(e->req);
		old = word;
	} while (unlikely(!atomic64_try_cmpxchg(&e->word, &old, word - FULL_LIVE)));
	/* FREE before the count; pairs with full_has_room(). */
	ended = atomic64_add_return(FULL_ENDED, &t->ended);
	if (unlikely(ended & 1) && ended / FULL_ENDED == READ_ONCE(t->began))
		full_grant_slow(t, 0);
	rcu_read_unlock();
	return req;
}

BENCH_WINDOW(window_full, "window_full");

#define full_reserve_create	window_full_create
#define full_reserve_destroy	window_full_destroy
#define full_reserve_map	window_full_map
#define full_reserve_grant	window_full_grant
#define full_reserve_claim	window_full_claim

static noinline int full_reserve(struct full_table *t, unsigned int charge,
				 struct full_span *span)
{
	unsigned long flags;
	int err;

	if (unlikely(charge - 1 >= MID_WINDOW_MAX_SPAN))
		return -EINVAL;
	rcu_read_lock();
	raw_spin_lock_irqsave(&t->lock, flags);
	err = full_pick(t, charge, &span->first);
	if (likely(!err))
		full_to_span(t, charge, span);
	raw_spin_unlock_irqrestore(&t->lock, flags);
	rcu_read_unlock();
	return err;
}

static noinline int full_associate(struct full_table *t, struct full_span *span,
				   unsigned int charge, struct bench_req *req)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	u64 first = span->first;
	unsigned long flags;
	bool room;
	int err = 0;

	if (IS_ERR_OR_NULL(req) || unlikely(charge - 1 >= span->n))
		return -EINVAL;
	rcu_read_lock();
	raw_spin_lock_irqsave(&t->lock, flags);
	if (unlikely(span->epoch != t->epoch)) {
		err = -ESTALE;
	} else if (unlikely(!full_from_span(t, first, charge, &room))) {
		err = -EINVAL;
	} else if (unlikely(!room && !full_has_room(t))) {
		err = -ENOSPC;	/* a stub: the ids would be used */
	} else {
		t->rooms -= room;
		t->spans -= charge;
		span->first += charge;
		span->n -= charge;
		full_put(t, charge, req, first, tag);
	}
	raw_spin_unlock_irqrestore(&t->lock, flags);
	rcu_read_unlock();
	return err;
}

static int full_reserve_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct full_span span;
	int err = full_reserve(table, charge, &span);

	if (err)
		return err;
	*id = span.first;
	return full_associate(table, &span, charge, req);
}

static int full_reserve_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct full_waiter waiter = { .charge = charge };
	struct full_table *t = table;
	unsigned long flags;

	init_completion(&waiter.woken);
	raw_spin_lock_irqsave(&t->lock, flags);
	list_add_tail(&waiter.node, &t->waiters);
	if (list_is_first(&waiter.node, &t->waiters)) {
		atomic64_or(FULL_SLOW, &t->credits);
		atomic64_or(1, &t->ended);
		full_serve(t);
	}
	raw_spin_unlock_irqrestore(&t->lock, flags);
	wait_for_completion(&waiter.woken);
	*id = waiter.span.first;
	return full_associate(t, &waiter.span, charge, req);
}

BENCH_WINDOW(full_reserve, "window_full_reserve", .wait = full_reserve_wait,
	     .end = full_reserve_end);
