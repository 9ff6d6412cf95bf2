/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midwindow - tells the in-flight requests of one SMB2/3 connection apart
 *
 * SMB2/3 clients number their requests with 64-bit MessageIds.  A client uses
 * them in sequence, each once, inside a window that the server's credits open.
 * A request with a CreditCharge of n takes n consecutive ids, and the first of
 * them is its MessageId.  A window hands out these ids, and holds one opaque
 * pointer for each request in flight: the *request*, @ctx in the calls below.
 *
 *	begin -------------------------------------> id in flight ----> claim
 *	reserve ----> span of ids ----> associate ------^  |
 *	   ^               |                               |
 *	   +-- give_back --+                               |
 *	   +-------------------- unsend -------------------+
 *
 * Ids that were not sent are returned to the window exactly, because a server
 * waits for every id.  Once in flight, the calls mean the same as those in
 * midatlas.h, with an id instead of the MID.  The *epoch* is the number of the
 * connection: (epoch, id) is what arrives on one connection, and a &struct mid_tag
 * is what a request knows of itself.
 *
 * The invariants
 *
 *  1. A request that mid_window_map() returns was fully written before it was
 *     given its ids.
 *  2. A request leaves the window exactly once: to one caller that claims it
 *     (dissociate, dissociate_if, unsend, reassociate, abandon, claim_if, reset),
 *     or to the destructor of mid_window_destroy().
 *  3. In one epoch each granted id is, at any time, exactly one of: available,
 *     in one span, or used.  Only unsend makes a used id available again.
 *  4. As many requests as create had slots for never need memory.
 *
 * Concurrency: what may run at the same time on one window
 *
 *             lookup  ids  claim  replace  destroy
 *   lookup       -     -     -       -        R
 *   ids          -     L     S       L        X
 *   claim        -     S     C       O        X
 *   replace      -     L     O       L        X
 *   destroy      R     X     X       X        X
 *
 *   lookup   map, map_get_put, for_each, epoch
 *   ids      begin, reserve, give_back, associate, set_aside, reset, resume,
 *            shut, drain, stats, show_with
 *   claim    dissociate, dissociate_if, claim_if, stray, grant
 *   replace  unsend, reassociate, abandon, note_async, async_id
 *
 *   -  safe, and neither waits for the other
 *   C  safe; one atomic operation decides which caller gets the request
 *   L  safe; they may meet at the window's spinlock
 *   O  safe; one atomic operation decides, and a claim that meets a reassociate
 *      in progress takes the spinlock
 *   S  safe, and the claim or grant takes no lock, but for a late reply and while
 *      a task waits in reserve or drain
 *   R  safe for a lookup inside rcu_read_lock() that began before destroy did
 *   X  the caller must prevent it: no call may be in progress when destroy
 *      begins, or begin later.  Only tasks that wait in reserve may still be
 *      there: they get -ESHUTDOWN
 *
 * Contexts: create, destroy, drain, show_with, and reserve with a timeout may sleep.  All
 * other calls are allowed in task, softirq and hardirq context, also on
 * PREEMPT_RT, but not in NMI.  Of these only begin and associate may allocate
 * memory, under the @gfp of their caller, and only with more requests in flight
 * than create had slots for.
 *
 * The relevant sections of MS-SMB2: 3.2.4.1.2 to 3.2.4.1.6 (credits and sequence
 * numbers in the client), 3.2.4.24 (cancel), 3.2.5.1.2 to 3.2.5.1.5 (finding the
 * request of a response, granting credits, interim responses), 3.3.1.1 and
 * 3.3.5.2.3 (the ids that the server waits for, and those that it rejects).
 */
#ifndef _MIDWINDOW_H
#define _MIDWINDOW_H

#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

#include "midatlas.h"

struct mid_window;
struct seq_file;

/**
 * MID_WINDOW_RESERVED - the id that is never handed out
 *
 * The server uses it for messages that are not replies (MS-SMB2 3.2.5.1.2).
 */
#define MID_WINDOW_RESERVED	(~0ULL)

/**
 * MID_WINDOW_MAX_SPAN - the most ids of one span, and of one request
 *
 * By default, servers let a connection have at most this many credits.  As one
 * CreditCharge it would stand for 512 MiB.
 */
#define MID_WINDOW_MAX_SPAN	8192

/**
 * MID_WINDOW_MAX_SLOTS - the most requests that can be in flight
 */
#define MID_WINDOW_MAX_SLOTS	65535

/**
 * MID_WINDOW_URGENT - flag of mid_window_reserve(): before all others
 */
#define MID_WINDOW_URGENT	1u

/**
 * typedef mid_window_fn - callback for one request
 * @ctx: the request
 * @id: the first of its ids
 * @arg: the @arg that was passed with the callback
 */
typedef void (*mid_window_fn)(void *ctx, u64 id, void *arg);

/**
 * typedef mid_window_want - decides whether a sweep takes a request
 * @ctx: the request
 * @id: the first of its ids
 * @age: for how long it has been in flight, in jiffies
 * @arg: the @arg that was passed with the callback
 *
 * Return: whether mid_window_claim_if() is to claim the request.
 */
typedef bool (*mid_window_want)(void *ctx, u64 id, unsigned long age,
				void *arg);

/**
 * struct mid_tag - what a request in flight knows of itself
 * @id: the first of its ids, its MessageId
 * @epoch: the connection that the id is of
 */
struct mid_tag {
	u64 id;
	u32 epoch;
};

/**
 * struct mid_span - consecutive ids that are reserved and not in use yet
 * @first: the first of the ids
 * @n: how many
 * @epoch: the epoch of the ids
 *
 * A span and its ids belong to the caller, which associates or returns each id.
 * A span may be split, as long as no id is in both parts.
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
 * @limit: the lowest id that is not granted; ids from @next to here are available
 * @unsent: the lowest id that was not sent
 * @spans: ids in spans
 * @given_back: returned ids below @next, which are available, too
 * @aside: available ids that are left to urgent reserves
 * @stalled: new ids are too far above @unsent to be handed out
 * @in_use: requests in flight, @abandoned ones included
 * @high_water: the highest @in_use so far; while tasks wait it can miss a short peak
 * @abandoned: requests in quarantine
 * @waiters: tasks that wait in mid_window_reserve()
 * @wants: how many ids the first of them needs, 0 if there is none
 * @slots: how many requests can be in flight without more memory
 * @associated: requests that were given ids
 * @dissociated: requests that were taken out
 * @stale: replies to a request that is no longer in flight, or of another epoch
 * @unknown: replies with an id that no request was sent with
 * @late: replies to a request in quarantine
 * @exhausted: calls that found too few ids or too little room
 * @lost: ids of unsent requests that stay used, see mid_window_unsend()
 * @oldest: for how long the oldest request has been in flight, in jiffies
 *
 * A reset does not clear the counters.  When no call is in progress, @associated
 * is @dissociated plus @in_use minus @abandoned.
 */
struct mid_window_stats {
	u32 epoch;
	u64 next;
	u64 limit;
	u64 unsent;
	unsigned int spans;
	unsigned int given_back;
	unsigned int aside;
	bool stalled;
	unsigned int in_use;
	unsigned int high_water;
	unsigned int abandoned;
	unsigned int waiters;
	unsigned int wants;
	unsigned int slots;
	u64 associated;
	u64 dissociated;
	u64 stale;
	u64 unknown;
	u64 late;
	u64 exhausted;
	u64 lost;
	unsigned long oldest;
};

struct mid_window *__must_check mid_window_create(const char *name,
						  unsigned int slots, gfp_t gfp);
void mid_window_destroy(struct mid_window *w, mid_window_fn destructor,
			void *arg);

u32 mid_window_epoch(struct mid_window *w);
u32 mid_window_reset(struct mid_window *w, mid_window_fn fn, void *arg);
void mid_window_resume(struct mid_window *w, u32 epoch);

int mid_window_grant(struct mid_window *w, u32 epoch, unsigned int credits);
int mid_window_set_aside(struct mid_window *w, unsigned int ids);
int __must_check mid_window_begin(struct mid_window *w, unsigned int charge,
				  void *ctx, struct mid_tag *tag, gfp_t gfp);
int __must_check mid_window_reserve(struct mid_window *w, unsigned int min,
				    unsigned int max, struct mid_span *span,
				    unsigned int flags, unsigned long timeout);
void mid_window_give_back(struct mid_window *w, struct mid_span *span);
int __must_check mid_window_associate(struct mid_window *w,
				      struct mid_span *span,
				      unsigned int charge, void *ctx,
				      struct mid_tag *tag, gfp_t gfp);
bool mid_window_unsend(struct mid_window *w, const struct mid_tag *tag,
		       void *ctx);

void *mid_window_map(struct mid_window *w, u32 epoch, u64 id);
void *mid_window_map_get_put(struct mid_window *w, u32 epoch, u64 id,
			     bool (*get)(void *ctx), void (*put)(void *ctx));
unsigned int mid_window_for_each(struct mid_window *w, mid_window_fn fn,
				 void *arg);

void *mid_window_dissociate(struct mid_window *w, u32 epoch, u64 id);
bool mid_window_dissociate_if(struct mid_window *w, const struct mid_tag *tag,
			      void *ctx);
void *mid_window_reassociate(struct mid_window *w, const struct mid_tag *tag,
			     void *new_ctx);
bool mid_window_abandon(struct mid_window *w, const struct mid_tag *tag,
			void *ctx, unsigned long quarantine);
enum mid_stray mid_window_stray(struct mid_window *w, u32 epoch, u64 id);
unsigned int mid_window_claim_if(struct mid_window *w, unsigned long age,
				 mid_window_want want, mid_window_fn fn,
				 void *arg);

int mid_window_note_async(struct mid_window *w, u32 epoch, u64 id,
			  u64 async_id);
bool mid_window_async_id(struct mid_window *w, const struct mid_tag *tag,
			 u64 *async_id);

void mid_window_shut(struct mid_window *w);
int mid_window_drain(struct mid_window *w, unsigned long timeout);
void mid_window_stats(struct mid_window *w, struct mid_window_stats *stats);
void mid_window_show_with(struct mid_window *w,
			  void (*show)(struct seq_file *m, void *ctx));

#if IS_ENABLED(CONFIG_KUNIT)
/* Tests replace these: to make allocations fail, and to choose the first numbers. */
void *mid_window_alloc(size_t size, gfp_t gfp);
u64 mid_window_first_id(void);
u32 mid_window_first_epoch(void);
#endif

#endif /* _MIDWINDOW_H */
