// SPDX-License-Identifier: GPL-2.0
/*
 * atlas - what must be true of an atlas in every order of its callers
 *
 * A scenario is an atlas, the operations that prepare it, and the operations of up
 * to three threads that then run at the same time.  An operation is a letter and up
 * to two digits.  A digit is a context (the request pointer), unless it says otherwise:
 *
 *	a1	associate context 1		A1	the same, allocations may fail
 *	w1	associate_wait, no timeout	v1	the same, may time out or be killed
 *	m1	map the MID of context 1	g1	map_get_put
 *	d1	dissociate it			i1	dissociate_if
 *	r12	reassociate it to context 2	q1	abandon
 *	c	claim_all			C1	claim_if, which declines context 1
 *	K	claim_all that associates context 7 once
 *	o1	touch the MID of context 1	y1	stray
 *	p1	associate_urgent		k1	set_aside 1
 *	j	10 jiffies pass			x3	set_max to 3
 *	n	drain, no timeout		t	drain, may time out
 *	s	stats				f	read debugfs' inflight
 *	e	destroy				u	unload the module, after destroy
 *	E	destroy; the destructor abandons the context after its own
 *	z12	use MIDs until only 2 are left before the MID of context 1
 *	l	enable the tracepoints; only while the atlas is prepared
 *
 * An operation is skipped if its context has no MID yet, or if destroy has begun.
 *
 * The checks use only the API, not the code's internals: after each step
 * mid_atlas_for_each() says which contexts are in flight.  An operation records what it
 * could have seen between its begin and its end, and its result must be among that.
 */

#include "../../midatlas.h"
#include "explore.h"

/* A second binary has tables of the full size: -DMID_BITS=3, for all of its files. */
#ifndef MID_BITS
#define MID_BITS	16
#endif
#define SERVER_MID	((1u << MID_BITS) - 1)
#define MAX_MIDS	SERVER_MID

#define CONTEXTS	8
#define ABSENT		CONTEXTS	/* the MID had none */
#define QUARANTINE	100		/* jiffies */
#define ANEW		7		/* the context that a sweep's function associates */

/* One operation that is under way. */
struct op {
	char kind;
	int c, n;		/* its contexts, or its number */
	u16 mid;		/* the MID that it is called with */
	u32 seen;		/* the contexts that this MID had since the begin */
	u32 in_flight;		/* the contexts in flight at the begin */
	u32 waited;		/* the threads that waited in vain at the begin */
	unsigned int most;	/* the largest maximum in force since the begin */
	unsigned int most_ordinary;	/* the same, without what is aside */
	u32 asked;		/* the contexts that claim_if was asked about */
	bool full;		/* all MIDs may have been in use */
	bool late;		/* a drain had returned before the begin */
	bool disturbed;		/* an abandoned MID may have been freed since the begin */
};

static struct {
	struct mid_atlas *atlas;
	struct op op[MODEL_THREADS + 1];
	u32 in_flight;			/* contexts, after the last step, from for_each */
	u16 mid_in_flight[CONTEXTS];
	u16 mid[CONTEXTS];		/* the MID that the context was given */
	u32 has_mid;			/* contexts that were given a MID */
	u32 given;			/* contexts that were associated */
	u32 taken;			/* contexts that were claimed */
	u32 abandoned;			/* contexts that were abandoned */
	u32 urgent;			/* contexts that associate_urgent was called for */
	u32 quarantined;		/* of these, the ones whose MID is still in use */
	u32 traced;			/* MIDs that are in use by the trace events */
	int refs[CONTEXTS];
	unsigned int max;
	unsigned int next_max;		/* of a set_max that is under way */
	unsigned int aside;		/* the least and the most in force while a set_aside */
	unsigned int most_aside;	/* is under way, else the same */
	unsigned int blocks;		/* of memory that an atlas with one table has */
	bool tracing;			/* the tracepoints are enabled */
	bool draining;			/* a drain or destroy has begun */
	bool closed;			/* a drain has returned, */
	bool drained;			/* because nothing was in use */
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

/*
 * What is in flight
 */

static void see_one(void *ctx, u16 mid, void *arg)
{
	int c = number_of(ctx), other;

	for (other = 0; other < CONTEXTS; other++)
		if (now.quarantined & 1u << other && now.mid[other] == mid)
			broken("context %d has MID 0x%04x, which is in quarantine", c, mid);

	if (mid == SERVER_MID)
		broken("context %d has the server's own MID", c);
	for (other = 0; other < CONTEXTS; other++)
		if (now.in_flight & 1u << other && now.mid_in_flight[other] == mid)
			broken("contexts %d and %d have MID 0x%04x both", c, other, mid);
	if (now.in_flight & 1u << c)
		broken("context %d is in flight twice", c);
	now.in_flight |= 1u << c;
	now.mid_in_flight[c] = mid;
}

static int in_flight_as(u16 mid)
{
	int c;

	for (c = 0; c < CONTEXTS; c++)
		if (now.in_flight & 1u << c && now.mid_in_flight[c] == mid)
			return c;
	return ABSENT;
}

static bool associates(const struct op *op)
{
	return op->kind && strchr("aAwvp", op->kind);
}

static unsigned int least_max(void)
{
	return now.next_max && now.next_max < now.max ? now.next_max : now.max;
}

static unsigned int most_max(void)
{
	return max(now.max, now.next_max);
}

/*
 * May @op free the abandoned MID @mid?  A late reply may free it, and so may the full
 * quarantine, a lower maximum and destroy free any.
 */
static bool may_end_quarantine(const struct op *op, u16 mid)
{
	return op->kind && (strchr("qxeE", op->kind) ||
			    (strchr("dy", op->kind) && op->mid == mid));
}

/* @op, or the expiry if it is NULL, may free abandoned MIDs from now on. */
static void end_quarantine(const struct op *op)
{
	int i;

	for (i = 0; i < CONTEXTS; i++)
		if (!op || may_end_quarantine(op, now.mid[i]))
			now.quarantined &= ~(1u << i);
	for (i = 0; i < MODEL_THREADS; i++)
		if (&now.op[i] != op && (!op || may_end_quarantine(op, now.op[i].mid)))
			now.op[i].disturbed = true;
}

/* A claim that is traced has taken the request out, and not yet freed its slot. */
static bool frees_late(const struct op *op)
{
	return now.tracing && op->kind && strchr("dic", op->kind);
}

/* May @op have a slot that it has not published, or not freed, yet? */
static bool holds_slot(const struct op *op)
{
	if (op->kind == 'K')
		return !(now.in_flight & 1u << ANEW);
	return frees_late(op) || (associates(op) && !(now.in_flight & 1u << op->c));
}

/* What @thread's operation can see now. */
static void note(int thread)
{
	struct op *op = &now.op[thread];
	unsigned int others = 0, used, limit = least_max();
	int i;

	if (!op->kind)
		return;
	op->seen |= 1u << in_flight_as(op->mid);
	op->most = max(op->most, most_max());
	op->most_ordinary = max(op->most_ordinary, most_max() - min(now.aside, most_max()));
	for (i = 0; i < MODEL_THREADS; i++)
		others += i != thread && holds_slot(&now.op[i]);
	/* Who is about to come in may have its MID already, or been promised it. */
	used = count(now.in_flight | now.abandoned) + others;
	if (op->kind != 'p') {
		limit -= min(now.most_aside, limit);
		used -= min(count((now.in_flight | now.abandoned) & now.urgent), now.aside);
	}
	if (used >= limit)
		op->full = true;
}

static void look(void)
{
	memset(now.mid_in_flight, 0, sizeof(now.mid_in_flight));
	now.in_flight = 0;
	if (now.destroyed)
		return;
	quiet(true);
	mid_atlas_for_each(now.atlas, see_one, NULL);
	quiet(false);
}

void test_step(int thread)
{
	u32 before = now.in_flight;
	int i;

	if (thread == MODEL_WORKER)
		end_quarantine(NULL);
	look();
	if (count(now.in_flight) > count(before) && count(now.in_flight) > now.op[thread].most)
		broken("%u contexts are in flight, and the maximum is %u",
		       count(now.in_flight), now.op[thread].most);
	if (count(now.in_flight & ~now.urgent) > count(before & ~now.urgent) &&
	    count(now.in_flight & ~now.urgent) > now.op[thread].most_ordinary)
		broken("%u ordinary contexts are in flight, and the maximum for them is %u",
		       count(now.in_flight & ~now.urgent), now.op[thread].most_ordinary);
	if (now.in_flight & ~before && now.drained)
		broken("a context came in after the drain");
	for (i = 0; i < MODEL_THREADS; i++)
		note(i);
}

/*
 * Operations
 */

/* The threads that wait for a MID, and nobody is about to give them one. */
static u32 waiting_in_vain(void)
{
	u32 waiting = 0;
	int i;

	for (i = 0; i < MODEL_THREADS; i++)
		if (waits_in_vain(i))
			waiting |= 1u << i;
		else if (now.op[i].kind && i != current_thread())
			return 0;
	return waiting;
}

static void begin(int thread, char kind, int c, int n)
{
	struct op *op = &now.op[thread];
	int i;

	look();
	*op = (struct op){ .kind = kind, .c = c, .n = n, .mid = now.mid[c] };
	op->in_flight = now.in_flight;
	op->waited = waiting_in_vain();
	op->late = now.closed;
	for (i = 0; i < MODEL_THREADS; i++)
		op->disturbed |= i != thread && may_end_quarantine(&now.op[i], op->mid);
	end_quarantine(op);
	note(thread);
}

static void given(struct op *op, int c)
{
	if (now.given & 1u << c)
		broken("context %d came in twice", c);
	now.given |= 1u << c;
	if (op->late)
		broken("context %d came in although a drain had begun", c);
	if (strchr("aA", op->kind) && op->waited & waiting_in_vain())
		broken("context %d came in before one that waits", c);
}

static void put(void *ctx)
{
	int c = number_of(ctx);

	shared(&now.refs[c]);
	if (!now.refs[c]--)
		broken("context %d was put too often", c);
}

static bool get(void *ctx)
{
	struct op *op = &now.op[current_thread()];
	int c = number_of(ctx);

	shared(&now.refs[c]);
	if (!now.refs[c])
		return false;
	now.refs[c]++;
	/* What counts is whose the MID is from now on. */
	op->seen = 1u << in_flight_as(op->mid);
	return true;
}

/* Context @c is ours. */
static void taken(int c)
{
	if (now.taken & 1u << c)
		broken("context %d has two owners", c);
	now.taken |= 1u << c;
	put(ctx_of(c));
}

static bool want(void *ctx, u16 mid, unsigned long age, void *arg)
{
	struct op *op = &now.op[current_thread()];
	int c = number_of(ctx);

	if (arg != want)
		broken("the argument got lost");
	if (c == op->c)
		return false;
	op->asked |= 1u << c;
	return true;
}

static void taken_one(void *ctx, u16 mid, void *arg)
{
	int c = number_of(ctx);

	might_sleep();
	if (arg == want && !(now.op[current_thread()].asked & 1u << c))
		broken("claim_if took context %d, and was not asked", c);
	taken(c);
}

/* @ctx came out of a lookup of op->mid: was it there? */
static void check_seen(const struct op *op, const void *ctx)
{
	int c = ctx ? number_of(ctx) : ABSENT;

	if (!(op->seen & 1u << c)) {
		if (ctx)
			broken("MID 0x%04x never had context %d meanwhile", op->mid, c);
		else
			broken("MID 0x%04x always had a context meanwhile", op->mid);
	}
}

static void associate(struct op *op, int c, gfp_t gfp, unsigned long timeout)
{
	int err;

	/* Its owner may put it in again. */
	now.given &= ~(now.taken & 1u << c);
	now.has_mid &= ~(now.taken & 1u << c);
	now.taken &= ~(1u << c);
	now.refs[c] = 1;
	now.urgent &= ~(1u << c);
	if (op->kind == 'p') {
		now.urgent |= 1u << c;
		err = mid_atlas_associate_urgent(now.atlas, ctx_of(c), &now.mid[c], gfp);
	} else if (op->kind == 'w' || op->kind == 'v') {
		err = mid_atlas_associate_wait(now.atlas, ctx_of(c), &now.mid[c], gfp, timeout);
	} else {
		err = mid_atlas_associate(now.atlas, ctx_of(c), &now.mid[c], gfp);
	}
	switch (err) {
	case 0:
		now.has_mid |= 1u << c;
		given(op, c);
		return;
	case -ENOSPC:
		if (!op->full)
			broken("-ENOSPC, and there always was a free MID");
		break;
	case -ETIMEDOUT:
	case -ERESTARTSYS:
		if (op->kind != 'v')
			broken("%d without a cause", err);
		break;
	case -ESHUTDOWN:
		if (!now.draining)
			broken("-ESHUTDOWN without a drain");
		break;
	case -ENOMEM:
		if (op->kind != 'A')
			broken("-ENOMEM without a cause");
		break;
	default:
		broken("associate returned %d", err);
	}
}

static void associate_anew(void *ctx, u16 mid, void *arg)
{
	if (number_of(ctx) == ANEW)
		broken("claim_all took what its function had associated");
	taken_one(ctx, mid, arg);
	if (now.given & 1u << ANEW)
		return;
	now.refs[ANEW] = 1;
	if (mid_atlas_associate(now.atlas, ctx_of(ANEW), &now.mid[ANEW], GFP_KERNEL))
		return;
	now.given |= 1u << ANEW;
	now.has_mid |= 1u << ANEW;
}

/* Whether context @c was given a MID; as for a receiver, this may be very early. */
static bool has_mid(int c)
{
	return now.has_mid & 1u << c || now.in_flight & 1u << c;
}

static void set_max(int n)
{
	now.next_max = n;
	note(current_thread());
	if (mid_atlas_set_max(now.atlas, n))
		broken("set_max failed");
	now.max = n;
	now.next_max = 0;
}

static void set_aside(unsigned int n)
{
	unsigned int was = now.aside;

	now.aside = min(was, n);
	now.most_aside = max(was, n);
	note(current_thread());
	if (mid_atlas_set_aside(now.atlas, n))
		broken("set_aside failed");
	now.aside = n;
	now.most_aside = n;
}

static void touch(const struct op *op)
{
	if (mid_atlas_touch(now.atlas, op->mid) ? op->seen == 1u << ABSENT :
						  !(op->seen & 1u << ABSENT))
		broken("touch is wrong");
}

static void stray(const struct op *op)
{
	enum mid_stray stray = mid_atlas_stray(now.atlas, op->mid);

	if (stray == MID_STRAY_LIVE ? op->seen == 1u << ABSENT : !(op->seen & 1u << ABSENT))
		broken("stray is wrong");
	if (stray == MID_STRAY_LATE && !now.abandoned)
		broken("late, and nothing was abandoned");
	if (stray == MID_STRAY_UNKNOWN)
		broken("MID 0x%04x was in use, and stray does not know it", op->mid);
}

static void drain(unsigned long timeout)
{
	int err;

	now.draining = true;
	err = mid_atlas_drain(now.atlas, timeout);
	now.closed = true;
	if (!err)
		now.drained = true;
	else if (err != -ETIMEDOUT || timeout == MAX_SCHEDULE_TIMEOUT)
		broken("drain returned %d", err);
	look();
	if (!err && now.in_flight)
		broken("the drain is over, and something is in flight");
}

static void claim_all(const struct op *op)
{
	u32 declined = 0;

	if (op->kind == 'C') {
		declined = 1u << op->c;
		mid_atlas_claim_if(now.atlas, 0, want, taken_one, want);
	} else {
		mid_atlas_claim_all(now.atlas, op->kind == 'K' ? associate_anew : taken_one, NULL);
	}
	look();
	if (now.in_flight & op->in_flight & ~declined)
		broken("claim_all left a context that was there before");
}

static void reassociate(const struct op *op)
{
	void *old;

	now.refs[op->n] = 1;
	now.mid[op->n] = op->mid;
	old = mid_atlas_reassociate(now.atlas, op->mid, ctx_of(op->n));
	check_seen(op, old);
	if (!old)
		return;
	now.given |= 1u << op->n;
	now.has_mid |= 1u << op->n;
	taken(number_of(old));
}

static void claim_if(const struct op *op, bool ours)
{
	if (ours ? !(op->seen & 1u << op->c) : op->seen == 1u << op->c)
		broken("%s() is wrong: %d", op->kind == 'q' ? "abandon" : "dissociate_if", ours);
	if (ours && op->kind == 'q')
		now.abandoned |= 1u << op->c;
	if (ours && op->kind == 'q' && now.max >= 4 && !op->disturbed)
		now.quarantined |= 1u << op->c;
	if (ours)
		taken(op->c);
}

/*
 * Only lookups and associate_wait may be under way.  A task that is inside associate_wait
 * may sleep or not: its owner cannot tell.
 */
static bool may_destroy(void)
{
	int i;

	for (i = 0; i < MODEL_WORKER; i++)
		if (now.op[i].kind && !strchr("eEmwv", now.op[i].kind))
			return false;
	return true;
}

/* A timer that is left behind would run in an atlas that has been freed. */
static void taken_and_abandons(void *ctx, u16 mid, void *arg)
{
	int next = number_of(ctx) + 1;

	taken_one(ctx, mid, arg);
	if (next < CONTEXTS && now.has_mid & 1u << next &&
	    mid_atlas_abandon(now.atlas, now.mid[next], ctx_of(next), QUARANTINE))
		taken(next);
}

static void destroy(mid_ctx_fn destructor)
{
	wait_until(may_destroy);
	now.draining = true;
	now.destroyed = true;
	mid_atlas_destroy(now.atlas, destructor, NULL);
}

/*
 * What people see
 */

bool model_traces(void)
{
	return now.tracing;
}

/* The events of a MID come in the order of its life. */
void model_event(const char *event, ...)
{
	bool in_use, begins, ends;
	va_list args;
	int mid;

	if (!now.tracing)
		return;
	begins = !strcmp(event, "midatlas_associate");
	ends = !strcmp(event, "midatlas_dissociate") || !strcmp(event, "midatlas_late") ||
	       !strcmp(event, "midatlas_expire");
	if (!begins && !ends)
		return;
	point(event);
	va_start(args, event);
	va_arg(args, void *);		/* the atlas */
	mid = va_arg(args, int);
	va_end(args);
	if (mid >= 32)
		return;
	in_use = now.traced & 1u << mid;
	if (in_use == begins)
		broken("%s of MID 0x%04x, which %s in use by the trace", event, mid,
		       in_use ? "still is" : "is not");
	now.traced ^= 1u << mid;
}

/* What the client shows of a context in debugfs */
static void describe(struct seq_file *m, void *ctx)
{
	number_of(ctx);
}

/* A line of debugfs' inflight: "0x0087 0000deadbeef 12 live", "- - abandoned for 90 ms more" */
static void check_line(const char *line)
{
	const char *left = strstr(line, "abandoned for ");

	if (left && strtoul(left + strlen("abandoned for "), NULL, 10) > QUARANTINE)
		broken("debugfs: %s", line);
	if (strstr(line, " live"))
		number_of((void *)strtoul(strchr(line, ' '), NULL, 16));
}

static void go_round(u16 until, int before)
{
	unsigned int n = 0;
	u16 last, mid = 0;

	do {
		last = mid;
		if (mid_atlas_associate(now.atlas, ctx_of(0), &mid, GFP_KERNEL))
			broken("no MID to go round with");
		mid_atlas_dissociate(now.atlas, mid);
		if (n++ > MAX_MIDS)
			broken("MID 0x%04x does not come round", until);
	} while (n < 2 || (u16)(mid + (before + 1) * (mid - last)) != until);
}

static void check_stats(const struct mid_atlas_stats *stats)
{
	if (stats->high_water > MAX_MIDS)
		broken("a high water of %u", stats->high_water);
}

static void run(int thread, char kind, int c, int n)
{
	static const char *const names[] = {
		['a'] = "associate", ['A'] = "associate", ['w'] = "associate_wait",
		['v'] = "associate_wait", ['m'] = "map", ['g'] = "map_get",
		['d'] = "dissociate", ['i'] = "dissociate_if", ['r'] = "reassociate",
		['q'] = "abandon", ['c'] = "claim_all", ['x'] = "set_max",
		['n'] = "drain", ['t'] = "drain", ['s'] = "stats",
		['e'] = "destroy", ['E'] = "destroy", ['u'] = "unload", ['z'] = "go_round",
		['f'] = "inflight", ['l'] = "trace", ['C'] = "claim_if", ['K'] = "claim_all",
		['o'] = "touch", ['y'] = "stray", ['p'] = "associate_urgent",
		['k'] = "set_aside", ['j'] = "jiffies",
	};
	struct op *op = &now.op[thread];
	struct mid_atlas_stats stats;
	void *ctx;

	point(names[(int)kind]);
	if (strchr("mdirqgoy", kind) && !has_mid(c))
		return;
	if (now.destroyed && kind != 'u')
		return;
	begin(thread, kind, c, n);
	let_fail(TIMED_OUT, kind == 'v' || kind == 't');
	let_fail(KILLED, kind == 'v');
	let_fail(FAILED, kind == 'A');
	switch (kind) {
	case 'a':
	case 'A':
	case 'p':
	case 'w':
		associate(op, c, GFP_KERNEL, MAX_SCHEDULE_TIMEOUT);
		break;
	case 'v':
		associate(op, c, GFP_KERNEL, 10);
		break;
	case 'm':
		rcu_read_lock();
		check_seen(op, mid_atlas_map(now.atlas, op->mid));
		rcu_read_unlock();
		break;
	case 'g':
		ctx = mid_atlas_map_get_put(now.atlas, op->mid, get, put);
		if (ctx) {
			check_seen(op, ctx);
			put(ctx);
		}
		break;
	case 'd':
		ctx = mid_atlas_dissociate(now.atlas, op->mid);
		check_seen(op, ctx);
		if (ctx)
			taken(number_of(ctx));
		break;
	case 'i':
		claim_if(op, mid_atlas_dissociate_if(now.atlas, op->mid, ctx_of(c)));
		break;
	case 'q':
		claim_if(op, mid_atlas_abandon(now.atlas, op->mid, ctx_of(c), QUARANTINE));
		break;
	case 'r':
		reassociate(op);
		break;
	case 'c':
	case 'C':
	case 'K':
		claim_all(op);
		break;
	case 'o':
		touch(op);
		break;
	case 'y':
		stray(op);
		break;
	case 'k':
		set_aside(c);
		break;
	case 'j':
		jiffies += 10;
		break;
	case 'x':
		set_max(c);
		break;
	case 'n':
		drain(MAX_SCHEDULE_TIMEOUT);
		break;
	case 't':
		drain(10);
		break;
	case 's':
		mid_atlas_stats(now.atlas, &stats);
		check_stats(&stats);
		break;
	case 'f':
		mid_atlas_show_with(now.atlas, describe);
		read_file("inflight", check_line);
		break;
	case 'l':
		now.tracing = true;
		break;
	case 'e':
		destroy(taken_one);
		break;
	case 'E':
		destroy(taken_and_abandons);
		break;
	case 'u':
		unload();
		break;
	case 'z':
		go_round(op->mid, n);
		break;
	default:
		broken("no operation '%c'", kind);
	}
	/* Its last step has yet to be looked at. */
	*op = (struct op){ .most = op->most, .most_ordinary = op->most_ordinary };
}

static void run_all(int thread, const char *ops)
{
	char kind;
	int c, n;

	while (*ops) {
		kind = *ops++;
		c = *ops >= '0' && *ops <= '9' ? *ops++ - '0' : 0;
		n = *ops >= '0' && *ops <= '9' ? *ops++ - '0' : 0;
		while (*ops == ' ')
			ops++;
		run(thread, kind, c, n);
	}
}

/*
 * Where nobody is under way
 */

void test_stuck(unsigned int left)
{
	int i;

	/* That it may time out is no reason to wait beside a free MID. */
	for (i = 0; i < MODEL_THREADS; i++)
		if (left & 1u << i && associates(&now.op[i]) && !now.op[i].full)
			broken("a lost wake-up: T%d waits beside a free MID", i + 1);
}

static void check_counts(const struct mid_atlas_stats *stats)
{
	if (stats->associated != stats->dissociated + stats->in_use - stats->abandoned)
		broken("%llu associated, %llu dissociated, %u in use, %u abandoned",
		       (unsigned long long)stats->associated,
		       (unsigned long long)stats->dissociated, stats->in_use, stats->abandoned);
	if (stats->waiters)
		broken("%u waiters, and all have left", stats->waiters);
	if (stats->in_use - stats->abandoned != count(now.in_flight))
		broken("%u in use, %u in flight", stats->in_use - stats->abandoned,
		       count(now.in_flight));
}

/* All MIDs can be had that the maximum allows, no two are the same, and no more. */
static void check_room(unsigned int max)
{
	u16 mids[CONTEXTS];
	unsigned int i, j;
	int err;

	for (i = 0; i < max; i++) {
		err = i < max - min(now.aside, max) ?
			mid_atlas_associate(now.atlas, ctx_of(i), &mids[i], GFP_KERNEL) :
			mid_atlas_associate_urgent(now.atlas, ctx_of(i), &mids[i], GFP_KERNEL);
		if (err)
			broken("a lost slot: %u MIDs of %u are to be had (%d)", i, max, err);
		for (j = 0; j < i; j++)
			if (mids[j] == mids[i])
				broken("MID 0x%04x twice", mids[i]);
	}
	err = mid_atlas_associate(now.atlas, ctx_of(0), &mids[0], GFP_KERNEL);
	if (err == -ENOSPC)
		err = mid_atlas_associate_urgent(now.atlas, ctx_of(0), &mids[0], GFP_KERNEL);
	if (err != -ENOSPC)
		broken("more MIDs than the maximum of %u: %d", max, err);
}

/* The flags that midatlas.c sets and clears: the mode */
static const atomic_t *flags;

void model_flags(const void *v)
{
	flags = v;
}

static void check_idle(void)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(now.atlas, &stats);
	if (stats.in_use)
		broken("%u MIDs are in use by nobody", stats.in_use);
	if (blocks_in_use() != now.blocks)
		broken("%u pieces of memory, and an atlas needs %u", blocks_in_use(), now.blocks);
	if (flags && !now.draining && flags->counter)
		broken("mode 0x%x stays set, and nothing is in progress", flags->counter);
	if (!now.draining) {
		check_room(now.max);
		return;
	}
	if (mid_atlas_associate(now.atlas, ctx_of(0), &now.mid[0], GFP_KERNEL) != -ESHUTDOWN)
		broken("a context came in after the drain");
	if (mid_atlas_drain(now.atlas, 0))
		broken("nothing is left, and the drain is not over");
}

static void check_end(void)
{
	struct mid_atlas_stats stats;
	u32 left;

	mid_atlas_stats(now.atlas, &stats);
	check_stats(&stats);
	check_counts(&stats);
	left = now.given & ~now.taken;
	if (left != now.in_flight)
		broken("contexts 0x%x are with the atlas, 0x%x are in flight", left, now.in_flight);
	mid_atlas_claim_all(now.atlas, taken_one, NULL);
	if (now.given & ~now.taken)
		broken("claim_all left contexts 0x%x", now.given & ~now.taken);
	run_work();
	check_idle();
	mid_atlas_destroy(now.atlas, NULL, NULL);
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

/*
 * Scenarios
 */

static const struct scenario {
	const char *what;
	unsigned int max;
	const char *first, *threads[3];
} scenarios[] = {
#include "scenarios.h"
};

static const struct scenario *scenario;

static void thread_main(int thread)
{
	run_all(thread, scenario->threads[thread]);
}

static unsigned long model(const struct scenario *s)
{
	int threads = 0;

	scenario = s;
	reset_world();
	memset(&now, 0, sizeof(now));
	flags = NULL;
	quiet(true);
	now.max = s->max;
	now.atlas = mid_atlas_create("model", s->max, s->max, GFP_KERNEL);
	now.blocks = blocks_in_use();
	create_files();
	run_all(MODEL_THREADS, s->first);
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
