// SPDX-License-Identifier: GPL-2.0
/*
 * The window as a client uses it: through the exported symbols of another module
 *
 * The request keeps its tag. It begins in one call, or with reserve and associate, as the
 * parts of a compound do.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "../../midwindow.h"
#include "../window.h"

struct mid_table {
	struct bench_window window;
	u32 epoch;
	struct mid_window *w;
};

static void *window_mid_create(unsigned int max)
{
	struct mid_table *t = kzalloc(sizeof(*t), GFP_KERNEL);
	void *err;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->w = mid_window_create(bench_name, max, GFP_KERNEL);
	if (IS_ERR(t->w)) {
		err = t->w;
		kfree(t);
		return err;
	}
	t->epoch = mid_window_epoch(t->w);
	return t;
}

static void window_mid_destroy(void *table)
{
	struct mid_table *t = table;

	mid_window_destroy(t->w, NULL, NULL);
	kfree(t);
}

static int window_mid_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	struct mid_table *t = table;
	int err = mid_window_begin(t->w, charge, req, tag, GFP_NOWAIT);

	*id = tag->id;
	return err;
}

static struct bench_req *window_mid_map(void *table, u32 id)
{
	struct mid_table *t = table;

	return mid_window_map(t->w, t->epoch, id);
}

static void window_mid_grant(void *table, unsigned int credits)
{
	struct mid_table *t = table;

	mid_window_grant(t->w, t->epoch, credits);
}

static struct bench_req *window_mid_claim(void *table, u32 id, struct bench_req *found)
{
	struct mid_table *t = table;

	return mid_window_dissociate(t->w, t->epoch, id);
}

BENCH_WINDOW(window_mid, "midwindow");

#define window_reserve_create	window_mid_create
#define window_reserve_destroy	window_mid_destroy
#define window_reserve_map	window_mid_map
#define window_reserve_grant	window_mid_grant
#define window_reserve_claim	window_mid_claim

static int window_reserve_begin(void *table, unsigned int charge, struct bench_req *req,
				u64 *id)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	struct mid_table *t = table;
	struct mid_span span;
	int err;

	err = mid_window_reserve(t->w, charge, charge, &span, 0, 0);
	if (err)
		return err;
	err = mid_window_associate(t->w, &span, charge, req, tag, GFP_NOWAIT);
	if (err)
		mid_window_give_back(t->w, &span);
	*id = tag->id;
	return err;
}

static int window_reserve_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	struct mid_table *t = table;
	struct mid_span span;
	int err;

	err = mid_window_reserve(t->w, charge, charge, &span, 0, MAX_SCHEDULE_TIMEOUT);
	if (!err)
		err = mid_window_associate(t->w, &span, charge, req, tag, GFP_KERNEL);
	*id = tag->id;
	return err;
}

BENCH_WINDOW(window_reserve, "midwindow_reserve", .wait = window_reserve_wait,
	     .end = window_reserve_end);
