// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_lifecycle_races_kunit - two CPUs race over the lifecycle of requests
 *
 * A request is claimed on one CPU while the other looks it up, claims it, waits
 * for its MID, changes the maximum or drains the atlas.  The tests check that each
 * request ends once, that each MID is freed once and that no wake-up is lost.
 */
#include <linux/refcount.h>

#include "fixture.h"

static int race_cpu(int side)
{
	return cpumask_nth(side, cpu_online_mask);
}

/* Binds the test's own thread to the CPU of @side. */
static void stay_on_side(struct kunit *test, int side)
{
	KUNIT_ASSERT_EQ(test, 0,
			set_cpus_allowed_ptr(current, cpumask_of(race_cpu(side))));
}

static void spin(unsigned int n)
{
	while (n--)
		cpu_relax();
}

/* Spins for a random time. */
static void dither(struct rnd_state *rnd, unsigned int most)
{
	spin(prandom_u32_state(rnd) % most);
}

/* Replaces the atlas by a new one. */
static void fixture_renew(struct fixture *f, unsigned int max_mids,
			  unsigned int initial_mids)
{
	mid_atlas_destroy(f->atlas, NULL, NULL);
	f->used = 0;
	f->atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	if (IS_ERR(f->atlas))
		f->atlas = NULL;
	KUNIT_ASSERT_NOT_NULL(f->test, f->atlas);
}

/*
 * Side 0 associates requests and dissociates them at once; side 1 looks them up
 * with map_get.  Requests are freed after a grace period, as with kfree_rcu().
 */
#define PUTS		PART_OF(100000)
#define ALIVE		0x600dbeefu
#define DEAD		0xdeadbeefu

struct put_race {
	struct fixture *f;
	atomic_t arrivals;
	bool done;
	u16 mid;
	atomic_t alive;
	atomic_t wrong;
	unsigned int got;
};

struct counted {
	struct put_race *race;
	unsigned int state;
	refcount_t refs;
	struct rcu_head rcu;
};

static struct counted *counted_new(struct put_race *r)
{
	struct counted *c = kmalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->race = r;
	c->state = ALIVE;
	refcount_set(&c->refs, 1);
	atomic_inc(&r->alive);
	return c;
}

static void counted_free(struct rcu_head *rcu)
{
	struct counted *c = container_of(rcu, typeof(*c), rcu);

	WRITE_ONCE(c->state, DEAD);
	atomic_dec(&c->race->alive);
	kfree(c);
}

static bool counted_get(void *ctx)
{
	struct counted *c = ctx;

	if (READ_ONCE(c->state) != ALIVE)
		return true;		/* side 1 will notice */
	return refcount_inc_not_zero(&c->refs);
}

static void counted_put(void *ctx)
{
	struct counted *c = ctx;

	if (refcount_dec_and_test(&c->refs))
		call_rcu(&c->rcu, counted_free);
}

static void put_race_submit(struct put_race *r)
{
	struct counted *c;
	unsigned int n;
	u16 mid;

	for (n = 0; n < PUTS; n++) {
		c = counted_new(r);
		if (!c)
			break;
		if (mid_atlas_associate(r->f->atlas, c, &mid, GFP_KERNEL) || mid != r->mid)
			atomic_inc(&r->wrong);
		/* Gives side 1 time to find some of them. */
		if (n % 64 == 0)
			udelay(1);
		if (mid_atlas_dissociate(r->f->atlas, r->mid) != c)
			atomic_inc(&r->wrong);
		counted_put(c);
		cond_resched();
	}
	WRITE_ONCE(r->done, true);
}

static void put_race_receive(struct put_race *r)
{
	struct counted *c;

	while (!READ_ONCE(r->done)) {
		c = mid_atlas_map_get_put(r->f->atlas, r->mid, counted_get, counted_put);
		if (c) {
			r->got++;
			if (READ_ONCE(c->state) != ALIVE)
				atomic_inc(&r->wrong);
			else
				counted_put(c);
		}
		cond_resched();
	}
}

static void run_put_race(void *arg, int side)
{
	struct put_race *r = arg;

	if (side == 0)
		r->done = false;
	meet(&r->arrivals);
	if (side == 0)
		put_race_submit(r);
	else
		put_race_receive(r);
}

static void map_get_racing_the_last_put_finds_no_freed_request(struct kunit *test)
{
	struct put_race *r = test_alloc(test, sizeof(*r));
	unsigned int turns;

	r->f = fixture_full(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	/* One slot is free, and its MID is always the same. */
	mid_atlas_dissociate(r->f->atlas, r->f->mid[0]);
	r->mid = r->f->mid[0];
	turns = race_until(r->got, test, run_put_race, r);
	rcu_barrier();
	kunit_info(test, "%u of %u requests were found\n", r->got, turns * PUTS);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->alive), 0);
	KUNIT_EXPECT_GT(test, r->got, 0);
}

/*
 * The MID is always the same one.  In between its slot holds other values than
 * requests; map must never return one of these.
 */
#define MARK		BIT(BITS_PER_LONG - 2)
#define MARKED_USES	PART_OF(100000)

struct mark_race {
	struct fixture *f;
	atomic_t arrivals;
	bool done;
	u16 mid;
	unsigned int wrong;
	unsigned int seen;
	unsigned long strange;
};

static void mark_race_use(struct mark_race *r)
{
	struct mid_atlas *atlas = r->f->atlas;
	unsigned long nr;
	void *ctx;
	u16 mid;

	for (nr = 1; nr <= 2 * MARKED_USES; nr += 2) {
		ctx = (void *)(MARK | nr);
		r->wrong += !!mid_atlas_associate(atlas, ctx, &mid, GFP_KERNEL);
		if (nr % 4 == 1) {
			r->wrong += mid_atlas_reassociate(atlas, r->mid, (void *)
							  (MARK | (nr + 1))) != ctx;
			ctx = (void *)(MARK | (nr + 1));
		}
		r->wrong += !mid_atlas_abandon(atlas, r->mid, ctx,
					       nr % 8 < 4 ? LONG_TIME : 0);
		r->wrong += !!mid_atlas_dissociate(atlas, r->mid);
		cond_resched();
	}
	WRITE_ONCE(r->done, true);
}

static void mark_race_map(struct mark_race *r)
{
	unsigned long nr, last = 0;

	while (!READ_ONCE(r->done)) {
		nr = (unsigned long)map_rcu(r->f->atlas, r->mid);
		cond_resched();
		if (!nr)
			continue;
		/* After a newer request no older one may be seen. */
		if (!(nr & MARK) || nr < last)
			r->strange = nr;
		r->seen += nr != last;
		last = nr;
	}
}

static void run_mark_race(void *arg, int side)
{
	struct mark_race *r = arg;

	if (side == 0)
		r->done = false;
	meet(&r->arrivals);
	if (side == 0)
		mark_race_use(r);
	else
		mark_race_map(r);
}

static void map_returns_nothing_but_contexts(struct kunit *test)
{
	struct mark_race *r = test_alloc(test, sizeof(*r));

	r->f = fixture_full(test, MID_ATLAS_MAX_MIDS, MID_ATLAS_MAX_MIDS);
	r->mid = r->f->mid[0];
	mid_atlas_dissociate(r->f->atlas, r->mid);
	race_until(r->seen >= 2, test, run_mark_race, r);
	kunit_info(test, "%u requests were seen\n", r->seen);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ_MSG(test, r->strange, 0, "%#lx is not a request",
			    r->strange);
	KUNIT_EXPECT_GE(test, r->seen, 2);
}

/* Two ways to claim all requests, at once: each request goes to one side. */
#define CLAIMS		512
#define CLAIM_ROUNDS	PART_OF(150)

struct claim_race;

struct rivals {
	const char *desc;
	void (*claim[2])(struct claim_race *r, int side);
};

struct claim_race {
	struct fixture *f;
	const struct rivals *rivals;
	atomic_t arrivals;
	unsigned int wrong[2];
	unsigned int won[2];
	u8 got[2][2 * CLAIMS];	/* old requests, then their replacements */
};

/* Of each 16 requests one side begins with the first, the other with the last. */
static unsigned int claim_nth(int side, unsigned int n)
{
	return side ? n : n ^ 15;
}

static void claim_got(struct claim_race *r, int side, const void *ctx)
{
	unsigned long nr = ctx_nr(ctx);

	if (nr < 2 * CLAIMS)
		r->got[side][nr]++;
	else
		r->wrong[side]++;
}

static void claim_by_dissociate(struct claim_race *r, int side)
{
	unsigned int n;
	void *ctx;

	for (n = 0; n < CLAIMS; n++) {
		ctx = mid_atlas_dissociate(r->f->atlas,
					   r->f->mid[claim_nth(side, n)]);
		if (ctx)
			claim_got(r, side, ctx);
	}
}

static void claim_by_dissociate_if(struct claim_race *r, int side)
{
	unsigned int n, i;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		if (mid_atlas_dissociate_if(r->f->atlas, r->f->mid[i], nr_ctx(i)))
			claim_got(r, side, nr_ctx(i));
	}
}

static void claim_by_abandon(struct claim_race *r, int side)
{
	unsigned int n, i;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		if (mid_atlas_abandon(r->f->atlas, r->f->mid[i], nr_ctx(i),
				      LONG_TIME))
			claim_got(r, side, nr_ctx(i));
	}
}

static void claim_by_reassociate(struct claim_race *r, int side)
{
	unsigned int n, i;
	void *ctx;

	for (n = 0; n < CLAIMS; n++) {
		i = claim_nth(side, n);
		ctx = mid_atlas_reassociate(r->f->atlas, r->f->mid[i],
					    nr_ctx(CLAIMS + i));
		if (ctx)
			claim_got(r, side, ctx);
	}
}

static void claimed_by_0(void *ctx, u16 mid, void *arg)
{
	claim_got(arg, 0, ctx);
}

static void claimed_by_1(void *ctx, u16 mid, void *arg)
{
	claim_got(arg, 1, ctx);
}

static void claim_by_claim_all(struct claim_race *r, int side)
{
	mid_atlas_claim_all(r->f->atlas, side ? claimed_by_1 : claimed_by_0, r);
}

static void claim_by_claim_older(struct claim_race *r, int side)
{
	mid_atlas_claim_older(r->f->atlas, 0, side ? claimed_by_1 : claimed_by_0,
			      r);
}

static const struct rivals all_rivals[] = {
	{ "a reply, a timer",
	  { claim_by_dissociate, claim_by_dissociate_if } },
	{ "a reply, a signal",
	  { claim_by_dissociate, claim_by_abandon } },
	{ "a reply, a reset",
	  { claim_by_dissociate, claim_by_claim_all } },
	{ "a reply, a sweep",
	  { claim_by_dissociate, claim_by_claim_older } },
	{ "a timer, a sweep",
	  { claim_by_dissociate_if, claim_by_claim_older } },
	{ "a reset, a reset",
	  { claim_by_claim_all, claim_by_claim_all } },
	{ "a signal, a reset",
	  { claim_by_abandon, claim_by_claim_all } },
	{ "a signal, a signal",
	  { claim_by_abandon, claim_by_abandon } },
	{ "a reassociate, a timer",
	  { claim_by_reassociate, claim_by_dissociate_if } },
	{ "a reassociate, a signal",
	  { claim_by_reassociate, claim_by_abandon } },
	{ "a reassociate, a reset",
	  { claim_by_reassociate, claim_by_claim_all } },
};

static void rivals_desc(const struct rivals *rivals, char *desc)
{
	strscpy(desc, rivals->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(all_rivals, all_rivals, rivals_desc);

static void claim_race_fill(struct claim_race *r)
{
	unsigned int i;

	memset(r->got, 0, sizeof(r->got));
	for (i = 0; i < CLAIMS; i++)
		r->wrong[0] += !!mid_atlas_associate(r->f->atlas, nr_ctx(i),
						     &r->f->mid[i], GFP_KERNEL);
}

static void claim_race_judge(struct claim_race *r)
{
	unsigned int i, left = 0, replaced = 0;

	for (i = 0; i < CLAIMS; i++) {
		r->wrong[0] += r->got[0][i] + r->got[1][i] != 1;
		r->won[0] += r->got[0][i];
		r->won[1] += r->got[1][i];
		if (r->rivals->claim[0] == claim_by_reassociate)
			replaced += r->got[0][i];
	}
	/* A replacement went to the other side, or is still in flight. */
	for (; i < 2 * CLAIMS; i++)
		left += r->got[1][i];
	left += mid_atlas_claim_all(r->f->atlas, NULL, NULL);
	r->wrong[0] += left != replaced;
	/* Late replies to abandoned requests. */
	for (i = 0; i < CLAIMS; i++)
		r->wrong[0] += !!mid_atlas_dissociate(r->f->atlas, r->f->mid[i]);
	r->wrong[0] += atlas_stats(r->f->atlas).in_use != 0;
}

static void run_claim_race(void *arg, int side)
{
	struct claim_race *r = arg;
	unsigned int round;

	for (round = 0; round < CLAIM_ROUNDS; round++) {
		if (side == 0)
			claim_race_fill(r);
		meet(&r->arrivals);
		r->rivals->claim[side](r, side);
		meet(&r->arrivals);
		if (side == 0)
			claim_race_judge(r);
		cond_resched();
	}
}

static void context_goes_to_one_of(struct kunit *test)
{
	struct claim_race *r = test_alloc(test, sizeof(*r));

	r->rivals = test->param_value;
	/* All requests may be in quarantine: they are a quarter of the maximum. */
	r->f = fixture_create(test, 4 * CLAIMS, 4 * CLAIMS);
	race_until(r->won[0] && r->won[1], test, run_claim_race, r);
	kunit_info(test, "%s: %u and %u\n", r->rivals->desc, r->won[0], r->won[1]);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	KUNIT_EXPECT_GT(test, r->won[0], 0);
	KUNIT_EXPECT_GT(test, r->won[1], 0);
	fixture_check(r->f);
}

/*
 * Side 0 frees the only MID while a task waits for it, and then takes the MID from
 * the waiter by reassociate.  It is never free, so side 1 must never get it.
 */
#define OVERTAKES	PART_OF(10000)

struct overtake_race {
	struct fixture *f;
	struct mid_waiter *w;
	atomic_t arrivals;
	bool done;
	unsigned int wrong;
	unsigned int overtaken;
	unsigned int tried;
};

static void overtake_race_serve(struct overtake_race *r)
{
	u16 mid = r->f->mid[0];
	unsigned int n;

	for (n = 0; n < OVERTAKES && !r->wrong; n++) {
		waiter_start(r->w, TEST_TIMEOUT);
		wait_for_completion(&r->w->begun);
		while (count_waiters(r->f->atlas) != 1 || task_is_running(r->w->task))
			cond_resched();
		r->wrong += mid_atlas_dissociate(r->f->atlas, mid) != r->f;
		r->wrong += !wait_for_completion_timeout(&r->w->done, TEST_TIMEOUT);
		r->wrong += !!r->w->err;
		mid = r->w->mid;
		r->wrong += mid_atlas_reassociate(r->f->atlas, mid, r->f) != r->w;
	}
	WRITE_ONCE(r->done, true);
}

static void overtake_race_try(struct overtake_race *r)
{
	u16 mid;

	while (!READ_ONCE(r->done)) {
		r->tried++;
		if (!mid_atlas_associate(r->f->atlas, r, &mid, GFP_KERNEL)) {
			r->overtaken++;
			mid_atlas_dissociate(r->f->atlas, mid);
		}
		cond_resched();
	}
}

static void run_overtake_race(void *arg, int side)
{
	struct overtake_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		overtake_race_serve(r);
	else
		overtake_race_try(r);
}

static void associate_never_overtakes_a_waiter(struct kunit *test)
{
	struct overtake_race *r = test_alloc(test, sizeof(*r));

	r->f = fixture_create(test, 1, 1);
	r->f->mid[0] = fixture_take(r->f, r->f);
	r->w = waiter_create(r->f, race_cpu(0));
	race(test, run_overtake_race, r);
	kunit_info(test, "%u attempts while %u waiters were served\n", r->tried,
		   OVERTAKES);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, r->overtaken, 0);
	KUNIT_EXPECT_GT(test, r->tried, 0);
}

/*
 * A slot becomes free before its dissociate is counted:
 *
 *	T1: dissociate			T2: associate
 *
 *	word: LIVE -> FREE
 *					word: FREE -> BUSY
 *					associated + 1
 *					sum: 2
 *	dissociated + 1
 *
 * The high-water mark must not take this sum for the number of MIDs in use.
 */
#define FULL_RACES	300000

static void run_full_race(void *arg, int side)
{
	struct fixture *f = arg;
	unsigned int n;
	u16 mid;

	for (n = 0; n < FULL_RACES; n++)
		if (!mid_atlas_associate(f->atlas, nr_ctx(side), &mid, GFP_ATOMIC))
			mid_atlas_dissociate(f->atlas, mid);
}

static void high_water_never_exceeds_the_maximum(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);

	race(test, run_full_race, f);
	KUNIT_EXPECT_EQ(test, 1, atlas_stats(f->atlas).high_water);
	expect_balance(f);
}

/*
 * Victims and heirs, as many of each as there are MIDs, wait in turn in the queue.
 * The victims are killed on the other CPU, or time out, while the MIDs are freed.
 * A victim that got a MID frees it; one that did not must leave it to the next
 * waiter.  In the end each heir has a MID, or a wake-up was lost.
 */
#define VICTIMS		100

struct fate {
	const char *desc;
	int err;
	unsigned long timeout;
	unsigned int rounds;
};

static const struct fate fates[] = {
	{ "are killed", -ERESTARTSYS, NO_TIMEOUT, 1000 },
	{ "time out", -ETIMEDOUT, 2, 50 },
};

static void fate_desc(const struct fate *fate, char *desc)
{
	strscpy(desc, fate->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(fates, fates, fate_desc);

struct fate_race {
	struct fixture *f;
	const struct fate *fate;
	struct mid_waiter *victim[VICTIMS];
	struct mid_waiter *heir[VICTIMS];
	struct rnd_state rnd;
	unsigned int died;
};

static void fate_race_queue(struct fate_race *r)
{
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		waiter_start(r->victim[i], r->fate->timeout);
		waiter_start(r->heir[i], NO_TIMEOUT);
	}
	for (i = 0; i < VICTIMS; i++) {
		waiter_await_sleep(r->victim[i]);
		waiter_await_sleep(r->heir[i]);
	}
	if (r->fate->timeout == NO_TIMEOUT)
		KUNIT_ASSERT_EQ(r->f->test, 2 * VICTIMS, count_waiters(r->f->atlas));
}

static void fate_race_kill_one(struct fate_race *r, unsigned int i)
{
	bool kill_first = prandom_u32_state(&r->rnd) % 2;

	if (kill_first)
		waiter_signal(r->victim[i], SIGKILL);
	dither(&r->rnd, 500);
	mid_atlas_dissociate(r->f->atlas, r->f->mid[i]);
	dither(&r->rnd, 500);
	if (!kill_first)
		waiter_signal(r->victim[i], SIGKILL);
}

/* Frees all MIDs within two ticks, so that some waiters time out meanwhile. */
static void fate_race_free_one(struct fate_race *r, unsigned int i)
{
	udelay(2 * USEC_PER_SEC / HZ / VICTIMS);
	mid_atlas_dissociate(r->f->atlas, r->f->mid[i]);
}

static void fate_race_free(struct fate_race *r)
{
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		if (r->fate->timeout == NO_TIMEOUT)
			fate_race_kill_one(r, i);
		else
			fate_race_free_one(r, i);
	}
}

static void fate_race_inherit(struct fate_race *r)
{
	struct kunit *test = r->f->test;
	struct mid_waiter *victim;
	unsigned int i;

	for (i = 0; i < VICTIMS; i++) {
		victim = r->victim[i];
		if (!waiter_result(victim)) {
			KUNIT_ASSERT_PTR_EQ(test, victim,
					    mid_atlas_dissociate(r->f->atlas,
								 victim->mid));
			continue;
		}
		KUNIT_ASSERT_EQ(test, victim->err, r->fate->err);
		r->died++;
	}
	for (i = 0; i < VICTIMS; i++) {
		KUNIT_ASSERT_EQ(test, 0, waiter_result(r->heir[i]));
		r->f->mid[i] = r->heir[i]->mid;
	}
}

static void no_wake_up_is_lost_when_waiters(struct kunit *test)
{
	struct fate_race *r = test_alloc(test, sizeof(*r));
	unsigned long end = jiffies + RACE_TIMEOUT;
	unsigned int round, i;

	stay_on_side(test, 0);
	prandom_seed_state(&r->rnd, seed);
	r->fate = test->param_value;
	r->f = fixture_full(test, VICTIMS, VICTIMS);
	for (i = 0; i < VICTIMS; i++) {
		r->victim[i] = waiter_create(r->f, race_cpu(1));
		r->heir[i] = waiter_create(r->f, race_cpu(i % 2));
	}
	for (round = 0; round < PART_OF(r->fate->rounds) ||
	     (time_before(jiffies, end) &&
	      (!r->died || r->died == round * VICTIMS)); round++) {
		fate_race_queue(r);
		fate_race_free(r);
		fate_race_inherit(r);
	}
	kunit_info(test, "%u of %u victims got no MID\n", r->died,
		   round * VICTIMS);
	KUNIT_EXPECT_GT(test, r->died, 0);
	KUNIT_EXPECT_LT(test, r->died, round * VICTIMS);
	fixture_check(r->f);
}

/*
 * There are more tasks than MIDs, and the maximum changes, and signals arrive.
 * Each task that waits gets a MID in time, and is its only owner.
 */
#define CROWD		8
#define CROWD_CYCLES	PART_OF(3000)
#define CROWD_MAX	5

struct crowd {
	struct fixture *f;
	atomic_t inside;
};

static void crowd_member(struct mid_waiter *w)
{
	struct mid_atlas *atlas = w->f->atlas;
	unsigned int n = 0;
	int err;
	u16 mid;

	while (n < CROWD_CYCLES && !w->wrong) {
		err = mid_atlas_associate_wait(atlas, w, &mid, GFP_KERNEL,
					       TEST_TIMEOUT);
		if (err == -ERESTARTSYS) {
			flush_signals(current);
			continue;
		}
		w->wrong += !!err || map_rcu(atlas, mid) != w;
		if (n++ % 4 == 0)
			cond_resched();
		w->wrong += mid_atlas_dissociate(atlas, mid) != w;
	}
}

static void few_mids_serve_a_crowd_through_kills_and_changes(struct kunit *test)
{
	struct fixture *f = fixture_create(test, CROWD_MAX, CROWD_MAX);
	unsigned int i, done, wrong = 0, changes = 0;
	struct rnd_state rnd;
	struct mid_waiter *w;

	prandom_seed_state(&rnd, seed);
	for (i = 0; i < CROWD; i++) {
		w = waiter_create(f, race_cpu(i % 2));
		w->job = crowd_member;
		waiter_start(w, 0);
	}
	do {
		done = 0;
		list_for_each_entry(w, &f->waiters, node) {
			done += !still_waits(w);
			if (prandom_u32_state(&rnd) % CROWD == 0)
				waiter_signal(w, SIGKILL);
		}
		mid_atlas_set_max(f->atlas, 1 + prandom_u32_state(&rnd) % CROWD_MAX);
		usleep_range(20, 50);
		changes++;
	} while (done < CROWD);

	list_for_each_entry(w, &f->waiters, node)
		wrong += w->wrong;
	kunit_info(test, "%u changes of the maximum\n", changes);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	fixture_check(f);
}

/*
 * A wake-up that was lost when a slot of an outgrown table was freed.
 *
 *	T1: dissociate(M of the older)	T2: associate_wait
 *
 *	word: LIVE -> FREE
 *	mode: no waiters
 *					-ENOSPC, as the slot is still in
 *					service; enqueues itself, sleeps
 *	retires the slot, puts one of
 *	the new table into service
 *	no waiters (checked before)
 *
 * T2 slept, with a MID free, until some other was freed.  The window is T1's
 * from its look to the lock; interrupts that take their time make it wide.
 */
#define OUTGROWN	64
#define OUTGROWN_ROUNDS	PART_OF(5000)

struct outgrown_race {
	struct fixture *f;
	atomic_t arrivals;
	struct rnd_state rnd[2];
	unsigned int round;
	bool done;
	bool lost;
};

static void outgrown_race_wait(struct mid_waiter *w)
{
	struct outgrown_race *r = w->arg;

	for (;;) {
		meet(&r->arrivals);
		if (READ_ONCE(r->done))
			break;
		dither(&r->rnd[1], 300);
		if (mid_atlas_associate_wait(r->f->atlas, w, &w->mid, GFP_KERNEL,
					     HZ))
			r->lost = true;
		meet(&r->arrivals);
	}
}

/* All MIDs are in use, one in the new table and the others in the older one. */
static void outgrown_race_renew(struct outgrown_race *r)
{
	fixture_renew(r->f, OUTGROWN, OUTGROWN);
	fixture_fill(r->f);
	KUNIT_ASSERT_EQ(r->f->test, 0, mid_atlas_set_max(r->f->atlas, OUTGROWN + 1));
	fixture_take(r->f, nr_ctx(r->f->used));
}

static bool outgrown_race_free(void *arg)
{
	struct outgrown_race *r = arg;
	unsigned int i = r->round % OUTGROWN;

	if (!in_task()) {
		spin(1000);
		return true;
	}
	if (i == 0)
		outgrown_race_renew(r);
	meet(&r->arrivals);
	dither(&r->rnd[0], 300);
	mid_atlas_dissociate(r->f->atlas, r->f->mid[i]);
	r->round++;
	meet(&r->arrivals);
	return !r->lost;
}

static void no_wake_up_is_lost_when_an_outgrown_slot_is_freed(struct kunit *test)
{
	struct outgrown_race *r = test_alloc(test, sizeof(*r));
	unsigned int turn;
	struct mid_waiter *w;

	stay_on_side(test, 0);
	r->f = fixture_create(test, OUTGROWN, OUTGROWN);
	prandom_seed_state(&r->rnd[0], seed);
	prandom_seed_state(&r->rnd[1], seed + 1);
	w = waiter_create(r->f, race_cpu(1));
	w->job = outgrown_race_wait;
	w->arg = r;
	waiter_start(w, 0);
	/* Each call lasts at most a second. */
	for (turn = 0; turn < 5 && r->round < OUTGROWN_ROUNDS && !r->lost; turn++)
		kunit_run_irq_test(test, outgrown_race_free, OUTGROWN_ROUNDS, r);
	WRITE_ONCE(r->done, true);
	meet(&r->arrivals);
	kunit_info(test, "%u rounds\n", r->round);
	KUNIT_EXPECT_FALSE(test, r->lost);
	waiter_result(w);
}

/*
 * Side 0 abandons each request at once.  Side 1 has the replies: one half arrives
 * at once and races the abandon; the other half arrives later and races the end of
 * the quarantine or, in a small atlas, the limit of the quarantine.  One request of
 * 64 is abandoned only when its reply has come, so that some replies are in time on
 * a loaded machine, too.  Each request must end once, and each MID must be freed once.
 */
#define MOST_ABANDONS	1000000
#define ABANDON_WINDOW	2048	/* side 0 is at most so far ahead of side 1 */
#define ABANDON_LAG	4096	/* most requests that a reply is late */
#define ABANDON_RING	8192	/* more than the two together */

struct abandons {
	unsigned int max_mids;
	unsigned int total;
};

static const struct abandons all_abandons[] = {
	{ 64, MOST_ABANDONS / 4 }, { 65535, MOST_ABANDONS },
};

static void abandons_desc(const struct abandons *abandons, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u, %u races",
		 abandons->max_mids, PART_OF(abandons->total));
}

KUNIT_ARRAY_PARAM(all_abandons, all_abandons, abandons_desc);

struct abandon_race {
	struct fixture *f;
	unsigned int total;
	atomic_t arrivals;
	struct rnd_state rnd;
	unsigned int issued;
	unsigned int replied;
	unsigned int abandoned;
	unsigned int claimed;
	unsigned int wrong[2];
	u16 mid[ABANDON_RING];
	DECLARE_BITMAP(ended, MOST_ABANDONS);
};

/* Returns 1 if the request had ended before. */
static unsigned int abandon_race_end(struct abandon_race *r, const void *ctx)
{
	unsigned long nr = ctx_nr(ctx);

	return nr >= r->total || test_and_set_bit(nr, r->ended);
}

static void abandon_race_submit(struct abandon_race *r)
{
	unsigned int nr;
	u16 mid;

	for (nr = 0; nr < r->total; nr++) {
		while (nr - READ_ONCE(r->replied) >= ABANDON_WINDOW)
			cpu_relax();
		r->wrong[0] += !!mid_atlas_associate(r->f->atlas, nr_ctx(nr), &mid,
						     GFP_KERNEL);
		r->mid[nr % ABANDON_RING] = mid;
		/* Pairs with abandon_race_reply(). */
		smp_store_release(&r->issued, nr + 1);
		while (nr % 64 == 0 && READ_ONCE(r->replied) <= nr)
			cpu_relax();
		if (mid_atlas_abandon(r->f->atlas, mid, nr_ctx(nr), 1 + nr % 2)) {
			r->abandoned++;
			r->wrong[0] += abandon_race_end(r, nr_ctx(nr));
		}
		cond_resched();
	}
}

static void abandon_race_reply(struct abandon_race *r)
{
	unsigned int nr, to;
	void *ctx;

	for (nr = 0; nr < r->total; nr++) {
		/* Pairs with abandon_race_submit(). */
		while (smp_load_acquire(&r->issued) <= nr)
			cpu_relax();
		to = nr;
		if (nr % 2)
			to -= min(nr, prandom_u32_state(&r->rnd) % ABANDON_LAG);
		ctx = mid_atlas_dissociate(r->f->atlas, r->mid[to % ABANDON_RING]);
		if (ctx) {
			r->claimed++;
			r->wrong[1] += ctx != nr_ctx(to) || abandon_race_end(r, ctx);
		}
		WRITE_ONCE(r->replied, nr + 1);
		cond_resched();
	}
}

static void run_abandon_race(void *arg, int side)
{
	struct abandon_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		abandon_race_submit(r);
	else
		abandon_race_reply(r);
}

static void abandon_and_reply_and_expiry_end_each_request_once(struct kunit *test)
{
	const struct abandons *abandons = test->param_value;
	struct abandon_race *r = test_alloc(test, sizeof(*r));
	struct mid_atlas_stats s;

	prandom_seed_state(&r->rnd, seed);
	r->total = PART_OF(abandons->total);
	r->f = fixture_create(test, abandons->max_mids, abandons->max_mids);
	race(test, run_abandon_race, r);
	await_abandoned(r->f, 0);

	s = atlas_stats(r->f->atlas);
	kunit_info(test, "%u replied in time, %llu late, %llu expired\n",
		   r->claimed, s.late, r->abandoned - s.late);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	KUNIT_EXPECT_EQ(test, r->claimed + r->abandoned, r->total);
	KUNIT_EXPECT_EQ(test, bitmap_weight(r->ended, r->total), r->total);
	KUNIT_EXPECT_EQ(test, s.associated, r->total);
	KUNIT_EXPECT_EQ(test, s.dissociated, r->total);
	KUNIT_EXPECT_EQ(test, s.in_use, 0);
	KUNIT_EXPECT_EQ(test, s.unknown, 0);
	KUNIT_EXPECT_EQ(test, r->claimed + s.late + s.stale, r->total);
	KUNIT_EXPECT_GE(test, r->claimed, r->total / 64);
	KUNIT_EXPECT_GT(test, s.late, 0);
	KUNIT_EXPECT_GT(test, r->abandoned, s.late);
	fixture_check(r->f);
}

/*
 * An abandon that looped forever.
 *
 *	T1: abandon			T2: set_max(3)
 *
 *	max is 4: quarantine of one
 *					max = 3: quarantine of none
 *	lock; 0 of 0 are in quarantine:
 *	frees the oldest (there is none)
 *	and tries again, forever
 *
 * T2 detects that T1 makes no progress, and ends the loop by a higher maximum.
 */
#define CAP_ROUNDS	PART_OF(2000)

struct cap_race {
	struct fixture *f;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool done;
	unsigned long steps;
	unsigned int wrong;
	unsigned int stuck;
};

static void cap_race_abandon(struct cap_race *r)
{
	struct mid_atlas *atlas = r->f->atlas;
	u16 mid;

	while (!READ_ONCE(r->done)) {
		r->wrong += !!mid_atlas_associate(atlas, r, &mid, GFP_KERNEL);
		r->wrong += !mid_atlas_abandon(atlas, mid, r, LONG_TIME);
		r->wrong += !!mid_atlas_dissociate(atlas, mid);
		WRITE_ONCE(r->steps, r->steps + 1);
		cond_resched();
	}
}

static void cap_race_change(struct cap_race *r)
{
	unsigned long steps, end;
	unsigned int n;

	for (n = 0; n < CAP_ROUNDS && !r->stuck; n++) {
		mid_atlas_set_max(r->f->atlas, 4);
		dither(&r->rnd, 1000);
		mid_atlas_set_max(r->f->atlas, 3);
		steps = READ_ONCE(r->steps);
		end = jiffies + TEST_TIMEOUT;
		while (READ_ONCE(r->steps) - steps < 2 && time_before(jiffies, end))
			cond_resched();
		r->stuck += READ_ONCE(r->steps) - steps < 2;
	}
	WRITE_ONCE(r->done, true);
	mid_atlas_set_max(r->f->atlas, 4);
}

static void run_cap_race(void *arg, int side)
{
	struct cap_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		cap_race_abandon(r);
	else
		cap_race_change(r);
}

static void abandon_ends_though_the_maximum_falls_below_4(struct kunit *test)
{
	struct cap_race *r = test_alloc(test, sizeof(*r));

	prandom_seed_state(&r->rnd, seed);
	r->f = fixture_create(test, 4, 4);
	race(test, run_cap_race, r);
	KUNIT_EXPECT_EQ(test, r->stuck, 0);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	fixture_check(r->f);
}

/*
 * Both sides take and free MIDs while side 0 changes the maximum.  When they pause,
 * each MID in use must map to its request, and exactly as many more associates
 * succeed as the maximum allows.
 */
#define LIMIT_MIDS	4096	/* in use by one side */
#define LIMIT_ROUNDS	PART_OF(20)
#define LIMIT_CALLS	4000

struct limit_race {
	struct fixture *f;
	atomic_t arrivals;
	unsigned int most;
	unsigned int max_mids;
	unsigned int wrong[2];
	unsigned int held[2];
	struct rnd_state rnd[2];
	u16 mid[2][LIMIT_MIDS];
	void *ctx[2][LIMIT_MIDS];
};

static void limit_race_take(struct limit_race *r, int side, unsigned long nr)
{
	unsigned int n = r->held[side];
	void *ctx = nr_ctx(2 * nr + side);
	int err;

	if (n == LIMIT_MIDS)
		return;
	err = mid_atlas_associate(r->f->atlas, ctx, &r->mid[side][n], GFP_KERNEL);
	if (!err) {
		r->ctx[side][n] = ctx;
		r->held[side]++;
	}
	r->wrong[side] += err && err != -ENOSPC;
}

static void limit_race_give(struct limit_race *r, int side, u32 which)
{
	unsigned int i, last = r->held[side] - 1;

	if (!r->held[side])
		return;
	i = which % r->held[side]--;
	r->wrong[side] += mid_atlas_dissociate(r->f->atlas, r->mid[side][i]) !=
			  r->ctx[side][i];
	r->mid[side][i] = r->mid[side][last];
	r->ctx[side][i] = r->ctx[side][last];
}

static void limit_race_churn(struct limit_race *r, int side)
{
	unsigned int n;
	u32 value;

	for (n = 0; n < LIMIT_CALLS; n++) {
		value = prandom_u32_state(&r->rnd[side]);
		/* The number in use grows for a while, then shrinks for a while. */
		if (value % 4 < 1 + (n / 512) % 2 * 2)
			limit_race_give(r, side, value >> 2);
		else
			limit_race_take(r, side, n);
		if (side == 0 && value % 256 == 0) {
			r->max_mids = 1 + (value >> 8) % r->most;
			r->wrong[0] += mid_atlas_set_max(r->f->atlas, r->max_mids);
		}
		cond_resched();
	}
}

static void limit_race_judge(struct limit_race *r)
{
	unsigned int in_use = r->held[0] + r->held[1], n, more = 0, side;

	r->wrong[0] += atlas_stats(r->f->atlas).in_use != in_use;
	for (side = 0; side < 2; side++)
		for (n = 0; n < r->held[side]; n++)
			r->wrong[0] += map_rcu(r->f->atlas, r->mid[side][n]) !=
				       r->ctx[side][n];
	while (!mid_atlas_associate(r->f->atlas, r, &r->f->mid[more], GFP_KERNEL))
		more++;
	r->wrong[0] += more != (r->max_mids > in_use ? r->max_mids - in_use : 0);
	while (more--)
		r->wrong[0] += mid_atlas_dissociate(r->f->atlas,
						    r->f->mid[more]) != r;
}

static void run_limit_race(void *arg, int side)
{
	struct limit_race *r = arg;
	unsigned int round;

	for (round = 0; round < LIMIT_ROUNDS; round++) {
		meet(&r->arrivals);
		limit_race_churn(r, side);
		meet(&r->arrivals);
		if (side == 0)
			limit_race_judge(r);
	}
}

static const unsigned int limit_maxima[] = { 8, 65, 600, 5000 };

KUNIT_ARRAY_PARAM(limit_maxima, limit_maxima, uint_desc);

static void maximum_changes_under_load_and_is_kept(struct kunit *test)
{
	const unsigned int *most = test->param_value;
	struct limit_race *r = test_alloc(test, sizeof(*r));
	unsigned int n;

	r->most = *most;
	r->f = fixture_create(test, 1, 1);
	for (n = 0; n < 4; n++) {
		fixture_renew(r->f, 1, 1);
		r->max_mids = 1;
		memset(r->held, 0, sizeof(r->held));
		prandom_seed_state(&r->rnd[0], seed + 2 * n);
		prandom_seed_state(&r->rnd[1], seed + 2 * n + 1);
		race(test, run_limit_race, r);
		KUNIT_ASSERT_EQ_MSG(test, r->wrong[0] + r->wrong[1], 0,
				    "seed %u", seed);
	}
	fixture_check(r->f);
}

/*
 * Some requests stay in flight.  Side 1 makes the table grow and reassociates each
 * of them with itself; side 0 must see each one in each for_each, or claim it once.
 */
#define STAYING		60
#define GROWTH_MIDS	3000

struct stay_race {
	struct fixture *f;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool claims;
	bool done;
	unsigned int passes;
	unsigned int wrong;
	unsigned int seen[STAYING];
	u16 mid[GROWTH_MIDS];
};

static void stay_race_see(void *ctx, u16 mid, void *arg)
{
	struct stay_race *r = arg;

	if (ctx_nr(ctx) < STAYING)
		r->seen[ctx_nr(ctx)]++;
}

static void stay_race_visit(struct stay_race *r)
{
	unsigned int i;

	do {
		memset(r->seen, 0, sizeof(r->seen));
		dither(&r->rnd, 20000);
		if (r->claims)
			mid_atlas_claim_all(r->f->atlas, stay_race_see, r);
		else
			mid_atlas_for_each(r->f->atlas, stay_race_see, r);
		for (i = 0; i < STAYING; i++)
			r->wrong += r->seen[i] != 1;
		r->passes++;
		cond_resched();
	} while (!r->claims && !READ_ONCE(r->done));
}

static void stay_race_grow(struct stay_race *r)
{
	unsigned int i, stays;

	for (i = 0; i < GROWTH_MIDS; i++) {
		if (mid_atlas_associate(r->f->atlas, nr_ctx(STAYING + i),
					&r->mid[i], GFP_KERNEL))
			break;
		stays = i % STAYING;
		if (!r->claims)
			mid_atlas_reassociate(r->f->atlas, r->f->mid[stays],
					      nr_ctx(stays));
		if (i % 2)
			mid_atlas_dissociate(r->f->atlas, r->mid[i / 2]);
	}
	WRITE_ONCE(r->done, true);
}

static void run_stay_race(void *arg, int side)
{
	struct stay_race *r = arg;

	meet(&r->arrivals);
	if (side == 0)
		stay_race_visit(r);
	else
		stay_race_grow(r);
}

static void run_stay_races(struct kunit *test, bool claims)
{
	struct stay_race *r = test_alloc(test, sizeof(*r));
	unsigned int n, i;

	prandom_seed_state(&r->rnd, seed);
	r->claims = claims;
	r->f = fixture_create(test, GROWTH_MIDS + STAYING, 0);
	for (n = 0; n < 40; n++) {
		fixture_renew(r->f, GROWTH_MIDS + STAYING, 0);
		for (i = 0; i < STAYING; i++)
			r->f->mid[i] = fixture_take(r->f, nr_ctx(i));
		r->done = false;
		race(test, run_stay_race, r);
		KUNIT_ASSERT_EQ(test, r->wrong, 0);
	}
	kunit_info(test, "%u passes\n", r->passes);
	fixture_check(r->f);
}

static void growth_hides_no_context_from_for_each(struct kunit *test)
{
	run_stay_races(test, false);
}

static void growth_lets_claim_all_claim_each_context_once(struct kunit *test)
{
	run_stay_races(test, true);
}

/* Side 1 drains while side 0 takes, waits for and frees MIDs. */
struct drain_race {
	struct fixture *f;
	atomic_t arrivals;
	struct rnd_state rnd;
	bool drained;
	unsigned int wrong[2];
	unsigned long served;
};

static int drain_race_take(struct drain_race *r, unsigned long n, u16 *mid)
{
	if (n % 2)
		return mid_atlas_associate_wait(r->f->atlas, r, mid, GFP_KERNEL,
						TEST_TIMEOUT);
	return mid_atlas_associate(r->f->atlas, r, mid, GFP_KERNEL);
}

static void drain_race_use(struct drain_race *r)
{
	bool drained;
	u16 mid;
	int err;

	for (;; r->served++) {
		drained = READ_ONCE(r->drained);
		err = drain_race_take(r, r->served, &mid);
		if (err)
			break;
		r->wrong[0] += drained;
		if (r->served % 3)
			r->wrong[0] += mid_atlas_dissociate(r->f->atlas, mid) != r;
		else
			r->wrong[0] += !mid_atlas_abandon(r->f->atlas, mid, r, 1);
	}
	r->wrong[0] += err != -ESHUTDOWN;
}

static void run_drain_race(void *arg, int side)
{
	struct drain_race *r = arg;
	struct mid_atlas_stats s;

	meet(&r->arrivals);
	if (side == 0) {
		drain_race_use(r);
		return;
	}
	dither(&r->rnd, 20000);
	r->wrong[1] += mid_atlas_drain(r->f->atlas, TEST_TIMEOUT) != 0;
	WRITE_ONCE(r->drained, true);
	s = atlas_stats(r->f->atlas);
	r->wrong[1] += s.in_use || s.slots;
}

static void drain_ends_while_others_take_and_wait(struct kunit *test)
{
	struct drain_race *r = test_alloc(test, sizeof(*r));
	unsigned int n;

	prandom_seed_state(&r->rnd, seed);
	r->f = fixture_create(test, 8, 0);
	for (n = 0; n < 100; n++) {
		fixture_renew(r->f, 8, 0);
		r->drained = false;
		race(test, run_drain_race, r);
		KUNIT_ASSERT_EQ(test, r->wrong[0] + r->wrong[1], 0);
	}
	kunit_info(test, "%lu requests in %u drains\n", r->served, n);
}

/* Two drains of an empty atlas at once must both succeed. */
#define DRAINS		PART_OF(20000)

static void run_drained_race(void *arg, int side)
{
	struct drain_race *r = arg;
	unsigned int n;

	meet(&r->arrivals);
	for (n = 0; n < DRAINS; n++) {
		r->wrong[side] += mid_atlas_drain(r->f->atlas, n % 2) != 0;
		cond_resched();
	}
}

static void two_drains_of_an_empty_atlas_both_succeed(struct kunit *test)
{
	struct drain_race *r = test_alloc(test, sizeof(*r));

	r->f = fixture_create(test, 50, 50);
	race(test, run_drained_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong[0] + r->wrong[1], 0);
}

/* The killed waiters are about to leave; KASAN reports one that leaves too late. */
static void destroy_waits_for_waiters_that_are_being_killed(struct kunit *test)
{
	struct fixture *f = fixture_create(test, 1, 1);
	struct mid_waiter *w[4];
	struct rnd_state rnd;
	unsigned int n, i;
	int err;

	stay_on_side(test, 0);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		w[i] = waiter_create(f, race_cpu(1));
	for (n = 0; n < 100; n++) {
		fixture_renew(f, 1, 1);
		fixture_take(f, nr_ctx(0));
		for (i = 0; i < ARRAY_SIZE(w); i++) {
			waiter_start(w[i], TEST_TIMEOUT);
			waiter_await_sleep(w[i]);
		}
		for (i = 0; i < ARRAY_SIZE(w); i += 2)
			waiter_signal(w[i], SIGKILL);
		dither(&rnd, 5000);
		mid_atlas_destroy(f->atlas, NULL, NULL);
		f->atlas = NULL;
		for (i = 0; i < ARRAY_SIZE(w); i++) {
			err = waiter_result(w[i]);
			KUNIT_ASSERT_TRUE_MSG(test, err == -ESHUTDOWN ||
					      (i % 2 == 0 && err == -ERESTARTSYS),
					      "error %d", err);
		}
	}
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(map_get_racing_the_last_put_finds_no_freed_request),
	KUNIT_CASE(map_returns_nothing_but_contexts),
	KUNIT_CASE_PARAM(context_goes_to_one_of, all_rivals_gen_params),
	KUNIT_CASE_SLOW(associate_never_overtakes_a_waiter),
	KUNIT_CASE_SLOW(high_water_never_exceeds_the_maximum),
	KUNIT_CASE_PARAM(no_wake_up_is_lost_when_waiters, fates_gen_params),
	KUNIT_CASE(few_mids_serve_a_crowd_through_kills_and_changes),
	KUNIT_CASE_SLOW(no_wake_up_is_lost_when_an_outgrown_slot_is_freed),
	KUNIT_CASE_PARAM(abandon_and_reply_and_expiry_end_each_request_once,
			 all_abandons_gen_params),
	KUNIT_CASE_SLOW(abandon_ends_though_the_maximum_falls_below_4),
	KUNIT_CASE_PARAM(maximum_changes_under_load_and_is_kept,
			 limit_maxima_gen_params),
	KUNIT_CASE_SLOW(growth_hides_no_context_from_for_each),
	KUNIT_CASE(growth_lets_claim_all_claim_each_context_once),
	KUNIT_CASE_SLOW(drain_ends_while_others_take_and_wait),
	KUNIT_CASE(two_drains_of_an_empty_atlas_both_succeed),
	KUNIT_CASE(destroy_waits_for_waiters_that_are_being_killed),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midatlas_life_race",
	.init = race_init,
	.test_cases = race_cases,
};

kunit_test_suites(&race_suite);

MODULE_DESCRIPTION("KUnit tests of lifecycle races in the MID atlas");
MODULE_LICENSE("GPL");
