// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * A window hands out the ids that the server's credits allow, and finds the request of
 * an id while it is in flight.  Its parts, each with its own races explained:
 *
 *	midslot.h	the slot: hands its request to exactly one claimer
 *	window/ids.h	the ids of an epoch: two bits each, and the credits
 *	window/place.h	the entries: a slot and the ids of each request, and room
 *	window/wait.h	the order in which tasks get ids
 *	window/quarantine.h	requests that were abandoned
 *	window/sweep.h	claims of many requests: timeouts, resets
 *	window/debugfs.h	what an operator sees, with midfolder.h and midlatency.h
 *	window/trace.h	the events
 *
 * The sender does everything under one spinlock that it takes once for a request, in
 * begin: it moves @next up, takes a free entry, and makes its slot LIVE.  The receiver
 * takes no lock: a claim is a cmpxchg of the slot's word and one count, a grant a cmpxchg
 * of the credits.  No lookup follows a pointer that is freed before the window is.
 *
 * The [brackets] name tests in tests/litmus/.
 *
 * Epochs
 * ======
 *
 * A lookup compares the epoch twice.  It compares it with the window's, so that all ids
 * of the old connection stop mapping at the same time.  And it compares it with the
 * entry's, so that id 0 of this connection is not taken for id 0 of the last one
 * [epoch-reply].
 *
 *	T1: reset			T2: dissociate(old, id)	T3: begin
 *
 *					epoch is old
 *	lock, epoch = new, {0}
 *	unlock
 *								lock, id 0 is of
 *								the new epoch
 *	each entry of the old epoch:	cmpxchg: LIVE -> FREE
 *	slot is FREE: not ours		returns the request
 *
 * T1 and T2 do the same cmpxchg, so exactly one of them gets the request.  T3 fills an
 * entry under the lock with the epoch that it finds there, so T1 finds all entries of
 * the old epoch [epoch-associate].
 *
 * Alternatives
 * ============
 *
 * An entry that is allocated for each request: it can fail in the writeback path, and
 * costs more than all the rest.  An entry inside the caller's request: every request
 * would have to be freed by RCU, and an abandoned id has no request.
 *
 * An rhashtable as index: in older kernels (6.1) its writers disable only softirqs, so a
 * request could not be claimed in hardirq, and it allocates.  An XArray has 32-bit
 * indices on 32-bit CPUs, log n levels, and allocates.
 *
 * An array that is indexed by id modulo size: it is the fastest, but only until a request
 * stays in flight for long.
 *
 * A tree of returned id ranges: each range needs a node, to be allocated when ids are
 * returned.  The rings take 4 KiB.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "midfolder.h"
#include "midslot.h"
#include "midwindow.h"

#define MID_MOST_INSIDE		128	/* CreditCharge of 8 MiB, the most that servers allow */

/**
 * struct mid_window - the ids of one connection
 * @hash: the entries
 * @secret: an odd number, for the homes
 * @stride: the same, a small one
 * @epoch: the number of the connection, never 0
 * @crowded: a reserve found no room
 * @credits: what was granted and not moved to @limit yet, see ids.h
 * @freed: how many requests have ended, and two flags, see place.h
 * @lock: protects all members below and serialises those that write @hash and @epoch; it
 *	is taken in hardirq, so it is a raw one
 * @paused: since a reset: only urgent reserves get ids
 * @shut: no call gets ids, for ever
 * @slow: a task is in a @queue, or @shut
 * @starved: there were too few ids; until a call finds enough and no task waits
 * @next: the lowest new id
 * @limit: the lowest id that was not granted
 * @tail: no id below is unsent
 * @associated: requests that were given ids
 * @freed_seen: a lower bound of the count in @freed
 * @returned: returned ids below @next; like the next two at most MID_IDS_SPREAD
 * @rooms: spans that have room for their first request
 * @spans: ids in spans
 * @aside: available ids that are left to urgent reserves
 * @high_water: the most requests in use so far
 * @rings: two bits for each id from @tail to @next
 * @queue: tasks that wait and have no ids yet: the ordinary and the urgent ones
 * @singles: the ordinary ones that need one id
 * @by_min: the other ordinary ones, the one that needs the fewest ids first
 * @left: completed when, after @shut, no task is @waiting
 * @drained: completed when, after @shut, no request is in use
 * @abandoned: the entries in quarantine, the oldest first
 * @nr_abandoned: how many
 * @expiry: ends their quarantine
 * @armed: @expiry will run at the jiffy @expires
 * @expires: see @armed
 * @late: replies to a request in quarantine
 * @exhausted: calls that found too few ids or too little room
 * @waiting: tasks in mid_window_reserve() that had to wait
 * @lost: ids of unsent requests that could not be returned
 * @stale: replies to a request that is no longer in flight
 * @unknown: replies with an id that no request was sent with
 * @rcu: frees the window
 * @folder: what an operator sees of it
 */
struct mid_window {
	struct mid_hash *hash;
	u64 secret;
	u32 stride;
	u32 epoch;
	bool crowded;

	atomic64_t credits ____cacheline_aligned_in_smp;
	atomic64_t freed;

	/* What a begin or a reserve uses is in one cache line. */
	raw_spinlock_t lock ____cacheline_aligned_in_smp;
	bool paused;
	bool shut;
	bool slow;
	bool starved;
	u64 next;
	u64 limit;
	u64 tail;
	u64 associated;
	u64 freed_seen;
	u16 returned;
	u16 rooms;
	u16 spans;
	unsigned int aside;
	unsigned int high_water;

	struct mid_rings *rings;
	struct list_head queue[2];
	struct list_head singles;
	struct rb_root_cached by_min;
	struct completion left;
	struct completion drained;
	struct list_head abandoned;
	unsigned int nr_abandoned;
	struct delayed_work expiry;
	bool armed;
	unsigned long expires;
	u64 late;
	u64 exhausted;
	atomic_t waiting;
	u64 lost;
	u64 stale;
	u64 unknown;
	struct rcu_head rcu;
	struct mid_folder folder;
};

#ifndef __CHECKER__	/* sparse cannot read what makes the events */
#define CREATE_TRACE_POINTS
#endif
#include "window/trace.h"

/*
 * All memory is allocated here.  An atomic allocation fails more often, and the
 * callers handle -ENOMEM, so it does not warn.
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

/* The first epoch of a window.  Tests begin near its wrap. */
VISIBLE_IF_KUNIT u32 mid_window_first_epoch(void)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_window_first_epoch);

	return 1;
}
EXPORT_SYMBOL_IF_KUNIT(mid_window_first_epoch);

static void mid_window_freed_slow(struct mid_window *w);

#include "window/ids.h"
#include "window/place.h"
#include "window/wait.h"
#include "window/quarantine.h"
#include "window/sweep.h"

/* An entry became FREE while a task waits, or after a shut. */
static noinline void mid_window_freed_slow(struct mid_window *w)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (w->shut && !mid_window_in_use(w))
		complete_all(&w->drained);
	mid_window_serve_unlock(w, flags);
}

/*
 * The connection
 */

/**
 * mid_window_epoch - return the number of the current connection
 * @w: the window
 *
 * The receiver of a connection keeps the epoch and passes it with each id that
 * arrives on that connection.
 *
 * Context: Any context.  Takes no lock.
 * Return: the epoch, never 0.
 */
u32 mid_window_epoch(struct mid_window *w)
{
	return READ_ONCE(w->epoch);
}
EXPORT_SYMBOL_GPL(mid_window_epoch);

/**
 * mid_window_resume - open the window of a new connection to all
 * @w: the window
 * @epoch: what mid_window_reset() returned
 *
 * A client calls this when the connection is set up: NEGOTIATE, SESSION_SETUP and
 * TREE_CONNECT are done, with ids from urgent reserves.  The tasks that wait are served.
 * Nothing happens if @epoch is not the current one, or if the window is open already.
 *
 * Context: Any context but NMI.
 */
void mid_window_resume(struct mid_window *w, u32 epoch)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (epoch == w->epoch) {
		w->paused = false;
		trace_midwindow_resume(w, epoch);
	}
	mid_window_serve_unlock(w, flags);
}
EXPORT_SYMBOL_GPL(mid_window_resume);

/*
 * Credits and ids
 */

static noinline int mid_window_grant_slow(struct mid_window *w, u32 epoch, unsigned int credits)
{
	unsigned long flags;
	int err = -ESTALE;

	raw_spin_lock_irqsave(&w->lock, flags);
	mid_window_note_peak(w);
	if (epoch == w->epoch) {
		mid_ids_pull(w);
		w->limit += min_t(u64, credits, MID_WINDOW_RESERVED - w->limit);
		trace_midwindow_grant(w, epoch, credits);
		err = 0;
	}
	mid_window_serve_unlock(w, flags);
	return err;
}

/* Not inline, as a grant would save registers for the event also while it is off */
static noinline int mid_window_watch_grant(struct mid_window *w, u32 epoch, unsigned int credits)
{
	trace_midwindow_grant(w, epoch, credits);
	return 0;
}

/**
 * mid_window_grant - add the credits of a response
 * @w: the window
 * @epoch: the epoch of the connection that the response arrived on
 * @credits: its CreditResponse
 *
 * Call this for every response, interim ones included, whether or not its id is
 * known: the server has counted the credits (MS-SMB2 3.2.5.1.4).  Call it before the
 * request of the response is dissociated: otherwise a waiter may be told %-EDEADLK
 * although the credits that it waits for have arrived.  The window is extended at its
 * end, and waiters are served in order.  The last id is the one before
 * %MID_WINDOW_RESERVED; credits for more ids are dropped.
 *
 * Context: Any context but NMI.  Takes no lock unless a task waits.
 * Return: 0; %-ESTALE, with nothing changed, if @epoch is not the current one.
 */
int mid_window_grant(struct mid_window *w, u32 epoch, unsigned int credits)
{
	s64 old = atomic64_read(&w->credits);

	do {
		if ((u64)old >> MID_CREDITS_EPOCH != epoch)
			return -ESTALE;
		/* They would not fit into the word: a flood, or a word that nobody empties */
		if (unlikely(old & MID_CREDITS_SLOW ||
			     credits > MID_CREDITS_MASK - (old & MID_CREDITS_MASK)))
			return mid_window_grant_slow(w, epoch, credits);
	} while (!atomic64_try_cmpxchg(&w->credits, &old, old + credits));
	return trace_midwindow_grant_enabled() ? mid_window_watch_grant(w, epoch, credits) : 0;
}
EXPORT_SYMBOL_GPL(mid_window_grant);

/**
 * mid_window_set_aside - leave some of the available ids to urgent reserves
 * @w: the window
 * @ids: how many; 0 at first
 *
 * For requests that have to be sent so that others can end, for example the
 * acknowledgment of an oplock break, or an ECHO.  It is a number of available ids, not
 * certain ones: all other calls get ids only while more than @ids are available.  A
 * client that sets ids aside before the first grant sends its first request urgently.
 * A reset does not change the number.
 *
 * Context: Any context but NMI.
 * Return: 0; %-EINVAL if @ids is more than %MID_WINDOW_MAX_SPAN.
 */
int mid_window_set_aside(struct mid_window *w, unsigned int ids)
{
	unsigned long flags;

	if (ids > MID_WINDOW_MAX_SPAN)
		return -EINVAL;

	raw_spin_lock_irqsave(&w->lock, flags);
	w->aside = ids;
	mid_window_serve_unlock(w, flags);
	return 0;
}
EXPORT_SYMBOL_GPL(mid_window_set_aside);

/**
 * mid_window_reserve - reserve consecutive ids
 * @w: the window
 * @min: the fewest ids that are of use
 * @max: the most that are of use
 * @span: where to store the ids
 * @flags: 0 or %MID_WINDOW_URGENT
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * For compounds, and for requests whose size depends on the credits: a read of 1 MiB
 * that makes do with 256 KiB asks for 4 to 16 ids.  For all others mid_window_begin() is
 * less work.  The ids are the lowest available run that has @min (MS-SMB2 3.2.4.1.6), as
 * much of it as there is, up to @max.  The span has room for one request: the first
 * mid_window_associate() of it needs no memory.
 *
 * Waiters are served first come, first served: new ids and room are kept for the task
 * that has waited longest until there is enough for it.  If the returned ids cannot
 * satisfy it, they go to the task that needs the fewest.  A waiter that is killed or times
 * out leaves the queue; if it was given ids at that very moment it uses them.
 *
 * An urgent reserve is served before all others, and may use what
 * mid_window_set_aside() keeps from them.  A reset does not change the queue of the
 * others, who get ids of the new connection after mid_window_resume(); but an urgent
 * waiter, which meant the old connection, leaves with %-ESTALE.
 *
 * Context: With a @timeout of 0 any context but NMI; otherwise may sleep.
 * Return: 0, or, with nothing changed and *@span untouched,
 * %-EINVAL if @min is 0, @max less than that or more than %MID_WINDOW_MAX_SPAN, or a flag
 * unknown,
 * %-EAGAIN if @timeout is 0, and there are not enough ids, others wait for them, the lowest
 * unsent id is too far behind, there is no room, or the window waits for
 * mid_window_resume(),
 * %-EDEADLK if it would be first in line and can never be served: there are too few ids,
 * nothing is in flight, and no span is out, so no reply can come that would grant,
 * %-ETIMEDOUT if @timeout has passed, %-ERESTARTSYS if the task was killed,
 * %-ESTALE if it is urgent and the connection was reset,
 * %-ESHUTDOWN after mid_window_shut().
 */
int mid_window_reserve(struct mid_window *w, unsigned int min, unsigned int max,
		       struct mid_span *span, unsigned int flags, unsigned long timeout)
{
	struct mid_want want = { .min = min, .max = max, .urgent = flags & MID_WINDOW_URGENT };
	unsigned long irq_flags;
	u64 first;
	int n;

	if (!min || min > max || max > MID_WINDOW_MAX_SPAN || flags & ~MID_WINDOW_URGENT)
		return -EINVAL;
	might_sleep_if(timeout);

	/* A destroy may not see us wait yet: then it frees after this. */
	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, irq_flags);
	want.epoch = w->epoch;
	n = mid_window_pick_now(w, want, &first);
	if (n == -ENOSPC)
		n = -EAGAIN;
	if (n == -EAGAIN && timeout)
		return mid_waiter_wait(w, want, timeout, span, irq_flags);
	if (n > 0)
		mid_ids_take_span(w, first, n, span);
	raw_spin_unlock_irqrestore(&w->lock, irq_flags);
	rcu_read_unlock();
	return min(n, 0);
}
EXPORT_SYMBOL_GPL(mid_window_reserve);

/**
 * mid_window_give_back - return the ids of a span that were not used
 * @w: the window
 * @span: the ids; its @n is 0 after this
 *
 * The ids are available again, exactly these (invariant 3).  An empty span is fine, and
 * one of an older epoch just becomes empty.  If not all ids are in spans, which is a
 * mistake of the caller, nothing else happens, and the kernel warns once.
 *
 * Context: Any context but NMI.
 */
void mid_window_give_back(struct mid_window *w, struct mid_span *span)
{
	unsigned long flags;
	int rooms = 0;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (span->n && span->epoch == w->epoch) {
		rooms = mid_ids_rooms(w, span->first, span->n);
		if (rooms >= 0) {
			mid_ids_leave_span(w, span->first, span->n, rooms);
			mid_ids_return(w, span->first, span->n);
			trace_midwindow_give_back(w, w->epoch, span->first, span->n);
		}
	}
	mid_window_serve_unlock(w, flags);
	span->n = 0;
	WARN_ON_ONCE(rooms < 0);
}
EXPORT_SYMBOL_GPL(mid_window_give_back);

/*
 * Requests
 */

/*
 * There was no room in @seen: puts a larger table in front.  Returns 0 if the caller
 * should try again (which also serves tasks that wait for room), -EAGAIN if a reply can make
 * room, and -ENOMEM if none will come.
 *
 *	T1: begin, no room in h		T2: begin, no room in h
 *
 *	allocates a table		allocates a table
 *	lock, h is current:
 *	puts it in front, unlock
 *					lock, h is not current:
 *					frees its own, tries again
 */
static noinline int mid_window_grow(struct mid_window *w, struct mid_hash *seen, gfp_t gfp)
{
	struct mid_hash *h = NULL;
	unsigned long flags;
	int err = 0;

	/* Not with full effort: a reply makes room, too. */
	gfp |= __GFP_NORETRY | __GFP_NOWARN;
	might_alloc(gfp);
	WRITE_ONCE(w->crowded, false);
	if (seen->bits < MID_MAX_BITS)
		h = mid_hash_alloc(min(seen->bits + MID_GROW_BITS, MID_MAX_BITS), gfp);

	raw_spin_lock_irqsave(&w->lock, flags);
	if (h && w->hash == seen) {
		h->older = seen;
		/* Pairs with the acquires of mid_window::hash. */
		smp_store_release(&w->hash, h);
		h = NULL;
	} else if (w->hash == seen) {
		err = mid_window_in_use(w) ? -EAGAIN : -ENOMEM;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	mid_hash_free(h);
	return err;
}

static __always_inline int mid_window_try_begin(struct mid_window *w, unsigned int charge,
						void *ctx, struct mid_tag *tag)
{
	struct mid_want want = { .min = charge, .max = charge };
	unsigned long flags;
	u64 first;
	int n;

	/* Once it is published all may be over before we are: reply, destroy. */
	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	if (unlikely(w->slow)) {
		n = mid_window_begin_slow(w, want, ctx, tag, flags);
	} else {
		n = mid_window_pick(w, want, &first);
		if (likely(n > 0)) {
			mid_ids_take(w, first, n);
			mid_window_fill(w, first, n, ctx, tag);
		} else {
			mid_window_note_failure(w, n);
		}
		raw_spin_unlock_irqrestore(&w->lock, flags);
	}
	rcu_read_unlock();
	return min(n, 0);
}

/**
 * mid_window_begin - give a request its ids
 * @w: the window
 * @charge: its CreditCharge, the number of ids
 * @ctx: the request, any pointer but %NULL and error pointers; the window never follows it
 * @tag: where to store its MessageId and epoch; may be a member of the request
 * @gfp: how to allocate if there are more requests in flight than create had slots for
 *
 * This is mid_window_reserve() and mid_window_associate() of one request in one step, and
 * does not wait.  The id is of the epoch that @tag says: a request that was made for an
 * older connection looks at it, and uses mid_window_unsend() if it does not fit.
 *
 * From the moment that the request is in flight, which may be before this returns,
 * others can map and dissociate it.  They see what was written into the request before
 * the call.  *@tag is written before.
 *
 * Context: Any context but NMI; with more requests in flight than create had slots for a
 * context in which @gfp may allocate.
 * Return: 0, or, with nothing changed and *@tag untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer, or @charge 0 or more than
 * %MID_WINDOW_MAX_SPAN,
 * %-EAGAIN if there are not enough ids, others wait for them, there is no room and a reply
 * will make some, or the window waits for mid_window_resume(),
 * %-ENOMEM if there is no room, and nothing is in flight that could make some,
 * %-ESHUTDOWN after mid_window_shut().
 */
int mid_window_begin(struct mid_window *w, unsigned int charge, void *ctx,
		     struct mid_tag *tag, gfp_t gfp)
{
	struct mid_hash *h;
	int err;

	if (!mid_ctx_is_valid(ctx) || !charge || charge > MID_WINDOW_MAX_SPAN)
		return -EINVAL;

	do {
		/* Pairs with mid_window_grow(). */
		h = smp_load_acquire(&w->hash);
		err = mid_window_try_begin(w, charge, ctx, tag);
		if (likely(!err))
			return 0;
		if (err == -ENOSPC)
			err = mid_window_grow(w, h, gfp) ?: -ENOSPC;
	} while (err == -ENOSPC);
	return err == -EDEADLK ? -EAGAIN : err;
}
EXPORT_SYMBOL_GPL(mid_window_begin);

static int mid_window_try_associate(struct mid_window *w, struct mid_span *span,
				    unsigned int charge, void *ctx, struct mid_tag *tag)
{
	u64 first = span->first;
	unsigned long flags;
	int rooms, err = 0;

	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	rooms = mid_ids_rooms(w, first, charge);
	if (w->shut)
		err = -ESHUTDOWN;
	else if (span->epoch != w->epoch)
		err = -ESTALE;
	else if (rooms < 0)
		err = rooms;
	else if (!rooms && !mid_window_has_room(w))
		err = -ENOSPC;
	if (!err) {
		mid_ids_leave_span(w, first, charge, rooms);
		span->first += charge;
		span->n -= charge;
		mid_window_fill(w, first, charge, ctx, tag);
	}
	mid_window_used_unlock(w, flags);
	rcu_read_unlock();
	return err;
}

/**
 * mid_window_associate - give a request ids of a span
 * @w: the window
 * @span: the ids; the request gets the lowest ones, and they leave the span
 * @charge: its CreditCharge, how many of them
 * @ctx: the request, as in mid_window_begin()
 * @tag: where to store its MessageId and epoch; may be a member of the request
 * @gfp: how to allocate if the span has no room any more
 *
 * A compound reserves the sum of its charges, and associates each of its requests.  What
 * mid_window_begin() says of the request and @tag holds here, too, and for @span: it is
 * written before the request is in flight.
 *
 * Context: Any context but NMI; if more requests are in flight than create had slots for, a
 * context in which @gfp may allocate.
 * Return: 0, or, with nothing changed,
 * %-EINVAL if @ctx is %NULL or an error pointer, or @charge 0 or more than the span has,
 * %-EINVAL and a warning if the ids are not in a span, for example if it was used twice,
 * %-EAGAIN or %-ENOMEM if there is no room, as in mid_window_begin(),
 * %-ESTALE if the ids are of an older epoch,
 * %-ESHUTDOWN after mid_window_shut().
 */
int mid_window_associate(struct mid_window *w, struct mid_span *span, unsigned int charge,
			 void *ctx, struct mid_tag *tag, gfp_t gfp)
{
	struct mid_hash *h;
	int err;

	if (!mid_ctx_is_valid(ctx) || !charge || charge > span->n)
		return -EINVAL;
	/* A reserve found no room, and cannot allocate. */
	if (unlikely(READ_ONCE(w->crowded)))
		mid_window_grow(w, READ_ONCE(w->hash), gfp);

	do {
		/* Pairs with mid_window_grow(). */
		h = smp_load_acquire(&w->hash);
		err = mid_window_try_associate(w, span, charge, ctx, tag);
		if (unlikely(err == -ENOSPC))
			err = mid_window_grow(w, h, gfp) ?: -ENOSPC;
	} while (unlikely(err == -ENOSPC));
	WARN_ON_ONCE(err == -EINVAL);
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_associate);

/*
 * Lookup
 */

/**
 * mid_window_map - return the request of an id
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 *
 * The caller holds rcu_read_lock(), or owns the request, and takes care of the
 * request's lifetime: it may be claimed at any moment.  MS-SMB2 3.2.5.1.2;
 * RDBSS' RxMapMidToContext().
 *
 * Context: Any context but NMI.  Takes no lock, and stores nothing.
 * Return: the request, or %NULL.
 */
void *mid_window_map(struct mid_window *w, u32 epoch, u64 id)
{
	struct mid_entry *e;
	void *ctx;
	u64 word;

	do {
		e = mid_window_find(w, epoch, id, &word);
		if (!e || mid_word_state(word) == MID_ABANDONED)
			return NULL;
		ctx = READ_ONCE(e->slot.ctx);
		/* As in mid_slot_map(): id and request are those of this word [map-reuse]. */
		smp_rmb();
	} while (unlikely(atomic64_read(&e->slot.word) != word));
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_map);

/**
 * mid_window_map_get_put - take a reference to the request of an id
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 * @get: takes a reference, and returns false if the request is about to be freed,
 *	as kref_get_unless_zero() does
 * @put: gives the reference back
 *
 * For requests that are freed after an RCU grace period, or from a
 * SLAB_TYPESAFE_BY_RCU cache.  @get is called under RCU.  If the id is no longer that of
 * the request then, the reference is given back.
 *
 * Context: Any context but NMI, if @get and @put allow it.
 * Return: the request, or %NULL.
 */
void *mid_window_map_get_put(struct mid_window *w, u32 epoch, u64 id,
			     bool (*get)(void *ctx), void (*put)(void *ctx))
{
	void *ctx;

	rcu_read_lock();
	ctx = mid_window_map(w, epoch, id);
	if (ctx && !get(ctx))
		ctx = NULL;
	/* A get orders nothing if it fails, and an acquire otherwise [get-recheck]. */
	smp_rmb();
	if (ctx && mid_window_map(w, epoch, id) != ctx) {
		put(ctx);
		ctx = NULL;
	}
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_map_get_put);

/**
 * mid_window_for_each - call a function for each request in flight
 * @w: the window
 * @fn: the function; it may call all that does not sleep
 * @arg: passed to @fn
 *
 * @fn is called under RCU, in no order.  A request that is in flight all the time is
 * shown once.  One that begins or ends meanwhile may be shown or not; it may have been
 * claimed when @fn is called.  Requests in quarantine, and those of an older epoch, are
 * not shown.
 *
 * Context: Any context but NMI.
 * Return: how many requests were shown.
 */
unsigned int mid_window_for_each(struct mid_window *w, mid_window_fn fn, void *arg)
{
	struct mid_entry *e;
	struct mid_hash *h;
	unsigned int n = 0;
	u64 word, id;
	void *ctx;
	u32 epoch;

	rcu_read_lock();
	for (e = NULL; (e = mid_window_next_entry(w, &h, e)); ) {
		ctx = mid_entry_read(e, &word, &id, &epoch);
		if (ctx && epoch == READ_ONCE(w->epoch)) {
			fn(ctx, id, arg);
			n++;
		}
	}
	rcu_read_unlock();
	return n;
}
EXPORT_SYMBOL_GPL(mid_window_for_each);

/*
 * Claims
 */

/*
 * Whether @id is one of the ids of a request in flight, but not the first.  A server may
 * have us search again and again, so the search is bounded.
 */
static bool mid_window_is_inside(const struct mid_window *w, u32 epoch, u64 id)
{
	const struct mid_entry *e;
	unsigned int n;
	u64 word;

	for (n = 1; n < MID_MOST_INSIDE && n <= id; n++) {
		e = mid_window_find(w, epoch, id - n, &word);
		if (e)
			return READ_ONCE(e->charge) > n;
	}
	return false;
}

/* No request in flight has this id: counts it, and says why. */
static noinline enum mid_stray mid_window_missed(struct mid_window *w, u32 epoch, u64 id)
{
	bool inside = mid_window_is_inside(w, epoch, id);
	unsigned long flags;
	bool stale;

	raw_spin_lock_irqsave(&w->lock, flags);
	if (epoch != w->epoch)
		stale = (s32)(epoch - w->epoch) < 0;
	else
		stale = id < w->next && !inside &&
			(id < w->tail || !mid_ids_is_unsent(w, id));
	if (stale) {
		w->stale++;
		trace_midwindow_stale(w, epoch, id);
	} else {
		w->unknown++;
		trace_midwindow_unknown(w, epoch, id);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return stale ? MID_STRAY_STALE : MID_STRAY_UNKNOWN;
}

/*
 * mid_window_dissociate() after a first claim that took nothing: the request is being
 * changed, it was abandoned, or there is none.  Not inline, so that the usual case saves
 * fewer registers.
 */
static noinline void *mid_window_dissociate_slow(struct mid_window *w, u32 epoch, u64 id)
{
	struct mid_entry *e;
	u64 word, begun;
	void *ctx = mid_window_claim(w, epoch, id, NULL, MID_FREE, &e, &word, &begun);

	if (ctx)
		mid_window_ended(w, epoch, id, ctx, begun, word);
	else if (!e || !mid_window_unabandon(w, e, word, true))
		mid_window_missed(w, epoch, id);
	return ctx;
}

/**
 * mid_window_dissociate - claim the request of an id
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 *
 * For the receiver of a final response, after mid_window_grant() of its credits.  The
 * request is handed to exactly one caller, however many claim it.  A late reply ends the
 * quarantine of its id.  MS-SMB2 3.2.5.1.2; RDBSS' RxMapAndDissociateMidFromContext().
 *
 * Context: Any context but NMI.  Takes no lock unless a task waits, or there is no such
 * request.
 * Return: the request, which the caller owns then, or %NULL.
 */
void *mid_window_dissociate(struct mid_window *w, u32 epoch, u64 id)
{
	struct mid_entry *e;
	u64 word, begun;
	void *ctx;

	rcu_read_lock();
	ctx = mid_window_try_claim(w, epoch, id, NULL, MID_FREE, &e, &word, &begun);
	if (likely(mid_ctx_is_valid(ctx)))
		mid_window_ended(w, epoch, id, ctx, begun, word);
	else
		ctx = mid_window_dissociate_slow(w, epoch, id);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_dissociate);

/**
 * mid_window_dissociate_if - claim one certain request
 * @w: the window
 * @tag: what mid_window_begin() or mid_window_associate() stored
 * @ctx: the request
 *
 * For a caller that has the request, and races a reply: a timeout or a cancel.
 *
 * Context: Any context but NMI.
 * Return: true if @tag is still that of @ctx, which the caller owns then.
 */
bool mid_window_dissociate_if(struct mid_window *w, const struct mid_tag *tag, void *ctx)
{
	struct mid_entry *e;
	u64 word, begun;
	bool ours;

	if (!mid_ctx_is_valid(ctx))
		return false;
	rcu_read_lock();
	ours = mid_window_claim(w, tag->epoch, tag->id, ctx, MID_FREE, &e, &word, &begun);
	if (ours)
		mid_window_ended(w, tag->epoch, tag->id, ctx, begun, word);
	rcu_read_unlock();
	return ours;
}
EXPORT_SYMBOL_GPL(mid_window_dissociate_if);

/**
 * mid_window_unsend - take back a request that was not sent
 * @w: the window
 * @tag: what mid_window_begin() or mid_window_associate() stored
 * @ctx: the request
 *
 * This is mid_window_dissociate_if(), and the ids of the request are available again.  It
 * is only for a request of which the server has seen no byte.
 *
 * The ids stay used, and are counted as lost, if they are more than about
 * %MID_WINDOW_MAX_SPAN * 2 below the next new one, and if an interim response has come: then
 * the server has seen the request, or guesses ids.
 *
 * Context: Any context but NMI.
 * Return: true if @tag is still that of @ctx, which the caller owns then; false also if it
 * was abandoned.
 */
bool mid_window_unsend(struct mid_window *w, const struct mid_tag *tag, void *ctx)
{
	struct mid_tag t = *tag;	/* may be a member of the request */
	struct mid_entry *e;
	unsigned long flags;
	u64 word, begun;

	if (!mid_ctx_is_valid(ctx))
		return false;
	rcu_read_lock();
	if (!mid_window_claim(w, t.epoch, t.id, ctx, MID_BUSY, &e, &word, &begun)) {
		rcu_read_unlock();
		return false;
	}

	raw_spin_lock_irqsave(&w->lock, flags);
	if (t.epoch == w->epoch && (e->async_id || !mid_ids_return(w, t.id, e->charge)))
		w->lost += e->charge;
	trace_midwindow_unsend(w, t.epoch, t.id, ctx,
			       jiffies64_to_nsecs(mid_word_age(word)));
	mid_slot_free(&e->slot, word);
	mid_window_serve_unlock(w, flags);
	mid_window_freed(w);
	rcu_read_unlock();
	return true;
}
EXPORT_SYMBOL_GPL(mid_window_unsend);

/**
 * mid_window_reassociate - exchange the request of an id
 * @w: the window
 * @tag: the id and its epoch
 * @new_ctx: the new request
 *
 * The ids, the age and the AsyncId stay as they are.  A map that races sees one or the
 * other; a claim that races gets one of them, and this call the other or %NULL.
 * RDBSS' RxReassociateMid().
 *
 * Context: Any context but NMI.
 * Return: the old request, which the caller owns then; %NULL, with nothing stored, if there
 * is none in flight; ERR_PTR(-EINVAL) if @new_ctx is %NULL or an error pointer.
 */
void *mid_window_reassociate(struct mid_window *w, const struct mid_tag *tag, void *new_ctx)
{
	struct mid_entry *e;
	unsigned long flags;
	void *ctx = NULL;
	u64 word;

	if (!mid_ctx_is_valid(new_ctx))
		return ERR_PTR(-EINVAL);
	raw_spin_lock_irqsave(&w->lock, flags);
	/* Under the lock no other request takes the entry. */
	e = mid_window_find(w, tag->epoch, tag->id, &word);
	if (e)
		ctx = mid_slot_replace(&e->slot, &w->lock, MID_LIVE, MID_STATE, new_ctx);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_window_reassociate);

/*
 * Quarantine
 */

/**
 * mid_window_abandon - give up a request whose reply may still come
 * @w: the window
 * @tag: what mid_window_begin() or mid_window_associate() stored
 * @ctx: the request
 * @quarantine: for how long the id is remembered, in jiffies; 0: not at all
 *
 * For a killed task, or one that has timed out.  The id counts as in use until its late
 * reply comes or the quarantine has passed; a quarter of the room, but at least 16, can be
 * in quarantine, then the oldest is forgotten.  The AsyncId is kept as long, since a CANCEL
 * must carry it (MS-SMB2 3.2.4.24).
 *
 * Context: Any context but NMI.
 * Return: true if @tag was still that of @ctx, which the caller owns then.
 */
bool mid_window_abandon(struct mid_window *w, const struct mid_tag *tag, void *ctx,
			unsigned long quarantine)
{
	struct mid_entry *e;
	unsigned long flags;
	bool ours = false;
	u64 word;

	if (!quarantine)
		return mid_window_dissociate_if(w, tag, ctx);
	if (!mid_ctx_is_valid(ctx))
		return false;
	quarantine = min(quarantine, MID_MAX_QUARANTINE);

	rcu_read_lock();
	raw_spin_lock_irqsave(&w->lock, flags);
	/* Under the lock no other request takes the entry. */
	e = mid_window_find(w, tag->epoch, tag->id, &word);
	if (e)
		ours = mid_window_begin_quarantine(w, e, ctx, quarantine);
	/* One that was forgotten has made room. */
	mid_window_serve_unlock(w, flags);
	rcu_read_unlock();
	return ours;
}
EXPORT_SYMBOL_GPL(mid_window_abandon);

/**
 * mid_window_stray - count a reply for which there is no request
 * @w: the window
 * @epoch: the epoch of the connection that the id arrived on
 * @id: any value, as it came from the wire
 *
 * For a receiver that looks up by mid_window_map_get_put(), and found nothing.  A late reply
 * ends the quarantine of its id.  Unlike mid_window_dissociate() this never takes a request.
 *
 * Context: Any context but NMI.
 * Return: what kind of reply it is: %MID_STRAY_LATE; %MID_STRAY_STALE for an id that was
 * used and is no longer in flight, or of an older epoch; %MID_STRAY_UNKNOWN for one that was
 * not sent, of a later epoch, or among the first 128 ids of a request in flight but not its
 * first one; %MID_STRAY_LIVE, and nothing is counted, for a request in flight.
 */
enum mid_stray mid_window_stray(struct mid_window *w, u32 epoch, u64 id)
{
	enum mid_stray kind = MID_STRAY_LIVE;
	struct mid_entry *e;
	u64 word;

	rcu_read_lock();
	e = mid_window_find(w, epoch, id, &word);
	if (e && mid_word_state(word) == MID_ABANDONED && mid_window_unabandon(w, e, word, true))
		kind = MID_STRAY_LATE;
	else if (!e || mid_word_state(word) == MID_ABANDONED)
		kind = mid_window_missed(w, epoch, id);
	rcu_read_unlock();
	return kind;
}
EXPORT_SYMBOL_GPL(mid_window_stray);

/*
 * Sweeps
 */

/**
 * mid_window_claim_if - claim the requests that a function chooses
 * @w: the window
 * @age: for how long they have been in flight at least, in jiffies
 * @want: is asked for each such request, under RCU, and may call all that does not sleep;
 *	%NULL: all of them
 * @fn: is handed each request that was claimed, in the order of their ids, outside every
 *	lock; may be %NULL
 * @arg: passed to @want and @fn
 *
 * For a sweep that ends overdue requests and spares change notifies and blocking locks, or
 * that ends those of one session.  A request that @want declines keeps its ids.  A request
 * that was in flight at the start is claimed, declined, or has been claimed by another
 * caller; one that @fn begins is not in the same sweep.  Ages are those at the start.
 * Requests in quarantine are left alone.
 *
 * All requests are claimed before @fn is called for the first of them, so @fn cannot claim
 * another one of the same sweep.
 *
 * Context: Any context but NMI, if @want and @fn allow it.
 * Return: how many requests were claimed.
 */
unsigned int mid_window_claim_if(struct mid_window *w, unsigned long age, mid_window_want want,
				 mid_window_fn fn, void *arg)
{
	struct mid_sweep sweep = { .age = age, .want = want, .arg = arg };

	return mid_window_sweep(w, &sweep, fn);
}
EXPORT_SYMBOL_GPL(mid_window_claim_if);

/**
 * mid_window_reset - begin a new connection
 * @w: the window
 * @fn: is handed each request of the old connection, in the order of their ids, outside
 *	every lock; may be %NULL
 * @arg: passed to @fn
 *
 * Epoch and window, which is { 0 }, are new before @fn is called for the first time.  From
 * then on only urgent reserves get ids, until mid_window_resume(): so NEGOTIATE has id 0.
 * Other waiters keep their place; urgent ones, which meant the old connection, leave with
 * %-ESTALE.  A span, a grant or a note_async of the old epoch gets %-ESTALE from now on.
 *
 * Context: Any context but NMI, if @fn allows it.
 * Return: the new epoch.
 */
u32 mid_window_reset(struct mid_window *w, mid_window_fn fn, void *arg)
{
	struct mid_sweep sweep = { .arg = arg };
	unsigned long flags;
	u32 new;

	raw_spin_lock_irqsave(&w->lock, flags);
	sweep.epoch = w->epoch;
	new = w->epoch + 1 ?: 1;
	atomic64_set(&w->credits, mid_credits_word(new, w->slow ? MID_CREDITS_SLOW : 0));
	WRITE_ONCE(w->epoch, new);
	w->rooms = 0;
	w->paused = true;
	mid_ids_open(w, mid_window_first_id());
	trace_midwindow_reset(w, new);
	mid_window_serve_unlock(w, flags);

	mid_window_end_quarantines(w, sweep.epoch);
	mid_window_sweep(w, &sweep, fn);
	return new;
}
EXPORT_SYMBOL_GPL(mid_window_reset);

/*
 * AsyncIds
 */

/**
 * mid_window_note_async - note an interim response
 * @w: the window
 * @epoch: the epoch of the connection that it arrived on
 * @id: its MessageId
 * @async_id: its AsyncId
 *
 * Stores the AsyncId, which a CANCEL must carry (MS-SMB2 3.2.4.24), and begins the age of
 * the request anew (3.2.5.1.5 "SHOULD extend"), once: a server that repeats the response
 * does not keep the request young.  An abandoned request keeps its quarantine, and its
 * AsyncId is noted, too.  Responses are found by MessageId alone (3.2.5.1.2), so no
 * request is looked up by its AsyncId.
 *
 * Context: Any context but NMI.
 * Return: 0, also if it is noted already; or, with nothing changed,
 * %-EINVAL if @async_id is 0, %-ESTALE if @epoch is not the current one, %-ENOENT if no
 * request has the id, %-EEXIST if the request has another AsyncId.
 */
int mid_window_note_async(struct mid_window *w, u32 epoch, u64 id, u64 async_id)
{
	struct mid_entry *e;
	unsigned long flags;
	int err = 0;
	u64 word;

	if (!async_id)
		return -EINVAL;
	raw_spin_lock_irqsave(&w->lock, flags);
	/* Under the lock no other request takes the entry, though it may be claimed. */
	e = mid_window_find(w, epoch, id, &word);
	if (epoch != w->epoch)
		err = -ESTALE;
	else if (!e)
		err = -ENOENT;
	else if (e->async_id)
		err = e->async_id == async_id ? 0 : -EEXIST;
	else if (!mid_slot_touch(&e->slot, &w->lock, MID_LIVE, MID_STATE) &&
		 mid_word_state(word) != MID_ABANDONED)
		err = -ENOENT;
	if (!err && !e->async_id) {
		WRITE_ONCE(e->async_id, async_id);
		trace_midwindow_note_async(w, epoch, id, async_id);
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(mid_window_note_async);

/**
 * mid_window_async_id - return the AsyncId of a request
 * @w: the window
 * @tag: what mid_window_begin() or mid_window_associate() stored
 * @async_id: where to store the AsyncId
 *
 * For the CANCEL of a request in flight, or of one that was abandoned, until its
 * quarantine ends (MS-SMB2 3.2.4.24).
 *
 * Context: Any context but NMI.
 * Return: true if an interim response was noted; otherwise *@async_id is untouched.
 */
bool mid_window_async_id(struct mid_window *w, const struct mid_tag *tag, u64 *async_id)
{
	struct mid_entry *e;
	unsigned long flags;
	u64 word, found = 0;

	raw_spin_lock_irqsave(&w->lock, flags);
	e = mid_window_find(w, tag->epoch, tag->id, &word);
	if (e)
		found = e->async_id;
	raw_spin_unlock_irqrestore(&w->lock, flags);
	if (found)
		*async_id = found;
	return found;
}
EXPORT_SYMBOL_GPL(mid_window_async_id);

/*
 * The end
 */

/**
 * mid_window_shut - let no more requests begin
 * @w: the window
 *
 * For ever, also over resets: begin, reserve and associate return %-ESHUTDOWN, and tasks
 * that wait in reserve leave with it.  Everything else goes on: replies arrive, and a span
 * is returned by mid_window_give_back().
 *
 * Context: Any context but NMI.
 */
void mid_window_shut(struct mid_window *w)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	w->shut = true;
	mid_window_set_slow(w);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	/* Wakes a drain if nothing is in use. */
	mid_window_freed_slow(w);
}
EXPORT_SYMBOL_GPL(mid_window_shut);

/**
 * mid_window_drain - shut the window and wait until no request is in use
 * @w: the window
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever
 *
 * Requests in quarantine count as in use; spans do not count.
 *
 * Context: May sleep.
 * Return: 0; %-ETIMEDOUT if @timeout has passed, or %-ERESTARTSYS if the task was killed,
 * with what is left untouched.
 */
int mid_window_drain(struct mid_window *w, unsigned long timeout)
{
	long left = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);

	might_sleep();
	trace_midwindow_drain(w, mid_window_epoch(w));
	mid_window_shut(w);
	left = wait_for_completion_killable_timeout(&w->drained, left);
	if (left > 0 || completion_done(&w->drained))
		return 0;
	return left ?: -ETIMEDOUT;
}
EXPORT_SYMBOL_GPL(mid_window_drain);

/* All but the age of the oldest request */
static void mid_window_read_stats(struct mid_window *w, struct mid_window_stats *stats)
{
	struct mid_waiter *first;
	unsigned long flags;

	memset(stats, 0, sizeof(*stats));
	raw_spin_lock_irqsave(&w->lock, flags);
	mid_ids_pull(w);
	first = mid_window_first_waiter(w);
	stats->epoch = w->epoch;
	stats->next = w->next;
	stats->limit = w->limit;
	stats->unsent = mid_ids_lowest_unsent(w);
	stats->spans = w->spans;
	stats->given_back = w->returned;
	stats->aside = w->aside;
	stats->stalled = w->limit > w->next &&
			 w->next - round_down(stats->unsent, BITS_PER_LONG) >= MID_IDS_SPREAD;
	mid_window_note_peak(w);
	stats->in_use = mid_window_in_use(w);
	stats->high_water = w->high_water;
	stats->abandoned = w->nr_abandoned;
	stats->waiters = atomic_read(&w->waiting);
	stats->wants = first ? first->want.min : 0;
	stats->slots = w->hash->room;
	stats->associated = w->associated;
	stats->dissociated = w->associated - stats->in_use + w->nr_abandoned;
	stats->stale = w->stale;
	stats->unknown = w->unknown;
	stats->late = w->late;
	stats->exhausted = w->exhausted;
	stats->lost = w->lost;
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/**
 * mid_window_stats - read the state of a window
 * @w: the window
 * @stats: where to store it
 *
 * Context: Any context but NMI.  Looks at each entry, without a lock.
 */
void mid_window_stats(struct mid_window *w, struct mid_window_stats *stats)
{
	struct mid_entry *e;
	struct mid_hash *h;
	u64 word;

	mid_window_read_stats(w, stats);
	for (e = NULL; (e = mid_window_next_entry(w, &h, e)); ) {
		word = atomic64_read(&e->slot.word);
		if (word & MID_LIVE)
			stats->oldest = max(stats->oldest, mid_word_age(word));
	}
}
EXPORT_SYMBOL_GPL(mid_window_stats);

#include "window/debugfs.h"

/**
 * mid_window_show_with - have the client describe its requests in debugfs
 * @w: the window
 * @show: appends what the client knows of the request @ctx (its command, its pid, its file)
 *	to its line of the file inflight, without a newline; %NULL: nothing
 *
 * @show is called under RCU for each request in flight, also while the request is claimed.
 * So a client that has a @show must not free or reuse a request before an RCU grace period has
 * passed since it was claimed.  200 characters are shown; others than printable ASCII as "?".
 *
 * When this returns, no reader of debugfs is in an earlier @show.  After
 * mid_window_destroy() none is in the last one.
 *
 * Context: May sleep.
 */
void mid_window_show_with(struct mid_window *w, void (*show)(struct seq_file *m, void *ctx))
{
	mid_folder_show_with(&w->folder, show);
}
EXPORT_SYMBOL_GPL(mid_window_show_with);

static void mid_window_free(struct mid_window *w)
{
	struct mid_hash *h, *older;

	for (h = w->hash; h; h = older) {
		older = h->older;
		mid_hash_free(h);
	}
	kvfree(w->rings);
	free_percpu(w->folder.latency.counts);
	kvfree(w);
}

static void mid_window_free_rcu(struct rcu_head *rcu)
{
	mid_window_free(container_of(rcu, struct mid_window, rcu));
}

/**
 * mid_window_create - create the window of a connection
 * @name: the name of the connection, not empty
 * @slots: how many requests can be in flight without more memory, at most
 *	%MID_WINDOW_MAX_SLOTS
 * @gfp: how to allocate
 *
 * The window is { 0 }, of epoch 1, and open to all: the first request has id 0.  @slots
 * requests never need memory, for the life of the window: with the client's own mempool
 * for requests that is forward progress in the writeback path.  With more requests in
 * flight the table grows, under the @gfp of mid_window_begin() or mid_window_associate().
 *
 * Context: Any context in which @gfp may allocate.
 * Return: the window, or ERR_PTR(-EINVAL) if there is no name or @slots is too large,
 * ERR_PTR(-ENOMEM).
 */
struct mid_window *mid_window_create(const char *name, unsigned int slots, gfp_t gfp)
{
	struct mid_window *w;

	if (!name || !*name || slots > MID_WINDOW_MAX_SLOTS)
		return ERR_PTR(-EINVAL);
	w = mid_window_alloc(struct_size(w, folder.name, mid_folder_name_size(name)), gfp);
	if (!w)
		return ERR_PTR(-ENOMEM);
	w->rings = mid_window_alloc(sizeof(*w->rings), gfp);
	w->hash = mid_hash_alloc(mid_hash_bits(slots), gfp);
	if (!w->rings || !w->hash) {
		mid_window_free(w);
		return ERR_PTR(-ENOMEM);
	}
	raw_spin_lock_init(&w->lock);
	INIT_LIST_HEAD(&w->queue[false]);
	INIT_LIST_HEAD(&w->queue[true]);
	INIT_LIST_HEAD(&w->abandoned);
	INIT_LIST_HEAD(&w->singles);
	w->by_min = RB_ROOT_CACHED;
	init_completion(&w->left);
	init_completion(&w->drained);
	INIT_DELAYED_WORK(&w->expiry, mid_window_expire);
	w->secret = get_random_u64() | 1;
	w->stride = MID_STRIDE_LEAST + (u32)(w->secret >> 32) % MID_STRIDES * 2;
	w->epoch = mid_window_first_epoch();
	atomic64_set(&w->credits, mid_credits_word(w->epoch, 0));
	mid_ids_open(w, mid_window_first_id());
	mid_folder_init(&w->folder, name);
	trace_midwindow_create(w, w->epoch);
	return w;
}
EXPORT_SYMBOL_GPL(mid_window_create);

/**
 * mid_window_destroy - free a window
 * @w: the window, or %NULL
 * @destructor: is handed each request in flight, in the order of their ids; may be %NULL
 * @arg: passed to @destructor
 *
 * Tasks that wait in mid_window_reserve() leave with %-ESHUTDOWN first.  No other call may
 * be under way, or begin later; only a lookup inside rcu_read_lock() that began before may
 * go on.  Spans that are out are forgotten.
 *
 * The @destructor may call all functions of this window that do not sleep: no new request
 * begins, and all others are claimed already.
 *
 * Context: May sleep.
 */
void mid_window_destroy(struct mid_window *w, mid_window_fn destructor, void *arg)
{
	struct mid_sweep sweep = { .arg = arg };

	if (!w)
		return;
	might_sleep();

	trace_midwindow_destroy(w, w->epoch);
	mid_window_shut(w);
	mid_window_await_waiters(w);
	mid_window_sweep(w, &sweep, destructor);
	cancel_delayed_work_sync(&w->expiry);
	mid_folder_remove(&w->folder);
	/* A lookup, or the end of a claim, may be in there. */
	call_rcu(&w->rcu, mid_window_free_rcu);
}
EXPORT_SYMBOL_GPL(mid_window_destroy);

static int __init mid_window_init(void)
{
	mid_debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	return 0;
}

static void __exit mid_window_exit(void)
{
	debugfs_remove(mid_debugfs);
	/* mid_window_free_rcu() */
	rcu_barrier();
}

/* Before any client, if both are part of the kernel */
subsys_initcall(mid_window_init);
module_exit(mid_window_exit);

MODULE_DESCRIPTION("MessageId windows: tracks the in-flight SMB2/3 requests of a connection");
MODULE_LICENSE("GPL");
