// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_races_kunit - two CPUs use one window at once
 *
 * Two threads, each on a CPU of its own, race for ids and for requests: claims
 * against each other, against the end of a quarantine, against a reset, signals and
 * replies against waiters, and the growth of the table against itself.
 */
#include "fixture.h"

/*
 * A race is run for one second (or a part of it), but at least @min and at most
 * @max times: on a busy machine one CPU often waits for the other.
 */
static bool race_again(unsigned int round, unsigned int min, unsigned int max,
		       unsigned long begin)
{
	return round < min ||
	       (round < max && time_before(jiffies, begin + PART_OF(HZ)));
}

static int window_race_init(struct kunit *test)
{
	return race_init(test) ?: window_init(test);
}

/*
 * Both sides reserve, send and claim until a million ids are used, by requests of
 * one to eight ids.  Each side also tries to claim the last request of the other
 * side, so both sides race for many requests.  The request whose first id is N is
 * nr_ctx(N).
 */
#define MILLION	1000000

struct million {
	struct mid_window *w;
	atomic_t arrivals;
	u64 last[2];
	unsigned long wrong;
	unsigned long sent[2];
	unsigned long foreign[2];
	unsigned long *issued;		/* ids */
	unsigned long *first;		/* the first of each request */
	unsigned long *claimed;		/* likewise */
};

static void million_wrong(struct million *r, bool wrong)
{
	if (wrong)
		WRITE_ONCE(r->wrong, r->wrong + 1);
}

static void million_claim(struct million *r, int side, u64 id, bool own)
{
	void *ctx = mid_window_dissociate(r->w, 1, id);

	if (!ctx)
		return;
	r->foreign[side] += !own;
	million_wrong(r, ctx != nr_ctx(id) || test_and_set_bit(id, r->claimed));
}

static void million_sent(struct million *r, int side, u64 id, unsigned int charge)
{
	unsigned int i;

	if (id + charge > MILLION) {
		million_wrong(r, true);
		return;
	}
	r->sent[side]++;
	for (i = 0; i < charge; i++)
		million_wrong(r, test_and_set_bit(id + i, r->issued));
	set_bit(id, r->first);
	WRITE_ONCE(r->last[side], id);
	million_claim(r, side, READ_ONCE(r->last[!side]), false);
	million_claim(r, side, id, true);
}

/* One request without a span: the window chooses the id, so it is not in the request. */
static void million_begin(struct million *r, int side, unsigned int charge)
{
	struct mid_tag tag;

	if (mid_window_begin(r->w, charge, r, &tag, GFP_KERNEL))
		return;
	/* The other side does not know the id yet. */
	if (mid_window_reassociate(r->w, &tag, nr_ctx(tag.id)) == r)
		million_sent(r, side, tag.id, charge);
	else
		million_wrong(r, true);
}

/* Returns false when no ids are left. */
static bool million_step(struct million *r, int side, struct rnd_state *rnd)
{
	unsigned int n = 1 + random_below(rnd, 16);
	struct mid_span span;
	struct mid_tag tag;

	if (n > 12)
		million_begin(r, side, n - 12);
	if (mid_window_reserve(r->w, n, n + n % 3, &span, 0, 0))
		return n > 1;
	while (span.n) {
		n = min(1 + random_below(rnd, 8), span.n);
		/* The request must be known before its id is. */
		if (mid_window_associate(r->w, &span, n, nr_ctx(span.first), &tag,
					 GFP_KERNEL)) {
			million_wrong(r, true);
			return false;
		}
		million_sent(r, side, tag.id, n);
		/* Some ids are given back, and are issued again. */
		if (span.n && tag.id % 8 == 0)
			mid_window_give_back(r->w, &span);
	}
	return true;
}

static void run_million(void *arg, int side)
{
	struct million *r = arg;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed + side);
	meet(&r->arrivals);
	while (million_step(r, side, &rnd))
		cond_resched();
}

static void two_cpus_claim_a_million_ids_exactly_once(struct kunit *test)
{
	struct million *r = test_alloc(test, sizeof(*r));
	unsigned long sent;

	r->w = test->priv;
	r->issued = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	r->first = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	r->claimed = test_alloc(test, BITS_TO_LONGS(MILLION) * sizeof(long));
	window_grant(test, MILLION - 1);
	race(test, run_million, r);
	sent = r->sent[0] + r->sent[1];
	kunit_info(test, "%lu requests, the CPUs claimed %lu and %lu of the other side\n",
		   sent, r->foreign[0], r->foreign[1]);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_TRUE(test, bitmap_full(r->issued, MILLION));
	KUNIT_EXPECT_TRUE(test, bitmap_equal(r->first, r->claimed, MILLION));
	KUNIT_EXPECT_EQ(test, window_available(r->w), 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).spans, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).in_use, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).associated, sent);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).dissociated, sent);
	KUNIT_EXPECT_GT(test, r->foreign[0] + r->foreign[1], 0);
}

/*
 * In each round side 0 sends BATCH requests, both sides act on each of them, and
 * the results of the two sides are compared.  Request number I is nr_ctx(I).  The
 * sides have a head start in turn, so that the slower one wins, too.
 */
#define BATCH		1024
#define HEAD_START	(BATCH / 8)

struct batch {
	struct kunit *test;
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int max_rounds;
	unsigned int rounds;
	bool again;
	unsigned int wrong;
	unsigned long won[2];
	u32 epoch;
	u64 id[BATCH];
	u64 new_id[BATCH];
	void *got[2][BATCH];
	u8 reset[BATCH];		/* calls of the reset's callback */
	void *(*act[2])(struct batch *b, unsigned int i);
	void (*judge)(struct batch *b, unsigned int i);
};

static void batch_fill(struct batch *b)
{
	struct mid_tag tag = {};
	unsigned int i;

	b->rounds++;
	b->epoch = mid_window_epoch(b->w);
	b->wrong += mid_window_grant(b->w, b->epoch, BATCH) != 0;
	for (i = 0; i < BATCH; i++) {
		b->wrong += mid_window_begin(b->w, 1, nr_ctx(i), &tag,
					     GFP_KERNEL) != 0;
		b->id[i] = tag.id;
	}
}

static void run_batches(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct batch *b = arg;
	unsigned int i, head;

	do {
		if (side == 0)
			batch_fill(b);
		meet(&b->arrivals);
		head = side == b->rounds % 2 ? HEAD_START : 0;
		for (i = 0; i < BATCH; i++) {
			if (i == head)
				meet(&b->arrivals);
			b->got[side][i] = b->act[side](b, i);
		}
		meet(&b->arrivals);
		if (side == 0) {
			for (i = 0; i < BATCH; i++)
				b->judge(b, i);
			b->again = race_again(b->rounds, 4, b->max_rounds, begin);
		}
		cond_resched();
		meet(&b->arrivals);
	} while (b->again);
}

static struct batch *batch(struct kunit *test, unsigned int max_rounds)
{
	struct batch *b = test_alloc(test, sizeof(*b));

	b->test = test;
	b->w = test->priv;
	b->max_rounds = max_rounds;
	return b;
}

static void *act_dissociate(struct batch *b, unsigned int i)
{
	return mid_window_dissociate(b->w, b->epoch, b->id[i]);
}

static void *act_dissociate_if(struct batch *b, unsigned int i)
{
	return mid_window_dissociate_if(b->w, TAG(b->epoch, b->id[i]), nr_ctx(i)) ?
		nr_ctx(i) : NULL;
}

static void *act_reassociate(struct batch *b, unsigned int i)
{
	return mid_window_reassociate(b->w, TAG(b->epoch, b->id[i]),
				      nr_ctx(i + BATCH));
}

static void *act_abandon(struct batch *b, unsigned int i)
{
	return mid_window_abandon(b->w, TAG(b->epoch, b->id[i]), nr_ctx(i),
				  1 + i % 3) ? nr_ctx(i) : NULL;
}

static void *act_unsend(struct batch *b, unsigned int i)
{
	return mid_window_unsend(b->w, TAG(b->epoch, b->id[i]), nr_ctx(i)) ?
		nr_ctx(i) : NULL;
}

/* Exactly one side got the request. */
static void judge_one_has_it(struct batch *b, unsigned int i)
{
	void *winner = b->got[0][i] ?: b->got[1][i];

	b->wrong += winner != nr_ctx(i);
	b->wrong += b->got[0][i] && b->got[1][i];
	b->won[0] += !!b->got[0][i];
	b->won[1] += !!b->got[1][i];
}

static void expect_even_race(struct batch *b)
{
	kunit_info(b->test, "the sides won %lu and %lu of %lu\n", b->won[0], b->won[1],
		   (unsigned long)b->rounds * BATCH);
	KUNIT_EXPECT_EQ(b->test, b->wrong, 0);
	KUNIT_EXPECT_EQ(b->test, b->won[0] + b->won[1], b->rounds * BATCH);
	KUNIT_EXPECT_GT(b->test, b->won[0], 0);
	KUNIT_EXPECT_GT(b->test, b->won[1], 0);
}

static void racing_dissociates_give_each_context_to_one(struct kunit *test)
{
	struct batch *b = batch(test, 1000);

	b->act[0] = act_dissociate;
	b->act[1] = act_dissociate_if;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
}

/* The ids are available again if unsend won, and only then. */
static void unsend_racing_a_reply_gives_back_the_ids_it_claimed(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_unsend;
	b->act[1] = act_dissociate;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_available(b->w) + window_stats(b->w).lost,
			1 + b->won[0]);
}

static void judge_reassociate(struct batch *b, unsigned int i)
{
	void *old_ctx = nr_ctx(i), *new_ctx = nr_ctx(i + BATCH);

	if (b->got[0][i] == old_ctx && b->got[1][i] == new_ctx)
		b->won[0]++;
	else if (!b->got[0][i] && b->got[1][i] == old_ctx)
		b->won[1]++;
	else
		b->wrong++;
}

static void reassociate_racing_dissociate_returns_each_context_once(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_reassociate;
	b->act[1] = act_dissociate;
	b->judge = judge_reassociate;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
}

/* The claim of a replaced request must fail and leave the new one in flight. */
static void judge_dissociate_if(struct batch *b, unsigned int i)
{
	void *old_ctx = nr_ctx(i), *new_ctx = nr_ctx(i + BATCH), *left;

	left = mid_window_dissociate(b->w, b->epoch, b->id[i]);
	if (b->got[0][i] == old_ctx && !b->got[1][i] && left == new_ctx)
		b->won[0]++;
	else if (!b->got[0][i] && b->got[1][i] == old_ctx && !left)
		b->won[1]++;
	else
		b->wrong++;
}

static void dissociate_if_racing_reassociate_never_takes_the_new_one(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_reassociate;
	b->act[1] = act_dissociate_if;
	b->judge = judge_dissociate_if;
	race(test, run_batches, b);
	expect_even_race(b);
}

/*
 * An abandon races a reply; the quarantine ends one to three jiffies later.  A reply
 * that did not get the request is late or, after the quarantine, stale.
 */
static void abandon_late_reply_and_expiry_add_up(struct kunit *test)
{
	struct batch *b = batch(test, 1000);
	struct mid_window_stats stats;

	b->act[0] = act_abandon;
	b->act[1] = act_dissociate;
	b->judge = judge_one_has_it;
	race(test, run_batches, b);
	expect_even_race(b);

	KUNIT_EXPECT_EQ(test, mid_window_drain(b->w, WINDOW_TIMEOUT), 0);
	stats = window_stats(b->w);
	kunit_info(test, "%llu late, %llu after the quarantine\n", stats.late,
		   stats.stale);
	KUNIT_EXPECT_EQ(test, stats.late + stats.stale, b->won[0]);
	KUNIT_EXPECT_EQ(test, stats.unknown, 0);
	KUNIT_EXPECT_EQ(test, stats.abandoned, 0);
	KUNIT_EXPECT_EQ(test, stats.in_use, 0);
	KUNIT_EXPECT_EQ(test, stats.associated, b->rounds * BATCH);
	KUNIT_EXPECT_EQ(test, stats.dissociated, b->rounds * BATCH);
}

/* Half of the replies never arrive: each of these quarantines must end by itself. */
static void *act_dissociate_half(struct batch *b, unsigned int i)
{
	return i % 2 ? NULL : act_dissociate(b, i);
}

static void judge_half(struct batch *b, unsigned int i)
{
	b->wrong += b->got[0][i] && b->got[1][i];
	b->wrong += !b->got[0][i] && !b->got[1][i];
	b->won[0] += !!b->got[0][i];
	b->won[1] += !!b->got[1][i];
}

static void quarantine_ends_for_requests_without_a_reply(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_abandon;
	b->act[1] = act_dissociate_half;
	b->judge = judge_half;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, mid_window_drain(b->w, WINDOW_TIMEOUT), 0);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
	KUNIT_EXPECT_LT(test, window_stats(b->w).late, b->won[0]);
}

/*
 * An interim response races the end of its request, whose place in the window is taken
 * by the next request at once: that one must not have the AsyncId.
 */
static void *act_note_async(struct batch *b, unsigned int i)
{
	return mid_window_note_async(b->w, b->epoch, b->id[i], 1 + i) ?
		NULL : nr_ctx(i);
}

static void *act_replace(struct batch *b, unsigned int i)
{
	struct mid_tag tag = { .id = NO_ID };

	if (mid_window_dissociate(b->w, b->epoch, b->id[i]) != nr_ctx(i))
		return NULL;
	if (mid_window_grant(b->w, b->epoch, 1) ||
	    mid_window_begin(b->w, 1, nr_ctx(i + BATCH), &tag, GFP_KERNEL))
		return NULL;
	b->new_id[i] = tag.id;
	return nr_ctx(i + BATCH);
}

static void judge_note_async(struct batch *b, unsigned int i)
{
	u64 async_id;

	b->wrong += b->got[1][i] != nr_ctx(i + BATCH);
	b->wrong += mid_window_async_id(b->w, TAG(b->epoch, b->new_id[i]), &async_id);
	b->wrong += mid_window_async_id(b->w, TAG(b->epoch, b->id[i]), &async_id);
	b->wrong += mid_window_dissociate(b->w, b->epoch, b->new_id[i]) !=
		    nr_ctx(i + BATCH);
	b->won[!b->got[0][i]]++;
}

static void async_id_is_never_that_of_the_next_request(struct kunit *test)
{
	struct batch *b = batch(test, 200);

	b->act[0] = act_note_async;
	b->act[1] = act_replace;
	b->judge = judge_note_async;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
}

/* A sweep races replies: each request is claimed once, and what is not wanted stays. */
static bool want_even(void *ctx, u64 id, unsigned long age, void *arg)
{
	return ctx_nr(ctx) % 2 == 0;
}

static void count_swept(void *ctx, u64 id, void *arg)
{
	struct batch *b = arg;
	unsigned long nr = ctx_nr(ctx);

	if (nr >= BATCH || nr % 2 || id != b->id[nr] || b->reset[nr]++)
		b->wrong++;
}

static void *act_sweep(struct batch *b, unsigned int i)
{
	if (i == 0)
		memset(b->reset, 0, sizeof(b->reset));
	if (i % 128 == 0)
		mid_window_claim_if(b->w, 0, want_even, count_swept, b);
	return NULL;
}

static void judge_sweep(struct batch *b, unsigned int i)
{
	b->got[0][i] = b->reset[i] ? nr_ctx(i) : NULL;
	b->wrong += b->got[0][i] && i % 2;
	judge_one_has_it(b, i);
}

static void sweep_racing_replies_claims_each_context_once(struct kunit *test)
{
	struct batch *b = batch(test, 100);

	b->act[0] = act_sweep;
	b->act[1] = act_dissociate;
	b->judge = judge_sweep;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
}

/* stray never takes a request, whatever else happens to it. */
static void *act_stray(struct batch *b, unsigned int i)
{
	switch (mid_window_stray(b->w, b->epoch, b->id[i])) {
	case MID_STRAY_LIVE:
	case MID_STRAY_LATE:
		return NULL;
	case MID_STRAY_STALE:		/* the abandon has no late reply then */
	default:
		b->wrong++;
		return NULL;
	}
}

static void judge_stray(struct batch *b, unsigned int i)
{
	b->wrong += b->got[0][i] != nr_ctx(i);
	b->wrong += !!b->got[1][i];
	b->wrong += mid_window_stray(b->w, b->epoch, b->id[i]) == MID_STRAY_LIVE;
}

static void *act_abandon_long(struct batch *b, unsigned int i)
{
	return mid_window_abandon(b->w, TAG(b->epoch, b->id[i]), nr_ctx(i),
				  LONG_TIME) ? nr_ctx(i) : NULL;
}

static void stray_racing_abandon_takes_no_request(struct kunit *test)
{
	struct batch *b;

	/* All of a batch may be in quarantine. */
	window_with_slots(test, 4 * BATCH);
	b = batch(test, 200);
	b->act[0] = act_abandon_long;
	b->act[1] = act_stray;
	b->judge = judge_stray;
	race(test, run_batches, b);
	KUNIT_EXPECT_EQ(test, b->wrong, 0);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).late, b->rounds * BATCH);
}

/* Side 0 resets once in each round; side 1 dissociates all requests. */
static void count_reset(void *ctx, u64 id, void *arg)
{
	struct batch *b = arg;
	unsigned long nr = (unsigned long)ctx - 1;

	if (nr >= BATCH || id != b->id[nr] || b->reset[nr]++)
		b->wrong++;
}

static void *act_reset(struct batch *b, unsigned int i)
{
	if (i == 0) {
		memset(b->reset, 0, sizeof(b->reset));
		ndelay(b->rounds % 8 * 25000);
		mid_window_resume(b->w, mid_window_reset(b->w, count_reset, b));
	}
	return NULL;
}

static void judge_reset(struct batch *b, unsigned int i)
{
	b->got[0][i] = b->reset[i] ? nr_ctx(i) : NULL;
	judge_one_has_it(b, i);
	b->wrong += !!mid_window_map(b->w, b->epoch, b->id[i]);
}

static void reset_racing_replies_hands_over_each_context_once(struct kunit *test)
{
	struct batch *b = batch(test, 100);

	b->act[0] = act_reset;
	b->act[1] = act_dissociate;
	b->judge = judge_reset;
	race(test, run_batches, b);
	expect_even_race(b);
	KUNIT_EXPECT_EQ(test, window_stats(b->w).in_use, 0);
	KUNIT_EXPECT_EQ(test, mid_window_epoch(b->w), 1 + b->rounds);
}

/*
 * Side 0 resets while side 1 sends.  The reset gets each request of the old
 * connection, and later ones are refused.  A request that side 1 sends on the new
 * connection, before the reset has returned, stays in flight.
 */
struct reset_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int wrong;
	unsigned int sent;		/* in this round */
	unsigned int handed;
	unsigned int rounds;
	unsigned int rounds_cut;	/* that ended by -ESTALE */
	bool again;
};

#define RESET_ROUNDS	1000
#define RESET_SENDS	200

static void count_handed(void *ctx, u64 id, void *arg)
{
	struct reset_race *r = arg;

	r->handed++;
	r->wrong += ctx != r;
}

static void reset_race_send(struct reset_race *r)
{
	struct mid_span span;
	struct mid_tag tag;
	unsigned int i;
	int err = 0;

	mid_window_resume(r->w, mid_window_epoch(r->w));
	mid_window_grant(r->w, mid_window_epoch(r->w), RESET_SENDS);
	if (reserve_now(r->w, RESET_SENDS, &span))
		r->wrong++;
	r->sent = 0;
	meet(&r->arrivals);
	for (i = 0; i < RESET_SENDS && !err; i++) {
		err = mid_window_associate(r->w, &span, 1, r, &tag, GFP_KERNEL);
		r->sent += !err;
	}
	r->wrong += err && err != -ESTALE;
	r->rounds_cut += err == -ESTALE;
	if (err) {
		/* The reset must not get the first request of the new connection. */
		r->wrong += reserve_now(r->w, 1, &span) != -EAGAIN;
		if (reserve_urgent_now(r->w, 1, &span) || span.first ||
		    mid_window_associate(r->w, &span, 1, &r->sent, &tag, GFP_KERNEL))
			r->wrong++;
		else if (mid_window_dissociate(r->w, tag.epoch, 0) != &r->sent)
			r->wrong++;
	}
	meet(&r->arrivals);
}

static void reset_race_reset(struct reset_race *r)
{
	meet(&r->arrivals);
	ndelay(r->rounds++ % 16 * 10000);
	r->handed = 0;
	mid_window_reset(r->w, count_handed, r);
	meet(&r->arrivals);
	r->wrong += r->handed != r->sent;
}

static void run_reset_race(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct reset_race *r = arg;

	do {
		if (side == 1) {
			reset_race_send(r);
		} else {
			reset_race_reset(r);
			r->again = race_again(r->rounds, 20, RESET_ROUNDS, begin);
		}
		cond_resched();
		meet(&r->arrivals);
	} while (r->again);
}

static void reset_racing_associates_leaves_none_behind(struct kunit *test)
{
	struct reset_race *r = test_alloc(test, sizeof(*r));

	r->w = test->priv;
	race_until(r->rounds_cut, test, run_reset_race, r);
	kunit_info(test, "%u of %u resets interrupted the sender\n", r->rounds_cut,
		   r->rounds);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->rounds_cut, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).in_use, 0);
}

/* Side 0 writes letters and sends them; side 1 reads them. */
struct letter {
	unsigned long page[8];
};

struct letter_race {
	struct mid_window *w;
	atomic_t arrivals;
	bool done;
	u64 first;			/* id of this race */
	unsigned int sent;
	unsigned long read;
	unsigned long wrong;
	struct letter letter[64];
};

#define LETTERS	500000

static void send_letters(struct letter_race *r)
{
	unsigned long begin = jiffies;
	struct letter *letter;
	struct mid_span span;
	struct mid_tag tag;
	unsigned int nr, i;

	for (nr = 0; race_again(nr, 1000, LETTERS, begin); nr++) {
		letter = &r->letter[nr % ARRAY_SIZE(r->letter)];
		mid_window_grant(r->w, 1, 1);
		if (reserve_now(r->w, 1, &span))
			r->wrong++;
		for (i = 0; i < ARRAY_SIZE(letter->page); i++)
			WRITE_ONCE(letter->page[i], span.first);
		if (mid_window_associate(r->w, &span, 1, letter, &tag, GFP_KERNEL))
			r->wrong++;
		/* A letter is dissociated before it is written again. */
		if (nr >= ARRAY_SIZE(r->letter) / 2)
			mid_window_dissociate(r->w, 1,
					      tag.id - ARRAY_SIZE(r->letter) / 2);
		cond_resched();
	}
	r->sent += nr;
}

static void read_letters(struct letter_race *r)
{
	struct letter *letter;
	unsigned int i;
	u64 id = r->first;

	while (!READ_ONCE(r->done)) {
		rcu_read_lock();
		letter = mid_window_map(r->w, 1, id);
		if (letter) {
			for (i = 0; i < ARRAY_SIZE(letter->page); i++)
				r->wrong += READ_ONCE(letter->page[i]) < id;
			r->read++;
		}
		rcu_read_unlock();
		/* Follow the sender, but do not overtake it. */
		if (letter || id < window_stats(r->w).next)
			id++;
		cond_resched();
	}
}

static void run_letter_race(void *arg, int side)
{
	struct letter_race *r = arg;

	if (side == 0) {
		r->done = false;
		r->first = window_stats(r->w).next;
	}
	meet(&r->arrivals);
	if (side == 0) {
		send_letters(r);
		WRITE_ONCE(r->done, true);
	} else {
		read_letters(r);
	}
}

static void map_sees_a_context_only_when_it_is_fully_written(struct kunit *test)
{
	struct letter_race *r = test_alloc(test, sizeof(*r));

	r->w = test->priv;
	race_until(r->read > 10, test, run_letter_race, r);
	kunit_info(test, "%lu of %u letters were read\n", r->read, r->sent);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->read, 10);
}

/* The window has too few ids for both sides. */
struct scarce_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned long wrong;
	unsigned long served[2];
};

#define SCARCE_CREDITS	16
#define SCARCE_ROUNDS	20000

static void run_scarce_race(void *arg, int side)
{
	struct scarce_race *r = arg;
	unsigned long begin = jiffies;
	struct rnd_state rnd;
	struct mid_span span;
	struct mid_tag tag;
	unsigned int round, n;

	prandom_seed_state(&rnd, seed + side);
	meet(&r->arrivals);
	for (round = 0; race_again(round, 100, SCARCE_ROUNDS, begin); round++) {
		/* Side 0 needs all ids at once, and must not starve. */
		n = side ? 1 + random_below(&rnd, 3) : SCARCE_CREDITS;
		if (mid_window_reserve(r->w, n, n, &span, 0, WINDOW_TIMEOUT)) {
			WRITE_ONCE(r->wrong, r->wrong + 1);
			break;
		}
		r->served[side]++;
		if (random_below(&rnd, 2)) {
			mid_window_give_back(r->w, &span);
			continue;
		}
		if (mid_window_associate(r->w, &span, n, nr_ctx(side), &tag,
					 GFP_KERNEL))
			WRITE_ONCE(r->wrong, r->wrong + 1);
		/* Credits first: the other side waits only while some may come. */
		mid_window_grant(r->w, 1, n);
		if (mid_window_dissociate(r->w, 1, tag.id) != nr_ctx(side))
			WRITE_ONCE(r->wrong, r->wrong + 1);
	}
}

static void large_and_small_requests_are_both_served(struct kunit *test)
{
	struct scarce_race *r = test_alloc(test, sizeof(*r));

	r->w = negotiated(test, SCARCE_CREDITS);
	race(test, run_scarce_race, r);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GE(test, r->served[0], 100);
	KUNIT_EXPECT_GE(test, r->served[1], 100);
	kunit_info(test, "%lu large and %lu small spans, %llu waits\n",
		   r->served[0], r->served[1], window_stats(r->w).exhausted);
	expect_available(test, SCARCE_CREDITS);
}

/*
 * Side 1 waits for one id; side 0 kills it and grants the id, in either order.
 * Either side 1 gets the id, or the id is available for the next request.
 */
#define KILL_ROUNDS	20000

struct kill_race {
	struct mid_window *w;
	atomic_t arrivals;
	struct task_struct *victim;
	bool again;
	unsigned int rounds;
	unsigned int wrong;
	unsigned int killed;
};

static void kill_race_wait(struct kill_race *r)
{
	struct mid_span span;
	struct mid_tag tag;
	int err;

	err = mid_window_reserve(r->w, 1, 1, &span, 0, WINDOW_TIMEOUT);
	r->wrong += err && err != -ERESTARTSYS;
	r->killed += !!err;
	meet(&r->arrivals);
	flush_signals(current);
	/* An id that it did not get must be available, and no other. */
	if (err && reserve_now(r->w, 1, &span))
		r->wrong++;
	r->wrong += window_available(r->w) != 0;
	r->wrong += mid_window_associate(r->w, &span, 1, r, &tag, GFP_KERNEL) != 0;
	r->wrong += mid_window_dissociate(r->w, 1, tag.id) != r;
}

static void kill_race_kill(struct kill_race *r, struct rnd_state *rnd)
{
	bool grant_first = random_below(rnd, 2);

	ndelay(random_below(rnd, 5000));
	if (grant_first)
		mid_window_grant(r->w, 1, 1);
	send_sig(SIGKILL, r->victim, 1);
	ndelay(random_below(rnd, 2000));
	if (!grant_first)
		mid_window_grant(r->w, 1, 1);
	meet(&r->arrivals);
}

static void run_kill_race(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct kill_race *r = arg;
	struct rnd_state rnd;

	if (side == 1) {
		allow_signal(SIGKILL);
		r->victim = current;
	}
	prandom_seed_state(&rnd, seed);
	do {
		meet(&r->arrivals);
		if (side == 1) {
			kill_race_wait(r);
		} else {
			kill_race_kill(r, &rnd);
			r->again = race_again(++r->rounds, 100, KILL_ROUNDS, begin);
		}
		cond_resched();
		meet(&r->arrivals);
	} while (r->again);
}

static void killed_waiter_loses_no_id(struct kunit *test)
{
	struct kill_race *r = test_alloc(test, sizeof(*r));

	r->w = window_busy(test, 0);
	race_until(r->killed && r->killed < r->rounds, test, run_kill_race, r);
	kunit_info(test, "%u of %u were killed first, seed %u\n", r->killed,
		   r->rounds, seed);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->killed, 0);
	KUNIT_EXPECT_LT(test, r->killed, r->rounds);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).waiters, 0);
}

/* The window is destroyed while its waiters are killed or leave. */
#define DESTROY_ROUNDS	50

static void destroy_racing_a_killed_waiter_is_safe(struct kunit *test)
{
	unsigned int round;

	for (round = 0; round < DESTROY_ROUNDS; round++) {
		window_busy(test, 1);
		window_enqueue(test, 0, 2);
		window_enqueue(test, 1, 3);
		send_sig(SIGKILL, id_waiters[0].task, 1);
		ndelay(round % 32 * 1000);
		window_exit(test);
		window_join(test, &id_waiters[0]);
		window_join(test, &id_waiters[1]);
		KUNIT_ASSERT_NE(test, id_waiters[0].err, 0);
		KUNIT_ASSERT_EQ(test, id_waiters[1].err, -ESHUTDOWN);
		window_init(test);
	}
}

/*
 * There is one request in flight.  Its reply grants one credit, and then ends it, while
 * the next request waits for that credit.  In no order may the waiter be told that no
 * reply can come, or wait for ever.
 *
 *	side 0				side 1
 *
 *	reserve waits, or is about to	grant(1)
 *					dissociate: nothing is in flight
 *	reserve has the id
 */
struct reply_race {
	struct mid_window *w;
	atomic_t arrivals;
	u64 id[2];			/* of this round, and of the next one */
	unsigned int credits;		/* of each reply */
	int expected;			/* by the waiter */
	unsigned int rounds;
	unsigned int wrong;
	bool again;
};

#define REPLY_ROUNDS	100000

static void reply_race_wait(struct reply_race *r, unsigned int round)
{
	struct mid_span span;
	struct mid_tag tag = {};
	int err;

	err = mid_window_reserve(r->w, 1, 1, &span, 0, WINDOW_TIMEOUT);
	if (err != r->expected)
		WRITE_ONCE(r->wrong, r->wrong + 1);
	/* The next round needs an id. */
	if (err && (mid_window_grant(r->w, 1, 1) || reserve_now(r->w, 1, &span)))
		WRITE_ONCE(r->wrong, r->wrong + 1);
	if (mid_window_associate(r->w, &span, 1, r, &tag, GFP_KERNEL))
		WRITE_ONCE(r->wrong, r->wrong + 1);
	r->id[(round + 1) % 2] = tag.id;
}

static void reply_race_reply(struct reply_race *r, unsigned int round)
{
	ndelay(round % 64 * 50);
	mid_window_grant(r->w, 1, r->credits);
	if (mid_window_dissociate(r->w, 1, r->id[round % 2]) != r)
		WRITE_ONCE(r->wrong, r->wrong + 1);
}

static void run_reply_race(void *arg, int side)
{
	unsigned long begin = jiffies;
	struct reply_race *r = arg;
	unsigned int round = 0;

	do {
		meet(&r->arrivals);
		if (side == 0)
			reply_race_wait(r, round);
		else
			reply_race_reply(r, round);
		round++;
		if (side == 0) {
			r->rounds = round;
			r->again = race_again(round, 100, REPLY_ROUNDS, begin);
		}
		cond_resched();
		meet(&r->arrivals);
	} while (r->again);
}

static void reply_race(struct kunit *test, unsigned int credits, int expected)
{
	struct reply_race *r = test_alloc(test, sizeof(*r));

	r->w = test->priv;
	r->credits = credits;
	r->expected = expected;
	r->id[0] = window_send(test, r);
	race(test, run_reply_race, r);
	kunit_info(test, "%u rounds, %llu waits\n", r->rounds,
		   window_stats(r->w).exhausted);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).in_use, 1);
	KUNIT_EXPECT_EQ(test, window_available(r->w), 0);
}

static void last_credit_reaches_the_waiter_before_its_reply_ends(struct kunit *test)
{
	reply_race(test, 1, 0);
}

/* The same, but the reply grants nothing: then the waiter must be told. */
static void waiter_is_told_when_the_last_reply_grants_nothing(struct kunit *test)
{
	reply_race(test, 0, -EDEADLK);
}

/* Two tasks find that there is no room: the table must grow once. */
struct growth_race {
	struct mid_window *w;
	atomic_t arrivals;
	int err[2];
};

static void run_growth_race(void *arg, int side)
{
	struct growth_race *r = arg;
	struct mid_tag tag;

	meet(&r->arrivals);
	r->err[side] = mid_window_begin(r->w, 1, r, &tag, GFP_KERNEL);
}

static void two_cpus_grow_the_table_once(struct kunit *test)
{
	struct growth_race *r = test_alloc(test, sizeof(*r));
	unsigned int round, i;

	for (round = 0; round < PART_OF(500); round++) {
		r->w = window_with_slots(test, 0);
		window_grant(test, LEAST_ROOM + 2);
		for (i = 0; i < LEAST_ROOM; i++)
			window_send(test, nr_ctx(i));
		race(test, run_growth_race, r);
		KUNIT_ASSERT_EQ(test, r->err[0], 0);
		KUNIT_ASSERT_EQ(test, r->err[1], 0);
		KUNIT_ASSERT_EQ(test, window_stats(r->w).slots, 4 * LEAST_ROOM);
	}
}

/*
 * Each side has at most half of the slots in flight, and there is no more memory: no
 * begin may fail, because what was dissociated made room before.
 */
struct room_race {
	struct kunit *test;
	struct mid_window *w;
	atomic_t arrivals;
	unsigned long sent[2];
	unsigned long failed;
};

#define ROOM_ROUNDS	200000

static void run_room_race(void *arg, int side)
{
	struct room_race *r = arg;
	unsigned long begin = jiffies;
	struct mid_tag tag[LEAST_ROOM / 2] = {};
	unsigned int round, i;

	current->kunit_test = r->test;	/* the stub acts here, too */
	meet(&r->arrivals);
	for (round = 0; race_again(round, 1000, ROOM_ROUNDS, begin); round++) {
		i = round % ARRAY_SIZE(tag);
		mid_window_grant(r->w, 1, 1);
		if (tag[i].epoch && !mid_window_dissociate(r->w, 1, tag[i].id))
			WRITE_ONCE(r->failed, r->failed + 1);
		if (mid_window_begin(r->w, 1, r, &tag[i], GFP_KERNEL)) {
			WRITE_ONCE(r->failed, r->failed + 1);
			tag[i].epoch = 0;
		}
		r->sent[side]++;
		cond_resched();
	}
	current->kunit_test = NULL;
}

static void room_of_ended_requests_is_there_at_once(struct kunit *test)
{
	struct room_race *r = test_alloc(test, sizeof(*r));

	r->test = test;
	r->w = window_with_slots(test, LEAST_ROOM);
	limit_window_allocs(test, 0);
	race(test, run_room_race, r);
	kunit_info(test, "%lu and %lu requests\n", r->sent[0], r->sent[1]);
	KUNIT_EXPECT_EQ(test, r->failed, 0);
	KUNIT_EXPECT_EQ(test, alloc_calls, 0);
	KUNIT_EXPECT_EQ(test, window_stats(r->w).slots, LEAST_ROOM);
	KUNIT_EXPECT_LE(test, window_stats(r->w).high_water, LEAST_ROOM);
}

/*
 * A lookup compares the epoch twice, and each check must work alone.  While a reset
 * claims the many requests of the old connection, the ids of the old connection no
 * longer map, and they do not map as ids of the new one.
 */
#define EPOCH_REQUESTS	20000

struct epoch_race {
	struct mid_window *w;
	atomic_t arrivals;
	u32 old;
	bool new;		/* look up in the new epoch */
	unsigned long lookups;
	unsigned long during;	/* while the reset was in progress */
	unsigned long wrong;
	bool done;
};

static void run_epoch_race(void *arg, int side)
{
	struct epoch_race *r = arg;
	u32 epoch;
	u64 id;

	meet(&r->arrivals);
	if (side == 0) {
		mid_window_reset(r->w, NULL, NULL);
		WRITE_ONCE(r->done, true);
		return;
	}
	while ((epoch = mid_window_epoch(r->w)) == r->old)
		cpu_relax();
	epoch = r->new ? epoch : r->old;
	for (id = 0; id < EPOCH_REQUESTS; id += 7) {
		r->wrong += !!mid_window_map(r->w, epoch, id);
		r->wrong += mid_window_stray(r->w, epoch, id) == MID_STRAY_LIVE;
		r->lookups++;
		r->during += !READ_ONCE(r->done);
	}
}

static void epoch_race(struct kunit *test, bool new)
{
	struct epoch_race *r = test_alloc(test, sizeof(*r));
	unsigned int round, i;

	r->w = window_with_slots(test, EPOCH_REQUESTS);
	r->new = new;
	for (round = 0; round < PART_OF(50) || (!r->during && round < 200); round++) {
		window_grant(test, EPOCH_REQUESTS);
		mid_window_resume(r->w, mid_window_epoch(r->w));
		for (i = 0; i < EPOCH_REQUESTS; i++)
			window_send(test, nr_ctx(i));
		r->old = mid_window_epoch(r->w);
		r->done = false;
		race(test, run_epoch_race, r);
	}
	kunit_info(test, "%lu lookups, %lu of them during a reset\n", r->lookups,
		   r->during);
	KUNIT_EXPECT_EQ(test, r->wrong, 0);
	KUNIT_EXPECT_GT(test, r->during, 0);
}

static void old_ids_map_no_more_from_the_beginning_of_a_reset(struct kunit *test)
{
	epoch_race(test, false);
}

static void requests_of_the_old_connection_never_map_as_new_ones(struct kunit *test)
{
	epoch_race(test, true);
}

/* Side 0 shuts the window; side 1 begins, reserves and associates. */
struct shut_race {
	struct mid_window *w;
	atomic_t arrivals;
	unsigned int wrong;
	unsigned int sent;
	bool shut;
};

static void run_shut_race(void *arg, int side)
{
	struct shut_race *r = arg;
	struct mid_tag tag;
	bool after;
	int err;

	meet(&r->arrivals);
	if (side == 0) {
		ndelay(2000);
		mid_window_shut(r->w);
		/* Pairs with the other side. */
		smp_store_release(&r->shut, true);
		return;
	}
	do {
		/* Pairs with the other side. */
		after = smp_load_acquire(&r->shut);
		err = mid_window_begin(r->w, 1, r, &tag, GFP_KERNEL);
		r->sent += !err;
		/* No begin succeeds after shut has returned. */
		r->wrong += after && !err;
	} while (!err);
	r->wrong += err != -ESHUTDOWN;
}

static void no_request_begins_after_shut_has_returned(struct kunit *test)
{
	struct shut_race *r = test_alloc(test, sizeof(*r));
	unsigned int round;

	for (round = 0; round < PART_OF(500); round++) {
		r->w = window_with_slots(test, WINDOW_SLOTS);
		r->shut = false;
		r->sent = 0;
		window_grant(test, UINT_MAX);
		race(test, run_shut_race, r);
		KUNIT_ASSERT_EQ(test, r->wrong, 0);
		KUNIT_ASSERT_EQ(test, window_stats(r->w).in_use, r->sent);
		KUNIT_ASSERT_EQ(test, r->sent,
				mid_window_claim_if(r->w, 0, NULL, NULL, NULL));
		KUNIT_ASSERT_EQ(test, mid_window_drain(r->w, 0), 0);
	}
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(two_cpus_claim_a_million_ids_exactly_once),
	KUNIT_CASE(racing_dissociates_give_each_context_to_one),
	KUNIT_CASE(unsend_racing_a_reply_gives_back_the_ids_it_claimed),
	KUNIT_CASE(reassociate_racing_dissociate_returns_each_context_once),
	KUNIT_CASE(dissociate_if_racing_reassociate_never_takes_the_new_one),
	KUNIT_CASE_SLOW(abandon_late_reply_and_expiry_add_up),
	KUNIT_CASE(quarantine_ends_for_requests_without_a_reply),
	KUNIT_CASE(async_id_is_never_that_of_the_next_request),
	KUNIT_CASE(sweep_racing_replies_claims_each_context_once),
	KUNIT_CASE(stray_racing_abandon_takes_no_request),
	KUNIT_CASE(reset_racing_replies_hands_over_each_context_once),
	KUNIT_CASE(reset_racing_associates_leaves_none_behind),
	KUNIT_CASE(map_sees_a_context_only_when_it_is_fully_written),
	KUNIT_CASE(large_and_small_requests_are_both_served),
	KUNIT_CASE(killed_waiter_loses_no_id),
	KUNIT_CASE(destroy_racing_a_killed_waiter_is_safe),
	KUNIT_CASE(last_credit_reaches_the_waiter_before_its_reply_ends),
	KUNIT_CASE(waiter_is_told_when_the_last_reply_grants_nothing),
	KUNIT_CASE(two_cpus_grow_the_table_once),
	KUNIT_CASE(room_of_ended_requests_is_there_at_once),
	KUNIT_CASE(old_ids_map_no_more_from_the_beginning_of_a_reset),
	KUNIT_CASE(requests_of_the_old_connection_never_map_as_new_ones),
	KUNIT_CASE(no_request_begins_after_shut_has_returned),
	{}
};

static struct kunit_suite race_suite = {
	.name = "midwindow_race",
	.init = window_race_init,
	.exit = window_exit,
	.test_cases = race_cases,
};

kunit_test_suites(&race_suite);

MODULE_DESCRIPTION("KUnit tests of races in a MessageId window");
MODULE_LICENSE("GPL");
