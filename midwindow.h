/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * SMB2/3 number their requests with 64-bit MessageIds, which the client uses in
 * sequence, each once, inside a window that the server's credits open.  A
 * request whose CreditCharge is n takes n consecutive ids and is known by the
 * first.  The life of a request has two parts:
 *
 *	reserve ----> span of ids ----> associate ----> id in flight ----> claim
 *	   ^               |                                 |
 *	   +-- give_back --+                                 |
 *	   +-------------------- unsend ---------------------+
 *
 * What was not sent goes back, exactly, because a server waits for every id.
 * From the associate on the meaning of the calls is that of midatlas.h, with
 * (epoch, id) in the place of the MID.  The *epoch* is the number of the
 * connection: after mid_window_reset() no id of the old connection maps any
 * more, whoever still holds it.
 *
 * The invariants
 *
 *  1. A context that mid_window_map() returns was fully written before it was
 *     associated.
 *  2. A context leaves the window exactly once: to one caller that claims it
 *     (dissociate, dissociate_if, dissociate_async, unsend, reassociate,
 *     abandon, claim_all, claim_older, reset), or to the destructor of
 *     mid_window_destroy().
 *  3. In one epoch each granted id is, at any time, one of: available, in one
 *     span, or used for good.  Only unsend makes a used one available again.
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
 *   O  safe; one atomic operation decides whose the context is.  The loser
 *      leaves with nothing, the winner tidies up under the spinlock
 *   R  safe for a lookup inside rcu_read_lock() that began before destroy did
 *   X  the caller must prevent it: no call may begin after destroy did.  Tasks
 *      that were in reserve_wait before get -ESHUTDOWN
 *
 * Contexts: everything but create, destroy, reserve_wait, reserve_urgent and
 * drain may be called from any context, hard interrupts included (not NMI), on
 * PREEMPT_RT too.  Only associate allocates memory, under the @gfp of its
 * caller.
 *
 * The sections of MS-SMB2 that say what must be: 3.2.4.1.2 to 3.2.4.1.6
 * (credits and sequence numbers in the client), 3.2.4.24 (cancel), 3.2.5.1.4
 * and 3.2.5.1.5 (granting, interim responses), 3.3.1.1 and 3.3.5.2.3 (what the
 * server waits for, and what it rejects).
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
 * The server's own: what carries it is no reply (MS-SMB2 3.2.5.1.2).
 */
#define MID_WINDOW_RESERVED	(~0ULL)

/**
 * MID_WINDOW_MAX_SPAN - the most ids that can be reserved at once
 *
 * As many credits as servers are willing to have out by default; as one
 * CreditCharge it would be for 512 MiB.
 */
#define MID_WINDOW_MAX_SPAN	8192

/**
 * typedef mid_window_fn - is handed a context
 * @ctx: the context
 * @id: the first of its ids
 * @arg: what the caller of the window passed along
 */
typedef void (*mid_window_fn)(void *ctx, u64 id, void *arg);

/**
 * struct mid_span - consecutive ids that are reserved and not in use yet
 * @first: the first of them
 * @n: how many
 * @epoch: of the connection whose ids they are
 *
 * Belongs to the caller, and its ids with it: they are to be associated or
 * given back.  A span may be cut in two, as long as no id is in both parts: who
 * reserved too many cuts off the rest and gives that back.
 */
struct mid_span {
	u64 first;
	unsigned int n;
	u32 epoch;
};

/**
 * struct mid_window_stats - the state of a window, see mid_window_stats()
 * @epoch: the number of the connection
 * @next: the lowest id of this epoch that was never reserved
 * @credits: ids that are available, @given_back ones included
 * @given_back: available ids below @next
 * @in_use: requests in flight, @abandoned ones included
 * @high_water: the most that there were
 * @abandoned: requests in quarantine
 * @waiters: tasks in mid_window_reserve_wait() and mid_window_reserve_urgent()
 * @slots: how many requests the inner atlas has memory for
 * @buckets: how many ids the index has memory for without longer chains
 * @associated: contexts that were given ids
 * @dissociated: contexts that were taken out
 * @stale: dissociates of an id that is no longer in flight
 * @unknown: dissociates of an id that never was
 * @late: dissociates of an id in quarantine
 * @exhausted: reserves that were refused or had to wait
 * @lost: ids that were unsent too late to be kept, see mid_window_unsend()
 * @oldest: for how long the oldest context has been in, in jiffies
 *
 * The counters go on over a reset.  When nothing is under way, @associated is
 * @dissociated plus @in_use minus @abandoned.
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
/* Where tests make memory run out, and the sequence begin. */
void *mid_window_alloc(size_t size, gfp_t gfp);
u64 mid_window_first_id(void);
#endif

#endif /* _MIDWINDOW_H */
