// SPDX-License-Identifier: GPL-2.0
/* midatlas_large - many atlases, large ones, and for how long they have interrupts off */
#include "large.h"
#include "../midatlas.c"
#pragma pop_macro("module_init")
#pragma pop_macro("module_exit")

static struct mid_atlas *many[LARGE_CONNECTIONS];
static struct mid_atlas *full;
static char request;
static unsigned int seen;

static void see(void *ctx, u16 mid, void *arg) { seen++; }

static struct mid_atlas *create(unsigned int max, unsigned int initial)
{
	return mid_atlas_create("large", max, initial, GFP_KERNEL);
}

static int fill(struct mid_atlas *atlas, unsigned int n)
{
	int err = 0;
	u16 mid;

	while (n-- && !err)
		err = mid_atlas_associate(atlas, &request, &mid, GFP_KERNEL);
	cond_resched();
	return err;
}

/* 1,000 connections with 50 MIDs each in flight */
static int create_many(void)
{
	u64 before = large_memory(), since = ktime_get_ns();
	int i, err = 0;

	for (i = 0; i < LARGE_CONNECTIONS; i++) {
		many[i] = create(50, 50);
		if (IS_ERR(many[i]))
			return PTR_ERR(many[i]);
	}
	large_print_since("create one of 1000", since, LARGE_CONNECTIONS);
	for (i = 0; i < LARGE_CONNECTIONS; i++)
		flush_work(&many[i]->folder.work);
	large_print_since("create, until its folder is there", since, LARGE_CONNECTIONS);
	for (i = 0; i < LARGE_CONNECTIONS && !err; i++)
		err = fill(many[i], 50);
	large_print_memory("memory of one of 1000", before, LARGE_CONNECTIONS);
	return err;
}

static int destroy_many(void)
{
	u64 since = ktime_get_ns();
	int i;

	for (i = 0; i < LARGE_CONNECTIONS; i++)
		mid_atlas_destroy(many[i], NULL, NULL);
	large_print_since("destroy one of 1000", since, LARGE_CONNECTIONS);
	return 0;
}

/* One connection with 65,535 requests in flight */
static int sweep(void)
{
	struct mid_atlas_stats stats;
	u64 since;
	int err;

	if (!full)
		full = create(LARGE_MIDS, LARGE_MIDS);
	if (IS_ERR(full))
		return PTR_ERR(full);
	mid_atlas_claim_all(full, NULL, NULL);
	err = fill(full, LARGE_MIDS);
	if (err)
		return err;
	since = ktime_get_ns();
	mid_atlas_stats(full, &stats);
	large_print_since("stats of 65535", since, 1);
	since = ktime_get_ns();
	if (mid_atlas_for_each(full, see, NULL) != LARGE_MIDS)
		return -EBADMSG;
	large_print_since("for_each of 65535", since, 1);
	since = ktime_get_ns();
	if (mid_atlas_claim_all(full, see, NULL) != LARGE_MIDS)
		return -EBADMSG;
	large_print_since("claim_all of 65535", since, 1);
	/* It stays full, so that the guest reads it in debugfs. */
	return fill(full, LARGE_MIDS);
}

/*
 * The calls that take the lock, where there is most to do
 */

static struct mid_atlas *busy;

static int grow(void)
{
	int err;

	busy = create(LARGE_MIDS, 0);
	err = PTR_ERR_OR_ZERO(busy) ?: fill(busy, LARGE_MIDS);
	if (!err)
		mid_atlas_claim_all(busy, NULL, NULL);
	return err;
}

static int exhaust(void)
{
	u16 mid;

	if (fill(busy, LARGE_MIDS) ||
	    mid_atlas_associate(busy, &request, &mid, GFP_KERNEL) != -ENOSPC ||
	    mid_atlas_associate_wait(busy, &request, &mid, GFP_KERNEL, 1) != -ETIMEDOUT)
		return -EBADMSG;
	mid_atlas_reassociate(busy, 0, &request);
	return 0;
}

static int abandon(void)
{
	unsigned int mid, n = 0;

	for (mid = 0; mid < MID_RESERVED; mid++)
		n += mid_atlas_abandon(busy, mid, &request, 1);
	cond_resched();
	/* The quarantines end. */
	while (READ_ONCE(busy->abandoned))
		msleep(20);
	return n ? 0 : -EBADMSG;
}

static int change_max(void)
{
	int err = fill(busy, 20000);

	mid_atlas_set_aside(busy, 10000);
	mid_atlas_set_aside(busy, 0);
	mid_atlas_set_max(busy, 1);
	mid_atlas_claim_all(busy, NULL, NULL);
	mid_atlas_set_max(busy, LARGE_MIDS);
	return err == -ENOSPC ? 0 : err;
}

static int wait_for_mid(void *nr)
{
	u16 mid;

	if (mid_atlas_associate_wait(busy, &request, &mid, GFP_KERNEL, 10 * HZ))
		pr_err("associate_wait failed\n");
	return large_done();
}

static int serve_waiters(void)
{
	struct mid_waiting *list = kvcalloc(MID_MAX_WAITERS, sizeof(*list), GFP_KERNEL);
	unsigned int waiting = 0;
	int err;

	if (!list)
		return -ENOMEM;
	mid_atlas_claim_all(busy, NULL, NULL);
	err = fill(busy, LARGE_MIDS) ?: large_start(wait_for_mid);
	if (!err)
		mid_list_waiters(&busy->folder, list, &waiting);
	kvfree(list);
	mid_atlas_claim_all(busy, NULL, NULL);
	large_stop();
	return err ?: waiting == LARGE_TASKS ? 0 : -EBADMSG;
}

static int end(void)
{
	int err = fill(busy, 20000);

	if (mid_atlas_drain(busy, 0) != -ETIMEDOUT)
		err = -EBADMSG;
	mid_atlas_destroy(busy, NULL, NULL);
	return err;
}

static struct large_case cases[] = {
	{ "1000 connections begin", create_many },
	{ "1000 connections end", destroy_many },
	{ "grow to 65535", grow },
	{ "65535 in flight", exhaust },
	{ "abandon 65535", abandon },
	{ "set_max and set_aside", change_max },
	{ "200 tasks wait", serve_waiters },
	{ "drain and destroy", end },
	{ "sweep 65535", sweep },
};

static void large_exit(void)
{
	mid_atlas_destroy(full, NULL, NULL);
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
