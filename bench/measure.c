// SPDX-License-Identifier: GPL-2.0
/*
 * One measurement: a table, requests in flight, and threads that retire them and associate
 * them again
 *
 * The result is the time that a thread, or a pair of threads, takes for one cycle.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>

#include "bench.h"
#include "load.h"

#define BENCH_BATCH		64u	/* the most tokens that a pair hands over at a time */
#define BENCH_WINDOW		4	/* batches by which a pair may drift apart */
#define BENCH_CHUNK_NS		(25 * NSEC_PER_USEC)
#define BENCH_TIMEOUT		4	/* times the duration, for a CPU without disturbance */
#define BENCH_GAPS		64	/* allocations of random sizes, see run_move() */
#define BENCH_WARM_UP_NS	(50 * NSEC_PER_MSEC)
#define BENCH_TRIPS		512	/* of a cache line, to measure its latency */

/**
 * struct bench_thread - one of the threads of a measurement
 * @run: the measurement
 * @load: its requests; a pair shares them
 * @loop: its loop
 * @task: the task
 * @cycles: cycles that it ran; 0 for a consumer
 * @ns: duration of @cycles
 * @disturbed: its CPU was shared with another guest
 * @trips_ns: the longest thread_trips()
 * @turn: the value of bench_run::turn at which this thread is next
 * @ok: all results were right
 */
struct bench_thread {
	struct bench_run *run;
	struct bench_load *load;
	bench_loop_fn *loop;
	struct task_struct *task;
	u64 cycles;
	u64 ns;
	u64 trips_ns;
	unsigned int turn;
	bool disturbed;
	bool ok;
};

/**
 * struct bench_run - a measurement
 * @c: the case
 * @baseline: the baseline
 * @table: its table
 * @used: the ids in flight, while the table is exactly full
 * @loads: one for each thread, or for each pair
 * @nr_loads: number of loads
 * @threads: the threads
 * @ready: number of threads that have not yet started
 * @turn: counts the trips of a cache line from thread to thread
 * @done: completed by each thread
 * @gaps: allocations that move the others to other addresses
 * @percpu_gap: the same for per-CPU memory
 */
struct bench_run {
	const struct bench_case *c;
	const struct bench_baseline *baseline;
	void *table;
	unsigned long *used;
	struct bench_load *loads;
	unsigned int nr_loads;
	struct bench_thread *threads;
	atomic_t ready;
	atomic_t turn;
	struct completion done;
	void *gaps[BENCH_GAPS];
	void __percpu *percpu_gap;
};

/*
 * Disturbance by other guests
 *
 * A virtual CPU shares its core with other guests. Code that is limited by its number of
 * instructions then takes up to twice as long; code that waits for memory or for atomic
 * operations does not. That distorts the ratios, so a calibration loop of the former kind
 * detects it.
 */

static u64 bench_probe_once(void)
{
	u64 a = 1, b = 2, c = 3, d = 4, start = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < 8192; i++) {
		a ^= a << 13;
		b ^= b << 13;
		c ^= c << 13;
		d ^= d << 13;
		OPTIMIZER_HIDE_VAR(a);
		OPTIMIZER_HIDE_VAR(b);
		OPTIMIZER_HIDE_VAR(c);
		OPTIMIZER_HIDE_VAR(d);
	}
	return ktime_get_ns() - start;
}

/* More than an eighth above the shortest time so far? */
static bool bench_is_slow(u64 ns)
{
	static DEFINE_SPINLOCK(lock);
	static u64 best = U64_MAX;
	bool slow;

	spin_lock(&lock);
	best = min(best, ns);
	slow = ns > best + best / 8;
	spin_unlock(&lock);
	return slow;
}

/* The best of three, so that a timer interrupt does not count */
bool bench_is_disturbed(void)
{
	return bench_is_slow(min3(bench_probe_once(), bench_probe_once(),
				  bench_probe_once()));
}

/*
 * Distance between the CPUs
 *
 * The host moves virtual CPUs from core to core. A cache line takes several times as long
 * between two cores that share no cache, and PC mostly consists of such transfers.
 */

/* Passes a cache line from thread to thread, once all threads have arrived. */
static u64 thread_trips_once(struct bench_thread *thread)
{
	atomic_t *turn = &thread->run->turn;
	unsigned int i;
	u64 start = 0;

	for (i = 0; i <= BENCH_TRIPS; i++) {
		while (atomic_read(turn) != thread->turn)
			cpu_relax();
		if (i == 1)
			start = ktime_get_ns();
		atomic_set(turn, thread->turn + 1);
		thread->turn += thread->run->c->threads;
	}
	return ktime_get_ns() - start;
}

static u64 thread_trips(struct bench_thread *thread)
{
	if (thread->run->c->threads == 1)
		return 0;
	return min3(thread_trips_once(thread), thread_trips_once(thread),
		    thread_trips_once(thread));
}

/*
 * Is the latency of a cache line more than three times the lowest so far? The lowest is that
 * of two hyperthreads of one core; two cores that share a cache must not count as far apart.
 */
static bool run_is_far_apart(const struct bench_run *run)
{
	static u64 nearest = U64_MAX;
	u64 farthest = 0;
	unsigned int i;

	if (run->c->threads == 1)
		return false;
	for (i = 0; i < run->c->threads; i++)
		farthest = max(farthest, run->threads[i].trips_ns);
	nearest = min(nearest, farthest);
	return farthest / 3 > nearest;
}

static bool run_was_disturbed(const struct bench_run *run)
{
	unsigned int i;

	for (i = 0; i < run->c->threads; i++) {
		if (run->threads[i].disturbed)
			return true;
	}
	return run_is_far_apart(run);
}

/*
 * Loads
 */

static void load_free(struct bench_load *load)
{
	kvfree(load->reqs);
	kvfree(load->ids);
	kvfree(load->ring);
	kvfree(load->pool);
}

static int load_alloc(struct bench_load *load, unsigned int depth)
{
	load->depth = depth;
	load->reqs = kvcalloc(depth, sizeof(*load->reqs), GFP_KERNEL);
	/* Rounded up so that two loads share no cache line */
	load->ids = kvcalloc(round_up(depth, BENCH_BATCH), sizeof(*load->ids), GFP_KERNEL);
	load->ring = kvcalloc(depth, sizeof(*load->ring), GFP_KERNEL);
	load->pool = kvcalloc(depth, sizeof(*load->pool), GFP_KERNEL);
	if (!load->reqs || !load->ids || !load->ring || !load->pool)
		return -ENOMEM;
	return 0;
}

/* Proposes each @step'th id from @first on, in random order. */
static void load_propose(struct bench_load *load, unsigned int first, unsigned int step)
{
	unsigned int i, other;
	u64 seed = first;

	for (i = 0; i < load->depth; i++)
		load->ids[i] = first + i * step;
	for (i = load->depth - 1; i; i--) {
		other = bench_random(&seed, i + 1);
		swap(load->ids[i], load->ids[other]);
	}
}

static int load_fill(struct bench_load *load, const struct bench_baseline *baseline)
{
	unsigned int i;
	int err;

	for (i = 0; i < load->depth; i++) {
		err = baseline->associate(load->table, &load->reqs[i], &load->ids[i]);
		if (err)
			return err;
		if (load->used && test_and_set_bit(load->ids[i], load->used))
			return -EBADMSG;
		cond_resched();
	}
	return 0;
}

/*
 * Distributes the requests of a pair: all into the ring if they are retired in order, else
 * some batches into the ring and the others into the pool.
 */
static void load_lay_out(struct bench_load *load)
{
	struct bench_token *token;
	unsigned int i;

	load->batch = clamp(load->depth / 8, 1u, BENCH_BATCH);
	load->size = load->depth;
	if (load->order.random)
		load->size = min(load->depth, BENCH_WINDOW * load->batch);
	load->held = load->depth - load->size;
	load->order.below = load->held;
	load->least = load->batch;
	if (load->size > BENCH_WINDOW * load->batch)
		load->least = load->size - (BENCH_WINDOW - 1) * load->batch;
	load->produced = load->size;
	load->consumed = 0;

	for (i = 0; i < load->depth; i++) {
		token = i < load->size ? &load->ring[i] : &load->pool[i - load->size];
		*token = (struct bench_token){ .req = i, .id = load->ids[i] };
	}
}

/* The @i-th request in flight; false if there are fewer */
static bool load_in_flight(const struct bench_load *load, unsigned int i,
			   struct bench_token *token)
{
	unsigned int in_ring = load->produced - load->consumed;

	if (!load->size) {
		if (i < load->depth)
			*token = (struct bench_token){ .req = i, .id = load->ids[i] };
		return i < load->depth;
	}
	if (i < in_ring)
		*token = load->ring[(load->tail + i) % load->size];
	else if (i < in_ring + load->held)
		*token = load->pool[i - in_ring];
	return i < in_ring + load->held;
}

static bool load_drain(const struct bench_load *load, const struct bench_baseline *baseline)
{
	struct bench_token token;
	struct bench_req *req;
	unsigned int i;
	bool ok = true;

	for (i = 0; load_in_flight(load, i, &token); i++) {
		req = &load->reqs[token.req];
		ok &= baseline->map(load->table, token.id) == req;
		ok &= baseline->dissociate(load->table, token.id, req) == req;
		cond_resched();
	}
	return ok;
}

/*
 * Threads
 */

/* Mixes the ids, as a long run would. */
static void thread_warm_up(struct bench_thread *thread)
{
	u64 end = ktime_get_ns() + BENCH_WARM_UP_NS;
	struct bench_load *load = thread->load;
	unsigned int others = thread->run->c->old ? thread->run->c->others : 0;
	unsigned int cycles;

	for (cycles = 0; cycles < max(2 * load->depth + 1000, others); cycles += 64) {
		thread->ok &= thread->run->baseline->churn(load, 64);
		cond_resched();
		if (cycles >= others && ktime_get_ns() > end)
			break;
	}
}

/* Waits for the other threads. */
static void thread_start(struct bench_thread *thread)
{
	atomic_t *ready = &thread->run->ready;

	thread->disturbed = bench_is_disturbed();
	atomic_dec(ready);
	while (atomic_read(ready))
		cpu_relax();
	thread->trips_ns = thread_trips(thread);
}

static void thread_end(struct bench_thread *thread)
{
	thread->disturbed |= bench_is_disturbed();
	thread->trips_ns = max(thread->trips_ns, thread_trips(thread));
}

/* The duration of the measurement */
static u64 thread_ns(const struct bench_thread *thread)
{
	return (u64)thread->run->c->ms * NSEC_PER_MSEC;
}

/* The number of cycles between two reads of the clock */
static unsigned int thread_chunk(struct bench_thread *thread)
{
	u64 start = ktime_get_ns();

	thread->ok &= thread->loop(thread->load, 16);
	return clamp_t(u64, div64_u64(16 * BENCH_CHUNK_NS, ktime_get_ns() - start + 1),
		       1, 8192);
}

static void thread_run(struct bench_thread *thread)
{
	unsigned int chunk = thread_chunk(thread);
	u64 begin = ktime_get_ns();

	do {
		thread->ok &= thread->loop(thread->load, chunk);
		thread->cycles += chunk;
		cond_resched();
		thread->ns = ktime_get_ns() - begin;
	} while (thread->ns < thread_ns(thread));
}

/*
 * Disturbances mostly last tens of microseconds. A thread that is alone calibrates after
 * each chunk, and only chunks between two calibrations that were not slow count. If there
 * are too few, all chunks count and the measurement is disturbed.
 */
static void thread_run_alone(struct bench_thread *thread)
{
	unsigned int chunk = thread_chunk(thread);
	u64 wanted = thread_ns(thread), ns = 0, cycles = 0, start, took;
	bool slow = bench_is_slow(bench_probe_once()), was_slow;

	do {
		start = ktime_get_ns();
		thread->ok &= thread->loop(thread->load, chunk);
		took = ktime_get_ns() - start;
		cond_resched();
		was_slow = slow;
		slow = bench_is_slow(bench_probe_once());
		ns += took;
		cycles += chunk;
		if (!slow && !was_slow) {
			thread->ns += took;
			thread->cycles += chunk;
		}
	} while (thread->ns < wanted && ns < BENCH_TIMEOUT * wanted);
	thread->disturbed = thread->ns < wanted;
	if (thread->disturbed) {
		thread->ns = ns;
		thread->cycles = cycles;
	}
}

static void thread_loop(struct bench_thread *thread)
{
	if (!thread->run->baseline->lookup_only && !thread->run->used)
		thread_warm_up(thread);
	thread_start(thread);
	if (thread->run->c->threads == 1) {
		thread_run_alone(thread);
	} else {
		thread_run(thread);
		thread_end(thread);
	}
}

/* Associates a batch once the ring has space for one. */
static void thread_produce_batch(struct bench_thread *thread)
{
	struct bench_load *load = thread->load;

	/* Pairs with the release in thread_consume(). */
	while (load->produced - smp_load_acquire(&load->consumed) >
	       load->size - load->batch) {
		cpu_relax();
		cond_resched();
	}
	thread->ok &= thread->loop(load, load->batch);
	/* Publishes the tokens; pairs with the acquire there. */
	smp_store_release(&load->produced, load->produced + load->batch);
}

static void thread_produce(struct bench_thread *thread)
{
	u64 duration = thread_ns(thread);
	struct bench_load *load = thread->load;
	u64 begin, end, now;
	unsigned int cycles;
	bool warm = false;

	thread_start(thread);
	begin = ktime_get_ns();
	end = begin + duration / 4;
	do {
		for (cycles = 0; cycles < 1024; cycles += load->batch)
			thread_produce_batch(thread);
		thread->cycles += cycles;
		now = ktime_get_ns();
		if (!warm && now >= end) {
			warm = true;
			begin = now;
			end = now + duration;
			thread->cycles = 0;
		}
	} while (now < end);
	thread->ns = now - begin;
	WRITE_ONCE(load->stop, true);
	thread_end(thread);
}

static void thread_consume(struct bench_thread *thread)
{
	struct bench_load *load = thread->load;

	thread_start(thread);
	while (!READ_ONCE(load->stop)) {
		/* Pairs with the release in thread_produce_batch(). */
		if (smp_load_acquire(&load->produced) - load->consumed < load->least) {
			cpu_relax();
			cond_resched();
			continue;
		}
		thread->ok &= thread->loop(load, load->batch);
		/* Publishes the tokens; pairs with the acquire there. */
		smp_store_release(&load->consumed, load->consumed + load->batch);
	}
	thread_end(thread);
}

static int thread_main(void *arg)
{
	struct bench_thread *thread = arg;

	if (thread->loop == thread->run->baseline->produce)
		thread_produce(thread);
	else if (thread->loop == thread->run->baseline->consume)
		thread_consume(thread);
	else
		thread_loop(thread);
	kthread_complete_and_exit(&thread->run->done, 0);
}

/* The table is exactly full except for what the threads have just dissociated. */
static bool bench_full(struct bench_load *load, unsigned int cycles)
{
	const struct bench_baseline *baseline = load->baseline;
	u64 state = load->order.state;
	bool ok = true;
	int err;

	while (cycles--) {
		unsigned int i = bench_next(&load->order, load->order.random, &state);
		struct bench_req *req = &load->reqs[i];

		clear_bit(load->ids[i], load->used);
		ok &= baseline->dissociate(load->table, load->ids[i], req) == req;
		while ((err = baseline->associate(load->table, req, &load->ids[i])) == -ENOSPC)
			load->failed++;
		ok &= !err && !test_and_set_bit(load->ids[i], load->used);
	}
	load->order.state = state;
	return ok;
}

/*
 * The measurement
 */

static bool run_has_pairs(const struct bench_run *run)
{
	return run->c->pattern == BENCH_PC;
}

static bench_loop_fn *run_loop(const struct bench_run *run, unsigned int i)
{
	switch (run->c->pattern) {
	case BENCH_PC:
		return i % 2 ? run->baseline->consume : run->baseline->produce;
	case BENCH_LOOKUP:
		return run->baseline->lookup;
	case BENCH_CHASE:
		return run->baseline->chase;
	case BENCH_FULL:
		return bench_full;
	default:
		return run->baseline->churn;
	}
}

static unsigned int thread_cpu(unsigned int i)
{
	return cpumask_nth(i, cpu_online_mask);
}

/* Creates a thread on each CPU; none of them runs yet. */
static int run_create_threads(struct bench_run *run)
{
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < run->c->threads; i++) {
		struct bench_thread *thread = &run->threads[i];

		thread->run = run;
		thread->load = &run->loads[run_has_pairs(run) ? i / 2 : i];
		thread->loop = run_loop(run, i);
		thread->turn = i;
		thread->ok = true;
		task = kthread_create(thread_main, thread, "midatlas_bench/%u", i);
		if (IS_ERR(task))
			goto err;
		kthread_bind(task, thread_cpu(i));
		thread->task = task;
	}
	return 0;

err:
	while (i--)
		kthread_stop(run->threads[i].task);
	return PTR_ERR(task);
}

static int run_threads(struct bench_run *run)
{
	unsigned int i;
	int err;

	init_completion(&run->done);
	atomic_set(&run->ready, run->c->threads);
	err = run_create_threads(run);
	if (err)
		return err;
	for (i = 0; i < run->c->threads; i++)
		wake_up_process(run->threads[i].task);
	for (i = 0; i < run->c->threads; i++)
		wait_for_completion(&run->done);
	return 0;
}

/* The first of the ids that are proposed to load @i */
static unsigned int run_first_id(const struct bench_run *run, unsigned int i)
{
	unsigned int max = run->c->max, nr = run->nr_loads;

	return i * (max / nr) + min(i, max % nr);
}

/* The CPU that associates the requests of load @i */
static const struct cpumask *load_cpu(const struct bench_run *run, unsigned int i)
{
	return cpumask_of(thread_cpu(run_has_pairs(run) ? 2 * i : i));
}

/*
 * Fills each load on its own CPU: a baseline may have a hint for each CPU, and two hints
 * that start at one place would stay there.
 */
static int run_fill(struct bench_run *run)
{
	unsigned int i;
	int err;

	for (i = 0; i < run->nr_loads; i++) {
		struct bench_load *load = &run->loads[i];

		load->table = run->table;
		load->baseline = run->baseline;
		load->used = run->used;
		load->order = (struct bench_order){
			.state = run->c->random ? i : 0,
			.below = load->depth - run->c->old,
			.random = run->c->random,
		};
		if (run->baseline->spread)
			load_propose(load, run_first_id(run, i),
				     min(run->c->max / run->c->depth, 2));
		else
			load_propose(load, run_first_id(run, i), 1);
		err = set_cpus_allowed_ptr(current, load_cpu(run, i));
		if (err)
			return err;
		err = load_fill(load, run->baseline);
		if (err)
			return err;
		if (run_has_pairs(run))
			load_lay_out(load);
	}
	return 0;
}

/* In a table that is exactly full no id is lost and none is free. */
static bool run_is_full(struct bench_run *run)
{
	struct bench_req req;
	u32 id = 0;

	return bitmap_weight(run->used, BENCH_IDS) == run->c->max &&
	       run->baseline->associate(run->table, &req, &id) != 0;
}

static int run_verdict(struct bench_run *run)
{
	unsigned int i;
	bool ok = true;

	if (run->used)
		ok &= run_is_full(run);
	for (i = 0; i < run->nr_loads; i++)
		ok &= load_drain(&run->loads[i], run->baseline);
	for (i = 0; i < run->c->threads; i++)
		ok &= run->threads[i].ok;
	return ok ? 0 : -EBADMSG;
}

static void run_result(struct bench_run *run, struct bench_sample *sample)
{
	u64 ns = 0, cycles = 0, failed = 0;
	unsigned int i;

	for (i = 0; i < run->c->threads; i++) {
		ns += run->threads[i].ns;
		cycles += run->threads[i].cycles;
	}
	for (i = 0; i < run->nr_loads; i++)
		failed += run->loads[i].failed;
	sample->cycles = cycles;
	sample->value = run->used ? failed : div64_u64(ns * 1000, cycles);
	sample->disturbed = !run->used && run_was_disturbed(run);
}

/* The depth of load @i; depths differ by at most one. */
static unsigned int run_depth(const struct bench_run *run, unsigned int i)
{
	unsigned int depth = run->c->depth / run->nr_loads;

	return max(depth + (i < run->c->depth % run->nr_loads), 1u) + run->c->old;
}

/* Opens a window to all requests at once. */
static int run_open(struct bench_run *run)
{
	unsigned int i, credits = run->c->spare;

	if (!run->baseline->open)
		return 0;
	for (i = 0; i < run->nr_loads; i++)
		credits += run->loads[i].depth * run->c->charge;
	return run->baseline->open(run->table, run->c->charge, credits);
}

/*
 * Some combinations of addresses cost a tenth more, and an allocator tends to return what
 * was freed last. Gaps of random size give a baseline other addresses in each round.
 */
static void run_move(struct bench_run *run)
{
	unsigned int i;

	/* An allocation that fails leaves no gap. */
	for (i = 0; i < BENCH_GAPS; i++)
		run->gaps[i] = kmalloc(64 << get_random_u32() % 8, GFP_KERNEL);
	run->percpu_gap = __alloc_percpu(64 << get_random_u32() % 5, 64);
}

static int run_alloc(struct bench_run *run)
{
	unsigned int i;

	run_move(run);
	run->nr_loads = run_has_pairs(run) ? run->c->threads / 2 : run->c->threads;
	run->threads = kcalloc(run->c->threads, sizeof(*run->threads), GFP_KERNEL);
	run->loads = kcalloc(run->nr_loads, sizeof(*run->loads), GFP_KERNEL);
	if (!run->threads || !run->loads)
		return -ENOMEM;
	if (run->c->pattern == BENCH_FULL) {
		run->used = bitmap_zalloc(BENCH_IDS, GFP_KERNEL);
		if (!run->used)
			return -ENOMEM;
	}
	for (i = 0; i < run->nr_loads; i++)
		if (load_alloc(&run->loads[i], run_depth(run, i)))
			return -ENOMEM;
	return 0;
}

static void run_free(struct bench_run *run)
{
	unsigned int i;

	for (i = 0; run->loads && i < run->nr_loads; i++)
		load_free(&run->loads[i]);
	bitmap_free(run->used);
	kfree(run->loads);
	kfree(run->threads);
	for (i = 0; i < BENCH_GAPS; i++)
		kfree(run->gaps[i]);
	free_percpu(run->percpu_gap);
}

const char *bench_name = "bench";

/* Measures one baseline once. */
int bench_measure(const struct bench_case *c, const struct bench_baseline *baseline,
		  struct bench_sample *sample)
{
	struct bench_run run = { .c = c, .baseline = baseline };
	int err;

	err = run_alloc(&run);
	if (err)
		goto out;
	bench_name = c->read ? "read" : "bench";
	run.table = baseline->create(c->max + c->old);
	if (IS_ERR(run.table)) {
		err = PTR_ERR(run.table);
		goto out;
	}
	err = run_open(&run);
	if (!err)
		err = run_fill(&run);
	if (!err)
		err = run_threads(&run);
	if (!err)
		err = run_verdict(&run);
	if (!err)
		run_result(&run, sample);
	baseline->destroy(run.table);
out:
	run_free(&run);
	return err;
}
