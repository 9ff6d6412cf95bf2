// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas - tells the in-flight requests of one connection apart
 *
 * An atlas is a table of slots.  A slot holds one request and hands it to exactly
 * one claimer (midslot.h).  The number of the slot and its generation are the MID
 * (atlas/table.h).  associate and dissociate are one cmpxchg each, both on the slot;
 * no list, count or bitmap that CPUs share is written on the way.  The rest is rare
 * or may be inexact:
 *
 *	atlas/count.h		how many MIDs are in use
 *	atlas/find.h		where a free slot is
 *	atlas/wait.h		the queue of tasks that wait for a MID
 *	atlas/service.h		how many slots may be used: the maximum, growth, drain
 *	atlas/aside.h		slots for urgent requests
 *	atlas/associate.h	an associate off the fast path
 *	atlas/quarantine.h	MIDs of requests that were given up
 *	atlas/sweep.h		claims of many requests: timeouts, resets
 *	atlas/stamp.h		when requests began, in nanoseconds
 *	atlas/debugfs.h, atlas/trace.h	what an operator sees, with midfolder.h and midlatency.h
 *
 * These are parts of this file, included once.  Functions that begin with mid_word_ and
 * mid_slot_ know one slot, mid_table_ one table, mid_atlas_ all.
 *
 * What is rare is under mid_atlas::lock, and announced in mid_atlas::mode, which the
 * usual calls read once:
 *
 *	mode		set when				what it asks of whom
 *	OLDER		there is an older table			associate: a unique MID
 *	OVER_LIMIT	more slots in service than ordinary	dissociate: park the slot
 *			associates may use
 *	WAITERS		a task waits for a MID			dissociate: hand it over
 *	DRAIN		the atlas is shut, for ever		associate: fail
 *	SWEEP		a sweep is in progress			associate: NEW, not LIVE
 *	SCAN		an associate checks all slots		dissociate: count in free_seq
 *
 * A call that sets a mode goes on with a full barrier, and looks at the slots then.  A
 * call that changes a slot does so by a cmpxchg, a full barrier, and reads the mode
 * then.  So at least one of the two sees the other:
 *
 *	T1: associate			T2: set_max below what is in use, drain
 *
 *	word: FREE -> BUSY		mode |= OVER_LIMIT or DRAIN
 *	cmpxchg's full barrier		smp_mb
 *	mode?				looks for free slots
 *
 *	T1: dissociate			T2: the same
 *
 *	word: LIVE -> FREE
 *	cmpxchg's full barrier
 *	mode & OVER_LIMIT? parks it	slot free? parks it
 *
 * The cmpxchg lets one of the two park the slot [drain-associate].
 *
 * What was not done
 * =================
 *
 * An XArray or IDR writes tree nodes and marks under one lock for each request;
 * two CPUs pay for each other's cache lines.  A bitmap allocator beside an array
 * (sbitmap) has two truths that have to be reconciled at each race.  Caches that own
 * free ids on each CPU strand them: with 50 MIDs on 64 CPUs that is all of them.
 * Packing the pointer and the state into one word would save 8 bytes a slot
 * but forbid odd and tagged pointers, and leave too few bits for a version.
 * Copying slots into a grown table would have to stop associates half-way;
 * leaving them behind needs nothing of the kind.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "midatlas.h"
#include "midfolder.h"
#include "midslot.h"

#ifndef MID_BITS		/* the model tries smaller MIDs */
#define MID_BITS		16
#endif
#define MID_RESERVED		((1u << MID_BITS) - 1)	/* the server's own MID */
#define MID_LINE		4	/* slots that share a cache line */
#define MID_FIRST_ORDER		6	/* log2 of the slots to begin with */
#define MID_LEAST_CHUNK		16u	/* slots that a CPU probes in order */
#define MID_MOST_CHUNK		8192u
#define MID_STAY_ORDER		12	/* up to here a CPU may stay in its chunk */
#define MID_PROBES		16u	/* slots to probe before the CPU tries something else */
#define MID_MOST_PROBES		64u	/* the same where space is low */
#define MID_RING		32	/* freed slots that a CPU remembers where space is low */
#define MID_MOST_KEPT		16u	/* of these it leaves so many alone, if it can */
#define MID_ROOMY		~0u	/* mid_atlas::keep where space is not low */
#define MID_NO_SLOT		~0u	/* looks like the last of its chunk */
#define MID_BLOCKED		((void *)~0ul)	/* the ctx of a blocked slot */
#define MID_MAX_QUARANTINE	BIT(30)	/* jiffies; half of what 32 bits can order */

/* mid_atlas::mode */
#define MID_MODE_OLDER		BIT(0)
#define MID_MODE_OVER_LIMIT	BIT(1)
#define MID_MODE_WAITERS	BIT(2)
#define MID_MODE_DRAIN		BIT(3)
#define MID_MODE_SWEEP		BIT(4)
#define MID_MODE_SCAN		BIT(8)	/* a count of associates */
#define MID_MODE_LOCK		(MID_MODE_OVER_LIMIT | MID_MODE_WAITERS | MID_MODE_DRAIN)

/**
 * struct mid_table - slots whose MIDs have one layout
 * @slots: the slots, at least one cache line of them
 * @order: how many bits of a MID are the slot's number
 * @mask: 2^@order - 1
 * @match: the bits of a slot's word that a MID in flight fixes
 * @step: what a take adds to a slot's word
 * @chunk: how many slots a CPU probes in order before it moves on, a power of two
 * @older: the table before this one, while it still has MIDs in use
 * @online: slots in service
 * @parked: slots out of service that may return
 * @parked_head: the first of these, linked by mid_slot::ctx
 * @blocked: slots out of service whose MIDs older tables have in use
 * @rcu: frees the table
 * @cursor: where the next chunk begins
 * @begun: when the request of each slot began, or %NULL, see atlas/stamp.h
 * @urgent: a bit for each slot that came into service for an urgent request
 *
 * Up to @chunk, nothing changes after the table was published.  From @older to @blocked, and
 * @urgent, all is under mid_atlas::lock.
 */
struct mid_table {
	struct mid_slot *slots;
	unsigned int order;
	unsigned int mask;
	unsigned int match;
	unsigned int step;
	unsigned int chunk;
	struct mid_table __rcu *older;
	unsigned int online;
	unsigned int parked;
	unsigned int parked_head;
	unsigned int blocked;
	struct rcu_head rcu;
	u64 *begun;
	atomic_t cursor ____cacheline_aligned_in_smp;
	unsigned long urgent[];
};

/**
 * struct mid_cpu - what an atlas has on each CPU
 * @next: the slot that this CPU probes next; %MID_NO_SLOT: it needs a chunk
 * @busy: busy slots that it met in its chunk
 * @associated: requests that were associated on this CPU
 * @dissociated: requests that were taken out on this CPU, not always the same ones
 * @noted: how many freed slots it remembered, ever
 * @recalled: how many of them it tried again
 * @ring: the last of these
 *
 * Interrupts and, where the kernel is preempted, other CPUs may write here, too.
 * The ring may suffer from that, the counts do not.
 */
struct mid_cpu {
	unsigned int next;
	unsigned int busy;
	unsigned long associated;
	unsigned long dissociated;
	u8 noted;
	u8 recalled;
	u16 ring[MID_RING];
};

/**
 * struct mid_atlas - the MIDs of one connection
 * @table: the table that hands out MIDs
 * @mode: not 0 while something rare is in progress, MID_MODE_*
 * @cpu: each CPU's place, ring and counts
 * @keep: how many slots a CPU leaves in its ring; %MID_ROOMY where space is not low
 * @probes: how many slots to scan where it is
 * @sampled: the jiffy of the last sample of what is in use
 * @lock: serialises all that is rare; taken in any context, so a raw one
 * @max: the most MIDs that may be in use
 * @aside: how many of these are for urgent requests only
 * @urgent: slots in service that are
 * @changes: changes of @max, @aside, @urgent, or which slots are parked
 * @online: the slots in service, over all tables
 * @abandoned: how many slots are ABANDONED
 * @oldest: the MID that was abandoned first, %MID_RESERVED if none is
 * @newest: the MID that was abandoned last
 * @warned: the log has been told that too many are
 * @sweeps: sweeps with an age of 0 that are in progress
 * @waiters: tasks that wait for a MID, the first to be served first
 * @drained: completed once when, after a drain began, no slot is in service
 * @left: completed when, after a drain began, no task is @waiting
 * @expiry: frees the ABANDONED slots whose quarantine is over
 * @armed: @expiry will run at the jiffy @expires
 * @expires: see @armed
 * @free_seq: frees that happened while an associate checked all slots
 * @high: the most MIDs that were seen in use
 * @stale: dissociates of a MID of an earlier generation
 * @unknown: dissociates of a MID that never was in use
 * @late: dissociates of an ABANDONED MID
 * @exhausted: associates that found no free MID
 * @waiting: tasks inside mid_atlas_associate_wait() that found no MID at once
 * @rcu: frees the atlas
 * @folder: what an operator sees of it
 *
 * From @max to @waiters, @armed and @expires, all is under @lock.
 */
struct mid_atlas {
	struct mid_table __rcu *table;
	atomic_t mode;
	struct mid_cpu __percpu *cpu;
	unsigned int keep;
	unsigned int probes;
	unsigned long sampled;

	raw_spinlock_t lock ____cacheline_aligned_in_smp;
	unsigned int max;
	unsigned int aside;
	unsigned int urgent;
	unsigned int changes;
	unsigned int online;
	unsigned int abandoned;
	u16 oldest;
	u16 newest;
	bool warned;
	unsigned int sweeps;
	struct list_head waiters;
	struct completion drained;
	struct completion left;
	struct delayed_work expiry;
	bool armed;
	unsigned long expires;
	atomic_t free_seq;
	atomic_t high;
	atomic64_t stale;
	atomic64_t unknown;
	atomic64_t late;
	atomic64_t exhausted;
	atomic_t waiting;
	struct rcu_head rcu;
	struct mid_folder folder;
};

#ifndef __CHECKER__	/* sparse cannot read what makes the events */
#define CREATE_TRACE_POINTS
#endif
#include "atlas/trace.h"

/* The mode has no order of its own: the callers have barriers where it matters. */
static void mid_atlas_set_mode(struct mid_atlas *atlas, int mode, bool on)
{
	if (on)
		atomic_or(mode, &atlas->mode);
	else
		atomic_andnot(mode, &atlas->mode);
}

static bool mid_atlas_draining(struct mid_atlas *atlas)
{
	return atomic_read(&atlas->mode) & MID_MODE_DRAIN;
}

static struct mid_table *mid_atlas_table_locked(struct mid_atlas *atlas)
{
	return rcu_dereference_protected(atlas->table, lockdep_is_held(&atlas->lock));
}

static void mid_find_tune(struct mid_atlas *atlas, unsigned int in_use);

#include "atlas/table.h"
#include "atlas/stamp.h"
#include "atlas/count.h"
#include "atlas/find.h"
#include "atlas/wait.h"
#include "atlas/service.h"
#include "atlas/aside.h"
#include "atlas/quarantine.h"
#include "atlas/associate.h"

/*
 * Taking a MID
 */

/**
 * mid_atlas_associate - give a request a free MID
 * @atlas: the atlas
 * @ctx: the request, any pointer but %NULL and error pointers; the atlas never follows it
 * @mid: where to store the MID; may be a member of the request
 * @gfp: how to allocate if the table has to grow
 *
 * From the moment that the MID is in flight, which may be before this returns,
 * others can map and dissociate it.  They see what was written into the request before
 * the call.  *@mid is written before.
 *
 * A MID value is handed out again as late as the space allows: in a table of 64
 * slots, after the slot was taken 1024 times.  RDBSS' RxAssociateContextWithMid().
 *
 * Context: Any context but NMI.  If the table may have to grow, that is, if not
 * all slots were asked for in mid_atlas_create() or the maximum was raised
 * since, a context in which @gfp may allocate.  If no slot is free, each slot is checked.
 * Return: 0, or, with nothing changed and *@mid untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer,
 * %-ENOSPC if the maximum of MIDs is in use, or the next free one is promised
 * to a task in mid_atlas_associate_wait(),
 * %-ENOMEM if the table could not grow,
 * %-ESHUTDOWN after mid_atlas_shut() or mid_atlas_drain().
 */
int mid_atlas_associate(struct mid_atlas *atlas, void *ctx, u16 *mid, gfp_t gfp)
{
	struct mid_slot *slot;
	struct mid_table *t;
	unsigned int i;
	u16 new_mid;
	u64 word;

	if (unlikely(!mid_ctx_is_valid(ctx)))
		return -EINVAL;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	if (unlikely(trace_midatlas_associate_enabled() || mid_atlas_timed() ||
		     atomic_read(&atlas->mode) || !mid_find_guess(atlas, t, &i)))
		goto slow;
	slot = &t->slots[i];
	if (unlikely(!mid_slot_take(slot, t->step, &word)))
		goto slow;
	WRITE_ONCE(slot->ctx, ctx);
	new_mid = mid_word_mid(t, i, word);
	/* The mode again, now that the slot is ours; see mid_slot_confirm(). */
	if (unlikely(atomic_read(&atlas->mode) || new_mid == MID_RESERVED))
		return mid_atlas_associate_again(atlas, t, i, word, mid, gfp);
	mid_atlas_publish(atlas, slot, word, new_mid, mid);
	rcu_read_unlock();
	return 0;
slow:
	rcu_read_unlock();
	return mid_atlas_associate_slow(atlas, ctx, mid, gfp, false);
}
EXPORT_SYMBOL_GPL(mid_atlas_associate);

/**
 * mid_atlas_associate_urgent - give a MID to a request that others wait for
 * @atlas: the atlas
 * @ctx: as for mid_atlas_associate()
 * @mid: as for mid_atlas_associate()
 * @gfp: how to allocate if the table has to grow
 *
 * For the acknowledgment of an oplock break while all other requests wait in blocking locks
 * (MS-CIFS 3.2.4.2), a 9P Tflush, an ECHO.  Takes one of the MIDs that mid_atlas_set_aside()
 * keeps, and only if these are in use, or there are none, one of the others.  Passes the
 * tasks in mid_atlas_associate_wait(), but does not wait itself.  While a MID that was kept
 * is in use, the other calls take the atlas' lock.  RDBSS has nothing of the kind.
 *
 * Context: as for mid_atlas_associate().
 * Return: 0, or, with nothing changed and *@mid untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer,
 * %-ENOSPC if the maximum of MIDs is in use,
 * %-ENOMEM if the table could not grow,
 * %-ESHUTDOWN after mid_atlas_shut() or mid_atlas_drain().
 */
int mid_atlas_associate_urgent(struct mid_atlas *atlas, void *ctx, u16 *mid, gfp_t gfp)
{
	if (!mid_ctx_is_valid(ctx))
		return -EINVAL;
	return mid_atlas_associate_slow(atlas, ctx, mid, gfp, true);
}
EXPORT_SYMBOL_GPL(mid_atlas_associate_urgent);

/* Waits until @w is given a slot.  Returns 0, or why not to wait any longer. */
static int mid_waiter_wait(struct mid_atlas *atlas, struct mid_waiter *w, gfp_t gfp,
			   unsigned long timeout)
{
	long left = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
	unsigned int order;
	int err;

	/* Once: what becomes free from now on is handed over by the caller that frees it. */
	if (w->leads) {
		mid_atlas_settle_older(atlas);
		rcu_read_lock();
		mid_table_settle(atlas, rcu_dereference(atlas->table));
		rcu_read_unlock();
	}

	do {
		if (READ_ONCE(w->leads) && READ_ONCE(w->err) == -EAGAIN) {
			rcu_read_lock();
			order = rcu_dereference(atlas->table)->order;
			rcu_read_unlock();
			err = mid_atlas_grow(atlas, order, false, gfp);
			if (err == -ENOMEM)
				return err;
			if (!err)
				continue;
		}
		left = wait_for_completion_killable_timeout(&w->woken, left);
		if (left <= 0)
			return left ?: -ETIMEDOUT;
	} while (READ_ONCE(w->err) == -EAGAIN);
	return 0;
}

/*
 * Uses the slot that @w was given, or takes it out of the queue for @why.  If it leads, others
 * may complete @woken twice, but only under the lock; else it has waited for the only time.
 */
static int mid_waiter_finish(struct mid_atlas *atlas, struct mid_waiter *w, int why, void *ctx,
			     u16 *mid)
{
	unsigned long flags;
	u16 new_mid;

	if (why || w->leads) {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		if (w->err == -EAGAIN) {
			mid_waiter_dequeue(atlas, w, why);
			/* What we could not grow is for the next waiter. */
			mid_atlas_let_grow(atlas);
		}
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
	}
	if (!w->err) {
		new_mid = mid_word_mid(w->t, w->i, w->word);
		trace_midatlas_associate(atlas, new_mid, ctx);
		mid_slot_set_stamp(atlas, w->t, w->i);
		WRITE_ONCE(w->t->slots[w->i].ctx, ctx);
		w->word += mid_atlas_new(atlas);
		mid_atlas_publish(atlas, &w->t->slots[w->i], w->word, new_mid, mid);
	}
	return w->err;
}

/**
 * mid_atlas_associate_wait - give a request a free MID, waiting for one
 * @atlas: the atlas
 * @ctx: as for mid_atlas_associate()
 * @mid: as for mid_atlas_associate()
 * @gfp: how to allocate if the table has to grow
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * First come, first served: a MID that becomes free is given to the task that
 * has waited longest, and no mid_atlas_associate() overtakes it.  A waiter that
 * is killed or times out leaves the queue; if it was given a MID at that very
 * moment it uses it.
 *
 * Context: Process context.  May sleep.
 * Return: 0, or, with nothing changed and *@mid untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer,
 * %-ENOMEM if the table could not grow,
 * %-ETIMEDOUT if there was no MID in time,
 * %-ERESTARTSYS if the task was killed,
 * %-ESHUTDOWN after mid_atlas_shut(), mid_atlas_drain() or mid_atlas_destroy().
 */
int mid_atlas_associate_wait(struct mid_atlas *atlas, void *ctx, u16 *mid, gfp_t gfp,
			     unsigned long timeout)
{
	struct mid_associate a = { .ctx = ctx, .mid = mid, .gfp = gfp };
	struct mid_waiter w = { .err = -EAGAIN };
	int err = -ENOSPC;

	might_sleep();
	if (!mid_ctx_is_valid(ctx))
		return -EINVAL;

	/* From here on in one RCU section until destroy knows of us. */
	rcu_read_lock();
	if (!(atomic_read(&atlas->mode) & MID_MODE_WAITERS))
		err = mid_atlas_try(atlas, &a);
	if (err == -ENOSPC && !mid_atlas_enter(atlas))
		err = -ESHUTDOWN;
	rcu_read_unlock();
	if (err != -ENOSPC)
		return err;

	/* If others wait they have looked at all slots, and we are next. */
	err = timeout ? mid_waiter_enqueue(atlas, &w, false) : -ENOSPC;
	if (err == -ENOSPC) {
		err = mid_atlas_try_harder(atlas, &a);
		if (err == -ENOSPC)
			err = timeout ? mid_waiter_enqueue(atlas, &w, true) : -ETIMEDOUT;
	} else if (err == -EAGAIN) {
		mid_atlas_count_exhausted(atlas);
	}
	if (err == -EAGAIN) {
		trace_midatlas_wait(atlas, ctx);
		err = mid_waiter_wait(atlas, &w, gfp, timeout);
		err = mid_waiter_finish(atlas, &w, err, ctx, mid);
		trace_midatlas_wait_end(atlas, ctx, err);
	}
	/* A destroy may not see us wait any more: then it frees the atlas after this. */
	rcu_read_lock();
	mid_atlas_leave(atlas);
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(mid_atlas_associate_wait);

/*
 * Looking up
 */

/* Not in the current table */
static noinline void *mid_table_map_older(const struct mid_table *t, u16 mid)
{
	void *ctx = NULL;

	while (!ctx && (t = rcu_dereference(t->older)))
		ctx = mid_slot_map(mid_table_slot(t, mid), mid_key(mid, MID_LIVE), t->match);
	return ctx;
}

/**
 * mid_atlas_map - find the request of a MID
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * The atlas holds no reference to requests.  The pointer is good as long as
 * the caller knows that the request is: because it owns the request, or because
 * requests are freed after an RCU grace period and it is inside
 * rcu_read_lock().  RDBSS' RxMapMidToContext().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the request that has @mid, an RCU-only pointer, or %NULL if none has:
 * the MID was never handed out, is free again, or belongs to an earlier generation.
 */
void *mid_atlas_map(struct mid_atlas *atlas, u16 mid)
{
	const struct mid_table *t;
	void *ctx;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	ctx = mid_slot_map(mid_table_slot(t, mid), mid_key(mid, MID_LIVE), t->match);
	if (unlikely(!ctx && rcu_access_pointer(t->older)))
		ctx = mid_table_map_older(t, mid);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_map);

/**
 * mid_atlas_map_get_put - find the request of a MID and take a reference
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 * @get: takes a reference, or returns false if there is none to be had, as
 *	kref_get_unless_zero() does; called inside rcu_read_lock()
 * @put: gives back what @get took; may be %NULL, see mid_atlas_map_get()
 *
 * @get is called once at most, and after it the MID is looked up again: if it
 * has another request by then, or none, the reference is given back.  So the
 * requests may even come from a %SLAB_TYPESAFE_BY_RCU cache::
 *
 *	T1: map_get(M)			T2: dissociate(M), last put
 *
 *	map: ctx
 *					dissociate: ctx
 *					refcount 1 -> 0, kfree_rcu(ctx)
 *	get(ctx): false, NULL
 *
 * Context: Any context but NMI, as far as @get and @put allow.
 * Return: the request that has @mid, with a strong reference, or %NULL.
 */
void *mid_atlas_map_get_put(struct mid_atlas *atlas, u16 mid, bool (*get)(void *ctx),
			    void (*put)(void *ctx))
{
	void *ctx;

	/* What was freed since is still a request in here [get-put]. */
	rcu_read_lock();
	ctx = mid_atlas_map(atlas, mid);
	if (ctx && !get(ctx))
		ctx = NULL;
	/* A get may order nothing: its count, then the MID again [get-recheck]. */
	smp_rmb();
	if (ctx && mid_atlas_map(atlas, mid) != ctx) {
		if (put)
			put(ctx);
		ctx = NULL;
	}
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_map_get_put);

/**
 * mid_atlas_map_get - find the request of a MID and take hold of it
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 * @get: takes hold of the request, or returns false
 *
 * mid_atlas_map_get_put() without a @put: if the MID got another request while
 * @get ran, %NULL is returned although @get had returned true.  This is for a
 * @get that leaves nothing to give back; one that counts references needs the
 * other function.
 *
 * Context: Any context but NMI, as far as @get allows.
 * Return: the request that has @mid, or %NULL.
 */
void *mid_atlas_map_get(struct mid_atlas *atlas, u16 mid, bool (*get)(void *ctx))
{
	return mid_atlas_map_get_put(atlas, mid, get, NULL);
}
EXPORT_SYMBOL_GPL(mid_atlas_map_get);

/*
 * Taking a request out
 */

/* Whether claims have more to do than to free the slot */
static __always_inline bool mid_atlas_watched(void)
{
	return trace_midatlas_dissociate_enabled() || mid_atlas_timed();
}

/* Slot @i is FREE, or BUSY if that is @watched, and its request @ctx is ours. */
static void mid_table_claimed(struct mid_atlas *atlas, struct mid_table *t, unsigned int i,
			      u64 word, void *ctx, bool watched)
{
	u64 age;

	mid_atlas_count_dissociate(atlas);
	if (watched) {
		age = mid_latency_count(&atlas->folder.latency, mid_slot_stamp(t, i),
					mid_word_age(word));
		/* Before the MID is free: the next associate may have it at once. */
		trace_midatlas_dissociate(atlas, mid_word_mid(t, i, word), ctx, age);
		mid_slot_free(&t->slots[i], word);
	}
	mid_slot_freed(atlas, t, i);
}

/* The request of @mid in @t, which is then the caller's, or NULL: only @only, if not NULL */
static void *mid_table_claim(struct mid_atlas *atlas, struct mid_table *t, u16 mid,
			     const void *only)
{
	bool watched = mid_atlas_watched();
	void *ctx;
	u64 word;

	ctx = mid_slot_claim(mid_table_slot(t, mid), &atlas->lock, mid_key(mid, MID_LIVE), t->match,
			     only, watched ? MID_BUSY : MID_FREE, &word);
	if (ctx)
		mid_table_claimed(atlas, t, mid & t->mask, word, ctx, watched);
	return ctx;
}

static void *mid_atlas_claim_mid(struct mid_atlas *atlas, u16 mid, const void *only)
{
	struct mid_table *t = rcu_dereference(atlas->table);
	void *ctx;

	do {
		ctx = mid_table_claim(atlas, t, mid, only);
	} while (!ctx && (t = rcu_dereference(t->older)));
	return ctx;
}

/* Was @mid handed out before, as far as the slot's generation tells? */
static bool mid_table_used(const struct mid_table *t, u16 mid)
{
	unsigned int i = mid & t->mask;
	u64 word = atomic64_read(&t->slots[i].word);
	u32 gens_ago = ((mid_word_mid(t, i, word) - mid) & MID_RESERVED) >> t->order;

	return gens_ago < mid_word_gen(t, word) && mid != MID_RESERVED;
}

/* A reply came, and no request has its MID: late, stale or unknown? */
static enum mid_stray mid_atlas_missed(struct mid_atlas *atlas, u16 mid)
{
	struct mid_table *t = rcu_dereference(atlas->table);
	bool used = false;

	if (READ_ONCE(atlas->abandoned) && mid_atlas_unabandon(atlas, mid, true)) {
		atomic64_inc(&atlas->late);
		return MID_STRAY_LATE;
	}
	do {
		used |= mid_table_used(t, mid);
	} while ((t = rcu_dereference(t->older)));
	if (used)
		trace_midatlas_stale(atlas, mid);
	else
		trace_midatlas_unknown(atlas, mid);
	atomic64_inc(used ? &atlas->stale : &atlas->unknown);
	return used ? MID_STRAY_STALE : MID_STRAY_UNKNOWN;
}

static noinline void *mid_atlas_dissociate_slow(struct mid_atlas *atlas, u16 mid)
	__releases(RCU)
{
	void *ctx = mid_atlas_claim_mid(atlas, mid, NULL);

	if (!ctx)
		mid_atlas_missed(atlas, mid);
	rcu_read_unlock();
	return ctx;
}

/* The slot of @mid became FREE and its request ours: the rest of mid_atlas_dissociate() */
static noinline void *mid_atlas_dissociated(struct mid_atlas *atlas, struct mid_table *t, u16 mid,
					    void *ctx)
	__releases(RCU)
{
	mid_atlas_count_dissociate(atlas);
	mid_slot_freed(atlas, t, mid & t->mask);
	rcu_read_unlock();
	return ctx;
}

/**
 * mid_atlas_dissociate - take the request of a MID out of the atlas
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * The claim: however many callers race for one MID, for the reply, the timeout, the
 * signal and the reset, one of them gets the request and all others get %NULL.  The
 * MID is free again.  If no request has @mid, the reply is counted, and ends the quarantine
 * of an abandoned MID; a client that looks up by mid_atlas_map_get_put() calls
 * mid_atlas_stray() for that.  RDBSS' RxMapAndDissociateMidFromContext().
 *
 * Context: Any context but NMI.
 * Return: the request, which the caller now owns, or %NULL if @mid has none.
 */
void *mid_atlas_dissociate(struct mid_atlas *atlas, u16 mid)
{
	struct mid_slot *slot;
	struct mid_table *t;
	void *ctx;
	s64 word;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	slot = mid_table_slot(t, mid);
	/* mid_slot_claim() and mid_slot_free() in one step */
	word = atomic64_read_acquire(&slot->word);
	if (unlikely(mid_atlas_watched() ||
		     !mid_word_matches(word, mid_key(mid, MID_LIVE), t->match | MID_STATE)))
		return mid_atlas_dissociate_slow(atlas, mid);
	ctx = READ_ONCE(slot->ctx);
	if (unlikely(!atomic64_try_cmpxchg(&slot->word, &word, word - MID_LIVE + MID_FREE)))
		return mid_atlas_dissociate_slow(atlas, mid);
	if (unlikely(mid_atlas_sample_is_due(atlas) || atomic_read(&atlas->mode)))
		return mid_atlas_dissociated(atlas, t, mid, ctx);
	if (mid_find_is_low(atlas))
		mid_find_note(raw_cpu_ptr(atlas->cpu), mid & t->mask);
	this_cpu_inc(atlas->cpu->dissociated);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_dissociate);

/**
 * mid_atlas_stray - count a reply that belongs to no request
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * For a client that looks up by mid_atlas_map_get_put() and found nothing.  Frees the MID
 * if it is abandoned, and counts and traces the reply as mid_atlas_dissociate() does,
 * but never takes a request::
 *
 *	T1: receiver			T2: associate
 *
 *	map_get_put(M): NULL
 *					the MID is M
 *	dissociate(M): T2's request; its reply has not come
 *	stray(M): MID_STRAY_LIVE
 *
 * RDBSS only has RxMapAndDissociateMidFromContext().
 *
 * Context: Any context but NMI.
 * Return: what the reply was: %MID_STRAY_LATE, %MID_STRAY_STALE, %MID_STRAY_UNKNOWN;
 * or %MID_STRAY_LIVE, with nothing counted, if @mid has a request now.
 */
enum mid_stray mid_atlas_stray(struct mid_atlas *atlas, u16 mid)
{
	enum mid_stray stray = MID_STRAY_LIVE;

	rcu_read_lock();
	if (!mid_atlas_map(atlas, mid))
		stray = mid_atlas_missed(atlas, mid);
	rcu_read_unlock();
	return stray;
}
EXPORT_SYMBOL_GPL(mid_atlas_stray);

/**
 * mid_atlas_dissociate_if - take a request out of the atlas, if it is still in
 * @atlas: the atlas
 * @mid: the MID that the request was given
 * @ctx: the request
 *
 * The claim of a timer or a canceller, which knows the request and must find out
 * whether it may still end it.
 *
 * Context: Any context but NMI.
 * Return: true if @mid still had @ctx, which the caller now owns; false, with
 * nothing changed, if another caller owns it.
 */
bool mid_atlas_dissociate_if(struct mid_atlas *atlas, u16 mid, void *ctx)
{
	void *old;

	if (!mid_ctx_is_valid(ctx))
		return false;

	rcu_read_lock();
	old = mid_atlas_claim_mid(atlas, mid, ctx);
	rcu_read_unlock();
	return old;
}
EXPORT_SYMBOL_GPL(mid_atlas_dissociate_if);

/**
 * mid_atlas_reassociate - give the MID of one request to another
 * @atlas: the atlas
 * @mid: the MID
 * @new_ctx: the request that gets it
 *
 * In one step: a map or dissociate at the same time gets the old request or
 * the new one, and never finds the MID free.  What was written into @new_ctx
 * before the call is seen by the caller that gets it.
 *
 * RDBSS' RxReassociateMid() always succeeds, and its page says of the third
 * parameter both that it is what to store and that it holds the context on
 * exit; the old context is lost there, and returned here.
 *
 * Context: Any context but NMI.  Takes the atlas' lock with interrupts off.
 * Return: the old request, which the caller now owns; %NULL, with nothing
 * stored, if @mid has no request; ERR_PTR(%-EINVAL) if @new_ctx is %NULL or an
 * error pointer.
 */
void *mid_atlas_reassociate(struct mid_atlas *atlas, u16 mid, void *new_ctx)
{
	void *old_ctx = NULL;
	struct mid_table *t;
	unsigned long flags;

	if (!mid_ctx_is_valid(new_ctx))
		return ERR_PTR(-EINVAL);

	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	for (t = mid_atlas_table_locked(atlas); t && !old_ctx; t = rcu_dereference(t->older))
		old_ctx = mid_slot_replace(mid_table_slot(t, mid), &atlas->lock,
					   mid_key(mid, MID_LIVE), t->match, new_ctx);
	if (old_ctx)
		trace_midatlas_reassociate(atlas, mid, old_ctx, new_ctx);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	rcu_read_unlock();
	return old_ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_reassociate);

/**
 * mid_atlas_touch - begin the age of a request anew
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * For an interim response: the server has said that it is working on the request
 * (MS-SMB2 3.2.5.1.5: the client SHOULD extend the request's expiration).  From now on the
 * ages that mid_atlas_claim_if(), mid_atlas_stats(), debugfs and the trace show count from
 * this call.  The request, its MID and everything else stay as they are.
 *
 * Context: Any context but NMI.  Waits only for a reassociate of the same MID.
 * Return: true; false if @mid has no request in flight, for example if it was abandoned.
 */
bool mid_atlas_touch(struct mid_atlas *atlas, u16 mid)
{
	struct mid_table *t;
	bool live = false;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t && !live; t = rcu_dereference(t->older))
		live = mid_slot_touch(mid_table_slot(t, mid), &atlas->lock,
				      mid_key(mid, MID_LIVE), t->match);
	rcu_read_unlock();
	return live;
}
EXPORT_SYMBOL_GPL(mid_atlas_touch);

/**
 * mid_atlas_abandon - give up a request whose reply may still come
 * @atlas: the atlas
 * @mid: the MID that the request was given
 * @ctx: the request
 * @quarantine: for how long to keep the MID from others, in jiffies; 0 not at
 *	all, and never longer than 2^30
 *
 * For a requester that cannot wait: a task that was killed.  The request is
 * the caller's at once.  The MID stays in use until mid_atlas_dissociate() or
 * mid_atlas_stray() is called for its late reply, which is counted as late, or until
 * the quarantine has passed.  At most a quarter of the maximum can be
 * abandoned, so that a silent server does not take all MIDs: beyond that the
 * one that was abandoned first is freed early, which the log says once for an
 * atlas.  With a maximum of less than 4 no MID is kept.
 *
 * Context: Any context but NMI.  Takes the atlas' lock with interrupts off.
 * Return: true if @mid still had @ctx, which the caller now owns; false, with
 * nothing changed, if another caller owns it.
 */
bool mid_atlas_abandon(struct mid_atlas *atlas, u16 mid, void *ctx, unsigned long quarantine)
{
	struct mid_slot *oldest = NULL;
	bool ours, warn = false;
	struct mid_table *t;
	unsigned long flags;

	quarantine = min(quarantine, MID_MAX_QUARANTINE);
	if (!quarantine || !mid_atlas_max_abandoned(atlas))
		return mid_atlas_dissociate_if(atlas, mid, ctx);

	if (mid_atlas_sample_is_due(atlas))
		mid_atlas_sample(atlas);
	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	ours = mid_quarantine_begin(atlas, mid, ctx, quarantine);
	if (ours)
		oldest = mid_quarantine_pop(atlas, &t);
	if (oldest) {
		warn = !atlas->warned;
		atlas->warned = true;
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (oldest)
		mid_slot_freed(atlas, t, oldest - t->slots);
	rcu_read_unlock();
	if (warn)
		pr_warn("%s: %u requests were given up, and no reply has come: the oldest one's MID is freed before its time\n",
			atlas->folder.name, mid_atlas_max_abandoned(atlas));
	return ours;
}
EXPORT_SYMBOL_GPL(mid_atlas_abandon);

/*
 * All requests
 */

#include "atlas/sweep.h"

/**
 * mid_atlas_for_each - look at every request in flight
 * @atlas: the atlas
 * @fn: is called for each, inside rcu_read_lock(), and must not sleep
 * @arg: passed to @fn
 *
 * The requests stay in the atlas, and may leave it at any time; @fn gets an
 * RCU-only pointer.  What comes or goes meanwhile may be seen or not.
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many requests @fn was called for.
 */
unsigned int mid_atlas_for_each(struct mid_atlas *atlas, mid_ctx_fn fn, void *arg)
{
	unsigned int i, n = 0;
	struct mid_table *t;
	void *ctx;
	u16 mid;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older)) {
		for (i = 0; i <= t->mask; i++) {
			mid = mid_word_mid(t, i, atomic64_read(&t->slots[i].word));
			ctx = mid_slot_map(&t->slots[i], mid_key(mid, MID_LIVE), t->match);
			if (!ctx)
				continue;
			fn(ctx, mid, arg);
			n++;
		}
	}
	rcu_read_unlock();
	return n;
}
EXPORT_SYMBOL_GPL(mid_atlas_for_each);

/**
 * mid_atlas_claim_if - take all requests of a kind out of the atlas
 * @atlas: the atlas
 * @age: in jiffies
 * @want: says which requests to take; %NULL: all
 * @fn: is given each of them, outside every lock; may be %NULL
 * @arg: passed to @want and @fn
 *
 * A sweep, for timeouts, for a reconnect (mid_atlas_claim_all()), for the end of one
 * session or file.  Of the requests that have been in flight for @age when the sweep
 * begins, it shows those to @want that are not abandoned.  @want is called inside
 * rcu_read_lock() and outside every lock; it may call everything that does not sleep, and
 * may be asked about a request again, if the request was touched or reassociated
 * meanwhile.  A request that @want declines stays in flight under its MID, for example a
 * change notify or a blocking lock, which has no deadline.  One that it wants is then
 * owned by @fn.
 *
 * Every request that was in flight when the sweep began is given to @fn, declined by @want,
 * or taken by another call.  One that is associated meanwhile may stay, and stays if @fn
 * associated it (with an @age of 0, unless a second such sweep begins meanwhile): a
 * reset first stops new requests.
 *
 * A reassociate does not make a request younger (256 of them, by one jiffy), but
 * mid_atlas_touch() does.  Ages are right up to 2^37 jiffies, on 32-bit CPUs up to
 * 2^32, but for the last 2^20.
 *
 * RDBSS has no sweep.  The expiry of requests is that of MS-SMB2 3.2.6.1.
 *
 * Context: Any context but NMI, as far as @want and @fn allow.  Looks at all slots, twice
 * if @age is 0.
 * Return: how many requests were taken.
 */
unsigned int mid_atlas_claim_if(struct mid_atlas *atlas, unsigned long age, mid_ctx_want want,
				mid_ctx_fn fn, void *arg)
{
	struct mid_sweep s = {
		.age = age, .want = want, .arg = arg, .start = jiffies, .order = MID_BITS,
	};
	unsigned int n = 0;
	void *ctx;
	u16 mid;

	if (!age)
		mid_atlas_begin_sweep(atlas);
	while ((ctx = mid_atlas_sweep(atlas, &s, &mid))) {
		if (fn)
			fn(ctx, mid, arg);
		n++;
	}
	if (!age)
		mid_atlas_count_sweep(atlas, -1);
	return n;
}
EXPORT_SYMBOL_GPL(mid_atlas_claim_if);

/*
 * Limits
 */

/* What ordinary associates may use has changed: parks free slots, or unparks some. */
static void mid_atlas_refit(struct mid_atlas *atlas)
{
	struct mid_table *t;
	unsigned long flags;
	int i;

	rcu_read_lock();
	/* OVER_LIMIT before the slots. */
	smp_mb();
	if (atomic_read(&atlas->mode) & MID_MODE_OVER_LIMIT)
		for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
			mid_table_settle(atlas, t);
	/* One at a time, so that interrupts are off for a bounded time. */
	do {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		i = mid_atlas_unpark(atlas);
		if (i < 0)
			mid_atlas_let_grow(atlas);
		t = mid_atlas_table_locked(atlas);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		if (i >= 0)
			mid_slot_freed_slow(atlas, t, i);
	} while (i >= 0);
	rcu_read_unlock();
}

/**
 * mid_atlas_set_max - change how many MIDs may be in use
 * @atlas: the atlas
 * @max_mids: the new maximum
 *
 * The server's MaxMpxCount comes when the connection, and its atlas, exist.
 * A larger maximum is there for waiters at once; the table grows with the next
 * associate that needs it.  A smaller one takes no MID from a request: until fewer
 * than that are in use, new requests wait or get %-ENOSPC.  Only of the abandoned
 * ones the oldest are freed that are more than a quarter of it.
 *
 * Context: Any context but NMI.  Looks at all slots once.
 * Return: 0, or %-EINVAL if @max_mids is 0 or more than %MID_ATLAS_MAX_MIDS.
 */
int mid_atlas_set_max(struct mid_atlas *atlas, unsigned int max_mids)
{
	unsigned long flags;

	if (!max_mids || max_mids > MID_RESERVED)
		return -EINVAL;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	WRITE_ONCE(atlas->max, max_mids);
	mid_atlas_tell_over_limit(atlas);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	mid_atlas_refit(atlas);
	rcu_read_lock();
	mid_atlas_trim_quarantine(atlas);
	rcu_read_unlock();
	return 0;
}
EXPORT_SYMBOL_GPL(mid_atlas_set_max);

/**
 * mid_atlas_set_aside - keep some MIDs for urgent requests
 * @atlas: the atlas
 * @mids: how many of the maximum; 0 as long as this was not called
 *
 * Only mid_atlas_associate_urgent() hands these out; for the others the maximum is
 * smaller by @mids.  As with mid_atlas_set_max(), a call that keeps more takes no MID from a
 * request, and one that keeps less serves waiters at once.  A larger maximum is for
 * ordinary requests, and one that is less than @mids is all for urgent ones.
 *
 * MS-SMB2 3.2.4.1.2 asks the same of the credits of a client.
 *
 * Context: Any context but NMI.  Looks at all slots once.
 * Return: 0, or, with nothing changed, %-EINVAL if @mids is more than the maximum.
 */
int mid_atlas_set_aside(struct mid_atlas *atlas, unsigned int mids)
{
	unsigned long flags;
	bool valid;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	valid = mids <= atlas->max;
	if (valid) {
		atlas->aside = mids;
		mid_atlas_tell_over_limit(atlas);
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (!valid)
		return -EINVAL;
	mid_atlas_refit(atlas);
	return 0;
}
EXPORT_SYMBOL_GPL(mid_atlas_set_aside);

/**
 * mid_atlas_shut - let no request in any more
 * @atlas: the atlas
 *
 * From now on, and for ever, associates fail with %-ESHUTDOWN, and tasks in
 * mid_atlas_associate_wait() leave with it::
 *
 *	T1: shut			T2: associate_wait
 *
 *	lock, mode |= DRAIN		lock
 *	sends all waiters away		DRAIN? leaves; else into the queue
 *	unlock				unlock
 *
 * What is in flight stays.  For a connection that is found broken where nothing may
 * sleep; mid_atlas_drain() is this and a wait, and RDBSS has neither.
 *
 * Context: Any context but NMI.  Looks at all slots once.
 */
void mid_atlas_shut(struct mid_atlas *atlas)
{
	struct mid_waiter *w;
	struct mid_table *t;
	unsigned long flags;

	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	mid_atlas_set_mode(atlas, MID_MODE_DRAIN, true);
	while ((w = mid_atlas_first_waiter(atlas))) {
		mid_waiter_release(atlas, w, -ESHUTDOWN);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		raw_spin_lock_irqsave(&atlas->lock, flags);
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	/* DRAIN before the slots. */
	smp_mb();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		mid_table_settle(atlas, t);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(mid_atlas_shut);

static bool mid_atlas_drained(struct mid_atlas *atlas)
{
	unsigned long flags;
	bool drained;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	drained = !atlas->online;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return drained;
}

/**
 * mid_atlas_drain - wait until nothing is in flight
 * @atlas: the atlas
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * mid_atlas_shut(), and then a wait until every request has
 * been taken out and every abandoned MID is free.  May be called again, and by
 * several tasks.
 *
 * Context: Process context.  May sleep.
 * Return: 0 when nothing is in use; %-ETIMEDOUT or, if the task was killed,
 * %-ERESTARTSYS, and what is still in use is untouched.
 */
int mid_atlas_drain(struct mid_atlas *atlas, unsigned long timeout)
{
	long left = 0;
	int err = 0;

	might_sleep();

	trace_midatlas_drain(atlas);
	mid_atlas_shut(atlas);
	if (timeout && !mid_atlas_drained(atlas)) {
		timeout = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
		left = wait_for_completion_killable_timeout(&atlas->drained, timeout);
		/* It is completed once: pass it on to another task that may wait. */
		if (left > 0)
			complete(&atlas->drained);
	}
	if (!mid_atlas_drained(atlas))
		err = left < 0 ? left : -ETIMEDOUT;
	trace_midatlas_drain_end(atlas, err);
	return err;
}
EXPORT_SYMBOL_GPL(mid_atlas_drain);

/* Adds the slots of @t to @stats. */
static void mid_table_stats(const struct mid_table *t, struct mid_atlas_stats *stats)
{
	unsigned int i, state;
	u64 word;

	for (i = 0; i <= t->mask; i++) {
		word = atomic64_read(&t->slots[i].word);
		state = mid_word_state(word);
		if (state & MID_LIVE)
			stats->oldest = max(stats->oldest, mid_word_age(word));
		if (state & MID_LIVE || state == MID_ABANDONED)
			stats->in_use++;
		if (state == MID_ABANDONED)
			stats->abandoned++;
	}
}

/**
 * mid_atlas_stats - look at the state of an atlas
 * @atlas: the atlas
 * @stats: is filled in
 *
 * A snapshot, consistent in itself only while no call is in progress.
 *
 * Context: Any context but NMI.  Looks at all slots.
 */
void mid_atlas_stats(struct mid_atlas *atlas, struct mid_atlas_stats *stats)
{
	unsigned long flags, associated = 0, dissociated = 0;
	struct mid_table *t;
	int cpu;

	memset(stats, 0, sizeof(*stats));
	mid_atlas_sample(atlas);

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		mid_table_stats(t, stats);
	rcu_read_unlock();

	raw_spin_lock_irqsave(&atlas->lock, flags);
	stats->max = atlas->max;
	stats->waiters = atomic_read(&atlas->waiting);
	stats->slots = atlas->online;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);

	for_each_possible_cpu(cpu) {
		associated += READ_ONCE(per_cpu_ptr(atlas->cpu, cpu)->associated);
		dissociated += READ_ONCE(per_cpu_ptr(atlas->cpu, cpu)->dissociated);
	}
	stats->associated = associated;
	stats->dissociated = dissociated;
	stats->high_water = atomic_read(&atlas->high);
	stats->stale = atomic64_read(&atlas->stale);
	stats->unknown = atomic64_read(&atlas->unknown);
	stats->late = atomic64_read(&atlas->late);
	stats->exhausted = atomic64_read(&atlas->exhausted);
}
EXPORT_SYMBOL_GPL(mid_atlas_stats);

#include "atlas/debugfs.h"

/**
 * mid_atlas_show_with - have the client describe its requests in debugfs
 * @atlas: the atlas
 * @show: appends what the client knows of the request @ctx (its command, its pid, its file)
 *	to its line of the file inflight, without a newline; %NULL: nothing
 *
 * blk-mq has the same as show_rq.  @show is called inside rcu_read_lock() for each request
 * in flight, also while that leaves the atlas.  So a client that has a @show must not free
 * or reuse a request before an RCU grace period has passed since it was taken out.
 *
 * When this returns, no reader of debugfs is in an earlier @show.  After mid_atlas_destroy()
 * none is in the last one.
 *
 * Context: Process context.  May sleep.
 */
void mid_atlas_show_with(struct mid_atlas *atlas, void (*show)(struct seq_file *m, void *ctx))
{
	mid_folder_show_with(&atlas->folder, show);
}
EXPORT_SYMBOL_GPL(mid_atlas_show_with);

/*
 * Creation and destruction
 */

static void mid_atlas_free(struct mid_atlas *atlas)
{
	struct mid_table *t, *older;

	for (t = rcu_dereference_protected(atlas->table, true); t; t = older) {
		older = rcu_dereference_protected(t->older, true);
		mid_table_free(t);
	}
	free_percpu(atlas->cpu);
	free_percpu(atlas->folder.latency.counts);
	kfree(atlas);
}

static void mid_atlas_free_rcu(struct rcu_head *rcu)
{
	mid_atlas_free(container_of(rcu, struct mid_atlas, rcu));
}

/**
 * mid_atlas_create - make an atlas for one connection
 * @name: what an operator will know it by; only the first 200 characters count
 * @max_mids: the most MIDs that may be in use, the server's MaxMpxCount
 * @initial_mids: how many to have slots for at once
 * @gfp: how to allocate
 *
 * If @initial_mids is less than @max_mids the table grows by itself.  If they
 * are equal, mid_atlas_associate() never allocates, which is what a client needs
 * whose requests write back dirty pages, or go out from interrupts.
 *
 * RDBSS' RxCreateMidAtlas().
 *
 * Context: Process context.  May sleep if @gfp allows it.
 * Return: the atlas, to be given back to mid_atlas_destroy();
 * ERR_PTR(%-EINVAL) if @max_mids is 0 or more than %MID_ATLAS_MAX_MIDS, if
 * @initial_mids is more than @max_mids, or if there is no name;
 * ERR_PTR(%-ENOMEM).
 */
struct mid_atlas *mid_atlas_create(const char *name, unsigned int max_mids,
				   unsigned int initial_mids, gfp_t gfp)
{
	unsigned int first, order;
	struct mid_atlas *atlas;
	struct mid_table *t;

	if (!name || !*name || !max_mids || max_mids > MID_RESERVED || initial_mids > max_mids)
		return ERR_PTR(-EINVAL);

	atlas = kzalloc(struct_size(atlas, folder.name, mid_folder_name_size(name)), gfp);
	if (!atlas)
		return ERR_PTR(-ENOMEM);

	first = max(initial_mids, min(max_mids, 1u << MID_FIRST_ORDER));
	order = order_base_2(first);
	t = mid_table_alloc(order, gfp);
	atlas->cpu = alloc_percpu_gfp(struct mid_cpu, gfp);
	RCU_INIT_POINTER(atlas->table, t);
	if (!t || !atlas->cpu) {
		mid_atlas_free(atlas);
		return ERR_PTR(-ENOMEM);
	}

	mid_table_init(t, min(max_mids, 1u << order), 0);
	atlas->keep = MID_ROOMY;
	atlas->probes = MID_PROBES;
	mid_find_forget(atlas);
	/* The first dissociate takes a sample. */
	atlas->sampled = jiffies - 1;
	raw_spin_lock_init(&atlas->lock);
	atlas->max = max_mids;
	atlas->online = t->online;
	atlas->oldest = MID_RESERVED;
	atlas->newest = MID_RESERVED;
	INIT_LIST_HEAD(&atlas->waiters);
	init_completion(&atlas->drained);
	init_completion(&atlas->left);
	INIT_DELAYED_WORK(&atlas->expiry, mid_atlas_expire);
	mid_folder_init(&atlas->folder, name);
	trace_midatlas_create(atlas);
	return atlas;
}
EXPORT_SYMBOL_GPL(mid_atlas_create);

/* After mid_atlas_shut(): waits for the associates that may still publish a request. */
static void mid_atlas_await_busy(struct mid_atlas *atlas)
{
	struct mid_table *t;
	bool busy = false;
	unsigned int i;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		for (i = 0; i <= t->mask; i++)
			busy |= mid_word_state(atomic64_read(&t->slots[i].word)) == MID_BUSY;
	rcu_read_unlock();
	if (busy)
		synchronize_rcu();
}

/**
 * mid_atlas_destroy - end an atlas
 * @atlas: the atlas, or %NULL
 * @destructor: is given each request that still has a MID; may be %NULL
 * @arg: passed to @destructor
 *
 * @destructor is called once for each, outside every lock, and may sleep; it
 * owns the request.  It may call mid_atlas_map() and its relatives, mid_atlas_dissociate(),
 * mid_atlas_dissociate_if(), mid_atlas_reassociate(), mid_atlas_abandon(),
 * mid_atlas_touch(), mid_atlas_stray() and mid_atlas_claim_if(), for the MID that it was
 * given, which has no request any more, and for others.  A request that it takes out so is
 * its own, and it is not called for that one.  A quarantine that it begins ends with the
 * atlas.  Associates fail with %-ESHUTDOWN.
 *
 * The caller guarantees that no other call is in progress when this begins, and that
 * none begins later, but for two: a lookup inside an rcu_read_lock() that began
 * earlier, because the memory is freed after a grace period, and a task that is in
 * mid_atlas_associate_wait().  That task gets %-ESHUTDOWN and has left when the first
 * request is handed out, or it has got a MID just before, and its request is handed
 * out::
 *
 *	T1: destroy			T2: associate_wait
 *
 *					rcu_read_lock
 *					word: FREE -> BUSY
 *					mode is 0
 *	mode |= DRAIN
 *	a slot is BUSY: synchronize_rcu
 *					word: BUSY -> LIVE
 *					rcu_read_unlock, returns 0
 *	claims it, hands it out
 *
 *	T1: destroy			T2: map
 *
 *					rcu_read_lock
 *	claims all, call_rcu		finds a request or NULL
 *					rcu_read_unlock
 *	frees the atlas
 *
 * RDBSS' RxDestroyMidAtlas().
 *
 * Context: Process context.  May sleep.
 */
void mid_atlas_destroy(struct mid_atlas *atlas, mid_ctx_fn destructor, void *arg)
{
	if (!atlas)
		return;
	might_sleep();

	trace_midatlas_destroy(atlas);
	mid_atlas_shut(atlas);
	mid_atlas_await_busy(atlas);
	mid_atlas_await_waiters(atlas);
	mid_atlas_claim_all(atlas, destructor, arg);
	/* Last: @destructor may have abandoned a request. */
	cancel_delayed_work_sync(&atlas->expiry);
	mid_folder_remove(&atlas->folder);
	call_rcu(&atlas->rcu, mid_atlas_free_rcu);
}
EXPORT_SYMBOL_GPL(mid_atlas_destroy);

static int __init midatlas_init(void)
{
	mid_debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	return 0;
}

static void __exit midatlas_exit(void)
{
	debugfs_remove(mid_debugfs);
	/* Our callbacks must have run before they are unloaded. */
	rcu_barrier();
}

/* Before any client, if both are part of the kernel. */
subsys_initcall(midatlas_init);
module_exit(midatlas_exit);

MODULE_DESCRIPTION("Multiplex ID atlas: tracks the in-flight requests of a connection");
MODULE_LICENSE("GPL");
