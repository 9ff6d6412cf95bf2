// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_credits_kunit - tests of tasks that wait for a window's credits
 *
 * There is one suite for each of: the order in which waiters are served, reserves
 * that take what there is, ids that are set aside, reserves that can never be
 * served, resets, and waiters that leave.
 *
 * In most tests the request of id 0 stays in flight: as long as a reply may come,
 * a reserve may wait.
 */
#include "fixture.h"

static void grant_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct id_waiter *waiter = window_enqueue(test, 0, 3);

	KUNIT_EXPECT_EQ(test, window_stats(w).wants, 3);
	window_grant(test, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 1);
	window_grant(test, 2);
	expect_waiter_span(test, waiter, 1, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).wants, 0);
	expect_available(test, 1);
}

/* A request begins and ends while a task waits, and a reply comes in between. */
static void grant_notes_the_peak_while_a_task_waits(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 1);
	struct id_waiter *waiter;
	struct mid_span span;
	struct mid_tag tag;

	KUNIT_ASSERT_EQ(test, reserve_now(w, 1, &span), 0);
	waiter = window_enqueue(test, 0, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).high_water, 1);
	KUNIT_ASSERT_EQ(test, mid_window_associate(w, &span, 1, nr_ctx(2), &tag, GFP_KERNEL), 0);
	window_grant(test, 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, tag.epoch, tag.id), nr_ctx(2));
	KUNIT_EXPECT_EQ(test, window_stats(w).high_water, 2);
	window_grant(test, 1);
	expect_waiter_span(test, waiter, 2, 3);
}

static void large_request_is_not_overtaken_by_small_ones(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_tag tag = { .id = NO_ID };
	struct mid_span span;
	u64 exhausted;
	unsigned int i;

	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 16);
	for (i = 2; i < 10; i++)
		window_enqueue(test, i, 1);
	exhausted = window_stats(w).exhausted;
	for (i = 0; i < 17; i++) {
		window_grant(test, 1);
		/* A new request must not overtake it either. */
		KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
		KUNIT_EXPECT_EQ(test, -EAGAIN,
				mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	KUNIT_EXPECT_EQ(test, window_stats(w).exhausted, exhausted + 34);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	window_grant(test, 9);
	expect_waiter_span(test, &id_waiters[0], 1, 2);
	expect_waiter_span(test, &id_waiters[1], 3, 16);
	for (i = 2; i < 10; i++)
		expect_waiter_span(test, &id_waiters[i], 17 + i, 1);
	expect_available(test, 0);
}

static void many_waiters_of_all_sizes_are_served_in_order(struct kunit *test)
{
	unsigned int i, total = 0, granted = 0;
	struct rnd_state rnd;

	window_busy(test, 0);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < ID_WAITERS; i++) {
		window_enqueue(test, i, 1 + random_below(&rnd, 16));
		total += id_waiters[i].min;
	}
	while (granted < total) {
		unsigned int credits = min(random_below(&rnd, 40), total - granted);

		window_grant(test, credits);
		granted += credits;
	}
	for (i = 0, total = 1; i < ID_WAITERS; i++) {
		window_join(test, &id_waiters[i]);
		KUNIT_ASSERT_EQ(test, id_waiters[i].err, 0);
		KUNIT_ASSERT_EQ(test, id_waiters[i].span.first, total);
		total += id_waiters[i].min;
	}
	expect_available(test, 0);
}

/* A server may grant nothing until it has got the lowest id: it must be sent soon. */
static void given_back_id_serves_the_smallest_request(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 4);
	struct mid_span one = window_reserve(test, 1), two = window_reserve(test, 2);

	window_reserve(test, 1);
	window_enqueue(test, 0, 16);
	window_enqueue(test, 1, 2);
	window_enqueue(test, 2, 1);
	window_enqueue(test, 3, 1);
	mid_window_give_back(w, &one);
	expect_waiter_span(test, &id_waiters[2], 1, 1);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[3]));
	mid_window_give_back(w, &two);
	expect_waiter_span(test, &id_waiters[3], 2, 1);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));

	/* Credits of the replies serve the first waiter. */
	window_grant(test, 16);
	expect_waiter_span(test, &id_waiters[0], 5, 16);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	window_grant(test, 2);
	expect_waiter_span(test, &id_waiters[1], 21, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 1);
}

/* The same, but a new request is the smallest one. */
static void new_request_gets_ids_that_are_too_few_for_all_waiters(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 4);
	struct mid_span two = window_reserve(test, 2), span = { .first = NO_ID };

	window_reserve(test, 2);
	window_enqueue(test, 0, 3);
	mid_window_give_back(w, &two);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 3, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 4, &span), -EAGAIN);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 16, &span, 0, HZ));
	EXPECT_SPAN(test, span, 2, 1);
	/* The newly granted id is reserved for the first waiter. */
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	window_grant(test, 2);
	expect_waiter_span(test, &id_waiters[0], 5, 3);
}

/* The window has stopped at a given-back id 0; all ids up to ID_SPREAD are used. */
static struct mid_span stalled_window(struct kunit *test)
{
	struct mid_span old;

	window_grant(test, 4 * ID_SPREAD);
	old = window_reserve(test, 1);
	window_send_large(test, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	window_send_large(test, MID_WINDOW_MAX_SPAN - 1, nr_ctx(2));
	return old;
}

/*
 * The given-back id is too little for each waiter.  A new request of one id, for
 * example an ECHO, makes the window advance.
 */
static void small_request_makes_a_stalled_window_advance(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span hole = stalled_window(test), span;

	mid_window_give_back(w, &hole);
	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, window_stats(w).stalled);
	span = window_reserve(test, 1);
	KUNIT_EXPECT_EQ(test, window_associate(test, &span, 1, nr_ctx(3)), 0);
	expect_waiter_span(test, &id_waiters[0], ID_SPREAD, 2);
	expect_waiter_span(test, &id_waiters[1], ID_SPREAD + 2, 2);
	KUNIT_EXPECT_FALSE(test, window_stats(w).stalled);
}

static void given_back_ids_that_merge_serve_the_first_waiter(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 5);
	struct mid_span a = window_reserve(test, 2), b = window_reserve(test, 2);

	window_reserve(test, 1);
	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 3);
	mid_window_give_back(w, &b);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	mid_window_give_back(w, &a);
	expect_waiter_span(test, &id_waiters[0], 1, 4);
	window_grant(test, 3);
	expect_waiter_span(test, &id_waiters[1], 6, 3);
}

/* The window advances when the oldest span is sent, without a grant or give_back. */
static void associate_of_the_oldest_span_serves_waiters(struct kunit *test)
{
	struct mid_span old = stalled_window(test);

	window_enqueue(test, 0, 1);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	window_associate(test, &old, 1, nr_ctx(3));
	expect_waiter_span(test, &id_waiters[0], ID_SPREAD, 1);
	expect_waiter_span(test, &id_waiters[1], ID_SPREAD + 1, 2);
}

static void unsend_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 1);
	u64 id = window_send(test, nr_ctx(1));

	window_enqueue(test, 0, 1);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
	expect_waiter_span(test, &id_waiters[0], id, 1);
}

static void urgent_request_goes_in_front(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_span span;

	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 1);
	window_enqueue_urgent(test, 2, 2);
	window_enqueue_urgent(test, 3, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).wants, 2);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 4);
	window_grant(test, 2);
	expect_waiter_span(test, &id_waiters[2], 1, 2);
	expect_waiter_span(test, &id_waiters[3], 3, 1);
	/* An urgent request does not wait if there are ids and no urgent waiters. */
	window_grant(test, 3);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 4, 1);
	window_grant(test, 3);
	expect_waiter_span(test, &id_waiters[0], 5, 4);
	expect_waiter_span(test, &id_waiters[1], 9, 1);
}

static void urgent_request_waits_behind_earlier_urgent_ones(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 1);
	struct mid_span span = { .first = NO_ID };

	window_enqueue_urgent(test, 0, 2);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	window_grant(test, 1);
	expect_waiter_span(test, &id_waiters[0], 1, 2);
}

static struct kunit_case order_cases[] = {
	KUNIT_CASE(grant_serves_a_waiter),
	KUNIT_CASE(grant_notes_the_peak_while_a_task_waits),
	KUNIT_CASE(large_request_is_not_overtaken_by_small_ones),
	KUNIT_CASE(many_waiters_of_all_sizes_are_served_in_order),
	KUNIT_CASE(given_back_id_serves_the_smallest_request),
	KUNIT_CASE(new_request_gets_ids_that_are_too_few_for_all_waiters),
	KUNIT_CASE(small_request_makes_a_stalled_window_advance),
	KUNIT_CASE(given_back_ids_that_merge_serve_the_first_waiter),
	KUNIT_CASE(associate_of_the_oldest_span_serves_waiters),
	KUNIT_CASE(unsend_serves_a_waiter),
	KUNIT_CASE(urgent_request_goes_in_front),
	KUNIT_CASE(urgent_request_waits_behind_earlier_urgent_ones),
	{}
};

static struct kunit_suite order_suite = {
	.name = "midwindow_wait",
	.init = window_init,
	.exit = window_exit,
	.test_cases = order_cases,
};

/* ------------------------------------------------------------------------
 * Reserves that take what there is
 */

static void reserve_takes_what_there_is_up_to_its_maximum(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 10);
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_reserve(w, 11, 16, &span, 0, 0));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 4, 16, &span, 0, 0));
	EXPECT_SPAN(test, span, 1, 10);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 4, &span, 0, 0));
	EXPECT_SPAN(test, span, 1, 4);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 6, MID_WINDOW_MAX_SPAN,
						    &span, 0, 0));
	EXPECT_SPAN(test, span, 5, 6);
}

/* "The client MUST use the lowest available range" (MS-SMB2 3.2.4.1.6). */
static void lowest_run_of_the_minimum_is_taken_though_a_longer_one_follows(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 30);
	struct mid_span one = window_reserve(test, 1), used = window_reserve(test, 1),
			three = window_reserve(test, 3), span;

	window_associate(test, &used, 1, nr_ctx(2));
	used = window_reserve(test, 1);
	window_associate(test, &used, 1, nr_ctx(6));
	mid_window_give_back(w, &one);			/* 1 */
	mid_window_give_back(w, &three);		/* 3, 4, 5 */
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 2, 16, &span, 0, 0));
	EXPECT_SPAN(test, span, 3, 3);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 16, &span, 0, 0));
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 16, &span, 0, 0));
	EXPECT_SPAN(test, span, 7, 16);
}

/* The run crosses the borders of words of 64 bits. */
static void long_run_is_found_and_taken_across_words(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 600);
	struct mid_span before = window_reserve(test, 50), run, used, span;

	run = window_reserve(test, 300);		/* 51 to 350 */
	used = window_reserve(test, 1);
	window_associate(test, &used, 1, nr_ctx(351));
	window_associate(test, &before, 50, nr_ctx(1));
	mid_window_give_back(w, &run);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 300);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 301, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 100, 140, &span, 0, 0));
	EXPECT_SPAN(test, span, 51, 140);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 100, 200, &span, 0, 0));
	EXPECT_SPAN(test, span, 191, 160);
}

static void waiter_for_a_minimum_gets_all_there_is(struct kunit *test)
{
	window_busy(test, 0);
	window_start(test, 0, 4, 16, 0, NO_TIMEOUT);
	window_await_waiters(test, 1);
	window_start(test, 1, 1, 4, 0, NO_TIMEOUT);
	window_await_waiters(test, 2);
	KUNIT_EXPECT_EQ(test, window_stats(test->priv).wants, 4);
	window_grant(test, 3);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	window_grant(test, 3);
	expect_waiter_span(test, &id_waiters[0], 1, 6);
	window_grant(test, 100);
	expect_waiter_span(test, &id_waiters[1], 7, 4);
	expect_available(test, 96);
}

static struct kunit_case amount_cases[] = {
	KUNIT_CASE(reserve_takes_what_there_is_up_to_its_maximum),
	KUNIT_CASE(lowest_run_of_the_minimum_is_taken_though_a_longer_one_follows),
	KUNIT_CASE(long_run_is_found_and_taken_across_words),
	KUNIT_CASE(waiter_for_a_minimum_gets_all_there_is),
	{}
};

static struct kunit_suite amount_suite = {
	.name = "midwindow_amount",
	.init = window_init,
	.exit = window_exit,
	.test_cases = amount_cases,
};

/* ------------------------------------------------------------------------
 * Ids that are set aside
 */

static void ids_set_aside_are_left_to_urgent_requests(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 4);
	struct mid_tag tag = { .id = NO_ID };
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 1), 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).aside, 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 4, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 4, &span, 0, 0));
	EXPECT_SPAN(test, span, 1, 3);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 4, 1);
}

/* A later grant is first set aside again; then ordinary requests get ids. */
static void ids_set_aside_are_a_number_not_certain_ones(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 3);
	struct mid_span low = window_reserve(test, 1), span;

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 2), 0);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	mid_window_give_back(w, &low);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 2, &span), 0);
	EXPECT_SPAN(test, span, 2, 2);
	window_grant(test, 2);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	window_grant(test, 1);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 4, 1);
}

static void fewer_ids_set_aside_serve_a_waiter(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 2);

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 2), 0);
	window_enqueue(test, 0, 1);
	window_enqueue(test, 1, 1);
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 1), 0);
	expect_waiter_span(test, &id_waiters[0], 1, 1);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 0), 0);
	expect_waiter_span(test, &id_waiters[1], 2, 1);
}

static void first_request_is_urgent_if_ids_were_set_aside_before_it(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_tag tag;
	struct mid_span span;

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 1), 0);
	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 0, 1);
}

static void too_many_ids_set_aside_are_refused(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 2);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_window_set_aside(w, MID_WINDOW_MAX_SPAN + 1));
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, UINT_MAX), -EINVAL);
	expect_available(test, 2);
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, MID_WINDOW_MAX_SPAN), 0);
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, UINT_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 0), 0);
	expect_available(test, 2);
}

static struct kunit_case aside_cases[] = {
	KUNIT_CASE(ids_set_aside_are_left_to_urgent_requests),
	KUNIT_CASE(ids_set_aside_are_a_number_not_certain_ones),
	KUNIT_CASE(fewer_ids_set_aside_serve_a_waiter),
	KUNIT_CASE(first_request_is_urgent_if_ids_were_set_aside_before_it),
	KUNIT_CASE(too_many_ids_set_aside_are_refused),
	{}
};

static struct kunit_suite aside_suite = {
	.name = "midwindow_aside",
	.init = window_init,
	.exit = window_exit,
	.test_cases = aside_cases,
};

/* ------------------------------------------------------------------------
 * Reserves that can never be served
 */

static void reserve_that_nothing_can_serve_fails_at_once(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, reserve_now(w, 11, &span), -EDEADLK);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 11, &span), -EDEADLK);
	KUNIT_EXPECT_EQ(test, -EDEADLK,
			mid_window_reserve(w, 11, 16, &span, 0, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -EDEADLK,
			mid_window_reserve(w, 11, 11, &span, MID_WINDOW_URGENT,
					   NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	expect_available(test, 10);
}

/* begin has one error for all that: its caller did not mean to wait. */
static void begin_that_nothing_can_serve_says_eagain(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 1);
	struct mid_tag tag = { .id = NO_ID };

	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_begin(w, 2, w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	expect_available(test, 1);
}

static void last_span_that_comes_back_ends_the_wait(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 5);
	struct mid_span span = window_reserve(test, 5);

	window_enqueue(test, 0, 16);
	window_enqueue(test, 1, 8);
	window_enqueue(test, 2, 4);
	mid_window_give_back(w, &span);
	expect_waiter_error(test, &id_waiters[0], -EDEADLK);
	expect_waiter_error(test, &id_waiters[1], -EDEADLK);
	expect_waiter_span(test, &id_waiters[2], 1, 4);
}

enum last { DISSOCIATE, DISSOCIATE_IF, UNSEND, CLAIM_IF, ABANDON, STRAY, LASTS };

static const char *const last_names[] = {
	"dissociate", "dissociate_if", "unsend", "claim_if", "abandon", "stray",
};

static void end_last(struct kunit *test, struct mid_window *w, u64 id,
		     enum last last)
{
	switch (last) {
	case DISSOCIATE:
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), w);
		break;
	case DISSOCIATE_IF:
		KUNIT_EXPECT_TRUE(test, mid_window_dissociate_if(w, TAG(1, id), w));
		break;
	case UNSEND:
		KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, id), w));
		break;
	case CLAIM_IF:
		KUNIT_EXPECT_EQ(test, 1, mid_window_claim_if(w, 0, NULL, NULL, NULL));
		break;
	case ABANDON:
		KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, id), w, 2));
		break;
	default:
		KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, id), w,
							   LONG_TIME));
		KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
		KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, id), MID_STRAY_LATE);
	}
}

/* Each way in which the last request can end, its quarantine included. */
static void last_request_that_ends_without_credits_ends_the_wait(struct kunit *test)
{
	struct mid_window *w = test->priv;
	enum last last;
	u64 id;

	for (last = DISSOCIATE; last < LASTS; last++) {
		kunit_info(test, "%s\n", last_names[last]);
		if (!window_available(w))
			window_grant(test, 1);
		id = window_send(test, w);
		window_enqueue(test, 0, 2);
		end_last(test, w, id, last);
		expect_waiter_error(test, &id_waiters[0], -EDEADLK);
		KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	}
}

/* The first waiter leaves; what was too little for it is enough for the second. */
static void next_in_line_is_served_when_the_first_can_never_be(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 10);

	window_enqueue(test, 0, 16);
	window_enqueue(test, 1, 12);
	window_enqueue(test, 2, 9);
	window_enqueue(test, 3, 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 0), nr_ctx(0));
	expect_waiter_error(test, &id_waiters[0], -EDEADLK);
	expect_waiter_error(test, &id_waiters[1], -EDEADLK);
	expect_waiter_span(test, &id_waiters[2], 1, 9);
	/* Now a span is out: its request may bring credits. */
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[3]));
	window_associate(test, &id_waiters[2].span, 9, w);
	window_grant(test, 1);
	expect_waiter_span(test, &id_waiters[3], 10, 2);
}

static void reserve_waits_while_a_request_is_in_quarantine(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_span span;

	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, 0), nr_ctx(0),
						   LONG_TIME));
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_window_reserve(w, 1, 1, &span, 0, 1));
	/* The late reply has credits. */
	window_enqueue(test, 0, 1);
	window_grant(test, 1);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, 0));
	expect_waiter_span(test, &id_waiters[0], 1, 1);
}

/* All credits are set aside, and nobody will ever use them up. */
static void ordinary_reserve_fails_if_all_that_is_left_is_set_aside(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	struct mid_span span;

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 2), 0);
	KUNIT_EXPECT_EQ(test, -EDEADLK,
			mid_window_reserve(w, 1, 1, &span, 0, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 2, &span), 0);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
}

static void set_aside_that_leaves_too_little_ends_the_wait(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span span = window_reserve(test, 4);

	window_enqueue(test, 0, 3);
	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 2), 0);
	mid_window_give_back(w, &span);
	expect_waiter_error(test, &id_waiters[0], -EDEADLK);
}

static struct kunit_case deadlock_cases[] = {
	KUNIT_CASE(reserve_that_nothing_can_serve_fails_at_once),
	KUNIT_CASE(begin_that_nothing_can_serve_says_eagain),
	KUNIT_CASE(last_span_that_comes_back_ends_the_wait),
	KUNIT_CASE(last_request_that_ends_without_credits_ends_the_wait),
	KUNIT_CASE(next_in_line_is_served_when_the_first_can_never_be),
	KUNIT_CASE(reserve_waits_while_a_request_is_in_quarantine),
	KUNIT_CASE(ordinary_reserve_fails_if_all_that_is_left_is_set_aside),
	KUNIT_CASE(set_aside_that_leaves_too_little_ends_the_wait),
	{}
};

static struct kunit_suite deadlock_suite = {
	.name = "midwindow_deadlock",
	.init = window_init,
	.exit = window_exit,
	.test_cases = deadlock_cases,
};

/* ------------------------------------------------------------------------
 * Resets
 */

/*
 * After a reconnect the window is {0}, and all waiters stay in the queue.  NEGOTIATE
 * must get id 0, also if the first waiter wants just one id, and SESSION_SETUP the
 * next one.  The waiters are served after resume.
 */
static void waiters_stay_in_line_through_a_reset(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_span span;
	u64 id;

	window_enqueue(test, 0, 1);
	window_enqueue(test, 1, 4);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	KUNIT_ASSERT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 0, 1);
	id = window_associate(test, &span, 1, nr_ctx(1));
	window_grant(test, 6);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, id), nr_ctx(1));
	KUNIT_ASSERT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	mid_window_resume(w, 2);
	expect_waiter_span(test, &id_waiters[0], 2, 1);
	expect_waiter_span(test, &id_waiters[1], 3, 4);
	KUNIT_EXPECT_EQ(test, id_waiters[0].span.epoch, 2);
}

static void nothing_ordinary_gets_ids_before_resume(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span span = { .first = NO_ID };
	struct mid_tag tag = { .id = NO_ID };

	KUNIT_EXPECT_EQ(test, mid_window_reset(w, NULL, NULL), 2);
	window_grant(test, 9);
	/* Not -EDEADLK: after resume there may be enough. */
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 11, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_window_reserve(w, 1, 4, &span, 0, 1));
	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	/* Given back ids are for urgent ones, too. */
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 2, &span), 0);
	span = (struct mid_span){ span.first, 1, span.epoch };
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 0, 1);
	mid_window_resume(w, 2);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(2)), 2);
}

static void resume_of_an_older_connection_or_a_second_one_does_nothing(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span span;

	mid_window_resume(w, 1);	/* is open since create */
	mid_window_resume(w, 0);
	mid_window_resume(w, 2);
	expect_available(test, 4);
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, NULL, NULL), 2);
	mid_window_resume(w, 1);
	mid_window_resume(w, 3);
	mid_window_resume(w, 0);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	mid_window_resume(w, 2);
	mid_window_resume(w, 2);
	expect_available(test, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, NULL, NULL), 3);
	mid_window_resume(w, 2);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
}

static void urgent_waiters_leave_with_their_connection(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_span span;

	window_enqueue(test, 0, 1);
	window_enqueue_urgent(test, 1, 1);
	window_enqueue_urgent(test, 2, 4);
	mid_window_reset(w, NULL, NULL);
	expect_waiter_error(test, &id_waiters[1], -ESTALE);
	expect_waiter_error(test, &id_waiters[2], -ESTALE);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	EXPECT_SPAN(test, span, 0, 1);
}

/* Before resume an urgent reserve may wait, too: SESSION_SETUP for NEGOTIATE. */
static void urgent_waiter_is_served_before_resume(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span span;

	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 2, &span), -EDEADLK);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), 0);
	window_associate(test, &span, 1, nr_ctx(0));
	window_enqueue_urgent(test, 0, 1);
	window_grant(test, 1);
	expect_waiter_span(test, &id_waiters[0], 1, 1);
}

static void waiter_that_can_never_be_served_leaves_at_resume(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);

	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 1);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	mid_window_resume(w, 2);
	expect_waiter_error(test, &id_waiters[0], -EDEADLK);
	expect_waiter_span(test, &id_waiters[1], 0, 1);
}

static void waiter_times_out_or_is_killed_before_resume(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);

	window_start(test, 0, 1, 1, 0, HZ / 4);
	window_await_waiters(test, 1);
	window_enqueue(test, 1, 1);
	mid_window_reset(w, NULL, NULL);
	expect_waiter_error(test, &id_waiters[0], -ETIMEDOUT);
	send_sig(SIGKILL, id_waiters[1].task, 1);
	expect_waiter_error(test, &id_waiters[1], -ERESTARTSYS);
	mid_window_resume(w, 2);
	expect_available(test, 1);
}

static struct kunit_case resume_cases[] = {
	KUNIT_CASE(waiters_stay_in_line_through_a_reset),
	KUNIT_CASE(nothing_ordinary_gets_ids_before_resume),
	KUNIT_CASE(resume_of_an_older_connection_or_a_second_one_does_nothing),
	KUNIT_CASE(urgent_waiters_leave_with_their_connection),
	KUNIT_CASE(urgent_waiter_is_served_before_resume),
	KUNIT_CASE(waiter_that_can_never_be_served_leaves_at_resume),
	KUNIT_CASE(waiter_times_out_or_is_killed_before_resume),
	{}
};

static struct kunit_suite resume_suite = {
	.name = "midwindow_resume",
	.init = window_init,
	.exit = window_exit,
	.test_cases = resume_cases,
};

/* ------------------------------------------------------------------------
 * Waiters that leave
 */

static void killed_waiter_leaves_and_the_next_moves_up(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 3);

	window_enqueue(test, 0, 10);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	send_sig(SIGKILL, id_waiters[0].task, 1);
	expect_waiter_error(test, &id_waiters[0], -ERESTARTSYS);
	expect_waiter_span(test, &id_waiters[1], 1, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 0);
	expect_available(test, 1);
}

static void timed_out_waiter_leaves_and_the_next_moves_up(struct kunit *test)
{
	unsigned long begin = jiffies;

	window_busy(test, 3);
	window_start(test, 0, 10, 10, 0, 2 * HZ);
	window_await_waiters(test, 1);
	window_enqueue(test, 1, 2);
	expect_waiter_error(test, &id_waiters[0], -ETIMEDOUT);
	KUNIT_EXPECT_GE(test, jiffies - begin, 2 * HZ);
	expect_waiter_span(test, &id_waiters[1], 1, 2);
	expect_available(test, 1);
}

static void timeout_of_0_does_not_wait(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 2);
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 3, 3, &span, 0, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			mid_window_reserve(w, 3, 3, &span, MID_WINDOW_URGENT, 0));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	KUNIT_EXPECT_EQ(test, window_stats(w).exhausted, 2);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, 2, &span, 0, 0), 0);
	EXPECT_SPAN(test, span, 1, 2);
}

static void shut_sends_waiters_off(struct kunit *test)
{
	unsigned int i;

	window_busy(test, 1);
	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 2);
	window_enqueue_urgent(test, 2, 2);
	mid_window_shut(test->priv);
	for (i = 0; i < 3; i++)
		expect_waiter_error(test, &id_waiters[i], -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, window_stats(test->priv).waiters, 0);
}

/*
 * A waiter is killed, or times out, when its id is granted.  Either it gets the id,
 * or the next waiter does.
 */
#define LEAVE_ROUNDS	50

static void next_waiter_gets_the_id_of_a_killed_one(struct kunit *test)
{
	unsigned int round, killed = 0;
	struct rnd_state rnd;
	u64 id = 1;

	window_busy(test, 0);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < LEAVE_ROUNDS; round++) {
		window_enqueue(test, 0, 1);
		window_enqueue(test, 1, 1);
		send_sig(SIGKILL, id_waiters[0].task, 1);
		ndelay(random_below(&rnd, 20000));
		window_grant(test, 1);
		window_join(test, &id_waiters[0]);
		if (id_waiters[0].err) {
			KUNIT_ASSERT_EQ(test, id_waiters[0].err, -ERESTARTSYS);
			killed++;
		} else {
			KUNIT_ASSERT_EQ(test, id_waiters[0].span.first, id++);
			KUNIT_ASSERT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
			window_grant(test, 1);
		}
		window_join(test, &id_waiters[1]);
		KUNIT_ASSERT_EQ(test, id_waiters[1].err, 0);
		KUNIT_ASSERT_EQ(test, id_waiters[1].span.first, id++);
	}
	kunit_info(test, "%u of %u were killed first, seed %u\n", killed, round,
		   seed);
	KUNIT_EXPECT_EQ(test, window_available(test->priv), 0);
	KUNIT_EXPECT_EQ(test, window_stats(test->priv).waiters, 0);
}

static void timed_out_waiter_loses_no_id(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round, late = 0;

	window_busy(test, 0);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < LEAVE_ROUNDS; round++) {
		window_start(test, 0, 1, 1, 0, 2);
		fsleep(jiffies_to_usecs(2) - 500 + random_below(&rnd, 1000));
		window_grant(test, 1);
		window_join(test, &id_waiters[0]);
		if (id_waiters[0].err) {
			KUNIT_ASSERT_EQ(test, id_waiters[0].err, -ETIMEDOUT);
			late++;
			window_reserve(test, 1);
		}
		KUNIT_ASSERT_EQ(test, window_available(test->priv), 0);
	}
	kunit_info(test, "%u of %u timed out, seed %u\n", late, round, seed);
}

static struct kunit_case leave_cases[] = {
	KUNIT_CASE(killed_waiter_leaves_and_the_next_moves_up),
	KUNIT_CASE(timed_out_waiter_leaves_and_the_next_moves_up),
	KUNIT_CASE(timeout_of_0_does_not_wait),
	KUNIT_CASE(shut_sends_waiters_off),
	KUNIT_CASE_SLOW(next_waiter_gets_the_id_of_a_killed_one),
	KUNIT_CASE_SLOW(timed_out_waiter_loses_no_id),
	{}
};

static struct kunit_suite leave_suite = {
	.name = "midwindow_leave",
	.init = window_init,
	.exit = window_exit,
	.test_cases = leave_cases,
};

kunit_test_suites(&order_suite, &amount_suite, &aside_suite, &deadlock_suite,
		  &resume_suite, &leave_suite);

MODULE_DESCRIPTION("KUnit tests of the credits of a MessageId window");
MODULE_LICENSE("GPL");
