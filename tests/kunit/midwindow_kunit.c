// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_kunit - do the calls of midwindow.h keep what they promise?
 *
 * One suite for each part of a window's work: the ids, what comes back, the
 * lookups, epochs, AsyncIds, those who wait, quarantine, the end; then
 * interrupts, two CPUs that race, and long runs.
 *
 * Each test has a window of its own in test->priv.  A window never looks into a
 * context, so most contexts here are mere numbers, a new one for each request:
 * whoever gets a wrong one is noticed.
 *
 * What runs in interrupts or in threads of a test's own only counts what went
 * wrong; the test itself asserts, when they have ended.
 */
#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "fixture.h"
#include "../../midwindow.h"

#ifndef KUNIT_CASE_SLOW			/* 6.1 */
#define KUNIT_CASE_SLOW	KUNIT_CASE
#endif

#define NO_ID		0x5a5a5a5a5a5a5a5aULL	/* stays where a call fails */
#define FOREVER		(60 * HZ)		/* only a bug takes that long */

static unsigned int seed = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed of the random runs; a failure prints it");

static unsigned int others = 10000000;
module_param(others, uint, 0444);
MODULE_PARM_DESC(others, "Ids that go by beside one that stays");

static unsigned int charge = 64;
module_param(charge, uint, 0444);
MODULE_PARM_DESC(charge, "How many of these a request has, up to 128");

static int window_init(struct kunit *test)
{
	struct mid_window *w = mid_window_create("kunit", GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, w);
	test->priv = w;
	return 0;
}

static void window_exit(struct kunit *test)
{
	mid_window_destroy(test->priv, NULL, NULL);
	test->priv = NULL;
}

static struct mid_window_stats stats_of(struct mid_window *w)
{
	struct mid_window_stats stats;

	mid_window_stats(w, &stats);
	return stats;
}

static void grant(struct kunit *test, unsigned int credits)
{
	struct mid_window *w = test->priv;

	KUNIT_ASSERT_EQ(test, 0, mid_window_grant(w, mid_window_epoch(w), credits));
}

static struct mid_span reserve(struct kunit *test, unsigned int n)
{
	struct mid_span span = {};

	KUNIT_ASSERT_EQ(test, 0, mid_window_reserve(test->priv, n, &span));
	KUNIT_ASSERT_EQ(test, span.n, n);
	return span;
}

static u64 associate(struct kunit *test, struct mid_span *span,
		     unsigned int charge, void *ctx)
{
	u64 id = NO_ID, first = span->first;

	KUNIT_ASSERT_EQ(test, 0, mid_window_associate(test->priv, span, charge,
						      ctx, &id, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, id, first);
	return id;
}

/* A request of one id. */
static u64 send(struct kunit *test, void *ctx)
{
	struct mid_span span = reserve(test, 1);

	return associate(test, &span, 1, ctx);
}

/* A window whose id 0 is gone, as after a NEGOTIATE, and of @credits ids. */
static struct mid_window *negotiated(struct kunit *test, unsigned int credits)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(0));

	grant(test, credits);
	KUNIT_ASSERT_PTR_EQ(test, nr_ctx(0),
			    mid_window_dissociate(w, mid_window_epoch(w), id));
	return w;
}

static void expect_span(struct kunit *test, const struct mid_span *span,
			u64 first, unsigned int n)
{
	KUNIT_EXPECT_EQ(test, span->first, first);
	KUNIT_EXPECT_EQ(test, span->n, n);
}

#define EXPECT_SPAN(test, span, first_id, length)			\
	expect_span(test, &(span), first_id, length)

/* All that can be reserved in one piece is @n. */
static void expect_room(struct kunit *test, unsigned int n)
{
	struct mid_window *w = test->priv;
	struct mid_span span = {};

	KUNIT_EXPECT_EQ(test, mid_window_credits(w), n);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, n + 1, &span), -EAGAIN);
	if (!n)
		return;
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, n, &span), 0);
	mid_window_give_back(w, &span);
}

/* ------------------------------------------------------------------------
 * Memory that runs out, and sequences that begin late; for the test's own
 * thread
 */

#ifdef kunit_activate_static_stub
static unsigned int alloc_calls;	/* since limit_allocs() */
static unsigned int alloc_limit;
static u64 first_id;

static void *limited_alloc(size_t size, gfp_t gfp)
{
	if (alloc_calls++ >= alloc_limit)
		return NULL;
	return kvzalloc(size, gfp);
}

/* From now on @limit allocations succeed, all further ones fail. */
static void limit_allocs(struct kunit *test, unsigned int limit)
{
	alloc_calls = 0;
	alloc_limit = limit;
	kunit_activate_static_stub(test, mid_window_alloc, limited_alloc);
}

static u64 late_first_id(void)
{
	return first_id;
}

/* A new connection whose window is { @id }. */
static void begin_at(struct kunit *test, u64 id)
{
	first_id = id;
	kunit_activate_static_stub(test, mid_window_first_id, late_first_id);
	mid_window_reset(test->priv, NULL, NULL);
}
#else
#define alloc_calls	0

static void limit_allocs(struct kunit *test, unsigned int limit)
{
	kunit_skip(test, "this kernel's KUnit has no static stubs");
}

static void begin_at(struct kunit *test, u64 id)
{
	kunit_skip(test, "this kernel's KUnit has no static stubs");
}
#endif

/* ------------------------------------------------------------------------
 * Arguments
 */

static void create_wants_a_name(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, PTR_ERR(mid_window_create(NULL, GFP_KERNEL)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(mid_window_create("", GFP_KERNEL)), -EINVAL);
}

static void create_reports_each_failed_allocation(struct kunit *test)
{
	unsigned int granted = 0;
	struct mid_window *w;

	for (;;) {
		limit_allocs(test, granted);
		w = mid_window_create("kunit", GFP_KERNEL);
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

static void reserve_refuses_no_ids_and_too_many(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span = { .first = NO_ID };

	grant(test, 2 * MID_WINDOW_MAX_SPAN);
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_reserve(w, 0, &span));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_reserve_wait(w, 0, &span, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_reserve_urgent(w, 0, &span, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_window_reserve(w, MID_WINDOW_MAX_SPAN + 1, &span));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_reserve(w, UINT_MAX, &span));
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	span = reserve(test, MID_WINDOW_MAX_SPAN);
	EXPECT_SPAN(test, span, 0, MID_WINDOW_MAX_SPAN);
}

static void *const no_contexts[] = {
	NULL, (void *)-EINVAL, (void *)-ECANCELED, (void *)-MAX_ERRNO,
};

static void associate_refuses_what_is_no_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span = reserve(test, 1);
	unsigned int i;
	u64 id = NO_ID;

	for (i = 0; i < ARRAY_SIZE(no_contexts); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_window_associate(w, &span, 1, no_contexts[i],
						     &id, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	EXPECT_SPAN(test, span, 0, 1);
}

static void associate_refuses_a_charge_that_the_span_has_not(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	u64 id = NO_ID;

	grant(test, 3);
	span = reserve(test, 3);
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_associate(w, &span, 0, w, &id,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_associate(w, &span, 4, w, &id,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_window_associate(w, &span, UINT_MAX, w, &id,
					     GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	EXPECT_SPAN(test, span, 0, 3);

	associate(test, &span, 3, w);
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_associate(w, &span, 1, w, &id,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
}

/* The mark in the place of an abandoned context is an error pointer, too. */
static void claims_refuse_what_is_no_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 epoch = mid_window_epoch(w);
	void *new_ctx;
	unsigned int i;
	u64 id, gone;

	grant(test, 1);
	id = send(test, nr_ctx(1));
	gone = send(test, nr_ctx(2));
	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, epoch, gone, nr_ctx(2), HZ));
	for (i = 0; i < ARRAY_SIZE(no_contexts); i++) {
		new_ctx = mid_window_reassociate(w, epoch, id, no_contexts[i]);
		KUNIT_EXPECT_EQ(test, PTR_ERR(new_ctx), -EINVAL);
		KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, epoch, gone,
								  no_contexts[i]));
		KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, epoch, gone,
							   no_contexts[i]));
		KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, epoch, gone,
							    no_contexts[i], HZ));
	}
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, epoch, id), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, 1);
}

static struct kunit_case argument_cases[] = {
	KUNIT_CASE(create_wants_a_name),
	KUNIT_CASE(create_reports_each_failed_allocation),
	KUNIT_CASE(destroy_needs_no_window),
	KUNIT_CASE(reserve_refuses_no_ids_and_too_many),
	KUNIT_CASE(associate_refuses_what_is_no_context),
	KUNIT_CASE(associate_refuses_a_charge_that_the_span_has_not),
	KUNIT_CASE(claims_refuse_what_is_no_context),
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

	KUNIT_EXPECT_EQ(test, mid_window_credits(w), 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);
	span = reserve(test, 1);
	EXPECT_SPAN(test, span, 0, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	EXPECT_SPAN(test, span, 0, 1);
}

static void grants_open_the_ids_in_sequence(struct kunit *test)
{
	u64 next = 0;
	unsigned int credits;
	struct mid_span span;

	for (credits = 1; credits < 100; credits++) {
		span = reserve(test, 1);
		EXPECT_SPAN(test, span, next, 1);
		next++;
		grant(test, credits);
		if (credits == 1)
			continue;
		span = reserve(test, credits - 1);
		EXPECT_SPAN(test, span, next, credits - 1);
		next += credits - 1;
	}
}

static void grant_of_nothing_is_fine(struct kunit *test)
{
	grant(test, 0);
	expect_room(test, 1);
}

static void next_is_the_lowest_id_that_was_never_reserved(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 5);
	struct mid_span span;

	KUNIT_EXPECT_EQ(test, mid_window_next(w), 1);
	span = reserve(test, 3);
	KUNIT_EXPECT_EQ(test, mid_window_next(w), 4);
	associate(test, &span, 1, w);
	KUNIT_EXPECT_EQ(test, mid_window_next(w), 4);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, mid_window_next(w), 2);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, mid_window_next(w), 0);
}

/* What a response brings is one, two or no more ids: never a part of a span. */
static void span_is_given_whole_or_not_at_all(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 3);
	struct mid_span span = { .first = NO_ID };
	unsigned int missing;

	for (missing = 5; missing; missing--) {
		KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 8, &span), -EAGAIN);
		KUNIT_EXPECT_EQ(test, span.first, NO_ID);
		KUNIT_EXPECT_EQ(test, mid_window_credits(w), 8 - missing);
		grant(test, 1);
	}
	span = reserve(test, 8);
	EXPECT_SPAN(test, span, 1, 8);
	KUNIT_EXPECT_EQ(test, stats_of(w).exhausted, 5);
}

static void full_window_refuses_spans_of_every_size(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	struct mid_span all = reserve(test, 100), span = { .first = NO_ID };
	unsigned int n;

	for (n = 1; n <= MID_WINDOW_MAX_SPAN; n++)
		KUNIT_ASSERT_EQ(test, mid_window_reserve(w, n, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, span.first, NO_ID);

	/* What is in flight frees no ids, only its response's credits do. */
	associate(test, &all, 50, w);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_PTR_EQ(test, w, mid_window_dissociate(w, 1, 1));
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	grant(test, 1);
	span = reserve(test, 1);
	EXPECT_SPAN(test, span, 101, 1);
}

static void associate_takes_ids_off_the_front(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 6);
	struct mid_span span = reserve(test, 6);

	KUNIT_EXPECT_EQ(test, 1, associate(test, &span, 1, nr_ctx(1)));
	EXPECT_SPAN(test, span, 2, 5);
	KUNIT_EXPECT_EQ(test, 2, associate(test, &span, 3, nr_ctx(2)));
	EXPECT_SPAN(test, span, 5, 2);
	KUNIT_EXPECT_EQ(test, 5, associate(test, &span, 2, nr_ctx(5)));
	EXPECT_SPAN(test, span, 7, 0);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 1), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 2), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 5), nr_ctx(5));
}

static void span_may_be_cut_in_two(struct kunit *test)
{
	struct mid_span span, rest;

	negotiated(test, 10);
	span = reserve(test, 10);
	rest = (struct mid_span){ span.first + 4, span.n - 4, span.epoch };
	span.n = 4;
	mid_window_give_back(test->priv, &rest);
	associate(test, &span, 4, nr_ctx(1));
	span = reserve(test, 6);
	EXPECT_SPAN(test, span, 5, 6);
}

/* Fails each allocation of an associate in turn. */
static void failed_associate_changes_nothing(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span span = reserve(test, 4);
	u64 id = NO_ID;

	limit_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM, mid_window_associate(w, &span, 2, w, &id,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	EXPECT_SPAN(test, span, 1, 4);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);

	limit_allocs(test, 1);
	KUNIT_EXPECT_EQ(test, 0, mid_window_associate(w, &span, 2, w, &id,
						      GFP_KERNEL));
	EXPECT_SPAN(test, span, 3, 2);
}

#ifdef kunit_activate_static_stub
static void *no_slots(size_t size, gfp_t gfp)
{
	return NULL;
}
#endif

/* The inner atlas has few slots at first, and cannot get more. */
static void associate_reports_that_the_atlas_cannot_grow(struct kunit *test)
{
#ifdef kunit_activate_static_stub
	struct mid_window *w = negotiated(test, 100);
	struct mid_span span = reserve(test, 100);
	unsigned int sent = 0;
	u64 id;
	int err;

	kunit_activate_static_stub(test, mid_atlas_alloc, no_slots);
	while (!(err = mid_window_associate(w, &span, 1, nr_ctx(sent), &id,
					    GFP_KERNEL)))
		sent++;
	kunit_deactivate_static_stub(test, mid_atlas_alloc);
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, span.n, 100 - sent);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, sent);
	KUNIT_EXPECT_EQ(test, stats_of(w).slots, sent);
	associate(test, &span, 100 - sent, nr_ctx(sent));
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* MID_ATLAS_MAX_MIDS is what one window can have in flight. */
static void too_many_in_flight_are_refused_and_one_less_is_not(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	unsigned int sent;
	u64 id = NO_ID;

	grant(test, MID_ATLAS_MAX_MIDS);
	for (sent = 0; sent < MID_ATLAS_MAX_MIDS; sent++)
		send(test, nr_ctx(sent));
	span = reserve(test, 1);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			mid_window_associate(w, &span, 1, w, &id, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	KUNIT_EXPECT_EQ(test, span.n, 1);

	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(4711), mid_window_dissociate(w, 1, 4711));
	associate(test, &span, 1, w);
	KUNIT_EXPECT_EQ(test, stats_of(w).high_water, MID_ATLAS_MAX_MIDS);
}

static void sequence_ends_before_the_servers_own_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span = {};
	unsigned int i;

	begin_at(test, MID_WINDOW_RESERVED - 10);
	grant(test, 1000);
	grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, mid_window_credits(w), 10);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 11, &span), -EAGAIN);
	for (i = 0; i < 10; i++) {
		span = reserve(test, 1);
		EXPECT_SPAN(test, span, MID_WINDOW_RESERVED - 10 + i, 1);
		associate(test, &span, 1, nr_ctx(i));
	}
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, stats_of(w).next, MID_WINDOW_RESERVED);
	KUNIT_EXPECT_NULL(test, mid_window_map(w, mid_window_epoch(w),
					       MID_WINDOW_RESERVED));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, mid_window_epoch(w),
						      MID_WINDOW_RESERVED));
	KUNIT_EXPECT_EQ(test, stats_of(w).unknown, 1);
}

static void last_ids_make_one_span_and_come_back_too(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;

	begin_at(test, MID_WINDOW_RESERVED - 16);
	grant(test, 100);
	span = reserve(test, 16);
	EXPECT_SPAN(test, span, MID_WINDOW_RESERVED - 16, 16);
	mid_window_give_back(w, &span);
	expect_room(test, 16);
	span = reserve(test, 16);
	associate(test, &span, 16, w);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, mid_window_epoch(w),
						  MID_WINDOW_RESERVED - 16, w));
	expect_room(test, 16);
}

#define SPREAD	(2 * MID_WINDOW_MAX_SPAN)

/* A span that nobody sends stops the window, as it would stop the server's. */
static void unsent_id_is_not_left_behind_for_ever(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span old, span = {};
	unsigned int i;

	grant(test, 4 * SPREAD);
	old = reserve(test, 2);
	for (i = 2; i < SPREAD; i++)
		send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);

	/* One of the two is sent: so much further it goes. */
	associate(test, &old, 1, nr_ctx(0));
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(i)), SPREAD);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);

	/* The other one comes back, and is what the next request gets. */
	mid_window_give_back(w, &old);
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(1)), 1);
	span = reserve(test, MID_WINDOW_MAX_SPAN);
	KUNIT_EXPECT_EQ(test, span.first, SPREAD + 1);
}

static void credits_are_a_hint_that_saturates(struct kunit *test)
{
	grant(test, UINT_MAX);
	grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, mid_window_credits(test->priv), UINT_MAX);
	KUNIT_EXPECT_EQ(test, stats_of(test->priv).credits, 2ULL * UINT_MAX + 1);
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
	KUNIT_CASE(failed_associate_changes_nothing),
	KUNIT_CASE(associate_reports_that_the_atlas_cannot_grow),
	KUNIT_CASE(too_many_in_flight_are_refused_and_one_less_is_not),
	KUNIT_CASE(sequence_ends_before_the_servers_own_id),
	KUNIT_CASE(last_ids_make_one_span_and_come_back_too),
	KUNIT_CASE(unsent_id_is_not_left_behind_for_ever),
	KUNIT_CASE(credits_are_a_hint_that_saturates),
	{}
};

static struct kunit_suite id_suite = {
	.name = "midwindow_ids",
	.init = window_init,
	.exit = window_exit,
	.test_cases = id_cases,
};

/* ------------------------------------------------------------------------
 * The model of the ids: one byte each, and no idea of ranges
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
	grant(m->test, credits);
	memset(m->fate + m->granted, AVAILABLE, credits);
	m->granted += credits;
}

/* Where the lowest @n available ids in a row begin; MODEL_IDS if nowhere. */
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

/* A reserve gets exactly what the model says: those ids, or nothing. */
static bool model_reserve(struct model *m, unsigned int n, struct mid_span *span)
{
	unsigned int lowest = model_lowest(m, n);
	int err = mid_window_reserve(m->w, n, span);

	if (lowest == MODEL_IDS) {
		KUNIT_ASSERT_EQ_MSG(m->test, err, -EAGAIN, "%u ids, seed %u", n,
				    seed);
		return false;
	}
	KUNIT_ASSERT_EQ_MSG(m->test, err, 0, "%u ids from %u, seed %u", n,
			    lowest, seed);
	KUNIT_ASSERT_EQ_MSG(m->test, span->first - m->base, lowest,
			    "%u ids, seed %u", n, seed);
	KUNIT_ASSERT_EQ(m->test, span->n, n);
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
	u64 id = associate(m->test, span, charge, m->w);

	model_set(m, id, charge, SENT);
	KUNIT_ASSERT_PTR_EQ(m->test, m->w,
			    mid_window_dissociate(m->w, span->epoch, id));
}

/* The window counts what the model does. */
static void model_check(const struct model *m)
{
	struct mid_window_stats stats = stats_of(m->w);
	unsigned int i, credits = 0, next = 0;

	for (i = 0; i < m->granted; i++) {
		credits += m->fate[i] == AVAILABLE;
		if (m->fate[i] != AVAILABLE)
			next = i + 1;
	}
	KUNIT_ASSERT_EQ_MSG(m->test, stats.credits, credits, "seed %u", seed);
	KUNIT_ASSERT_EQ_MSG(m->test, stats.next - m->base, next, "seed %u", seed);
	KUNIT_ASSERT_EQ_MSG(m->test, stats.given_back,
			    credits - (m->granted - next), "seed %u", seed);
}

/* ------------------------------------------------------------------------
 * What comes back
 */

static void given_back_ids_are_reissued_before_new_ones(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span a = reserve(test, 4), b = reserve(test, 4), got;

	reserve(test, 4);
	mid_window_give_back(w, &b);
	mid_window_give_back(w, &a);
	got = reserve(test, 2);
	EXPECT_SPAN(test, got, 1, 2);
	got = reserve(test, 2);
	EXPECT_SPAN(test, got, 3, 2);
	got = reserve(test, 4);
	EXPECT_SPAN(test, got, 5, 4);
	got = reserve(test, 1);
	EXPECT_SPAN(test, got, 13, 1);
}

static void lowest_range_that_is_long_enough_is_taken(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	static const unsigned int size[] = { 1, 5, 3, 5, 2 };
	struct mid_span span[ARRAY_SIZE(size)], got;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		span[i] = reserve(test, size[i]);	/* 1, 3, 9, 13, 19 */
		reserve(test, 1);
	}
	for (i = 0; i < ARRAY_SIZE(size); i++)
		mid_window_give_back(w, &span[i]);

	got = reserve(test, 4);
	EXPECT_SPAN(test, got, 3, 4);
	got = reserve(test, 3);
	EXPECT_SPAN(test, got, 9, 3);
	got = reserve(test, 6);
	EXPECT_SPAN(test, got, 22, 6);	/* too long for any: new ones */
	got = reserve(test, 1);
	EXPECT_SPAN(test, got, 1, 1);
	got = reserve(test, 1);
	EXPECT_SPAN(test, got, 7, 1);
	got = reserve(test, 5);
	EXPECT_SPAN(test, got, 13, 5);
	got = reserve(test, 2);
	EXPECT_SPAN(test, got, 19, 2);
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 0);
}

static void adjoining_ranges_merge(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 12);
	struct mid_span a = reserve(test, 3), b = reserve(test, 3),
			c = reserve(test, 3), got;

	reserve(test, 3);		/* the window is full, and has no head */
	mid_window_give_back(w, &a);
	mid_window_give_back(w, &c);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 4, &got), -EAGAIN);
	mid_window_give_back(w, &b);	/* the middle joins both */
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 9);
	got = reserve(test, 9);
	EXPECT_SPAN(test, got, 1, 9);
}

static void head_goes_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 12);
	struct mid_span a = reserve(test, 3), b = reserve(test, 3),
			c = reserve(test, 3), got;

	mid_window_give_back(w, &b);
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 10);
	mid_window_give_back(w, &c);	/* and b with it */
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 4);
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 0);
	got = reserve(test, 9);
	EXPECT_SPAN(test, got, 4, 9);
	mid_window_give_back(w, &got);
	mid_window_give_back(w, &a);
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 1);
	expect_room(test, 12);
}

static void rest_of_a_span_comes_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 8);
	struct mid_span span = reserve(test, 8);

	associate(test, &span, 3, nr_ctx(1));
	mid_window_give_back(w, &span);
	expect_room(test, 5);
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 4);
}

static void empty_span_gives_nothing_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 8);
	struct mid_span span = reserve(test, 8), zero = {};

	mid_window_give_back(w, &zero);
	mid_window_give_back(w, &span);
	mid_window_give_back(w, &span);	/* is empty now */
	expect_room(test, 8);
}

static void fragments_are_of_use_to_small_requests_only(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 64);
	struct mid_span span[64], got;
	unsigned int i;

	for (i = 0; i < 64; i++)
		span[i] = reserve(test, 1);
	for (i = 0; i < 64; i += 2)
		mid_window_give_back(w, &span[i]);
	KUNIT_EXPECT_EQ(test, mid_window_credits(w), 32);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &got), -EAGAIN);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &got), -EAGAIN);
	mid_window_give_back(w, &span[31]);
	got = reserve(test, 3);
	EXPECT_SPAN(test, got, 31, 3);
	for (i = 0; i < 30; i++)
		reserve(test, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &got), -EAGAIN);
}

/* Give-back in every order */
#define SPANS	6

struct orders {
	struct model m;
	struct mid_span span[SPANS];
	unsigned int count;
};

/* The spans are there again; those in @sent are sent, the others go back. */
static void orders_run(struct orders *o, const unsigned int *order,
		       unsigned int n, unsigned int sent)
{
	unsigned int i, total = 0;

	mid_window_reset(o->m.w, NULL, NULL);
	model_begin(&o->m, o->m.test, o->m.base);
	model_grant(&o->m, SPANS * (SPANS + 1) / 2 - 1);
	for (i = 0; i < SPANS; i++) {
		KUNIT_ASSERT_TRUE(o->m.test,
				  model_reserve(&o->m, i + 1, &o->span[i]));
		total += i + 1;
	}
	for (i = 0; i < SPANS; i++)
		if (sent & BIT(i))
			model_send(&o->m, &o->span[i], o->span[i].n);
	for (i = 0; i < n; i++) {
		model_give_back(&o->m, &o->span[order[i]]);
		model_check(&o->m);
	}
	/* All of it can be had again, from the lowest run on. */
	for (i = total; i; i--)
		while (model_reserve(&o->m, i, &o->span[0]))
			;
	model_check(&o->m);
	o->count++;
}

/* Every order of order[0..n) from @k on. */
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
 * Spans of 1 to 6 ids; each set of them is sent and the rest given back, in each
 * order that there is.
 */
static void give_back_in_every_order_restores_every_id(struct kunit *test)
{
	struct orders *o = test_alloc(test, sizeof(*o));
	unsigned int order[SPANS], sent, i, n;

	/* At an end of the rings, so that spans lie across it. */
	begin_at(test, SPREAD - SPANS);
	model_begin(&o->m, test, SPREAD - SPANS);
	for (sent = 0; sent < BIT(SPANS); sent++) {
		for (i = 0, n = 0; i < SPANS; i++)
			if (!(sent & BIT(i)))
				order[n++] = i;
		orders_permute(o, order, 0, n, sent);
	}
	kunit_info(test, "%u orders\n", o->count);
	KUNIT_EXPECT_EQ(test, o->count, 1957);	/* sum of 6!/k! */
}

/* The random run: many spans, given back, cut, sent and unsent in any order. */
#define RANDOM_SPANS	64
#define RANDOM_STEPS	100000

struct random_run {
	struct model m;
	struct rnd_state rnd;
	struct mid_span span[RANDOM_SPANS];
	unsigned int connections;
};

static u32 random_below(struct rnd_state *rnd, u32 limit)
{
	return prandom_u32_state(rnd) % limit;
}

static const u64 bases[] = {
	0, SPREAD - 1000, U32_MAX - 1000ULL, MID_WINDOW_RESERVED - MODEL_IDS,
};

static void bases_desc(const u64 *base, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "from %llu", *base);
}

KUNIT_ARRAY_PARAM(bases, bases, bases_desc);

static void random_connect(struct random_run *r)
{
	mid_window_reset(r->m.w, NULL, NULL);
	model_begin(&r->m, r->m.test, r->m.base);
	r->connections++;
	/* The spans of the last connection stay: they must do no harm. */
}

/* What a span of an old connection is good for: nothing. */
static void random_stale(struct random_run *r, struct mid_span *span)
{
	u64 id = NO_ID;

	KUNIT_ASSERT_EQ(r->m.test, -ESTALE,
			mid_window_associate(r->m.w, span, 1, r, &id, GFP_KERNEL));
	KUNIT_ASSERT_EQ(r->m.test, id, NO_ID);
	mid_window_give_back(r->m.w, span);
}

static void random_unsend(struct random_run *r, struct mid_span *span,
			  unsigned int charge)
{
	u64 id = associate(r->m.test, span, charge, r);

	KUNIT_ASSERT_TRUE(r->m.test, mid_window_unsend(r->m.w, span->epoch, id, r));
	model_set(&r->m, id, charge, AVAILABLE);
}

static void random_step(struct random_run *r)
{
	struct mid_span *span = &r->span[random_below(&r->rnd, RANDOM_SPANS)];

	if (!span->n) {
		if (!model_reserve(&r->m, 1 + random_below(&r->rnd, 24), span))
			model_grant(&r->m, random_below(&r->rnd, 32));
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
	begin_at(test, r->m.base);
	model_begin(&r->m, test, r->m.base);
	prandom_seed_state(&r->rnd, seed);
	for (step = 0; step < RANDOM_STEPS; step++) {
		random_step(r);
		if (step % 64 == 0) {
			model_check(&r->m);
			cond_resched();
		}
		/* All ids are used up, but for what cannot be used. */
		if (r->m.granted == MODEL_IDS && !random_below(&r->rnd, 1000))
			random_connect(r);
	}
	kunit_info(test, "%u steps, %u connections, seed %u\n", step,
		   r->connections, seed);
	KUNIT_EXPECT_GT(test, r->connections, 3);
}

static struct kunit_case back_cases[] = {
	KUNIT_CASE(given_back_ids_are_reissued_before_new_ones),
	KUNIT_CASE(lowest_range_that_is_long_enough_is_taken),
	KUNIT_CASE(adjoining_ranges_merge),
	KUNIT_CASE(head_goes_back),
	KUNIT_CASE(rest_of_a_span_comes_back),
	KUNIT_CASE(empty_span_gives_nothing_back),
	KUNIT_CASE(fragments_are_of_use_to_small_requests_only),
	KUNIT_CASE(give_back_in_every_order_restores_every_id),
	KUNIT_CASE_PARAM(random_give_backs_agree_with_the_model,
			 bases_gen_params),
	{}
};

static struct kunit_suite back_suite = {
	.name = "midwindow_give_back",
	.init = window_init,
	.exit = window_exit,
	.test_cases = back_cases,
};

/* ------------------------------------------------------------------------
 * In flight
 */

static void id_maps_to_its_context_until_it_is_claimed(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, 1, id, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, 1, id, nr_ctx(1), HZ));
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
}

static void ids_that_are_not_in_flight_map_to_nothing(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = reserve(test, 6);
	static const u64 none[] = {
		0,			/* over */
		2, 3,			/* inside the charge of 1 */
		4, 6,			/* reserved */
		7, 10,			/* granted */
		11, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 63,
		MID_WINDOW_RESERVED - 1, MID_WINDOW_RESERVED,
	};
	unsigned int i;

	associate(test, &span, 3, nr_ctx(1));
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, none[i]));
		KUNIT_EXPECT_NULL(test, mid_window_map_async(w, 1, none[i]));
		KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, none[i]));
	}
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 1), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, stats_of(w).stale, 3);	/* 0, 2, 3 */
	KUNIT_EXPECT_EQ(test, stats_of(w).unknown, ARRAY_SIZE(none) - 3);
}

static void all_64_bits_of_an_id_count(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 base = (1ULL << 40) - 2, id;
	unsigned int bit;

	begin_at(test, base);
	id = send(test, nr_ctx(1));
	for (bit = 0; bit < 64; bit++)
		KUNIT_EXPECT_NULL(test, mid_window_map(w, mid_window_epoch(w),
						       id ^ BIT_ULL(bit)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_map(w, mid_window_epoch(w), id));
}

static void dissociate_if_wants_the_very_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(2)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_TRUE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, stats_of(w).dissociated, 1);
}

static void reassociate_returns_the_old_context(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1),
			    mid_window_reassociate(w, 1, id, nr_ctx(2)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2),
			    mid_window_reassociate(w, 1, id, nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(3));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, 1, id, nr_ctx(4)));
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
	u64 id = send(test, nr_ctx(1));

	gets = 0;
	puts = 0;
	get_window = NULL;
	get_answer = true;
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map_get(w, 1, id, test_get), nr_ctx(1));
	KUNIT_EXPECT_NULL(test, mid_window_map_get(w, 1, id + 1, test_get));
	KUNIT_EXPECT_EQ(test, gets, 1);
	get_answer = false;
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, 1, id, test_get, test_put));
	KUNIT_EXPECT_EQ(test, gets, 2);
	KUNIT_EXPECT_EQ(test, puts, 0);

	/* The request is claimed while the reference is being taken. */
	get_answer = true;
	get_window = w;
	KUNIT_EXPECT_NULL(test, mid_window_map_get_put(w, 1, id, test_get, test_put));
	KUNIT_EXPECT_EQ(test, gets, 3);
	KUNIT_EXPECT_EQ(test, puts, 1);
}

#define MANY	1000

/* Who was seen, and how often, by context. */
struct census {
	unsigned int calls;
	unsigned int wrong;
	u8 seen[MANY];
};

/* The context of id N is nr_ctx(N). */
static void count_ctx(void *ctx, u64 id, void *arg)
{
	struct census *census = arg;
	unsigned long nr = (unsigned long)ctx - 1;

	census->calls++;
	if (nr >= MANY || nr != id || census->seen[nr]++)
		census->wrong++;
}

static void count_ctx_slowly(void *ctx, u64 id, void *arg)
{
	might_sleep();
	usleep_range(1, 2);
	count_ctx(ctx, id, arg);
}

/* MANY requests; of each three the second is claimed and the third given up. */
static struct mid_window *many(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i;

	grant(test, MANY);
	for (i = 0; i < MANY; i++) {
		u64 id = send(test, nr_ctx(i));

		if (i % 3 == 1)
			KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i),
					    mid_window_dissociate(w, 1, id));
		if (i % 3 == 2)
			KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, 1, id,
								   nr_ctx(i),
								   FOREVER));
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

static void claim_all_takes_each_context_once(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = many(test);

	KUNIT_EXPECT_EQ(test, mid_window_claim_all(w, count_ctx_slowly, census),
			DIV_ROUND_UP(MANY, 3));
	expect_thirds(test, census);
	KUNIT_EXPECT_EQ(test, mid_window_claim_all(w, NULL, NULL), 0);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, 0);
	/* The connection goes on where it was. */
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(MANY)), MANY);
}

static void claim_older_leaves_the_young(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = test->priv;

	grant(test, 4);
	send(test, nr_ctx(0));
	send(test, nr_ctx(1));
	msleep(1000);
	send(test, nr_ctx(2));
	KUNIT_EXPECT_GE(test, stats_of(w).oldest, HZ);
	KUNIT_EXPECT_EQ(test, 0, mid_window_claim_older(w, FOREVER, count_ctx,
							census));
	KUNIT_EXPECT_EQ(test, 2, mid_window_claim_older(w, HZ, count_ctx, census));
	KUNIT_EXPECT_EQ(test, census->wrong, 0);
	KUNIT_EXPECT_EQ(test, census->seen[0] + census->seen[1], 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 2), nr_ctx(2));
	KUNIT_EXPECT_EQ(test, mid_window_claim_older(w, 0, NULL, NULL), 1);
}

static void index_grows_and_every_id_still_maps(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i, buckets = stats_of(w).buckets;

	grant(test, 5000);
	for (i = 0; i < 5000; i++) {
		KUNIT_ASSERT_EQ(test, send(test, nr_ctx(i)), i);
		KUNIT_ASSERT_PTR_EQ(test, mid_window_map(w, 1, i / 2),
				    nr_ctx(i / 2));
	}
	KUNIT_EXPECT_GT(test, stats_of(w).buckets, 16 * buckets);
	KUNIT_EXPECT_GE(test, stats_of(w).slots, 5000);
	for (i = 0; i < 5000; i++)
		KUNIT_ASSERT_PTR_EQ(test, mid_window_map(w, 1, i), nr_ctx(i));
	/* Neither the first nor the last table is the last to be emptied. */
	for (i = 0; i < 5000; i++)
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i * 3 % 5000),
				    mid_window_dissociate(w, 1, i * 3 % 5000));
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
	send(test, nr_ctx(i));
}

#ifdef kunit_activate_static_stub
static void *small_alloc(size_t size, gfp_t gfp)
{
	return size > 1024 ? NULL : kzalloc(size, gfp);
}
#endif

static void index_that_cannot_grow_is_slow_and_right(struct kunit *test)
{
#ifdef kunit_activate_static_stub
	struct mid_window *w = test->priv;
	unsigned int i, buckets = stats_of(w).buckets;

	kunit_activate_static_stub(test, mid_window_alloc, small_alloc);
	grant(test, 2000);
	for (i = 0; i < 2000; i++)
		send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, stats_of(w).buckets, buckets);
	for (i = 0; i < 2000; i++)
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(i), mid_window_dissociate(w, 1, i));
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

static void counters_add_up(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_window_stats stats;
	struct mid_span span;
	unsigned int i;

	for (i = 1; i <= 5; i++)
		send(test, nr_ctx(i));
	mid_window_dissociate(w, 1, 1);
	mid_window_dissociate(w, 1, 1);				/* stale */
	mid_window_dissociate(w, 1, 77);			/* unknown */
	mid_window_dissociate(w, 2, 77);			/* stale */
	mid_window_abandon(w, 1, 2, nr_ctx(2), FOREVER);
	mid_window_abandon(w, 1, 3, nr_ctx(3), FOREVER);
	mid_window_dissociate(w, 1, 2);				/* late */
	mid_window_unsend(w, 1, 5, nr_ctx(5));
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 7, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, mid_window_reserve_wait(w, 7, &span, 0), -ETIMEDOUT);

	stats = stats_of(w);
	KUNIT_EXPECT_EQ(test, stats.epoch, 1);
	KUNIT_EXPECT_EQ(test, stats.next, 5);
	KUNIT_EXPECT_EQ(test, stats.credits, 6);
	KUNIT_EXPECT_EQ(test, stats.given_back, 0);
	KUNIT_EXPECT_EQ(test, stats.in_use, 2);			/* 3, 4 */
	KUNIT_EXPECT_EQ(test, stats.high_water, 5);
	KUNIT_EXPECT_EQ(test, stats.abandoned, 1);		/* 3 */
	KUNIT_EXPECT_EQ(test, stats.waiters, 0);
	KUNIT_EXPECT_EQ(test, stats.associated, 6);
	KUNIT_EXPECT_EQ(test, stats.dissociated, 5);
	KUNIT_EXPECT_EQ(test, stats.associated,
			stats.dissociated + stats.in_use - stats.abandoned);
	KUNIT_EXPECT_EQ(test, stats.stale, 2);
	KUNIT_EXPECT_EQ(test, stats.unknown, 1);
	KUNIT_EXPECT_EQ(test, stats.late, 1);
	KUNIT_EXPECT_EQ(test, stats.exhausted, 2);
	KUNIT_EXPECT_EQ(test, stats.lost, 0);
}

static struct kunit_case flight_cases[] = {
	KUNIT_CASE(id_maps_to_its_context_until_it_is_claimed),
	KUNIT_CASE(ids_that_are_not_in_flight_map_to_nothing),
	KUNIT_CASE(all_64_bits_of_an_id_count),
	KUNIT_CASE(dissociate_if_wants_the_very_context),
	KUNIT_CASE(reassociate_returns_the_old_context),
	KUNIT_CASE(map_get_takes_a_reference_or_leaves_none),
	KUNIT_CASE(each_context_in_flight_is_shown_and_stays),
	KUNIT_CASE(claim_all_takes_each_context_once),
	KUNIT_CASE(claim_older_leaves_the_young),
	KUNIT_CASE(index_grows_and_every_id_still_maps),
	KUNIT_CASE(index_that_cannot_grow_is_slow_and_right),
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
 * Unsend
 */

static void unsent_request_gives_its_ids_back(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = reserve(test, 6), got;

	associate(test, &span, 4, nr_ctx(1));	/* 1 to 4 */
	associate(test, &span, 2, nr_ctx(5));	/* 5 and 6 */
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, 1, nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, 1));
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 4);
	got = reserve(test, 4);
	EXPECT_SPAN(test, got, 1, 4);
	mid_window_give_back(w, &got);

	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, 5, nr_ctx(5)));
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 1);
	expect_room(test, 10);
}

static void unsent_id_is_reissued_to_another_request(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(2)), id);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(2));
}

static void claimed_request_cannot_be_unsent(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 2);
	u64 id = send(test, nr_ctx(1)), other = send(test, nr_ctx(2));

	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, 1, id, nr_ctx(2)));
	mid_window_dissociate(w, 1, id);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
	mid_window_abandon(w, 1, other, nr_ctx(2), FOREVER);
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, 1, other, nr_ctx(2)));
	KUNIT_EXPECT_EQ(test, mid_window_credits(w), 0);
}

static void unsend_that_comes_too_late_is_counted(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	u64 kept, lost;

	grant(test, 4 * SPREAD);
	lost = send(test, nr_ctx(1));
	kept = send(test, nr_ctx(2));
	span = reserve(test, MID_WINDOW_MAX_SPAN);
	associate(test, &span, MID_WINDOW_MAX_SPAN, nr_ctx(3));
	span = reserve(test, MID_WINDOW_MAX_SPAN - 1);
	associate(test, &span, MID_WINDOW_MAX_SPAN - 1, nr_ctx(4));

	/* They are SPREAD + 1 and SPREAD below the next id. */
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, lost, nr_ctx(1)));
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, kept, nr_ctx(2)));
	KUNIT_EXPECT_EQ(test, stats_of(w).lost, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(5)), kept);
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(6)), SPREAD + 1);
}

static struct kunit_case unsend_cases[] = {
	KUNIT_CASE(unsent_request_gives_its_ids_back),
	KUNIT_CASE(unsent_id_is_reissued_to_another_request),
	KUNIT_CASE(claimed_request_cannot_be_unsent),
	KUNIT_CASE(unsend_that_comes_too_late_is_counted),
	{}
};

static struct kunit_suite unsend_suite = {
	.name = "midwindow_unsend",
	.init = window_init,
	.exit = window_exit,
	.test_cases = unsend_cases,
};

/* ------------------------------------------------------------------------
 * Epochs
 */

static void id_of_an_earlier_connection_never_maps(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 old = mid_window_epoch(w), new;
	u64 id, async_id = 77;

	send(test, nr_ctx(1));
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, old, 0, async_id));
	new = mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_NE(test, new, old);
	KUNIT_EXPECT_EQ(test, mid_window_epoch(w), new);
	id = send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, id, 0);		/* the same number again */
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, new, id, async_id));

	KUNIT_EXPECT_NULL(test, mid_window_map(w, old, id));
	KUNIT_EXPECT_NULL(test, mid_window_map_async(w, old, async_id));
	KUNIT_EXPECT_NULL(test, mid_window_map_get(w, old, id, test_get));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, old, id));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate_async(w, old, async_id));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, old, id, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, old, id, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, old, id, nr_ctx(2), HZ));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, old, id, nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, old, id, &async_id));
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_note_async(w, old, id, 78));

	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, new, id), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2),
			    mid_window_dissociate_async(w, new, async_id));
}

static void reset_hands_over_each_context_once(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = many(test);
	unsigned int i;

	mid_window_reset(w, count_ctx_slowly, census);
	expect_thirds(test, census);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, 0);
	for (i = 0; i < MANY; i++)
		KUNIT_ASSERT_NULL(test, mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, count_ctx, census), 3);
	KUNIT_EXPECT_EQ(test, census->calls, DIV_ROUND_UP(MANY, 3));
}

static void reset_begins_with_one_id(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);
	struct mid_span a = reserve(test, 10), b = reserve(test, 10);

	mid_window_give_back(w, &a);	/* is given back, and forgotten */
	mid_window_reset(w, NULL, NULL);
	expect_room(test, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).next, 0);
	mid_window_give_back(w, &b);	/* is dropped */
	KUNIT_EXPECT_EQ(test, b.n, 0);
	expect_room(test, 1);
	grant(test, 9);
	expect_room(test, 10);
}

static void credits_of_an_earlier_connection_are_refused(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u32 old = mid_window_epoch(w);

	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, old, 10), -ESTALE);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, old + 2, 10), -ESTALE);
	KUNIT_EXPECT_EQ(test, mid_window_grant(w, 0, 10), -ESTALE);
	expect_room(test, 1);
}

static void span_of_an_earlier_connection_cannot_be_sent(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = reserve(test, 4);
	u64 id = NO_ID;

	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, -ESTALE, mid_window_associate(w, &span, 2, w, &id,
							    GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	EXPECT_SPAN(test, span, 1, 4);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static struct kunit_case epoch_cases[] = {
	KUNIT_CASE(id_of_an_earlier_connection_never_maps),
	KUNIT_CASE(reset_hands_over_each_context_once),
	KUNIT_CASE(reset_begins_with_one_id),
	KUNIT_CASE(credits_of_an_earlier_connection_are_refused),
	KUNIT_CASE(span_of_an_earlier_connection_cannot_be_sent),
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

static void request_is_found_by_its_async_id_too(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1)), async_id = NO_ID;

	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, 1, id, &async_id));
	KUNIT_EXPECT_EQ(test, async_id, NO_ID);
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, 1, id, &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map_async(w, 1, 1000), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, id), nr_ctx(1));
	/* An AsyncId is no MessageId. */
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, 1000));
	KUNIT_EXPECT_NULL(test, mid_window_map_async(w, 1, id));
	mid_window_reassociate(w, 1, id, nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map_async(w, 1, 1000), nr_ctx(2));
}

static void async_id_goes_with_its_request(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id, async_id;

	grant(test, 3);
	id = send(test, nr_ctx(1));
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(1));
	KUNIT_EXPECT_NULL(test, mid_window_map_async(w, 1, 1000));
	KUNIT_EXPECT_NULL(test, mid_window_dissociate_async(w, 1, 1000));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, 1, id, &async_id));

	/* The server may use it again then. */
	id = send(test, nr_ctx(2));
	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2),
			    mid_window_dissociate_async(w, 1, 1000));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static void async_ids_that_make_no_sense_are_refused(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 a, b, async_id;

	grant(test, 2);
	a = send(test, nr_ctx(1));
	b = send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_window_note_async(w, 1, a, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, mid_window_note_async(w, 1, 77, 1000));
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, a, 1000));
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, a, 1000));
	KUNIT_EXPECT_EQ(test, -EEXIST, mid_window_note_async(w, 1, a, 1001));
	KUNIT_EXPECT_EQ(test, -EEXIST, mid_window_note_async(w, 1, b, 1000));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, 1, b, &async_id));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map_async(w, 1, 1000), nr_ctx(1));
	KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, b, U64_MAX));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map_async(w, 1, U64_MAX), nr_ctx(2));
}

static void abandoned_request_has_no_async_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1)), async_id;

	KUNIT_ASSERT_EQ(test, 0, mid_window_note_async(w, 1, id, 1000));
	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, 1, id, nr_ctx(1), FOREVER));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, 1, id, &async_id));
	KUNIT_EXPECT_EQ(test, -ENOENT, mid_window_note_async(w, 1, id, 1000));
	KUNIT_EXPECT_NULL(test, mid_window_map_async(w, 1, 1000));
	/* Its late reply may carry it all the same. */
	KUNIT_EXPECT_NULL(test, mid_window_dissociate_async(w, 1, 1000));
	KUNIT_EXPECT_EQ(test, stats_of(w).late, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static struct kunit_case async_cases[] = {
	KUNIT_CASE(request_is_found_by_its_async_id_too),
	KUNIT_CASE(async_id_goes_with_its_request),
	KUNIT_CASE(async_ids_that_make_no_sense_are_refused),
	KUNIT_CASE(abandoned_request_has_no_async_id),
	{}
};

static struct kunit_suite async_suite = {
	.name = "midwindow_async",
	.init = window_init,
	.exit = window_exit,
	.test_cases = async_cases,
};

/* ------------------------------------------------------------------------
 * Waiting
 */

#define WAITERS	200

/* A task that wants ids.  Static: a failed test leaves before its tasks do. */
struct waiter {
	struct mid_window *w;
	struct task_struct *task;
	struct completion done;
	unsigned int n;
	unsigned long timeout;
	bool urgent;
	int err;
	struct mid_span span;
};

static struct waiter waiters[WAITERS];

static int waiter_thread(void *data)
{
	struct waiter *waiter = data;

	allow_signal(SIGKILL);
	waiter->err = waiter->urgent ?
		mid_window_reserve_urgent(waiter->w, waiter->n, &waiter->span,
					  waiter->timeout) :
		mid_window_reserve_wait(waiter->w, waiter->n, &waiter->span,
					waiter->timeout);
	kthread_complete_and_exit(&waiter->done, 0);
}

static struct waiter *start(struct kunit *test, unsigned int i, unsigned int n,
			    unsigned long timeout, bool urgent)
{
	struct waiter *waiter = &waiters[i];
	struct task_struct *task;

	*waiter = (struct waiter){
		.w = test->priv, .n = n, .timeout = timeout, .urgent = urgent,
		.span = { .first = NO_ID },
	};
	init_completion(&waiter->done);
	task = kthread_create(waiter_thread, waiter, "midwindow_wait/%u", i);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	waiter->task = get_task_struct(task);
	wake_up_process(task);
	return waiter;
}

static void await_waiters(struct kunit *test, unsigned int n)
{
	unsigned long end = jiffies + FOREVER;

	while (stats_of(test->priv).waiters != n) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		usleep_range(20, 50);
	}
}

/* Starts a waiter, and returns when it stands in line as the @i-th. */
static struct waiter *queue_up(struct kunit *test, unsigned int i,
			       unsigned int n)
{
	struct waiter *waiter = start(test, i, n, MAX_SCHEDULE_TIMEOUT, false);

	await_waiters(test, i + 1);
	return waiter;
}

static void join(struct kunit *test, struct waiter *waiter)
{
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&waiter->done, FOREVER), 0);
	put_task_struct(waiter->task);
}

static bool is_waiting(struct waiter *waiter)
{
	return !completion_done(&waiter->done);
}

static void grant_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);
	struct waiter *waiter = queue_up(test, 0, 3);

	grant(test, 2);
	KUNIT_EXPECT_EQ(test, stats_of(w).waiters, 1);
	grant(test, 2);
	join(test, waiter);
	KUNIT_EXPECT_EQ(test, waiter->err, 0);
	EXPECT_SPAN(test, waiter->span, 1, 3);
	KUNIT_EXPECT_EQ(test, stats_of(w).waiters, 0);
	expect_room(test, 1);
}

static void large_request_is_not_overtaken_by_small_ones(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);
	struct mid_span span;
	unsigned int i;

	queue_up(test, 0, 2);
	queue_up(test, 1, 16);
	for (i = 2; i < 10; i++)
		queue_up(test, i, 1);
	for (i = 0; i < 17; i++) {
		grant(test, 1);
		/* Nor by one that comes while there are ids. */
		KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
				mid_window_reserve_wait(w, 1, &span, 0));
	}
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[1]));
	grant(test, 9);
	for (i = 0; i < 10; i++) {
		join(test, &waiters[i]);
		KUNIT_EXPECT_EQ(test, waiters[i].err, 0);
	}
	EXPECT_SPAN(test, waiters[0].span, 1, 2);
	EXPECT_SPAN(test, waiters[1].span, 3, 16);
	for (i = 2; i < 10; i++)
		EXPECT_SPAN(test, waiters[i].span, 17 + i, 1);
	expect_room(test, 0);
}

static void many_waiters_of_all_sizes_are_served_in_order(struct kunit *test)
{
	unsigned int i, total = 0, granted = 0;
	struct rnd_state rnd;

	negotiated(test, 0);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < WAITERS; i++) {
		queue_up(test, i, 1 + random_below(&rnd, 16));
		total += waiters[i].n;
	}
	while (granted < total) {
		unsigned int credits = min(random_below(&rnd, 40), total - granted);

		grant(test, credits);
		granted += credits;
	}
	for (i = 0, total = 1; i < WAITERS; i++) {
		join(test, &waiters[i]);
		KUNIT_ASSERT_EQ(test, waiters[i].err, 0);
		KUNIT_ASSERT_EQ(test, waiters[i].span.first, total);
		total += waiters[i].n;
	}
	expect_room(test, 0);
}

/* A server that misses id 1 grants nothing; see "In line" in midwindow.c. */
static void given_back_id_is_of_use_to_who_wants_the_least(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span one = reserve(test, 1), two = reserve(test, 2);

	reserve(test, 1);
	queue_up(test, 0, 16);
	queue_up(test, 1, 2);
	queue_up(test, 2, 1);
	queue_up(test, 3, 1);
	mid_window_give_back(w, &one);
	join(test, &waiters[2]);
	EXPECT_SPAN(test, waiters[2].span, 1, 1);
	mid_window_give_back(w, &two);
	join(test, &waiters[3]);
	EXPECT_SPAN(test, waiters[3].span, 2, 1);
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[0]));
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[1]));

	/* The reply to what they sent serves the first in line. */
	grant(test, 16);
	join(test, &waiters[0]);
	EXPECT_SPAN(test, waiters[0].span, 5, 16);
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[1]));
	grant(test, 2);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[1].span, 21, 2);
	KUNIT_EXPECT_EQ(test, stats_of(w).given_back, 1);
}

/* The same, but it is a newcomer who wants the least. */
static void newcomer_gets_ids_that_are_too_few_for_all_others(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_span two = reserve(test, 2), span = { .first = NO_ID };

	reserve(test, 2);
	queue_up(test, 0, 3);
	mid_window_give_back(w, &two);
	grant(test, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 3, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 4, &span), -EAGAIN);
	span = reserve(test, 1);
	EXPECT_SPAN(test, span, 1, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reserve_wait(w, 1, &span, 0), 0);
	EXPECT_SPAN(test, span, 2, 1);
	/* The new id is another's, too little as it may be. */
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -EAGAIN);
	grant(test, 2);
	join(test, &waiters[0]);
	EXPECT_SPAN(test, waiters[0].span, 5, 3);
}

/*
 * The window cannot go on for a given-back id that is too little for all who
 * wait.  The one small request that comes, an ECHO say, gets it going.
 */
static void small_request_gets_a_stalled_window_going(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span hole, span;

	grant(test, 4 * SPREAD);
	hole = reserve(test, 1);
	span = reserve(test, MID_WINDOW_MAX_SPAN);
	associate(test, &span, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	span = reserve(test, MID_WINDOW_MAX_SPAN - 1);
	associate(test, &span, MID_WINDOW_MAX_SPAN - 1, nr_ctx(2));
	mid_window_give_back(w, &hole);
	queue_up(test, 0, 2);
	queue_up(test, 1, 2);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 2, &span), -EAGAIN);
	KUNIT_EXPECT_EQ(test, send(test, nr_ctx(3)), 0);
	join(test, &waiters[0]);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[0].span, SPREAD, 2);
	EXPECT_SPAN(test, waiters[1].span, SPREAD + 2, 2);
}

static void given_back_ids_that_make_a_whole_serve_the_first(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 5);
	struct mid_span a = reserve(test, 2), b = reserve(test, 2);

	reserve(test, 1);
	queue_up(test, 0, 4);
	queue_up(test, 1, 3);
	mid_window_give_back(w, &b);
	KUNIT_EXPECT_EQ(test, stats_of(w).waiters, 2);
	mid_window_give_back(w, &a);
	join(test, &waiters[0]);
	EXPECT_SPAN(test, waiters[0].span, 1, 4);
	grant(test, 3);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[1].span, 6, 3);
}

/* Ids that were sent let the window go on, with nothing granted or returned. */
static void associate_serves_who_waits_for_the_oldest_span(struct kunit *test)
{
	struct mid_span old, span;

	grant(test, 4 * SPREAD);
	old = reserve(test, 1);
	span = reserve(test, MID_WINDOW_MAX_SPAN);
	associate(test, &span, MID_WINDOW_MAX_SPAN, nr_ctx(1));
	span = reserve(test, MID_WINDOW_MAX_SPAN - 1);
	associate(test, &span, MID_WINDOW_MAX_SPAN - 1, nr_ctx(2));
	queue_up(test, 0, 1);
	queue_up(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[0]));
	associate(test, &old, 1, nr_ctx(3));
	join(test, &waiters[0]);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[0].span, SPREAD, 1);
	EXPECT_SPAN(test, waiters[1].span, SPREAD + 1, 2);
}

static void unsend_serves_a_waiter(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 1);
	u64 id = send(test, nr_ctx(1));

	queue_up(test, 0, 1);
	KUNIT_EXPECT_TRUE(test, mid_window_unsend(w, 1, id, nr_ctx(1)));
	join(test, &waiters[0]);
	EXPECT_SPAN(test, waiters[0].span, id, 1);
}

static void urgent_request_goes_in_front(struct kunit *test)
{
	negotiated(test, 0);
	queue_up(test, 0, 4);
	queue_up(test, 1, 1);
	start(test, 2, 2, FOREVER, true);
	await_waiters(test, 3);
	start(test, 3, 1, FOREVER, true);
	await_waiters(test, 4);
	grant(test, 1);
	KUNIT_EXPECT_EQ(test, stats_of(test->priv).waiters, 4);
	grant(test, 2);
	join(test, &waiters[2]);
	join(test, &waiters[3]);
	EXPECT_SPAN(test, waiters[2].span, 1, 2);
	EXPECT_SPAN(test, waiters[3].span, 3, 1);
	/* Who comes when there are ids and no urgent one waits has them at once. */
	grant(test, 3);
	start(test, 2, 1, 0, true);
	join(test, &waiters[2]);
	EXPECT_SPAN(test, waiters[2].span, 4, 1);
	grant(test, 3);
	join(test, &waiters[0]);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[0].span, 5, 4);
	EXPECT_SPAN(test, waiters[1].span, 9, 1);
}

/*
 * After a reconnect the window is {0}, and all who waited still do.  NEGOTIATE
 * must get the id; and the request in front, when there are enough, ids of the
 * new connection.
 */
static void waiters_stay_in_line_through_a_reset(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 3);
	struct mid_span span;
	u64 id;

	queue_up(test, 0, 4);
	queue_up(test, 1, 1);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, stats_of(w).waiters, 2);
	KUNIT_ASSERT_EQ(test, 0, mid_window_reserve_urgent(w, 1, &span, 0));
	EXPECT_SPAN(test, span, 0, 1);
	id = associate(test, &span, 1, nr_ctx(1));
	grant(test, 5);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, id), nr_ctx(1));
	join(test, &waiters[0]);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[0].span, 1, 4);
	EXPECT_SPAN(test, waiters[1].span, 5, 1);
	KUNIT_EXPECT_EQ(test, waiters[0].span.epoch, 2);
}

static void reset_serves_who_wants_one_id(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 0);

	queue_up(test, 0, 1);
	mid_window_reset(w, NULL, NULL);
	join(test, &waiters[0]);
	EXPECT_SPAN(test, waiters[0].span, 0, 1);
	KUNIT_EXPECT_EQ(test, waiters[0].span.epoch, mid_window_epoch(w));
}

static void killed_waiter_leaves_and_the_next_moves_up(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 3);

	queue_up(test, 0, 10);
	queue_up(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, is_waiting(&waiters[1]));
	send_sig(SIGKILL, waiters[0].task, 1);
	join(test, &waiters[0]);
	KUNIT_EXPECT_EQ(test, waiters[0].err, -ERESTARTSYS);
	KUNIT_EXPECT_EQ(test, waiters[0].span.first, NO_ID);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[1].span, 1, 2);
	KUNIT_EXPECT_EQ(test, stats_of(w).waiters, 0);
	expect_room(test, 1);
}

static void waiter_whose_time_is_over_leaves_and_the_next_moves_up(struct kunit *test)
{
	unsigned long begin = jiffies;

	negotiated(test, 3);
	start(test, 0, 10, 2 * HZ, false);
	await_waiters(test, 1);
	queue_up(test, 1, 2);
	join(test, &waiters[0]);
	KUNIT_EXPECT_EQ(test, waiters[0].err, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, waiters[0].span.first, NO_ID);
	KUNIT_EXPECT_GE(test, jiffies - begin, 2 * HZ);
	join(test, &waiters[1]);
	EXPECT_SPAN(test, waiters[1].span, 1, 2);
	expect_room(test, 1);
}

static void no_time_to_wait_is_no_wait(struct kunit *test)
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
 * A waiter is killed, or its time is over, at the moment when its id is granted.
 * Either it has the id or the next one does.
 */
#define LEAVE_ROUNDS	50

static void next_waiter_gets_what_the_killed_one_left(struct kunit *test)
{
	unsigned int round, killed = 0;
	struct rnd_state rnd;
	u64 id = 1;

	negotiated(test, 0);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < LEAVE_ROUNDS; round++) {
		queue_up(test, 0, 1);
		queue_up(test, 1, 1);
		send_sig(SIGKILL, waiters[0].task, 1);
		ndelay(random_below(&rnd, 20000));
		grant(test, 1);
		join(test, &waiters[0]);
		if (waiters[0].err) {
			KUNIT_ASSERT_EQ(test, waiters[0].err, -ERESTARTSYS);
			killed++;
		} else {
			KUNIT_ASSERT_EQ(test, waiters[0].span.first, id++);
			KUNIT_ASSERT_TRUE(test, is_waiting(&waiters[1]));
			grant(test, 1);
		}
		join(test, &waiters[1]);
		KUNIT_ASSERT_EQ(test, waiters[1].err, 0);
		KUNIT_ASSERT_EQ(test, waiters[1].span.first, id++);
	}
	kunit_info(test, "%u of %u were killed first, seed %u\n", killed, round,
		   seed);
	KUNIT_EXPECT_EQ(test, mid_window_credits(test->priv), 0);
	KUNIT_EXPECT_EQ(test, stats_of(test->priv).waiters, 0);
}

static void waiter_whose_time_is_over_loses_no_id(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int round, late = 0;

	negotiated(test, 0);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < LEAVE_ROUNDS; round++) {
		start(test, 0, 1, 2, false);
		fsleep(jiffies_to_usecs(2) - 500 + random_below(&rnd, 1000));
		grant(test, 1);
		join(test, &waiters[0]);
		if (waiters[0].err) {
			KUNIT_ASSERT_EQ(test, waiters[0].err, -ETIMEDOUT);
			late++;
			reserve(test, 1);
		}
		KUNIT_ASSERT_EQ(test, mid_window_credits(test->priv), 0);
	}
	kunit_info(test, "%u of %u came too late, seed %u\n", late, round, seed);
}

static struct kunit_case wait_cases[] = {
	KUNIT_CASE(grant_serves_a_waiter),
	KUNIT_CASE(large_request_is_not_overtaken_by_small_ones),
	KUNIT_CASE(many_waiters_of_all_sizes_are_served_in_order),
	KUNIT_CASE(given_back_id_is_of_use_to_who_wants_the_least),
	KUNIT_CASE(newcomer_gets_ids_that_are_too_few_for_all_others),
	KUNIT_CASE(small_request_gets_a_stalled_window_going),
	KUNIT_CASE(given_back_ids_that_make_a_whole_serve_the_first),
	KUNIT_CASE(associate_serves_who_waits_for_the_oldest_span),
	KUNIT_CASE(unsend_serves_a_waiter),
	KUNIT_CASE(urgent_request_goes_in_front),
	KUNIT_CASE(waiters_stay_in_line_through_a_reset),
	KUNIT_CASE(reset_serves_who_wants_one_id),
	KUNIT_CASE(killed_waiter_leaves_and_the_next_moves_up),
	KUNIT_CASE(waiter_whose_time_is_over_leaves_and_the_next_moves_up),
	KUNIT_CASE(no_time_to_wait_is_no_wait),
	KUNIT_CASE_SLOW(next_waiter_gets_what_the_killed_one_left),
	KUNIT_CASE_SLOW(waiter_whose_time_is_over_loses_no_id),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "midwindow_wait",
	.init = window_init,
	.exit = window_exit,
	.test_cases = wait_cases,
};

/* ------------------------------------------------------------------------
 * Giving up
 */

static void abandoned_request_is_its_owners_and_its_reply_is_late(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, 1, id, nr_ctx(2), FOREVER));
	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, 1, id, nr_ctx(1), FOREVER));
	KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, 1, id, nr_ctx(1), FOREVER));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, id));
	KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, 1, id, nr_ctx(3)));
	KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, 1, id, nr_ctx(1)));
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 1);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, stats_of(w).late, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, 0);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, stats_of(w).late, 1);
	KUNIT_EXPECT_EQ(test, stats_of(w).stale, 1);
}

static void await_abandoned(struct kunit *test, unsigned int n)
{
	unsigned long end = jiffies + FOREVER / 2;

	while (stats_of(test->priv).abandoned != n) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		msleep(20);
	}
}

/* The quarantines do not end in the order in which they began. */
static void abandoned_request_is_forgotten_when_its_time_is_over(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long begin = jiffies;
	unsigned int i;

	grant(test, 3);
	for (i = 0; i < 4; i++)
		send(test, nr_ctx(i));
	mid_window_abandon(w, 1, 0, nr_ctx(0), FOREVER);
	mid_window_abandon(w, 1, 1, nr_ctx(1), HZ / 2);
	mid_window_abandon(w, 1, 2, nr_ctx(2), HZ / 4);
	mid_window_abandon(w, 1, 3, nr_ctx(3), ULONG_MAX);
	await_abandoned(test, 3);
	KUNIT_EXPECT_GE(test, jiffies - begin, HZ / 4);
	await_abandoned(test, 2);
	KUNIT_EXPECT_GE(test, jiffies - begin, HZ / 2);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, stats_of(w).stale, 2);	/* 1 and 2 */
	KUNIT_EXPECT_EQ(test, stats_of(w).late, 2);	/* 0 and 3 */
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static void no_quarantine_is_a_dissociate(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = send(test, nr_ctx(1));

	KUNIT_EXPECT_TRUE(test, mid_window_abandon(w, 1, id, nr_ctx(1), 0));
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, stats_of(w).late, 0);
}

/* 16,383 are remembered; then the one that would be forgotten first goes. */
static void quarantine_has_a_limit(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int max = MID_ATLAS_MAX_MIDS / 4, i;

	grant(test, max + 2);
	for (i = 0; i < max + 2; i++) {
		send(test, nr_ctx(i));
		/* The fifth ends first, then the others in order. */
		KUNIT_ASSERT_TRUE(test,
				  mid_window_abandon(w, 1, i, nr_ctx(i), FOREVER +
						     (i == 5 ? 0 : 100 + i)));
	}
	KUNIT_EXPECT_EQ(test, stats_of(w).abandoned, max);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, max);
	for (i = 0; i < max + 2; i++)
		KUNIT_ASSERT_NULL(test, mid_window_dissociate(w, 1, i));
	KUNIT_EXPECT_EQ(test, stats_of(w).late, max);
	KUNIT_EXPECT_EQ(test, stats_of(w).stale, 2);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static struct kunit_case abandon_cases[] = {
	KUNIT_CASE(abandoned_request_is_its_owners_and_its_reply_is_late),
	KUNIT_CASE(abandoned_request_is_forgotten_when_its_time_is_over),
	KUNIT_CASE(no_quarantine_is_a_dissociate),
	KUNIT_CASE(quarantine_has_a_limit),
	{}
};

static struct kunit_suite abandon_suite = {
	.name = "midwindow_abandon",
	.init = window_init,
	.exit = window_exit,
	.test_cases = abandon_cases,
};

/* ------------------------------------------------------------------------
 * The end
 */

static void drain_refuses_new_requests_for_good(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 10);
	struct mid_span span = reserve(test, 2);
	u64 id = NO_ID;

	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), 0);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, mid_window_associate(w, &span, 1, w, &id,
							       GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, id, NO_ID);
	EXPECT_SPAN(test, span, 1, 2);
	mid_window_give_back(w, &span);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN,
			mid_window_reserve_wait(w, 1, &span, FOREVER));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN,
			mid_window_reserve_urgent(w, 1, &span, FOREVER));
	grant(test, 1);
	mid_window_reset(w, NULL, NULL);
	KUNIT_EXPECT_EQ(test, mid_window_reserve(w, 1, &span), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, FOREVER), 0);
}

static void drain_waits_for_what_is_in_flight(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 a, b;

	grant(test, 2);
	a = send(test, nr_ctx(1));
	b = send(test, nr_ctx(2));
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 2), -ETIMEDOUT);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, a), nr_ctx(1));
	/* An abandoned one ends by itself, and then the drain does. */
	mid_window_abandon(w, 1, b, nr_ctx(2), HZ);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, 0), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, mid_window_drain(w, FOREVER), 0);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static void drain_sends_waiters_off(struct kunit *test)
{
	unsigned int i;

	negotiated(test, 1);
	queue_up(test, 0, 2);
	queue_up(test, 1, 2);
	start(test, 2, 2, FOREVER, true);
	await_waiters(test, 3);
	KUNIT_EXPECT_EQ(test, mid_window_drain(test->priv, FOREVER), 0);
	for (i = 0; i < 3; i++) {
		join(test, &waiters[i]);
		KUNIT_EXPECT_EQ(test, waiters[i].err, -ESHUTDOWN);
		KUNIT_EXPECT_EQ(test, waiters[i].span.first, NO_ID);
	}
}

/* When the first context is handed out, no waiter may still be inside. */
static void count_after_waiters(void *ctx, u64 id, void *arg)
{
	struct census *census = arg;
	unsigned int i;

	for (i = 0; i < 10; i++)
		census->wrong += !READ_ONCE(waiters[i].err);
	count_ctx_slowly(ctx, id, arg);
}

static void destroy_lets_waiters_leave_first(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	unsigned int i;

	send(test, nr_ctx(0));
	for (i = 0; i < 10; i++)
		queue_up(test, i, 1 + i);
	mid_window_destroy(test->priv, count_after_waiters, census);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, census->calls, 1);
	KUNIT_EXPECT_EQ(test, census->wrong, 0);
	for (i = 0; i < 10; i++) {
		join(test, &waiters[i]);
		KUNIT_EXPECT_EQ(test, waiters[i].err, -ESHUTDOWN);
	}
}

static void destroy_hands_over_each_context_once(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));

	mid_window_destroy(many(test), count_ctx_slowly, census);
	test->priv = NULL;
	expect_thirds(test, census);
}

static void destroy_of_a_drained_window_calls_nobody(struct kunit *test)
{
	struct census *census = test_alloc(test, sizeof(*census));
	struct mid_window *w = negotiated(test, 10);

	KUNIT_EXPECT_EQ(test, mid_window_drain(w, FOREVER), 0);
	mid_window_destroy(w, count_ctx, census);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, census->calls, 0);
}

static struct kunit_case end_cases[] = {
	KUNIT_CASE(drain_refuses_new_requests_for_good),
	KUNIT_CASE(drain_waits_for_what_is_in_flight),
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
	struct irq_work irq_work;
	struct tasklet_struct tasklet;
	bool in_hardirq;
	bool in_softirq;
	unsigned int wrong;
};

static void ignore_ctx(void *ctx, u64 id, void *arg)
{
}

/* Every call that interrupts may make but associate: it allocates. */
static void make_calls(struct irq_calls *c, u64 first)
{
	struct mid_window *w = c->w;
	u32 epoch = mid_window_epoch(w);
	struct mid_window_stats stats;
	struct mid_span span;
	u64 id = first, async_id;

	c->wrong += mid_window_grant(w, epoch, 2) != 0;
	c->wrong += mid_window_credits(w) < 2;
	c->wrong += mid_window_reserve(w, 2, &span) != 0;
	mid_window_give_back(w, &span);
	c->wrong += mid_window_map(w, epoch, id) != nr_ctx(id);
	c->wrong += mid_window_reassociate(w, epoch, id, w) != nr_ctx(id);
	c->wrong += mid_window_note_async(w, epoch, id, 1000 + id) != 0;
	c->wrong += !mid_window_async_id(w, epoch, id, &async_id);
	c->wrong += mid_window_map_async(w, epoch, 1000 + id) != w;
	c->wrong += mid_window_for_each(w, ignore_ctx, NULL) == 0;
	c->wrong += mid_window_dissociate_async(w, epoch, 1000 + id++) != w;
	c->wrong += mid_window_dissociate(w, epoch, id) != nr_ctx(id);
	c->wrong += !!mid_window_dissociate(w, epoch, id++);
	c->wrong += !mid_window_dissociate_if(w, epoch, id, nr_ctx(id));
	id++;
	c->wrong += !mid_window_abandon(w, epoch, id, nr_ctx(id), HZ);
	c->wrong += !!mid_window_dissociate(w, epoch, id++);
	c->wrong += !mid_window_abandon(w, epoch, id, nr_ctx(id), HZ);
	id++;
	c->wrong += !mid_window_unsend(w, epoch, id, nr_ctx(id));
	c->wrong += mid_window_claim_older(w, HZ, NULL, NULL) != 0;
	mid_window_stats(w, &stats);
	c->wrong += mid_window_claim_all(w, ignore_ctx, NULL) == 0;
	c->wrong += mid_window_reset(w, NULL, NULL) != epoch + 1;
}

static void calls_from_hardirq(struct irq_work *work)
{
	struct irq_calls *c = container_of(work, typeof(*c), irq_work);

	c->in_hardirq = in_hardirq();
	make_calls(c, 0);
}

static void calls_from_softirq(struct tasklet_struct *tasklet)
{
	struct irq_calls *c = container_of(tasklet, typeof(*c), tasklet);

	c->in_softirq = in_serving_softirq();
	make_calls(c, 0);
}

static struct irq_calls *irq_calls(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));
	unsigned int i;

	c->w = test->priv;
	grant(test, IRQ_IDS);
	for (i = 0; i < IRQ_IDS; i++)
		send(test, nr_ctx(i));
	return c;
}

static void hardirq_may_make_every_call_but_associate(struct kunit *test)
{
	struct irq_calls *c = irq_calls(test);

	c->irq_work = IRQ_WORK_INIT_HARD(calls_from_hardirq);
	irq_work_queue(&c->irq_work);
	irq_work_sync(&c->irq_work);
	KUNIT_EXPECT_TRUE(test, c->in_hardirq);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

static void softirq_may_make_every_call_but_associate(struct kunit *test)
{
	struct irq_calls *c = irq_calls(test);

	tasklet_setup(&c->tasklet, calls_from_softirq);
	tasklet_schedule(&c->tasklet);
	tasklet_kill(&c->tasklet);	/* waits until it has run */
	KUNIT_EXPECT_TRUE(test, c->in_softirq);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

#define IRQ_ITERATIONS	100000

/* A request of @n ids of @span, from the associate to the claim. */
static bool irq_request(struct mid_window *w, struct mid_span *span,
			unsigned int n)
{
	u64 id, first = span->first;

	return !mid_window_associate(w, span, n, &id, &id, GFP_ATOMIC) &&
	       id == first &&
	       mid_window_map(w, 1, id) == &id &&
	       mid_window_reassociate(w, 1, id, span) == &id &&
	       mid_window_dissociate(w, 1, id) == span;
}

/* Of three ids one comes back; that, or another's, makes a request too. */
static bool irq_churn(void *arg)
{
	struct mid_window *w = arg;
	struct mid_span span;

	if (IS_ENABLED(CONFIG_PREEMPT_RT) && in_hardirq())
		return true;		/* cannot allocate there */
	if (mid_window_reserve(w, 3, &span) || !irq_request(w, &span, 2))
		return false;
	mid_window_give_back(w, &span);
	if (mid_window_reserve(w, 1, &span) || !irq_request(w, &span, 1))
		return false;
	return !mid_window_grant(w, 1, 3);
}

static void window_serves_task_softirq_and_hardirq_at_once(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 64);

	kunit_run_irq_test(test, irq_churn, IRQ_ITERATIONS, w);
	KUNIT_EXPECT_EQ(test, mid_window_credits(w), 64);
	KUNIT_EXPECT_EQ(test, stats_of(w).in_use, 0);
}

static struct kunit_case irq_cases[] = {
	KUNIT_CASE(hardirq_may_make_every_call_but_associate),
	KUNIT_CASE(softirq_may_make_every_call_but_associate),
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
 * Two CPUs
 */

/*
 * A race on a quiet machine is run @max times; on a busy one, where a CPU waits
 * for one that does not run, for one second (or a part of it), and @min times in any
 * case.
 */
static bool race_again(unsigned int round, unsigned int min, unsigned int max,
		       unsigned long begin)
{
	return round < min ||
	       (round < max && time_before(jiffies, begin + PART_OF(HZ)));
}

static int window_race_init(struct kunit *test)
{
	return race_init(test) ?: window_init(test);
}

/*
 * Both sides reserve, send and claim until a million ids are used, by requests of
 * one to eight of them.  Each also tries to claim the request that the other sent
 * last, so that many are claimed by two at once.  The context of the request whose
 * first id is N is nr_ctx(N).
 */
#define MILLION	1000000

struct million {
	struct mid_window *w;
	atomic_t arrivals;
	u64 last[2];
	unsigned long wrong;
	unsigned long sent[2];
	unsigned long foreign[2];
	unsigned long *issued;		/* ids */
	unsigned long *first;		/* the first of each request */
	unsigned long *claimed;		/* likewise */
};

static void million_wrong(struct million *r, bool wrong)
{
	if (wrong)
		WRITE_ONCE(r->wrong, r->wrong + 1);
}

static void million_claim(struct million *r, int side, u64 id, bool own)
{
	void *ctx = mid_window_dissociate(r->w, 1, id);

	if (!ctx)
		return;
	r->foreign[side] += !own;
	million_wrong(r, ctx != nr_ctx(id) || test_and_set_bit(id, r->claimed));
}

static bool million_send(struct million *r, int side, struct mid_span *span,
			 unsigned int charge, u64 *id)
{
	unsigned int i;

	/* The context must be known before the id is. */
	if (mid_window_associate(r->w, span, charge, nr_ctx(span->first), id,
				 GFP_KERNEL) || *id + charge > MILLION) {
		million_wrong(r, true);
		return false;
	}
	r->sent[side]++;
	for (i = 0; i < charge; i++)
		million_wrong(r, test_and_set_bit(*id + i, r->issued));
	set_bit(*id, r->first);
	WRITE_ONCE(r->last[side], *id);
	return true;
}

/* Returns false when no ids are left. */
static bool million_step(struct million *r, int side, struct rnd_state *rnd)
{
	unsigned int n = 1 + random_below(rnd, 16);
	struct mid_span span;
	u64 id;

	if (mid_window_reserve(r->w, n, &span))
		return n > 1;
	while (span.n) {
		n = min(1 + random_below(rnd, 8), span.n);
		if (!million_send(r, side, &span, n, &id))
			return false;
		million_claim(r, side, READ_ONCE(r->last[!side]), false);
		million_claim(r, side, id, true);
		/* One in eight goes back first, and is issued again. */
		if (span.n && id % 8 == 0)
			mid_window_give_back(r->w, &span);
	}
	return true;
}

static void run_million(void *arg, int side)
{
	struct million *r = arg;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed + side);
	meet(&r->arrivals);
	while (million_step(r, side, &rnd))
		cond_resched();
}

static void two_cpus_claim_a_million_ids_exactly_once(struct kunit *test)
{
	struct million *r = test_alloc(test, sizeof(*r));
	unsigned long sent;

	r->w = test->priv;
	r->issued = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	r->first = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	r->claimed = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	grant(test, MILLION - 1);
	race(test, run_million, r);
	sent = r->sent[0] + r->sent[1];
	kunit_info(test, "%lu requests, CPUs claimed %lu and %lu of each other's\n",
		   sent, r->foreign[0], r->foreign[1]);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_TRUE(test, bitmap_full(r->issued, MILLION));
	KUNIT_EXPECT_TRUE(test, bitmap_equal(r->first, r->claimed, MILLION));
	KUNIT_EXPECT_EQ(test, mid_window_credits(r->w), 0);
	KUNIT_EXPECT_EQ(test, stats_of(r->w).in_use, 0);
	KUNIT_EXPECT_EQ(test, stats_of(r->w).associated, sent);
	KUNIT_EXPECT_EQ(test, stats_of(r->w).dissociated, sent);
	KUNIT_EXPECT_GT(test, r->foreign[0] + r->foreign[1], 0);
}

/*
 * Rounds of BATCH requests: side 0 fills, both sides do something to each, and
 * what each of them got is compared.  The context of the I-th is nr_ctx(I).  The
 * sides take turns in having a head start, so that the slower one wins, too.
 */
#define BATCH		1024
#define HEAD_START	(BATCH / 8)

struct batch {
	struct kunit *test;
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int max_rounds;
	unsigned int rounds;
	bool again;
	unsigned int wrong;
	unsigned long won[2];
	u32 epoch;
	u64 id[BATCH];
	void *got[2][BATCH];
	u8 reset[BATCH];		/* by the reset's callback */
	void *(*act[2])(struct batch *b, unsigned int i);
	void (*judge)(struct batch *b, unsigned int i);
};

/* One id at a time, for what came back is in pieces. */
static void batch_fill(struct batch *b)
{
	struct mid_span span;
	unsigned int i;

	b->rounds++;
	b->epoch = mid_window_epoch(b->w);
	b->wrong += mid_window_grant(b->w, b->epoch, BATCH) != 0;
	for (i = 0; i < BATCH; i++) {
		b->wrong += mid_window_reserve(b->w, 1, &span) != 0;
		b->wrong += mid_window_associate(b->w, &span, 1, nr_ctx(i),
						 &b->id[i], GFP_KERNEL) != 0;
	}
}

static void run_batches(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct batch *b = arg;
	unsigned int i, head;

	do {
		if (side == 0)
			batch_fill(b);
		meet(&b->arrivals);
		head = side == b->rounds % 2 ? HEAD_START : 0;
		for (i = 0; i < BATCH; i++) {
			if (i == head)
				meet(&b->arrivals);
			b->got[side][i] = b->act[side](b, i);
		}
		meet(&b->arrivals);
		if (side == 0) {
			for (i = 0; i < BATCH; i++)
				b->judge(b, i);
			b->again = race_again(b->rounds, 4, b->max_rounds, begin);
		}
		cond_resched();
		meet(&b->arrivals);
	} while (b->again);
}

static struct batch *batch(struct kunit *test, unsigned int max_rounds)
{
	struct batch *b = test_alloc(test, sizeof(*b));

	b->test = test;
	b->w = test->priv;
	b->max_rounds = max_rounds;
	return b;
}

static void *act_dissociate(struct batch *b, unsigned int i)
{
	return mid_window_dissociate(b->w, b->epoch, b->id[i]);
}

static void *act_dissociate_if(struct batch *b, unsigned int i)
{
	return mid_window_dissociate_if(b->w, b->epoch, b->id[i], nr_ctx(i)) ?
		nr_ctx(i) : NULL;
}

static void *act_reassociate(struct batch *b, unsigned int i)
{
	return mid_window_reassociate(b->w, b->epoch, b->id[i],
				      nr_ctx(i + BATCH));
}

static void *act_abandon(struct batch *b, unsigned int i)
{
	return mid_window_abandon(b->w, b->epoch, b->id[i], nr_ctx(i),
				  1 + i % 3) ? nr_ctx(i) : NULL;
}

static void *act_unsend(struct batch *b, unsigned int i)
{
	return mid_window_unsend(b->w, b->epoch, b->id[i], nr_ctx(i)) ?
		nr_ctx(i) : NULL;
}

/* One side has it, and not both. */
static void judge_one_has_it(struct batch *b, unsigned int i)
{
	void *winner = b->got[0][i] ?: b->got[1][i];

	b->wrong += winner != nr_ctx(i);
	b->wrong += b->got[0][i] && b->got[1][i];
	b->won[0] += !!b->got[0][i];
	b->won[1] += !!b->got[1][i];
}

static void expect_even_race(struct batch *b)
{
	kunit_info(b->test, "sides won %lu and %lu of %lu\n", b->won[0], b->won[1],
		   (unsigned long)b->rounds * BATCH);
	KUNIT_EXPECT_EQ(b->test, b->wrong, 0);
	KUNIT_EXPECT_EQ(b->test, b->won[0] + b->won[1], b->rounds * BATCH);
	KUNIT_EXPECT_GT(b->test, b->won[0], 0);
	KUNIT_EXPECT_GT(b->test, b->won[1], 0);
}

static void racing_dissociates_give_each_context_to_one(struct kunit *test)
{
	struct batch *b = batch(test, 1000);

	b->act[0] = act_dissociate;
	b->act[1] = act_dissociate_if;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, stats_of(b->w).in_use, 0);
}

/* Who unsends and who dissociates: the ids come back in one case only. */
static void unsend_racing_a_reply_gives_back_what_it_won(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_unsend;
	b->act[1] = act_dissociate;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, mid_window_credits(b->w) + stats_of(b->w).lost,
			1 + b->won[0]);
}

static void judge_reassociate(struct batch *b, unsigned int i)
{
	void *old_ctx = nr_ctx(i), *new_ctx = nr_ctx(i + BATCH);

	if (b->got[0][i] == old_ctx && b->got[1][i] == new_ctx)
		b->won[0]++;
	else if (!b->got[0][i] && b->got[1][i] == old_ctx)
		b->won[1]++;
	else
		b->wrong++;
}

static void reassociate_racing_dissociate_returns_each_context_once(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_reassociate;
	b->act[1] = act_dissociate;
	b->judge = judge_reassociate;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, stats_of(b->w).in_use, 0);
}

/* The claim by a context that was replaced must fail, and leave the new one. */
static void judge_dissociate_if(struct batch *b, unsigned int i)
{
	void *old_ctx = nr_ctx(i), *new_ctx = nr_ctx(i + BATCH), *left;

	left = mid_window_dissociate(b->w, b->epoch, b->id[i]);
	if (b->got[0][i] == old_ctx && !b->got[1][i] && left == new_ctx)
		b->won[0]++;
	else if (!b->got[0][i] && b->got[1][i] == old_ctx && !left)
		b->won[1]++;
	else
		b->wrong++;
}

static void dissociate_if_racing_reassociate_never_takes_the_new_one(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_reassociate;
	b->act[1] = act_dissociate_if;
	b->judge = judge_dissociate_if;
	race(test, run_batches, b);
	expect_even_race(b);
}

/*
 * Signal, reply and, a jiffy or three later, expiry.  A reply that did not get
 * the context was late or, after the expiry, stale; so the totals are exact.
 */
static void abandon_late_reply_and_expiry_add_up(struct kunit *test)
{
	struct batch *b = batch(test, 1000);
	struct mid_window_stats stats;

	b->act[0] = act_abandon;
	b->act[1] = act_dissociate;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);

	KUNIT_EXPECT_EQ(test, mid_window_drain(b->w, FOREVER), 0);
	stats = stats_of(b->w);
	kunit_info(test, "%llu late, %llu after the expiry\n", stats.late,
		   stats.stale);
	KUNIT_EXPECT_EQ(test, stats.late + stats.stale, b->won[0]);
	KUNIT_EXPECT_EQ(test, stats.unknown, 0);
	KUNIT_EXPECT_EQ(test, stats.abandoned, 0);
	KUNIT_EXPECT_EQ(test, stats.in_use, 0);
	KUNIT_EXPECT_EQ(test, stats.associated, b->rounds * BATCH);
	KUNIT_EXPECT_EQ(test, stats.dissociated, b->rounds * BATCH);
}

/* Half of the replies never come: the expiry must find all of these. */
static void *act_dissociate_half(struct batch *b, unsigned int i)
{
	return i % 2 ? NULL : act_dissociate(b, i);
}

static void judge_half(struct batch *b, unsigned int i)
{
	b->wrong += b->got[0][i] && b->got[1][i];
	b->wrong += !b->got[0][i] && !b->got[1][i];
	b->won[0] += !!b->got[0][i];
	b->won[1] += !!b->got[1][i];
}

static void expiry_takes_what_no_reply_does(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_abandon;
	b->act[1] = act_dissociate_half;
	b->judge = judge_half;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, mid_window_drain(b->w, FOREVER), 0);
	KUNIT_EXPECT_EQ(test, stats_of(b->w).in_use, 0);
	KUNIT_EXPECT_LT(test, stats_of(b->w).late, b->won[0]);
}

/* AsyncId noted, or the request is over; and found by it, or by its id. */
static void *act_note_async(struct batch *b, unsigned int i)
{
	if (mid_window_note_async(b->w, b->epoch, b->id[i], 1 + i))
		return NULL;
	return mid_window_dissociate_async(b->w, b->epoch, 1 + i);
}

static void claims_by_id_and_by_async_id_exclude_each_other(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_note_async;
	b->act[1] = act_dissociate;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, stats_of(b->w).in_use, 0);
}

/* Side 0 resets once each round, side 1 answers all. */
static void count_reset(void *ctx, u64 id, void *arg)
{
	struct batch *b = arg;
	unsigned long nr = (unsigned long)ctx - 1;

	if (nr >= BATCH || id != b->id[nr] || b->reset[nr]++)
		b->wrong++;
}

static void *act_reset(struct batch *b, unsigned int i)
{
	if (i == 0) {
		memset(b->reset, 0, sizeof(b->reset));
		ndelay(b->rounds % 8 * 25000);
		mid_window_reset(b->w, count_reset, b);
	}
	return NULL;
}

static void judge_reset(struct batch *b, unsigned int i)
{
	b->got[0][i] = b->reset[i] ? nr_ctx(i) : NULL;
	judge_one_has_it(b, i);
	b->wrong += !!mid_window_map(b->w, b->epoch, b->id[i]);
}

static void reset_racing_replies_hands_over_each_context_once(struct kunit *test)
{
	struct batch *b = batch(test, 100);

	b->act[0] = act_reset;
	b->act[1] = act_dissociate;
	b->judge = judge_reset;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, stats_of(b->w).in_use, 0);
	KUNIT_EXPECT_EQ(test, mid_window_epoch(b->w), 1 + b->rounds);
}

/*
 * Side 0 resets while side 1 sends.  What was sent on the old connection is
 * handed over, what comes later is refused, and nothing is left behind; and
 * what side 1 sends on the new connection, while side 0 is still at it, stays.
 */
struct reset_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int wrong;
	unsigned int sent;		/* in this round */
	unsigned int handed;
	unsigned int rounds;
	unsigned int rounds_cut;	/* that ended by -ESTALE */
	bool again;
};

#define RESET_ROUNDS	1000
#define RESET_SENDS	200

static void count_handed(void *ctx, u64 id, void *arg)
{
	struct reset_race *r = arg;

	r->handed++;
	r->wrong += ctx != r;
}

static void reset_race_send(struct reset_race *r)
{
	struct mid_span span;
	unsigned int i;
	int err = 0;
	u64 id;

	mid_window_grant(r->w, mid_window_epoch(r->w), RESET_SENDS);
	if (mid_window_reserve(r->w, RESET_SENDS, &span))
		r->wrong++;
	r->sent = 0;
	meet(&r->arrivals);
	for (i = 0; i < RESET_SENDS && !err; i++) {
		err = mid_window_associate(r->w, &span, 1, r, &id, GFP_KERNEL);
		r->sent += !err;
	}
	r->wrong += err && err != -ESTALE;
	r->rounds_cut += err == -ESTALE;
	if (err) {
		/* The first request of the new connection: not for the reset. */
		if (mid_window_reserve(r->w, 1, &span) ||
		    mid_window_associate(r->w, &span, 1, &r->sent, &id, GFP_KERNEL))
			r->wrong++;
		else if (mid_window_dissociate(r->w, span.epoch, id) != &r->sent)
			r->wrong++;
	}
	meet(&r->arrivals);
}

static void reset_race_reset(struct reset_race *r)
{
	meet(&r->arrivals);
	ndelay(r->rounds++ % 16 * 10000);
	r->handed = 0;
	mid_window_reset(r->w, count_handed, r);
	meet(&r->arrivals);
	r->wrong += r->handed != r->sent;
}

static void run_reset_race(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct reset_race *r = arg;

	do {
		if (side == 1) {
			reset_race_send(r);
		} else {
			reset_race_reset(r);
			r->again = race_again(r->rounds, 20, RESET_ROUNDS, begin);
		}
		cond_resched();
		meet(&r->arrivals);
	} while (r->again);
}

static void reset_racing_associates_leaves_none_behind(struct kunit *test)
{
	struct reset_race *r = test_alloc(test, sizeof(*r));

	r->w = test->priv;
	race(test, run_reset_race, r);
	kunit_info(test, "%u of %u resets came in between\n", r->rounds_cut,
		   r->rounds);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->rounds_cut, 0);
	KUNIT_EXPECT_EQ(test, stats_of(r->w).in_use, 0);
}

/* Side 0 sends letters that it has just written, side 1 reads them. */
struct letter {
	unsigned long page[8];
};

struct letter_race {
	struct mid_window *w;
	atomic_t arrivals;
	bool done;
	unsigned int sent;
	unsigned long read;
	unsigned long wrong;
	struct letter letter[64];
};

#define LETTERS	500000

static void send_letters(struct letter_race *r)
{
	unsigned long begin = jiffies;
	struct letter *letter;
	struct mid_span span;
	unsigned int nr, i;
	u64 id;

	for (nr = 0; race_again(nr, 1000, LETTERS, begin); nr++) {
		letter = &r->letter[nr % ARRAY_SIZE(r->letter)];
		mid_window_grant(r->w, 1, 1);
		if (mid_window_reserve(r->w, 1, &span))
			r->wrong++;
		for (i = 0; i < ARRAY_SIZE(letter->page); i++)
			WRITE_ONCE(letter->page[i], span.first);
		if (mid_window_associate(r->w, &span, 1, letter, &id, GFP_KERNEL))
			r->wrong++;
		/* It is not written to again before it was answered. */
		if (nr >= ARRAY_SIZE(r->letter) / 2)
			mid_window_dissociate(r->w, 1,
					      id - ARRAY_SIZE(r->letter) / 2);
		cond_resched();
	}
	r->sent = nr;
}

static void read_letters(struct letter_race *r)
{
	struct letter *letter;
	unsigned int i;
	u64 id = 0;

	while (!READ_ONCE(r->done)) {
		rcu_read_lock();
		letter = mid_window_map(r->w, 1, id);
		if (letter) {
			for (i = 0; i < ARRAY_SIZE(letter->page); i++)
				r->wrong += READ_ONCE(letter->page[i]) < id;
			r->read++;
		}
		rcu_read_unlock();
		/* Follow the sender; where it is not yet, try again. */
		if (letter || id < stats_of(r->w).next)
			id++;
		cond_resched();
	}
}

static void run_letter_race(void *arg, int side)
{
	struct letter_race *r = arg;

	meet(&r->arrivals);
	if (side == 0) {
		send_letters(r);
		WRITE_ONCE(r->done, true);
	} else {
		read_letters(r);
	}
}

static void map_sees_a_context_only_when_it_is_fully_written(struct kunit *test)
{
	struct letter_race *r = test_alloc(test, sizeof(*r));

	r->w = test->priv;
	race(test, run_letter_race, r);
	kunit_info(test, "%lu of %u letters were read\n", r->read, r->sent);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->read, 10);
}

/* Both sides want spans of a window that has too few for both. */
struct scarce_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned long wrong;
	unsigned long served[2];
};

#define SCARCE_CREDITS	16
#define SCARCE_ROUNDS	20000

static void run_scarce_race(void *arg, int side)
{
	struct scarce_race *r = arg;
	unsigned long begin = jiffies;
	struct rnd_state rnd;
	struct mid_span span;
	unsigned int round, n;
	u64 id;

	prandom_seed_state(&rnd, seed + side);
	meet(&r->arrivals);
	for (round = 0; race_again(round, 100, SCARCE_ROUNDS, begin); round++) {
		/* Side 0 is greedy, and must not starve. */
		n = side ? 1 + random_below(&rnd, 3) : SCARCE_CREDITS;
		if (mid_window_reserve_wait(r->w, n, &span, FOREVER)) {
			WRITE_ONCE(r->wrong, r->wrong + 1);
			break;
		}
		r->served[side]++;
		if (random_below(&rnd, 2)) {
			mid_window_give_back(r->w, &span);
			continue;
		}
		if (mid_window_associate(r->w, &span, n, nr_ctx(side), &id,
					 GFP_KERNEL) ||
		    mid_window_dissociate(r->w, 1, id) != nr_ctx(side))
			WRITE_ONCE(r->wrong, r->wrong + 1);
		mid_window_grant(r->w, 1, n);
	}
}

static void greedy_and_modest_both_have_their_turn(struct kunit *test)
{
	struct scarce_race *r = test_alloc(test, sizeof(*r));

	r->w = negotiated(test, SCARCE_CREDITS);
	race(test, run_scarce_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GE(test, r->served[0], 100);
	KUNIT_EXPECT_GE(test, r->served[1], 100);
	kunit_info(test, "%lu large and %lu small spans, %llu times somebody waited\n",
		   r->served[0], r->served[1], stats_of(r->w).exhausted);
	expect_room(test, SCARCE_CREDITS);
}

/*
 * Side 1 waits for one id; side 0 kills it and grants the id, in this order or
 * the other.  Either side 1 has the id or it is there for the next one.
 */
#define KILL_ROUNDS	20000

struct kill_race {
	struct mid_window *w;
	atomic_t arrivals;
	struct task_struct *victim;
	bool again;
	unsigned int rounds;
	unsigned int wrong;
	unsigned int killed;
};

static void kill_race_wait(struct kill_race *r)
{
	struct mid_span span;
	u64 id;
	int err;

	err = mid_window_reserve_wait(r->w, 1, &span, FOREVER);
	r->wrong += err && err != -ERESTARTSYS;
	r->killed += !!err;
	meet(&r->arrivals);
	flush_signals(current);
	/* What it did not get must be there, and no more. */
	if (err && mid_window_reserve(r->w, 1, &span))
		r->wrong++;
	r->wrong += mid_window_credits(r->w) != 0;
	r->wrong += mid_window_associate(r->w, &span, 1, r, &id, GFP_KERNEL) != 0;
	r->wrong += mid_window_dissociate(r->w, 1, id) != r;
}

static void kill_race_kill(struct kill_race *r, struct rnd_state *rnd)
{
	bool grant_first = random_below(rnd, 2);

	ndelay(random_below(rnd, 5000));
	if (grant_first)
		mid_window_grant(r->w, 1, 1);
	send_sig(SIGKILL, r->victim, 1);
	ndelay(random_below(rnd, 2000));
	if (!grant_first)
		mid_window_grant(r->w, 1, 1);
	meet(&r->arrivals);
}

static void run_kill_race(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct kill_race *r = arg;
	struct rnd_state rnd;

	if (side == 1) {
		allow_signal(SIGKILL);
		r->victim = current;
	}
	prandom_seed_state(&rnd, seed);
	do {
		meet(&r->arrivals);
		if (side == 1) {
			kill_race_wait(r);
		} else {
			kill_race_kill(r, &rnd);
			r->again = race_again(++r->rounds, 100, KILL_ROUNDS, begin);
		}
		cond_resched();
		meet(&r->arrivals);
	} while (r->again);
}

static void killed_waiter_loses_no_id(struct kunit *test)
{
	struct kill_race *r = test_alloc(test, sizeof(*r));

	r->w = negotiated(test, 0);
	race(test, run_kill_race, r);
	kunit_info(test, "%u of %u were killed first, seed %u\n", r->killed,
		   r->rounds, seed);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->killed, 0);
	KUNIT_EXPECT_LT(test, r->killed, r->rounds);
	KUNIT_EXPECT_EQ(test, stats_of(r->w).waiters, 0);
}

/* Destroy, in the moment when its waiters are killed or leave. */
#define DESTROY_ROUNDS	50

static void destroy_racing_a_killed_waiter_is_safe(struct kunit *test)
{
	unsigned int round;

	for (round = 0; round < DESTROY_ROUNDS; round++) {
		queue_up(test, 0, 2);
		queue_up(test, 1, 3);
		send_sig(SIGKILL, waiters[0].task, 1);
		ndelay(round % 32 * 1000);
		window_exit(test);
		join(test, &waiters[0]);
		join(test, &waiters[1]);
		KUNIT_ASSERT_NE(test, waiters[0].err, 0);
		KUNIT_ASSERT_EQ(test, waiters[1].err, -ESHUTDOWN);
		window_init(test);
	}
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(two_cpus_claim_a_million_ids_exactly_once),
	KUNIT_CASE(racing_dissociates_give_each_context_to_one),
	KUNIT_CASE(unsend_racing_a_reply_gives_back_what_it_won),
	KUNIT_CASE(reassociate_racing_dissociate_returns_each_context_once),
	KUNIT_CASE(dissociate_if_racing_reassociate_never_takes_the_new_one),
	KUNIT_CASE_SLOW(abandon_late_reply_and_expiry_add_up),
	KUNIT_CASE(expiry_takes_what_no_reply_does),
	KUNIT_CASE(claims_by_id_and_by_async_id_exclude_each_other),
	KUNIT_CASE(reset_racing_replies_hands_over_each_context_once),
	KUNIT_CASE(reset_racing_associates_leaves_none_behind),
	KUNIT_CASE(map_sees_a_context_only_when_it_is_fully_written),
	KUNIT_CASE(greedy_and_modest_both_have_their_turn),
	KUNIT_CASE(killed_waiter_loses_no_id),
	KUNIT_CASE(destroy_racing_a_killed_waiter_is_safe),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midwindow_race",
	.init = window_race_init,
	.exit = window_exit,
	.test_cases = race_cases,
};

/* ------------------------------------------------------------------------
 * One that stays, and all the others
 */

#define FLEET	64		/* in flight beside it */

/* What a map costs, in picoseconds: the best of several rounds. */
static unsigned long map_cost(struct mid_window *w, u64 id)
{
	unsigned long best = ULONG_MAX, ps;
	unsigned int round, i;
	void *ctx = NULL;
	ktime_t begin;

	for (round = 0; round < 50; round++) {
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

/* @n ids go by, @charge to a request, of which FLEET are in flight at any time. */
static void go_by(struct kunit *test, unsigned int n)
{
	struct mid_window *w = test->priv;
	u64 fleet = FLEET * charge, end = mid_window_next(w) + n, id, last;
	struct mid_span span = {};

	do {
		if (!span.n) {
			span = reserve(test, fleet);
			grant(test, fleet);
			cond_resched();
		}
		id = span.first;
		if (mid_window_associate(w, &span, charge, nr_ctx(id), &id, GFP_KERNEL))
			KUNIT_FAIL_AND_ABORT(test, "associate failed at %llu", id);
		last = id - fleet;
		if (id > fleet && mid_window_dissociate(w, 1, last) != nr_ctx(last))
			KUNIT_FAIL_AND_ABORT(test, "lost id %llu", last);
	} while (id < end);
	mid_window_give_back(w, &span);
}

static void one_that_stays_does_not_slow_ten_million_others(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long before, young, old;
	struct mid_window_stats begin, end;
	u64 id = send(test, nr_ctx(0));

	KUNIT_ASSERT_EQ(test, id, 0);
	grant(test, 4 * FLEET * charge);
	go_by(test, 2 * FLEET * charge);
	begin = stats_of(w);
	before = map_cost(w, begin.next - charge);

	go_by(test, others);
	end = stats_of(w);
	KUNIT_EXPECT_GE(test, end.next, others);
	young = map_cost(w, end.next - charge);
	old = map_cost(w, id);
	kunit_info(test, "map: %lu ps at first, %lu ps after %u other ids, %lu ps for the one that stayed\n",
		   before, young, others, old);
	kunit_info(test, "memory for %u requests and %u ids before, %u and %u after\n",
		   begin.slots, begin.buckets, end.slots, end.buckets);
	KUNIT_EXPECT_GT(test, before, 0);
	KUNIT_EXPECT_GT(test, young, 0);
	KUNIT_EXPECT_LE(test, young, 2 * before);
	KUNIT_EXPECT_LE(test, old, 2 * before);
	KUNIT_EXPECT_EQ(test, end.in_use, FLEET + 1);
	KUNIT_EXPECT_EQ(test, end.slots, begin.slots);
	KUNIT_EXPECT_EQ(test, end.buckets, begin.buckets);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(0));
}

/* Flat, too, when many are in flight: 50 against 10,000. */
static void map_costs_the_same_beside_ten_thousand(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long few, many;
	unsigned int i;

	grant(test, 10000);
	for (i = 0; i < 50; i++)
		send(test, nr_ctx(i));
	few = map_cost(w, 25);
	for (; i < 10000; i++)
		send(test, nr_ctx(i));
	many = map_cost(w, 9999);
	kunit_info(test, "map: %lu ps beside 50, %lu ps beside 10000\n", few, many);
	KUNIT_EXPECT_GT(test, few, 0);
	KUNIT_EXPECT_GT(test, many, 0);
	KUNIT_EXPECT_LE(test, many, 3 * few);
}

static struct kunit_case long_cases[] = {
	KUNIT_CASE_SLOW(one_that_stays_does_not_slow_ten_million_others),
	KUNIT_CASE(map_costs_the_same_beside_ten_thousand),
	{}
};

static struct kunit_suite long_suite = {
	.name = "midwindow_long",
	.init = window_init,
	.exit = window_exit,
	.test_cases = long_cases,
};

/* ------------------------------------------------------------------------
 * The random life: every claim, on requests in every state
 */

#define LIVES		512
#define LIFE_STEPS	200000

enum life { OVER, LIVE, GIVEN_UP };

struct life_run {
	struct kunit *test;
	struct mid_window *w;
	struct rnd_state rnd;
	unsigned long step;
	u32 epoch;
	u64 late;
	struct {
		enum life life;
		void *ctx;
		u32 epoch;
		u64 id;
		u64 async_id;	/* 0: none */
	} of[LIVES];
};

static void life_expect(struct life_run *r, const char *call, unsigned long got,
			unsigned long expected)
{
	KUNIT_ASSERT_EQ_MSG(r->test, got, expected, "%s at step %lu, seed %u",
			    call, r->step, seed);
}

#define LIFE_EXPECT(r, call, expected)					\
	life_expect(r, #call, (unsigned long)(call), (unsigned long)(expected))

static void life_begin(struct life_run *r, unsigned int i)
{
	struct mid_span span;
	unsigned int charge = 1 + random_below(&r->rnd, 4);

	grant(r->test, charge);
	span = reserve(r->test, charge);
	r->of[i].ctx = nr_ctx(r->step);
	r->of[i].id = associate(r->test, &span, charge, r->of[i].ctx);
	r->of[i].epoch = r->epoch;
	r->of[i].async_id = 0;
	r->of[i].life = LIVE;
}

static void life_reset(struct life_run *r)
{
	unsigned int i;

	r->epoch = mid_window_reset(r->w, NULL, NULL);
	for (i = 0; i < LIVES; i++)
		r->of[i].life = OVER;
}

/* The context that every call should see. */
static void *life_ctx(struct life_run *r, unsigned int i)
{
	return r->of[i].life == LIVE ? r->of[i].ctx : NULL;
}

static void life_over(struct life_run *r, unsigned int i)
{
	r->late += r->of[i].life == GIVEN_UP;
	r->of[i].life = OVER;
}

static void life_step(struct life_run *r, unsigned int i)
{
	void *ctx = life_ctx(r, i), *wrong = nr_ctx(r->step), *mine = r->of[i].ctx;
	u64 id = r->of[i].id, async_id = r->of[i].async_id;
	u32 epoch = r->of[i].epoch;

	switch (random_below(&r->rnd, 10)) {
	case 0:
		LIFE_EXPECT(r, mid_window_dissociate(r->w, epoch, id), ctx);
		life_over(r, i);
		break;
	case 1:
		LIFE_EXPECT(r, mid_window_dissociate_if(r->w, epoch, id, wrong), 0);
		LIFE_EXPECT(r, mid_window_dissociate_if(r->w, epoch, id, mine), !!ctx);
		if (ctx)
			r->of[i].life = OVER;
		break;
	case 2:
		LIFE_EXPECT(r, mid_window_unsend(r->w, epoch, id, wrong), 0);
		LIFE_EXPECT(r, mid_window_unsend(r->w, epoch, id, mine), !!ctx);
		if (ctx)
			r->of[i].life = OVER;
		break;
	case 3:
		LIFE_EXPECT(r, mid_window_abandon(r->w, epoch, id, wrong, FOREVER), 0);
		LIFE_EXPECT(r, mid_window_abandon(r->w, epoch, id, mine, FOREVER), !!ctx);
		if (ctx)
			r->of[i].life = GIVEN_UP;
		break;
	case 4:
		LIFE_EXPECT(r, mid_window_reassociate(r->w, epoch, id, wrong), ctx);
		r->of[i].ctx = wrong;
		break;
	case 5:
		if (!ctx || async_id)
			break;
		async_id = 1 + r->step;
		LIFE_EXPECT(r, mid_window_note_async(r->w, epoch, id, async_id), 0);
		r->of[i].async_id = async_id;
		break;
	case 6:
		if (!async_id)
			break;
		LIFE_EXPECT(r, mid_window_dissociate_async(r->w, epoch, async_id), ctx);
		life_over(r, i);
		break;
	case 7:
		if (async_id)
			LIFE_EXPECT(r, mid_window_map_async(r->w, epoch, async_id), ctx);
		break;
	default:
		LIFE_EXPECT(r, mid_window_map(r->w, epoch, id), ctx);
	}
}

static void life_check(struct life_run *r)
{
	struct mid_window_stats stats = stats_of(r->w);
	unsigned int i, live = 0, given_up = 0;

	for (i = 0; i < LIVES; i++) {
		live += r->of[i].life == LIVE;
		given_up += r->of[i].life == GIVEN_UP;
	}
	LIFE_EXPECT(r, stats.in_use, live + given_up);
	LIFE_EXPECT(r, stats.abandoned, given_up);
	LIFE_EXPECT(r, stats.late, r->late);
	LIFE_EXPECT(r, stats.associated - stats.dissociated, live);
	LIFE_EXPECT(r, mid_window_for_each(r->w, ignore_ctx, NULL), live);
}

/* An id that was unsent is another's next time: the model forgets such. */
static void life_forget(struct life_run *r, u64 id)
{
	unsigned int i;

	for (i = 0; i < LIVES; i++)
		if (r->of[i].life == OVER && r->of[i].id == id)
			r->of[i].epoch = 0;
}

static void random_lives_agree_with_the_model(struct kunit *test)
{
	struct life_run *r = test_alloc(test, sizeof(*r));
	unsigned int i;

	r->test = test;
	r->w = test->priv;
	r->epoch = mid_window_epoch(r->w);
	prandom_seed_state(&r->rnd, seed);
	for (r->step = 0; r->step < LIFE_STEPS; r->step++) {
		i = random_below(&r->rnd, LIVES);
		if (r->of[i].life == OVER && random_below(&r->rnd, 2)) {
			life_begin(r, i);
			life_forget(r, r->of[i].id);
		} else {
			life_step(r, i);
		}
		if (r->step % 1024 == 0) {
			life_check(r);
			cond_resched();
		}
		if (!random_below(&r->rnd, 20000))
			life_reset(r);
	}
	kunit_info(test, "%lu steps, %u connections, seed %u\n", r->step, r->epoch,
		   seed);
	KUNIT_EXPECT_GT(test, r->epoch, 3);
}

static struct kunit_case life_cases[] = {
	KUNIT_CASE(random_lives_agree_with_the_model),
	{}
};

static struct kunit_suite life_suite = {
	.name = "midwindow_random",
	.init = window_init,
	.exit = window_exit,
	.test_cases = life_cases,
};

kunit_test_suites(&argument_suite, &id_suite, &back_suite, &flight_suite,
		  &unsend_suite, &epoch_suite, &async_suite, &wait_suite,
		  &abandon_suite, &end_suite, &irq_suite, &race_suite,
		  &long_suite, &life_suite);

/* What MODULE_IMPORT_NS() is in every kernel; its own argument has changed. */
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the MessageId window");
MODULE_LICENSE("GPL");
