// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_stress - concurrency stress test of the calls of midatlas.h
 *
 * The KUnit tests check one promise at a time and need a kernel with KUnit.  This
 * module only needs a kernel with modules, so it runs on distribution kernels and
 * under every sanitizer.  Loading it makes @operations calls, on one atlas after the
 * other, from threads and from hard interrupts.  It fails with -EIO if a check fails.
 *
 * The atlas holds requests with a reference count, freed after a grace period.  A
 * request detects if it leaves the atlas twice (@left), if it is found by a MID that
 * is not its own (@mid), and if it is used after it was freed (@magic).  The number
 * of requests at the end of a round shows if one never left.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "../../midatlas.h"

#define MAGIC		0x6d69645f
#define THREADS_MAX	64
#define SEEN		16	/* recent MIDs that all threads use */
#define PER_ATLAS	50000	/* calls per atlas */
#define MOST_SIZES	4

static unsigned long operations = 1000000;
module_param(operations, ulong, 0444);
MODULE_PARM_DESC(operations, "number of calls");

static unsigned int seconds;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "how long to run, each atlas for a second, a large one for ten (0: as @operations says)");

static unsigned int mids[MOST_SIZES];
static unsigned int nr_mids;
module_param_array(mids, uint, &nr_mids, 0444);
MODULE_PARM_DESC(mids, "maxima of the atlases, in turn, nearly all of them in use (default: random)");

static unsigned int threads;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "number of threads (0: two per CPU)");

static unsigned int seed = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "seed of the random number generators");

/* The operations, to choose from and to count */
enum op {
	ASSOCIATE, WAIT, MAP, GET, DISSOCIATE, DISSOCIATE_IF, REASSOCIATE, ABANDON,
	TOUCH, STRAY, URGENT, FOR_EACH, CLAIM_ALL, CLAIM_OLDER, CLAIM_IF, SET_MAX, SET_ASIDE,
	STATS, IN_HARDIRQ,
	NR_OPS
};

static const char * const op_names[NR_OPS] = {
	"associate", "associate_wait", "map", "map_get_put", "dissociate",
	"dissociate_if", "reassociate", "abandon", "touch", "stray", "associate_urgent",
	"for_each", "claim_all", "claim_older", "claim_if", "set_max", "set_aside", "stats",
	"in hard interrupts",
};

struct worker;

struct request {
	unsigned int magic;
	struct kref ref;
	atomic_t left;			/* has left the atlas */
	u16 mid;
	struct worker *owner;		/* if this is its irq_request, else NULL */
	struct rcu_head rcu;
};

struct worker {
	struct task_struct *task;
	struct rnd_state rnd;
	struct request **held;
	unsigned long done[NR_OPS];
	struct irq_work irq_work;
	struct request irq_request;
	atomic_t irq_request_in;	/* irq_request is in the atlas */
	struct rnd_state irq_rnd;
};

/* A round: one atlas, from create to destroy */
static struct {
	struct mid_atlas *atlas;
	unsigned int max;
	bool grows;			/* associate may allocate */
	bool emptied;			/* all MIDs are freed before destroy */
	bool shut;			/* drain is called while workers run */
	unsigned long quota;		/* calls per worker */
	unsigned long until;		/* this jiffy, if it runs for @seconds */
	unsigned int held;		/* requests in flight per worker */
	atomic_t running;
	struct completion all_done;
} round;

static struct worker *workers;
static u16 seen[SEEN];
static atomic_t wrong;
static atomic_long_t requests;		/* that are allocated */
static unsigned int high_water;		/* of all atlases */

#define CHECK(ok) do {							\
	if (!(ok) && atomic_inc_return(&wrong) <= 10)			\
		pr_err("%s, line %d: failed: %s\n", __func__, __LINE__, #ok); \
} while (0)

/* Requests */

static struct request *request_create(unsigned int refs)
{
	struct request *req = kzalloc(sizeof(*req), GFP_KERNEL);

	if (!req)
		return NULL;
	req->magic = MAGIC;
	refcount_set(&req->ref.refcount, refs);
	atomic_long_inc(&requests);
	return req;
}

static void request_free_rcu(struct rcu_head *rcu)
{
	struct request *req = container_of(rcu, struct request, rcu);

	WRITE_ONCE(req->magic, 0);
	kfree(req);
	atomic_long_dec(&requests);
}

static void request_release(struct kref *ref)
{
	struct request *req = container_of(ref, struct request, ref);

	call_rcu(&req->rcu, request_free_rcu);
}

static bool request_get(void *ctx)
{
	struct request *req = ctx;

	return kref_get_unless_zero(&req->ref);
}

static void request_put(void *ctx)
{
	struct request *req = ctx;

	kref_put(&req->ref, request_release);
}

/* The request left the atlas, and the caller owns it. */
static void request_claimed(void *ctx, u16 mid, void *unused)
{
	struct request *req = ctx;

	CHECK(READ_ONCE(req->magic) == MAGIC);
	CHECK(req->mid == mid);
	CHECK(!atomic_xchg(&req->left, 1));
	if (req->owner)
		atomic_set_release(&req->owner->irq_request_in, 0);
	else
		request_put(req);
}

/* Checks a request that was looked up.  It may leave the atlas, but is not freed. */
static void request_check(void *ctx, u16 mid, void *unused)
{
	struct request *req = ctx;

	CHECK(READ_ONCE(req->magic) == MAGIC);
	/* An irq_request is reused without a grace period. */
	CHECK(req->owner || req->mid == mid);
}

/* Any value, but usually one that may be in use. */
static u16 some_mid(struct rnd_state *rnd)
{
	u32 r = prandom_u32_state(rnd);

	return r & 7 ? READ_ONCE(seen[(r >> 8) % SEEN]) : r >> 16;
}

static void note_mid(struct rnd_state *rnd, u16 mid)
{
	CHECK(mid != 0xffff);
	WRITE_ONCE(seen[prandom_u32_state(rnd) % SEEN], mid);
}

/* Hard interrupts, in any state of a CPU */

static void work_in_irq(void *arg)
{
	struct worker *w = arg;
	struct request *req = &w->irq_request;
	u16 mid = some_mid(&w->irq_rnd);
	void *ctx;

	rcu_read_lock();
	ctx = mid_atlas_map(round.atlas, mid);
	if (ctx)
		request_check(ctx, mid, NULL);
	rcu_read_unlock();
	w->done[IN_HARDIRQ]++;

	if (round.grows)
		return;
	if (atomic_cmpxchg_acquire(&w->irq_request_in, 0, 1)) {
		if (mid_atlas_dissociate_if(round.atlas, READ_ONCE(req->mid), req))
			request_claimed(req, req->mid, NULL);
	} else {
		atomic_set(&req->left, 0);
		if (mid_atlas_associate(round.atlas, req, &req->mid, GFP_NOWAIT))
			atomic_set(&w->irq_request_in, 0);
	}
	w->done[IN_HARDIRQ]++;
}

static void work_in_irq_work(struct irq_work *irq_work)
{
	work_in_irq(container_of(irq_work, struct worker, irq_work));
}

/* By irq_work on this CPU, or by a function call on any CPU */
static void interrupt_some_cpu(struct worker *w)
{
	unsigned int nth = prandom_u32_state(&w->rnd) % (num_online_cpus() + 1);

	if (nth < num_online_cpus()) {
		smp_call_function_single(cpumask_nth(nth, cpu_online_mask),
					 work_in_irq, w, true);
	} else {
		irq_work_queue(&w->irq_work);
		irq_work_sync(&w->irq_work);
	}
}

/* Threads.  Each work_*() function makes one call. */

static void work_drop(struct request **held)
{
	request_put(*held);
	*held = NULL;
}

/* Returns false when the atlas is shut. */
static bool work_associate(struct worker *w, struct request **held, enum op op)
{
	struct request *req = request_create(2);
	int err;

	if (!req)
		return true;
	if (op == WAIT)
		err = mid_atlas_associate_wait(round.atlas, req, &req->mid,
					       GFP_KERNEL, 1);
	else if (op == URGENT)
		err = mid_atlas_associate_urgent(round.atlas, req, &req->mid, GFP_KERNEL);
	else
		err = mid_atlas_associate(round.atlas, req, &req->mid, GFP_KERNEL);
	w->done[op]++;
	if (!err) {
		*held = req;
		note_mid(&w->rnd, req->mid);
		return true;
	}
	CHECK(err == -ENOSPC || err == -ESHUTDOWN ||
	      (err == -ETIMEDOUT && op == WAIT));
	CHECK(!req->mid);
	request_put(req);
	request_put(req);
	return err != -ESHUTDOWN;
}

static void work_end(struct worker *w, struct request **held, enum op op)
{
	struct request *req = *held;
	bool ours;

	if (op == ABANDON)
		ours = mid_atlas_abandon(round.atlas, req->mid, req,
					 prandom_u32_state(&w->rnd) % 4);
	else
		ours = mid_atlas_dissociate_if(round.atlas, req->mid, req);
	w->done[op]++;
	if (ours)
		request_claimed(req, req->mid, NULL);
	work_drop(held);
}

static void work_map(struct worker *w, enum op op)
{
	u16 mid = some_mid(&w->rnd);
	void *ctx;

	w->done[op]++;
	if (op == TOUCH || op == STRAY) {
		if (op == TOUCH)
			mid_atlas_touch(round.atlas, mid);
		else
			mid_atlas_stray(round.atlas, mid);
		return;
	}
	if (op == DISSOCIATE) {
		ctx = mid_atlas_dissociate(round.atlas, mid);
		if (ctx)
			request_claimed(ctx, mid, NULL);
		return;
	}
	if (op == GET) {
		ctx = mid_atlas_map_get_put(round.atlas, mid, request_get,
					    request_put);
		if (!ctx)
			return;
		request_check(ctx, mid, NULL);
		request_put(ctx);
		return;
	}
	rcu_read_lock();
	ctx = mid_atlas_map(round.atlas, mid);
	if (ctx)
		request_check(ctx, mid, NULL);
	rcu_read_unlock();
}

/* A sweep that declines some requests */
static bool request_wanted(void *ctx, u16 mid, unsigned long age, void *unused)
{
	request_check(ctx, mid, NULL);
	return mid & 1;
}

static void request_wanted_claimed(void *ctx, u16 mid, void *unused)
{
	CHECK(mid & 1);
	request_claimed(ctx, mid, NULL);
}

/* A new request replaces the one that has the MID. */
static void work_reassociate(struct worker *w)
{
	struct request *successor = request_create(1);
	u16 mid = some_mid(&w->rnd);
	void *old;

	if (!successor)
		return;
	successor->mid = mid;
	old = mid_atlas_reassociate(round.atlas, mid, successor);
	w->done[REASSOCIATE]++;
	CHECK(!IS_ERR(old));
	if (old)
		request_claimed(old, mid, NULL);
	else
		request_put(successor);
}

/* Calls that visit all of the atlas or change its limit */
static void work_on_all(struct worker *w, enum op op)
{
	struct mid_atlas_stats stats;

	w->done[op]++;
	switch (op) {
	case FOR_EACH:
		mid_atlas_for_each(round.atlas, request_check, NULL);
		break;
	case CLAIM_ALL:
		mid_atlas_claim_all(round.atlas, request_claimed, NULL);
		break;
	case CLAIM_OLDER:
		mid_atlas_claim_older(round.atlas, 2, request_claimed, NULL);
		break;
	case CLAIM_IF:
		mid_atlas_claim_if(round.atlas, prandom_u32_state(&w->rnd) % 2, request_wanted,
				   request_wanted_claimed, NULL);
		break;
	case SET_ASIDE:
		/* -EINVAL if the maximum is smaller now */
		mid_atlas_set_aside(round.atlas, prandom_u32_state(&w->rnd) % 4);
		break;
	case SET_MAX:
		CHECK(!mid_atlas_set_max(round.atlas, 1 + prandom_u32_state(&w->rnd) %
					 round.max));
		break;
	default:
		mid_atlas_stats(round.atlas, &stats);
		CHECK(stats.max && stats.max <= round.max);
		CHECK(stats.slots <= round.max);
	}
}

/* One call.  Returns false when the atlas is shut. */
static bool work_once(struct worker *w)
{
	u32 r = prandom_u32_state(&w->rnd);
	struct request **held = &w->held[(r >> 10) % round.held];

	r %= 1024;
	if (r < 2)
		interrupt_some_cpu(w);
	if (r < 8 && (!nr_mids || !(prandom_u32_state(&w->rnd) % (round.max / 16 + 1))))
		work_on_all(w, FOR_EACH + prandom_u32_state(&w->rnd) % (STATS - FOR_EACH + 1));
	else if (r < 128)
		work_reassociate(w);
	else if (r < 512)
		work_map(w, r % 16 ? MAP + r % 3 : r % 32 ? TOUCH : STRAY);
	else if (*held)
		work_end(w, held, r % 4 ? DISSOCIATE_IF : ABANDON);
	else
		return work_associate(w, held, r % 16 ? ASSOCIATE : r % 32 ? WAIT : URGENT);
	return true;
}

static bool work_goes_on(unsigned long calls)
{
	return seconds ? time_before(jiffies, round.until) : calls < round.quota;
}

static int work(void *data)
{
	struct worker *w = data;
	unsigned long n;
	unsigned int i;

	for (n = 0; work_goes_on(n) && work_once(w); n++) {
		if (round.shut && w == workers && n == round.quota / 2)
			mid_atlas_drain(round.atlas, 0);
		cond_resched();
	}
	for (i = 0; i < round.held; i++) {
		if (w->held[i] && round.emptied)
			work_end(w, &w->held[i], DISSOCIATE_IF);
		else if (w->held[i])
			work_drop(&w->held[i]);
	}
	if (atomic_dec_and_test(&round.running))
		complete(&round.all_done);
	return 0;
}

/* Rounds */

/* About half of them are in flight. */
static unsigned int held_most(unsigned int max)
{
	return max(2 * max / threads, 8u);
}

/* Few MIDs, for contention, or a table that has to grow. */
static int round_create(struct rnd_state *rnd, unsigned int nr)
{
	u32 r = prandom_u32_state(rnd);

	round.held = 8;
	round.max = 1 + r % (nr % 4 ? 4 * threads * round.held : 5000);
	if (nr_mids) {
		round.max = mids[nr % nr_mids];
		round.held = held_most(round.max);
	}
	round.grows = nr_mids ? nr / nr_mids % 2 : nr % 2;
	round.emptied = nr % 8 < 4;
	round.shut = nr % 16 >= 12;
	round.quota = PER_ATLAS / threads;
	round.until = jiffies + (round.max > 1000 ? 10 : 1) * HZ;
	round.atlas = mid_atlas_create(KBUILD_MODNAME, round.max,
				       round.grows ? 0 : round.max, GFP_KERNEL);
	return PTR_ERR_OR_ZERO(round.atlas);
}

static int round_run(void)
{
	struct task_struct *task;
	unsigned int i;
	int err = 0;

	init_completion(&round.all_done);
	atomic_set(&round.running, 1);
	for (i = 0; i < threads; i++) {
		task = kthread_create(work, &workers[i], KBUILD_MODNAME "/%u", i);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			break;
		}
		atomic_inc(&round.running);
		wake_up_process(task);
	}
	if (atomic_dec_and_test(&round.running))
		complete(&round.all_done);
	/* Short waits: the hung task detector must not report this task. */
	while (!wait_for_completion_timeout(&round.all_done, 10 * HZ))
		;
	return err;
}

/* Checks that all requests come out: by claim_all and drain, or by destroy. */
static void round_end(void)
{
	struct mid_atlas_stats stats;
	struct request *req;
	struct worker *w;

	for (w = workers; w < workers + threads; w++) {
		req = &w->irq_request;
		if (atomic_read_acquire(&w->irq_request_in) &&
		    mid_atlas_dissociate_if(round.atlas, req->mid, req))
			request_claimed(req, req->mid, NULL);
		CHECK(!atomic_read(&w->irq_request_in));
	}
	if (round.emptied) {
		/* No worker holds a reference to a successor. */
		mid_atlas_claim_all(round.atlas, request_claimed, NULL);
		CHECK(!mid_atlas_drain(round.atlas, 10 * HZ));
	}
	mid_atlas_stats(round.atlas, &stats);
	CHECK(stats.associated == stats.dissociated + stats.in_use - stats.abandoned);
	CHECK(!stats.waiters);
	high_water = max(high_water, stats.high_water);
	CHECK(!round.emptied || !stats.in_use);
	mid_atlas_destroy(round.atlas, request_claimed, NULL);
	rcu_barrier();
	CHECK(!atomic_long_read(&requests));
}

/* The test */

static unsigned long sum(enum op op)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < threads; i++)
		n += workers[i].done[op];
	return n;
}

static unsigned long sum_all(void)
{
	unsigned long n = 0;
	enum op op;

	for (op = 0; op < NR_OPS; op++)
		n += sum(op);
	return n;
}

static int stress(void)
{
	unsigned long end = jiffies + seconds * HZ;
	struct rnd_state rnd;
	unsigned int nr;
	enum op op;
	int err;

	prandom_seed_state(&rnd, seed);
	for (nr = 0; !atomic_read(&wrong); nr++) {
		if (seconds ? time_after(jiffies, end) : sum_all() >= operations)
			break;
		err = round_create(&rnd, nr);
		if (err)
			return err;
		err = round_run();
		round_end();
		if (err)
			return err;
	}
	for (op = 0; op < NR_OPS; op++)
		pr_info("%s %lu\n", op_names[op], sum(op));
	pr_info("%lu operations in %u atlases, up to %u MIDs in use, %u threads on %u CPUs, %d wrong\n",
		sum_all(), nr, high_water, threads, num_online_cpus(), atomic_read(&wrong));
	return atomic_read(&wrong) ? -EIO : 0;
}

static int __init worker_init(struct worker *w, unsigned int nr)
{
	unsigned int i, most = 0;

	prandom_seed_state(&w->rnd, seed + 2 * nr + 1);
	prandom_seed_state(&w->irq_rnd, seed + 2 * nr + 2);
	w->irq_work = IRQ_WORK_INIT_HARD(work_in_irq_work);
	w->irq_request.magic = MAGIC;
	w->irq_request.owner = w;
	kref_init(&w->irq_request.ref);
	for (i = 0; i < nr_mids; i++)
		most = max(most, mids[i]);
	w->held = kvcalloc(held_most(most), sizeof(*w->held), GFP_KERNEL);
	return w->held ? 0 : -ENOMEM;
}

static int __init midatlas_stress_init(void)
{
	unsigned int i;
	int err = 0;

	threads = threads ?: 2 * num_online_cpus();
	if (threads > THREADS_MAX) {
		pr_err("threads must be at most %u\n", THREADS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < nr_mids; i++) {
		if (mids[i] && mids[i] <= MID_ATLAS_MAX_MIDS)
			continue;
		pr_err("mids must be from 1 to %u\n", MID_ATLAS_MAX_MIDS);
		return -EINVAL;
	}
	workers = kvcalloc(threads, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	for (i = 0; i < threads && !err; i++)
		err = worker_init(&workers[i], i);
	if (!err)
		err = stress();
	for (i = 0; i < threads; i++)
		kvfree(workers[i].held);
	kvfree(workers);
	return err;
}
module_init(midatlas_stress_init);

static void __exit midatlas_stress_exit(void)
{
}
module_exit(midatlas_stress_exit);

MODULE_DESCRIPTION("Concurrency stress test of the MID atlas");
MODULE_LICENSE("GPL");
