/* SPDX-License-Identifier: GPL-2.0 */
/*
 * scale - the tables of which transfers are counted
 */
#ifndef _SCALE_SCALE_H
#define _SCALE_SCALE_H

#include "../../bench/bench.h"
#include "machine.h"

/**
 * struct scale_table - a table of the benchmark, on the simulated machine
 * @name: its name in the results
 * @baseline: its functions
 * @lock: how its locks are taken
 * @label: names its lines
 * @wait: associates, and waits while no id is free; %NULL if it cannot
 */
struct scale_table {
	const char *name;
	const struct bench_baseline *baseline;
	enum machine_lock lock;
	void (*label)(void *table);
	int (*wait)(void *table, struct bench_req *req, u32 *id);
};

void scale_label_atlas(void *table);
int scale_wait_atlas(void *table, struct bench_req *req, u32 *id);
void scale_label_window(void *table);
int scale_wait_window(void *table, struct bench_req *req, u32 *id);
void scale_label_window_floor(void *table);
void scale_label_spinlock(void *table);

extern const struct bench_baseline bench_bitmap;

#endif /* _SCALE_SCALE_H */
