// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes midwindow.c and compares it with a map of all ids and a list of the requests
 * in flight.
 *
 * The map has the state of each id: free, in a span, or used.  With the number of slots
 * it determines the result of each begin, reserve and associate.
 */
#include "fuzz.h"
#include "window.h"
#include "midwindow.h"

#define IDS		40000	/* most ids in one input */
#define SPREAD		(2 * MID_WINDOW_MAX_SPAN)
#define CONTEXTS	256
#define MANY		70	/* calls of one kind in a row: more than slots in the first table */
#define SPANS		16
#define INSIDE		128	/* how far inside a request an id is still known to be unknown */
#define ABANDONED	0	/* instead of a context */

enum { FREE, SPAN, USED };

struct flight {
	u64 id, async;
	unsigned int charge, ctx;
	unsigned long born, until;
	unsigned int turn;		/* of the abandon */
};

static struct mid_window *w;
static u64 first_id;
static u32 first_epoch, epoch;
static bool shut, paused;
unsigned int warnings;

/* Indices here are relative to first_id. */
static u8 ids[IDS];
static bool has_room[IDS];		/* the first id of a span, with room for one request */
static u64 limit;			/* end of the granted ids */
static unsigned int next;		/* behind the last id that is not FREE */
static unsigned int tail;		/* the first id that is not USED */
static unsigned int aside, slots, rooms;
static bool crowded;			/* a call found no room: an associate may grow */

static struct mid_span spans[SPANS];
static struct flight flights[CONTEXTS];
static unsigned int nr_flights, nr_abandoned, turns;
static char contexts[CONTEXTS + 1];
static unsigned int nr_contexts;
static u64 associated, dissociated, late, stale, unknown, exhausted, lost;

u64 test_mid_window_first_id(void) { return first_id; }
u32 test_mid_window_first_epoch(void) { return first_epoch; }

/* The map */

static void set_ids(u64 id, unsigned int n, u8 to)
{
	unsigned int at = id - first_id, i;

	memset(ids + at, to, n);
	for (i = at; i < at + n; i++) {
		rooms -= has_room[i];
		has_room[i] = false;
	}
	if (to != FREE)
		next = max(next, at + n);
	while (next && ids[next - 1] == FREE)
		next--;
	tail = min(tail, at);
	while (tail < next && ids[tail] == USED)
		tail++;
	tail = min(tail, next);
}

static void set_span(u64 id, unsigned int n)
{
	set_ids(id, n, SPAN);
	has_room[id - first_id] = true;
	rooms++;
}

/* Whether a span is in spans of this epoch, by the records */
static bool is_span(u64 id, unsigned int n)
{
	u64 at = id - first_id;
	unsigned int i;

	if (id < first_id || at >= next || n > next - at)
		return false;
	for (i = 0; i < n; i++)
		if (ids[at + i] != SPAN)
			return false;
	return true;
}

static unsigned int count_ids(u8 state)
{
	unsigned int i, n = 0;

	for (i = tail; i < next; i++)
		n += ids[i] == state;
	return n;
}

/* The lowest run of at least @min available ids: where, and how many, or -1 */
static int lowest(unsigned int min, unsigned int max, bool urgent, unsigned int *n)
{
	u64 most = limit - next + count_ids(FREE), new;
	unsigned int i, run = 0;

	most -= urgent ? 0 : min_t(u64, most, aside);
	max = min_t(u64, max, most);
	if (max < min)
		return -1;
	for (i = tail; i < next; i++) {
		run = ids[i] == FREE ? run + 1 : 0;
		if (run < min)
			continue;
		while (run < max && i + 1 < next && ids[i + 1] == FREE)
			run++, i++;
		*n = run;
		return i + 1 - run;
	}
	/* The lowest unsent id is rounded down to a multiple of 64. */
	new = first_id + next - round_down(first_id + tail, 64ull);
	new = min_t(u64, limit - next, SPREAD - min_t(u64, new, SPREAD));
	*n = min_t(u64, new, max);
	return *n < min ? -1 : (int)next;
}

/* What the first in line gets: 0 and ids, or -EAGAIN, -EDEADLK, or -ENOSPC for no room */
static int pick(unsigned int min, unsigned int max, bool urgent, int *at, unsigned int *n)
{
	if (shut)
		return -ESHUTDOWN;
	if (paused && !urgent)
		return -EAGAIN;
	*at = lowest(min, max, urgent, n);
	if (*at < 0)
		return nr_flights || count_ids(SPAN) ? -EAGAIN : -EDEADLK;
	return nr_flights + rooms < slots ? 0 : -ENOSPC;
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

/* From the wire: another epoch; an id in flight, near one, or any */
static u32 some_epoch(void)
{
	u8 how = input_byte();

	return how < 0xc0 ? epoch : how < 0xf0 ? epoch - how % 4 - 1 : epoch + how % 4 + 1;
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

static struct mid_tag some_tag(void)
{
	u32 of = some_epoch();

	return (struct mid_tag){ .id = some_id(), .epoch = of };
}

static u64 some_async(void)
{
	u8 how = input_byte();

	if (how < 0x80)
		return nr_flights ? flights[how % nr_flights].async : how;
	return how < 0xf0 ? how & 7 : how == 0xff ? ~0ull : some_id();
}

static void *some_ctx(const struct mid_tag *tag)
{
	void *const others[] = { NULL, ERR_PTR(-EINVAL), ERR_PTR(-ECANCELED), contexts };
	u8 how = input_byte();

	return how >= ARRAY_SIZE(others) ? ctx_at(tag->epoch, tag->id) : others[how];
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

static void set_aside(void)
{
	unsigned int n = some_size();
	int err = mid_window_set_aside(w, n);

	must(err == (n > MID_WINDOW_MAX_SPAN ? -EINVAL : 0), "set_aside: %d", err);
	if (!err)
		aside = n;
}

static void resume(void)
{
	u32 of = some_epoch();

	mid_window_resume(w, of);
	paused = paused && of != epoch;
}

/* A table may have grown, by four, if a call may do that. */
static void check_slots(bool may_grow)
{
	struct mid_window_stats stats;

	mid_window_stats(w, &stats);
	must(stats.slots == slots || (may_grow && stats.slots == 4 * slots),
	     "%u slots, and there were %u", stats.slots, slots);
	slots = stats.slots;
}

static void check_reserved(int err, unsigned int min, unsigned int max, bool urgent,
			   unsigned long timeout, struct mid_span *span)
{
	unsigned int n = 0;
	int at, right = pick(min, max, urgent, &at, &n);

	if (!right) {
		must(!err, "reserve of %u: %d, and %u are there", min, err, n);
		must(span->first == first_id + at && span->n == n && span->epoch == epoch,
		     "reserve of %u to %u got %u at %llu of %u, not %u at %u", min, max, span->n,
		     (ullong)(span->first - first_id), span->epoch, n, at);
		set_span(span->first, n);
		return;
	}
	if (right == -ENOSPC || right == -EAGAIN)
		right = !timeout ? -EAGAIN : killed ? -ERESTARTSYS : -ETIMEDOUT;
	must(err == right, "reserve of %u to %u: %d, not %d", min, max, err, right);
}

static bool reserve_into(struct mid_span *span, u8 how, unsigned int min, unsigned int max)
{
	struct mid_span got = { .epoch = 77 };
	unsigned long timeout = how & 1 ? how >> 4 : 0;
	unsigned int flags = how & 2 ? MID_WINDOW_URGENT : 0, n;
	int err, at;

	if (span->n || next + min(max, SPREAD + 0u) > IDS)
		return false;
	killed = how & 4;
	flags |= (how & 0xf8) == 0xf8 ? 1u << (how & 3) << 1 : 0;
	if (!min || min > max || max > MID_WINDOW_MAX_SPAN || flags > MID_WINDOW_URGENT) {
		err = mid_window_reserve(w, min, max, &got, flags, timeout);
		must(err == -EINVAL, "reserve of %u to %u: %d", min, max, err);
	} else {
		err = pick(min, max, flags, &at, &n);
		exhausted += err && err != -ESHUTDOWN;
		crowded |= err == -ENOSPC;
		/* Quarantines may end meanwhile. */
		err = mid_window_reserve(w, min, max, &got, flags, timeout);
		check_reserved(err, min, max, flags, timeout, &got);
	}
	killed = false;
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
	unsigned int min = some_size();

	reserve_into(span, how, min, how & 8 ? some_size() : min);
}

static void give_back(struct mid_span *span)
{
	struct mid_span was = *span;
	bool valid = was.epoch != epoch || !was.n || is_span(was.first, was.n);

	warnings = 0;
	mid_window_give_back(w, span);
	must(!span->n, "a span was not emptied");
	must(warnings == !valid, "%u warnings for a span that is %svalid", warnings,
	     valid ? "" : "in");
	if (was.n && was.epoch == epoch && valid)
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

/* A span that is used twice, or never was */
static void forge(void)
{
	struct mid_span *span = some_span(), *from = some_span();
	u8 how = input_byte();

	if (span->n)
		return;
	*span = *from;
	if (how & 1)
		span->first = some_id();
	if (how & 2)
		span->n = some_size();
	if (how & 4)
		span->epoch = epoch;
}

static void in_flight(const struct mid_tag *tag, unsigned int charge, void *ctx)
{
	must(tag->id != MID_WINDOW_RESERVED, "the reserved id was used");
	must(tag->epoch == epoch, "epoch %u", tag->epoch);
	set_ids(tag->id, charge, USED);
	flights[nr_flights++] = (struct flight){
		.id = tag->id, .charge = charge, .ctx = (char *)ctx - contexts, .born = jiffies,
	};
	associated++;
	must(nr_flights + rooms <= slots, "%u in flight, %u spans, but %u slots", nr_flights,
	     rooms, slots);
}

static void begin_with(unsigned int charge)
{
	struct mid_tag tag = { 77, 77 };
	void *ctx = new_ctx();
	unsigned int n;
	int err, at, right;

	if (next + min(charge, SPREAD + 0u) > IDS)
		return;
	alloc_failed = false;
	err = mid_window_begin(w, charge, ctx, &tag, GFP_KERNEL);
	must(!err || (tag.id == 77 && tag.epoch == 77), "a failed begin wrote a tag");
	if (!charge || charge > MID_WINDOW_MAX_SPAN) {
		must(err == -EINVAL, "begin of %u: %d", charge, err);
		return;
	}
	right = pick(charge, charge, false, &at, &n);
	exhausted += right && right != -ESHUTDOWN;
	if (right == -ENOSPC) {
		crowded = true;
		right = !alloc_failed ? 0 : nr_flights ? -EAGAIN : -ENOMEM;
		check_slots(!right);
	}
	must(err == (right == -EDEADLK ? -EAGAIN : right), "begin of %u: %d, not %d", charge,
	     err, right);
	if (err)
		return;
	must(tag.id == first_id + at, "begin of %u got %llu, not %u", charge,
	     (ullong)(tag.id - first_id), at);
	in_flight(&tag, charge, ctx);
}

static void begin(void) { begin_with(some_size()); }

static void begin_many(void)
{
	unsigned int n = input_below(MANY);

	while (n-- && nr_contexts < CONTEXTS - 4)
		begin_with(1);
}

static void associate_with(struct mid_span *span, unsigned int charge)
{
	struct mid_span was = *span;
	struct mid_tag tag = { 77, 77 };
	bool valid = is_span(was.first, charge), room;
	void *ctx = new_ctx();
	int err;

	alloc_failed = false;
	warnings = 0;
	err = mid_window_associate(w, span, charge, ctx, &tag, GFP_KERNEL);
	if (crowded || nr_flights + rooms >= slots)
		check_slots(true);
	if (err) {
		must(tag.id == 77 && tag.epoch == 77 && span->n == was.n &&
		     span->first == was.first, "a failed associate wrote");
		must(warnings == (err == -EINVAL && charge && charge <= was.n),
		     "%u warnings for %d", warnings, err);
		if (!charge || charge > was.n)
			must(err == -EINVAL, "associate of %u: %d", charge, err);
		else if (shut)
			must(err == -ESHUTDOWN, "associate after shut: %d", err);
		else if (was.epoch != epoch)
			must(err == -ESTALE, "associate of an old span: %d", err);
		else if (!valid)
			must(err == -EINVAL, "associate of what is in no span: %d", err);
		else
			must(alloc_failed && nr_flights + rooms >= slots &&
			     err == (nr_flights ? -EAGAIN : -ENOMEM), "associate: %d", err);
		return;
	}
	room = has_room[was.first - first_id];
	must(charge && charge <= was.n && was.epoch == epoch && !shut && valid,
	     "associated, though it must fail");
	must(room || nr_flights + rooms < slots || slots >= MID_WINDOW_MAX_SLOTS,
	     "associated without room");
	must(tag.id == was.first && span->first == tag.id + charge && span->n == was.n - charge,
	     "associate took the wrong ids");
	in_flight(&tag, charge, ctx);
}

static void associate(void)
{
	struct mid_span *span = some_span();
	unsigned int charge = input_byte();

	associate_with(span, charge == 0xff ? span->n : charge & 15);
}

static void bad_contexts(void)
{
	struct mid_span *span = some_span(), was = *span;
	struct mid_tag tag = { 77, 77 };

	must(mid_window_associate(w, span, 1, NULL, &tag, GFP_KERNEL) == -EINVAL &&
	     mid_window_associate(w, span, 1, ERR_PTR(-1), &tag, GFP_KERNEL) == -EINVAL &&
	     mid_window_begin(w, 1, NULL, &tag, GFP_KERNEL) == -EINVAL &&
	     mid_window_begin(w, 1, ERR_PTR(-1), &tag, GFP_KERNEL) == -EINVAL &&
	     tag.id == 77 && span->n == was.n, "took an invalid context");
}

static void unsend(void)
{
	struct mid_tag tag = some_tag();
	void *ctx = some_ctx(&tag);
	struct flight was;

	if (!mid_window_unsend(w, &tag, ctx)) {
		must(!ctx || ctx != ctx_at(tag.epoch, tag.id), "unsend missed");
		return;
	}
	must(ctx_at(tag.epoch, tag.id), "unsend of a request that is not in flight");
	was = *find(tag.epoch, tag.id);
	came_out(ctx, find(tag.epoch, tag.id));
	/* After an interim response its ids stay used: the server has seen it. */
	if (was.async || first_id + next - round_down(tag.id, 64ull) > SPREAD)
		lost += was.charge;
	else
		set_ids(tag.id, was.charge, FREE);
}

static void map(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	void *ctx = mid_window_map(w, of, id);

	must(ctx == ctx_at(of, id), "maps to %p, not %p", ctx, ctx_at(of, id));
}

/* Counts a reply to nothing in flight. */
static enum mid_stray miss(u32 of, u64 id)
{
	bool used = id - first_id < next ? ids[id - first_id] == USED : id < first_id;
	unsigned int i;

	for (i = 0; i < nr_flights; i++)
		if (id > flights[i].id && id - flights[i].id < flights[i].charge)
			used = used && id - flights[i].id >= INSIDE;
	if (of == epoch ? used : (s32)(of - epoch) < 0) {
		stale++;
		return MID_STRAY_STALE;
	}
	unknown++;
	return MID_STRAY_UNKNOWN;
}

static void dissociate_id(u32 of, u64 id)
{
	void *ctx = mid_window_dissociate(w, of, id);
	struct flight *flight = find(of, id);

	if (ctx) {
		came_out(ctx, flight);
	} else if (!flight) {
		miss(of, id);
	} else {
		must(flight->ctx == ABANDONED, "in flight, but not found");
		late++;
		remove_flight(flight);
	}
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

static void stray(void)
{
	u32 of = some_epoch();
	u64 id = some_id();
	enum mid_stray kind = mid_window_stray(w, of, id), right;
	struct flight *flight = find(of, id);

	if (!flight) {
		right = miss(of, id);
	} else if (flight->ctx == ABANDONED) {
		right = MID_STRAY_LATE;
		late++;
		remove_flight(flight);
	} else {
		right = MID_STRAY_LIVE;
	}
	must(kind == right, "a stray of kind %d, not %d", kind, right);
}

static void dissociate_if(void)
{
	struct mid_tag tag = some_tag();
	void *ctx = some_ctx(&tag);

	if (mid_window_dissociate_if(w, &tag, ctx))
		came_out(ctx, find(tag.epoch, tag.id));
	else
		must(!ctx || ctx != ctx_at(tag.epoch, tag.id), "dissociate_if missed");
}

static void reassociate_tag(const struct mid_tag *tag, void *ctx)
{
	void *was = ctx_at(tag->epoch, tag->id), *old = mid_window_reassociate(w, tag, ctx);

	if (IS_ERR_OR_NULL(ctx))
		was = ERR_PTR(-EINVAL);
	must(old == was, "reassociate returned %p, not %p", old, was);
	if (!IS_ERR_OR_NULL(old))
		find(tag->epoch, tag->id)->ctx = (char *)ctx - contexts;
}

static void reassociate(void)
{
	struct mid_tag tag = some_tag();

	reassociate_tag(&tag, input_byte() & 7 ? new_ctx() : ERR_PTR(-1));
}

/* A get callback during which another path takes or replaces the context */
static struct mid_tag got_tag;
static u8 got_how;
static int got, put_back;

static bool get(void *ctx)
{
	got++;
	must(ctx == ctx_at(got_tag.epoch, got_tag.id), "get of a context that is not there");
	if (got_how & 2)
		dissociate_id(got_tag.epoch, got_tag.id);
	else if (got_how & 4)
		reassociate_tag(&got_tag, new_ctx());
	return got_how & 1;
}

static void put(void *ctx) { put_back++; }

static void map_get(void)
{
	void *was, *ctx;

	got_tag = some_tag();
	got_how = input_byte();
	got = 0;
	put_back = 0;
	was = ctx_at(got_tag.epoch, got_tag.id);
	ctx = mid_window_map_get_put(w, got_tag.epoch, got_tag.id, get, put);
	must(got == !!was, "%d gets", got);
	was = got_how & 1 && was == ctx_at(got_tag.epoch, got_tag.id) ? was : NULL;
	must(ctx == was, "map_get returned %p, not %p", ctx, was);
	must(put_back == (got && got_how & 1 && !ctx), "%d puts", put_back);
}

/* Too many are in quarantine: the one that was abandoned first is forgotten. */
static void forget_oldest(void)
{
	struct flight *oldest = NULL;
	unsigned int i;

	for (i = 0; i < nr_flights; i++)
		if (flights[i].ctx == ABANDONED && (!oldest || flights[i].turn < oldest->turn))
			oldest = &flights[i];
	remove_flight(oldest);
}

static void abandon(void)
{
	struct mid_tag tag = some_tag();
	void *ctx = some_ctx(&tag);
	u8 quarantine = input_byte();
	struct flight was;

	if (!mid_window_abandon(w, &tag, ctx, quarantine == 0xff ? ULONG_MAX : quarantine)) {
		must(!ctx || ctx != ctx_at(tag.epoch, tag.id), "abandon missed");
		return;
	}
	must(ctx_at(tag.epoch, tag.id), "abandoned a request that is not in flight");
	was = *find(tag.epoch, tag.id);
	came_out(ctx, find(tag.epoch, tag.id));
	if (!quarantine)
		return;
	was.ctx = ABANDONED;
	was.until = jiffies + (quarantine == 0xff ? 1ul << 30 : quarantine);
	was.turn = turns++;
	flights[nr_flights++] = was;
	if (++nr_abandoned > max(slots / 4, 16u))
		forget_oldest();
}

static void abandon_many(void)
{
	unsigned int n = input_below(MANY), i;

	for (i = 0; i < nr_flights && n; i++) {
		struct mid_tag tag = { flights[i].id, epoch };
		struct flight was = flights[i];

		if (was.ctx == ABANDONED)
			continue;
		must(mid_window_abandon(w, &tag, ctx_of(was.ctx), 1000), "abandon missed");
		n--;
		dissociated++;
		flights[i].ctx = ABANDONED;
		flights[i].until = jiffies + 1000;
		flights[i].turn = turns++;
		if (++nr_abandoned > max(slots / 4, 16u))
			forget_oldest();
	}
}

static void note_async(void)
{
	u32 of = some_epoch();
	u64 id = some_id(), async = some_async();
	struct flight *flight = find(of, id);
	int err = mid_window_note_async(w, of, id, async);

	if (!async)
		must(err == -EINVAL, "AsyncId 0: %d", err);
	else if (of != epoch)
		must(err == -ESTALE, "AsyncId of another connection: %d", err);
	else if (!flight)
		must(err == -ENOENT, "AsyncId of nothing: %d", err);
	else if (flight->async && flight->async != async)
		must(err == -EEXIST, "a second AsyncId: %d", err);
	else
		must(!err, "AsyncId: %d", err);
	if (err || flight->async)
		return;
	flight->async = async;
	flight->born = jiffies;
}

static void async_id(void)
{
	struct mid_tag tag = some_tag();
	struct flight *flight = find(tag.epoch, tag.id);
	bool has = flight && flight->async;
	u64 async = 77;

	must(mid_window_async_id(w, &tag, &async) == has, "the AsyncId is not there");
	must(async == (has ? flight->async : 77), "another AsyncId");
}

static u32 claims_of;			/* epoch of the requests that are claimed */
static u64 claims_from;			/* the next one has at least this id */

static void claimed(void *ctx, u64 id, void *arg)
{
	u32 now = epoch;

	must(arg == &claims_of, "the argument got lost");
	must(id >= claims_from, "id %llu came after %llu", (ullong)id, (ullong)claims_from - 1);
	claims_from = id + 1;
	epoch = claims_of;
	came_out(ctx, find(epoch, id));
	epoch = now;
}

static u8 claims_mask;
static unsigned int asked;

static bool is_wanted(const void *ctx)
{
	return claims_mask >> (((char *)ctx - contexts) & 7) & 1;
}

static bool want(void *ctx, u64 id, unsigned long age, void *arg)
{
	struct flight *flight = find(epoch, id);
	unsigned long right;

	must(arg == &claims_of, "the argument got lost");
	must(ctx && ctx == ctx_in(flight), "asks about a request that is not in flight");
	right = jiffies - flight->born;
	must(age == right, "age %lu, not %lu", age, right);
	asked++;
	return is_wanted(ctx);
}

static void claim(unsigned long age, bool all)
{
	unsigned int i, n, old = 0, was = dissociated;

	for (i = 0; i < nr_flights; i++)
		old += ctx_in(&flights[i]) && jiffies - flights[i].born >= age;
	claims_of = epoch;
	claims_from = 0;
	asked = 0;
	claims_mask = all ? 0xff : input_byte();
	n = mid_window_claim_if(w, age, all ? NULL : want, claimed, &claims_of);
	must(n == dissociated - was, "claimed %u, said %u", (u32)dissociated - was, n);
	must(all || asked == old, "asked about %u of %u", asked, old);
	for (i = 0; i < nr_flights; i++)
		must(!ctx_in(&flights[i]) || jiffies - flights[i].born < age ||
		     !is_wanted(ctx_in(&flights[i])), "was not claimed");
}

static void reset(void)
{
	unsigned int i;

	memset(ids, FREE, next);
	memset(has_room, false, next);
	rooms = 0;
	next = 0;
	tail = 0;
	limit = 1;
	paused = true;
	if (input_byte() & 1)
		first_id = input_byte() & 1 ? 0 : MID_WINDOW_RESERVED - 1 - input_byte();
	claims_of = epoch;
	claims_from = 0;
	epoch = epoch + 1 ?: 1;
	must(mid_window_reset(w, claimed, &claims_of) == epoch, "another epoch");
	for (i = 0; i < nr_flights; i++)
		must(!ctx_in(&flights[i]), "reset left contexts");
	nr_flights = 0;
	nr_abandoned = 0;
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

static void shut_for_ever(void)
{
	mid_window_shut(w);
	shut = true;
}

static void drain(void)
{
	int err;

	shut = true;
	err = mid_window_drain(w, input_byte());
	must(err == (nr_flights ? -ETIMEDOUT : 0), "drain: %d with %u in flight", err, nr_flights);
}

static void check_stats(void)
{
	struct mid_window_stats stats;
	unsigned int n = count_ids(FREE);
	u64 stalled = first_id + next - round_down(first_id + tail, 64ull);

	mid_window_stats(w, &stats);
	must(stats.epoch == epoch && mid_window_epoch(w) == epoch, "stats: epoch");
	must(stats.next == first_id + next, "stats: next");
	must(stats.limit == first_id + limit, "stats: limit %llu, not %llu",
	     (ullong)(stats.limit - first_id), (ullong)limit);
	must(stats.unsent == first_id + tail, "stats: unsent");
	must(stats.spans == count_ids(SPAN), "stats: %u ids in spans", stats.spans);
	must(stats.given_back == n, "stats: %u given back, not %u", stats.given_back, n);
	must(stats.aside == aside, "stats: %u aside", stats.aside);
	must(stats.stalled == (limit > next && stalled >= SPREAD), "stats: stalled");
	must(stats.in_use == nr_flights && stats.abandoned == nr_abandoned && !stats.waiters &&
	     !stats.wants && stats.high_water >= nr_flights && stats.slots == slots,
	     "stats: %u in use, %u abandoned", stats.in_use, stats.abandoned);
	must(stats.associated == associated && stats.dissociated == dissociated,
	     "stats: %llu in, %llu out", (ullong)stats.associated, (ullong)stats.dissociated);
	must(stats.late == late && stats.stale == stale && stats.unknown == unknown,
	     "stats: %llu late, %llu stale, %llu unknown", (ullong)stats.late,
	     (ullong)stats.stale, (ullong)stats.unknown);
	must(stats.exhausted == exhausted && stats.lost == lost,
	     "stats: %llu exhausted, not %llu, %llu lost, not %llu", (ullong)stats.exhausted,
	     (ullong)exhausted, (ullong)stats.lost, (ullong)lost);
}

static void give_some_back(void) { give_back(some_span()); }
static void claim_all(void) { claim(0, true); }
static void claim_older(void) { claim(input_byte(), true); }
static void claim_some(void) { claim(input_byte() & 15, false); }
static void let_time_pass(void) { pass_time(1 << input_below(16)); }
static void let_alloc_fail(void) { fail_alloc = input_below(4); }

static void (*const calls[])(void) = {
	grant, grant, grant, reserve, reserve, reserve, associate, associate, begin, begin,
	begin_many, give_some_back, give_some_back, cut, unsend, map, map_get, dissociate,
	dissociate_many, dissociate_if, reassociate, abandon, abandon_many, note_async, async_id,
	stray, claim_all, claim_older, claim_some, reset, resume, resume, set_aside, forge,
	let_time_pass, let_alloc_fail, for_each, check_stats,
};

static void forget(void)
{
	memset(ids, FREE, sizeof(ids));
	memset(has_room, false, sizeof(has_room));
	next = 0;
	tail = 0;
	limit = 1;
	epoch = first_epoch;
	aside = 0;
	rooms = 0;
	crowded = false;
	memset(spans, 0, sizeof(spans));
	nr_flights = 0;
	nr_abandoned = 0;
	nr_contexts = 0;
	shut = false;
	paused = false;
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

	first_epoch = how & 2 ? U32_MAX - 1 : 1;
	forget();
	first_id = how & 1 ? MID_WINDOW_RESERVED - 1 - input_byte() : 0;
	fail_alloc = how >> 3;
	alloc_failed = false;
	w = mid_window_create("fuzz", how & 4 ? 25 : 0, GFP_KERNEL);
	if (IS_ERR(w)) {
		must(w == ERR_PTR(-ENOMEM) && alloc_failed, "create: %p", w);
		return;
	}
	slots = how & 4 ? 48 : 24;
	while (input_left() && nr_contexts < CONTEXTS - 4) {
		op = input_byte();
		on_cpu = op / ARRAY_SIZE(calls);
		if (op == 0xff)
			drain();
		else if (op == 0xfe)
			bad_contexts();
		else if (op == 0xfd)
			shut_for_ever();
		else
			calls[op % ARRAY_SIZE(calls)]();
	}
	check_stats();
	claims_of = epoch;
	claims_from = 0;
	mid_window_destroy(w, claimed, &claims_of);
	must(nr_flights == nr_abandoned, "destroy left contexts");
}
