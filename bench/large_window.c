// SPDX-License-Identifier: GPL-2.0
/* midwindow_large - many windows, large ones, and for how long they have interrupts off */
#include "large.h"
#include "../midwindow.c"
#pragma pop_macro("module_init")
#pragma pop_macro("module_exit")

#define CREDITS		512

static struct mid_window *many[LARGE_CONNECTIONS];
static struct mid_window *full;
static char request;
static struct mid_tag tags[LARGE_MIDS];
static unsigned int seen;

static void see(void *ctx, u64 id, void *arg) { seen++; }

static struct mid_window *create(unsigned int slots)
{
	return mid_window_create("large", slots, GFP_KERNEL);
}

static int fill(struct mid_window *w, unsigned int n)
{
	unsigned int i;
	int err;

	err = mid_window_grant(w, mid_window_epoch(w), n - 1);
	for (i = 0; i < n && !err; i++)
		err = mid_window_begin(w, 1, &request, &tags[i], GFP_KERNEL);
	cond_resched();
	return err;
}

static void reset(struct mid_window *w)
{
	mid_window_resume(w, mid_window_reset(w, see, NULL));
}

/* 1,000 connections with 512 credits, all of them in flight */
static int create_many(void)
{
	u64 before = large_memory(), since = ktime_get_ns();
	int i, err = 0;

	for (i = 0; i < LARGE_CONNECTIONS; i++) {
		many[i] = create(CREDITS);
		if (IS_ERR(many[i]))
			return PTR_ERR(many[i]);
	}
	large_print_since("create one of 1000", since, LARGE_CONNECTIONS);
	for (i = 0; i < LARGE_CONNECTIONS; i++)
		flush_work(&many[i]->folder.work);
	large_print_since("create, until its folder is there", since, LARGE_CONNECTIONS);
	for (i = 0; i < LARGE_CONNECTIONS && !err; i++)
		err = fill(many[i], CREDITS);
	large_print_memory("memory of one of 1000", before, LARGE_CONNECTIONS);
	return err;
}

static int destroy_many(void)
{
	u64 since = ktime_get_ns();
	int i;

	for (i = 0; i < LARGE_CONNECTIONS; i++)
		mid_window_destroy(many[i], NULL, NULL);
	large_print_since("destroy one of 1000", since, LARGE_CONNECTIONS);
	return 0;
}

/* One connection with 65,535 requests in flight */
static int sweep(void)
{
	struct mid_window_stats stats;
	u64 since;
	int err;

	if (!full)
		full = create(LARGE_MIDS);
	if (IS_ERR(full))
		return PTR_ERR(full);
	reset(full);
	err = fill(full, LARGE_MIDS);
	if (err)
		return err;
	since = ktime_get_ns();
	mid_window_stats(full, &stats);
	large_print_since("stats of 65535", since, 1);
	since = ktime_get_ns();
	if (mid_window_for_each(full, see, NULL) != LARGE_MIDS)
		return -EBADMSG;
	large_print_since("for_each of 65535", since, 1);
	since = ktime_get_ns();
	if (mid_window_claim_if(full, 0, NULL, see, NULL) != LARGE_MIDS)
		return -EBADMSG;
	large_print_since("claim_all of 65535", since, 1);
	reset(full);
	err = fill(full, LARGE_MIDS);
	since = ktime_get_ns();
	reset(full);
	large_print_since("reset of 65535", since, 1);
	/* It stays full, so that the guest reads it in debugfs. */
	return err ?: fill(full, LARGE_MIDS);
}

/*
 * The calls that take the lock, where there is most to do
 */

static struct mid_window *busy;

static int grow(void)
{
	int err;

	busy = create(0);
	err = PTR_ERR_OR_ZERO(busy) ?: fill(busy, LARGE_MIDS);
	if (!err)
		mid_window_claim_if(busy, 0, NULL, NULL, NULL);
	return err;
}

/* Every other id is returned, and the lowest is not sent. */
static int scatter_ids(void)
{
	static struct mid_span spans[MID_WINDOW_MAX_SPAN];
	struct mid_window_stats stats;
	struct mid_span span;
	u32 epoch;
	int i, err = 0;

	reset(busy);
	epoch = mid_window_epoch(busy);
	mid_window_grant(busy, epoch, 4 * MID_WINDOW_MAX_SPAN);
	for (i = 0; i < MID_WINDOW_MAX_SPAN && !err; i++)
		err = mid_window_reserve(busy, 1, 1, &spans[i], 0, 0);
	for (i = 1; i < MID_WINDOW_MAX_SPAN; i += 2)
		mid_window_give_back(busy, &spans[i]);
	/* New ids, up to where the rings end, and one that is not there */
	while (!err)
		err = mid_window_reserve(busy, 2, 2, &span, 0, 0);
	mid_window_stats(busy, &stats);
	for (i = 0; i < MID_WINDOW_MAX_SPAN; i += 2)
		mid_window_give_back(busy, &spans[i]);
	reset(busy);
	mid_window_grant(busy, mid_window_epoch(busy), 2 * MID_WINDOW_MAX_SPAN);
	if (mid_window_reserve(busy, MID_WINDOW_MAX_SPAN, MID_WINDOW_MAX_SPAN, &span, 0, 0))
		return -EBADMSG;
	mid_window_give_back(busy, &span);
	reset(busy);
	return err == -EAGAIN ? 0 : -EBADMSG;
}

static int use(void)
{
	int i, err = fill(busy, LARGE_MIDS);

	for (i = 0; i < LARGE_MIDS; i++) {
		mid_window_reassociate(busy, &tags[i], &request);
		mid_window_note_async(busy, tags[i].epoch, tags[i].id, i + 1);
	}
	cond_resched();
	mid_window_set_aside(busy, 100);
	mid_window_set_aside(busy, 0);
	return err;
}

static int abandon(void)
{
	int i, n = 0;

	for (i = 0; i < LARGE_MIDS; i++)
		n += mid_window_abandon(busy, &tags[i], &request, 1);
	cond_resched();
	while (READ_ONCE(busy->nr_abandoned))
		msleep(20);
	reset(busy);
	return n == LARGE_MIDS ? 0 : -EBADMSG;
}

static int cancel_sends(void)
{
	int i, n = 0, err = fill(busy, LARGE_MIDS);

	for (i = LARGE_MIDS; i--; )
		n += mid_window_unsend(busy, &tags[i], &request);
	reset(busy);
	return err ?: n == LARGE_MIDS ? 0 : -EBADMSG;
}

static int wait_for_ids(void *nr)
{
	unsigned int min = LARGE_TASKS - (long)nr;
	struct mid_span span;

	if (mid_window_reserve(busy, min, min, &span, 0, 10 * HZ))
		pr_err("reserve failed\n");
	else
		mid_window_give_back(busy, &span);
	return large_done();
}

static int serve_waiters(void)
{
	struct mid_waiting *list = kvcalloc(MID_MAX_WAITERS, sizeof(*list), GFP_KERNEL);
	unsigned int waiting = 0;
	int err;

	if (!list)
		return -ENOMEM;
	/* A request in flight, or nobody would wait. */
	err = fill(busy, 1) ?: large_start(wait_for_ids);
	if (!err)
		mid_list_waiters(&busy->folder, list, &waiting);
	kvfree(list);
	mid_window_grant(busy, mid_window_epoch(busy), MID_WINDOW_MAX_SPAN);
	large_stop();
	reset(busy);
	return err ?: waiting == LARGE_TASKS ? 0 : -EBADMSG;
}

static int end(void)
{
	int err = fill(busy, LARGE_MIDS);

	mid_window_claim_if(busy, 0, NULL, NULL, NULL);
	mid_window_shut(busy);
	if (mid_window_drain(busy, HZ))
		err = -EBADMSG;
	mid_window_destroy(busy, NULL, NULL);
	return err;
}

static struct large_case cases[] = {
	{ "1000 connections begin", create_many },
	{ "1000 connections end", destroy_many },
	{ "grow to 65535", grow },
	{ "scattered ids", scatter_ids },
	{ "65535 in flight", use },
	{ "abandon 65535", abandon },
	{ "unsend 65535", cancel_sends },
	{ "200 tasks wait", serve_waiters },
	{ "drain and destroy", end },
	{ "sweep 65535", sweep },
};

static void large_exit(void)
{
	mid_window_destroy(full, NULL, NULL);
	large_source_exit();
	kvfree(large_ns);
}

static int __init large_init(void)
{
	int err;

	large_case = cases;
	err = large_source_init() ?: large_run(cases, ARRAY_SIZE(cases));
	if (err)
		large_exit();
	return err;
}

#ifndef __CHECKER__	/* sparse cannot restore a macro */
module_init(large_init);
module_exit(large_exit);
#endif
