// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_regress_kunit - one test for each fixed bug of the atlas
 *
 * The comment above a test says what went wrong, and how the test shows it.  Bugs that
 * need a certain interleaving are scenarios of the model (tests/model/scenarios.h).
 */
#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "fixture.h"

#define LONG_QUARANTINE	(3600 * HZ)	/* longer than any test */

/* An atlas and the MIDs of its requests nr_ctx(0), nr_ctx(1), ... */
struct regress {
	struct kunit *test;
	struct mid_atlas *atlas;
	unsigned int used;
	u16 mid[MID_VALUES];
};

static void regress_release(struct kunit_resource *res)
{
	struct regress *r = res->data;

	mid_atlas_destroy(r->atlas, NULL, NULL);
}

static struct regress *regress_create(struct kunit *test, const char *name,
				      unsigned int max_mids, unsigned int initial_mids)
{
	struct regress *r = test_alloc(test, sizeof(*r));

	r->test = test;
	r->atlas = mid_atlas_create(name, max_mids, initial_mids, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, r->atlas);
	KUNIT_ASSERT_NOT_NULL(test, kunit_alloc_resource(test, NULL, regress_release,
							 GFP_KERNEL, r));
	return r;
}

/* Associates until @used requests are in r->mid.  Returns the error that ended it early. */
static int fill_to(struct regress *r, unsigned int used)
{
	int err = 0;

	while (!err && r->used < used) {
		err = mid_atlas_associate(r->atlas, nr_ctx(r->used), &r->mid[r->used],
					  GFP_KERNEL);
		if (!err)
			r->used++;
	}
	return err;
}

static void claim_everything(struct regress *r)
{
	mid_atlas_claim_all(r->atlas, NULL, NULL);
	r->used = 0;
}

static void abandon_nr(struct regress *r, unsigned int nr)
{
	KUNIT_ASSERT_TRUE(r->test, mid_atlas_abandon(r->atlas, r->mid[nr], nr_ctx(nr),
						     LONG_QUARANTINE));
}

static struct mid_atlas_stats regress_stats(struct regress *r)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(r->atlas, &stats);
	return stats;
}

/* ------------------------------------------------------------------------
 * The quarantine
 */

static void see_nothing(void *ctx, u16 mid, void *arg)
{
}

static s64 time_for_each(struct regress *r)
{
	ktime_t begin = ktime_get();

	mid_atlas_for_each(r->atlas, see_nothing, NULL);
	return max_t(s64, ktime_to_ns(ktime_sub(ktime_get(), begin)), 1);
}

/* How many looks at all slots a set_max takes as long as */
static u64 set_max_in_looks(struct regress *r)
{
	s64 look = S64_MAX, took;
	unsigned int nr;
	ktime_t begin;

	KUNIT_ASSERT_EQ(r->test, 0, mid_atlas_set_max(r->atlas, MID_ATLAS_MAX_MIDS));
	claim_everything(r);
	KUNIT_ASSERT_EQ(r->test, 0, fill_to(r, MID_ATLAS_MAX_MIDS - 12));
	for (nr = 0; nr < MID_ATLAS_MAX_MIDS / 4 - 12; nr++)
		abandon_nr(r, nr);
	claim_everything(r);
	for (nr = 0; nr < 5; nr++)
		look = min(look, time_for_each(r));
	begin = ktime_get();
	KUNIT_ASSERT_EQ(r->test, 0, mid_atlas_set_max(r->atlas, 50));
	took = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return div64_u64(took, look);
}

/*
 * set_max freed the surplus of the quarantine one MID at a time, and looked at all slots
 * for each: 65,536 slots, 16,371 times.  It took more than a second, with interrupts off
 * if its caller had them off.
 *
 * A look at all slots with for_each is the yardstick: a set_max that looks at each slot a
 * few times takes as long as some tens of looks, the old one as long as thousands.  The
 * best of five tries counts, as other tasks may run meanwhile.
 */
static void set_max_takes_linear_time_for_abandoned_mids(struct kunit *test)
{
	struct regress *r = regress_create(test, "kunit", MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	unsigned int tries = 0;
	u64 looks = U64_MAX;

	while (looks > 300 && tries++ < 5)
		looks = min(looks, set_max_in_looks(r));
	KUNIT_EXPECT_LE_MSG(test, looks, 300, "set_max takes as long as %llu for_each", looks);
	KUNIT_EXPECT_EQ(test, regress_stats(r).abandoned, 12);
	KUNIT_EXPECT_EQ(test, regress_stats(r).in_use, 12);
}

/* Is the MID of request @nr in quarantine?  Its late reply finds out, and ends it. */
static bool ends_by_late_reply(struct regress *r, unsigned int nr)
{
	u64 late = regress_stats(r).late;

	KUNIT_EXPECT_NULL(r->test, mid_atlas_dissociate(r->atlas, r->mid[nr]));
	return regress_stats(r).late > late;
}

/*
 * A full quarantine frees the MID that was abandoned first.  This was found by a look at
 * all slots; a queue finds it at once, but has to be right after late replies took MIDs
 * out of its middle and its ends, and when the first is in an older table.
 *
 * Requests 0 to 15 are abandoned in the order 15, 14, ..., 0, in a table of 64 slots.  The
 * table grows, and replies come for 15 (the first), 9 (in the middle) and 0 (the last).
 * Then requests of the larger table are abandoned until the quarantine of 32 is full, and
 * five more: these must free 14, 13, 12, 11, 10, and nothing else.
 */
static void full_quarantine_frees_the_mid_that_was_abandoned_first(struct kunit *test)
{
	struct regress *r = regress_create(test, "kunit", 64, 64);
	unsigned int nr;

	KUNIT_ASSERT_EQ(test, 0, fill_to(r, 64));
	for (nr = 16; nr--; )
		abandon_nr(r, nr);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(r->atlas, 128));
	KUNIT_ASSERT_EQ(test, 0, fill_to(r, 128));
	KUNIT_EXPECT_TRUE(test, ends_by_late_reply(r, 15));
	KUNIT_EXPECT_TRUE(test, ends_by_late_reply(r, 9));
	KUNIT_EXPECT_TRUE(test, ends_by_late_reply(r, 0));

	for (nr = 64; nr < 64 + 19 + 5; nr++) {
		abandon_nr(r, nr);
		KUNIT_ASSERT_LE(test, regress_stats(r).abandoned, 32);
	}
	KUNIT_EXPECT_EQ(test, regress_stats(r).abandoned, 32);
	for (nr = 10; nr < 15; nr++)
		KUNIT_EXPECT_FALSE_MSG(test, ends_by_late_reply(r, nr), "request %u", nr);
	for (nr = 1; nr < 9; nr++)
		KUNIT_EXPECT_TRUE_MSG(test, ends_by_late_reply(r, nr), "request %u", nr);
	for (nr = 64; nr < 64 + 19 + 5; nr++)
		KUNIT_EXPECT_TRUE_MSG(test, ends_by_late_reply(r, nr), "request %u", nr);
	KUNIT_EXPECT_EQ(test, regress_stats(r).abandoned, 0);
}

#define QUARANTINED	100

/*
 * A larger table must not hand out a MID that an older one has in quarantine:
 *
 *	T1: requester		T2: associate (larger table)	T3: receiver
 *
 *	abandon(M)
 *				slot's MID is M: is it in use?
 *				ABANDONED is not LIVE: takes M
 *								dissociate(M): late
 *								reply of T1's request,
 *								gets T2's
 *
 * In a table of 65,536 slots each slot has one MID, so all MIDs of the older table are
 * tried.  Their generations differ from round to round.  The test fails if one of the
 * abandoned MIDs is handed out.
 */
static void mid_in_quarantine_is_not_handed_out_by_a_larger_table(struct kunit *test)
{
	unsigned long *abandoned = test_alloc(test, BITS_TO_LONGS(MID_VALUES) * sizeof(long));
	unsigned int rounds, i, nr;
	struct regress *r;

	for (rounds = 1; rounds <= 4; rounds++) {
		r = regress_create(test, "kunit", MID_ATLAS_MAX_MIDS, 32768);
		for (i = 0; i < rounds; i++) {
			claim_everything(r);
			KUNIT_ASSERT_EQ(test, 0, fill_to(r, 32768));
		}
		bitmap_zero(abandoned, MID_VALUES);
		for (nr = 0; nr < QUARANTINED; nr++) {
			abandon_nr(r, nr);
			set_bit(r->mid[nr], abandoned);
		}
		KUNIT_EXPECT_EQ(test, 0, fill_to(r, MID_ATLAS_MAX_MIDS));
		for (nr = 32768; nr < r->used; nr++)
			KUNIT_ASSERT_FALSE_MSG(test, test_bit(r->mid[nr], abandoned),
					       "MID %#06x is in quarantine, round %u",
					       r->mid[nr], rounds);
		for (nr = 0; nr < QUARANTINED; nr++)
			KUNIT_ASSERT_TRUE(test, ends_by_late_reply(r, nr));
	}
}

/* ------------------------------------------------------------------------
 * Growth
 */

#ifdef kunit_activate_static_stub
static void *fail_alloc(size_t size, gfp_t gfp)
{
	return NULL;
}

static void fail_allocs(struct kunit *test)
{
	kunit_activate_static_stub(test, mid_atlas_alloc, fail_alloc);
}
#else
#define fail_allocs(test)	kunit_skip(test, "this kernel's KUnit has no static stubs")
#endif

struct waiting {
	struct regress *r;
	struct completion done;
	u16 mid;
	int err;
};

static int waiting_thread(void *data)
{
	struct waiting *w = data;

	/* Static stubs act in a thread that belongs to a test. */
	current->kunit_test = w->r->test;
	w->err = mid_atlas_associate_wait(w->r->atlas, w, &w->mid, GFP_KERNEL, 10 * HZ);
	current->kunit_test = NULL;
	kthread_complete_and_exit(&w->done, 0);
}

/* A task waits, and request @nr ends.  Returns what the task's associate_wait returned. */
static int wait_for_mid_of(struct regress *r, unsigned int nr)
{
	struct waiting w = { .r = r };
	struct task_struct *task;

	init_completion(&w.done);
	task = kthread_run(waiting_thread, &w, "midatlas_wait");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(r->test, task);
	while (!regress_stats(r).waiters && !completion_done(&w.done))
		msleep(20);
	mid_atlas_dissociate(r->atlas, r->mid[nr]);
	wait_for_completion(&w.done);
	return w.err;
}

#define BOTH_TABLES	(16384 + 32768 - 1)

/*
 * In a table of 32,768 slots a slot has two MIDs.  If the older table has the first in
 * use, the slot must take the second, the last that it has.  A loop that ends one
 * generation early calls the slot unusable, and the atlas puts another into service, or
 * grows.  So here no other slot is left, and allocations fail: an associate or a waiter
 * that gets -ENOMEM shows it.  (One slot less is wanted than there are: the last slot's
 * second MID is 0xffff, which is reserved.)
 *
 * In the older table, of 16,384 slots, a slot has four MIDs.  A quarter of the requests
 * stays at each of them, so that some are in the way wherever the larger table begins.
 */
static void slot_takes_the_last_of_its_mids(struct kunit *test)
{
	struct regress *r = regress_create(test, "kunit", 16384, 16384);
	unsigned int quarter, nr, waits = 0;

	KUNIT_ASSERT_EQ(test, 0, fill_to(r, 16384));
	for (quarter = 1; quarter < 4; quarter++) {
		for (nr = quarter * 4096; nr < 16384; nr++)
			KUNIT_ASSERT_NOT_NULL(test, mid_atlas_dissociate(r->atlas, r->mid[nr]));
		r->used = quarter * 4096;
		KUNIT_ASSERT_EQ(test, 0, fill_to(r, 16384));
	}
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(r->atlas, BOTH_TABLES));
	KUNIT_ASSERT_EQ(test, 0, fill_to(r, 16384 + 1));
	fail_allocs(test);
	KUNIT_ASSERT_EQ(test, 0, fill_to(r, BOTH_TABLES));
	KUNIT_ASSERT_EQ(test, -ENOSPC, fill_to(r, BOTH_TABLES + 1));

	/* The first wait may get the slot that was not wanted. */
	for (nr = 16384; nr < BOTH_TABLES && waits < 3; nr++) {
		if (!map_rcu(r->atlas, r->mid[nr] ^ 0x8000))
			continue;
		KUNIT_ASSERT_EQ_MSG(test, 0, wait_for_mid_of(r, nr), "wait %u", waits);
		waits++;
	}
	if (!waits)
		kunit_skip(test, "no slot has a MID that the older table has");
}

/* ------------------------------------------------------------------------
 * Time
 */

#define REASSOCIATES	20000

/*
 * A reassociate counts in the slot's word, below the timestamp.  Thousands of them carry
 * into it, and the timestamp is then a little in the future.  As an unsigned difference
 * that is an age of months, and claim_older takes a request that is new.
 *
 * 20,000 reassociates take less time than they add to the timestamp, unless something
 * else runs.  No request can be older than the test's own clock says.
 */
static void request_that_was_often_reassociated_is_not_old(struct kunit *test)
{
	struct regress *r = regress_create(test, "kunit", 1, 1);
	unsigned long born, age;
	unsigned int round, n;

	for (round = 0; round < 10; round++) {
		claim_everything(r);
		born = jiffies;
		while (!time_after(jiffies, born))
			cpu_relax();
		born = jiffies;
		KUNIT_ASSERT_EQ(test, 0, fill_to(r, 1));
		for (n = 0; n < REASSOCIATES; n++)
			mid_atlas_reassociate(r->atlas, r->mid[0], nr_ctx(n));
		age = regress_stats(r).oldest;
		KUNIT_ASSERT_LE_MSG(test, age, jiffies - born, "round %u", round);
		age = jiffies - born + HZ;
		KUNIT_ASSERT_EQ_MSG(test, 0, mid_atlas_claim_older(r->atlas, age, NULL, NULL),
				    "round %u", round);
	}
}

/* ------------------------------------------------------------------------
 * Drain
 */

struct drainer {
	struct mid_atlas *atlas;
	struct completion done;
	int err;
};

static int drainer_thread(void *data)
{
	struct drainer *d = data;

	allow_signal(SIGKILL);
	d->err = mid_atlas_drain(d->atlas, 5 * HZ);
	kthread_complete_and_exit(&d->done, 0);
}

/*
 * A task in drain could not be killed: with a request whose reply never comes, it hung
 * for as long as its timeout, maybe for ever.  Here the timeout is five seconds, after
 * which a drain that ignores the signal says -ETIMEDOUT.  The request is untouched.
 */
static void killed_task_leaves_drain(struct kunit *test)
{
	struct regress *r = regress_create(test, "kunit", 4, 4);
	struct drainer d = { .atlas = r->atlas };
	struct task_struct *task;

	init_completion(&d.done);
	KUNIT_ASSERT_EQ(test, 0, fill_to(r, 1));
	task = kthread_create(drainer_thread, &d, "midatlas_drain");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	msleep(100);
	send_sig(SIGKILL, task, 1);
	wait_for_completion(&d.done);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, d.err, -ERESTARTSYS);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), map_rcu(r->atlas, r->mid[0]));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), mid_atlas_dissociate(r->atlas, r->mid[0]));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(r->atlas, 0));
}

/* ------------------------------------------------------------------------
 * Names
 */

/* Whether there is a folder of this name.  A work item makes it, so it may take a moment. */
static bool has_folder(const char *name)
{
	struct dentry *top = debugfs_lookup("midatlas", NULL), *dir = NULL;
	unsigned long end = jiffies + 5 * HZ;

	while (!dir && time_before(jiffies, end)) {
		dir = debugfs_lookup(name, top);
		if (IS_ERR_OR_NULL(dir)) {
			dir = NULL;
			msleep(20);
		}
	}
	dput(dir);
	dput(top);
	return dir;
}

static void needs_folders(struct kunit *test)
{
	struct dentry *top = debugfs_lookup("midatlas", NULL);

	if (IS_ERR_OR_NULL(top))
		kunit_skip(test, "this kernel has no debugfs");
	dput(top);
}

/*
 * A server's name, which a client may give its atlas, can have a '/' in it.  The name of a
 * folder cannot: debugfs has no folder for it.
 */
static void name_with_a_slash_has_a_folder(struct kunit *test)
{
	needs_folders(test);
	regress_create(test, "kunit/regress", 4, 4);
	KUNIT_EXPECT_TRUE(test, has_folder("kunit_regress"));
}

/* "." is a folder already, and so is "..". */
static void name_of_dots_has_a_folder(struct kunit *test)
{
	needs_folders(test);
	regress_create(test, "..", 4, 4);
	KUNIT_EXPECT_TRUE(test, has_folder("_."));
}

/* A client that numbers its connections had folders like "cifs-1-1". */
static void only_a_name_in_use_gets_a_number(struct kunit *test)
{
	struct dentry *top;
	struct regress *r;

	needs_folders(test);
	r = regress_create(test, "kunit-1", 4, 4);
	KUNIT_EXPECT_TRUE(test, has_folder("kunit-1"));
	regress_create(test, "kunit-1", 4, 4);
	mid_atlas_destroy(r->atlas, NULL, NULL);
	r->atlas = NULL;
	top = debugfs_lookup("midatlas", NULL);
	KUNIT_EXPECT_NULL(test, debugfs_lookup("kunit-1", top));
	dput(top);
	regress_create(test, "kunit-1", 4, 4);
	KUNIT_EXPECT_TRUE(test, has_folder("kunit-1"));
}

/* Both sides create an atlas with the same name at once.  The search takes time. */
struct name_race {
	atomic_t arrivals;
	struct mid_atlas *atlas[2];
	struct mid_atlas *others[500];
};

static void run_name_race(void *arg, int side)
{
	struct name_race *r = arg;

	meet(&r->arrivals);
	r->atlas[side] = mid_atlas_create("kunit-race", 4, 4, GFP_KERNEL);
}

/* Whether the folder "kunit-race-N" is made in time, for an N after *@last, which becomes N */
static bool has_next_number(unsigned int *last)
{
	struct dentry *top = debugfs_lookup("midatlas", NULL), *dir = NULL;
	unsigned long end = jiffies + 5 * HZ;
	unsigned int n = *last;
	char name[32];

	while (!dir && time_before(jiffies, end)) {
		snprintf(name, sizeof(name), "kunit-race-%u", ++n);
		dir = debugfs_lookup(name, top);
		if (n == *last + 100000) {
			n = *last;
			msleep(20);
		}
	}
	*last = n;
	dput(dir);
	dput(top);
	return dir;
}

/* The search for a name that is not in use has no lock: another folder may get it meanwhile. */
static void racing_creates_get_different_names(struct kunit *test)
{
	struct name_race *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	unsigned int round, i, last = 0;
	bool different = true;

	KUNIT_ASSERT_NOT_NULL(test, r);
	needs_folders(test);
	race_init(test);
	for (i = 0; i < ARRAY_SIZE(r->others); i++)
		r->others[i] = mid_atlas_create("kunit-other", 4, 4, GFP_KERNEL);
	for (round = 0; round < 20 && different; round++) {
		race(test, run_name_race, r);
		different = has_folder("kunit-race") && has_next_number(&last);
		mid_atlas_destroy(r->atlas[0], NULL, NULL);
		mid_atlas_destroy(r->atlas[1], NULL, NULL);
	}
	for (i = 0; i < ARRAY_SIZE(r->others); i++)
		mid_atlas_destroy(r->others[i], NULL, NULL);
	KUNIT_EXPECT_TRUE(test, different);
}

static struct kunit_case regress_cases[] = {
	KUNIT_CASE(set_max_takes_linear_time_for_abandoned_mids),
	KUNIT_CASE(full_quarantine_frees_the_mid_that_was_abandoned_first),
	KUNIT_CASE(mid_in_quarantine_is_not_handed_out_by_a_larger_table),
	KUNIT_CASE(slot_takes_the_last_of_its_mids),
	KUNIT_CASE(request_that_was_often_reassociated_is_not_old),
	KUNIT_CASE(killed_task_leaves_drain),
	KUNIT_CASE(name_with_a_slash_has_a_folder),
	KUNIT_CASE(name_of_dots_has_a_folder),
	KUNIT_CASE(only_a_name_in_use_gets_a_number),
	KUNIT_CASE(racing_creates_get_different_names),
	{}
};

static struct kunit_suite regress_suite = {
	.name = "midatlas_regress",
	.test_cases = regress_cases,
};

kunit_test_suite(regress_suite);

MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of fixed bugs of the MID atlas");
MODULE_LICENSE("GPL");
