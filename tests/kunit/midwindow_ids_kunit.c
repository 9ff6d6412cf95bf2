// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_ids_kunit - tests of the ids that a window issues
 *
 * There is one suite for each of: the arguments of the calls, the sequence of the
 * ids, room, ids that are given back, requests that were not sent, and the cost of
 * a lookup after millions of ids.  A model with one byte for each id says which ids
 * a reserve must get.
 */
#include <linux/ktime.h>

#include "fixture.h"

/* ------------------------------------------------------------------------
 * Arguments
 */

static int create_error(const char *name, unsigned int slots)
{
	struct mid_window *w = mid_window_create(name, slots, GFP_KERNEL);

	if (IS_ERR(w))
		return PTR_ERR(w);
	mid_window_destroy(w, NULL, NULL);
	return 0;
}

static void create_wants_a_name_and_no_more_slots_than_there_can_be(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, create_error(NULL, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, create_error("", 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, create_error("kunit", MID_WINDOW_MAX_SLOTS + 1),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, create_error("kunit", UINT_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, create_error("kunit", MID_WINDOW_MAX_SLOTS), 0);
	KUNIT_EXPECT_EQ(test, create_error("kunit", 0), 0);
}

static void create_reports_each_failed_allocation(struct kunit *test)
{
	unsigned int granted = 0;
	struct mid_window *w;

	for (;;) {
		limit_window_allocs(test, granted);
		w = mid_window_create("kunit", WINDOW_SLOTS, GFP_KERNEL);
		if (!IS_ERR(w))
			break;
		KUNIT_ASSERT_EQ(test, PTR_ERR(w), -ENOMEM);
		granted++;
	}
	mid_window_destroy(w, NULL, NULL);
	KUNIT_EXPECT_GT(test, granted, 1);
	KUNIT_EXPECT_EQ(test, alloc_calls, granted);
}

static void destroy_needs_no_window(struct kunit *test)
{
	mid_window_destroy(NULL, NULL, NULL);
}

static const struct {
	unsigned int min, max, flags;
} bad_reserves[] = {
	{ 0, 0 }, { 0, 1 }, { 1, 0 }, { 2, 1 }, { MID_WINDOW_MAX_SPAN, 1 },
	{ 1, MID_WINDOW_MAX_SPAN + 1 }, { 1, UINT_MAX }, { UINT_MAX, UINT_MAX },
	{ MID_WINDOW_MAX_SPAN + 1, MID_WINDOW_MAX_SPAN + 1 },
	{ 0, 0, MID_WINDOW_URGENT }, { 0, 1, MID_WINDOW_URGENT },
	{ 1, MID_WINDOW_MAX_SPAN + 1, MID_WINDOW_URGENT },
	{ 1, 1, 2 }, { 1, 1, 3 }, { 1, 1, 1U << 31 }, { 1, 1, UINT_MAX },
};

static void reserve_refuses_wrong_numbers_and_unknown_flags(struct kunit *test)
{
	struct mid_span span = { .first = NO_ID, .n = 7, .epoch = 77 };
	struct mid_window *w = test->priv;
	unsigned int i, timeout;

	window_grant(test, 2 * MID_WINDOW_MAX_SPAN);
	for (i = 0; i < ARRAY_SIZE(bad_reserves); i++)
		for (timeout = 0; timeout < 2; timeout++)
			KUNIT_EXPECT_EQ(test, -EINVAL,
					mid_window_reserve(w, bad_reserves[i].min,
							   bad_reserves[i].max,
							   &span,
							   bad_reserves[i].flags,
							   timeout));
	EXPECT_SPAN(test, span, NO_ID, 7);
	KUNIT_EXPECT_EQ(test, span.epoch, 77);
	KUNIT_EXPECT_EQ(test, window_stats(w).exhausted, 0);
	span = window_reserve(test, MID_WINDOW_MAX_SPAN);
	EXPECT_SPAN(test, span, 0, MID_WINDOW_MAX_SPAN);
}

static void begin_and_associate_refuse_null_and_error_pointers(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	struct mid_span span = window_reserve(test, 1);
	struct mid_tag tag = { .id = NO_ID, .epoch = 77 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_requests); i++) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_window_associate(w, &span, 1, bad_requests[i],
						     &tag, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_window_begin(w, 1, bad_requests[i], &tag,
						 GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	KUNIT_EXPECT_EQ(test, tag.epoch, 77);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, window_send(test, w), 2);
}

/* An SMB 2.0.2 server's CreditCharge is 0; its client has to say 1 here. */
static void begin_refuses_no_ids_and_too_many(struct kunit *test)
{
	static const unsigned int charges[] = {
		0, MID_WINDOW_MAX_SPAN + 1, 0x10000, 1U << 31, UINT_MAX,
	};
	struct mid_tag tag = { .id = NO_ID, .epoch = 77 };
	struct mid_window *w = test->priv;
	unsigned int i;

	window_grant(test, UINT_MAX);
	for (i = 0; i < ARRAY_SIZE(charges); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_window_begin(w, charges[i], w, &tag, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	KUNIT_EXPECT_EQ(test, tag.epoch, 77);
	KUNIT_EXPECT_EQ(test, 0, window_send_large(test, MID_WINDOW_MAX_SPAN, w));
	KUNIT_EXPECT_EQ(test, window_stats(w).next, MID_WINDOW_MAX_SPAN);
}

static void associate_refuses_a_charge_larger_than_the_span(struct kunit *test)
{
	static const unsigned int charges[] = {
		0, 4, MID_WINDOW_MAX_SPAN, MID_WINDOW_MAX_SPAN + 1, UINT_MAX,
	};
	struct mid_tag tag = { .id = NO_ID };
	struct mid_window *w = test->priv;
	struct mid_span span;
	unsigned int i;

	window_grant(test, 2 * MID_WINDOW_MAX_SPAN);
	span = window_reserve(test, 3);
	for (i = 0; i < ARRAY_SIZE(charges); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_window_associate(w, &span, charges[i], w, &tag,
						     GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	EXPECT_SPAN(test, span, 0, 3);

	window_associate(test, &span, 3, w);
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_associate(w, &span, 1, w, &tag,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
}

/* The mark of an abandoned request is an error pointer: it must not match. */
static void claims_refuse_null_and_error_pointers(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 epoch = mid_window_epoch(w);
	void *new_ctx;
	unsigned int i;
	u64 id, gone;

	window_grant(test, 1);
	id = window_send(test, nr_ctx(1));
	gone = window_send(test, nr_ctx(2));
	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(epoch, gone), nr_ctx(2),
						   LONG_TIME));
	for (i = 0; i < ARRAY_SIZE(bad_requests); i++) {
		new_ctx = mid_window_reassociate(w, TAG(epoch, id), bad_requests[i]);
		KUNIT_EXPECT_EQ(test, PTR_ERR(new_ctx), -EINVAL);
		KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(epoch, gone),
								  bad_requests[i]));
		KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(epoch, gone),
							   bad_requests[i]));
		KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(epoch, gone),
							    bad_requests[i], HZ));
		KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(epoch, id),
							    bad_requests[i], 0));
	}
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, epoch, id), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 1);
}

static struct kunit_case argument_cases[] = {
	KUNIT_CASE(create_wants_a_name_and_no_more_slots_than_there_can_be),
	KUNIT_CASE(create_reports_each_failed_allocation),
	KUNIT_CASE(destroy_needs_no_window),
	KUNIT_CASE(reserve_refuses_wrong_numbers_and_unknown_flags),
	KUNIT_CASE(begin_and_associate_refuse_null_and_error_pointers),
	KUNIT_CASE(begin_refuses_no_ids_and_too_many),
	KUNIT_CASE(associate_refuses_a_charge_larger_than_the_span),
	KUNIT_CASE(claims_refuse_null_and_error_pointers),
	{}
};

static struct kunit_suite argument_suite = {
	.name = "midwindow_arguments",
	.init = window_init,
	.exit = window_exit,
	.test_cases = argument_cases,
};

/* ------------------------------------------------------------------------
 * The ids
 */

static void new_window_has_the_id_0_and_no_other(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span = { .first = NO_ID };

	KUNIT_EXPECT_EQ(test, window_available(w), 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 2, &span), -EDEADLK);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 0, 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	EXPECT_SPAN(test, span, 0, 1);
}

static void grants_open_the_ids_in_sequence(struct kunit *test)
{
	u64 next = 0;
	unsigned int credits;
	struct mid_span span;

	for (credits = 1; credits < 100; credits++) {
		span = window_reserve(test, 1);
		EXPECT_SPAN(test, span, next, 1);
		next++;
		window_grant(test, credits);
		if (credits == 1)
			continue;
		span = window_reserve(test, credits - 1);
		EXPECT_SPAN(test, span, next, credits - 1);
		next += credits - 1;
	}
}

static void grant_of_nothing_is_fine(struct kunit *test)
{
	window_grant(test, 0);
	expect_available(test, 1);
}

static void next_is_the_lowest_id_that_was_never_reserved(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 5);
	struct mid_span span;

	KUNIT_EXPECT_EQ(test, window_stats(w).next, 1);
	span = window_reserve(test, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 4);
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 3);
	window_associate(test, &span, 1, w);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 4);
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 2);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).limit, 6);
	window_reset(test);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).limit, 1);
}

/* Each response grants one id: a reserve of eight must not get a part of them. */
static void span_is_given_whole_or_not_at_all(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 3);
	struct mid_span span = { .first = NO_ID };
	unsigned int missing;

	for (missing = 5; missing; missing--) {
		KUNIT_EXPECT_EQ(test, reserve_now(w, 8, &span), -EAGAIN);
		KUNIT_EXPECT_EQ(test, span.first, NO_ID);
		KUNIT_EXPECT_EQ(test, window_available(w), 8 - missing);
		window_grant(test, 1);
	}
	span = window_reserve(test, 8);
	EXPECT_SPAN(test, span, 1, 8);
	KUNIT_EXPECT_EQ(test, window_stats(w).exhausted, 5);
}

static void full_window_refuses_spans_of_every_size(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	struct mid_span all = window_reserve(test, 100), span = { .first = NO_ID };
	unsigned int n;

	for (n = 1; n <= MID_WINDOW_MAX_SPAN; n++)
		KUNIT_ASSERT_EQ(test, reserve_now(w, n, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);

	/* A dissociate makes no id available, only the credits of the response do. */
	window_associate(test, &all, 50, w);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_PTR_EQ(test, w, mid_window_dissociate(w, 1, 1));
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	window_grant(test, 1);
	span = window_reserve(test, 1);
	EXPECT_SPAN(test, span, 101, 1);
}

static void associate_takes_ids_off_the_front(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 6);
	struct mid_span span = window_reserve(test, 6);

	KUNIT_EXPECT_EQ(test, 1, window_associate(test, &span, 1, nr_ctx(1)));
	EXPECT_SPAN(test, span, 2, 5);
	KUNIT_EXPECT_EQ(test, 2, window_associate(test, &span, 3, nr_ctx(2)));
	EXPECT_SPAN(test, span, 5, 2);
	KUNIT_EXPECT_EQ(test, 5, window_associate(test, &span, 2, nr_ctx(5)));
	EXPECT_SPAN(test, span, 7, 0);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 1), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 2), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 5), nr_ctx(5));
}

static void span_may_be_cut_in_two(struct kunit *test)
{
	struct mid_span span, rest;

	negotiated(test, 10);
	span = window_reserve(test, 10);
	rest = (struct mid_span){ span.first + 4, span.n - 4, span.epoch };
	span.n = 4;
	mid_window_give_back(test->priv, &rest);
	window_associate(test, &span, 4, nr_ctx(1));
	span = window_reserve(test, 6);
	EXPECT_SPAN(test, span, 5, 6);
}

static void sequence_ends_before_the_servers_own_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span = {};
	unsigned int i;

	window_begin_at(test, MID_WINDOW_RESERVED - 10);
	window_grant(test, 1000);
	window_grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, window_available(w), 10);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 11, &span), -EDEADLK);
	for (i = 0; i < 10; i++) {
		span = window_reserve(test, 1);
		EXPECT_SPAN(test, span, MID_WINDOW_RESERVED - 10 + i, 1);
		window_associate(test, &span, 1, nr_ctx(i));
	}
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, MID_WINDOW_RESERVED);
	KUNIT_EXPECT_NULL(test, mid_window_map(w, mid_window_epoch(w),
					       MID_WINDOW_RESERVED));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, mid_window_epoch(w),
						      MID_WINDOW_RESERVED));
	KUNIT_EXPECT_EQ(test, window_stats(w).unknown, 1);
}

static void last_ids_make_one_span_and_come_back_too(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;

	window_begin_at(test, MID_WINDOW_RESERVED - 16);
	window_grant(test, 100);
	span = window_reserve(test, 16);
	EXPECT_SPAN(test, span, MID_WINDOW_RESERVED - 16, 16);
	mid_window_give_back(w, &span);
	expect_available(test, 16);
	span = window_reserve(test, 16);
	window_associate(test, &span, 16, w);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(mid_window_epoch(w),
							 MID_WINDOW_RESERVED - 16),
						  w));
	expect_available(test, 16);
}

/* A span that is not sent stops the window, as it stops the window of the server. */
static void window_stops_at_an_unsent_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span old, span = {};
	unsigned int i;

	window_grant(test, 4 * ID_SPREAD);
	KUNIT_ASSERT_EQ(test, 0, window_send_large(test, 64, nr_ctx(0)));
	old = window_reserve(test, 2);
	for (i = 66; i < 64 + ID_SPREAD; i += 2)
		window_send_large(test, 2, nr_ctx(i));
	KUNIT_EXPECT_TRUE(test, window_stats(w).stalled);
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 64);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);

	/* One of the two ids is sent, the other given back: the next request gets it. */
	window_associate(test, &old, 1, nr_ctx(64));
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 65);
	mid_window_give_back(w, &old);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(65)), 65);
	KUNIT_EXPECT_FALSE(test, window_stats(w).stalled);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(1)), 64 + ID_SPREAD);
	span = window_reserve(test, MID_WINDOW_MAX_SPAN);
	KUNIT_EXPECT_EQ(test, span.first, 65 + ID_SPREAD);
}

/* The lowest unsent id is rounded down to a multiple of 64. */
static void window_stops_within_64_ids_of_its_spread(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span old, span;
	u64 next;

	window_grant(test, 4 * ID_SPREAD);
	window_send_large(test, 63, nr_ctx(0));
	old = window_reserve(test, 1);
	window_send_large(test, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	KUNIT_ASSERT_EQ(test, 0, mid_window_reserve(w, 1, MID_WINDOW_MAX_SPAN, &span,
						    0, 0));
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	next = window_stats(w).next;
	KUNIT_EXPECT_GE(test, next - old.first, ID_SPREAD - 63);
	KUNIT_EXPECT_LE(test, next - old.first, ID_SPREAD);
}

static void credits_add_up_beyond_32_bits(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i;

	for (i = 0; i < 10; i++)
		window_grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, window_available(w), 10ULL * UINT_MAX + 1);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(0)), 0);
	KUNIT_EXPECT_EQ(test, window_available(w), 10ULL * UINT_MAX);
}

static struct kunit_case id_cases[] = {
	KUNIT_CASE(new_window_has_the_id_0_and_no_other),
	KUNIT_CASE(grants_open_the_ids_in_sequence),
	KUNIT_CASE(grant_of_nothing_is_fine),
	KUNIT_CASE(next_is_the_lowest_id_that_was_never_reserved),
	KUNIT_CASE(span_is_given_whole_or_not_at_all),
	KUNIT_CASE(full_window_refuses_spans_of_every_size),
	KUNIT_CASE(associate_takes_ids_off_the_front),
	KUNIT_CASE(span_may_be_cut_in_two),
	KUNIT_CASE(sequence_ends_before_the_servers_own_id),
	KUNIT_CASE(last_ids_make_one_span_and_come_back_too),
	KUNIT_CASE(window_stops_at_an_unsent_id),
	KUNIT_CASE(window_stops_within_64_ids_of_its_spread),
	KUNIT_CASE(credits_add_up_beyond_32_bits),
	{}
};

static struct kunit_suite id_suite = {
	.name = "midwindow_ids",
	.init = window_init,
	.exit = window_exit,
	.test_cases = id_cases,
};

/* ------------------------------------------------------------------------
 * Room: how many requests can be in flight
 */

static int begin_one(struct mid_window *w, void *ctx)
{
	struct mid_tag tag;

	return mid_window_begin(w, 1, ctx, &tag, GFP_KERNEL);
}

static void slots_are_rounded_up_to_the_room_of_a_table(struct kunit *test)
{
	static const unsigned int slots[][2] = {
		{ 0, 24 }, { 1, 24 }, { 24, 24 }, { 25, 48 }, { 48, 48 },
		{ 49, 96 }, { 1000, 1536 }, { 1537, 3072 },
		{ MID_WINDOW_MAX_SLOTS, MID_WINDOW_MAX_SLOTS },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(slots); i++)
		KUNIT_EXPECT_EQ(test, slots[i][1],
				window_stats(window_with_slots(test, slots[i][0])).slots);
}

/* Returns a window whose room is full, and which has credits; it cannot grow. */
static struct mid_window *full_window(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, 0);
	unsigned int i;

	window_grant(test, 200);
	limit_window_allocs(test, 0);
	for (i = 0; i < LEAST_ROOM; i++)
		window_send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
	return w;
}

static void begin_without_room_fails_until_a_reply_makes_some(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_tag tag = { .id = NO_ID, .epoch = 77 };
	unsigned int i;

	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, -EAGAIN,
				mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
		KUNIT_EXPECT_EQ(test, tag.epoch, 77);
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, i), nr_ctx(i));
		KUNIT_EXPECT_EQ(test, LEAST_ROOM + i, window_send(test, w));
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).high_water, LEAST_ROOM);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, LEAST_ROOM);
	KUNIT_EXPECT_EQ(test, window_stats(w).exhausted, 10);
}

static void reserve_waits_for_room(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_span span;

	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_urgent_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_window_reserve(w, 1, 1, &span, 0, 1));
	window_enqueue(test, 0, 2);
	window_enqueue(test, 1, 1);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 0), nr_ctx(0));
	expect_waiter_span(test, &id_waiters[0], LEAST_ROOM, 2);
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[1]));
	mid_window_give_back(w, &id_waiters[0].span);
	expect_waiter_span(test, &id_waiters[1], LEAST_ROOM, 1);
}

/* The end of a quarantine makes room, too. */
static void reserve_waits_for_the_end_of_a_quarantine(struct kunit *test)
{
	struct mid_window *w = full_window(test);

	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, TAG(1, 3), nr_ctx(3), 2));
	window_start(test, 0, 1, 1, 0, WINDOW_TIMEOUT);
	expect_waiter_span(test, &id_waiters[0], LEAST_ROOM, 1);
}

static void span_keeps_room_until_its_first_request(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_tag tag = { .id = NO_ID };
	struct mid_span span;

	mid_window_dissociate(w, 1, 0);
	span = window_reserve(test, 4);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	window_associate(test, &span, 1, w);
	/* The second request of the span has no room. */
	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_associate(w, &span, 2, w, &tag,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	EXPECT_SPAN(test, span, LEAST_ROOM + 1, 3);
	mid_window_dissociate(w, 1, 1);
	window_associate(test, &span, 2, w);
	/* The rest keeps no room, and gives none back. */
	mid_window_dissociate(w, 1, 2);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
}

static void span_that_comes_back_gives_back_its_room(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_span span, rest;

	mid_window_dissociate(w, 1, 0);
	span = window_reserve(test, 4);
	rest = (struct mid_span){ span.first + 2, 2, span.epoch };
	span.n = 2;
	mid_window_give_back(w, &rest);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
}

/* They are in more than one word of the rings, and the second one begins there. */
static void long_spans_that_come_back_as_one_give_back_the_room_of_both(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_span first, second;

	window_grant(test, 200);
	mid_window_dissociate(w, 1, 0);
	mid_window_dissociate(w, 1, 1);
	first = window_reserve(test, 70);
	second = window_reserve(test, 70);
	KUNIT_ASSERT_EQ(test, second.first, first.first + first.n);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	first.n += second.n;
	mid_window_give_back(w, &first);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
}

/* Nothing is in flight: no reply can make room. */
static void begin_without_room_says_enomem_if_only_spans_are_out(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, 0);
	struct mid_span span[LEAST_ROOM], cut;
	struct mid_tag tag = { .id = NO_ID };
	unsigned int i;

	window_grant(test, 200);
	for (i = 0; i < LEAST_ROOM; i++)
		span[i] = window_reserve(test, 2);
	limit_window_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &cut), -EAGAIN);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -ENOMEM);
	/* The second half of a span has no room of its own. */
	cut = (struct mid_span){ span[3].first + 1, 1, span[3].epoch };
	KUNIT_EXPECT_EQ(test, -ENOMEM, mid_window_associate(w, &cut, 1, w, &tag,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	EXPECT_SPAN(test, cut, 7, 1);
	for (i = 0; i < LEAST_ROOM; i++)
		window_associate(test, &span[i], 1, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
}

static void table_grows_by_four_when_there_is_no_room(struct kunit *test)
{
	static const unsigned int room[] = { 24, 96, 384, 1536, 6144, 24576, 65535 };
	struct mid_window *w = window_with_slots(test, 0);
	unsigned int i, sent = 0;

	window_grant(test, MID_WINDOW_MAX_SLOTS);
	for (i = 0; i < ARRAY_SIZE(room); i++) {
		KUNIT_EXPECT_EQ(test, window_stats(w).slots, room[i]);
		while (sent < room[i])
			window_send(test, nr_ctx(sent++));
		KUNIT_EXPECT_EQ(test, window_stats(w).slots, room[i]);
		/* Each request is found, in the oldest table, too. */
		KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 0), nr_ctx(0));
		KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, sent - 1),
				    nr_ctx(sent - 1));
		if (i + 1 < ARRAY_SIZE(room))
			window_send(test, nr_ctx(sent++));
	}
	for (i = 0; i < sent; i++)
		KUNIT_ASSERT_PTR_EQ(test, mid_window_map(w, 1, i), nr_ctx(i));
	for (i = 0; i < sent; i++)
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i), mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, MID_WINDOW_MAX_SLOTS);
}

#ifdef kunit_activate_static_stub
static struct mid_window *crowded;

/* While one task allocates a table, another one that found no room grows it. */
static void *slow_alloc(size_t size, gfp_t gfp)
{
	struct mid_window *w = crowded;

	crowded = NULL;
	if (w && begin_one(w, w))
		return NULL;
	return kvzalloc(size, gfp);
}
#endif

static void table_grows_once_for_two_tasks(struct kunit *test)
{
#ifdef kunit_activate_static_stub
	struct mid_window *w = full_window(test);

	crowded = w;
	kunit_deactivate_static_stub(test, mid_window_alloc);
	kunit_activate_static_stub(test, mid_window_alloc, slow_alloc);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_NULL(test, crowded);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, 4 * LEAST_ROOM);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, LEAST_ROOM + 2);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* A failed growth is not the last word. */
static void growth_is_tried_again_at_the_next_lack_of_room(struct kunit *test)
{
	struct mid_window *w = full_window(test);

	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	KUNIT_EXPECT_GT(test, alloc_calls, 0);
	limit_window_allocs(test, 1);	/* of the two that a table needs */
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, LEAST_ROOM);
	limit_window_allocs(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, 4 * LEAST_ROOM);
}

/* The caller's gfp is honoured: here it may not sleep or write back. */
static void growth_allocates_as_the_caller_says(struct kunit *test)
{
	struct mid_window *w = full_window(test);
	struct mid_tag tag;

	limit_window_allocs(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, mid_window_begin(w, 1, w, &tag, GFP_NOWAIT), 0);
	KUNIT_EXPECT_FALSE(test, alloc_gfp & __GFP_DIRECT_RECLAIM);
	KUNIT_EXPECT_EQ(test, window_stats(w).slots, 4 * LEAST_ROOM);
}

/* No more than 65,535 requests can be in flight. */
static void too_many_in_flight_are_refused_and_one_less_is_not(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, MID_WINDOW_MAX_SLOTS);
	struct mid_span span = { .first = NO_ID };
	unsigned int sent;

	window_grant(test, MID_WINDOW_MAX_SLOTS + 10);
	for (sent = 0; sent < MID_WINDOW_MAX_SLOTS; sent++)
		window_send(test, nr_ctx(sent));
	KUNIT_EXPECT_EQ(test, begin_one(w, w), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);

	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(4711), mid_window_dissociate(w, 1, 4711));
	KUNIT_EXPECT_EQ(test, begin_one(w, w), 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).high_water, MID_WINDOW_MAX_SLOTS);
}

static struct kunit_case room_cases[] = {
	KUNIT_CASE(slots_are_rounded_up_to_the_room_of_a_table),
	KUNIT_CASE(begin_without_room_fails_until_a_reply_makes_some),
	KUNIT_CASE(reserve_waits_for_room),
	KUNIT_CASE(reserve_waits_for_the_end_of_a_quarantine),
	KUNIT_CASE(span_keeps_room_until_its_first_request),
	KUNIT_CASE(span_that_comes_back_gives_back_its_room),
	KUNIT_CASE(long_spans_that_come_back_as_one_give_back_the_room_of_both),
	KUNIT_CASE(begin_without_room_says_enomem_if_only_spans_are_out),
	KUNIT_CASE(table_grows_by_four_when_there_is_no_room),
	KUNIT_CASE(table_grows_once_for_two_tasks),
	KUNIT_CASE(growth_is_tried_again_at_the_next_lack_of_room),
	KUNIT_CASE(growth_allocates_as_the_caller_says),
	KUNIT_CASE(too_many_in_flight_are_refused_and_one_less_is_not),
	{}
};

static struct kunit_suite room_suite = {
	.name = "midwindow_room",
	.init = window_init,
	.exit = window_exit,
	.test_cases = room_cases,
};

/* ------------------------------------------------------------------------
 * The model of the ids: one byte for each, without ranges
 */

enum fate { NOT_GRANTED, AVAILABLE, IN_SPAN, SENT };

#define MODEL_IDS	4096

struct model {
	struct kunit *test;
	struct mid_window *w;
	u64 base;		/* the first id of the connection */
	unsigned int granted;
	u8 fate[MODEL_IDS];
};

static void model_begin(struct model *m, struct kunit *test, u64 base)
{
	m->test = test;
	m->w = test->priv;
	m->base = base;
	memset(m->fate, NOT_GRANTED, sizeof(m->fate));
	m->fate[0] = AVAILABLE;
	m->granted = 1;
}

static void model_grant(struct model *m, unsigned int credits)
{
	credits = min(credits, MODEL_IDS - m->granted);
	window_grant(m->test, credits);
	memset(m->fate + m->granted, AVAILABLE, credits);
	m->granted += credits;
}

/* Returns the first of the lowest @n consecutive available ids, or MODEL_IDS. */
static unsigned int model_lowest(const struct model *m, unsigned int n)
{
	unsigned int i, run = 0;

	for (i = 0; i < m->granted; i++) {
		run = m->fate[i] == AVAILABLE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return MODEL_IDS;
}

/* How many ids from @first on are available, at most @max */
static unsigned int model_run(const struct model *m, unsigned int first,
			      unsigned int max)
{
	unsigned int n = 0;

	while (n < max && first + n < m->granted &&
	       m->fate[first + n] == AVAILABLE)
		n++;
	return n;
}

/* A reserve gets exactly the ids of the model, or none where the model has none. */
static bool model_reserve(struct model *m, unsigned int min, unsigned int max,
			  struct mid_span *span)
{
	unsigned int lowest = model_lowest(m, min), n;
	int err = mid_window_reserve(m->w, min, max, span, 0, 0);

	if (lowest == MODEL_IDS) {
		KUNIT_ASSERT_EQ_MSG(m->test, err, window_too_few(m->w),
				    "%u ids, seed %u", min, seed);
		return false;
	}
	n = model_run(m, lowest, max);
	KUNIT_ASSERT_EQ_MSG(m->test, err, 0, "%u ids from %u, seed %u", min,
			    lowest, seed);
	KUNIT_ASSERT_EQ_MSG(m->test, span->first - m->base, lowest,
			    "%u ids, seed %u", min, seed);
	KUNIT_ASSERT_EQ_MSG(m->test, span->n, n, "%u to %u ids, seed %u", min, max,
			    seed);
	memset(m->fate + lowest, IN_SPAN, n);
	return true;
}

static void model_set(struct model *m, u64 id, unsigned int n, enum fate fate)
{
	memset(m->fate + (id - m->base), fate, n);
}

static void model_give_back(struct model *m, struct mid_span *span)
{
	model_set(m, span->first, span->n, AVAILABLE);
	mid_window_give_back(m->w, span);
	KUNIT_ASSERT_EQ(m->test, span->n, 0);
}

static void model_send(struct model *m, struct mid_span *span,
		       unsigned int charge)
{
	u64 id = window_associate(m->test, span, charge, m->w);

	model_set(m, id, charge, SENT);
	KUNIT_ASSERT_PTR_EQ(m->test, m->w,
			    mid_window_dissociate(m->w, span->epoch, id));
}

/* The counters of the window agree with the model. */
static void model_check(const struct model *m)
{
	struct mid_window_stats stats = window_stats(m->w);
	unsigned int i, credits = 0, next = 0;

	for (i = 0; i < m->granted; i++) {
		credits += m->fate[i] == AVAILABLE;
		if (m->fate[i] != AVAILABLE)
			next = i + 1;
	}
	KUNIT_ASSERT_EQ_MSG(m->test, stats.limit - stats.next + stats.given_back,
			    credits, "seed %u", seed);
	KUNIT_ASSERT_EQ_MSG(m->test, stats.next - m->base, next, "seed %u", seed);
	KUNIT_ASSERT_EQ_MSG(m->test, stats.given_back,
			    credits - (m->granted - next), "seed %u", seed);
}

/* ------------------------------------------------------------------------
 * Ids that are given back
 */

static void given_back_ids_are_reissued_before_new_ones(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span a = window_reserve(test, 4), b = window_reserve(test, 4), got;

	window_reserve(test, 4);
	mid_window_give_back(w, &b);
	mid_window_give_back(w, &a);
	got = window_reserve(test, 2);
	EXPECT_SPAN(test, got, 1, 2);
	got = window_reserve(test, 2);
	EXPECT_SPAN(test, got, 3, 2);
	got = window_reserve(test, 4);
	EXPECT_SPAN(test, got, 5, 4);
	got = window_reserve(test, 1);
	EXPECT_SPAN(test, got, 13, 1);
}

static void lowest_range_that_is_long_enough_is_taken(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	static const unsigned int size[] = { 1, 5, 3, 5, 2 };
	struct mid_span span[ARRAY_SIZE(size)], got;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		span[i] = window_reserve(test, size[i]);	/* 1, 3, 9, 13, 19 */
		window_reserve(test, 1);
	}
	for (i = 0; i < ARRAY_SIZE(size); i++)
		mid_window_give_back(w, &span[i]);

	got = window_reserve(test, 4);
	EXPECT_SPAN(test, got, 3, 4);
	got = window_reserve(test, 3);
	EXPECT_SPAN(test, got, 9, 3);
	got = window_reserve(test, 6);
	EXPECT_SPAN(test, got, 22, 6);	/* longer than each range: new ids */
	got = window_reserve(test, 1);
	EXPECT_SPAN(test, got, 1, 1);
	got = window_reserve(test, 1);
	EXPECT_SPAN(test, got, 7, 1);
	got = window_reserve(test, 5);
	EXPECT_SPAN(test, got, 13, 5);
	got = window_reserve(test, 2);
	EXPECT_SPAN(test, got, 19, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
}

static void adjoining_ranges_merge(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 12);
	struct mid_span a = window_reserve(test, 3), b = window_reserve(test, 3),
			c = window_reserve(test, 3), got;

	window_reserve(test, 3);		/* no id is left above the spans */
	mid_window_give_back(w, &a);
	mid_window_give_back(w, &c);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 4, &got), -EAGAIN);
	mid_window_give_back(w, &b);	/* b joins a and c */
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 9);
	got = window_reserve(test, 9);
	EXPECT_SPAN(test, got, 1, 9);
}

static void head_goes_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 12);
	struct mid_span a = window_reserve(test, 3), b = window_reserve(test, 3),
			c = window_reserve(test, 3), got;

	mid_window_give_back(w, &b);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 10);
	mid_window_give_back(w, &c);	/* and b with it */
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 4);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
	got = window_reserve(test, 9);
	EXPECT_SPAN(test, got, 4, 9);
	mid_window_give_back(w, &got);
	mid_window_give_back(w, &a);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 1);
	expect_available(test, 12);
}

static void rest_of_a_span_comes_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 8);
	struct mid_span span = window_reserve(test, 8);

	window_associate(test, &span, 3, nr_ctx(1));
	mid_window_give_back(w, &span);
	expect_available(test, 5);
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 4);
}

static void empty_span_gives_nothing_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 8);
	struct mid_span span = window_reserve(test, 8), zero = {};

	mid_window_give_back(w, &zero);
	mid_window_give_back(w, &span);
	mid_window_give_back(w, &span);	/* is empty now */
	expect_available(test, 8);
}

static void fragments_serve_small_requests_only(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 64);
	struct mid_span span[64], got;
	unsigned int i;

	for (i = 0; i < 64; i++)
		span[i] = window_reserve(test, 1);
	for (i = 0; i < 64; i += 2)
		mid_window_give_back(w, &span[i]);
	KUNIT_EXPECT_EQ(test, window_available(w), 32);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 2, &got), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 2, &got), -EAGAIN);
	mid_window_give_back(w, &span[31]);
	got = window_reserve(test, 3);
	EXPECT_SPAN(test, got, 31, 3);
	for (i = 0; i < 30; i++)
		window_reserve(test, 1);
	KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &got), -EAGAIN);
}

/* The spans are given back in every order. */
#define SPANS	6

struct orders {
	struct model m;
	struct mid_span span[SPANS];
	unsigned int count;
};

/* Reserves all spans, sends those in @sent, and gives the others back in @order. */
static void orders_run(struct orders *o, const unsigned int *order,
		       unsigned int n, unsigned int sent)
{
	unsigned int i, total = 0;

	window_reset(o->m.test);
	model_begin(&o->m, o->m.test, o->m.base);
	model_grant(&o->m, SPANS * (SPANS + 1) / 2 - 1);
	for (i = 0; i < SPANS; i++) {
		KUNIT_ASSERT_TRUE(o->m.test,
				  model_reserve(&o->m, i + 1, i + 1, &o->span[i]));
		total += i + 1;
	}
	for (i = 0; i < SPANS; i++)
		if (sent & BIT(i))
			model_send(&o->m, &o->span[i], o->span[i].n);
	for (i = 0; i < n; i++) {
		model_give_back(&o->m, &o->span[order[i]]);
		model_check(&o->m);
	}
	/* Each id can be reserved again, in the order of the model. */
	for (i = total; i; i--)
		while (model_reserve(&o->m, i, i, &o->span[0]))
			;
	model_check(&o->m);
	o->count++;
}

/* Runs all permutations of order[k..n). */
static void orders_permute(struct orders *o, unsigned int *order,
			   unsigned int k, unsigned int n, unsigned int sent)
{
	unsigned int i;

	if (k == n) {
		orders_run(o, order, n, sent);
		cond_resched();
		return;
	}
	for (i = k; i < n; i++) {
		swap(order[k], order[i]);
		orders_permute(o, order, k + 1, n, sent);
		swap(order[k], order[i]);
	}
}

/*
 * There are spans of 1 to 6 ids.  Each subset of them is sent, and the others are
 * given back in every order.
 */
static void give_back_in_every_order_restores_every_id(struct kunit *test)
{
	struct orders *o = test_alloc(test, sizeof(*o));
	unsigned int order[SPANS], sent, i, n;

	/* The spans cross the end of the rings. */
	window_begin_at(test, ID_SPREAD - SPANS);
	model_begin(&o->m, test, ID_SPREAD - SPANS);
	for (sent = 0; sent < BIT(SPANS); sent++) {
		for (i = 0, n = 0; i < SPANS; i++)
			if (!(sent & BIT(i)))
				order[n++] = i;
		orders_permute(o, order, 0, n, sent);
	}
	kunit_info(test, "%u orders\n", o->count);
	KUNIT_EXPECT_EQ(test, o->count, 1957);	/* sum of 6!/k! */
}

/* The random run: many spans are given back, cut, sent and unsent in any order. */
#define RANDOM_SPANS	64
#define RANDOM_STEPS	100000

struct random_run {
	struct model m;
	struct rnd_state rnd;
	struct mid_span span[RANDOM_SPANS];
	unsigned int connections;
};

static const u64 bases[] = {
	0, ID_SPREAD - 1000, U32_MAX - 1000ULL, MID_WINDOW_RESERVED - MODEL_IDS,
};

static void bases_desc(const u64 *base, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "from %llu", *base);
}

KUNIT_ARRAY_PARAM(bases, bases, bases_desc);

static void random_connect(struct random_run *r)
{
	window_reset(r->m.test);
	model_begin(&r->m, r->m.test, r->m.base);
	r->connections++;
	/* The spans of the last connection stay: they must have no effect. */
}

/* A span of an old connection cannot be sent, and is dropped by give_back. */
static void random_stale(struct random_run *r, struct mid_span *span)
{
	struct mid_tag tag = { .id = NO_ID };

	KUNIT_ASSERT_EQ(r->m.test, -ESTALE,
			mid_window_associate(r->m.w, span, 1, r, &tag, GFP_KERNEL));
	KUNIT_ASSERT_EQ(r->m.test, tag.id, NO_ID);
	mid_window_give_back(r->m.w, span);
}

static void random_unsend(struct random_run *r, struct mid_span *span,
			  unsigned int charge)
{
	u64 id = window_associate(r->m.test, span, charge, r);

	KUNIT_ASSERT_TRUE(r->m.test,
			  mid_window_unsend(r->m.w, TAG(span->epoch, id), r));
	model_set(&r->m, id, charge, AVAILABLE);
}

/* A begin gets the ids that a reserve would get, and ends at once. */
static void random_begin(struct random_run *r)
{
	unsigned int charge = 1 + random_below(&r->rnd, 24);
	unsigned int lowest = model_lowest(&r->m, charge);
	struct mid_tag tag = { .id = NO_ID };
	int err = mid_window_begin(r->m.w, charge, r, &tag, GFP_KERNEL);

	if (lowest == MODEL_IDS) {
		KUNIT_ASSERT_EQ_MSG(r->m.test, err, -EAGAIN, "seed %u", seed);
		return;
	}
	KUNIT_ASSERT_EQ_MSG(r->m.test, err, 0, "seed %u", seed);
	KUNIT_ASSERT_EQ_MSG(r->m.test, tag.id - r->m.base, lowest, "seed %u", seed);
	if (random_below(&r->rnd, 2)) {
		KUNIT_ASSERT_TRUE(r->m.test, mid_window_unsend(r->m.w, &tag, r));
		return;
	}
	model_set(&r->m, tag.id, charge, SENT);
	KUNIT_ASSERT_PTR_EQ(r->m.test, r,
			    mid_window_dissociate(r->m.w, tag.epoch, tag.id));
}

static void random_reserve(struct random_run *r, struct mid_span *span)
{
	unsigned int min = 1 + random_below(&r->rnd, 24);
	unsigned int max = min + random_below(&r->rnd, 3) * random_below(&r->rnd, 90);

	if (!model_reserve(&r->m, min, max, span))
		model_grant(&r->m, random_below(&r->rnd, 32));
}

static void random_step(struct random_run *r)
{
	struct mid_span *span = &r->span[random_below(&r->rnd, RANDOM_SPANS)];

	if (!span->n) {
		if (random_below(&r->rnd, 8))
			random_reserve(r, span);
		else
			random_begin(r);
		return;
	}
	if (span->epoch != mid_window_epoch(r->m.w)) {
		random_stale(r, span);
		return;
	}
	switch (random_below(&r->rnd, 4)) {
	case 0:
		random_unsend(r, span, 1 + random_below(&r->rnd, span->n));
		break;
	case 1:
		model_send(&r->m, span, 1 + random_below(&r->rnd, span->n));
		break;
	default:
		model_give_back(&r->m, span);
	}
}

static void random_give_backs_agree_with_the_model(struct kunit *test)
{
	struct random_run *r = test_alloc(test, sizeof(*r));
	unsigned int step;

	r->m.base = *(const u64 *)test->param_value;
	window_begin_at(test, r->m.base);
	model_begin(&r->m, test, r->m.base);
	prandom_seed_state(&r->rnd, seed);
	for (step = 0; step < RANDOM_STEPS; step++) {
		random_step(r);
		if (step % 64 == 0) {
			model_check(&r->m);
			cond_resched();
		}
		/* All ids of the model were granted: begin a new connection. */
		if (r->m.granted == MODEL_IDS && !random_below(&r->rnd, 1000))
			random_connect(r);
	}
	kunit_info(test, "%u steps, %u connections, seed %u\n", step,
		   r->connections, seed);
	KUNIT_EXPECT_GT(test, r->connections, 3);
}

static struct kunit_case give_back_cases[] = {
	KUNIT_CASE(given_back_ids_are_reissued_before_new_ones),
	KUNIT_CASE(lowest_range_that_is_long_enough_is_taken),
	KUNIT_CASE(adjoining_ranges_merge),
	KUNIT_CASE(head_goes_back),
	KUNIT_CASE(rest_of_a_span_comes_back),
	KUNIT_CASE(empty_span_gives_nothing_back),
	KUNIT_CASE(fragments_serve_small_requests_only),
	KUNIT_CASE(give_back_in_every_order_restores_every_id),
	KUNIT_CASE_PARAM(random_give_backs_agree_with_the_model,
			 bases_gen_params),
	{}
};

static struct kunit_suite give_back_suite = {
	.name = "midwindow_give_back",
	.init = window_init,
	.exit = window_exit,
	.test_cases = give_back_cases,
};

/* ------------------------------------------------------------------------
 * Unsend
 */

static void unsent_request_gives_its_ids_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = window_reserve(test, 6), got;

	window_associate(test, &span, 4, nr_ctx(1));	/* 1 to 4 */
	window_associate(test, &span, 2, nr_ctx(5));	/* 5 and 6 */
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, 1), nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, 1));
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 4);
	got = window_reserve(test, 4);
	EXPECT_SPAN(test, got, 1, 4);
	mid_window_give_back(w, &got);

	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, 5), nr_ctx(5)));
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 1);
	expect_available(test, 10);
}

static void unsent_id_is_reissued_to_another_request(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(2)), id);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(2));
}

static void claimed_request_cannot_be_unsent(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	u64 id = window_send(test, nr_ctx(1)), other = window_send(test, nr_ctx(2));

	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(2)));
	mid_window_dissociate(w, 1, id);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
	mid_window_abandon(w, TAG(1, other), nr_ctx(2), LONG_TIME);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(1, other), nr_ctx(2)));
	KUNIT_EXPECT_EQ(test, window_available(w), 0);
}

/* One id more than the rings have: all 16 ids of the charge are lost. */
static void all_ids_of_an_unsend_that_comes_too_late_are_counted(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	u64 kept, lost;

	window_grant(test, 4 * ID_SPREAD);
	lost = window_send_large(test, 16, nr_ctx(1));		/* 0 to 15 */
	window_send_large(test, 48, nr_ctx(2));
	kept = window_send_large(test, 3, nr_ctx(3));		/* 64, 65, 66 */
	window_send_large(test, MID_WINDOW_MAX_SPAN, nr_ctx(4));
	window_send_large(test, MID_WINDOW_MAX_SPAN - 3, nr_ctx(5));

	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, lost), nr_ctx(1)));
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, kept), nr_ctx(3)));
	KUNIT_EXPECT_EQ(test, window_stats(w).lost, 16);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 3);
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, lost));
	KUNIT_EXPECT_EQ(test, reserve_now(w, 4, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, window_send_large(test, 3, nr_ctx(6)), kept);
	KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(7)), 64 + ID_SPREAD);
}

/*
 * The interim response says that the server has seen the request, or that it guesses
 * ids.  So this is no mistake of the caller: there is no warning.
 */
static void unsend_after_an_interim_response_keeps_the_ids_used(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 4);
	u64 id = window_send_large(test, 2, nr_ctx(1));

	KUNIT_ASSERT_EQ(test, mid_window_note_async(w, 1, id, 1000), 0);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, TAG(1, id), nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).next, 3);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).lost, 2);
	expect_available(test, 2);
}

static struct kunit_case unsend_cases[] = {
	KUNIT_CASE(unsent_request_gives_its_ids_back),
	KUNIT_CASE(unsent_id_is_reissued_to_another_request),
	KUNIT_CASE(claimed_request_cannot_be_unsent),
	KUNIT_CASE(all_ids_of_an_unsend_that_comes_too_late_are_counted),
	KUNIT_CASE(unsend_after_an_interim_response_keeps_the_ids_used),
	{}
};

static struct kunit_suite unsend_suite = {
	.name = "midwindow_unsend",
	.init = window_init,
	.exit = window_exit,
	.test_cases = unsend_cases,
};

/* ------------------------------------------------------------------------
 * A long-lived request, and millions of others
 */

static unsigned int others = 10000000;
module_param(others, uint, 0444);
MODULE_PARM_DESC(others, "Ids that are used while one request stays in flight");

static unsigned int charge = 64;
module_param(charge, uint, 0444);
MODULE_PARM_DESC(charge, "CreditCharge of each request, up to 128");

#define FLEET	64		/* other requests in flight */

/*
 * Returns the cost of a map, in picoseconds: the best of many rounds, which take longer
 * together than another task keeps this CPU slow.
 */
static unsigned long map_cost(struct mid_window *w, u64 id)
{
	unsigned long best = ULONG_MAX, ps;
	unsigned int round, i;
	void *ctx = NULL;
	ktime_t begin;

	for (round = 0; round < 2000; round++) {
		begin = ktime_get();
		for (i = 0; i < 1000; i++) {
			ctx = mid_window_map(w, 1, id);
			barrier_data(ctx);
		}
		ps = ktime_to_ns(ktime_sub(ktime_get(), begin));
		best = min(best, ps);
		cond_resched();
	}
	return ctx ? best : 0;
}

/* Uses @n ids, @charge for each request, with FLEET requests in flight. */
static void use_ids(struct kunit *test, unsigned int n)
{
	struct mid_window *w = test->priv;
	u64 fleet = FLEET * charge, end = window_stats(w).next + n, id, last;
	struct mid_span span = {};
	struct mid_tag tag;

	do {
		if (!span.n) {
			span = window_reserve(test, fleet);
			window_grant(test, fleet);
			cond_resched();
		}
		id = span.first;
		if (mid_window_associate(w, &span, charge, nr_ctx(id), &tag, GFP_KERNEL))
			KUNIT_FAIL_AND_ABORT(test, "associate failed at %llu", id);
		last = id - fleet;
		if (id > fleet && mid_window_dissociate(w, 1, last) != nr_ctx(last))
			KUNIT_FAIL_AND_ABORT(test, "id %llu is lost", last);
	} while (id < end);
	mid_window_give_back(w, &span);
}

static void long_lived_request_does_not_slow_ten_million_others(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long before, young, old;
	struct mid_window_stats begin, end;
	u64 id = window_send(test, nr_ctx(0));

	KUNIT_ASSERT_EQ(test, id, 0);
	window_grant(test, 4 * FLEET * charge);
	use_ids(test, 2 * FLEET * charge);
	begin = window_stats(w);
	before = map_cost(w, begin.next - charge);

	use_ids(test, others);
	end = window_stats(w);
	KUNIT_EXPECT_GE(test, end.next, others);
	young = map_cost(w, end.next - charge);
	old = map_cost(w, id);
	kunit_info(test, "map: %lu ps at first, %lu ps after %u other ids, %lu ps for the long-lived request\n",
		   before, young, others, old);
	KUNIT_EXPECT_GT(test, before, 0);
	KUNIT_EXPECT_GT(test, young, 0);
	KUNIT_EXPECT_LE(test, young, 2 * before);
	KUNIT_EXPECT_LE(test, old, 2 * before);
	KUNIT_EXPECT_EQ(test, end.in_use, FLEET + 1);
	KUNIT_EXPECT_EQ(test, end.slots, begin.slots);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(0));
}

/* 200 times as many in flight do not cost 200 times as much: only the caches are smaller. */
static void map_does_not_search_ten_thousand(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long few, many;
	unsigned int i;

	window_grant(test, 10000);
	for (i = 0; i < 50; i++)
		window_send(test, nr_ctx(i));
	few = map_cost(w, 25);
	for (; i < 10000; i++)
		window_send(test, nr_ctx(i));
	many = map_cost(w, 9999);
	kunit_info(test, "map: %lu ps with 50 in flight, %lu ps with 10000\n",
		   few, many);
	KUNIT_EXPECT_GT(test, few, 0);
	KUNIT_EXPECT_GT(test, many, 0);
	KUNIT_EXPECT_LE(test, many, 20 * few);
}

static struct kunit_case long_cases[] = {
	KUNIT_CASE_SLOW(long_lived_request_does_not_slow_ten_million_others),
	KUNIT_CASE(map_does_not_search_ten_thousand),
	{}
};

static struct kunit_suite long_suite = {
	.name = "midwindow_long",
	.init = window_init,
	.exit = window_exit,
	.test_cases = long_cases,
};

kunit_test_suites(&argument_suite, &id_suite, &room_suite, &give_back_suite,
		  &unsend_suite, &long_suite);

MODULE_DESCRIPTION("KUnit tests of the ids of a MessageId window");
MODULE_LICENSE("GPL");
