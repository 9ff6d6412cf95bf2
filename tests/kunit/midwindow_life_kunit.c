// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_life_kunit - tests of a request's lifecycle in a window
 *
 * There is one suite for each of: requests in flight, epochs, AsyncIds, quarantine,
 * drain and destroy, calls from interrupts, and a long run of random calls that
 * are compared with a model.
 */
#include "fixture.h"

/* ------------------------------------------------------------------------
 * In flight
 */

static void id_maps_to_its_context_until_it_is_claimed(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, TAG(1, id), nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1), HZ));
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
}

static void ids_that_are_not_in_flight_map_to_nothing(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = window_reserve(test, 6);
	static const u64 none[] = {
		0,			/* dissociated */
		2, 3,			/* inside the charge of 1 */
		4, 6,			/* reserved */
		7, 10,			/* granted */
		11, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 63,
		MID_WINDOW_RESERVED - 1, MID_WINDOW_RESERVED,
	};
	unsigned int i;

	window_associate(test, &span, 3, nr_ctx(1));
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, none[i]));
		KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, none[i]));
		KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, none[i]),
				i ? MID_STRAY_UNKNOWN : MID_STRAY_STALE);
	}
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 1), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, window_stats(w).stale, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).unknown, 2 * ARRAY_SIZE(none) - 2);
}

static void all_64_bits_of_an_id_count(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 base = (1ULL << 40) - 2, id;
	unsigned int bit;

	window_begin_at(test, base);
	id = window_send(test, nr_ctx(1));
	for (bit = 0; bit < 64; bit++)
		KUNIT_EXPECT_NULL(test, mid_window_map(w, mid_window_epoch(w),
						       id ^ BIT_ULL(bit)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_map(w, mid_window_epoch(w), id));
}

static void dissociate_if_needs_the_right_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(2)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_TRUE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).dissociated, 1);
}

static void reassociate_returns_the_old_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_reassociate(w, TAG(1, id), nr_ctx(2)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2),
			    mid_window_reassociate(w, TAG(1, id), nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(3));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, TAG(1, id), nr_ctx(4)));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
}

static unsigned int gets, puts;
static bool get_answer;
static struct mid_window *get_window;	/* where a get claims the request */

static bool test_get(void *ctx)
{
	gets++;
	if (get_window)
		mid_window_dissociate(get_window, 1, 0);
	return get_answer;
}

static void test_put(void *ctx)
{
	puts++;
}

static void map_get_takes_a_reference_or_leaves_none(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	gets = 0;
	puts = 0;
	get_window = NULL;
	get_answer = true;
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_map_get_put(w, 1, id, test_get, test_put));
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, 1, id + 1, test_get,
						       test_put));
	KUNIT_EXPECT_EQ(test, gets, 1);
	get_answer = false;
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, 1, id, test_get, test_put));
	KUNIT_EXPECT_EQ(test, gets, 2);
	KUNIT_EXPECT_EQ(test, puts, 0);

	/* The request is claimed while its reference is taken. */
	get_answer = true;
	get_window = w;
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, 1, id, test_get, test_put));
	KUNIT_EXPECT_EQ(test, gets, 3);
	KUNIT_EXPECT_EQ(test, puts, 1);
}

#define MANY	1000

/* Counts the requests that are passed to a callback. */
struct census {
	unsigned int calls;
	unsigned int wrong;
	u64 above;		/* the ids that come next */
	u8 seen[MANY];
};

/* The request of id N is nr_ctx(N). */
static void count_ctx(void *ctx, u64 id, void *arg)
{
	struct census *census = arg;
	unsigned long nr = ctx_nr(ctx);

	census->calls++;
	if (nr >= MANY || nr != id || census->seen[nr]++)
		census->wrong++;
}

/* Requests are handed over in the order of their ids. */
static void count_in_order(void *ctx, u64 id, void *arg)
{
	struct census *census = arg;

	might_sleep();
	usleep_range(1, 2);
	if (id < census->above)
		census->wrong++;
	census->above = id + 1;
	count_ctx(ctx, id, arg);
}

/* Sends MANY requests; of each three the second is claimed, the third abandoned. */
static struct mid_window *many(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i;

	window_grant(test, MANY);
	for (i = 0; i < MANY; i++) {
		u64 id = window_send(test, nr_ctx(i));

		if (i % 3 == 1)
			KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i),
					    mid_window_dissociate(w, 1, id));
		if (i % 3 == 2)
			KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, id),
								   nr_ctx(i),
								   LONG_TIME));
	}
	return w;
}

static void expect_thirds(struct kunit *test, const struct census *census)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, census->wrong, 0);
	KUNIT_EXPECT_EQ(test, census->calls, DIV_ROUND_UP(MANY, 3));
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, census->seen[i], i % 3 == 0);
}

static void each_context_in_flight_is_shown_and_stays(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = many(test);

	KUNIT_EXPECT_EQ(test, mid_window_for_each(w, count_ctx, census),
			DIV_ROUND_UP(MANY, 3));
	expect_thirds(test, census);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 0), nr_ctx(0));
}

static void claim_without_a_question_takes_each_context_in_order(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = many(test);

	KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(MANY, 3),
			mid_window_claim_if(w, 0, NULL, count_in_order, census));
	expect_thirds(test, census);
	KUNIT_EXPECT_EQ(test, mid_window_claim_if(w, 0, NULL, NULL, NULL), 0);
	/* The quarantines go on. */
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, MANY / 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, MANY / 3);
	/* The ids of the connection continue. */
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(MANY)), MANY);
}

static void claim_leaves_the_young(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = test->priv;

	window_grant(test, 4);
	window_send(test, nr_ctx(0));
	window_send(test, nr_ctx(1));
	msleep(1000);
	window_send(test, nr_ctx(2));
	KUNIT_EXPECT_GE(test, window_stats(w).oldest, HZ);
	KUNIT_EXPECT_EQ(test, 0, mid_window_claim_if(w, LONG_TIME, NULL, count_ctx,
						     census));
	KUNIT_EXPECT_EQ(test, 2, mid_window_claim_if(w, HZ, NULL, count_ctx, census));
	KUNIT_EXPECT_EQ(test, census->wrong, 0);
	KUNIT_EXPECT_EQ(test, census->seen[0] + census->seen[1], 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 2), nr_ctx(2));
	KUNIT_EXPECT_EQ(test, mid_window_claim_if(w, 0, NULL, NULL, NULL), 1);
}

/* Wants every third request, and counts those that it was asked about. */
struct choice {
	struct census census;
	unsigned int asked;
	unsigned int asleep;		/* may sleep, though it must not */
	unsigned long oldest;
};

static bool want_third(void *ctx, u64 id, unsigned long age, void *arg)
{
	struct choice *choice = arg;

	choice->asked++;
	choice->asleep += !rcu_read_lock_held();
	choice->oldest = max(choice->oldest, age);
	choice->census.wrong += ctx != nr_ctx(id);
	return id % 3 == 0;
}

static void claim_takes_what_is_wanted_and_leaves_the_others(struct kunit *test)
{
	struct choice *choice = test_alloc(test, sizeof(*choice));
	struct mid_window *w = test->priv;
	unsigned int i;

	window_grant(test, MANY);
	for (i = 0; i < MANY; i++)
		window_send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(MANY, 3),
			mid_window_claim_if(w, 0, want_third, count_in_order, choice));
	expect_thirds(test, &choice->census);
	KUNIT_EXPECT_EQ(test, choice->asked, MANY);
	KUNIT_EXPECT_EQ(test, choice->asleep, 0);
	/* The others are still in flight, with their ids. */
	for (i = 0; i < MANY; i++)
		KUNIT_ASSERT_PTR_EQ(test, mid_window_dissociate(w, 1, i),
				    i % 3 ? nr_ctx(i) : NULL);
}

static void abandoned_requests_are_not_asked_about(struct kunit *test)
{
	struct choice *choice = test_alloc(test, sizeof(*choice));
	struct mid_window *w = many(test);

	KUNIT_EXPECT_EQ(test, 0, mid_window_claim_if(w, LONG_TIME, want_third, NULL,
						     choice));
	KUNIT_EXPECT_EQ(test, choice->asked, 0);
	KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(MANY, 3),
			mid_window_claim_if(w, 0, want_third, NULL, choice));
	KUNIT_EXPECT_EQ(test, choice->asked, DIV_ROUND_UP(MANY, 3));
	KUNIT_EXPECT_EQ(test, choice->census.wrong, 0);
}

static void stray_counts_a_reply_and_takes_no_request(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	u64 live = window_send(test, nr_ctx(1)), late = window_send(test, nr_ctx(2));

	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, late), nr_ctx(2),
						   LONG_TIME));
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, live), MID_STRAY_LIVE);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, live), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, late), MID_STRAY_LATE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, late), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 0), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 3), MID_STRAY_UNKNOWN);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 0, live), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 2, live), MID_STRAY_UNKNOWN);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).stale, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).unknown, 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, live), nr_ctx(1));
}

static void stray_knows_ids_in_spans_and_those_given_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = window_reserve(test, 3), back = window_reserve(test, 2);

	window_send(test, nr_ctx(6));
	mid_window_give_back(w, &back);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 1), MID_STRAY_UNKNOWN);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 3), MID_STRAY_UNKNOWN);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 4), MID_STRAY_UNKNOWN);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 6), MID_STRAY_LIVE);
	window_associate(test, &span, 3, nr_ctx(1));
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 1), MID_STRAY_LIVE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 3), MID_STRAY_UNKNOWN);
	mid_window_dissociate(w, 1, 1);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 1), MID_STRAY_STALE);
}

/* The lowest unsent id is far above: the window remembers no more than that. */
static void id_far_below_the_oldest_unsent_one_is_stale(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	unsigned int i;

	window_grant(test, 4 * ID_SPREAD);
	for (i = 0; i < 6; i++)
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i),
				    mid_window_dissociate(w, 1,
							  window_send_large(test, 8000,
									    nr_ctx(i))));
	span = window_reserve(test, 1);
	window_send(test, w);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 0), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 8000), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 40000), MID_STRAY_STALE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 48000), MID_STRAY_UNKNOWN);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, 48000), MID_STRAY_UNKNOWN);
}

static void counters_add_up(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_window_stats stats;
	struct mid_span span;
	unsigned int i;

	for (i = 1; i <= 5; i++)
		window_send(test, nr_ctx(i));
	mid_window_dissociate(w, 1, 1);
	mid_window_dissociate(w, 1, 1);				/* stale */
	mid_window_dissociate(w, 1, 77);			/* unknown */
	mid_window_dissociate(w, 2, 77);			/* unknown */
	mid_window_dissociate(w, 0, 77);			/* stale */
	mid_window_abandon(w, TAG(1, 2), nr_ctx(2), LONG_TIME);
	mid_window_abandon(w, TAG(1, 3), nr_ctx(3), LONG_TIME);
	mid_window_dissociate(w, 1, 2);				/* late */
	mid_window_unsend(w, TAG(1, 5), nr_ctx(5));
	KUNIT_EXPECT_EQ(test, reserve_now(w, 7, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_window_reserve(w, 7, 9, &span, 0, 1));

	stats = window_stats(w);
	KUNIT_EXPECT_EQ(test, stats.epoch, 1);
	KUNIT_EXPECT_EQ(test, stats.next, 5);
	KUNIT_EXPECT_EQ(test, stats.limit, 11);
	KUNIT_EXPECT_EQ(test, stats.unsent, 5);
	KUNIT_EXPECT_EQ(test, stats.spans, 0);
	KUNIT_EXPECT_FALSE(test, stats.stalled);
	KUNIT_EXPECT_EQ(test, stats.given_back, 0);
	KUNIT_EXPECT_EQ(test, stats.in_use, 2);			/* 3, 4 */
	KUNIT_EXPECT_EQ(test, stats.high_water, 5);
	KUNIT_EXPECT_EQ(test, stats.abandoned, 1);		/* 3 */
	KUNIT_EXPECT_EQ(test, stats.waiters, 0);
	KUNIT_EXPECT_EQ(test, stats.associated, 6);
	KUNIT_EXPECT_EQ(test, stats.dissociated, 5);
	KUNIT_EXPECT_EQ(test, stats.associated,
			stats.dissociated + stats.in_use - stats.abandoned);
	KUNIT_EXPECT_EQ(test, stats.wants, 0);
	KUNIT_EXPECT_EQ(test, stats.stale, 2);
	KUNIT_EXPECT_EQ(test, stats.unknown, 2);
	KUNIT_EXPECT_EQ(test, stats.late, 1);
	KUNIT_EXPECT_EQ(test, stats.exhausted, 2);
	KUNIT_EXPECT_EQ(test, stats.lost, 0);
}

static struct kunit_case flight_cases[] = {
	KUNIT_CASE(id_maps_to_its_context_until_it_is_claimed),
	KUNIT_CASE(ids_that_are_not_in_flight_map_to_nothing),
	KUNIT_CASE(all_64_bits_of_an_id_count),
	KUNIT_CASE(dissociate_if_needs_the_right_context),
	KUNIT_CASE(reassociate_returns_the_old_context),
	KUNIT_CASE(map_get_takes_a_reference_or_leaves_none),
	KUNIT_CASE(each_context_in_flight_is_shown_and_stays),
	KUNIT_CASE(claim_without_a_question_takes_each_context_in_order),
	KUNIT_CASE(claim_leaves_the_young),
	KUNIT_CASE(claim_takes_what_is_wanted_and_leaves_the_others),
	KUNIT_CASE(abandoned_requests_are_not_asked_about),
	KUNIT_CASE(stray_counts_a_reply_and_takes_no_request),
	KUNIT_CASE(stray_knows_ids_in_spans_and_those_given_back),
	KUNIT_CASE(id_far_below_the_oldest_unsent_one_is_stale),
	KUNIT_CASE(counters_add_up),
	{}
};

static struct kunit_suite flight_suite = {
	.name = "midwindow_in_flight",
	.init = window_init,
	.exit = window_exit,
	.test_cases = flight_cases,
};

/* ------------------------------------------------------------------------
 * Epochs
 */

static void id_of_an_earlier_connection_never_maps(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 old = mid_window_epoch(w), new;
	u64 id, async_id = NO_ID;

	window_send(test, nr_ctx(1));
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, old, 0, 77));
	new = window_reset(test);
	KUNIT_EXPECT_NE(test, new, old);
	KUNIT_EXPECT_EQ(test, mid_window_epoch(w), new);
	id = window_send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, id, 0);		/* the same number again */
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(new, id), &async_id));
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, new, id, 77));

	KUNIT_EXPECT_NULL(test, mid_window_map(w, old, id));
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, old, id, test_get, test_put));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, old, id));
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, old, id), MID_STRAY_STALE);
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(old, id), nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(old, id), nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(old, id), nr_ctx(2), HZ));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, TAG(old, id), nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(old, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, NO_ID);
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_note_async(w, old, id, 78));

	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, new, id), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, new, id), nr_ctx(2));
}

static void reset_hands_over_each_context_once(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = many(test);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, mid_window_reset(w, count_in_order, census), 2);
	expect_thirds(test, census);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 0);
	for (i = 0; i < MANY; i++)
		KUNIT_ASSERT_NULL(test, mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, count_ctx, census), 3);
	KUNIT_EXPECT_EQ(test, census->calls, DIV_ROUND_UP(MANY, 3));
}

static void reset_begins_with_one_id(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	struct mid_span a = window_reserve(test, 10), b = window_reserve(test, 10);

	mid_window_give_back(w, &a);	/* is given back, and forgotten */
	window_reset(test);
	expect_available(test, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 0);
	mid_window_give_back(w, &b);	/* is dropped */
	KUNIT_EXPECT_EQ(test, b.n, 0);
	expect_available(test, 1);
	window_grant(test, 9);
	expect_available(test, 10);
}

static void credits_of_an_earlier_connection_are_refused(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 old = mid_window_epoch(w);

	window_reset(test);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, old, 10), -ESTALE);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, old + 2, 10), -ESTALE);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, 0, 10), -ESTALE);
	expect_available(test, 1);
}

/* No warning: that is normal life. */
static void span_of_an_earlier_connection_cannot_be_sent(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = window_reserve(test, 4);
	struct mid_tag tag = { .id = NO_ID };

	window_reset(test);
	window_grant(test, 10);
	window_reserve(test, 8);	/* the same ids again */
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_associate(w, &span, 2, w, &tag,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	EXPECT_SPAN(test, span, 1, 4);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, span.n, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 8);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
}

/* 0 is no epoch: a struct mid_tag of zeros is nobody's. */
static void epoch_after_the_last_one_is_1(struct kunit *test)
{
	struct mid_window *w;

	window_begin_in(test, U32_MAX);
	w = test->priv;
	KUNIT_EXPECT_EQ(test, mid_window_epoch(w), U32_MAX);
	window_send(test, nr_ctx(1));
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, NULL, NULL), 1);
	KUNIT_EXPECT_EQ(test, mid_window_epoch(w), 1);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, 0, 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, U32_MAX, 1), -ESTALE);
	mid_window_resume(w, 0);
	mid_window_resume(w, U32_MAX);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &(struct mid_span){}), -EAGAIN);
	mid_window_resume(w, 1);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(2)), 0);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, U32_MAX, 0), MID_STRAY_STALE);
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 0, 0));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 0), nr_ctx(2));
}

/*
 * The window is new when the callback is called: a request of the new connection may
 * have the id of one that is still to be handed over.
 */
static void send_in_reset(void *ctx, u64 id, void *arg)
{
	struct kunit *test = arg;
	struct mid_window *w = test->priv;
	struct mid_span span;

	KUNIT_EXPECT_PTR_EQ(test, ctx, nr_ctx(id));
	KUNIT_EXPECT_EQ(test, mid_window_epoch(w), 2);
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, 2));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 2, 2));
	if (id)
		return;
	KUNIT_EXPECT_EQ(test, window_available(w), 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_ASSERT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	KUNIT_EXPECT_EQ(test, 0, window_associate(test, &span, 1, nr_ctx(10)));
	window_grant(test, 1);
	KUNIT_ASSERT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	KUNIT_EXPECT_EQ(test, 1, window_associate(test, &span, 1, nr_ctx(11)));
}

static void new_connection_may_begin_while_the_old_one_is_handed_over(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i;

	window_grant(test, 2);
	for (i = 0; i < 3; i++)
		window_send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, send_in_reset, test), 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, 0), nr_ctx(10));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, 1), nr_ctx(11));
}

static struct kunit_case epoch_cases[] = {
	KUNIT_CASE(id_of_an_earlier_connection_never_maps),
	KUNIT_CASE(reset_hands_over_each_context_once),
	KUNIT_CASE(reset_begins_with_one_id),
	KUNIT_CASE(credits_of_an_earlier_connection_are_refused),
	KUNIT_CASE(span_of_an_earlier_connection_cannot_be_sent),
	KUNIT_CASE(epoch_after_the_last_one_is_1),
	KUNIT_CASE(new_connection_may_begin_while_the_old_one_is_handed_over),
	{}
};

static struct kunit_suite epoch_suite = {
	.name = "midwindow_epoch",
	.init = window_init,
	.exit = window_exit,
	.test_cases = epoch_cases,
};

/* ------------------------------------------------------------------------
 * AsyncIds
 */

static void async_id_is_that_of_the_interim_response(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1)), async_id = NO_ID;

	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, NO_ID);
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	/* An AsyncId does not match a MessageId. */
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, 1000));
	/* It is of the id, not of the request. */
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_reassociate(w, TAG(1, id), nr_ctx(2)));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
}

static void async_id_goes_with_its_request(struct kunit *test)
{
	/* There are fewer entries than ids. */
	struct mid_window *w = window_with_slots(test, 0);
	u64 id, async_id = NO_ID;
	unsigned int i;

	window_grant(test, 99);
	for (i = 0; i < 100; i++) {
		id = window_send(test, nr_ctx(i));
		/* A new request has none, though its entry was used before. */
		KUNIT_ASSERT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
		/* The server may use the AsyncId again. */
		KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
		KUNIT_ASSERT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(i));
		KUNIT_ASSERT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	}
	KUNIT_EXPECT_EQ(test, async_id, NO_ID);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static void bad_async_ids_are_refused(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 a, b, async_id = NO_ID;

	window_grant(test, 2);
	a = window_send_large(test, 2, nr_ctx(1));
	b = window_send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_note_async(w, 1, a, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, mid_window_note_async(w, 1, 77, 1000));
	KUNIT_EXPECT_EQ(test, -ENOENT, mid_window_note_async(w, 1, a + 1, 1000));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			mid_window_note_async(w, 1, MID_WINDOW_RESERVED, 1000));
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_note_async(w, 0, a, 1000));
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_note_async(w, 2, a, 1000));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(1, a), &async_id));
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, a, 1000));
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, a, 1000));
	KUNIT_EXPECT_EQ(test, -EEXIST, mid_window_note_async(w, 1, a, 1001));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, a), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, b, U64_MAX));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, b), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, U64_MAX);
}

/* Until its quarantine ends: the CANCEL must carry it (MS-SMB2 3.2.4.24). */
static void abandoned_request_has_its_async_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1)), async_id = NO_ID;

	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1),
						   LONG_TIME));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_EQ(test, -EEXIST, mid_window_note_async(w, 1, id, 1001));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 1);
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, -ENOENT, mid_window_note_async(w, 1, id, 1000));
}

static struct kunit_case async_cases[] = {
	KUNIT_CASE(async_id_is_that_of_the_interim_response),
	KUNIT_CASE(async_id_goes_with_its_request),
	KUNIT_CASE(bad_async_ids_are_refused),
	KUNIT_CASE(abandoned_request_has_its_async_id),
	{}
};

static struct kunit_suite async_suite = {
	.name = "midwindow_async",
	.init = window_init,
	.exit = window_exit,
	.test_cases = async_cases,
};

/* ------------------------------------------------------------------------
 * Quarantine
 */

static void abandoned_request_is_its_owners_and_its_reply_is_late(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(2), LONG_TIME));
	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1), LONG_TIME));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1), LONG_TIME));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, TAG(1, id), nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 1);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).stale, 1);
}

static void window_await_abandoned(struct kunit *test, unsigned int n)
{
	unsigned long end = jiffies + WINDOW_TIMEOUT / 2;

	while (window_stats(test->priv).abandoned != n) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		msleep(20);
	}
}

/* The quarantines do not end in the order in which they began. */
static void abandoned_request_is_forgotten_after_its_quarantine(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long begin = jiffies;
	unsigned int i;

	window_grant(test, 3);
	for (i = 0; i < 4; i++)
		window_send(test, nr_ctx(i));
	mid_window_abandon(w, TAG(1, 0), nr_ctx(0), LONG_TIME);
	mid_window_abandon(w, TAG(1, 1), nr_ctx(1), HZ / 2);
	mid_window_abandon(w, TAG(1, 2), nr_ctx(2), HZ / 4);
	mid_window_abandon(w, TAG(1, 3), nr_ctx(3), ULONG_MAX);
	window_await_abandoned(test, 3);
	KUNIT_EXPECT_GE(test, jiffies - begin, HZ / 4);
	window_await_abandoned(test, 2);
	KUNIT_EXPECT_GE(test, jiffies - begin, HZ / 2);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, window_stats(w).stale, 2);	/* 1 and 2 */
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 2);	/* 0 and 3 */
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static void abandon_without_quarantine_is_a_dissociate(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1), 0));
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 0);
}

/* The more room, the more requests can be in quarantine; the oldest are dropped. */
static void quarantine_has_a_limit(struct kunit *test, unsigned int slots,
				   unsigned int max)
{
	struct mid_window *w = window_with_slots(test, slots);
	unsigned int i;

	window_grant(test, max + 2);
	for (i = 0; i < max + 2; i++) {
		window_send(test, nr_ctx(i));
		KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, i), nr_ctx(i),
							   LONG_TIME));
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, max);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, max);
	for (i = 0; i < max + 2; i++)
		KUNIT_ASSERT_EQ(test, mid_window_stray(w, 1, i),
				i < 2 ? MID_STRAY_STALE : MID_STRAY_LATE);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static void quarantine_is_at_least_16_requests(struct kunit *test)
{
	quarantine_has_a_limit(test, 0, 16);
}

static void quarantine_is_at_most_a_quarter_of_the_room(struct kunit *test)
{
	quarantine_has_a_limit(test, 1000, 1536 / 4);
	quarantine_has_a_limit(test, MID_WINDOW_MAX_SLOTS, MID_WINDOW_MAX_SLOTS / 4);
}

static struct kunit_case abandon_cases[] = {
	KUNIT_CASE(abandoned_request_is_its_owners_and_its_reply_is_late),
	KUNIT_CASE(abandoned_request_is_forgotten_after_its_quarantine),
	KUNIT_CASE(abandon_without_quarantine_is_a_dissociate),
	KUNIT_CASE(quarantine_is_at_least_16_requests),
	KUNIT_CASE(quarantine_is_at_most_a_quarter_of_the_room),
	{}
};

static struct kunit_suite abandon_suite = {
	.name = "midwindow_abandon",
	.init = window_init,
	.exit = window_exit,
	.test_cases = abandon_cases,
};

/* ------------------------------------------------------------------------
 * Drain and destroy
 */

static void expect_shut(struct kunit *test, struct mid_window *w)
{
	struct mid_span span = { .first = NO_ID };
	struct mid_tag tag = { .id = NO_ID };

	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN,
			mid_window_reserve(w, 1, 1, &span, 0, WINDOW_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN,
			mid_window_reserve(w, 1, 1, &span, MID_WINDOW_URGENT,
					   WINDOW_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
}

/* For ever, over resets, too.  All but new requests goes on. */
static void shut_refuses_new_requests_permanently(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = window_reserve(test, 2);
	u64 id = window_send(test, nr_ctx(3)), async_id;
	struct mid_tag tag = { .id = NO_ID };

	mid_window_shut(w);
	mid_window_shut(w);
	expect_shut(test, w);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, mid_window_associate(w, &span, 1, w, &tag,
							       GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	EXPECT_SPAN(test, span, 1, 2);
	mid_window_give_back(w, &span);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, window_available(w), 10);
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, id, 1000), 0);
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(3));
	window_reset(test);
	expect_shut(test, w);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, WINDOW_TIMEOUT), 0);
}

/* It waits for requests, not for spans. */
static void drain_refuses_new_requests_permanently(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);

	window_reserve(test, 2);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), 0);
	expect_shut(test, w);
	window_reset(test);
	expect_shut(test, w);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, WINDOW_TIMEOUT), 0);
}

static void drain_waits_for_requests_in_flight(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 a, b;

	window_grant(test, 2);
	a = window_send(test, nr_ctx(1));
	b = window_send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 2), -ETIMEDOUT);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, a), nr_ctx(1));
	/* The drain ends with the quarantine of the abandoned request. */
	mid_window_abandon(w, TAG(1, b), nr_ctx(2), HZ);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, WINDOW_TIMEOUT), 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static void drain_sends_waiters_off(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 1);
	unsigned int i;

	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 2);
	window_enqueue_urgent(test, 2, 2);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 1), -ETIMEDOUT);
	for (i = 0; i < 3; i++)
		expect_waiter_error(test, &id_waiters[i], -ESHUTDOWN);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 0), nr_ctx(0));
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), 0);
}

/* All waiters have left before the destructor gets the first request. */
static void count_after_waiters(void *ctx, u64 id, void *arg)
{
	struct census *census = arg;
	unsigned int i;

	for (i = 0; i < 10; i++)
		census->wrong += !READ_ONCE(id_waiters[i].err);
	count_in_order(ctx, id, arg);
}

static void destroy_lets_waiters_leave_first(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	unsigned int i;

	window_busy(test, 2);
	window_reserve(test, 2);	/* is forgotten */
	for (i = 0; i < 10; i++)
		window_enqueue(test, i, 1 + i);
	mid_window_destroy(test->priv, count_after_waiters, census);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, census->calls, 1);
	KUNIT_EXPECT_EQ(test, census->wrong, 0);
	for (i = 0; i < 10; i++)
		expect_waiter_error(test, &id_waiters[i], -ESHUTDOWN);
}

static void destroy_hands_over_each_context_once(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));

	mid_window_destroy(many(test), count_in_order, census);
	test->priv = NULL;
	expect_thirds(test, census);
}

static void destroy_of_a_drained_window_calls_nobody(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = negotiated(test, 10);

	KUNIT_EXPECT_EQ(test, mid_window_drain(w, WINDOW_TIMEOUT), 0);
	mid_window_destroy(w, count_ctx, census);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, census->calls, 0);
}

static struct kunit_case end_cases[] = {
	KUNIT_CASE(shut_refuses_new_requests_permanently),
	KUNIT_CASE(drain_refuses_new_requests_permanently),
	KUNIT_CASE(drain_waits_for_requests_in_flight),
	KUNIT_CASE(drain_sends_waiters_off),
	KUNIT_CASE(destroy_lets_waiters_leave_first),
	KUNIT_CASE(destroy_hands_over_each_context_once),
	KUNIT_CASE(destroy_of_a_drained_window_calls_nobody),
	{}
};

static struct kunit_suite end_suite = {
	.name = "midwindow_end",
	.init = window_init,
	.exit = window_exit,
	.test_cases = end_cases,
};

/* ------------------------------------------------------------------------
 * Interrupts
 */

#define IRQ_IDS	8

struct irq_calls {
	struct mid_window *w;
	unsigned int wrong;
};

static void ignore_ctx(void *ctx, u64 id, void *arg)
{
}

static bool want_ctx(void *ctx, u64 id, unsigned long age, void *arg)
{
	return true;
}

/* Makes every call that is allowed in interrupts. There are slots enough. */
static void make_calls(void *arg)
{
	struct irq_calls *c = arg;
	struct mid_window *w = c->w;
	u32 epoch = mid_window_epoch(w);
	struct mid_window_stats stats;
	struct mid_span span;
	struct mid_tag tag;
	u64 id = 0, async_id;

	c->wrong += mid_window_grant(w, epoch, 4) != 0;
	c->wrong += mid_window_set_aside(w, 1) != 0;
	c->wrong += mid_window_reserve(w, 1, 2, &span, 0, 0) != 0;
	c->wrong += mid_window_associate(w, &span, 1, c, &tag, GFP_ATOMIC) != 0;
	c->wrong += mid_window_stray(w, epoch, tag.id) != MID_STRAY_LIVE;
	mid_window_give_back(w, &span);
	c->wrong += mid_window_begin(w, 1, c, &tag, GFP_ATOMIC) != 0;
	c->wrong += mid_window_map(w, epoch, id) != nr_ctx(id);
	c->wrong += mid_window_reassociate(w, TAG(epoch, id), w) != nr_ctx(id);
	c->wrong += mid_window_note_async(w, epoch, id, 1000 + id) != 0;
	c->wrong += !mid_window_async_id(w, TAG(epoch, id), &async_id);
	c->wrong += mid_window_for_each(w, ignore_ctx, NULL) == 0;
	c->wrong += mid_window_dissociate(w, epoch, id++) != w;
	c->wrong += mid_window_dissociate(w, epoch, id) != nr_ctx(id);
	c->wrong += !!mid_window_dissociate(w, epoch, id++);
	c->wrong += !mid_window_dissociate_if(w, TAG(epoch, id), nr_ctx(id));
	id++;
	c->wrong += !mid_window_abandon(w, TAG(epoch, id), nr_ctx(id), HZ);
	c->wrong += !!mid_window_dissociate(w, epoch, id++);
	c->wrong += !mid_window_abandon(w, TAG(epoch, id), nr_ctx(id), HZ);
	id++;
	c->wrong += !mid_window_unsend(w, TAG(epoch, id), nr_ctx(id));
	c->wrong += mid_window_claim_if(w, LONG_TIME, NULL, NULL, NULL) != 0;
	mid_window_stats(w, &stats);
	c->wrong += mid_window_claim_if(w, 0, want_ctx, ignore_ctx, NULL) == 0;
	c->wrong += mid_window_reset(w, NULL, NULL) != epoch + 1;
	mid_window_resume(w, epoch + 1);
	mid_window_shut(w);
}

static struct irq_calls *irq_calls(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));
	unsigned int i;

	c->w = test->priv;
	window_grant(test, IRQ_IDS);
	for (i = 0; i < IRQ_IDS; i++)
		window_send(test, nr_ctx(i));
	return c;
}

static void hardirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = irq_calls(test);

	run_in_hardirq(test, make_calls, c);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

static void softirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = irq_calls(test);

	run_in_softirq(test, make_calls, c);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

#define IRQ_ITERATIONS	100000

/* Runs a request from its associate to its claim. */
static bool irq_request(struct mid_window *w, struct mid_tag *tag)
{
	return mid_window_map(w, 1, tag->id) == tag &&
	       mid_window_reassociate(w, tag, w) == tag &&
	       mid_window_dissociate(w, 1, tag->id) == w;
}

/* Uses two of three ids and gives one back; then a second request uses one id. */
static bool irq_churn(void *arg)
{
	struct mid_window *w = arg;
	struct mid_span span;
	struct mid_tag tag;

	if (reserve_now(w, 3, &span) ||
	    mid_window_associate(w, &span, 2, &tag, &tag, GFP_ATOMIC) ||
	    !irq_request(w, &tag))
		return false;
	mid_window_give_back(w, &span);
	if (mid_window_begin(w, 1, &tag, &tag, GFP_ATOMIC) || !irq_request(w, &tag))
		return false;
	return !mid_window_grant(w, 1, 3);
}

static void window_serves_task_softirq_and_hardirq_at_once(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 64);

	kunit_run_irq_test(test, irq_churn, IRQ_ITERATIONS, w);
	KUNIT_EXPECT_EQ(test, window_available(w), 64);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static struct kunit_case irq_cases[] = {
	KUNIT_CASE(hardirq_may_make_every_call),
	KUNIT_CASE(softirq_may_make_every_call),
	KUNIT_CASE(window_serves_task_softirq_and_hardirq_at_once),
	{}
};

static struct kunit_suite irq_suite = {
	.name = "midwindow_irq",
	.init = window_init,
	.exit = window_exit,
	.test_cases = irq_cases,
};

/* ------------------------------------------------------------------------
 * The random run: every claim, on requests in every state
 */

#define REQUESTS	512
#define RANDOM_STEPS	200000

enum state { ENDED, LIVE, ABANDONED };

struct random_run {
	struct kunit *test;
	struct mid_window *w;
	struct rnd_state rnd;
	unsigned long step;
	u32 epoch;
	u64 late;
	struct {
		enum state state;
		void *ctx;
		u32 epoch;
		u64 id;
		u64 async_id;	/* 0: none */
	} of[REQUESTS];
};

static void random_expect(struct random_run *r, const char *call, unsigned long got,
			  unsigned long expected)
{
	KUNIT_ASSERT_EQ_MSG(r->test, got, expected, "%s at step %lu, seed %u",
			    call, r->step, seed);
}

#define CALL_EXPECT(r, call, expected)					\
	random_expect(r, #call, (unsigned long)(call), (unsigned long)(expected))

static void random_begin(struct random_run *r, unsigned int i)
{
	unsigned int charge = 1 + random_below(&r->rnd, 4);

	window_grant(r->test, charge);
	r->of[i].ctx = nr_ctx(r->step);
	r->of[i].id = window_send_large(r->test, charge, r->of[i].ctx);
	r->of[i].epoch = r->epoch;
	r->of[i].async_id = 0;
	r->of[i].state = LIVE;
}

static void random_reset(struct random_run *r)
{
	unsigned int i;

	r->epoch = window_reset(r->test);
	for (i = 0; i < REQUESTS; i++)
		r->of[i].state = ENDED;
}

/* The request that every call should see. */
static void *random_ctx(struct random_run *r, unsigned int i)
{
	return r->of[i].state == LIVE ? r->of[i].ctx : NULL;
}

static void random_end(struct random_run *r, unsigned int i)
{
	r->late += r->of[i].state == ABANDONED;
	r->of[i].state = ENDED;
}

static void random_step(struct random_run *r, unsigned int i)
{
	void *ctx = random_ctx(r, i), *wrong = nr_ctx(r->step), *mine = r->of[i].ctx;
	u64 id = r->of[i].id, async_id = r->of[i].async_id;
	u32 epoch = r->of[i].epoch;
	bool known;
	u64 got;

	switch (random_below(&r->rnd, 10)) {
	case 0:
		CALL_EXPECT(r, mid_window_dissociate(r->w, epoch, id), ctx);
		random_end(r, i);
		break;
	case 1:
		CALL_EXPECT(r, mid_window_dissociate_if(r->w, TAG(epoch, id), wrong), 0);
		CALL_EXPECT(r, mid_window_dissociate_if(r->w, TAG(epoch, id), mine), !!ctx);
		if (ctx)
			r->of[i].state = ENDED;
		break;
	case 2:
		if (async_id)
			break;		/* the server has seen it */
		CALL_EXPECT(r, mid_window_unsend(r->w, TAG(epoch, id), wrong), 0);
		CALL_EXPECT(r, mid_window_unsend(r->w, TAG(epoch, id), mine), !!ctx);
		if (ctx)
			r->of[i].state = ENDED;
		break;
	case 3:
		CALL_EXPECT(r, mid_window_abandon(r->w, TAG(epoch, id), wrong, LONG_TIME), 0);
		CALL_EXPECT(r, mid_window_abandon(r->w, TAG(epoch, id), mine, LONG_TIME), !!ctx);
		if (ctx)
			r->of[i].state = ABANDONED;
		break;
	case 4:
		CALL_EXPECT(r, mid_window_reassociate(r->w, TAG(epoch, id), wrong), ctx);
		r->of[i].ctx = wrong;
		break;
	case 5:
		if (r->of[i].state == ENDED || async_id)
			break;
		async_id = 1 + r->step;
		CALL_EXPECT(r, mid_window_note_async(r->w, epoch, id, async_id), 0);
		r->of[i].async_id = async_id;
		break;
	case 6:
		known = r->of[i].state != ENDED && async_id;
		CALL_EXPECT(r, mid_window_async_id(r->w, TAG(epoch, id), &got), known);
		if (known)
			CALL_EXPECT(r, got, async_id);
		break;
	case 7:
		if (r->of[i].state == LIVE) {
			CALL_EXPECT(r, mid_window_stray(r->w, epoch, id),
				    MID_STRAY_LIVE);
		} else if (r->of[i].state == ABANDONED) {
			CALL_EXPECT(r, mid_window_stray(r->w, epoch, id),
				    MID_STRAY_LATE);
			random_end(r, i);
		}
		break;
	default:
		CALL_EXPECT(r, mid_window_map(r->w, epoch, id), ctx);
	}
}

static void random_check(struct random_run *r)
{
	struct mid_window_stats stats = window_stats(r->w);
	unsigned int i, live = 0, abandoned = 0;

	for (i = 0; i < REQUESTS; i++) {
		live += r->of[i].state == LIVE;
		abandoned += r->of[i].state == ABANDONED;
	}
	CALL_EXPECT(r, stats.in_use, live + abandoned);
	CALL_EXPECT(r, stats.abandoned, abandoned);
	CALL_EXPECT(r, stats.late, r->late);
	CALL_EXPECT(r, stats.associated - stats.dissociated, live);
	CALL_EXPECT(r, mid_window_for_each(r->w, ignore_ctx, NULL), live);
}

/* An id that was unsent is used again: the model forgets its first request. */
static void random_forget(struct random_run *r, u64 id)
{
	unsigned int i;

	for (i = 0; i < REQUESTS; i++)
		if (r->of[i].state == ENDED && r->of[i].id == id)
			r->of[i].epoch = 0;
}

static void random_claims_agree_with_the_model(struct kunit *test)
{
	struct random_run *r = test_alloc(test, sizeof(*r));
	unsigned int i;

	r->test = test;
	r->w = test->priv;
	r->epoch = mid_window_epoch(r->w);
	prandom_seed_state(&r->rnd, seed);
	for (r->step = 0; r->step < RANDOM_STEPS; r->step++) {
		i = random_below(&r->rnd, REQUESTS);
		if (r->of[i].state == ENDED && random_below(&r->rnd, 2)) {
			random_begin(r, i);
			random_forget(r, r->of[i].id);
		} else {
			random_step(r, i);
		}
		if (r->step % 1024 == 0) {
			random_check(r);
			cond_resched();
		}
		if (!random_below(&r->rnd, 20000))
			random_reset(r);
	}
	kunit_info(test, "%lu steps, %u connections, seed %u\n", r->step, r->epoch,
		   seed);
	KUNIT_EXPECT_GT(test, r->epoch, 3);
}

static struct kunit_case random_cases[] = {
	KUNIT_CASE(random_claims_agree_with_the_model),
	{}
};

static struct kunit_suite random_suite = {
	.name = "midwindow_random",
	.init = window_init,
	.exit = window_exit,
	.test_cases = random_cases,
};

kunit_test_suites(&flight_suite, &epoch_suite, &async_suite, &abandon_suite,
		  &end_suite, &irq_suite, &random_suite);

MODULE_DESCRIPTION("KUnit tests of the lifecycle of requests in a MessageId window");
MODULE_LICENSE("GPL");
