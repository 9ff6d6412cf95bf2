// SPDX-License-Identifier: GPL-2.0
/*
 * window - what must be true of a window in all interleavings
 *
 * A scenario is a window, the operations that prepare it, and the operations of up to
 * three threads that then run at the same time.  An operation is a letter and up to four
 * numbers with dots between.  C is a context (the request pointer), S a span:
 *
 *	bC.N	begin context C with N ids	BC.N	the same, allocations may fail
 *	rS.M.N	reserve M to N ids, no waiting	uS.M.N	the same, urgent
 *	wS.M.N	reserve, waits			vS.M.N	may time out or be killed
 *	US.M.N	urgent reserve, waits		VS.M.N	may time out or be killed
 *	yS	give_back			nC	unsend
 *	aS.C.N	associate C with N ids of S	AS.C.N	the same, allocations may fail
 *	mC	map the id of context C		gC	map_get_put
 *	dC	dissociate			iC	dissociate_if
 *	xC.D	reassociate C's id to D		qC	abandon
 *	lC	stray				jC	note_async
 *	JC	async_id			s	stats
 *	c	claim_if, all			C	claim_if, contexts with odd numbers
 *	oN	grant N credits			kN	set_aside N ids
 *	R	reset				S	resume the epoch of the thread
 *	E	the thread looks at the epoch	h	shut
 *	t	drain, no timeout		T	drain, may time out or be killed
 *	D	destroy				Z	unload the module, after destroy
 *
 * N is 1 if it is left out, and as large as M in a reserve.  An operation is skipped if
 * its context has no id yet, its span is not there, or destroy has begun.
 *
 * The checks use only the API, not the code's internals: after each step
 * mid_window_for_each() says which requests are in flight.  An operation records what it
 * could have seen between its begin and its end, and its result must be among that.
 */

#include "../../midwindow.h"
#include "explore.h"
#include "ids.h"

#define CONTEXTS	10
#define ABSENT		CONTEXTS	/* the id had none */
#define SPANS		4
#define EPOCHS		4		/* 1 to 3 */
#define SPREAD		MID_IDS_SPREAD
#define QUARANTINE	100		/* jiffies */

/* One operation that is under way. */
struct op {
	char kind;
	int c, n;		/* its contexts, or its context and its charge */
	int span;
	unsigned int min, max;	/* ids that it is to get */
	unsigned int kept;	/* ids that were set aside all the time */
	u32 wait_epoch;		/* in which it was seen to wait, or 0 */
	struct mid_tag tag;	/* the id that it is called with */
	u32 epoch;		/* at the begin */
	u32 seen;		/* the contexts that this id had since the begin */
	u32 in_flight;		/* the contexts in flight at the begin */
	u32 noted;		/* whose AsyncId had been noted at the begin */
	u32 given;		/* that were begun before the begin */
	u32 waited;		/* the threads that waited in vain at the begin */
	struct ids avail;	/* ids that were available all the time */
	struct ids got;		/* of an unsend: ids that others have got again */
	bool scarce;		/* too few ids or too little room, maybe */
	bool crowded;		/* too little room, maybe */
	bool dead;		/* nothing could come any more, for a moment */
	bool idle;		/* nothing was in use, for a moment */
	bool late;		/* a shut had returned before the begin */
	bool disturbed;		/* its quarantine may have ended since the begin */
};

static struct {
	struct mid_window *w;
	struct op op[MODEL_THREADS + 1];
	u32 my_epoch[MODEL_THREADS + 1];
	u32 epoch;			/* after the last step */
	struct mid_tag tag[CONTEXTS];	/* what the context was given */
	unsigned int charge[CONTEXTS];
	u32 in_flight;			/* contexts, after the last step, from for_each */
	u32 known;			/* contexts whose tag can be used */
	u32 given;			/* contexts that were begun */
	u32 taken;			/* contexts that were claimed */
	u32 abandoned;			/* contexts that were abandoned */
	u32 quarantined;		/* of these, the ones that surely are still in use */
	u32 noted;			/* contexts with an AsyncId */
	u32 unsent;			/* contexts that were unsent */
	int refs[CONTEXTS];
	struct mid_span span[SPANS];
	u32 has_span;			/* spans that are out */
	u32 has_room;			/* of these, the ones without an associate so far */
	struct ids owned[EPOCHS];	/* ids in spans or used */
	struct ids transit[EPOCHS];	/* ids that are about to be returned */
	struct ids maybe[EPOCHS];	/* ids that were returned or lost */
	unsigned int most[EPOCHS];	/* ids granted, by all grants that have begun */
	unsigned int least[EPOCHS];	/* by all that have ended */
	u32 resumed;			/* epochs that are open to all, maybe */
	u32 open;			/* epochs that are open to all, surely */
	unsigned int aside;		/* the most that may be set aside */
	unsigned int kept;		/* the least */
	unsigned int slots;		/* room from the start */
	unsigned int strays;		/* replies without a request */
	unsigned int blocks;		/* pieces of memory of a window with one table */
	bool fails;			/* allocations fail */
	bool shutting;			/* a shut has begun */
	bool closed;			/* a shut has returned */
	bool drained;			/* a drain has returned 0 */
	bool destroyed;			/* destroy has begun */
} now;

void *test_state = &now;
size_t test_state_size = sizeof(now);

static char contexts[CONTEXTS];

static void *ctx_of(int c) { return &contexts[c]; }

static int number_of(const void *ctx)
{
	long c = (const char *)ctx - contexts;

	if (c < 0 || c >= CONTEXTS)
		broken("%p is no context", ctx);
	return c;
}

static unsigned int count(u32 set)
{
	return __builtin_popcount(set);
}

/* The home of an id must not change from run to run. */
u64 get_random_u64(void)
{
	return 0x9e3779b97f4a7c15;
}

void *test_mid_window_alloc(size_t size, gfp_t gfp)
{
	return now.fails ? NULL : model_alloc(size, gfp & ~__GFP_NORETRY);
}

/* The ids below @limit that nobody has */
static struct ids available(u32 epoch, unsigned int limit)
{
	struct ids ids;
	unsigned int i;

	for (i = 0; i < IDS_WORDS; i++) {
		ids.word[i] = limit >= 64 * (i + 1) ? ~0ull :
			      limit > 64 * i ? (1ull << (limit - 64 * i)) - 1 : 0;
		ids.word[i] &= ~(now.owned[epoch].word[i] | now.transit[epoch].word[i] |
				 now.maybe[epoch].word[i]);
	}
	return ids;
}

/*
 * Operations and what they may do
 */

static bool is(const struct op *op, const char *kinds)
{
	return op->kind && strchr(kinds, op->kind);
}

/* Is an operation of these kinds on context @c under way? */
static bool is_under_way(const char *kinds, int c)
{
	int i;

	for (i = 0; i < MODEL_THREADS; i++)
		if (is(&now.op[i], kinds) && now.op[i].c == c)
			return true;
	return false;
}

static bool begins(const struct op *op) { return is(op, "bB"); }
static bool is_urgent(const struct op *op) { return is(op, "uUV"); }
static bool may_wait(const struct op *op) { return is(op, "wvUV"); }
static bool wants_ids(const struct op *op) { return is(op, "bBrwvuUV"); }

/* Has it got its ids already, or does it wait in vain? */
static bool takes_ids(int thread)
{
	const struct op *op = &now.op[thread];

	if (!wants_ids(op) || (begins(op) && now.in_flight & 1u << op->c))
		return false;
	return !(may_wait(op) && waits_in_vain(thread));
}

/* The threads that wait for ids in vain */
static u32 waiting_in_vain(void)
{
	u32 waiting = 0;
	int i;

	for (i = 0; i < MODEL_THREADS; i++)
		if (may_wait(&now.op[i]) && waits_in_vain(i))
			waiting |= 1u << i;
	return waiting;
}

/* No ordinary request may get ids: @epoch is new, and no resume has begun. */
static bool is_paused(u32 epoch)
{
	return !(now.resumed & 1u << epoch);
}

/* Consecutive ids are handed out. */
static void acquire(struct op *op, u32 epoch, u64 first, unsigned int n)
{
	u32 waiting = waiting_in_vain() & op->waited;
	struct op *other;
	struct ids there;
	unsigned int run;
	bool new = true;
	u64 id;
	int i;

	if (epoch >= EPOCHS || !epoch)
		broken("epoch %u", epoch);
	if (op->late)
		broken("ids were handed out after the shut");
	if (!is_urgent(op) && is_paused(epoch))
		broken("id %llu of a new connection, before resume", (unsigned long long)first);
	if (n < op->min || n > op->max)
		broken("%u ids instead of %u to %u", n, op->min, op->max);
	if (first + n > now.most[epoch])
		broken("id %llu was not granted", (unsigned long long)first + n - 1);
	if (is_urgent(op) && op->wait_epoch && op->wait_epoch != epoch)
		broken("an urgent reserve of epoch %u got ids of epoch %u", op->wait_epoch, epoch);
	if (begins(op) && op->kept) {
		there = available(epoch, now.most[epoch]);
		if (count_ids(&there) < n + op->kept)
			broken("ids that were set aside were handed out");
	}
	if (epoch == op->epoch) {
		if (lowest_run(&op->avail, op->min) < first)
			broken("id %llu, and lower ones were available",
			       (unsigned long long)first);
		run = run_at(&op->avail, first, op->max);
		if (!now.aside && n < run)
			broken("%u ids, and %u were available", n, run);
	}
	for (id = first; id < first + n; id++) {
		for (i = 0; has_id(&now.owned[epoch], id) && i < MODEL_THREADS; i++) {
			other = &now.op[i];
			if (other->kind == 'n' && other->tag.epoch == epoch &&
			    id - other->tag.id < now.charge[other->c] &&
			    !has_id(&other->got, id)) {
				set_id(&other->got, id, true);
				set_id(&now.owned[epoch], id, false);
			}
		}
		if (has_id(&now.owned[epoch], id) && !has_id(&now.maybe[epoch], id))
			broken("id %llu was handed out twice", (unsigned long long)id);
		/* Above it an id is owned: it was handed out, and returned. */
		for (i = id; i < IDS; i++)
			if (has_id(&now.owned[epoch], i))
				new = false;
		set_id(&now.maybe[epoch], id, false);
		set_id(&now.owned[epoch], id, true);
	}
	for (i = 0; i < MODEL_THREADS && !is_urgent(op); i++)
		if (waiting & 1u << i && now.op[i].epoch == epoch &&
		    (new || op->min >= now.op[i].min) &&
		    (is_urgent(&now.op[i]) || !is_paused(epoch)))
			broken("ids were handed out before T%d, which waits", i + 1);
}

/*
 * What is in flight
 */

static struct op *op_that_begins(int c)
{
	int i;

	for (i = 0; i <= MODEL_THREADS; i++)
		if ((is(&now.op[i], "bBaA") && now.op[i].c == c) ||
		    (now.op[i].kind == 'x' && now.op[i].n == c))
			return &now.op[i];
	broken("context %d is in flight, and nobody began it", c);
}

/* Context @c is in flight for the first time. */
static void appears(int c)
{
	struct op *op = op_that_begins(c);

	now.given |= 1u << c;
	now.known |= 1u << c;
	if (now.drained)
		broken("a request came in after the drain");
	if (op->kind == 'x')
		return;
	if (begins(op))
		acquire(op, now.tag[c].epoch, now.tag[c].id, now.charge[c]);
	else if (now.tag[c].id != op->tag.id || now.tag[c].epoch != op->tag.epoch)
		broken("context %d has id %llu, and the span has %llu", c,
		       (unsigned long long)now.tag[c].id, (unsigned long long)op->tag.id);
	if (op->late)
		broken("a request came in after the shut");
}

static void see_one(void *ctx, u64 id, void *arg)
{
	int c = number_of(ctx), other;

	if (now.in_flight & 1u << c)
		broken("context %d is in flight twice", c);
	if (now.tag[c].id != id || now.tag[c].epoch != now.epoch)
		broken("context %d is shown with id %llu", c, (unsigned long long)id);
	for (other = 0; other < CONTEXTS; other++)
		if (now.in_flight & 1u << other && now.tag[other].id == id)
			broken("contexts %d and %d have id %llu both", c, other,
			       (unsigned long long)id);
	now.in_flight |= 1u << c;
	if (!(now.given & 1u << c))
		appears(c);
}

static int in_flight_as(const struct mid_tag *tag)
{
	int c;

	for (c = 0; c < CONTEXTS; c++)
		if (now.in_flight & 1u << c && now.tag[c].id == tag->id &&
		    now.epoch == tag->epoch)
			return c;
	return ABSENT;
}

/* Requests of an epoch that is over, which a reset has yet to hand out */
static u32 left_behind(void)
{
	u32 left = now.given & ~now.taken;
	int c;

	for (c = 0; c < CONTEXTS; c++)
		if (left & 1u << c && now.tag[c].epoch == now.epoch)
			left &= ~(1u << c);
	return left;
}

/* May @op end the quarantine of context @c? */
static bool may_end_quarantine(const struct op *op, int c)
{
	return is(op, "qRD") || (is(op, "dl") && op->tag.id == now.tag[c].id &&
				 op->tag.epoch == now.tag[c].epoch);
}

/* @op, or the expiry if it is NULL, may end quarantines from now on. */
static void end_quarantines(const struct op *op)
{
	int i;

	for (i = 0; i < CONTEXTS; i++)
		if (!op || may_end_quarantine(op, i))
			now.quarantined &= ~(1u << i);
	for (i = 0; i < MODEL_THREADS; i++)
		if (&now.op[i] != op && now.op[i].kind == 'q' &&
		    (!op || may_end_quarantine(op, now.op[i].c)))
			now.op[i].disturbed = true;
}

/* Whether @thread's operation may find too little room, or too few ids, now */
static bool is_crowded(int thread)
{
	unsigned int used = count(now.in_flight | left_behind() | now.abandoned) +
			    count(now.has_room);
	int i;

	for (i = 0; i < MODEL_THREADS; i++) {
		if (i == thread || !now.op[i].kind)
			continue;
		if (is(&now.op[i], "cCR"))
			return true;
		if (!is(&now.op[i], "mgJjlsEokSh"))
			used++;
	}
	return used >= now.slots;
}

static bool is_scarce(int thread)
{
	const struct op *op = &now.op[thread];
	unsigned int n = op->min + (is_urgent(op) ? 0 : now.aside), last = 0, id;
	int i;

	if (op->epoch != now.epoch || (!is_urgent(op) && !(now.open & 1u << now.epoch)) ||
	    now.most[now.epoch] > SPREAD || is_crowded(thread))
		return true;
	for (i = 0; i < MODEL_THREADS; i++) {
		if (i == thread)
			continue;
		if (may_wait(&now.op[i]))
			return true;
		if (takes_ids(i))
			n += now.op[i].max;
	}
	/* The ids at the end, which are new, or will be when they are returned */
	for (id = 0; id < IDS; id++)
		if (has_id(&now.owned[now.epoch], id) || has_id(&now.transit[now.epoch], id) ||
		    has_id(&now.maybe[now.epoch], id))
			last = id + 1;
	return last + n > now.least[now.epoch];
}

/* Whether nothing is in use, no span is out, and too little is there for @thread */
static bool is_dead(int thread)
{
	const struct op *op = &now.op[thread];
	struct ids avail = available(now.epoch, now.least[now.epoch]);
	unsigned int aside = is_urgent(op) ? 0 : now.aside;

	if (now.in_flight | left_behind() | now.quarantined | now.has_span)
		return false;
	if (!is_urgent(op) && is_paused(now.epoch))
		return false;
	return lowest_run(&avail, op->min) == IDS || count_ids(&avail) < op->min + aside;
}

/* What @thread's operation can see now. */
static void note(int thread)
{
	struct op *op = &now.op[thread];
	struct ids avail;
	int i;

	if (!op->kind)
		return;
	if (is(op, "mgdixqnljJ"))
		op->seen |= 1u << in_flight_as(&op->tag);
	op->crowded |= is_crowded(thread);
	op->idle |= !(now.in_flight | left_behind() | now.quarantined);
	if (!wants_ids(op))
		return;
	op->kept = min(op->kept, now.kept);
	if (may_wait(op) && waits_in_vain(thread) && !op->wait_epoch)
		op->wait_epoch = now.epoch;
	op->dead |= is_dead(thread);
	op->scarce |= is_scarce(thread);
	avail = available(now.epoch, now.least[now.epoch]);
	for (i = 0; i < MODEL_THREADS; i++)
		if (i != thread && takes_ids(i))
			memset(&avail, 0, sizeof(avail));
	for (i = 0; i < IDS_WORDS; i++)
		op->avail.word[i] &= avail.word[i];
	if (op->epoch != now.epoch)
		memset(&op->avail, 0, sizeof(op->avail));
}

static void look(void)
{
	u32 epoch;

	now.in_flight = 0;
	if (now.destroyed)
		return;
	quiet(true);
	epoch = mid_window_epoch(now.w);
	if (epoch != now.epoch) {
		if (epoch != now.epoch + 1 || epoch >= EPOCHS)
			broken("epoch %u after %u", epoch, now.epoch);
		now.epoch = epoch;
		now.most[epoch] += 1;
		now.least[epoch] += 1;
	}
	mid_window_for_each(now.w, see_one, NULL);
	quiet(false);
}

void test_step(int thread)
{
	int i;

	if (thread == MODEL_WORKER)
		end_quarantines(NULL);
	look();
	for (i = 0; i < MODEL_THREADS; i++)
		note(i);
}

/*
 * Operations
 */

static struct op *begin(int thread, const struct op *new)
{
	struct op *op = &now.op[thread];
	int i;

	look();
	*op = *new;
	op->epoch = now.epoch;
	op->in_flight = now.in_flight;
	op->noted = now.noted;
	op->given = now.given;
	op->waited = waiting_in_vain();
	op->kept = now.kept;
	op->late = now.closed;
	memset(&op->avail, 0xff, sizeof(op->avail));
	for (i = 0; i < MODEL_THREADS; i++)
		op->disturbed |= i != thread && may_end_quarantine(&now.op[i], op->c);
	end_quarantines(op);
	note(thread);
	return op;
}

static void put(void *ctx)
{
	int c = number_of(ctx);

	shared(&now.refs[c]);
	if (!now.refs[c]--)
		broken("context %d has no reference left", c);
}

static bool get(void *ctx)
{
	struct op *op = &now.op[current_thread()];
	int c = number_of(ctx);

	shared(&now.refs[c]);
	if (!now.refs[c])
		return false;
	now.refs[c]++;
	/* What counts is whose the id is from now on. */
	op->seen = 1u << in_flight_as(&op->tag);
	return true;
}

/* Context @c is ours. */
static void taken(int c)
{
	if (now.taken & 1u << c)
		broken("context %d has two owners", c);
	if (!(now.given & 1u << c))
		broken("context %d was never in flight", c);
	now.taken |= 1u << c;
	put(ctx_of(c));
}

/* A sweep hands over requests in the order of their ids, each with its own. */
static void taken_one(void *ctx, u64 id, void *arg)
{
	struct mid_tag *last = arg;
	int c = number_of(ctx);

	might_sleep();
	if (now.tag[c].id != id)
		broken("context %d is handed over with id %llu", c, (unsigned long long)id);
	if (last && last->epoch == now.tag[c].epoch && last->id >= id)
		broken("id %llu is handed over after %llu", (unsigned long long)id,
		       (unsigned long long)last->id);
	if (last)
		*last = now.tag[c];
	taken(c);
}

static void taken_by_reset(void *ctx, u64 id, void *arg)
{
	if (now.tag[number_of(ctx)].epoch == now.epoch)
		broken("context %d is of the new connection", number_of(ctx));
	taken_one(ctx, id, arg);
}

static void taken_odd(void *ctx, u64 id, void *arg)
{
	if (!(number_of(ctx) & 1))
		broken("context %d was claimed, and not wanted", number_of(ctx));
	taken_one(ctx, id, arg);
}

static bool is_odd(void *ctx, u64 id, unsigned long age, void *arg)
{
	shared(ctx);
	return number_of(ctx) & 1;
}

/* @ctx came out of a lookup of op->tag: was it there? */
static void check_seen(const struct op *op, const void *ctx)
{
	int c = ctx ? number_of(ctx) : ABSENT;

	if (op->seen & 1u << c)
		return;
	if (ctx)
		broken("id %llu never had context %d meanwhile",
		       (unsigned long long)op->tag.id, c);
	broken("id %llu always had a context meanwhile", (unsigned long long)op->tag.id);
}

/* Its owner may put a context in again. */
static void renew(int c, unsigned int charge)
{
	u32 bit = now.taken & 1u << c;

	now.given &= ~bit;
	now.known &= ~bit;
	now.noted &= ~bit;
	now.unsent &= ~bit;
	now.taken &= ~bit;
	now.refs[c] = 1;
	now.charge[c] = charge;
}

static void check_error(const struct op *op, int err)
{
	switch (err) {
	case -EAGAIN:
		if (may_wait(op))
			broken("-EAGAIN from a reserve that waits");
		if (wants_ids(op) ? !op->scarce : !op->crowded)
			broken("-EAGAIN, and there was enough of all");
		break;
	case -ENOMEM:
		if (!is(op, "BA") || !op->crowded || !op->idle)
			broken("-ENOMEM without a cause");
		break;
	case -EDEADLK:
		if (!op->dead || begins(op))
			broken("-EDEADLK, and a reply could have come or had come");
		break;
	case -ETIMEDOUT:
	case -ERESTARTSYS:
		if (!is(op, "vVT"))
			broken("%d without a cause", err);
		break;
	case -ESHUTDOWN:
		if (!now.shutting)
			broken("-ESHUTDOWN without a shut");
		break;
	case -ESTALE:
		if (!is(op, "uUVaA") ||
		    (is(op, "aA") ? op->tag.epoch : op->epoch) == now.epoch)
			broken("-ESTALE without a reset");
		break;
	default:
		broken("%d from '%c'", err, op->kind);
	}
}

static void begin_request(struct op *op)
{
	int c = op->c, err;

	renew(c, op->n);
	err = mid_window_begin(now.w, op->n, ctx_of(c), &now.tag[c], GFP_KERNEL);
	look();
	if (err)
		check_error(op, err);
	else if (!(now.given & 1u << c))
		broken("context %d was begun, and was never in flight", c);
}

static void reserve(struct op *op)
{
	unsigned long timeout = is(op, "ru") ? 0 : is(op, "vV") ? 10 : MAX_SCHEDULE_TIMEOUT;
	struct mid_span *span = &now.span[op->span];
	int err;

	if (now.has_span & 1u << op->span)
		broken("span %d is out already", op->span);
	err = mid_window_reserve(now.w, op->min, op->max, span,
				 is_urgent(op) ? MID_WINDOW_URGENT : 0, timeout);
	look();
	if (err) {
		check_error(op, err);
		return;
	}
	acquire(op, span->epoch, span->first, span->n);
	now.has_span |= 1u << op->span;
	now.has_room |= 1u << op->span;
}

static void give_back(struct op *op)
{
	struct mid_span *span = &now.span[op->span], old = *span;

	now.has_span &= ~(1u << op->span);
	now.has_room &= ~(1u << op->span);
	set_ids(&now.owned[old.epoch], old.first, old.n, false);
	set_ids(&now.transit[old.epoch], old.first, old.n, true);
	mid_window_give_back(now.w, span);
	if (span->n)
		broken("a span that was given back has %u ids", span->n);
	set_ids(&now.transit[old.epoch], old.first, old.n, false);
}

static void associate(struct op *op)
{
	struct mid_span *span = &now.span[op->span], old = *span;
	int c = op->c, err;

	renew(c, op->n);
	op->tag = (struct mid_tag){ span->first, span->epoch };
	err = mid_window_associate(now.w, span, op->n, ctx_of(c), &now.tag[c], GFP_KERNEL);
	look();
	if (err) {
		if (memcmp(&old, span, sizeof(old)))
			broken("a call failed, and the span has changed");
		if ((err == -EAGAIN || err == -ENOMEM) && now.has_room & 1u << op->span)
			broken("no room for the first request of a span: %d", err);
		check_error(op, err);
		return;
	}
	if (span->first != old.first + op->n || span->n != old.n - op->n)
		broken("the span has %u ids from %llu on", span->n,
		       (unsigned long long)span->first);
	if (!(now.given & 1u << c))
		broken("context %d was associated, and was never in flight", c);
	now.has_room &= ~(1u << op->span);
	if (!span->n)
		now.has_span &= ~(1u << op->span);
}

static void unsend(struct op *op)
{
	int c = op->c;
	u32 epoch = op->tag.epoch;
	unsigned int n = now.charge[c];
	bool ours, uncertain;
	u64 id;

	set_ids(&now.transit[epoch], op->tag.id, n, true);
	ours = mid_window_unsend(now.w, &now.tag[c], ctx_of(c));
	set_ids(&now.transit[epoch], op->tag.id, n, false);
	if (ours ? !(op->seen & 1u << c) : op->seen == 1u << c)
		broken("%s() is wrong: %d", __func__, ours);
	if (!ours || op->noted & 1u << c) {
		if (count_ids(&op->got))
			broken("an id is used, and was handed out again");
	} else {
		uncertain = now.noted & 1u << c || is_under_way("j", c) ||
			    now.most[epoch] > SPREAD;
		for (id = op->tag.id; id < op->tag.id + n; id++) {
			if (has_id(&op->got, id))
				continue;
			set_id(uncertain ? &now.maybe[epoch] : &now.owned[epoch], id, uncertain);
		}
	}
	if (ours) {
		now.unsent |= 1u << c;
		taken(c);
	}
}

static void claim_if(const struct op *op, bool ours)
{
	if (ours ? !(op->seen & 1u << op->c) : op->seen == 1u << op->c)
		broken("%s() is wrong: %d", op->kind == 'q' ? "abandon" : "dissociate_if", ours);
	if (ours && op->kind == 'q')
		now.abandoned |= 1u << op->c;
	if (ours && op->kind == 'q' && !op->disturbed)
		now.quarantined |= 1u << op->c;
	if (ours)
		taken(op->c);
}

static void reassociate(const struct op *op)
{
	void *old;

	renew(op->n, now.charge[op->c]);
	now.tag[op->n] = op->tag;
	old = mid_window_reassociate(now.w, &op->tag, ctx_of(op->n));
	look();
	check_seen(op, old);
	if (!old)
		return;
	if (!(now.given & 1u << op->n))
		broken("context %d was put in, and was never in flight", op->n);
	taken(number_of(old));
}

static void stray(const struct op *op, enum mid_stray kind)
{
	now.strays += kind != MID_STRAY_LIVE;
	if (op->seen == 1u << op->c && kind != MID_STRAY_LIVE)
		broken("a reply to a request in flight is not live: %d", kind);
	switch (kind) {
	case MID_STRAY_LIVE:
		if (op->seen == 1u << ABSENT)
			broken("a reply without a request is live");
		break;
	case MID_STRAY_LATE:
		if (!(now.abandoned & 1u << op->c) && !is_under_way("q", op->c))
			broken("a reply is late, and nothing was abandoned");
		break;
	case MID_STRAY_UNKNOWN:
		if (op->given & ~now.unsent & 1u << op->c && op->tag.epoch == now.epoch)
			broken("an id that was used is unknown");
		break;
	case MID_STRAY_STALE:
		if (!(now.given & 1u << op->c))
			broken("an id that was not used is stale");
	}
}

static void note_async(const struct op *op)
{
	int err = mid_window_note_async(now.w, op->tag.epoch, op->tag.id, 100 + op->c);

	switch (err) {
	case 0:
		if (op->seen == 1u << ABSENT && !(now.abandoned & 1u << op->c) &&
		    !is_under_way("q", op->c))
			broken("an AsyncId was noted for no request");
		now.noted |= 1u << op->c;
		break;
	case -ENOENT:
		if (op->seen == 1u << op->c)
			broken("no request for an AsyncId, and it is in flight");
		break;
	case -ESTALE:
		if (op->tag.epoch == now.epoch)
			broken("-ESTALE without a reset");
		break;
	default:
		broken("%s() returned %d", __func__, err);
	}
}

static void async_id(const struct op *op)
{
	u64 id = 0;
	bool there = mid_window_async_id(now.w, &op->tag, &id);
	bool noting = now.noted & 1u << op->c || is_under_way("j", op->c);

	if (there && (!noting || id != 100 + op->c))
		broken("AsyncId %llu", (unsigned long long)id);
	if (!there && op->noted & 1u << op->c && op->seen == 1u << op->c)
		broken("the AsyncId is lost");
}

static void sweep(const struct op *op)
{
	struct mid_tag last = { };
	bool odd = op->kind == 'C';
	u32 left;

	mid_window_claim_if(now.w, 0, odd ? is_odd : NULL, odd ? taken_odd : taken_one, &last);
	look();
	left = now.in_flight & op->in_flight;
	if (left & (odd ? 0xaaaaaaaa : ~0u))
		broken("claim_if left a context that was there before");
}

static void grant(struct op *op)
{
	u32 epoch = now.my_epoch[current_thread()];
	int err;

	if (op->n > 0)
		now.most[epoch] += op->n;
	err = mid_window_grant(now.w, epoch, op->n);
	look();
	if (!err && op->epoch != epoch)
		broken("credits of an older epoch were taken");
	if (!err) {
		now.least[epoch] += op->n;
		return;
	}
	if (err != -ESTALE || (now.epoch == epoch && !is_under_way("R", 0)))
		broken("%s() returned %d", __func__, err);
	now.most[epoch] -= op->n;
}

static void reset(void)
{
	struct mid_tag last = { };
	u32 old = now.epoch, new;

	new = mid_window_reset(now.w, taken_by_reset, &last);
	look();
	if (new <= old || now.epoch < new)
		broken("from epoch %u to %u", old, new);
	now.my_epoch[current_thread()] = new;
}

static void resume(void)
{
	u32 epoch = now.my_epoch[current_thread()];

	if (epoch == now.epoch)
		now.resumed |= 1u << epoch;
	mid_window_resume(now.w, epoch);
	now.open |= now.resumed & 1u << epoch;
}

static void set_aside(unsigned int n)
{
	now.aside = max(now.aside, n);
	now.kept = min(now.kept, n);
	if (mid_window_set_aside(now.w, n))
		broken("no ids can be set aside");
	now.aside = n;
	now.kept = n;
}

static void shut(void)
{
	now.shutting = true;
	mid_window_shut(now.w);
	now.closed = true;
}

static void drain(const struct op *op)
{
	int err;

	now.shutting = true;
	err = mid_window_drain(now.w, op->kind == 't' ? MAX_SCHEDULE_TIMEOUT : 10);
	now.closed = true;
	look();
	if (err) {
		check_error(op, err);
		return;
	}
	now.drained = true;
	if (now.in_flight | now.quarantined)
		broken("nothing should be in use");
}

/*
 * Whether the owner of a request knows that it has ended: another caller has claimed what @op
 * began, or a drain is over, and @op has claimed the request.
 */
static bool has_ended(const struct op *op)
{
	u32 c = 1u << op->c;

	if (is(op, "bBaA"))
		return now.taken & c;
	return is(op, "dinqc") && now.drained && (op->kind == 'c' || op->in_flight & c);
}

/*
 * Only lookups, tasks that wait in reserve, and the end of calls may be under way.  A task
 * that is inside reserve may wait or not: its owner cannot tell.
 */
static bool may_destroy(void)
{
	int i;

	for (i = 0; i < MODEL_WORKER; i++)
		if (now.op[i].kind && !is(&now.op[i], "Dm") && !may_wait(&now.op[i]) &&
		    !has_ended(&now.op[i]))
			return false;
	return true;
}

static void destroy(void)
{
	struct mid_tag last = { };

	wait_until(may_destroy);
	now.shutting = true;
	now.destroyed = true;
	mid_window_destroy(now.w, taken_one, &last);
}

static void check_stats(const struct mid_window_stats *stats)
{
	if (stats->in_use > stats->slots)
		broken("%u requests in use, and there is room for %u", stats->in_use,
		       stats->slots);
	if (stats->abandoned > max(stats->slots / 4, MID_LEAST_ABANDONED))
		broken("%u requests are in quarantine", stats->abandoned);
	if (stats->next > stats->limit || stats->unsent > stats->next ||
	    stats->in_use > stats->high_water || stats->abandoned > stats->in_use)
		broken("next %llu, limit %llu, unsent %llu, %u in use, at most %u, %u abandoned",
		       (unsigned long long)stats->next, (unsigned long long)stats->limit,
		       (unsigned long long)stats->unsent, stats->in_use, stats->high_water,
		       stats->abandoned);
}

static const char *const names[] = {
	['b'] = "begin", ['B'] = "begin", ['r'] = "reserve", ['u'] = "reserve",
	['w'] = "reserve", ['v'] = "reserve", ['U'] = "reserve", ['V'] = "reserve",
	['y'] = "give_back", ['n'] = "unsend", ['a'] = "associate", ['A'] = "associate",
	['m'] = "map", ['g'] = "map_get", ['d'] = "dissociate", ['i'] = "dissociate_if",
	['x'] = "reassociate", ['q'] = "abandon", ['l'] = "stray", ['j'] = "note_async",
	['J'] = "async_id", ['s'] = "stats", ['c'] = "claim_if", ['C'] = "claim_if",
	['o'] = "grant", ['k'] = "set_aside", ['R'] = "reset", ['S'] = "resume",
	['E'] = "epoch", ['h'] = "shut", ['t'] = "drain", ['T'] = "drain",
	['D'] = "destroy", ['Z'] = "unload",
};

/* The operation that @kind and its numbers stand for; its kind is 0 if it is skipped. */
static struct op parse(char kind, const unsigned int number[])
{
	struct op op = { .kind = kind, .c = number[0], .n = number[1] ?: 1 };

	if (begins(&op)) {
		op.min = op.n;
		op.max = op.n;
	} else if (wants_ids(&op)) {
		op.span = number[0];
		op.c = 0;
		op.min = number[1] ?: 1;
		op.max = number[2] ?: op.min;
	} else if (is(&op, "aA")) {
		op.span = number[0];
		op.c = number[1];
		op.n = number[2] ?: 1;
	} else if (kind == 'y') {
		op.span = number[0];
		op.c = 0;
	} else if (is(&op, "ok")) {
		op.n = number[0];
		op.c = 0;
	} else if (is(&op, "mgdixqnljJ")) {
		op.tag = now.tag[op.c];
		/* As for a receiver, this may be very early. */
		if (!((now.known | now.in_flight) & 1u << op.c))
			op.kind = 0;
	}
	if (is(&op, "yaA") && !(now.has_span & 1u << op.span))
		op.kind = 0;
	if (now.destroyed && kind != 'Z')
		op.kind = 0;
	return op;
}

static void call(struct op *op)
{
	struct mid_window_stats stats;
	void *ctx;

	switch (op->kind) {
	case 'b': case 'B':
		begin_request(op);
		break;
	case 'r': case 'u': case 'w': case 'v': case 'U': case 'V':
		reserve(op);
		break;
	case 'y':
		give_back(op);
		break;
	case 'a': case 'A':
		associate(op);
		break;
	case 'n':
		unsend(op);
		break;
	case 'm':
		rcu_read_lock();
		check_seen(op, mid_window_map(now.w, op->tag.epoch, op->tag.id));
		rcu_read_unlock();
		break;
	case 'g':
		ctx = mid_window_map_get_put(now.w, op->tag.epoch, op->tag.id, get, put);
		if (ctx) {
			check_seen(op, ctx);
			put(ctx);
		}
		break;
	case 'd':
		ctx = mid_window_dissociate(now.w, op->tag.epoch, op->tag.id);
		check_seen(op, ctx);
		now.strays += !ctx;
		if (ctx)
			taken(number_of(ctx));
		break;
	case 'i':
		claim_if(op, mid_window_dissociate_if(now.w, &op->tag, ctx_of(op->c)));
		break;
	case 'q':
		claim_if(op, mid_window_abandon(now.w, &op->tag, ctx_of(op->c), QUARANTINE));
		break;
	case 'x':
		reassociate(op);
		break;
	case 'l':
		stray(op, mid_window_stray(now.w, op->tag.epoch, op->tag.id));
		break;
	case 'j':
		note_async(op);
		break;
	case 'J':
		async_id(op);
		break;
	case 's':
		mid_window_stats(now.w, &stats);
		check_stats(&stats);
		break;
	case 'c': case 'C':
		sweep(op);
		break;
	case 'o':
		grant(op);
		break;
	case 'k':
		set_aside(op->n);
		break;
	case 'R':
		reset();
		break;
	case 'S':
		resume();
		break;
	case 'E':
		now.my_epoch[current_thread()] = mid_window_epoch(now.w);
		break;
	case 'h':
		shut();
		break;
	case 't': case 'T':
		drain(op);
		break;
	case 'D':
		destroy();
		break;
	case 'Z':
		unload();
		break;
	default:
		broken("no operation '%c'", op->kind);
	}
}

static void run(int thread, char kind, const unsigned int number[])
{
	struct op *op, new;

	point(names[(int)kind]);
	look();
	new = parse(kind, number);
	if (!new.kind)
		return;
	op = begin(thread, &new);
	let_fail(TIMED_OUT, is(op, "vVT"));
	let_fail(KILLED, is(op, "vVT"));
	let_fail(FAILED, is(op, "BA"));
	call(op);
	*op = (struct op){ };
}

static void run_all(int thread, const char *ops)
{
	unsigned int number[3], i;
	char kind;

	while (*ops) {
		kind = *ops++;
		memset(number, 0, sizeof(number));
		for (i = 0; i < ARRAY_SIZE(number) && *ops && *ops != ' '; i++) {
			while (*ops >= '0' && *ops <= '9')
				number[i] = number[i] * 10 + *ops++ - '0';
			ops += *ops == '.';
		}
		while (*ops == ' ')
			ops++;
		run(thread, kind, number);
	}
}

/*
 * Where nobody is under way
 */

/* The first in line, or one that needs fewer, waits beside ids and room. */
static void check_waiters(u32 left, const struct mid_window_stats *stats)
{
	struct ids avail = available(now.epoch, now.most[now.epoch]);
	unsigned int have = count_ids(&avail), id;
	unsigned int ordinary = have - min(have, now.aside);
	bool room = stats->in_use + count(now.has_room) < stats->slots;
	bool paused = is_paused(now.epoch), urgent = false;
	const struct op *op;
	int i;

	for (i = 0; i < MODEL_THREADS; i++)
		if (left & 1u << i && is_urgent(&now.op[i])) {
			urgent = true;
			if (now.op[i].epoch != now.epoch)
				broken("T%d waits for ids of a connection that is over", i + 1);
		}
	if (paused && !urgent)
		return;
	if (!stats->in_use && !now.has_span)
		broken("a task waits, and no reply can come");
	/* New ids are refused if the lowest unsent one is too far behind. */
	if (stats->next + stats->wants - (stats->unsent & ~63ull) > SPREAD)
		return;
	if (room && lowest_run(&avail, stats->wants) < IDS &&
	    (urgent ? have : ordinary) >= stats->wants)
		broken("a lost wake-up: the first in line waits beside ids and room");
	if (paused || !room)
		return;
	for (id = stats->next; id < IDS; id++)
		set_id(&avail, id, false);
	for (i = 0; i < MODEL_THREADS; i++) {
		op = &now.op[i];
		if (left & 1u << i && may_wait(op) && !is_urgent(op) &&
		    lowest_run(&avail, op->min) < IDS && ordinary >= op->min)
			broken("a lost wake-up: T%d waits beside returned ids", i + 1);
	}
}

void test_stuck(unsigned int left)
{
	struct mid_window_stats stats;
	u32 waiters = 0;
	int i;

	quiet(true);
	mid_window_stats(now.w, &stats);
	quiet(false);
	for (i = 0; i < MODEL_THREADS; i++) {
		if (!(left & 1u << i))
			continue;
		if (is(&now.op[i], "tT") && !stats.in_use)
			broken("T%d drains, and nothing is in use", i + 1);
		if (may_wait(&now.op[i]))
			waiters |= 1u << i;
	}
	if (waiters && now.closed)
		broken("a task waits after the shut");
	if (waiters)
		check_waiters(waiters, &stats);
}

static void check_counts(const struct mid_window_stats *stats)
{
	struct ids avail = available(now.epoch, now.most[now.epoch]);
	unsigned int spans = 0, there = stats->limit - stats->next + stats->given_back;
	unsigned int maybe = count_ids(&now.maybe[now.epoch]);
	int i;

	if (stats->associated != stats->dissociated + stats->in_use - stats->abandoned)
		broken("%llu associated, %llu dissociated, %u in use, %u abandoned",
		       (unsigned long long)stats->associated,
		       (unsigned long long)stats->dissociated, stats->in_use, stats->abandoned);
	if (stats->waiters || stats->wants)
		broken("%u waiters, and all have left", stats->waiters);
	if (stats->in_use - stats->abandoned != count(now.in_flight))
		broken("%u in use, %u in flight", stats->in_use - stats->abandoned,
		       count(now.in_flight));
	if (stats->limit != now.most[now.epoch])
		broken("%u ids granted, and the limit is %llu", now.most[now.epoch],
		       (unsigned long long)stats->limit);
	if (there < count_ids(&avail) || there > count_ids(&avail) + maybe)
		broken("%u ids are available, %u should be", there, count_ids(&avail));
	for (i = 0; i < SPANS; i++)
		if (now.has_span & 1u << i && now.span[i].epoch == now.epoch)
			spans += now.span[i].n;
	if (stats->spans != spans)
		broken("%u ids in spans, %u should be", stats->spans, spans);
	if (stats->late + stats->stale + stats->unknown != now.strays)
		broken("%u strays, %llu + %llu + %llu were counted", now.strays,
		       (unsigned long long)stats->late, (unsigned long long)stats->stale,
		       (unsigned long long)stats->unknown);
	if (stats->late > count(now.abandoned))
		broken("%llu late replies to %u requests", (unsigned long long)stats->late,
		       count(now.abandoned));
	for (i = 0; i < CONTEXTS; i++)
		if (now.noted & now.unsent & 1u << i)
			maybe += now.charge[i];
	if (stats->lost > maybe)
		broken("%llu ids were lost", (unsigned long long)stats->lost);
}

/* Each id that nobody has can be had, the lowest first, and no other one. */
static void check_ids(void)
{
	struct mid_span span;
	struct ids avail;
	u64 first;

	for (;;) {
		avail = available(now.epoch, now.most[now.epoch]);
		first = lowest_run(&avail, 1);
		if (mid_window_reserve(now.w, 1, 1, &span, MID_WINDOW_URGENT, 0))
			break;
		if (span.first >= now.most[now.epoch] ||
		    (has_id(&now.owned[now.epoch], span.first) &&
		     !has_id(&now.maybe[now.epoch], span.first)))
			broken("id %llu was handed out twice", (unsigned long long)span.first);
		if (first < span.first)
			broken("id %llu is lost", (unsigned long long)first);
		set_id(&now.maybe[now.epoch], span.first, false);
		set_id(&now.owned[now.epoch], span.first, true);
		/* Its request ends at once: there is not room for a span of each id. */
		if (mid_window_associate(now.w, &span, 1, ctx_of(0), &now.tag[0], GFP_KERNEL) ||
		    !mid_window_dissociate_if(now.w, &now.tag[0], ctx_of(0)))
			broken("id %llu cannot be used", (unsigned long long)span.first);
	}
	if (first < IDS && now.most[now.epoch] <= SPREAD)
		broken("id %llu is lost", (unsigned long long)first);
}

/* There is room for as many requests as @stats says, without memory, and for no more. */
static void check_room(const struct mid_window_stats *stats)
{
	struct mid_tag tag[64];
	unsigned int n, i;
	int err;

	mid_window_resume(now.w, now.epoch);
	mid_window_set_aside(now.w, 0);
	mid_window_grant(now.w, now.epoch, 100);
	now.fails = true;
	for (n = 0; n < stats->slots; n++) {
		err = mid_window_begin(now.w, 1, ctx_of(0), &tag[n], GFP_KERNEL);
		if (err)
			broken("room is lost: for %u requests of %u (%d)", n, stats->slots, err);
	}
	err = mid_window_begin(now.w, 1, ctx_of(0), &tag[0], GFP_KERNEL);
	if (err != -EAGAIN)
		broken("%d from a begin when all room is used", err);
	for (i = 0; i < n; i++)
		if (!mid_window_dissociate_if(now.w, &tag[i], ctx_of(0)))
			broken("one of %u requests is lost", n);
	now.fails = false;
}

static void check_idle(void)
{
	struct mid_window_stats stats;
	struct mid_tag tag;

	mid_window_stats(now.w, &stats);
	if (stats.in_use || stats.spans)
		broken("%u requests and %u ids are in use by nobody", stats.in_use, stats.spans);
	if (!now.shutting) {
		check_ids();
		/* An associate may have grown the table. */
		mid_window_stats(now.w, &stats);
		check_room(&stats);
		return;
	}
	if (mid_window_begin(now.w, 1, ctx_of(0), &tag, GFP_KERNEL) != -ESHUTDOWN)
		broken("a request came in after the shut");
	if (mid_window_drain(now.w, 0))
		broken("nothing is left, and the drain is not over");
}

static void check_end(void)
{
	struct mid_window_stats stats;
	u32 left;
	int i;

	look();
	mid_window_stats(now.w, &stats);
	check_stats(&stats);
	check_counts(&stats);
	left = now.given & ~now.taken;
	if (left != now.in_flight)
		broken("contexts 0x%x are with the window, 0x%x are in flight", left,
		       now.in_flight);
	mid_window_claim_if(now.w, 0, NULL, taken_one, NULL);
	if (now.given & ~now.taken)
		broken("claim_if left contexts 0x%x", now.given & ~now.taken);
	run_work();
	for (i = 0; i < SPANS; i++)
		if (now.has_span & 1u << i) {
			set_ids(&now.owned[now.span[i].epoch], now.span[i].first,
				now.span[i].n, false);
			mid_window_give_back(now.w, &now.span[i]);
		}
	check_idle();
	mid_window_destroy(now.w, NULL, NULL);
}

void test_end(void)
{
	quiet(true);
	if (!now.destroyed)
		check_end();
	if (now.given & ~now.taken)
		broken("contexts 0x%x were not handed out", now.given & ~now.taken);
	if (blocks_in_use())
		broken("%u pieces of memory are left", blocks_in_use());
	quiet(false);
}

/* The window has no tracepoints and no flags. */
bool model_traces(void) { return false; }
void model_event(const char *event, ...) { }
void model_flags(const void *v) { }

/*
 * Scenarios
 */

static const struct scenario {
	const char *what;
	unsigned int slots;
	const char *first, *threads[3];
} scenarios[] = {
#include "window_scenarios.h"
};

static const struct scenario *scenario;

static void thread_main(int thread)
{
	run_all(thread, scenario->threads[thread]);
}

static unsigned long model(const struct scenario *s)
{
	struct mid_window_stats stats;
	int threads = 0, i;

	scenario = s;
	reset_world();
	memset(&now, 0, sizeof(now));
	quiet(true);
	now.w = mid_window_create("model", s->slots, GFP_KERNEL);
	now.epoch = mid_window_epoch(now.w);
	now.most[now.epoch] = 1;
	now.least[now.epoch] = 1;
	now.resumed = 1u << now.epoch;
	now.open = 1u << now.epoch;
	mid_window_stats(now.w, &stats);
	now.slots = stats.slots;
	for (i = 0; i <= MODEL_THREADS; i++)
		now.my_epoch[i] = now.epoch;
	run_all(MODEL_THREADS, s->first);
	for (i = 0; i < MODEL_THREADS; i++)
		now.my_epoch[i] = now.my_epoch[MODEL_THREADS];
	look();
	quiet(false);
	while (threads < 3 && s->threads[threads])
		threads++;
	return explore(threads, thread_main);
}

/* "=NAME" is that one, "WORD" are all that have it. */
static bool wanted(const char *what, const char *pattern)
{
	return *pattern == '=' ? !strcmp(what, pattern + 1) : !!strstr(what, pattern);
}

int main(int argc, char **argv)
{
	unsigned long states, sum = 0;
	unsigned int i, n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (argc > 1 && !wanted(scenarios[i].what, argv[1]))
			continue;
		printf("%-56s", scenarios[i].what);
		states = model(&scenarios[i]);
		printf("%10lu states, %3u steps at most\n", states, longest_run());
		sum += states;
		n++;
	}
	printf("%u scenarios, %lu states, all of them, no property violated\n", n, sum);
	return !n;
}
