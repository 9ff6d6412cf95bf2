// SPDX-License-Identifier: GPL-2.0
/*
 * time_window - ages and quarantines of a window over more jiffies than 32 bits can order
 *
 * As time.c for the atlas: one task, and a clock that the test sets.
 */
#include "../../midwindow.h"
#include "../fuzz/fuzz.h"

static char request;

void fuzz_jiffy(void) { }

static struct mid_tag begin(struct mid_window *w)
{
	struct mid_tag tag;

	must(!mid_window_grant(w, mid_window_epoch(w), 1), "grant failed");
	must(!mid_window_begin(w, 1, &request, &tag, GFP_KERNEL), "begin failed");
	return tag;
}

static unsigned long oldest(struct mid_window *w)
{
	struct mid_window_stats stats;

	mid_window_stats(w, &stats);
	return stats.oldest;
}

/* A request that is in flight for @idle jiffies has that age, and a new one has none. */
static void request_stays_old(u64 idle)
{
	struct mid_window *w = mid_window_create("time", 4, GFP_KERNEL);

	must(!IS_ERR(w), "create failed");
	begin(w);
	pass_time(idle);
	must(oldest(w) == idle, "after %llu jiffies the oldest is %lu old",
	     (unsigned long long)idle, oldest(w));
	must(mid_window_claim_if(w, idle + 1, NULL, NULL, NULL) == 0,
	     "claim_if takes a request that is too young");
	must(mid_window_claim_if(w, idle, NULL, NULL, NULL) == 1,
	     "after %llu jiffies claim_if leaves a request", (unsigned long long)idle);
	begin(w);
	must(oldest(w) == 0, "a new request is %lu jiffies old", oldest(w));
	must(mid_window_claim_if(w, 1, NULL, NULL, NULL) == 0, "claim_if takes a new request");
	mid_window_destroy(w, NULL, NULL);
}

/* After @idle jiffies without a call a quarantine is as long as ever. */
static void quarantine_ends_in_time(u64 idle)
{
	struct mid_window *w = mid_window_create("time", 4, GFP_KERNEL);
	struct mid_tag tag;

	must(!IS_ERR(w), "create failed");
	tag = begin(w);
	must(mid_window_abandon(w, &tag, &request, 100), "abandon failed");
	pass_time(idle);
	must(mid_window_stray(w, tag.epoch, tag.id) == MID_STRAY_STALE,
	     "the first quarantine has not ended");
	tag = begin(w);
	must(mid_window_abandon(w, &tag, &request, 100), "abandon failed");
	pass_time(99);
	must(mid_window_stray(w, tag.epoch, tag.id) == MID_STRAY_LATE,
	     "after %llu idle jiffies a quarantine is too short", (unsigned long long)idle);
	tag = begin(w);
	must(mid_window_abandon(w, &tag, &request, 100), "abandon failed");
	pass_time(101);
	must(mid_window_stray(w, tag.epoch, tag.id) == MID_STRAY_STALE,
	     "after %llu idle jiffies a quarantine is too long", (unsigned long long)idle);
	mid_window_destroy(w, NULL, NULL);
}

/* 25 and 50 days are 2^31 and 2^32 jiffies at HZ=1000. */
void fuzz(void)
{
	static const u64 idle[] = {
		1000, BIT_ULL(31) - 5, BIT_ULL(31) + 5, BIT_ULL(32) - 5, BIT_ULL(32) + 5,
		BIT_ULL(33),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		request_stays_old(idle[i]);
		quarantine_ends_in_time(idle[i]);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int main(void)
{
	LLVMFuzzerTestOneInput(NULL, 0);
	return 0;
}
