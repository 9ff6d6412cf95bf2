// SPDX-License-Identifier: GPL-2.0
/*
 * A table that is full while tasks wait for an id
 *
 * Tasks associate, put the request on the wire, and associate the next one. One receiver
 * takes the requests off the wire in order, and is slower than the tasks, as a server is. So
 * all ids are in use, and an associate waits until the receiver has freed an id. The tasks do
 * not wait for their replies: a client that reads ahead or writes back does not either.
 *
 * The receiver has the last CPU to itself, and the tasks share the others. A virtual CPU that
 * is idle wakes when the host likes, so a thread of the lowest priority keeps each CPU busy.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/processor.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <uapi/linux/sched/types.h>
#include <linux/timekeeping.h>

#include "bench.h"
#include "load.h"

#define SAT_WIRE	BENCH_SAT_MIDS	/* a request on the wire has an id */
#define SAT_SUB_BITS	4	/* a bucket of waits is 1/16 of a power of two wide */
#define SAT_BUCKETS	(64 << SAT_SUB_BITS)
#define SAT_WARM_UP_NS	(5 * NSEC_PER_MSEC)

/**
 * enum sat_phase - what the tasks do
 * @SAT_WARM_UP: they send
 * @SAT_COUNT: and count
 * @SAT_STOP: they end after the request that they wait for
 */
enum sat_phase {
	SAT_WARM_UP,
	SAT_COUNT,
	SAT_STOP,
};

/**
 * struct sat_token - a request on the wire
 * @req: the request; NULL if there is none, and written last
 * @id: its id
 * @charge: how many ids it has
 */
struct sat_token {
	struct bench_req *req;
	u32 id;
	u32 charge;
};

/**
 * struct sat_task - a task that sends
 * @run: the measurement
 * @reqs: its requests, used in turn
 * @seed: of the random charges
 * @served: requests that got an id while it counted
 * @waited: those of them for which it slept
 * @wakeups: how often it was woken for these
 * @longest: the longest wait, in ns
 * @waits: waits by their length, see sat_bucket()
 * @err: the error of an associate
 */
struct sat_task {
	struct sat_run *run;
	struct bench_req *reqs;
	u64 seed;
	u64 served;
	u64 waited;
	u64 wakeups;
	u64 longest;
	u32 waits[SAT_BUCKETS];
	int err;
};

/**
 * struct sat_run - a measurement
 * @c: the case
 * @baseline: the baseline
 * @table: its table
 * @phase: what the tasks do
 * @sent: requests that were sent; those modulo SAT_WIRE is the place of the next on @wire
 * @wire: the requests that the receiver has not taken
 * @running: tasks that have not ended
 * @started: threads that were started
 * @done: completed by each thread
 * @tasks: the tasks
 * @used: the ids of the requests that the receiver has seen
 * @in_use: how many ids that is
 * @seen: how many requests it has seen, a part of @sent
 * @taken: how many of those it has taken off the wire
 * @ok: all results were right
 */
struct sat_run {
	const struct bench_case *c;
	const struct bench_baseline *baseline;
	void *table;
	enum sat_phase phase;
	atomic_t sent ____cacheline_aligned;
	struct sat_token wire[SAT_WIRE];
	atomic_t running ____cacheline_aligned;
	unsigned int started;
	struct completion done;
	struct sat_task *tasks;
	unsigned long *used;
	unsigned int in_use;
	unsigned int seen;
	unsigned int taken;
	bool ok;
};

/* The bucket of a wait of @ns: the highest bit, and the SAT_SUB_BITS below it */
static unsigned int sat_bucket(u64 ns)
{
	unsigned int shift = max(fls64(ns), SAT_SUB_BITS + 1) - SAT_SUB_BITS - 1;

	return (shift << SAT_SUB_BITS) + (ns >> shift);
}

/* The longest wait in a bucket */
static u64 sat_bucket_ns(unsigned int bucket)
{
	unsigned int shift = max(bucket >> SAT_SUB_BITS, 1u) - 1;

	return ((u64)(bucket - (shift << SAT_SUB_BITS) + 1) << shift) - 1;
}

/* Puts a request on the wire. */
static void sat_send(struct sat_run *run, struct bench_req *req, u32 id, unsigned int charge)
{
	unsigned int i = (unsigned int)atomic_inc_return(&run->sent) - 1;
	struct sat_token *token = &run->wire[i % SAT_WIRE];

	token->id = id;
	token->charge = charge;
	/* Pairs with the acquire in sat_look(). */
	smp_store_release(&token->req, req);
}

static int sat_task_main(void *arg)
{
	struct sat_task *task = arg;
	struct sat_run *run = task->run;
	unsigned long slept;
	unsigned int charge, i = 0;
	u64 wait;
	u32 id = 0;

	while (READ_ONCE(run->phase) != SAT_STOP && !task->err) {
		struct bench_req *req = &task->reqs[i++ % SAT_WIRE];

		charge = 1 + bench_random(&task->seed, run->c->charge);
		slept = current->nvcsw;
		wait = ktime_get_ns();
		task->err = run->baseline->wait(run->table, charge, req, &id);
		wait = ktime_get_ns() - wait;
		if (task->err)
			break;
		sat_send(run, req, id, charge);
		if (READ_ONCE(run->phase) == SAT_COUNT) {
			task->served++;
			task->waited += current->nvcsw != slept;
			task->wakeups += current->nvcsw - slept;
			task->longest = max(task->longest, wait);
			task->waits[sat_bucket(wait)]++;
		}
		cond_resched();
	}
	atomic_dec(&run->running);
	kthread_complete_and_exit(&run->done, 0);
}

static int sat_keeper_main(void *arg)
{
	struct sat_run *run = arg;

	set_user_nice(current, MAX_NICE);
	while (atomic_read(&run->running)) {
		cpu_relax();
		yield();
	}
	kthread_complete_and_exit(&run->done, 0);
}

/* Says at once what is wrong: tasks may wait for ever for what was lost. */
static void sat_expect(struct sat_run *run, bool right, const char *wrong)
{
	if (right)
		return;
	if (run->ok)
		pr_err("%s: %s\n", run->baseline->name, wrong);
	run->ok = false;
}

/* Looks at what has come: no request has an id that another one has, and no more than all. */
static void sat_look(struct sat_run *run)
{
	struct sat_token *token;
	unsigned int i;

	/* Pairs with the release in sat_send(). */
	while (token = &run->wire[run->seen % SAT_WIRE], smp_load_acquire(&token->req)) {
		if (run->seen - run->taken == SAT_WIRE)
			break;
		for (i = 0; i < token->charge; i++)
			sat_expect(run, !__test_and_set_bit((token->id + i) % BENCH_IDS, run->used),
				   "an id has two owners");
		run->in_use += token->charge;
		sat_expect(run, run->in_use <= run->c->max, "more ids are in use than there are");
		run->seen++;
	}
}

/* Takes the oldest request off the wire and ends it. */
static void sat_take(struct sat_run *run)
{
	struct sat_token *place = &run->wire[run->taken++ % SAT_WIRE], token = *place;
	struct bench_req *req;
	unsigned int i;

	for (i = 0; i < token.charge; i++)
		__clear_bit((token.id + i) % BENCH_IDS, run->used);
	run->in_use -= token.charge;
	WRITE_ONCE(place->req, NULL);
	req = run->baseline->map(run->table, token.id);
	sat_expect(run, req == token.req, "an id has another request");
	req = run->baseline->end(run->table, token.charge, token.id, token.req);
	sat_expect(run, req == token.req, "a request was not ended");
}

/* Receives until no task is left.  Returns how many it took while the tasks counted. */
static u64 sat_receive(struct sat_run *run, u64 *ns)
{
	u64 now = ktime_get_ns(), begin = now + SAT_WARM_UP_NS, next = now, cycles = 0;
	u64 end = 0;

	while (atomic_read(&run->running) || run->seen != run->taken ||
	       run->seen != (unsigned int)atomic_read(&run->sent)) {
		now = ktime_get_ns();
		if (run->phase == SAT_WARM_UP && now >= begin) {
			/* The host may have taken the CPU away meanwhile. */
			begin = now;
			end = now + (u64)run->c->ms * NSEC_PER_MSEC;
			WRITE_ONCE(run->phase, SAT_COUNT);
		} else if (run->phase == SAT_COUNT && now >= end) {
			*ns = now - begin;
			WRITE_ONCE(run->phase, SAT_STOP);
		}
		sat_look(run);
		if (run->seen != run->taken && now >= next) {
			sat_take(run);
			cycles += run->phase == SAT_COUNT;
			next = ktime_get_ns() + run->c->service;
		} else {
			cpu_relax();
		}
		cond_resched();
	}
	return cycles;
}

static u64 sat_percentile(const struct sat_run *run, u64 served, unsigned int percent)
{
	u64 below = div_u64(served * percent, 100), n = 0;
	unsigned int i, bucket;

	for (bucket = 0; bucket < SAT_BUCKETS; bucket++) {
		for (i = 0; i < run->c->threads; i++)
			n += run->tasks[i].waits[bucket];
		if (n > below)
			break;
	}
	return sat_bucket_ns(bucket);
}

static void sat_result(struct sat_run *run, u64 cycles, u64 ns, struct bench_sample *sample)
{
	u64 served = 0, waited = 0, wakeups = 0, longest = 0, most = 0, least = U64_MAX;
	unsigned int i;

	for (i = 0; i < run->c->threads; i++) {
		const struct sat_task *task = &run->tasks[i];

		served += task->served;
		waited += task->waited;
		wakeups += task->wakeups;
		longest = max(longest, task->longest);
		most = max(most, task->served);
		least = min(least, task->served);
	}
	sample->cycles = cycles;
	sample->value = div64_u64(cycles * NSEC_PER_SEC, ns);
	sample->more[0] = sat_percentile(run, served, 50);
	sample->more[1] = sat_percentile(run, served, 99);
	sample->more[2] = longest;
	sample->more[3] = div64_u64(waited * 1000, served ?: 1);
	sample->more[4] = div64_u64(wakeups * 1000, waited ?: 1);
	/* A task that was not served counts as served once. */
	sample->more[5] = div64_u64(most * 1000, least ?: 1);
}

static int sat_err(const struct sat_run *run)
{
	unsigned int i;

	for (i = 0; i < run->c->threads; i++)
		if (run->tasks[i].err)
			return run->tasks[i].err;
	return run->ok ? 0 : -EBADMSG;
}

static int sat_start_one(struct sat_run *run, int (*main)(void *), void *arg, unsigned int cpu)
{
	struct task_struct *task = kthread_create(main, arg, "midatlas_bench/%u", run->started);
	const struct sched_attr attr = { .sched_policy = SCHED_BATCH };

	if (IS_ERR(task))
		return PTR_ERR(task);
	WARN_ON_ONCE(sched_setattr_nocheck(task, &attr));
	kthread_bind(task, cpumask_nth(cpu, cpu_online_mask));
	run->started++;
	wake_up_process(task);
	return 0;
}

/* Starts the tasks; the caller becomes the receiver. */
static int sat_start(struct sat_run *run)
{
	unsigned int i, cpus = num_online_cpus();
	int err = 0;

	for (i = 0; i < run->c->threads && !err; i++) {
		atomic_inc(&run->running);
		err = sat_start_one(run, sat_task_main, &run->tasks[i], i % max(cpus - 1, 1u));
		if (err)
			atomic_dec(&run->running);
	}
	for (i = 0; i < cpus - 1 && !err; i++)
		err = sat_start_one(run, sat_keeper_main, run, i);
	if (err)
		return err;
	return set_cpus_allowed_ptr(current, cpumask_of(cpumask_nth(cpus - 1, cpu_online_mask)));
}

static int sat_alloc(struct sat_run *run)
{
	unsigned int i;

	run->used = bitmap_zalloc(BENCH_IDS, GFP_KERNEL);
	run->tasks = kvcalloc(run->c->threads, sizeof(*run->tasks), GFP_KERNEL);
	if (!run->used || !run->tasks)
		return -ENOMEM;
	for (i = 0; i < run->c->threads; i++) {
		run->tasks[i].run = run;
		run->tasks[i].seed = i;
		run->tasks[i].reqs = kvcalloc(SAT_WIRE, sizeof(struct bench_req), GFP_KERNEL);
		if (!run->tasks[i].reqs)
			return -ENOMEM;
	}
	return 0;
}

static void sat_free(struct sat_run *run)
{
	unsigned int i;

	for (i = 0; run->tasks && i < run->c->threads; i++)
		kvfree(run->tasks[i].reqs);
	kvfree(run->tasks);
	bitmap_free(run->used);
	kvfree(run);
}

static int sat_run(struct sat_run *run, struct bench_sample *sample)
{
	u64 cycles, ns = 1;
	unsigned int i;
	int err;

	err = sat_start(run);
	if (err)
		WRITE_ONCE(run->phase, SAT_STOP);
	sample->disturbed = bench_is_disturbed();
	cycles = sat_receive(run, &ns);
	sample->disturbed |= bench_is_disturbed();
	for (i = 0; i < run->started; i++)
		wait_for_completion(&run->done);
	err = err ?: sat_err(run);
	if (!err)
		sat_result(run, cycles, ns, sample);
	return err;
}

/* Measures one baseline once. */
int bench_sat(const struct bench_case *c, const struct bench_baseline *baseline,
	      struct bench_sample *sample)
{
	struct sat_run *run = kvzalloc(sizeof(*run), GFP_KERNEL);
	int err;

	if (!run)
		return -ENOMEM;
	run->c = c;
	run->baseline = baseline;
	run->ok = true;
	init_completion(&run->done);
	err = sat_alloc(run);
	if (err)
		goto out;
	run->table = baseline->create(c->max);
	err = PTR_ERR_OR_ZERO(run->table);
	if (err)
		goto out;
	if (baseline->open)
		err = baseline->open(run->table, 1, c->max);
	if (!err)
		err = sat_run(run, sample);
	baseline->destroy(run->table);
out:
	sat_free(run);
	return err;
}
