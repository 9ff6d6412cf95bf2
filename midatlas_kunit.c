// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_kunit - do the calls of midatlas.h keep what they promise?
 *
 * One suite for each call, then what crosses them: interrupts, two CPUs that
 * race, and a long random run.
 *
 * Nearly every test works on a *mirror*: an atlas, and beside it a model of it
 * that is too stupid to be wrong, an array with one pointer for each of the
 * 65,536 MIDs.  Each mirror_*() helper makes one call, compares the result with
 * the model and updates the model.
 *
 * An atlas never looks into a context, so most contexts here are mere numbers,
 * a new one for each call: whoever gets a wrong one is noticed.
 *
 * What runs in interrupts or in threads of a test's own only counts what went
 * wrong; the test itself asserts, when they have ended.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "tests/kunit/fixture.h"

#ifndef KUNIT_CASE_SLOW			/* 6.1 */
#define KUNIT_CASE_SLOW	KUNIT_CASE
#endif

static unsigned int seed = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed of the random runs; a failure prints it");

/* How many slots an atlas has, at the start and in the end. */
struct shape {
	unsigned int max_mids;
	unsigned int initial_mids;
};

static void shape_desc(const struct shape *shape, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u, initial %u",
		 shape->max_mids, shape->initial_mids);
}

/* From one MID to all there are, with all slots and with few at first. */
static const struct shape all_shapes[] = {
	{ 1, 1 }, { 50, 50 }, { 64, 64 }, { 4096, 4096 }, { 65535, 65535 },
	{ 1, 0 }, { 50, 0 }, { 64, 1 }, { 4096, 0 }, { 65535, 0 }, { 65535, 1 },
};

KUNIT_ARRAY_PARAM(all_shapes, all_shapes, shape_desc);

/* A few that differ in kind, for tests that visit all 65,536 values. */
static const struct shape few_shapes[] = {
	{ 50, 50 }, { 4096, 0 }, { 65535, 65535 },
};

KUNIT_ARRAY_PARAM(few_shapes, few_shapes, shape_desc);

/* ------------------------------------------------------------------------
 * The mirror
 */

struct mirror {
	struct kunit *test;
	struct mid_atlas *atlas;
	unsigned long step;	/* calls so far: says where a failure was */
	unsigned int used;
	void *ctx[MID_VALUES];	/* the model: what each MID must map to */
	DECLARE_BITMAP(live, MID_VALUES);	/* those that are not NULL */
};

static void mirror_assert(struct mirror *m, void *got, void *expected, u16 mid,
			  const char *call)
{
	KUNIT_ASSERT_PTR_EQ_MSG(m->test, got, expected,
				"%s of MID %#06x at step %lu, seed %u",
				call, mid, m->step, seed);
}

static void mirror_release(struct kunit_resource *res)
{
	struct mirror *m = res->data;

	mid_atlas_destroy(m->atlas, NULL, NULL);
}

static struct mirror *mirror_create(struct kunit *test,
				    unsigned int max_mids,
				    unsigned int initial_mids)
{
	struct mirror *m = test_alloc(test, sizeof(*m));
	struct mid_atlas *atlas;

	/* First the resource: an atlas of NULL is nothing to destroy. */
	m->test = test;
	KUNIT_ASSERT_NOT_NULL(test,
			      kunit_alloc_resource(test, NULL, mirror_release,
						   GFP_KERNEL, m));
	atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, atlas);
	m->atlas = atlas;
	return m;
}

static struct mirror *mirror_of(struct kunit *test)
{
	const struct shape *shape = test->param_value;

	return mirror_create(test, shape->max_mids, shape->initial_mids);
}

/* Notes the result of an associate; @mid was UNTOUCHED before. */
static int mirror_note(struct mirror *m, int err, void *ctx, u16 mid)
{
	struct kunit *test = m->test;

	if (err) {
		KUNIT_ASSERT_EQ_MSG(test, mid, UNTOUCHED,
				    "error %d at step %lu, seed %u",
				    err, m->step, seed);
		return err;
	}
	KUNIT_ASSERT_NE_MSG(test, mid, SERVER_MID, "step %lu, seed %u",
			    m->step, seed);
	mirror_assert(m, m->ctx[mid], NULL, mid, "associate");
	m->ctx[mid] = ctx;
	__set_bit(mid, m->live);
	m->used++;
	return 0;
}

static int mirror_associate_gfp(struct mirror *m, void *ctx, u16 *mid,
				gfp_t gfp)
{
	u16 new = UNTOUCHED;
	int err;

	m->step++;
	err = mid_atlas_associate(m->atlas, ctx, &new, gfp);
	if (!mirror_note(m, err, ctx, new))
		*mid = new;
	return err;
}

static int mirror_associate(struct mirror *m, void *ctx, u16 *mid)
{
	return mirror_associate_gfp(m, ctx, mid, GFP_KERNEL);
}

/* An associate that must succeed. */
static u16 mirror_take(struct mirror *m)
{
	u16 mid = SERVER_MID;
	int err = mirror_associate(m, nr_ctx(m->step), &mid);

	KUNIT_ASSERT_EQ_MSG(m->test, err, 0, "step %lu, %u in use, seed %u",
			    m->step, m->used, seed);
	return mid;
}

/* Takes all that are free.  Returns how many that were. */
static unsigned int mirror_fill(struct mirror *m)
{
	unsigned int taken = 0;
	u16 mid;
	int err;

	while (!(err = mirror_associate(m, nr_ctx(m->step), &mid)))
		taken++;
	KUNIT_ASSERT_EQ_MSG(m->test, err, -ENOSPC, "%u in use", m->used);
	return taken;
}

static void mirror_map(struct mirror *m, u16 mid)
{
	m->step++;
	mirror_assert(m, map_rcu(m->atlas, mid), m->ctx[mid], mid, "map");
}

static void *mirror_dissociate(struct mirror *m, u16 mid)
{
	void *ctx;

	m->step++;
	ctx = mid_atlas_dissociate(m->atlas, mid);
	mirror_assert(m, ctx, m->ctx[mid], mid, "dissociate");
	m->used -= !!ctx;
	__clear_bit(mid, m->live);
	m->ctx[mid] = NULL;
	return ctx;
}

static void *mirror_reassociate(struct mirror *m, u16 mid)
{
	void *new_ctx = nr_ctx(m->step++), *old_ctx;

	old_ctx = mid_atlas_reassociate(m->atlas, mid, new_ctx);
	mirror_assert(m, old_ctx, m->ctx[mid], mid, "reassociate");
	if (old_ctx)
		m->ctx[mid] = new_ctx;
	return old_ctx;
}

static void mirror_empty(struct mirror *m)
{
	unsigned int mid;

	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_dissociate(m, mid);
	KUNIT_ASSERT_EQ(m->test, m->used, 0);
}

/* Maps every value that there is. */
static void mirror_check(struct mirror *m)
{
	unsigned int mid;

	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_map(m, mid);
}

/*
 * Makes a state of which each part is there: MIDs in their first use, reused
 * and reassociated ones, freed ones, and such that never were in use.
 */
static void mirror_mix(struct mirror *m)
{
	unsigned int freed = 0, mid;

	mirror_fill(m);
	for (mid = 0; mid < MID_VALUES; mid++) {
		if (mid % 3 == 0)
			freed += !!mirror_dissociate(m, mid);
		else if (mid % 3 == 1)
			mirror_reassociate(m, mid);
	}
	KUNIT_ASSERT_GT(m->test, freed, 1);
	for (mid = 0; mid < freed / 2; mid++)
		mirror_take(m);
}

/* ------------------------------------------------------------------------
 * Memory that runs out, for the test's own thread
 */

static unsigned int alloc_calls;	/* since limit_allocs() */
static unsigned int alloc_limit;
static gfp_t alloc_gfp;			/* of the last call */

#ifdef kunit_activate_static_stub
static void *limited_alloc(size_t size, gfp_t gfp)
{
	struct kunit *test = kunit_get_current_test();
	void *p;

	alloc_gfp = gfp;
	if (alloc_calls++ >= alloc_limit)
		return NULL;

	kunit_deactivate_static_stub(test, mid_atlas_alloc);
	p = mid_atlas_alloc(size, gfp);
	kunit_activate_static_stub(test, mid_atlas_alloc, limited_alloc);
	return p;
}
#endif

/* From now on @limit allocations of slots succeed, all further ones fail. */
static void limit_allocs(struct kunit *test, unsigned int limit)
{
	alloc_calls = 0;
	alloc_limit = limit;
#ifdef kunit_activate_static_stub
	kunit_activate_static_stub(test, mid_atlas_alloc, limited_alloc);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

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

static void *const no_contexts[] = {
	NULL,
	(void *)-1L,		/* ERR_PTR(-EPERM) */
	(void *)-ENOMEM,
	(void *)-MAX_ERRNO,
};

static void associate_refuses_null_and_error_pointers(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 0);
	unsigned int i;
	u16 mid;

	for (i = 0; i < ARRAY_SIZE(no_contexts); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				mirror_associate(m, no_contexts[i], &mid));
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
				    "context %u", i);
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
	KUNIT_EXPECT_EQ_MSG(test, mirror_fill(m), 0, "a refusal freed a MID");
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

static void one_freed_mid_is_one_for_whichever_cpu_asks(struct kunit *test)
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
				    "the only free MID, from CPU %u", cpu);
		for_each_online_cpu(cpu)
			KUNIT_ASSERT_EQ_MSG(test, -ENOSPC,
					    mirror_associate_on(m, cpu),
					    "none is free, from CPU %u", cpu);
	}
	mirror_check(m);
}

/* Each slot in turn is the only free one, until it has had all its uses. */
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
 * @held MIDs stay in use, @in_flight more are freed first in, first out: after
 * how many associates is a MID seen again, at the soonest?  The worst shapes
 * leave one slot free, and only the spare bits of its MID tell its uses apart.
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

	/* Another CPU would leave the rest of a region for the next lap. */
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

/* From how many of 64 slots this CPU takes MIDs, one after the other */
static unsigned int slots_in_turn(struct mirror *m)
{
	DECLARE_BITMAP(slots, 64) = {};
	unsigned int i;
	u16 mid;

	for (i = 0; i < 1000; i++) {
		mid = mirror_take(m);
		__set_bit(mid % 64, slots);
		mirror_dissociate(m, mid);
	}
	return bitmap_weight(slots, 64);
}

/* A CPU has a part of the table, but goes elsewhere if it would meet busy slots there. */
static void cpu_leaves_its_part_where_that_is_busy(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 64, 64);
	unsigned int part_slots, held;

	migrate_disable();
	part_slots = slots_in_turn(m);
	KUNIT_EXPECT_LE(test, part_slots, 32);

	/* One request that lasts is no reason. */
	m = mirror_create(test, 64, 64);
	mirror_take(m);
	KUNIT_EXPECT_LE(test, slots_in_turn(m), 32);

	m = mirror_create(test, 64, 64);
	for (held = 0; held < 8; held++)
		mirror_take(m);
	KUNIT_EXPECT_GT(test, slots_in_turn(m), part_slots - held);
	migrate_enable();
	mirror_check(m);
}

/* Takes out @n MIDs that are far apart, and puts as many in from @cpu. */
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
				    "free MID %u of %u, from CPU %d", i, n, cpu);
}

/*
 * Nearly full, a CPU remembers what it frees.  That is not its own: another gets
 * all of it, nobody gets more, and what is remembered in vain hides nothing.
 */
static void what_a_cpu_remembers_is_for_all(struct kunit *test)
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

/* A CPU, and what it has in flight of 64 slots that two CPUs share */
struct share {
	struct mid_atlas *atlas;
	struct rnd_state rnd;
	u16 mids[25];
	bool ok;
};

static void share_take(struct share *s, unsigned int i)
{
	if (mid_atlas_associate(s->atlas, &s->mids[i], &s->mids[i], GFP_KERNEL))
		s->ok = false;
}

static void share_give(struct share *s, unsigned int i)
{
	if (mid_atlas_dissociate(s->atlas, s->mids[i]) != &s->mids[i])
		s->ok = false;
}

/* Not in the order in which they went out */
static long share_churn(void *arg)
{
	struct share *s = arg;
	unsigned int i, n;

	for (n = 0; n < 1000; n++) {
		i = prandom_u32_state(&s->rnd) % ARRAY_SIZE(s->mids);
		share_give(s, i);
		share_take(s, i);
	}
	return 0;
}

/* In how many cache lines there are MIDs of both */
static unsigned int shared_lines(const struct share *s)
{
	unsigned int i, line, lines[2][16] = {}, shared = 0;

	for (i = 0; i < ARRAY_SIZE(s->mids); i++) {
		lines[0][s[0].mids[i] % 64 / 4]++;
		lines[1][s[1].mids[i] % 64 / 4]++;
	}
	for (line = 0; line < 16; line++)
		shared += lines[0][line] && lines[1][line];
	return shared;
}

/* Nearly full, and mixed to begin with: then each CPU's gather in lines of their own. */
static void requests_of_a_cpu_gather_where_it_is_at_home(struct kunit *test)
{
	struct share *s = test_alloc(test, 2 * sizeof(*s));
	struct mirror *m = mirror_create(test, 64, 64);
	unsigned int i, round, mixed;

	if (nr_cpu_ids != 2 || num_online_cpus() != 2)
		kunit_skip(test, "64 slots are two homes where there are two CPUs");
	for (i = 0; i < 2; i++) {
		s[i].atlas = m->atlas;
		s[i].ok = true;
		prandom_seed_state(&s[i].rnd, seed + i);
	}
	for (i = 0; i < ARRAY_SIZE(s->mids); i++) {
		share_take(&s[0], i);
		share_take(&s[1], i);
	}
	mixed = shared_lines(s);
	KUNIT_EXPECT_GT(test, mixed, 8);
	for (round = 0; round < 20; round++)
		for (i = 0; i < 2; i++)
			work_on_cpu(i, share_churn, &s[i]);
	kunit_info(test, "%u lines were shared, %u are\n", mixed, shared_lines(s));
	KUNIT_EXPECT_LE(test, shared_lines(s), 1);
	for (i = 0; i < ARRAY_SIZE(s->mids); i++) {
		share_give(&s[0], i);
		share_give(&s[1], i);
	}
	KUNIT_EXPECT_TRUE(test, s[0].ok && s[1].ok);
}

/*
 * When the table is no longer full, MIDs rest as long as ever.  A CPU that looks
 * for room once in so many associates must not find each time the line that it has
 * just filled, wherever in a line its walk was when the table was full: @offset.
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
	/* A CPU needs some to notice. */
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

static void freed_mid_comes_back_late_when_there_is_room_again(struct kunit *test)
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
	KUNIT_CASE_PARAM(one_freed_mid_is_one_for_whichever_cpu_asks,
			 all_shapes_gen_params),
	KUNIT_CASE_PARAM(associate_hands_out_every_mid_but_0xffff,
			 exact_shapes_gen_params),
	KUNIT_CASE_PARAM(freed_mid_comes_back_late, reuses_gen_params),
	KUNIT_CASE(cpu_leaves_its_part_where_that_is_busy),
	KUNIT_CASE(what_a_cpu_remembers_is_for_all),
	KUNIT_CASE(requests_of_a_cpu_gather_where_it_is_at_home),
	KUNIT_CASE(freed_mid_comes_back_late_when_there_is_room_again),
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
		/* A slot that is freed needs no memory. */
		if (m->used) {
			mirror_dissociate(m, mid);
			mid = mirror_take(m);
		}
		limit_allocs(test, UINT_MAX);
		mid = mirror_take(m);
		limit_allocs(test, 0);
		steps++;
	}
	kunit_info(test, "failed at %u steps\n", steps);
	KUNIT_EXPECT_EQ(test, m->used, MID_ATLAS_MAX_MIDS);
	KUNIT_EXPECT_GE(test, steps, 10);	/* 64 << 10 slots hold all */
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
 * Two MIDs are taken for each that is given back, so at every size there are
 * MIDs in use and stale ones, of first and of later uses.
 */
static void growth_keeps_old_mids_valid_and_stale_ones_stale(struct kunit *test)
{
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS, 0);
	unsigned int next_check = 1;
	u16 mid, give_back = 0;

	while (m->used < MID_ATLAS_MAX_MIDS - 1) {
		mid = mirror_take(m);
		mirror_take(m);
		/* 40503 is odd: this walks through all values. */
		do {
			give_back += 40503;
		} while (!m->ctx[give_back] || give_back == mid);
		mirror_dissociate(m, give_back);
		if (m->used >= next_check) {
			mirror_check(m);
			next_check *= 2;
		}
	}
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 1);
	mirror_check(m);
}

/* Before any value is used twice, all of the others can be used once. */
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
		/* The 64th, the last of the first table, has 500 uses. */
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

/* The last slot of 50 goes through 1,000 uses; the older ones are all tried. */
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
	for (i = 0; i < ARRAY_SIZE(no_contexts); i++) {
		for (n = 0; n < ARRAY_SIZE(mid); n++) {
			ret = mid_atlas_reassociate(m->atlas, mid[n],
						    no_contexts[i]);
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

/* What a destructor was handed. */
struct estate {
	unsigned int calls;
	unsigned int irqs_off;
	void *ctx[MID_VALUES];
};

static void inherit(void *ctx, u16 mid, void *arg)
{
	struct estate *estate = arg;

	might_sleep();
	estate->calls++;
	estate->irqs_off += irqs_disabled();
	estate->ctx[mid] = ctx;
}

/* Sleeps until whatever was given to RCU before is gone. */
static void inherit_slowly(void *ctx, u16 mid, void *arg)
{
	inherit(ctx, mid, arg);
	rcu_barrier();
}

/* Destroys the atlas: its destructor must get what the model has, no more. */
static void mirror_destroy(struct mirror *m, mid_ctx_fn destructor)
{
	struct estate *estate = test_alloc(m->test, sizeof(*estate));
	unsigned int mid;

	mid_atlas_destroy(m->atlas, destructor, estate);
	m->atlas = NULL;

	KUNIT_ASSERT_EQ(m->test, estate->calls, m->used);
	KUNIT_ASSERT_EQ(m->test, estate->irqs_off, 0);
	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_assert(m, estate->ctx[mid], m->ctx[mid], mid, "destroy");
}

static void destroy_hands_each_context_to_the_destructor_once(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_fill(m);
	mirror_destroy(m, inherit);
}

static void destroy_passes_over_freed_mids(struct kunit *test)
{
	struct mirror *m = mirror_of(test);

	mirror_mix(m);
	mirror_destroy(m, inherit);
}

static void destroy_of_an_atlas_that_was_emptied_calls_nobody(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 4096, 0);

	mirror_fill(m);
	mirror_empty(m);
	mirror_destroy(m, inherit);
}

static void destroy_hands_over_the_context_of_the_last_reassociate(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	u16 mid = mirror_take(m);

	mirror_reassociate(m, mid);
	mirror_reassociate(m, mid);
	mirror_destroy(m, inherit);
}

static void destroy_lets_the_destructor_sleep(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);

	mirror_take(m);
	mirror_take(m);
	mirror_destroy(m, inherit_slowly);
}

/*
 * What was outgrown may go as its last context does, but not while destroy is
 * still at it.  KASAN or slab_debug=P makes a failure sure.
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
	mirror_destroy(m, inherit_slowly);
}

static void destroy_needs_neither_destructor_nor_atlas(struct kunit *test)
{
	struct mirror *m = mirror_create(test, 50, 50);
	struct estate *estate = test_alloc(test, sizeof(*estate));

	mirror_fill(m);
	mid_atlas_destroy(m->atlas, NULL, estate);
	m->atlas = NULL;
	mid_atlas_destroy(NULL, inherit, estate);
	KUNIT_EXPECT_EQ(test, estate->calls, 0);
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
	struct irq_work irq_work;
	struct tasklet_struct tasklet;
	bool in_hardirq;
	bool in_softirq;
	unsigned int wrong;
	u16 mid[IRQ_MIDS];
};

/* Every call that interrupts may make. */
static void make_all_calls(struct irq_calls *c)
{
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

static void calls_from_hardirq(struct irq_work *work)
{
	struct irq_calls *c = container_of(work, typeof(*c), irq_work);

	c->in_hardirq = in_hardirq();
	make_all_calls(c);
}

static void calls_from_softirq(struct tasklet_struct *tasklet)
{
	struct irq_calls *c = container_of(tasklet, typeof(*c), tasklet);

	c->in_softirq = in_serving_softirq();
	make_all_calls(c);
}

/* PREEMPT_RT cannot allocate in hard interrupts: there all slots must exist. */
static struct mirror *irq_mirror(struct kunit *test, unsigned int max_mids)
{
	return mirror_create(test, max_mids,
			     IS_ENABLED(CONFIG_PREEMPT_RT) ? max_mids : 0);
}

static void hardirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->atlas = irq_mirror(test, IRQ_MIDS)->atlas;
	c->irq_work = IRQ_WORK_INIT_HARD(calls_from_hardirq);
	irq_work_queue(&c->irq_work);
	irq_work_sync(&c->irq_work);
	KUNIT_EXPECT_TRUE(test, c->in_hardirq);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

static void softirq_may_make_every_call(struct kunit *test)
{
	struct irq_calls *c = test_alloc(test, sizeof(*c));

	c->atlas = irq_mirror(test, IRQ_MIDS)->atlas;
	tasklet_setup(&c->tasklet, calls_from_softirq);
	tasklet_schedule(&c->tasklet);
	tasklet_kill(&c->tasklet);	/* waits until it has run */
	KUNIT_EXPECT_TRUE(test, c->in_softirq);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
}

#define IRQ_LEVELS	3	/* task, softirq, hardirq */
#define IRQ_ITERATIONS	PART_OF(100000)

/* Which of the three that interrupt one another is running? */
static unsigned int irq_level(void)
{
	return in_hardirq() ? 2 : in_serving_softirq() ? 1 : 0;
}

struct irq_churn {
	struct mid_atlas *atlas;
	atomic_t taken;			/* by growing_churn() */
	u16 mid[MID_VALUES];
};

/* Each call keeps one MID and checks that the one before is still its own. */
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

/* Each level gives back its own MID, so one is free for it: it must get one. */
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

/* ------------------------------------------------------------------------
 * Two CPUs
 */

/* Both sides fill one atlas at once. */
struct fill_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	unsigned int taken[2];
	int err[2];
	u16 mid[2][MID_VALUES];
};

static void run_fill_race(void *arg, int side)
{
	struct fill_race *r = arg;
	u16 *mid = r->mid[side];
	unsigned int n;
	int err = 0;

	meet(&r->arrivals);
	for (n = 0; n < MID_VALUES; n++) {
		err = mid_atlas_associate(r->atlas, nr_ctx(2 * n + side),
					  &mid[n], GFP_KERNEL);
		if (err)
			break;
		cond_resched();
	}
	r->taken[side] = n;
	r->err[side] = err;
}

static void racing_associates_never_share_or_lose_a_mid(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct fill_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_of(test);
	unsigned int round, side, i;

	r->atlas = m->atlas;
	for (round = 0; round < 10; round++) {
		race(test, run_fill_race, r);
		for (side = 0; side < 2; side++) {
			KUNIT_ASSERT_EQ(test, r->err[side], -ENOSPC);
			for (i = 0; i < r->taken[side]; i++)
				mirror_note(m, 0, nr_ctx(2 * i + side),
					    r->mid[side][i]);
		}
		KUNIT_ASSERT_EQ(test, m->used, shape->max_mids);
		mirror_empty(m);
	}
}

/* Both sides claim each of a million MIDs: one gets the context, one NULL. */
#define CLAIMS		4096
#define CLAIM_ROUNDS	256
#define REPLACE_ROUNDS	PART_OF(64)

struct claim_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	unsigned int wrong;
	unsigned int won[2];
	u16 mid[CLAIMS];
	void *got[2][CLAIMS];
};

static void claim_race_fill(struct claim_race *r)
{
	unsigned int i;

	for (i = 0; i < CLAIMS; i++)
		r->wrong += !!mid_atlas_associate(r->atlas, nr_ctx(i),
						  &r->mid[i], GFP_KERNEL);
}

static void claim_race_judge(struct claim_race *r)
{
	unsigned int i;

	for (i = 0; i < CLAIMS; i++) {
		void *winner = r->got[0][i] ?: r->got[1][i];

		r->wrong += winner != nr_ctx(i);
		r->wrong += r->got[0][i] && r->got[1][i];
		r->won[0] += !!r->got[0][i];
		r->won[1] += !!r->got[1][i];
	}
}

static void run_claim_race(void *arg, int side)
{
	struct claim_race *r = arg;
	unsigned int round, i;

	for (round = 0; round < CLAIM_ROUNDS; round++) {
		if (side == 0)
			claim_race_fill(r);
		meet(&r->arrivals);
		for (i = 0; i < CLAIMS; i++)
			r->got[side][i] = mid_atlas_dissociate(r->atlas,
							       r->mid[i]);
		meet(&r->arrivals);
		if (side == 0)
			claim_race_judge(r);
		cond_resched();
	}
}

static void racing_dissociates_give_each_context_to_one(struct kunit *test)
{
	struct claim_race *r = test_alloc(test, sizeof(*r));
	unsigned int turns;

	r->atlas = mirror_create(test, CLAIMS, CLAIMS)->atlas;
	turns = race_until(r->won[0] && r->won[1], test, run_claim_race, r);
	kunit_info(test, "CPUs won %u and %u of %u MIDs\n", r->won[0],
		   r->won[1], turns * CLAIMS * CLAIM_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, r->won[0] + r->won[1], turns * CLAIMS * CLAIM_ROUNDS);
	KUNIT_EXPECT_GT(test, r->won[0], 0);
	KUNIT_EXPECT_GT(test, r->won[1], 0);
}

/*
 * Side 0 puts a new context in the place of an old one while side 1 claims.
 * Either side 1 gets the new one and side 0 the old one, or side 1 gets the old
 * one and side 0 is refused.
 */
struct replace_race {
	struct claim_race claim;
	unsigned int replaced;
	unsigned int refused;
};

static void replace_race_judge(struct replace_race *r)
{
	unsigned int i;

	for (i = 0; i < CLAIMS; i++) {
		void *old_ctx = nr_ctx(i), *new_ctx = nr_ctx(i + CLAIMS);
		void *reassociated = r->claim.got[0][i];
		void *dissociated = r->claim.got[1][i];

		if (reassociated == old_ctx && dissociated == new_ctx)
			r->replaced++;
		else if (!reassociated && dissociated == old_ctx)
			r->refused++;
		else
			r->claim.wrong++;
	}
}

static void run_replace_race(void *arg, int side)
{
	struct replace_race *r = arg;
	struct claim_race *c = &r->claim;
	unsigned int round, i;

	for (round = 0; round < REPLACE_ROUNDS; round++) {
		if (side == 0)
			claim_race_fill(c);
		meet(&c->arrivals);
		for (i = 0; i < CLAIMS; i++)
			c->got[side][i] = side ?
				mid_atlas_dissociate(c->atlas, c->mid[i]) :
				mid_atlas_reassociate(c->atlas, c->mid[i],
						      nr_ctx(i + CLAIMS));
		meet(&c->arrivals);
		if (side == 0)
			replace_race_judge(r);
		cond_resched();
	}
}

static void reassociate_racing_dissociate_returns_each_context_once(struct kunit *test)
{
	struct replace_race *r = test_alloc(test, sizeof(*r));
	unsigned int turns, all;

	r->claim.atlas = mirror_create(test, CLAIMS, CLAIMS)->atlas;
	turns = race_until(r->replaced && r->refused, test, run_replace_race, r);
	all = turns * CLAIMS * REPLACE_ROUNDS;
	kunit_info(test, "reassociate came first %u times of %u\n", r->replaced, all);
	KUNIT_EXPECT_EQ(test, r->claim.wrong, 0);
	KUNIT_EXPECT_EQ(test, r->replaced + r->refused, all);
	KUNIT_EXPECT_GT(test, r->replaced, 0);
	KUNIT_EXPECT_GT(test, r->refused, 0);
}

/* One MID; contexts 1, 2, 3, ... are put into it, by one side or by both. */
#define MOST_REPLACEMENTS	100000
#define REPLACEMENTS	PART_OF(MOST_REPLACEMENTS)

struct swap_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned long wrong[2];
	unsigned long changes;			/* that a mapper saw */
	u8 returned[2][2 * MOST_REPLACEMENTS + 1];	/* by side and context */
};

static void run_swap_race(void *arg, int side)
{
	struct swap_race *r = arg;
	unsigned long nr, old;

	meet(&r->arrivals);
	for (nr = 1 + side; nr <= 2 * REPLACEMENTS; nr += 2) {
		old = (unsigned long)mid_atlas_reassociate(r->atlas, r->mid,
							   nr_ctx(nr));
		if (old - 1 <= 2 * REPLACEMENTS)
			r->returned[side][old - 1]++;
		else
			r->wrong[side]++;
		cond_resched();
	}
}

static void racing_reassociates_return_each_context_once(struct kunit *test)
{
	struct swap_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_create(test, 50, 50);
	unsigned long nr, last;

	r->atlas = m->atlas;
	KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, nr_ctx(0), &r->mid));
	race(test, run_swap_race, r);
	KUNIT_ASSERT_EQ(test, r->wrong[0] + r->wrong[1], 0);

	last = (unsigned long)mid_atlas_dissociate(r->atlas, r->mid) - 1;
	KUNIT_ASSERT_LE(test, last, 2 * REPLACEMENTS);
	r->returned[0][last]++;
	for (nr = 0; nr <= 2 * REPLACEMENTS; nr++)
		KUNIT_ASSERT_EQ_MSG(test, 1, r->returned[0][nr] +
				    r->returned[1][nr], "context %lu", nr);
}

static void run_swap_against_map(void *arg, int side)
{
	struct swap_race *r = arg;
	unsigned long nr, last = 0;

	if (side == 0) {
		r->done = false;
		mid_atlas_reassociate(r->atlas, r->mid, nr_ctx(0));
	}
	meet(&r->arrivals);
	if (side == 0) {
		for (nr = 1; nr <= REPLACEMENTS; nr++)
			r->wrong[0] += mid_atlas_reassociate(r->atlas, r->mid,
							     nr_ctx(nr)) !=
				       nr_ctx(nr - 1);
		WRITE_ONCE(r->done, true);
		return;
	}
	while (!READ_ONCE(r->done)) {
		nr = (unsigned long)map_rcu(r->atlas, r->mid) - 1;
		r->changes += nr != last;
		/* Once a newer one was seen, no older one may be. */
		r->wrong[1] += nr < last || nr > REPLACEMENTS;
		last = nr;
		cond_resched();
	}
}

static void map_racing_reassociate_sees_one_of_the_two(struct kunit *test)
{
	struct swap_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_create(test, 50, 50);
	unsigned int turns;

	r->atlas = m->atlas;
	KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, nr_ctx(0), &r->mid));
	turns = race_until(r->changes, test, run_swap_against_map, r);
	kunit_info(test, "the mapper saw %lu of %u changes\n", r->changes,
		   turns * REPLACEMENTS);
	KUNIT_EXPECT_EQ(test, r->wrong[0], 0);
	KUNIT_EXPECT_EQ(test, r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->changes, 0);
}

/*
 * Both sides give one back and take one.  All are in use before, so there is
 * always one for whoever has just given one back: no refusal is right.
 */
#define FULL_CYCLES	PART_OF(200000)

struct full_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	unsigned int share[2];
	unsigned int refused[2];
	unsigned int wrong[2];
	u16 mid[2][MID_VALUES];
};

static void run_full_race(void *arg, int side)
{
	struct full_race *r = arg;
	u16 *mid = r->mid[side];
	struct rnd_state rnd;
	unsigned int n, i;

	prandom_seed_state(&rnd, seed + side);
	for (i = 0; i < r->share[side]; i++)
		r->refused[side] += !!mid_atlas_associate(r->atlas, nr_ctx(i),
							  &mid[i], GFP_KERNEL);
	meet(&r->arrivals);
	for (n = 0; n < FULL_CYCLES && !r->refused[side]; n++) {
		i = prandom_u32_state(&rnd) % r->share[side];
		r->wrong[side] += mid_atlas_dissociate(r->atlas, mid[i]) !=
				  nr_ctx(i);
		r->refused[side] += !!mid_atlas_associate(r->atlas, nr_ctx(i),
							  &mid[i], GFP_KERNEL);
		cond_resched();
	}
}

static const struct shape full_shapes[] = {
	{ 2, 2 }, { 50, 50 }, { 64, 64 }, { 4096, 4096 }, { 65535, 65535 },
	{ 4096, 0 }, { 65535, 0 },
};

KUNIT_ARRAY_PARAM(full_shapes, full_shapes, shape_desc);

static void full_table_refuses_nobody_who_gave_one_back(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct full_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_of(test);
	unsigned int side, i;

	r->atlas = m->atlas;
	r->share[0] = shape->max_mids / 2;
	r->share[1] = shape->max_mids - r->share[0];
	race(test, run_full_race, r);
	for (side = 0; side < 2; side++) {
		KUNIT_ASSERT_EQ(test, r->refused[side], 0);
		KUNIT_ASSERT_EQ(test, r->wrong[side], 0);
		for (i = 0; i < r->share[side]; i++)
			mirror_note(m, 0, nr_ctx(i), r->mid[side][i]);
	}
	mirror_check(m);
	KUNIT_EXPECT_EQ(test, mirror_fill(m), 0);
}

/*
 * Side 0 takes and gives back; side 1 tries each MID just after it was given
 * back.  With one slot no value is seen twice in STALE_CYCLES uses, so side 1
 * must never get anything, nor take anything from side 0.
 */
#define STALE_CYCLES	60000
#define STALE_ROUNDS	PART_OF(10)

struct stale_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	bool done;
	u16 freed;
	unsigned long wrong[2];
	unsigned long tried;
};

static void stale_race_use(struct stale_race *r)
{
	unsigned long n;
	u16 mid;

	for (n = 0; n < STALE_CYCLES; n++) {
		r->wrong[0] += !!mid_atlas_associate(r->atlas, nr_ctx(n), &mid,
						     GFP_KERNEL);
		r->wrong[0] += map_rcu(r->atlas, mid) != nr_ctx(n);
		r->wrong[0] += mid_atlas_dissociate(r->atlas, mid) != nr_ctx(n);
		WRITE_ONCE(r->freed, mid);
		cond_resched();
	}
}

static void stale_race_try(struct stale_race *r)
{
	u16 freed;

	while (!READ_ONCE(r->done)) {
		freed = READ_ONCE(r->freed);
		r->wrong[1] += !!map_rcu(r->atlas, freed);
		r->wrong[1] += !!mid_atlas_reassociate(r->atlas, freed, r);
		r->wrong[1] += !!mid_atlas_dissociate(r->atlas, freed);
		r->tried++;
		cond_resched();
	}
}

static void run_stale_race(void *arg, int side)
{
	struct stale_race *r = arg;
	unsigned int round;

	for (round = 0; round < STALE_ROUNDS; round++) {
		if (side == 0)
			r->done = false;
		meet(&r->arrivals);
		if (side == 0) {
			stale_race_use(r);
			WRITE_ONCE(r->done, true);
		} else {
			stale_race_try(r);
		}
		meet(&r->arrivals);
		cond_resched();
	}
}

static void stale_mid_never_reaches_a_racing_later_use(struct kunit *test)
{
	struct stale_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_create(test, 1, 1);
	unsigned int turns;

	r->atlas = m->atlas;
	r->freed = mirror_take(m);
	mirror_dissociate(m, r->freed);
	turns = race_until(r->tried > STALE_CYCLES, test, run_stale_race, r);
	kunit_info(test, "%lu tries while the slot had %u uses\n", r->tried,
		   turns * STALE_CYCLES * STALE_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->wrong[0], 0);
	KUNIT_EXPECT_EQ(test, r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->tried, STALE_CYCLES);
}

/*
 * Of 65,535 MIDs all but one are in use, so it is the same one each time: side
 * 1 can wait for it, and see the context as early as anyone can.
 */
#define LETTERS		50000
#define LETTER_ROUNDS	PART_OF(10)

struct letter {
	unsigned long from;
	unsigned long to;
	u16 mid;	/* is written by associate itself */
};

struct letter_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned int gone;	/* letters that were taken out before */
	unsigned int refused;
	unsigned int torn;
	unsigned int late;
	unsigned int seen;
	struct letter letter[LETTERS];
};

static void send_letters(struct letter_race *r)
{
	unsigned int i;

	r->done = false;
	r->gone = 0;
	memset(r->letter, 0, sizeof(r->letter));
	meet(&r->arrivals);
	for (i = 0; i < LETTERS; i++) {
		struct letter *letter = &r->letter[i];

		letter->from = i;
		letter->to = ~(unsigned long)i;
		r->refused += !!mid_atlas_associate(r->atlas, letter,
						    &letter->mid, GFP_KERNEL);
		r->refused += mid_atlas_dissociate(r->atlas, r->mid) != letter;
		/* Pairs with the acquire in read_letters(). */
		smp_store_release(&r->gone, i + 1);
		cond_resched();
	}
	WRITE_ONCE(r->done, true);
}

static void read_letters(struct letter_race *r)
{
	struct letter *letter, *last = NULL;
	unsigned long i, gone;

	meet(&r->arrivals);
	while (!READ_ONCE(r->done)) {
		/* Pairs with the release in send_letters(). */
		gone = smp_load_acquire(&r->gone);
		rcu_read_lock();
		letter = mid_atlas_map(r->atlas, r->mid);
		if (letter) {
			i = letter - r->letter;
			r->late += i < gone;
			r->torn += READ_ONCE(letter->from) != i ||
				   READ_ONCE(letter->to) != ~i ||
				   READ_ONCE(letter->mid) != r->mid;
			r->seen += letter != last;
			last = letter;
		}
		rcu_read_unlock();
		cond_resched();
	}
}

static void run_letter_race(void *arg, int side)
{
	struct letter_race *r = arg;
	unsigned int round;

	for (round = 0; round < LETTER_ROUNDS; round++) {
		if (side == 0)
			send_letters(r);
		else
			read_letters(r);
		meet(&r->arrivals);
		cond_resched();
	}
}

static void map_sees_a_context_only_when_it_is_fully_written(struct kunit *test)
{
	struct letter_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_create(test, MID_ATLAS_MAX_MIDS,
					 MID_ATLAS_MAX_MIDS);
	unsigned int turns;

	mirror_fill(m);
	r->atlas = m->atlas;
	r->mid = 0x1234;
	mirror_dissociate(m, r->mid);
	turns = race_until(r->seen, test, run_letter_race, r);
	kunit_info(test, "%u of %u contexts were seen\n", r->seen,
		   turns * LETTERS * LETTER_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->refused, 0);
	KUNIT_EXPECT_EQ(test, r->torn, 0);
	KUNIT_EXPECT_EQ(test, r->late, 0);
	KUNIT_EXPECT_GT(test, r->seen, 0);
}

/*
 * Side 0 makes the table grow from nothing; side 1 maps whatever was handed out
 * and claims every other MID, so that slots are freed while they are moved.
 */
#define GROWTH_OLD	32	/* taken at first, in use to the end */

struct growth_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	unsigned int to_issue;
	unsigned int issued;	/* entries of mid[] that side 1 may use */
	unsigned long wrong[2];
	u16 mid[MID_VALUES];
};

static void growth_race_issue(struct growth_race *r)
{
	unsigned int i;

	for (i = GROWTH_OLD; i < r->to_issue; i++) {
		r->wrong[0] += !!mid_atlas_associate(r->atlas, nr_ctx(i),
						     &r->mid[i], GFP_KERNEL);
		/* Behind mid[i]; pairs with growth_race_follow(). */
		smp_store_release(&r->issued, i + 1);
		cond_resched();
	}
}

static void growth_race_follow(struct growth_race *r)
{
	unsigned int i, old;
	u16 mid;

	for (i = GROWTH_OLD; i < r->to_issue; i++) {
		/* Pairs with the release in growth_race_issue(). */
		while (smp_load_acquire(&r->issued) <= i)
			cpu_relax();
		mid = r->mid[i];
		r->wrong[1] += map_rcu(r->atlas, mid) != nr_ctx(i);
		if (i % 2)
			r->wrong[1] += mid_atlas_dissociate(r->atlas, mid) !=
				       nr_ctx(i);
		old = i % GROWTH_OLD;
		r->wrong[1] += map_rcu(r->atlas, r->mid[old]) != nr_ctx(old);
		cond_resched();
	}
}

static void run_growth_race(void *arg, int side)
{
	struct growth_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		growth_race_issue(r);
	else
		growth_race_follow(r);
}

static void run_one_growth(struct kunit *test, struct growth_race *r)
{
	struct mirror *m = mirror_of(test);
	const struct shape *shape = test->param_value;
	unsigned int i;

	r->atlas = m->atlas;
	r->to_issue = shape->max_mids;
	r->issued = GROWTH_OLD;
	for (i = 0; i < GROWTH_OLD; i++)
		r->wrong[0] += !!mid_atlas_associate(r->atlas, nr_ctx(i),
						     &r->mid[i], GFP_KERNEL);
	race(test, run_growth_race, r);
	KUNIT_ASSERT_EQ(test, r->wrong[0], 0);
	KUNIT_ASSERT_EQ(test, r->wrong[1], 0);

	for (i = 0; i < r->to_issue; i++)
		if (i < GROWTH_OLD || i % 2 == 0)
			mirror_note(m, 0, nr_ctx(i), r->mid[i]);
	mirror_check(m);
	i = m->used;
	KUNIT_ASSERT_EQ(test, mirror_fill(m), shape->max_mids - i);
	mirror_destroy(m, inherit);
}

static const struct shape growing_shapes[] = {
	{ 4096, 0 }, { 65535, 0 },
};

KUNIT_ARRAY_PARAM(growing_shapes, growing_shapes, shape_desc);

static void growth_loses_nothing_that_is_freed_meanwhile(struct kunit *test)
{
	struct growth_race *r = test_alloc(test, sizeof(*r));
	unsigned int round;

	for (round = 0; round < 5; round++)
		run_one_growth(test, r);
}

/* Side 1 began to look up before side 0 destroys the atlas. */
#define DESTROY_MIDS	64
#define DESTROY_LOOKUPS	PART_OF(10000)

struct destroy_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	struct estate estate;
	unsigned int wrong;
	u16 mid[DESTROY_MIDS];
};

static void lookup_during_destroy(struct destroy_race *r)
{
	bool gone[DESTROY_MIDS] = {};
	unsigned int n, i;
	void *ctx;

	rcu_read_lock();
	meet(&r->arrivals);
	for (n = 0; n < DESTROY_MIDS * DESTROY_LOOKUPS; n++) {
		i = n % DESTROY_MIDS;
		ctx = mid_atlas_map(r->atlas, r->mid[i]);
		r->wrong += ctx && (ctx != nr_ctx(i) || gone[i]);
		gone[i] |= !ctx;
	}
	rcu_read_unlock();
}

static void run_destroy_race(void *arg, int side)
{
	struct destroy_race *r = arg;

	if (side) {
		lookup_during_destroy(r);
		return;
	}
	meet(&r->arrivals);
	mid_atlas_destroy(r->atlas, inherit, &r->estate);
}

static void lookup_that_began_before_destroy_is_safe(struct kunit *test)
{
	struct destroy_race *r = test_alloc(test, sizeof(*r));
	struct mirror *m = mirror_create(test, DESTROY_MIDS, DESTROY_MIDS);
	unsigned int i;

	r->atlas = m->atlas;
	for (i = 0; i < DESTROY_MIDS; i++)
		KUNIT_ASSERT_EQ(test, 0, mirror_associate(m, nr_ctx(i),
							  &r->mid[i]));
	m->atlas = NULL;
	race(test, run_destroy_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, r->estate.calls, DESTROY_MIDS);
}

static const struct shape fill_shapes[] = {
	{ 64, 64 }, { 4096, 0 }, { 65535, 0 }, { 65535, 65535 },
};

KUNIT_ARRAY_PARAM(fill_shapes, fill_shapes, shape_desc);

static struct kunit_case race_cases[] = {
	KUNIT_CASE_PARAM(racing_associates_never_share_or_lose_a_mid,
			 fill_shapes_gen_params),
	KUNIT_CASE_SLOW(racing_dissociates_give_each_context_to_one),
	KUNIT_CASE(reassociate_racing_dissociate_returns_each_context_once),
	KUNIT_CASE(racing_reassociates_return_each_context_once),
	KUNIT_CASE(map_racing_reassociate_sees_one_of_the_two),
	KUNIT_CASE_PARAM(full_table_refuses_nobody_who_gave_one_back,
			 full_shapes_gen_params),
	KUNIT_CASE(stale_mid_never_reaches_a_racing_later_use),
	KUNIT_CASE(map_sees_a_context_only_when_it_is_fully_written),
	KUNIT_CASE_PARAM(growth_loses_nothing_that_is_freed_meanwhile,
			 growing_shapes_gen_params),
	KUNIT_CASE(lookup_that_began_before_destroy_is_safe),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midatlas_race",
	.init = race_init,
	.test_cases = race_cases,
};

/* ------------------------------------------------------------------------
 * The random run
 */

#define RANDOM_STEPS	1000000
#define RANDOM_RECENT	256

struct random_run {
	struct mirror *m;
	struct rnd_state rnd;
	unsigned int max_mids;
	bool filling;			/* or emptying */
	u16 recent[RANDOM_RECENT];	/* issued lately; some are stale */
};

static u32 random_below(struct random_run *r, u32 limit)
{
	return prandom_u32_state(&r->rnd) % limit;
}

/* From the wire: a valid MID, one that was valid lately, or anything. */
static u16 random_mid(struct random_run *r)
{
	u16 mid = random_below(r, MID_VALUES);

	switch (random_below(r, 4)) {
	case 0:
		return mid;
	case 1:
		return r->recent[mid % RANDOM_RECENT];
	default:
		return find_next_bit_wrap(r->m->live, MID_VALUES, mid);
	}
}

static void random_associate(struct random_run *r)
{
	struct mirror *m = r->m;
	bool full = m->used == r->max_mids;
	u16 mid = SERVER_MID;
	int err = mirror_associate(m, nr_ctx(m->step), &mid);

	KUNIT_ASSERT_EQ_MSG(m->test, err, full ? -ENOSPC : 0,
			    "associate at step %lu, %u in use, seed %u",
			    m->step, m->used, seed);
	if (!full)
		r->recent[random_below(r, RANDOM_RECENT)] = mid;
}

static void random_call(struct random_run *r)
{
	switch (random_below(r, 8)) {
	case 0:
		mirror_map(r->m, random_mid(r));
		break;
	case 1:
		mirror_reassociate(r->m, random_mid(r));
		break;
	case 2:
	case 3:
		mirror_dissociate(r->m, random_mid(r));
		break;
	case 4:
		random_associate(r);
		break;
	default:
		if (r->filling)
			random_associate(r);
		else
			mirror_dissociate(r->m, random_mid(r));
	}
}

static void random_run_agrees_with_the_model(struct kunit *test)
{
	const struct shape *shape = test->param_value;
	struct random_run *r = test_alloc(test, sizeof(*r));
	unsigned int turns = 0;

	r->m = mirror_of(test);
	r->max_mids = shape->max_mids;
	r->filling = true;
	prandom_seed_state(&r->rnd, seed);
	while (r->m->step < RANDOM_STEPS) {
		random_call(r);
		/* Mistakes hide where it is full or empty: stay for a while. */
		if (r->m->used == (r->filling ? r->max_mids : 0) &&
		    !random_below(r, 50)) {
			r->filling = !r->filling;
			turns++;
			cond_resched();
		}
	}
	kunit_info(test, "%lu calls, %u times full or empty, seed %u\n",
		   r->m->step, turns, seed);
	KUNIT_EXPECT_GT(test, turns, 1);
	mirror_check(r->m);
	mirror_destroy(r->m, inherit);
}

static const struct shape random_shapes[] = {
	{ 1, 1 }, { 50, 0 }, { 4096, 0 }, { 65535, 65535 },
};

KUNIT_ARRAY_PARAM(random_shapes, random_shapes, shape_desc);

static struct kunit_case random_cases[] = {
	KUNIT_CASE_PARAM(random_run_agrees_with_the_model,
			 random_shapes_gen_params),
	{}
};

static struct kunit_suite random_suite = {
	.name = "midatlas_random",
	.test_cases = random_cases,
};

kunit_test_suites(&create_suite, &associate_suite, &growth_suite, &map_suite,
		  &dissociate_suite, &reassociate_suite, &destroy_suite,
		  &irq_suite, &race_suite, &random_suite);

/* What MODULE_IMPORT_NS() is in every kernel; its own argument has changed. */
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the MID atlas");
MODULE_LICENSE("GPL");
