// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_races_kunit - two CPUs make the MID atlas' basic calls at once
 *
 * Two threads, each on a CPU of its own, race for MIDs, for requests and for the
 * table while it grows or is destroyed.  The tests check that each MID has one
 * owner and that each request goes to one claimer.
 */
#include "fixture.h"

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

/* Both sides claim each of a million MIDs: one gets the request, the other NULL. */
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
	kunit_info(test, "the CPUs claimed %u and %u of %u requests\n", r->won[0],
		   r->won[1], turns * CLAIMS * CLAIM_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, r->won[0] + r->won[1], turns * CLAIMS * CLAIM_ROUNDS);
	KUNIT_EXPECT_GT(test, r->won[0], 0);
	KUNIT_EXPECT_GT(test, r->won[1], 0);
}

/*
 * Side 0 replaces a request by a new one while side 1 claims.  Either side 1 gets
 * the new request and side 0 the old one, or side 1 gets the old request and side 0
 * gets NULL.
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
	kunit_info(test, "reassociate was first in %u of %u cases\n", r->replaced, all);
	KUNIT_EXPECT_EQ(test, r->claim.wrong, 0);
	KUNIT_EXPECT_EQ(test, r->replaced + r->refused, all);
	KUNIT_EXPECT_GT(test, r->replaced, 0);
	KUNIT_EXPECT_GT(test, r->refused, 0);
}

/* One side or both replace the request of one MID by requests 1, 2, 3, ... */
#define MOST_REPLACEMENTS	100000
#define REPLACEMENTS	PART_OF(MOST_REPLACEMENTS)

struct swap_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned long wrong[2];
	unsigned long changes;			/* seen by map */
	u8 returned[2][2 * MOST_REPLACEMENTS + 1];	/* by side and request */
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
				    r->returned[1][nr], "request %lu", nr);
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
		/* After a newer request no older one may be seen. */
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
	kunit_info(test, "map saw %lu of %u changes\n", r->changes,
		   turns * REPLACEMENTS);
	KUNIT_EXPECT_EQ(test, r->wrong[0], 0);
	KUNIT_EXPECT_EQ(test, r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->changes, 0);
}

/*
 * All MIDs are in use.  Both sides free one and then take one.  A side that has
 * just freed a MID must get one: no associate may fail.
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

static void full_table_refuses_no_cpu_that_freed_a_mid(struct kunit *test)
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
 * Side 0 takes and frees MIDs; side 1 tries each MID after it was freed.  With one
 * slot no value comes back within STALE_CYCLES uses, so side 1 must never find or
 * claim a request.
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
	kunit_info(test, "%lu attempts during %u uses of the slot\n", r->tried,
		   turns * STALE_CYCLES * STALE_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->wrong[0], 0);
	KUNIT_EXPECT_EQ(test, r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->tried, STALE_CYCLES);
}

/*
 * All but one of 65,535 MIDs are in use, so each associate gets the same one.
 * Side 1 polls it and sees each request as early as possible.
 */
#define LETTERS		50000
#define LETTER_ROUNDS	PART_OF(10)

struct letter {
	unsigned long from;
	unsigned long to;
	u16 mid;	/* written by associate itself */
};

struct letter_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned int gone;	/* letters that were dissociated before */
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
	kunit_info(test, "%u of %u requests were seen\n", r->seen,
		   turns * LETTERS * LETTER_ROUNDS);
	KUNIT_EXPECT_EQ(test, r->refused, 0);
	KUNIT_EXPECT_EQ(test, r->torn, 0);
	KUNIT_EXPECT_EQ(test, r->late, 0);
	KUNIT_EXPECT_GT(test, r->seen, 0);
}

/*
 * Side 0 makes the table grow from nothing; side 1 maps each MID that was handed
 * out and claims every other one, so that slots are freed during growth.
 */
#define GROWTH_OLD	32	/* taken first, in use to the end */

struct growth_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	unsigned int to_issue;
	unsigned int issued;	/* number of entries of mid[] for side 1 */
	unsigned long wrong[2];
	u16 mid[MID_VALUES];
};

static void growth_race_issue(struct growth_race *r)
{
	unsigned int i;

	for (i = GROWTH_OLD; i < r->to_issue; i++) {
		r->wrong[0] += !!mid_atlas_associate(r->atlas, nr_ctx(i),
						     &r->mid[i], GFP_KERNEL);
		/* Publishes mid[i]; pairs with growth_race_follow(). */
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
	mirror_destroy(m, destruct);
}

static const struct shape growing_shapes[] = {
	{ 4096, 0 }, { 65535, 0 },
};

KUNIT_ARRAY_PARAM(growing_shapes, growing_shapes, shape_desc);

static void growth_loses_no_mid_that_is_freed_meanwhile(struct kunit *test)
{
	struct growth_race *r = test_alloc(test, sizeof(*r));
	unsigned int round;

	for (round = 0; round < 5; round++)
		run_one_growth(test, r);
}

/* The lookups of side 1 begin before side 0 destroys the atlas. */
#define DESTROY_MIDS	64
#define DESTROY_LOOKUPS	PART_OF(10000)

struct destroy_race {
	struct mid_atlas *atlas;
	atomic_t arrivals;
	struct destructed destructed;
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
	mid_atlas_destroy(r->atlas, destruct, &r->destructed);
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
	KUNIT_EXPECT_EQ(test, r->destructed.calls, DESTROY_MIDS);
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
	KUNIT_CASE_PARAM(full_table_refuses_no_cpu_that_freed_a_mid,
			 full_shapes_gen_params),
	KUNIT_CASE(stale_mid_never_reaches_a_racing_later_use),
	KUNIT_CASE(map_sees_a_context_only_when_it_is_fully_written),
	KUNIT_CASE_PARAM(growth_loses_no_mid_that_is_freed_meanwhile,
			 growing_shapes_gen_params),
	KUNIT_CASE(lookup_that_began_before_destroy_is_safe),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midatlas_race",
	.init = race_init,
	.test_cases = race_cases,
};

kunit_test_suites(&race_suite);

MODULE_DESCRIPTION("KUnit tests of races in the MID atlas");
MODULE_LICENSE("GPL");
