// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_sweep_kunit - tests of sweeps, interim responses, strays, urgent requests, the end
 *
 * A suite each for mid_atlas_claim_if() with mid_atlas_touch(), for mid_atlas_stray(), for
 * mid_atlas_set_aside() with mid_atlas_associate_urgent(), and for mid_atlas_shut() and what
 * a destructor may call.  The last one is about the cost and the log of a full quarantine.
 */
#include "fixture.h"

#include <linux/ktime.h>
#include <trace/events/printk.h>

/* ------------------------------------------------------------------------
 * claim_if, touch
 */

struct sweep {
	struct fixture *f;
	void *declined;			/* want says no to this one */
	unsigned int asked, taken, wrong;
	unsigned long youngest, oldest;	/* ages that want was told */
};

static struct sweep sweep_of(struct fixture *f)
{
	return (struct sweep){ .f = f, .youngest = ULONG_MAX };
}

static bool want_all_but_one(void *ctx, u16 mid, unsigned long age, void *arg)
{
	struct sweep *s = arg;

	s->wrong += !rcu_read_lock_held() || mid_atlas_map(s->f->atlas, mid) != ctx;
	s->youngest = min(s->youngest, age);
	s->oldest = max(s->oldest, age);
	s->asked++;
	return ctx != s->declined;
}

static void count_taken(void *ctx, u16 mid, void *arg)
{
	struct sweep *s = arg;

	s->wrong += ctx == s->declined || map_rcu(s->f->atlas, mid) == ctx;
	s->taken++;
}

/*
 * Seen at smbprotocol 117: a change notify may be open for an hour, while a read is overdue
 * after 30 seconds.  claim_older took both.  A client that put the notify back gave it
 * another MID, and the reply to the notify was stale.  A sweep must leave what its caller
 * declines, under its MID.
 */
static void sweep_leaves_a_change_notify_under_its_mid(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct sweep s = sweep_of(f);
	u16 notify, young;

	notify = fixture_take(f, nr_ctx(0));
	fixture_take(f, nr_ctx(1));
	sleep_jiffies(HZ / 5);
	young = fixture_take(f, nr_ctx(2));
	s.declined = nr_ctx(0);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_if(f->atlas, HZ / 5, want_all_but_one,
						    count_taken, &s));
	KUNIT_EXPECT_EQ(test, s.asked, 2);
	KUNIT_EXPECT_EQ(test, s.taken, 1);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_GE(test, s.youngest, HZ / 5);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2), map_rcu(f->atlas, young));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), mid_atlas_dissociate(f->atlas, notify));
}

static void sweep_shows_no_abandoned_request(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 50);
	struct sweep s = sweep_of(f);

	KUNIT_EXPECT_TRUE(test, mid_atlas_abandon(f->atlas, f->mid[3], nr_ctx(3), LONG_TIME));
	KUNIT_EXPECT_EQ(test, 49, mid_atlas_claim_if(f->atlas, 0, want_all_but_one, NULL, &s));
	KUNIT_EXPECT_EQ(test, s.asked, 49);
	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).abandoned);
}

static void sweep_asks_about_the_requests_of_all_tables(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 0);
	struct sweep s = sweep_of(f);

	s.declined = nr_ctx(7);
	KUNIT_EXPECT_EQ(test, 299, mid_atlas_claim_if(f->atlas, 0, want_all_but_one,
						      count_taken, &s));
	KUNIT_EXPECT_EQ(test, s.asked, 300);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(7), map_rcu(f->atlas, f->mid[7]));
	fixture_check(f);
}

/* The request is sent again, as a reconnect does. */
static void associate_again(void *ctx, u16 mid, void *arg)
{
	struct sweep *s = arg;
	struct fixture *f = s->f;

	s->taken++;
	s->wrong += ctx_nr(ctx) >= 300;
	if (mid_atlas_associate(f->atlas, nr_ctx(f->used), &f->mid[f->used], GFP_KERNEL))
		s->wrong++;
	else
		f->used++;
}

/*
 * A reset claims all requests, and its function sends each of them again.  A sweep in the
 * same jiffy cannot tell these from older ones by their timestamps; it went through the table and
 * took some of them again.
 */
static void sweep_does_not_take_what_its_function_associates(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 300);
	struct sweep s = sweep_of(f);
	unsigned int i;

	/* Each other slot is free: the requests are sent again before and behind the sweep. */
	for (i = 0; i < 300; i += 2)
		KUNIT_EXPECT_NOT_NULL(test, mid_atlas_dissociate(f->atlas, f->mid[i]));
	KUNIT_EXPECT_EQ(test, 150, mid_atlas_claim_all(f->atlas, associate_again, &s));
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_EQ(test, f->used, 450);
	expect_mapped(f, 300);
	/* The next sweep takes them. */
	KUNIT_EXPECT_EQ(test, 150, mid_atlas_claim_all(f->atlas, NULL, NULL));
}

static bool want_slowly(void *ctx, u16 mid, unsigned long age, void *arg)
{
	unsigned long end = jiffies + 2;

	while (time_before(jiffies, end))
		cpu_relax();
	return want_all_but_one(ctx, mid, age, arg);
}

/* What becomes old enough during a sweep is not in it. */
static void sweep_tells_the_ages_at_its_start(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	struct sweep s = sweep_of(f);
	unsigned long born = jiffies;

	KUNIT_EXPECT_EQ(test, 4, fixture_fill(f));
	KUNIT_EXPECT_EQ(test, 4, mid_atlas_claim_if(f->atlas, 0, want_slowly, NULL, &s));
	KUNIT_EXPECT_LE(test, s.oldest, jiffies - born - 8);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
}

static bool want_touched(void *ctx, u16 mid, unsigned long age, void *arg)
{
	struct sweep *s = arg;
	u16 other;

	/* A touch of all that is in flight, in the sweep */
	for (other = 0; other < s->f->used; other++)
		mid_atlas_touch(s->f->atlas, s->f->mid[other]);
	s->asked++;
	return true;
}

/* An interim response during a reset does not save a request from it. */
static void sweep_of_all_takes_what_is_touched_meanwhile(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 50);
	struct sweep s = sweep_of(f);

	sleep_jiffies(2);
	KUNIT_EXPECT_EQ(test, 50, mid_atlas_claim_if(f->atlas, 0, want_touched, NULL, &s));
}

static bool want_reassociates(void *ctx, u16 mid, unsigned long age, void *arg)
{
	struct sweep *s = arg;

	s->asked++;
	if (ctx != nr_ctx(0))
		return false;
	s->wrong += mid_atlas_reassociate(s->f->atlas, mid, nr_ctx(1)) != ctx;
	return true;
}

/*
 * Between the yes of want and the claim the MID gets another request.  The sweep must not
 * take a request that want was not asked about, or declines.
 */
static void sweep_asks_again_for_a_successor(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	struct sweep s = sweep_of(f);
	u16 mid = fixture_take(f, nr_ctx(0));

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_if(f->atlas, 0, want_reassociates,
						    count_taken, &s));
	KUNIT_EXPECT_EQ(test, s.asked, 2);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), map_rcu(f->atlas, mid));
}

static bool want_reuses(void *ctx, u16 mid, unsigned long age, void *arg)
{
	struct sweep *s = arg;
	u16 next;

	s->asked++;
	s->wrong += mid_atlas_dissociate(s->f->atlas, mid) != ctx;
	s->wrong += !!mid_atlas_associate(s->f->atlas, nr_ctx(1), &next, GFP_NOWAIT);
	return true;
}

/* The only slot has another request when the sweep comes back from want. */
static void sweep_leaves_the_next_request_of_a_slot(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	struct sweep s = sweep_of(f);

	fixture_take(f, nr_ctx(0));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_if(f->atlas, 0, want_reuses, count_taken, &s));
	KUNIT_EXPECT_EQ(test, s.asked, 1);
	KUNIT_EXPECT_EQ(test, s.wrong, 0);
	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).in_use);
}

/*
 * Seen at smbj 493; MS-SMB2 3.2.5.1.5: the server has said by an interim response that it
 * is working on the request.  A sweep then took it as overdue.  Its age must begin anew, and
 * that of no other.
 */
static void touch_begins_the_age_anew(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct sweep s = sweep_of(f);
	u16 touched = fixture_take(f, nr_ctx(0));

	fixture_take(f, nr_ctx(1));
	sleep_jiffies(HZ / 5);
	KUNIT_EXPECT_TRUE(test, mid_atlas_touch(f->atlas, touched));
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(f->atlas, HZ / 5, count_taken, &s));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), map_rcu(f->atlas, touched));
	KUNIT_EXPECT_LT(test, atlas_stats(f->atlas).oldest, HZ / 5);
	sleep_jiffies(HZ / 5);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(f->atlas, HZ / 5, count_taken, &s));
}

static void touch_is_false_for_what_is_not_in_flight(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 300, 0);

	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, mid_atlas_touch(f->atlas, f->mid[0]));	/* in an older table */
	KUNIT_EXPECT_TRUE(test, mid_atlas_touch(f->atlas, f->mid[299]));
	KUNIT_EXPECT_TRUE(test, mid_atlas_abandon(f->atlas, f->mid[1], nr_ctx(1), LONG_TIME));
	KUNIT_EXPECT_FALSE(test, mid_atlas_touch(f->atlas, f->mid[1]));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2), mid_atlas_dissociate(f->atlas, f->mid[2]));
	KUNIT_EXPECT_FALSE(test, mid_atlas_touch(f->atlas, f->mid[2]));
	KUNIT_EXPECT_FALSE(test, mid_atlas_touch(f->atlas, SERVER_MID));
	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).abandoned);
}

static struct kunit_case sweep_cases[] = {
	KUNIT_CASE(sweep_leaves_a_change_notify_under_its_mid),
	KUNIT_CASE(sweep_shows_no_abandoned_request),
	KUNIT_CASE(sweep_asks_about_the_requests_of_all_tables),
	KUNIT_CASE(sweep_does_not_take_what_its_function_associates),
	KUNIT_CASE(sweep_tells_the_ages_at_its_start),
	KUNIT_CASE(sweep_of_all_takes_what_is_touched_meanwhile),
	KUNIT_CASE(sweep_asks_again_for_a_successor),
	KUNIT_CASE(sweep_leaves_the_next_request_of_a_slot),
	KUNIT_CASE(touch_begins_the_age_anew),
	KUNIT_CASE(touch_is_false_for_what_is_not_in_flight),
	{}
};

static struct kunit_suite sweep_suite = {
	.name = "midatlas_sweep",
	.test_cases = sweep_cases,
};

/* ------------------------------------------------------------------------
 * stray
 */

/*
 * Seen in a port of net/9p: a receiver that found no request called dissociate(), to have the
 * reply counted:
 *
 *	T1: receiver			T2: associate
 *
 *	map_get_put(M): NULL
 *					the MID is M
 *	dissociate(M): T2's request, whose reply has not come
 *
 * stray() must not take it, and must count nothing.
 */
static void stray_never_takes_a_request(struct kunit *test)
{
	struct fixture *f = fixture_full(test, 50, 50);
	unsigned int nr;

	for (nr = 0; nr < 50; nr++)
		KUNIT_EXPECT_EQ(test, MID_STRAY_LIVE, mid_atlas_stray(f->atlas, f->mid[nr]));
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).late);
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).stale);
	KUNIT_EXPECT_EQ(test, 0, atlas_stats(f->atlas).unknown);
	expect_mapped(f, 0);
}

static void stray_says_and_counts_what_it_was(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 50, 50);
	struct mid_atlas_stats s;
	u16 mid[2];

	KUNIT_EXPECT_EQ(test, MID_STRAY_UNKNOWN, mid_atlas_stray(f->atlas, SERVER_MID));
	mid[0] = fixture_take(f, nr_ctx(0));
	mid[1] = fixture_take(f, nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), mid_atlas_dissociate(f->atlas, mid[0]));
	KUNIT_EXPECT_EQ(test, MID_STRAY_STALE, mid_atlas_stray(f->atlas, mid[0]));
	KUNIT_EXPECT_TRUE(test, mid_atlas_abandon(f->atlas, mid[1], nr_ctx(1), LONG_TIME));
	KUNIT_EXPECT_EQ(test, MID_STRAY_LATE, mid_atlas_stray(f->atlas, mid[1]));
	KUNIT_EXPECT_EQ(test, MID_STRAY_STALE, mid_atlas_stray(f->atlas, mid[1]));
	s = atlas_stats(f->atlas);
	KUNIT_EXPECT_EQ(test, 1, s.unknown);
	KUNIT_EXPECT_EQ(test, 2, s.stale);
	KUNIT_EXPECT_EQ(test, 1, s.late);
	KUNIT_EXPECT_EQ(test, 0, s.in_use);
	fixture_check(f);
}

static struct kunit_case stray_cases[] = {
	KUNIT_CASE(stray_never_takes_a_request),
	KUNIT_CASE(stray_says_and_counts_what_it_was),
	{}
};

static struct kunit_suite stray_suite = {
	.name = "midatlas_stray",
	.test_cases = stray_cases,
};

/* ------------------------------------------------------------------------
 * set_aside, associate_urgent
 */

static int take_urgent(struct fixture *f, u16 *mid)
{
	*mid = UNTOUCHED;
	return mid_atlas_associate_urgent(f->atlas, mid, mid, GFP_KERNEL);
}

static void set_aside(struct fixture *f, unsigned int mids)
{
	KUNIT_ASSERT_EQ(f->test, 0, mid_atlas_set_aside(f->atlas, mids));
}

/*
 * Seen at dittofs (PR 1773): all MIDs are in requests that wait for a lease break, which the
 * server does not answer before we have acknowledged the break.  The acknowledgment found no
 * MID.  With one aside it has one, each time; the others never see it.
 */
static void acknowledgment_has_a_mid_while_all_others_wait(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	unsigned int round;
	u16 ack, none;

	set_aside(f, 1);
	KUNIT_EXPECT_EQ(test, 3, fixture_fill(f));
	for (round = 0; round < 10; round++) {
		KUNIT_ASSERT_EQ(test, 0, take_urgent(f, &ack));
		KUNIT_EXPECT_EQ(test, 4, atlas_stats(f->atlas).in_use);
		KUNIT_EXPECT_EQ(test, -ENOSPC, take_urgent(f, &none));
		KUNIT_EXPECT_EQ(test, none, UNTOUCHED);
		KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
		KUNIT_ASSERT_PTR_EQ(test, &ack, mid_atlas_dissociate(f->atlas, ack));
		KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	}
	expect_mapped(f, 0);
}

/* An urgent request sits in the slot that is aside; an ordinary one that ends makes room. */
static void urgent_request_takes_no_room_from_others(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	u16 urgent[2];

	set_aside(f, 1);
	KUNIT_ASSERT_EQ(test, 0, take_urgent(f, &urgent[0]));
	KUNIT_EXPECT_EQ(test, 3, fixture_fill(f));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), mid_atlas_dissociate(f->atlas, f->mid[0]));
	KUNIT_EXPECT_EQ(test, 1, fixture_fill(f));
	/* What is not aside is for urgent ones, too. */
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), mid_atlas_dissociate(f->atlas, f->mid[1]));
	KUNIT_ASSERT_EQ(test, 0, take_urgent(f, &urgent[1]));
	KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	KUNIT_EXPECT_PTR_EQ(test, &urgent[0], mid_atlas_dissociate(f->atlas, urgent[0]));
	KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	KUNIT_EXPECT_PTR_EQ(test, &urgent[1], mid_atlas_dissociate(f->atlas, urgent[1]));
	KUNIT_EXPECT_EQ(test, 1, fixture_fill(f));
}

static void urgent_request_passes_waiters(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	struct mid_waiter *w;
	u16 urgent;

	set_aside(f, 1);
	KUNIT_EXPECT_EQ(test, 3, fixture_fill(f));
	w = fixture_enqueue(f, LONG_TIME);
	KUNIT_ASSERT_EQ(test, 0, take_urgent(f, &urgent));
	KUNIT_ASSERT_PTR_EQ(test, &urgent, mid_atlas_dissociate(f->atlas, urgent));
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	KUNIT_ASSERT_EQ(test, 0, take_urgent(f, &urgent));
	mid_atlas_dissociate(f->atlas, f->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, waiter_result(w));
	KUNIT_EXPECT_EQ(test, 4, atlas_stats(f->atlas).in_use);
}

static void aside_follows_the_maximum(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	u16 urgent[3];

	KUNIT_EXPECT_EQ(test, -EINVAL, mid_atlas_set_aside(f->atlas, 5));
	set_aside(f, 2);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_set_max(f->atlas, 1));
	KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	KUNIT_EXPECT_EQ(test, 0, take_urgent(f, &urgent[0]));
	KUNIT_EXPECT_EQ(test, -ENOSPC, take_urgent(f, &urgent[1]));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_set_max(f->atlas, 100));
	KUNIT_EXPECT_EQ(test, 98, fixture_fill(f));
	KUNIT_EXPECT_EQ(test, 0, take_urgent(f, &urgent[1]));
	KUNIT_EXPECT_EQ(test, -ENOSPC, take_urgent(f, &urgent[2]));
	KUNIT_EXPECT_EQ(test, 100, atlas_stats(f->atlas).in_use);
	/* Nothing aside: those that urgent requests have are ordinary ones from now on. */
	set_aside(f, 0);
	KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	KUNIT_EXPECT_PTR_EQ(test, &urgent[0], mid_atlas_dissociate(f->atlas, urgent[0]));
	KUNIT_EXPECT_EQ(test, 1, fixture_fill(f));
	KUNIT_EXPECT_PTR_EQ(test, &urgent[1], mid_atlas_dissociate(f->atlas, urgent[1]));
	fixture_check(f);
}

static void urgent_request_grows_the_table(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 65, 0);
	u16 urgent = UNTOUCHED;

	set_aside(f, 1);
	KUNIT_EXPECT_EQ(test, 64, fixture_fill(f));
	limit_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM, mid_atlas_associate_urgent(f->atlas, test, &urgent,
								  GFP_NOWAIT));
	KUNIT_EXPECT_EQ(test, urgent, UNTOUCHED);
	KUNIT_EXPECT_TRUE(test, alloc_gfp == GFP_NOWAIT);
	alloc_limit = UINT_MAX;
	KUNIT_EXPECT_EQ(test, 0, take_urgent(f, &urgent));
	KUNIT_EXPECT_EQ(test, 0, fixture_fill(f));
	expect_mapped(f, 0);
	KUNIT_EXPECT_PTR_EQ(test, &urgent, mid_atlas_dissociate(f->atlas, urgent));
	mid_atlas_claim_all(f->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 64, atlas_stats(f->atlas).slots);
}

static void urgent_refuses_null_and_error_pointers(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	u16 mid = UNTOUCHED;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_requests); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mid_atlas_associate_urgent(f->atlas, bad_requests[i], &mid,
							   GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

static struct kunit_case urgent_cases[] = {
	KUNIT_CASE(acknowledgment_has_a_mid_while_all_others_wait),
	KUNIT_CASE(urgent_request_takes_no_room_from_others),
	KUNIT_CASE(urgent_request_passes_waiters),
	KUNIT_CASE(aside_follows_the_maximum),
	KUNIT_CASE(urgent_request_grows_the_table),
	KUNIT_CASE(urgent_refuses_null_and_error_pointers),
	{}
};

static struct kunit_suite urgent_suite = {
	.name = "midatlas_urgent",
	.test_cases = urgent_cases,
};

/* ------------------------------------------------------------------------
 * shut, destroy
 */

static void shut_it(void *arg)
{
	mid_atlas_shut(arg);
}

/* A receiver may find the connection broken in an interrupt, where a drain cannot wait. */
static void shut_lets_nothing_in_and_leaves_what_is_there(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 4, 4);
	struct mid_waiter *w;
	u16 mid = UNTOUCHED;

	set_aside(f, 1);
	KUNIT_EXPECT_EQ(test, 3, fixture_fill(f));
	w = fixture_enqueue(f, LONG_TIME);
	run_in_hardirq(test, shut_it, f->atlas);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, waiter_result(w));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, mid_atlas_associate(f->atlas, test, &mid, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, take_urgent(f, &mid));
	expect_mapped(f, 0);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(f->atlas, 0));
	KUNIT_EXPECT_EQ(test, 3, mid_atlas_claim_all(f->atlas, NULL, NULL));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(f->atlas, 0));
}

#define ENDED	50

struct ended {
	struct mid_atlas *atlas;
	u16 mid[ENDED];
	unsigned int ends[ENDED];	/* how often each request was handed out */
	unsigned int wrong;
};

/* Ends its neighbours in all ways, and knows that itself has ended. */
static void end_others(void *ctx, u16 mid, void *arg)
{
	unsigned long nr = ctx_nr(ctx), other = (nr + 7) % ENDED;
	struct ended *e = arg;
	u16 new = UNTOUCHED;
	void *old;

	e->ends[nr]++;
	e->wrong += mid_atlas_dissociate(e->atlas, mid) || map_rcu(e->atlas, mid) ||
		    mid_atlas_dissociate_if(e->atlas, mid, ctx) || mid_atlas_touch(e->atlas, mid) ||
		    mid_atlas_abandon(e->atlas, mid, ctx, 1) ||
		    mid_atlas_stray(e->atlas, mid) == MID_STRAY_LIVE ||
		    mid_atlas_associate(e->atlas, e, &new, GFP_KERNEL) != -ESHUTDOWN;
	old = map_rcu(e->atlas, e->mid[other]);
	e->wrong += old && old != nr_ctx(other);
	if (nr % 3 == 0)
		e->ends[other] += mid_atlas_abandon(e->atlas, e->mid[other], nr_ctx(other), 1);
	else if (nr % 3 == 1)
		e->ends[other] += mid_atlas_dissociate_if(e->atlas, e->mid[other], nr_ctx(other));
	else
		e->ends[other] += !!mid_atlas_dissociate(e->atlas, e->mid[other]);
}

/*
 * Seen at SPDX 2063 and 3040: a request that ends takes others with it.  destroy stopped the
 * expiry of quarantines and then handed out the requests; a destructor that abandoned another
 * one armed the expiry anew, in an atlas that was then freed.  A jiffy later the timer was used
 * in freed memory (KASAN or slub_debug=FZPU show it).  Each request has one owner.
 */
static void destructor_may_end_other_requests(struct kunit *test)
{
	struct ended *e = test_alloc(test, sizeof(*e));
	unsigned int nr, round;

	for (round = 0; round < 20; round++) {
		memset(e, 0, sizeof(*e));
		e->atlas = mid_atlas_create("kunit", ENDED, ENDED, GFP_KERNEL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, e->atlas);
		for (nr = 0; nr < ENDED; nr++)
			KUNIT_ASSERT_EQ(test, 0, mid_atlas_associate(e->atlas, nr_ctx(nr),
								     &e->mid[nr], GFP_KERNEL));
		mid_atlas_destroy(e->atlas, end_others, e);
		synchronize_rcu();
		KUNIT_EXPECT_EQ(test, e->wrong, 0);
		for (nr = 0; nr < ENDED; nr++)
			KUNIT_EXPECT_EQ_MSG(test, e->ends[nr], 1, "request %u", nr);
	}
	sleep_jiffies(3);
}

static struct kunit_case end_cases[] = {
	KUNIT_CASE(shut_lets_nothing_in_and_leaves_what_is_there),
	KUNIT_CASE(destructor_may_end_other_requests),
	{}
};

static struct kunit_suite end_suite = {
	.name = "midatlas_end",
	.test_cases = end_cases,
};

/* ------------------------------------------------------------------------
 * The full quarantine
 */

/* The fewest nanoseconds that an abandon took, of those of the requests @first to @last */
static s64 time_abandons(struct fixture *f, unsigned int first, unsigned int last)
{
	s64 least = S64_MAX;
	unsigned int nr, n;
	ktime_t begin;

	for (nr = first; nr + 64 <= last; nr += 64) {
		begin = ktime_get();
		for (n = nr; n < nr + 64; n++)
			KUNIT_ASSERT_TRUE(f->test, mid_atlas_abandon(f->atlas, f->mid[n], nr_ctx(n),
								     LONG_TIME));
		least = min(least, ktime_to_ns(ktime_sub(ktime_get(), begin)));
	}
	return max_t(s64, least, 1);
}

/*
 * An abandon into a full quarantine looked for the oldest MID among all slots, 65,536 of them,
 * with interrupts off.  It may cost a few times as much as one before the quarantine is
 * full, the yardstick; a look at all slots costs a thousand times as much.
 */
static void full_quarantine_costs_no_look_at_all_slots(struct kunit *test)
{
	struct fixture *f = fixture_full(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	unsigned int cap = MID_ATLAS_MAX_MIDS / 4;
	s64 before = time_abandons(f, 0, cap);
	s64 full = time_abandons(f, cap, cap + 64 * 8);

	KUNIT_EXPECT_GE(test, atlas_stats(f->atlas).abandoned, cap - 64);
	KUNIT_EXPECT_LE_MSG(test, full, 10 * before, "%lld ns, and %lld ns before", full, before);
}

static const char *watched;	/* the name in the messages to count */
static atomic_t messages;

static void count_message(void *unused, const char *text, size_t len)
{
	if (strnstr(text, watched, len) && strnstr(text, "given up", len))
		atomic_inc(&messages);
}

/* A ratelimit for all atlases let one that was flooded silence the others. */
static void full_quarantine_warns_once_per_atlas(struct kunit *test)
{
	struct mid_atlas *atlas;
	unsigned int i, n;
	u16 mid;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "this kernel has no trace events, which show its log");
	watched = "kunit.warns";
	atomic_set(&messages, 0);
	KUNIT_ASSERT_EQ(test, 0, register_trace_console(count_message, NULL));
	for (i = 0; i < 20; i++) {
		atlas = mid_atlas_create(watched, 4, 4, GFP_KERNEL);
		for (n = 0; n < 10 && !IS_ERR(atlas); n++)
			if (!mid_atlas_associate(atlas, nr_ctx(n), &mid, GFP_KERNEL))
				mid_atlas_abandon(atlas, mid, nr_ctx(n), LONG_TIME);
		if (!IS_ERR(atlas))
			mid_atlas_destroy(atlas, NULL, NULL);
	}
	unregister_trace_console(count_message, NULL);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_EQ(test, atomic_read(&messages), 20);
}

static struct kunit_case full_cases[] = {
	KUNIT_CASE(full_quarantine_costs_no_look_at_all_slots),
	KUNIT_CASE(full_quarantine_warns_once_per_atlas),
	{}
};

static struct kunit_suite full_suite = {
	.name = "midatlas_full_quarantine",
	.test_cases = full_cases,
};

kunit_test_suites(&sweep_suite, &stray_suite, &urgent_suite, &end_suite, &full_suite);

MODULE_DESCRIPTION("KUnit tests of sweeps, strays and urgent requests of the MID atlas");
MODULE_LICENSE("GPL");
