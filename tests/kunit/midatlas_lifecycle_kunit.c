// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_lifecycle_kunit - does a request survive its life?
 *
 * midatlas_kunit tests what each request needs: a MID, the way back to its
 * context, one owner in the end.  Here are the turns that its life can take:
 * references, cancels and timeouts, waiting, quarantine, a maximum that moves,
 * resets, drain, and the counts that tell of them.  One suite for each, then
 * what crosses them: interrupts, two CPUs that race, and a long random run.
 *
 * Each test has a *life*: an atlas, and the tasks that wait for its MIDs.  When
 * it ends its counts must balance, whatever the test was about.
 *
 * An atlas never looks into a context, so most contexts are mere numbers.  Where
 * a MID is lost or has two owners, life_check() finds that it is so: it fills
 * the atlas, and then each MID must map to the context that got it.
 *
 * What runs in interrupts or in threads of a test's own only counts what went
 * wrong; the test itself asserts, when they have ended.
 *
 * Not tested is that the calls that wait may not be made in atomic context:
 * might_sleep() tells the log of it and no one else.
 */
#include <kunit/static_stub.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "fixture.h"

#ifndef KUNIT_CASE_SLOW			/* 6.1 */
#define KUNIT_CASE_SLOW	KUNIT_CASE
#endif

#define FOR_EVER	MAX_SCHEDULE_TIMEOUT
#define LONG_WHILE	(3600 * HZ)	/* no test lasts so long */
#define PATIENCE	(10 * HZ)	/* until what should come is missing */

static unsigned int seed = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed of the random runs; a failure prints it");

/* ------------------------------------------------------------------------
 * The life
 */

struct life {
	struct kunit *test;
	struct mid_atlas *atlas;
	struct list_head waiters;	/* struct waiter */
	unsigned int used;		/* contexts that fill() had */
	u16 mid[MID_VALUES];		/* of the contexts nr_ctx(0), ... */
};

static struct mid_atlas_stats stats_of(struct mid_atlas *atlas)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(atlas, &stats);
	return stats;
}

static void expect_balance(struct life *l)
{
	struct mid_atlas_stats s = stats_of(l->atlas);

	KUNIT_EXPECT_EQ(l->test, s.associated,
			s.dissociated + s.in_use - s.abandoned);
	KUNIT_EXPECT_EQ(l->test, s.waiters, 0);
	KUNIT_EXPECT_GE(l->test, s.high_water, s.in_use);
}

static void life_release(struct kunit_resource *res);

static struct life *life_create(struct kunit *test, unsigned int max_mids,
				unsigned int initial_mids)
{
	struct life *l = test_alloc(test, sizeof(*l));

	l->test = test;
	INIT_LIST_HEAD(&l->waiters);
	l->atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, l->atlas);
	KUNIT_ASSERT_NOT_NULL(test,
			      kunit_alloc_resource(test, NULL, life_release,
						   GFP_KERNEL, l));
	return l;
}

static u16 take(struct life *l, void *ctx)
{
	u16 mid = SERVER_MID;

	KUNIT_ASSERT_EQ(l->test, 0, mid_atlas_associate(l->atlas, ctx, &mid,
							GFP_KERNEL));
	return mid;
}

/* Takes all that are free, for the next nr_ctx().  Returns how many that were. */
static unsigned int fill(struct life *l)
{
	unsigned int before = l->used;
	int err;

	while (!(err = mid_atlas_associate(l->atlas, nr_ctx(l->used),
					   &l->mid[l->used], GFP_KERNEL)))
		l->used++;
	KUNIT_ASSERT_EQ(l->test, err, -ENOSPC);
	return l->used - before;
}

/* No two contexts have one MID, or it could not map to both. */
static void expect_mapped(struct life *l, unsigned int first)
{
	unsigned int n;

	for (n = first; n < l->used; n++)
		KUNIT_ASSERT_PTR_EQ_MSG(l->test, nr_ctx(n),
					map_rcu(l->atlas, l->mid[n]),
					"MID %#06x", l->mid[n]);
}

static struct life *full_life(struct kunit *test, unsigned int max_mids,
			      unsigned int initial_mids)
{
	struct life *l = life_create(test, max_mids, initial_mids);

	KUNIT_ASSERT_EQ(test, fill(l), max_mids);
	return l;
}

/* Is nothing lost, and nothing there twice?  Takes all contexts out first. */
static void life_check(struct life *l)
{
	struct mid_atlas_stats s;

	mid_atlas_claim_all(l->atlas, NULL, NULL);
	s = stats_of(l->atlas);
	KUNIT_ASSERT_EQ(l->test, s.in_use, s.abandoned);
	l->used = 0;
	KUNIT_ASSERT_EQ(l->test, fill(l), s.max - s.abandoned);
	expect_mapped(l, 0);
	KUNIT_ASSERT_EQ(l->test, l->used,
			mid_atlas_claim_all(l->atlas, NULL, NULL));
}

static unsigned int abandoned(struct mid_atlas *atlas)
{
	return stats_of(atlas).abandoned;
}

/* Until so many MIDs are in quarantine. */
static void await_abandoned(struct life *l, unsigned int want)
{
	unsigned int n;

	KUNIT_ASSERT_EQ_MSG(l->test, 0,
			    read_poll_timeout(abandoned, n, n == want, 50,
					      jiffies_to_usecs(PATIENCE), false,
					      l->atlas),
			    "%u MIDs are in quarantine, not %u", n, want);
}

static void sleep_jiffies(unsigned long delay)
{
	unsigned long end = jiffies + delay;

	while (time_before(jiffies, end))
		schedule_timeout_uninterruptible(end - jiffies);
}

/* ------------------------------------------------------------------------
 * Tasks that wait
 *
 * A waiter is a thread that calls mid_atlas_associate_wait() when it is told to,
 * with itself as the context.
 */

struct waiter {
	struct list_head node;
	struct life *l;
	struct task_struct *task;
	void (*job)(struct waiter *w);
	void *arg;			/* of the job */
	unsigned int told;		/* how often it was told to do its job */
	struct completion begun;
	struct completion done;
	bool poor;			/* memory fails for it */
	unsigned long timeout;
	unsigned long waited;
	unsigned int wrong;
	u16 mid;
	int err;
};

static void waiter_call(struct waiter *w)
{
	unsigned long begin;

	w->mid = UNTOUCHED;
	begin = jiffies;
	w->err = mid_atlas_associate_wait(w->l->atlas, w, &w->mid, GFP_KERNEL,
					  w->timeout);
	w->waited = jiffies - begin;
}

static int waiter_thread(void *data)
{
	struct waiter *w = data;
	unsigned int calls = 0;

	allow_signal(SIGKILL);
	allow_signal(SIGUSR1);
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		/* Pairs with tell(). */
		if (smp_load_acquire(&w->told) == calls) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		calls++;
		/* The signals of the last call may have come after it. */
		flush_signals(current);
		/* Static stubs act in a thread that belongs to a test. */
		current->kunit_test = w->poor ? w->l->test : NULL;
		complete(&w->begun);
		w->job(w);
		current->kunit_test = NULL;
		complete(&w->done);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* @cpu is where it waits; on the test's own CPU it needs no help to get there. */
static struct waiter *waiter_create(struct life *l, int cpu)
{
	struct waiter *w = kzalloc(sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(l->test, w);
	w->l = l;
	w->job = waiter_call;
	init_completion(&w->begun);
	init_completion(&w->done);
	w->task = kthread_create(waiter_thread, w, "midatlas_waiter");
	if (IS_ERR(w->task)) {
		kfree(w);
		KUNIT_FAIL_AND_ABORT(l->test, "no thread");
	}
	kthread_bind(w->task, cpu);
	list_add_tail(&w->node, &l->waiters);
	return w;
}

/* Has it begin its job. */
static void tell(struct waiter *w, unsigned long timeout)
{
	w->timeout = timeout;
	reinit_completion(&w->begun);
	reinit_completion(&w->done);
	/* Pairs with waiter_thread(). */
	smp_store_release(&w->told, w->told + 1);
	wake_up_process(w->task);	/* it may never have run */
}

static void send(struct waiter *w, int sig)
{
	send_sig(sig, w->task, 1);
}

/* What its call returned. */
static int result(struct waiter *w)
{
	KUNIT_ASSERT_NE_MSG(w->l->test, 0,
			    wait_for_completion_timeout(&w->done, PATIENCE),
			    "a waiter was forgotten");
	return w->err;
}

static bool still_waits(struct waiter *w)
{
	return !completion_done(&w->done);
}

static unsigned int waiting(struct mid_atlas *atlas)
{
	return stats_of(atlas).waiters;
}

static void await_waiters(struct life *l, unsigned int want)
{
	unsigned int n;

	KUNIT_ASSERT_EQ_MSG(l->test, 0,
			    read_poll_timeout(waiting, n, n == want, 20,
					      jiffies_to_usecs(PATIENCE), false,
					      l->atlas),
			    "%u are waiting, not %u", n, want);
}

/* Until it sleeps, in the queue or with nothing more to do. */
static void await_sleep(struct waiter *w)
{
	bool awake;

	wait_for_completion(&w->begun);
	KUNIT_ASSERT_EQ(w->l->test, 0,
			read_poll_timeout(task_is_running, awake, !awake, 20,
					  jiffies_to_usecs(PATIENCE), false,
					  w->task));
}

/* A new waiter, behind those that are in the queue. */
static struct waiter *enqueue(struct life *l, unsigned long timeout)
{
	unsigned int before = waiting(l->atlas);
	struct waiter *w = waiter_create(l, raw_smp_processor_id());

	tell(w, timeout);
	await_sleep(w);
	KUNIT_ASSERT_EQ(l->test, before + 1, waiting(l->atlas));
	return w;
}

/* An atlas that forgot its waiters must not keep the test from telling so. */
static void life_release(struct kunit_resource *res)
{
	struct life *l = res->data;
	struct waiter *w, *next;

	if (l->atlas)
		expect_balance(l);
	list_for_each_entry(w, &l->waiters, node)
		send(w, SIGKILL);
	mid_atlas_destroy(l->atlas, NULL, NULL);
	list_for_each_entry_safe(w, next, &l->waiters, node) {
		kthread_stop(w->task);
		kfree(w);
	}
}

/* ------------------------------------------------------------------------
 * map_get and map_get_put
 */

/* A context that counts its references and may act while one is taken. */
struct request {
	struct mid_atlas *atlas;
	u16 mid;
	bool refuses;
	void (*meddle)(struct request *rq);
	unsigned int asked;
	unsigned int put;
};

static bool request_get(void *ctx)
{
	struct request *rq = ctx;

	rq->asked++;
	if (rq->meddle)
		rq->meddle(rq);
	return !rq->refuses;
}

static void request_put(void *ctx)
{
	struct request *rq = ctx;

	rq->put++;
}

static struct request *take_request(struct life *l)
{
	struct request *rq = test_alloc(l->test, sizeof(*rq));

	rq->atlas = l->atlas;
	rq->mid = take(l, rq);
	return rq;
}

static void map_get_returns_the_context_that_get_took(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	struct request *rq = take_request(l);

	KUNIT_EXPECT_PTR_EQ(test, rq, mid_atlas_map_get(l->atlas, rq->mid,
							request_get));
	KUNIT_EXPECT_PTR_EQ(test, rq, mid_atlas_map_get_put(l->atlas, rq->mid,
							    request_get,
							    request_put));
	KUNIT_EXPECT_EQ(test, rq->asked, 2);
	KUNIT_EXPECT_EQ(test, rq->put, 0);
}

static void map_get_is_null_where_get_refuses(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	struct request *rq = take_request(l);

	rq->refuses = true;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get(l->atlas, rq->mid,
						  request_get));
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get_put(l->atlas, rq->mid,
						      request_get, request_put));
	KUNIT_EXPECT_EQ(test, rq->asked, 2);
	KUNIT_EXPECT_EQ(test, rq->put, 0);
	KUNIT_EXPECT_PTR_EQ(test, rq, map_rcu(l->atlas, rq->mid));
}

static void map_get_of_any_other_mid_asks_nobody(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	struct request *rq = take_request(l), *gone = take_request(l);
	unsigned int mid;

	mid_atlas_dissociate(l->atlas, gone->mid);
	for (mid = 0; mid < MID_VALUES; mid++)
		if (mid != rq->mid)
			KUNIT_ASSERT_NULL(test,
					  mid_atlas_map_get_put(l->atlas, mid,
								request_get,
								request_put));
	KUNIT_EXPECT_EQ(test, rq->asked + gone->asked, 0);
}

static void meddle_dissociate(struct request *rq)
{
	mid_atlas_dissociate(rq->atlas, rq->mid);
}

static void meddle_reuse(struct request *rq)
{
	u16 mid;

	mid_atlas_dissociate(rq->atlas, rq->mid);
	if (mid_atlas_associate(rq->atlas, rq, &mid, GFP_ATOMIC))
		rq->asked = UINT_MAX;	/* fails the test */
}

static void meddle_reassociate(struct request *rq)
{
	mid_atlas_reassociate(rq->atlas, rq->mid, nr_ctx(0));
}

static void meddle_abandon(struct request *rq)
{
	mid_atlas_abandon(rq->atlas, rq->mid, rq, LONG_WHILE);
}

static void meddle_claim(struct request *rq)
{
	mid_atlas_claim_all(rq->atlas, NULL, NULL);
}

struct meddler {
	const char *desc;
	void (*meddle)(struct request *rq);
};

static const struct meddler meddlers[] = {
	{ "dissociated", meddle_dissociate },
	{ "dissociated and associated anew", meddle_reuse },
	{ "reassociated", meddle_reassociate },
	{ "abandoned", meddle_abandon },
	{ "claimed", meddle_claim },
};

static void meddler_desc(const struct meddler *meddler, char *desc)
{
	strscpy(desc, meddler->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(meddlers, meddlers, meddler_desc);

/* The atlas has one slot, so that what is associated anew gets the same one. */
static void map_get_puts_once_what_left_the_mid_during_get(struct kunit *test)
{
	const struct meddler *meddler = test->param_value;
	struct life *l = life_create(test, 1, 1);
	struct request *rq = take_request(l);

	rq->meddle = meddler->meddle;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get_put(l->atlas, rq->mid,
						      request_get, request_put));
	KUNIT_EXPECT_EQ(test, rq->asked, 1);
	KUNIT_EXPECT_EQ(test, rq->put, 1);
}

static void map_get_without_put_is_null_then_too(struct kunit *test)
{
	const struct meddler *meddler = test->param_value;
	struct life *l = life_create(test, 4, 4);
	struct request *rq = take_request(l);

	rq->meddle = meddler->meddle;
	KUNIT_EXPECT_NULL(test, mid_atlas_map_get(l->atlas, rq->mid,
						  request_get));
	KUNIT_EXPECT_EQ(test, rq->asked, 1);
}

static struct kunit_case map_get_cases[] = {
	KUNIT_CASE(map_get_returns_the_context_that_get_took),
	KUNIT_CASE(map_get_is_null_where_get_refuses),
	KUNIT_CASE(map_get_of_any_other_mid_asks_nobody),
	KUNIT_CASE_PARAM(map_get_puts_once_what_left_the_mid_during_get,
			 meddlers_gen_params),
	KUNIT_CASE_PARAM(map_get_without_put_is_null_then_too,
			 meddlers_gen_params),
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
	struct life *l = life_create(test, 50, 50);
	struct mid_atlas *atlas = l->atlas;
	u16 mid = take(l, nr_ctx(1)), other = take(l, nr_ctx(2));
	struct mid_atlas_stats before = stats_of(atlas), after;
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
	after = stats_of(atlas);
	KUNIT_EXPECT_MEMEQ(test, &before, &after,
			   offsetof(struct mid_atlas_stats, oldest));

	KUNIT_EXPECT_TRUE(test, mid_atlas_dissociate_if(atlas, mid, nr_ctx(1)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(atlas, mid, nr_ctx(1)));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(2), mid_atlas_dissociate(atlas, other));
}

static void dissociate_if_after_reassociate_knows_the_new_context(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	u16 mid = take(l, nr_ctx(1));

	KUNIT_ASSERT_PTR_EQ(test, nr_ctx(1),
			    mid_atlas_reassociate(l->atlas, mid, nr_ctx(2)));
	KUNIT_EXPECT_FALSE(test, mid_atlas_dissociate_if(l->atlas, mid,
							 nr_ctx(1)));
	KUNIT_EXPECT_TRUE(test, mid_atlas_dissociate_if(l->atlas, mid,
							nr_ctx(2)));
}

static void dissociate_if_finds_the_mids_of_outgrown_tables(struct kunit *test)
{
	struct life *l = full_life(test, 1000, 0);
	unsigned int n;

	for (n = 0; n < l->used; n++)
		KUNIT_ASSERT_TRUE(test, mid_atlas_dissociate_if(l->atlas,
								l->mid[n],
								nr_ctx(n)));
	life_check(l);
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
 * associate_wait
 */

static const unsigned long timeouts[] = { 0, 1, LONG_WHILE, FOR_EVER, ULONG_MAX };

static void timeout_desc(const unsigned long *timeout, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "timeout %lu", *timeout);
}

KUNIT_ARRAY_PARAM(timeouts, timeouts, timeout_desc);

static void wait_takes_a_free_mid_at_once(struct kunit *test)
{
	const unsigned long *timeout = test->param_value;
	struct life *l = life_create(test, 50, 0);
	u16 mid = SERVER_MID;

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_associate_wait(l->atlas, test, &mid,
							  GFP_KERNEL, *timeout));
	KUNIT_EXPECT_PTR_EQ(test, test, map_rcu(l->atlas, mid));
}

static void wait_refuses_null_and_error_pointers(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	u16 mid = UNTOUCHED;

	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_associate_wait(l->atlas, NULL, &mid,
						 GFP_KERNEL, FOR_EVER));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_associate_wait(l->atlas, ERR_PTR(-EIO), &mid,
						 GFP_KERNEL, FOR_EVER));
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

static void wait_lasts_as_long_as_its_timeout(struct kunit *test)
{
	static const unsigned long jiffies_to_wait[] = { 0, 1, 2, 10 };
	struct life *l = full_life(test, 1, 1);
	unsigned long begin, waited, timeout;
	u16 mid = UNTOUCHED;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jiffies_to_wait); i++) {
		timeout = jiffies_to_wait[i];
		begin = jiffies;
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
				mid_atlas_associate_wait(l->atlas, test, &mid,
							 GFP_KERNEL, timeout));
		waited = jiffies - begin;
		KUNIT_EXPECT_GE(test, waited, timeout);
		KUNIT_EXPECT_LT(test, waited, timeout + PATIENCE);
	}
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(0), map_rcu(l->atlas, l->mid[0]));
	life_check(l);
}

/* Each way in which a MID gets free, in an atlas that is full before. */
struct way {
	const char *desc;
	unsigned int max_mids;
	void (*prepare)(struct life *l);	/* before the waiter comes */
	void (*free)(struct life *l);
};

static void way_dissociate(struct life *l)
{
	mid_atlas_dissociate(l->atlas, l->mid[0]);
}

static void way_dissociate_if(struct life *l)
{
	mid_atlas_dissociate_if(l->atlas, l->mid[0], nr_ctx(0));
}

static void way_claim_all(struct life *l)
{
	mid_atlas_claim_all(l->atlas, NULL, NULL);
}

static void way_claim_older(struct life *l)
{
	mid_atlas_claim_older(l->atlas, 0, NULL, NULL);
}

static void way_abandon(struct life *l)
{
	mid_atlas_abandon(l->atlas, l->mid[0], nr_ctx(0), 0);
}

static void way_quarantine(struct life *l)
{
	mid_atlas_abandon(l->atlas, l->mid[0], nr_ctx(0), LONG_WHILE);
}

static void way_short_quarantine(struct life *l)
{
	mid_atlas_abandon(l->atlas, l->mid[0], nr_ctx(0), HZ / 5);
}

static void way_nothing(struct life *l)
{
}

static void way_cut_quarantine(struct life *l)
{
	mid_atlas_abandon(l->atlas, l->mid[1], nr_ctx(1), LONG_WHILE);
}

static void way_raise(struct life *l)
{
	mid_atlas_set_max(l->atlas, stats_of(l->atlas).max + 1);
}

/* A larger table, all of it in use, and the first MIDs in the one before. */
static void way_grow(struct life *l)
{
	way_raise(l);
	take(l, nr_ctx(l->used));
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
	struct life *l = full_life(test, way->max_mids, way->max_mids);
	struct waiter *w;

	if (way->prepare)
		way->prepare(l);
	w = enqueue(l, FOR_EVER);
	way->free(l);
	KUNIT_EXPECT_EQ(test, 0, result(w));
	KUNIT_EXPECT_PTR_EQ(test, w, map_rcu(l->atlas, w->mid));
}

static void killed_waiter_leaves_the_queue_to_the_others(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	struct waiter *first = enqueue(l, FOR_EVER);
	struct waiter *killed = enqueue(l, FOR_EVER);
	struct waiter *last = enqueue(l, FOR_EVER);

	send(killed, SIGKILL);
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS, result(killed));
	KUNIT_EXPECT_EQ(test, killed->mid, UNTOUCHED);
	await_waiters(l, 2);

	mid_atlas_dissociate(l->atlas, l->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, result(first));
	KUNIT_EXPECT_TRUE(test, still_waits(last));
	mid_atlas_dissociate(l->atlas, first->mid);
	KUNIT_EXPECT_EQ(test, 0, result(last));
}

static void doomed_call(struct waiter *w)
{
	send(w, SIGKILL);
	waiter_call(w);
}

static void task_that_was_killed_gets_what_is_free_but_may_not_wait(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);
	struct waiter *w = waiter_create(l, raw_smp_processor_id());

	w->job = doomed_call;
	tell(w, FOR_EVER);
	KUNIT_EXPECT_EQ(test, 0, result(w));
	KUNIT_EXPECT_PTR_EQ(test, w, map_rcu(l->atlas, w->mid));
	tell(w, FOR_EVER);
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS, result(w));
	KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	life_check(l);
}

static void waiter_lets_no_lesser_signal_disturb_it(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	struct waiter *w = enqueue(l, FOR_EVER);

	send(w, SIGUSR1);
	sleep_jiffies(3);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	mid_atlas_dissociate(l->atlas, l->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, result(w));
}

static void waiter_whose_time_is_over_leaves_the_queue_to_the_others(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	struct waiter *first = enqueue(l, HZ / 5);
	struct waiter *last = enqueue(l, FOR_EVER);

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, result(first));
	KUNIT_EXPECT_EQ(test, first->mid, UNTOUCHED);
	KUNIT_EXPECT_GE(test, first->waited, HZ / 5);
	KUNIT_EXPECT_TRUE(test, still_waits(last));
	mid_atlas_dissociate(l->atlas, l->mid[0]);
	KUNIT_EXPECT_EQ(test, 0, result(last));
}

static void thousand_waiters_are_served_in_the_order_they_came(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	struct waiter *w;
	u16 mid = l->mid[0];
	unsigned int n;

	for (n = 0; n < 1000; n++)
		enqueue(l, FOR_EVER);
	list_for_each_entry(w, &l->waiters, node) {
		mid_atlas_dissociate(l->atlas, mid);
		KUNIT_ASSERT_EQ(test, 0, result(w));
		KUNIT_ASSERT_EQ(test, --n, waiting(l->atlas));
		mid = w->mid;
	}
	KUNIT_EXPECT_EQ(test, n, 0);
}

static void waiter_grows_the_table_when_the_maximum_allows(struct kunit *test)
{
	struct life *l = full_life(test, 64, 64);
	struct waiter *first = enqueue(l, FOR_EVER);
	struct waiter *second = enqueue(l, FOR_EVER);
	struct waiter *third = enqueue(l, FOR_EVER);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 66));
	KUNIT_EXPECT_EQ(test, 0, result(first));
	KUNIT_EXPECT_EQ(test, 0, result(second));
	sleep_jiffies(3);
	KUNIT_EXPECT_TRUE(test, still_waits(third));
	KUNIT_EXPECT_EQ(test, 66, stats_of(l->atlas).slots);
	mid_atlas_dissociate(l->atlas, l->mid[5]);
	KUNIT_EXPECT_EQ(test, 0, result(third));
}

#ifdef kunit_activate_static_stub
static void *no_memory(size_t size, gfp_t gfp)
{
	return NULL;
}

static void forbid_memory(struct kunit *test)
{
	kunit_activate_static_stub(test, mid_atlas_alloc, no_memory);
}
#else
#define forbid_memory(test)						\
	kunit_skip(test, "this kernel's KUnit has no static stubs")
#endif

static void wait_reports_that_the_table_could_not_grow(struct kunit *test)
{
	struct life *l = life_create(test, 65, 64);
	unsigned int n;
	u16 mid = UNTOUCHED;

	for (n = 0; n < 64; n++)
		take(l, nr_ctx(n));
	forbid_memory(test);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			mid_atlas_associate_wait(l->atlas, test, &mid,
						 GFP_KERNEL, FOR_EVER));
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

/* Both are in the queue when the table may grow, and memory fails the first. */
static void waiter_without_memory_leaves_it_to_the_next_to_grow(struct kunit *test)
{
	struct life *l = full_life(test, 64, 64);
	struct waiter *poor = waiter_create(l, raw_smp_processor_id()), *next;

	poor->poor = true;
	tell(poor, FOR_EVER);
	await_sleep(poor);
	next = enqueue(l, FOR_EVER);
	forbid_memory(test);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 65));
	KUNIT_EXPECT_EQ(test, -ENOMEM, result(poor));
	KUNIT_EXPECT_EQ(test, poor->mid, UNTOUCHED);
	KUNIT_EXPECT_EQ(test, 0, result(next));
	KUNIT_EXPECT_EQ(test, 65, stats_of(l->atlas).in_use);
}

static struct kunit_case wait_cases[] = {
	KUNIT_CASE_PARAM(wait_takes_a_free_mid_at_once, timeouts_gen_params),
	KUNIT_CASE(wait_refuses_null_and_error_pointers),
	KUNIT_CASE(wait_lasts_as_long_as_its_timeout),
	KUNIT_CASE_PARAM(waiter_is_served_by, ways_gen_params),
	KUNIT_CASE(killed_waiter_leaves_the_queue_to_the_others),
	KUNIT_CASE(task_that_was_killed_gets_what_is_free_but_may_not_wait),
	KUNIT_CASE(waiter_lets_no_lesser_signal_disturb_it),
	KUNIT_CASE(waiter_whose_time_is_over_leaves_the_queue_to_the_others),
	KUNIT_CASE(thousand_waiters_are_served_in_the_order_they_came),
	KUNIT_CASE(waiter_grows_the_table_when_the_maximum_allows),
	KUNIT_CASE(wait_reports_that_the_table_could_not_grow),
	KUNIT_CASE(waiter_without_memory_leaves_it_to_the_next_to_grow),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "midatlas_wait",
	.test_cases = wait_cases,
};

/* ------------------------------------------------------------------------
 * abandon
 */

static u16 take_and_abandon(struct life *l, void *ctx, unsigned long quarantine)
{
	u16 mid = take(l, ctx);

	KUNIT_ASSERT_TRUE(l->test, mid_atlas_abandon(l->atlas, mid, ctx,
						     quarantine));
	return mid;
}

/* Was this reply the late one of a MID in quarantine? */
static bool is_late(struct life *l, u16 mid)
{
	u64 before = stats_of(l->atlas).late;

	KUNIT_ASSERT_NULL(l->test, mid_atlas_dissociate(l->atlas, mid));
	return stats_of(l->atlas).late > before;
}

static void late_reply_frees_an_abandoned_mid_and_is_counted(struct kunit *test)
{
	struct life *l = life_create(test, 4, 4);
	u16 mid = take_and_abandon(l, nr_ctx(0), LONG_WHILE);
	struct mid_atlas_stats s = stats_of(l->atlas);

	KUNIT_EXPECT_EQ(test, s.in_use, 1);
	KUNIT_EXPECT_EQ(test, s.abandoned, 1);
	KUNIT_EXPECT_EQ(test, s.dissociated, 1);

	KUNIT_EXPECT_NULL(test, mid_atlas_dissociate(l->atlas, mid));
	KUNIT_EXPECT_NULL(test, mid_atlas_dissociate(l->atlas, mid));
	s = stats_of(l->atlas);
	KUNIT_EXPECT_EQ(test, s.in_use, 0);
	KUNIT_EXPECT_EQ(test, s.abandoned, 0);
	KUNIT_EXPECT_EQ(test, s.dissociated, 1);
	KUNIT_EXPECT_EQ(test, s.late, 1);
	KUNIT_EXPECT_EQ(test, s.stale, 1);
	life_check(l);
}

static void count_calls(void *ctx, u16 mid, void *arg)
{
	unsigned int *calls = arg;

	++*calls;
}

static void abandoned_mid_has_no_context_for_anyone(struct kunit *test)
{
	struct life *l = life_create(test, 4, 4);
	struct mid_atlas *atlas = l->atlas;
	struct request *rq = take_request(l);
	unsigned int calls = 0;

	KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(atlas, rq->mid, rq, LONG_WHILE));
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
	KUNIT_EXPECT_EQ(test, calls + rq->asked, 0);
	KUNIT_EXPECT_EQ(test, 1, abandoned(atlas));
}

/* In a table of 65,536 slots each slot has one MID only. */
static void abandoned_mid_is_handed_out_after_its_reply_and_not_before(struct kunit *test)
{
	struct life *l = full_life(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	u16 mid = l->mid[4711], got = SERVER_MID;

	KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(l->atlas, mid, nr_ctx(4711),
						  LONG_WHILE));
	KUNIT_EXPECT_EQ(test, -ENOSPC, mid_atlas_associate(l->atlas, test, &got,
							   GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, is_late(l, mid));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_associate(l->atlas, test, &got,
						     GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, got, mid);
}

static void quarantine_of_0_keeps_nothing(struct kunit *test)
{
	struct life *l = life_create(test, 4, 4);
	u16 mid = take_and_abandon(l, nr_ctx(0), 0);

	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).in_use);
	KUNIT_EXPECT_FALSE(test, is_late(l, mid));
}

#define QUARANTINES	32

/* How many of these moments have come? */
static unsigned int count_over(const unsigned long *end, unsigned int n)
{
	unsigned int over = 0;

	while (n--)
		over += time_before_eq(end[n], jiffies);
	return over;
}

static void each_quarantine_ends_by_itself_and_not_early(struct kunit *test)
{
	struct life *l = life_create(test, 4 * QUARANTINES, 4 * QUARANTINES);
	unsigned long end[QUARANTINES], deadline = jiffies + PATIENCE;
	unsigned int n, left;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (n = 0; n < QUARANTINES; n++) {
		unsigned long quarantine = 1 + prandom_u32_state(&rnd) % 20;

		end[n] = jiffies + quarantine;
		take_and_abandon(l, nr_ctx(n), quarantine);
	}
	do {
		usleep_range(50, 100);
		left = abandoned(l->atlas);
		KUNIT_ASSERT_GE_MSG(test, left + count_over(end, QUARANTINES),
				    QUARANTINES, "freed early, seed %u", seed);
		KUNIT_ASSERT_TRUE_MSG(test, time_before(jiffies, deadline),
				      "%u stay in quarantine, seed %u", left, seed);
	} while (left);
	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).late);
	life_check(l);
}

static void long_quarantine_does_not_keep_short_ones(struct kunit *test)
{
	struct life *l = life_create(test, 16, 16);
	u16 mid = take_and_abandon(l, nr_ctx(0), LONG_WHILE);
	unsigned int n;

	for (n = 0; n < 3; n++) {
		take_and_abandon(l, nr_ctx(n), 2);
		take_and_abandon(l, nr_ctx(n), 5);
		await_abandoned(l, 1);
	}
	KUNIT_EXPECT_TRUE(test, is_late(l, mid));
}

static const unsigned int maxima[] = { 4, 5, 7, 8, 50, 64, 1000 };

static void uint_desc(const unsigned int *value, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u", *value);
}

KUNIT_ARRAY_PARAM(maxima, maxima, uint_desc);

/* The table grows on the way, and the order is not that of the slots. */
static void quarantine_is_a_quarter_and_drops_who_came_first(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct life *l = full_life(test, *max_mids, 0);
	unsigned int cap = *max_mids / 4, dropped = *max_mids - cap, n, i;
	u16 *mid = test_alloc(test, *max_mids * sizeof(*mid));

	for (n = 0; n < *max_mids; n++) {
		/* 701 is a prime: this visits each. */
		i = (n + 1) * 701 % *max_mids;
		mid[n] = l->mid[i];
		KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(l->atlas, mid[n],
							  nr_ctx(i), LONG_WHILE));
		KUNIT_ASSERT_EQ(test, min(n + 1, cap), abandoned(l->atlas));
	}
	for (n = 0; n < *max_mids; n++)
		KUNIT_ASSERT_EQ_MSG(test, is_late(l, mid[n]), n >= dropped,
				    "the one abandoned as number %u", n);
	life_check(l);
}

static const unsigned int small_maxima[] = { 1, 2, 3 };

KUNIT_ARRAY_PARAM(small_maxima, small_maxima, uint_desc);

static void maximum_below_4_keeps_no_quarantine(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct life *l = life_create(test, *max_mids, 0);
	u16 mid = take_and_abandon(l, nr_ctx(0), LONG_WHILE);

	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).in_use);
	KUNIT_EXPECT_FALSE(test, is_late(l, mid));
	life_check(l);
}

static void abandon_refuses_all_but_the_right_pair(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	struct mid_atlas *atlas = l->atlas;
	u16 mid = take(l, nr_ctx(1)), gone = take(l, nr_ctx(1));
	unsigned int value;

	mid_atlas_dissociate(atlas, gone);
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
	KUNIT_EXPECT_EQ(test, 0, abandoned(atlas));
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), map_rcu(atlas, mid));
}

static void quarantine_may_be_as_long_as_anyone_likes(struct kunit *test)
{
	static const unsigned long huge[] = {
		BIT(30) - 1, BIT(30), BIT(31) - 1, BIT(31), UINT_MAX, LONG_MAX,
		ULONG_MAX - 1, ULONG_MAX,
	};
	struct life *l = life_create(test, 64, 64);
	u16 mid[ARRAY_SIZE(huge)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(huge); i++)
		mid[i] = take_and_abandon(l, nr_ctx(i), huge[i]);
	sleep_jiffies(3);
	for (i = 0; i < ARRAY_SIZE(huge); i++)
		KUNIT_EXPECT_TRUE_MSG(test, is_late(l, mid[i]), "quarantine %#lx",
				      huge[i]);
}

static void smaller_maximum_makes_the_quarantine_smaller(struct kunit *test)
{
	struct life *l = life_create(test, 100, 100);
	u16 mid[25];
	unsigned int n;

	for (n = 0; n < 25; n++)
		mid[n] = take_and_abandon(l, nr_ctx(n), LONG_WHILE);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 8));
	KUNIT_EXPECT_EQ(test, 2, abandoned(l->atlas));
	KUNIT_EXPECT_FALSE(test, is_late(l, mid[22]));
	KUNIT_EXPECT_TRUE(test, is_late(l, mid[23]));
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 3));
	KUNIT_EXPECT_EQ(test, 0, abandoned(l->atlas));
	life_check(l);
}

static struct kunit_case abandon_cases[] = {
	KUNIT_CASE(late_reply_frees_an_abandoned_mid_and_is_counted),
	KUNIT_CASE(abandoned_mid_has_no_context_for_anyone),
	KUNIT_CASE(abandoned_mid_is_handed_out_after_its_reply_and_not_before),
	KUNIT_CASE(quarantine_of_0_keeps_nothing),
	KUNIT_CASE(each_quarantine_ends_by_itself_and_not_early),
	KUNIT_CASE(long_quarantine_does_not_keep_short_ones),
	KUNIT_CASE_PARAM(quarantine_is_a_quarter_and_drops_who_came_first,
			 maxima_gen_params),
	KUNIT_CASE_PARAM(maximum_below_4_keeps_no_quarantine,
			 small_maxima_gen_params),
	KUNIT_CASE(abandon_refuses_all_but_the_right_pair),
	KUNIT_CASE(quarantine_may_be_as_long_as_anyone_likes),
	KUNIT_CASE(smaller_maximum_makes_the_quarantine_smaller),
	{}
};

static struct kunit_suite abandon_suite = {
	.name = "midatlas_abandon",
	.test_cases = abandon_cases,
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

static void set_max_refuses_0_and_what_is_over_the_limit(struct kunit *test)
{
	struct life *l = full_life(test, 50, 0);

	KUNIT_EXPECT_EQ(test, -EINVAL, mid_atlas_set_max(l->atlas, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mid_atlas_set_max(l->atlas, MID_ATLAS_MAX_MIDS + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, mid_atlas_set_max(l->atlas, UINT_MAX));
	KUNIT_EXPECT_EQ(test, 50, stats_of(l->atlas).max);
	KUNIT_EXPECT_EQ(test, fill(l), 0);
	life_check(l);
}

static void higher_maximum_admits_exactly_that_many(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct life *l = full_life(test, change->from, change->from);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, change->to));
	KUNIT_EXPECT_EQ(test, fill(l), change->to - change->from);
	expect_mapped(l, 0);
	life_check(l);
}

static void lower_maximum_takes_no_mid_and_admits_nobody_until_below(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct life *l = full_life(test, change->from, change->from);
	unsigned int n;

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, change->to));
	expect_mapped(l, 0);
	for (n = 0; n < change->from - change->to; n++) {
		mid_atlas_dissociate(l->atlas, l->mid[n]);
		KUNIT_ASSERT_EQ_MSG(test, fill(l), 0, "%u in use",
				    change->from - n - 1);
	}
	expect_mapped(l, n);
	mid_atlas_dissociate(l->atlas, l->mid[n]);
	KUNIT_EXPECT_EQ(test, fill(l), 1);
	life_check(l);
}

static void lower_maximum_of_an_idle_atlas_is_kept_at_once(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct life *l = life_create(test, change->from, change->from);

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, change->to));
	KUNIT_EXPECT_EQ(test, fill(l), change->to);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, change->from));
	KUNIT_EXPECT_EQ(test, fill(l), change->from - change->to);
	life_check(l);
}

static void lower_maximum_has_waiters_wait_until_below(struct kunit *test)
{
	struct life *l = full_life(test, 8, 8);
	struct waiter *w = enqueue(l, FOR_EVER);
	unsigned int n;

	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 4));
	for (n = 0; n < 4; n++)
		mid_atlas_dissociate(l->atlas, l->mid[n]);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	mid_atlas_dissociate(l->atlas, l->mid[n]);
	KUNIT_EXPECT_EQ(test, 0, result(w));
}

static void higher_maximum_serves_as_many_waiters_as_it_admits(struct kunit *test)
{
	struct life *l = full_life(test, 4, 4);
	struct waiter *w;
	unsigned int n;

	for (n = 0; n < 6; n++)
		enqueue(l, FOR_EVER);
	KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, 8));
	list_for_each_entry(w, &l->waiters, node) {
		if (n-- == 2)
			break;
		KUNIT_EXPECT_EQ(test, 0, result(w));
	}
	await_waiters(l, 2);
	mid_atlas_set_max(l->atlas, 10);
	await_waiters(l, 0);
}

/* Up to a new maximum, then some go; over all sizes of the table and back. */
static void maximum_goes_up_and_down_and_every_request_stays(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);
	unsigned int oldest = 0, in_use = 0, step, max_mids;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (step = 0; step < 200; step++) {
		max_mids = 1 + prandom_u32_state(&rnd) % (1 << (1 + step % 13));
		KUNIT_ASSERT_EQ(test, 0, mid_atlas_set_max(l->atlas, max_mids));
		if (l->used + max_mids > MID_VALUES)
			break;
		KUNIT_ASSERT_EQ_MSG(test, fill(l),
				    max_mids > in_use ? max_mids - in_use : 0,
				    "step %u, max %u, %u in use, seed %u", step,
				    max_mids, in_use, seed);
		in_use = max(in_use, max_mids);
		expect_mapped(l, oldest);
		for (; in_use > max_mids / 2; in_use--, oldest++)
			KUNIT_ASSERT_PTR_EQ(test, nr_ctx(oldest),
					    mid_atlas_dissociate(l->atlas,
								 l->mid[oldest]));
	}
	kunit_info(test, "%u changes, %u requests\n", step, l->used);
	KUNIT_EXPECT_EQ(test, in_use, stats_of(l->atlas).in_use);
	life_check(l);
}

static struct kunit_case set_max_cases[] = {
	KUNIT_CASE(set_max_refuses_0_and_what_is_over_the_limit),
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

/* ------------------------------------------------------------------------
 * for_each, claim_all, claim_older
 */

/* What they handed over: contexts of fill(), each with its own MID. */
struct tally {
	struct life *l;
	unsigned int wrong;
	u8 seen[MID_VALUES];	/* how often, by context */
};

static void count(void *ctx, u16 mid, void *arg)
{
	unsigned long nr = ctx_nr(ctx);
	struct tally *t = arg;

	if (nr < t->l->used && t->l->mid[nr] == mid)
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

static struct tally *tally_of(struct life *l)
{
	struct tally *t = test_alloc(l->test, sizeof(*t));

	t->l = l;
	return t;
}

/* Every @step-th context from @first on was handed over once, no other. */
static void expect_tally(struct tally *t, unsigned int first, unsigned int step)
{
	unsigned int nr;

	KUNIT_ASSERT_EQ(t->l->test, t->wrong, 0);
	for (nr = 0; nr < t->l->used; nr++)
		KUNIT_ASSERT_EQ_MSG(t->l->test, t->seen[nr], nr % step == first,
				    "context %u", nr);
}

static struct life *grown_life(struct kunit *test)
{
	const unsigned int *max_mids = test->param_value;
	struct life *l = full_life(test, *max_mids, 0);
	unsigned int n;

	/* Only the odd ones stay. */
	for (n = 0; n < l->used; n += 2)
		mid_atlas_dissociate(l->atlas, l->mid[n]);
	return l;
}

static const unsigned int sizes[] = { 50, 1000, 65535 };

KUNIT_ARRAY_PARAM(sizes, sizes, uint_desc);

static void each_context_is_shown_once_by_for_each(struct kunit *test)
{
	struct life *l = grown_life(test);
	struct tally *t = tally_of(l);

	KUNIT_EXPECT_EQ(test, l->used / 2, mid_atlas_for_each(l->atlas, count, t));
	expect_tally(t, 1, 2);
	KUNIT_EXPECT_EQ(test, l->used / 2, stats_of(l->atlas).in_use);
}

static void claim_all_takes_each_context_once(struct kunit *test)
{
	struct life *l = grown_life(test);
	struct tally *t = tally_of(l);

	KUNIT_EXPECT_EQ(test, l->used / 2, mid_atlas_claim_all(l->atlas, count, t));
	expect_tally(t, 1, 2);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(l->atlas, count, t));
	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).in_use);
	life_check(l);
}

static void claim_older_of_age_0_takes_each_context_once(struct kunit *test)
{
	struct life *l = grown_life(test);
	struct tally *t = tally_of(l);

	KUNIT_EXPECT_EQ(test, l->used / 2,
			mid_atlas_claim_older(l->atlas, 0, count, t));
	expect_tally(t, 1, 2);
	life_check(l);
}

static void claims_of_an_empty_atlas_call_nobody(struct kunit *test)
{
	struct life *l = life_create(test, 4, 0);
	unsigned int calls = 0, round;

	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_for_each(l->atlas, count_calls,
							    &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(l->atlas, count_calls,
							     &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, 0,
							       count_calls, &calls));
		KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_all(l->atlas, NULL, NULL));
		mid_atlas_dissociate(l->atlas, take(l, nr_ctx(0)));
	}
	KUNIT_EXPECT_EQ(test, calls, 0);
}

/* The older tables go with their last context, while it is still at work. */
static void claim_all_lets_its_function_sleep(struct kunit *test)
{
	struct life *l = full_life(test, 300, 0);
	struct tally *t = tally_of(l);

	KUNIT_EXPECT_EQ(test, 300, mid_atlas_claim_all(l->atlas, count_and_sleep, t));
	expect_tally(t, 0, 1);
	life_check(l);
}

/* Resubmits what it is given, as a reconnect does. */
static void associate_anew(void *ctx, u16 mid, void *arg)
{
	struct tally *t = arg;
	struct life *l = t->l;

	count(ctx, mid, t);
	if (l->used < MID_VALUES &&
	    !mid_atlas_associate(l->atlas, nr_ctx(l->used), &l->mid[l->used],
				 GFP_KERNEL))
		l->used++;
	else
		t->wrong++;
}

static void claim_all_lets_its_function_associate_anew(struct kunit *test)
{
	struct life *l = full_life(test, 300, 0);
	struct tally *t = tally_of(l);
	unsigned int taken, nr;

	taken = mid_atlas_claim_all(l->atlas, associate_anew, t);
	KUNIT_EXPECT_GE(test, taken, 300);
	KUNIT_EXPECT_EQ(test, l->used, 300 + taken);
	mid_atlas_claim_all(l->atlas, count, t);
	KUNIT_EXPECT_EQ(test, t->wrong, 0);
	for (nr = 0; nr < l->used; nr++)
		KUNIT_ASSERT_EQ_MSG(test, t->seen[nr], 1, "context %u", nr);
}

/*
 * Takes nr_ctx(0), lets time pass, takes nr_ctx(1).  Returns the jiffy when the
 * first was in already: an age since then is one that the second has not.
 */
static unsigned long take_old_and_young(struct life *l)
{
	unsigned long born;

	l->mid[0] = take(l, nr_ctx(0));
	born = jiffies;
	sleep_jiffies(HZ / 5);
	l->mid[1] = take(l, nr_ctx(1));
	l->used = 2;
	return born;
}

static void claim_older_takes_what_is_old_enough(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	unsigned long begin = jiffies, born = take_old_and_young(l);
	struct tally *t = tally_of(l);

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, ULONG_MAX, count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, LONG_MAX, count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, BIT(31), count, t));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, jiffies - begin +
						       PATIENCE, count, t));
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(l->atlas, jiffies - born,
						       count, t));
	expect_tally(t, 0, 2);
	KUNIT_EXPECT_PTR_EQ(test, nr_ctx(1), map_rcu(l->atlas, l->mid[1]));
	sleep_jiffies(2);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(l->atlas, 2, count, t));
}

static void reassociate_makes_no_request_younger(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	unsigned long born = take_old_and_young(l);

	mid_atlas_reassociate(l->atlas, l->mid[0], test);
	KUNIT_EXPECT_EQ(test, 1, mid_atlas_claim_older(l->atlas, jiffies - born,
						       NULL, NULL));
	KUNIT_EXPECT_NULL(test, map_rcu(l->atlas, l->mid[0]));
}

/* With one slot it is the same for both: it must not pass its age on. */
static void request_in_a_reused_slot_is_young(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);
	unsigned long born;

	mid_atlas_dissociate(l->atlas, take(l, nr_ctx(0)));
	born = jiffies;
	sleep_jiffies(HZ / 5);
	take(l, nr_ctx(1));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_claim_older(l->atlas, jiffies - born,
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
	KUNIT_CASE(claim_older_takes_what_is_old_enough),
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
	struct life *l = full_life(test, *max_mids, 0);

	mid_atlas_claim_all(l->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, 0));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, FOR_EVER));
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, 0));
	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).slots);
}

static void drain_of_an_unused_atlas_returns_at_once(struct kunit *test)
{
	struct life *l = life_create(test, 1, 0);

	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, FOR_EVER));
}

static void expect_shut(struct life *l)
{
	u16 mid = UNTOUCHED;

	KUNIT_EXPECT_EQ(l->test, -ESHUTDOWN,
			mid_atlas_associate(l->atlas, l, &mid, GFP_KERNEL));
	KUNIT_EXPECT_EQ(l->test, -ESHUTDOWN,
			mid_atlas_associate_wait(l->atlas, l, &mid, GFP_KERNEL,
						 FOR_EVER));
	KUNIT_EXPECT_EQ(l->test, mid, UNTOUCHED);
}

static void drain_times_out_and_leaves_alone_what_is_in_flight(struct kunit *test)
{
	struct life *l = full_life(test, 1000, 0);
	unsigned long begin;
	unsigned int n;

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(l->atlas, 0));
	begin = jiffies;
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(l->atlas, 3));
	KUNIT_EXPECT_GE(test, jiffies - begin, 3);
	expect_mapped(l, 0);
	expect_shut(l);
	for (n = 0; n < l->used; n++) {
		KUNIT_ASSERT_EQ(test, -ETIMEDOUT, mid_atlas_drain(l->atlas, 0));
		KUNIT_ASSERT_PTR_EQ(test, nr_ctx(n),
				    mid_atlas_dissociate(l->atlas, l->mid[n]));
	}
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, 0));
}

static void drain_is_for_good(struct kunit *test)
{
	struct life *l = full_life(test, 50, 50);

	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(l->atlas, 0));
	mid_atlas_dissociate(l->atlas, l->mid[0]);
	expect_shut(l);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_set_max(l->atlas, 1000));
	expect_shut(l);
	mid_atlas_claim_all(l->atlas, NULL, NULL);
	expect_shut(l);
	KUNIT_EXPECT_EQ(test, 0, mid_atlas_drain(l->atlas, 0));
	expect_shut(l);
}

static void drain_job(struct waiter *w)
{
	w->err = mid_atlas_drain(w->l->atlas, w->timeout);
}

static struct waiter *drainer(struct life *l)
{
	struct waiter *w = waiter_create(l, raw_smp_processor_id());

	w->job = drain_job;
	tell(w, FOR_EVER);
	wait_for_completion(&w->begun);
	return w;
}

static void two_drains_wait_for_the_last_context(struct kunit *test)
{
	struct life *l = full_life(test, 100, 0);
	struct waiter *one = drainer(l), *two = drainer(l);
	unsigned int n;

	for (n = 0; n < 99; n++)
		mid_atlas_dissociate(l->atlas, l->mid[n]);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(one));
	KUNIT_EXPECT_TRUE(test, still_waits(two));
	mid_atlas_dissociate(l->atlas, l->mid[n]);
	KUNIT_EXPECT_EQ(test, 0, result(one));
	KUNIT_EXPECT_EQ(test, 0, result(two));
}

static void drain_waits_for_the_quarantine_to_end(struct kunit *test)
{
	struct life *l = life_create(test, 16, 16);
	unsigned long begin = jiffies;
	struct waiter *w;
	u16 mid;

	take_and_abandon(l, nr_ctx(0), 3);
	mid = take_and_abandon(l, nr_ctx(1), LONG_WHILE);
	w = drainer(l);
	await_abandoned(l, 1);
	KUNIT_EXPECT_GE(test, jiffies - begin, 3);
	sleep_jiffies(2);
	KUNIT_EXPECT_TRUE(test, still_waits(w));
	KUNIT_EXPECT_TRUE(test, is_late(l, mid));
	KUNIT_EXPECT_EQ(test, 0, result(w));
}

static void drain_lets_a_quarantine_begin(struct kunit *test)
{
	struct life *l = full_life(test, 4, 4);
	struct waiter *w = drainer(l);
	unsigned int n;

	for (n = 0; n < 4; n++)
		KUNIT_EXPECT_TRUE(test, mid_atlas_abandon(l->atlas, l->mid[n],
							  nr_ctx(n), 3));
	KUNIT_EXPECT_EQ(test, 0, result(w));
	KUNIT_EXPECT_EQ(test, 0, abandoned(l->atlas));
}

static void drain_sends_waiters_off(struct kunit *test)
{
	struct life *l = full_life(test, 2, 2);
	struct waiter *w;
	unsigned int n;

	for (n = 0; n < 10; n++)
		enqueue(l, FOR_EVER);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, mid_atlas_drain(l->atlas, 0));
	list_for_each_entry(w, &l->waiters, node) {
		KUNIT_EXPECT_EQ(test, -ESHUTDOWN, result(w));
		KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	}
	expect_mapped(l, 0);
}

static void destroy_sends_waiters_off_and_hands_over_the_rest(struct kunit *test)
{
	struct life *l = full_life(test, 100, 0);
	struct tally *t = tally_of(l);
	struct waiter *w;
	unsigned int n;

	for (n = 0; n < 10; n++)
		enqueue(l, PATIENCE);
	mid_atlas_destroy(l->atlas, count, t);
	l->atlas = NULL;
	list_for_each_entry(w, &l->waiters, node) {
		KUNIT_EXPECT_EQ(test, -ESHUTDOWN, result(w));
		KUNIT_EXPECT_EQ(test, w->mid, UNTOUCHED);
	}
	expect_tally(t, 0, 1);
}

/* A timer that was left behind would touch what is freed. */
static void destroy_hands_over_nothing_that_is_in_quarantine(struct kunit *test)
{
	struct life *l = full_life(test, 100, 0);
	struct tally *t = tally_of(l);
	unsigned int n;

	for (n = 0; n < 50; n += 2)
		KUNIT_ASSERT_TRUE(test, mid_atlas_abandon(l->atlas, l->mid[n],
							  nr_ctx(n), 2 + n % 3));
	for (n = 50; n < 100; n += 2)
		mid_atlas_dissociate(l->atlas, l->mid[n]);
	mid_atlas_destroy(l->atlas, count, t);
	l->atlas = NULL;
	rcu_barrier();
	sleep_jiffies(5);
	expect_tally(t, 1, 2);
}

static struct kunit_case drain_cases[] = {
	KUNIT_CASE_PARAM(drain_of_an_empty_atlas_returns_at_once_and_again,
			 sizes_gen_params),
	KUNIT_CASE(drain_of_an_unused_atlas_returns_at_once),
	KUNIT_CASE(drain_times_out_and_leaves_alone_what_is_in_flight),
	KUNIT_CASE(drain_is_for_good),
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
	struct life *l = life_create(test, 4096, 100);
	struct mid_atlas_stats s = stats_of(l->atlas);

	KUNIT_EXPECT_MEMEQ(test, &s, &new, sizeof(s));
}

static void stats_tell_stale_unknown_and_late_apart(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	u16 stale = take(l, nr_ctx(0)), live = take(l, nr_ctx(1)), late;
	struct mid_atlas_stats s;

	mid_atlas_dissociate(l->atlas, stale);
	late = take_and_abandon(l, nr_ctx(2), LONG_WHILE);
	mid_atlas_dissociate(l->atlas, stale);
	mid_atlas_dissociate(l->atlas, SERVER_MID);
	mid_atlas_dissociate(l->atlas, live ^ 0x8000);
	mid_atlas_dissociate(l->atlas, late ^ 0x8000);
	mid_atlas_dissociate(l->atlas, late);

	s = stats_of(l->atlas);
	KUNIT_EXPECT_EQ(test, s.stale, 1);
	KUNIT_EXPECT_EQ(test, s.unknown, 3);
	KUNIT_EXPECT_EQ(test, s.late, 1);
	KUNIT_EXPECT_EQ(test, s.associated, 3);
	KUNIT_EXPECT_EQ(test, s.dissociated, 2);
	KUNIT_EXPECT_EQ(test, s.in_use, 1);
}

/* Lookups and refused claims are no replies. */
static void stats_count_dissociates_only(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	u16 stale = take(l, nr_ctx(0));
	struct mid_atlas_stats s;

	mid_atlas_dissociate(l->atlas, stale);
	map_rcu(l->atlas, stale);
	mid_atlas_map_get(l->atlas, stale, request_get);
	mid_atlas_reassociate(l->atlas, stale, nr_ctx(1));
	mid_atlas_dissociate_if(l->atlas, stale, nr_ctx(0));
	mid_atlas_abandon(l->atlas, stale, nr_ctx(0), 1);
	s = stats_of(l->atlas);
	KUNIT_EXPECT_EQ(test, s.stale + s.unknown + s.late, 0);
}

/* The one slot has all its MIDs behind it, and begins anew. */
static void stale_mid_is_never_taken_for_an_unknown_one(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);
	unsigned int n;
	u16 mid;

	for (n = 0; n < MID_VALUES + 10; n++) {
		mid = take(l, nr_ctx(n));
		mid_atlas_dissociate(l->atlas, mid);
		if (n > 0)
			mid_atlas_dissociate(l->atlas, l->mid[n / 2]);
		if (n < MID_VALUES)
			l->mid[n] = mid;
	}
	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).unknown);
	KUNIT_EXPECT_EQ(test, n - 1, stats_of(l->atlas).stale);
}

static void stats_count_who_found_all_in_use(struct kunit *test)
{
	struct life *l = full_life(test, 50, 0);	/* one was refused */
	u16 mid;

	KUNIT_EXPECT_EQ(test, 1, stats_of(l->atlas).exhausted);
	fill(l);
	fill(l);
	KUNIT_EXPECT_EQ(test, 3, stats_of(l->atlas).exhausted);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
			mid_atlas_associate_wait(l->atlas, test, &mid,
						 GFP_KERNEL, 0));
	KUNIT_EXPECT_EQ(test, 4, stats_of(l->atlas).exhausted);
	mid_atlas_claim_all(l->atlas, NULL, NULL);
	take(l, test);
	KUNIT_EXPECT_EQ(test, 4, stats_of(l->atlas).exhausted);
}

static void stats_show_slots_as_the_table_grows_and_shrinks(struct kunit *test)
{
	struct life *l = full_life(test, 300, 0);

	KUNIT_EXPECT_EQ(test, 300, stats_of(l->atlas).slots);
	mid_atlas_set_max(l->atlas, 200);
	KUNIT_EXPECT_EQ(test, 300, stats_of(l->atlas).slots);
	KUNIT_EXPECT_EQ(test, 200, stats_of(l->atlas).max);
	mid_atlas_claim_all(l->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 200, stats_of(l->atlas).slots);
	mid_atlas_set_max(l->atlas, 300);
	KUNIT_EXPECT_EQ(test, fill(l), 300);
	KUNIT_EXPECT_EQ(test, 300, stats_of(l->atlas).slots);
}

static void stats_show_waiters_while_they_wait(struct kunit *test)
{
	struct life *l = full_life(test, 1, 1);
	struct waiter *w;

	w = enqueue(l, FOR_EVER);
	enqueue(l, FOR_EVER);
	KUNIT_EXPECT_EQ(test, 2, stats_of(l->atlas).waiters);
	mid_atlas_dissociate(l->atlas, l->mid[0]);
	result(w);
	KUNIT_EXPECT_EQ(test, 1, stats_of(l->atlas).waiters);
	mid_atlas_dissociate(l->atlas, w->mid);
	await_waiters(l, 0);
}

static void stats_tell_the_age_of_the_oldest_request(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	unsigned long begin = jiffies, born, before, age;

	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).oldest);
	born = take_old_and_young(l);
	before = jiffies;
	age = stats_of(l->atlas).oldest;
	KUNIT_EXPECT_GE(test, age, before - born);
	KUNIT_EXPECT_LE(test, age, jiffies - begin);
	mid_atlas_dissociate(l->atlas, l->mid[0]);
	KUNIT_EXPECT_LT(test, stats_of(l->atlas).oldest, jiffies - born);
	/* Who was abandoned waits for nothing any more. */
	mid_atlas_abandon(l->atlas, l->mid[1], nr_ctx(1), LONG_WHILE);
	KUNIT_EXPECT_EQ(test, 0, stats_of(l->atlas).oldest);
}

static void high_water_is_the_most_that_were_in_use(struct kunit *test)
{
	struct life *l = full_life(test, 50, 0);

	mid_atlas_claim_all(l->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 50, stats_of(l->atlas).high_water);
	mid_atlas_set_max(l->atlas, 1000);
	fill(l);
	mid_atlas_claim_all(l->atlas, NULL, NULL);
	KUNIT_EXPECT_EQ(test, 1000, stats_of(l->atlas).high_water);
	take(l, nr_ctx(0));
	KUNIT_EXPECT_EQ(test, 1000, stats_of(l->atlas).high_water);
}

static void high_water_counts_the_abandoned(struct kunit *test)
{
	struct life *l = life_create(test, 50, 50);
	u16 mid;

	take_and_abandon(l, nr_ctx(0), LONG_WHILE);
	take_and_abandon(l, nr_ctx(1), LONG_WHILE);
	mid = take(l, nr_ctx(2));
	sleep_jiffies(3);
	mid_atlas_dissociate(l->atlas, mid);
	KUNIT_EXPECT_EQ(test, 3, stats_of(l->atlas).high_water);
}

/* Submits on one CPU, receives on another, as a client does. */
struct remote {
	struct life *l;
	unsigned int n;
	unsigned int wrong;
};

static long remote_submit(void *arg)
{
	struct remote *r = arg;
	unsigned int n;

	for (n = 0; n < r->n; n++)
		r->wrong += !!mid_atlas_associate(r->l->atlas, nr_ctx(n),
						  &r->l->mid[n], GFP_KERNEL);
	return 0;
}

static long remote_receive(void *arg)
{
	struct remote *r = arg;
	unsigned int n;

	for (n = 0; n < r->n; n++)
		r->wrong += mid_atlas_dissociate(r->l->atlas, r->l->mid[n]) !=
			    nr_ctx(n);
	return 0;
}

static void high_water_sees_a_peak_that_lasts_across_cpus(struct kunit *test)
{
	static const unsigned int flights[] = { 1, 10, 100, 5 };
	struct life *l = life_create(test, 4096, 4096);
	int submitter = cpumask_first(cpu_online_mask);
	int receiver = cpumask_nth(num_online_cpus() - 1, cpu_online_mask);
	struct remote r = { .l = l };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flights); i++) {
		r.n = flights[i];
		work_on_cpu(submitter, remote_submit, &r);
		sleep_jiffies(3);
		work_on_cpu(receiver, remote_receive, &r);
		sleep_jiffies(3);
	}
	KUNIT_EXPECT_EQ(test, r.wrong, 0);
	KUNIT_EXPECT_EQ(test, 100, stats_of(l->atlas).high_water);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(stats_of_a_new_atlas_are_its_limits),
	KUNIT_CASE(stats_tell_stale_unknown_and_late_apart),
	KUNIT_CASE(stats_count_dissociates_only),
	KUNIT_CASE(stale_mid_is_never_taken_for_an_unknown_one),
	KUNIT_CASE(stats_count_who_found_all_in_use),
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
	struct life *l;
	void (*make)(struct irq_calls *c);
	struct irq_work irq_work;
	struct tasklet_struct tasklet;
	bool in_irq;
	unsigned int wrong;
};

static void calls_from_hardirq(struct irq_work *work)
{
	struct irq_calls *c = container_of(work, typeof(*c), irq_work);

	c->in_irq = in_hardirq();
	c->make(c);
}

static void calls_from_softirq(struct tasklet_struct *tasklet)
{
	struct irq_calls *c = container_of(tasklet, typeof(*c), tasklet);

	c->in_irq = in_serving_softirq();
	c->make(c);
}

static void run_in_hardirq(struct irq_calls *c)
{
	c->irq_work = IRQ_WORK_INIT_HARD(calls_from_hardirq);
	irq_work_queue(&c->irq_work);
	irq_work_sync(&c->irq_work);
}

static void run_in_softirq(struct irq_calls *c)
{
	tasklet_setup(&c->tasklet, calls_from_softirq);
	tasklet_schedule(&c->tasklet);
	tasklet_kill(&c->tasklet);	/* waits until it has run */
}

struct irq_kind {
	const char *desc;
	void (*run)(struct irq_calls *c);
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

static struct irq_calls *irq_calls_of(struct kunit *test,
				      void (*make)(struct irq_calls *c))
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->l = life_create(test, IRQ_MIDS, IRQ_MIDS);
	c->make = make;
	return c;
}

static void run_in_irq(struct irq_calls *c)
{
	const struct irq_kind *kind = c->l->test->param_value;

	kind->run(c);
	KUNIT_EXPECT_TRUE(c->l->test, c->in_irq);
	KUNIT_EXPECT_EQ(c->l->test, c->wrong, 0);
}

/* Every call that interrupts may make. */
static void make_all_calls(struct irq_calls *c)
{
	struct mid_atlas *atlas = c->l->atlas;
	struct request rq = {};
	unsigned int i, seen = 0;
	u16 mid;

	for (i = 0; i < IRQ_MIDS; i++)
		c->wrong += !!mid_atlas_associate(atlas, nr_ctx(i),
						  &c->l->mid[i], GFP_ATOMIC);
	for (i = 0; i < IRQ_MIDS / 4; i++) {
		mid = c->l->mid[i];
		c->wrong += !mid_atlas_abandon(atlas, mid, nr_ctx(i), 1 + i % 3);
		if (i % 2)
			c->wrong += !!mid_atlas_dissociate(atlas, mid);
	}
	for (; i < IRQ_MIDS / 2; i++)
		c->wrong += !mid_atlas_dissociate_if(atlas, c->l->mid[i],
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
	c->wrong += stats_of(atlas).associated != IRQ_MIDS + 1;
}

static void interrupt_may_make_every_call_that_does_not_wait(struct kunit *test)
{
	struct irq_calls *c = irq_calls_of(test, make_all_calls);

	run_in_irq(c);
	await_abandoned(c->l, 0);
	life_check(c->l);
}

/* As many as there are waiters, in different ways. */
static void free_four(struct irq_calls *c)
{
	struct mid_atlas *atlas = c->l->atlas;
	u16 *mid = c->l->mid;

	c->wrong += mid_atlas_dissociate(atlas, mid[0]) != nr_ctx(0);
	c->wrong += !mid_atlas_dissociate_if(atlas, mid[1], nr_ctx(1));
	c->wrong += !mid_atlas_abandon(atlas, mid[2], nr_ctx(2), LONG_WHILE);
	c->wrong += !!mid_atlas_dissociate(atlas, mid[2]);
	c->wrong += !!mid_atlas_set_max(atlas, IRQ_MIDS + 1);
}

static void waiter_is_served_from_interrupts(struct kunit *test)
{
	struct irq_calls *c = irq_calls_of(test, free_four);
	struct waiter *w[4];
	unsigned int n;

	fill(c->l);
	for (n = 0; n < ARRAY_SIZE(w); n++)
		w[n] = enqueue(c->l, FOR_EVER);
	run_in_irq(c);
	for (n = 0; n < ARRAY_SIZE(w); n++)
		KUNIT_EXPECT_EQ(test, 0, result(w[n]));
}

#define IRQ_ITERATIONS	PART_OF(50000)

struct irq_churn {
	struct life *l;
	atomic_t nr;
};

/* Nobody else knows its context, so each claim of it must succeed. */
static bool life_churn(void *arg)
{
	struct irq_churn *c = arg;
	struct mid_atlas *atlas = c->l->atlas;
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

	c->l = life_create(test, 128, 128);
	kunit_run_irq_test(test, life_churn, IRQ_ITERATIONS, c);
	await_abandoned(c->l, 0);
	KUNIT_EXPECT_EQ(test, 0, stats_of(c->l->atlas).in_use);
	life_check(c->l);
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

/* ------------------------------------------------------------------------
 * Two CPUs
 */

static int race_cpu(int side)
{
	return cpumask_nth(side, cpu_online_mask);
}

/* The test's own thread is one of the two. */
static void stay_on_side(struct kunit *test, int side)
{
	KUNIT_ASSERT_EQ(test, 0,
			set_cpus_allowed_ptr(current, cpumask_of(race_cpu(side))));
}

static void spin(unsigned int n)
{
	while (n--)
		cpu_relax();
}

/* A moment of a length that is not the same each time. */
static void dither(struct rnd_state *rnd, unsigned int most)
{
	spin(prandom_u32_state(rnd) % most);
}

/* Another atlas for one that is not needed any more. */
static void life_renew(struct life *l, unsigned int max_mids,
		       unsigned int initial_mids)
{
	mid_atlas_destroy(l->atlas, NULL, NULL);
	l->used = 0;
	l->atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	if (IS_ERR(l->atlas))
		l->atlas = NULL;
	KUNIT_ASSERT_NOT_NULL(l->test, l->atlas);
}

/*
 * Side 0 gives requests a MID and ends them at once; side 1 looks for them with
 * map_get.  They go after a grace period, as kfree_rcu() would have it.
 */
#define PUTS		PART_OF(100000)
#define ALIVE		0x600dbeefu
#define DEAD		0xdeadbeefu

struct put_race {
	struct life *l;
	atomic_t arrivals;
	bool done;
	u16 mid;
	atomic_t alive;
	atomic_t wrong;
	unsigned int got;
};

struct counted {
	struct put_race *race;
	unsigned int state;
	refcount_t refs;
	struct rcu_head rcu;
};

static struct counted *counted_new(struct put_race *r)
{
	struct counted *c = kmalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->race = r;
	c->state = ALIVE;
	refcount_set(&c->refs, 1);
	atomic_inc(&r->alive);
	return c;
}

static void counted_free(struct rcu_head *rcu)
{
	struct counted *c = container_of(rcu, typeof(*c), rcu);

	WRITE_ONCE(c->state, DEAD);
	atomic_dec(&c->race->alive);
	kfree(c);
}

static bool counted_get(void *ctx)
{
	struct counted *c = ctx;

	if (READ_ONCE(c->state) != ALIVE)
		return true;		/* side 1 finds it so */
	return refcount_inc_not_zero(&c->refs);
}

static void counted_put(void *ctx)
{
	struct counted *c = ctx;

	if (refcount_dec_and_test(&c->refs))
		call_rcu(&c->rcu, counted_free);
}

static void put_race_submit(struct put_race *r)
{
	struct counted *c;
	unsigned int n;

	for (n = 0; n < PUTS; n++) {
		c = counted_new(r);
		if (!c)
			break;
		if (mid_atlas_associate(r->l->atlas, c, &r->mid, GFP_KERNEL))
			atomic_inc(&r->wrong);
		/* Long enough to be found, now and then. */
		if (n % 64 == 0)
			udelay(1);
		if (mid_atlas_dissociate(r->l->atlas, r->mid) != c)
			atomic_inc(&r->wrong);
		counted_put(c);
		cond_resched();
	}
	WRITE_ONCE(r->done, true);
}

static void put_race_receive(struct put_race *r)
{
	struct counted *c;

	while (!READ_ONCE(r->done)) {
		c = mid_atlas_map_get_put(r->l->atlas, READ_ONCE(r->mid),
					  counted_get, counted_put);
		if (c) {
			r->got++;
			if (READ_ONCE(c->state) != ALIVE)
				atomic_inc(&r->wrong);
			else
				counted_put(c);
		}
		cond_resched();
	}
}

static void run_put_race(void *arg, int side)
{
	struct put_race *r = arg;

	if (side == 0)
		r->done = false;
	meet(&r->arrivals);
	if (side == 0)
		put_race_submit(r);
	else
		put_race_receive(r);
}

static void map_get_racing_the_last_put_leaks_nothing_and_finds_nothing_dead(struct kunit *test)
{
	struct put_race *r = test_alloc(test, sizeof(*r));
	unsigned int turns;

	r->l = full_life(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	/* One is free, and its MID is always the same. */
	mid_atlas_dissociate(r->l->atlas, r->l->mid[0]);
	r->mid = r->l->mid[0];
	turns = race_until(r->got, test, run_put_race, r);
	rcu_barrier();
	kunit_info(test, "%u of %u requests were found\n", r->got, turns * PUTS);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->alive), 0);
	KUNIT_EXPECT_GT(test, r->got, 0);
}

/*
 * The MID is always the same one.  Whatever becomes of it, its slot holds other
 * things than contexts in between; a map must never return one.
 */
#define MARK		BIT(BITS_PER_LONG - 2)
#define MARKED_USES	PART_OF(100000)

struct mark_race {
	struct life *l;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned int wrong;
	unsigned int seen;
	unsigned long strange;
};

static void mark_race_use(struct mark_race *r)
{
	struct mid_atlas *atlas = r->l->atlas;
	unsigned long nr;
	void *ctx;
	u16 mid;

	for (nr = 1; nr <= 2 * MARKED_USES; nr += 2) {
		ctx = (void *)(MARK | nr);
		r->wrong += !!mid_atlas_associate(atlas, ctx, &mid, GFP_KERNEL);
		if (nr % 4 == 1) {
			r->wrong += mid_atlas_reassociate(atlas, r->mid, (void *)
							  (MARK | (nr + 1))) != ctx;
			ctx = (void *)(MARK | (nr + 1));
		}
		r->wrong += !mid_atlas_abandon(atlas, r->mid, ctx,
					       nr % 8 < 4 ? LONG_WHILE : 0);
		r->wrong += !!mid_atlas_dissociate(atlas, r->mid);
		cond_resched();
	}
	WRITE_ONCE(r->done, true);
}

static void mark_race_map(struct mark_race *r)
{
	unsigned long nr, last = 0;

	while (!READ_ONCE(r->done)) {
		nr = (unsigned long)map_rcu(r->l->atlas, r->mid);
		cond_resched();
		if (!nr)
			continue;
		/* Once a newer one was seen, no older one may be. */
		if (!(nr & MARK) || nr < last)
			r->strange = nr;
		r->seen += nr != last;
		last = nr;
	}
}

static void run_mark_race(void *arg, int side)
{
	struct mark_race *r = arg;

	if (side == 0)
		r->done = false;
	meet(&r->arrivals);
	if (side == 0)
		mark_race_use(r);
	else
		mark_race_map(r);
}

static void map_sees_contexts_only_whatever_becomes_of_the_mid(struct kunit *test)
{
	struct mark_race *r = test_alloc(test, sizeof(*r));

	r->l = full_life(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	r->mid = r->l->mid[0];
	mid_atlas_dissociate(r->l->atlas, r->mid);
	race_until(r->seen >= 2, test, run_mark_race, r);
	kunit_info(test, "%u contexts were seen\n", r->seen);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ_MSG(test, r->strange, 0, "%#lx is no context of it",
			    r->strange);
	KUNIT_EXPECT_GE(test, r->seen, 2);
}

/* Two ways to claim, for all contexts at once: each goes to one side. */
#define CLAIMS		512
#define CLAIM_ROUNDS	PART_OF(150)

struct claim_race;

struct rivals {
	const char *desc;
	void (*claim[2])(struct claim_race *r, int side);
};

struct claim_race {
	struct life *l;
	const struct rivals *rivals;
	atomic_t arrivals;
	unsigned int wrong[2];
	unsigned int won[2];
	u8 got[2][2 * CLAIMS];	/* old contexts, then what replaced them */
};

/* Of each 16 one side begins with the first, the other with the last. */
static unsigned int claim_nth(int side, unsigned int n)
{
	return side ? n : n ^ 15;
}

static void claim_got(struct claim_race *r, int side, const void *ctx)
{
	unsigned long nr = ctx_nr(ctx);

	if (nr < 2 * CLAIMS)
		r->got[side][nr]++;
	else
		r->wrong[side]++;
}

static void claim_by_dissociate(struct claim_race *r, int side)
{
	unsigned int n;
	void *ctx;

	for (n = 0; n < CLAIMS; n++) {
		ctx = mid_atlas_dissociate(r->l->atlas,
					   r->l->mid[claim_nth(side, n)]);
		if (ctx)
			claim_got(r, side, ctx);
	}
}

static void claim_by_dissociate_if(struct claim_race *r, int side)
{
	unsigned int n, i;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		if (mid_atlas_dissociate_if(r->l->atlas, r->l->mid[i], nr_ctx(i)))
			claim_got(r, side, nr_ctx(i));
	}
}

static void claim_by_abandon(struct claim_race *r, int side)
{
	unsigned int n, i;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		if (mid_atlas_abandon(r->l->atlas, r->l->mid[i], nr_ctx(i),
				      LONG_WHILE))
			claim_got(r, side, nr_ctx(i));
	}
}

static void claim_by_reassociate(struct claim_race *r, int side)
{
	unsigned int n, i;
	void *ctx;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		ctx = mid_atlas_reassociate(r->l->atlas, r->l->mid[i],
					    nr_ctx(CLAIMS + i));
		if (ctx)
			claim_got(r, side, ctx);
	}
}

static void claimed_by_0(void *ctx, u16 mid, void *arg)
{
	claim_got(arg, 0, ctx);
}

static void claimed_by_1(void *ctx, u16 mid, void *arg)
{
	claim_got(arg, 1, ctx);
}

static void claim_by_claim_all(struct claim_race *r, int side)
{
	mid_atlas_claim_all(r->l->atlas, side ? claimed_by_1 : claimed_by_0, r);
}

static void claim_by_claim_older(struct claim_race *r, int side)
{
	mid_atlas_claim_older(r->l->atlas, 0, side ? claimed_by_1 : claimed_by_0,
			      r);
}

static const struct rivals all_rivals[] = {
	{ "a reply, a timer",
	  { claim_by_dissociate, claim_by_dissociate_if } },
	{ "a reply, a signal",
	  { claim_by_dissociate, claim_by_abandon } },
	{ "a reply, a reset",
	  { claim_by_dissociate, claim_by_claim_all } },
	{ "a reply, a sweep",
	  { claim_by_dissociate, claim_by_claim_older } },
	{ "a timer, a sweep",
	  { claim_by_dissociate_if, claim_by_claim_older } },
	{ "a reset, a reset",
	  { claim_by_claim_all, claim_by_claim_all } },
	{ "a signal, a reset",
	  { claim_by_abandon, claim_by_claim_all } },
	{ "a signal, a signal",
	  { claim_by_abandon, claim_by_abandon } },
	{ "a reassociate, a timer",
	  { claim_by_reassociate, claim_by_dissociate_if } },
	{ "a reassociate, a signal",
	  { claim_by_reassociate, claim_by_abandon } },
	{ "a reassociate, a reset",
	  { claim_by_reassociate, claim_by_claim_all } },
};

static void rivals_desc(const struct rivals *rivals, char *desc)
{
	strscpy(desc, rivals->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(all_rivals, all_rivals, rivals_desc);

static void claim_race_fill(struct claim_race *r)
{
	unsigned int i;

	memset(r->got, 0, sizeof(r->got));
	for (i = 0; i < CLAIMS; i++)
		r->wrong[0] += !!mid_atlas_associate(r->l->atlas, nr_ctx(i),
						     &r->l->mid[i], GFP_KERNEL);
}

static void claim_race_judge(struct claim_race *r)
{
	unsigned int i, left = 0, replaced = 0;

	for (i = 0; i < CLAIMS; i++) {
		r->wrong[0] += r->got[0][i] + r->got[1][i] != 1;
		r->won[0] += r->got[0][i];
		r->won[1] += r->got[1][i];
		if (r->rivals->claim[0] == claim_by_reassociate)
			replaced += r->got[0][i];
	}
	/* What replaced another is with the rival, or still in. */
	for (; i < 2 * CLAIMS; i++)
		left += r->got[1][i];
	left += mid_atlas_claim_all(r->l->atlas, NULL, NULL);
	r->wrong[0] += left != replaced;
	/* Late replies to what was abandoned. */
	for (i = 0; i < CLAIMS; i++)
		r->wrong[0] += !!mid_atlas_dissociate(r->l->atlas, r->l->mid[i]);
	r->wrong[0] += stats_of(r->l->atlas).in_use != 0;
}

static void run_claim_race(void *arg, int side)
{
	struct claim_race *r = arg;
	unsigned int round;

	for (round = 0; round < CLAIM_ROUNDS; round++) {
		if (side == 0)
			claim_race_fill(r);
		meet(&r->arrivals);
		r->rivals->claim[side](r, side);
		meet(&r->arrivals);
		if (side == 0)
			claim_race_judge(r);
		cond_resched();
	}
}

static void context_goes_to_one_of(struct kunit *test)
{
	struct claim_race *r = test_alloc(test, sizeof(*r));

	r->rivals = test->param_value;
	/* A quarter of the maximum may be in quarantine: all of them. */
	r->l = life_create(test, 4 * CLAIMS, 4 * CLAIMS);
	race_until(r->won[0] && r->won[1], test, run_claim_race, r);
	kunit_info(test, "%s: %u and %u\n", r->rivals->desc, r->won[0], r->won[1]);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->won[0], 0);
	KUNIT_EXPECT_GT(test, r->won[1], 0);
	life_check(r->l);
}

/*
 * Side 0 frees the one MID while a waiter is in the queue, and takes it from
 * the waiter by reassociate: it is never free, so side 1 must never get it.
 */
#define OVERTAKES	PART_OF(10000)

struct overtake_race {
	struct life *l;
	struct waiter *w;
	atomic_t arrivals;
	bool done;
	unsigned int wrong;
	unsigned int overtaken;
	unsigned int tried;
};

static void overtake_race_serve(struct overtake_race *r)
{
	u16 mid = r->l->mid[0];
	unsigned int n;

	for (n = 0; n < OVERTAKES && !r->wrong; n++) {
		tell(r->w, PATIENCE);
		wait_for_completion(&r->w->begun);
		while (waiting(r->l->atlas) != 1 || task_is_running(r->w->task))
			cond_resched();
		r->wrong += mid_atlas_dissociate(r->l->atlas, mid) != r->l;
		r->wrong += !wait_for_completion_timeout(&r->w->done, PATIENCE);
		r->wrong += !!r->w->err;
		mid = r->w->mid;
		r->wrong += mid_atlas_reassociate(r->l->atlas, mid, r->l) != r->w;
	}
	WRITE_ONCE(r->done, true);
}

static void overtake_race_try(struct overtake_race *r)
{
	u16 mid;

	while (!READ_ONCE(r->done)) {
		r->tried++;
		if (!mid_atlas_associate(r->l->atlas, r, &mid, GFP_KERNEL)) {
			r->overtaken++;
			mid_atlas_dissociate(r->l->atlas, mid);
		}
		cond_resched();
	}
}

static void run_overtake_race(void *arg, int side)
{
	struct overtake_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		overtake_race_serve(r);
	else
		overtake_race_try(r);
}

static void associate_never_overtakes_a_waiter(struct kunit *test)
{
	struct overtake_race *r = test_alloc(test, sizeof(*r));

	r->l = life_create(test, 1, 1);
	r->l->mid[0] = take(r->l, r->l);
	r->w = waiter_create(r->l, race_cpu(0));
	race(test, run_overtake_race, r);
	kunit_info(test, "%u tries while %u waiters were served\n", r->tried,
		   OVERTAKES);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, r->overtaken, 0);
	KUNIT_EXPECT_GT(test, r->tried, 0);
}

/*
 * A slot is free before its dissociate is counted:
 *
 *	T1: dissociate			T2: associate
 *
 *	word: LIVE -> FREE
 *					word: FREE -> BUSY
 *					associated + 1
 *					sums up: 2
 *	dissociated + 1
 *
 * Who had that for the most in use would have seen more than there may be.
 */
#define FULL_RACES	300000

static void run_full_race(void *arg, int side)
{
	struct life *l = arg;
	unsigned int n;
	u16 mid;

	for (n = 0; n < FULL_RACES; n++)
		if (!mid_atlas_associate(l->atlas, nr_ctx(side), &mid, GFP_ATOMIC))
			mid_atlas_dissociate(l->atlas, mid);
}

static void high_water_never_exceeds_the_maximum(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);

	race(test, run_full_race, l);
	KUNIT_EXPECT_EQ(test, 1, stats_of(l->atlas).high_water);
	expect_balance(l);
}

/*
 * As many victims as heirs are in the queue, and half as many MIDs in use.  The
 * victims are killed on the other CPU, or their time is over, while the MIDs are
 * given back.  A victim that got a MID gives it back; one that did not must leave
 * it to the next.  So in the end all heirs have one, or a wake-up was lost.
 */
#define VICTIMS		100

struct fate {
	const char *desc;
	int err;
	unsigned long timeout;
	unsigned int rounds;
};

static const struct fate fates[] = {
	{ "are killed", -ERESTARTSYS, FOR_EVER, 1000 },
	{ "have waited too long", -ETIMEDOUT, 2, 50 },
};

static void fate_desc(const struct fate *fate, char *desc)
{
	strscpy(desc, fate->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(fates, fates, fate_desc);

struct fate_race {
	struct life *l;
	const struct fate *fate;
	struct waiter *victim[VICTIMS];
	struct waiter *heir[VICTIMS];
	struct rnd_state rnd;
	unsigned int died;
};

static void fate_race_queue(struct fate_race *r)
{
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		tell(r->victim[i], r->fate->timeout);
		tell(r->heir[i], FOR_EVER);
	}
	for (i = 0; i < VICTIMS; i++) {
		await_sleep(r->victim[i]);
		await_sleep(r->heir[i]);
	}
	if (r->fate->timeout == FOR_EVER)
		KUNIT_ASSERT_EQ(r->l->test, 2 * VICTIMS, waiting(r->l->atlas));
}

static void fate_race_kill_one(struct fate_race *r, unsigned int i)
{
	bool kill_first = prandom_u32_state(&r->rnd) % 2;

	if (kill_first)
		send(r->victim[i], SIGKILL);
	dither(&r->rnd, 500);
	mid_atlas_dissociate(r->l->atlas, r->l->mid[i]);
	dither(&r->rnd, 500);
	if (!kill_first)
		send(r->victim[i], SIGKILL);
}

/* All MIDs within two ticks, so that the end of some one's time is among them. */
static void fate_race_free_one(struct fate_race *r, unsigned int i)
{
	udelay(2 * USEC_PER_SEC / HZ / VICTIMS);
	mid_atlas_dissociate(r->l->atlas, r->l->mid[i]);
}

static void fate_race_free(struct fate_race *r)
{
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		if (r->fate->timeout == FOR_EVER)
			fate_race_kill_one(r, i);
		else
			fate_race_free_one(r, i);
	}
}

static void fate_race_inherit(struct fate_race *r)
{
	struct kunit *test = r->l->test;
	struct waiter *victim;
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		victim = r->victim[i];
		if (!result(victim)) {
			KUNIT_ASSERT_PTR_EQ(test, victim,
					    mid_atlas_dissociate(r->l->atlas,
								 victim->mid));
			continue;
		}
		KUNIT_ASSERT_EQ(test, victim->err, r->fate->err);
		r->died++;
	}
	for (i = 0; i < VICTIMS; i++) {
		KUNIT_ASSERT_EQ(test, 0, result(r->heir[i]));
		r->l->mid[i] = r->heir[i]->mid;
	}
}

static void no_wake_up_is_lost_when_waiters(struct kunit *test)
{
	struct fate_race *r = test_alloc(test, sizeof(*r));
	unsigned long end = jiffies + RACE_PATIENCE;
	unsigned int round, i;

	stay_on_side(test, 0);
	prandom_seed_state(&r->rnd, seed);
	r->fate = test->param_value;
	r->l = full_life(test, VICTIMS, VICTIMS);
	for (i = 0; i < VICTIMS; i++) {
		r->victim[i] = waiter_create(r->l, race_cpu(1));
		r->heir[i] = waiter_create(r->l, race_cpu(i % 2));
	}
	for (round = 0; round < PART_OF(r->fate->rounds) ||
	     (time_before(jiffies, end) &&
	      (!r->died || r->died == round * VICTIMS)); round++) {
		fate_race_queue(r);
		fate_race_free(r);
		fate_race_inherit(r);
	}
	kunit_info(test, "%u of %u victims got no MID\n", r->died,
		   round * VICTIMS);
	KUNIT_EXPECT_GT(test, r->died, 0);
	KUNIT_EXPECT_LT(test, r->died, round * VICTIMS);
	life_check(r->l);
}

/*
 * More tasks than MIDs, while the maximum changes and signals come.  Whoever
 * waits gets one in time, and has it for itself.
 */
#define CROWD		8
#define CROWD_CYCLES	PART_OF(3000)
#define CROWD_MAX	5

struct crowd {
	struct life *l;
	atomic_t inside;
};

static void crowd_member(struct waiter *w)
{
	struct mid_atlas *atlas = w->l->atlas;
	unsigned int n = 0;
	int err;
	u16 mid;

	while (n < CROWD_CYCLES && !w->wrong) {
		err = mid_atlas_associate_wait(atlas, w, &mid, GFP_KERNEL, PATIENCE);
		if (err == -ERESTARTSYS) {
			flush_signals(current);
			continue;
		}
		w->wrong += !!err || map_rcu(atlas, mid) != w;
		if (n++ % 4 == 0)
			cond_resched();
		w->wrong += mid_atlas_dissociate(atlas, mid) != w;
	}
}

static void few_mids_serve_a_crowd_through_kills_and_changes(struct kunit *test)
{
	struct life *l = life_create(test, CROWD_MAX, CROWD_MAX);
	unsigned int i, done, wrong = 0, changes = 0;
	struct rnd_state rnd;
	struct waiter *w;

	prandom_seed_state(&rnd, seed);
	for (i = 0; i < CROWD; i++) {
		w = waiter_create(l, race_cpu(i % 2));
		w->job = crowd_member;
		tell(w, 0);
	}
	do {
		done = 0;
		list_for_each_entry(w, &l->waiters, node) {
			done += !still_waits(w);
			if (prandom_u32_state(&rnd) % CROWD == 0)
				send(w, SIGKILL);
		}
		mid_atlas_set_max(l->atlas, 1 + prandom_u32_state(&rnd) % CROWD_MAX);
		usleep_range(20, 50);
		changes++;
	} while (done < CROWD);

	list_for_each_entry(w, &l->waiters, node)
		wrong += w->wrong;
	kunit_info(test, "%u changes of the maximum\n", changes);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	life_check(l);
}

/*
 * The lost wake-up of the outgrown table.
 *
 *	T1: dissociate(M of the older)	T2: associate_wait
 *
 *	word: LIVE -> FREE
 *	mode: nobody waits
 *					-ENOSPC, as the slot is still in
 *					service; into the queue, sleeps
 *	retires the slot, puts one of
 *	the new table into service
 *	nobody waits (it had looked)
 *
 * T2 slept, with a MID free, until some other was freed.  The window is T1's
 * from its look to the lock; interrupts that take their time make it wide.
 */
#define OUTGROWN	64
#define OUTGROWN_ROUNDS	PART_OF(5000)

struct outgrown_race {
	struct life *l;
	atomic_t arrivals;
	struct rnd_state rnd[2];
	unsigned int round;
	bool done;
	bool lost;
};

static void outgrown_race_wait(struct waiter *w)
{
	struct outgrown_race *r = w->arg;

	for (;;) {
		meet(&r->arrivals);
		if (READ_ONCE(r->done))
			break;
		dither(&r->rnd[1], 300);
		if (mid_atlas_associate_wait(r->l->atlas, w, &w->mid, GFP_KERNEL,
					     HZ))
			r->lost = true;
		meet(&r->arrivals);
	}
}

/* All MIDs are in use, one in the new table and the others in the older one. */
static void outgrown_race_renew(struct outgrown_race *r)
{
	life_renew(r->l, OUTGROWN, OUTGROWN);
	fill(r->l);
	way_grow(r->l);
}

static bool outgrown_race_free(void *arg)
{
	struct outgrown_race *r = arg;
	unsigned int i = r->round % OUTGROWN;

	if (!in_task()) {
		spin(1000);
		return true;
	}
	if (i == 0)
		outgrown_race_renew(r);
	meet(&r->arrivals);
	dither(&r->rnd[0], 300);
	mid_atlas_dissociate(r->l->atlas, r->l->mid[i]);
	r->round++;
	meet(&r->arrivals);
	return !r->lost;
}

static void no_wake_up_is_lost_when_an_outgrown_slot_is_freed(struct kunit *test)
{
	struct outgrown_race *r = test_alloc(test, sizeof(*r));
	unsigned int turn;
	struct waiter *w;

	stay_on_side(test, 0);
	r->l = life_create(test, OUTGROWN, OUTGROWN);
	prandom_seed_state(&r->rnd[0], seed);
	prandom_seed_state(&r->rnd[1], seed + 1);
	w = waiter_create(r->l, race_cpu(1));
	w->job = outgrown_race_wait;
	w->arg = r;
	tell(w, 0);
	/* A second at most each time. */
	for (turn = 0; turn < 5 && r->round < OUTGROWN_ROUNDS && !r->lost; turn++)
		kunit_run_irq_test(test, outgrown_race_free, OUTGROWN_ROUNDS, r);
	WRITE_ONCE(r->done, true);
	meet(&r->arrivals);
	kunit_info(test, "%u rounds\n", r->round);
	KUNIT_EXPECT_FALSE(test, r->lost);
	result(w);
}

/*
 * Side 0 abandons each request as it has sent it.  Side 1 has the replies: one
 * half at once, racing the abandon, the other half whenever they please, racing
 * the end of the quarantine or, in a small atlas, its lack of room.  Each request
 * must end once and each MID be freed once.
 */
#define MOST_ABANDONS	1000000
#define ABANDON_WINDOW	2048	/* how far side 0 may be ahead of side 1 */
#define ABANDON_LAG	4096	/* how late a late reply may be */
#define ABANDON_RING	8192	/* more than the two together */

struct abandons {
	unsigned int max_mids;
	unsigned int total;
};

static const struct abandons all_abandons[] = {
	{ 64, MOST_ABANDONS / 4 }, { 65535, MOST_ABANDONS },
};

static void abandons_desc(const struct abandons *abandons, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u, %u races",
		 abandons->max_mids, PART_OF(abandons->total));
}

KUNIT_ARRAY_PARAM(all_abandons, all_abandons, abandons_desc);

struct abandon_race {
	struct life *l;
	unsigned int total;
	atomic_t arrivals;
	struct rnd_state rnd;
	unsigned int issued;
	unsigned int replied;
	unsigned int abandoned;
	unsigned int claimed;
	unsigned int wrong[2];
	u16 mid[ABANDON_RING];
	DECLARE_BITMAP(ended, MOST_ABANDONS);
};

/* Returns 1 if it was not the first time. */
static unsigned int abandon_race_end(struct abandon_race *r, const void *ctx)
{
	unsigned long nr = ctx_nr(ctx);

	return nr >= r->total || test_and_set_bit(nr, r->ended);
}

static void abandon_race_submit(struct abandon_race *r)
{
	unsigned int nr;
	u16 mid;

	for (nr = 0; nr < r->total; nr++) {
		while (nr - READ_ONCE(r->replied) >= ABANDON_WINDOW)
			cpu_relax();
		r->wrong[0] += !!mid_atlas_associate(r->l->atlas, nr_ctx(nr), &mid,
						     GFP_KERNEL);
		r->mid[nr % ABANDON_RING] = mid;
		/* Pairs with abandon_race_reply(). */
		smp_store_release(&r->issued, nr + 1);
		if (mid_atlas_abandon(r->l->atlas, mid, nr_ctx(nr), 1 + nr % 2)) {
			r->abandoned++;
			r->wrong[0] += abandon_race_end(r, nr_ctx(nr));
		}
		cond_resched();
	}
}

static void abandon_race_reply(struct abandon_race *r)
{
	unsigned int nr, to;
	void *ctx;

	for (nr = 0; nr < r->total; nr++) {
		/* Pairs with abandon_race_submit(). */
		while (smp_load_acquire(&r->issued) <= nr)
			cpu_relax();
		to = nr;
		if (nr % 2)
			to -= min(nr, prandom_u32_state(&r->rnd) % ABANDON_LAG);
		ctx = mid_atlas_dissociate(r->l->atlas, r->mid[to % ABANDON_RING]);
		if (ctx) {
			r->claimed++;
			r->wrong[1] += ctx != nr_ctx(to) || abandon_race_end(r, ctx);
		}
		WRITE_ONCE(r->replied, nr + 1);
		cond_resched();
	}
}

static void run_abandon_race(void *arg, int side)
{
	struct abandon_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		abandon_race_submit(r);
	else
		abandon_race_reply(r);
}

static void abandon_and_reply_and_expiry_end_each_request_once(struct kunit *test)
{
	const struct abandons *abandons = test->param_value;
	struct abandon_race *r = test_alloc(test, sizeof(*r));
	struct mid_atlas_stats s;

	prandom_seed_state(&r->rnd, seed);
	r->total = PART_OF(abandons->total);
	r->l = life_create(test, abandons->max_mids, abandons->max_mids);
	race(test, run_abandon_race, r);
	await_abandoned(r->l, 0);

	s = stats_of(r->l->atlas);
	kunit_info(test, "%u replied in time, %llu late, %llu expired\n",
		   r->claimed, s.late, r->abandoned - s.late);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	KUNIT_EXPECT_EQ(test, r->claimed + r->abandoned, r->total);
	KUNIT_EXPECT_EQ(test, bitmap_weight(r->ended, r->total), r->total);
	KUNIT_EXPECT_EQ(test, s.associated, r->total);
	KUNIT_EXPECT_EQ(test, s.dissociated, r->total);
	KUNIT_EXPECT_EQ(test, s.in_use, 0);
	KUNIT_EXPECT_EQ(test, s.unknown, 0);
	KUNIT_EXPECT_EQ(test, r->claimed + s.late + s.stale, r->total);
	KUNIT_EXPECT_GT(test, r->claimed, 0);
	KUNIT_EXPECT_GT(test, s.late, 0);
	KUNIT_EXPECT_GT(test, r->abandoned, s.late);
	life_check(r->l);
}

/*
 * The abandon that never ended.
 *
 *	T1: abandon			T2: set_max(3)
 *
 *	max is 4: room for one
 *					max = 3: room for none
 *	lock; 0 of 0 are in quarantine:
 *	frees the oldest (there is none)
 *	and tries again, for ever
 *
 * T2 sees that T1 does not get on, and saves it by a higher maximum.
 */
#define CAP_ROUNDS	PART_OF(2000)

struct cap_race {
	struct life *l;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool done;
	unsigned long steps;
	unsigned int wrong;
	unsigned int stuck;
};

static void cap_race_abandon(struct cap_race *r)
{
	struct mid_atlas *atlas = r->l->atlas;
	u16 mid;

	while (!READ_ONCE(r->done)) {
		r->wrong += !!mid_atlas_associate(atlas, r, &mid, GFP_KERNEL);
		r->wrong += !mid_atlas_abandon(atlas, mid, r, LONG_WHILE);
		r->wrong += !!mid_atlas_dissociate(atlas, mid);
		WRITE_ONCE(r->steps, r->steps + 1);
		cond_resched();
	}
}

static void cap_race_change(struct cap_race *r)
{
	unsigned long steps, end;
	unsigned int n;

	for (n = 0; n < CAP_ROUNDS && !r->stuck; n++) {
		mid_atlas_set_max(r->l->atlas, 4);
		dither(&r->rnd, 1000);
		mid_atlas_set_max(r->l->atlas, 3);
		steps = READ_ONCE(r->steps);
		end = jiffies + PATIENCE;
		while (READ_ONCE(r->steps) - steps < 2 && time_before(jiffies, end))
			cond_resched();
		r->stuck += READ_ONCE(r->steps) - steps < 2;
	}
	WRITE_ONCE(r->done, true);
	mid_atlas_set_max(r->l->atlas, 4);
}

static void run_cap_race(void *arg, int side)
{
	struct cap_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		cap_race_abandon(r);
	else
		cap_race_change(r);
}

static void abandon_ends_though_the_maximum_falls_below_4(struct kunit *test)
{
	struct cap_race *r = test_alloc(test, sizeof(*r));

	prandom_seed_state(&r->rnd, seed);
	r->l = life_create(test, 4, 4);
	race(test, run_cap_race, r);
	KUNIT_EXPECT_EQ(test, r->stuck, 0);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	life_check(r->l);
}

/*
 * Both sides take and give back while side 0 changes the maximum.  When they
 * pause, what they hold must be theirs, and exactly as many more get in as the
 * maximum has room for.
 */
#define LIMIT_MIDS	4096	/* that a side may hold */
#define LIMIT_ROUNDS	PART_OF(20)
#define LIMIT_CALLS	4000

struct limit_race {
	struct life *l;
	atomic_t arrivals;
	unsigned int most;
	unsigned int max_mids;
	unsigned int wrong[2];
	unsigned int held[2];
	struct rnd_state rnd[2];
	u16 mid[2][LIMIT_MIDS];
	void *ctx[2][LIMIT_MIDS];
};

static void limit_race_take(struct limit_race *r, int side, unsigned long nr)
{
	unsigned int n = r->held[side];
	void *ctx = nr_ctx(2 * nr + side);
	int err;

	if (n == LIMIT_MIDS)
		return;
	err = mid_atlas_associate(r->l->atlas, ctx, &r->mid[side][n], GFP_KERNEL);
	if (!err) {
		r->ctx[side][n] = ctx;
		r->held[side]++;
	}
	r->wrong[side] += err && err != -ENOSPC;
}

static void limit_race_give(struct limit_race *r, int side, u32 which)
{
	unsigned int i, last = r->held[side] - 1;

	if (!r->held[side])
		return;
	i = which % r->held[side]--;
	r->wrong[side] += mid_atlas_dissociate(r->l->atlas, r->mid[side][i]) !=
			  r->ctx[side][i];
	r->mid[side][i] = r->mid[side][last];
	r->ctx[side][i] = r->ctx[side][last];
}

static void limit_race_churn(struct limit_race *r, int side)
{
	unsigned int n;
	u32 value;

	for (n = 0; n < LIMIT_CALLS; n++) {
		value = prandom_u32_state(&r->rnd[side]);
		/* More come than go, or more go than come, for a while. */
		if (value % 4 < 1 + (n / 512) % 2 * 2)
			limit_race_give(r, side, value >> 2);
		else
			limit_race_take(r, side, n);
		if (side == 0 && value % 256 == 0) {
			r->max_mids = 1 + (value >> 8) % r->most;
			r->wrong[0] += mid_atlas_set_max(r->l->atlas, r->max_mids);
		}
		cond_resched();
	}
}

static void limit_race_judge(struct limit_race *r)
{
	unsigned int in_use = r->held[0] + r->held[1], n, more = 0, side;

	r->wrong[0] += stats_of(r->l->atlas).in_use != in_use;
	for (side = 0; side < 2; side++)
		for (n = 0; n < r->held[side]; n++)
			r->wrong[0] += map_rcu(r->l->atlas, r->mid[side][n]) !=
				       r->ctx[side][n];
	while (!mid_atlas_associate(r->l->atlas, r, &r->l->mid[more], GFP_KERNEL))
		more++;
	r->wrong[0] += more != (r->max_mids > in_use ? r->max_mids - in_use : 0);
	while (more--)
		r->wrong[0] += mid_atlas_dissociate(r->l->atlas,
						    r->l->mid[more]) != r;
}

static void run_limit_race(void *arg, int side)
{
	struct limit_race *r = arg;
	unsigned int round;

	for (round = 0; round < LIMIT_ROUNDS; round++) {
		meet(&r->arrivals);
		limit_race_churn(r, side);
		meet(&r->arrivals);
		if (side == 0)
			limit_race_judge(r);
	}
}

static const unsigned int limit_maxima[] = { 8, 65, 600, 5000 };

KUNIT_ARRAY_PARAM(limit_maxima, limit_maxima, uint_desc);

static void maximum_changes_under_load_and_is_kept(struct kunit *test)
{
	const unsigned int *most = test->param_value;
	struct limit_race *r = test_alloc(test, sizeof(*r));
	unsigned int n;

	r->most = *most;
	r->l = life_create(test, 1, 1);
	for (n = 0; n < 4; n++) {
		life_renew(r->l, 1, 1);
		r->max_mids = 1;
		memset(r->held, 0, sizeof(r->held));
		prandom_seed_state(&r->rnd[0], seed + 2 * n);
		prandom_seed_state(&r->rnd[1], seed + 2 * n + 1);
		race(test, run_limit_race, r);
		KUNIT_ASSERT_EQ_MSG(test, r->wrong[0] + r->wrong[1], 0,
				    "seed %u", seed);
	}
	life_check(r->l);
}

/*
 * Side 1 makes the table grow around requests that stay, and reassociates these
 * to themselves; side 0 must see each of them each time, or claim each once.
 */
#define STAYING		60
#define GROWTH_MIDS	3000

struct stay_race {
	struct life *l;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool claims;
	bool done;
	unsigned int passes;
	unsigned int wrong;
	unsigned int seen[STAYING];
	u16 mid[GROWTH_MIDS];
};

static void stay_race_see(void *ctx, u16 mid, void *arg)
{
	struct stay_race *r = arg;

	if (ctx_nr(ctx) < STAYING)
		r->seen[ctx_nr(ctx)]++;
}

static void stay_race_look(struct stay_race *r)
{
	unsigned int i;

	do {
		memset(r->seen, 0, sizeof(r->seen));
		dither(&r->rnd, 20000);
		if (r->claims)
			mid_atlas_claim_all(r->l->atlas, stay_race_see, r);
		else
			mid_atlas_for_each(r->l->atlas, stay_race_see, r);
		for (i = 0; i < STAYING; i++)
			r->wrong += r->seen[i] != 1;
		r->passes++;
		cond_resched();
	} while (!r->claims && !READ_ONCE(r->done));
}

static void stay_race_grow(struct stay_race *r)
{
	unsigned int i, stays;

	for (i = 0; i < GROWTH_MIDS; i++) {
		if (mid_atlas_associate(r->l->atlas, nr_ctx(STAYING + i),
					&r->mid[i], GFP_KERNEL))
			break;
		stays = i % STAYING;
		if (!r->claims)
			mid_atlas_reassociate(r->l->atlas, r->l->mid[stays],
					      nr_ctx(stays));
		if (i % 2)
			mid_atlas_dissociate(r->l->atlas, r->mid[i / 2]);
	}
	WRITE_ONCE(r->done, true);
}

static void run_stay_race(void *arg, int side)
{
	struct stay_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		stay_race_look(r);
	else
		stay_race_grow(r);
}

static void run_stay_races(struct kunit *test, bool claims)
{
	struct stay_race *r = test_alloc(test, sizeof(*r));
	unsigned int n, i;

	prandom_seed_state(&r->rnd, seed);
	r->claims = claims;
	r->l = life_create(test, GROWTH_MIDS + STAYING, 0);
	for (n = 0; n < 40; n++) {
		life_renew(r->l, GROWTH_MIDS + STAYING, 0);
		for (i = 0; i < STAYING; i++)
			r->l->mid[i] = take(r->l, nr_ctx(i));
		r->done = false;
		race(test, run_stay_race, r);
		KUNIT_ASSERT_EQ(test, r->wrong, 0);
	}
	kunit_info(test, "%u passes\n", r->passes);
	life_check(r->l);
}

static void what_stays_is_always_seen_while_the_table_grows(struct kunit *test)
{
	run_stay_races(test, false);
}

static void what_stays_is_claimed_once_while_the_table_grows(struct kunit *test)
{
	run_stay_races(test, true);
}

/* Side 1 drains while side 0 takes, waits and gives back. */
struct drain_race {
	struct life *l;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool drained;
	unsigned int wrong[2];
	unsigned long served;
};

static int drain_race_take(struct drain_race *r, unsigned long n, u16 *mid)
{
	if (n % 2)
		return mid_atlas_associate_wait(r->l->atlas, r, mid, GFP_KERNEL,
						PATIENCE);
	return mid_atlas_associate(r->l->atlas, r, mid, GFP_KERNEL);
}

static void drain_race_use(struct drain_race *r)
{
	bool drained;
	u16 mid;
	int err;

	for (;; r->served++) {
		drained = READ_ONCE(r->drained);
		err = drain_race_take(r, r->served, &mid);
		if (err)
			break;
		r->wrong[0] += drained;
		if (r->served % 3)
			r->wrong[0] += mid_atlas_dissociate(r->l->atlas, mid) != r;
		else
			r->wrong[0] += !mid_atlas_abandon(r->l->atlas, mid, r, 1);
	}
	r->wrong[0] += err != -ESHUTDOWN;
}

static void run_drain_race(void *arg, int side)
{
	struct drain_race *r = arg;
	struct mid_atlas_stats s;

	meet(&r->arrivals);
	if (side == 0) {
		drain_race_use(r);
		return;
	}
	dither(&r->rnd, 20000);
	r->wrong[1] += mid_atlas_drain(r->l->atlas, PATIENCE) != 0;
	WRITE_ONCE(r->drained, true);
	s = stats_of(r->l->atlas);
	r->wrong[1] += s.in_use || s.slots;
}

static void drain_ends_while_others_take_and_wait(struct kunit *test)
{
	struct drain_race *r = test_alloc(test, sizeof(*r));
	unsigned int n;

	prandom_seed_state(&r->rnd, seed);
	r->l = life_create(test, 8, 0);
	for (n = 0; n < 100; n++) {
		life_renew(r->l, 8, 0);
		r->drained = false;
		race(test, run_drain_race, r);
		KUNIT_ASSERT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	}
	kunit_info(test, "%lu requests in %u drains\n", r->served, n);
}

/* The drain of a drained atlas consumed for a moment what the next one needs. */
#define DRAINS		PART_OF(20000)

static void run_drained_race(void *arg, int side)
{
	struct drain_race *r = arg;
	unsigned int n;

	meet(&r->arrivals);
	for (n = 0; n < DRAINS; n++) {
		r->wrong[side] += mid_atlas_drain(r->l->atlas, n % 2) != 0;
		cond_resched();
	}
}

static void drained_atlas_is_drained_for_two_who_ask_at_once(struct kunit *test)
{
	struct drain_race *r = test_alloc(test, sizeof(*r));

	r->l = life_create(test, 50, 50);
	race(test, run_drained_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
}

/* They may be anywhere on their way out; KASAN tells if it is too late. */
static void destroy_waits_for_waiters_that_are_being_killed(struct kunit *test)
{
	struct life *l = life_create(test, 1, 1);
	struct waiter *w[4];
	struct rnd_state rnd;
	unsigned int n, i;
	int err;

	stay_on_side(test, 0);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		w[i] = waiter_create(l, race_cpu(1));
	for (n = 0; n < 100; n++) {
		life_renew(l, 1, 1);
		take(l, nr_ctx(0));
		for (i = 0; i < ARRAY_SIZE(w); i++) {
			tell(w[i], PATIENCE);
			await_sleep(w[i]);
		}
		for (i = 0; i < ARRAY_SIZE(w); i += 2)
			send(w[i], SIGKILL);
		dither(&rnd, 5000);
		mid_atlas_destroy(l->atlas, NULL, NULL);
		l->atlas = NULL;
		for (i = 0; i < ARRAY_SIZE(w); i++) {
			err = result(w[i]);
			KUNIT_ASSERT_TRUE_MSG(test, err == -ESHUTDOWN ||
					      (i % 2 == 0 && err == -ERESTARTSYS),
					      "error %d", err);
		}
	}
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(map_get_racing_the_last_put_leaks_nothing_and_finds_nothing_dead),
	KUNIT_CASE(map_sees_contexts_only_whatever_becomes_of_the_mid),
	KUNIT_CASE_PARAM(context_goes_to_one_of, all_rivals_gen_params),
	KUNIT_CASE_SLOW(associate_never_overtakes_a_waiter),
	KUNIT_CASE_SLOW(high_water_never_exceeds_the_maximum),
	KUNIT_CASE_PARAM(no_wake_up_is_lost_when_waiters, fates_gen_params),
	KUNIT_CASE(few_mids_serve_a_crowd_through_kills_and_changes),
	KUNIT_CASE_SLOW(no_wake_up_is_lost_when_an_outgrown_slot_is_freed),
	KUNIT_CASE_PARAM(abandon_and_reply_and_expiry_end_each_request_once,
			 all_abandons_gen_params),
	KUNIT_CASE_SLOW(abandon_ends_though_the_maximum_falls_below_4),
	KUNIT_CASE_PARAM(maximum_changes_under_load_and_is_kept,
			 limit_maxima_gen_params),
	KUNIT_CASE_SLOW(what_stays_is_always_seen_while_the_table_grows),
	KUNIT_CASE(what_stays_is_claimed_once_while_the_table_grows),
	KUNIT_CASE_SLOW(drain_ends_while_others_take_and_wait),
	KUNIT_CASE(drained_atlas_is_drained_for_two_who_ask_at_once),
	KUNIT_CASE(destroy_waits_for_waiters_that_are_being_killed),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midatlas_life_race",
	.init = race_init,
	.test_cases = race_cases,
};

/* ------------------------------------------------------------------------
 * The random run
 *
 * Beside the atlas there is a model of it that is too stupid to be wrong: what
 * each of the 65,536 MIDs has, and a count of all that happened.
 */

#define RANDOM_STEPS	PART_OF(500000)
#define RANDOM_CHECK	500	/* steps from one look at the counts to the next */

struct model {
	struct life *l;
	struct rnd_state rnd;
	unsigned int max_mids;
	unsigned long step;
	unsigned int live;
	unsigned int kept;			/* in quarantine */
	struct mid_atlas_stats s;		/* the counts only */
	u64 missed;				/* stale or unknown */
	void *ctx[MID_VALUES];
	unsigned long since[MID_VALUES];	/* the step in which it was abandoned */
	DECLARE_BITMAP(is_live, MID_VALUES);
	DECLARE_BITMAP(is_kept, MID_VALUES);
};

static void model_agrees(struct model *m, const char *what, bool agrees)
{
	KUNIT_ASSERT_TRUE_MSG(m->l->test, agrees,
			      "%s, step %lu, max %u, %u live, %u kept, seed %u",
			      what, m->step, m->max_mids, m->live, m->kept, seed);
}

static u32 model_below(struct model *m, u32 limit)
{
	return prandom_u32_state(&m->rnd) % limit;
}

/* A value from the wire: valid, late, or anything. */
static u16 model_mid(struct model *m)
{
	u16 mid = model_below(m, MID_VALUES);

	switch (model_below(m, 4)) {
	case 0:
		return mid;
	case 1:
		return find_next_bit_wrap(m->is_kept, MID_VALUES, mid);
	default:
		return find_next_bit_wrap(m->is_live, MID_VALUES, mid);
	}
}

/* The context of @mid, or sometimes another. */
static void *model_ctx(struct model *m, u16 mid)
{
	return model_below(m, 8) ? m->ctx[mid] : nr_ctx(m->step);
}

static void model_end(struct model *m, u16 mid)
{
	m->ctx[mid] = NULL;
	__clear_bit(mid, m->is_live);
	m->live--;
	m->s.dissociated++;
}

static void model_free_kept(struct model *m, u16 mid)
{
	__clear_bit(mid, m->is_kept);
	m->kept--;
}

/* At most @most may stay in quarantine: the oldest go. */
static void model_cut_kept(struct model *m, unsigned int most)
{
	unsigned int mid, oldest;

	while (m->kept > most) {
		oldest = find_first_bit(m->is_kept, MID_VALUES);
		for_each_set_bit(mid, m->is_kept, MID_VALUES)
			if (m->since[mid] < m->since[oldest])
				oldest = mid;
		model_free_kept(m, oldest);
	}
}

static void model_associate(struct model *m)
{
	bool full = m->live + m->kept >= m->max_mids;
	u16 mid = UNTOUCHED;
	int err;

	err = mid_atlas_associate(m->l->atlas, nr_ctx(m->step), &mid, GFP_KERNEL);
	model_agrees(m, "associate", err == (full ? -ENOSPC : 0));
	if (full) {
		model_agrees(m, "a refused associate", mid == UNTOUCHED);
		m->s.exhausted++;
		return;
	}
	model_agrees(m, "the MID of an associate", mid != SERVER_MID &&
		     !test_bit(mid, m->is_live) && !test_bit(mid, m->is_kept));
	m->ctx[mid] = nr_ctx(m->step);
	__set_bit(mid, m->is_live);
	m->live++;
	m->s.associated++;
}

static void model_dissociate(struct model *m, u16 mid)
{
	model_agrees(m, "dissociate",
		     mid_atlas_dissociate(m->l->atlas, mid) == m->ctx[mid]);
	if (m->ctx[mid]) {
		model_end(m, mid);
	} else if (test_bit(mid, m->is_kept)) {
		model_free_kept(m, mid);
		m->s.late++;
	} else {
		m->missed++;
	}
}

static void model_dissociate_if(struct model *m, u16 mid)
{
	void *ctx = model_ctx(m, mid);
	bool ours = ctx && ctx == m->ctx[mid];

	model_agrees(m, "dissociate_if",
		     mid_atlas_dissociate_if(m->l->atlas, mid, ctx) == ours);
	if (ours)
		model_end(m, mid);
}

static void model_abandon(struct model *m, u16 mid)
{
	unsigned int cap = m->max_mids / 4;
	void *ctx = model_ctx(m, mid);
	bool ours = ctx && ctx == m->ctx[mid];

	model_agrees(m, "abandon", mid_atlas_abandon(m->l->atlas, mid, ctx,
						     LONG_WHILE) == ours);
	if (!ours)
		return;
	model_end(m, mid);
	if (!cap)
		return;
	model_cut_kept(m, cap - 1);
	m->since[mid] = m->step;
	__set_bit(mid, m->is_kept);
	m->kept++;
}

static void model_reassociate(struct model *m, u16 mid)
{
	void *ctx = nr_ctx(m->step);

	model_agrees(m, "reassociate", mid_atlas_reassociate(m->l->atlas, mid,
							     ctx) == m->ctx[mid]);
	if (m->ctx[mid])
		m->ctx[mid] = ctx;
}

static void model_set_max(struct model *m)
{
	m->max_mids = 1 + model_below(m, 1 << (1 + model_below(m, 11)));
	model_agrees(m, "set_max", !mid_atlas_set_max(m->l->atlas, m->max_mids));
	model_cut_kept(m, m->max_mids / 4);
}

static void model_claim(void *ctx, u16 mid, void *arg)
{
	struct model *m = arg;

	if (m->ctx[mid] == ctx)
		model_end(m, mid);
}

static void model_claim_all(struct model *m)
{
	unsigned int live = m->live;

	model_agrees(m, "claim_all", mid_atlas_claim_all(m->l->atlas, model_claim,
							 m) == live && !m->live);
}

static void model_check(struct model *m)
{
	struct mid_atlas_stats s = stats_of(m->l->atlas);
	unsigned int mid;

	model_agrees(m, "max", s.max == m->max_mids);
	model_agrees(m, "in_use", s.in_use == m->live + m->kept);
	model_agrees(m, "abandoned", s.abandoned == m->kept);
	model_agrees(m, "associated", s.associated == m->s.associated);
	model_agrees(m, "dissociated", s.dissociated == m->s.dissociated);
	model_agrees(m, "late", s.late == m->s.late);
	model_agrees(m, "exhausted", s.exhausted == m->s.exhausted);
	model_agrees(m, "stale and unknown", s.stale + s.unknown == m->missed);
	model_agrees(m, "slots", s.slots >= s.in_use);
	for_each_set_bit(mid, m->is_live, MID_VALUES)
		model_agrees(m, "map", map_rcu(m->l->atlas, mid) == m->ctx[mid]);
}

static void model_call(struct model *m)
{
	u16 mid = model_mid(m);

	switch (model_below(m, 16)) {
	case 0:
		model_dissociate_if(m, mid);
		break;
	case 1:
	case 2:
		model_abandon(m, mid);
		break;
	case 3:
		model_reassociate(m, mid);
		break;
	case 4:
		model_agrees(m, "map", map_rcu(m->l->atlas, mid) == m->ctx[mid]);
		break;
	case 5:
	case 6:
	case 7:
		model_dissociate(m, mid);
		break;
	case 8:
		if (!model_below(m, 100))
			model_set_max(m);
		else if (!model_below(m, 200))
			model_claim_all(m);
		break;
	default:
		model_associate(m);
	}
}

static void random_run_agrees_with_the_model(struct kunit *test)
{
	struct model *m = test_alloc(test, sizeof(*m));

	m->l = life_create(test, 50, 0);
	m->max_mids = 50;
	prandom_seed_state(&m->rnd, seed);
	for (m->step = 1; m->step <= RANDOM_STEPS; m->step++) {
		model_call(m);
		if (m->step % RANDOM_CHECK == 0) {
			model_check(m);
			cond_resched();
		}
	}
	kunit_info(test, "%llu requests, %llu late, %llu refused, seed %u\n",
		   m->s.associated, m->s.late, m->s.exhausted, seed);
	KUNIT_EXPECT_GT(test, m->s.late, 0);
	KUNIT_EXPECT_GT(test, m->s.exhausted, 0);
}

static struct kunit_case random_cases[] = {
	KUNIT_CASE(random_run_agrees_with_the_model),
	{}
};

static struct kunit_suite random_suite = {
	.name = "midatlas_life_random",
	.test_cases = random_cases,
};

kunit_test_suites(&map_get_suite, &dissociate_if_suite, &wait_suite,
		  &abandon_suite, &set_max_suite, &claim_suite, &drain_suite,
		  &stats_suite, &irq_suite, &race_suite, &random_suite);

/* What MODULE_IMPORT_NS() is in every kernel; its own argument has changed. */
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the life of a request in the MID atlas");
MODULE_LICENSE("GPL");
