// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_stress - all calls of midatlas.h at once, by many, for long
 *
 * The KUnit tests look at one promise at a time and need a kernel that was built
 * for them.  This one needs nothing but a kernel with modules: loading it makes
 * @operations calls, in one atlas after the other, from threads and from hard
 * interrupts, and fails with -EIO if anything was wrong.  So it can run on every
 * kernel that people use, and below every sanitizer.
 *
 * A context is a request with a reference count, freed after a grace period.  What
 * can go wrong is seen in it: that it comes out of the atlas twice (@left), that a
 * MID leads to another one's (@mid), that it is gone (@magic), that it never came
 * out (the count of all requests at the end).
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
#define HELD		8	/* requests that a thread has in flight */
#define SEEN		16	/* MIDs that were handed out last: to fight for */
#define PER_ATLAS	50000	/* calls */

static unsigned long operations = 1000000;
module_param(operations, ulong, 0444);
MODULE_PARM_DESC(operations, "calls to make");

static unsigned int threads;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "threads that make them (0: two for each CPU)");

static unsigned int seed = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "seed of the random choices");

/* What is called, and counted. */
enum op {
	ASSOCIATE, WAIT, MAP, GET, DISSOCIATE, DISSOCIATE_IF, REASSOCIATE, ABANDON,
	FOR_EACH, CLAIM_ALL, CLAIM_OLDER, SET_MAX, STATS, IN_HARDIRQ,
	NR_OPS
};

static const char * const op_names[NR_OPS] = {
	"associate", "associate_wait", "map", "map_get_put", "dissociate",
	"dissociate_if", "reassociate", "abandon", "for_each", "claim_all",
	"claim_older", "set_max", "stats", "in hard interrupts",
};

struct worker;

struct request {
	unsigned int magic;
	struct kref ref;
	atomic_t left;			/* the atlas; exactly once */
	u16 mid;
	struct worker *owner;		/* of one that is part of a worker, or NULL */
	struct rcu_head rcu;
};

struct worker {
	struct task_struct *task;
	struct rnd_state rnd;
	struct request *held[HELD];
	unsigned long done[NR_OPS];
	struct irq_work irq_work;
	struct request irq_request;
	atomic_t irq_request_in;	/* the atlas */
	struct rnd_state irq_rnd;
};

/* One atlas, from create to destroy. */
static struct {
	struct mid_atlas *atlas;
	unsigned int max;
	bool grows;			/* then it may allocate */
	bool emptied;			/* before it is destroyed */
	bool shut;			/* while the calls go on */
	unsigned long quota;		/* calls for each worker */
	atomic_t running;
	struct completion all_done;
} round;

static struct worker *workers;
static u16 seen[SEEN];
static atomic_t wrong;
static atomic_long_t requests;		/* there are, now */

#define CHECK(ok) do {							\
	if (!(ok) && atomic_inc_return(&wrong) <= 10)			\
		pr_err("%s, line %d: not (%s)\n", __func__, __LINE__, #ok); \
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

/* It came out of the atlas: whoever calls this is the only one. */
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

/* A look at what is in the atlas; it may leave meanwhile, but not be freed. */
static void request_look(void *ctx, u16 mid, void *unused)
{
	struct request *req = ctx;

	CHECK(READ_ONCE(req->magic) == MAGIC);
	/* Those of interrupts are used again, without a grace period. */
	CHECK(req->owner || req->mid == mid);
}

/* Any value, but in most cases one that may be in use. */
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

/* Hard interrupts, of whatever a CPU is doing */

static void work_in_irq(void *arg)
{
	struct worker *w = arg;
	struct request *req = &w->irq_request;
	u16 mid = some_mid(&w->irq_rnd);
	void *ctx;

	rcu_read_lock();
	ctx = mid_atlas_map(round.atlas, mid);
	if (ctx)
		request_look(ctx, mid, NULL);
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

/* This CPU by itself, or any by another one. */
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

/* Threads.  Each of these makes one call, most of them for a request of their own. */

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
		request_look(ctx, mid, NULL);
		request_put(ctx);
		return;
	}
	rcu_read_lock();
	ctx = mid_atlas_map(round.atlas, mid);
	if (ctx)
		request_look(ctx, mid, NULL);
	rcu_read_unlock();
}

/* Whatever has the MID, a new one takes its place. */
static void work_reassociate(struct worker *w)
{
	struct request *heir = request_create(1);
	u16 mid = some_mid(&w->rnd);
	void *old;

	if (!heir)
		return;
	heir->mid = mid;
	old = mid_atlas_reassociate(round.atlas, mid, heir);
	w->done[REASSOCIATE]++;
	CHECK(!IS_ERR(old));
	if (old)
		request_claimed(old, mid, NULL);
	else
		request_put(heir);
}

/* What walks through all of the atlas, or changes it */
static void work_on_all(struct worker *w, enum op op)
{
	struct mid_atlas_stats stats;

	w->done[op]++;
	switch (op) {
	case FOR_EACH:
		mid_atlas_for_each(round.atlas, request_look, NULL);
		break;
	case CLAIM_ALL:
		mid_atlas_claim_all(round.atlas, request_claimed, NULL);
		break;
	case CLAIM_OLDER:
		mid_atlas_claim_older(round.atlas, 2, request_claimed, NULL);
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
	struct request **held = &w->held[r % HELD];

	r = (r >> 8) % 1024;
	if (r < 2)
		interrupt_some_cpu(w);
	if (r < 8)
		work_on_all(w, FOR_EACH + prandom_u32_state(&w->rnd) % 5);
	else if (r < 128)
		work_reassociate(w);
	else if (r < 512)
		work_map(w, MAP + r % 3);
	else if (*held)
		work_end(w, held, r % 4 ? DISSOCIATE_IF : ABANDON);
	else
		return work_associate(w, held, r % 16 ? ASSOCIATE : WAIT);
	return true;
}

static int work(void *data)
{
	struct worker *w = data;
	unsigned long n;
	unsigned int i;

	for (n = 0; n < round.quota && work_once(w); n++) {
		if (round.shut && w == workers && n == round.quota / 2)
			mid_atlas_drain(round.atlas, 0);
		cond_resched();
	}
	for (i = 0; i < HELD; i++) {
		if (w->held[i] && round.emptied)
			work_end(w, &w->held[i], DISSOCIATE_IF);
		else if (w->held[i])
			work_drop(&w->held[i]);
	}
	if (atomic_dec_and_test(&round.running))
		complete(&round.all_done);
	return 0;
}

/* A round */

/* A few MIDs that are fought for, or many that a table has to grow for. */
static int round_create(struct rnd_state *rnd, unsigned int nr)
{
	u32 r = prandom_u32_state(rnd);

	round.max = 1 + r % (nr % 4 ? 4 * threads * HELD : 5000);
	round.grows = nr % 2;
	round.emptied = nr % 8 < 4;
	round.shut = nr % 16 >= 12;
	round.quota = PER_ATLAS / threads;
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
	/* In bits, for those who watch over tasks that sleep for minutes. */
	while (!wait_for_completion_timeout(&round.all_done, 10 * HZ))
		;
	return err;
}

/* What the workers left in is for drain, whose quarantines end, or for destroy. */
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
		/* Heirs have nobody but the atlas. */
		mid_atlas_claim_all(round.atlas, request_claimed, NULL);
		CHECK(!mid_atlas_drain(round.atlas, 10 * HZ));
	}
	mid_atlas_stats(round.atlas, &stats);
	CHECK(stats.associated == stats.dissociated + stats.in_use - stats.abandoned);
	CHECK(!stats.waiters);
	CHECK(!round.emptied || !stats.in_use);
	mid_atlas_destroy(round.atlas, request_claimed, NULL);
	rcu_barrier();
	CHECK(!atomic_long_read(&requests));
}

/* All of it */

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
	struct rnd_state rnd;
	unsigned int nr;
	enum op op;
	int err;

	prandom_seed_state(&rnd, seed);
	for (nr = 0; sum_all() < operations && !atomic_read(&wrong); nr++) {
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
	pr_info("%lu operations in %u atlases, %u threads on %u CPUs, %d wrong\n",
		sum_all(), nr, threads, num_online_cpus(), atomic_read(&wrong));
	return atomic_read(&wrong) ? -EIO : 0;
}

static void __init worker_init(struct worker *w, unsigned int nr)
{
	prandom_seed_state(&w->rnd, seed + 2 * nr + 1);
	prandom_seed_state(&w->irq_rnd, seed + 2 * nr + 2);
	w->irq_work = IRQ_WORK_INIT_HARD(work_in_irq_work);
	w->irq_request.magic = MAGIC;
	w->irq_request.owner = w;
	kref_init(&w->irq_request.ref);
}

static int __init midatlas_stress_init(void)
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
	for (i = 0; i < threads; i++)
		worker_init(&workers[i], i);
	err = stress();
	kvfree(workers);
	return err;
}
module_init(midatlas_stress_init);

static void __exit midatlas_stress_exit(void)
{
}
module_exit(midatlas_stress_exit);

MODULE_DESCRIPTION("Stress test of the Multiplex ID atlas");
MODULE_LICENSE("GPL");
