// SPDX-License-Identifier: GPL-2.0
/* The window, as the benchmark uses it */
#define module_starts	window_starts
#define module_ends	window_ends
#include "../../midwindow.c"
#include "../../bench/peers/window_mid.c"
#include "scale.h"

void scale_label_window(void *table)
{
	struct mid_table *t = table;
	struct mid_window *w = t->w;
	struct mid_hash *h = w->hash;

	machine_name(t, sizeof(*t), "hash and epoch");
	machine_name(w, sizeof(*w), "what is rare");
	machine_name(w, offsetof(struct mid_window, credits), "hash and epoch");
	machine_name(&w->credits, 1, "credits and freed");
	machine_name(&w->lock, 1, "lock and ids");
	machine_name(w->rings, sizeof(*w->rings), "rings");
	machine_name(h, sizeof(*h), "hash and epoch");
	machine_name(h->entries, BIT(h->bits) * sizeof(*h->entries), "slot");
}

int scale_wait_window(void *table, struct bench_req *req, u32 *id)
{
	struct mid_tag *tag = bench_req_node(req, struct mid_tag);
	struct mid_table *t = table;
	struct mid_span span;
	int err;

	err = mid_window_reserve(t->w, 1, 1, &span, 0, MAX_SCHEDULE_TIMEOUT);
	if (!err)
		err = mid_window_associate(t->w, &span, 1, req, tag, GFP_KERNEL);
	*id = tag->id;
	return err;
}
