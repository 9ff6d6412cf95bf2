/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * SMB2/3 clients number their requests with 64-bit MessageIds.  A client uses
 * them in sequence, each once, inside a window that the server's credits open.
 * A request whose CreditCharge is n takes n consecutive ids, and the first of
 * them is its MessageId.  A window reserves these ids, and holds one opaque
 * pointer for each request in flight: the *request*, @ctx in the calls below.
 * The life of a request has two parts:
 *
 *	reserve ----> span of ids ----> associate ----> id in flight ----> claim
 *	   ^               |                                 |
 *	   +-- give_back --+                                 |
 *	   +-------------------- unsend ---------------------+
 *
 * Ids that were not sent are returned to the window exactly, because a server
 * waits for every id.  After the associate the calls mean the same as those in
 * midatlas.h, with (epoch, id) instead of the MID.  The *epoch* is the number of
 * the connection: after mid_window_reset() no id of the old connection maps to
 * a request.
 *
 * The invariants
 *
 *  1. A request that mid_window_map() returns was fully written before it was
 *     associated.
 *  2. A request leaves the window exactly once: to one caller that claims it
 *     (dissociate, dissociate_if, dissociate_async, unsend, reassociate,
 *     abandon, claim_all, claim_older, reset), or to the destructor of
 *     mid_window_destroy().
 *  3. In one epoch each granted id is, at any time, exactly one of: available,
 *     in one span, or used.  Only unsend makes a used id available again.
 *
 * Concurrency: what may run at the same time on one window
 *
 *                 lookup  window  associate  claim  reset  destroy
 *   lookup           -       -        -        -      -       R
 *   window           -       L        L        L      L       X
 *   associate        -       L        L        L      L       X
 *   claim            -       L        L        O      O       X
 *   reset            -       L        L        O      O       X
 *   destroy          R       X        X        X      X       X
 *
 *   lookup     map, map_get, map_async, for_each, epoch, next
 *   window     grant, reserve, give_back, credits, stats, drain
 *   associate  associate, note_async, async_id
 *   claim      dissociate, dissociate_if, dissociate_async, unsend,
 *              reassociate, abandon, claim_all, claim_older
 *
 *   -  safe, and neither waits for the other
 *   L  safe; they may meet at the window's spinlock
 *   O  safe; one atomic operation decides which caller gets the request.  The
 *      loser gets nothing, the winner removes the entry under the spinlock
 *   R  safe for a lookup inside rcu_read_lock() that began before destroy did
 *   X  the caller must prevent it: no call may be in progress when destroy
 *      begins, or begin later.  Only tasks in reserve_wait and reserve_urgent may
 *      still be there: they get -ESHUTDOWN
 *
 * Contexts: create, destroy, reserve_wait, reserve_urgent and drain may sleep.
 * All other calls are allowed in task, softirq and hardirq context, also on
 * PREEMPT_RT, but not in NMI.  Of these only associate allocates memory, under
 * the @gfp of its caller.
 *
 * The relevant sections of MS-SMB2: 3.2.4.1.2 to 3.2.4.1.6 (credits and sequence
 * numbers in the client), 3.2.4.24 (cancel), 3.2.5.1.4 and 3.2.5.1.5 (granting
 * credits, interim responses), 3.3.1.1 and 3.3.5.2.3 (the ids that the server
 * waits for, and those that it rejects).
 */
#ifndef _MIDWINDOW_H
#define _MIDWINDOW_H

#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct mid_window;

/**
 * MID_WINDOW_RESERVED - the id that is never handed out
 *
 * The server uses it for messages that are not replies (MS-SMB2 3.2.5.1.2).
 */
#define MID_WINDOW_RESERVED	(~0ULL)

/**
 * MID_WINDOW_MAX_SPAN - the most ids that can be reserved at once
 *
 * By default, servers let a connection have at most this many credits.  As one
 * CreditCharge it would stand for 512 MiB.
 */
#define MID_WINDOW_MAX_SPAN	8192

/**
 * typedef mid_window_fn - callback for one request
 * @ctx: the request
 * @id: the first of its ids
 * @arg: the @arg that was passed with the callback
 */
typedef void (*mid_window_fn)(void *ctx, u64 id, void *arg);

/**
 * struct mid_span - consecutive ids that are reserved and not in use yet
 * @first: the first of the ids
 * @n: how many
 * @epoch: the epoch of the ids
 *
 * A span and its ids belong to the caller, which associates or returns each id.
 * A span may be split, as long as no id is in both parts: a caller that reserved
 * too many ids returns the part that it does not need.
 */
struct mid_span {
	u64 first;
	unsigned int n;
	u32 epoch;
};

/**
 * struct mid_window_stats - the state of a window, see mid_window_stats()
 * @epoch: the number of the connection
 * @next: the lowest new id: no id from here on is reserved or used
 * @credits: ids that are available, @given_back ones included
 * @given_back: returned ids below @next
 * @in_use: requests in flight, @abandoned ones included
 * @high_water: the highest @in_use so far
 * @abandoned: requests in quarantine
 * @waiters: tasks in mid_window_reserve_wait() and mid_window_reserve_urgent()
 * @slots: how many requests the inner atlas has memory for
 * @buckets: hash buckets of the index
 * @associated: requests that were given ids
 * @dissociated: requests that were taken out
 * @stale: dissociates of an id that was used and is no longer in flight, or of
 *	another epoch
 * @unknown: dissociates of an id that was not used, or of an AsyncId that no
 *	request in flight has
 * @late: dissociates of an id in quarantine
 * @exhausted: reserves that were refused or had to wait
 * @lost: ids that were unsent too late to be kept, see mid_window_unsend()
 * @oldest: for how long the oldest request has been in flight, in jiffies
 *
 * A reset does not clear the counters.  When no call is in progress, @associated
 * is @dissociated plus @in_use minus @abandoned.
 */
struct mid_window_stats {
	u32 epoch;
	u64 next;
	u64 credits;
	unsigned int given_back;
	unsigned int in_use;
	unsigned int high_water;
	unsigned int abandoned;
	unsigned int waiters;
	unsigned int slots;
	unsigned int buckets;
	u64 associated;
	u64 dissociated;
	u64 stale;
	u64 unknown;
	u64 late;
	u64 exhausted;
	u64 lost;
	unsigned long oldest;
};

struct mid_window *__must_check mid_window_create(const char *name, gfp_t gfp);
void mid_window_destroy(struct mid_window *w, mid_window_fn destructor,
			void *arg);

u32 mid_window_epoch(struct mid_window *w);
u32 mid_window_reset(struct mid_window *w, mid_window_fn fn, void *arg);

int mid_window_grant(struct mid_window *w, u32 epoch, unsigned int credits);
unsigned int mid_window_credits(struct mid_window *w);
u64 mid_window_next(struct mid_window *w);
int __must_check mid_window_reserve(struct mid_window *w, unsigned int n,
				    struct mid_span *span);
int __must_check mid_window_reserve_wait(struct mid_window *w, unsigned int n,
					 struct mid_span *span,
					 unsigned long timeout);
int __must_check mid_window_reserve_urgent(struct mid_window *w, unsigned int n,
					   struct mid_span *span,
					   unsigned long timeout);
void mid_window_give_back(struct mid_window *w, struct mid_span *span);

int __must_check mid_window_associate(struct mid_window *w,
				      struct mid_span *span,
				      unsigned int charge, void *ctx, u64 *id,
				      gfp_t gfp);
bool mid_window_unsend(struct mid_window *w, u32 epoch, u64 id, void *ctx);

void *mid_window_map(struct mid_window *w, u32 epoch, u64 id);
void *mid_window_map_get(struct mid_window *w, u32 epoch, u64 id,
			 bool (*get)(void *ctx));
void *mid_window_map_get_put(struct mid_window *w, u32 epoch, u64 id,
			     bool (*get)(void *ctx), void (*put)(void *ctx));
unsigned int mid_window_for_each(struct mid_window *w, mid_window_fn fn,
				 void *arg);

void *mid_window_dissociate(struct mid_window *w, u32 epoch, u64 id);
bool mid_window_dissociate_if(struct mid_window *w, u32 epoch, u64 id,
			      void *ctx);
void *mid_window_reassociate(struct mid_window *w, u32 epoch, u64 id,
			     void *new_ctx);
bool mid_window_abandon(struct mid_window *w, u32 epoch, u64 id, void *ctx,
			unsigned long quarantine);
unsigned int mid_window_claim_all(struct mid_window *w, mid_window_fn fn,
				  void *arg);
unsigned int mid_window_claim_older(struct mid_window *w, unsigned long age,
				    mid_window_fn fn, void *arg);

int mid_window_note_async(struct mid_window *w, u32 epoch, u64 id,
			  u64 async_id);
bool mid_window_async_id(struct mid_window *w, u32 epoch, u64 id,
			 u64 *async_id);
void *mid_window_map_async(struct mid_window *w, u32 epoch, u64 async_id);
void *mid_window_dissociate_async(struct mid_window *w, u32 epoch,
				  u64 async_id);

int mid_window_drain(struct mid_window *w, unsigned long timeout);
void mid_window_stats(struct mid_window *w, struct mid_window_stats *stats);

#if IS_ENABLED(CONFIG_KUNIT)
/* Tests replace these: to make allocations fail, and to choose the first id. */
void *mid_window_alloc(size_t size, gfp_t gfp);
u64 mid_window_first_id(void);
#endif

#endif /* _MIDWINDOW_H */
