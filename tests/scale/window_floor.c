// SPDX-License-Identifier: GPL-2.0
/* The lower bound for a window, as the benchmark uses it: two counters that all CPUs share */
#include "../../bench/peers/window_floor.c"
#include "scale.h"

void scale_label_window_floor(void *table)
{
	struct floor_table *t = table;

	machine_name(t, sizeof(*t), "table");
	machine_name(&t->credits.credits, 1, "credits");
	machine_name(&t->credits.next, 1, "next id");
	machine_name(t->slot, (t->mask + 1) * sizeof(*t->slot), "slot");
}
