// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes midwindow.c and compares it with a map of all ids and a list of the requests
 * in flight.
 *
 * The map has the state of each id: free, in a span, or used.  It determines the
 * result of each reserve.
 */
#include "fuzz.h"
#include "midwindow.h"

#define IDS		40000	/* most ids in one input */
#define SPREAD		(2 * MID_WINDOW_MAX_SPAN)
#define CONTEXTS	256
#define MANY		70	/* calls of one kind in a row: more than slots in the first table */
#define SPANS		16
#define ABANDONED	0	/* instead of a context */

enum { FREE, SPAN, USED };

struct flight {
	u64 id, async;
	unsigned int charge, ctx;
	unsigned long born, until;
};

static struct mid_window *w;
static u64 first_id;
static u32 epoch;
static bool draining;

/* Indices here are relative to first_id. */
static u8 ids[IDS];
static u64 limit;			/* end of the granted ids */
static unsigned int next;		/* behind the last id that is not FREE */
static unsigned int tail;		/* the first id that is not USED */

static struct mid_span spans[SPANS];
static struct flight flights[CONTEXTS];
static unsigned int nr_flights, nr_abandoned;
static char contexts[CONTEXTS + 1];
static unsigned int nr_contexts;
static u64 associated, dissociated, late, stale, unknown, exhausted, lost;

u64 test_mid_window_first_id(void) { return first_id; }

/* The map */

static void set_ids(u64 id, unsigned int n, u8 to)
{
	unsigned int at = id - first_id;

	memset(ids + at, to, n);
	if (to != FREE)
		next = max(next, at + n);
	while (next && ids[next - 1] == FREE)
		next--;
	tail = min(tail, at);
	while (tail < next && ids[tail] == USED)
		tail++;
	tail = min(tail, next);
}

static bool is_used(u64 id)
{
	return id - first_id < next ? ids[id - first_id] == USED : id < first_id;
}

static unsigned int nr_free(void)
{
	unsigned int i, n = 0;

	for (i = tail; i < next; i++)
		n += ids[i] == FREE;
	return n;
}

/* The lowest run of @n available ids, or -1 */
static int lowest(unsigned int n)
{
	unsigned int i, run = 0;

	for (i = tail; i < next; i++) {
		run = ids[i] == FREE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return n <= limit - next && next + n - tail <= SPREAD ? (int)next : -1;
}

/* The list */

static void *ctx_of(unsigned int ctx) { return &contexts[ctx]; }

static void *new_ctx(void)
{
	must(nr_contexts < CONTEXTS, "the input is too long");
	return ctx_of(++nr_contexts);
}

static struct flight *find(u32 of, u64 id)
{
	unsigned int i;

	for (i = 0; i < nr_flights; i++)
		if (of == epoch && flights[i].id == id)
			return &flights[i];
	return NULL;
}

static struct flight *find_async(u32 of, u64 async)
{
	unsigned int i;

	for (i = 0; i < nr_flights; i++)
		if (of == epoch && async && flights[i].async == async)
			return &flights[i];
	return NULL;
}

static void *ctx_in(const struct flight *flight)
{
	return flight && flight->ctx != ABANDONED ? ctx_of(flight->ctx) : NULL;
}

static void *ctx_at(u32 of, u64 id) { return ctx_in(find(of, id)); }

static void remove_flight(struct flight *flight)
{
	nr_abandoned -= flight->ctx == ABANDONED;
	*flight = flights[--nr_flights];
}

void fuzz_jiffy(void)
{
	unsigned int i;

	for (i = 0; i < nr_flights && nr_abandoned; i++)
		if (flights[i].ctx == ABANDONED && !time_after(flights[i].until, jiffies))
			remove_flight(&flights[i--]);
}

static void came_out(void *ctx, struct flight *flight)
{
	must(ctx && ctx == ctx_in(flight), "context %p came out, %p is there", ctx, ctx_in(flight));
	dissociated++;
	remove_flight(flight);
}

/* From the wire: an old epoch; an id in flight, near one, or any */
static u32 some_epoch(void)
{
	u8 how = input_byte();

	return how < 0xc0 ? epoch : epoch - how % 4 - 1;
}

static u64 some_id(void)
{
	u8 how = input_byte();

	if (how < 0x80)
		return nr_flights ? flights[how % nr_flights].id : first_id + how;
	if (how < 0xc0)
		return nr_flights ? flights[how % nr_flights].id + how % 5 - 2 : first_id + how;
	if (how < 0xe0)
		return first_id + next - 16 + how % 32;
	return how == 0xff ? MID_WINDOW_RESERVED : how < 0xf0 ? how & 15 : input_number();
}

static u64 some_async(void)
{
	u8 how = input_byte();

	if (how < 0x80)
		return nr_flights ? flights[how % nr_flights].async : how;
	return how < 0xf0 ? how & 7 : how == 0xff ? ~0ull : some_id();
}

static void *some_ctx(u32 of, u64 id)
{
	void *const others[] = { NULL, ERR_PTR(-EINVAL), ERR_PTR(-ECANCELED), contexts };
	u8 how = input_byte();

	return how >= ARRAY_SIZE(others) ? ctx_at(of, id) : others[how];
}

static unsigned int some_size(void)
{
	static const unsigned int large[] = {
		64, 1000, 4096, MID_WINDOW_MAX_SPAN - 1, MID_WINDOW_MAX_SPAN,
		MID_WINDOW_MAX_SPAN + 1, UINT_MAX, 0x10000,
	};
	u8 how = input_byte();

	return how < 0xe0 ? how & 31 : large[how & 7];
}

static struct mid_span *some_span(void)
{
	return &spans[input_below(SPANS)];
}

/* The calls */

static void grant(void)
{
	u32 of = some_epoch();
	u8 how = input_byte();
	unsigned int credits = how < 0xf0 ? how : how < 0xff ? 4096 << (how & 3) : UINT_MAX;
	int err = mid_window_grant(w, of, credits);

	must(err == (of == epoch ? 0 : -ESTALE), "grant: %d", err);
	if (!err)
		limit = min(limit + credits, (u64)MID_WINDOW_RESERVED - first_id);
}

static void check_reserved(int err, unsigned int n, struct mid_span *span)
{
	int at;

	if (!n || n > MID_WINDOW_MAX_SPAN) {
		must(err == -EINVAL, "reserve of %u: %d", n, err);
		return;
	}
	if (draining) {
		must(err == -ESHUTDOWN, "reserve after drain: %d", err);
		return;
	}
	at = lowest(n);
	if (at < 0) {
		must(err == -EAGAIN || err == -ETIMEDOUT || err == -ERESTARTSYS,
		     "reserve of %u: %d, and there are not enough", n, err);
		exhausted++;
		return;
	}
	must(!err, "reserve of %u: %d, and %u are there", n, err, at);
	must(span->first == first_id + at && span->n == n && span->epoch == epoch,
	     "reserve of %u got %u at %llu of %u, not at %u", n, span->n,
	     (ullong)(span->first - first_id), span->epoch, at);
	set_ids(span->first, n, SPAN);
}

static bool reserve_into(struct mid_span *span, u8 how, unsigned int n)
{
	struct mid_span got = { .epoch = 77 };
	int err;

	if (span->n || next + min(n, SPREAD + 0u) > IDS)
		return false;
	killed = how & 4;
	if (how & 1)
		err = mid_window_reserve_wait(w, n, &got, how >> 4);
	else if (how & 2)
		err = mid_window_reserve_urgent(w, n, &got, how >> 4);
	else
		err = mid_window_reserve(w, n, &got);
	killed = false;
	check_reserved(err, n, &got);
	if (err)
		must(!got.n && !got.first && got.epoch == 77, "a failed reserve wrote a span");
	else
		*span = got;
	return !err;
}

static void reserve(void)
{
	struct mid_span *span = some_span();
	u8 how = input_byte();

	reserve_into(span, how, some_size());
}

static void give_back(struct mid_span *span)
{
	struct mid_span was = *span;

	mid_window_give_back(w, span);
	must(!span->n, "a span was not emptied");
	if (was.n && was.epoch == epoch)
		set_ids(was.first, was.n, FREE);
}

/* Splits a span in two. */
static void cut(void)
{
	struct mid_span *span = some_span(), *rest = some_span();
	unsigned int n = input_below(span->n + 1);

	if (rest->n)
		return;
	*rest = *span;
	rest->first += n;
	rest->n -= n;
	if (rest != span)
		span->n = n;
	else if (span->epoch == epoch && n)
		give_back(&(struct mid_span){ rest->first - n, n, epoch });
}

static void associate_with(struct mid_span *span, unsigned int charge)
{
	struct mid_span was = *span;
	void *ctx = new_ctx();
	u64 id = 77;
	int err;

	alloc_failed = false;
	err = mid_window_associate(w, span, charge, ctx, &id, GFP_KERNEL);
	if (err) {
		must(id == 77 && span->n == was.n, "a failed associate wrote");
		if (!charge || charge > was.n)
			must(err == -EINVAL, "associate of %u: %d", charge, err);
		else if (was.epoch != epoch)
			must(err == -ESTALE, "associate of an old span: %d", err);
		else if (err == -ENOMEM)
			must(alloc_failed, "-ENOMEM, but no allocation failed");
		else
			must(err == -ESHUTDOWN && draining, "associate: %d", err);
		return;
	}
	must(charge && charge <= was.n && was.epoch == epoch && !draining,
	     "associated, though it must fail");
	must(id == was.first && span->first == id + charge && span->n == was.n - charge,
	     "associate took the wrong ids");
	must(id != MID_WINDOW_RESERVED, "the reserved id was used");
	set_ids(id, charge, USED);
	flights[nr_flights++] = (struct flight){
		.id = id, .charge = charge, .ctx = (char *)ctx - contexts, .born = jiffies,
	};
	associated++;
}

static void associate(void)
{
	struct mid_span *span = some_span();
	unsigned int charge = input_byte();

	associate_with(span, charge == 0xff ? span->n : charge & 15);
}

static void associate_many(void)
{
	struct mid_span *span = &spans[0];
	unsigned int n = input_below(MANY);

	while (n-- && nr_contexts < CONTEXTS - 4 && reserve_into(span, 0, 1)) {
		associate_with(span, 1);
		if (span->n)
			give_back(span);
	}
}

static void associate_bad(void)
{
	struct mid_span *span = some_span(), was = *span;
	u64 id = 77;

	must(mid_window_associate(w, span, 1, NULL, &id, GFP_KERNEL) == -EINVAL &&
	     mid_window_associate(w, span, 1, ERR_PTR(-1), &id, GFP_KERNEL) == -EINVAL &&
	     id == 77 && span->n == was.n, "associated an invalid context");
}

static void unsend(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	void *ctx = some_ctx(of, id);
	struct flight was;

	if (!mid_window_unsend(w, of, id, ctx)) {
		must(!ctx || ctx != ctx_at(of, id), "unsend missed");
		return;
	}
	must(ctx_at(of, id), "unsend of a request that is not in flight");
	was = *find(of, id);
	came_out(ctx, find(of, id));
	if (first_id + next - id > SPREAD)
		lost += was.charge;
	else
		set_ids(id, was.charge, FREE);
}

static void map(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	void *ctx = mid_window_map(w, of, id);

	must(ctx == ctx_at(of, id), "maps to %p, not %p", ctx, ctx_at(of, id));
}

static void miss(bool used)
{
	if (used)
		stale++;
	else
		unknown++;
}

static void dissociate_found(void *ctx, struct flight *flight, bool used)
{
	if (ctx) {
		came_out(ctx, flight);
	} else if (!flight) {
		miss(used);
	} else {
		must(flight->ctx == ABANDONED, "in flight, but not found");
		late++;
		remove_flight(flight);
	}
}

static void dissociate_id(u32 of, u64 id)
{
	void *ctx = mid_window_dissociate(w, of, id);

	dissociate_found(ctx, find(of, id), of != epoch || is_used(id));
}

static void dissociate(void)
{
	u32 of = some_epoch();

	dissociate_id(of, some_id());
}

static void dissociate_many(void)
{
	unsigned int n = input_below(MANY);

	while (n-- && nr_flights)
		dissociate_id(epoch, flights[n % nr_flights].id);
}

static void dissociate_if(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	void *ctx = some_ctx(of, id);

	if (mid_window_dissociate_if(w, of, id, ctx))
		came_out(ctx, find(of, id));
	else
		must(!ctx || ctx != ctx_at(of, id), "dissociate_if missed");
}

static void reassociate_id(u32 of, u64 id, void *ctx)
{
	void *was = ctx_at(of, id), *old = mid_window_reassociate(w, of, id, ctx);

	if (IS_ERR_OR_NULL(ctx))
		was = ERR_PTR(-EINVAL);
	must(old == was, "reassociate returned %p, not %p", old, was);
	if (!IS_ERR_OR_NULL(old))
		find(of, id)->ctx = (char *)ctx - contexts;
}

static void reassociate(void)
{
	u32 of = some_epoch();
	u64 id = some_id();

	reassociate_id(of, id, input_byte() & 7 ? new_ctx() : ERR_PTR(-1));
}

/* A get callback during which another path takes or replaces the context */
static u32 got_epoch;
static u64 got_id;
static u8 got_how;
static int got, put_back;

static bool get(void *ctx)
{
	got++;
	must(ctx == ctx_at(got_epoch, got_id), "get of a context that is not there");
	if (got_how & 2)
		dissociate_id(got_epoch, got_id);
	else if (got_how & 4)
		reassociate_id(got_epoch, got_id, new_ctx());
	return got_how & 1;
}

static void put(void *ctx) { put_back++; }

static void map_get(void)
{
	void *was, *ctx;

	got_epoch = some_epoch();
	got_id = some_id();
	got_how = input_byte();
	got = 0;
	put_back = 0;
	was = ctx_at(got_epoch, got_id);
	ctx = mid_window_map_get_put(w, got_epoch, got_id, get, put);
	must(got == !!was, "%d gets", got);
	was = got_how & 1 && was == ctx_at(got_epoch, got_id) ? was : NULL;
	must(ctx == was, "map_get returned %p, not %p", ctx, was);
	must(put_back == (got && got_how & 1 && !ctx), "%d puts", put_back);
}

static void abandon(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	void *ctx = some_ctx(of, id);
	u8 quarantine = input_byte();
	struct flight was;

	if (!mid_window_abandon(w, of, id, ctx, quarantine == 0xff ? ULONG_MAX : quarantine)) {
		must(!ctx || ctx != ctx_at(of, id), "abandon missed");
		return;
	}
	must(ctx_at(of, id), "abandoned a request that is not in flight");
	was = *find(of, id);
	came_out(ctx, find(of, id));
	if (!quarantine)
		return;
	was.ctx = ABANDONED;
	was.until = jiffies + (quarantine == 0xff ? 1ul << 30 : quarantine);
	flights[nr_flights++] = was;
	nr_abandoned++;
}

static void note_async(void)
{
	u32 of = some_epoch();
	u64 id = some_id(), async = some_async();
	struct flight *flight = find(of, id), *other = find_async(of, async);
	int err = mid_window_note_async(w, of, id, async);

	if (!async)
		must(err == -EINVAL, "AsyncId 0: %d", err);
	else if (of != epoch)
		must(err == -ESTALE, "AsyncId of an old connection: %d", err);
	else if (!ctx_in(flight))
		must(err == -ENOENT, "AsyncId of nothing: %d", err);
	else if (other ? other != flight : !!flight->async)
		must(err == -EEXIST, "a second AsyncId: %d", err);
	else
		must(!err, "AsyncId: %d", err);
	if (!err)
		flight->async = async;
}

static void async_id(void)
{
	u32 of = some_epoch();
	u64 id = some_id(), async = 77;
	struct flight *flight = find(of, id);
	bool has = ctx_in(flight) && flight->async;

	must(mid_window_async_id(w, of, id, &async) == has, "the AsyncId is not there");
	must(async == (has ? flight->async : 77), "another AsyncId");
}

static void map_async(void)
{
	u32 of = some_epoch();
	u64 async = some_async();

	must(mid_window_map_async(w, of, async) == ctx_in(find_async(of, async)),
	     "the AsyncId does not map to its context");
}

static void dissociate_async(void)
{
	u32 of = some_epoch();
	u64 async = some_async();
	void *ctx = mid_window_dissociate_async(w, of, async);

	dissociate_found(ctx, find_async(of, async), of != epoch);
}

static u32 claims_of;			/* epoch of the requests that are claimed */

static void claimed(void *ctx, u64 id, void *arg)
{
	u32 now = epoch;

	must(arg == &claims_of, "the argument got lost");
	epoch = claims_of;
	came_out(ctx, find(epoch, id));
	epoch = now;
}

/* A claim also frees abandoned requests of that age. */
static void forget_abandoned(unsigned long age)
{
	unsigned int i;

	for (i = 0; i < nr_flights; i++)
		if (flights[i].ctx == ABANDONED && jiffies - flights[i].born >= age)
			remove_flight(&flights[i--]);
}

static void claim(unsigned long age)
{
	unsigned int i, n, was = dissociated;

	claims_of = epoch;
	n = age ? mid_window_claim_older(w, age, claimed, &claims_of) :
		  mid_window_claim_all(w, claimed, &claims_of);
	must(n == dissociated - was, "claimed %u, said %u", (u32)dissociated - was, n);
	forget_abandoned(age);
	for (i = 0; i < nr_flights; i++)
		must(jiffies - flights[i].born < age, "was not claimed");
}

static void reset(void)
{
	unsigned int i;

	for (i = 0; i < next; i++)
		ids[i] = FREE;
	next = 0;
	tail = 0;
	limit = 1;
	if (input_byte() & 1)
		first_id = input_byte() & 1 ? 0 : MID_WINDOW_RESERVED - 1 - input_byte();
	claims_of = epoch++;
	must(mid_window_reset(w, claimed, &claims_of) == epoch, "another epoch");
	forget_abandoned(0);
	must(!nr_flights, "reset left contexts");
}

static bool seen[CONTEXTS];

static void see(void *ctx, u64 id, void *arg)
{
	struct flight *flight = find(epoch, id);

	must(ctx && ctx == ctx_in(flight), "for_each shows a request that is not in flight");
	must(!seen[flight - flights], "for_each shows a context twice");
	seen[flight - flights] = true;
}

static void for_each(void)
{
	memset(seen, 0, sizeof(seen));
	must(mid_window_for_each(w, see, NULL) == nr_flights - nr_abandoned,
	     "for_each does not show all");
}

static void drain(void)
{
	int err;

	draining = true;
	err = mid_window_drain(w, input_byte());
	must(err == (nr_flights ? -ETIMEDOUT : 0), "drain: %d with %u in flight", err, nr_flights);
}

static void check_stats(void)
{
	struct mid_window_stats stats;
	unsigned int n = nr_free();

	mid_window_stats(w, &stats);
	must(stats.epoch == epoch && mid_window_epoch(w) == epoch, "stats: epoch");
	must(stats.next == first_id + next && mid_window_next(w) == stats.next, "stats: next");
	must(stats.credits == limit - next + n, "stats: %llu credits, not %llu",
	     (ullong)stats.credits, (ullong)(limit - next + n));
	must(mid_window_credits(w) == min_t(u64, stats.credits, UINT_MAX), "credits");
	must(stats.given_back == n, "stats: %u given back, not %u", stats.given_back, n);
	must(stats.in_use == nr_flights && stats.abandoned == nr_abandoned && !stats.waiters &&
	     stats.high_water >= nr_flights,
	     "stats: %u in use, %u abandoned", stats.in_use, stats.abandoned);
	must(stats.associated == associated && stats.dissociated == dissociated,
	     "stats: %llu in, %llu out", (ullong)stats.associated, (ullong)stats.dissociated);
	must(stats.late == late && stats.stale == stale && stats.unknown == unknown,
	     "stats: %llu late, %llu stale, %llu unknown", (ullong)stats.late,
	     (ullong)stats.stale, (ullong)stats.unknown);
	must(stats.exhausted == exhausted && stats.lost == lost, "stats: exhausted, lost");
}

static void give_some_back(void) { give_back(some_span()); }
static void claim_all(void) { claim(0); }
static void claim_older(void) { claim(input_byte()); }
static void let_time_pass(void) { pass_time(1 << input_below(16)); }
static void let_alloc_fail(void) { fail_alloc = input_below(4); }

static void (*const calls[])(void) = {
	grant, grant, grant, reserve, reserve, reserve, associate, associate, associate,
	associate_many, give_some_back, give_some_back, cut, unsend, map, map_get, dissociate,
	dissociate_many, dissociate_if, reassociate, abandon, note_async, async_id, map_async,
	dissociate_async, claim_all, claim_older, reset, let_time_pass, let_alloc_fail,
	for_each, check_stats,
};

static void forget(void)
{
	memset(ids, FREE, next);
	next = 0;
	tail = 0;
	limit = 1;
	epoch = 1;
	memset(spans, 0, sizeof(spans));
	nr_flights = 0;
	nr_abandoned = 0;
	nr_contexts = 0;
	draining = false;
	associated = 0;
	dissociated = 0;
	late = 0;
	stale = 0;
	unknown = 0;
	exhausted = 0;
	lost = 0;
}

void fuzz(void)
{
	u8 how = input_byte();
	u8 op;

	forget();
	first_id = how & 1 ? MID_WINDOW_RESERVED - 1 - input_byte() : 0;
	fail_alloc = how >> 1;
	alloc_failed = false;
	w = mid_window_create("fuzz", GFP_KERNEL);
	if (IS_ERR(w)) {
		must(w == ERR_PTR(-ENOMEM) && alloc_failed, "create: %p", w);
		return;
	}
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
	claims_of = epoch;
	mid_window_destroy(w, claimed, &claims_of);
	must(nr_flights == nr_abandoned, "destroy left contexts");
}
