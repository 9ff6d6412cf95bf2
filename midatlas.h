/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midatlas - tells the in-flight requests of one connection apart
 *
 * A client that sends many requests over one connection needs a Multiplex ID
 * (MID) for each, finds the request again when a reply carries its MID, and
 * must hand the request to exactly one of the callers that may end it: reply,
 * timeout, signal, reset.  An atlas does that.  It holds, for each MID in flight,
 * one opaque pointer: the *request*, @ctx in the calls below.
 *
 * The invariants
 *
 *  1. A request that mid_atlas_map() returns was fully written before it was
 *     associated.
 *  2. A request leaves the atlas exactly once: to one caller that claims it
 *     (dissociate, dissociate_if, reassociate, abandon, claim_if), or to the
 *     destructor of mid_atlas_destroy().
 *  3. No two requests ever have one MID at the same time, and no associate
 *     exceeds the maximum.
 *
 * Concurrency: what may run at the same time on one atlas
 *
 *                 lookup  associate  claim  limit  destroy
 *   lookup           -        -        -      -       R
 *   associate        -        F        F      L       X
 *   claim            -        F        F      L       X
 *   limit            -        L        L      L       X
 *   destroy          R        X        X      X       X
 *
 *   lookup     map, map_get, map_get_put, for_each
 *   associate  associate, associate_wait, associate_urgent
 *   claim      dissociate, dissociate_if, reassociate, abandon, touch, stray,
 *              claim_if, claim_all, claim_older
 *   limit      set_max, set_aside, shut, drain, stats, show_with
 *
 *   -  safe, and neither waits for the other
 *   F  safe, and lock-free on the fast path.  They take the atlas' spinlock
 *      - for reassociate and abandon, for a late reply, for an urgent associate,
 *        and at the beginning and end of a claim_if with an age of 0;
 *      - when the table grows, and to free a slot of an older table;
 *      - while a task waits for a MID: a claim hands its MID over;
 *      - while more MIDs are in use than a lowered maximum allows, while an urgent
 *        request has one that is aside, and after a shut: a claim takes its slot
 *        out of service
 *   L  safe; they may meet at the spinlock
 *   R  safe for a lookup inside rcu_read_lock() that began before destroy did
 *   X  the caller must prevent it: no call may be in progress when destroy begins,
 *      or begin later.  Only tasks in associate_wait may still be there, see
 *      mid_atlas_destroy()
 *
 * Contexts: create, destroy, associate_wait, drain and show_with may sleep.  Everything
 * else may be called from any context, hard interrupts included, also on PREEMPT_RT, but not
 * from NMI.  Only an associate that has to grow the table allocates memory, under the @gfp
 * of its caller; an atlas that was created with all its slots never does.
 *
 * The meaning of the calls comes from the MID atlas of Windows' RDBSS
 * (midatlax.h); the kernel-doc of each names its counterpart.
 */
#ifndef _MIDATLAS_H
#define _MIDATLAS_H

#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct mid_atlas;
struct seq_file;

/**
 * MID_ATLAS_MAX_MIDS - the most MIDs that one atlas can have in use
 *
 * 0xffff itself is the server's own MID (unsolicited oplock breaks,
 * MS-CIFS 3.2.5.42) and is never handed out.
 */
#define MID_ATLAS_MAX_MIDS	0xffff

/**
 * typedef mid_ctx_fn - is handed a request
 * @ctx: the request
 * @mid: its MID
 * @arg: what the caller of the atlas passed along
 */
typedef void (*mid_ctx_fn)(void *ctx, u16 mid, void *arg);

/**
 * typedef mid_ctx_want - says whether a sweep takes a request
 * @ctx: the request, an RCU-only pointer
 * @mid: its MID
 * @age: for how long it has been in flight, in jiffies
 * @arg: what the caller of the atlas passed along
 */
typedef bool (*mid_ctx_want)(void *ctx, u16 mid, unsigned long age, void *arg);

/**
 * enum mid_stray - what a reply was that belongs to no request
 * @MID_STRAY_UNKNOWN: its MID was never in use
 * @MID_STRAY_STALE: its MID was in use earlier, as far as can be told
 * @MID_STRAY_LATE: its MID was in quarantine, and is free now
 * @MID_STRAY_LIVE: its MID has a request now
 */
enum mid_stray {
	MID_STRAY_UNKNOWN,
	MID_STRAY_STALE,
	MID_STRAY_LATE,
	MID_STRAY_LIVE,
};

/**
 * struct mid_atlas_stats - the state of an atlas, see mid_atlas_stats()
 * @max: the most MIDs that may be in use
 * @in_use: MIDs in use, @abandoned ones included
 * @slots: slots in service: what can be in use without growing
 * @high_water: the most that were seen in use; it can miss a peak that comes
 *	and goes between two ticks
 * @abandoned: MIDs in quarantine
 * @waiters: tasks in mid_atlas_associate_wait()
 * @associated: requests that were given a MID
 * @dissociated: requests that were taken out; on 32-bit CPUs both counts wrap
 * @stale: replies (dissociates and strays) with a MID of an earlier
 *	generation, as far as can be told
 * @unknown: replies whose MID never was in use
 * @late: replies whose MID was in quarantine
 * @exhausted: associates that found all MIDs in use
 * @oldest: for how long the oldest request has been in flight, in jiffies
 *
 * When no call is in progress, @associated is @dissociated plus @in_use minus
 * @abandoned.
 */
struct mid_atlas_stats {
	unsigned int max;
	unsigned int in_use;
	unsigned int slots;
	unsigned int high_water;
	unsigned int abandoned;
	unsigned int waiters;
	u64 associated;
	u64 dissociated;
	u64 stale;
	u64 unknown;
	u64 late;
	u64 exhausted;
	unsigned long oldest;
};

struct mid_atlas *__must_check
mid_atlas_create(const char *name, unsigned int max_mids,
		 unsigned int initial_mids, gfp_t gfp);
void mid_atlas_destroy(struct mid_atlas *atlas, mid_ctx_fn destructor,
		       void *arg);

int __must_check mid_atlas_associate(struct mid_atlas *atlas, void *ctx,
				     u16 *mid, gfp_t gfp);
int __must_check mid_atlas_associate_wait(struct mid_atlas *atlas, void *ctx,
					  u16 *mid, gfp_t gfp,
					  unsigned long timeout);
int __must_check mid_atlas_associate_urgent(struct mid_atlas *atlas, void *ctx,
					    u16 *mid, gfp_t gfp);

void *mid_atlas_map(struct mid_atlas *atlas, u16 mid);
void *mid_atlas_map_get(struct mid_atlas *atlas, u16 mid,
			bool (*get)(void *ctx));
void *mid_atlas_map_get_put(struct mid_atlas *atlas, u16 mid,
			    bool (*get)(void *ctx), void (*put)(void *ctx));
unsigned int mid_atlas_for_each(struct mid_atlas *atlas, mid_ctx_fn fn,
				void *arg);

void *mid_atlas_dissociate(struct mid_atlas *atlas, u16 mid);
bool mid_atlas_dissociate_if(struct mid_atlas *atlas, u16 mid, void *ctx);
void *mid_atlas_reassociate(struct mid_atlas *atlas, u16 mid, void *new_ctx);
bool mid_atlas_abandon(struct mid_atlas *atlas, u16 mid, void *ctx,
		       unsigned long quarantine);
enum mid_stray mid_atlas_stray(struct mid_atlas *atlas, u16 mid);
bool mid_atlas_touch(struct mid_atlas *atlas, u16 mid);
unsigned int mid_atlas_claim_if(struct mid_atlas *atlas, unsigned long age,
				mid_ctx_want want, mid_ctx_fn fn, void *arg);

/**
 * mid_atlas_claim_all - take all requests out of the atlas
 * @atlas: the atlas
 * @fn: is given each request, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For a reconnect: mid_atlas_claim_if() for all requests.  One that is associated
 * meanwhile may stay, so stop new requests first.
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many requests were taken.
 */
static inline unsigned int mid_atlas_claim_all(struct mid_atlas *atlas,
					       mid_ctx_fn fn, void *arg)
{
	return mid_atlas_claim_if(atlas, 0, NULL, fn, arg);
}

/**
 * mid_atlas_claim_older - take all requests that are overdue out of the atlas
 * @atlas: the atlas
 * @age: in jiffies
 * @fn: is given each request, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For timeouts: mid_atlas_claim_if() for all requests that have been in flight for
 * @age.  If some of them may take for ever (a change notify, a blocking lock), use
 * mid_atlas_claim_if().
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many requests were taken.
 */
static inline unsigned int mid_atlas_claim_older(struct mid_atlas *atlas,
						 unsigned long age,
						 mid_ctx_fn fn, void *arg)
{
	return mid_atlas_claim_if(atlas, age, NULL, fn, arg);
}

int mid_atlas_set_max(struct mid_atlas *atlas, unsigned int max_mids);
int mid_atlas_set_aside(struct mid_atlas *atlas, unsigned int mids);
void mid_atlas_shut(struct mid_atlas *atlas);
int mid_atlas_drain(struct mid_atlas *atlas, unsigned long timeout);
void mid_atlas_stats(struct mid_atlas *atlas, struct mid_atlas_stats *stats);
void mid_atlas_show_with(struct mid_atlas *atlas,
			 void (*show)(struct seq_file *m, void *ctx));

#if IS_ENABLED(CONFIG_KUNIT)
/* The one place that allocates slots, so that tests can make it fail. */
void *mid_atlas_alloc(size_t size, gfp_t gfp);
#endif

#endif /* _MIDATLAS_H */
