// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_lifecycle_kunit - tests of the MID atlas' calls for a request's lifecycle
 *
 * There is one suite for each of references (map_get), cancels and timeouts
 * (dissociate_if), quarantine (abandon), sweeps and resets (claim_all,
 * claim_older, for_each), drain, the counters, and calls from interrupts.
 */
#include "fixture.h"

/* ------------------------------------------------------------------------
 * map_get and map_get_put
 */

/* A request that counts references, and may interfere while one is taken. */
struct request {
	struct mid_atlas *atlas;
	u16 mid;
	bool refuses;
	void (*interfere)(struct request *rq);
	unsigned int gets;
	unsigned int puts;
};

static bool request_get(void *ctx)
{
	struct request *rq = ctx;

	rq->gets++;
	if (rq->interfere)
		rq->interfere(rq);
	return !rq->refuses;
}

static void request_put(void *ctx)
{
	struct request *rq = ctx;

	rq->puts++;
}

static struct request *take_request(struct fixture *f)
{
	struct request *rq = test_alloc(f->test, sizeof(*rq));

	rq->atlas = f->atlas;
	rq->mid = fixture_take(f, rq);
	return rq;
}

static void map_get_returns_the_context_that_get_took(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct request *rq = take_request(f);

	KUNIT_EXPECT_PTR_EQ(test, rq, mid_atlas_map_get(f->atlas, rq->mid,
							request_get));
	KUNIT_EXPECT_PTR_EQ(test, rq, mid_atlas_map_get_put(f->atlas, rq->mid,
							    request_get,
							    request_put));
	KUNIT_EXPECT_EQ(test, rq->gets, 2);
	KUNIT_EXPECT_EQ(test, rq->puts, 0);
}

static void map_get_is_null_where_get_refuses(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct request *rq = take_request(f);

	rq->refuses = true;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get(f->atlas, rq->mid,
						  request_get));
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get_put(f->atlas, rq->mid,
						      request_get, request_put));
	KUNIT_EXPECT_EQ(test, rq->gets, 2);
	KUNIT_EXPECT_EQ(test, rq->puts, 0);
	KUNIT_EXPECT_PTR_EQ(test, rq, map_rcu(f->atlas, rq->mid));
}

static void map_get_of_any_other_mid_asks_nobody(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct request *rq = take_request(f), *freed = take_request(f);
	unsigned int mid;

	mid_atlas_dissociate(f->atlas, freed->mid);
	for (mid = 0; mid < MID_VALUES; mid++)
		if (mid != rq->mid)
			KUNIT_ASSERT_NULL(test,
					  mid_atlas_map_get_put(f->atlas, mid,
								request_get,
								request_put));
	KUNIT_EXPECT_EQ(test, rq->gets + freed->gets, 0);
}

static void interfere_dissociate(struct request *rq)
{
	mid_atlas_dissociate(rq->atlas, rq->mid);
}

static void interfere_reuse(struct request *rq)
{
	u16 mid;

	mid_atlas_dissociate(rq->atlas, rq->mid);
	if (mid_atlas_associate(rq->atlas, rq, &mid, GFP_ATOMIC))
		rq->gets = UINT_MAX;	/* fails the test */
}

static void interfere_reassociate(struct request *rq)
{
	mid_atlas_reassociate(rq->atlas, rq->mid, nr_ctx(0));
}

static void interfere_abandon(struct request *rq)
{
	mid_atlas_abandon(rq->atlas, rq->mid, rq, LONG_TIME);
}

static void interfere_claim(struct request *rq)
{
	mid_atlas_claim_all(rq->atlas, NULL, NULL);
}

struct interferer {
	const char *desc;
	void (*interfere)(struct request *rq);
};

static const struct interferer interferers[] = {
	{ "dissociated", interfere_dissociate },
	{ "dissociated and associated again", interfere_reuse },
	{ "reassociated", interfere_reassociate },
	{ "abandoned", interfere_abandon },
	{ "claimed", interfere_claim },
};

static void interferer_desc(const struct interferer *interferer, char *desc)
{
	strscpy(desc, interferer->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(interferers, interferers, interferer_desc);

/* The atlas has one slot, so a new associate gets the same slot. */
static void map_get_puts_once_a_context_that_left_during_get(struct kunit *test)
{
	const struct interferer *interferer = test->param_value;
	struct fixture *f = fixture_create(test, 1, 1);
	struct request *rq = take_request(f);

	rq->interfere = interferer->interfere;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get_put(f->atlas, rq->mid,
						      request_get, request_put));
	KUNIT_EXPECT_EQ(test, rq->gets, 1);
	KUNIT_EXPECT_EQ(test, rq->puts, 1);
}

static void map_get_without_put_is_null_then_too(struct kunit *test)
{
	const struct interferer *interferer = test->param_value;
	struct fixture *f = fixture_create(test, 4, 4);
	struct request *rq = take_request(f);

	rq->interfere = interferer->interfere;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get(f->atlas, rq->mid,
						  request_get));
	KUNIT_EXPECT_EQ(test, rq->gets, 1);
}

static struct kunit_case map_get_cases[] = {
	KUNIT_CASE(map_get_returns_the_context_that_get_took),
	KUNIT_CASE(map_get_is_null_where_get_refuses),
	KUNIT_CASE(map_get_of_any_other_mid_asks_nobody),
	KUNIT_CASE_PARAM(map_get_puts_once_a_context_that_left_during_get,
			 interferers_gen_params),
	KUNIT_CASE_PARAM(map_get_without_put_is_null_then_too,
			 interferers_gen_params),
	{}
};

static struct kunit_suite map_get_suite = {
	.name = "midatlas_map_get",
	.test_cases = map_get_cases,
};

/* ------------------------------------------------------------------------
 * dissociate_if
 */

static void dissociate_if_refuses_all_but_the_right_pair(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct mid_atlas *atlas = f->atlas;
	u16 mid = fixture_take(f, nr_ctx(1)), other = fixture_take(f, nr_ctx(2));
	struct mid_atlas_stats before = atlas_stats(atlas), after;
	unsigned int value;

	for (value = 0; value < MID_VALUES; value++)
		if (value != mid)
			KUNIT_ASSERT_FALSE(test,
					   mid_atlas_dissociate_if(atlas, value,
								   nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, mid, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, mid, NULL));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, mid,
							 ERR_PTR(-ENOENT)));
	after = atlas_stats(atlas);
	KUNIT_EXPECT_MEMEQ(test, &before, &after,
			   offsetof(struct mid_atlas_stats, oldest));

	KUNIT_EXPECT_TRUE(test, mid_atlas_dissociate_if(atlas, mid, nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, mid, nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2), mid_atlas_dissociate(atlas, other));
}

static void dissociate_if_after_reassociate_knows_the_new_context(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	u16 mid = fixture_take(f, nr_ctx(1));

	KUNIT_ASSERT_PTR_EQ(test, nr_ctx(1),
			    mid_atlas_reassociate(f->atlas, mid, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(f->atlas, mid,
							 nr_ctx(1)));
	KUNIT_EXPECT_TRUE(test, mid_atlas_dissociate_if(f->atlas, mid,
							nr_ctx(2)));
}

static void dissociate_if_finds_the_mids_of_outgrown_tables(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1000, 0);
	unsigned int n;

	for (n = 0; n < f->used; n++)
		KUNIT_ASSERT_TRUE(test, mid_atlas_dissociate_if(f->atlas,
								f->mid[n],
								nr_ctx(n)));
	fixture_check(f);
}

static struct kunit_case dissociate_if_cases[] = {
	KUNIT_CASE(dissociate_if_refuses_all_but_the_right_pair),
	KUNIT_CASE(dissociate_if_after_reassociate_knows_the_new_context),
	KUNIT_CASE(dissociate_if_finds_the_mids_of_outgrown_tables),
	{}
};

static struct kunit_suite dissociate_if_suite = {
	.name = "midatlas_dissociate_if",
	.test_cases = dissociate_if_cases,
};

/* ------------------------------------------------------------------------
 * abandon
 */

static u16 take_and_abandon(struct fixture *f, void *ctx, unsigned long quarantine)
{
	u16 mid = fixture_take(f, ctx);

	KUNIT_ASSERT_TRUE(f->test, mid_atlas_abandon(f->atlas, mid, ctx,
						     quarantine));
	return mid;
}

/* Dissociates @mid; true if that counts as a late reply. */
static bool is_late(struct fixture *f, u16 mid)
{
	u64 before = atlas_stats(f->atlas).late;

	KUNIT_ASSERT_NULL(f->test, mid_atlas_dissociate(f->atlas, mid));
	return atlas_stats(f->atlas).late > before;
}

static void late_reply_frees_an_abandoned_mid_and_is_counted(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	u16 mid = take_and_abandon(f, nr_ctx(0), LONG_TIME);
	struct mid_atlas_stats s = atlas_stats(f->atlas);

	KUNIT_EXPECT_EQ(test, s.in_use, 1);
	KUNIT_EXPECT_EQ(test, s.abandoned, 1);
	KUNIT_EXPECT_EQ(test, s.dissociated, 1);

	KUNIT_EXPECT_NULL(test, mid_atlas_dissociate(f->atlas, mid));
	KUNIT_EXPECT_NULL(test, mid_atlas_dissociate(f->atlas, mid));
	s = atlas_stats(f->atlas);
	KUNIT_EXPECT_EQ(test, s.in_use, 0);
	KUNIT_EXPECT_EQ(test, s.abandoned, 0);
	KUNIT_EXPECT_EQ(test, s.dissociated, 1);
	KUNIT_EXPECT_EQ(test, s.late, 1);
	KUNIT_EXPECT_EQ(test, s.stale, 1);
	fixture_check(f);
}

static void count_calls(void *ctx, u16 mid, void *arg)
{
	unsigned int *calls = arg;

	++*calls;
}

static void abandoned_mid_has_no_context_for_anyone(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	struct mid_atlas *atlas = f->atlas;
	struct request *rq = take_request(f);
	unsigned int calls = 0;

	KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(atlas, rq->mid, rq, LONG_TIME));
	KUNIT_EXPECT_NULL(test, map_rcu(atlas, rq->mid));
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get_put(atlas, rq->mid, request_get,
						      request_put));
	KUNIT_EXPECT_NULL(test, mid_atlas_reassociate(atlas, rq->mid, nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, rq->mid, rq));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, rq->mid, rq, 1));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, rq->mid, rq, 0));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_for_each(atlas, count_calls, &calls));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(atlas, count_calls, &calls));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(atlas, 0, count_calls,
						       &calls));
	KUNIT_EXPECT_EQ(test, calls + rq->gets, 0);
	KUNIT_EXPECT_EQ(test, 1, count_abandoned(atlas));
}

/* In a table of 65,536 slots each slot has exactly one MID. */
static void abandoned_mid_is_handed_out_after_its_reply_and_not_before(struct kunit *test)
{
	struct fixture *f = fixture_full(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	u16 mid = f->mid[4711], got = SERVER_MID;

	KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(f->atlas, mid, nr_ctx(4711),
						  LONG_TIME));
	KUNIT_EXPECT_EQ(test, -ENOSPC, mid_atlas_associate(f->atlas, test, &got,
							   GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, is_late(f, mid));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_associate(f->atlas, test, &got,
						     GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, got, mid);
}

static void quarantine_of_0_keeps_nothing(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	u16 mid = take_and_abandon(f, nr_ctx(0), 0);

	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).in_use);
	KUNIT_EXPECT_FALSE(test, is_late(f, mid));
}

#define QUARANTINES	32

/* Returns how many of the times in @end have passed. */
static unsigned int count_over(const unsigned long *end, unsigned int n)
{
	unsigned int over = 0;

	while (n--)
		over += time_before_eq(end[n], jiffies);
	return over;
}

static void each_quarantine_ends_by_itself_and_not_early(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4 * QUARANTINES, 4 * QUARANTINES);
	unsigned long end[QUARANTINES], deadline = jiffies + TEST_TIMEOUT;
	unsigned int n, left;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (n = 0; n < QUARANTINES; n++) {
		unsigned long quarantine = 1 + prandom_u32_state(&rnd) % 20;

		end[n] = jiffies + quarantine;
		take_and_abandon(f, nr_ctx(n), quarantine);
	}
	do {
		usleep_range(50, 100);
		left = count_abandoned(f->atlas);
		KUNIT_ASSERT_GE_MSG(test, left + count_over(end, QUARANTINES),
				    QUARANTINES, "a quarantine ended early, seed %u",
				    seed);
		KUNIT_ASSERT_TRUE_MSG(test, time_before(jiffies, deadline),
				      "%u MIDs stay in quarantine, seed %u", left,
				      seed);
	} while (left);
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).late);
	fixture_check(f);
}

static void long_quarantine_does_not_keep_short_ones(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 16, 16);
	u16 mid = take_and_abandon(f, nr_ctx(0), LONG_TIME);
	unsigned int n;

	for (n = 0; n < 3; n++) {
		take_and_abandon(f, nr_ctx(n), 2);
		take_and_abandon(f, nr_ctx(n), 5);
		await_abandoned(f, 1);
	}
	KUNIT_EXPECT_TRUE(test, is_late(f, mid));
}

static const unsigned int maxima[] = { 4, 5, 7, 8, 50, 64, 1000 };

KUNIT_ARRAY_PARAM(maxima, maxima, uint_desc);

/* The table grows meanwhile, and the order is not that of the slots. */
static void quarantine_is_a_quarter_and_drops_the_oldest(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct fixture *f = fixture_full(test, *max_mids, 0);
	unsigned int cap = *max_mids / 4, dropped = *max_mids - cap, n, i;
	u16 *mid = test_alloc(test, *max_mids * sizeof(*mid));

	for (n = 0; n < *max_mids; n++) {
		/* 701 is a prime: each request is visited. */
		i = (n + 1) * 701 % *max_mids;
		mid[n] = f->mid[i];
		KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(f->atlas, mid[n],
							  nr_ctx(i), LONG_TIME));
		KUNIT_ASSERT_EQ(test, min(n + 1, cap), count_abandoned(f->atlas));
	}
	for (n = 0; n < *max_mids; n++)
		KUNIT_ASSERT_EQ_MSG(test, is_late(f, mid[n]), n >= dropped,
				    "abandoned request %u", n);
	fixture_check(f);
}

static const unsigned int small_maxima[] = { 1, 2, 3 };

KUNIT_ARRAY_PARAM(small_maxima, small_maxima, uint_desc);

static void maximum_below_4_keeps_no_quarantine(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct fixture *f = fixture_create(test, *max_mids, 0);
	u16 mid = take_and_abandon(f, nr_ctx(0), LONG_TIME);

	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).in_use);
	KUNIT_EXPECT_FALSE(test, is_late(f, mid));
	fixture_check(f);
}

static void abandon_refuses_all_but_the_right_pair(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct mid_atlas *atlas = f->atlas;
	u16 mid = fixture_take(f, nr_ctx(1)), freed = fixture_take(f, nr_ctx(1));
	unsigned int value;

	mid_atlas_dissociate(atlas, freed);
	for (value = 0; value < MID_VALUES; value++)
		if (value != mid)
			KUNIT_ASSERT_FALSE(test,
					   mid_atlas_abandon(atlas, value,
							     nr_ctx(1), 1));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, mid, nr_ctx(2), 1));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, mid, NULL, 1));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, mid, ERR_PTR(-EIO), 1));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, mid, nr_ctx(2), 0));
	KUNIT_EXPECT_FALSE(test, mid_atlas_abandon(atlas, mid, NULL, 0));
	KUNIT_EXPECT_EQ(test, 0, count_abandoned(atlas));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), map_rcu(atlas, mid));
}

static void quarantine_may_have_any_length(struct kunit *test)
{
	static const unsigned long huge[] = {
		BIT(30) - 1, BIT(30), BIT(31) - 1, BIT(31), UINT_MAX, LONG_MAX,
		ULONG_MAX - 1, ULONG_MAX,
	};
	struct fixture *f = fixture_create(test, 64, 64);
	u16 mid[ARRAY_SIZE(huge)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(huge); i++)
		mid[i] = take_and_abandon(f, nr_ctx(i), huge[i]);
	sleep_jiffies(3);
	for (i = 0; i < ARRAY_SIZE(huge); i++)
		KUNIT_EXPECT_TRUE_MSG(test, is_late(f, mid[i]), "quarantine %#lx",
				      huge[i]);
}

static void smaller_maximum_makes_the_quarantine_smaller(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 100, 100);
	u16 mid[25];
	unsigned int n;

	for (n = 0; n < 25; n++)
		mid[n] = take_and_abandon(f, nr_ctx(n), LONG_TIME);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 8));
	KUNIT_EXPECT_EQ(test, 2, count_abandoned(f->atlas));
	KUNIT_EXPECT_FALSE(test, is_late(f, mid[22]));
	KUNIT_EXPECT_TRUE(test, is_late(f, mid[23]));
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(f->atlas, 3));
	KUNIT_EXPECT_EQ(test, 0, count_abandoned(f->atlas));
	fixture_check(f);
}

static struct kunit_case abandon_cases[] = {
	KUNIT_CASE(late_reply_frees_an_abandoned_mid_and_is_counted),
	KUNIT_CASE(abandoned_mid_has_no_context_for_anyone),
	KUNIT_CASE(abandoned_mid_is_handed_out_after_its_reply_and_not_before),
	KUNIT_CASE(quarantine_of_0_keeps_nothing),
	KUNIT_CASE(each_quarantine_ends_by_itself_and_not_early),
	KUNIT_CASE(long_quarantine_does_not_keep_short_ones),
	KUNIT_CASE_PARAM(quarantine_is_a_quarter_and_drops_the_oldest,
			 maxima_gen_params),
	KUNIT_CASE_PARAM(maximum_below_4_keeps_no_quarantine,
			 small_maxima_gen_params),
	KUNIT_CASE(abandon_refuses_all_but_the_right_pair),
	KUNIT_CASE(quarantine_may_have_any_length),
	KUNIT_CASE(smaller_maximum_makes_the_quarantine_smaller),
	{}
};

static struct kunit_suite abandon_suite = {
	.name = "midatlas_abandon",
	.test_cases = abandon_cases,
};

/* ------------------------------------------------------------------------
 * for_each, claim_all, claim_older
 */

/* Counts the requests of fixture_fill() that are passed to a callback. */
struct tally {
	struct fixture *f;
	unsigned int wrong;
	u8 seen[MID_VALUES];	/* number of calls, by request */
};

static void count(void *ctx, u16 mid, void *arg)
{
	unsigned long nr = ctx_nr(ctx);
	struct tally *t = arg;

	if (nr < t->f->used && t->f->mid[nr] == mid)
		t->seen[nr]++;
	else
		t->wrong++;
}

static void count_and_sleep(void *ctx, u16 mid, void *arg)
{
	might_sleep();
	count(ctx, mid, arg);
	if (ctx_nr(ctx) % 16 == 0)
		synchronize_rcu();
}

static struct tally *tally_of(struct fixture *f)
{
	struct tally *t = test_alloc(f->test, sizeof(*t));

	t->f = f;
	return t;
}

/* Every @step-th request from @first on was passed once, and no other. */
static void expect_tally(struct tally *t, unsigned int first, unsigned int step)
{
	unsigned int nr;

	KUNIT_ASSERT_EQ(t->f->test, t->wrong, 0);
	for (nr = 0; nr < t->f->used; nr++)
		KUNIT_ASSERT_EQ_MSG(t->f->test, t->seen[nr], nr % step == first,
				    "request %u", nr);
}

static struct fixture *fixture_grown(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct fixture *f = fixture_full(test, *max_mids, 0);
	unsigned int n;

	/* The odd requests stay. */
	for (n = 0; n < f->used; n += 2)
		mid_atlas_dissociate(f->atlas, f->mid[n]);
	return f;
}

static const unsigned int sizes[] = { 50, 1000, 65535 };

KUNIT_ARRAY_PARAM(sizes, sizes, uint_desc);

static void each_context_is_shown_once_by_for_each(struct kunit *test)
{
	struct fixture *f = fixture_grown(test);
	struct tally *t = tally_of(f);

	KUNIT_EXPECT_EQ(test, f->used / 2, mid_atlas_for_each(f->atlas, count, t));
	expect_tally(t, 1, 2);
	KUNIT_EXPECT_EQ(test, f->used / 2, atlas_stats(f->atlas).in_use);
}

static void claim_all_takes_each_context_once(struct kunit *test)
{
	struct fixture *f = fixture_grown(test);
	struct tally *t = tally_of(f);

	KUNIT_EXPECT_EQ(test, f->used / 2, mid_atlas_claim_all(f->atlas, count, t));
	expect_tally(t, 1, 2);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(f->atlas, count, t));
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).in_use);
	fixture_check(f);
}

static void claim_older_of_age_0_takes_each_context_once(struct kunit *test)
{
	struct fixture *f = fixture_grown(test);
	struct tally *t = tally_of(f);

	KUNIT_EXPECT_EQ(test, f->used / 2,
			mid_atlas_claim_older(f->atlas, 0, count, t));
	expect_tally(t, 1, 2);
	fixture_check(f);
}

static void claims_of_an_empty_atlas_call_nobody(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 0);
	unsigned int calls = 0, round;

	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_for_each(f->atlas, count_calls,
							    &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(f->atlas, count_calls,
							     &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, 0,
							       count_calls, &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(f->atlas, NULL, NULL));
		mid_atlas_dissociate(f->atlas, fixture_take(f, nr_ctx(0)));
	}
	KUNIT_EXPECT_EQ(test, calls, 0);
}

/* The outgrown tables are freed with their last request, during the sweep. */
static void claim_all_lets_its_function_sleep(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 0);
	struct tally *t = tally_of(f);

	KUNIT_EXPECT_EQ(test, 300, mid_atlas_claim_all(f->atlas, count_and_sleep, t));
	expect_tally(t, 0, 1);
	fixture_check(f);
}

/* Sends the request again, as a reconnect does. */
static void associate_anew(void *ctx, u16 mid, void *arg)
{
	struct tally *t = arg;
	struct fixture *f = t->f;

	count(ctx, mid, t);
	if (f->used < MID_VALUES &&
	    !mid_atlas_associate(f->atlas, nr_ctx(f->used), &f->mid[f->used],
				 GFP_KERNEL))
		f->used++;
	else
		t->wrong++;
}

static void claim_all_lets_its_function_associate_anew(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 0);
	struct tally *t = tally_of(f);
	unsigned int taken, nr;

	taken = mid_atlas_claim_all(f->atlas, associate_anew, t);
	KUNIT_EXPECT_GE(test, taken, 300);
	KUNIT_EXPECT_EQ(test, f->used, 300 + taken);
	mid_atlas_claim_all(f->atlas, count, t);
	KUNIT_EXPECT_EQ(test, t->wrong, 0);
	for (nr = 0; nr < f->used; nr++)
		KUNIT_ASSERT_EQ_MSG(test, t->seen[nr], 1, "request %u", nr);
}

/*
 * Takes nr_ctx(0), sleeps, takes nr_ctx(1).  Returns a time between the two: only
 * the first request is as old as the time since then.
 */
static unsigned long take_old_and_young(struct fixture *f)
{
	unsigned long born;

	f->mid[0] = fixture_take(f, nr_ctx(0));
	born = jiffies;
	sleep_jiffies(HZ / 5);
	f->mid[1] = fixture_take(f, nr_ctx(1));
	f->used = 2;
	return born;
}

static void claim_older_takes_only_old_requests(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	unsigned long begin = jiffies, born = take_old_and_young(f);
	struct tally *t = tally_of(f);

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, ULONG_MAX, count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, LONG_MAX, count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, BIT(31), count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, jiffies - begin +
						       TEST_TIMEOUT, count, t));
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(f->atlas, jiffies - born,
						       count, t));
	expect_tally(t, 0, 2);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), map_rcu(f->atlas, f->mid[1]));
	sleep_jiffies(2);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(f->atlas, 2, count, t));
}

static void reassociate_makes_no_request_younger(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	unsigned long born = take_old_and_young(f);

	mid_atlas_reassociate(f->atlas, f->mid[0], test);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(f->atlas, jiffies - born,
						       NULL, NULL));
	KUNIT_EXPECT_NULL(test, map_rcu(f->atlas, f->mid[0]));
}

/* Both requests use the only slot: the second must not get the age of the first. */
static void request_in_a_reused_slot_is_young(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	unsigned long born;

	mid_atlas_dissociate(f->atlas, fixture_take(f, nr_ctx(0)));
	born = jiffies;
	sleep_jiffies(HZ / 5);
	fixture_take(f, nr_ctx(1));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(f->atlas, jiffies - born,
						       NULL, NULL));
}

static struct kunit_case claim_cases[] = {
	KUNIT_CASE_PARAM(each_context_is_shown_once_by_for_each,
			 sizes_gen_params),
	KUNIT_CASE_PARAM(claim_all_takes_each_context_once, sizes_gen_params),
	KUNIT_CASE_PARAM(claim_older_of_age_0_takes_each_context_once,
			 sizes_gen_params),
	KUNIT_CASE(claims_of_an_empty_atlas_call_nobody),
	KUNIT_CASE(claim_all_lets_its_function_sleep),
	KUNIT_CASE(claim_all_lets_its_function_associate_anew),
	KUNIT_CASE(claim_older_takes_only_old_requests),
	KUNIT_CASE(reassociate_makes_no_request_younger),
	KUNIT_CASE(request_in_a_reused_slot_is_young),
	{}
};

static struct kunit_suite claim_suite = {
	.name = "midatlas_claim",
	.test_cases = claim_cases,
};

/* ------------------------------------------------------------------------
 * drain, and destroy with tasks that wait
 */

static void drain_of_an_empty_atlas_returns_at_once_and_again(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct fixture *f = fixture_full(test, *max_mids, 0);

	mid_atlas_claim_all(f->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, 0));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, 0));
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).slots);
}

static void drain_of_an_unused_atlas_returns_at_once(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 0);

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, NO_TIMEOUT));
}

static void expect_shut(struct fixture *f)
{
	u16 mid = UNTOUCHED;

	KUNIT_EXPECT_EQ(f->test, -ESHUTDOWN,
			mid_atlas_associate(f->atlas, f, &mid, GFP_KERNEL));
	KUNIT_EXPECT_EQ(f->test, -ESHUTDOWN,
			mid_atlas_associate_wait(f->atlas, f, &mid, GFP_KERNEL,
						 NO_TIMEOUT));
	KUNIT_EXPECT_EQ(f->test, mid, UNTOUCHED);
}

static void drain_times_out_and_leaves_requests_in_flight(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1000, 0);
	unsigned long begin;
	unsigned int n;

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 0));
	begin = jiffies;
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 3));
	KUNIT_EXPECT_GE(test, jiffies - begin, 3);
	expect_mapped(f, 0);
	expect_shut(f);
	for (n = 0; n < f->used; n++) {
		KUNIT_ASSERT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 0));
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(n),
				    mid_atlas_dissociate(f->atlas, f->mid[n]));
	}
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, 0));
}

static void drain_is_permanent(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 50);

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 0));
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	expect_shut(f);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_set_max(f->atlas, 1000));
	expect_shut(f);
	mid_atlas_claim_all(f->atlas, NULL, NULL);
	expect_shut(f);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, 0));
	expect_shut(f);
}

static void drain_job(struct mid_waiter *w)
{
	w->err = mid_atlas_drain(w->f->atlas, w->timeout);
}

static struct mid_waiter *drainer(struct fixture *f)
{
	struct mid_waiter *w = waiter_create(f, raw_smp_processor_id());

	w->job = drain_job;
	waiter_start(w, NO_TIMEOUT);
	wait_for_completion(&w->begun);
	return w;
}

static void two_drains_wait_for_the_last_context(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 100, 0);
	struct mid_waiter *one = drainer(f), *two = drainer(f);
	unsigned int n;

	for (n = 0; n < 99; n++)
		mid_atlas_dissociate(f->atlas, f->mid[n]);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(one));
	KUNIT_EXPECT_TRUE(test, still_waits(two));
	mid_atlas_dissociate(f->atlas, f->mid[n]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(one));
	KUNIT_EXPECT_EQ(test, 0, waiter_result(two));
}

static void drain_waits_for_the_quarantine_to_end(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 16, 16);
	unsigned long begin = jiffies;
	struct mid_waiter *w;
	u16 mid;

	take_and_abandon(f, nr_ctx(0), 3);
	mid = take_and_abandon(f, nr_ctx(1), LONG_TIME);
	w = drainer(f);
	await_abandoned(f, 1);
	KUNIT_EXPECT_GE(test, jiffies - begin, 3);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	KUNIT_EXPECT_TRUE(test, is_late(f, mid));
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
}

static void drain_lets_a_quarantine_begin(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 4, 4);
	struct mid_waiter *w = drainer(f);
	unsigned int n;

	for (n = 0; n < 4; n++)
		KUNIT_EXPECT_TRUE(test, mid_atlas_abandon(f->atlas, f->mid[n],
							  nr_ctx(n), 3));
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
	KUNIT_EXPECT_EQ(test, 0, count_abandoned(f->atlas));
}

static void drain_sends_waiters_off(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 2, 2);
	struct mid_waiter *w;
	unsigned int n;

	for (n = 0; n < 10; n++)
		fixture_enqueue(f, NO_TIMEOUT);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 0));
	list_for_each_entry(w, &f->waiters, node) {
		KUNIT_EXPECT_EQ(test, -ESHUTDOWN, waiter_result(w));
		KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	}
	expect_mapped(f, 0);
}

static void destroy_sends_waiters_off_and_hands_over_the_rest(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 100, 0);
	struct tally *t = tally_of(f);
	struct mid_waiter *w;
	unsigned int n;

	for (n = 0; n < 10; n++)
		fixture_enqueue(f, TEST_TIMEOUT);
	mid_atlas_destroy(f->atlas, count, t);
	f->atlas = NULL;
	list_for_each_entry(w, &f->waiters, node) {
		KUNIT_EXPECT_EQ(test, -ESHUTDOWN, waiter_result(w));
		KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	}
	expect_tally(t, 0, 1);
}

/* A timer that is left running would access freed memory. */
static void destroy_hands_over_nothing_that_is_in_quarantine(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 100, 0);
	struct tally *t = tally_of(f);
	unsigned int n;

	for (n = 0; n < 50; n += 2)
		KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(f->atlas, f->mid[n],
							  nr_ctx(n), 2 + n % 3));
	for (n = 50; n < 100; n += 2)
		mid_atlas_dissociate(f->atlas, f->mid[n]);
	mid_atlas_destroy(f->atlas, count, t);
	f->atlas = NULL;
	rcu_barrier();
	sleep_jiffies(5);
	expect_tally(t, 1, 2);
}

static struct kunit_case drain_cases[] = {
	KUNIT_CASE_PARAM(drain_of_an_empty_atlas_returns_at_once_and_again,
			 sizes_gen_params),
	KUNIT_CASE(drain_of_an_unused_atlas_returns_at_once),
	KUNIT_CASE(drain_times_out_and_leaves_requests_in_flight),
	KUNIT_CASE(drain_is_permanent),
	KUNIT_CASE(two_drains_wait_for_the_last_context),
	KUNIT_CASE(drain_waits_for_the_quarantine_to_end),
	KUNIT_CASE(drain_lets_a_quarantine_begin),
	KUNIT_CASE(drain_sends_waiters_off),
	KUNIT_CASE(destroy_sends_waiters_off_and_hands_over_the_rest),
	KUNIT_CASE(destroy_hands_over_nothing_that_is_in_quarantine),
	{}
};

static struct kunit_suite drain_suite = {
	.name = "midatlas_drain",
	.test_cases = drain_cases,
};

/* ------------------------------------------------------------------------
 * stats
 */

static void stats_of_a_new_atlas_are_its_limits(struct kunit *test)
{
	const struct mid_atlas_stats new = { .max = 4096, .slots = 128 };
	struct fixture *f = fixture_create(test, 4096, 100);
	struct mid_atlas_stats s = atlas_stats(f->atlas);

	KUNIT_EXPECT_MEMEQ(test, &s, &new, sizeof(s));
}

static void stats_tell_stale_unknown_and_late_apart(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	u16 stale = fixture_take(f, nr_ctx(0)), live = fixture_take(f, nr_ctx(1)), late;
	struct mid_atlas_stats s;

	mid_atlas_dissociate(f->atlas, stale);
	late = take_and_abandon(f, nr_ctx(2), LONG_TIME);
	mid_atlas_dissociate(f->atlas, stale);
	mid_atlas_dissociate(f->atlas, SERVER_MID);
	mid_atlas_dissociate(f->atlas, live ^ 0x8000);
	mid_atlas_dissociate(f->atlas, late ^ 0x8000);
	mid_atlas_dissociate(f->atlas, late);

	s = atlas_stats(f->atlas);
	KUNIT_EXPECT_EQ(test, s.stale, 1);
	KUNIT_EXPECT_EQ(test, s.unknown, 3);
	KUNIT_EXPECT_EQ(test, s.late, 1);
	KUNIT_EXPECT_EQ(test, s.associated, 3);
	KUNIT_EXPECT_EQ(test, s.dissociated, 2);
	KUNIT_EXPECT_EQ(test, s.in_use, 1);
}

/* Only dissociate counts replies: lookups and failed claims do not. */
static void stats_count_dissociates_only(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	u16 stale = fixture_take(f, nr_ctx(0));
	struct mid_atlas_stats s;

	mid_atlas_dissociate(f->atlas, stale);
	map_rcu(f->atlas, stale);
	mid_atlas_map_get(f->atlas, stale, request_get);
	mid_atlas_reassociate(f->atlas, stale, nr_ctx(1));
	mid_atlas_dissociate_if(f->atlas, stale, nr_ctx(0));
	mid_atlas_abandon(f->atlas, stale, nr_ctx(0), 1);
	s = atlas_stats(f->atlas);
	KUNIT_EXPECT_EQ(test, s.stale + s.unknown + s.late, 0);
}

/* The only slot goes through all its MIDs and begins again. */
static void stale_mid_is_never_taken_for_an_unknown_one(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	unsigned int n;
	u16 mid;

	for (n = 0; n < MID_VALUES + 10; n++) {
		mid = fixture_take(f, nr_ctx(n));
		mid_atlas_dissociate(f->atlas, mid);
		if (n > 0)
			mid_atlas_dissociate(f->atlas, f->mid[n / 2]);
		if (n < MID_VALUES)
			f->mid[n] = mid;
	}
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).unknown);
	KUNIT_EXPECT_EQ(test, n - 1, atlas_stats(f->atlas).stale);
}

static void stats_count_refused_associates(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 0);	/* one associate failed */
	u16 mid;

	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).exhausted);
	fixture_fill(f);
	fixture_fill(f);
	KUNIT_EXPECT_EQ(test, 3, atlas_stats(f->atlas).exhausted);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
			mid_atlas_associate_wait(f->atlas, test, &mid,
						 GFP_KERNEL, 0));
	KUNIT_EXPECT_EQ(test, 4, atlas_stats(f->atlas).exhausted);
	mid_atlas_claim_all(f->atlas, NULL, NULL);
	fixture_take(f, test);
	KUNIT_EXPECT_EQ(test, 4, atlas_stats(f->atlas).exhausted);
}

static void stats_show_slots_as_the_table_grows_and_shrinks(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 0);

	KUNIT_EXPECT_EQ(test, 300, atlas_stats(f->atlas).slots);
	mid_atlas_set_max(f->atlas, 200);
	KUNIT_EXPECT_EQ(test, 300, atlas_stats(f->atlas).slots);
	KUNIT_EXPECT_EQ(test, 200, atlas_stats(f->atlas).max);
	mid_atlas_claim_all(f->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 200, atlas_stats(f->atlas).slots);
	mid_atlas_set_max(f->atlas, 300);
	KUNIT_EXPECT_EQ(test, fixture_fill(f), 300);
	KUNIT_EXPECT_EQ(test, 300, atlas_stats(f->atlas).slots);
}

static void stats_show_waiters_while_they_wait(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 1, 1);
	struct mid_waiter *w;

	w = fixture_enqueue(f, NO_TIMEOUT);
	fixture_enqueue(f, NO_TIMEOUT);
	KUNIT_EXPECT_EQ(test, 2, atlas_stats(f->atlas).waiters);
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	waiter_result(w);
	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).waiters);
	mid_atlas_dissociate(f->atlas, w->mid);
	await_waiters(f, 0);
}

static void stats_tell_the_age_of_the_oldest_request(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	unsigned long begin = jiffies, born, before, age;

	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).oldest);
	born = take_old_and_young(f);
	before = jiffies;
	age = atlas_stats(f->atlas).oldest;
	KUNIT_EXPECT_GE(test, age, before - born);
	KUNIT_EXPECT_LE(test, age, jiffies - begin);
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	KUNIT_EXPECT_LT(test, atlas_stats(f->atlas).oldest, jiffies - born);
	/* An abandoned request does not count. */
	mid_atlas_abandon(f->atlas, f->mid[1], nr_ctx(1), LONG_TIME);
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).oldest);
}

static void high_water_is_the_most_that_were_in_use(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 0);

	mid_atlas_claim_all(f->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 50, atlas_stats(f->atlas).high_water);
	mid_atlas_set_max(f->atlas, 1000);
	fixture_fill(f);
	mid_atlas_claim_all(f->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 1000, atlas_stats(f->atlas).high_water);
	fixture_take(f, nr_ctx(0));
	KUNIT_EXPECT_EQ(test, 1000, atlas_stats(f->atlas).high_water);
}

static void high_water_counts_the_abandoned(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	u16 mid;

	take_and_abandon(f, nr_ctx(0), LONG_TIME);
	take_and_abandon(f, nr_ctx(1), LONG_TIME);
	mid = fixture_take(f, nr_ctx(2));
	sleep_jiffies(3);
	mid_atlas_dissociate(f->atlas, mid);
	KUNIT_EXPECT_EQ(test, 3, atlas_stats(f->atlas).high_water);
}

/* Associates on one CPU and dissociates on another, as a client does. */
struct remote {
	struct fixture *f;
	unsigned int n;
	unsigned int wrong;
};

static long remote_submit(void *arg)
{
	struct remote *r = arg;
	unsigned int n;

	for (n = 0; n < r->n; n++)
		r->wrong += !!mid_atlas_associate(r->f->atlas, nr_ctx(n),
						  &r->f->mid[n], GFP_KERNEL);
	return 0;
}

static long remote_receive(void *arg)
{
	struct remote *r = arg;
	unsigned int n;

	for (n = 0; n < r->n; n++)
		r->wrong += mid_atlas_dissociate(r->f->atlas, r->f->mid[n]) !=
			    nr_ctx(n);
	return 0;
}

static void high_water_sees_a_peak_that_lasts_across_cpus(struct kunit *test)
{
	static const unsigned int flights[] = { 1, 10, 100, 5 };
	struct fixture *f = fixture_create(test, 4096, 4096);
	int submitter = cpumask_first(cpu_online_mask);
	int receiver = cpumask_nth(num_online_cpus() - 1, cpu_online_mask);
	struct remote r = { .f = f };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flights); i++) {
		r.n = flights[i];
		work_on_cpu(submitter, remote_submit, &r);
		sleep_jiffies(3);
		work_on_cpu(receiver, remote_receive, &r);
		sleep_jiffies(3);
	}
	KUNIT_EXPECT_EQ(test, r.wrong, 0);
	KUNIT_EXPECT_EQ(test, 100, atlas_stats(f->atlas).high_water);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(stats_of_a_new_atlas_are_its_limits),
	KUNIT_CASE(stats_tell_stale_unknown_and_late_apart),
	KUNIT_CASE(stats_count_dissociates_only),
	KUNIT_CASE(stale_mid_is_never_taken_for_an_unknown_one),
	KUNIT_CASE(stats_count_refused_associates),
	KUNIT_CASE(stats_show_slots_as_the_table_grows_and_shrinks),
	KUNIT_CASE(stats_show_waiters_while_they_wait),
	KUNIT_CASE(stats_tell_the_age_of_the_oldest_request),
	KUNIT_CASE(high_water_is_the_most_that_were_in_use),
	KUNIT_CASE(high_water_counts_the_abandoned),
	KUNIT_CASE(high_water_sees_a_peak_that_lasts_across_cpus),
	{}
};

static struct kunit_suite stats_suite = {
	.name = "midatlas_stats",
	.test_cases = stats_cases,
};

/* ------------------------------------------------------------------------
 * Interrupts
 */

#define IRQ_MIDS	64

struct irq_calls {
	struct fixture *f;
	unsigned int wrong;
};

struct irq_kind {
	const char *desc;
	void (*run)(struct kunit *test, void (*func)(void *arg), void *arg);
};

static const struct irq_kind irq_kinds[] = {
	{ "hardirq", run_in_hardirq },
	{ "softirq", run_in_softirq },
};

static void irq_kind_desc(const struct irq_kind *kind, char *desc)
{
	strscpy(desc, kind->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(irq_kinds, irq_kinds, irq_kind_desc);

static struct irq_calls *irq_calls_of(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->f = fixture_create(test, IRQ_MIDS, IRQ_MIDS);
	return c;
}

static void run_in_irq(struct irq_calls *c, void (*make_calls)(void *arg))
{
	const struct irq_kind *kind = c->f->test->param_value;

	kind->run(c->f->test, make_calls, c);
	KUNIT_EXPECT_EQ(c->f->test, c->wrong, 0);
}

/* Makes every call that is allowed in interrupts. */
static void make_all_calls(void *arg)
{
	struct irq_calls *c = arg;
	struct mid_atlas *atlas = c->f->atlas;
	struct request rq = {};
	unsigned int i, seen = 0;
	u16 mid;

	for (i = 0; i < IRQ_MIDS; i++)
		c->wrong += !!mid_atlas_associate(atlas, nr_ctx(i),
						  &c->f->mid[i], GFP_ATOMIC);
	for (i = 0; i < IRQ_MIDS / 4; i++) {
		mid = c->f->mid[i];
		c->wrong += !mid_atlas_abandon(atlas, mid, nr_ctx(i), 1 + i % 3);
		if (i % 2)
			c->wrong += !!mid_atlas_dissociate(atlas, mid);
	}
	for (; i < IRQ_MIDS / 2; i++)
		c->wrong += !mid_atlas_dissociate_if(atlas, c->f->mid[i],
						     nr_ctx(i));
	c->wrong += mid_atlas_for_each(atlas, count_calls, &seen) != IRQ_MIDS / 2;
	c->wrong += mid_atlas_set_max(atlas, IRQ_MIDS / 4);
	c->wrong += mid_atlas_associate(atlas, c, &mid, GFP_ATOMIC) != -ENOSPC;
	c->wrong += mid_atlas_claim_older(atlas, LONG_MAX, count_calls, &seen);
	c->wrong += mid_atlas_claim_older(atlas, 0, count_calls, &seen) !=
		    IRQ_MIDS / 2;
	c->wrong += seen != IRQ_MIDS;
	c->wrong += mid_atlas_set_max(atlas, IRQ_MIDS);
	c->wrong += mid_atlas_associate(atlas, &rq, &mid, GFP_ATOMIC) != 0;
	c->wrong += mid_atlas_map_get_put(atlas, mid, request_get,
					  request_put) != &rq;
	c->wrong += mid_atlas_claim_all(atlas, NULL, NULL) != 1;
	c->wrong += atlas_stats(atlas).associated != IRQ_MIDS + 1;
}

static void interrupt_may_make_every_call_that_does_not_wait(struct kunit *test)
{
	struct irq_calls *c = irq_calls_of(test);

	run_in_irq(c, make_all_calls);
	await_abandoned(c->f, 0);
	fixture_check(c->f);
}

/* Frees four MIDs in different ways. */
static void free_four(void *arg)
{
	struct irq_calls *c = arg;
	struct mid_atlas *atlas = c->f->atlas;
	u16 *mid = c->f->mid;

	c->wrong += mid_atlas_dissociate(atlas, mid[0]) != nr_ctx(0);
	c->wrong += !mid_atlas_dissociate_if(atlas, mid[1], nr_ctx(1));
	c->wrong += !mid_atlas_abandon(atlas, mid[2], nr_ctx(2), LONG_TIME);
	c->wrong += !!mid_atlas_dissociate(atlas, mid[2]);
	c->wrong += !!mid_atlas_set_max(atlas, IRQ_MIDS + 1);
}

static void waiter_is_served_from_interrupts(struct kunit *test)
{
	struct irq_calls *c = irq_calls_of(test);
	struct mid_waiter *w[4];
	unsigned int n;

	fixture_fill(c->f);
	for (n = 0; n < ARRAY_SIZE(w); n++)
		w[n] = fixture_enqueue(c->f, NO_TIMEOUT);
	run_in_irq(c, free_four);
	for (n = 0; n < ARRAY_SIZE(w); n++)
		KUNIT_EXPECT_EQ(test, 0, waiter_result(w[n]));
}

#define IRQ_ITERATIONS	PART_OF(50000)

struct irq_churn {
	struct fixture *f;
	atomic_t nr;
};

/* No other level knows its request, so each claim must succeed. */
static bool churn(void *arg)
{
	struct irq_churn *c = arg;
	struct mid_atlas *atlas = c->f->atlas;
	unsigned int nr = atomic_inc_return(&c->nr), calls = 0;
	void *ctx = nr_ctx(nr);
	bool ok;
	u16 mid;

	if (mid_atlas_associate(atlas, ctx, &mid, GFP_ATOMIC))
		return false;
	ok = map_rcu(atlas, mid) == ctx;
	if (nr % 2)
		ok &= mid_atlas_abandon(atlas, mid, ctx, 1 + nr % 3);
	else
		ok &= mid_atlas_dissociate_if(atlas, mid, ctx);
	if (nr % 4 == 1)
		ok &= !mid_atlas_dissociate(atlas, mid);
	if (nr % 8 == 2)
		ok &= !mid_atlas_set_max(atlas, 40 + nr % 50);
	if (nr % 8 == 3)
		ok &= mid_atlas_for_each(atlas, count_calls, &calls) == calls;
	return ok;
}

static void task_softirq_and_hardirq_may_call_at_once(struct kunit *test)
{
	struct irq_churn *c = test_alloc(test, sizeof(*c));

	c->f = fixture_create(test, 128, 128);
	kunit_run_irq_test(test, churn, IRQ_ITERATIONS, c);
	await_abandoned(c->f, 0);
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(c->f->atlas).in_use);
	fixture_check(c->f);
}

static struct kunit_case irq_cases[] = {
	KUNIT_CASE_PARAM(interrupt_may_make_every_call_that_does_not_wait,
			 irq_kinds_gen_params),
	KUNIT_CASE_PARAM(waiter_is_served_from_interrupts,
			 irq_kinds_gen_params),
	KUNIT_CASE(task_softirq_and_hardirq_may_call_at_once),
	{}
};

static struct kunit_suite irq_suite = {
	.name = "midatlas_life_irq",
	.test_cases = irq_cases,
};

kunit_test_suites(&map_get_suite, &dissociate_if_suite, &abandon_suite,
		  &claim_suite, &drain_suite, &stats_suite, &irq_suite);

MODULE_DESCRIPTION("KUnit tests of the lifecycle of requests in the MID atlas");
MODULE_LICENSE("GPL");
