// SPDX-License-Identifier: GPL-2.0
/* The atlas as a client uses it: through the exported symbols of another module */
#include <linux/sched.h>

#include "../../midatlas.h"
#include "../loop.h"

static void *midatlas_create(unsigned int max)
{
	return mid_atlas_create(bench_name, max, max, GFP_KERNEL);
}

static void midatlas_destroy(void *table)
{
	mid_atlas_destroy(table, NULL, NULL);
}

/* The MID is stored in the low half of @id; the high half is 0 from the start. */
static int midatlas_associate(void *table, struct bench_req *req, u32 *id)
{
	return mid_atlas_associate(table, req, (u16 *)id + IS_ENABLED(CONFIG_CPU_BIG_ENDIAN),
				   GFP_NOWAIT);
}

static struct bench_req *midatlas_map(void *table, u32 id)
{
	return mid_atlas_map(table, id);
}

static struct bench_req *midatlas_dissociate(void *table, u32 id, struct bench_req *found)
{
	return mid_atlas_dissociate(table, id);
}

static int midatlas_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	u16 mid;
	int err = mid_atlas_associate_wait(table, req, &mid, GFP_KERNEL, MAX_SCHEDULE_TIMEOUT);

	*id = mid;
	return err;
}

static struct bench_req *midatlas_end(void *table, unsigned int charge, u32 id,
				      struct bench_req *found)
{
	return mid_atlas_dissociate(table, id);
}

BENCH_BASELINE(midatlas, "midatlas", .wait = midatlas_wait, .end = midatlas_end);
