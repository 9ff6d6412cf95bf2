// SPDX-License-Identifier: GPL-2.0
/*
 * midwindow_stress - concurrency stress test of the calls of midwindow.h
 *
 * Loading it makes @operations calls, on one window after the other, from threads, with
 * softirqs disabled as in a softirq, and from hard interrupts.  It fails with -EIO if a
 * check fails.
 *
 * The window holds requests with a reference count, freed after a grace period.  A
 * request detects if it leaves the window twice (@left), if it is found by an id that is
 * not its own (@tag), and if it is used after it was freed (@magic).  The number of
 * requests at the end of a round shows if one never left.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "../../midwindow.h"

#define MAGIC		0x6d69647f
#define THREADS_MAX	64
#define SEEN		64	/* recent requests that all threads use */
#define PER_WINDOW	50000	/* calls per window */

static unsigned long operations = 1000000;
module_param(operations, ulong, 0444);
MODULE_PARM_DESC(operations, "number of calls");

static unsigned int seconds;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "how long to run, each window for ten seconds, with a reset each second (0: as @operations says)");

static unsigned int threads;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "number of threads (0: two per CPU)");

static unsigned int seed = 20060130;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "seed of the random number generators");

/* The operations, to choose from and to count; after WAIT all are rare */
enum op {
	BEGIN, COMPOUND, GIVE_BACK, UNSEND, MAP, GET, DISSOCIATE, DISSOCIATE_IF, GRANT,
	REASSOCIATE, ABANDON, NOTE_ASYNC, ASYNC_ID, STRAY, WAIT, URGENT, FOR_EACH, CLAIM_IF,
	SET_ASIDE, RESET, STATS, NR_OPS
};

static const char * const op_names[NR_OPS] = {
	"begin", "reserve and associate", "give_back", "unsend", "map", "map_get_put",
	"dissociate", "dissociate_if", "grant", "reassociate", "abandon", "note_async",
	"async_id", "stray", "reserve that waits", "urgent reserve", "for_each", "claim_if",
	"set_aside", "reset", "stats",
};

struct request {
	unsigned int magic;
	struct kref ref;
	atomic_t left;			/* has left the window */
	unsigned int charge;
	struct mid_tag tag;
	struct rcu_head rcu;
};

struct worker {
	struct rnd_state rnd;
	struct rnd_state irq_rnd;
	struct irq_work irq_work;
	unsigned long done[NR_OPS];
	unsigned long irq_done;
};

static struct mid_window *window;
static bool grows;		/* its table */
static struct request *spare;
static bool shut;			/* drain is called while workers run */
static unsigned long quota;		/* calls per worker */
static unsigned long until;		/* this jiffy, if it runs for @seconds */
static unsigned long next_reset;	/* likewise */
static atomic_t running;
static struct completion all_done;
static struct worker *workers;
static struct request *seen[SEEN];	/* each with a reference */
static DEFINE_RAW_SPINLOCK(seen_lock);
static atomic_t wrong;
static atomic_long_t requests;		/* that are allocated */
static u64 begun;			/* that were in flight */

#define CHECK(ok) do {							\
	if (!(ok) && atomic_inc_return(&wrong) <= 10)			\
		pr_err("%s, line %d: failed: %s\n", __func__, __LINE__, #ok); \
} while (0)

/* Requests */

static void request_free_rcu(struct rcu_head *rcu)
{
	struct request *req = container_of(rcu, struct request, rcu);

	WRITE_ONCE(req->magic, 0);
	kfree(req);
	atomic_long_dec(&requests);
}

static void request_release(struct kref *ref)
{
	call_rcu(&container_of(ref, struct request, ref)->rcu, request_free_rcu);
}

static void request_put(void *ctx)
{
	struct request *req = ctx;

	kref_put(&req->ref, request_release);
}

static bool request_get(void *ctx)
{
	struct request *req = ctx;

	return kref_get_unless_zero(&req->ref);
}

static struct request *request_alloc(void)
{
	return kzalloc(sizeof(struct request), GFP_ATOMIC | __GFP_NOWARN);
}

/*
 * With a reference for the caller and one for the window.  On PREEMPT_RT nothing can be
 * allocated in hard interrupts, so they use what another context has left in @spare.
 */
static struct request *request_create(unsigned int charge)
{
	struct request *req = in_hardirq() ? xchg(&spare, NULL) : request_alloc();

	if (!in_hardirq() && !READ_ONCE(spare))
		kfree(xchg(&spare, request_alloc()));
	if (!req)
		return NULL;
	req->magic = MAGIC;
	req->charge = charge;
	refcount_set(&req->ref.refcount, 2);
	atomic_long_inc(&requests);
	return req;
}

/* @req has left the window, and its reply has come: its credits go back. */
static void request_ended(struct request *req)
{
	CHECK(READ_ONCE(req->magic) == MAGIC);
	CHECK(!atomic_xchg(&req->left, 1));
	request_put(req);
}

static void request_claimed(void *ctx, u64 id, void *arg)
{
	struct request *req = ctx;

	CHECK(req->tag.id == id);
	request_ended(req);
}

static void request_shown(void *ctx, u64 id, void *arg)
{
	struct request *req = ctx;

	CHECK(READ_ONCE(req->magic) == MAGIC && READ_ONCE(req->tag.id) == id);
}

static bool request_wanted(void *ctx, u64 id, unsigned long age, void *arg)
{
	request_shown(ctx, id, arg);
	return id & 1;
}

/* Lets all threads see @req, whose reference goes along. */
static void seen_put(struct rnd_state *rnd, struct request *req)
{
	struct request **place = &seen[prandom_u32_state(rnd) % SEEN];
	unsigned long flags;

	raw_spin_lock_irqsave(&seen_lock, flags);
	swap(*place, req);
	raw_spin_unlock_irqrestore(&seen_lock, flags);
	if (req)
		request_put(req);
}

/* A request with a reference, or NULL */
static struct request *seen_get(struct rnd_state *rnd)
{
	struct request *req;
	unsigned long flags;

	raw_spin_lock_irqsave(&seen_lock, flags);
	req = seen[prandom_u32_state(rnd) % SEEN];
	if (req)
		kref_get(&req->ref);
	raw_spin_unlock_irqrestore(&seen_lock, flags);
	return req;
}

/* Calls */

/* Whether a begin may allocate here */
static bool may_begin(void)
{
	return !(grows && in_hardirq());
}

static void call_begin(struct rnd_state *rnd)
{
	struct request *req;

	if (!may_begin())
		return;
	req = request_create(1 + prandom_u32_state(rnd) % 4);
	if (!req)
		return;
	if (mid_window_begin(window, req->charge, req, &req->tag, GFP_ATOMIC)) {
		request_put(req);
		request_put(req);
		return;
	}
	seen_put(rnd, req);
}

/* Reserves ids, uses some of them and returns the rest. */
static void call_compound(struct rnd_state *rnd, unsigned int flags, unsigned long timeout)
{
	struct request *req;
	struct mid_span span;
	int err;

	err = mid_window_reserve(window, 1, 1 + prandom_u32_state(rnd) % 8, &span, flags, timeout);
	if (err) {
		CHECK(err == -EAGAIN || err == -EDEADLK || err == -ESHUTDOWN ||
		      (timeout && (err == -ETIMEDOUT || err == -ESTALE)));
		return;
	}
	while (may_begin() && span.n && prandom_u32_state(rnd) % 4) {
		req = request_create(1 + prandom_u32_state(rnd) % span.n);
		if (!req)
			break;
		if (mid_window_associate(window, &span, req->charge, req, &req->tag, GFP_ATOMIC)) {
			request_put(req);
			request_put(req);
			break;
		}
		seen_put(rnd, req);
	}
	mid_window_give_back(window, &span);
}

static void call_reassociate(struct request *req)
{
	struct request *old, *new = request_create(req->charge);

	if (!new)
		return;
	new->tag = req->tag;
	old = mid_window_reassociate(window, &req->tag, new);
	if (old)
		request_ended(old);
	else
		request_put(new);
	request_put(new);
}

static void call_map(struct request *req)
{
	struct request *found;

	rcu_read_lock();
	found = mid_window_map(window, req->tag.epoch, req->tag.id);
	if (found)
		CHECK(READ_ONCE(found->magic) == MAGIC && found->tag.id == req->tag.id);
	rcu_read_unlock();
}

static void call_get(struct request *req)
{
	struct request *found;

	found = mid_window_map_get_put(window, req->tag.epoch, req->tag.id, request_get,
				       request_put);
	if (found) {
		CHECK(found->magic == MAGIC && found->tag.id == req->tag.id &&
		      found->tag.epoch == req->tag.epoch);
		request_put(found);
	}
}

/* One call that uses a request; each end of one brings its credits. */
static void call_request(struct rnd_state *rnd, enum op op, struct request *req)
{
	u32 epoch = req->tag.epoch;
	u64 id = req->tag.id, async_id;
	struct request *found;

	switch (op) {
	case UNSEND:
		if (mid_window_unsend(window, &req->tag, req))
			request_ended(req);
		break;
	case MAP:
		call_map(req);
		break;
	case GET:
		call_get(req);
		break;
	case DISSOCIATE:
		mid_window_grant(window, epoch, req->charge);
		found = mid_window_dissociate(window, epoch, id);
		if (found)
			request_claimed(found, id, NULL);
		break;
	case DISSOCIATE_IF:
		if (mid_window_dissociate_if(window, &req->tag, req)) {
			mid_window_grant(window, epoch, req->charge);
			request_ended(req);
		}
		break;
	case REASSOCIATE:
		call_reassociate(req);
		break;
	case ABANDON:
		if (mid_window_abandon(window, &req->tag, req, prandom_u32_state(rnd) % 4)) {
			mid_window_grant(window, epoch, req->charge);
			request_ended(req);
		}
		break;
	case NOTE_ASYNC:
		mid_window_note_async(window, epoch, id, id + 1);
		break;
	case ASYNC_ID:
		if (mid_window_async_id(window, &req->tag, &async_id))
			CHECK(async_id == id + 1);
		break;
	default:
		mid_window_stray(window, epoch, id);
		break;
	}
}

static void call_window(struct rnd_state *rnd, enum op op)
{
	struct mid_window_stats stats;

	switch (op) {
	case GRANT:
		mid_window_grant(window, mid_window_epoch(window), prandom_u32_state(rnd) % 4);
		break;
	case FOR_EACH:
		mid_window_for_each(window, request_shown, NULL);
		break;
	case CLAIM_IF:
		mid_window_claim_if(window, prandom_u32_state(rnd) % 2, request_wanted,
				    request_claimed, NULL);
		break;
	case SET_ASIDE:
		CHECK(!mid_window_set_aside(window, prandom_u32_state(rnd) % 3));
		break;
	case RESET:
		mid_window_resume(window, mid_window_reset(window, request_claimed, NULL));
		mid_window_grant(window, mid_window_epoch(window), 64);
		break;
	default:
		mid_window_stats(window, &stats);
		CHECK(stats.in_use <= stats.slots && stats.next <= stats.limit);
		break;
	}
}

/* In any context but for WAIT and URGENT, which may sleep */
static void call(struct rnd_state *rnd, enum op op)
{
	struct request *req;

	if (op == BEGIN) {
		call_begin(rnd);
	} else if (op == COMPOUND || op == GIVE_BACK) {
		call_compound(rnd, 0, 0);
	} else if (op == WAIT) {
		call_compound(rnd, 0, 1);
	} else if (op == URGENT) {
		call_compound(rnd, MID_WINDOW_URGENT, 1);
	} else if (op == GRANT || op > URGENT) {
		call_window(rnd, op);
	} else {
		req = seen_get(rnd);
		if (req) {
			call_request(rnd, op, req);
			request_put(req);
		}
	}
}

static enum op choose(struct rnd_state *rnd)
{
	u32 r = prandom_u32_state(rnd);

	if (seconds && time_after(jiffies, READ_ONCE(next_reset))) {
		WRITE_ONCE(next_reset, jiffies + HZ);
		return RESET;
	}
	if (r % 64)
		return r / 64 % 3 ? r / 192 % WAIT : DISSOCIATE;
	/* The ids get far between two resets. */
	r = WAIT + r / 64 % (NR_OPS - WAIT);
	return seconds && r == RESET ? STATS : r;
}

static bool work_goes_on(unsigned long calls)
{
	return seconds ? time_before(jiffies, until) : calls < quota;
}

static void work_in_irq_work(struct irq_work *irq_work)
{
	struct worker *w = container_of(irq_work, struct worker, irq_work);
	unsigned int i;

	for (i = 0; i < 8; i++) {
		call(&w->irq_rnd, prandom_u32_state(&w->irq_rnd) % WAIT);
		w->irq_done++;
	}
}

static int work(void *arg)
{
	struct worker *w = arg;
	unsigned long n;
	bool softirq;
	enum op op;

	for (n = 0; work_goes_on(n); n++) {
		op = choose(&w->rnd);
		softirq = n % 4 == 0 && op != WAIT && op != URGENT;
		if (softirq)
			local_bh_disable();
		call(&w->rnd, op);
		if (softirq)
			local_bh_enable();
		w->done[op]++;
		if (n % 64 == 0)
			irq_work_queue(&w->irq_work);
		if (shut && n == quota / 2)
			mid_window_drain(window, 1);
		cond_resched();
	}
	irq_work_sync(&w->irq_work);
	if (atomic_dec_and_test(&running))
		complete(&all_done);
	return 0;
}

/* Rounds: one window each, from create to destroy */

static int round_run(void)
{
	struct task_struct *task;
	unsigned int i;
	int err = 0;

	init_completion(&all_done);
	atomic_set(&running, 1);
	for (i = 0; i < threads; i++) {
		task = kthread_create(work, &workers[i], KBUILD_MODNAME "/%u", i);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			break;
		}
		atomic_inc(&running);
		wake_up_process(task);
	}
	if (atomic_dec_and_test(&running))
		complete(&all_done);
	/* Short waits: the hung task detector must not report this task. */
	while (!wait_for_completion_timeout(&all_done, 10 * HZ))
		;
	return err;
}

static void round_end(bool emptied)
{
	struct mid_window_stats stats;
	unsigned int i;

	for (i = 0; i < SEEN; i++) {
		if (seen[i])
			request_put(seen[i]);
		seen[i] = NULL;
	}
	if (emptied) {
		mid_window_claim_if(window, 0, NULL, request_claimed, NULL);
		CHECK(!mid_window_drain(window, 10 * HZ));
	}
	mid_window_stats(window, &stats);
	CHECK(stats.associated == stats.dissociated + stats.in_use - stats.abandoned);
	CHECK(!stats.waiters && !stats.spans);
	CHECK(!emptied || !stats.in_use);
	begun += stats.associated;
	mid_window_destroy(window, request_claimed, NULL);
	rcu_barrier();
	CHECK(!atomic_long_read(&requests));
}

static unsigned long sum(enum op op)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < threads; i++)
		n += op < NR_OPS ? workers[i].done[op] : workers[i].irq_done;
	return n;
}

static unsigned long sum_all(void)
{
	unsigned long n = 0;
	unsigned int op;

	for (op = 0; op <= NR_OPS; op++)
		n += sum(op);
	return n;
}

static int stress(void)
{
	unsigned long end = jiffies + seconds * HZ;
	struct rnd_state rnd;
	unsigned int nr, op;
	int err;

	prandom_seed_state(&rnd, seed);
	quota = PER_WINDOW / threads;
	for (nr = 0; !atomic_read(&wrong); nr++) {
		if (seconds ? time_after(jiffies, end) : sum_all() >= operations)
			break;
		until = jiffies + 10 * HZ;
		/* Few slots and a table that has to grow, or as many as there can be in flight */
		grows = nr % 2;
		window = mid_window_create(KBUILD_MODNAME, grows ? 0 : 5000, GFP_KERNEL);
		if (IS_ERR(window))
			return PTR_ERR(window);
		mid_window_grant(window, mid_window_epoch(window),
				 1 + prandom_u32_state(&rnd) % (nr % 4 ? 64 : 4096));
		shut = nr % 8 == 7;
		err = round_run();
		round_end(grows);
		if (err)
			return err;
	}
	for (op = 0; op < NR_OPS; op++)
		pr_info("%s %lu\n", op_names[op], sum(op));
	pr_info("in hard interrupts %lu\n", sum(NR_OPS));
	pr_info("%lu operations on %llu requests in %u windows, %u threads on %u CPUs, %d wrong\n",
		sum_all(), begun, nr, threads, num_online_cpus(), atomic_read(&wrong));
	return atomic_read(&wrong) ? -EIO : 0;
}

static int __init midwindow_stress_init(void)
{
	unsigned int i;
	int err;

	threads = threads ?: 2 * num_online_cpus();
	if (threads > THREADS_MAX) {
		pr_err("threads must be at most %u\n", THREADS_MAX);
		return -EINVAL;
	}
	workers = kvcalloc(threads, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	for (i = 0; i < threads; i++) {
		prandom_seed_state(&workers[i].rnd, seed + 2 * i + 1);
		prandom_seed_state(&workers[i].irq_rnd, seed + 2 * i + 2);
		workers[i].irq_work = IRQ_WORK_INIT_HARD(work_in_irq_work);
	}
	err = stress();
	kvfree(workers);
	kfree(spare);
	return err;
}
module_init(midwindow_stress_init);

static void __exit midwindow_stress_exit(void)
{
}
module_exit(midwindow_stress_exit);

MODULE_DESCRIPTION("Concurrency stress test of MessageId windows");
MODULE_LICENSE("GPL");
