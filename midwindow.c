// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * The [brackets] name tests in tests/litmus/.
 *
 * A window hands out the ids that the server's credits allow, and remembers
 * whose they are while the requests are in flight.  The first half is a matter
 * of a lock and two bitmaps.  For the second half it stands on an atlas
 * (midatlas.h): each request has an *entry*, the entry is a context there, and
 * the atlas lists, limits and drains what is in flight.  What the window adds
 * is an index that finds the entry of a 64-bit id.
 *
 * The ids of an epoch
 * ===================
 *
 *	0            tail                  next             limit
 *	+-------------+---------------------+----------------+- - - ->
 *	|    used     | used, span or back  |   available    | not granted
 *	+-------------+---------------------+----------------+- - - ->
 *	              |<----- at most MID_WINDOW_SPREAD ----->
 *
 * Ids from @next to @limit are granted and were never reserved: one number
 * moves for a grant, the other for a reserve.  Below @next most ids are used
 * for good.  The exceptions are *unsent*: they are in somebody's span, or were
 * given *back*.  A bit each, in two rings, says which; giving back sets bits,
 * so adjoining ranges merge by themselves, and what adjoins @next lowers it.
 * Nothing is allocated and nothing can fail.
 *
 * "The client MUST use the lowest available range of consecutive sequence
 * numbers" (3.2.4.1.6): a reserve looks for a run of bits in @back from @tail
 * on, and takes new ids only if there is none.  This is not pedantry.  A server
 * may wait for the lowest id that it has not seen, and grant nothing until it
 * comes (3.3.1.1); an id beyond the window, or one seen before, ends the
 * connection (3.3.5.2.3).  A hole kills a connection slowly, a repeated id at
 * once.
 *
 * The rings cover MID_WINDOW_SPREAD ids.  No id is issued that is as far as
 * that from the lowest unsent one: who holds a span for ever stops the window
 * here, as it would stop the server's.  @tail is where to look for that one; it
 * is brought up to date when it matters.
 *
 * In line
 * =======
 *
 * A credit is given to a waiter, first come first served, by whoever makes it
 * available; so a large request is not overtaken by small ones for ever.  All
 * that decides is under the lock: ids are given to a waiter or the waiter
 * leaves, not both, and not neither:
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
 * Had T2 got the lock first, T1 would have found the next in the queue; and if
 * the ids were there already, but too few for T2, T2 looks for the next itself.
 *
 * Two things are not first come, first served.  After a reconnect the window is
 * {0} again while the requests of the old connection are in line, and nothing
 * moves before NEGOTIATE and SESSION_SETUP are through: mid_window_reserve_urgent()
 * has a queue of its own, in front.  And given-back ids that are too few for the
 * first in line go to who wants the least, be it a waiter or a newcomer.  Else
 * there is a deadlock:
 *
 *	server				client
 *
 *	grants nothing: id 7 is missing	first in line waits for 16 new ids
 *					7 was given back, second in line
 *					wants one id and waits for the first
 *
 * New ids are never given past the first in line, so it gets its turn as long
 * as the server grants anything.
 *
 * The entry's context is the only truth
 * =====================================
 *
 *	           publish           claim: xchg, cmpxchg
 *	   NULL ------------> context ------------------> NULL
 *	  (not yet)           |  | ^                     ^ (over)
 *	                      |  +-+ reassociate:        |
 *	              abandon |      cmpxchg             |
 *	                      v                          |
 *	                  GIVEN_UP ----------------------+
 *	                             late reply, expiry
 *
 * Whoever moves mid_entry::ctx from a context to something else owns that
 * context, and whoever moves it to NULL owns the entry too, and takes it out of
 * index and atlas.  An entry serves one request and is freed after an RCU grace
 * period, so no lookup can take one request for another:
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
 * A reassociate is a cmpxchg of the same word: a claim gets the old context or
 * the new one, and what it does not get the reassociate returns.
 *
 * Publication
 * ===========
 *
 * An entry is put into the atlas first, which may fail, and into the index
 * then, which cannot.  Its context comes last:
 *
 *	T1: associate			T2: claim_all		T3: map(id)
 *
 *	e->ctx = NULL
 *	mid_atlas_associate(e)
 *					finds e: no context,
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
 * A lookup compares the epoch twice: with the window's, so that an old
 * connection's ids stop to map at one moment, and with the entry's, so that id 0
 * of this connection is not id 0 of the last [epoch-reply].
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
 * T2 got it, or T1 does: it is the same xchg.  From the moment that the epoch is
 * new, T3 cannot publish, so T1 sees all there is: each entry of the old epoch
 * was in the atlas before T1 looks there [epoch-associate].  A span of the old
 * epoch is worth nothing; its ids are those of a window that is no more.
 *
 * The index
 * =========
 *
 * A hash table of entries, read under RCU, written under the lock, with one
 * bucket for each request in flight.  The ids need not be close to one another:
 * one old request beside ten million others costs its own entry and nothing
 * else.  When there are more requests than buckets, a larger table is put in
 * front and the *older* one stays until its last key is gone, as in the atlas.
 * No key moves, so a lookup that walks the chain of tables misses none.  A table
 * that cannot grow for want of memory has longer chains, which is no error.
 *
 * A server chooses which requests it answers, and AsyncIds at will; a secret
 * seed keeps it from choosing them all in one bucket.  The seed is xored in, and
 * hash_64() multiplies: ids in sequence still spread more evenly than at random,
 * and multiples of a CreditCharge about as well.
 *
 * Giving up
 * =========
 *
 * The atlas has a quarantine, but the window cannot use it: the atlas keeps the
 * MID there and forgets the context, and the entry has to go when the
 * quarantine ends.  So an abandoned entry stays in the atlas with GIVEN_UP in the
 * place of its context, and in a tree by the time of its release.  Late reply,
 * expiry and reset take GIVEN_UP out as they would a context: by xchg, one of
 * them.  An id needs no quarantine for its own sake, being used once; it is kept
 * so that a late reply is told from an invented one, and a drain waits for it.
 *
 * What was not done
 * =================
 *
 * An rhashtable as index: in older kernels (6.1) it disables softirqs only, so no
 * interrupt could end a request, and it allocates atomically where our caller
 * can say what it bears.  An XArray has 32-bit indices on 32-bit CPUs, and log n
 * levels.  An array of id modulo size is the fastest of all, until a request
 * stays; then it is a hash table.  Ranges of given-back ids in a tree want a
 * node each, allocated in a reserve or, worse, in a give-back; the rings are
 * 4 KiB.  One atlas for each epoch would make reset trivial, if it could not
 * fail to allocate.  Claiming by the atlas' slot instead of the entry's context:
 * the slot holds the entry, so it cannot tell whether the context is still the
 * one that dissociate_if() means, nor exchange it.
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

/* How far apart unsent ids may be; a power of two. */
#define MID_WINDOW_SPREAD	(2 * MID_WINDOW_MAX_SPAN)

#define MID_INDEX_FIRST_BITS	6
#define MID_INDEX_GROW_BITS	2
#define MID_INDEX_MAX_BITS	16	/* as many as there can be in flight */

#define MID_MAX_ABANDONED	(MID_ATLAS_MAX_MIDS / 4)
#define MID_MAX_QUARANTINE	BIT(30)	/* jiffies; half of what 32 bits order */

/* In the place of a context: nobody waits for it any more. */
#define MID_GIVEN_UP		ERR_PTR(-ECANCELED)

/* What an entry can be found by. */
enum mid_key_kind {
	MID_KEY_ID,
	MID_KEY_ASYNC,
	MID_KEYS
};

/**
 * struct mid_key - a number by which an entry is found
 * @node: in a bucket; unhashed if the entry has no such number
 * @index: the table of that bucket
 * @value: the number
 */
struct mid_key {
	struct hlist_node node;
	struct mid_index *index;
	u64 value;
};

/**
 * struct mid_entry - one request in flight
 * @ctx: the context, %NULL or %MID_GIVEN_UP; see the top of this file
 * @key: its id and its AsyncId
 * @epoch: the connection that it was sent on
 * @charge: how many ids it has, from @key on
 * @mid: its place in the atlas
 * @born: the jiffy of the associate
 * @expires: the jiffy in which the quarantine ends
 * @quarantine: in mid_window::abandoned
 * @next: the entry that was claimed after this one
 * @claimed: what @ctx was
 * @rcu: frees the entry
 *
 * @key and @quarantine change under mid_window::lock.  @next and @claimed belong
 * to who owns the entry.
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
 * @bits: log2 of the buckets
 * @keys: how many keys are in it
 * @bucket: a chain for each kind of key
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
 * @woken: completed when @err has changed
 * @n: how many ids it wants
 * @err: 0 when it was given @span, -EAGAIN before, or -ESHUTDOWN
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
 * @index: finds what is in flight by id
 * @atlas: all that is in flight
 * @seed: of the index' hash
 * @epoch: the number of the connection, never 0
 * @lock: serialises all below, the index' writers too; any context, so a raw one
 * @next: the lowest id that was never reserved
 * @limit: the lowest id that was not granted
 * @tail: no id below is unsent
 * @given_back: how many bits @back has
 * @longest: no run of them is longer; a bound, not exact
 * @stalled: a reserve was refused because @tail is too far behind
 * @shut: no more reserves, for good
 * @waiting: tasks inside mid_window_reserve_wait() or _urgent()
 * @queue: those of them that have no ids yet: the others, and the urgent ones
 * @by_n: the same, who wants the least first
 * @left: completed when, after @shut, nobody is @waiting
 * @abandoned: entries in quarantine, the first to be released first
 * @nr_abandoned: how many
 * @expiry: releases them
 * @in_use: requests in flight, and in quarantine
 * @high_water: the most that there were
 * @associated: contexts that were given ids
 * @dissociated: contexts that were taken out
 * @stale: dissociates of an id that is over
 * @unknown: dissociates of an id that never was in flight
 * @late: dissociates of an id in quarantine
 * @exhausted: reserves that were refused or had to wait
 * @lost: ids that came back too late for the rings
 * @unsent: a bit for each id from @tail to @next that was not sent
 * @back: a bit for each of these that was given back
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
 * All memory comes from here.  The caller of an associate knows what to do about
 * -ENOMEM, so a failure is not worth a warning where it is likely.
 */
VISIBLE_IF_KUNIT void *mid_window_alloc(size_t size, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_window_alloc, size, gfp);

	if (gfpflags_allow_blocking(gfp))
		return kvzalloc(size, gfp);
	return kzalloc(size, gfp | __GFP_NOWARN);
}
EXPORT_SYMBOL_IF_KUNIT(mid_window_alloc);

/* The first id of a connection.  Tests begin where the sequence ends. */
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

/* The first id in [@id, @end) whose bit is set; @end if there is none. */
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
 * The window.  All of this is under the lock.
 */

/* The window of a new connection: { @first }. */
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

/* The length of the run of given-back ids at @id, or @n if it is longer. */
static unsigned int mid_window_run(const struct mid_window *w, u64 id,
				   unsigned int n)
{
	unsigned int run = 0;

	while (run < n && id + run < w->next && mid_ring_test(w->back, id + run))
		run++;
	return run;
}

/* Takes the lowest @n consecutive ids that were given back. */
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
	/* Not to be searched again until something comes back. */
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

/* Are all ids of @span unsent, and none given back? */
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
 * The queues.  All of this is under the lock, but for mid_window_serve().
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

/* Sends a waiter on its way.  It may be gone when the lock is released. */
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

/* The waiter who is content with the least.  There must be one. */
static struct mid_waiter *mid_window_least_waiter(struct mid_window *w)
{
	return rb_entry(rb_first_cached(&w->by_n), struct mid_waiter, by_n);
}

/* Gives ids to a waiter.  Returns if there may be more to do. */
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

	/* One at a time, to keep interrupts off for a bounded time. */
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
 * mid_window_epoch - the number of the present connection
 * @w: the window
 *
 * Whoever receives on a connection keeps its epoch and passes it with each id
 * that came from there.
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
 * mid_window_grant - take in the credits that came with a response
 * @w: the window
 * @epoch: of the connection that it came from
 * @credits: its CreditResponse
 *
 * To be called for every response, interim ones included, whether or not its id
 * is known: the server has counted them (MS-SMB2 3.2.5.1.4).  The window grows
 * at its end; waiters are served in order.  The sequence ends before
 * %MID_WINDOW_RESERVED, and what would go beyond is not granted.
 *
 * Context: Any context but NMI.
 * Return: 0; %-ESTALE, with nothing changed, if @epoch is not the present one.
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
 * mid_window_credits - how many ids are available
 * @w: the window
 *
 * A hint: for who can make a request larger or smaller, before it reserves.
 * They need not be consecutive, and others may take them first.
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
 * mid_window_next - the lowest id that was never reserved
 * @w: the window
 *
 * For people: logs and tracepoints that are passed often.  It may be another one
 * by the time it is read, and on 32-bit CPUs half of another one.
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
 * 0, -ESHUTDOWN, or -EAGAIN: not enough, or others are first.  What was given
 * back and is still there is too little for all who wait; it is not too little
 * for one who wants less.
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
 * mid_window_reserve - take consecutive ids, if they are there
 * @w: the window
 * @n: how many, the CreditCharge of one request or of several in a compound
 * @span: where to store them
 *
 * The lowest ones that were given back, else new ones (MS-SMB2 3.2.4.1.6).  All
 * @n or none.
 *
 * Context: Any context but NMI.
 * Return: 0, or, with nothing changed and *@span untouched,
 * %-EINVAL if @n is 0 or more than %MID_WINDOW_MAX_SPAN,
 * %-EAGAIN if there are not enough, if others wait for what there is, or if the
 * lowest unsent id is too far behind,
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
 * The waiter leaves, with the ids that it was given or with the error @why.
 * While it is counted as waiting the window stays; see mid_window_destroy().
 */
static int mid_waiter_leave(struct mid_window *w, struct mid_waiter *waiter,
			    int why)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (waiter->err == -EAGAIN)
		mid_waiter_dequeue(w, waiter, why);
	raw_spin_unlock_irqrestore(&w->lock, flags);

	/* What was too little for us may do for the next. */
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
 * mid_window_reserve_wait - take consecutive ids, waiting for them
 * @w: the window
 * @n: how many
 * @span: where to store them
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * First come, first served: new ids go to the task that has waited longest, and
 * wait for it until there are enough.  Given-back ids that are too few for it go
 * to who wants the least.  Who asks for more than the server ever
 * grants waits in vain, and all others behind him: see mid_window_credits().
 *
 * A waiter that is killed or whose time is over leaves the queue; if it was
 * given ids in that very moment it has them.  A reset leaves the queue as it is;
 * the ids are then those of the new connection.
 *
 * Context: Process context.  May sleep.
 * Return: 0, or, with nothing changed and *@span untouched,
 * %-EINVAL if @n is 0 or more than %MID_WINDOW_MAX_SPAN,
 * %-ETIMEDOUT if there were not enough in time,
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
 * mid_window_reserve_urgent - take consecutive ids, in front of all who wait
 * @w: the window
 * @n: how many
 * @span: where to store them
 * @timeout: the longest to wait, in jiffies
 *
 * For the few requests on which the others depend: NEGOTIATE and SESSION_SETUP
 * after a reconnect, and the acknowledgment of a break.  Among themselves these
 * are served in order.
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
 * @span: what is left of a span; emptied
 *
 * In any order, whole spans or parts.  The ids are handed out again before new
 * ones are, and together with their neighbours if these came back too.  A span
 * of an old epoch is dropped, and an empty one is fine.
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

/* The entry whose key of this kind has @value, whatever its context is. */
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

/* The same, if @epoch is the present one. */
static struct mid_entry *mid_window_lookup(const struct mid_window *w,
					   enum mid_key_kind kind, u32 epoch,
					   u64 value)
{
	if (READ_ONCE(w->epoch) != epoch)
		return NULL;
	return mid_window_find(w, kind, epoch, value);
}

/* Takes an older table that has no keys out of the chain. */
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

/* More requests than buckets?  Then a larger table, if there is memory. */
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

/* The context of @e if it is in flight, or NULL. */
static void *mid_entry_ctx(const struct mid_entry *e)
{
	/* Pairs with the release in mid_entry_publish(), or the cmpxchg. */
	void *ctx = smp_load_acquire(&e->ctx);

	return mid_ctx_ok(ctx) ? ctx : NULL;
}

/* If this returns @ctx, @e and its context are the caller's. */
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

/* The entry gets its ids and, last, its context. */
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
		/* Often a member of the context: once it is out it is not ours. */
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

/* Puts the ids of @e back, if the rings still reach that far. */
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
 * The caller has moved the context of @e, which was @ctx, to NULL: takes the
 * entry out of index, quarantine and atlas.  With @unsent its ids go back.
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
	/* Last: a drain that sees the slot free may be followed by a destroy. */
	mid_atlas_dissociate_if(w->atlas, e->mid, e);
}

static void mid_entry_retire(struct mid_window *w, struct mid_entry *e,
			     const void *ctx)
{
	mid_entry_unlink(w, e, ctx, false);
	kvfree_rcu(e, rcu);
}

/**
 * mid_window_associate - give a context ids of a span
 * @w: the window
 * @span: reserved ids; those that are used are taken off its front
 * @charge: how many to use, the request's CreditCharge; 1 where the dialect has
 *	none or the request carries 0
 * @ctx: any pointer but %NULL and error pointers; the window never follows it
 * @id: where to store the first of the ids, the request's MessageId; may be a
 *	member of the context
 * @gfp: how to allocate
 *
 * To be called just before the request is sent.  From the moment that the id is
 * in flight, which may be before this returns, others can map and dissociate it.
 * What was written into the context before the call is seen by them.  *@id is
 * written before.  If the request then cannot be sent, see mid_window_unsend().
 *
 * Context: A context in which @gfp may allocate.
 * Return: 0, or, with nothing changed and *@id untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer, or @charge is 0 or more than
 * the span has,
 * %-ESTALE if the connection of the span is no more,
 * %-ENOSPC if %MID_ATLAS_MAX_MIDS requests are in flight,
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
	/* Once it is published all may be over before we are: reply, destroy. */
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
 * Looking up
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
 * mid_window_map - find the context of an id
 * @w: the window
 * @epoch: of the connection that the id came from
 * @id: any value, as it came from the wire
 *
 * The window holds no reference to contexts.  The pointer is good as long as
 * the caller knows that the context is: because it owns the request, or because
 * contexts are freed after an RCU grace period and it is inside
 * rcu_read_lock().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the context whose first id is @id, an RCU-only pointer, or %NULL if
 * there is none: not in flight, or of an earlier connection.
 */
void *mid_window_map(struct mid_window *w, u32 epoch, u64 id)
{
	return mid_window_map_key(w, MID_KEY_ID, epoch, id);
}
EXPORT_SYMBOL_GPL(mid_window_map);

/**
 * mid_window_map_get_put - find the context of an id and take a reference
 * @w: the window
 * @epoch: of the connection that the id came from
 * @id: any value, as it came from the wire
 * @get: takes a reference, or returns false if there is none to be had, as
 *	kref_get_unless_zero() does; called inside rcu_read_lock()
 * @put: gives back what @get took; may be %NULL, see mid_window_map_get()
 *
 * @get is called once at most, and after it the entry is looked at again: if it
 * has another context by then, or none, the reference is given back.
 *
 * Context: Any context but NMI, as far as @get and @put allow.
 * Return: the context whose first id is @id, with a strong reference, or %NULL.
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
	/* A get may order nothing: its count, then the context again [get-recheck]. */
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
 * mid_window_map_get - find the context of an id and take hold of it
 * @w: the window
 * @epoch: of the connection that the id came from
 * @id: any value, as it came from the wire
 * @get: takes hold of the context, or returns false
 *
 * mid_window_map_get_put() without a @put: if the context was gone when @get had
 * run, %NULL is returned although @get had returned true.  This is for a @get
 * that leaves nothing to give back.
 *
 * Context: Any context but NMI, as far as @get allows.
 * Return: the context whose first id is @id, or %NULL.
 */
void *mid_window_map_get(struct mid_window *w, u32 epoch, u64 id,
			 bool (*get)(void *ctx))
{
	return mid_window_map_get_put(w, epoch, id, get, NULL);
}
EXPORT_SYMBOL_GPL(mid_window_map_get);

/*
 * Taking a context out
 */

/* An id came that has no context: did it ever have one? */
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
 * mid_window_dissociate - take the context of an id out of the window
 * @w: the window
 * @epoch: of the connection that the id came from
 * @id: any value, as it came from the wire
 *
 * The claim: however many call this for one id at the same time, for the reply,
 * the timeout, the signal and the reset, one of them gets the context and all
 * others get %NULL.  This is also how to tell the window of a reply to an
 * abandoned id.  The ids stay used.
 *
 * Context: Any context but NMI.
 * Return: the context, which the caller now owns, or %NULL if @id has none.
 */
void *mid_window_dissociate(struct mid_window *w, u32 epoch, u64 id)
{
	return mid_window_dissociate_key(w, MID_KEY_ID, epoch, id);
}
EXPORT_SYMBOL_GPL(mid_window_dissociate);

/* The entry of @id, taken from all others, if it still had @ctx. */
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
 * mid_window_dissociate_if - take a context out of the window, if it is still in
 * @w: the window
 * @epoch: of the connection that it was associated on
 * @id: the first id that the context was given
 * @ctx: the context
 *
 * The claim of a timer or a canceller, who knows the context and must find out
 * whether it is still its to end.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another owns it.
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
 * mid_window_unsend - take a request back that could not be sent
 * @w: the window
 * @epoch: of the connection that it was associated on
 * @id: the first id that the context was given
 * @ctx: the context
 *
 * For a request that was associated and of which the server has not seen, and
 * will not see, a byte: mid_window_dissociate_if(), and its ids go back.  If in
 * doubt, use dissociate_if: an id that the server sees twice ends the
 * connection.
 *
 * It should not come long after the associate.  Ids that are more than twice
 * %MID_WINDOW_MAX_SPAN below the newest are not taken back but lost.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another owns it: a reset, say.
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
 * mid_window_reassociate - give the id of one context to another
 * @w: the window
 * @epoch: of the connection that it was associated on
 * @id: the first id that the context was given
 * @new_ctx: the context that shall have it
 *
 * In one step: a map or dissociate at the same time gets the old context or
 * the new one, and never finds the id free.  What was written into @new_ctx
 * before the call is seen by whoever gets it.
 *
 * Context: Any context but NMI.  Takes no lock.
 * Return: the old context, which the caller now owns; %NULL, with nothing
 * stored, if @id has no context; ERR_PTR(%-EINVAL) if @new_ctx is %NULL or an
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
 * Giving up.  The tree, and who is in it, is under the lock.
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
 * Had T1's xchg been first, abandon would have returned false.
 */

static bool mid_quarantine_less(struct rb_node *a, const struct rb_node *b)
{
	return time_before(rb_entry(a, struct mid_entry, quarantine)->expires,
			   rb_entry(b, struct mid_entry, quarantine)->expires);
}

/* The first entry to be released, or NULL. */
static struct mid_entry *mid_window_first_abandoned(struct mid_window *w)
{
	struct rb_node *node = rb_first_cached(&w->abandoned);

	lockdep_assert_held(&w->lock);

	return node ? rb_entry(node, struct mid_entry, quarantine) : NULL;
}

/* Has @expiry run when @e is to be released. */
static void mid_window_arm(struct mid_window *w, const struct mid_entry *e)
{
	lockdep_assert_held(&w->lock);

	cancel_delayed_work(&w->expiry);
	schedule_delayed_work(&w->expiry, max((long)(e->expires - jiffies), 0l));
}

/* Takes @e out of the quarantine.  Returns if the caller has to retire it. */
static bool mid_window_release(struct mid_window *w, struct mid_entry *e)
{
	lockdep_assert_held(&w->lock);

	rb_erase_cached(&e->quarantine, &w->abandoned);
	RB_CLEAR_NODE(&e->quarantine);
	w->nr_abandoned--;
	return mid_entry_claim(e, MID_GIVEN_UP);
}

/* The next entry whose time is over, out of the tree, or NULL. */
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
 * @e, whose context was moved to GIVEN_UP, into the quarantine.  Returns another
 * that has to leave for it and is to be retired, or NULL.
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
 * @epoch: of the connection that it was associated on
 * @id: the first id that the context was given
 * @ctx: the context
 * @quarantine: for how long to remember the id, in jiffies; 0 not at all, and
 *	never longer than 2^30
 *
 * For a requester that cannot wait: a task that was killed.  The context is
 * the caller's at once.  The id stays in use until mid_window_dissociate() is
 * called for its late reply, which returns %NULL and is counted as late, or
 * until the quarantine has passed, or the connection.  At most a quarter of
 * %MID_ATLAS_MAX_MIDS are remembered: beyond that the one whose quarantine would
 * end first is forgotten early.  mid_window_claim_all() forgets them all, and
 * mid_window_claim_older() those of its age.
 *
 * Context: Any context but NMI.
 * Return: true if @id still had @ctx, which the caller now owns; false, with
 * nothing changed, if another owns it.
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
 * mid_window_note_async - remember the AsyncId of an interim response
 * @w: the window
 * @epoch: of the connection that the response came from
 * @id: its MessageId
 * @async_id: its AsyncId
 *
 * A server that will take its time says so with STATUS_PENDING and an AsyncId
 * (MS-SMB2 3.2.5.1.5).  The request stays in flight; from now on it can be found
 * by either.  The credits that came along are a matter of mid_window_grant().
 *
 * Context: Any context but NMI.
 * Return: 0, also if it is noted already, or, with nothing changed,
 * %-EINVAL if @async_id is 0, which no server may send (3.3.4.2),
 * %-ESTALE if @epoch is not the present one,
 * %-ENOENT if @id has no context,
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
 * mid_window_async_id - what a CANCEL of a request has to say
 * @w: the window
 * @epoch: of the connection that it was associated on
 * @id: the first id that the request was given
 * @async_id: where to store its AsyncId
 *
 * A CANCEL carries the MessageId of the request, and if an interim response came
 * the AsyncId too.  It is no request of its own: it takes no id, no credit and
 * gets no reply (MS-SMB2 3.2.4.24).
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
 * mid_window_map_async - find the context of an AsyncId
 * @w: the window
 * @epoch: of the connection that it came from
 * @async_id: any value, as it came from the wire
 *
 * As mid_window_map().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the context for which @async_id was noted, an RCU-only pointer, or
 * %NULL.
 */
void *mid_window_map_async(struct mid_window *w, u32 epoch, u64 async_id)
{
	return mid_window_map_key(w, MID_KEY_ASYNC, epoch, async_id);
}
EXPORT_SYMBOL_GPL(mid_window_map_async);

/**
 * mid_window_dissociate_async - take the context of an AsyncId out
 * @w: the window
 * @epoch: of the connection that it came from
 * @async_id: any value, as it came from the wire
 *
 * As mid_window_dissociate().
 *
 * Context: Any context but NMI.
 * Return: the context, which the caller now owns, or %NULL if @async_id has none.
 */
void *mid_window_dissociate_async(struct mid_window *w, u32 epoch, u64 async_id)
{
	return mid_window_dissociate_key(w, MID_KEY_ASYNC, epoch, async_id);
}
EXPORT_SYMBOL_GPL(mid_window_dissociate_async);

/*
 * All contexts
 */

/**
 * struct mid_visit - a look at every context
 * @w: the window
 * @fn: is called for each
 * @arg: passed to @fn
 * @n: for how many it was
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
 * mid_window_for_each - look at every context in flight
 * @w: the window
 * @fn: is called for each, inside rcu_read_lock(), and must not sleep
 * @arg: passed to @fn
 *
 * The contexts stay in the window, and may leave it at any time; @fn gets an
 * RCU-only pointer.  What comes or goes meanwhile may be seen or not.  In no
 * particular order.
 *
 * Context: Any context but NMI, as far as @fn allows.  Takes time in proportion
 * to the most requests that ever were in flight.
 * Return: how many contexts @fn was called for.
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
 * struct mid_claim - contexts that are being taken out together
 * @w: the window
 * @epoch: of the entries that are meant; 0 for all
 * @age: how old they must be
 * @first: the entries that are ours so far
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
	/* NULL: an associate has not published it, or another has claimed it. */
	ctx = xchg(&e->ctx, NULL);
	if (!ctx)
		return;
	mid_entry_unlink(claim->w, e, ctx, false);
	e->claimed = ctx;
	e->next = claim->first;
	claim->first = e;
}

/*
 * Takes them all out first, and hands them over then: @fn may sleep, and must
 * not be called inside the RCU section of mid_atlas_for_each().
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
 * mid_window_claim_all - take all contexts out of the window
 * @w: the window
 * @fn: is given each context, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * Every request that was in flight when this began is either given to @fn, which
 * then owns it, or was taken by another call.  One that is associated meanwhile
 * may stay.  The connection stays too; to end that, see mid_window_reset().
 *
 * Context: Any context but NMI, as far as @fn allows.  Takes time in proportion
 * to the most requests that ever were in flight.
 * Return: how many contexts were taken.
 */
unsigned int mid_window_claim_all(struct mid_window *w, mid_window_fn fn,
				  void *arg)
{
	return mid_window_claim(w, 0, 0, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_window_claim_all);

/**
 * mid_window_claim_older - take all contexts that are overdue out of the window
 * @w: the window
 * @age: in jiffies
 * @fn: is given each context, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For timeouts: claims every request that was associated at least @age ago.
 * A reassociate does not make a request younger.
 *
 * Context: Any context but NMI, as far as @fn allows.  Takes time in proportion
 * to the most requests that ever were in flight.
 * Return: how many contexts were taken.
 */
unsigned int mid_window_claim_older(struct mid_window *w, unsigned long age,
				    mid_window_fn fn, void *arg)
{
	return mid_window_claim(w, 0, age, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_window_claim_older);

/**
 * mid_window_reset - begin with a new connection
 * @w: the window
 * @fn: is given each context of the old one, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For a reconnect.  From now on no id of the old connection maps, its spans
 * cannot be associated, and its credits are refused.  Every request that was in
 * flight is given to @fn, or was taken by another call.  The new connection has
 * the one id that needs no credit; tasks that wait for ids stay in line, see
 * mid_window_reserve_urgent().
 *
 * The first id may be gone when this returns: to one of these tasks.  @fn must
 * not wait for requests that are behind it.
 *
 * Context: Any context but NMI, as far as @fn allows.  Takes time in proportion
 * to the most requests that ever were in flight.
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
 * The end
 */

/*
 * From now on no reserve succeeds.
 *
 *	T1: drain			T2: reserve_wait
 *
 *	lock, shut = true		lock
 *	sends off who is in the queues	shut? leaves; else into the queue
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
		/* One at a time, to keep interrupts off for a bounded time. */
		raw_spin_unlock_irqrestore(&w->lock, flags);
		raw_spin_lock_irqsave(&w->lock, flags);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/* After mid_window_shut(): until the last waiter has left. */
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
 * From now on, and for good, reserves and associates fail with %-ESHUTDOWN, and
 * tasks that wait for ids leave with it.  Then waits until every context has
 * been taken out and every abandoned id is forgotten.  May be called again, and
 * by several tasks.
 *
 * Context: Process context.  May sleep.
 * Return: 0 when nothing is in use; %-ETIMEDOUT, and what is still in use is
 * untouched.
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
 * mid_window_stats - look at the state of a window
 * @w: the window
 * @stats: is filled in
 *
 * A snapshot, consistent in itself but for @slots and @oldest.
 *
 * Context: Any context but NMI.  Takes time in proportion to the most requests
 * that ever were in flight.
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

/* Frees the window and its index when the last lookup is over. */
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
 * @name: what people will know it by; copied
 * @gfp: how to allocate
 *
 * It has the window of a new connection, {0}: one id.
 *
 * Context: Process context.  May sleep if @gfp allows it.
 * Return: the window, to be given back to mid_window_destroy();
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
 * @destructor: is given each context that is still in flight; may be %NULL
 * @arg: passed to @destructor
 *
 * @destructor is called once for each, outside every lock, and may sleep; it
 * owns the context.  Tasks that wait for ids get %-ESHUTDOWN, and have left when
 * the first context is handed out.  The memory goes after an RCU grace period,
 * so a mid_window_map() inside an rcu_read_lock() that began earlier is safe.
 * The caller guarantees that no other call begins once this one has.
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
