// SPDX-License-Identifier: GPL-2.0
/*
 * time - ages and counts over more jiffies than 32 bits can order
 *
 * One task, on the fuzzers' kernel (../fuzz/kernel.c), whose clock a test can set.  Built
 * twice: for 64 bits, and with -m32, where jiffies and the per-CPU counts wrap early.
 * Each access to a per-CPU variable is on another CPU than the one before, as if the
 * task was migrated: link with -Wl,--wrap=model_cpu.
 */
#include "../../midatlas.h"
#include "../fuzz/fuzz.h"

#define REQUESTS	4

static char requests[REQUESTS];

void fuzz_jiffy(void) { }

/* The next CPU each time */
unsigned int __wrap_model_cpu(void)
{
	on_cpu++;
	return __real_model_cpu();
}

static struct mid_atlas *create(void)
{
	struct mid_atlas *atlas = mid_atlas_create("time", REQUESTS, REQUESTS, GFP_KERNEL);

	must(!IS_ERR(atlas), "create failed");
	return atlas;
}

static u16 associate(struct mid_atlas *atlas, int nr)
{
	u16 mid;

	must(!mid_atlas_associate(atlas, &requests[nr], &mid, GFP_KERNEL), "associate failed");
	return mid;
}

static struct mid_atlas_stats stats_of(struct mid_atlas *atlas)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(atlas, &stats);
	return stats;
}

/*
 * The age of a request was a signed difference of 32 bits, and 0 again after 2^31 jiffies:
 * 25 days at HZ=1000.  claim_older then left a blocking lock that was held so long, and
 * stats.oldest was wrong.  Shown by setting the clock forward; the request must be as old
 * as the clock says, or, where 32 bits cannot tell, not younger than 2^31 - 1.
 */
static void old_request_stays_old(u64 ticks)
{
	struct mid_atlas *atlas = create();
	unsigned long oldest;

	jiffies = 1000;
	associate(atlas, 0);
	jiffies += ticks;
	oldest = stats_of(atlas).oldest;
	must(oldest >= ticks - 1 && oldest <= ticks,
	     "after %llu jiffies the oldest is %lu old", (unsigned long long)ticks, oldest);
	must(mid_atlas_claim_older(atlas, ticks + 10, NULL, NULL) == 0,
	     "claim_older takes a request that is too young");
	must(mid_atlas_claim_older(atlas, ticks < 1000 ? ticks - 1 : 999, NULL, NULL) == 1,
	     "after %llu jiffies claim_older leaves a request", (unsigned long long)ticks);
	associate(atlas, 1);
	oldest = stats_of(atlas).oldest;
	must(oldest <= 1, "a new request is %lu jiffies old", oldest);
	must(mid_atlas_claim_older(atlas, 2, NULL, NULL) == 0, "claim_older takes a new request");
	mid_atlas_destroy(atlas, NULL, NULL);
}

/*
 * The high-water mark is sampled once a tick.  After 2^31 idle jiffies, on 32-bit CPUs,
 * time_after() called the last sample later than now, and there was none for as long
 * again.  Shown by a peak that only such a sample sees: the CPU's own peak is higher.
 */
static void peak_after_idle_time_is_sampled(u64 ticks)
{
	struct mid_atlas *atlas = create();
	u16 mid[REQUESTS];
	int nr, round;

	jiffies = 1000;
	/* Each CPU has taken out fewer than it put in, by far. */
	for (round = 0; round < 64; round++)
		mid_atlas_dissociate(atlas, associate(atlas, 0));
	jiffies += ticks;
	for (round = 0; round < 64; round++) {
		jiffies += 2;
		for (nr = 0; nr < REQUESTS; nr++)
			mid[nr] = associate(atlas, nr);
		for (nr = 0; nr < REQUESTS; nr++)
			mid_atlas_dissociate(atlas, mid[nr]);
	}
	must(stats_of(atlas).high_water == REQUESTS, "a high water of %u after %llu idle jiffies",
	     stats_of(atlas).high_water, (unsigned long long)ticks);
	mid_atlas_destroy(atlas, NULL, NULL);
}

/*
 * stats.dissociated was summed in 64 bits, from per-CPU differences of 32-bit counts:
 *
 *	task, on CPU 0		task, on CPU 1
 *
 *	quiet += more
 *				peak += more
 *
 * CPU 1's difference is then less than 0, and 2^32 too high.  Shown by the sum of a few
 * dissociates, each access on another CPU.
 */
static void counts_are_right_after_a_migration(void)
{
	struct mid_atlas *atlas = create();
	struct mid_atlas_stats stats;
	u16 mid[REQUESTS];
	int round, nr;

	for (round = 1; round <= 100; round++) {
		for (nr = 0; nr < REQUESTS; nr++)
			mid[nr] = associate(atlas, nr);
		for (nr = 0; nr < REQUESTS; nr++)
			mid_atlas_dissociate(atlas, mid[nr]);
		on_cpu += round % 3;
		stats = stats_of(atlas);
		must(stats.associated == round * REQUESTS, "%llu associated, not %d",
		     (unsigned long long)stats.associated, round * REQUESTS);
		must(stats.dissociated == round * REQUESTS, "%llu dissociated, not %d",
		     (unsigned long long)stats.dissociated, round * REQUESTS);
	}
	mid_atlas_destroy(atlas, NULL, NULL);
}

void fuzz(void)
{
	counts_are_right_after_a_migration();
	old_request_stays_old(5);
	old_request_stays_old(BIT(31) - 5);
	old_request_stays_old(BIT(31) + 5);
	peak_after_idle_time_is_sampled(BIT(31) + 5);
#if BITS_PER_LONG == 64
	old_request_stays_old(BIT(32) - 5);
	old_request_stays_old(BIT(32) + 5);
	old_request_stays_old(BIT(33));
	peak_after_idle_time_is_sampled(BIT(32) + 5);
#endif
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int main(void)
{
	LLVMFuzzerTestOneInput(NULL, 0);
	printf("ages and counts are right with %d bits\n", BITS_PER_LONG);
	return 0;
}
