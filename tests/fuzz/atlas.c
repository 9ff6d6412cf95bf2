// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes midatlas.c and compares it with a list of the MIDs in use.
 *
 * An input is a sequence of calls and of MIDs from the wire.
 */
#include "fuzz.h"
#include "midatlas.h"

#define CONTEXTS	320	/* most associates in one input; no MID may repeat so soon */
#define MANY		80	/* calls of one kind in a row: more than slots in the first table */
#define MIDS		0x10000
#define ABANDONED	0	/* instead of a context */

/* A MID in use */
struct use {
	u16 mid;
	unsigned int ctx;	/* index in contexts[], or ABANDONED */
	unsigned int order;	/* of ABANDONED ones: the oldest has the lowest */
	unsigned long born;	/* time of the associate */
	unsigned long until;	/* end of the quarantine */
};

static struct mid_atlas *atlas;
static unsigned int max_mids;
static bool draining;

static struct use uses[CONTEXTS];
static unsigned int nr_uses, nr_abandoned, abandons;
static u16 place[MIDS];			/* index of a MID in uses[], plus 1; 0: not in use */
static u16 known[CONTEXTS];		/* all MIDs that were handed out */
static unsigned int nr_known;
static bool ever[MIDS];
static char contexts[CONTEXTS + 1];
static unsigned int nr_contexts;
static u64 associated, dissociated, late, missed, exhausted;
static int got, put_back;

/* The list */

static void *ctx_of(unsigned int ctx) { return &contexts[ctx]; }

static void *new_ctx(void)
{
	must(nr_contexts < CONTEXTS, "the input is too long");
	return ctx_of(++nr_contexts);
}

static struct use *find(u16 mid)
{
	return place[mid] ? &uses[place[mid] - 1] : NULL;
}

static void *ctx_at(u16 mid)
{
	struct use *use = find(mid);

	return use && use->ctx != ABANDONED ? ctx_of(use->ctx) : NULL;
}

static void remove_use(struct use *use)
{
	nr_abandoned -= use->ctx == ABANDONED;
	place[use->mid] = 0;
	if (use == &uses[--nr_uses])
		return;
	*use = uses[nr_uses];
	place[use->mid] = use - uses + 1;
}

static void add_use(struct use use)
{
	nr_abandoned += use.ctx == ABANDONED;
	uses[nr_uses++] = use;
	place[use.mid] = nr_uses;
}

static void remove_first_abandoned(void)
{
	struct use *use, *first = NULL;

	for (use = uses; use < &uses[nr_uses]; use++)
		if (use->ctx == ABANDONED && (!first || use->order < first->order))
			first = use;
	remove_use(first);
}

void fuzz_jiffy(void)
{
	unsigned int i;

	for (i = 0; i < nr_uses && nr_abandoned; i++)
		if (uses[i].ctx == ABANDONED && !time_after(uses[i].until, jiffies))
			remove_use(&uses[i--]);
}

/* Checks that @ctx had @mid, and removes it. */
static void came_out(void *ctx, u16 mid)
{
	must(ctx && ctx == ctx_at(mid), "MID 0x%04x: context %p came out, %p is there",
	     mid, ctx, ctx_at(mid));
	remove_use(find(mid));
	dissociated++;
}

/* A MID from the wire: in use, used before, used before with a bit flipped, or any */
static u16 some_mid(void)
{
	u8 how = input_byte();
	u16 mid;

	if (how < 0x20)
		return nr_uses ? uses[how % nr_uses].mid : how;
	if (how < 0xc0)
		return nr_known ? known[how % nr_known] : how;
	if (how < 0xf0) {
		mid = nr_known ? known[nr_known - 1 - how % min(nr_known, 3u)] : 0;
		return mid ^ 1 << (how & 15);
	}
	return how == 0xff ? 0xffff : input_word();
}

/* The context of @mid, or another pointer */
static void *some_ctx(u16 mid)
{
	void *const others[] = { NULL, ERR_PTR(-EINVAL), contexts, (void *)1 };
	u8 how = input_byte();

	return how >= ARRAY_SIZE(others) ? ctx_at(mid) : others[how];
}

static unsigned int some_max(void)
{
	static const unsigned int usual[] = {
		1, 2, 3, 4, 5, 8, 9, 16, 17, 33, 50, 63, 64, 65, 100, 128, 129, 200, 255, 256,
	};
	u8 how = input_byte();

	if (how < ARRAY_SIZE(usual))
		return usual[how];
	return how < 0xfe ? 1 + how : how == 0xfe ? input_word() : 0x10000;
}

/* The calls */

static void check_new(void *ctx, u16 mid)
{
	must(mid != 0xffff, "0xffff was handed out");
	must(!find(mid), "MID 0x%04x was handed out, but is in use", mid);
	must(!ever[mid], "MID 0x%04x was handed out again, soon after its first use", mid);
	must(!draining, "associated after drain");
	must(nr_uses < max_mids, "more in use than the maximum of %u", max_mids);
	ever[mid] = true;
	known[nr_known++] = mid;
	add_use((struct use){ .mid = mid, .ctx = (char *)ctx - contexts, .born = jiffies });
	associated++;
}

static void check_refused(int err, u16 mid)
{
	must(mid == 0xabcd, "a failed associate wrote a MID");
	exhausted += err == -ENOSPC;
	switch (err) {
	case -ESHUTDOWN:
		must(draining, "-ESHUTDOWN before drain");
		break;
	case -ENOSPC:
		must(!draining, "-ENOSPC after drain");
		must(nr_uses >= max_mids, "-ENOSPC with %u of %u in use", nr_uses, max_mids);
		break;
	case -ENOMEM:
		must(alloc_failed, "-ENOMEM, but no allocation failed");
		break;
	default:
		broken("associate returned %d", err);
	}
}

static void associate_one(void)
{
	void *ctx = new_ctx();
	u16 mid = 0xabcd;
	int err;

	alloc_failed = false;
	err = mid_atlas_associate(atlas, ctx, &mid, on_cpu & 1 ? GFP_ATOMIC : GFP_KERNEL);
	if (err)
		check_refused(err, mid);
	else
		check_new(ctx, mid);
}

static void associate_wait(void)
{
	unsigned long timeout = input_byte(), start = jiffies;
	void *ctx = new_ctx();
	u16 mid = 0xabcd;
	int err;

	alloc_failed = false;
	killed = timeout & 1;
	err = mid_atlas_associate_wait(atlas, ctx, &mid, GFP_KERNEL, timeout);
	if (!err) {
		check_new(ctx, mid);
	} else if (err == -ETIMEDOUT || err == -ERESTARTSYS) {
		must(nr_uses >= max_mids, "waited with %u of %u in use", nr_uses, max_mids);
		must(mid == 0xabcd, "a failed associate wrote a MID");
		must(err == -ERESTARTSYS ? killed : jiffies - start == timeout,
		     "returned too early");
	} else {
		must(err != -ENOSPC, "associate_wait returned -ENOSPC");
		check_refused(err, mid);
	}
	killed = false;
}

static void associate_bad(void)
{
	u16 mid = 0xabcd;

	must(mid_atlas_associate(atlas, NULL, &mid, GFP_KERNEL) == -EINVAL &&
	     mid_atlas_associate(atlas, ERR_PTR(-1), &mid, GFP_KERNEL) == -EINVAL &&
	     mid == 0xabcd, "associated an invalid context");
}

static void map(void)
{
	u16 mid = some_mid();
	void *ctx = mid_atlas_map(atlas, mid);

	must(ctx == ctx_at(mid), "MID 0x%04x maps to %p, not %p", mid, ctx, ctx_at(mid));
}

static void dissociate_mid(u16 mid)
{
	void *ctx = mid_atlas_dissociate(atlas, mid);
	struct use *use = find(mid);

	if (ctx) {
		came_out(ctx, mid);
	} else if (!use) {
		missed++;
	} else {
		must(use->ctx == ABANDONED, "MID 0x%04x is in use, but not found", mid);
		late++;
		remove_use(use);
	}
}

static void reassociate_mid(u16 mid, void *ctx)
{
	void *was = ctx_at(mid), *old = mid_atlas_reassociate(atlas, mid, ctx);

	if (IS_ERR_OR_NULL(ctx))
		was = ERR_PTR(-EINVAL);
	must(old == was, "reassociate of 0x%04x returned %p, not %p", mid, old, was);
	if (!IS_ERR_OR_NULL(old))
		find(mid)->ctx = (char *)ctx - contexts;
}

/* A get callback during which another path takes or replaces the context */
static u16 got_mid;
static u8 got_how;

static bool get(void *ctx)
{
	got++;
	must(ctx == ctx_at(got_mid), "get of a context that is not there");
	if (got_how & 2)
		dissociate_mid(got_mid);
	else if (got_how & 4)
		reassociate_mid(got_mid, new_ctx());
	return got_how & 1;
}

static void put(void *ctx) { put_back++; }

static void map_get(void)
{
	void *was, *ctx;

	got_mid = some_mid();
	got_how = input_byte();
	got = 0;
	put_back = 0;
	was = ctx_at(got_mid);
	if (got_how & 8)
		ctx = mid_atlas_map_get(atlas, got_mid, get);
	else
		ctx = mid_atlas_map_get_put(atlas, got_mid, get, put);
	must(got == !!was, "%d gets", got);
	was = got_how & 1 && was == ctx_at(got_mid) ? was : NULL;
	must(ctx == was, "map_get of 0x%04x returned %p, not %p", got_mid, ctx, was);
	if (!(got_how & 8))
		must(put_back == (got && got_how & 1 && !ctx), "%d puts", put_back);
}

static void dissociate_if(void)
{
	u16 mid = some_mid();
	void *ctx = some_ctx(mid);

	if (mid_atlas_dissociate_if(atlas, mid, ctx))
		came_out(ctx, mid);
	else
		must(!ctx || ctx != ctx_at(mid), "dissociate_if missed 0x%04x", mid);
}

static void abandon(void)
{
	u16 mid = some_mid();
	void *ctx = some_ctx(mid);
	u8 quarantine = input_byte();

	if (!mid_atlas_abandon(atlas, mid, ctx, quarantine == 0xff ? ULONG_MAX : quarantine)) {
		must(!ctx || ctx != ctx_at(mid), "abandon missed 0x%04x", mid);
		return;
	}
	came_out(ctx, mid);
	if (!quarantine || max_mids < 4)
		return;
	while (nr_abandoned >= max_mids / 4)
		remove_first_abandoned();
	add_use((struct use){ .mid = mid, .ctx = ABANDONED, .order = abandons++,
		.until = jiffies + (quarantine == 0xff ? 1ul << 30 : quarantine) });
}

static void set_max(void)
{
	unsigned int max = some_max();
	bool good = max && max < MIDS;

	must(mid_atlas_set_max(atlas, max) == (good ? 0 : -EINVAL), "set_max(%u)", max);
	if (!good)
		return;
	max_mids = max;
	while (nr_abandoned > max / 4)
		remove_first_abandoned();
}

/* The callback of a claim shall associate another context. */
static bool claim_again;

static void claimed(void *ctx, u16 mid, void *arg)
{
	must(arg == &claim_again, "the argument got lost");
	came_out(ctx, mid);
	if (claim_again && nr_contexts < CONTEXTS) {
		claim_again = false;
		associate_one();
	}
}

static void claim(bool all)
{
	u8 how = input_byte();
	unsigned long age = all ? 0 : how >> 1;
	unsigned int i, n, was = dissociated, start = associated;

	claim_again = how & 1;
	n = all ? mid_atlas_claim_all(atlas, claimed, &claim_again) :
		mid_atlas_claim_older(atlas, age, claimed, &claim_again);
	must(n == dissociated - was, "claimed %u, said %u", (u32)dissociated - was, n);
	for (i = 0; i < nr_uses; i++)
		must(uses[i].ctx == ABANDONED || jiffies - uses[i].born < age ||
		     associated != start, "0x%04x was not claimed", uses[i].mid);
}

static bool seen[CONTEXTS];

static void see(void *ctx, u16 mid, void *arg)
{
	must(ctx == ctx_at(mid), "for_each shows %p for 0x%04x", ctx, mid);
	must(!seen[place[mid]], "for_each shows 0x%04x twice", mid);
	seen[place[mid]] = true;
}

static void for_each(void)
{
	memset(seen, 0, sizeof(seen));
	must(mid_atlas_for_each(atlas, see, NULL) == nr_uses - nr_abandoned,
	     "for_each does not show all");
}

static void drain(void)
{
	u8 timeout = input_byte();
	int err;

	draining = true;
	err = mid_atlas_drain(atlas, timeout);
	must(err == (nr_uses ? -ETIMEDOUT : 0), "drain: %d with %u in use", err, nr_uses);
}

static void check_stats(void)
{
	struct mid_atlas_stats stats;
	unsigned long oldest = 0;
	unsigned int i;

	for (i = 0; i < nr_uses; i++)
		if (uses[i].ctx != ABANDONED)
			oldest = max(oldest, jiffies - uses[i].born);
	mid_atlas_stats(atlas, &stats);
	must(stats.max == max_mids, "stats: max %u", stats.max);
	must(stats.in_use == nr_uses, "stats: %u in use, not %u", stats.in_use, nr_uses);
	must(stats.abandoned == nr_abandoned, "stats: %u abandoned", stats.abandoned);
	must(!stats.waiters, "stats: %u wait", stats.waiters);
	must(stats.slots >= nr_uses && stats.slots <= max(max_mids, nr_uses),
	     "stats: %u slots, %u in use", stats.slots, nr_uses);
	must(stats.high_water >= nr_uses, "stats: at most %u", stats.high_water);
	must(stats.associated == associated && stats.dissociated == dissociated,
	     "stats: %llu in, %llu out", (ullong)stats.associated, (ullong)stats.dissociated);
	must(stats.late == late && stats.stale + stats.unknown == missed,
	     "stats: %llu late, %llu stale, %llu unknown", (ullong)stats.late,
	     (ullong)stats.stale, (ullong)stats.unknown);
	must(stats.oldest == oldest, "stats: oldest is %lu, not %lu", stats.oldest, oldest);
}

static void associate_many(void)
{
	unsigned int n = input_below(MANY);

	while (n-- && nr_contexts < CONTEXTS - 4)
		associate_one();
}

static void dissociate_many(void)
{
	unsigned int n = input_below(MANY);

	while (n-- && nr_uses)
		dissociate_mid(uses[n % nr_uses].mid);
}

static void dissociate(void) { dissociate_mid(some_mid()); }

static void reassociate(void)
{
	u16 mid = some_mid();

	reassociate_mid(mid, input_byte() & 7 ? new_ctx() : ERR_PTR(-1));
}

static void claim_all(void) { claim(true); }
static void claim_older(void) { claim(false); }
static void let_time_pass(void) { pass_time(1 << input_below(16)); }
static void let_alloc_fail(void) { fail_alloc = input_below(3); }

static void check_all(void)
{
	for_each();
	check_stats();
}

static void (*const calls[])(void) = {
	associate_one, associate_many, associate_wait, map, map_get, dissociate, dissociate_if,
	reassociate, abandon, set_max, claim_all, claim_older, let_time_pass, let_alloc_fail,
	dissociate_many, check_all,
};

/*
 * Uses every MID several times, with some in flight, to check that each returns late.
 * No input is long enough for that.
 */
static void go_round(unsigned int max, unsigned int in_flight)
{
	static u32 last[MIDS];		/* number of the last associate that returned it */
	u16 mids[MANY] = { }, *mid;
	u32 i;

	memset(last, 0, sizeof(last));
	atlas = mid_atlas_create("round", max, max, GFP_KERNEL);
	for (i = 1; i <= 3 * MIDS; i++) {
		mid = &mids[i % in_flight];
		if (i > in_flight)
			must(mid_atlas_dissociate(atlas, *mid), "0x%04x is not there", *mid);
		must(!mid_atlas_associate(atlas, contexts, mid, GFP_KERNEL), "no MID is free");
		must(*mid != 0xffff, "0xffff was handed out");
		must(!last[*mid] || i - last[*mid] > 1000, "0x%04x was reused early", *mid);
		last[*mid] = i;
	}
	mid_atlas_destroy(atlas, NULL, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	go_round(1, 1);
	go_round(3, 2);
	go_round(50, 7);
	return 0;
}

static void forget(void)
{
	while (nr_uses)
		remove_use(&uses[nr_uses - 1]);
	while (nr_known)
		ever[known[--nr_known]] = false;
	nr_contexts = 0;
	draining = false;
	associated = 0;
	dissociated = 0;
	late = 0;
	missed = 0;
}

static bool create(void)
{
	unsigned int initial;

	max_mids = some_max();
	initial = min(max_mids + 1, (unsigned int)input_byte());
	fail_alloc = input_byte() & 7;
	alloc_failed = false;
	atlas = mid_atlas_create("fuzz", max_mids, initial, GFP_KERNEL);
	if (!IS_ERR(atlas))
		return true;
	if (atlas == ERR_PTR(-ENOMEM))
		must(alloc_failed, "-ENOMEM, but no allocation failed");
	else
		must(atlas == ERR_PTR(-EINVAL) &&
		     (max_mids >= MIDS || !max_mids || initial > max_mids),
		     "create(%u, %u)", max_mids, initial);
	return false;
}

void fuzz(void)
{
	u8 op;

	forget();
	if (!create())
		return;
	while (input_left() && nr_contexts < CONTEXTS - 4) {
		op = input_byte();
		on_cpu = op / ARRAY_SIZE(calls);
		if (op == 0xff)
			drain();
		else if (op == 0xfe)
			associate_bad();
		else
			calls[op % ARRAY_SIZE(calls)]();
	}
	check_stats();
	claim_again = false;
	draining = true;
	mid_atlas_destroy(atlas, claimed, &claim_again);
	must(nr_uses == nr_abandoned, "destroy left contexts");
}
