// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_credits_kunit - tests of tasks that wait for a window's credits
 *
 * The tests check the order in which waiters are served, urgent requests, ids that
 * are too few for the first waiter, resets, timeouts and signals.
 */
#include "fixture.h"

static void grant_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);
	struct id_waiter *waiter = window_enqueue(test, 0, 3);

	window_grant(test, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 1);
	window_grant(test, 2);
	window_join(test, waiter);
	KUNIT_EXPECT_EQ(test, waiter->err, 0);
	EXPECT_SPAN(test, waiter->span, 1, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 0);
	expect_available(test, 1);
}

static void large_request_is_not_overtaken_by_small_ones(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);
	struct mid_span span;
	unsigned int i;

	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 16);
	for (i = 2; i < 10; i++)
		window_enqueue(test, i, 1);
	for (i = 0; i < 17; i++) {
		window_grant(test, 1);
		/* A new request must not overtake it either. */
		KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
				mid_window_reserve_wait(w, 1, &span, 0));
	}
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	window_grant(test, 9);
	for (i = 0; i < 10; i++) {
		window_join(test, &id_waiters[i]);
		KUNIT_EXPECT_EQ(test, id_waiters[i].err, 0);
	}
	EXPECT_SPAN(test, id_waiters[0].span, 1, 2);
	EXPECT_SPAN(test, id_waiters[1].span, 3, 16);
	for (i = 2; i < 10; i++)
		EXPECT_SPAN(test, id_waiters[i].span, 17 + i, 1);
	expect_available(test, 0);
}

static void many_waiters_of_all_sizes_are_served_in_order(struct kunit *test)
{
	unsigned int i, total = 0, granted = 0;
	struct rnd_state rnd;

	negotiated(test, 0);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < ID_WAITERS; i++) {
		window_enqueue(test, i, 1 + random_below(&rnd, 16));
		total += id_waiters[i].n;
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
		total += id_waiters[i].n;
	}
	expect_available(test, 0);
}

/* A server may grant nothing until it has got the lowest id: it must be sent soon. */
static void given_back_id_serves_the_smallest_request(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span one = window_reserve(test, 1), two = window_reserve(test, 2);

	window_reserve(test, 1);
	window_enqueue(test, 0, 16);
	window_enqueue(test, 1, 2);
	window_enqueue(test, 2, 1);
	window_enqueue(test, 3, 1);
	mid_window_give_back(w, &one);
	window_join(test, &id_waiters[2]);
	EXPECT_SPAN(test, id_waiters[2].span, 1, 1);
	mid_window_give_back(w, &two);
	window_join(test, &id_waiters[3]);
	EXPECT_SPAN(test, id_waiters[3].span, 2, 1);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));

	/* Credits of the replies serve the first waiter. */
	window_grant(test, 16);
	window_join(test, &id_waiters[0]);
	EXPECT_SPAN(test, id_waiters[0].span, 5, 16);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	window_grant(test, 2);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[1].span, 21, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 1);
}

/* The same, but a new request is the smallest one. */
static void new_request_gets_ids_that_are_too_few_for_all_waiters(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span two = window_reserve(test, 2), span = { .first = NO_ID };

	window_reserve(test, 2);
	window_enqueue(test, 0, 3);
	mid_window_give_back(w, &two);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 3, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 4, &span), -EAGAIN);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve_wait(w, 1, &span, 0), 0);
	EXPECT_SPAN(test, span, 2, 1);
	/* The newly granted id is reserved for the first waiter. */
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	window_grant(test, 2);
	window_join(test, &id_waiters[0]);
	EXPECT_SPAN(test, id_waiters[0].span, 5, 3);
}

/*
 * The window has stopped at a given-back id, which is too little for each waiter.
 * A new request of one id, for example an ECHO, makes it advance.
 */
static void small_request_makes_a_stalled_window_advance(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span hole, span;

	window_grant(test, 4 * ID_SPREAD);
	hole = window_reserve(test, 1);
	span = window_reserve(test, MID_WINDOW_MAX_SPAN);
	window_associate(test, &span, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	span = window_reserve(test, MID_WINDOW_MAX_SPAN - 1);
	window_associate(test, &span, MID_WINDOW_MAX_SPAN - 1, nr_ctx(2));
	mid_window_give_back(w, &hole);
	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(3)), 0);
	window_join(test, &id_waiters[0]);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[0].span, ID_SPREAD, 2);
	EXPECT_SPAN(test, id_waiters[1].span, ID_SPREAD + 2, 2);
}

static void given_back_ids_that_merge_serve_the_first_waiter(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 5);
	struct mid_span a = window_reserve(test, 2), b = window_reserve(test, 2);

	window_reserve(test, 1);
	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 3);
	mid_window_give_back(w, &b);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	mid_window_give_back(w, &a);
	window_join(test, &id_waiters[0]);
	EXPECT_SPAN(test, id_waiters[0].span, 1, 4);
	window_grant(test, 3);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[1].span, 6, 3);
}

/* The window advances when the oldest span is sent, without a grant or give_back. */
static void associate_of_the_oldest_span_serves_waiters(struct kunit *test)
{
	struct mid_span old, span;

	window_grant(test, 4 * ID_SPREAD);
	old = window_reserve(test, 1);
	span = window_reserve(test, MID_WINDOW_MAX_SPAN);
	window_associate(test, &span, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	span = window_reserve(test, MID_WINDOW_MAX_SPAN - 1);
	window_associate(test, &span, MID_WINDOW_MAX_SPAN - 1, nr_ctx(2));
	window_enqueue(test, 0, 1);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	window_associate(test, &old, 1, nr_ctx(3));
	window_join(test, &id_waiters[0]);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[0].span, ID_SPREAD, 1);
	EXPECT_SPAN(test, id_waiters[1].span, ID_SPREAD + 1, 2);
}

static void unsend_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 1);
	u64 id = window_send(test, nr_ctx(1));

	window_enqueue(test, 0, 1);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
	window_join(test, &id_waiters[0]);
	EXPECT_SPAN(test, id_waiters[0].span, id, 1);
}

static void urgent_request_goes_in_front(struct kunit *test)
{
	negotiated(test, 0);
	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 1);
	window_start(test, 2, 2, WINDOW_TIMEOUT, true);
	window_await_waiters(test, 3);
	window_start(test, 3, 1, WINDOW_TIMEOUT, true);
	window_await_waiters(test, 4);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, window_stats(test->priv).waiters, 4);
	window_grant(test, 2);
	window_join(test, &id_waiters[2]);
	window_join(test, &id_waiters[3]);
	EXPECT_SPAN(test, id_waiters[2].span, 1, 2);
	EXPECT_SPAN(test, id_waiters[3].span, 3, 1);
	/* An urgent request does not wait if there are ids and no urgent waiters. */
	window_grant(test, 3);
	window_start(test, 2, 1, 0, true);
	window_join(test, &id_waiters[2]);
	EXPECT_SPAN(test, id_waiters[2].span, 4, 1);
	window_grant(test, 3);
	window_join(test, &id_waiters[0]);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[0].span, 5, 4);
	EXPECT_SPAN(test, id_waiters[1].span, 9, 1);
}

/*
 * After a reconnect the window is {0}, and all waiters stay in the queue.  The
 * urgent NEGOTIATE must get id 0.  The first waiter must get ids of the new
 * connection as soon as there are enough.
 */
static void waiters_stay_in_line_through_a_reset(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 3);
	struct mid_span span;
	u64 id;

	window_enqueue(test, 0, 4);
	window_enqueue(test, 1, 1);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 2);
	KUNIT_ASSERT_EQ(test, 0, mid_window_reserve_urgent(w, 1, &span, 0));
	EXPECT_SPAN(test, span, 0, 1);
	id = window_associate(test, &span, 1, nr_ctx(1));
	window_grant(test, 5);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, id), nr_ctx(1));
	window_join(test, &id_waiters[0]);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[0].span, 1, 4);
	EXPECT_SPAN(test, id_waiters[1].span, 5, 1);
	KUNIT_EXPECT_EQ(test, id_waiters[0].span.epoch, 2);
}

static void reset_serves_a_waiter_for_one_id(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);

	window_enqueue(test, 0, 1);
	mid_window_reset(w, NULL, NULL);
	window_join(test, &id_waiters[0]);
	EXPECT_SPAN(test, id_waiters[0].span, 0, 1);
	KUNIT_EXPECT_EQ(test, id_waiters[0].span.epoch, mid_window_epoch(w));
}

static void killed_waiter_leaves_and_the_next_moves_up(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 3);

	window_enqueue(test, 0, 10);
	window_enqueue(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	send_sig(SIGKILL, id_waiters[0].task, 1);
	window_join(test, &id_waiters[0]);
	KUNIT_EXPECT_EQ(test, id_waiters[0].err, -ERESTARTSYS);
	KUNIT_EXPECT_EQ(test, id_waiters[0].span.first, NO_ID);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[1].span, 1, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).waiters, 0);
	expect_available(test, 1);
}

static void timed_out_waiter_leaves_and_the_next_moves_up(struct kunit *test)
{
	unsigned long begin = jiffies;

	negotiated(test, 3);
	window_start(test, 0, 10, 2 * HZ, false);
	window_await_waiters(test, 1);
	window_enqueue(test, 1, 2);
	window_join(test, &id_waiters[0]);
	KUNIT_EXPECT_EQ(test, id_waiters[0].err, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, id_waiters[0].span.first, NO_ID);
	KUNIT_EXPECT_GE(test, jiffies - begin, 2 * HZ);
	window_join(test, &id_waiters[1]);
	EXPECT_SPAN(test, id_waiters[1].span, 1, 2);
	expect_available(test, 1);
}

static void timeout_of_0_does_not_wait(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, mid_window_reserve_wait(w, 3, &span, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, mid_window_reserve_urgent(w, 3, &span, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	KUNIT_EXPECT_EQ(test, mid_window_reserve_wait(w, 2, &span, 0), 0);
	EXPECT_SPAN(test, span, 1, 2);
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

	negotiated(test, 0);
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
	KUNIT_EXPECT_EQ(test, mid_window_credits(test->priv), 0);
	KUNIT_EXPECT_EQ(test, window_stats(test->priv).waiters, 0);
}

static void timed_out_waiter_loses_no_id(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round, late = 0;

	negotiated(test, 0);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < LEAVE_ROUNDS; round++) {
		window_start(test, 0, 1, 2, false);
		fsleep(jiffies_to_usecs(2) - 500 + random_below(&rnd, 1000));
		window_grant(test, 1);
		window_join(test, &id_waiters[0]);
		if (id_waiters[0].err) {
			KUNIT_ASSERT_EQ(test, id_waiters[0].err, -ETIMEDOUT);
			late++;
			window_reserve(test, 1);
		}
		KUNIT_ASSERT_EQ(test, mid_window_credits(test->priv), 0);
	}
	kunit_info(test, "%u of %u timed out, seed %u\n", late, round, seed);
}

static struct kunit_case wait_cases[] = {
	KUNIT_CASE(grant_serves_a_waiter),
	KUNIT_CASE(large_request_is_not_overtaken_by_small_ones),
	KUNIT_CASE(many_waiters_of_all_sizes_are_served_in_order),
	KUNIT_CASE(given_back_id_serves_the_smallest_request),
	KUNIT_CASE(new_request_gets_ids_that_are_too_few_for_all_waiters),
	KUNIT_CASE(small_request_makes_a_stalled_window_advance),
	KUNIT_CASE(given_back_ids_that_merge_serve_the_first_waiter),
	KUNIT_CASE(associate_of_the_oldest_span_serves_waiters),
	KUNIT_CASE(unsend_serves_a_waiter),
	KUNIT_CASE(urgent_request_goes_in_front),
	KUNIT_CASE(waiters_stay_in_line_through_a_reset),
	KUNIT_CASE(reset_serves_a_waiter_for_one_id),
	KUNIT_CASE(killed_waiter_leaves_and_the_next_moves_up),
	KUNIT_CASE(timed_out_waiter_leaves_and_the_next_moves_up),
	KUNIT_CASE(timeout_of_0_does_not_wait),
	KUNIT_CASE_SLOW(next_waiter_gets_the_id_of_a_killed_one),
	KUNIT_CASE_SLOW(timed_out_waiter_loses_no_id),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "midwindow_wait",
	.init = window_init,
	.exit = window_exit,
	.test_cases = wait_cases,
};

kunit_test_suites(&wait_suite);

MODULE_DESCRIPTION("KUnit tests of the credits of a MessageId window");
MODULE_LICENSE("GPL");
