// SPDX-License-Identifier: GPL-2.0
/* The atlas, as the benchmark uses it */
#define module_starts	atlas_starts
#define module_ends	atlas_ends
#define folder_opens	atlas_folder_opens
#include "../../midatlas.c"
#include "../../bench/peers/midatlas.c"
#include "scale.h"

const char *bench_name = "scale";

void scale_label_atlas(void *table)
{
	struct mid_atlas *atlas = table;
	struct mid_table *t = atlas->table;

	machine_name(atlas, sizeof(*atlas), "what is rare");
	machine_name(atlas, offsetof(struct mid_atlas, lock), "mode and table");
	machine_name(&atlas->lock, 1, "lock");
	machine_name(t, sizeof(*t), "table");
	machine_name(&t->cursor, sizeof(t->cursor), "cursor");
	machine_name(t->slots, BIT(t->order) * sizeof(*t->slots), "slot");
}

int scale_wait_atlas(void *table, struct bench_req *req, u32 *id)
{
	return mid_atlas_associate_wait(table, req, (u16 *)id, GFP_KERNEL, MAX_SCHEDULE_TIMEOUT);
}
