// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_kunit - tests of the MID atlas' basic calls
 *
 * There is one suite for each of create, associate, growth of the table, map,
 * dissociate, reassociate and destroy, and one for calls from interrupts.  Nearly
 * every test works on a mirror (tests/kunit/fixture.h), which compares the result
 * of each call with a model.
 */
#include "tests/kunit/fixture.h"

/* From one MID to all of them; with all slots at the start, or with few. */
static const struct shape all_shapes[] = {
	{ 1, 1 }, { 50, 50 }, { 64, 64 }, { 4096, 4096 }, { 65535, 65535 },
	{ 1, 0 }, { 50, 0 }, { 64, 1 }, { 4096, 0 }, { 65535, 0 }, { 65535, 1 },
};

KUNIT_ARRAY_PARAM(all_shapes, all_shapes, shape_desc);

/* A few different shapes, for tests that visit all 65,536 values. */
static const struct shape few_shapes[] = {
	{ 50, 50 }, { 4096, 0 }, { 65535, 65535 },
};

KUNIT_ARRAY_PARAM(few_shapes, few_shapes, shape_desc);

/* ------------------------------------------------------------------------
 * create
 */

struct create_args {
	const char *desc;
	const char *name;
	unsigned int max_mids;
	unsigned int initial_mids;
};

static const struct create_args bad_create_args[] = {
	{ "no name", NULL, 50, 50 },
	{ "empty name", "", 50, 50 },
	{ "max 0", "kunit", 0, 0 },
	{ "max 65536", "kunit", MID_ATLAS_MAX_MIDS + 1, 0 },
	{ "max -1", "kunit", UINT_MAX, 0 },
	{ "initial over max", "kunit", 50, 51 },
	{ "initial -1", "kunit", 50, UINT_MAX },
};

static void create_desc(const struct create_args *args, char *desc)
{
	strscpy(desc, args->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_create_args, bad_create_args, create_desc);

static int create_error(const char *name, unsigned int max_mids,
			unsigned int initial_mids)
{
	struct mid_atlas *atlas;

	atlas = mid_atlas_create(name, max_mids, initial_mids, GFP_KERNEL);
	if (IS_ERR(atlas))
		return PTR_ERR(atlas);
	mid_atlas_destroy(atlas, NULL, NULL);
	return 0;
}

static void create_refuses_bad_arguments(struct kunit *test)
{
	const struct create_args *args = test->param_value;

	KUNIT_EXPECT_EQ(test, -EINVAL,
			create_error(args->name, args->max_mids,
				     args->initial_mids));
}

static void create_accepts_the_limits(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, create_error("kunit", 1, 0));
	KUNIT_EXPECT_EQ(test, 0, create_error("kunit", 1, 1));
	KUNIT_EXPECT_EQ(test, 0, create_error("kunit", MID_ATLAS_MAX_MIDS, 0));
	KUNIT_EXPECT_EQ(test, 0, create_error("kunit", MID_ATLAS_MAX_MIDS,
					      MID_ATLAS_MAX_MIDS));
}

static void create_reports_each_failed_allocation(struct kunit *test)
{
	unsigned int granted = 0;
	int err;

	for (;;) {
		limit_allocs(test, granted);
		err = create_error("kunit", 4096, 4096);
		if (!err)
			break;
		KUNIT_ASSERT_EQ(test, err, -ENOMEM);
		granted++;
	}
	KUNIT_EXPECT_GT(test, granted, 0);
	KUNIT_EXPECT_EQ(test, alloc_calls, granted);
}

static void create_allocates_under_the_callers_gfp(struct kunit *test)
{
	struct mid_atlas *atlas;

	limit_allocs(test, UINT_MAX);
	atlas = mid_atlas_create("kunit", 50, 50, GFP_NOIO);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, atlas);
	mid_atlas_destroy(atlas, NULL, NULL);

	KUNIT_EXPECT_GT(test, alloc_calls, 0);
	KUNIT_EXPECT_FALSE(test, alloc_gfp & (__GFP_IO | __GFP_FS));
	KUNIT_EXPECT_TRUE(test, alloc_gfp & __GFP_DIRECT_RECLAIM);
}

static void create_with_all_slots_leaves_nothing_to_allocate(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 4096, 4096);

	limit_allocs(test, 0);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 4096);
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
}

static struct kunit_case create_cases[] = {
	KUNIT_CASE_PARAM(create_refuses_bad_arguments,
			 bad_create_args_gen_params),
	KUNIT_CASE(create_accepts_the_limits),
	KUNIT_CASE(create_reports_each_failed_allocation),
	KUNIT_CASE(create_allocates_under_the_callers_gfp),
	KUNIT_CASE(create_with_all_slots_leaves_nothing_to_allocate),
	{}
};

static struct kunit_suite create_suite = {
	.name = "midatlas_create",
	.test_cases = create_cases,
};

/* ------------------------------------------------------------------------
 * associate
 */

static void associate_refuses_null_and_error_pointers(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 0);
	unsigned int i;
	u16 mid;

	for (i = 0; i < ARRAY_SIZE(bad_requests); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mirror_associate(m, bad_requests[i], &mid));
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 50);
}

static void associate_takes_any_other_pointer(struct kunit *test)
{
	void *const contexts[] = {
		(void *)1L, (void *)2L, (void *)3L, (void *)7L, (void *)0xffL,
		ZERO_SIZE_PTR, (void *)LONG_MAX, (void *)LONG_MIN,
		(void *)(-1L - MAX_ERRNO),	/* just below the errors */
		(void *)(~0UL / 3), (void *)(~0UL / 3 * 2),
		test, (void *)((unsigned long)test | 1),
		(void *)((unsigned long)test ^ 0xffUL << (BITS_PER_LONG - 8)),
	};
	struct mirror *m = mirror_create(test, 50, 0);
	u16 mid[ARRAY_SIZE(contexts)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++)
		KUNIT_ASSERT_EQ_MSG(test, 0,
				    mirror_associate(m, contexts[i], &mid[i]),
				    "request %u", i);
	mirror_check(m);
	for (i = 0; i < ARRAY_SIZE(contexts); i++)
		mirror_dissociate(m, mid[i]);
}

static void associate_may_give_one_context_two_mids(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 0);
	u16 first, second;

	KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, test, &first));
	KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, test, &second));
	mirror_dissociate(m, first);
	mirror_map(m, second);
	mirror_dissociate(m, second);
}

static void associate_hands_out_exactly_max_mids(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct mirror *m = mirror_of(test);

	KUNIT_EXPECT_EQ(test, mirror_fill(m), shape->max_mids);
	KUNIT_EXPECT_EQ_MSG(test, mirror_fill(m), 0, "a refused associate freed a MID");
	mirror_check(m);
}

struct remote_associate {
	struct mid_atlas *atlas;
	void *ctx;
	u16 mid;
	int err;
};

static long remote_associate(void *arg)
{
	struct remote_associate *r = arg;

	r->mid = UNTOUCHED;
	r->err = mid_atlas_associate(r->atlas, r->ctx, &r->mid, GFP_KERNEL);
	return 0;
}

static int mirror_associate_on(struct mirror *m, int cpu)
{
	struct remote_associate r = {
		.atlas = m->atlas,
		.ctx = nr_ctx(m->step++),
	};

	work_on_cpu(cpu, remote_associate, &r);
	return mirror_note(m, r.err, r.ctx, r.mid);
}

static void any_cpu_gets_the_only_free_mid(struct kunit *test)
{
	struct mirror *m = mirror_of(test);
	unsigned int mid, cpu, freed = 0;

	mirror_fill(m);
	for_each_set_bit(mid, m->live, MID_VALUES) {
		if (freed++ == 100)
			break;
		mirror_dissociate(m, mid);
		cpu = cpumask_nth(freed % num_online_cpus(), cpu_online_mask);
		KUNIT_ASSERT_EQ_MSG(test, 0, mirror_associate_on(m, cpu),
				    "the only free MID, on CPU %u", cpu);
		for_each_online_cpu(cpu)
			KUNIT_ASSERT_EQ_MSG(test, -ENOSPC,
					    mirror_associate_on(m, cpu),
					    "no MID is free, on CPU %u", cpu);
	}
	mirror_check(m);
}

/* Each slot in turn is the only free one, until it has had all its generations. */
static void associate_hands_out_every_mid_but_0xffff(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	unsigned long *seen = test_alloc(test, MID_VALUES / BITS_PER_BYTE);
	u16 *mids = test_alloc(test, shape->max_mids * sizeof(*mids));
	struct mirror *m = mirror_of(test);
	unsigned int i, n;

	for (n = 0; n < 2 * MID_VALUES; n++) {
		i = n % shape->max_mids;
		if (n >= shape->max_mids)
			mirror_dissociate(m, mids[i]);
		mids[i] = mirror_take(m);
		__set_bit(mids[i], seen);
	}
	KUNIT_EXPECT_FALSE(test, test_bit(SERVER_MID, seen));
	KUNIT_EXPECT_EQ(test, bitmap_weight(seen, MID_VALUES), MID_VALUES - 1);
}

static const struct shape exact_shapes[] = {
	{ 1, 1 }, { 64, 64 },
};

KUNIT_ARRAY_PARAM(exact_shapes, exact_shapes, shape_desc);

/*
 * @held MIDs stay in use; @in_flight more are freed first in, first out.  No MID
 * comes back before @bound associates.  The worst shapes leave one slot free, and
 * only the generation bits of its MID differ from one use to the next.
 */
struct reuse {
	unsigned int max_mids;
	unsigned int initial_mids;
	unsigned int held;
	unsigned int in_flight;
	unsigned int bound;
};

static const struct reuse reuses[] = {
	{ 1, 1, 0, 1, 65535 },
	{ 50, 50, 49, 1, 1000 },
	{ 50, 0, 49, 1, 1000 },
	{ 50, 50, 0, 50, 10000 },
	{ 64, 64, 63, 1, 1000 },
	{ 64, 64, 0, 64, 10000 },
	{ 4096, 4096, 4095, 1, 15 },
	{ 4096, 0, 0, 50, 10000 },
	{ 65535, 65535, 60000, 1, 16 },
	{ 65535, 65535, 0, 50, 65000 },
	{ 65535, 65535, 0, 1000, 10000 },
};

static void reuse_desc(const struct reuse *reuse, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE,
		 "max %u, initial %u, %u held, %u in flight", reuse->max_mids,
		 reuse->initial_mids, reuse->held, reuse->in_flight);
}

KUNIT_ARRAY_PARAM(reuses, reuses, reuse_desc);

static void freed_mid_comes_back_late(struct kunit *test)
{
	const struct reuse *reuse = test->param_value;
	unsigned int *last = test_alloc(test, MID_VALUES * sizeof(*last));
	u16 *mids = test_alloc(test, reuse->in_flight * sizeof(*mids));
	struct mirror *m = mirror_create(test, reuse->max_mids,
					 reuse->initial_mids);
	unsigned int nearest = UINT_MAX, now, i;
	u16 mid;

	/* On another CPU the order of the MIDs would begin elsewhere. */
	migrate_disable();
	for (now = 0; now < reuse->held; now++)
		mirror_take(m);
	for (now = 1; now <= 4 * MID_VALUES; now++) {
		i = now % reuse->in_flight;
		if (now > reuse->in_flight)
			mirror_dissociate(m, mids[i]);
		mid = mirror_take(m);
		if (last[mid])
			nearest = min(nearest, now - last[mid]);
		last[mid] = now;
		mids[i] = mid;
	}
	migrate_enable();
	kunit_info(test, "max %u, %u held, %u in flight: back after %u\n",
		   reuse->max_mids, reuse->held, reuse->in_flight, nearest);
	KUNIT_EXPECT_GE(test, nearest, reuse->bound);
}

/* Dissociates @n MIDs that are far apart, and associates as many on @cpu. */
static void mirror_churn_apart(struct mirror *m, unsigned int n, int cpu)
{
	unsigned int mid = 0, i;

	for (i = 0; i < n; i++) {
		mid = find_next_bit(m->live, MID_VALUES, (mid + 97) % MID_VALUES);
		if (mid >= MID_VALUES)
			mid = find_first_bit(m->live, MID_VALUES);
		mirror_dissociate(m, mid);
	}
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_EQ_MSG(m->test, 0, mirror_associate_on(m, cpu),
				    "free MID %u of %u, on CPU %d", i, n, cpu);
}

/*
 * In a nearly full table a CPU notes the slots that it frees.  Another CPU gets
 * all of these slots, but no more, and a note that is out of date hides no slot.
 */
static void slots_that_one_cpu_freed_serve_all_cpus(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 4096, 4096);
	unsigned int round, cpu;

	mirror_fill(m);
	for (round = 0; round < 100; round++) {
		for_each_online_cpu(cpu) {
			mirror_churn_apart(m, 1 + round % 40, cpu);
			KUNIT_ASSERT_EQ(test, -ENOSPC, mirror_associate_on(m, cpu));
		}
	}
	mirror_check(m);
}

/*
 * Returns the shortest distance, in associates, between two uses of a MID in a
 * table that was full before.  A CPU must not reuse the cache line that it has
 * just freed.  @offset varies the place where its scan stopped in the full table.
 */
static unsigned int nearest_reuse_after_full(struct kunit *test, unsigned int offset)
{
	unsigned int *last = test_alloc(test, MID_VALUES * sizeof(*last));
	struct mirror *m = mirror_create(test, 65535, 65535);
	unsigned int nearest = UINT_MAX, now, cpu;
	u16 mid;

	mirror_fill(m);
	for_each_online_cpu(cpu)
		mirror_churn_apart(m, 1000 + offset, cpu);
	mirror_empty(m);
	/* A CPU notices after some associates that slots are free. */
	for (now = 0; now < 500; now++)
		for_each_online_cpu(cpu)
			KUNIT_ASSERT_EQ(test, 0, mirror_associate_on(m, cpu));
	mirror_empty(m);
	for (now = 1; now <= MID_VALUES / 2; now++) {
		mid = mirror_take(m);
		if (last[mid])
			nearest = min(nearest, now - last[mid]);
		last[mid] = now;
		mirror_dissociate(m, mid);
	}
	return nearest;
}

static void freed_mid_comes_back_late_after_a_full_table(struct kunit *test)
{
	unsigned int offset;

	for (offset = 0; offset < 8; offset++)
		KUNIT_EXPECT_GE_MSG(test, nearest_reuse_after_full(test, offset),
				    10000, "offset %u", offset);
}

static struct kunit_case associate_cases[] = {
	KUNIT_CASE(associate_refuses_null_and_error_pointers),
	KUNIT_CASE(associate_takes_any_other_pointer),
	KUNIT_CASE(associate_may_give_one_context_two_mids),
	KUNIT_CASE_PARAM(associate_hands_out_exactly_max_mids,
			 all_shapes_gen_params),
	KUNIT_CASE_PARAM(any_cpu_gets_the_only_free_mid,
			 all_shapes_gen_params),
	KUNIT_CASE_PARAM(associate_hands_out_every_mid_but_0xffff,
			 exact_shapes_gen_params),
	KUNIT_CASE_PARAM(freed_mid_comes_back_late, reuses_gen_params),
	KUNIT_CASE(slots_that_one_cpu_freed_serve_all_cpus),
	KUNIT_CASE(freed_mid_comes_back_late_after_a_full_table),
	{}
};

static struct kunit_suite associate_suite = {
	.name = "midatlas_associate",
	.test_cases = associate_cases,
};

/* ------------------------------------------------------------------------
 * Growth
 */

static void growth_failure_changes_nothing_at_any_step(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 0);
	unsigned int steps = 0;
	u16 mid = 0;
	int err;

	limit_allocs(test, 0);
	while ((err = mirror_associate(m, nr_ctx(m->step), &mid)) != -ENOSPC) {
		if (!err)
			continue;
		KUNIT_ASSERT_EQ(test, err, -ENOMEM);
		mirror_check(m);
		/* A freed slot can be taken without an allocation. */
		if (m->used) {
			mirror_dissociate(m, mid);
			mid = mirror_take(m);
		}
		limit_allocs(test, UINT_MAX);
		mid = mirror_take(m);
		limit_allocs(test, 0);
		steps++;
	}
	kunit_info(test, "growth failed %u times\n", steps);
	KUNIT_EXPECT_EQ(test, m->used, MID_ATLAS_MAX_MIDS);
	KUNIT_EXPECT_GE(test, steps, 10);	/* 64 << 10 slots are enough */
	mirror_check(m);
}

static void growth_is_left_alone_while_a_slot_is_free(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 64);
	unsigned int n;
	u16 mid;

	limit_allocs(test, 0);
	for (n = 0; n < 63; n++)
		mirror_take(m);
	for (n = 0; n < 10000; n++) {
		mid = mirror_take(m);
		mirror_dissociate(m, mid);
	}
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
}

static void growth_allocates_under_the_callers_gfp(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 0);
	u16 mid;

	limit_allocs(test, UINT_MAX);
	while (!alloc_calls)
		KUNIT_ASSERT_EQ(test, 0, mirror_associate_gfp(m, test, &mid,
							      GFP_ATOMIC));
	KUNIT_EXPECT_FALSE(test, alloc_gfp & __GFP_DIRECT_RECLAIM);
	KUNIT_EXPECT_TRUE(test, alloc_gfp & __GFP_HIGH);
}

/*
 * Two MIDs are taken for each one that is freed, so at every size there are MIDs
 * in use and stale ones, of a slot's first and of its later generations.
 */
static void growth_keeps_old_mids_valid_and_stale_ones_stale(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 0);
	unsigned int next_check = 1;
	u16 mid, to_free = 0;

	while (m->used < MID_ATLAS_MAX_MIDS - 1) {
		mid = mirror_take(m);
		mirror_take(m);
		/* 40503 is odd: all values are visited. */
		do {
			to_free += 40503;
		} while (!m->ctx[to_free] || to_free == mid);
		mirror_dissociate(m, to_free);
		if (m->used >= next_check) {
			mirror_check(m);
			next_check *= 2;
		}
	}
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 1);
	mirror_check(m);
}

/* No value is used twice before all others were used once. */
static void growth_brings_no_freed_mid_back_early(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 0);
	unsigned long *seen = test_alloc(test, MID_VALUES / BITS_PER_BYTE);
	bool back;
	u16 mid;

	while (m->used < 2000) {
		mid = mirror_take(m);
		back = __test_and_set_bit(mid, seen);
		KUNIT_ASSERT_FALSE_MSG(test, back, "MID %#06x, %u in use, step %lu",
				       mid, m->used, m->step);
		/* The 64th, the last slot of the first table, is reused 500 times. */
		if (m->used == 64 && m->step < 1000)
			mirror_dissociate(m, mid);
	}
}

static struct kunit_case growth_cases[] = {
	KUNIT_CASE(growth_failure_changes_nothing_at_any_step),
	KUNIT_CASE(growth_is_left_alone_while_a_slot_is_free),
	KUNIT_CASE(growth_allocates_under_the_callers_gfp),
	KUNIT_CASE(growth_keeps_old_mids_valid_and_stale_ones_stale),
	KUNIT_CASE(growth_brings_no_freed_mid_back_early),
	{}
};

static struct kunit_suite growth_suite = {
	.name = "midatlas_growth",
	.test_cases = growth_cases,
};

/* ------------------------------------------------------------------------
 * map
 */

static void map_of_every_value_while_empty(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_check(m);
	mirror_fill(m);
	mirror_empty(m);
	mirror_check(m);
}

static void map_of_every_value_while_full(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_fill(m);
	mirror_check(m);
}

static void map_of_every_value_while_mixed(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_mix(m);
	mirror_check(m);
}

static struct kunit_case map_cases[] = {
	KUNIT_CASE_PARAM(map_of_every_value_while_empty, few_shapes_gen_params),
	KUNIT_CASE_PARAM(map_of_every_value_while_full, few_shapes_gen_params),
	KUNIT_CASE_PARAM(map_of_every_value_while_mixed, few_shapes_gen_params),
	{}
};

static struct kunit_suite map_suite = {
	.name = "midatlas_map",
	.test_cases = map_cases,
};

/* ------------------------------------------------------------------------
 * dissociate
 */

static void dissociate_of_every_value_while_empty_frees_nothing(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);

	mirror_empty(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 50);
}

static void dissociate_of_every_value_while_mixed(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct mirror *m = mirror_of(test);
	unsigned int mid;

	mirror_mix(m);
	for (mid = 0; mid < MID_VALUES; mid++) {
		mirror_dissociate(m, mid);
		mirror_dissociate(m, mid);
	}
	KUNIT_EXPECT_EQ(test, m->used, 0);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), shape->max_mids);
}

/* The last of 50 slots is used 1,000 times; each time all its older MIDs are tried. */
static void stale_mid_never_reaches_a_later_use_of_its_slot(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	u16 *stale = test_alloc(test, 1000 * sizeof(*stale));
	unsigned int use, older;

	for (use = 0; use < 49; use++)
		mirror_take(m);
	for (use = 0; use < 1000; use++) {
		stale[use] = mirror_take(m);
		for (older = 0; older < use; older++) {
			mirror_map(m, stale[older]);
			mirror_dissociate(m, stale[older]);
			mirror_reassociate(m, stale[older]);
		}
		mirror_dissociate(m, stale[use]);
	}
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 1);
}

static struct kunit_case dissociate_cases[] = {
	KUNIT_CASE(dissociate_of_every_value_while_empty_frees_nothing),
	KUNIT_CASE_PARAM(dissociate_of_every_value_while_mixed,
			 few_shapes_gen_params),
	KUNIT_CASE(stale_mid_never_reaches_a_later_use_of_its_slot),
	{}
};

static struct kunit_suite dissociate_suite = {
	.name = "midatlas_dissociate",
	.test_cases = dissociate_cases,
};

/* ------------------------------------------------------------------------
 * reassociate
 */

static void reassociate_keeps_the_mid_and_returns_the_old_context(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	unsigned int mid;

	mirror_fill(m);
	for_each_set_bit(mid, m->live, MID_VALUES)
		KUNIT_ASSERT_NOT_NULL(test, mirror_reassociate(m, mid));
	mirror_check(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 0);
	mirror_empty(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 50);
}

static void reassociate_of_every_value_stores_nothing_while_empty(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 0);
	unsigned int mid;

	for (mid = 0; mid < MID_VALUES; mid++)
		KUNIT_ASSERT_NULL(test, mirror_reassociate(m, mid));
	mirror_check(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 50);
	mirror_check(m);
}

static void reassociate_of_every_value_while_mixed(struct kunit *test)
{
	struct mirror *m = mirror_of(test);
	unsigned int mid;

	mirror_mix(m);
	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_reassociate(m, mid);
	mirror_check(m);
}

static void reassociate_refuses_null_and_error_pointers(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	u16 mid[] = { mirror_take(m), mirror_take(m) };
	unsigned int i, n;
	void *ret;

	mirror_dissociate(m, mid[1]);
	for (i = 0; i < ARRAY_SIZE(bad_requests); i++) {
		for (n = 0; n < ARRAY_SIZE(mid); n++) {
			ret = mid_atlas_reassociate(m->atlas, mid[n],
						    bad_requests[i]);
			KUNIT_EXPECT_PTR_EQ(test, ret, ERR_PTR(-EINVAL));
		}
		mirror_check(m);
	}
}

static struct kunit_case reassociate_cases[] = {
	KUNIT_CASE(reassociate_keeps_the_mid_and_returns_the_old_context),
	KUNIT_CASE(reassociate_of_every_value_stores_nothing_while_empty),
	KUNIT_CASE_PARAM(reassociate_of_every_value_while_mixed,
			 few_shapes_gen_params),
	KUNIT_CASE(reassociate_refuses_null_and_error_pointers),
	{}
};

static struct kunit_suite reassociate_suite = {
	.name = "midatlas_reassociate",
	.test_cases = reassociate_cases,
};

/* ------------------------------------------------------------------------
 * destroy
 */

/* Sleeps until the RCU callbacks that were queued before have run. */
static void destruct_slowly(void *ctx, u16 mid, void *arg)
{
	destruct(ctx, mid, arg);
	rcu_barrier();
}

static void destroy_hands_each_context_to_the_destructor_once(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_fill(m);
	mirror_destroy(m, destruct);
}

static void destroy_passes_over_freed_mids(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_mix(m);
	mirror_destroy(m, destruct);
}

static void destroy_of_an_atlas_that_was_emptied_calls_nobody(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 4096, 0);

	mirror_fill(m);
	mirror_empty(m);
	mirror_destroy(m, destruct);
}

static void destroy_hands_over_the_context_of_the_last_reassociate(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	u16 mid = mirror_take(m);

	mirror_reassociate(m, mid);
	mirror_reassociate(m, mid);
	mirror_destroy(m, destruct);
}

static void destroy_lets_the_destructor_sleep(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);

	mirror_take(m);
	mirror_take(m);
	mirror_destroy(m, destruct_slowly);
}

/*
 * An outgrown table may be freed with its last request, but not while destroy
 * still uses it.  KASAN or slab_debug=P detects a failure reliably.
 */
static void destroy_of_a_grown_atlas_lets_the_destructor_sleep(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 4096, 0);
	u16 mid[65];
	int i;

	for (i = 0; i < 65; i++)
		mid[i] = mirror_take(m);
	for (i = 1; i < 64; i++)
		mirror_dissociate(m, mid[i]);
	mirror_destroy(m, destruct_slowly);
}

static void destroy_needs_neither_destructor_nor_atlas(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	struct destructed *d = test_alloc(test, sizeof(*d));

	mirror_fill(m);
	mid_atlas_destroy(m->atlas, NULL, d);
	m->atlas = NULL;
	mid_atlas_destroy(NULL, destruct, d);
	KUNIT_EXPECT_EQ(test, d->calls, 0);
}

static struct kunit_case destroy_cases[] = {
	KUNIT_CASE_PARAM(destroy_hands_each_context_to_the_destructor_once,
			 few_shapes_gen_params),
	KUNIT_CASE_PARAM(destroy_passes_over_freed_mids, few_shapes_gen_params),
	KUNIT_CASE(destroy_of_an_atlas_that_was_emptied_calls_nobody),
	KUNIT_CASE(destroy_hands_over_the_context_of_the_last_reassociate),
	KUNIT_CASE(destroy_lets_the_destructor_sleep),
	KUNIT_CASE(destroy_of_a_grown_atlas_lets_the_destructor_sleep),
	KUNIT_CASE(destroy_needs_neither_destructor_nor_atlas),
	{}
};

static struct kunit_suite destroy_suite = {
	.name = "midatlas_destroy",
	.test_cases = destroy_cases,
};

/* ------------------------------------------------------------------------
 * Interrupts
 */

#define IRQ_MIDS	200	/* makes a table of 64 slots grow */

struct irq_calls {
	struct mid_atlas *atlas;
	unsigned int wrong;
	u16 mid[IRQ_MIDS];
};

/* Makes every call that is allowed in interrupts. */
static void make_all_calls(void *arg)
{
	struct irq_calls *c = arg;
	struct mid_atlas *atlas = c->atlas;
	unsigned int i;

	for (i = 0; i < IRQ_MIDS; i++)
		c->wrong += !!mid_atlas_associate(atlas, nr_ctx(i), &c->mid[i],
						  GFP_ATOMIC);
	for (i = 0; i < IRQ_MIDS; i++) {
		void *old = nr_ctx(i), *new = nr_ctx(i + IRQ_MIDS);
		u16 mid = c->mid[i];

		c->wrong += map_rcu(atlas, mid) != old;
		c->wrong += mid_atlas_reassociate(atlas, mid, new) != old;
		c->wrong += mid_atlas_dissociate(atlas, mid) != new;
		c->wrong += !!mid_atlas_dissociate(atlas, mid);
	}
}

/* PREEMPT_RT cannot allocate in hard interrupts: all slots exist from the start. */
static struct mirror *irq_mirror(struct kunit *test, unsigned int max_mids)
{
	return mirror_create(test, max_mids,
			     IS_ENABLED(CONFIG_PREEMPT_RT) ? max_mids : 0);
}

static void hardirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->atlas = irq_mirror(test, IRQ_MIDS)->atlas;
	run_in_hardirq(test, make_all_calls, c);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

static void softirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->atlas = irq_mirror(test, IRQ_MIDS)->atlas;
	run_in_softirq(test, make_all_calls, c);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

#define IRQ_LEVELS	3	/* task, softirq, hardirq */
#define IRQ_ITERATIONS	PART_OF(100000)

/* The running level; a higher one interrupts a lower one. */
static unsigned int irq_level(void)
{
	return in_hardirq() ? 2 : in_serving_softirq() ? 1 : 0;
}

struct irq_churn {
	struct mid_atlas *atlas;
	atomic_t taken;			/* by growing_churn() */
	u16 mid[MID_VALUES];
};

/* Each call keeps one MID and checks that it maps to its own request. */
static bool growing_churn(void *arg)
{
	struct irq_churn *c = arg;
	int nr = atomic_inc_return(&c->taken) - 1;
	u16 mid;

	if (nr >= MID_ATLAS_MAX_MIDS)
		return true;
	if (mid_atlas_associate(c->atlas, nr_ctx(nr), &mid, GFP_ATOMIC))
		return false;
	c->mid[nr] = mid;
	return map_rcu(c->atlas, mid) == nr_ctx(nr);
}

static void table_grows_for_task_softirq_and_hardirq_at_once(struct kunit *test)
{
	struct irq_churn *c = test_alloc(test, sizeof(*c));
	struct mirror *m = irq_mirror(test, MID_ATLAS_MAX_MIDS);
	int nr, taken;

	c->atlas = m->atlas;
	kunit_run_irq_test(test, growing_churn, IRQ_ITERATIONS, c);
	taken = min(atomic_read(&c->taken), MID_ATLAS_MAX_MIDS);
	for (nr = 0; nr < taken; nr++)
		mirror_note(m, 0, nr_ctx(nr), c->mid[nr]);
	mirror_check(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), MID_ATLAS_MAX_MIDS - taken);
}

/* Each level frees its own MID first, so its associate must succeed. */
static bool full_churn(void *arg)
{
	struct irq_churn *c = arg;
	unsigned int level = irq_level();
	void *ctx = nr_ctx(level);
	u16 *mid = &c->mid[level];

	return mid_atlas_dissociate(c->atlas, *mid) == ctx &&
	       !mid_atlas_associate(c->atlas, ctx, mid, GFP_ATOMIC) &&
	       map_rcu(c->atlas, *mid) == ctx;
}

static void full_table_serves_task_softirq_and_hardirq_at_once(struct kunit *test)
{
	struct irq_churn *c = test_alloc(test, sizeof(*c));
	struct mirror *m = mirror_create(test, IRQ_LEVELS, IRQ_LEVELS);
	unsigned int level;

	c->atlas = m->atlas;
	for (level = 0; level < IRQ_LEVELS; level++)
		KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, nr_ctx(level),
							  &c->mid[level]));
	kunit_run_irq_test(test, full_churn, IRQ_ITERATIONS, c);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 0);
}

static struct kunit_case irq_cases[] = {
	KUNIT_CASE(hardirq_may_make_every_call),
	KUNIT_CASE(softirq_may_make_every_call),
	KUNIT_CASE(table_grows_for_task_softirq_and_hardirq_at_once),
	KUNIT_CASE(full_table_serves_task_softirq_and_hardirq_at_once),
	{}
};

static struct kunit_suite irq_suite = {
	.name = "midatlas_irq",
	.test_cases = irq_cases,
};

kunit_test_suites(&create_suite, &associate_suite, &growth_suite, &map_suite,
		  &dissociate_suite, &reassociate_suite, &destroy_suite,
		  &irq_suite);

MODULE_DESCRIPTION("KUnit tests of the MID atlas");
MODULE_LICENSE("GPL");
