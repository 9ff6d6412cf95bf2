// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_rdbss_kunit - tests of midatlax.h against the documentation of RDBSS
 *
 * There is one suite for each of the six pages, with at least one test for each
 * sentence about a routine; the comment of a test quotes the sentence.  The last
 * suite is a small mini-redirector, written as on Windows.  "The lookup is
 * organized as a three level hierarchy" is not tested: that is internal to RDBSS.
 */
#include <linux/mutex.h>

#include "fixture.h"
#include "../../samples/midatlax.h"

#define TYPICAL		50	/* "typically 50" MIDs of 65,536 */

static void atlas_release(struct kunit_resource *res)
{
	RxDestroyMidAtlas(res->data, NULL);
}

/* An atlas that is destroyed after the test. */
static PMID_ATLAS atlas_of(struct kunit *test, USHORT maximum, USHORT initial)
{
	PMID_ATLAS atlas = RxCreateMidAtlas(maximum, initial);

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	KUNIT_ASSERT_NOT_NULL(test,
			      kunit_alloc_resource(test, NULL, atlas_release,
						   GFP_KERNEL, atlas));
	return atlas;
}

/* An associate that must succeed. */
static USHORT take(struct kunit *test, PMID_ATLAS atlas, PVOID context)
{
	USHORT mid = SERVER_MID;

	KUNIT_ASSERT_EQ(test, RxAssociateContextWithMid(atlas, context, &mid),
			STATUS_SUCCESS);
	KUNIT_ASSERT_NE(test, mid, SERVER_MID);
	return mid;
}

/* A dissociate.  It must store something, if only NULL. */
static PVOID give_back(struct kunit *test, PMID_ATLAS atlas, USHORT mid)
{
	PVOID context = ERR_PTR(-EINVAL);

	KUNIT_ASSERT_EQ(test,
			RxMapAndDissociateMidFromContext(atlas, mid, &context),
			STATUS_SUCCESS);
	return context;
}

struct maximum {
	USHORT entries;
	unsigned int bits;	/* of "the rightmost field" */
};

static const struct maximum maxima[] = {
	{ 1, 0 }, { 2, 1 }, { TYPICAL, 6 }, { 64, 6 }, { 65, 7 }, { 4096, 12 },
	{ 65535, 16 },
};

static void maximum_desc(const struct maximum *maximum, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "at most %u", maximum->entries);
}

KUNIT_ARRAY_PARAM(maxima, maxima, maximum_desc);

/* ------------------------------------------------------------------------
 * RxCreateMidAtlas
 */

/* "Allocates a new instance of MID_ATLAS data structure and initializes it." */
static void create_initializes_the_atlas(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, 0);
	unsigned int mid, valid = 0;

	for (mid = 0; mid < MID_VALUES; mid++)
		valid += !!RxMapMidToContext(atlas, mid);
	KUNIT_EXPECT_EQ(test, valid, 0);
	take(test, atlas, test);
}

static void create_makes_a_new_instance_each_time(struct kunit *test)
{
	PMID_ATLAS a = atlas_of(test, TYPICAL, TYPICAL);
	PMID_ATLAS b = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = take(test, a, nr_ctx(1));

	KUNIT_EXPECT_PTR_NE(test, a, b);
	KUNIT_EXPECT_NULL(test, RxMapMidToContext(b, mid));
	KUNIT_EXPECT_NULL(test, give_back(test, b, mid));
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(a, mid), nr_ctx(1));
}

/* "MaximumNumberOfEntries: the maximum number of MIDs to be allowed." */
static void create_allows_the_maximum_and_no_more(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, 0);
	unsigned int n;
	USHORT mid;

	for (n = 0; n < maximum->entries; n++)
		take(test, atlas, nr_ctx(n));
	KUNIT_EXPECT_EQ(test, RxAssociateContextWithMid(atlas, test, &mid),
			STATUS_UNSUCCESSFUL);
}

/* "InitialAllocation: the number of MIDs allocated initially." */
static void create_allocates_the_initial_number_at_once(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, maximum->entries);
	unsigned int n;

	limit_allocs(test, 0);
	for (n = 0; n < maximum->entries; n++)
		take(test, atlas, nr_ctx(n));
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
}

static void create_leaves_the_others_for_later(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, 4096, 64);
	unsigned int n;

	limit_allocs(test, UINT_MAX);
	for (n = 0; n < 64; n++)
		take(test, atlas, nr_ctx(n));
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
	for (; n < 4096; n++)
		take(test, atlas, nr_ctx(n));
	KUNIT_EXPECT_GT(test, alloc_calls, 0);
}

/* "... or a NULL pointer on failure." */
static void create_returns_null_without_memory(struct kunit *test)
{
	unsigned int granted = 0;
	PMID_ATLAS atlas;

	do {
		limit_allocs(test, granted);
		atlas = RxCreateMidAtlas(TYPICAL, TYPICAL);
		KUNIT_ASSERT_FALSE(test, IS_ERR(atlas));
		granted++;
	} while (!atlas);
	RxDestroyMidAtlas(atlas, NULL);
	KUNIT_EXPECT_GT(test, granted, 1);
}

static void create_returns_null_for_numbers_that_cannot_be(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, RxCreateMidAtlas(0, 0));
	KUNIT_EXPECT_NULL(test, RxCreateMidAtlas(TYPICAL, TYPICAL + 1));
	KUNIT_EXPECT_NULL(test, RxCreateMidAtlas(1, 65535));
}

/* "... unique tagging and identification of a number of MIDs (typically 50)." */
static void each_of_fifty_is_tagged_uniquely(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	unsigned int n, slot;
	USHORT mid[TYPICAL];

	for (n = 0; n < 100 * TYPICAL; n++) {
		slot = n % TYPICAL;
		if (n >= TYPICAL)
			KUNIT_ASSERT_PTR_EQ(test, nr_ctx(n - TYPICAL),
					    give_back(test, atlas, mid[slot]));
		mid[slot] = take(test, atlas, nr_ctx(n));
	}
	for (slot = 0; slot < TYPICAL; slot++)
		KUNIT_EXPECT_PTR_EQ(test, nr_ctx(n - TYPICAL + slot),
				    RxMapMidToContext(atlas, mid[slot]));
}

/*
 * "The length of the rightmost field (least significant) is decided by the
 * maximum number of MIDs"; for 50 it is 6.  These bits differ in all MIDs that are
 * in use at the same time.
 */
static void rightmost_bits_tell_what_is_in_use_apart(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, maximum->entries);
	unsigned long *seen = test_alloc(test, MID_VALUES / BITS_PER_BYTE);
	unsigned int n, field;

	for (n = 0; n < maximum->entries; n++) {
		field = take(test, atlas, nr_ctx(n)) & (BIT(maximum->bits) - 1);
		KUNIT_ASSERT_FALSE(test, test_and_set_bit(field, seen));
	}
}

/* "The remaining length is split": the other bits differ from one use to the next. */
static void remaining_bits_tell_the_uses_apart(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, maximum->entries);
	unsigned int uses = (BIT(16 - maximum->bits) - 1) ?: 1;
	unsigned long *seen = test_alloc(test, MID_VALUES / BITS_PER_BYTE);
	unsigned int n;
	USHORT mid;

	/* The worst case: only one slot is free. */
	for (n = 1; n < maximum->entries; n++)
		take(test, atlas, nr_ctx(n));
	for (n = 0; n < uses; n++) {
		mid = take(test, atlas, test);
		KUNIT_ASSERT_FALSE(test, test_and_set_bit(mid, seen));
		give_back(test, atlas, mid);
	}
}

/* "Allocates non-paged pool memory": it may be used with interrupts off. */
static bool use_in_any_context(void *arg)
{
	PMID_ATLAS atlas = arg;
	PVOID context = NULL;
	USHORT mid;

	/* At most three requests are in flight at once. */
	return NT_SUCCESS(RxAssociateContextWithMid(atlas, &mid, &mid)) &&
	       RxMapMidToContext(atlas, mid) == &mid &&
	       NT_SUCCESS(RxReassociateMid(atlas, mid, &context)) &&
	       NT_SUCCESS(RxMapAndDissociateMidFromContext(atlas, mid, &context)) &&
	       context == &context;
}

static void create_allocates_memory_that_is_not_paged(struct kunit *test)
{
	kunit_run_irq_test(test, use_in_any_context, 10000,
			   atlas_of(test, TYPICAL, TYPICAL));
}

/* "IRQL <= APC_LEVEL", on this page and the others: with a FAST_MUTEX held. */
static void all_routines_may_be_called_with_a_mutex_held(struct kunit *test)
{
	static DEFINE_MUTEX(fast_mutex);
	PMID_ATLAS atlas;
	USHORT mid;

	mutex_lock(&fast_mutex);
	atlas = atlas_of(test, 4096, 0);
	mid = take(test, atlas, nr_ctx(1));
	RxReassociateMid(atlas, mid, nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, give_back(test, atlas, mid), nr_ctx(2));
	RxDestroyMidAtlas(RxCreateMidAtlas(TYPICAL, 0), NULL);
	mutex_unlock(&fast_mutex);
}

static struct kunit_case create_cases[] = {
	KUNIT_CASE_PARAM(create_initializes_the_atlas, maxima_gen_params),
	KUNIT_CASE(create_makes_a_new_instance_each_time),
	KUNIT_CASE_PARAM(create_allows_the_maximum_and_no_more,
			 maxima_gen_params),
	KUNIT_CASE_PARAM(create_allocates_the_initial_number_at_once,
			 maxima_gen_params),
	KUNIT_CASE(create_leaves_the_others_for_later),
	KUNIT_CASE(create_returns_null_without_memory),
	KUNIT_CASE(create_returns_null_for_numbers_that_cannot_be),
	KUNIT_CASE(each_of_fifty_is_tagged_uniquely),
	KUNIT_CASE_PARAM(rightmost_bits_tell_what_is_in_use_apart,
			 maxima_gen_params),
	KUNIT_CASE_PARAM(remaining_bits_tell_the_uses_apart, maxima_gen_params),
	KUNIT_CASE(create_allocates_memory_that_is_not_paged),
	KUNIT_CASE(all_routines_may_be_called_with_a_mutex_held),
	{}
};

static struct kunit_suite create_suite = {
	.name = "midatlax_RxCreateMidAtlas",
	.test_cases = create_cases,
};

/* ------------------------------------------------------------------------
 * RxDestroyMidAtlas
 */

#define CONTEXTS	1000

/* A destructor has no argument but the context, so it counts here. */
static unsigned int destructed[CONTEXTS], destructed_others;

static VOID destructor(PVOID context)
{
	if (ctx_nr(context) < CONTEXTS)
		destructed[ctx_nr(context)]++;
	else
		destructed_others++;
}

static int destroy_init(struct kunit *test)
{
	memset(destructed, 0, sizeof(destructed));
	destructed_others = 0;
	return 0;
}

/* "Invokes the passed in context destructor on all valid contexts." */
static void destroy_calls_the_destructor_on_each_valid_context(struct kunit *test)
{
	PMID_ATLAS atlas = RxCreateMidAtlas(CONTEXTS, 0);
	unsigned int n, wrong = 0;
	static USHORT mid[CONTEXTS];

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	for (n = 0; n < CONTEXTS; n++)
		mid[n] = take(test, atlas, nr_ctx(n));
	/* Every third context is dissociated. */
	for (n = 0; n < CONTEXTS; n += 3)
		give_back(test, atlas, mid[n]);
	RxDestroyMidAtlas(atlas, destructor);

	for (n = 0; n < CONTEXTS; n++)
		wrong += destructed[n] != !!(n % 3);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, destructed_others, 0);
}

static void destroy_knows_of_reassociated_contexts(struct kunit *test)
{
	PMID_ATLAS atlas = RxCreateMidAtlas(TYPICAL, TYPICAL);

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	RxReassociateMid(atlas, take(test, atlas, nr_ctx(1)), nr_ctx(2));
	RxDestroyMidAtlas(atlas, destructor);
	KUNIT_EXPECT_EQ(test, destructed[1], 0);
	KUNIT_EXPECT_EQ(test, destructed[2], 1);
	KUNIT_EXPECT_EQ(test, destructed_others, 0);
}

static void destroy_of_an_empty_atlas_calls_nothing(struct kunit *test)
{
	PMID_ATLAS atlas = RxCreateMidAtlas(CONTEXTS, CONTEXTS);

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	give_back(test, atlas, take(test, atlas, nr_ctx(1)));
	RxDestroyMidAtlas(atlas, destructor);
	KUNIT_EXPECT_EQ(test, destructed[1], 0);
	KUNIT_EXPECT_EQ(test, destructed_others, 0);
}

static void destroy_needs_neither_destructor_nor_atlas(struct kunit *test)
{
	PMID_ATLAS atlas = RxCreateMidAtlas(TYPICAL, 0);

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	take(test, atlas, test);
	RxDestroyMidAtlas(atlas, NULL);
	RxDestroyMidAtlas(NULL, destructor);
	KUNIT_EXPECT_EQ(test, destructed_others, 0);
}

/* "... and frees the memory allocated": 32 MiB if it did not. */
static void destroy_frees_the_memory(struct kunit *test)
{
	PMID_ATLAS atlas;
	long before, lost;
	unsigned int n;

	rcu_barrier();
	before = si_mem_available();
	for (n = 0; n < 128; n++) {
		atlas = RxCreateMidAtlas(16384, 16384);
		KUNIT_ASSERT_NOT_NULL(test, atlas);
		RxDestroyMidAtlas(atlas, destructor);
	}
	rcu_barrier();
	lost = (before - si_mem_available()) >> (20 - PAGE_SHIFT);
	KUNIT_EXPECT_LT_MSG(test, lost, 16, "%ld MiB are gone", lost);
}

static struct kunit_case destroy_cases[] = {
	KUNIT_CASE(destroy_calls_the_destructor_on_each_valid_context),
	KUNIT_CASE(destroy_knows_of_reassociated_contexts),
	KUNIT_CASE(destroy_of_an_empty_atlas_calls_nothing),
	KUNIT_CASE(destroy_needs_neither_destructor_nor_atlas),
	KUNIT_CASE(destroy_frees_the_memory),
	{}
};

static struct kunit_suite destroy_suite = {
	.name = "midatlax_RxDestroyMidAtlas",
	.init = destroy_init,
	.test_cases = destroy_cases,
};

/* ------------------------------------------------------------------------
 * RxAssociateContextWithMid
 */

/* "Associates the supplied opaque context with an available MID." */
static void associate_gives_the_context_an_available_mid(struct kunit *test)
{
	const struct maximum *maximum = test->param_value;
	PMID_ATLAS atlas = atlas_of(test, maximum->entries, 0);
	unsigned long *used = test_alloc(test, MID_VALUES / BITS_PER_BYTE);
	unsigned int n;
	USHORT mid;

	for (n = 0; n < maximum->entries; n++) {
		mid = take(test, atlas, nr_ctx(n));
		KUNIT_ASSERT_FALSE(test, test_and_set_bit(mid, used));
		KUNIT_ASSERT_PTR_EQ(test, RxMapMidToContext(atlas, mid),
				    nr_ctx(n));
	}
}

/* "It was not possible to allocate sufficient memory for the new MID_MAP." */
static void associate_without_memory_is_insufficient_resources(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, 4096, 64);
	USHORT mid = UNTOUCHED;
	unsigned int n;

	for (n = 0; n < 64; n++)
		take(test, atlas, nr_ctx(n));
	limit_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, RxAssociateContextWithMid(atlas, test, &mid),
			STATUS_INSUFFICIENT_RESOURCES);
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
	limit_allocs(test, UINT_MAX);
	take(test, atlas, test);
}

/*
 * "Unsuccessful ... when the number of MIDs already in use is greater than the
 * maximum": that is, when it would become greater.
 */
static void associate_beyond_the_maximum_is_unsuccessful(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid, none = UNTOUCHED;
	unsigned int n;

	for (n = 0; n < TYPICAL; n++)
		mid = take(test, atlas, nr_ctx(n));
	KUNIT_EXPECT_EQ(test, RxAssociateContextWithMid(atlas, test, &none),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_EQ(test, none, UNTOUCHED);
	/* The limit is for MIDs in use, not for all that ever were. */
	give_back(test, atlas, mid);
	take(test, atlas, test);
}

/* "... for several cases including": an invalid context is another case. */
static void associate_of_null_or_an_error_is_unsuccessful(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = UNTOUCHED;

	KUNIT_EXPECT_EQ(test, RxAssociateContextWithMid(atlas, NULL, &mid),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_EQ(test,
			RxAssociateContextWithMid(atlas, ERR_PTR(-EIO), &mid),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

/* "... including": a drained atlas is another case. */
static void associate_after_a_drain_is_unsuccessful(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = UNTOUCHED;

	KUNIT_ASSERT_EQ(test, mid_atlas_drain(atlas, 0), 0);
	KUNIT_EXPECT_EQ(test, RxAssociateContextWithMid(atlas, test, &mid),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_EQ(test, mid, UNTOUCHED);
}

/* "Allocates non-paged pool memory when creating a new MID_MAP." */
static void associate_allocates_as_a_file_system_may(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, 65535, 0);

	limit_allocs(test, UINT_MAX);
	while (!alloc_calls)
		take(test, atlas, test);
	KUNIT_EXPECT_TRUE(test, alloc_gfp & __GFP_DIRECT_RECLAIM);
	KUNIT_EXPECT_FALSE(test, alloc_gfp & (__GFP_FS | __GFP_HIGHMEM));
}

/* "The pContext parameter can be any opaque context." */
static void associate_takes_any_opaque_context(struct kunit *test)
{
	static const unsigned long contexts[] = {
		1, 2, 7, 0xffff, BIT(31), LONG_MAX, 1UL << (BITS_PER_LONG - 1),
		-4096UL, -4097UL,
	};
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid;
	int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		mid = take(test, atlas, (PVOID)contexts[i]);
		KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid),
				    (PVOID)contexts[i]);
	}
}

static void associate_takes_one_context_twice(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT a = take(test, atlas, test), b = take(test, atlas, test);

	KUNIT_EXPECT_NE(test, a, b);
	KUNIT_EXPECT_PTR_EQ(test, give_back(test, atlas, a), test);
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, b), test);
}

static struct kunit_case associate_cases[] = {
	KUNIT_CASE_PARAM(associate_gives_the_context_an_available_mid,
			 maxima_gen_params),
	KUNIT_CASE(associate_without_memory_is_insufficient_resources),
	KUNIT_CASE(associate_beyond_the_maximum_is_unsuccessful),
	KUNIT_CASE(associate_of_null_or_an_error_is_unsuccessful),
	KUNIT_CASE(associate_after_a_drain_is_unsuccessful),
	KUNIT_CASE(associate_allocates_as_a_file_system_may),
	KUNIT_CASE(associate_takes_any_opaque_context),
	KUNIT_CASE(associate_takes_one_context_twice),
	{}
};

static struct kunit_suite associate_suite = {
	.name = "midatlax_RxAssociateContextWithMid",
	.test_cases = associate_cases,
};

/* ------------------------------------------------------------------------
 * RxMapMidToContext
 */

/* "Returns a pointer to the associated context ..." */
static void map_returns_the_context_and_leaves_it(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = take(test, atlas, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), nr_ctx(1));
	KUNIT_EXPECT_PTR_EQ(test, give_back(test, atlas, mid), nr_ctx(1));
}

/* "... or NULL if none exists": for any 16-bit value. */
static void map_returns_null_for_every_other_value(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	unsigned int mid, wrong = 0;
	USHORT used, freed;

	freed = take(test, atlas, nr_ctx(0));
	used = take(test, atlas, nr_ctx(1));
	give_back(test, atlas, freed);
	for (mid = 0; mid < MID_VALUES; mid++)
		wrong += RxMapMidToContext(atlas, mid) !=
			 (mid == used ? nr_ctx(1) : NULL);
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

static struct kunit_case map_cases[] = {
	KUNIT_CASE(map_returns_the_context_and_leaves_it),
	KUNIT_CASE(map_returns_null_for_every_other_value),
	{}
};

static struct kunit_suite map_suite = {
	.name = "midatlax_RxMapMidToContext",
	.test_cases = map_cases,
};

/* ------------------------------------------------------------------------
 * RxMapAndDissociateMidFromContext
 */

/* "Maps a MID to its associated context and then disassociates the MID." */
static void dissociate_returns_the_context_and_frees_the_mid(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, 1, 1);
	USHORT mid = take(test, atlas, nr_ctx(1));

	KUNIT_EXPECT_PTR_EQ(test, give_back(test, atlas, mid), nr_ctx(1));
	KUNIT_EXPECT_NULL(test, RxMapMidToContext(atlas, mid));
	KUNIT_EXPECT_NULL(test, give_back(test, atlas, mid));
	take(test, atlas, nr_ctx(2));
}

/*
 * "Always returns STATUS_SUCCESS": give_back() asserts it.  "... or a NULL if no
 * context was associated with this MID."
 */
static void dissociate_always_succeeds_and_may_return_null(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT used = take(test, atlas, nr_ctx(1));
	unsigned int mid, wrong = 0;

	for (mid = 0; mid < MID_VALUES; mid++)
		wrong += give_back(test, atlas, mid) !=
			 (mid == used ? nr_ctx(1) : NULL);
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* "... to distinguish between the concurrently active requests": one CPU gets each. */
#define RACES	PART_OF(20000)

struct contest {
	PMID_ATLAS atlas;
	USHORT mid;
	atomic_t arrivals;
	atomic_t wins;
	unsigned int wrong;
};

static void contest_run(void *arg, int side)
{
	struct contest *c = arg;
	PVOID context;
	int n;

	for (n = 0; n < RACES; n++) {
		if (!side)
			c->wrong += !NT_SUCCESS(RxAssociateContextWithMid(c->atlas, nr_ctx(n),
									  &c->mid));
		meet(&c->arrivals);
		RxMapAndDissociateMidFromContext(c->atlas, c->mid, &context);
		if (context == nr_ctx(n))
			atomic_inc(&c->wins);
		else if (context)
			c->wrong++;
		meet(&c->arrivals);
	}
}

static void dissociate_gives_a_context_to_one_of_two_cpus(struct kunit *test)
{
	struct contest *c = test_alloc(test, sizeof(*c));

	if (num_online_cpus() < 2)
		kunit_skip(test, "NO RACE WAS RUN: there is only one CPU");
	c->atlas = atlas_of(test, TYPICAL, TYPICAL);
	race(test, contest_run, c);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->wins), RACES);
}

static struct kunit_case dissociate_cases[] = {
	KUNIT_CASE(dissociate_returns_the_context_and_frees_the_mid),
	KUNIT_CASE(dissociate_always_succeeds_and_may_return_null),
	KUNIT_CASE(dissociate_gives_a_context_to_one_of_two_cpus),
	{}
};

static struct kunit_suite dissociate_suite = {
	.name = "midatlax_RxMapAndDissociateMidFromContext",
	.test_cases = dissociate_cases,
};

/* ------------------------------------------------------------------------
 * RxReassociateMid
 */

/* "Reassociates a MID with an alternate context." */
static void reassociate_gives_the_mid_to_another_context(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = take(test, atlas, nr_ctx(1));

	KUNIT_EXPECT_EQ(test, RxReassociateMid(atlas, mid, nr_ctx(2)),
			STATUS_SUCCESS);
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), nr_ctx(2));
	KUNIT_EXPECT_PTR_EQ(test, give_back(test, atlas, mid), nr_ctx(2));
}

/*
 * "A pointer that will hold the new context for this MID on exit" is ambiguous.
 * Here the pointer is the new context.  If it were the address of a result, the
 * call would overwrite the memory behind it.
 */
static void reassociate_holds_the_new_context_and_writes_nothing(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = take(test, atlas, nr_ctx(1));
	PVOID target[2] = { nr_ctx(7), nr_ctx(8) };
	PVOID new_context = target;

	RxReassociateMid(atlas, mid, new_context);
	KUNIT_EXPECT_PTR_EQ(test, new_context, (PVOID)target);
	KUNIT_EXPECT_PTR_EQ(test, target[0], nr_ctx(7));
	KUNIT_EXPECT_PTR_EQ(test, target[1], nr_ctx(8));
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), (PVOID)target);
}

/* "Can be NULL if no context is associated with this MID": it stays free. */
static void reassociate_of_a_free_mid_stores_nothing(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, 1, 1);
	USHORT mid = take(test, atlas, nr_ctx(1));

	give_back(test, atlas, mid);
	KUNIT_EXPECT_EQ(test, RxReassociateMid(atlas, mid, nr_ctx(2)),
			STATUS_SUCCESS);
	KUNIT_EXPECT_NULL(test, RxMapMidToContext(atlas, mid));
	take(test, atlas, nr_ctx(3));	/* the only slot is free */
}

/* "Always returns STATUS_SUCCESS": for any value of the MID. */
static void reassociate_succeeds_for_every_mid(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT used = take(test, atlas, nr_ctx(1));
	unsigned int mid, failed = 0, wrong = 0;

	for (mid = 0; mid < MID_VALUES; mid++)
		failed += RxReassociateMid(atlas, mid, nr_ctx(2)) !=
			  STATUS_SUCCESS;
	for (mid = 0; mid < MID_VALUES; mid++)
		wrong += RxMapMidToContext(atlas, mid) !=
			 (mid == used ? nr_ctx(2) : NULL);
	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* "Returns STATUS_SUCCESS on success": a call that stores nothing fails. */
static void reassociate_with_null_or_an_error_is_unsuccessful(struct kunit *test)
{
	PMID_ATLAS atlas = atlas_of(test, TYPICAL, TYPICAL);
	USHORT mid = take(test, atlas, nr_ctx(1));

	KUNIT_EXPECT_EQ(test, RxReassociateMid(atlas, mid, NULL),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_EQ(test, RxReassociateMid(atlas, mid, ERR_PTR(-EIO)),
			STATUS_UNSUCCESSFUL);
	KUNIT_EXPECT_PTR_EQ(test, RxMapMidToContext(atlas, mid), nr_ctx(1));
}

static struct kunit_case reassociate_cases[] = {
	KUNIT_CASE(reassociate_gives_the_mid_to_another_context),
	KUNIT_CASE(reassociate_holds_the_new_context_and_writes_nothing),
	KUNIT_CASE(reassociate_of_a_free_mid_stores_nothing),
	KUNIT_CASE(reassociate_succeeds_for_every_mid),
	KUNIT_CASE(reassociate_with_null_or_an_error_is_unsuccessful),
	{}
};

static struct kunit_suite reassociate_suite = {
	.name = "midatlax_RxReassociateMid",
	.test_cases = reassociate_cases,
};

/* ------------------------------------------------------------------------
 * A mini-redirector
 *
 * From here to the tests the source is as on Windows.
 */

#define MRX_MAX_REQUESTS	((USHORT)50)

typedef enum { MrxPending, MrxReplied, MrxCancelled, MrxDisconnected } MRX_END;

typedef struct _MRX_EXCHANGE {
	USHORT Mid;
	MRX_END End;
	ULONG Answer;
} MRX_EXCHANGE, *PMRX_EXCHANGE;

static VOID MrxEnd(PMRX_EXCHANGE Exchange, MRX_END End)
{
	Exchange->End = End;
}

static VOID MrxContextDestructor(PVOID Context)
{
	MrxEnd((PMRX_EXCHANGE)Context, MrxDisconnected);
}

static NTSTATUS MrxSend(PMID_ATLAS Atlas, PMRX_EXCHANGE Exchange)
{
	NTSTATUS Status;

	Status = RxAssociateContextWithMid(Atlas, Exchange, &Exchange->Mid);
	if (!NT_SUCCESS(Status))
		return Status;
	Exchange->End = MrxPending;
	return STATUS_SUCCESS;
}

static VOID MrxReceive(PMID_ATLAS Atlas, USHORT Mid, ULONG Answer)
{
	PMRX_EXCHANGE Exchange = NULL;

	RxMapAndDissociateMidFromContext(Atlas, Mid, (PVOID *)&Exchange);
	if (!Exchange)
		return;
	Exchange->Answer = Answer;
	MrxEnd(Exchange, MrxReplied);
}

static NTSTATUS MrxCancel(PMID_ATLAS Atlas, PMRX_EXCHANGE Exchange)
{
	PVOID Context;

	if (RxMapMidToContext(Atlas, Exchange->Mid) != Exchange)
		return STATUS_UNSUCCESSFUL;
	RxMapAndDissociateMidFromContext(Atlas, Exchange->Mid, &Context);
	MrxEnd((PMRX_EXCHANGE)Context, MrxCancelled);
	return STATUS_SUCCESS;
}

/* A client with too many requests; they end in all possible ways. */
static void mini_redirector_ends_each_request_once(struct kunit *test)
{
	static MRX_EXCHANGE x[MRX_MAX_REQUESTS + 1];
	PRX_MID_ATLAS atlas = RxCreateMidAtlas(MRX_MAX_REQUESTS,
					       MRX_MAX_REQUESTS);
	MRX_EXCHANGE other = { .End = MrxPending };
	ULONG i, ends[4] = { 0 };

	KUNIT_ASSERT_NOT_NULL(test, atlas);
	for (i = 0; i < MRX_MAX_REQUESTS; i++)
		KUNIT_ASSERT_TRUE(test, NT_SUCCESS(MrxSend(atlas, &x[i])));
	KUNIT_EXPECT_EQ(test, MrxSend(atlas, &x[i]), STATUS_UNSUCCESSFUL);

	/* Half of them are answered, each one twice, the last one first. */
	for (i = MRX_MAX_REQUESTS; i-- > MRX_MAX_REQUESTS / 2;) {
		MrxReceive(atlas, x[i].Mid, i);
		MrxReceive(atlas, x[i].Mid, ~i);
		KUNIT_EXPECT_EQ(test, x[i].Answer, i);
	}
	KUNIT_EXPECT_EQ(test, MrxCancel(atlas, &x[MRX_MAX_REQUESTS - 1]),
			STATUS_UNSUCCESSFUL);

	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, MrxCancel(atlas, &x[i]), STATUS_SUCCESS);
	/* A new request replaces one that waits. */
	KUNIT_EXPECT_EQ(test, RxReassociateMid(atlas, x[5].Mid, &other),
			STATUS_SUCCESS);
	RxDestroyMidAtlas(atlas, MrxContextDestructor);

	for (i = 0; i < MRX_MAX_REQUESTS; i++)
		ends[x[i].End]++;
	KUNIT_EXPECT_EQ(test, ends[MrxReplied], 25);
	KUNIT_EXPECT_EQ(test, ends[MrxCancelled], 5);
	KUNIT_EXPECT_EQ(test, ends[MrxDisconnected], 19);
	KUNIT_EXPECT_EQ(test, ends[MrxPending], 1);
	KUNIT_EXPECT_EQ(test, other.End, MrxDisconnected);
}

/* Sources for Windows rely on these types and values. */
static void types_are_as_wide_as_on_windows(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(USHORT), 2);
	KUNIT_EXPECT_EQ(test, sizeof(ULONG), 4);
	KUNIT_EXPECT_EQ(test, sizeof(NTSTATUS), 4);
	KUNIT_EXPECT_EQ(test, sizeof(PVOID), sizeof(void *));
	KUNIT_EXPECT_EQ(test, (ULONG)STATUS_SUCCESS, 0);
	KUNIT_EXPECT_EQ(test, (ULONG)STATUS_UNSUCCESSFUL, 0xc0000001);
	KUNIT_EXPECT_EQ(test, (ULONG)STATUS_INSUFFICIENT_RESOURCES, 0xc000009a);
	KUNIT_EXPECT_TRUE(test, NT_SUCCESS(STATUS_SUCCESS));
	KUNIT_EXPECT_FALSE(test, NT_SUCCESS(STATUS_UNSUCCESSFUL));
	KUNIT_EXPECT_FALSE(test, NT_SUCCESS(STATUS_INSUFFICIENT_RESOURCES));
}

static struct kunit_case client_cases[] = {
	KUNIT_CASE(mini_redirector_ends_each_request_once),
	KUNIT_CASE(types_are_as_wide_as_on_windows),
	{}
};

static struct kunit_suite client_suite = {
	.name = "midatlax_mini_redirector",
	.test_cases = client_cases,
};

kunit_test_suites(&create_suite, &destroy_suite, &associate_suite, &map_suite,
		  &dissociate_suite, &reassociate_suite, &client_suite);

MODULE_DESCRIPTION("KUnit tests of RDBSS' names for the MID atlas");
MODULE_LICENSE("GPL");
