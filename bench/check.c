// SPDX-License-Identifier: GPL-2.0
/* Properties other than speed: reuse of ids, reach of free slots, memory, allocations */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <trace/events/kmem.h>

#include "bench.h"
#include "load.h"

#define BENCH_MEMORY_BYTES	(8u << 20)
#define BENCH_MEMORY_TABLES	8192u
#define BENCH_MEMORY_WINDOWS	256u	/* fewer: to destroy one takes a grace period */
#define BENCH_REUSE_CHUNK	65536u	/* associates between checks of the time */
#define BENCH_ONE_FREE_ROUNDS	64	/* for each pair of CPUs */

/**
 * struct bench_set - a table and its requests, without threads
 * @baseline: the baseline
 * @table: its table
 * @reqs: the requests
 * @ids: their ids
 * @filled: number of requests in flight
 * @one: the request that is dissociated and associated again
 */
struct bench_set {
	const struct bench_baseline *baseline;
	void *table;
	struct bench_req *reqs;
	u32 *ids;
	unsigned int filled;
	unsigned int one;
};

/* An open window has credits for @depth requests. */
static void *bench_open(const struct bench_baseline *baseline, unsigned int max,
			unsigned int depth)
{
	void *table = baseline->create(max);
	int err;

	if (IS_ERR(table) || !baseline->open)
		return table;
	err = baseline->open(table, 1, depth);
	if (!err)
		return table;
	baseline->destroy(table);
	return ERR_PTR(err);
}

static int set_fill(struct bench_set *set, unsigned int depth)
{
	int err = 0;

	while (!err && set->filled < depth) {
		err = set->baseline->associate(set->table, &set->reqs[set->filled],
					   &set->ids[set->filled]);
		if (!err)
			set->filled++;
		cond_resched();
	}
	return err;
}

/* Returns NULL as well if the map does not find the request. */
static struct bench_req *set_dissociate(struct bench_set *set, unsigned int i)
{
	struct bench_req *req = set->baseline->map(set->table, set->ids[i]);

	return req ? set->baseline->dissociate(set->table, set->ids[i], req) : NULL;
}

static int set_drain(struct bench_set *set)
{
	int err = 0;

	while (set->filled) {
		set->filled--;
		if (set_dissociate(set, set->filled) != &set->reqs[set->filled])
			err = -EBADMSG;
		cond_resched();
	}
	return err;
}

static void set_free(struct bench_set *set)
{
	if (!IS_ERR_OR_NULL(set->table))
		set->baseline->destroy(set->table);
	kvfree(set->reqs);
	kvfree(set->ids);
}

static int set_create(struct bench_set *set, const struct bench_baseline *baseline,
		      unsigned int max, unsigned int depth)
{
	int err = -ENOMEM;

	*set = (struct bench_set){ .baseline = baseline };
	set->reqs = kvcalloc(depth, sizeof(*set->reqs), GFP_KERNEL);
	set->ids = kvcalloc(depth, sizeof(*set->ids), GFP_KERNEL);
	if (set->reqs && set->ids) {
		set->table = bench_open(baseline, max, depth);
		err = PTR_ERR_OR_ZERO(set->table);
	}
	if (!err)
		err = set_fill(set, depth);
	if (err)
		set_free(set);
	return err;
}

/*
 * Reuse
 */

/* Retires and associates a request; notes the distance to the last use of its new id. */
static int reuse_once(struct bench_set *set, unsigned int i, u32 *last, u32 now,
		      u64 *least)
{
	u32 id;

	if (set_dissociate(set, i) != &set->reqs[i])
		return -EBADMSG;
	if (set->baseline->associate(set->table, &set->reqs[i], &set->ids[i]))
		return -EBADMSG;
	id = set->ids[i];
	if (id < BENCH_IDS) {
		if (last[id])
			*least = min_t(u64, *least, now - last[id]);
		last[id] = now;
	}
	return 0;
}

/*
 * Measures the smallest number of associates between two uses of one id; 0 if no id was
 * used twice.
 */
int bench_reuse(const struct bench_case *c, const struct bench_baseline *baseline,
		struct bench_sample *sample)
{
	unsigned long end = jiffies + msecs_to_jiffies(c->ms);
	u64 least = U64_MAX, seed = 0;
	struct bench_set set;
	u32 *last, now = 0;
	int err;

	last = kvcalloc(BENCH_IDS, sizeof(*last), GFP_KERNEL);
	if (!last)
		return -ENOMEM;
	err = set_create(&set, baseline, c->max, c->depth);
	if (err)
		goto out;
	do {
		err = reuse_once(&set, bench_random(&seed, c->depth), last, ++now, &least);
		cond_resched();
	} while (!err && (now % BENCH_REUSE_CHUNK || time_before(jiffies, end)));
	if (!err)
		err = set_drain(&set);
	set_free(&set);
	sample->value = least == U64_MAX ? 0 : least;
	sample->cycles = now;
out:
	kvfree(last);
	return err;
}

/*
 * Reach
 */

static long one_free_dissociate(void *arg)
{
	struct bench_set *set = arg;

	return set_dissociate(set, set->one) == &set->reqs[set->one] ? 0 : -EBADMSG;
}

static long one_free_associate(void *arg)
{
	struct bench_set *set = arg;

	return set->baseline->associate(set->table, &set->reqs[set->one],
				    &set->ids[set->one]);
}

static int one_free_round(struct bench_set *set, unsigned int from, unsigned int to,
			  u64 *failed)
{
	long err;

	err = work_on_cpu(from, one_free_dissociate, set);
	if (err)
		return err;
	err = work_on_cpu(to, one_free_associate, set);
	while (err == -ENOSPC) {
		++*failed;
		err = one_free_associate(set);
	}
	return err;
}

/*
 * The table is full except for one slot, which some CPU has freed. Counts the failed
 * associates of each other CPU.
 */
int bench_one_free(const struct bench_case *c, const struct bench_baseline *baseline,
		   struct bench_sample *sample)
{
	unsigned int round, from, to;
	struct bench_set set;
	u64 seed = 0;
	int err;

	err = set_create(&set, baseline, c->max, c->max);
	if (err)
		return err;
	*sample = (struct bench_sample){};
	for (round = 0; round < BENCH_ONE_FREE_ROUNDS; round++) {
		for_each_online_cpu(from) {
			for_each_online_cpu(to) {
				set.one = bench_random(&seed, c->max);
				err = one_free_round(&set, from, to, &sample->value);
				if (err)
					goto out;
				sample->cycles++;
			}
		}
	}
out:
	if (!err)
		err = set_drain(&set);
	set_free(&set);
	return err;
}

/*
 * Memory
 */

static u64 memory_free(void)
{
	struct sysinfo info;

	/* Waits for memory that is freed after a grace period. */
	rcu_barrier();
	si_meminfo(&info);
	return (u64)info.freeram * info.mem_unit;
}

/* Fills each of @n tables with the same requests; their ids are not kept. */
static int memory_fill(const struct bench_case *c, const struct bench_baseline *baseline,
		       void **tables, unsigned int n, struct bench_req *reqs)
{
	unsigned int i, j;
	int err;
	u32 id = 0;

	for (i = 0; i < n; i++) {
		tables[i] = bench_open(baseline, c->max, c->depth);
		if (IS_ERR(tables[i]))
			return PTR_ERR(tables[i]);
		for (j = 0; j < c->depth; j++) {
			err = baseline->associate(tables[i], &reqs[j], &id);
			if (err)
				return err;
		}
		cond_resched();
	}
	return 0;
}

/*
 * Measures the bytes of a table: the free memory that many tables take, divided by their
 * number. As many tables are filled before, to use up what the allocators have in stock.
 * Large tables are few, so their result is only exact to a page or two.
 */
int bench_memory(const struct bench_case *c, const struct bench_baseline *baseline,
		 struct bench_sample *sample)
{
	unsigned int most = baseline->open ? BENCH_MEMORY_WINDOWS : BENCH_MEMORY_TABLES;
	unsigned int i, n = clamp(BENCH_MEMORY_BYTES / (16 * c->max), 8u, most);
	struct bench_req *reqs;
	int err = -ENOMEM;
	void **tables;
	u64 before, after;

	reqs = kvcalloc(c->depth, sizeof(*reqs), GFP_KERNEL);
	tables = kvcalloc(2 * n, sizeof(*tables), GFP_KERNEL);
	if (!reqs || !tables)
		goto out;

	err = memory_fill(c, baseline, tables, n, reqs);
	before = memory_free();
	if (!err)
		err = memory_fill(c, baseline, tables + n, n, reqs);
	after = memory_free();
	sample->value = before > after ? div_u64(before - after, n) : 0;
	sample->cycles = n;

	for (i = 0; i < 2 * n && !IS_ERR_OR_NULL(tables[i]); i++)
		baseline->destroy(tables[i]);
	rcu_barrier();
out:
	kvfree(tables);
	kvfree(reqs);
	return err;
}

/*
 * Allocations
 */

/**
 * struct bench_count - slab allocations of one task, without those of its interrupts
 * @task: the task
 * @nr: how many
 */
struct bench_count {
	struct task_struct *task;
	u64 nr;
};

static void count_one(struct bench_count *count)
{
	if (in_task() && current == count->task)
		count->nr++;
}

static void count_kmalloc(void *count, unsigned long site, const void *ptr, size_t wanted,
			  size_t got, gfp_t gfp, int node)
{
	count_one(count);
}

static void count_cache(void *count, unsigned long site, const void *ptr,
			struct kmem_cache *cache, gfp_t gfp, int node)
{
	count_one(count);
}

static int count_start(struct bench_count *count)
{
	int err = register_trace_kmalloc(count_kmalloc, count);

	if (err)
		return err;
	err = register_trace_kmem_cache_alloc(count_cache, count);
	if (err)
		unregister_trace_kmalloc(count_kmalloc, count);
	return err;
}

static void count_stop(struct bench_count *count)
{
	unregister_trace_kmem_cache_alloc(count_cache, count);
	unregister_trace_kmalloc(count_kmalloc, count);
	tracepoint_synchronize_unregister();
}

/*
 * Counts the slab allocations while @others requests are retired and associated again, with
 * the allocator's own trace events. To register a probe allocates, too.
 */
int bench_allocations(const struct bench_case *c, const struct bench_baseline *baseline,
		      struct bench_sample *sample)
{
	struct bench_count count = { .task = current };
	struct bench_set set;
	unsigned int i, n;
	u64 seed = 0;
	int err;

	err = set_create(&set, baseline, c->max, c->depth);
	if (err)
		return err;
	err = count_start(&count);
	if (err)
		goto out;
	count.nr = 0;
	for (n = 0; !err && n < c->others; n++) {
		i = bench_random(&seed, c->depth);
		if (set_dissociate(&set, i) != &set.reqs[i])
			err = -EBADMSG;
		else
			err = baseline->associate(set.table, &set.reqs[i], &set.ids[i]);
		cond_resched();
	}
	sample->value = count.nr;
	count_stop(&count);
	if (!err)
		err = set_drain(&set);
	sample->cycles = n;
out:
	set_free(&set);
	return err;
}
