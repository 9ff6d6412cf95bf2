// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_random_kunit - long runs of random calls of the MID atlas
 *
 * Each call is compared with a model, first for the basic calls at every degree of
 * fullness, then for all the calls of a request's lifecycle and the counters.  A
 * failure prints the step and the seed.
 */
#include "fixture.h"

/* ------------------------------------------------------------------------
 * The basic calls
 */

#define RANDOM_STEPS	1000000
#define RANDOM_RECENT	256

struct random_run {
	struct mirror *m;
	struct rnd_state rnd;
	unsigned int max_mids;
	bool filling;			/* else it is emptying */
	u16 recent[RANDOM_RECENT];	/* issued recently; some are stale */
};

/* As from the wire: a valid MID, one that was valid recently, or any value. */
static u16 random_mid(struct random_run *r)
{
	u16 mid = random_below(&r->rnd, MID_VALUES);

	switch (random_below(&r->rnd, 4)) {
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
		r->recent[random_below(&r->rnd, RANDOM_RECENT)] = mid;
}

static void random_call(struct random_run *r)
{
	switch (random_below(&r->rnd, 8)) {
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
		/* Stay a while where errors are likely: full or empty. */
		if (r->m->used == (r->filling ? r->max_mids : 0) &&
		    !random_below(&r->rnd, 50)) {
			r->filling = !r->filling;
			turns++;
			cond_resched();
		}
	}
	kunit_info(test, "%lu calls, %u times full or empty, seed %u\n",
		   r->m->step, turns, seed);
	KUNIT_EXPECT_GT(test, turns, 1);
	mirror_check(r->m);
	mirror_destroy(r->m, destruct);
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

/* ------------------------------------------------------------------------
 * All calls of a request's lifecycle
 *
 * The model has the state of each of the 65,536 MIDs, and counts all events.
 */

#define LIFE_STEPS	PART_OF(500000)
#define RANDOM_CHECK	500	/* steps between two checks of the counters */

struct model {
	struct fixture *f;
	struct rnd_state rnd;
	unsigned int max_mids;
	unsigned long step;
	unsigned int live;
	unsigned int kept;			/* in quarantine */
	struct mid_atlas_stats s;		/* the counters only */
	u64 missed;				/* stale or unknown */
	void *ctx[MID_VALUES];
	unsigned long since[MID_VALUES];	/* the step of the abandon */
	DECLARE_BITMAP(is_live, MID_VALUES);
	DECLARE_BITMAP(is_kept, MID_VALUES);
};

static void model_agrees(struct model *m, const char *what, bool agrees)
{
	KUNIT_ASSERT_TRUE_MSG(m->f->test, agrees,
			      "%s, step %lu, max %u, %u live, %u abandoned, seed %u",
			      what, m->step, m->max_mids, m->live, m->kept, seed);
}

/* As from the wire: a valid MID, one in quarantine, or any value. */
static u16 model_mid(struct model *m)
{
	u16 mid = random_below(&m->rnd, MID_VALUES);

	switch (random_below(&m->rnd, 4)) {
	case 0:
		return mid;
	case 1:
		return find_next_bit_wrap(m->is_kept, MID_VALUES, mid);
	default:
		return find_next_bit_wrap(m->is_live, MID_VALUES, mid);
	}
}

/* The request of @mid, or sometimes another one. */
static void *model_ctx(struct model *m, u16 mid)
{
	return random_below(&m->rnd, 8) ? m->ctx[mid] : nr_ctx(m->step);
}

static void model_end(struct model *m, u16 mid)
{
	m->ctx[mid] = NULL;
	__clear_bit(mid, m->is_live);
	m->live--;
	m->s.dissociated++;
}

static void model_free_kept(struct model *m, u16 mid)
{
	__clear_bit(mid, m->is_kept);
	m->kept--;
}

/* At most @most MIDs may stay in quarantine: the oldest ones are freed. */
static void model_cut_kept(struct model *m, unsigned int most)
{
	unsigned int mid, oldest;

	while (m->kept > most) {
		oldest = find_first_bit(m->is_kept, MID_VALUES);
		for_each_set_bit(mid, m->is_kept, MID_VALUES)
			if (m->since[mid] < m->since[oldest])
				oldest = mid;
		model_free_kept(m, oldest);
	}
}

static void model_associate(struct model *m)
{
	bool full = m->live + m->kept >= m->max_mids;
	u16 mid = UNTOUCHED;
	int err;

	err = mid_atlas_associate(m->f->atlas, nr_ctx(m->step), &mid, GFP_KERNEL);
	model_agrees(m, "associate", err == (full ? -ENOSPC : 0));
	if (full) {
		model_agrees(m, "a refused associate", mid == UNTOUCHED);
		m->s.exhausted++;
		return;
	}
	model_agrees(m, "the MID of an associate", mid != SERVER_MID &&
		     !test_bit(mid, m->is_live) && !test_bit(mid, m->is_kept));
	m->ctx[mid] = nr_ctx(m->step);
	__set_bit(mid, m->is_live);
	m->live++;
	m->s.associated++;
}

static void model_dissociate(struct model *m, u16 mid)
{
	model_agrees(m, "dissociate",
		     mid_atlas_dissociate(m->f->atlas, mid) == m->ctx[mid]);
	if (m->ctx[mid]) {
		model_end(m, mid);
	} else if (test_bit(mid, m->is_kept)) {
		model_free_kept(m, mid);
		m->s.late++;
	} else {
		m->missed++;
	}
}

static void model_dissociate_if(struct model *m, u16 mid)
{
	void *ctx = model_ctx(m, mid);
	bool ours = ctx && ctx == m->ctx[mid];

	model_agrees(m, "dissociate_if",
		     mid_atlas_dissociate_if(m->f->atlas, mid, ctx) == ours);
	if (ours)
		model_end(m, mid);
}

static void model_abandon(struct model *m, u16 mid)
{
	unsigned int cap = m->max_mids / 4;
	void *ctx = model_ctx(m, mid);
	bool ours = ctx && ctx == m->ctx[mid];

	model_agrees(m, "abandon", mid_atlas_abandon(m->f->atlas, mid, ctx,
						     LONG_TIME) == ours);
	if (!ours)
		return;
	model_end(m, mid);
	if (!cap)
		return;
	model_cut_kept(m, cap - 1);
	m->since[mid] = m->step;
	__set_bit(mid, m->is_kept);
	m->kept++;
}

static void model_reassociate(struct model *m, u16 mid)
{
	void *ctx = nr_ctx(m->step);

	model_agrees(m, "reassociate", mid_atlas_reassociate(m->f->atlas, mid,
							     ctx) == m->ctx[mid]);
	if (m->ctx[mid])
		m->ctx[mid] = ctx;
}

static void model_set_max(struct model *m)
{
	m->max_mids = 1 + random_below(&m->rnd, 1 << (1 + random_below(&m->rnd, 11)));
	model_agrees(m, "set_max", !mid_atlas_set_max(m->f->atlas, m->max_mids));
	model_cut_kept(m, m->max_mids / 4);
}

static void model_claim(void *ctx, u16 mid, void *arg)
{
	struct model *m = arg;

	if (m->ctx[mid] == ctx)
		model_end(m, mid);
}

static void model_claim_all(struct model *m)
{
	unsigned int live = m->live;

	model_agrees(m, "claim_all", mid_atlas_claim_all(m->f->atlas, model_claim,
							 m) == live && !m->live);
}

static void model_check(struct model *m)
{
	struct mid_atlas_stats s = atlas_stats(m->f->atlas);
	unsigned int mid;

	model_agrees(m, "max", s.max == m->max_mids);
	model_agrees(m, "in_use", s.in_use == m->live + m->kept);
	model_agrees(m, "abandoned", s.abandoned == m->kept);
	model_agrees(m, "associated", s.associated == m->s.associated);
	model_agrees(m, "dissociated", s.dissociated == m->s.dissociated);
	model_agrees(m, "late", s.late == m->s.late);
	model_agrees(m, "exhausted", s.exhausted == m->s.exhausted);
	model_agrees(m, "stale and unknown", s.stale + s.unknown == m->missed);
	model_agrees(m, "slots", s.slots >= s.in_use);
	for_each_set_bit(mid, m->is_live, MID_VALUES)
		model_agrees(m, "map", map_rcu(m->f->atlas, mid) == m->ctx[mid]);
}

static void model_call(struct model *m)
{
	u16 mid = model_mid(m);

	switch (random_below(&m->rnd, 16)) {
	case 0:
		model_dissociate_if(m, mid);
		break;
	case 1:
	case 2:
		model_abandon(m, mid);
		break;
	case 3:
		model_reassociate(m, mid);
		break;
	case 4:
		model_agrees(m, "map", map_rcu(m->f->atlas, mid) == m->ctx[mid]);
		break;
	case 5:
	case 6:
	case 7:
		model_dissociate(m, mid);
		break;
	case 8:
		if (!random_below(&m->rnd, 100))
			model_set_max(m);
		else if (!random_below(&m->rnd, 200))
			model_claim_all(m);
		break;
	default:
		model_associate(m);
	}
}

static void random_lifecycle_agrees_with_the_model(struct kunit *test)
{
	struct model *m = test_alloc(test, sizeof(*m));

	m->f = fixture_create(test, 50, 0);
	m->max_mids = 50;
	prandom_seed_state(&m->rnd, seed);
	for (m->step = 1; m->step <= LIFE_STEPS; m->step++) {
		model_call(m);
		if (m->step % RANDOM_CHECK == 0) {
			model_check(m);
			cond_resched();
		}
	}
	kunit_info(test, "%llu requests, %llu late, %llu refused, seed %u\n",
		   m->s.associated, m->s.late, m->s.exhausted, seed);
	KUNIT_EXPECT_GT(test, m->s.late, 0);
	KUNIT_EXPECT_GT(test, m->s.exhausted, 0);
}

static struct kunit_case random_life_cases[] = {
	KUNIT_CASE(random_lifecycle_agrees_with_the_model),
	{}
};

static struct kunit_suite random_life_suite = {
	.name = "midatlas_life_random",
	.test_cases = random_life_cases,
};

kunit_test_suites(&random_suite, &random_life_suite);

MODULE_DESCRIPTION("KUnit tests: random runs of the MID atlas");
MODULE_LICENSE("GPL");
