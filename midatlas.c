// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas - tells the in-flight requests of one connection apart
 *
 * What is taken for granted about the order of memory accesses is tested in
 * tests/litmus/; [brackets] name the tests.
 *
 * The slot word is the only truth
 * ===============================
 *
 * An atlas is an array of slots.  A slot is two words: @ctx, the caller's
 * opaque pointer, and @word, which alone says what the slot is:
 *
 *	63            32 31                 3 2     0
 *	+---------------+--------------------+-------+
 *	|     stamp     |        use         | state |
 *	+---------------+--------------------+-------+
 *
 * @stamp is the jiffy of the associate, @use counts the uses of the slot (and is
 * kept rotated, so that its lowest bits lie where the MID has them).  The
 * two together are the slot's *version*: an associate adds one to the uses and
 * sets the stamp, a reassociate adds 2^spare.  The same version comes back only if
 * a slot is used 2^29 times within one jiffy, so a cmpxchg of the word cannot be
 * fooled by a slot that was freed and used again meanwhile (ABA).
 *
 *	             associate            publish
 *	   FREE ---------------> BUSY ---------------> LIVE <----> MOVING
 *	    ^ |    cmpxchg        |     set_release     |  reassociate
 *	    | |                   |                     |  (under the lock)
 *	    | |<------------------+                     |
 *	    | |     given back                          |
 *	    | +---- parked <---> out of service         |
 *	    |                                           |
 *	    +-------------------------------------------+
 *	    |            dissociate: cmpxchg            |
 *	    |                                           |
 *	    +-------- ABANDONED <------- BUSY <---------+
 *	      late reply, expiry         abandon: cmpxchg
 *	      (under the lock)           (under the lock)
 *
 * Whoever moves the word from LIVE to FREE by cmpxchg owns the context: that is
 * all there is to "exactly once".  associate and dissociate are one atomic
 * operation each, both on the slot.  No list, count or bitmap that CPUs share is
 * written on the way.
 *
 * The MID
 * =======
 *
 * A table of 2^order slots needs @order bits of the MID; the other 16 - @order,
 * the spare bits, are the low bits of the slot's use:
 *
 *	MID = slot | use << order		(16 bits)
 *
 * A late reply to an earlier use of a slot thus carries another MID than the
 * present use, and maps to nothing, until the spare bits have gone round: with
 * 64 slots, 1024 uses of the slot later.  The slots are taken in turn, not
 * last-freed-first, so in a table without spare bits, too, a MID rests as long
 * as there are others.  0xffff would be the last slot with all spare bits set;
 * that use is skipped, and where there are no spare bits the slot is not used.
 *
 * Lookup against reuse
 * ====================
 *
 * A map reads word, ctx, word again.  A context is only returned if the slot
 * was LIVE in the same use both times:
 *
 *	T1: map(M)			T2: dissociate(M), associate -> M'
 *
 *	word is LIVE|v, matches M
 *					word: LIVE|v -> FREE|v
 *					word: FREE|v -> BUSY|v+1	(A)
 *					ctx = new			(B)
 *					word: -> LIVE|v+1		(C)
 *	ctx is new			(D)
 *	word is not LIVE|v: NULL	(E)
 *
 * A before B by the full barrier of the cmpxchg, D before E by smp_rmb(): who
 * sees B sees A [map-reuse].  C is a release and the first read an acquire: who
 * sees C sees B and all that the caller wrote into the context before (invariant
 * 1) [publish-map].
 *
 * Claim against claim
 * ===================
 *
 *	T1: dissociate(M) (reply)	T2: dissociate(M) (timeout)
 *
 *	word is LIVE|v			word is LIVE|v
 *	ctx				ctx
 *	cmpxchg LIVE|v -> FREE|v: ok
 *	returns ctx			cmpxchg LIVE|v -> FREE|v: fails
 *					word is FREE|v: NULL
 *
 * Nor can T2 succeed if the slot has been used again in between: its version
 * has grown [claim-claim].
 *
 * Claim against reassociate
 * =========================
 *
 * A context is changed under the lock, and the change is bracketed:
 *
 *	T1: reassociate(M, new)		T2: dissociate(M)
 *
 *					word is LIVE|v
 *					ctx is old
 *	word: LIVE|v -> MOVING|v
 *	old = ctx, ctx = new
 *	word: -> LIVE|v+2^spare
 *	returns old			cmpxchg LIVE|v: fails, again
 *					returns new
 *
 * The growth of the uses by 2^spare leaves the MID as it is, and makes T2's
 * cmpxchg fail [claim-reassociate].  A dissociate that meets MOVING takes the
 * lock, and by then MOVING is over; interrupts are off while the lock is held, so
 * nobody waits for what he has interrupted himself.  A map does not wait: MOVING
 * is as good as LIVE to it, a reassociate leaves the use as it is, and the map
 * gets the old context or the new one.
 *
 * Finding a free slot
 * ===================
 *
 * Each CPU has a hint: the slot where it looks next.  It walks a *region* of
 * the table in order, and then again as long as that is drained, or moves on to the one
 * that @cursor says is next, so that CPUs rarely share a cache line.  Whether it is
 * drained is found out on the way: by a busy slot near its beginning.  Regions are as large
 * as there are CPUs to share the table: where they are small, requests that were
 * walked by one turn ago are still there.  A hint is never an owner: the
 * slot's cmpxchg decides, any CPU may take any slot, nothing is stranded, and
 * nothing needs preemption or interrupts off.
 *
 * The usual associate and dissociate call nothing that they come back from, so they
 * save few registers: a locked instruction waits for all stores before it, and after
 * the two of them stores are what costs most.  An associate tries one slot there.
 * If that is busy the next MID_NEAR are tried before anything else is looked at,
 * for a few are passed by sooner than it is found out where to go.
 *
 * To pass over full parts there is one bit for each cache line of slots, its
 * *room*.  It is cleared only by an associate that found the line full, and set
 * by a dissociate that finds it clear.  As long as nobody ever found one @full
 * there is no need to look:
 *
 *	T1: associate			T2: dissociate
 *
 *	line has no free slot
 *	full = true			word: LIVE -> FREE
 *	clear_bit(line)			cmpxchg's full barrier
 *	smp_mb				full?
 *	a slot now?			bit clear? set_bit(line)
 *
 * At least one of them sees what the other did, so a line with a free slot has
 * its bit set, or one of the two has not yet returned [line-free, line-full].  Both
 * may write, and if the bit is clear then, T1 wrote after T2 and sees the slot
 * [line-both].
 *
 * The table is full only if a look at all of its slots found none free *and*
 * none was freed behind the searcher's back: mid_table_search() raises
 * MODE_SCAN, and each free that sees it counts itself in @refills.
 *
 *	T1: associate			T2: dissociate
 *
 *	mode += SCAN			word: LIVE -> FREE
 *	smp_mb				cmpxchg's full barrier
 *	refills, slots, refills		mode & SCAN? refills++
 *
 * Either T1 sees the slot free or it sees the count change and looks again
 * [search-free, search-count].
 *
 * Nearly full
 * ===========
 *
 * Where hardly a line has a free slot, walking costs more than all the rest, and
 * CPUs that walk pull each other's lines over.  A CPU that met MID_LEAN lines in
 * a row with no second free slot is *tight*: its dissociates note the slots they
 * free, MID_HINTS of them, and its associates take these, the oldest first.  In
 * large tables they leave MID_KEPT there, as long as a walk through the next
 * region finds others, so that a MID rests a little even then; in small ones the
 * spare bits do that.
 *
 * In tables of up to 2^MID_STAY_ORDER slots a tight CPU has a *home*, a region by its
 * number.  It walks there, and there only notes what it frees: what it frees elsewhere
 * it leaves to those who are at home there.  So the requests of each CPU gather in
 * lines of their own, and lines do not go to and fro.
 *
 * A CPU that has walked by as many slots as there are, and found none but those that
 * it had noted, is *barren*: it notes and takes all that it frees, and walks only if
 * that is nothing, for what it would find is what another CPU has just freed, who then
 * has to look for its.  Now and then a tight CPU looks at one line: when it dissociates,
 * or when an associate finds no hint, for there are CPUs that do only one of the two.  If
 * there is room it is tight no more, and if there is a slot, barren no more.
 *
 * The hints are like the other hint.  A slot that is noted is FREE in the table and
 * has its line's room bit set; whoever walks there takes it:
 *
 *	T1: dissociate (tight)		T2: associate (another CPU)
 *
 *	word: LIVE -> FREE
 *	room, hint = slot
 *					walks, finds slot: FREE -> BUSY
 *	(associate)
 *	hint: slot is BUSY, next hint
 *	no hint left: walks, searches
 *
 * A hint that is lost or doubled, because an interrupt came between, is no loss.
 *
 * Growth: the older tables
 * ========================
 *
 * A table never changes its size, for that would change the meaning of the MIDs
 * in flight.  When it is full and the maximum allows, a larger one is put in
 * front of it; MIDs of the *older* table stay where they are and are found
 * there until they are dissociated.  Then the older table is empty and goes,
 * after a grace period.  Who uses an atlas with all its slots from the start
 * never sees any of this; the others see it a few times in the life of a
 * connection, and for as long as one long request keeps an older table alive
 * each call looks at that one, too.
 *
 * The maximum is kept by counting slots, not MIDs: no associate succeeds while
 * the number of slots *in service*, over all tables, exceeds it.  The others are
 * PARKED.  A slot of an older table that becomes free is parked for good, and one
 * in the current table may be put into service for it (mid_slot_retire()).
 *
 * Two things must not happen.  A new MID must not go to an older table, where
 * nobody would park it; and a MID must not be handed out by the new table that
 * is still in use in an older one:
 *
 *	T1: associate (older table)	T2: grow		T3: associate (new)
 *
 *	word: FREE -> BUSY, MID is M
 *	full barrier			mode |= OLDER
 *	mode & OLDER?			smp_mb
 *	table still the current one?	table = new
 *								word: -> BUSY, M
 *								full barrier
 *								older has M?
 *
 * If T1 still sees the older table as the current one, T3 sees T1's slot and
 * takes its slot's next use instead (mid_slot_unique()), or another slot if the
 * older tables have the MIDs of all its uses (mid_slot_block()) [grow-associate].
 *
 * What was not done
 * =================
 *
 * An XArray or IDR writes tree nodes and marks under one lock for each request;
 * two CPUs pay for each other's cache lines.  A bitmap allocator beside an array
 * (sbitmap) has two truths that have to be reconciled at each race.  Caches of
 * free ids on each CPU strand them: with 50 MIDs on 64 CPUs that is all of them.
 * Packing the pointer and the state into one word would save 8 bytes a slot
 * but forbid odd and tagged contexts, and leave too few bits for a version.
 * Copying slots into a grown table would have to stop associates half-way;
 * leaving them behind needs nothing of the kind.
 *
 * On 32-bit CPUs that have no 64-bit atomics the kernel's atomic64_t takes a
 * hashed lock; all of the above holds, but for the word "lock-free".
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
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

#define MID_BITS		16
#define MID_RESERVED		0xffff	/* the server's own MID */
#define MID_LINE		4	/* slots that share a cache line */
#define MID_FIRST_ORDER		6	/* log2 of the slots to begin with */
#define MID_MAX_REGION		8192	/* slots that a CPU walks in one go */
#define MID_NEAR		8	/* slots to look at before anything else */
#define MID_STAY_ORDER		12	/* up to here a CPU may stay in its region, its home */
#define MID_HOME_ORDER		4	/* log2 of the least that it is worth to stay in */
#define MID_SAMPLE		64u	/* slots to look at, to see whether it is */
#define MID_HINTS		16	/* freed slots that a CPU remembers */
#define MID_NO_SLOT		~0u	/* looks like the last of any region */
#define MID_IN_RING		~1u	/* not one slot but some, or none */
#define MID_ALL_SLOTS		~0u	/* a span of them */
#define MID_KEPT		8	/* of them it keeps so many back, if it can */
#define MID_KEPT_ORDER		10	/* in larger tables than this */
#define MID_LEAN		8	/* lines without a second slot: nearly full */
#define MID_LOOK_EVERY		1024	/* requests between looks whether it still is */
#define MID_BLOCKED		((void *)~0ul)	/* the ctx of a slot without a MID */
#define MID_MAX_QUARANTINE	BIT(30)	/* jiffies; half of what 32 bits order */
#define MID_MAX_NAME		200	/* with a number it is a file's name */

/* The state in a slot's word. */
#define MID_FREE		0
#define MID_PARKED		1	/* out of service; the lock's holder owns it */
#define MID_BUSY		2	/* an associate, or abandon, is writing @ctx */
#define MID_ABANDONED		3	/* waits for its late reply; the lock's too */
#define MID_LIVE		4	/* this bit: a context is here */
#define MID_MOVING		5	/* LIVE, and a reassociate is writing @ctx */
#define MID_STATE		7

#define MID_USE_SHIFT		3
#define MID_USE_BITS		29
#define MID_USE_ONE		BIT_ULL(MID_USE_SHIFT)
#define MID_MOVE_ONE		BIT_ULL(MID_USE_SHIFT + MID_BITS)
/* What a reassociate leaves as it is: the stamp, the use, and that it is LIVE. */
#define MID_SAME_USE		(GENMASK_ULL(63, MID_STAMP_SHIFT) | \
				 (MID_MOVE_ONE - MID_USE_ONE) | MID_LIVE)
#define MID_STAMP_SHIFT		32

/* The rare conditions, in mid_atlas::mode. */
#define MID_MODE_OLDER		BIT(0)	/* there are older tables */
#define MID_MODE_SHRUNK		BIT(1)	/* more slots in service than allowed */
#define MID_MODE_WAITERS	BIT(2)	/* somebody waits for a MID */
#define MID_MODE_DRAIN		BIT(3)	/* no more associates, for good */
#define MID_MODE_SCAN		BIT(8)	/* a count: associates that search all */

/**
 * struct mid_slot - the place of one MID
 * @word: stamp, use and state; see the top of this file
 * @ctx: the context while LIVE; the next parked slot while PARKED; the jiffy in
 *	which the quarantine ends while ABANDONED
 */
struct mid_slot {
	atomic64_t word;
	void *ctx;
};

/**
 * struct mid_table - slots whose MIDs have one layout
 * @slots: the slots, at least one cache line of them
 * @order: how many bits of a MID are the slot's number
 * @mask: 2^@order - 1
 * @spare: the other bits of a MID
 * @match: the bits of a slot's word that a MID in flight fixes
 * @masks: @match and, in the lower half, @mask: one load for a lookup that needs both
 * @live: the same, and all of the state: nobody is moving it
 * @step: what the next use adds to a slot's word
 * @region: how many slots a CPU walks before it moves on, a power of two
 * @turn: @region - 1
 * @home: a CPU may stay in its region
 * @lines: cache lines of slots
 * @full: a line was found full, ever: before that all bits of @room are set
 * @older: the table before this one, while it still has MIDs in use
 * @rcu: frees the table
 * @held: slots in service
 * @parked: slots out of service that may come back
 * @parked_head: the first of these, linked by mid_slot::ctx
 * @cursor: where the next region begins
 * @room: a bit for each line that may have a free slot
 *
 * Up to @lines, nothing changes after the table was published.  @older, @held
 * and the parked slots change under mid_atlas::lock.
 */
struct mid_table {
	struct mid_slot *slots;
	u64 masks;
	unsigned int order;
	unsigned int mask;
	unsigned int spare;
	unsigned int match;
	unsigned int live;
	unsigned int step;
	unsigned int region;
	unsigned int turn;
	bool home;
	unsigned int lines;
	bool full;
	struct mid_table __rcu *older;
	unsigned int held;
	unsigned int parked;
	unsigned int parked_head;
	struct rcu_head rcu;
	atomic_t cursor ____cacheline_aligned_in_smp;
	unsigned long room[];
};

/**
 * struct mid_cpu - what an atlas has on each CPU
 * @next: the slot where this CPU looks next for a free one; %MID_NO_SLOT as long as it
 *	has none, and while it is tight
 * @walk: where it walks while it is tight
 * @from: the first of the slots that it notes when it frees them
 * @span: how many these are: none as long as this CPU is not tight
 * @hint: the slot that it has noted, %MID_NO_SLOT if none, or %MID_IN_RING
 * @barren: slots that it has walked by since it last found one that it had not noted
 * @again: it began its region once more, and has not met a busy slot since
 * @lean: lines in a row that had one free slot only
 * @got: hints that were taken out of @ring, ever: where the oldest is
 * @hints: how many there are in @ring
 * @keeps: how many of them it leaves alone as long as a walk finds others
 * @associated: contexts that this CPU put into the atlas
 * @quiet: as long as no more were @associated, there is no new peak: the contexts that
 *	this CPU took out, not always the same ones, and @peak
 * @peak: the most by which the ones surpassed the others, as a dissociate has seen; -1
 *	before the first
 * @ring: where the hints are if there are several, or some are kept: slots that this CPU
 *	has freed while it was tight
 *
 * Interrupts and, where the kernel is preempted, other CPUs may write here, too.
 * The hints may suffer from that, the counts do not.
 */
struct mid_cpu {
	unsigned int next;
	unsigned int barren;
	bool again;
	u8 lean;
	u8 got;
	u8 hints;
	u8 keeps;
	unsigned int walk;
	unsigned int from;
	unsigned int span;
	unsigned int hint;
	unsigned long associated;
	unsigned long quiet;
	unsigned long peak;
	u16 ring[MID_HINTS];
};

/**
 * struct mid_atlas - the MIDs of one connection
 * @table: the table that hands out MIDs
 * @mode: not 0 while something rare is under way, MID_MODE_*
 * @cpu: the CPUs' hints and counts
 * @sampled: the jiffy in which somebody last looked for @high
 * @lock: serialises all that is rare; any context, so a raw one
 * @max: the most MIDs that may be in use
 * @served: the slots in service, over all tables
 * @abandoned: how many slots are ABANDONED
 * @abandons: how many ever were; tells which of them is the oldest
 * @waiting: tasks inside mid_atlas_associate_wait() that found no MID at once
 * @waiters: those of them in the queue, the first to be served first
 * @drained: completed once when, after a drain began, no slot is in service
 * @left: completed when, after a drain began, nobody is @waiting
 * @expiry: frees the ABANDONED slots whose time has come
 * @expires: when @expiry is to run, in jiffies, if it is pending
 * @refills: frees that happened while an associate searched all
 * @high: the most MIDs that were seen in use
 * @stale: dissociates of a MID of an earlier use
 * @unknown: dissociates of a MID that never was in use
 * @late: dissociates of an ABANDONED MID
 * @exhausted: associates that found no free MID
 * @show: makes the folder in debugfs
 * @folder: the folder, or what debugfs has in place of it
 * @rcu: frees the atlas
 * @name: for people: what create was given, and a number that makes it unique
 *
 * From @max to @waiters, and @expires, all is under @lock.
 */
struct mid_atlas {
	struct mid_table __rcu *table;
	atomic_t mode;
	struct mid_cpu __percpu *cpu;
	unsigned long sampled;

	raw_spinlock_t lock ____cacheline_aligned_in_smp;
	unsigned int max;
	unsigned int served;
	unsigned int abandoned;
	u32 abandons;
	unsigned int waiting;
	struct list_head waiters;
	struct completion drained;
	struct completion left;
	struct delayed_work expiry;
	unsigned long expires;
	atomic_t refills;
	atomic_t high;
	atomic64_t stale;
	atomic64_t unknown;
	atomic64_t late;
	atomic64_t exhausted;
	struct work_struct show;
	struct dentry *folder;
	struct rcu_head rcu;
	char name[];
};

#ifndef __CHECKER__	/* sparse cannot read what makes the events */
#define CREATE_TRACE_POINTS
#endif
#include "atlas/trace.h"

/*
 * The word
 *
 * What the usual associate, map and dissociate need is inlined into them, here
 * and below; what is rare is kept out of them, so that they need few registers.
 */

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

static __always_inline u16 mid_word_mid(const struct mid_table *t,
					unsigned int i, u64 word)
{
	return i | ((word >> MID_USE_SHIFT) & t->spare);
}

/* What a word and @mid differ in, of all that the table's MIDs and a state have */
static __always_inline u32 mid_word_differs(u64 word, unsigned int state, u16 mid)
{
	return (u32)word ^ ((u32)mid << MID_USE_SHIFT | state);
}

/* Is this the word of a slot that has @mid in flight? */
static __always_inline bool mid_word_match(const struct mid_table *t, u64 word,
					   u16 mid)
{
	return !(mid_word_differs(word, MID_LIVE, mid) & t->match);
}

/* The same, and nobody is moving it? */
static __always_inline bool mid_word_is_live(const struct mid_table *t, u64 word,
					     u16 mid)
{
	return !(mid_word_differs(word, MID_LIVE, mid) & t->live);
}

static u32 mid_word_stamp(u64 word)
{
	return word >> MID_STAMP_SHIFT;
}

static __always_inline u64 mid_word_stamped(u64 word, u32 stamp)
{
	return (u64)stamp << MID_STAMP_SHIFT | (u32)word;
}

/* The use, rotated as it is in the word. */
static u64 mid_use_to_word(const struct mid_table *t, u32 use)
{
	u32 high = use >> (MID_USE_BITS - t->order);

	return (u32)(use << t->order | high) << MID_USE_SHIFT;
}

/* How often the slot was used, or more: a reassociate counts, too. */
static u32 mid_word_use(const struct mid_table *t, u64 word)
{
	u32 use = (u32)word >> MID_USE_SHIFT;

	return use >> t->order | (use & t->mask) << (MID_USE_BITS - t->order);
}

/* One use more.  What the sum carries out at the top goes in at the bottom. */
static __always_inline u64 mid_word_step(const struct mid_table *t, u64 word)
{
	u32 low = word;

	low += t->step;
	if (unlikely(low < t->step)) {
		barrier();	/* keeps it a branch: hardly ever taken, it costs nothing */
		low += MID_USE_ONE;
	}
	return mid_word_stamped(low, jiffies);
}

/* The slot's next use, begun now; the state is the same. */
static __always_inline u64 mid_word_next(const struct mid_table *t,
					 unsigned int i, u64 word)
{
	word = mid_word_step(t, word);
	if (unlikely(mid_word_mid(t, i, word) == MID_RESERVED))
		word = mid_word_step(t, word);
	return word;
}

/*
 * Tables
 */

/* The slots that can ever be in service: the last MID of all is reserved. */
static unsigned int mid_table_size(const struct mid_table *t)
{
	return min(t->mask + 1, (unsigned int)MID_ATLAS_MAX_MIDS);
}

/*
 * All slots come from here.  The caller of an associate knows what to do about
 * -ENOMEM, so a failure is not worth a warning where it is likely.
 */
VISIBLE_IF_KUNIT void *mid_atlas_alloc(size_t size, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_atlas_alloc, size, gfp);

	if (gfpflags_allow_blocking(gfp))
		return kvzalloc(size, gfp);
	return kzalloc(size, gfp | __GFP_NOWARN);
}
EXPORT_SYMBOL_IF_KUNIT(mid_atlas_alloc);

static void mid_table_free(struct mid_table *t)
{
	if (!t)
		return;
	kvfree(t->slots);
	kvfree(t);
}

static void mid_table_free_rcu(struct rcu_head *rcu)
{
	mid_table_free(container_of(rcu, struct mid_table, rcu));
}

static void mid_table_park(struct mid_table *t, unsigned int i)
{
	/* Marked: a map that began while the slot was LIVE may be reading. */
	WRITE_ONCE(t->slots[i].ctx, (void *)(unsigned long)t->parked_head);
	t->parked_head = i;
	t->parked++;
}

/* A part for each CPU, two of them at least, unless that would be too little. */
static unsigned int mid_table_region(unsigned int order)
{
	int most = max((int)order - MID_HOME_ORDER, 2);
	int parts = clamp((int)order_base_2(nr_cpu_ids), 1, most);

	return clamp((unsigned int)BIT(order) >> parts, MID_LINE, MID_MAX_REGION);
}

static struct mid_table *mid_table_alloc(unsigned int order, gfp_t gfp)
{
	unsigned int lines = max(BIT(order) / MID_LINE, 1ul);
	struct mid_table *t;

	/* Not struct_size(): that adds the padding behind @room. */
	t = mid_atlas_alloc(offsetof(struct mid_table, room[BITS_TO_LONGS(lines)]), gfp);
	if (!t)
		return NULL;
	t->slots = mid_atlas_alloc(lines * MID_LINE * sizeof(*t->slots), gfp);
	if (!t->slots) {
		mid_table_free(t);
		return NULL;
	}

	t->order = order;
	t->mask = BIT(order) - 1;
	t->spare = (u16)~t->mask;
	t->match = t->spare << MID_USE_SHIFT | MID_LIVE;
	t->masks = (u64)t->match << 32 | t->mask;
	t->live = t->match | MID_STATE;
	t->step = MID_USE_ONE << order;
	t->region = mid_table_region(order);
	t->turn = t->region - 1;
	t->home = order <= MID_STAY_ORDER;
	t->lines = lines;
	/* Those of lines that there are not, too: see mid_line_has_room(). */
	memset(t->room, 0xff, BITS_TO_LONGS(lines) * sizeof(long));
	return t;
}

/*
 * Puts the first @held slots of a new table into service and parks the others.
 * The first use of each will be the one after @use.
 */
static void mid_table_init(struct mid_table *t, unsigned int held,
			   unsigned int use)
{
	u64 word = mid_use_to_word(t, use);
	unsigned int i;

	t->held = held;
	/* The lowest numbers go first into service, and next when parked. */
	for (i = t->lines * MID_LINE; i-- > held; ) {
		atomic64_set(&t->slots[i].word, mid_word_with(word, MID_PARKED));
		if (i < mid_table_size(t))
			mid_table_park(t, i);
	}
	for (i = 0; i < held; i++)
		atomic64_set(&t->slots[i].word, mid_word_with(word, MID_FREE));
}

/*
 * Where the uses of a larger table begin, so that its MIDs follow those of @t:
 * a little ahead of them, as @t is still in use.
 */
static unsigned int mid_table_next_use(const struct mid_table *t,
				       unsigned int order)
{
	unsigned int i;
	u32 last = 0;
	u64 word;

	for (i = 0; i < mid_table_size(t); i++) {
		word = atomic64_read(&t->slots[i].word);
		last = max(last, mid_word_use(t, word));
	}
	last = ((((u64)last + 1) << t->order) - 1) >> order;
	return (u16)(last + BIT(MID_BITS - order) / 64);
}

/* The first line in [@line, @end) that may have room; @end if there is none. */
static unsigned int mid_table_room(const struct mid_table *t, unsigned int line,
				   unsigned int end)
{
	unsigned long bits, mask = ~0ul << (line % BITS_PER_LONG);
	unsigned int i;

	for (i = line / BITS_PER_LONG; i < BITS_TO_LONGS(end); i++) {
		bits = READ_ONCE(t->room[i]) & mask;
		if (bits)
			return min_t(unsigned long, end,
				     i * BITS_PER_LONG + __ffs(bits));
		mask = ~0ul;
	}
	return end;
}

/* A line has room: say so, before the mode is looked at. */
static void mid_table_set_room(struct mid_table *t, unsigned int line)
{
	set_bit(line, t->room);
	/* Pairs with the barriers after SCAN, WAITERS and SHRUNK are set. */
	smp_mb__after_atomic();
}

/* Has the line that slot @i is in room? */
static __always_inline bool mid_line_has_room(const struct mid_table *t, unsigned int i)
{
	unsigned int line = i / MID_LINE;
	unsigned long room = READ_ONCE(t->room[BIT_WORD(line)]);

	/* On x86 test_bit() is one instruction that takes as long as ten of these. */
	return likely(room == ~0ul) || room & BIT_MASK(line);
}

/* Slot @i is free: is that known?  The caller had a full barrier since. */
static __always_inline bool mid_table_has_room(const struct mid_table *t,
					       unsigned int i)
{
	return likely(!READ_ONCE(t->full)) || mid_line_has_room(t, i);
}

static void mid_table_refill(struct mid_table *t, unsigned int i)
{
	if (unlikely(!mid_table_has_room(t, i)))
		mid_table_set_room(t, i / MID_LINE);
}

/*
 * Finding a free slot.  These return the slot's number, or -ENOSPC, and take
 * the slot by a full barrier (cmpxchg), which the caller relies on; @word is
 * then what the slot's word has become.
 */

static __always_inline bool mid_slot_take(struct mid_table *t, unsigned int i,
					  u64 *word)
{
	struct mid_slot *slot = &t->slots[i];
	s64 old = atomic64_read(&slot->word);

	do {
		if (mid_word_state(old) != MID_FREE)
			return false;
		*word = mid_word_next(t, i, old) - MID_FREE + MID_BUSY;
	} while (!atomic64_try_cmpxchg(&slot->word, &old, *word));
	return true;
}

static noinline int mid_line_take(struct mid_table *t, unsigned int line, u64 *word)
{
	unsigned int first = line * MID_LINE;
	unsigned int i;

	for (i = first; i < first + MID_LINE; i++)
		if (mid_slot_take(t, i, word))
			return i;

	if (!READ_ONCE(t->full))
		WRITE_ONCE(t->full, true);
	clear_bit(line, t->room);
	/* Clear before looking again; pairs with the cmpxchg that frees. */
	smp_mb__after_atomic();

	for (i = first; i < first + MID_LINE; i++) {
		if (mid_slot_take(t, i, word)) {
			mid_table_set_room(t, line);
			return i;
		}
	}
	return -ENOSPC;
}

/* Walks the slots in [@from, @to), where @to is the end of a line. */
static int mid_table_walk(struct mid_table *t, unsigned int from,
			  unsigned int to, u64 *word)
{
	unsigned int line, end = to / MID_LINE;
	int i;

	for (; from % MID_LINE; from++)
		if (mid_slot_take(t, from, word))
			return from;

	line = from / MID_LINE;
	while ((line = mid_table_room(t, line, end)) < end) {
		i = mid_line_take(t, line++, word);
		if (i >= 0)
			return i;
	}
	return -ENOSPC;
}

static int mid_table_walk_all(struct mid_table *t, u64 *word)
{
	return mid_table_walk(t, 0, t->lines * MID_LINE, word);
}

/* All slots, whatever their lines' bits say. */
static int mid_table_look(struct mid_table *t, u64 *word)
{
	unsigned int i;

	for (i = 0; i <= t->mask; i++)
		if (mid_slot_take(t, i, word))
			return i;
	return -ENOSPC;
}

/*
 * A search that is sure: -ENOSPC means that no slot was free.  In the end it
 * does not go by the bits: one that is clear may be in mid_line_take()'s hands.
 */
static int mid_table_search(struct mid_atlas *atlas, struct mid_table *t,
			    u64 *word)
{
	int refills, i;

	atomic_add(MID_MODE_SCAN, &atlas->mode);
	/* Raise SCAN before looking; pairs with the cmpxchg that frees. */
	smp_mb__after_atomic();
	do {
		refills = atomic_read_acquire(&atlas->refills);
		i = mid_table_walk_all(t, word);
		if (i < 0 && atomic_read(&atlas->refills) == refills)
			i = mid_table_look(t, word);
		/* Look before counting; pairs with mid_slot_freed_rare(). */
		smp_rmb();
	} while (i < 0 && atomic_read(&atlas->refills) != refills);
	atomic_sub(MID_MODE_SCAN, &atlas->mode);
	return i;
}

/*
 * Counting
 *
 * Each CPU counts for itself.  The sum is exact when nothing is under way; else
 * it errs on the low side, as what came is added up first and what went last, but
 * for what is being freed at this moment.
 */

/* How many contexts a CPU took out; too high for a moment when it has a new peak */
static unsigned long mid_cpu_dissociated(const struct mid_cpu *cpu)
{
	unsigned long peak = READ_ONCE(cpu->peak);

	/* Never less than none: pairs with mid_cpu_raise_peak(). */
	smp_rmb();
	return READ_ONCE(cpu->quiet) - peak;
}

static unsigned int mid_atlas_in_use(struct mid_atlas *atlas)
{
	const struct mid_cpu *counts;
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		counts = per_cpu_ptr(atlas->cpu, cpu);
		sum += READ_ONCE(counts->associated) + READ_ONCE(counts->peak);
	}
	sum += READ_ONCE(atlas->abandoned);
	/*
	 * Pairs with the slot's cmpxchg between what came and what went, and with
	 * mid_cpu_raise_peak().
	 */
	smp_rmb();
	for_each_possible_cpu(cpu)
		sum -= READ_ONCE(per_cpu_ptr(atlas->cpu, cpu)->quiet);
	return max_t(long, sum, 0);
}

static void mid_atlas_saw(struct mid_atlas *atlas, int in_use)
{
	int high = atomic_read(&atlas->high);

	while (in_use > high && !atomic_try_cmpxchg(&atlas->high, &high, in_use))
		;
}

/*
 * The high-water mark is not worth a counter that all CPUs write.  Who looks
 * before a dissociate, at the first of a tick and if never more was in flight on
 * its CPU, when the atlas is full, and when someone asks, misses only what comes
 * and goes between two ticks.
 */
static noinline void mid_atlas_sample(struct mid_atlas *atlas)
{
	/*
	 * A slot is free before that is counted, and may be in use again by then:
	 * the sum can have it twice.  More than are in service there never are.
	 */
	unsigned int served = READ_ONCE(atlas->served);

	WRITE_ONCE(atlas->sampled, jiffies);
	mid_atlas_saw(atlas, min(mid_atlas_in_use(atlas), served));
}

/* How far below its peak this CPU is, given its @quiet; less than 0 if above */
static __always_inline long mid_cpu_below_peak(const struct mid_cpu *cpu, unsigned long quiet)
{
	return quiet - READ_ONCE(cpu->associated);
}

static __always_inline bool mid_atlas_sample_is_old(const struct mid_atlas *atlas)
{
	unsigned long now = jiffies;

	return time_after(now, READ_ONCE(atlas->sampled));
}

static __always_inline bool mid_atlas_sample_due(const struct mid_atlas *atlas,
						 const struct mid_cpu *cpu, unsigned long quiet)
{
	return mid_cpu_below_peak(cpu, quiet) < 0 || mid_atlas_sample_is_old(atlas);
}

/*
 * A new peak, by @more.  If an interrupt sees it, too, it is counted twice, and the next
 * one may be seen at the next tick only; the difference of the two remains right.
 */
static void mid_cpu_raise_peak(struct mid_atlas *atlas, long more)
{
	this_cpu_add(atlas->cpu->quiet, more);
	/* To err on the low side; pairs with mid_atlas_in_use(), mid_cpu_dissociated(). */
	smp_wmb();
	this_cpu_add(atlas->cpu->peak, more);
}

static void mid_atlas_count_dissociate(struct mid_atlas *atlas)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	long more = -mid_cpu_below_peak(cpu, READ_ONCE(cpu->quiet));

	if (more > 0)
		mid_cpu_raise_peak(atlas, more);
	if (more > 0 || mid_atlas_sample_is_old(atlas))
		mid_atlas_sample(atlas);
	this_cpu_inc(atlas->cpu->quiet);
}

static unsigned int mid_table_busy(const struct mid_table *t, unsigned int from,
				   unsigned int to)
{
	unsigned int busy = 0;

	for (; from < to; from++)
		busy += mid_word_state(atomic64_read(&t->slots[from].word)) != MID_FREE;
	return busy;
}

/*
 * Is a region drained, as far as can be seen from its beginning?  One request that lasts
 * is no reason to leave, but one in sixteen of the slots that this CPU would have to pass
 * by costs it more than lines that are another's.  The first @seen are busy, @i comes next.
 */
static bool mid_region_drained(const struct mid_table *t, unsigned int i, unsigned int seen)
{
	unsigned int look = min(t->region / 2, MID_SAMPLE);
	unsigned int end = round_down(i, t->region) + look;

	return seen + mid_table_busy(t, i, end) <= max(look / 16, 1u);
}

/* A region for this CPU, the one that nobody has walked for the longest time */
static unsigned int mid_table_fetch(struct mid_table *t)
{
	return atomic_fetch_add_relaxed(t->region, &t->cursor);
}

/*
 * Where this CPU goes on after slot @i, the last of a region.  In a small table the
 * spare bits keep the MIDs apart: stay, if the requests that went out first are done.
 * In a large one it is the walk through all of it that lets a MID rest.
 */
static noinline unsigned int mid_table_turn(struct mid_table *t, unsigned int i)
{
	unsigned int begin = i + 1 - t->region;

	if (t->home && mid_region_drained(t, begin, 0))
		return begin;
	return mid_table_fetch(t);
}

static __always_inline bool mid_table_region_ends(const struct mid_table *t, unsigned int i)
{
	return !((i + 1) & t->turn);
}

/* Slot @i was taken: this region to its end, then the others. */
static noinline int mid_table_take_next(struct mid_atlas *atlas,
					struct mid_table *t, unsigned int i,
					u64 *word)
{
	unsigned int end = round_up(i + 1, t->region);
	unsigned int all = t->lines * MID_LINE;
	int ret;

	ret = mid_table_walk(t, i + 1, min(end, all), word);
	if (ret >= 0)
		return ret;

	i = mid_table_turn(t, end - 1) & t->mask;
	ret = mid_table_walk(t, i, all, word);
	if (ret < 0)
		ret = mid_table_walk(t, 0, i, word);
	if (ret < 0)
		return mid_table_search(atlas, t, word);
	/* Passed over full regions: so shall the next who asks for one. */
	end = round_up(ret + 1, t->region);
	if (end != i + t->region)
		atomic_set(&t->cursor, end);
	return ret;
}

/* How many slots this CPU has noted */
static unsigned int mid_cpu_hints(const struct mid_cpu *cpu)
{
	return (READ_ONCE(cpu->hint) < MID_IN_RING) + READ_ONCE(cpu->hints);
}

/* Slot @i goes to the end of the ring, unless that is full. */
static __always_inline void mid_cpu_push(struct mid_cpu *cpu, unsigned int i)
{
	u8 hints = READ_ONCE(cpu->hints);

	if (hints < MID_HINTS) {
		WRITE_ONCE(cpu->ring[(READ_ONCE(cpu->got) + hints) % MID_HINTS], i);
		WRITE_ONCE(cpu->hints, hints + 1);
	}
}

/* From now on hints go to the ring. */
static __always_inline void mid_cpu_use_ring(struct mid_cpu *cpu)
{
	unsigned int hint = READ_ONCE(cpu->hint);

	if (hint != MID_IN_RING) {
		if (hint != MID_NO_SLOT)
			mid_cpu_push(cpu, hint);
		WRITE_ONCE(cpu->hint, MID_IN_RING);
	}
}

/*
 * Slot @i was freed here: a place to look for a free one.  If it is the only one it is kept
 * where an associate looks first, which may be waiting for nothing else.
 */
static __always_inline void mid_cpu_remember(struct mid_cpu *cpu, unsigned int i)
{
	if (READ_ONCE(cpu->hint) == MID_NO_SLOT) {
		WRITE_ONCE(cpu->hint, i);
		return;
	}
	mid_cpu_use_ring(cpu);
	mid_cpu_push(cpu, i);
}

/* The oldest of the @hints that there are in the ring */
static __always_inline unsigned int mid_cpu_pull(struct mid_cpu *cpu, u8 hints)
{
	u8 got = READ_ONCE(cpu->got);

	WRITE_ONCE(cpu->got, got + 1);
	WRITE_ONCE(cpu->hints, hints - 1);
	if (hints == 1 && !READ_ONCE(cpu->keeps))
		WRITE_ONCE(cpu->hint, MID_NO_SLOT);
	return READ_ONCE(cpu->ring[got % MID_HINTS]);
}

/* The oldest of all hints, or %MID_NO_SLOT */
static unsigned int mid_cpu_recall(struct mid_cpu *cpu)
{
	unsigned int hint = READ_ONCE(cpu->hint);
	u8 hints = READ_ONCE(cpu->hints);

	if (hint == MID_IN_RING)
		return hints ? mid_cpu_pull(cpu, hints) : MID_NO_SLOT;
	WRITE_ONCE(cpu->hint, MID_NO_SLOT);
	return hint;
}

/* Has this CPU a hint in the line that slot @i is in? */
static bool mid_cpu_hints_at(const struct mid_cpu *cpu, unsigned int i)
{
	unsigned int n, got = READ_ONCE(cpu->got), hints = READ_ONCE(cpu->hints);
	bool found = (READ_ONCE(cpu->hint) ^ i) < MID_LINE;

	for (n = got; n < got + hints; n++)
		found |= (READ_ONCE(cpu->ring[n % MID_HINTS]) ^ i) < MID_LINE;
	return found;
}

/* Is it time for a CPU to look whether the table is still nearly full? */
static __always_inline bool mid_cpu_looks(unsigned long count)
{
	return count % MID_LOOK_EVERY == 0;
}

/* How many slots of the line that slot @i is in are free */
static unsigned int mid_line_free(const struct mid_table *t, unsigned int i)
{
	unsigned int first = round_down(i, MID_LINE), n = 0;

	for (i = first; i < first + MID_LINE; i++)
		n += mid_word_state(atomic64_read(&t->slots[i].word)) == MID_FREE;
	return n;
}

/* Slot @i was found by a walk: was it worth it?  If never, be tight. */
static bool mid_cpu_tightens(struct mid_cpu *cpu, const struct mid_table *t,
			     unsigned int i)
{
	unsigned int enough = t->order > MID_KEPT_ORDER ? MID_LEAN : 2;
	u8 lean = mid_line_free(t, i) ? 0 : READ_ONCE(cpu->lean) + 1;

	WRITE_ONCE(cpu->lean, lean % enough);
	return lean >= enough;
}

/* Where this CPU's home begins */
static unsigned int mid_table_home(const struct mid_table *t)
{
	return raw_smp_processor_id() * t->region & t->mask;
}

/* Is there, for this CPU, nothing to be found but what it has noted? */
static __always_inline bool mid_cpu_is_barren(const struct mid_cpu *cpu,
					      const struct mid_table *t)
{
	return READ_ONCE(cpu->barren) > t->mask;
}

/*
 * This CPU has walked by @barren slots and found nothing.  It notes what it frees at home,
 * or everything if there is nothing to be found.
 */
static void mid_cpu_set_barren(struct mid_cpu *cpu, const struct mid_table *t,
			       unsigned int barren)
{
	bool home = t->home && barren <= t->mask;

	WRITE_ONCE(cpu->barren, barren);
	WRITE_ONCE(cpu->from, home ? mid_table_home(t) : 0);
	WRITE_ONCE(cpu->span, home ? t->region : MID_ALL_SLOTS);
	WRITE_ONCE(cpu->keeps, t->order > MID_KEPT_ORDER && barren <= t->mask ? MID_KEPT : 0);
	if (READ_ONCE(cpu->keeps))
		mid_cpu_use_ring(cpu);
}

static __always_inline bool mid_cpu_notes(const struct mid_cpu *cpu, unsigned int i)
{
	return i - READ_ONCE(cpu->from) < READ_ONCE(cpu->span);
}

static __always_inline bool mid_cpu_is_tight(const struct mid_cpu *cpu)
{
	return READ_ONCE(cpu->span);
}

/* Tight, and at home: it does not walk elsewhere. */
static bool mid_cpu_is_home(const struct mid_cpu *cpu, const struct mid_table *t)
{
	return READ_ONCE(cpu->span) == t->region;
}

static void mid_cpu_tighten(struct mid_cpu *cpu, const struct mid_table *t, unsigned int next)
{
	WRITE_ONCE(cpu->next, MID_NO_SLOT);
	WRITE_ONCE(cpu->walk, t->home ? mid_table_home(t) : next);
	mid_cpu_set_barren(cpu, t, 0);
}

static void mid_cpu_relax(struct mid_cpu *cpu)
{
	WRITE_ONCE(cpu->hint, MID_NO_SLOT);
	WRITE_ONCE(cpu->hints, 0);
	WRITE_ONCE(cpu->next, READ_ONCE(cpu->walk));
	WRITE_ONCE(cpu->span, 0);
}

/* There is a slot at @i that this CPU had not noted: is it one to walk to? */
static void mid_cpu_found(struct mid_cpu *cpu, const struct mid_table *t, unsigned int i)
{
	if (!t->home || i - mid_table_home(t) < t->region)
		mid_cpu_set_barren(cpu, t, 0);
}

/*
 * Now and then a tight CPU looks at one line, another one each time: is the table
 * nearly full no more, or a place to find others than those that are noted?
 */
static void mid_cpu_look(struct mid_cpu *cpu, const struct mid_table *t, unsigned long count)
{
	unsigned int enough = t->order > MID_KEPT_ORDER ? MID_LINE / 2 : MID_LINE;
	unsigned int i = count / MID_LOOK_EVERY * MID_LINE & t->mask;
	unsigned int free = mid_line_free(t, i);

	if (free >= enough) {
		mid_cpu_relax(cpu);
	} else if (free && mid_cpu_is_barren(cpu, t) && !mid_cpu_hints_at(cpu, i)) {
		WRITE_ONCE(cpu->walk, i);
		mid_cpu_found(cpu, t, i);
	}
}

/* Are @hints too few?  Where there are no others none are left alone. */
static __always_inline bool mid_cpu_walks(const struct mid_cpu *cpu, unsigned int hints)
{
	return hints < (READ_ONCE(cpu->keeps) ?: 1);
}

/* A slot from the rest of the region, or from all of it if that is this CPU's home */
static int mid_cpu_walk(struct mid_cpu *cpu, struct mid_table *t, u64 *word)
{
	unsigned int from = READ_ONCE(cpu->walk) & t->mask;
	unsigned int begin = round_down(from, t->region);
	unsigned int end = min(begin + t->region, t->lines * MID_LINE);
	bool home = mid_cpu_is_home(cpu, t);
	int i = mid_table_walk(t, from, end, word);

	if (i < 0 && home)
		i = mid_table_walk(t, begin, round_up(from, MID_LINE), word);
	from = i < 0 ? end : i + 1;
	WRITE_ONCE(cpu->walk, home ? begin | (from & t->turn) : from);
	if (i < 0 || mid_cpu_hints_at(cpu, i))
		mid_cpu_set_barren(cpu, t, READ_ONCE(cpu->barren) + t->region);
	else
		mid_cpu_found(cpu, t, i);
	return i;
}

/* Nearly full: a slot of the region, or one that was freed here */
static int mid_table_take_hint(struct mid_table *t, struct mid_cpu *cpu, u64 *word)
{
	unsigned int hint;
	int i;

	if (mid_cpu_walks(cpu, mid_cpu_hints(cpu))) {
		i = mid_cpu_walk(cpu, t, word);
		if (i >= 0)
			return i;
	}
	while ((hint = mid_cpu_recall(cpu)) != MID_NO_SLOT) {
		hint &= t->mask;
		if (mid_slot_take(t, hint, word))
			return hint;
	}
	return -ENOSPC;
}

static int mid_table_take_tight(struct mid_atlas *atlas, struct mid_table *t,
				struct mid_cpu *cpu, u64 *word)
{
	int i = mid_table_take_hint(t, cpu, word);

	if (i < 0) {
		i = mid_table_take_next(atlas, t, READ_ONCE(cpu->walk) & t->mask, word);
		if (i >= 0 && !mid_cpu_is_home(cpu, t))
			WRITE_ONCE(cpu->walk, i + 1);
	}
	if (mid_cpu_looks(READ_ONCE(cpu->associated)))
		mid_cpu_look(cpu, t, READ_ONCE(cpu->associated));
	return i;
}

/* Slot @i or one of those behind it, in this region */
static int mid_table_take_near(struct mid_table *t, unsigned int i, u64 *word)
{
	unsigned int end = min(round_up(i + 1, t->region), i + MID_NEAR);

	for (; i < end; i++)
		if (mid_slot_take(t, i, word))
			return i;
	return -ENOSPC;
}

/*
 * Slot @i comes after one that was busy.  Is this CPU at the beginning of its region
 * again, and has one more to pass by there?  Then it is not drained.
 */
static bool mid_cpu_leaves(struct mid_cpu *cpu, const struct mid_table *t, unsigned int i)
{
	if (!READ_ONCE(cpu->again))
		return false;
	WRITE_ONCE(cpu->again, false);
	return !mid_region_drained(t, i, 1);
}

static int mid_table_take(struct mid_atlas *atlas, struct mid_table *t,
			  u64 *word)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	unsigned int next = READ_ONCE(cpu->next);
	bool tight = false;
	int i;

	if (mid_cpu_is_tight(cpu))
		return mid_table_take_tight(atlas, t, cpu, word);
	if (next == MID_NO_SLOT || mid_cpu_leaves(cpu, t, next & t->mask))
		next = mid_table_fetch(t);
	next &= t->mask;
	i = mid_table_take_near(t, next, word);
	if (i < 0) {
		i = mid_table_take_next(atlas, t, next, word);
		if (i < 0)
			return i;
		tight = mid_cpu_tightens(cpu, t, i);
	}
	next = mid_table_region_ends(t, i) ? mid_table_turn(t, i) : i + 1;
	if (tight)
		mid_cpu_tighten(cpu, t, next);
	else
		WRITE_ONCE(cpu->next, next);
	return i;
}

/* Nearly full: the only hint, or the oldest, if there are enough */
static __always_inline bool mid_cpu_guess_hint(struct mid_cpu *cpu, const struct mid_table *t,
					       unsigned int hint, unsigned int *i)
{
	u8 hints;

	if (likely(hint != MID_IN_RING)) {
		WRITE_ONCE(cpu->hint, MID_NO_SLOT);
	} else {
		hints = READ_ONCE(cpu->hints);
		if (mid_cpu_walks(cpu, hints))
			return false;
		hint = mid_cpu_pull(cpu, hints);
	}
	*i = hint & t->mask;
	return true;
}

/* Which slot to try first, @i; false where that is no quick question */
static __always_inline bool mid_table_guess(const struct mid_table *t,
					    struct mid_cpu *cpu, unsigned int *i)
{
	unsigned int hint;

	*i = READ_ONCE(cpu->next) & t->mask;
	if (likely(!mid_table_region_ends(t, *i))) {
		/* If that is busy mid_table_take() goes on behind it. */
		WRITE_ONCE(cpu->next, *i + 1);
		return true;
	}
	/* Only a CPU that is tight has hints, and it has no next slot. */
	hint = READ_ONCE(cpu->hint);
	if (hint != MID_NO_SLOT)
		return mid_cpu_guess_hint(cpu, t, hint, i);
	if (!t->home || READ_ONCE(cpu->next) == MID_NO_SLOT)
		return false;
	/* Once more, if mid_cpu_leaves() does not say otherwise. */
	WRITE_ONCE(cpu->next, *i - t->turn);
	WRITE_ONCE(cpu->again, true);
	return true;
}

/*
 * Slots in service
 *
 * The slots in service, over all tables, are what keeps the maximum; see
 * "Growth" above.  To lower the maximum is to take slots out of service, free
 * ones at once and the others when they become free; to drain is to lower it to
 * nothing.
 */

/* The mode has no order of its own: the callers have barriers where it matters. */
static void mid_atlas_set_mode(struct mid_atlas *atlas, int mode, bool on)
{
	if (on)
		atomic_or(mode, &atlas->mode);
	else
		atomic_andnot(mode, &atlas->mode);
}

static struct mid_table *mid_atlas_table_locked(struct mid_atlas *atlas)
{
	return rcu_dereference_protected(atlas->table,
					 lockdep_is_held(&atlas->lock));
}

static bool mid_atlas_draining(struct mid_atlas *atlas)
{
	return atomic_read(&atlas->mode) & MID_MODE_DRAIN;
}

/* How many more slots may be in service; negative if there are too many. */
static int mid_atlas_spare(struct mid_atlas *atlas)
{
	lockdep_assert_held(&atlas->lock);

	return (int)(mid_atlas_draining(atlas) ? 0 : atlas->max) -
		(int)atlas->served;
}

/* Puts a slot of the current table into service, if the maximum allows. */
static bool mid_atlas_unpark(struct mid_atlas *atlas)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int i = t->parked_head;
	struct mid_slot *slot = &t->slots[i];

	if (!t->parked || mid_atlas_spare(atlas) <= 0)
		return false;
	t->parked_head = (unsigned long)slot->ctx;
	t->parked--;
	t->held++;
	WRITE_ONCE(atlas->served, atlas->served + 1);
	atomic64_set(&slot->word,
		     mid_word_with(atomic64_read(&slot->word), MID_FREE));
	/* Free before looking at its line; pairs with mid_line_take(). */
	smp_mb();
	mid_table_refill(t, i);
	return true;
}

/* Takes an older table that has no slot in service out of the chain. */
static void mid_atlas_unlink(struct mid_atlas *atlas, struct mid_table *old)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	struct mid_table *next;

	for (;;) {
		next = rcu_dereference_protected(t->older, true);
		if (next == old)
			break;
		t = next;
	}
	next = rcu_dereference_protected(old->older, true);
	rcu_assign_pointer(t->older, next);
	if (!rcu_access_pointer(mid_atlas_table_locked(atlas)->older))
		mid_atlas_set_mode(atlas, MID_MODE_OLDER, false);
	/* A lookup may be in there [older-unlink]. */
	call_rcu(&old->rcu, mid_table_free_rcu);
}

/* An older table has no use for @mid any more: has the current one? */
static void mid_atlas_unblock(struct mid_atlas *atlas, u16 mid)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int i = mid & t->mask;

	if (mid_word_state(atomic64_read(&t->slots[i].word)) == MID_PARKED &&
	    t->slots[i].ctx == MID_BLOCKED)
		mid_table_park(t, i);
}

/*
 * A slot that the caller has made PARKED is out of service.  One of the current
 * table may come back, but not while it is @blocked; see mid_slot_block().
 */
static void mid_atlas_parked(struct mid_atlas *atlas, struct mid_table *t,
			     unsigned int i, bool blocked)
{
	struct mid_slot *slot = &t->slots[i];
	bool older = t != mid_atlas_table_locked(atlas);

	lockdep_assert_held(&atlas->lock);

	t->held--;
	WRITE_ONCE(atlas->served, atlas->served - 1);
	if (older)
		mid_atlas_unblock(atlas, mid_word_mid(t, i, atomic64_read(&slot->word)));
	else if (blocked)
		WRITE_ONCE(slot->ctx, MID_BLOCKED);
	else
		mid_table_park(t, i);
	mid_atlas_unpark(atlas);
	/* After that: who sees no older table sees the slot that came for this one. */
	if (older && !t->held)
		mid_atlas_unlink(atlas, t);
	if (mid_atlas_spare(atlas) >= 0)
		mid_atlas_set_mode(atlas, MID_MODE_SHRUNK, false);
	if (!atlas->served && mid_atlas_draining(atlas))
		complete(&atlas->drained);
}

/*
 * A slot became free that may be one too many: then out of service with it.
 * Returns whether it was.
 */
static bool mid_slot_retire(struct mid_atlas *atlas, struct mid_table *t,
			    unsigned int i)
{
	struct mid_slot *slot = &t->slots[i];
	bool retired = false;
	unsigned long flags;
	s64 word;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	word = atomic64_read(&slot->word);
	if ((t != mid_atlas_table_locked(atlas) || mid_atlas_spare(atlas) < 0) &&
	    mid_word_state(word) == MID_FREE)
		retired = atomic64_try_cmpxchg(&slot->word, &word,
					       mid_word_with(word, MID_PARKED));
	if (retired)
		mid_atlas_parked(atlas, t, i, false);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return retired;
}

/* Retires all free slots of @t that are too many.  Returns how many. */
static unsigned int mid_table_retire(struct mid_atlas *atlas,
				     struct mid_table *t)
{
	unsigned int i, n = 0;

	for (i = 0; i <= t->mask; i++)
		if (mid_word_state(atomic64_read(&t->slots[i].word)) == MID_FREE)
			n += mid_slot_retire(atlas, t, i);
	return n;
}

/*
 * MIDs of older tables
 */

/* Does an older table have this MID in use? */
static bool mid_table_older_holds(const struct mid_table *t, u16 mid)
{
	unsigned int i, state;
	u64 word;

	while ((t = rcu_dereference(t->older))) {
		i = mid & t->mask;
		word = atomic64_read(&t->slots[i].word);
		state = mid_word_state(word);
		if (state != MID_FREE && state != MID_PARKED &&
		    mid_word_mid(t, i, word) == mid)
			return true;
	}
	return false;
}

/*
 * We made this slot BUSY, with a full barrier: go on to a use of it whose MID
 * no older table has, with a full barrier again.  Returns false if the older
 * tables have the MIDs of all its uses.
 */
static bool mid_slot_unique(struct mid_table *t, unsigned int i, u64 *word)
{
	unsigned int uses = 1 << (MID_BITS - t->order);

	do {
		if (!mid_table_older_holds(t, mid_word_mid(t, i, *word)))
			return true;
		*word = mid_word_next(t, i, *word);
		atomic64_set(&t->slots[i].word, *word);
		/* The new use before a look at the tables, as the cmpxchg was. */
		smp_mb();
	} while (--uses);
	return false;
}

/*
 * There is no MID for this slot: out of service with it, and in with another.
 * It comes back when an older table frees a MID that could be its.
 */
static void mid_slot_block(struct mid_atlas *atlas, struct mid_table *t,
			   unsigned int i, u64 word)
{
	lockdep_assert_held(&atlas->lock);

	atomic64_set(&t->slots[i].word, mid_word_with(word, MID_PARKED));
	mid_atlas_parked(atlas, t, i, true);
}

/* Retires what is free in the older tables.  Returns how many slots. */
static unsigned int mid_atlas_retire_older(struct mid_atlas *atlas)
{
	struct mid_table *t;
	unsigned int n = 0;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	while ((t = rcu_dereference(t->older)))
		n += mid_table_retire(atlas, t);
	rcu_read_unlock();
	return n;
}

/*
 * Waiting for a MID
 *
 * A waiter is given a slot, BUSY and so already its own, by whoever frees one.
 * All that decides is under the lock, so a MID is given to a waiter or the
 * waiter leaves, not both, and not neither:
 *
 *	T1: dissociate			T2: waiter, is killed
 *
 *	word: LIVE -> FREE
 *	full barrier
 *	mode & WAITERS? lock
 *	takes the slot for T2
 *	removes T2 from the queue
 *	complete(T2)
 *	unlock
 *					lock
 *					in the queue? no: uses the MID
 *					unlock
 *
 * Had T2 got the lock first, T1 would have found the next in the queue.  And
 * nobody misses the queue [waiter-free, waiter-give-back]:
 *
 *	T1: dissociate			T2: begins to wait
 *
 *	word: LIVE -> FREE		lock, adds itself, mode |= WAITERS
 *	full barrier			smp_mb
 *	mode & WAITERS?			walks the table once more
 *
 * An associate that takes a slot while there are WAITERS gives it back, that
 * is, to the first of them: nobody is overtaken.
 */

/**
 * struct mid_waiter - a task in mid_atlas_associate_wait()
 * @node: in mid_atlas::waiters while @err is -EAGAIN
 * @woken: completed when @err has changed, or the table may have to grow
 * @t: the table of the slot that it was given
 * @i: the slot
 * @word: the slot's word
 * @err: 0 when it was given a slot, -EAGAIN before, or -ESHUTDOWN
 */
struct mid_waiter {
	struct list_head node;
	struct completion woken;
	struct mid_table *t;
	unsigned int i;
	u64 word;
	int err;
};

static struct mid_waiter *mid_atlas_first_waiter(struct mid_atlas *atlas)
{
	lockdep_assert_held(&atlas->lock);

	return list_first_entry_or_null(&atlas->waiters, struct mid_waiter,
					node);
}

static void mid_waiter_dequeue(struct mid_atlas *atlas, struct mid_waiter *w,
			       int err)
{
	WRITE_ONCE(w->err, err);
	list_del(&w->node);
	if (list_empty(&atlas->waiters))
		mid_atlas_set_mode(atlas, MID_MODE_WAITERS, false);
}

/* Sends a waiter on its way.  It may be gone when the lock is released. */
static void mid_waiter_release(struct mid_atlas *atlas, struct mid_waiter *w,
			       int err)
{
	mid_waiter_dequeue(atlas, w, err);
	complete(&w->woken);
}

/* Gives a free slot to the first waiter.  Returns whether to go on. */
static bool mid_atlas_serve_one(struct mid_atlas *atlas)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	struct mid_waiter *w = mid_atlas_first_waiter(atlas);
	int i;

	if (!w || mid_atlas_spare(atlas) < 0)
		return false;
	i = mid_table_walk_all(t, &w->word);
	if (i < 0) {
		/* Only a task that may allocate can grow the table. */
		if (mid_atlas_spare(atlas) > 0)
			complete(&w->woken);
		return false;
	}
	if (!mid_slot_unique(t, i, &w->word)) {
		mid_slot_block(atlas, t, i, w->word);
		return true;
	}
	w->t = t;
	w->i = i;
	mid_waiter_release(atlas, w, 0);
	return true;
}

static void mid_atlas_serve(struct mid_atlas *atlas)
{
	unsigned long flags;
	bool more;

	rcu_read_lock();
	/* One at a time, to keep interrupts off for a bounded time. */
	do {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		more = mid_atlas_serve_one(atlas);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
	} while (more);
	rcu_read_unlock();
}

/*
 * Freeing a slot
 */

static noinline void mid_slot_freed_rare(struct mid_atlas *atlas,
					 struct mid_table *t, unsigned int i)
{
	int mode = atomic_read(&atlas->mode);

	if (rcu_access_pointer(atlas->table) != t ||
	    mode & (MID_MODE_SHRUNK | MID_MODE_DRAIN)) {
		mid_slot_retire(atlas, t, i);
		/* That may have put another slot into service, just now. */
		mode = atomic_read(&atlas->mode);
	}
	if (mode & MID_MODE_WAITERS)
		mid_atlas_serve(atlas);
	/* The slot first, then the count; pairs with mid_table_search(). */
	if (mode >= MID_MODE_SCAN)
		atomic_fetch_inc_release(&atlas->refills);
}

/* To be called after a slot's word became FREE, and a full barrier. */
static void mid_slot_freed(struct mid_atlas *atlas, struct mid_table *t,
			   unsigned int i)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);

	mid_table_refill(t, i);
	if (mid_cpu_notes(cpu, i))
		mid_cpu_remember(cpu, i);
	if (unlikely(atomic_read(&atlas->mode)))
		mid_slot_freed_rare(atlas, t, i);
}

/* The same after a dissociate, but to count it, if that is quick.  Was it? */
static __always_inline bool mid_slot_freed_quickly(struct mid_atlas *atlas,
						   struct mid_table *t,
						   unsigned int i)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	unsigned long quiet = READ_ONCE(cpu->quiet);

	if (unlikely(mid_atlas_sample_due(atlas, cpu, quiet) || atomic_read(&atlas->mode)))
		return false;
	/* The usual CPU walks: to see that takes one comparison, not two. */
	if (likely(READ_ONCE(cpu->next) != MID_NO_SLOT))
		return mid_table_has_room(t, i);
	/*
	 * A tight one has met full lines, and need not ask whether there are any.  One that
	 * never associates comes here, too: it has no span, and notes nothing.
	 */
	if (unlikely(!mid_line_has_room(t, i) || mid_cpu_looks(quiet)))
		return false;
	if (mid_cpu_notes(cpu, i))
		mid_cpu_remember(cpu, i);
	return true;
}

/*
 * Growth
 */

/*
 * How large the next table is and how many of its slots go into service.
 * Returns -ENOSPC if the maximum is in service already.
 */
static int mid_atlas_plan(struct mid_atlas *atlas, unsigned int *order,
			  unsigned int *held)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	unsigned int most = order_base_2(atlas->max);
	int spare = mid_atlas_spare(atlas);

	if (mid_atlas_draining(atlas))
		return -ESHUTDOWN;
	/* Parked slots come back first; who raised the maximum is at it. */
	if (spare <= 0 || t->parked || t->order == MID_BITS)
		return -ENOSPC;
	*order = max(t->order + 1, min_t(unsigned int, MID_FIRST_ORDER, most));
	*held = min3((unsigned int)BIT(*order), (unsigned int)spare,
		     (unsigned int)MID_ATLAS_MAX_MIDS);
	return 0;
}

/* Puts @new in front of the current table. */
static void mid_atlas_push(struct mid_atlas *atlas, struct mid_table *new)
{
	RCU_INIT_POINTER(new->older, mid_atlas_table_locked(atlas));
	mid_atlas_set_mode(atlas, MID_MODE_OLDER, true);
	/*
	 * OLDER before the new table, and before the slots that the caller
	 * looks at next; pairs with the cmpxchg of mid_slot_take() and of
	 * mid_slot_claim().
	 */
	smp_mb__after_atomic();
	rcu_assign_pointer(atlas->table, new);
	WRITE_ONCE(atlas->served, atlas->served + new->held);
}

/* Has the table grown since it had 2^@seen slots?  If not, plans it. */
static bool mid_atlas_grown(struct mid_atlas *atlas, unsigned int seen,
			    unsigned int *order, unsigned int *held, int *err)
{
	*err = 0;
	if (mid_atlas_table_locked(atlas)->order != seen)
		return true;
	*err = mid_atlas_plan(atlas, order, held);
	return false;
}

/*
 * The table of 2^@seen slots was full: put a larger one in front of it.
 * Returns 0 if an associate should try again.
 */
static int mid_atlas_grow(struct mid_atlas *atlas, unsigned int seen, gfp_t gfp)
{
	unsigned int order, held, again_order, again_held;
	struct mid_table *t, *new;
	unsigned long flags;
	bool grown;
	int err;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	grown = mid_atlas_grown(atlas, seen, &order, &held, &err);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (grown || err)
		return err;

	might_alloc(gfp);
	new = mid_table_alloc(order, gfp);
	if (!new)
		return -ENOMEM;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	mid_table_init(new, held, mid_table_next_use(t, order));
	/* The CPUs are in that part already. */
	atomic_set(&new->cursor, round_up(t->mask + 1, new->region));
	raw_spin_lock_irqsave(&atlas->lock, flags);
	grown = mid_atlas_grown(atlas, seen, &again_order, &again_held, &err);
	if (!grown && !err && again_order == order && again_held == held) {
		mid_atlas_push(atlas, new);
		new = NULL;
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (!new) {
		/* The new table before the old one's slots [grow-free]. */
		smp_mb();
		mid_table_retire(atlas, t);
		mid_atlas_serve(atlas);
	}
	rcu_read_unlock();
	mid_table_free(new);
	return err;
}

/*
 * Taking a MID
 */

static noinline void mid_slot_give_back(struct mid_atlas *atlas,
					struct mid_table *t, unsigned int i,
					u64 word)
{
	atomic64_set_release(&t->slots[i].word, mid_word_with(word, MID_FREE));
	/* Free before mid_slot_freed() looks around, as a cmpxchg would be. */
	smp_mb();
	mid_slot_freed(atlas, t, i);
}

/*
 * Something rare is under way: may this slot, which we made BUSY with a full
 * barrier, go LIVE?  If not, gives it back.
 *
 *	T1: associate			T2: set_max below what is in use, drain
 *
 *	word: FREE -> BUSY		mode |= SHRUNK or DRAIN
 *	cmpxchg's full barrier		smp_mb
 *	mode?				looks for free slots
 *
 * Either T1 sees the mode or it took its slot before, and T2 leaves it alone
 * until it is free again [drain-associate].
 */
static int mid_slot_confirm(struct mid_atlas *atlas, struct mid_table *t,
			    unsigned int i, u64 *word)
{
	int mode = atomic_read(&atlas->mode);
	int err = -EAGAIN;
	unsigned long flags;
	bool blocked;

	if (mode & MID_MODE_DRAIN) {
		err = -ESHUTDOWN;
	} else if (mode & MID_MODE_WAITERS) {
		err = -ENOSPC;
	} else if (!(mode & MID_MODE_SHRUNK)) {
		if (!mid_slot_unique(t, i, word)) {
			/* Again, under the lock under which it is unblocked. */
			raw_spin_lock_irqsave(&atlas->lock, flags);
			blocked = !mid_slot_unique(t, i, word);
			if (blocked)
				mid_slot_block(atlas, t, i, *word);
			raw_spin_unlock_irqrestore(&atlas->lock, flags);
			if (blocked)
				return -EAGAIN;
		}
		if (rcu_access_pointer(atlas->table) == t)
			return 0;
	}

	mid_slot_give_back(atlas, t, i, *word);
	/* If that was the last who waited, what else is free is for us. */
	if (err == -ENOSPC && !(atomic_read(&atlas->mode) & MID_MODE_WAITERS))
		err = -EAGAIN;
	return err;
}

/* A slot that is BUSY for us, and has its context, goes LIVE. */
static __always_inline void mid_slot_publish(struct mid_atlas *atlas,
					     struct mid_slot *slot, u64 word,
					     u16 new_mid, u16 *mid)
{
	/* Often a member of the context: once it is LIVE it is not ours. */
	*mid = new_mid;
	this_cpu_inc(atlas->cpu->associated);
	/* Pairs with the acquire in mid_slot_map(), mid_slot_claim(). */
	atomic64_set_release(&slot->word, word - MID_BUSY + MID_LIVE);
}

/* 0, -ENOSPC if the table is full, -ESHUTDOWN, or -EAGAIN to begin again. */
static int mid_table_associate(struct mid_atlas *atlas, struct mid_table *t,
			       void *ctx, u16 *mid)
{
	int i, err;
	u64 word;

	i = mid_table_take(atlas, t, &word);
	if (i < 0)
		return i;
	if (unlikely(atomic_read(&atlas->mode))) {
		err = mid_slot_confirm(atlas, t, i, &word);
		if (err)
			return err;
	}
	trace_midatlas_associate(atlas, mid_word_mid(t, i, word), ctx);
	WRITE_ONCE(t->slots[i].ctx, ctx);
	mid_slot_publish(atlas, &t->slots[i], word, mid_word_mid(t, i, word), mid);
	return 0;
}

/*
 * The same, for the table that is current.  @order says which that was, and @older
 * whether there were older ones.
 */
static int mid_atlas_try(struct mid_atlas *atlas, void *ctx, u16 *mid,
			 unsigned int *order, bool *older)
{
	struct mid_table *t;
	int err;

	do {
		rcu_read_lock();
		/* Before a look at the slots; pairs with mid_atlas_parked(). */
		*older = atomic_read_acquire(&atlas->mode) & MID_MODE_OLDER;
		t = rcu_dereference(atlas->table);
		*order = t->order;
		err = mid_table_associate(atlas, t, ctx, mid);
		rcu_read_unlock();
	} while (unlikely(err == -EAGAIN));
	return err;
}

/*
 * The table of 2^@order slots was full: grow it.  Where it cannot grow, a slot of
 * an @older table may have become free, for which another is put into service, by
 * us or by somebody else:
 *
 *	T1: associate			T2: dissociate (older table)
 *
 *	table is full
 *					word: LIVE -> FREE
 *					lock, word: FREE -> PARKED
 *	nothing to retire
 *					a slot of the table into service, unlock
 *	lock, cannot grow
 *	table is full?
 *
 * So the table is looked at once more after the older ones.
 */
static int mid_atlas_try_harder(struct mid_atlas *atlas, void *ctx, u16 *mid,
				unsigned int order, bool older, gfp_t gfp)
{
	unsigned int retired;
	int err, why;

	do {
		retired = older ? mid_atlas_retire_older(atlas) : 0;
		why = mid_atlas_grow(atlas, order, gfp);
		/* Without memory, too: it took time, and slots become free. */
		if (why && why != -ENOMEM && !(why == -ENOSPC && older))
			break;
		err = mid_atlas_try(atlas, ctx, mid, &order, &older);
		if (err != -ENOSPC)
			return err;
	} while (!why || retired);

	if (why == -ENOSPC) {
		trace_midatlas_exhausted(atlas);
		atomic64_inc(&atlas->exhausted);
		mid_atlas_sample(atlas);
	}
	return why;
}

static noinline int mid_atlas_associate_slow(struct mid_atlas *atlas, void *ctx,
					     u16 *mid, gfp_t gfp)
{
	unsigned int order;
	bool older;
	int err = mid_atlas_try(atlas, ctx, mid, &order, &older);

	if (err == -ENOSPC)
		err = mid_atlas_try_harder(atlas, ctx, mid, order, older, gfp);
	return err;
}

/*
 * Slot @i is BUSY for us and has its context, and something rare is under way: the
 * rest of mid_atlas_associate(), or all of it again.
 */
static noinline int mid_atlas_associate_taken(struct mid_atlas *atlas,
					      struct mid_table *t, unsigned int i,
					      u64 word, u16 *mid, gfp_t gfp)
	__releases(RCU)
{
	struct mid_slot *slot = &t->slots[i];
	void *ctx = slot->ctx;
	int err = mid_slot_confirm(atlas, t, i, &word);

	if (!err)
		mid_slot_publish(atlas, slot, word, mid_word_mid(t, i, word), mid);
	rcu_read_unlock();
	return err ? mid_atlas_associate_slow(atlas, ctx, mid, gfp) : 0;
}

/**
 * mid_atlas_associate - give a context a free MID
 * @atlas: the atlas
 * @ctx: any pointer but %NULL and error pointers; the atlas never follows it
 * @mid: where to store the MID; may be a member of the context
 * @gfp: how to allocate if the table has to grow
 *
 * From the moment that the MID is in flight, which may be before this returns,
 * others can map and dissociate it.  What was written into the context before
 * the call is seen by them.  *@mid is written before.
 *
 * A MID value is handed out again as late as the space allows: in a table of 64
 * slots, after the slot's next 1024 uses.  RDBSS' RxAssociateContextWithMid().
 *
 * Context: Any context but NMI.  If the table may have to grow, that is, if not
 * all slots were asked for in mid_atlas_create() or the maximum was raised
 * since, a context in which @gfp may allocate.
 * Return: 0, or, with nothing changed and *@mid untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer,
 * %-ENOSPC if the maximum of MIDs is in use, or the next free one is promised
 * to a task in mid_atlas_associate_wait(),
 * %-ENOMEM if the table could not grow,
 * %-ESHUTDOWN if mid_atlas_drain() has begun.
 */
int mid_atlas_associate(struct mid_atlas *atlas, void *ctx, u16 *mid, gfp_t gfp)
{
	struct mid_slot *slot;
	struct mid_table *t;
	unsigned int i;
	u16 new_mid;
	u64 word;
	s64 old;

	if (unlikely(!mid_ctx_is_valid(ctx)))
		return -EINVAL;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	if (unlikely(trace_midatlas_associate_enabled() ||
		     !mid_table_guess(t, raw_cpu_ptr(atlas->cpu), &i)))
		goto slow;
	slot = &t->slots[i];
	old = atomic64_read(&slot->word);
	if (unlikely(mid_word_state(old) != MID_FREE))
		goto slow;
	/* mid_word_next(), but where there is a MID to skip */
	word = mid_word_step(t, old);
	new_mid = mid_word_mid(t, i, word);
	if (unlikely(new_mid == MID_RESERVED)) {
		/* That is the last slot: there again, if this CPU walks. */
		if (!mid_cpu_is_tight(raw_cpu_ptr(atlas->cpu)))
			WRITE_ONCE(raw_cpu_ptr(atlas->cpu)->next, t->mask);
		goto slow;
	}
	word = word - MID_FREE + MID_BUSY;
	if (unlikely(!atomic64_try_cmpxchg(&slot->word, &old, word)))
		goto slow;
	/* Else the LIVE word would be made beforehand, and take a register more. */
	OPTIMIZER_HIDE_VAR(word);
	WRITE_ONCE(slot->ctx, ctx);
	/* Now that the slot is ours; see mid_slot_confirm(). */
	if (unlikely(atomic_read(&atlas->mode)))
		return mid_atlas_associate_taken(atlas, t, new_mid & t->mask, word, mid, gfp);
	mid_slot_publish(atlas, slot, word, new_mid, mid);
	rcu_read_unlock();
	return 0;
slow:
	rcu_read_unlock();
	return mid_atlas_associate_slow(atlas, ctx, mid, gfp);
}
EXPORT_SYMBOL_GPL(mid_atlas_associate);

/* Destroy waits for those who are in here.  Returns false if it has begun. */
static bool mid_atlas_enter(struct mid_atlas *atlas)
{
	unsigned long flags;
	bool draining;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	draining = mid_atlas_draining(atlas);
	if (!draining)
		atlas->waiting++;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return !draining;
}

/* The atlas may be gone when this returns. */
static void mid_atlas_leave(struct mid_atlas *atlas)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	if (!--atlas->waiting && mid_atlas_draining(atlas))
		complete(&atlas->left);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
}

static int mid_waiter_enqueue(struct mid_atlas *atlas, struct mid_waiter *w)
{
	unsigned long flags;
	int err = 0;

	init_completion(&w->woken);
	raw_spin_lock_irqsave(&atlas->lock, flags);
	if (mid_atlas_draining(atlas)) {
		err = -ESHUTDOWN;
		w->err = err;
	} else {
		list_add_tail(&w->node, &atlas->waiters);
		mid_atlas_set_mode(atlas, MID_MODE_WAITERS, true);
		/* WAITERS before a last look; pairs with the frees' cmpxchg. */
		smp_mb__after_atomic();
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return err;
}

/*
 * Until @w is given a slot.  A table that has to grow is a task's to grow.
 * Returns 0, or why not to wait any longer.
 */
static int mid_waiter_wait(struct mid_atlas *atlas, struct mid_waiter *w,
			   gfp_t gfp, unsigned long timeout)
{
	long left = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
	unsigned int order, next, held;
	unsigned long flags;
	bool grow;

	while (READ_ONCE(w->err) == -EAGAIN) {
		mid_atlas_retire_older(atlas);
		mid_atlas_serve(atlas);

		raw_spin_lock_irqsave(&atlas->lock, flags);
		order = mid_atlas_table_locked(atlas)->order;
		grow = w->err == -EAGAIN && !mid_atlas_plan(atlas, &next, &held);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);

		if (grow) {
			if (mid_atlas_grow(atlas, order, gfp) == -ENOMEM)
				return -ENOMEM;
			continue;
		}
		left = wait_for_completion_killable_timeout(&w->woken, left);
		if (left <= 0)
			return left ?: -ETIMEDOUT;
	}
	return 0;
}

/* Uses the slot that @w was given, or takes it out of the queue for @why. */
static int mid_waiter_finish(struct mid_atlas *atlas, struct mid_waiter *w,
			     int why, void *ctx, u16 *mid)
{
	struct mid_slot *slot;
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	if (w->err == -EAGAIN) {
		mid_waiter_dequeue(atlas, w, why);
	} else if (!w->err) {
		trace_midatlas_associate(atlas, mid_word_mid(w->t, w->i, w->word), ctx);
		slot = &w->t->slots[w->i];
		WRITE_ONCE(slot->ctx, ctx);
		mid_slot_publish(atlas, slot, w->word, mid_word_mid(w->t, w->i, w->word), mid);
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return w->err;
}

/**
 * mid_atlas_associate_wait - give a context a free MID, waiting for one
 * @atlas: the atlas
 * @ctx: as for mid_atlas_associate()
 * @mid: as for mid_atlas_associate()
 * @gfp: how to allocate if the table has to grow
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * First come, first served: a MID that becomes free is given to the task that
 * has waited longest, and no mid_atlas_associate() overtakes it.  A waiter that
 * is killed or whose time is over leaves the queue; if it was given a MID in
 * that very moment it uses it.
 *
 * Context: Process context.  May sleep.
 * Return: 0, or, with nothing changed and *@mid untouched,
 * %-EINVAL if @ctx is %NULL or an error pointer,
 * %-ENOMEM if the table could not grow,
 * %-ETIMEDOUT if there was no MID in time,
 * %-ERESTARTSYS if the task was killed,
 * %-ESHUTDOWN if mid_atlas_drain() or mid_atlas_destroy() has begun.
 */
int mid_atlas_associate_wait(struct mid_atlas *atlas, void *ctx, u16 *mid,
			     gfp_t gfp, unsigned long timeout)
{
	struct mid_waiter w = { .err = -EAGAIN };
	unsigned int order;
	bool older;
	int err;

	might_sleep();
	if (!mid_ctx_is_valid(ctx))
		return -EINVAL;

	/* From here on in one RCU section until destroy knows of us. */
	rcu_read_lock();
	err = mid_atlas_try(atlas, ctx, mid, &order, &older);
	if (err == -ENOSPC && !mid_atlas_enter(atlas))
		err = -ESHUTDOWN;
	rcu_read_unlock();
	if (err != -ENOSPC)
		return err;

	err = mid_atlas_try_harder(atlas, ctx, mid, order, older, gfp);
	if (err == -ENOSPC && !timeout)
		err = -ETIMEDOUT;
	if (err == -ENOSPC) {
		trace_midatlas_wait(atlas, ctx);
		err = mid_waiter_enqueue(atlas, &w);
		if (!err)
			err = mid_waiter_wait(atlas, &w, gfp, timeout);
		err = mid_waiter_finish(atlas, &w, err, ctx, mid);
		trace_midatlas_wait_end(atlas, ctx, err);
		/* What we could not use, or not grow, is for the next. */
		if (err)
			mid_atlas_serve(atlas);
	}
	mid_atlas_leave(atlas);
	return err;
}
EXPORT_SYMBOL_GPL(mid_atlas_associate_wait);

/*
 * Looking up
 */

static void *mid_slot_map(const struct mid_table *t, u16 mid)
{
	struct mid_slot *slot = &t->slots[mid & t->mask];
	u64 word, again;
	void *ctx;
	int tries;

	/*
	 * A use that did not last from one look to the next ended in between,
	 * and NULL is right.  The second try is for a reassociate whose count
	 * runs over into the stamp.
	 */
	for (tries = 0; tries < 2; tries++) {
		/* Pairs with the release that made it LIVE. */
		word = atomic64_read_acquire(&slot->word);
		if (!mid_word_match(t, word, mid))
			return NULL;
		ctx = READ_ONCE(slot->ctx);
		/* Pairs with the cmpxchg in mid_slot_take(): E, D above. */
		smp_rmb();
		again = atomic64_read(&slot->word);
		if (likely(!((word ^ again) & MID_SAME_USE)))
			return ctx;
	}
	return NULL;
}

/* Not at once, or not in the current table */
static noinline void *mid_table_map_slow(const struct mid_table *t, u16 mid)
{
	void *ctx;

	do {
		ctx = mid_slot_map(t, mid);
	} while (!ctx && (t = rcu_dereference(t->older)));
	return ctx;
}

/**
 * mid_atlas_map - find the context of a MID
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * The atlas holds no reference to contexts.  The pointer is good as long as
 * the caller knows that the context is: because it owns the request, or because
 * contexts are freed after an RCU grace period and it is inside
 * rcu_read_lock().  RDBSS' RxMapMidToContext().
 *
 * Context: Any context but NMI.  Takes no lock, writes nothing, never waits.
 * Return: the context that has @mid, an RCU-only pointer, or %NULL if none has:
 * it was never handed out, is free again, or belongs to an earlier use.
 */
void *mid_atlas_map(struct mid_atlas *atlas, u16 mid)
{
	const struct mid_table *t;
	struct mid_slot *slot;
	u64 masks, word;
	void *ctx;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	/* Lookups that miss the cache run ahead until the CPU can track no more loads. */
	masks = READ_ONCE(t->masks);
	slot = &t->slots[mid & (u32)masks];
	/* mid_slot_map(), if all is as it usually is */
	word = atomic64_read_acquire(&slot->word);
	if (likely(!(mid_word_differs(word, MID_LIVE, mid) & (u32)(masks >> 32)))) {
		ctx = READ_ONCE(slot->ctx);
		/* Pairs with the cmpxchg in mid_slot_take(): E, D above. */
		smp_rmb();
		if (likely(atomic64_read(&slot->word) == word)) {
			rcu_read_unlock();
			return ctx;
		}
	}
	ctx = mid_table_map_slow(t, mid);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_map);

/**
 * mid_atlas_map_get_put - find the context of a MID and take a reference
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 * @get: takes a reference, or returns false if there is none to be had, as
 *	kref_get_unless_zero() does; called inside rcu_read_lock()
 * @put: gives back what @get took; may be %NULL, see mid_atlas_map_get()
 *
 * @get is called once at most, and after it the MID is looked up again: if it
 * has another context by then, or none, the reference is given back.  So the
 * contexts may even come from a %SLAB_TYPESAFE_BY_RCU cache::
 *
 *	T1: map_get(M)			T2: dissociate(M), last put
 *
 *	map: ctx
 *					dissociate: ctx
 *					refcount 1 -> 0, kfree_rcu(ctx)
 *	get(ctx): false, NULL
 *
 * Context: Any context but NMI, as far as @get and @put allow.
 * Return: the context that has @mid, with a strong reference, or %NULL.
 */
void *mid_atlas_map_get_put(struct mid_atlas *atlas, u16 mid,
			    bool (*get)(void *ctx), void (*put)(void *ctx))
{
	void *ctx;

	/* What was freed since is still a context in here [get-put]. */
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
 * mid_atlas_map_get - find the context of a MID and take hold of it
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 * @get: takes hold of the context, or returns false
 *
 * mid_atlas_map_get_put() without a @put: if the MID got another context while
 * @get ran, %NULL is returned although @get had returned true.  This is for a
 * @get that leaves nothing to give back; one that counts references needs the
 * other function.
 *
 * Context: Any context but NMI, as far as @get allows.
 * Return: the context that has @mid, or %NULL.
 */
void *mid_atlas_map_get(struct mid_atlas *atlas, u16 mid,
			bool (*get)(void *ctx))
{
	return mid_atlas_map_get_put(atlas, mid, get, NULL);
}
EXPORT_SYMBOL_GPL(mid_atlas_map_get);

/*
 * Taking a context out
 */

/* A reassociate has the slot: wait until it is done. */
static void mid_atlas_settle(struct mid_atlas *atlas)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
}

/* How long a MID has been in flight; a stamp may be a little ahead of time. */
static unsigned long mid_word_age(u64 word)
{
	s32 age = (u32)jiffies - mid_word_stamp(word);

	return max(age, 0);
}

/*
 * The context of @mid, which is then the caller's, or NULL.  If @only is not
 * NULL the context must be that one, and it must be @age jiffies old at least.
 */
static void *mid_slot_claim(struct mid_atlas *atlas, struct mid_table *t,
			    u16 mid, const void *only, unsigned long age)
{
	unsigned int i = mid & t->mask;
	struct mid_slot *slot = &t->slots[i];
	void *ctx;
	s64 word;

	do {
		/* Pairs with the releases in associate and reassociate. */
		word = atomic64_read_acquire(&slot->word);
		while (unlikely(mid_word_state(word) == MID_MOVING)) {
			mid_atlas_settle(atlas);
			word = atomic64_read_acquire(&slot->word);
		}
		if (!mid_word_match(t, word, mid))
			return NULL;
		ctx = READ_ONCE(slot->ctx);
		if ((only && ctx != only) || (age && mid_word_age(word) < age))
			return NULL;
		/* A full barrier, for mid_slot_freed(). */
	} while (!atomic64_try_cmpxchg(&slot->word, &word,
				       mid_word_with(word, MID_FREE)));
	trace_midatlas_dissociate(atlas, mid, ctx, mid_word_age(word));
	mid_atlas_count_dissociate(atlas);
	mid_slot_freed(atlas, t, i);
	return ctx;
}

/* The end of a quarantine: @word is ABANDONED, and free after this. */
static bool mid_slot_unabandon(struct mid_atlas *atlas, struct mid_table *t,
			       unsigned int i, u64 word)
{
	struct mid_slot *slot = &t->slots[i];
	unsigned long flags;
	bool ours;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	/* Late reply, expiry and lack of room may meet here: the first frees. */
	ours = atomic64_read(&slot->word) == word;
	if (ours) {
		WRITE_ONCE(atlas->abandoned, atlas->abandoned - 1);
		word = mid_word_stamped(word, jiffies);
		atomic64_set_release(&slot->word, mid_word_with(word, MID_FREE));
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	if (!ours)
		return false;
	/* Free before mid_slot_freed() looks around, as a cmpxchg would be. */
	smp_mb();
	mid_slot_freed(atlas, t, i);
	return true;
}

/* The same, and no reply has come. */
static void mid_slot_expire(struct mid_atlas *atlas, struct mid_table *t,
			    unsigned int i, u64 word)
{
	if (mid_slot_unabandon(atlas, t, i, word))
		trace_midatlas_expire(atlas, mid_word_mid(t, i, word));
}

/* A reply came whose MID has no context: whose was it? */
static noinline void mid_atlas_missed(struct mid_atlas *atlas, u16 mid)
{
	struct mid_table *t = rcu_dereference(atlas->table);
	bool used = false;
	unsigned int i;
	u64 word;

	do {
		i = mid & t->mask;
		word = atomic64_read(&t->slots[i].word);
		if (mid_word_state(word) == MID_BUSY) {
			/* About to be abandoned?  That is done under the lock. */
			mid_atlas_settle(atlas);
			word = atomic64_read(&t->slots[i].word);
		}
		if (mid_word_state(word) == MID_ABANDONED &&
		    mid_word_mid(t, i, word) == mid &&
		    mid_slot_unabandon(atlas, t, i, word)) {
			trace_midatlas_late(atlas, mid);
			atomic64_inc(&atlas->late);
			return;
		}
		/* How many uses ago was this the slot's MID: before the first? */
		if ((u16)(mid_word_mid(t, i, word) - mid) >> t->order <
		    mid_word_use(t, word))
			used = mid != MID_RESERVED;
	} while ((t = rcu_dereference(t->older)));
	if (used)
		trace_midatlas_stale(atlas, mid);
	else
		trace_midatlas_unknown(atlas, mid);
	atomic64_inc(used ? &atlas->stale : &atlas->unknown);
}

static noinline void *mid_atlas_dissociate_slow(struct mid_atlas *atlas,
						struct mid_table *t, u16 mid)
{
	void *ctx;

	do {
		ctx = mid_slot_claim(atlas, t, mid, NULL, 0);
	} while (!ctx && (t = rcu_dereference(t->older)));
	if (!ctx)
		mid_atlas_missed(atlas, mid);
	return ctx;
}

/* Slot @i became FREE and its context ours: the rest of mid_atlas_dissociate() */
static noinline void *mid_slot_claimed(struct mid_atlas *atlas, struct mid_table *t,
				       unsigned int i, void *ctx)
	__releases(RCU)
{
	struct mid_cpu *cpu = raw_cpu_ptr(atlas->cpu);
	unsigned long quiet = READ_ONCE(cpu->quiet);

	mid_atlas_count_dissociate(atlas);
	mid_slot_freed(atlas, t, i);
	if (mid_cpu_is_tight(cpu) && mid_cpu_looks(quiet))
		mid_cpu_look(cpu, t, quiet);
	rcu_read_unlock();
	return ctx;
}

/**
 * mid_atlas_dissociate - take the context of a MID out of the atlas
 * @atlas: the atlas
 * @mid: any value, as it came from the wire
 *
 * The claim: however many call this for one MID at the same time, for the
 * reply, the timeout, the signal and the reset, one of them gets the context
 * and all others get %NULL.  The MID is free again.  This is also how to tell
 * the atlas of a reply to an abandoned MID.  RDBSS'
 * RxMapAndDissociateMidFromContext().
 *
 * Context: Any context but NMI.
 * Return: the context, which the caller now owns, or %NULL if @mid has none.
 */
void *mid_atlas_dissociate(struct mid_atlas *atlas, u16 mid)
{
	struct mid_slot *slot;
	struct mid_table *t;
	unsigned int i;
	void *ctx;
	s64 word;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	i = mid & t->mask;
	slot = &t->slots[i];
	/* mid_slot_claim(), and where that waits or fails, the slow one. */
	word = atomic64_read_acquire(&slot->word);
	if (likely(!trace_midatlas_dissociate_enabled() &&
		   mid_word_is_live(t, word, mid))) {
		ctx = READ_ONCE(slot->ctx);
		if (likely(atomic64_try_cmpxchg(&slot->word, &word,
						word - MID_LIVE + MID_FREE))) {
			if (unlikely(!mid_slot_freed_quickly(atlas, t, i)))
				return mid_slot_claimed(atlas, t, i, ctx);
			this_cpu_inc(atlas->cpu->quiet);
			rcu_read_unlock();
			return ctx;
		}
	}
	ctx = mid_atlas_dissociate_slow(atlas, t, mid);
	rcu_read_unlock();
	return ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_dissociate);

/**
 * mid_atlas_dissociate_if - take a context out of the atlas, if it is still in
 * @atlas: the atlas
 * @mid: the MID that the context was given
 * @ctx: the context
 *
 * The claim of a timer or a canceller, who knows the context and must find out
 * whether it is still its to end.
 *
 * Context: Any context but NMI.
 * Return: true if @mid still had @ctx, which the caller now owns; false, with
 * nothing changed, if another owns it.
 */
bool mid_atlas_dissociate_if(struct mid_atlas *atlas, u16 mid, void *ctx)
{
	struct mid_table *t;
	void *old = NULL;

	if (!mid_ctx_is_valid(ctx))
		return false;

	rcu_read_lock();
	t = rcu_dereference(atlas->table);
	do {
		old = mid_slot_claim(atlas, t, mid, ctx, 0);
	} while (!old && (t = rcu_dereference(t->older)));
	rcu_read_unlock();
	return old;
}
EXPORT_SYMBOL_GPL(mid_atlas_dissociate_if);

/* The old context of @mid, or NULL if it has none. */
static void *mid_slot_move(struct mid_atlas *atlas, struct mid_table *t,
			   u16 mid, void *new_ctx)
{
	struct mid_slot *slot = &t->slots[mid & t->mask];
	void *old_ctx;
	s64 word;

	lockdep_assert_held(&atlas->lock);

	do {
		word = atomic64_read(&slot->word);
		if (!mid_word_match(t, word, mid))
			return NULL;
		/* A full barrier: MOVING is seen before @new_ctx is. */
	} while (!atomic64_try_cmpxchg(&slot->word, &word,
				       mid_word_with(word, MID_MOVING)));

	old_ctx = slot->ctx;
	trace_midatlas_reassociate(atlas, mid, old_ctx, new_ctx);
	/* A map that sees it sees what is in it [publish-reassociate]. */
	smp_store_release(&slot->ctx, new_ctx);
	/* Another version, the same MID; pairs with mid_slot_claim(). */
	atomic64_set_release(&slot->word,
			     word + MID_MOVE_ONE);
	return old_ctx;
}

/**
 * mid_atlas_reassociate - give the MID of one context to another
 * @atlas: the atlas
 * @mid: the MID
 * @new_ctx: the context that shall have it
 *
 * In one step: a map or dissociate at the same time gets the old context or
 * the new one, and never finds the MID free.  What was written into @new_ctx
 * before the call is seen by whoever gets it.
 *
 * RDBSS' RxReassociateMid() always succeeds, and its page says of the third
 * parameter both that it is what to store and that it holds the context on
 * exit; the old context is lost there, and returned here.
 *
 * Context: Any context but NMI.  Takes the atlas' lock with interrupts off.
 * Return: the old context, which the caller now owns; %NULL, with nothing
 * stored, if @mid has no context; ERR_PTR(%-EINVAL) if @new_ctx is %NULL or an
 * error pointer.
 */
void *mid_atlas_reassociate(struct mid_atlas *atlas, u16 mid, void *new_ctx)
{
	struct mid_table *t;
	unsigned long flags;
	void *old_ctx;

	if (!mid_ctx_is_valid(new_ctx))
		return ERR_PTR(-EINVAL);

	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	t = mid_atlas_table_locked(atlas);
	do {
		old_ctx = mid_slot_move(atlas, t, mid, new_ctx);
	} while (!old_ctx && (t = rcu_dereference(t->older)));
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	rcu_read_unlock();
	return old_ctx;
}
EXPORT_SYMBOL_GPL(mid_atlas_reassociate);

/*
 * Giving up: the quarantine
 *
 * The requester of an ABANDONED MID has gone; the reply may still come.  Until
 * it does, or until it is no longer to be expected, nobody else gets the MID.
 *
 *	T1: dissociate(M) (reply)	T2: abandon(M) (signal)
 *
 *	word is LIVE|v			lock, word is LIVE|v
 *					cmpxchg LIVE|v -> ABANDONED: ok
 *	cmpxchg LIVE|v: fails		ctx is T2's
 *	word is ABANDONED
 *	lock, -> FREE, "late"
 *	returns NULL
 *
 * Had T1's cmpxchg been first, abandon would have returned false.  From
 * ABANDONED on, all is under the lock: that the late reply, the expiry and the
 * place taken by a newer one do not free the MID twice is mid_slot_unabandon().
 */

static unsigned int mid_atlas_max_abandoned(struct mid_atlas *atlas)
{
	return READ_ONCE(atlas->max) / 4;
}

/* Ends the quarantine of the MID that was abandoned first. */
static void mid_atlas_unabandon_oldest(struct mid_atlas *atlas)
{
	struct mid_table *t, *oldest_t = NULL;
	unsigned int i, oldest_i = 0;
	u64 word, oldest = 0;

	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older)) {
		for (i = 0; i <= t->mask; i++) {
			word = atomic64_read(&t->slots[i].word);
			if (mid_word_state(word) != MID_ABANDONED)
				continue;
			/* Its stamp is its place in the order of them. */
			if (oldest_t &&
			    (s32)(mid_word_stamp(word) - mid_word_stamp(oldest)) > 0)
				continue;
			oldest_t = t;
			oldest_i = i;
			oldest = word;
		}
	}
	if (oldest_t)
		mid_slot_expire(atlas, oldest_t, oldest_i, oldest);
}

/* Has @expiry run by the jiffy @expires. */
static void mid_atlas_arm(struct mid_atlas *atlas, unsigned long expires)
{
	lockdep_assert_held(&atlas->lock);

	/* ABANDONED before PENDING, which a work's start clears [arm-expire]. */
	smp_mb();
	if (delayed_work_pending(&atlas->expiry) &&
	    time_before_eq(atlas->expires, expires))
		return;
	atlas->expires = expires;
	cancel_delayed_work(&atlas->expiry);
	schedule_delayed_work(&atlas->expiry,
			      max((long)(expires - jiffies), 0l));
}

/*
 * Frees the slots of @t whose quarantine is over.  Returns in how many jiffies
 * the next one will be, or @left if that is earlier.
 */
static unsigned long mid_table_expire(struct mid_atlas *atlas,
				      struct mid_table *t, unsigned long left)
{
	unsigned int i;
	u64 word;
	s32 rest;

	for (i = 0; i <= t->mask; i++) {
		/* Pairs with the release in mid_slot_abandon(). */
		word = atomic64_read_acquire(&t->slots[i].word);
		if (mid_word_state(word) != MID_ABANDONED)
			continue;
		rest = (u32)(unsigned long)READ_ONCE(t->slots[i].ctx) - (u32)jiffies;
		if (rest > 0)
			left = min_t(unsigned long, left, rest);
		else
			mid_slot_expire(atlas, t, i, word);
	}
	return left;
}

static void mid_atlas_expire(struct work_struct *work)
{
	struct mid_atlas *atlas = container_of(to_delayed_work(work),
					       struct mid_atlas, expiry);
	unsigned long flags, left = ULONG_MAX;
	struct mid_table *t;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		left = mid_table_expire(atlas, t, left);
	rcu_read_unlock();
	if (left == ULONG_MAX)
		return;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	mid_atlas_arm(atlas, jiffies + left);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
}

/*
 * LIVE with @ctx to ABANDONED, under the lock.  Returns -ENOENT if it is not
 * LIVE with @ctx, -EBUSY if the quarantine is full.
 */
static int mid_slot_abandon(struct mid_atlas *atlas, struct mid_table *t,
			    u16 mid, void *ctx, unsigned long quarantine)
{
	struct mid_slot *slot = &t->slots[mid & t->mask];
	unsigned long expires = jiffies + quarantine;
	s64 word = atomic64_read_acquire(&slot->word);
	s64 abandoned;

	if (!mid_word_match(t, word, mid) || READ_ONCE(slot->ctx) != ctx)
		return -ENOENT;
	if (atlas->abandoned >= mid_atlas_max_abandoned(atlas))
		return -EBUSY;
	/* BUSY until @ctx is written: see mid_table_expire() [abandon-expire]. */
	if (!atomic64_try_cmpxchg(&slot->word, &word,
				  mid_word_with(word, MID_BUSY)))
		return -ENOENT;
	trace_midatlas_abandon(atlas, mid, ctx, quarantine);
	mid_atlas_count_dissociate(atlas);
	WRITE_ONCE(atlas->abandoned, atlas->abandoned + 1);
	abandoned = mid_word_stamped(word, atlas->abandons++);
	WRITE_ONCE(slot->ctx, (void *)(unsigned long)(u32)expires);
	atomic64_set_release(&slot->word,
			     mid_word_with(abandoned, MID_ABANDONED));
	mid_atlas_arm(atlas, expires);
	return 0;
}

/**
 * mid_atlas_abandon - give up a request whose reply may still come
 * @atlas: the atlas
 * @mid: the MID that the context was given
 * @ctx: the context
 * @quarantine: for how long to keep the MID from others, in jiffies; 0 not at
 *	all, and never longer than 2^30
 *
 * For a requester that cannot wait: a task that was killed.  The context is
 * the caller's at once.  The MID stays in use until mid_atlas_dissociate() is
 * called for its late reply, which returns %NULL and is counted as late, or
 * until the quarantine has passed.  At most a quarter of the maximum can be
 * abandoned, so that a silent server does not take all MIDs: beyond that the
 * one that was abandoned first is freed early.  With a maximum of less than 4
 * nothing is kept.
 *
 * Context: Any context but NMI.  Takes the atlas' lock with interrupts off.
 * Looks at all slots if the quarantine is full.
 * Return: true if @mid still had @ctx, which the caller now owns; false, with
 * nothing changed, if another owns it.
 */
bool mid_atlas_abandon(struct mid_atlas *atlas, u16 mid, void *ctx,
		       unsigned long quarantine)
{
	struct mid_table *t;
	unsigned long flags;
	int err;

	quarantine = min(quarantine, MID_MAX_QUARANTINE);

	rcu_read_lock();
	do {
		if (!quarantine || !mid_atlas_max_abandoned(atlas)) {
			err = mid_atlas_dissociate_if(atlas, mid, ctx) ? 0 : -ENOENT;
			break;
		}
		raw_spin_lock_irqsave(&atlas->lock, flags);
		t = mid_atlas_table_locked(atlas);
		do {
			err = mid_slot_abandon(atlas, t, mid, ctx, quarantine);
		} while (err == -ENOENT && (t = rcu_dereference(t->older)));
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		if (err == -EBUSY) {
			pr_warn_ratelimited("%s: %u requests were given up, and no reply has come: freeing the oldest one's MID before its time\n",
					    atlas->name, mid_atlas_max_abandoned(atlas));
			mid_atlas_unabandon_oldest(atlas);
		}
	} while (err == -EBUSY);
	rcu_read_unlock();
	return !err;
}
EXPORT_SYMBOL_GPL(mid_atlas_abandon);

/*
 * All contexts
 */

/**
 * mid_atlas_for_each - look at every context in flight
 * @atlas: the atlas
 * @fn: is called for each, inside rcu_read_lock(), and must not sleep
 * @arg: passed to @fn
 *
 * The contexts stay in the atlas, and may leave it at any time; @fn gets an
 * RCU-only pointer.  What comes or goes meanwhile may be seen or not.
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many contexts @fn was called for.
 */
unsigned int mid_atlas_for_each(struct mid_atlas *atlas, mid_ctx_fn fn,
				void *arg)
{
	unsigned int i, n = 0;
	struct mid_table *t;
	void *ctx;
	u16 mid;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older)) {
		for (i = 0; i <= t->mask; i++) {
			mid = mid_word_mid(t, i, atomic64_read(&t->slots[i].word));
			ctx = mid_slot_map(t, mid);
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
 * struct mid_cursor - a place in an atlas that survives the end of an RCU section
 * @order: of the table; no two have the same
 * @i: the next slot there
 */
struct mid_cursor {
	unsigned int order;
	unsigned int i;
};

/* The next context at or after @at that is old enough; it is then ours. */
static void *mid_atlas_claim_next(struct mid_atlas *atlas,
				  struct mid_cursor *at, unsigned long age,
				  u16 *mid)
{
	struct mid_table *t;
	void *ctx = NULL;
	u64 word;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older)) {
		if (t->order > at->order)
			continue;	/* done, or newer than we are */
		if (t->order < at->order)
			*at = (struct mid_cursor){ .order = t->order };
		while (at->i <= t->mask) {
			word = atomic64_read(&t->slots[at->i].word);
			*mid = mid_word_mid(t, at->i++, word);
			if (word & MID_LIVE)
				ctx = mid_slot_claim(atlas, t, *mid, NULL, age);
			if (ctx)
				goto out;
		}
	}
out:
	rcu_read_unlock();
	return ctx;
}

/*
 * A request that was in flight when we began is ours or somebody else's:
 *
 *	T1: claim_all (reset)		T2: dissociate(M) (reply)
 *
 *	word is LIVE|v			word is LIVE|v
 *	cmpxchg LIVE|v -> FREE|v: ok	cmpxchg LIVE|v: fails, NULL
 *
 * and one that came since may be missed:
 *
 *	T1: claim_all			T2: associate
 *
 *	slot i is FREE
 *					slot i: -> LIVE
 *	slot i + 1
 *
 * so a reset first stops new requests and then claims.
 */
static unsigned int mid_atlas_claim(struct mid_atlas *atlas, unsigned long age,
				    mid_ctx_fn fn, void *arg)
{
	struct mid_cursor at = { .order = MID_BITS };
	unsigned int n = 0;
	void *ctx;
	u16 mid;

	rcu_read_lock();
	at.order = rcu_dereference(atlas->table)->order;
	rcu_read_unlock();

	while ((ctx = mid_atlas_claim_next(atlas, &at, age, &mid))) {
		if (fn)
			fn(ctx, mid, arg);
		n++;
	}
	return n;
}

/**
 * mid_atlas_claim_all - take all contexts out of the atlas
 * @atlas: the atlas
 * @fn: is given each context, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For a reconnect.  Every request that was in flight when this began is either
 * given to @fn, which then owns it, or was taken by another call.  One that is
 * associated meanwhile may stay: stop new requests first.
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many contexts were taken.
 */
unsigned int mid_atlas_claim_all(struct mid_atlas *atlas, mid_ctx_fn fn,
				 void *arg)
{
	return mid_atlas_claim(atlas, 0, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_atlas_claim_all);

/**
 * mid_atlas_claim_older - take all contexts that are overdue out of the atlas
 * @atlas: the atlas
 * @age: in jiffies
 * @fn: is given each context, outside every lock; may be %NULL
 * @arg: passed to @fn
 *
 * For timeouts: claims every request that was associated at least @age ago.
 * A reassociate does not make a request younger (8192 of them, by one jiffy).
 *
 * Context: Any context but NMI, as far as @fn allows.  Looks at all slots.
 * Return: how many contexts were taken.
 */
unsigned int mid_atlas_claim_older(struct mid_atlas *atlas, unsigned long age,
				   mid_ctx_fn fn, void *arg)
{
	return mid_atlas_claim(atlas, age, fn, arg);
}
EXPORT_SYMBOL_GPL(mid_atlas_claim_older);

/*
 * Limits
 */

/* One slot into service or out of it.  Returns whether to go on. */
static bool mid_atlas_adjust_one(struct mid_atlas *atlas)
{
	struct mid_table *t = mid_atlas_table_locked(atlas);
	u64 word;
	int i;

	if (mid_atlas_spare(atlas) >= 0)
		return mid_atlas_unpark(atlas);
	i = mid_table_walk_all(t, &word);
	if (i < 0)
		return false;	/* the rest when they become free */
	atomic64_set(&t->slots[i].word, mid_word_with(word, MID_PARKED));
	mid_atlas_parked(atlas, t, i, false);
	return true;
}

/**
 * mid_atlas_set_max - change how many MIDs may be in use
 * @atlas: the atlas
 * @max_mids: the new maximum
 *
 * The server's MaxMpxCount comes when the connection, and its atlas, exist.
 * A larger maximum is there for waiters at once; the table grows with the next
 * associate that needs it.  A smaller one takes no MID from anybody: until fewer
 * than that are in use, new requests wait or get %-ENOSPC.  Only of the abandoned
 * ones those are freed that are more than a quarter of it::
 *
 *	T1: set_max(n), n in use	T2: dissociate
 *
 *	mode |= SHRUNK			word: LIVE -> FREE
 *	smp_mb				full barrier
 *	slot free? parks it		mode & SHRUNK? parks it
 *
 * At least one of them sees the other, and the cmpxchg lets one of them park it.
 *
 * Context: Any context but NMI.  Takes time in proportion to the change.
 * Return: 0, or %-EINVAL if @max_mids is 0 or more than %MID_ATLAS_MAX_MIDS.
 */
int mid_atlas_set_max(struct mid_atlas *atlas, unsigned int max_mids)
{
	unsigned long flags;
	bool more;

	if (!max_mids || max_mids > MID_ATLAS_MAX_MIDS)
		return -EINVAL;

	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	WRITE_ONCE(atlas->max, max_mids);
	mid_atlas_set_mode(atlas, MID_MODE_SHRUNK, mid_atlas_spare(atlas) < 0);
	/* SHRUNK before a look at the slots; see above. */
	smp_mb__after_atomic();
	do {
		more = mid_atlas_adjust_one(atlas);
		/* One at a time, to keep interrupts off for a bounded time. */
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		raw_spin_lock_irqsave(&atlas->lock, flags);
	} while (more);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	while (READ_ONCE(atlas->abandoned) > mid_atlas_max_abandoned(atlas))
		mid_atlas_unabandon_oldest(atlas);
	mid_atlas_serve(atlas);
	rcu_read_unlock();
	return 0;
}
EXPORT_SYMBOL_GPL(mid_atlas_set_max);

/*
 * From now on no associate succeeds.
 *
 *	T1: drain			T2: associate_wait
 *
 *	lock, mode |= DRAIN		lock
 *	sends off who is in the queue	DRAIN? leaves; else into the queue
 *	unlock				unlock
 */
static void mid_atlas_shut(struct mid_atlas *atlas)
{
	struct mid_waiter *w;
	struct mid_table *t;
	unsigned long flags;

	rcu_read_lock();
	raw_spin_lock_irqsave(&atlas->lock, flags);
	mid_atlas_set_mode(atlas, MID_MODE_DRAIN, true);
	/* DRAIN before a look at the slots, as in mid_atlas_set_max(). */
	smp_mb__after_atomic();
	while ((w = mid_atlas_first_waiter(atlas))) {
		mid_waiter_release(atlas, w, -ESHUTDOWN);
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		raw_spin_lock_irqsave(&atlas->lock, flags);
	}
	raw_spin_unlock_irqrestore(&atlas->lock, flags);

	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		mid_table_retire(atlas, t);
	rcu_read_unlock();
}

/* After mid_atlas_shut(): until the last waiter has left. */
static void mid_atlas_await_waiters(struct mid_atlas *atlas)
{
	unsigned long flags;
	bool waiting;

	for (;;) {
		raw_spin_lock_irqsave(&atlas->lock, flags);
		waiting = atlas->waiting;
		raw_spin_unlock_irqrestore(&atlas->lock, flags);
		if (!waiting)
			break;
		wait_for_completion(&atlas->left);
	}
}

static bool mid_atlas_drained(struct mid_atlas *atlas)
{
	unsigned long flags;
	bool drained;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	drained = !atlas->served;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return drained;
}

/**
 * mid_atlas_drain - wait until nothing is in flight
 * @atlas: the atlas
 * @timeout: the longest to wait, in jiffies; %MAX_SCHEDULE_TIMEOUT for ever,
 *	0 not at all
 *
 * From now on, and for good, associates fail with %-ESHUTDOWN, and tasks in
 * mid_atlas_associate_wait() leave with it.  Then waits until every context has
 * been taken out and every abandoned MID is free.  May be called again, and by
 * several tasks.
 *
 * Context: Process context.  May sleep.
 * Return: 0 when nothing is in use; %-ETIMEDOUT, and what is still in use is
 * untouched.
 */
int mid_atlas_drain(struct mid_atlas *atlas, unsigned long timeout)
{
	int err;

	might_sleep();

	trace_midatlas_drain(atlas);
	mid_atlas_shut(atlas);
	if (timeout && !mid_atlas_drained(atlas)) {
		timeout = min_t(unsigned long, timeout, MAX_SCHEDULE_TIMEOUT);
		/* It is completed once: pass it on to who else may wait. */
		if (wait_for_completion_timeout(&atlas->drained, timeout))
			complete(&atlas->drained);
	}
	err = mid_atlas_drained(atlas) ? 0 : -ETIMEDOUT;
	trace_midatlas_drain_end(atlas, err);
	return err;
}
EXPORT_SYMBOL_GPL(mid_atlas_drain);

/* Adds the slots of @t to @stats. */
static void mid_table_stats(const struct mid_table *t,
			    struct mid_atlas_stats *stats)
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
 * A snapshot, consistent in itself only while nothing is under way.
 *
 * Context: Any context but NMI.  Looks at all slots.
 */
void mid_atlas_stats(struct mid_atlas *atlas, struct mid_atlas_stats *stats)
{
	struct mid_cpu *counts;
	struct mid_table *t;
	unsigned long flags;
	int cpu;

	memset(stats, 0, sizeof(*stats));
	mid_atlas_sample(atlas);

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		mid_table_stats(t, stats);
	rcu_read_unlock();

	raw_spin_lock_irqsave(&atlas->lock, flags);
	stats->max = atlas->max;
	stats->waiters = atlas->waiting;
	stats->slots = atlas->served;
	raw_spin_unlock_irqrestore(&atlas->lock, flags);

	for_each_possible_cpu(cpu) {
		counts = per_cpu_ptr(atlas->cpu, cpu);
		stats->associated += READ_ONCE(counts->associated);
		stats->dissociated += mid_cpu_dissociated(counts);
	}
	stats->high_water = atomic_read(&atlas->high);
	stats->stale = atomic64_read(&atlas->stale);
	stats->unknown = atomic64_read(&atlas->unknown);
	stats->late = atomic64_read(&atlas->late);
	stats->exhausted = atomic64_read(&atlas->exhausted);
}
EXPORT_SYMBOL_GPL(mid_atlas_stats);

/*
 * What people can see: debugfs, midatlas/NAME-NUMBER/
 *
 * A work makes the folder: mid_atlas_create() may be called where debugfs must not
 * be, and a connection need not wait for it.  An atlas that is soon destroyed never
 * has one.  Destroy may be called for writeback to go on, so the work, which holds
 * the parent's lock, must not wait for writeback when it allocates.
 *
 *	T1: destroy			T2: read
 *
 *	cancels the work		debugfs: in use + 1
 *	debugfs_remove			looks at the atlas
 *	  waits for T2			debugfs: in use - 1
 *	call_rcu
 *
 * After debugfs_remove() a file that is still open gives -EIO and no more.
 */

static bool mid_show = true;
module_param_named(debugfs, mid_show, bool, 0444);
MODULE_PARM_DESC(debugfs, "show each atlas in debugfs, at 2 KiB each");

static struct dentry *mid_debugfs;

static int mid_stats_show(struct seq_file *m, void *unused)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(m->private, &stats);
	seq_printf(m, "max %u\n", stats.max);
	seq_printf(m, "in_use %u\n", stats.in_use);
	seq_printf(m, "slots %u\n", stats.slots);
	seq_printf(m, "high_water %u\n", stats.high_water);
	seq_printf(m, "abandoned %u\n", stats.abandoned);
	seq_printf(m, "waiters %u\n", stats.waiters);
	seq_printf(m, "associated %llu\n", stats.associated);
	seq_printf(m, "dissociated %llu\n", stats.dissociated);
	seq_printf(m, "stale %llu\n", stats.stale);
	seq_printf(m, "unknown %llu\n", stats.unknown);
	seq_printf(m, "late %llu\n", stats.late);
	seq_printf(m, "exhausted %llu\n", stats.exhausted);
	seq_printf(m, "oldest_ms %u\n", jiffies_to_msecs(stats.oldest));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mid_stats);

/**
 * struct mid_inflight - where a reader of all MIDs in use is
 * @atlas: the atlas
 * @mid: the MID
 * @word: the slot's word
 * @ctx: its context while LIVE; else what the state has there
 */
struct mid_inflight {
	struct mid_atlas *atlas;
	u16 mid;
	u64 word;
	void *ctx;
};

/* Is slot @i in use?  If it is, notes what is there. */
static bool mid_slot_peek(const struct mid_table *t, unsigned int i,
			  struct mid_inflight *at)
{
	struct mid_slot *slot = &t->slots[i];

	at->word = atomic64_read_acquire(&slot->word);
	at->mid = mid_word_mid(t, i, at->word);
	at->ctx = NULL;
	switch (mid_word_state(at->word)) {
	case MID_PARKED:
	case MID_FREE:
		return false;
	case MID_BUSY:
		return true;
	case MID_ABANDONED:
		at->ctx = READ_ONCE(slot->ctx);
		/* No pointer may pass for a jiffy; pairs with the cmpxchg of who takes it. */
		smp_rmb();
		return atomic64_read(&slot->word) == at->word;
	default:
		at->ctx = mid_slot_map(t, at->mid);
		return at->ctx;
	}
}

/*
 * The first slot in use at or after place @pos.  The places: 0 is the heading, then
 * come the slots of each table, the newest one first, each at a place of its own
 * whatever tables come and go between two reads.
 */
static void *mid_inflight_find(struct mid_inflight *at, loff_t *pos)
{
	struct mid_table *t;
	loff_t first;

	if (!*pos)
		return SEQ_START_TOKEN;
	t = rcu_dereference(at->atlas->table);
	for (; t; t = rcu_dereference(t->older)) {
		first = 1 + ((loff_t)(MID_BITS - t->order) << MID_BITS);
		*pos = max(*pos, first);
		for (; *pos - first <= t->mask; (*pos)++)
			if (mid_slot_peek(t, *pos - first, at))
				return at;
	}
	return NULL;
}

static void *mid_inflight_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	rcu_read_lock();
	return mid_inflight_find(m->private, pos);
}

static void *mid_inflight_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return mid_inflight_find(m->private, pos);
}

static void mid_inflight_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int mid_inflight_show(struct seq_file *m, void *v)
{
	struct mid_inflight *at = m->private;
	unsigned int age = jiffies_to_msecs(mid_word_age(at->word));
	s32 left;

	if (v == SEQ_START_TOKEN) {
		seq_puts(m, "mid context age_ms state\n");
		return 0;
	}
	switch (mid_word_state(at->word)) {
	case MID_BUSY:
		seq_printf(m, "0x%04x - %u busy\n", at->mid, age);
		break;
	case MID_ABANDONED:
		left = (u32)(unsigned long)at->ctx - (u32)jiffies;
		seq_printf(m, "0x%04x - - abandoned for %u ms more\n", at->mid,
			   jiffies_to_msecs(max(left, 0)));
		break;
	default:
		seq_printf(m, "0x%04x %p %u live\n", at->mid, at->ctx, age);
	}
	return 0;
}

static const struct seq_operations mid_inflight_sops = {
	.start = mid_inflight_start,
	.next = mid_inflight_next,
	.stop = mid_inflight_stop,
	.show = mid_inflight_show,
};

static int mid_inflight_open(struct inode *inode, struct file *file)
{
	struct mid_inflight *at = __seq_open_private(file, &mid_inflight_sops,
						     sizeof(*at));

	if (!at)
		return -ENOMEM;
	at->atlas = inode->i_private;
	return 0;
}

static const struct file_operations mid_inflight_fops = {
	.owner = THIS_MODULE,
	.open = mid_inflight_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static void mid_atlas_show(struct work_struct *work)
{
	struct mid_atlas *atlas = container_of(work, struct mid_atlas, show);
	unsigned int noio = memalloc_noio_save();
	struct dentry *folder;

	folder = debugfs_create_dir(atlas->name, mid_debugfs);
	debugfs_create_file("stats", 0444, folder, atlas, &mid_stats_fops);
	debugfs_create_file("inflight", 0444, folder, atlas, &mid_inflight_fops);
	atlas->folder = folder;
	memalloc_noio_restore(noio);
}

/* After this nobody looks at the atlas any more. */
static void mid_atlas_hide(struct mid_atlas *atlas)
{
	cancel_work_sync(&atlas->show);
	debugfs_remove(atlas->folder);
}

/*
 * A name that is a file's, too, and harmless on a terminal.  Many connections may
 * be called the same, so each atlas has a number.
 */
static void mid_atlas_name(struct mid_atlas *atlas, const char *name)
{
	static atomic_t last;
	char *c;

	sprintf(atlas->name, "%.*s-%u", MID_MAX_NAME, name,
		(unsigned int)atomic_inc_return(&last));
	for (c = atlas->name; *c; c++)
		if (!isascii(*c) || !isgraph(*c) || *c == '/')
			*c = '_';
}

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
	kfree(atlas);
}

static void mid_atlas_free_rcu(struct rcu_head *rcu)
{
	mid_atlas_free(container_of(rcu, struct mid_atlas, rcu));
}

/**
 * mid_atlas_create - make an atlas for one connection
 * @name: what people will know it by; of what is longer than 200 characters the
 *	beginning
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
	int cpu;

	if (!name || !*name || !max_mids || max_mids > MID_ATLAS_MAX_MIDS ||
	    initial_mids > max_mids)
		return ERR_PTR(-EINVAL);

	atlas = kzalloc(struct_size(atlas, name, strnlen(name, MID_MAX_NAME) +
				    sizeof("-4294967295")), gfp);
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
	for_each_possible_cpu(cpu) {
		per_cpu_ptr(atlas->cpu, cpu)->next = MID_NO_SLOT;
		per_cpu_ptr(atlas->cpu, cpu)->hint = MID_NO_SLOT;
		per_cpu_ptr(atlas->cpu, cpu)->quiet = -1;
		per_cpu_ptr(atlas->cpu, cpu)->peak = -1;
	}
	raw_spin_lock_init(&atlas->lock);
	atlas->max = max_mids;
	atlas->served = t->held;
	atlas->sampled = jiffies;
	INIT_LIST_HEAD(&atlas->waiters);
	init_completion(&atlas->drained);
	init_completion(&atlas->left);
	INIT_DELAYED_WORK(&atlas->expiry, mid_atlas_expire);
	mid_atlas_name(atlas, name);
	trace_midatlas_create(atlas);
	INIT_WORK(&atlas->show, mid_atlas_show);
	if (IS_ENABLED(CONFIG_DEBUG_FS) && mid_show)
		schedule_work(&atlas->show);
	return atlas;
}
EXPORT_SYMBOL_GPL(mid_atlas_create);

/**
 * mid_atlas_destroy - end an atlas
 * @atlas: the atlas, or %NULL
 * @destructor: is given each context that still has a MID; may be %NULL
 * @arg: passed to @destructor
 *
 * @destructor is called once for each, outside every lock, and may sleep; it
 * owns the context.  Tasks in mid_atlas_associate_wait() get %-ESHUTDOWN, and
 * have left when the first context is handed out.  The memory goes after an RCU grace period, so a
 * mid_atlas_map() inside an rcu_read_lock() that began earlier is safe.  The
 * caller guarantees that no other call is under way or begins once this one
 * has, but for lookups inside rcu_read_lock() and tasks that wait for a MID::
 *
 *	T1: destroy			T2: map
 *
 *					rcu_read_lock
 *	claims all, call_rcu		finds a context or NULL
 *					rcu_read_unlock
 *	frees the atlas
 *
 * RDBSS' RxDestroyMidAtlas().
 *
 * Context: Process context.  May sleep.
 */
void mid_atlas_destroy(struct mid_atlas *atlas, mid_ctx_fn destructor,
		       void *arg)
{
	if (!atlas)
		return;
	might_sleep();

	trace_midatlas_destroy(atlas);
	mid_atlas_shut(atlas);
	mid_atlas_await_waiters(atlas);
	cancel_delayed_work_sync(&atlas->expiry);
	mid_atlas_claim(atlas, 0, destructor, arg);
	mid_atlas_hide(atlas);
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
