// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_field_kunit - what clients of SMB2/3 servers met in the field
 *
 * Most cases are sequences from public bug reports of people who build or run such
 * clients.  The comment of a case tells its story: what happens, what went wrong, and
 * what is right.  There is one suite for each of: the stories, what always worked and
 * has to, misuse and bad input, and the cost of what a server can choose.
 */
#include "fixture.h"

/* ------------------------------------------------------------------------
 * Stories
 */

/*
 * A request is in flight, and a task waits for one id.  The connection breaks, and the
 * client begins a new one, whose only id is 0.  The waiter was served first, so its READ
 * had id 0, the server ended the connection, and NEGOTIATE waited for ever.  NEGOTIATE
 * has id 0; SESSION_SETUP and TREE_CONNECT have the next ones; the waiter is served after
 * resume.
 */
static void negotiate_has_the_first_id_of_a_new_connection(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 0);
	struct mid_span span;
	u64 id;

	window_enqueue(test, 0, 1);
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, NULL, NULL), 2);
	for (id = 0; id < 3; id++) {
		KUNIT_ASSERT_EQ(test, 0, mid_window_reserve(w, 1, 1, &span,
							    MID_WINDOW_URGENT, HZ));
		KUNIT_EXPECT_EQ(test, window_associate(test, &span, 1, w), id);
		window_grant(test, id < 2 ? 1 : 32);
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, id), w);
	}
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	mid_window_resume(w, 2);
	expect_waiter_span(test, &id_waiters[0], 3, 1);
}

static bool want_overdue(void *ctx, u64 id, unsigned long age, void *arg)
{
	return ctx != arg;
}

/*
 * A request takes long, and the server says so by an interim response: the client
 * SHOULD extend its timeout (MS-SMB2 3.2.5.1.5).  The sweep of the timeouts took the
 * request all the same.  Its age begins anew at the interim response.
 */
static void age_begins_anew_at_an_interim_response(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 slow, lost;

	window_grant(test, 1);
	slow = window_send(test, nr_ctx(1));
	lost = window_send(test, nr_ctx(2));
	sleep_jiffies(HZ / 2);
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, slow, 1000), 0);
	sleep_jiffies(HZ / 4);
	KUNIT_EXPECT_EQ(test, 1, mid_window_claim_if(w, HZ / 2, NULL, NULL, NULL));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, lost));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, slow), nr_ctx(1));
	KUNIT_EXPECT_GE(test, window_stats(w).oldest, HZ / 4);
	KUNIT_EXPECT_LT(test, window_stats(w).oldest, HZ / 2);
	/* Later ones do not count: a server could keep a request for ever. */
	sleep_jiffies(HZ / 4);
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, slow, 1000), 0);
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, slow, 1001), -EEXIST);
	KUNIT_EXPECT_EQ(test, 1, mid_window_claim_if(w, HZ / 2, NULL, NULL, NULL));
}

/*
 * A change notify has been open for long, and a READ is overdue.  The sweep took both;
 * the client put the notify back under another id, and its reply was stale.  The sweep
 * leaves what the client does not want, under its id and with its age and AsyncId.
 */
static void sweep_leaves_a_change_notify(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 notify, read, async_id = 0;

	window_grant(test, 1);
	notify = window_send(test, nr_ctx(1));
	read = window_send(test, nr_ctx(2));
	KUNIT_ASSERT_EQ(test, mid_window_note_async(w, 1, notify, 1000), 0);
	sleep_jiffies(HZ / 4);
	KUNIT_EXPECT_EQ(test, 1, mid_window_claim_if(w, HZ / 4, want_overdue, NULL,
						     nr_ctx(1)));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, read));
	KUNIT_EXPECT_GE(test, window_stats(w).oldest, HZ / 4);
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, notify), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 1000);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, notify), nr_ctx(1));
}

/*
 * The server answers eight requests, and grants nothing.  Nothing is in flight that
 * could bring credits, and the next task waited for ever.  It is told.
 */
static void task_is_told_that_nobody_can_grant(struct kunit *test)
{
	struct mid_window *w = test->priv;
	struct mid_span span;
	unsigned int i;
	u64 id;

	window_grant(test, 7);
	for (i = 0; i < 8; i++) {
		id = window_send(test, nr_ctx(i));
		window_grant(test, 0);
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(i));
	}
	KUNIT_EXPECT_EQ(test, -EDEADLK,
			mid_window_reserve(w, 1, 1, &span, 0, NO_TIMEOUT));
	KUNIT_EXPECT_EQ(test, -EDEADLK, mid_window_reserve(w, 1, 1, &span, 0, 0));
	KUNIT_EXPECT_EQ(test, -EDEADLK,
			mid_window_reserve(w, 1, 1, &span, MID_WINDOW_URGENT,
					   NO_TIMEOUT));
	/* An unsolicited message may bring credits nonetheless. */
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, window_send(test, w), 8);
}

/*
 * The server stops at 10 credits, and nothing is in flight.  The first in line wants 16
 * for a large read, the second wants one.  Both waited for ever, and so did everybody
 * after them.  The first is told, and then the second is served.  A read that makes do
 * with less gets what there is.
 */
static void large_request_in_front_does_not_block_the_connection(struct kunit *test)
{
	struct mid_window *w = window_busy(test, 10);
	struct mid_span span;

	window_enqueue(test, 0, 16);
	window_enqueue(test, 1, 1);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 0), nr_ctx(0));
	expect_waiter_error(test, &id_waiters[0], -EDEADLK);
	expect_waiter_span(test, &id_waiters[1], 1, 1);
	mid_window_give_back(w, &id_waiters[1].span);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 16, &span, 0, NO_TIMEOUT));
	EXPECT_SPAN(test, span, 1, 10);
}

/*
 * The connection has 4 credits, and all are in CREATEs that wait until this client has
 * acknowledged a lease break.  The acknowledgment waited for a credit.  One id is set
 * aside, so the fourth CREATE waits, and the acknowledgment does not.
 */
static void acknowledgment_of_a_break_has_an_id(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 4);
	struct mid_tag tag;
	struct mid_span span;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, mid_window_set_aside(w, 1), 0);
	for (i = 1; i < 4; i++)
		KUNIT_EXPECT_EQ(test, window_send(test, nr_ctx(i)), i);
	KUNIT_EXPECT_EQ(test, -EAGAIN, mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
	window_enqueue(test, 0, 1);
	KUNIT_EXPECT_EQ(test, 0, mid_window_reserve(w, 1, 1, &span,
						    MID_WINDOW_URGENT, HZ));
	KUNIT_EXPECT_EQ(test, window_associate(test, &span, 1, nr_ctx(4)), 4);
	window_grant(test, 1);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 4), nr_ctx(4));
	KUNIT_EXPECT_TRUE(test, still_waits_for_ids(&id_waiters[0]));
	window_grant(test, 1);
	expect_waiter_span(test, &id_waiters[0], 5, 1);
}

/*
 * A killed task gives up its request, and the client sends a CANCEL.  It must carry the
 * AsyncId of the interim response (MS-SMB2 3.2.4.24), but the window had forgotten it
 * with the request.
 */
static void cancel_of_an_abandoned_request_has_its_async_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1)), async_id = NO_ID;

	KUNIT_ASSERT_EQ(test, mid_window_note_async(w, 1, id, 7), 0);
	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1),
						   LONG_TIME));
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 7);
}

/*
 * The same, but the interim response comes after the request was given up: it was
 * refused.  It is noted, and does not make the quarantine longer.
 */
static void interim_response_of_an_abandoned_request_is_noted(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned long begin = jiffies, end;
	u64 id = window_send(test, nr_ctx(1)), async_id = NO_ID;

	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1), HZ));
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	sleep_jiffies(HZ / 2);
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, id, 7), 0);
	KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, async_id, 7);
	KUNIT_EXPECT_EQ(test, window_stats(w).abandoned, 1);
	end = jiffies + WINDOW_TIMEOUT;
	while (window_stats(w).abandoned && time_before(jiffies, end))
		sleep_jiffies(1);
	KUNIT_EXPECT_GE(test, jiffies - begin, HZ);
	KUNIT_EXPECT_LT(test, jiffies - begin, HZ + HZ / 2);
	KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(1, id), &async_id));
	KUNIT_EXPECT_EQ(test, mid_window_note_async(w, 1, id, 7), -ENOENT);
}

/* The ids that a callback gets, in their order. */
struct order {
	unsigned int n;
	u64 id[8];
};

static void note_order(void *ctx, u64 id, void *arg)
{
	struct order *order = arg;

	if (order->n < ARRAY_SIZE(order->id))
		order->id[order->n] = id;
	order->n++;
}

/*
 * The client sends the requests of the old connection again.  They were handed over
 * newest first, so writes came in the wrong order.
 */
static void requests_are_resubmitted_in_the_order_of_their_ids(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, 0);
	struct order order = {};
	unsigned int i;

	/* So far apart that their entries are not in this order. */
	window_grant(test, 99);
	for (i = 0; i < 100; i++) {
		window_send(test, nr_ctx(i));
		if (i % 13)
			mid_window_dissociate(w, 1, i);
	}
	mid_window_reset(w, note_order, &order);
	KUNIT_EXPECT_EQ(test, order.n, 8);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, order.id[i], 13 * i);
}

/*
 * Memory is low, and the kernel writes pages back through this connection.  Each request
 * allocated an entry; when that failed the write had to be sent again later, and memory
 * stayed low.  Within its slots a window needs no memory, for life.
 */
#define WRITEBACK_SLOTS	100

static unsigned int writes = 1000000;
module_param(writes, uint, 0444);
MODULE_PARM_DESC(writes, "Requests that are sent while each allocation fails");

/* Sends the request number @nr, by one of the two ways. */
static int write_back(struct mid_window *w, unsigned int nr, struct mid_tag *tag)
{
	struct mid_span span;

	if (nr % 3)
		return mid_window_begin(w, 1 + nr % 5, nr_ctx(nr), tag, GFP_NOFS);
	if (mid_window_reserve(w, 1 + nr % 5, 8, &span, 0, HZ))
		return -EIO;
	if (mid_window_associate(w, &span, 1 + nr % 5, nr_ctx(nr), tag, GFP_NOFS))
		return -EIO;
	mid_window_give_back(w, &span);
	return 0;
}

static bool write_ends(struct mid_window *w, unsigned int nr,
		       const struct mid_tag *tag)
{
	switch (nr % 16) {
	case 0:
		return mid_window_unsend(w, tag, nr_ctx(nr));
	case 1:
		return mid_window_abandon(w, tag, nr_ctx(nr), LONG_TIME) &&
		       mid_window_stray(w, tag->epoch, tag->id) == MID_STRAY_LATE;
	case 2:
		return mid_window_reassociate(w, tag, w) == nr_ctx(nr) &&
		       mid_window_dissociate_if(w, tag, w);
	default:
		return mid_window_dissociate(w, tag->epoch, tag->id) == nr_ctx(nr);
	}
}

static void no_write_fails_for_lack_of_memory(struct kunit *test)
{
	struct mid_tag *tag = test_alloc(test, WRITEBACK_SLOTS * sizeof(*tag));
	struct mid_window *w = window_with_slots(test, WRITEBACK_SLOTS);
	unsigned int nr, slot, failed = 0, n = PART_OF(writes);

	window_grant(test, 2000);
	limit_window_allocs(test, 0);
	for (nr = 0; nr < n; nr++) {
		slot = nr % WRITEBACK_SLOTS;
		if (tag[slot].epoch)
			failed += !write_ends(w, nr - WRITEBACK_SLOTS, &tag[slot]);
		window_grant(test, 5);
		failed += write_back(w, nr, &tag[slot]) != 0;
		if (nr % (n / 4 + 1) == n / 4) {
			mid_window_resume(w, mid_window_reset(w, NULL, NULL));
			window_grant(test, 2000);
			memset(tag, 0, WRITEBACK_SLOTS * sizeof(*tag));
		}
		cond_resched();
	}
	kunit_info(test, "%u writes, %u allocations\n", nr, alloc_calls);
	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
	KUNIT_EXPECT_LE(test, window_stats(w).high_water, WRITEBACK_SLOTS);
}

/*
 * An associate that was too late for its connection kept the slot that it had taken:
 * after a few reconnects the window was full.  No call that is refused may keep room,
 * and no span of an older connection does.
 */
static void refused_calls_keep_no_room(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, 0);
	struct mid_span span, stale[LEAST_ROOM];
	struct mid_tag tag;
	unsigned int round, i;

	limit_window_allocs(test, 0);
	for (round = 0; round < 3; round++) {
		window_grant(test, LEAST_ROOM);
		for (i = 0; i < LEAST_ROOM; i++)
			stale[i] = window_reserve(test, 1);
		KUNIT_EXPECT_EQ(test, mid_window_begin(w, 1, w, &tag, GFP_KERNEL),
				-ENOMEM);
		mid_window_reset(w, NULL, NULL);
		for (i = 0; i < 50; i++) {
			KUNIT_EXPECT_EQ(test, -EAGAIN,
					mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
			KUNIT_EXPECT_EQ(test, reserve_now(w, 1, &span), -EAGAIN);
			KUNIT_EXPECT_EQ(test, -ESTALE,
					mid_window_associate(w, &stale[i % LEAST_ROOM],
							     1, w, &tag, GFP_KERNEL));
		}
		mid_window_resume(w, mid_window_epoch(w));
		for (i = 0; i < 50; i++) {
			KUNIT_EXPECT_EQ(test, -EAGAIN,
					mid_window_begin(w, 9, w, &tag, GFP_KERNEL));
			KUNIT_EXPECT_EQ(test, -EDEADLK,
					mid_window_reserve(w, 9, 9, &span, 0, 1));
		}
		window_grant(test, LEAST_ROOM);
		for (i = 0; i < LEAST_ROOM; i++)
			window_send(test, w);
		/* Nor do old spans give back room that they have lost. */
		for (i = 0; i < LEAST_ROOM; i++)
			mid_window_give_back(w, &stale[i]);
		KUNIT_EXPECT_EQ(test, -EAGAIN,
				mid_window_begin(w, 1, w, &tag, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, LEAST_ROOM,
				mid_window_claim_if(w, 0, NULL, NULL, NULL));
	}
}

static struct kunit_case story_cases[] = {
	KUNIT_CASE(negotiate_has_the_first_id_of_a_new_connection),
	KUNIT_CASE(age_begins_anew_at_an_interim_response),
	KUNIT_CASE(sweep_leaves_a_change_notify),
	KUNIT_CASE(task_is_told_that_nobody_can_grant),
	KUNIT_CASE(large_request_in_front_does_not_block_the_connection),
	KUNIT_CASE(acknowledgment_of_a_break_has_an_id),
	KUNIT_CASE(cancel_of_an_abandoned_request_has_its_async_id),
	KUNIT_CASE(interim_response_of_an_abandoned_request_is_noted),
	KUNIT_CASE(requests_are_resubmitted_in_the_order_of_their_ids),
	KUNIT_CASE_SLOW(no_write_fails_for_lack_of_memory),
	KUNIT_CASE(refused_calls_keep_no_room),
	{}
};

static struct kunit_suite story_suite = {
	.name = "midwindow_field",
	.init = window_init,
	.exit = window_exit,
	.test_cases = story_cases,
};

/* ------------------------------------------------------------------------
 * What always worked
 */

/* A server that grants without measure, as some do, and one that tests its client. */
static void credits_without_measure_do_not_overflow(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i, n = PART_OF(200000);
	u64 id;

	for (i = 0; i < n; i++) {
		id = window_send(test, nr_ctx(i));
		window_grant(test, 0xffff);
		if (mid_window_dissociate(w, 1, id) != nr_ctx(i))
			KUNIT_FAIL_AND_ABORT(test, "id %llu is lost", id);
	}
	KUNIT_EXPECT_EQ(test, window_available(w), n * 0xffffULL + 1 - n);
	for (i = 0; i < 10; i++)
		window_grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, window_stats(w).limit,
			1 + n * 0xffffULL + 10ULL * UINT_MAX);
	KUNIT_EXPECT_EQ(test, window_send(test, w), n);
}

/* There are as many ids as there are, however many credits are granted. */
static void credits_stop_at_the_last_id(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int i;

	window_begin_at(test, MID_WINDOW_RESERVED - 3 * (u64)U32_MAX);
	for (i = 0; i < 10; i++)
		window_grant(test, UINT_MAX);
	KUNIT_EXPECT_EQ(test, window_stats(w).limit, MID_WINDOW_RESERVED);
	window_grant(test, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).limit, MID_WINDOW_RESERVED);
	KUNIT_EXPECT_EQ(test, window_available(w), 3 * (u64)U32_MAX);
}

/* Servers grant with the interim response, with each of two, or with the final one. */
static void credits_of_interim_and_final_responses_add_up(struct kunit *test)
{
	struct mid_window *w = test->priv;
	unsigned int interims, i;
	u64 id = 0;

	for (interims = 1; interims <= 2; interims++) {
		KUNIT_ASSERT_EQ(test, id, window_send(test, nr_ctx(id)));
		for (i = 0; i < interims; i++) {
			window_grant(test, 1);
			KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, id, 5));
		}
		window_grant(test, 0);
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, id), nr_ctx(id));
		expect_available(test, interims);
		id++;
	}
}

/* AsyncIds are the server's to choose: they mean nothing to the window. */
static void strange_async_ids_are_just_numbers(struct kunit *test)
{
	struct mid_window *w = test->priv;
	static const u64 strange[] = { 1, 2, 3, U64_MAX, U64_MAX - 1, 1ULL << 63 };
	u64 a, b, async_id;
	unsigned int i;

	window_grant(test, 100);
	for (i = 0; i < ARRAY_SIZE(strange); i++) {
		a = window_send(test, nr_ctx(1));
		b = window_send(test, nr_ctx(2));
		/* The same for two requests, and that of one that has ended. */
		KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, a, strange[i]));
		KUNIT_EXPECT_EQ(test, 0, mid_window_note_async(w, 1, b, strange[i]));
		KUNIT_EXPECT_TRUE(test, mid_window_async_id(w, TAG(1, b), &async_id));
		KUNIT_EXPECT_EQ(test, async_id, strange[i]);
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, b), nr_ctx(2));
		KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, a), nr_ctx(1));
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

/* Reads of 1 MiB; the socket breaks while some of them are not sent. */
static void spans_that_were_unsent_late_are_forgotten_by_a_reset(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 1600);
	unsigned int i, round;
	u64 id[100], first;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 100; i++)
			id[i] = window_send_large(test, 16, nr_ctx(i));
		first = id[0];
		for (i = 0; i < 100; i += 3)
			KUNIT_ASSERT_TRUE(test, mid_window_unsend(w, TAG(1 + round, id[i]),
								  nr_ctx(i)));
		/* The last one lowers next; the others are holes. */
		KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 33 * 16);
		KUNIT_EXPECT_EQ(test, window_stats(w).unsent, first);
		KUNIT_EXPECT_EQ(test, first, window_send_large(test, 16, nr_ctx(0)));
		window_reset(test);
		KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
		KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 0);
		window_grant(test, 1600);
	}
}

/*
 * Spans are out, and ids are given back, when the connection breaks.  Holes of the old
 * connection were holes in the new one, which stopped there.
 */
static void new_connection_has_no_holes_of_the_old_one(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 1000);
	struct mid_span back, span;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		window_reserve(test, 3);
		back = window_reserve(test, 2);
		window_send(test, w);
		mid_window_give_back(w, &back);
	}
	window_reset(test);
	window_grant(test, 3 * ID_SPREAD);
	for (i = 0; i < 300; i++)
		KUNIT_ASSERT_EQ(test, i, window_send(test, nr_ctx(i)));
	KUNIT_EXPECT_EQ(test, window_stats(w).unsent, 300);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 0);
	for (i = 0; i < 5; i++)
		window_send_large(test, MID_WINDOW_MAX_SPAN, w);
	KUNIT_EXPECT_FALSE(test, window_stats(w).stalled);
	span = window_reserve(test, 16);
	EXPECT_SPAN(test, span, 300 + 5 * MID_WINDOW_MAX_SPAN, 16);
}

/* A late reply that comes twice, or in parts. */
static void late_reply_is_late_once(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 id = window_send(test, nr_ctx(1));

	KUNIT_ASSERT_TRUE(test, mid_window_abandon(w, TAG(1, id), nr_ctx(1),
						   LONG_TIME));
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, id), MID_STRAY_LATE);
	KUNIT_EXPECT_EQ(test, mid_window_stray(w, 1, id), MID_STRAY_STALE);
	KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, 1, id));
	KUNIT_EXPECT_EQ(test, window_stats(w).late, 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).stale, 2);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

static void one_request_may_have_two_ids(struct kunit *test)
{
	struct mid_window *w = test->priv;
	u64 a, b;

	window_grant(test, 1);
	a = window_send(test, w);
	b = window_send(test, w);
	KUNIT_EXPECT_TRUE(test, mid_window_dissociate_if(w, TAG(1, a), w));
	KUNIT_EXPECT_NULL(test, mid_window_map(w, 1, a));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, b), w);
	KUNIT_EXPECT_TRUE(test, mid_window_dissociate_if(w, TAG(1, b), w));
}

/* What the callbacks of a sweep do to its window */
struct meddler {
	struct kunit *test;
	struct mid_window *w;
	unsigned int calls;
	unsigned int nested;
	unsigned int taken;
};

static void count_nested(void *ctx, u64 id, void *arg)
{
	struct meddler *m = arg;

	m->nested++;
}

/* The timeout of one request ends the connection. */
static void meddle_in_sweep(void *ctx, u64 id, void *arg)
{
	struct meddler *m = arg;

	KUNIT_EXPECT_PTR_EQ(m->test, ctx, nr_ctx(id));
	switch (m->calls++) {
	case 0:
		/* The others of the sweep are its own. */
		for (id = 0; id < 20; id++)
			m->taken += !!mid_window_dissociate(m->w, 1, id);
		mid_window_claim_if(m->w, 0, NULL, count_nested, m);
		window_send(m->test, nr_ctx(100));
		break;
	case 1:
		mid_window_reset(m->w, count_nested, m);
		break;
	case 2:
		KUNIT_EXPECT_EQ(m->test, mid_window_drain(m->w, 0), -ETIMEDOUT);
		break;
	default:
		break;
	}
}

static bool want_low(void *ctx, u64 id, unsigned long age, void *arg)
{
	return id < 10;
}

static void callback_of_a_sweep_may_end_everything(struct kunit *test)
{
	struct meddler m = { .test = test, .w = test->priv };
	unsigned int i;

	window_grant(test, 30);
	for (i = 0; i < 20; i++)
		window_send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, 10, mid_window_claim_if(m.w, 0, want_low,
						      meddle_in_sweep, &m));
	KUNIT_EXPECT_EQ(test, m.calls, 10);
	/* 10 of them were not of the sweep; the new request is the reset's. */
	KUNIT_EXPECT_EQ(test, m.taken, 10);
	KUNIT_EXPECT_EQ(test, m.nested, 1);
	KUNIT_EXPECT_EQ(test, window_stats(m.w).in_use, 0);
	KUNIT_EXPECT_EQ(test, mid_window_drain(m.w, 0), 0);
}

/* A callback under RCU does to the request that it is shown what it likes. */
static void meddle_in_for_each(void *ctx, u64 id, void *arg)
{
	struct meddler *m = arg;
	struct mid_tag tag;

	m->calls++;
	if (id >= 20)
		return;
	switch (id % 4) {
	case 0:
		m->taken += mid_window_dissociate(m->w, 1, id) == ctx;
		break;
	case 1:
		m->taken += mid_window_reassociate(m->w, TAG(1, id), m) == ctx;
		break;
	case 2:
		m->taken += mid_window_abandon(m->w, TAG(1, id), ctx, LONG_TIME);
		break;
	default:
		m->taken += !mid_window_begin(m->w, 1, ctx, &tag, GFP_ATOMIC);
	}
}

static void callback_may_change_what_it_is_shown(struct kunit *test)
{
	struct meddler m = { .test = test, .w = test->priv };
	unsigned int i, n;

	window_grant(test, 30);
	for (i = 0; i < 20; i++)
		window_send(test, nr_ctx(i));
	n = mid_window_for_each(m.w, meddle_in_for_each, &m);
	KUNIT_EXPECT_EQ(test, n, m.calls);
	KUNIT_EXPECT_GE(test, n, 20);
	KUNIT_EXPECT_EQ(test, m.taken, 20);
	/* 5 were dissociated, and 5 begun. */
	KUNIT_EXPECT_EQ(test, window_stats(m.w).in_use, 20);
	KUNIT_EXPECT_EQ(test, window_stats(m.w).abandoned, 5);
	KUNIT_EXPECT_EQ(test, mid_window_claim_if(m.w, 0, NULL, NULL, NULL), 15);
}

/*
 * A reply comes, and the request is freed, before begin has returned: the server has
 * guessed the id.  begin must not write to the request, and the tag is a part of it.
 */
struct early_request {
	struct mid_tag tag;
	u64 id;
	bool ended;
};

struct early_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int ended;
	unsigned int wrong;
	struct early_request request[20000];
};

static void run_early_race(void *arg, int side)
{
	struct early_race *r = arg;
	unsigned int i, n = PART_OF(ARRAY_SIZE(r->request));
	struct early_request *request;

	meet(&r->arrivals);
	for (i = 0; i < n; i++) {
		if (side == 0) {
			mid_window_grant(r->w, 1, 1);
			request = &r->request[i];
			if (mid_window_begin(r->w, 1, request, &request->tag, GFP_KERNEL))
				r->wrong++;
			/* Pairs with the other side. */
			while (!smp_load_acquire(&request->ended))
				cpu_relax();
			r->wrong += request->tag.id != NO_ID;
			continue;
		}
		do {
			request = mid_window_dissociate(r->w, 1, i);
		} while (!request);
		/* It is written before the request can be found. */
		r->wrong += request->tag.id != i || request->tag.epoch != 1;
		request->tag.id = NO_ID;
		/* Pairs with the other side. */
		smp_store_release(&request->ended, true);
	}
}

static void begin_does_not_write_to_a_request_that_has_ended(struct kunit *test)
{
	struct early_race *r;

	race_init(test);
	r = test_alloc(test, sizeof(*r));
	r->w = test->priv;
	race(test, run_early_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).in_use, 0);
}

static struct kunit_case today_cases[] = {
	KUNIT_CASE_SLOW(credits_without_measure_do_not_overflow),
	KUNIT_CASE(credits_stop_at_the_last_id),
	KUNIT_CASE(credits_of_interim_and_final_responses_add_up),
	KUNIT_CASE(strange_async_ids_are_just_numbers),
	KUNIT_CASE(spans_that_were_unsent_late_are_forgotten_by_a_reset),
	KUNIT_CASE(new_connection_has_no_holes_of_the_old_one),
	KUNIT_CASE(late_reply_is_late_once),
	KUNIT_CASE(one_request_may_have_two_ids),
	KUNIT_CASE(callback_of_a_sweep_may_end_everything),
	KUNIT_CASE(callback_may_change_what_it_is_shown),
	KUNIT_CASE(begin_does_not_write_to_a_request_that_has_ended),
	{}
};

static struct kunit_suite today_suite = {
	.name = "midwindow_today",
	.init = window_init,
	.exit = window_exit,
	.test_cases = today_cases,
};

/* ------------------------------------------------------------------------
 * Misuse and bad input
 *
 * A span that was used before gave two requests one MessageId, and the server ended
 * the connection.  It is refused, the kernel warns once, and nothing changes.
 */

/* The span must be refused by both calls that take one. */
static void expect_refused(struct kunit *test, u64 first, unsigned int n)
{
	struct mid_window *w = test->priv;
	struct mid_window_stats before = window_stats(w), after;
	struct mid_span span = { first, n, before.epoch };
	struct mid_tag tag = { .id = NO_ID };
	int err = 0;

	kunit_warning_suppress(test) {
		err = mid_window_associate(w, &span, n, w, &tag, GFP_KERNEL);
		KUNIT_EXPECT_LE(test, KUNIT_SUPPRESSED_WARNING_COUNT(), 1);
	}
	KUNIT_EXPECT_EQ_MSG(test, err, -EINVAL, "%u ids from %llu", n, first);
	KUNIT_EXPECT_EQ(test, tag.id, NO_ID);
	KUNIT_EXPECT_EQ(test, span.first, first);
	KUNIT_EXPECT_EQ(test, span.n, n);
	kunit_warning_suppress(test) {
		mid_window_give_back(w, &span);
		KUNIT_EXPECT_LE(test, KUNIT_SUPPRESSED_WARNING_COUNT(), 1);
	}
	KUNIT_EXPECT_EQ(test, span.n, 0);
	after = window_stats(w);
	after.oldest = before.oldest;	/* time goes by */
	KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(&before, &after, sizeof(before)),
			    "%u ids from %llu", n, first);
}

static void span_that_was_used_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span span = window_reserve(test, 4);

	window_reserve(test, 2);	/* 5 and 6: so the others stay below next */
	window_associate(test, &span, 2, nr_ctx(1));
	expect_refused(test, 1, 4);
	expect_refused(test, 1, 2);
	expect_refused(test, 1, 1);
	expect_refused(test, 2, 2);
	expect_refused(test, 2, 1);
	window_associate(test, &span, 2, nr_ctx(3));
	expect_refused(test, 3, 2);
	expect_refused(test, 3, 1);
	expect_refused(test, 4, 1);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 1, 1), nr_ctx(1));
	expect_refused(test, 1, 2);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_map(w, 1, 3), nr_ctx(3));
}

static void span_that_was_given_back_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span span = window_reserve(test, 4), copy = span;

	window_reserve(test, 2);
	mid_window_give_back(w, &copy);
	expect_refused(test, 1, 4);
	expect_refused(test, 2, 1);
	expect_refused(test, 4, 1);
	expect_refused(test, 4, 2);	/* the second is in a span */
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 4);
	KUNIT_EXPECT_EQ(test, window_send(test, w), 1);
}

/* Each part of a long one is looked at. */
static void long_span_of_which_a_part_was_given_back_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 200);
	struct mid_span span = window_reserve(test, 150), part = span;

	window_reserve(test, 2);
	part.first += 100;
	part.n = 1;
	mid_window_give_back(w, &part);
	expect_refused(test, 1, 150);
	expect_refused(test, 90, 61);
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 1);
}

/* Also one whose ids are new again. */
static void highest_span_that_was_given_back_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span span = window_reserve(test, 4);

	mid_window_give_back(w, &span);
	expect_refused(test, 1, 4);
	expect_refused(test, 4, 1);
	expect_available(test, 20);
}

static void span_that_never_was_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span span = window_reserve(test, 4);	/* 1 to 4 */
	static const struct {
		u64 first;
		unsigned int n;
	} never[] = {
		{ 5000, 4 }, { 0, 1 }, { 0, 5 }, { 4, 2 }, { 1, 5 }, { 5, 1 }, { 20, 1 },
		{ 21, 1 }, { 1, MID_WINDOW_MAX_SPAN }, { 1, MID_WINDOW_MAX_SPAN + 1 },
		{ 1, 2 * MID_WINDOW_MAX_SPAN }, { 1, 2 * MID_WINDOW_MAX_SPAN + 1 },
		{ 1, 4 * MID_WINDOW_MAX_SPAN }, { 1, INT_MAX }, { 1, UINT_MAX },
		/* The same place in the rings */
		{ 1 + ID_SPREAD, 4 }, { 1 + 2 * ID_SPREAD, 1 },
		{ 1ULL << 32 | 1, 4 }, { 1ULL << 63 | 1, 4 },
		/* The end is less than the beginning. */
		{ U64_MAX, 1 }, { U64_MAX, 2 }, { U64_MAX, 6 }, { U64_MAX - 1, UINT_MAX },
		{ MID_WINDOW_RESERVED - 3, 8 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(never); i++)
		expect_refused(test, never[i].first, never[i].n);
	/* The real one is still good. */
	KUNIT_EXPECT_EQ(test, window_associate(test, &span, 4, w), 1);
}

/* It was true on the last connection. */
static void forged_span_of_a_new_connection_is_refused(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 100);

	window_reserve(test, 100);
	window_reset(test);
	expect_refused(test, 1, 100);
	expect_refused(test, 0, 1);
	window_grant(test, 100);
	expect_refused(test, 1, 100);
	KUNIT_EXPECT_EQ(test, window_send_large(test, 50, w), 0);
	expect_refused(test, 1, 4);
	expect_refused(test, 60, 4);
	expect_available(test, 51);
}

/* A part that is cut off is as good as the whole, once. */
static void parts_of_a_span_are_used_once_each(struct kunit *test)
{
	struct mid_window *w = negotiated(test, 20);
	struct mid_span span = window_reserve(test, 9), part;

	part = (struct mid_span){ span.first + 3, 3, span.epoch };	/* 4 to 6 */
	KUNIT_EXPECT_EQ(test, window_associate(test, &part, 3, nr_ctx(4)), 4);
	expect_refused(test, 1, 9);
	expect_refused(test, 4, 3);
	expect_refused(test, 3, 2);
	expect_refused(test, 6, 2);
	part = (struct mid_span){ 7, 3, span.epoch };
	mid_window_give_back(w, &part);
	expect_refused(test, 7, 3);
	span.n = 3;
	KUNIT_EXPECT_EQ(test, window_associate(test, &span, 3, nr_ctx(1)), 1);
	KUNIT_EXPECT_EQ(test, window_stats(w).spans, 0);
	expect_available(test, 14);
}

/* From the wire comes any number. */
static void no_number_from_the_wire_finds_a_wrong_request(struct kunit *test)
{
	struct mid_window *w = test->priv;
	static const u64 numbers[] = {
		0, 1, 2, 3, 4, 63, 64, 65, ID_SPREAD - 1, ID_SPREAD, ID_SPREAD + 1,
		U32_MAX - 1, U32_MAX, 1ULL << 32, (1ULL << 32) + 2, 1ULL << 63,
		MID_WINDOW_RESERVED - 2, MID_WINDOW_RESERVED - 1, MID_WINDOW_RESERVED,
	};
	static const u32 epochs[] = { 0, 1, 2, 3, 4, 1U << 31, U32_MAX - 1, U32_MAX };
	unsigned int i, j, calls = 0;
	u64 id, async_id;
	u32 epoch;

	window_reset(test);		/* the epoch is 2 */
	window_grant(test, 10);
	KUNIT_ASSERT_EQ(test, window_send(test, nr_ctx(0)), 0);
	mid_window_dissociate(w, 2, 0);
	KUNIT_ASSERT_EQ(test, window_send(test, nr_ctx(1)), 1);
	KUNIT_ASSERT_EQ(test, window_send_large(test, 3, nr_ctx(2)), 2);
	for (i = 0; i < ARRAY_SIZE(epochs); i++) {
		for (j = 0; j < ARRAY_SIZE(numbers); j++) {
			epoch = epochs[i];
			id = numbers[j];
			if (epoch == 2 && (id == 1 || id == 2))
				continue;
			calls++;
			KUNIT_EXPECT_NULL(test, mid_window_map(w, epoch, id));
			KUNIT_EXPECT_NULL(test, mid_window_dissociate(w, epoch, id));
			KUNIT_EXPECT_NE(test, mid_window_stray(w, epoch, id),
					MID_STRAY_LIVE);
			KUNIT_EXPECT_EQ(test, mid_window_note_async(w, epoch, id, 1),
					epoch == 2 ? -ENOENT : -ESTALE);
			KUNIT_EXPECT_EQ(test, mid_window_note_async(w, epoch, id, 0),
					-EINVAL);
			KUNIT_EXPECT_FALSE(test, mid_window_async_id(w, TAG(epoch, id),
								     &async_id));
			KUNIT_EXPECT_NULL(test, mid_window_reassociate(w, TAG(epoch, id),
								       w));
			KUNIT_EXPECT_FALSE(test, mid_window_unsend(w, TAG(epoch, id),
								   nr_ctx(1)));
			KUNIT_EXPECT_FALSE(test, mid_window_abandon(w, TAG(epoch, id),
								    nr_ctx(1), HZ));
			KUNIT_EXPECT_FALSE(test, mid_window_dissociate_if(w, TAG(epoch, id),
									  nr_ctx(1)));
			if (epoch != 2)
				KUNIT_EXPECT_EQ(test, -ESTALE,
						mid_window_grant(w, epoch, id));
		}
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).stale + window_stats(w).unknown,
			2 * calls);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 2);
	KUNIT_EXPECT_EQ(test, window_available(w), 6);
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, 1), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, mid_window_dissociate(w, 2, 2), nr_ctx(2));
}

static struct kunit_case misuse_cases[] = {
	KUNIT_CASE(span_that_was_used_is_refused),
	KUNIT_CASE(span_that_was_given_back_is_refused),
	KUNIT_CASE(long_span_of_which_a_part_was_given_back_is_refused),
	KUNIT_CASE(highest_span_that_was_given_back_is_refused),
	KUNIT_CASE(span_that_never_was_is_refused),
	KUNIT_CASE(forged_span_of_a_new_connection_is_refused),
	KUNIT_CASE(parts_of_a_span_are_used_once_each),
	KUNIT_CASE(no_number_from_the_wire_finds_a_wrong_request),
	{}
};

static struct kunit_suite misuse_suite = {
	.name = "midwindow_misuse",
	.init = window_init,
	.exit = window_exit,
	.test_cases = misuse_cases,
};

/* ------------------------------------------------------------------------
 * What a server can choose
 */

/* A reserve of two is served beside thousands of single ids that were given back. */
static void thousands_of_single_ids_do_not_stop_larger_requests(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, MID_WINDOW_MAX_SPAN);
	struct mid_span rest;
	unsigned int i;
	u64 next;

	window_grant(test, 3 * ID_SPREAD);
	window_reserve(test, MID_WINDOW_MAX_SPAN);
	for (i = 0; i < MID_WINDOW_MAX_SPAN; i += 2) {
		rest = (struct mid_span){ i, 1, 1 };
		mid_window_give_back(w, &rest);
		rest = (struct mid_span){ i + 1, 1, 1 };
		window_associate(test, &rest, 1, nr_ctx(i + 1));
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, MID_WINDOW_MAX_SPAN / 2);
	for (i = 0; i < 1000; i++) {
		next = window_stats(w).next;
		KUNIT_ASSERT_EQ(test, next, window_send_large(test, 2, w));
	}
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, MID_WINDOW_MAX_SPAN / 2);
	for (i = 0; i < MID_WINDOW_MAX_SPAN; i += 2)
		KUNIT_ASSERT_EQ(test, i, window_send(test, nr_ctx(i)));
	KUNIT_EXPECT_EQ(test, window_stats(w).given_back, 0);
}

/* A reset hands over as many requests as there can be, in order. */
struct sequence {
	u64 next;
	unsigned int wrong;
};

static void check_sequence(void *ctx, u64 id, void *arg)
{
	struct sequence *s = arg;

	s->wrong += id != s->next || ctx != nr_ctx(id);
	s->next = id + 1;
	cond_resched();
}

static void reset_hands_over_65535_requests_in_order(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, MID_WINDOW_MAX_SLOTS);
	struct sequence s = {};
	unsigned int i;
	ktime_t begin;

	window_grant(test, MID_WINDOW_MAX_SLOTS);
	for (i = 0; i < MID_WINDOW_MAX_SLOTS; i++)
		window_send(test, nr_ctx(i));
	begin = ktime_get();
	KUNIT_EXPECT_EQ(test, mid_window_reset(w, check_sequence, &s), 2);
	kunit_info(test, "%lld us\n", ktime_us_delta(ktime_get(), begin));
	KUNIT_EXPECT_EQ(test, s.next, MID_WINDOW_MAX_SLOTS);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
}

/* The same from a table that has grown: the requests are in six tables. */
static void sweep_hands_over_in_order_from_all_tables(struct kunit *test)
{
	struct mid_window *w = window_with_slots(test, 0);
	struct sequence s = {};
	unsigned int i;

	window_grant(test, 7000);
	for (i = 0; i < 7000; i++)
		window_send(test, nr_ctx(i));
	KUNIT_EXPECT_EQ(test, 7000,
			mid_window_claim_if(w, 0, NULL, check_sequence, &s));
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	window_grant(test, 7000);
	for (s.next = 7000, i = 7000; i < 14000; i++)
		window_send(test, nr_ctx(i));
	mid_window_destroy(w, check_sequence, &s);
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, s.next, 14000);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
}

/*
 * A server chooses which requests stay in flight: here every id of a family that is bad
 * for simple hash functions.  As many as there are slots must fit and be found.
 */
#define FAMILY	1500

/* Sends a request whose id is a multiple of @stride, and uses the ids up to the next. */
static u64 family_send(struct kunit *test, unsigned int stride, unsigned int nr)
{
	struct mid_window *w = test->priv;
	unsigned int charge, left = stride;
	u64 id, other;

	window_grant(test, stride);
	charge = min(left, 1 + nr % 8);
	id = window_send_large(test, charge, nr_ctx(nr));
	for (left -= charge; left; left -= charge) {
		charge = min(left, MID_WINDOW_MAX_SPAN + 0U);
		other = window_send_large(test, charge, w);
		if (mid_window_dissociate(w, 1, other) != w)
			KUNIT_FAIL_AND_ABORT(test, "id %llu is lost", other);
	}
	return id;
}

static void family_of_ids(struct kunit *test, unsigned int stride)
{
	struct mid_window *w = window_with_slots(test, FAMILY + 1);
	unsigned int i;

	window_grant(test, 8);
	limit_window_allocs(test, 0);
	for (i = 0; i < FAMILY; i++)
		if (family_send(test, stride, i) != (u64)stride * i)
			KUNIT_FAIL_AND_ABORT(test, "wrong id in family %u", stride);
	for (i = 0; i < FAMILY; i++)
		if (mid_window_map(w, 1, (u64)stride * i) != nr_ctx(i))
			KUNIT_FAIL_AND_ABORT(test, "lost in family %u", stride);
	for (i = FAMILY; i--; )
		if (mid_window_dissociate(w, 1, (u64)stride * i) != nr_ctx(i))
			KUNIT_FAIL_AND_ABORT(test, "lost in family %u", stride);
	KUNIT_EXPECT_EQ(test, window_stats(w).in_use, 0);
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
	limit_window_allocs(test, UINT_MAX);
}

static void strides_of_powers_of_two_fit_and_are_found(struct kunit *test)
{
	unsigned int stride;

	for (stride = 1; stride <= 1 << 16; stride *= 2)
		family_of_ids(test, stride);
}

/* Their multiples are those that a product with the golden ratio puts close together. */
static void strides_of_fibonacci_numbers_fit_and_are_found(struct kunit *test)
{
	unsigned int stride = 1, last = 1;

	while (stride <= 1 << 16) {
		family_of_ids(test, stride);
		last += stride;
		swap(stride, last);
	}
}

/* The denominators of the approximants of the usual odd constants, and neighbours. */
static void strides_near_the_golden_ratio_fit_and_are_found(struct kunit *test)
{
	static const unsigned int strides[] = {
		3, 7, 11, 18, 29, 47, 76, 123, 199, 322, 521, 843, 1364, 2207, 3571, 5778,
		9349, 15127, 24476, 39603,		/* Lucas numbers */
		40503, 40502, 25033, 25034,		/* 2^16 by the ratio, and its rest */
		255, 257, 4095, 4097, 8191, 65535,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(strides); i++)
		family_of_ids(test, strides[i]);
}

static struct kunit_case choice_cases[] = {
	KUNIT_CASE(thousands_of_single_ids_do_not_stop_larger_requests),
	KUNIT_CASE(reset_hands_over_65535_requests_in_order),
	KUNIT_CASE(sweep_hands_over_in_order_from_all_tables),
	KUNIT_CASE(strides_of_powers_of_two_fit_and_are_found),
	KUNIT_CASE(strides_of_fibonacci_numbers_fit_and_are_found),
	KUNIT_CASE(strides_near_the_golden_ratio_fit_and_are_found),
	{}
};

static struct kunit_suite choice_suite = {
	.name = "midwindow_choice",
	.init = window_init,
	.exit = window_exit,
	.test_cases = choice_cases,
};

kunit_test_suites(&story_suite, &today_suite, &misuse_suite, &choice_suite);

MODULE_DESCRIPTION("KUnit tests of a MessageId window, from reports of its users");
MODULE_LICENSE("GPL");
