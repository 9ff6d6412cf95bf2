/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midatlas_kunit - what the test modules of the MID atlas share
 */
#ifndef _MIDATLAS_KUNIT_H
#define _MIDATLAS_KUNIT_H

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/math.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "../../midatlas.h"

#define MID_VALUES	0x10000		/* all that the wire can carry */
#define SERVER_MID	0xffff		/* never handed out */
#define UNTOUCHED	0x5a5a		/* stays in *mid when associate fails */

/* Where all is slow, as under a sanitizer, long runs and races can be cut to a part. */
static unsigned int part = 1;
module_param(part, uint, 0444);
MODULE_PARM_DESC(part, "Of long runs and races, one in so many turns is run");
#define PART_OF(n)	DIV_ROUND_UP(n, part ?: 1)

/* A context that is only a number.  0 would be NULL, which is none. */
static inline void *nr_ctx(unsigned long nr)
{
	return (void *)(nr + 1);
}

static inline unsigned long ctx_nr(const void *ctx)
{
	return (unsigned long)ctx - 1;
}

static inline void *map_rcu(struct mid_atlas *atlas, u16 mid)
{
	void *ctx;

	rcu_read_lock();
	ctx = mid_atlas_map(atlas, mid);
	rcu_read_unlock();
	return ctx;
}

static inline void test_free(struct kunit_resource *res)
{
	kvfree(res->data);
}

/* Zeroed, and freed after the test.  Large ones do not need adjacent pages. */
static inline void *test_alloc(struct kunit *test, size_t size)
{
	void *p = kvzalloc(size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p = kunit_alloc_resource(test, NULL, test_free, GFP_KERNEL, p);
	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

/*
 * Two CPUs
 */

struct racer {
	void (*run)(void *arg, int side);
	void *arg;
	int side;
	struct completion done;
};

static inline int racer_thread(void *data)
{
	struct racer *racer = data;

	racer->run(racer->arg, racer->side);
	kthread_complete_and_exit(&racer->done, 0);
}

/* Calls @run(@arg, 0) and @run(@arg, 1) at once, each on a CPU of its own. */
static inline void race(struct kunit *test, void (*run)(void *, int), void *arg)
{
	struct racer racer[2];
	struct task_struct *task[2];
	int side;

	for (side = 0; side < 2; side++) {
		racer[side] = (struct racer){ run, arg, side };
		init_completion(&racer[side].done);
		task[side] = kthread_create(racer_thread, &racer[side],
					    "midatlas_race/%d", side);
		if (IS_ERR(task[side]) && side)
			kthread_stop(task[0]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task[side]);
		kthread_bind(task[side], cpumask_nth(side, cpu_online_mask));
	}
	for (side = 0; side < 2; side++)
		wake_up_process(task[side]);
	for (side = 0; side < 2; side++)
		wait_for_completion(&racer[side].done);
}

/*
 * race(), and again until @met: two CPUs that others have a use for, as under a
 * hypervisor, may not run at the same time for longer than a race takes.  Evaluates
 * to how often it was run.
 */
#define RACE_PATIENCE	(20 * HZ)
#define race_until(met, test, run, arg)					\
({									\
	unsigned long __end = jiffies + RACE_PATIENCE;			\
	unsigned int __turns = 0;					\
									\
	do {								\
		race(test, run, arg);					\
		__turns++;						\
	} while (!(met) && time_before(jiffies, __end));		\
	__turns;							\
})

/* Each side waits here for the other; again and again on one counter. */
static inline void meet(atomic_t *arrivals)
{
	int both = round_up(atomic_inc_return(arrivals), 2);

	while (atomic_read_acquire(arrivals) < both)
		cpu_relax();
}

/* For the @init of a suite of races. */
static inline int race_init(struct kunit *test)
{
	if (num_online_cpus() < 2)
		kunit_skip(test, "NO RACE WAS RUN: there is only one CPU");
	return 0;
}

/*
 * Interrupts
 */

#ifdef __has_include	/* sparse has not */
#if __has_include("kunit/run-in-irq-context.h")
#include <kunit/run-in-irq-context.h>
#endif
#endif

#ifndef _KUNIT_RUN_IN_IRQ_CONTEXT_H
static inline void kunit_run_irq_test(struct kunit *test, bool (*func)(void *),
				      int max_iterations, void *state)
{
	kunit_skip(test, "this kernel's KUnit does not run tests in interrupts");
}
#endif

#endif /* _MIDATLAS_KUNIT_H */
