/* SPDX-License-Identifier: GPL-2.0 */
/*
 * large - many connections, large ones, and for how long interrupts are off
 *
 * A module of its own: it includes the source of the atlas or of the window after this file,
 * and so measures the time under each lock that disables interrupts, by function.  A host
 * that takes the CPU away looks like a long time.  So each case is repeated, and for each call
 * the least time of all repetitions counts.
 *
 * The results are lines in the kernel log that begin with "= ".
 */
#ifndef _MIDATLAS_LARGE_H
#define _MIDATLAS_LARGE_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#define LARGE_MIDS		65535
#define LARGE_CONNECTIONS	1000
#define LARGE_TASKS		200	/* that wait */
#define LARGE_FUNCTIONS		16	/* that have interrupts off in a case */
#define LARGE_ALL_FUNCTIONS	96
#define LARGE_CALLS		131072	/* of a function in a case */

static unsigned int repeats = 9;
module_param(repeats, uint, 0444);
MODULE_PARM_DESC(repeats, "how often each case is measured");

/**
 * struct large_off - for how long a function had interrupts off
 * @function: the function that enabled them again
 * @calls: how often, in this repetition
 * @fewest: calls in the repetition that had the fewest
 * @known: calls of which @ns has a time
 * @ns: for each call the least time of all repetitions
 */
struct large_off {
	const char *function;
	unsigned int calls;
	unsigned int fewest;
	unsigned int known;
	u32 *ns;
};

/**
 * struct large_case - calls that are made @repeats times
 * @name: what they are
 * @run: makes them
 * @nr_offs: how many functions had interrupts off
 * @off: which
 */
struct large_case {
	const char *name;
	int (*run)(void);
	unsigned int nr_offs;
	struct large_off off[LARGE_FUNCTIONS];
};

static struct large_case *large_case;
static DEFINE_RAW_SPINLOCK(large_case_lock);
static DEFINE_PER_CPU(u64, large_off_since);
static u32 (*large_ns)[LARGE_CALLS];
static unsigned int large_nr_ns;

static void large_note_off(const char *function, u32 ns)
{
	struct large_case *c = large_case;
	struct large_off *off = c->off;
	unsigned int i;

	raw_spin_lock(&large_case_lock);
	while (off < c->off + c->nr_offs && strcmp(off->function, function))
		off++;
	if (off == c->off + c->nr_offs && c->nr_offs < LARGE_FUNCTIONS &&
	    large_nr_ns < LARGE_ALL_FUNCTIONS) {
		c->nr_offs++;
		*off = (struct large_off){
			.function = function, .fewest = UINT_MAX, .ns = large_ns[large_nr_ns++],
		};
	}
	if (!WARN_ON_ONCE(off == c->off + c->nr_offs)) {
		i = min(off->calls++, LARGE_CALLS - 1u);
		off->ns[i] = i < off->known ? min(off->ns[i], ns) : ns;
		off->known = max(off->known, i + 1);
	}
	raw_spin_unlock(&large_case_lock);
}

static unsigned long large_lock(raw_spinlock_t *lock)
{
	unsigned long flags;

	local_irq_save(flags);
	__this_cpu_write(large_off_since, ktime_get_mono_fast_ns());
	raw_spin_lock(lock);
	return flags;
}

static void large_unlock(raw_spinlock_t *lock, unsigned long flags, const char *function)
{
	u64 ns = ktime_get_mono_fast_ns() - __this_cpu_read(large_off_since);

	raw_spin_unlock(lock);
	large_note_off(function, ns);
	local_irq_restore(flags);
}

static void large_print_off(const struct large_case *c, const struct large_off *off)
{
	unsigned int i;
	u32 most = 0;

	for (i = 0; i < min(off->fewest, off->known); i++)
		most = max(most, off->ns[i]);
	pr_info("= off,%s,%s,%u\n", c->name, off->function, most);
}

/* Runs the cases in order, @repeats times, and prints what had interrupts off. */
static int large_run(struct large_case *cases, unsigned int n)
{
	struct large_case *c;
	unsigned int i, j;
	int err = 0;

	large_ns = kvcalloc(LARGE_ALL_FUNCTIONS, sizeof(*large_ns), GFP_KERNEL);
	if (!large_ns)
		return -ENOMEM;
	for (i = 0; i < repeats && !err; i++) {
		for (c = cases; c < cases + n && !err; c++) {
			large_case = c;
			err = c->run();
			if (err)
				pr_err("%s: error %d\n", c->name, err);
			for (j = 0; j < c->nr_offs; j++) {
				c->off[j].fewest = min(c->off[j].fewest, c->off[j].calls);
				c->off[j].calls = 0;
			}
		}
	}
	for (c = cases; c < cases + n && !err; c++)
		for (j = 0; j < c->nr_offs; j++)
			large_print_off(c, &c->off[j]);
	return err;
}

/* Prints how long each of @n calls took since @since. */
static void large_print_since(const char *what, u64 since, unsigned int n)
{
	pr_info("= %s,%llu,ns\n", what, div_u64(ktime_get_ns() - since, n));
}

static u64 large_memory(void)
{
	struct sysinfo info;

	rcu_barrier();
	si_meminfo(&info);
	return -(u64)info.freeram * info.mem_unit;
}

/* Prints how much memory each of @n objects took since @before. */
static void large_print_memory(const char *what, u64 before, unsigned int n)
{
	pr_info("= %s,%llu,bytes\n", what, div_u64(large_memory() - before, n));
}

/* LARGE_TASKS tasks that run @fn, which waits and returns */
static struct task_struct *large_tasks[LARGE_TASKS];

static int large_start(int (*fn)(void *nr))
{
	struct task_struct *task;
	unsigned long i;

	for (i = 0; i < LARGE_TASKS; i++) {
		task = kthread_create(fn, (void *)i, "large/%lu", i);
		if (IS_ERR(task))
			return PTR_ERR(task);
		large_tasks[i] = get_task_struct(task);
		wake_up_process(task);
	}
	/* Until all of them wait */
	msleep(100);
	return 0;
}

static void large_stop(void)
{
	unsigned int i;

	for (i = 0; i < LARGE_TASKS && large_tasks[i]; i++) {
		kthread_stop(large_tasks[i]);
		put_task_struct(large_tasks[i]);
		large_tasks[i] = NULL;
	}
}

/* A task that has done its part ends when it is told to. */
static int large_done(void)
{
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

/* The source that follows takes its locks in this way, and does not start by itself. */
#pragma push_macro("module_init")
#pragma push_macro("module_exit")
#undef pr_fmt
#undef raw_spin_lock_irqsave
#undef raw_spin_unlock_irqrestore
#undef module_init
#undef module_exit
#define raw_spin_lock_irqsave(lock, flags)	((flags) = large_lock(lock))
#define raw_spin_unlock_irqrestore(lock, flags)	large_unlock(lock, flags, __func__)
#define module_init(f)	static initcall_t large_source_init __initdata = (f)
#define module_exit(f)	static exitcall_t large_source_exit __refdata = (f)

/* On PREEMPT_RT these leave interrupts on. */
#ifndef CONFIG_PREEMPT_RT
#undef spin_lock_irqsave
#undef spin_unlock_irqrestore
#define spin_lock_irqsave(lock, flags)		((flags) = large_lock(&(lock)->rlock))
#define spin_unlock_irqrestore(lock, flags)	large_unlock(&(lock)->rlock, flags, __func__)
#endif

#endif /* _MIDATLAS_LARGE_H */
