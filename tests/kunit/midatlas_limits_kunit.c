// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_limits_kunit - tests of waiting for a MID and of changes of the maximum
 *
 * One suite is about mid_atlas_associate_wait(): timeouts, order, signals, and all
 * the ways in which a MID becomes free.  The other is about mid_atlas_set_max().
 * Neither checks that the calls that sleep are not made in atomic context:
 * might_sleep() reports that in the log only.
 */
#include "fixture.h"

/* ------------------------------------------------------------------------
 * associate_wait
 */

static const unsigned long timeouts[] = { 0, 1, LONG_TIME, NO_TIMEOUT, ULONG_MAX };

static void timeout_desc(const unsigned long *timeout, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "timeout %lu", *timeout);
}

KUNIT_ARRAY_PARAM(timeouts, timeouts, timeout_desc);

static void wait_takes_a_free_mid_at_once(struct kunit *test)
{
	const unsigned long *timeout = test->param_value;
	struct fixture *f = fixture_create(test, 50, 0);
	u16 mid = SERVER_MID;

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_associate_wait(f->atlas, test, &mid,
							  GFP_KERNEL, *timeout));
	KUNIT_EXPECT_PTR_EQ(test, test, map_rcu(f->atlas, mid));
}

static void wait_refuses_null_and_error_pointers(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	u16 mid = UNTOUCHED;

	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_associate_wait(f->atlas, NULL, &mid,
						 GFP_KERNEL, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_associate_wait(f->atlas, ERR_PTR(-EIO), &mid,
						 GFP_KERNEL, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

static void wait_lasts_as_long_as_its_timeout(struct kunit *test)
{
	static const unsigned long jiffies_to_wait[] = { 0, 1, 2, 10 };
	struct fixture *f = fixture_full(test, 1, 1);
	unsigned long begin, waited, timeout;
	u16 mid = UNTOUCHED;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jiffies_to_wait); i++) {
		timeout = jiffies_to_wait[i];
		begin = jiffies;
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
				mid_atlas_associate_wait(f->atlas, test, &mid,
							 GFP_KERNEL, timeout));
		waited = jiffies - begin;
		KUNIT_EXPECT_GE(test, waited, timeout);
		KUNIT_EXPECT_LT(test, waited, timeout + TEST_TIMEOUT);
	}
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), map_rcu(f->atlas, f->mid[0]));
	fixture_check(f);
}

/* A way in which a MID becomes free in a full atlas. */
struct way {
	const char *desc;
	unsigned int max_mids;
	void (*prepare)(struct fixture *f);	/* before there is a waiter */
	void (*free)(struct fixture *f);
};

static void way_dissociate(struct fixture *f)
{
	mid_atlas_dissociate(f->atlas, f->mid[0]);
}

static void way_dissociate_if(struct fixture *f)
{
	mid_atlas_dissociate_if(f->atlas, f->mid[0], nr_ctx(0));
}

static void way_claim_all(struct fixture *f)
{
	mid_atlas_claim_all(f->atlas, NULL, NULL);
}

static void way_claim_older(struct fixture *f)
{
	mid_atlas_claim_older(f->atlas, 0, NULL, NULL);
}

static void way_abandon(struct fixture *f)
{
	mid_atlas_abandon(f->atlas, f->mid[0], nr_ctx(0), 0);
}

static void way_quarantine(struct fixture *f)
{
	mid_atlas_abandon(f->atlas, f->mid[0], nr_ctx(0), LONG_TIME);
}

static void way_short_quarantine(struct fixture *f)
{
	mid_atlas_abandon(f->atlas, f->mid[0], nr_ctx(0), HZ / 5);
}

static void way_nothing(struct fixture *f)
{
}

static void way_cut_quarantine(struct fixture *f)
{
	mid_atlas_abandon(f->atlas, f->mid[1], nr_ctx(1), LONG_TIME);
}

static void way_raise(struct fixture *f)
{
	mid_atlas_set_max(f->atlas, atlas_stats(f->atlas).max + 1);
}

/* Makes the table grow: all MIDs are in use, the first ones in the outgrown table. */
static void way_grow(struct fixture *f)
{
	way_raise(f);
	fixture_take(f, nr_ctx(f->used));
}

static const struct way ways[] = {
	{ "a dissociate", 8, NULL, way_dissociate },
	{ "a dissociate_if", 8, NULL, way_dissociate_if },
	{ "a claim_all", 8, NULL, way_claim_all },
	{ "a claim_older", 8, NULL, way_claim_older },
	{ "an abandon without quarantine", 8, NULL, way_abandon },
	{ "a late reply", 8, way_quarantine, way_dissociate },
	{ "the end of a quarantine", 8, way_short_quarantine, way_nothing },
	{ "a full quarantine", 4, way_quarantine, way_cut_quarantine },
	{ "a higher maximum", 8, NULL, way_raise },
	{ "a larger table", 64, NULL, way_raise },
	{ "a dissociate from an outgrown table", 64, way_grow, way_dissociate },
};

static void way_desc(const struct way *way, char *desc)
{
	strscpy(desc, way->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ways, ways, way_desc);

static void waiter_is_served_by(struct kunit *test)
{
	const struct way *way = test->param_value;
	struct fixture *f = fixture_full(test, way->max_mids, way->max_mids);
	struct mid_waiter *w;

	if (way->prepare)
		way->prepare(f);
	w = fixture_enqueue(f, NO_TIMEOUT);
	way->free(f);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
	KUNIT_EXPECT_PTR_EQ(test, w, map_rcu(f->atlas, w->mid));
}

static void killed_waiter_leaves_the_queue_to_the_others(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	struct mid_waiter *first = fixture_enqueue(f, NO_TIMEOUT);
	struct mid_waiter *killed = fixture_enqueue(f, NO_TIMEOUT);
	struct mid_waiter *last = fixture_enqueue(f, NO_TIMEOUT);

	waiter_signal(killed, SIGKILL);
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS, waiter_result(killed));
	KUNIT_EXPECT_EQ(test, killed->mid, UNTOUCHED);
	await_waiters(f, 2);

	mid_atlas_dissociate(f->atlas, f->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(first));
	KUNIT_EXPECT_TRUE(test, still_waits(last));
	mid_atlas_dissociate(f->atlas, first->mid);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(last));
}

static void call_of_killed_task(struct mid_waiter *w)
{
	waiter_signal(w, SIGKILL);
	waiter_call(w);
}

static void killed_task_gets_a_free_mid_but_does_not_wait(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	struct mid_waiter *w = waiter_create(f, raw_smp_processor_id());

	w->job = call_of_killed_task;
	waiter_start(w, NO_TIMEOUT);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
	KUNIT_EXPECT_PTR_EQ(test, w, map_rcu(f->atlas, w->mid));
	waiter_start(w, NO_TIMEOUT);
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS, waiter_result(w));
	KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	fixture_check(f);
}

static void waiter_ignores_signals_that_do_not_kill(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	struct mid_waiter *w = fixture_enqueue(f, NO_TIMEOUT);

	waiter_signal(w, SIGUSR1);
	sleep_jiffies(3);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
}

static void timed_out_waiter_leaves_the_queue_to_the_others(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	struct mid_waiter *first = fixture_enqueue(f, HZ / 5);
	struct mid_waiter *last = fixture_enqueue(f, NO_TIMEOUT);

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, waiter_result(first));
	KUNIT_EXPECT_EQ(test, first->mid, UNTOUCHED);
	KUNIT_EXPECT_GE(test, first->waited, HZ / 5);
	KUNIT_EXPECT_TRUE(test, still_waits(last));
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(last));
}

static void thousand_waiters_are_served_in_the_order_they_came(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	struct mid_waiter *w;
	u16 mid = f->mid[0];
	unsigned int n;

	for (n = 0; n < 1000; n++)
		fixture_enqueue(f, NO_TIMEOUT);
	list_for_each_entry(w, &f->waiters, node) {
		mid_atlas_dissociate(f->atlas, mid);
		KUNIT_ASSERT_EQ(test, 0, waiter_result(w));
		KUNIT_ASSERT_EQ(test, --n, count_waiters(f->atlas));
		mid = w->mid;
	}
	KUNIT_EXPECT_EQ(test, n, 0);
}

static void waiter_grows_the_table_when_the_maximum_allows(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 64, 64);
	struct mid_waiter *first = fixture_enqueue(f, NO_TIMEOUT);
	struct mid_waiter *second = fixture_enqueue(f, NO_TIMEOUT);
	struct mid_waiter *third = fixture_enqueue(f, NO_TIMEOUT);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 66));
	KUNIT_EXPECT_EQ(test, 0, waiter_result(first));
	KUNIT_EXPECT_EQ(test, 0, waiter_result(second));
	sleep_jiffies(3);
	KUNIT_EXPECT_TRUE(test, still_waits(third));
	KUNIT_EXPECT_EQ(test, 66, atlas_stats(f->atlas).slots);
	mid_atlas_dissociate(f->atlas, f->mid[5]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(third));
}

static void wait_reports_that_the_table_could_not_grow(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 65, 64);
	unsigned int n;
	u16 mid = UNTOUCHED;

	for (n = 0; n < 64; n++)
		fixture_take(f, nr_ctx(n));
	limit_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			mid_atlas_associate_wait(f->atlas, test, &mid,
						 GFP_KERNEL, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

/* Two tasks wait when the table may grow, and the first one cannot allocate. */
static void waiter_without_memory_lets_the_next_one_grow_the_table(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 64, 64);
	struct mid_waiter *starved = waiter_create(f, raw_smp_processor_id()), *next;

	starved->no_memory = true;
	waiter_start(starved, NO_TIMEOUT);
	waiter_await_sleep(starved);
	next = fixture_enqueue(f, NO_TIMEOUT);
	limit_allocs(test, 0);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 65));
	KUNIT_EXPECT_EQ(test, -ENOMEM, waiter_result(starved));
	KUNIT_EXPECT_EQ(test, starved->mid, UNTOUCHED);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(next));
	KUNIT_EXPECT_EQ(test, 65, atlas_stats(f->atlas).in_use);
}

static struct kunit_case wait_cases[] = {
	KUNIT_CASE_PARAM(wait_takes_a_free_mid_at_once, timeouts_gen_params),
	KUNIT_CASE(wait_refuses_null_and_error_pointers),
	KUNIT_CASE(wait_lasts_as_long_as_its_timeout),
	KUNIT_CASE_PARAM(waiter_is_served_by, ways_gen_params),
	KUNIT_CASE(killed_waiter_leaves_the_queue_to_the_others),
	KUNIT_CASE(killed_task_gets_a_free_mid_but_does_not_wait),
	KUNIT_CASE(waiter_ignores_signals_that_do_not_kill),
	KUNIT_CASE(timed_out_waiter_leaves_the_queue_to_the_others),
	KUNIT_CASE(thousand_waiters_are_served_in_the_order_they_came),
	KUNIT_CASE(waiter_grows_the_table_when_the_maximum_allows),
	KUNIT_CASE(wait_reports_that_the_table_could_not_grow),
	KUNIT_CASE(waiter_without_memory_lets_the_next_one_grow_the_table),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "midatlas_wait",
	.test_cases = wait_cases,
};

/* ------------------------------------------------------------------------
 * set_max
 */

struct change {
	unsigned int from;
	unsigned int to;
};

static void change_desc(const struct change *change, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "from %u to %u", change->from,
		 change->to);
}

static const struct change ups[] = {
	{ 1, 2 }, { 1, 65535 }, { 3, 4 }, { 50, 64 }, { 50, 65 }, { 64, 65 },
	{ 64, 4096 }, { 4096, 65535 },
};

KUNIT_ARRAY_PARAM(ups, ups, change_desc);

static const struct change downs[] = {
	{ 2, 1 }, { 50, 49 }, { 64, 1 }, { 4096, 63 },
};

KUNIT_ARRAY_PARAM(downs, downs, change_desc);

static void set_max_refuses_0_and_more_than_the_limit(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 0);

	KUNIT_EXPECT_EQ(test, -EINVAL, mid_atlas_set_max(f->atlas, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_set_max(f->atlas, MID_ATLAS_MAX_MIDS + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_atlas_set_max(f->atlas, UINT_MAX));
	KUNIT_EXPECT_EQ(test, 50, atlas_stats(f->atlas).max);
	KUNIT_EXPECT_EQ(test, fixture_fill(f), 0);
	fixture_check(f);
}

static void higher_maximum_admits_exactly_that_many(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct fixture *f = fixture_full(test, change->from, change->from);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, change->to));
	KUNIT_EXPECT_EQ(test, fixture_fill(f), change->to - change->from);
	expect_mapped(f, 0);
	fixture_check(f);
}

static void lower_maximum_takes_no_mid_and_admits_nobody_until_below(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct fixture *f = fixture_full(test, change->from, change->from);
	unsigned int n;

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, change->to));
	expect_mapped(f, 0);
	for (n = 0; n < change->from - change->to; n++) {
		mid_atlas_dissociate(f->atlas, f->mid[n]);
		KUNIT_ASSERT_EQ_MSG(test, fixture_fill(f), 0, "%u in use",
				    change->from - n - 1);
	}
	expect_mapped(f, n);
	mid_atlas_dissociate(f->atlas, f->mid[n]);
	KUNIT_EXPECT_EQ(test, fixture_fill(f), 1);
	fixture_check(f);
}

static void lower_maximum_of_an_idle_atlas_is_kept_at_once(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct fixture *f = fixture_create(test, change->from, change->from);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, change->to));
	KUNIT_EXPECT_EQ(test, fixture_fill(f), change->to);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, change->from));
	KUNIT_EXPECT_EQ(test, fixture_fill(f), change->from - change->to);
	fixture_check(f);
}

static void lower_maximum_has_waiters_wait_until_below(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 8, 8);
	struct mid_waiter *w = fixture_enqueue(f, NO_TIMEOUT);
	unsigned int n;

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 4));
	for (n = 0; n < 4; n++)
		mid_atlas_dissociate(f->atlas, f->mid[n]);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	mid_atlas_dissociate(f->atlas, f->mid[n]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
}

static void higher_maximum_serves_as_many_waiters_as_it_admits(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 4, 4);
	struct mid_waiter *w;
	unsigned int n;

	for (n = 0; n < 6; n++)
		fixture_enqueue(f, NO_TIMEOUT);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 8));
	list_for_each_entry(w, &f->waiters, node) {
		if (n-- == 2)
			break;
		KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
	}
	await_waiters(f, 2);
	mid_atlas_set_max(f->atlas, 10);
	await_waiters(f, 0);
}

/* Fills up to each new maximum, then frees some, over all sizes of the table. */
static void maximum_goes_up_and_down_and_every_request_stays(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	unsigned int oldest = 0, in_use = 0, step, max_mids;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (step = 0; step < 200; step++) {
		max_mids = 1 + prandom_u32_state(&rnd) % (1 << (1 + step % 13));
		KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, max_mids));
		if (f->used + max_mids > MID_VALUES)
			break;
		KUNIT_ASSERT_EQ_MSG(test, fixture_fill(f),
				    max_mids > in_use ? max_mids - in_use : 0,
				    "step %u, max %u, %u in use, seed %u", step,
				    max_mids, in_use, seed);
		in_use = max(in_use, max_mids);
		expect_mapped(f, oldest);
		for (; in_use > max_mids / 2; in_use--, oldest++)
			KUNIT_ASSERT_PTR_EQ(test, nr_ctx(oldest),
					    mid_atlas_dissociate(f->atlas,
								 f->mid[oldest]));
	}
	kunit_info(test, "%u changes, %u requests\n", step, f->used);
	KUNIT_EXPECT_EQ(test, in_use, atlas_stats(f->atlas).in_use);
	fixture_check(f);
}

static struct kunit_case set_max_cases[] = {
	KUNIT_CASE(set_max_refuses_0_and_more_than_the_limit),
	KUNIT_CASE_PARAM(higher_maximum_admits_exactly_that_many,
			 ups_gen_params),
	KUNIT_CASE_PARAM(lower_maximum_takes_no_mid_and_admits_nobody_until_below,
			 downs_gen_params),
	KUNIT_CASE_PARAM(lower_maximum_of_an_idle_atlas_is_kept_at_once,
			 downs_gen_params),
	KUNIT_CASE(lower_maximum_has_waiters_wait_until_below),
	KUNIT_CASE(higher_maximum_serves_as_many_waiters_as_it_admits),
	KUNIT_CASE(maximum_goes_up_and_down_and_every_request_stays),
	{}
};

static struct kunit_suite set_max_suite = {
	.name = "midatlas_set_max",
	.test_cases = set_max_cases,
};

kunit_test_suites(&wait_suite, &set_max_suite);

MODULE_DESCRIPTION("KUnit tests of the limits of the MID atlas");
MODULE_LICENSE("GPL");
