/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midslot - the place of one request in flight, which hands it to one claimer
 *
 * A slot is two words: @ctx, the request, which the slot never follows, and
 * @word, which alone says what the slot is:
 *
 *	63                   27 26                    3 2     0
 *	+----------------------+-----------------------+-------+
 *	|      timestamp       |      generation       | state |
 *	+----------------------+-----------------------+-------+
 *
 *	FREE		nobody owns the slot
 *	PARKED		out of service; the holder of the table's lock owns it
 *	BUSY		one caller owns the slot and is about to publish or free it
 *	ABANDONED	the requester has gone, the reply may still come; all further
 *			steps are taken under the lock
 *	LIVE		@ctx is in flight
 *	LOCKED		LIVE, and the holder of the lock is replacing @ctx
 *	NEW		LIVE, and a sweep was in progress when it was published
 *
 *	          take               publish               replace
 *	  FREE ----------> BUSY ----------------> LIVE <------------> LOCKED
 *	   ^ ^    cmpxchg   |   store-release    |  |   under the lock
 *	   | |              |                    |  |
 *	   | +--------------+                    |  | abandon: cmpxchg
 *	   |   free: store-release               |  | under the lock
 *	   |                                     |  v
 *	   +-------------------------------------+ ABANDONED
 *	   |           claim: cmpxchg                 |
 *	   +------------------------------------------+
 *	               free: under the lock
 *
 * The caller whose cmpxchg moves the word away from LIVE owns the request.
 * That is what makes "exactly once" true.
 *
 * The timestamp is the low 37 bits of jiffies at the take or at the last touch; of
 * an ABANDONED slot it is the time at which the quarantine ends.  The generation
 * counts the takes of the slot.  Together they are the *version*.  A version comes
 * back only after 2^24 takes within one jiffy, which no CPU can do, so a cmpxchg of the
 * word cannot mistake one use of the slot for another (ABA).
 *
 * [Brackets] name the pairs in tests/litmus/ that model the step.
 *
 * Map against reuse
 * =================
 *
 * A map reads word, ctx, word again.  It returns ctx only if the word was LIVE
 * and the same both times:
 *
 *	T1: map(v)			T2: claim(v), take, publish
 *
 *	word is LIVE|v
 *					word: LIVE|v -> FREE|v
 *					word: FREE|v -> BUSY|v+1	(A)
 *					ctx = new			(B)
 *					word: -> LIVE|v+1		(C)
 *	ctx is new			(D)
 *	word is not LIVE|v: again	(E)
 *
 * The cmpxchg is a full barrier between A and B, and smp_rmb() stands between D
 * and E: a map that sees B sees A [map-reuse].  C is a store-release and the first
 * read a load-acquire: a map that sees C sees B, and all that the caller wrote into
 * the request before [publish-map].  A map reads again only if another caller
 * claimed or replaced this very request between its two reads.
 *
 * Claim against claim
 * ===================
 *
 *	T1: claim(v), for a reply	T2: claim(v), for a timeout
 *
 *	word is LIVE|v			word is LIVE|v
 *	ctx				ctx
 *	cmpxchg LIVE|v -> FREE|v: ok
 *	owns ctx			cmpxchg LIVE|v -> FREE|v: fails
 *					word is FREE|v: NULL
 *
 * T2 fails, too, if the slot was taken again in between: the version has
 * changed [claim-claim].
 *
 * Claim against replace
 * =====================
 *
 *	T1: replace(v, new)		T2: claim(v)
 *
 *					word is LIVE|v
 *					ctx is old
 *	word: LIVE|v -> LOCKED|v
 *	old = ctx, ctx = new
 *	word: -> LIVE|v'
 *	owns old			cmpxchg LIVE|v: fails, again
 *					owns new
 *
 * v' has the same key as v, and another version, so T2's cmpxchg fails
 * [claim-reassociate].  A claim that meets LOCKED takes the lock, and releases
 * it: then the replace is over.  Interrupts are off under the lock, so a CPU
 * never waits for a replace that it has interrupted.  A map treats LOCKED as
 * LIVE and returns the old or the new request [publish-reassociate].
 *
 * Claim against abandon
 * =====================
 *
 *	T1: claim(v), for a reply	T2: abandon(v), for a signal
 *
 *	word is LIVE|v			lock, word is LIVE|v
 *					cmpxchg LIVE|v -> ABANDONED: ok
 *	cmpxchg LIVE|v: fails		owns ctx
 *	word is ABANDONED: NULL
 *
 * T1 then knows that the reply is late, and frees the slot under the lock, where
 * the end of the quarantine cannot free it a second time.
 *
 * Touch against the others
 * ========================
 *
 *	T1: claim(v) or abandon(v)	T2: touch(v), for an interim response
 *
 *	word is LIVE|v			word is LIVE|v
 *	ctx				now is later than v's timestamp
 *					cmpxchg LIVE|v -> LIVE|v': ok
 *	cmpxchg LIVE|v: fails, again
 *	word is LIVE|v', the same ctx
 *	cmpxchg LIVE|v': ok, owns ctx
 *
 * v' has the generation of v and a later timestamp.  A touch never moves a timestamp
 * back, and so never brings back a version that the slot has had: 256 replaces lead
 * from one timestamp to the next, and a touch back to the first would let a claim that
 * was interrupted for so long take a request that was replaced.  T2's cmpxchg fails if
 * the request was claimed, and T2 waits for a replace as a claim does.  A map that
 * meets T2 reads the word again.
 *
 * On 32-bit CPUs without 64-bit atomics the kernel's atomic64_t takes a hashed
 * lock.  Everything above still holds, but it is not lock-free.
 */
#ifndef _MIDSLOT_H
#define _MIDSLOT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>

#define MID_FREE		0
#define MID_PARKED		1
#define MID_BUSY		2
#define MID_ABANDONED		3
#define MID_LIVE		4	/* this bit: LIVE, LOCKED or NEW */
#define MID_LOCKED		5
#define MID_NEW			6
#define MID_STATE		7

#define MID_GEN_SHIFT		3
#define MID_GEN_BITS		24
#define MID_GEN_ONE		BIT(MID_GEN_SHIFT)
#define MID_KEY_BITS		16	/* the most bits of a generation that a key has */
/* What a replace adds: a new version, the same key. */
#define MID_REPLACE_ONE		BIT_ULL(MID_GEN_SHIFT + MID_KEY_BITS)

#define MID_TIME_SHIFT		(MID_GEN_SHIFT + MID_GEN_BITS)
#define MID_LOW_MASK		((u32)GENMASK(MID_TIME_SHIFT - 1, 0))
#define MID_TIME_BITS		(BITS_PER_LONG == 64 ? 64 - MID_TIME_SHIFT : 32)
#define MID_TIME_MASK		(~0ul >> (BITS_PER_LONG - MID_TIME_BITS))
#define MID_TIME_AHEAD		BIT(20)	/* jiffies by which a timestamp may be ahead */

/**
 * struct mid_slot - the place of one request in flight
 * @word: timestamp, generation and state
 * @ctx: the request while LIVE; otherwise its owner's
 */
struct mid_slot {
	atomic64_t word;
	void *ctx;
};

/* Neither NULL nor an error pointer, by one comparison */
static __always_inline bool mid_ctx_is_valid(const void *ctx)
{
	return (unsigned long)ctx - 1 < (unsigned long)-MAX_ERRNO - 1;
}

static __always_inline unsigned int mid_word_state(u64 word)
{
	return word & MID_STATE;
}

static __always_inline u64 mid_word_with(u64 word, unsigned int state)
{
	return (word & ~(u64)MID_STATE) | state;
}

/* A key and its mask are those of a slot's low bits: the state and some of the generation. */
static __always_inline bool mid_word_matches(u64 word, u32 key, u32 mask)
{
	return !(((u32)word ^ key) & mask);
}

static __always_inline u64 mid_word_at(u64 word, unsigned long time)
{
	return (u64)time << MID_TIME_SHIFT | ((u32)word & MID_LOW_MASK);
}

/* Jiffies from @word's timestamp to @time, modulo 2^MID_TIME_BITS */
static unsigned long mid_word_elapsed(u64 word, unsigned long time)
{
	return (time - (unsigned long)(word >> MID_TIME_SHIFT)) & MID_TIME_MASK;
}

/*
 * How long before @time a slot was taken or touched, in jiffies.  256 replaces move the
 * timestamp by one jiffy, so it may be a little ahead.
 */
static unsigned long mid_word_age_at(u64 word, unsigned long time)
{
	unsigned long age = mid_word_elapsed(word, time);

	return age > MID_TIME_MASK - MID_TIME_AHEAD ? 0 : age;
}

static unsigned long mid_word_age(u64 word)
{
	return mid_word_age_at(word, jiffies);
}

/* How long the quarantine of an ABANDONED slot lasts, in jiffies; at most @most */
static unsigned long mid_word_left(u64 word, unsigned long most)
{
	unsigned long left = -mid_word_elapsed(word, jiffies) & MID_TIME_MASK;

	return left > most ? 0 : left;
}

/*
 * The next generation, @step further; the state is the same.  The carry out of the
 * top of the generation goes in at its bottom, see mid_word_mid() in atlas/table.h.
 */
static __always_inline u64 mid_word_next(u64 word, u32 step)
{
	u32 low = ((u32)word & MID_LOW_MASK) + step;

	if (unlikely(low > MID_LOW_MASK)) {
		barrier();	/* keeps it a branch, which costs less than a select */
		low = (low & MID_LOW_MASK) + MID_GEN_ONE;
	}
	return mid_word_at(low, jiffies);
}

static inline bool mid_slot_is_free(const struct mid_slot *slot)
{
	return mid_word_state(atomic64_read(&slot->word)) == MID_FREE;
}

/* take: FREE to BUSY in the next generation, @word, with a full barrier */
static __always_inline bool mid_slot_take(struct mid_slot *slot, u32 step, u64 *word)
{
	s64 old = atomic64_read(&slot->word);

	do {
		if (unlikely(mid_word_state(old) != MID_FREE))
			return false;
		*word = mid_word_next(old, step) - MID_FREE + MID_BUSY;
	} while (unlikely(!atomic64_try_cmpxchg(&slot->word, &old, *word)));
	return true;
}

/*
 * take, where a lock keeps all other takes away: by a store.  A map that sees what is written
 * into the slot after this sees that it is BUSY [map-reuse].
 */
static __always_inline u64 mid_slot_take_locked(struct mid_slot *slot, u32 step)
{
	u64 word = mid_word_next(atomic64_read(&slot->word), step) - MID_FREE + MID_BUSY;

	atomic64_set(&slot->word, word);
	/* Pairs with the smp_rmb() of the lookups: A, B above. */
	smp_wmb();
	return word;
}

/* Goes on to the next generation of a BUSY slot, with a full barrier. */
static inline void mid_slot_advance(struct mid_slot *slot, u32 step, u64 *word)
{
	*word = mid_word_next(*word, step);
	atomic64_set(&slot->word, *word);
	/* As after a take; pairs with the barrier in mid_atlas_grow(). */
	smp_mb();
}

/* publish: BUSY to LIVE; the caller has written @ctx. */
static __always_inline void mid_slot_publish(struct mid_slot *slot, u64 word)
{
	/* Pairs with the acquire in mid_slot_map(), mid_slot_claim(). */
	atomic64_set_release(&slot->word, word - MID_BUSY + MID_LIVE);
}

/* free: a slot that the caller owns becomes FREE, with a full barrier. */
static void mid_slot_free(struct mid_slot *slot, u64 word)
{
	atomic64_set_release(&slot->word, mid_word_with(word, MID_FREE));
	/* FREE before the caller looks for waiters, as after a claim. */
	smp_mb();
}

/* map: the request of the slot if it matches @key, else NULL */
static __always_inline void *mid_slot_map(const struct mid_slot *slot, u32 key, u32 mask)
{
	void *ctx;
	u64 word;

	do {
		/* Pairs with the release in mid_slot_publish(), mid_slot_replace(). */
		word = atomic64_read_acquire(&slot->word);
		if (unlikely(!mid_word_matches(word, key, mask)))
			return NULL;
		ctx = READ_ONCE(slot->ctx);
		/* Pairs with the cmpxchg in mid_slot_take(): D, E above. */
		smp_rmb();
	} while (unlikely(atomic64_read(&slot->word) != word));
	return ctx;
}

/* The word of a slot, when no replace is in progress there */
static u64 mid_slot_settled(const struct mid_slot *slot, raw_spinlock_t *lock)
{
	u64 word = atomic64_read_acquire(&slot->word);
	unsigned long flags;

	while (unlikely(mid_word_state(word) == MID_LOCKED)) {
		raw_spin_lock_irqsave(lock, flags);
		raw_spin_unlock_irqrestore(lock, flags);
		word = atomic64_read_acquire(&slot->word);
	}
	return word;
}

/*
 * claim: LIVE to @state, with a full barrier: FREE, or BUSY for a caller that has something to
 * do before it frees the slot.  Only if the slot matches @key and has the request @only (if
 * that is not NULL).  Returns the request, which the caller owns then, or NULL.
 */
static inline void *mid_slot_claim(struct mid_slot *slot, raw_spinlock_t *lock, u32 key, u32 mask,
				   const void *only, unsigned int state, u64 *word)
{
	void *ctx;
	s64 old;

	do {
		old = mid_slot_settled(slot, lock);
		if (!mid_word_matches(old, key, mask))
			return NULL;
		ctx = READ_ONCE(slot->ctx);
		if (only && ctx != only)
			return NULL;
		*word = mid_word_with(old, state);
	} while (!atomic64_try_cmpxchg(&slot->word, &old, *word));
	return ctx;
}

/* The slot's @word and the request that belongs to it, which is NULL if there is none */
static inline void *mid_slot_read(const struct mid_slot *slot, raw_spinlock_t *lock, u64 *word)
{
	void *ctx;

	do {
		*word = mid_slot_settled(slot, lock);
		ctx = READ_ONCE(slot->ctx);
		/* Pairs with the cmpxchg in mid_slot_take(): D, E above. */
		smp_rmb();
	} while (unlikely(atomic64_read(&slot->word) != *word));
	return *word & MID_LIVE ? ctx : NULL;
}

/* claim, only if the slot still has @word, which becomes the new one */
static __always_inline bool mid_slot_claim_word(struct mid_slot *slot, u64 *word,
						unsigned int state)
{
	s64 old = *word;

	*word = mid_word_with(old, state);
	return atomic64_try_cmpxchg(&slot->word, &old, *word);
}

/* NEW to LIVE: a sweep begins, and the request is in it. */
static inline void mid_slot_make_old(struct mid_slot *slot, raw_spinlock_t *lock)
{
	s64 word;

	do {
		word = mid_slot_settled(slot, lock);
	} while (mid_word_state(word) == MID_NEW &&
		 !atomic64_try_cmpxchg(&slot->word, &word, mid_word_with(word, MID_LIVE)));
}

/* replace: @new_ctx for the request of the slot, which is returned, or NULL */
static void *mid_slot_replace(struct mid_slot *slot, raw_spinlock_t *lock, u32 key, u32 mask,
			      void *new_ctx)
{
	void *old_ctx;
	s64 word;

	lockdep_assert_held(lock);

	do {
		word = atomic64_read(&slot->word);
		if (!mid_word_matches(word, key, mask))
			return NULL;
		/* A full barrier: LOCKED is seen before @new_ctx is. */
	} while (!atomic64_try_cmpxchg(&slot->word, &word, mid_word_with(word, MID_LOCKED)));

	old_ctx = slot->ctx;
	/* A map that sees it sees what is in it [publish-reassociate]. */
	smp_store_release(&slot->ctx, new_ctx);
	/* Another version, the same key; pairs with mid_slot_claim(). */
	atomic64_set_release(&slot->word, word + MID_REPLACE_ONE);
	return old_ctx;
}

/* touch: the age begins anew, if the slot matches @key.  Returns whether it does. */
static bool mid_slot_touch(struct mid_slot *slot, raw_spinlock_t *lock, u32 key, u32 mask)
{
	s64 word;

	do {
		word = mid_slot_settled(slot, lock);
		if (!mid_word_matches(word, key, mask))
			return false;
		if (!mid_word_age(word))
			return true;
	} while (!atomic64_try_cmpxchg(&slot->word, &word, mid_word_at(word, jiffies)));
	return true;
}

/*
 * abandon: LIVE to ABANDONED until the jiffy @until, if the slot has the request
 * @ctx, which then is the caller's.  @slot->ctx is the lock holder's from here on.
 */
static bool mid_slot_abandon(struct mid_slot *slot, raw_spinlock_t *lock, u32 key, u32 mask,
			     const void *ctx, unsigned long until)
{
	s64 word;

	lockdep_assert_held(lock);

	do {
		word = atomic64_read_acquire(&slot->word);
		if (!mid_word_matches(word, key, mask) || READ_ONCE(slot->ctx) != ctx)
			return false;
		/* Under the lock no replace is in progress: a claim or a touch makes it fail. */
	} while (!atomic64_try_cmpxchg(&slot->word, &word,
				       mid_word_with(mid_word_at(word, until), MID_ABANDONED)));
	return true;
}

#endif /* _MIDSLOT_H */
