// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * The [brackets] name tests in tests/litmus/.
 *
 * A window reserves the ids that the server's credits allow, and finds the
 * request of an id while it is in flight.  The first half needs a lock and two
 * bitmaps.  The second half uses an atlas (midatlas.h): each request has an
 * *entry*, and the atlas stores a pointer to it.  The atlas lists, limits and
 * drains the requests in flight; the window adds an index that finds the entry of
 * a 64-bit id.
 *
 * The ids of an epoch
 * ===================
 *
 *	0            tail                  next             limit
 *	+-------------+---------------------+----------------+- - - ->
 *	|    used     | used/span/returned  |   available    | not granted
 *	+-------------+---------------------+----------------+- - - ->
 *	              |<----- at most MID_WINDOW_SPREAD ----->
 *
 * Ids from @next to @limit are granted and *new*: no reserve has taken them.  A
 * grant moves @limit, and a reserve of new ids moves @next.  Below @next an id is
 * used or *unsent*.  An unsent id is in a span, or was *returned* to the window.
 * Two rings have one bit for each id: @unsent for all unsent ids, @back for the
 * returned ones.  Returning ids sets bits, so adjacent ranges merge; returned ids
 * just below @next lower @next and are new again.  This allocates nothing and
 * cannot fail.
 *
 * "The client MUST use the lowest available range of consecutive sequence
 * numbers" (3.2.4.1.6): a reserve searches @back from @tail for a run of bits
 * that is long enough, and takes new ids only if there is none.  Servers rely on
 * this.  A server may wait for the lowest id that it has not seen, and grant
 * nothing until it arrives (3.3.1.1).  An id beyond the server's window, or one
 * that it has seen before, ends the connection (3.3.5.2.3).  So a missing id
 * stalls the connection, and a repeated id ends it.
 *
 * The rings cover MID_WINDOW_SPREAD ids.  A reserve of new ids fails if the last
 * of them would be that far above the lowest unsent id.  So a caller that keeps a
 * span forever stops the window, as it would stop the server's.  @tail is a lower
 * bound of the lowest unsent id; it is raised when a reserve reaches the end of
 * the rings.
 *
 * Waiters
 * =======
 *
 * Waiters are served first come, first served, so that small reserves do not
 * starve a large one.  The caller that makes ids available takes them on behalf
 * of the waiter.  All decisions are made under the lock: either the waiter is
 * given ids, or it leaves the queue without any:
 *
 *	T1: grant			T2: waiter, is killed
 *
 *	lock, limit += credits
 *	takes ids for T2
 *	removes T2 from the queue
 *	complete(T2), unlock
 *					lock
 *					in the queue? no: uses the ids
 *					unlock
 *
 * If T2 gets the lock first, T1 serves the next waiter in the queue.  If the ids
 * are available already but too few for T2, T2 serves the next waiter when it
 * leaves.
 *
 * There are two exceptions to this order.  After a reconnect the window is {0}
 * again and the requests of the old connection are still in the queue, but they
 * cannot proceed before NEGOTIATE and SESSION_SETUP.  So
 * mid_window_reserve_urgent() uses a queue of its own, which is served first.
 * And if the returned ids cannot satisfy the first waiter, they go to the waiter
 * or new caller that wants the fewest.  Otherwise there is a deadlock:
 *
 *	server				client
 *
 *	grants nothing: id 7 is missing	first in line waits for 16 new ids
 *					7 was returned, second in line
 *					wants one id and waits for the first
 *
 * New ids are only given to the first waiter, so it is served as long as the
 * server grants credits.
 *
 * Claims: one pointer decides
 * ===========================
 *
 * mid_entry::ctx is the only state of a request:
 *
 *	           publish           claim: xchg, cmpxchg
 *	   NULL ------------> request ------------------> NULL
 *	  (not yet)           |  | ^                     ^ (over)
 *	                      |  +-+ reassociate:        |
 *	              abandon |      cmpxchg             |
 *	                      v                          |
 *	                  GIVEN_UP ----------------------+
 *	                             late reply, expiry
 *
 * The caller that changes mid_entry::ctx from a request to another value owns that
 * request.  The caller that changes it to NULL also owns the entry, and removes
 * it from the index and the atlas.  An entry is never reused: it serves one id
 * and is freed after an RCU grace period.  So a lookup cannot mistake one id for
 * another:
 *
 *	T1: dissociate(id) (reply)	T2: dissociate_if(id, ctx) (timeout)
 *
 *	rcu_read_lock, finds e		rcu_read_lock, finds e
 *	xchg ctx -> NULL: ctx
 *	out of index and atlas		cmpxchg ctx -> NULL: is NULL, fails
 *	kfree_rcu(e)			returns false
 *	returns ctx			rcu_read_unlock
 *	rcu_read_unlock
 *	         ... e is freed
 *
 * A reassociate is a cmpxchg of the same word.  If it comes before a claim, it
 * returns the old request and the claim gets the new one.  If it comes after, it
 * returns NULL.
 *
 * Publication
 * ===========
 *
 * An entry is added to the atlas first, because that may fail, and then to the
 * index, which cannot fail.  Its request is stored last:
 *
 *	T1: associate			T2: claim_all		T3: map(id)
 *
 *	e->ctx = NULL
 *	mid_atlas_associate(e)
 *					finds e: no request,
 *					leaves it alone
 *	lock, epoch still mine?
 *	e into the index
 *								finds e: NULL
 *	*id = ...
 *	store-release e->ctx = ctx
 *	unlock
 *								load-acquire: ctx
 *
 * Epochs
 * ======
 *
 * A lookup compares the epoch twice.  It compares it with the window's, so that
 * all ids of the old connection stop mapping at the same time.  And it compares it
 * with the entry's, so that id 0 of this connection is not taken for id 0 of the
 * last one [epoch-reply].
 *
 *	T1: reset			T2: dissociate(old, id)	T3: associate
 *
 *					epoch is old
 *	lock, epoch = new, {0}
 *	unlock
 *					xchg ctx -> NULL: ctx	lock
 *	each entry of the old epoch:				epoch is new:
 *	xchg ctx -> NULL: is NULL	returns ctx		-ESTALE
 *
 * T1 and T2 do the same xchg, so exactly one of them gets the request.  Once the
 * epoch has changed, T3 cannot publish.  So T1 finds every published entry of the
 * old epoch: it was added to the atlas before T1 searches there
 * [epoch-associate].  A span of the old epoch is no longer valid: its ids belong
 * to a connection that is gone.
 *
 * The index
 * =========
 *
 * The index is a hash table of entries.  It is read under RCU and written under
 * the lock, and has one bucket for each request in flight.  The ids need not be
 * close to one another: one old request beside ten million others costs its own
 * entry and nothing else.  If there are more requests than buckets, a larger table
 * is put in front.  The *older* table stays until its last key is removed, as in
 * the atlas.  Keys do not move between tables, so a lookup that searches all
 * tables in order misses none.  If a larger table cannot be allocated, the chains
 * get longer, which is not an error.
 *
 * A server decides which requests stay in flight, and chooses AsyncIds freely.
 * A secret seed prevents it from directing them all into one bucket.  The seed is
 * xored into the value, and hash_64() multiplies.  So consecutive ids still
 * spread more evenly than random ones, and multiples of a CreditCharge about as
 * evenly.
 *
 * Abandoned requests
 * ==================
 *
 * The atlas has a quarantine, but the window cannot use it: mid_atlas_abandon()
 * keeps the MID and forgets the pointer, and the window must free the entry when
 * the quarantine ends.  So an abandoned entry stays in the atlas, with GIVEN_UP
 * instead of its request, and in a tree that is sorted by the end of the
 * quarantine.  A late reply, the expiry and a reset claim GIVEN_UP as they would
 * claim a request, so exactly one of them frees the entry.  Each id is used only
 * once, so the quarantine does not protect it from reuse.  The id is remembered
 * to tell a late reply from one with an invalid id, and a drain waits for it.
 *
 * Alternatives
 * ============
 *
 * An rhashtable as index: in older kernels (6.1) its writers disable only
 * softirqs, so a request could not be claimed in hardirq, and it allocates
 * atomically although the caller has a @gfp.
 *
 * An XArray as index: it has 32-bit indices on 32-bit CPUs, and log n levels.
 *
 * An array that is indexed by id modulo size: it is the fastest, but only until a
 * request stays in flight for long.  Then it needs chains, like a hash table.
 *
 * A tree of returned id ranges: each range needs a node, to be allocated in a
 * reserve or, worse, when ids are returned.  The rings take 4 KiB.
 *
 * One atlas for each epoch: this would make a reset trivial, but the reset could
 * fail to allocate.
 *
 * Claims by the slot of the atlas instead of mid_entry::ctx: the slot holds the
 * entry, so it cannot tell whether the request is still the one that
 * dissociate_if() expects, and cannot exchange it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "midatlas.h"
#include "midwindow.h"

/* The ids that the rings cover; a power of two. */
#define MID_WINDOW_SPREAD	(2 * MID_WINDOW_MAX_SPAN)

#define MID_INDEX_FIRST_BITS	6
#define MID_INDEX_GROW_BITS	2
#define MID_INDEX_MAX_BITS	16	/* for all that can be in flight */

#define MID_MAX_ABANDONED	(MID_ATLAS_MAX_MIDS / 4)
#define MID_MAX_QUARANTINE	BIT(30)	/* jiffies; half of what 32 bits can order */

/* mid_entry::ctx of an abandoned request. */
#define MID_GIVEN_UP		ERR_PTR(-ECANCELED)

/* The kinds of numbers that an entry is found by. */
enum mid_key_kind {
	MID_KEY_ID,
	MID_KEY_ASYNC,
	MID_KEYS
};

/**
 * struct mid_key - a number by which an entry is found
 * @node: in a chain of @index; unhashed if the entry has no such number
 * @index: the table that the key is in
 * @value: the number
 */
struct mid_key {
	struct hlist_node node;
	struct mid_index *index;
	u64 value;
};

/**
 * struct mid_entry - one request in flight
 * @ctx: the request, %NULL or %MID_GIVEN_UP; see the top of this file
 * @key: its id and its AsyncId
 * @epoch: the epoch of its ids
 * @charge: how many ids it has, from the id in @key on
 * @mid: the MID of the entry in the atlas
 * @born: the time of the associate, in jiffies
 * @expires: the end of the quarantine, in jiffies
 * @quarantine: in mid_window::abandoned
 * @next: the entry that was claimed before this one
 * @claimed: the value of @ctx before the claim
 * @rcu: frees the entry
 *
 * @key, @expires and @quarantine change under mid_window::lock.  @next and
 * @claimed belong to the caller that owns the entry.
 */
struct mid_entry {
	void *ctx;
	struct mid_key key[MID_KEYS];
	u32 epoch;
	unsigned int charge;
	u16 mid;
	unsigned long born;
	unsigned long expires;
	struct rb_node quarantine;
	struct mid_entry *next;
	void *claimed;
	struct rcu_head rcu;
};

/**
 * struct mid_index - finds entries by their keys
 * @older: the table before this one, while it still has keys
 * @rcu: frees the table
 * @bits: log2 of the number of buckets
 * @keys: how many keys are in it
 * @bucket: one chain for each kind of key
 */
struct mid_index {
	struct mid_index __rcu *older;
	struct rcu_head rcu;
	unsigned int bits;
	unsigned int keys;
	struct {
		struct hlist_head chain[MID_KEYS];
	} bucket[];
};

/**
 * struct mid_waiter - a task that waits for ids
 * @node: in a mid_window::queue while @err is -EAGAIN
 * @by_n: in mid_window::by_n, likewise
 * @woken: completed when another caller has changed @err
 * @n: how many ids it wants
 * @err: %-EAGAIN while it waits, 0 if it was given @span, otherwise the error
 *	that it returns
 * @span: its ids
 */
struct mid_waiter {
	struct list_head node;
	struct rb_node by_n;
	struct completion woken;
	unsigned int n;
	int err;
	struct mid_span span;
};

/**
 * struct mid_window - the ids of one connection
 * @rcu: frees the window
 * @index: finds the entry of an id
 * @atlas: all entries
 * @seed: the seed of the index' hash
 * @epoch: the number of the connection, never 0
 * @lock: protects all members below and serialises the writers of @index and
 *	@epoch; it is taken in hardirq, so it is a raw one
 * @next: the lowest new id
 * @limit: the lowest id that was not granted
 * @tail: no id below is unsent
 * @given_back: how many bits are set in @back
 * @longest: an upper bound of the longest run of bits in @back
 * @stalled: a reserve was refused because @tail is too far behind
 * @shut: all reserves fail, for ever
 * @waiting: tasks in mid_window_reserve_wait() or _urgent() that had to wait
 * @queue: those of them that have no ids yet: the ordinary and the urgent ones
 * @by_n: the same tasks, the one that wants the fewest ids first
 * @left: completed when, after @shut, no task is @waiting
 * @abandoned: entries in quarantine, the first to be released first
 * @nr_abandoned: how many
 * @expiry: releases them
 * @in_use: requests in flight or in quarantine
 * @high_water: the highest @in_use so far
 * @associated: requests that were given ids
 * @dissociated: requests that were taken out
 * @stale: dissociates of an id that was used and is no longer in flight
 * @unknown: dissociates of an id or AsyncId that is not known
 * @late: dissociates of an id in quarantine
 * @exhausted: reserves that were refused or had to wait
 * @lost: ids that were unsent too late for the rings
 * @unsent: a bit for each id from @tail to @next that was not sent
 * @back: a bit for each of these that was returned
 */
struct mid_window {
	struct rcu_head rcu;
	struct mid_index __rcu *index;
	struct mid_atlas *atlas;
	u64 seed;
	u32 epoch;

	raw_spinlock_t lock ____cacheline_aligned_in_smp;
	u64 next;
	u64 limit;
	u64 tail;
	unsigned int given_back;
	unsigned int longest;
	bool stalled;
	bool shut;
	unsigned int waiting;
	struct list_head queue[2];
	struct rb_root_cached by_n;
	struct completion left;
	struct rb_root_cached abandoned;
	unsigned int nr_abandoned;
	struct delayed_work expiry;
	unsigned int in_use;
	unsigned int high_water;
	u64 associated;
	u64 dissociated;
	u64 stale;
	u64 unknown;
	u64 late;
	u64 exhausted;
	u64 lost;
	DECLARE_BITMAP(unsent, MID_WINDOW_SPREAD);
	DECLARE_BITMAP(back, MID_WINDOW_SPREAD);
};

/*
 * All memory is allocated here.  An atomic allocation fails more often, and the
 * callers of associate handle -ENOMEM, so it does not warn.
 */
VISIBLE_IF_KUNIT void *mid_window_alloc(size_t size, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_window_alloc, size, gfp);

	if (gfpflags_allow_blocking(gfp))
		return kvzalloc(size, gfp);
	return kzalloc(size, gfp | __GFP_NOWARN);
}
EXPORT_SYMBOL_IF_KUNIT(mid_window_alloc);

/* The first id of a connection.  Tests begin near the end of the sequence. */
VISIBLE_IF_KUNIT u64 mid_window_first_id(void)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_window_first_id);

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(mid_window_first_id);

/*
 * The rings: one bit for each id, by id modulo MID_WINDOW_SPREAD
 */

static unsigned int mid_ring_bit(u64 id)
{
	return id & (MID_WINDOW_SPREAD - 1);
}

static bool mid_ring_test(const unsigned long *ring, u64 id)
{
	return test_bit(mid_ring_bit(id), ring);
}

static void mid_ring_set(unsigned long *ring, u64 first, unsigned int n)
{
	unsigned int bit = mid_ring_bit(first);
	unsigned int part = min_t(unsigned int, n, MID_WINDOW_SPREAD - bit);

	bitmap_set(ring, bit, part);
	bitmap_set(ring, 0, n - part);
}

static void mid_ring_clear(unsigned long *ring, u64 first, unsigned int n)
{
	unsigned int bit = mid_ring_bit(first);
	unsigned int part = min_t(unsigned int, n, MID_WINDOW_SPREAD - bit);

	bitmap_clear(ring, bit, part);
	bitmap_clear(ring, 0, n - part);
}

/* Returns the first id in [@id, @end) whose bit is set, or @end. */
static u64 mid_ring_next(const unsigned long *ring, u64 id, u64 end)
{
	unsigned int bit = mid_ring_bit(id);
	unsigned int part = min_t(u64, end - id, MID_WINDOW_SPREAD - bit);
	unsigned int found = find_next_bit(ring, bit + part, bit);

	id += found - bit;
	if (found < bit + part || id == end)
		return id;
	return id + find_next_bit(ring, end - id, 0);
}

/*
 * The window.  All of these functions are called under the lock.
 */

/* Initialises the window of a new connection: { @first }. */
static void mid_window_open(struct mid_window *w, u64 first)
{
	WRITE_ONCE(w->next, first);
	w->tail = first;
	w->limit = first + 1;
	w->given_back = 0;
	w->stalled = false;
	bitmap_zero(w->unsent, MID_WINDOW_SPREAD);
	bitmap_zero(w->back, MID_WINDOW_SPREAD);
}

static void mid_window_fill_span(struct mid_window *w, struct mid_span *span,
				 u64 first, unsigned int n)
{
	span->first = first;
	span->n = n;
	span->epoch = w->epoch;
}

/* Returns the length of the run of returned ids at @id, but not more than @n. */
static unsigned int mid_window_run(const struct mid_window *w, u64 id,
				   unsigned int n)
{
	unsigned int run = 0;

	while (run < n && id + run < w->next && mid_ring_test(w->back, id + run))
		run++;
	return run;
}

/* Takes the lowest @n consecutive returned ids. */
static bool mid_window_take_back(struct mid_window *w, unsigned int n,
				 struct mid_span *span)
{
	unsigned int run = 0;
	u64 id = w->tail;

	if (n > w->given_back || n > w->longest)
		return false;
	while ((id = mid_ring_next(w->back, id + run, w->next)) < w->next) {
		run = mid_window_run(w, id, n);
		if (run < n)
			continue;
		mid_ring_clear(w->back, id, n);
		w->given_back -= n;
		mid_window_fill_span(w, span, id, n);
		return true;
	}
	/* Do not search again until more ids are returned. */
	w->longest = n - 1;
	return false;
}

/* Takes @n new ids. */
static bool mid_window_take_new(struct mid_window *w, unsigned int n,
				struct mid_span *span)
{
	if (n > w->limit - w->next)
		return false;
	if (w->next + n - w->tail > MID_WINDOW_SPREAD) {
		w->tail = mid_ring_next(w->unsent, w->tail, w->next);
		w->stalled = w->next + n - w->tail > MID_WINDOW_SPREAD;
		if (w->stalled)
			return false;
	}
	mid_ring_set(w->unsent, w->next, n);
	mid_window_fill_span(w, span, w->next, n);
	WRITE_ONCE(w->next, w->next + n);
	return true;
}

static bool mid_window_take(struct mid_window *w, unsigned int n,
			    struct mid_span *span)
{
	return mid_window_take_back(w, n, span) ||
	       mid_window_take_new(w, n, span);
}

/* Makes @n unsent ids available again. */
static void mid_window_put(struct mid_window *w, u64 first, unsigned int n)
{
	u64 next = w->next;

	mid_ring_set(w->back, first, n);
	w->given_back += n;
	w->longest = MID_WINDOW_MAX_SPAN;

	while (next > w->tail && mid_ring_test(w->back, next - 1)) {
		next--;
		mid_ring_clear(w->back, next, 1);
		mid_ring_clear(w->unsent, next, 1);
		w->given_back--;
	}
	WRITE_ONCE(w->next, next);
}

/* Returns whether all ids of @span are unsent, and none was returned. */
static bool mid_window_holds(const struct mid_window *w,
			     const struct mid_span *span)
{
	unsigned int i;

	if (span->first < w->tail || span->n > w->next - span->first)
		return false;
	for (i = 0; i < span->n; i++)
		if (!mid_ring_test(w->unsent, span->first + i) ||
		    mid_ring_test(w->back, span->first + i))
			return false;
	return true;
}

/*
 * The queues.  All of these functions but mid_window_serve() are called under the
 * lock.
 */

static bool mid_waiter_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mid_waiter, by_n)->n <
	       rb_entry(b, struct mid_waiter, by_n)->n;
}

static void mid_waiter_enqueue(struct mid_window *w, struct mid_waiter *waiter,
			       bool urgent)
{
	w->waiting++;
	list_add_tail(&waiter->node, &w->queue[urgent]);
	rb_add_cached(&waiter->by_n, &w->by_n, mid_waiter_less);
}

static void mid_waiter_dequeue(struct mid_window *w, struct mid_waiter *waiter,
			       int err)
{
	waiter->err = err;
	list_del(&waiter->node);
	rb_erase_cached(&waiter->by_n, &w->by_n);
}

/* Wakes a waiter.  It may be gone once the lock is released. */
static void mid_waiter_release(struct mid_window *w, struct mid_waiter *waiter,
			       int err)
{
	mid_waiter_dequeue(w, waiter, err);
	complete(&waiter->woken);
}

static struct mid_waiter *mid_window_first_waiter(struct mid_window *w)
{
	struct list_head *queue = &w->queue[list_empty(&w->queue[true]) ? 0 : 1];

	lockdep_assert_held(&w->lock);

	return list_first_entry_or_null(queue, struct mid_waiter, node);
}

/* Returns the waiter that wants the fewest ids.  There must be a waiter. */
static struct mid_waiter *mid_window_least_waiter(struct mid_window *w)
{
	return rb_entry(rb_first_cached(&w->by_n), struct mid_waiter, by_n);
}

/* Gives ids to one waiter.  Returns whether there may be another to serve. */
static bool mid_window_serve_one(struct mid_window *w)
{
	struct mid_waiter *waiter = mid_window_first_waiter(w);

	if (!waiter)
		return false;
	if (!mid_window_take(w, waiter->n, &waiter->span)) {
		waiter = mid_window_least_waiter(w);
		if (!mid_window_take_back(w, waiter->n, &waiter->span))
			return false;
	}
	mid_waiter_release(w, waiter, 0);
	return true;
}

static void mid_window_serve(struct mid_window *w)
{
	unsigned long flags;
	bool more;

	/* One at a time: this bounds the time with interrupts off. */
	do {
		raw_spin_lock_irqsave(&w->lock, flags);
		more = mid_window_serve_one(w);
		raw_spin_unlock_irqrestore(&w->lock, flags);
	} while (more);
}

/*
 * Credits
 */

/**
 * mid_window_epoch - return the number of the current connection
 * @w: the window
 *
 * The receiver of a connection keeps the epoch and passes it with each id that
 * arrives on that connection.
 *
 * Context: Any context.
 * Return: the epoch, never 0.
 */
u32 mid_window_epoch(struct mid_window *w)
{
	return READ_ONCE(w->epoch);
}
EXPORT_SYMBOL_GPL(mid_window_epoch);

/**
 * mid_window_grant - add the credits of a response
 * @w: the window
 * @epoch: the epoch of the connection that the response arrived on
 * @credits: its CreditResponse
 *
 * Call this for every response, interim ones included, whether or not its id is
 * known: the server has counted the credits (MS-SMB2 3.2.5.1.4).  The window is
 * extended at its end, and waiters are served in order.  The last id is the one
 * before %MID_WINDOW_RESERVED; credits for more ids are dropped.
 *
 * Context: Any context but NMI.
 * Return: 0; %-ESTALE, with nothing changed, if @epoch is not the current one.
 */
int mid_window_grant(struct mid_window *w, u32 epoch, unsigned int credits)
{
	unsigned long flags;
	bool more = false;
	int err = -ESTALE;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (epoch == w->epoch) {
		w->limit += min_t(u64, credits, MID_WINDOW_RESERVED - w->limit);
		more = mid_window_serve_one(w);
		err = 0;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (more)
		mid_window_serve(w);
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_grant);

/**
 * mid_window_credits - return how many ids are available
 * @w: the window
 *
 * This is a hint for a caller that can choose the size of a request before it
 * reserves.  The ids need not be consecutive, and others may take them first.
 *
 * Context: Any context but NMI.
 * Return: the number, %UINT_MAX if it is larger.
 */
unsigned int mid_window_credits(struct mid_window *w)
{
	unsigned long flags;
	u64 credits;

	raw_spin_lock_irqsave(&w->lock, flags);
	credits = w->limit - w->next + w->given_back;
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return min_t(u64, credits, UINT_MAX);
}
EXPORT_SYMBOL_GPL(mid_window_credits);

/**
 * mid_window_next - return the lowest new id
 * @w: the window
 *
 * No id from this one on is reserved or used.  The value is diagnostic only, for
 * frequent log messages and tracepoints: it may change at any time, and a 32-bit
 * CPU may read half of the old and half of the new value.
 *
 * Context: Any context.  Takes no lock.
 * Return: the id.
 */
u64 mid_window_next(struct mid_window *w)
{
	return READ_ONCE(w->next);
}
EXPORT_SYMBOL_GPL(mid_window_next);

static bool mid_span_size_ok(unsigned int n)
{
	return n && n <= MID_WINDOW_MAX_SPAN;
}

/*
 * Returns 0, -ESHUTDOWN, or -EAGAIN if there are too few ids or others are first.
 * The remaining returned ids satisfy no waiter.  A caller that is not first may
 * have them if it wants fewer than every waiter.
 */
static int mid_window_try(struct mid_window *w, unsigned int n,
			  struct mid_span *span, bool urgent)
{
	bool first = list_empty(&w->queue[true]) &&
		     (urgent || list_empty(&w->queue[false]));

	lockdep_assert_held(&w->lock);

	if (w->shut)
		return -ESHUTDOWN;
	if (first ? mid_window_take(w, n, span) :
		    n < mid_window_least_waiter(w)->n &&
		    mid_window_take_back(w, n, span))
		return 0;
	w->exhausted++;
	return -EAGAIN;
}

/**
 * mid_window_reserve - reserve consecutive ids without waiting
 * @w: the window
 * @n: how many, the CreditCharge of one request or the sum of a compound
 * @span: where to store the ids
 *
 * Takes the lowest @n consecutive ids that were returned, otherwise @n new ones
 * (MS-SMB2 3.2.4.1.6).
 *
 * Context: Any context but NMI.
 * Return: 0, or, with nothing changed and *@span untouched,
 * %-EINVAL if @n is 0 or more than %MID_WINDOW_MAX_SPAN,
 * %-EAGAIN if there are not enough ids, if others wait for them, or if the lowest
 * unsent id is too far behind,
 * %-ESHUTDOWN if mid_window_drain() has begun.
 */
int mid_window_reserve(struct mid_window *w, unsigned int n,
		       struct mid_span *span)
{
	unsigned long flags;
	int err;

	if (!mid_span_size_ok(n))
		return -EINVAL;

	raw_spin_lock_irqsave(&w->lock, flags);
	err = mid_window_try(w, n, span, false);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_reserve);

/*
 * The waiter leaves, with the ids or the error that it was given, otherwise with
 * the error @why.  mid_window_destroy() waits until it is no longer counted in
 * mid_window::waiting, so the window exists until then.
 */
static int mid_waiter_leave(struct mid_window *w, struct mid_waiter *waiter,
			    int why)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (waiter->err == -EAGAIN)
		mid_waiter_dequeue(w, waiter, why);
	raw_spin_unlock_irqrestore(&w->lock, flags);

	/* Too few ids for this waiter may be enough for the next. */
	if (waiter->err)
		mid_window_serve(w);

	raw_spin_lock_irqsave(&w->lock, flags);
	if (!--w->waiting && w->shut)
		complete(&w->left);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return waiter->err;
}

static int mid_window_wait(struct mid_window *w, unsigned int n,
			   struct mid_span *span, unsigned long timeout,
			   bool urgent)
{
	struct mid_waiter waiter = { .n = n, .err = -EAGAIN };
	unsigned long flags;
	long left;
	int err;

	might_sleep();
	if (!mid_span_size_ok(n))
		return -EINVAL;

	init_completion(&waiter.woken);
	raw_spin_lock_irqsave(&w->lock, flags);
	err = mid_window_try(w, n, span, urgent);
	if (err == -EAGAIN && timeout)
		mid_waiter_enqueue(w, &waiter, urgent);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (err != -EAGAIN)
		return err;
	if (!timeout)
		return -ETIMEDOUT;

	timeout = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
	left = wait_for_completion_killable_timeout(&waiter.woken, timeout);
	err = mid_waiter_leave(w, &waiter, left ? left : -ETIMEDOUT);
	if (!err)
		*span = waiter.span;
	return err;
}

/**
 * mid_window_reserve_wait - reserve consecutive ids, waiting for them
 * @w: the window
 * @n: how many
 * @span: where to store the ids
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * Waiters are served first come, first served: new ids are kept for the task that
 * has waited longest until there are enough for it.  If the returned ids cannot
 * satisfy it, they go to the task that wants the fewest.  A task that wants more
 * ids than the server ever grants waits until its timeout, as do all tasks behind
 * it: see mid_window_credits().
 *
 * A waiter that is killed or times out leaves the queue; if it was given ids at
 * that very moment it uses them.  A reset does not change the queue; the ids are
 * then those of the new connection.
 *
 * Context: Process context.  May sleep.
 * Return: 0, or, with nothing changed and *@span untouched,
 * %-EINVAL if @n is 0 or more than %MID_WINDOW_MAX_SPAN,
 * %-ETIMEDOUT if there were not enough ids in time,
 * %-ERESTARTSYS if the task was killed,
 * %-ESHUTDOWN if mid_window_drain() or mid_window_destroy() has begun.
 */
int mid_window_reserve_wait(struct mid_window *w, unsigned int n,
			    struct mid_span *span, unsigned long timeout)
{
	return mid_window_wait(w, n, span, timeout, false);
}
EXPORT_SYMBOL_GPL(mid_window_reserve_wait);

/**
 * mid_window_reserve_urgent - reserve consecutive ids ahead of other waiters
 * @w: the window
 * @n: how many
 * @span: where to store the ids
 * @timeout: the longest to wait, in jiffies
 *
 * This is for the few requests on which the others depend: NEGOTIATE and
 * SESSION_SETUP after a reconnect, and the acknowledgment of a break.  Urgent
 * waiters are served first, in order among themselves.
 *
 * Context: Process context.  May sleep.
 * Return: as mid_window_reserve_wait().
 */
int mid_window_reserve_urgent(struct mid_window *w, unsigned int n,
			      struct mid_span *span, unsigned long timeout)
{
	return mid_window_wait(w, n, span, timeout, true);
}
EXPORT_SYMBOL_GPL(mid_window_reserve_urgent);

/**
 * mid_window_give_back - return reserved ids that were not used
 * @w: the window
 * @span: a span or a part of one; empty when this returns
 *
 * Spans may be returned in any order.  Returned ids are reserved again before new
 * ones, and together with their neighbours if those were returned, too.  Ids of an
 * old epoch are dropped.  An empty span is allowed.
 *
 * Context: Any context but NMI.
 */
void mid_window_give_back(struct mid_window *w, struct mid_span *span)
{
	unsigned long flags;
	bool more = false;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (span->n && span->epoch == w->epoch &&
	    !WARN_ON_ONCE(!mid_window_holds(w, span))) {
		mid_window_put(w, span->first, span->n);
		more = mid_window_serve_one(w);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	span->n = 0;
	if (more)
		mid_window_serve(w);
}
EXPORT_SYMBOL_GPL(mid_window_give_back);

/*
 * The index
 */

static struct mid_index *mid_index_alloc(unsigned int bits, gfp_t gfp)
{
	struct mid_index *t;

	t = mid_window_alloc(struct_size(t, bucket, BIT(bits)), gfp);
	if (t)
		t->bits = bits;
	return t;
}

static struct mid_index *mid_window_index_locked(struct mid_window *w)
{
	return rcu_dereference_protected(w->index, lockdep_is_held(&w->lock));
}

static struct hlist_head *mid_index_chain(const struct mid_window *w,
					  struct mid_index *t,
					  enum mid_key_kind kind, u64 value)
{
	return &t->bucket[hash_64(value ^ w->seed, t->bits)].chain[kind];
}

/* Finds the entry with this key.  Its request may be gone already. */
static struct mid_entry *mid_window_find(const struct mid_window *w,
					 enum mid_key_kind kind, u32 epoch,
					 u64 value)
{
	struct mid_index *t;
	struct mid_entry *e;
	struct mid_key *key;

	for (t = rcu_dereference(w->index); t; t = rcu_dereference(t->older)) {
		hlist_for_each_entry_rcu(key, mid_index_chain(w, t, kind, value),
					 node) {
			e = container_of(key - kind, struct mid_entry, key[0]);
			if (key->value == value && e->epoch == epoch)
				return e;
		}
	}
	return NULL;
}

/* The same, if @epoch is the current one. */
static struct mid_entry *mid_window_lookup(const struct mid_window *w,
					   enum mid_key_kind kind, u32 epoch,
					   u64 value)
{
	if (READ_ONCE(w->epoch) != epoch)
		return NULL;
	return mid_window_find(w, kind, epoch, value);
}

/* Removes an older table that has no keys, and frees it. */
static void mid_window_unlink(struct mid_window *w, struct mid_index *old)
{
	struct mid_index *t = mid_window_index_locked(w);
	struct mid_index *next;

	while ((next = rcu_dereference_protected(t->older, true)) != old)
		t = next;
	next = rcu_dereference_protected(old->older, true);
	rcu_assign_pointer(t->older, next);
	kvfree_rcu(old, rcu);
}

static void mid_window_hash(struct mid_window *w, struct mid_entry *e,
			    enum mid_key_kind kind, u64 value)
{
	struct mid_index *t = mid_window_index_locked(w);
	struct mid_key *key = &e->key[kind];

	key->value = value;
	key->index = t;
	t->keys++;
	hlist_add_head_rcu(&key->node, mid_index_chain(w, t, kind, value));
}

static void mid_window_unhash(struct mid_window *w, struct mid_entry *e,
			      enum mid_key_kind kind)
{
	struct mid_key *key = &e->key[kind];

	if (hlist_unhashed(&key->node))
		return;
	hlist_del_init_rcu(&key->node);
	if (!--key->index->keys && key->index != mid_window_index_locked(w))
		mid_window_unlink(w, key->index);
}

/* Adds a larger table if there are more requests than buckets.  May fail. */
static void mid_window_grow(struct mid_window *w, gfp_t gfp)
{
	struct mid_index *t, *old;
	unsigned long flags;
	unsigned int bits;

	rcu_read_lock();
	bits = rcu_dereference(w->index)->bits;
	rcu_read_unlock();
	if (likely(READ_ONCE(w->in_use) <= 1U << bits) ||
	    bits >= MID_INDEX_MAX_BITS)
		return;

	t = mid_index_alloc(bits + MID_INDEX_GROW_BITS, gfp);
	if (!t)
		return;
	raw_spin_lock_irqsave(&w->lock, flags);
	old = mid_window_index_locked(w);
	if (old->bits == bits) {
		RCU_INIT_POINTER(t->older, old);
		rcu_assign_pointer(w->index, t);
		if (!old->keys)
			mid_window_unlink(w, old);
		t = NULL;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	kvfree(t);
}

/*
 * Entries
 */

static bool mid_ctx_ok(const void *ctx)
{
	return !IS_ERR_OR_NULL(ctx);
}

/* Returns the request of @e if it is in flight, or NULL. */
static void *mid_entry_ctx(const struct mid_entry *e)
{
	/* Pairs with mid_entry_publish() or mid_window_reassociate(). */
	void *ctx = smp_load_acquire(&e->ctx);

	return mid_ctx_ok(ctx) ? ctx : NULL;
}

/* If this returns true, the caller owns @e and @ctx. */
static bool mid_entry_claim(struct mid_entry *e, void *ctx)
{
	return cmpxchg(&e->ctx, ctx, NULL) == ctx;
}

static struct mid_entry *mid_entry_alloc(const struct mid_span *span,
					 unsigned int charge, gfp_t gfp)
{
	struct mid_entry *e = mid_window_alloc(sizeof(*e), gfp);

	if (!e)
		return NULL;
	e->epoch = span->epoch;
	e->charge = charge;
	e->born = jiffies;
	RB_CLEAR_NODE(&e->quarantine);
	return e;
}

/* Gives @e its ids and, last, its request. */
static int mid_entry_publish(struct mid_window *w, struct mid_entry *e,
			     struct mid_span *span, void *ctx, u64 *id)
{
	unsigned long flags;
	bool more = false;
	int err = -ESTALE;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (span->epoch == w->epoch) {
		mid_ring_clear(w->unsent, span->first, e->charge);
		mid_window_hash(w, e, MID_KEY_ID, span->first);
		w->associated++;
		WRITE_ONCE(w->in_use, w->in_use + 1);
		w->high_water = max(w->high_water, w->in_use);
		/* Before the publication: @id may be a member of the request. */
		*id = span->first;
		span->first += e->charge;
		span->n -= e->charge;
		/* Pairs with the acquire in mid_entry_ctx(), and every xchg. */
		smp_store_release(&e->ctx, ctx);
		more = w->stalled && mid_window_serve_one(w);
		err = 0;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (more)
		mid_window_serve(w);
	return err;
}

/* Returns the ids of @e to the window, if the rings still cover them. */
static void mid_entry_put_ids(struct mid_window *w, const struct mid_entry *e)
{
	u64 first = e->key[MID_KEY_ID].value;

	if (e->epoch != w->epoch)
		return;
	if (w->next - first > MID_WINDOW_SPREAD) {
		w->lost += e->charge;
		return;
	}
	w->tail = min(w->tail, first);
	mid_ring_set(w->unsent, first, e->charge);
	mid_window_put(w, first, e->charge);
}

/*
 * Removes @e from the index, the quarantine and the atlas.  The caller has changed
 * mid_entry::ctx from @ctx to NULL.  If @unsent, the ids are returned.
 */
static void mid_entry_unlink(struct mid_window *w, struct mid_entry *e,
			     const void *ctx, bool unsent)
{
	unsigned long flags;
	bool more = false;

	raw_spin_lock_irqsave(&w->lock, flags);
	mid_window_unhash(w, e, MID_KEY_ID);
	mid_window_unhash(w, e, MID_KEY_ASYNC);
	if (!RB_EMPTY_NODE(&e->quarantine)) {
		rb_erase_cached(&e->quarantine, &w->abandoned);
		w->nr_abandoned--;
	}
	WRITE_ONCE(w->in_use, w->in_use - 1);
	w->dissociated += mid_ctx_ok(ctx);
	if (unsent) {
		mid_entry_put_ids(w, e);
		more = mid_window_serve_one(w);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (more)
		mid_window_serve(w);
	/* Last: once the slot is free, a drain may return, and a destroy follow. */
	mid_atlas_dissociate_if(w->atlas, e->mid, e);
}

static void mid_entry_retire(struct mid_window *w, struct mid_entry *e,
			     const void *ctx)
{
	mid_entry_unlink(w, e, ctx, false);
	kvfree_rcu(e, rcu);
}

/**
 * mid_window_associate - give a request ids of a span
 * @w: the window
 * @span: reserved ids; the ones that are used are removed from its front
 * @charge: how many to use, the request's CreditCharge; 1 if the dialect has
 *	none or the request carries 0
 * @ctx: any pointer but %NULL and error pointers; the window never follows it
 * @id: where to store the first of the ids, the request's MessageId; may be a
 *	member of the request
 * @gfp: how to allocate
 *
 * Call this just before the request is sent.  Others can find and claim the
 * request as soon as it is in flight, which may be before this returns.  They see
 * everything that was written into it before the call, and *@id.  If the request
 * then cannot be sent, see mid_window_unsend().
 *
 * Context: Any context but NMI in which @gfp may allocate.
 * Return: 0, or, with nothing changed and *@id untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer, or @charge is 0 or more than
 * the span has,
 * %-ESTALE if the span is of an earlier connection,
 * %-ENOSPC if %MID_ATLAS_MAX_MIDS requests are in flight or in quarantine,
 * %-ENOMEM,
 * %-ESHUTDOWN if mid_window_drain() has begun.
 */
int mid_window_associate(struct mid_window *w, struct mid_span *span,
			 unsigned int charge, void *ctx, u64 *id, gfp_t gfp)
{
	struct mid_entry *e;
	int err;

	if (!mid_ctx_ok(ctx) || !charge || charge > span->n)
		return -EINVAL;
	if (span->epoch != READ_ONCE(w->epoch))
		return -ESTALE;

	mid_window_grow(w, gfp);
	e = mid_entry_alloc(span, charge, gfp);
	if (!e)
		return -ENOMEM;
	err = mid_atlas_associate(w->atlas, e, &e->mid, gfp);
	if (err) {
		kvfree(e);
		return err;
	}
	/* Once it is published, a reply and a destroy may come before we return. */
	rcu_read_lock();
	err = mid_entry_publish(w, e, span, ctx, id);
	if (err) {
		mid_atlas_dissociate_if(w->atlas, e->mid, e);
		kvfree_rcu(e, rcu);
	}
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_associate);

/*
 * Lookup
 */

static void *mid_window_map_key(struct mid_window *w, enum mid_key_kind kind,
				u32 epoch, u64 value)
{
	struct mid_entry *e;
	void *ctx;

	rcu_read_lock();
	e = mid_window_lookup(w, kind, epoch, value);
	ctx = e ? mid_entry_ctx(e) : NULL;
	rcu_read_unlock();
	return ctx;
}

/**
 * mid_window_map - find the request of an id
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 *
 * The window holds no reference to requests.  The pointer is valid as long as
 * the caller knows that the request is: because it owns the request, or because
 * requests are freed after an RCU grace period and it is inside
 * rcu_read_lock().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the request whose first id is @id, an RCU-only pointer, or %NULL if
 * there is none: it is not in flight, or of another connection.
 */
void *mid_window_map(struct mid_window *w, u32 epoch, u64 id)
{
	return mid_window_map_key(w, MID_KEY_ID, epoch, id);
}
EXPORT_SYMBOL_GPL(mid_window_map);

/**
 * mid_window_map_get_put - find the request of an id and take a reference
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 * @get: takes a reference, or returns false if there is none to be had, as
 *	kref_get_unless_zero() does; called inside rcu_read_lock()
 * @put: drops the reference that @get took; may be %NULL, see mid_window_map_get()
 *
 * @get is called at most once.  After it the entry is checked again: if its
 * request has changed or left, the reference is dropped.
 *
 * Context: Any context but NMI, as far as @get and @put allow.
 * Return: the request whose first id is @id, with a strong reference, or %NULL.
 */
void *mid_window_map_get_put(struct mid_window *w, u32 epoch, u64 id,
			     bool (*get)(void *ctx), void (*put)(void *ctx))
{
	struct mid_entry *e;
	void *ctx;

	rcu_read_lock();
	e = mid_window_lookup(w, MID_KEY_ID, epoch, id);
	ctx = e ? mid_entry_ctx(e) : NULL;
	if (ctx && !get(ctx))
		ctx = NULL;
	/* @get may order nothing: take the reference, then recheck [get-recheck]. */
	smp_rmb();
	if (ctx && mid_entry_ctx(e) != ctx) {
		if (put)
			put(ctx);
		ctx = NULL;
	}
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_map_get_put);

/**
 * mid_window_map_get - find the request of an id and call @get on it
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 * @get: pins the request, or returns false; called inside rcu_read_lock()
 *
 * This is mid_window_map_get_put() without a @put: if the request left while @get
 * ran, %NULL is returned although @get has returned true.  Use it only for a
 * @get that needs no undo.
 *
 * Context: Any context but NMI, as far as @get allows.
 * Return: the request whose first id is @id, or %NULL.
 */
void *mid_window_map_get(struct mid_window *w, u32 epoch, u64 id,
			 bool (*get)(void *ctx))
{
	return mid_window_map_get_put(w, epoch, id, get, NULL);
}
EXPORT_SYMBOL_GPL(mid_window_map_get);

/*
 * Claims
 */

/* Counts a reply that has no request: it is stale if its id was used. */
static noinline void mid_window_missed(struct mid_window *w,
				       enum mid_key_kind kind, u32 epoch,
				       u64 value)
{
	unsigned long flags;
	bool used;

	raw_spin_lock_irqsave(&w->lock, flags);
	used = kind == MID_KEY_ID && value < w->next &&
	       (value < w->tail || !mid_ring_test(w->unsent, value));
	if (used || epoch != w->epoch)
		w->stale++;
	else
		w->unknown++;
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

static void mid_window_count_late(struct mid_window *w)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	w->late++;
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

static void *mid_window_dissociate_key(struct mid_window *w,
				       enum mid_key_kind kind, u32 epoch,
				       u64 value)
{
	struct mid_entry *e;
	void *ctx = NULL;

	rcu_read_lock();
	e = mid_window_lookup(w, kind, epoch, value);
	if (e)
		ctx = xchg(&e->ctx, NULL);
	if (!ctx)
		mid_window_missed(w, kind, epoch, value);
	if (ctx == MID_GIVEN_UP)
		mid_window_count_late(w);
	if (ctx)
		mid_entry_retire(w, e, ctx);
	rcu_read_unlock();
	return mid_ctx_ok(ctx) ? ctx : NULL;
}

/**
 * mid_window_dissociate - take the request of an id out of the window
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 *
 * This is the claim: however many callers race for one id, for the reply, the
 * timeout, the signal and the reset, one of them gets the request and all others
 * get %NULL.  Call it for the late reply to an abandoned id, too, so that the
 * window forgets the id.  The ids stay used.
 *
 * Context: Any context but NMI.
 * Return: the request, which the caller now owns, or %NULL if @id has none.
 */
void *mid_window_dissociate(struct mid_window *w, u32 epoch, u64 id)
{
	return mid_window_dissociate_key(w, MID_KEY_ID, epoch, id);
}
EXPORT_SYMBOL_GPL(mid_window_dissociate);

/* Claims the entry of @id if it still has @ctx, or returns NULL. */
static struct mid_entry *mid_window_claim_if(struct mid_window *w, u32 epoch,
					     u64 id, void *ctx)
{
	struct mid_entry *e;

	if (!mid_ctx_ok(ctx))
		return NULL;
	e = mid_window_lookup(w, MID_KEY_ID, epoch, id);
	return e && mid_entry_claim(e, ctx) ? e : NULL;
}

/**
 * mid_window_dissociate_if - take a request out of the window, if it is still in
 * @w: the window
 * @epoch: the epoch of the connection that it was associated on
 * @id: the first id that the request was given
 * @ctx: the request
 *
 * This is the claim of a timer or a canceller, which knows the request and must
 * find out whether it may still end it.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another caller owns it.
 */
bool mid_window_dissociate_if(struct mid_window *w, u32 epoch, u64 id,
			      void *ctx)
{
	struct mid_entry *e;

	rcu_read_lock();
	e = mid_window_claim_if(w, epoch, id, ctx);
	if (e)
		mid_entry_retire(w, e, ctx);
	rcu_read_unlock();
	return e;
}
EXPORT_SYMBOL_GPL(mid_window_dissociate_if);

/**
 * mid_window_unsend - claim a request that was not sent and return its ids
 * @w: the window
 * @epoch: the epoch of the connection that it was associated on
 * @id: the first id that the request was given
 * @ctx: the request
 *
 * This is mid_window_dissociate_if() for a request of which the server has not
 * seen a single byte, and will not see one.  Its ids become available again.  If
 * in doubt, use mid_window_dissociate_if(): an id that the server sees twice ends
 * the connection.
 *
 * Call this soon after the associate.  Ids that are more than twice
 * %MID_WINDOW_MAX_SPAN below the newest one are lost.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another caller owns it, for example a reset.
 */
bool mid_window_unsend(struct mid_window *w, u32 epoch, u64 id, void *ctx)
{
	struct mid_entry *e;

	rcu_read_lock();
	e = mid_window_claim_if(w, epoch, id, ctx);
	if (e) {
		mid_entry_unlink(w, e, ctx, true);
		kvfree_rcu(e, rcu);
	}
	rcu_read_unlock();
	return e;
}
EXPORT_SYMBOL_GPL(mid_window_unsend);

/**
 * mid_window_reassociate - give the id of one request to another
 * @w: the window
 * @epoch: the epoch of the connection that it was associated on
 * @id: the first id that the request was given
 * @new_ctx: the request that gets it
 *
 * This is one step: a map or dissociate at the same time gets the old request or
 * the new one, and never finds that the id has none.  The caller that gets
 * @new_ctx sees everything that was written into it before this call.
 *
 * Context: Any context but NMI.  Takes no lock.
 * Return: the old request, which the caller now owns; %NULL, with nothing
 * stored, if @id has no request; ERR_PTR(%-EINVAL) if @new_ctx is %NULL or an
 * error pointer.
 */
void *mid_window_reassociate(struct mid_window *w, u32 epoch, u64 id,
			     void *new_ctx)
{
	struct mid_entry *e;
	void *ctx = NULL;

	if (!mid_ctx_ok(new_ctx))
		return ERR_PTR(-EINVAL);

	rcu_read_lock();
	e = mid_window_lookup(w, MID_KEY_ID, epoch, id);
	if (e)
		do {
			ctx = mid_entry_ctx(e);
		} while (ctx && cmpxchg(&e->ctx, ctx, new_ctx) != ctx);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_reassociate);

/*
 * Quarantine.  The lock protects the tree.
 *
 *	T1: dissociate(id) (reply)	T2: abandon(id) (signal)
 *
 *					lock
 *	finds e				cmpxchg ctx -> GIVEN_UP: ok
 *	xchg -> NULL: GIVEN_UP
 *					e into the tree
 *					unlock
 *	lock, e out of the tree		returns true, ctx is T2's
 *	unlock, late, frees e
 *	returns NULL
 *
 * If T1's xchg comes first, abandon returns false.
 */

static bool mid_quarantine_less(struct rb_node *a, const struct rb_node *b)
{
	return time_before(rb_entry(a, struct mid_entry, quarantine)->expires,
			   rb_entry(b, struct mid_entry, quarantine)->expires);
}

/* Returns the first entry to be released, or NULL. */
static struct mid_entry *mid_window_first_abandoned(struct mid_window *w)
{
	struct rb_node *node = rb_first_cached(&w->abandoned);

	lockdep_assert_held(&w->lock);

	return node ? rb_entry(node, struct mid_entry, quarantine) : NULL;
}

/* Makes @expiry run when the quarantine of @e ends. */
static void mid_window_arm(struct mid_window *w, const struct mid_entry *e)
{
	lockdep_assert_held(&w->lock);

	cancel_delayed_work(&w->expiry);
	schedule_delayed_work(&w->expiry, max((long)(e->expires - jiffies), 0l));
}

/* Removes @e from the tree.  Returns whether the caller has to retire it. */
static bool mid_window_release(struct mid_window *w, struct mid_entry *e)
{
	lockdep_assert_held(&w->lock);

	rb_erase_cached(&e->quarantine, &w->abandoned);
	RB_CLEAR_NODE(&e->quarantine);
	w->nr_abandoned--;
	return mid_entry_claim(e, MID_GIVEN_UP);
}

/* Removes the next entry that has expired from the tree, or returns NULL. */
static struct mid_entry *mid_window_next_expired(struct mid_window *w)
{
	struct mid_entry *e;
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	while ((e = mid_window_first_abandoned(w))) {
		if (time_before(jiffies, e->expires)) {
			mid_window_arm(w, e);
			e = NULL;
			break;
		}
		if (mid_window_release(w, e))
			break;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return e;
}

static void mid_window_expire(struct work_struct *work)
{
	struct mid_window *w = container_of(to_delayed_work(work),
					    struct mid_window, expiry);
	struct mid_entry *e;

	while ((e = mid_window_next_expired(w)))
		mid_entry_retire(w, e, MID_GIVEN_UP);
}

/*
 * Adds @e to the tree.  Its request was replaced with GIVEN_UP.  If the quarantine
 * is full, returns the entry that had to leave and is to be retired.
 */
static struct mid_entry *mid_window_quarantine(struct mid_window *w,
					       struct mid_entry *e,
					       unsigned long quarantine)
{
	struct mid_entry *first = NULL;

	lockdep_assert_held(&w->lock);

	w->dissociated++;
	if (w->nr_abandoned >= MID_MAX_ABANDONED) {
		first = mid_window_first_abandoned(w);
		if (!mid_window_release(w, first))
			first = NULL;
	}
	e->expires = jiffies + quarantine;
	w->nr_abandoned++;
	if (rb_add_cached(&e->quarantine, &w->abandoned, mid_quarantine_less))
		mid_window_arm(w, e);
	return first;
}

/**
 * mid_window_abandon - give up a request whose reply may still come
 * @w: the window
 * @epoch: the epoch of the connection that it was associated on
 * @id: the first id that the request was given
 * @ctx: the request
 * @quarantine: for how long to remember the id, in jiffies; 0 not at all, and
 *	never longer than 2^30
 *
 * This is for a requester that cannot wait, for example a task that was killed.
 * The caller owns the request at once.  The id stays in use until one of these:
 * mid_window_dissociate() is called for its late reply, which returns %NULL and
 * counts it as late; the quarantine has passed; mid_window_reset() or
 * mid_window_claim_all() is called; mid_window_claim_older() is called with an
 * age that it has reached.  At most a quarter of %MID_ATLAS_MAX_MIDS ids are
 * remembered: beyond that, the id whose quarantine would end first is forgotten.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another caller owns it.
 */
bool mid_window_abandon(struct mid_window *w, u32 epoch, u64 id, void *ctx,
			unsigned long quarantine)
{
	struct mid_entry *e, *first = NULL;
	unsigned long flags;
	bool ours = false;

	if (!mid_ctx_ok(ctx))
		return false;
	if (!quarantine)
		return mid_window_dissociate_if(w, epoch, id, ctx);
	quarantine = min(quarantine, MID_MAX_QUARANTINE);

	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	e = mid_window_lookup(w, MID_KEY_ID, epoch, id);
	if (e && cmpxchg(&e->ctx, ctx, MID_GIVEN_UP) == ctx) {
		first = mid_window_quarantine(w, e, quarantine);
		ours = true;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (first)
		mid_entry_retire(w, first, MID_GIVEN_UP);
	rcu_read_unlock();
	return ours;
}
EXPORT_SYMBOL_GPL(mid_window_abandon);

/*
 * AsyncIds
 */

/**
 * mid_window_note_async - store the AsyncId of an interim response
 * @w: the window
 * @epoch: the epoch of the connection that the response arrived on
 * @id: its MessageId
 * @async_id: its AsyncId
 *
 * A server that needs time to answer sends STATUS_PENDING and an AsyncId
 * (MS-SMB2 3.2.5.1.5).  The request stays in flight, and from now on either
 * number finds it.  For the credits of the response, call mid_window_grant().
 *
 * Context: Any context but NMI.
 * Return: 0, also if this AsyncId is stored already, or, with nothing changed,
 * %-EINVAL if @async_id is 0, which no server may send (3.3.4.2),
 * %-ESTALE if @epoch is not the current one,
 * %-ENOENT if @id has no request,
 * %-EEXIST if another request has this AsyncId, or this one has another.
 */
int mid_window_note_async(struct mid_window *w, u32 epoch, u64 id, u64 async_id)
{
	struct mid_entry *e, *other;
	unsigned long flags;
	int err = 0;

	if (!async_id)
		return -EINVAL;

	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	e = mid_window_find(w, MID_KEY_ID, epoch, id);
	other = mid_window_find(w, MID_KEY_ASYNC, epoch, async_id);
	if (epoch != w->epoch)
		err = -ESTALE;
	else if (!e || !mid_entry_ctx(e))
		err = -ENOENT;
	else if (other ? other != e : !hlist_unhashed(&e->key[MID_KEY_ASYNC].node))
		err = -EEXIST;
	else if (!other)
		mid_window_hash(w, e, MID_KEY_ASYNC, async_id);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_note_async);

/**
 * mid_window_async_id - return the AsyncId of a request, for a CANCEL
 * @w: the window
 * @epoch: the epoch of the connection that it was associated on
 * @id: the first id that the request was given
 * @async_id: where to store its AsyncId
 *
 * A CANCEL carries the MessageId of the request and, if an interim response has
 * arrived, its AsyncId.  It uses no id and no credit, and gets no reply (MS-SMB2
 * 3.2.4.24).
 *
 * Context: Any context but NMI.
 * Return: true if the request is in flight and has an AsyncId; false, with
 * *@async_id untouched, if not.
 */
bool mid_window_async_id(struct mid_window *w, u32 epoch, u64 id, u64 *async_id)
{
	struct mid_entry *e;
	unsigned long flags;
	bool found;

	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	e = mid_window_lookup(w, MID_KEY_ID, epoch, id);
	found = e && mid_entry_ctx(e) &&
		!hlist_unhashed(&e->key[MID_KEY_ASYNC].node);
	if (found)
		*async_id = e->key[MID_KEY_ASYNC].value;
	raw_spin_unlock_irqrestore(&w->lock, flags);
	rcu_read_unlock();
	return found;
}
EXPORT_SYMBOL_GPL(mid_window_async_id);

/**
 * mid_window_map_async - find the request of an AsyncId
 * @w: the window
 * @epoch: the epoch of the connection that the AsyncId arrived on
 * @async_id: any value, as it came from the wire
 *
 * Like mid_window_map().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the request that has @async_id, an RCU-only pointer, or %NULL.
 */
void *mid_window_map_async(struct mid_window *w, u32 epoch, u64 async_id)
{
	return mid_window_map_key(w, MID_KEY_ASYNC, epoch, async_id);
}
EXPORT_SYMBOL_GPL(mid_window_map_async);

/**
 * mid_window_dissociate_async - take the request of an AsyncId out of the window
 * @w: the window
 * @epoch: the epoch of the connection that the AsyncId arrived on
 * @async_id: any value, as it came from the wire
 *
 * Like mid_window_dissociate().
 *
 * Context: Any context but NMI.
 * Return: the request, which the caller now owns, or %NULL if @async_id has none.
 */
void *mid_window_dissociate_async(struct mid_window *w, u32 epoch, u64 async_id)
{
	return mid_window_dissociate_key(w, MID_KEY_ASYNC, epoch, async_id);
}
EXPORT_SYMBOL_GPL(mid_window_dissociate_async);

/*
 * All requests
 */

/**
 * struct mid_visit - the state of a mid_window_for_each()
 * @w: the window
 * @fn: is called for each request
 * @arg: passed to @fn
 * @n: how many requests @fn was called for
 */
struct mid_visit {
	struct mid_window *w;
	mid_window_fn fn;
	void *arg;
	unsigned int n;
};

static void mid_entry_visit(void *entry, u16 mid, void *arg)
{
	struct mid_entry *e = entry;
	struct mid_visit *visit = arg;
	void *ctx = mid_entry_ctx(e);

	if (!ctx || e->epoch != READ_ONCE(visit->w->epoch))
		return;
	visit->fn(ctx, e->key[MID_KEY_ID].value, visit->arg);
	visit->n++;
}

/**
 * mid_window_for_each - call a function for each request in flight
 * @w: the window
 * @fn: is called for each, inside rcu_read_lock(), and must not sleep
 * @arg: passed to @fn
 *
 * The requests stay in the window, and may leave it at any time; @fn gets an
 * RCU-only pointer.  Requests that come or leave meanwhile may be seen or not.
 * The order is not specified.
 *
 * Context: Any context but NMI, as far as @fn allows.  The time is proportional to
 * the highest number of requests in flight so far.
 * Return: how many requests @fn was called for.
 */
unsigned int mid_window_for_each(struct mid_window *w, mid_window_fn fn,
				 void *arg)
{
	struct mid_visit visit = { .w = w, .fn = fn, .arg = arg };

	mid_atlas_for_each(w->atlas, mid_entry_visit, &visit);
	return visit.n;
}
EXPORT_SYMBOL_GPL(mid_window_for_each);

/**
 * struct mid_claim - the state of a mid_window_claim()
 * @w: the window
 * @epoch: claim entries of this epoch only; 0 for all
 * @age: claim entries of this age or older, in jiffies
 * @first: the last entry that was claimed, linked to the others by mid_entry::next
 */
struct mid_claim {
	struct mid_window *w;
	u32 epoch;
	unsigned long age;
	struct mid_entry *first;
};

static void mid_claim_entry(void *entry, u16 mid, void *arg)
{
	struct mid_entry *e = entry;
	struct mid_claim *claim = arg;
	void *ctx;

	if ((claim->epoch && e->epoch != claim->epoch) ||
	    jiffies - e->born < claim->age)
		return;
	/* NULL: it is not published yet, or another caller has claimed it. */
	ctx = xchg(&e->ctx, NULL);
	if (!ctx)
		return;
	mid_entry_unlink(claim->w, e, ctx, false);
	e->claimed = ctx;
	e->next = claim->first;
	claim->first = e;
}

/*
 * Claims all entries first and calls @fn later: @fn may sleep, and must not be
 * called inside the RCU section of mid_atlas_for_each().
 */
static unsigned int mid_window_claim(struct mid_window *w, u32 epoch,
				     unsigned long age, mid_window_fn fn,
				     void *arg)
{
	struct mid_claim claim = { .w = w, .epoch = epoch, .age = age };
	struct mid_entry *e;
	unsigned int n = 0;

	mid_atlas_for_each(w->atlas, mid_claim_entry, &claim);
	while ((e = claim.first)) {
		claim.first = e->next;
		if (mid_ctx_ok(e->claimed)) {
			if (fn)
				fn(e->claimed, e->key[MID_KEY_ID].value, arg);
			n++;
		}
		kvfree_rcu(e, rcu);
	}
	return n;
}

/**
 * mid_window_claim_all - take all requests out of the window
 * @w: the window
 * @fn: is called for each request, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * Every request that was in flight when this began is passed to @fn, which then
 * owns it, or was claimed by another caller.  A request that is associated
 * meanwhile may stay.  The epoch does not change; for that, see
 * mid_window_reset().
 *
 * Context: Any context but NMI, as far as @fn allows.  The time is proportional to
 * the highest number of requests in flight so far.
 * Return: how many requests were claimed.
 */
unsigned int mid_window_claim_all(struct mid_window *w, mid_window_fn fn,
				  void *arg)
{
	return mid_window_claim(w, 0, 0, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_window_claim_all);

/**
 * mid_window_claim_older - take all requests of an age out of the window
 * @w: the window
 * @age: the least age, in jiffies
 * @fn: is called for each request, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * This is for timeouts: it claims every request that was associated at least
 * @age ago.  A reassociate does not change the age.
 *
 * Context: Any context but NMI, as far as @fn allows.  The time is proportional to
 * the highest number of requests in flight so far.
 * Return: how many requests were claimed.
 */
unsigned int mid_window_claim_older(struct mid_window *w, unsigned long age,
				    mid_window_fn fn, void *arg)
{
	return mid_window_claim(w, 0, age, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_window_claim_older);

/**
 * mid_window_reset - begin a new connection
 * @w: the window
 * @fn: is called for each request of the old one, outside every lock; may be
 *	%NULL
 * @arg: passed to @fn
 *
 * This is for a reconnect.  From now on no id of the old connection maps, its
 * spans cannot be associated, and its credits are refused.  Every request that
 * was in flight is passed to @fn, which then owns it, or was claimed by another
 * caller.  The new connection has one id, which needs no credit.  Tasks that wait
 * for ids stay in the queue, see mid_window_reserve_urgent().
 *
 * One of these tasks may have got the first id when this returns.  @fn must not
 * wait for another request: @fn may not have been called for it yet, or it may
 * wait for an id of the new connection.
 *
 * Context: Any context but NMI, as far as @fn allows.  The time is proportional to
 * the highest number of requests in flight so far.
 * Return: the new epoch.
 */
u32 mid_window_reset(struct mid_window *w, mid_window_fn fn, void *arg)
{
	u64 first = mid_window_first_id();
	unsigned long flags;
	u32 old, new;

	raw_spin_lock_irqsave(&w->lock, flags);
	old = w->epoch;
	new = old + 1 ? : 1;
	WRITE_ONCE(w->epoch, new);
	mid_window_open(w, first);
	raw_spin_unlock_irqrestore(&w->lock, flags);

	mid_window_serve(w);
	mid_window_claim(w, old, 0, fn, arg);
	return new;
}
EXPORT_SYMBOL_GPL(mid_window_reset);

/*
 * Shutdown
 */

/*
 * Makes all later reserves fail, and wakes the waiters.
 *
 *	T1: drain			T2: reserve_wait
 *
 *	lock, shut = true		lock
 *	wakes all queued waiters		shut? leaves; else into the queue
 *	unlock				unlock
 */
static void mid_window_shut(struct mid_window *w)
{
	struct mid_waiter *waiter;
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	w->shut = true;
	while ((waiter = mid_window_first_waiter(w))) {
		mid_waiter_release(w, waiter, -ESHUTDOWN);
		/* One at a time: this bounds the time with interrupts off. */
		raw_spin_unlock_irqrestore(&w->lock, flags);
		raw_spin_lock_irqsave(&w->lock, flags);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/* Waits until the last waiter has left.  Called after mid_window_shut(). */
static void mid_window_await_waiters(struct mid_window *w)
{
	unsigned long flags;
	bool waiting;

	for (;;) {
		raw_spin_lock_irqsave(&w->lock, flags);
		waiting = w->waiting;
		raw_spin_unlock_irqrestore(&w->lock, flags);
		if (!waiting)
			break;
		wait_for_completion(&w->left);
	}
}

/**
 * mid_window_drain - wait until nothing is in flight
 * @w: the window
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * From now on, and for ever, reserves and associates fail with %-ESHUTDOWN, and
 * tasks that wait for ids leave with it.  Then this waits until every request has
 * been taken out and every abandoned id is forgotten.  It may be called again,
 * and by several tasks.
 *
 * Context: Process context.  May sleep.
 * Return: 0 when nothing is in use; %-ETIMEDOUT or, if the task was killed,
 * %-ERESTARTSYS, and requests that are still in use are untouched.
 */
int mid_window_drain(struct mid_window *w, unsigned long timeout)
{
	might_sleep();

	mid_window_shut(w);
	return mid_atlas_drain(w->atlas, timeout);
}
EXPORT_SYMBOL_GPL(mid_window_drain);

static void mid_stats_oldest(void *entry, u16 mid, void *arg)
{
	struct mid_entry *e = entry;
	struct mid_window_stats *stats = arg;

	if (mid_entry_ctx(e))
		stats->oldest = max(stats->oldest, jiffies - e->born);
}

static void mid_window_stats_locked(struct mid_window *w,
				    struct mid_window_stats *stats)
{
	lockdep_assert_held(&w->lock);

	stats->epoch = w->epoch;
	stats->next = w->next;
	stats->credits = w->limit - w->next + w->given_back;
	stats->given_back = w->given_back;
	stats->in_use = w->in_use;
	stats->high_water = w->high_water;
	stats->abandoned = w->nr_abandoned;
	stats->waiters = w->waiting;
	stats->buckets = 1U << mid_window_index_locked(w)->bits;
	stats->associated = w->associated;
	stats->dissociated = w->dissociated;
	stats->stale = w->stale;
	stats->unknown = w->unknown;
	stats->late = w->late;
	stats->exhausted = w->exhausted;
	stats->lost = w->lost;
}

/**
 * mid_window_stats - get the state of a window
 * @w: the window
 * @stats: where to store it
 *
 * All values but @slots and @oldest are from the same moment.
 *
 * Context: Any context but NMI.  The time is proportional to the highest number
 * of requests in flight so far.
 */
void mid_window_stats(struct mid_window *w, struct mid_window_stats *stats)
{
	struct mid_atlas_stats atlas;
	unsigned long flags;

	memset(stats, 0, sizeof(*stats));
	mid_atlas_for_each(w->atlas, mid_stats_oldest, stats);
	mid_atlas_stats(w->atlas, &atlas);
	stats->slots = atlas.slots;

	raw_spin_lock_irqsave(&w->lock, flags);
	mid_window_stats_locked(w, stats);
	raw_spin_unlock_irqrestore(&w->lock, flags);
}
EXPORT_SYMBOL_GPL(mid_window_stats);

/*
 * Creation and destruction
 */

static void mid_window_init(struct mid_window *w)
{
	raw_spin_lock_init(&w->lock);
	INIT_LIST_HEAD(&w->queue[false]);
	INIT_LIST_HEAD(&w->queue[true]);
	w->by_n = RB_ROOT_CACHED;
	w->abandoned = RB_ROOT_CACHED;
	init_completion(&w->left);
	INIT_DELAYED_WORK(&w->expiry, mid_window_expire);
	w->seed = get_random_u64();
	w->epoch = 1;
	mid_window_open(w, mid_window_first_id());
}

/* Frees the window and its index after a grace period. */
static void mid_window_free(struct mid_window *w)
{
	struct mid_index *t, *older;

	for (t = rcu_dereference_protected(w->index, true); t; t = older) {
		older = rcu_dereference_protected(t->older, true);
		kvfree_rcu(t, rcu);
	}
	kvfree_rcu(w, rcu);
}

/**
 * mid_window_create - make a window for one connection
 * @name: a name for the operator; copied
 * @gfp: how to allocate
 *
 * A new window is {0}: it has one id.
 *
 * Context: Process context.  May sleep if @gfp allows it.
 * Return: the window, to be passed to mid_window_destroy();
 * ERR_PTR(%-EINVAL) if there is no name;
 * ERR_PTR(%-ENOMEM).
 */
struct mid_window *mid_window_create(const char *name, gfp_t gfp)
{
	struct mid_atlas *atlas;
	struct mid_window *w;
	struct mid_index *t;

	atlas = mid_atlas_create(name, MID_ATLAS_MAX_MIDS, 0, gfp);
	if (IS_ERR(atlas))
		return ERR_CAST(atlas);
	w = mid_window_alloc(sizeof(*w), gfp);
	t = mid_index_alloc(MID_INDEX_FIRST_BITS, gfp);
	if (!w || !t) {
		mid_atlas_destroy(atlas, NULL, NULL);
		kvfree(t);
		kvfree(w);
		return ERR_PTR(-ENOMEM);
	}

	mid_window_init(w);
	w->atlas = atlas;
	RCU_INIT_POINTER(w->index, t);
	return w;
}
EXPORT_SYMBOL_GPL(mid_window_create);

/**
 * mid_window_destroy - end a window
 * @w: the window, or %NULL
 * @destructor: is called for each request that is still in flight; may be %NULL
 * @arg: passed to @destructor
 *
 * @destructor is called once for each request, outside every lock, and may sleep;
 * it owns the request.
 *
 * The caller guarantees that no other call is in progress when this begins, and
 * that none begins later.  There are two exceptions.  A lookup inside an
 * rcu_read_lock() that began earlier is safe, because the memory is freed after a
 * grace period.  Tasks that wait for ids get %-ESHUTDOWN, and have left before
 * @destructor is called.
 *
 * Context: Process context.  May sleep.
 */
void mid_window_destroy(struct mid_window *w, mid_window_fn destructor,
			void *arg)
{
	if (!w)
		return;
	might_sleep();

	mid_window_shut(w);
	mid_window_await_waiters(w);
	cancel_delayed_work_sync(&w->expiry);
	mid_window_claim(w, 0, 0, destructor, arg);
	mid_atlas_destroy(w->atlas, NULL, NULL);
	mid_window_free(w);
}
EXPORT_SYMBOL_GPL(mid_window_destroy);

MODULE_DESCRIPTION("MessageId windows: tracks the in-flight SMB2/3 requests of a connection");
MODULE_LICENSE("GPL");
