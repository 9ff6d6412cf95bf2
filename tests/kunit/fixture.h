/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fixture.h - fixtures and helpers of the KUnit test modules
 *
 * There are three fixtures.  A *mirror* is an atlas and a model of it, for the
 * tests of single calls.  A *fixture* is an atlas and the tasks that wait for its
 * MIDs, for the tests of a request's lifecycle.  The tests of the window have a
 * window in test->priv, and tasks that wait for its ids.
 *
 * Neither an atlas nor a window dereferences a request, so most requests in the
 * tests are mere numbers, a new one for each call.  A call that returns the wrong
 * request is noticed.
 *
 * Code that runs in interrupts or in threads of a test only counts errors; the
 * test asserts when that code has ended.
 */
#ifndef _MIDATLAS_KUNIT_H
#define _MIDATLAS_KUNIT_H

#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "../../midatlas.h"
#include "../../midwindow.h"

/* What MODULE_IMPORT_NS() is in every kernel; its own argument has changed. */
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");

#ifndef KUNIT_CASE_SLOW			/* 6.1 */
#define KUNIT_CASE_SLOW	KUNIT_CASE
#endif

#define MID_VALUES	0x10000		/* all 16-bit values */
#define SERVER_MID	0xffff		/* never handed out */
#define UNTOUCHED	0x5a5a		/* stays in *mid when associate fails */

#define NO_TIMEOUT	MAX_SCHEDULE_TIMEOUT
#define TEST_TIMEOUT	(10 * HZ)	/* a wait that takes longer is a failure */
#define LONG_TIME	(3600 * HZ)	/* longer than any test */

/* Slow kernels, for example with a sanitizer, can run a part of the long tests. */
static unsigned int part = 1;
module_param(part, uint, 0444);
MODULE_PARM_DESC(part, "Divides the number of rounds of long runs and races");
#define PART_OF(n)	DIV_ROUND_UP(n, part ?: 1)

static unsigned int seed __maybe_unused = 20020829;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed of the random runs; a failure prints it");

static inline u32 random_below(struct rnd_state *rnd, u32 limit)
{
	return prandom_u32_state(rnd) % limit;
}

/* A request that is only a number.  Number 0 is not NULL, which is no request. */
static inline void *nr_ctx(unsigned long nr)
{
	return (void *)(nr + 1);
}

static inline unsigned long ctx_nr(const void *ctx)
{
	return (unsigned long)ctx - 1;
}

/* Every call must refuse these as a request. */
static void *const bad_requests[] __maybe_unused = {
	NULL,
	(void *)-1L,		/* ERR_PTR(-EPERM) */
	(void *)-ENOMEM,
	(void *)-EINVAL,
	(void *)-ECANCELED,
	(void *)-MAX_ERRNO,
};

static inline void *map_rcu(struct mid_atlas *atlas, u16 mid)
{
	void *ctx;

	rcu_read_lock();
	ctx = mid_atlas_map(atlas, mid);
	rcu_read_unlock();
	return ctx;
}

static inline struct mid_atlas_stats atlas_stats(struct mid_atlas *atlas)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(atlas, &stats);
	return stats;
}

static inline void sleep_jiffies(unsigned long delay)
{
	unsigned long end = jiffies + delay;

	while (time_before(jiffies, end))
		schedule_timeout_uninterruptible(end - jiffies);
}

static inline void uint_desc(const unsigned int *value, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u", *value);
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

/* ------------------------------------------------------------------------
 * Two CPUs
 */

struct race_thread {
	void (*run)(void *arg, int side);
	void *arg;
	int side;
	struct completion done;
};

static inline int race_thread(void *data)
{
	struct race_thread *thread = data;

	thread->run(thread->arg, thread->side);
	kthread_complete_and_exit(&thread->done, 0);
}

/* Calls @run(@arg, 0) and @run(@arg, 1) at once, each on a CPU of its own. */
static inline void race(struct kunit *test, void (*run)(void *, int), void *arg)
{
	struct race_thread thread[2];
	struct task_struct *task[2];
	int side;

	for (side = 0; side < 2; side++) {
		thread[side] = (struct race_thread){ run, arg, side };
		init_completion(&thread[side].done);
		task[side] = kthread_create(race_thread, &thread[side],
					    "midatlas_race/%d", side);
		if (IS_ERR(task[side]) && side)
			kthread_stop(task[0]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task[side]);
		kthread_bind(task[side], cpumask_nth(side, cpu_online_mask));
	}
	for (side = 0; side < 2; side++)
		wake_up_process(task[side]);
	for (side = 0; side < 2; side++)
		wait_for_completion(&thread[side].done);
}

/*
 * Repeats race() until @met.  Under a hypervisor the two CPUs may not run at the
 * same time for longer than a race takes.  Evaluates to the number of races.
 */
#define RACE_TIMEOUT	(20 * HZ)
#define race_until(met, test, run, arg)					\
({									\
	unsigned long __end = jiffies + RACE_TIMEOUT;			\
	unsigned int __turns = 0;					\
									\
	do {								\
		race(test, run, arg);					\
		__turns++;						\
	} while (!(met) && time_before(jiffies, __end));		\
	__turns;							\
})

/* A barrier: each side waits here for the other.  One counter serves many times. */
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

/* ------------------------------------------------------------------------
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

struct irq_call {
	void (*func)(void *arg);
	void *arg;
	struct irq_work irq_work;
	struct tasklet_struct tasklet;
	bool in_irq;
};

static inline void irq_call_hardirq(struct irq_work *work)
{
	struct irq_call *call = container_of(work, typeof(*call), irq_work);

	call->in_irq = in_hardirq();
	call->func(call->arg);
}

static inline void irq_call_softirq(struct tasklet_struct *tasklet)
{
	struct irq_call *call = container_of(tasklet, typeof(*call), tasklet);

	call->in_irq = in_serving_softirq();
	call->func(call->arg);
}

/* Calls @func(@arg) once in a hard interrupt, and returns when it has ended. */
static inline void run_in_hardirq(struct kunit *test, void (*func)(void *arg),
				  void *arg)
{
	struct irq_call call = { .func = func, .arg = arg };

	call.irq_work = IRQ_WORK_INIT_HARD(irq_call_hardirq);
	irq_work_queue(&call.irq_work);
	irq_work_sync(&call.irq_work);
	KUNIT_EXPECT_TRUE(test, call.in_irq);
}

static inline void run_in_softirq(struct kunit *test, void (*func)(void *arg),
				  void *arg)
{
	struct irq_call call = { .func = func, .arg = arg };

	tasklet_setup(&call.tasklet, irq_call_softirq);
	tasklet_schedule(&call.tasklet);
	tasklet_kill(&call.tasklet);	/* waits until it has run */
	KUNIT_EXPECT_TRUE(test, call.in_irq);
}

/* ------------------------------------------------------------------------
 * Allocations that fail
 *
 * They fail in the thread of the test, and in a thread whose current->kunit_test
 * is the test.
 */

static unsigned int alloc_calls __maybe_unused;	/* since limit_allocs() */
static unsigned int alloc_limit __maybe_unused;
static gfp_t alloc_gfp __maybe_unused;			/* of the last call */

#ifdef kunit_activate_static_stub
static inline void *limited_alloc(size_t size, gfp_t gfp)
{
	struct kunit *test = kunit_get_current_test();
	void *p;

	alloc_gfp = gfp;
	if (alloc_calls++ >= alloc_limit)
		return NULL;

	kunit_deactivate_static_stub(test, mid_atlas_alloc);
	p = mid_atlas_alloc(size, gfp);
	kunit_activate_static_stub(test, mid_atlas_alloc, limited_alloc);
	return p;
}

static inline void *limited_window_alloc(size_t size, gfp_t gfp)
{
	alloc_gfp = gfp;
	if (alloc_calls++ >= alloc_limit)
		return NULL;
	return kvzalloc(size, gfp);
}
#endif

/* From now on @limit allocations of an atlas succeed, and all further ones fail. */
static inline void limit_allocs(struct kunit *test, unsigned int limit)
{
	alloc_calls = 0;
	alloc_limit = limit;
#ifdef kunit_activate_static_stub
	kunit_activate_static_stub(test, mid_atlas_alloc, limited_alloc);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* The same for the allocations of a window. */
static inline void limit_window_allocs(struct kunit *test, unsigned int limit)
{
	alloc_calls = 0;
	alloc_limit = limit;
#ifdef kunit_activate_static_stub
	kunit_activate_static_stub(test, mid_window_alloc, limited_window_alloc);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* ------------------------------------------------------------------------
 * The shape of an atlas: its slots at the start and at most
 */

struct shape {
	unsigned int max_mids;
	unsigned int initial_mids;
};

static inline void shape_desc(const struct shape *shape, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "max %u, initial %u",
		 shape->max_mids, shape->initial_mids);
}

/* ------------------------------------------------------------------------
 * The mirror
 *
 * The model of the atlas is an array with one pointer for each of the 65,536
 * MIDs.  Each mirror_*() function makes one call, compares the result with the
 * model and updates the model.
 */

struct mirror {
	struct kunit *test;
	struct mid_atlas *atlas;
	unsigned long step;	/* calls so far: says where a failure was */
	unsigned int used;
	void *ctx[MID_VALUES];	/* the model: what each MID must map to */
	DECLARE_BITMAP(live, MID_VALUES);	/* entries of ctx[] that are not NULL */
};

static inline void mirror_assert(struct mirror *m, void *got, void *expected,
				 u16 mid, const char *call)
{
	KUNIT_ASSERT_PTR_EQ_MSG(m->test, got, expected,
				"%s of MID %#06x at step %lu, seed %u",
				call, mid, m->step, seed);
}

static inline void mirror_release(struct kunit_resource *res)
{
	struct mirror *m = res->data;

	mid_atlas_destroy(m->atlas, NULL, NULL);
}

static inline struct mirror *mirror_create(struct kunit *test,
					   unsigned int max_mids,
					   unsigned int initial_mids)
{
	struct mirror *m = test_alloc(test, sizeof(*m));
	struct mid_atlas *atlas;

	/* The resource comes first: destroy accepts an atlas of NULL. */
	m->test = test;
	KUNIT_ASSERT_NOT_NULL(test,
			      kunit_alloc_resource(test, NULL, mirror_release,
						   GFP_KERNEL, m));
	atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, atlas);
	m->atlas = atlas;
	return m;
}

static inline struct mirror *mirror_of(struct kunit *test)
{
	const struct shape *shape = test->param_value;

	return mirror_create(test, shape->max_mids, shape->initial_mids);
}

/* Notes the result of an associate; @mid was UNTOUCHED before. */
static inline int mirror_note(struct mirror *m, int err, void *ctx, u16 mid)
{
	struct kunit *test = m->test;

	if (err) {
		KUNIT_ASSERT_EQ_MSG(test, mid, UNTOUCHED,
				    "error %d at step %lu, seed %u",
				    err, m->step, seed);
		return err;
	}
	KUNIT_ASSERT_NE_MSG(test, mid, SERVER_MID, "step %lu, seed %u",
			    m->step, seed);
	mirror_assert(m, m->ctx[mid], NULL, mid, "associate");
	m->ctx[mid] = ctx;
	__set_bit(mid, m->live);
	m->used++;
	return 0;
}

static inline int mirror_associate_gfp(struct mirror *m, void *ctx, u16 *mid,
				       gfp_t gfp)
{
	u16 new = UNTOUCHED;
	int err;

	m->step++;
	err = mid_atlas_associate(m->atlas, ctx, &new, gfp);
	if (!mirror_note(m, err, ctx, new))
		*mid = new;
	return err;
}

static inline int mirror_associate(struct mirror *m, void *ctx, u16 *mid)
{
	return mirror_associate_gfp(m, ctx, mid, GFP_KERNEL);
}

/* An associate that must succeed. */
static inline u16 mirror_take(struct mirror *m)
{
	u16 mid = SERVER_MID;
	int err = mirror_associate(m, nr_ctx(m->step), &mid);

	KUNIT_ASSERT_EQ_MSG(m->test, err, 0, "step %lu, %u in use, seed %u",
			    m->step, m->used, seed);
	return mid;
}

/* Takes all free MIDs and returns their number. */
static inline unsigned int mirror_fill(struct mirror *m)
{
	unsigned int taken = 0;
	u16 mid;
	int err;

	while (!(err = mirror_associate(m, nr_ctx(m->step), &mid)))
		taken++;
	KUNIT_ASSERT_EQ_MSG(m->test, err, -ENOSPC, "%u in use", m->used);
	return taken;
}

static inline void mirror_map(struct mirror *m, u16 mid)
{
	m->step++;
	mirror_assert(m, map_rcu(m->atlas, mid), m->ctx[mid], mid, "map");
}

static inline void *mirror_dissociate(struct mirror *m, u16 mid)
{
	void *ctx;

	m->step++;
	ctx = mid_atlas_dissociate(m->atlas, mid);
	mirror_assert(m, ctx, m->ctx[mid], mid, "dissociate");
	m->used -= !!ctx;
	__clear_bit(mid, m->live);
	m->ctx[mid] = NULL;
	return ctx;
}

static inline void *mirror_reassociate(struct mirror *m, u16 mid)
{
	void *new_ctx = nr_ctx(m->step++), *old_ctx;

	old_ctx = mid_atlas_reassociate(m->atlas, mid, new_ctx);
	mirror_assert(m, old_ctx, m->ctx[mid], mid, "reassociate");
	if (old_ctx)
		m->ctx[mid] = new_ctx;
	return old_ctx;
}

static inline void mirror_empty(struct mirror *m)
{
	unsigned int mid;

	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_dissociate(m, mid);
	KUNIT_ASSERT_EQ(m->test, m->used, 0);
}

/* Maps every 16-bit value. */
static inline void mirror_check(struct mirror *m)
{
	unsigned int mid;

	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_map(m, mid);
}

/*
 * Makes a mixture of all states: MIDs of a slot's first generation and of later
 * ones, reassociated MIDs, freed MIDs, and values that were never in use.
 */
static inline void mirror_mix(struct mirror *m)
{
	unsigned int freed = 0, mid;

	mirror_fill(m);
	for (mid = 0; mid < MID_VALUES; mid++) {
		if (mid % 3 == 0)
			freed += !!mirror_dissociate(m, mid);
		else if (mid % 3 == 1)
			mirror_reassociate(m, mid);
	}
	KUNIT_ASSERT_GT(m->test, freed, 1);
	for (mid = 0; mid < freed / 2; mid++)
		mirror_take(m);
}

/* The requests that a destructor got. */
struct destructed {
	unsigned int calls;
	unsigned int irqs_off;
	void *ctx[MID_VALUES];
};

static inline void destruct(void *ctx, u16 mid, void *arg)
{
	struct destructed *d = arg;

	might_sleep();
	d->calls++;
	d->irqs_off += irqs_disabled();
	d->ctx[mid] = ctx;
}

/* Destroys the atlas: the destructor must get the requests of the model only. */
static inline void mirror_destroy(struct mirror *m, mid_ctx_fn destructor)
{
	struct destructed *d = test_alloc(m->test, sizeof(*d));
	unsigned int mid;

	mid_atlas_destroy(m->atlas, destructor, d);
	m->atlas = NULL;

	KUNIT_ASSERT_EQ(m->test, d->calls, m->used);
	KUNIT_ASSERT_EQ(m->test, d->irqs_off, 0);
	for (mid = 0; mid < MID_VALUES; mid++)
		mirror_assert(m, d->ctx[mid], m->ctx[mid], mid, "destroy");
}

/* ------------------------------------------------------------------------
 * The fixture: an atlas and the tasks that wait for its MIDs
 *
 * At the end of each test the counters must balance.  fixture_check() finds a MID
 * that is lost or has two owners: it fills the atlas, and then each MID must map
 * to the request that got it.
 */

struct fixture {
	struct kunit *test;
	struct mid_atlas *atlas;
	struct list_head waiters;	/* struct mid_waiter */
	unsigned int used;		/* requests of fixture_fill() */
	u16 mid[MID_VALUES];		/* of the requests nr_ctx(0), ... */
};

/* A thread that runs its job, by default mid_atlas_associate_wait(), when started. */
struct mid_waiter {
	struct list_head node;
	struct fixture *f;
	struct task_struct *task;
	void (*job)(struct mid_waiter *w);
	void *arg;			/* of the job */
	unsigned int starts;		/* how often the job was started */
	struct completion begun;
	struct completion done;
	bool no_memory;			/* limit_allocs() acts on the job */
	unsigned long timeout;
	unsigned long waited;
	unsigned int wrong;
	u16 mid;
	int err;
};

static inline void expect_balance(struct fixture *f)
{
	struct mid_atlas_stats s = atlas_stats(f->atlas);

	KUNIT_EXPECT_EQ(f->test, s.associated,
			s.dissociated + s.in_use - s.abandoned);
	KUNIT_EXPECT_EQ(f->test, s.waiters, 0);
	KUNIT_EXPECT_GE(f->test, s.high_water, s.in_use);
}

/* Destroys the atlas before it stops the threads: even lost waiters end then. */
static inline void fixture_release(struct kunit_resource *res)
{
	struct fixture *f = res->data;
	struct mid_waiter *w, *next;

	if (f->atlas)
		expect_balance(f);
	list_for_each_entry(w, &f->waiters, node)
		send_sig(SIGKILL, w->task, 1);
	mid_atlas_destroy(f->atlas, NULL, NULL);
	list_for_each_entry_safe(w, next, &f->waiters, node) {
		kthread_stop(w->task);
		kfree(w);
	}
}

static inline struct fixture *fixture_create(struct kunit *test,
					     unsigned int max_mids,
					     unsigned int initial_mids)
{
	struct fixture *f = test_alloc(test, sizeof(*f));

	f->test = test;
	INIT_LIST_HEAD(&f->waiters);
	f->atlas = mid_atlas_create("kunit", max_mids, initial_mids, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->atlas);
	KUNIT_ASSERT_NOT_NULL(test,
			      kunit_alloc_resource(test, NULL, fixture_release,
						   GFP_KERNEL, f));
	return f;
}

static inline u16 fixture_take(struct fixture *f, void *ctx)
{
	u16 mid = SERVER_MID;

	KUNIT_ASSERT_EQ(f->test, 0, mid_atlas_associate(f->atlas, ctx, &mid,
							GFP_KERNEL));
	return mid;
}

/* Takes all free MIDs, for the next nr_ctx(), and returns their number. */
static inline unsigned int fixture_fill(struct fixture *f)
{
	unsigned int before = f->used;
	int err;

	while (!(err = mid_atlas_associate(f->atlas, nr_ctx(f->used),
					   &f->mid[f->used], GFP_KERNEL)))
		f->used++;
	KUNIT_ASSERT_EQ(f->test, err, -ENOSPC);
	return f->used - before;
}

static inline struct fixture *fixture_full(struct kunit *test,
					   unsigned int max_mids,
					   unsigned int initial_mids)
{
	struct fixture *f = fixture_create(test, max_mids, initial_mids);

	KUNIT_ASSERT_EQ(test, fixture_fill(f), max_mids);
	return f;
}

/* No two requests have the same MID: it could not map to both. */
static inline void expect_mapped(struct fixture *f, unsigned int first)
{
	unsigned int n;

	for (n = first; n < f->used; n++)
		KUNIT_ASSERT_PTR_EQ_MSG(f->test, nr_ctx(n),
					map_rcu(f->atlas, f->mid[n]),
					"MID %#06x", f->mid[n]);
}

/* Removes all requests, then checks that no MID is lost and none is there twice. */
static inline void fixture_check(struct fixture *f)
{
	struct mid_atlas_stats s;

	mid_atlas_claim_all(f->atlas, NULL, NULL);
	s = atlas_stats(f->atlas);
	KUNIT_ASSERT_EQ(f->test, s.in_use, s.abandoned);
	f->used = 0;
	KUNIT_ASSERT_EQ(f->test, fixture_fill(f), s.max - s.abandoned);
	expect_mapped(f, 0);
	KUNIT_ASSERT_EQ(f->test, f->used,
			mid_atlas_claim_all(f->atlas, NULL, NULL));
}

static inline unsigned int count_abandoned(struct mid_atlas *atlas)
{
	return atlas_stats(atlas).abandoned;
}

/* Waits until @want MIDs are in quarantine. */
static inline void await_abandoned(struct fixture *f, unsigned int want)
{
	unsigned int n;

	KUNIT_ASSERT_EQ_MSG(f->test, 0,
			    read_poll_timeout(count_abandoned, n, n == want, 50,
					      jiffies_to_usecs(TEST_TIMEOUT),
					      false, f->atlas),
			    "%u MIDs are in quarantine, not %u", n, want);
}

static inline unsigned int count_waiters(struct mid_atlas *atlas)
{
	return atlas_stats(atlas).waiters;
}

/* Waits until @want tasks are in the queue. */
static inline void await_waiters(struct fixture *f, unsigned int want)
{
	unsigned int n;

	KUNIT_ASSERT_EQ_MSG(f->test, 0,
			    read_poll_timeout(count_waiters, n, n == want, 20,
					      jiffies_to_usecs(TEST_TIMEOUT),
					      false, f->atlas),
			    "%u tasks are waiting, not %u", n, want);
}

/* The request is the waiter itself. */
static inline void waiter_call(struct mid_waiter *w)
{
	unsigned long begin;

	w->mid = UNTOUCHED;
	begin = jiffies;
	w->err = mid_atlas_associate_wait(w->f->atlas, w, &w->mid, GFP_KERNEL,
					  w->timeout);
	w->waited = jiffies - begin;
}

static inline int waiter_thread(void *data)
{
	struct mid_waiter *w = data;
	unsigned int calls = 0;

	allow_signal(SIGKILL);
	allow_signal(SIGUSR1);
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		/* Pairs with waiter_start(). */
		if (smp_load_acquire(&w->starts) == calls) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		calls++;
		/* A signal for the last call may have come after its end. */
		flush_signals(current);
		/* Static stubs act in a thread that belongs to a test. */
		current->kunit_test = w->no_memory ? w->f->test : NULL;
		complete(&w->begun);
		w->job(w);
		current->kunit_test = NULL;
		complete(&w->done);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* The thread runs on @cpu. */
static inline struct mid_waiter *waiter_create(struct fixture *f, int cpu)
{
	struct mid_waiter *w = kzalloc(sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(f->test, w);
	w->f = f;
	w->job = waiter_call;
	init_completion(&w->begun);
	init_completion(&w->done);
	w->task = kthread_create(waiter_thread, w, "midatlas_waiter");
	if (IS_ERR(w->task)) {
		kfree(w);
		KUNIT_FAIL_AND_ABORT(f->test, "no thread");
	}
	kthread_bind(w->task, cpu);
	list_add_tail(&w->node, &f->waiters);
	return w;
}

static inline void waiter_start(struct mid_waiter *w, unsigned long timeout)
{
	w->timeout = timeout;
	reinit_completion(&w->begun);
	reinit_completion(&w->done);
	/* Pairs with waiter_thread(). */
	smp_store_release(&w->starts, w->starts + 1);
	wake_up_process(w->task);	/* it may never have run */
}

static inline void waiter_signal(struct mid_waiter *w, int sig)
{
	send_sig(sig, w->task, 1);
}

/* Waits for the end of the job, and returns the result of its call. */
static inline int waiter_result(struct mid_waiter *w)
{
	KUNIT_ASSERT_NE_MSG(w->f->test, 0,
			    wait_for_completion_timeout(&w->done, TEST_TIMEOUT),
			    "a waiter was never woken");
	return w->err;
}

static inline bool still_waits(struct mid_waiter *w)
{
	return !completion_done(&w->done);
}

/* Waits until the thread sleeps, in the queue or after its job. */
static inline void waiter_await_sleep(struct mid_waiter *w)
{
	bool awake;

	wait_for_completion(&w->begun);
	KUNIT_ASSERT_EQ(w->f->test, 0,
			read_poll_timeout(task_is_running, awake, !awake, 20,
					  jiffies_to_usecs(TEST_TIMEOUT), false,
					  w->task));
}

/* Adds a waiter to the end of the queue. */
static inline struct mid_waiter *fixture_enqueue(struct fixture *f,
						 unsigned long timeout)
{
	unsigned int before = count_waiters(f->atlas);
	struct mid_waiter *w = waiter_create(f, raw_smp_processor_id());

	waiter_start(w, timeout);
	waiter_await_sleep(w);
	KUNIT_ASSERT_EQ(f->test, before + 1, count_waiters(f->atlas));
	return w;
}

/* ------------------------------------------------------------------------
 * The window: it is in test->priv, and its first epoch is 1
 */

#define NO_ID		0x5a5a5a5a5a5a5a5aULL	/* stays where a call fails */
#define WINDOW_TIMEOUT	(60 * HZ)		/* likewise, for a window */

/* New ids stop this far above the lowest unsent id, rounded down to 64. */
#define ID_SPREAD	(2 * MID_WINDOW_MAX_SPAN)

/* A table of 2^n has room for 3/4 of that; this one has 4096. */
#define WINDOW_SLOTS	2000
#define LEAST_ROOM	24		/* of the smallest table */

/* The tag of a request; it is of this call only. */
#define TAG(of, first)	(&(struct mid_tag){ .id = (first), .epoch = (of) })

/* Misuse is warned about once.  A test that expects it suppresses the warning. */
#ifndef kunit_warning_suppress		/* older kernels */
static inline bool skip_misuse(struct kunit *test)
{
	kunit_skip(test, "this kernel's KUnit cannot suppress a warning");
	return false;
}

#define kunit_warning_suppress(test)	for (; skip_misuse(test); )
#define KUNIT_SUPPRESSED_WARNING_COUNT()	0
#endif

static inline void window_create(struct kunit *test, unsigned int slots)
{
	struct mid_window *w = mid_window_create("kunit", slots, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, w);
	test->priv = w;
}

static inline int window_init(struct kunit *test)
{
	window_create(test, WINDOW_SLOTS);
	return 0;
}

static inline void window_exit(struct kunit *test)
{
	mid_window_destroy(test->priv, NULL, NULL);
	test->priv = NULL;
}

/* Another window, which has slots for @slots requests. */
static inline struct mid_window *window_with_slots(struct kunit *test,
						   unsigned int slots)
{
	window_exit(test);
	window_create(test, slots);
	return test->priv;
}

static inline struct mid_window_stats window_stats(struct mid_window *w)
{
	struct mid_window_stats stats;

	mid_window_stats(w, &stats);
	return stats;
}

static inline u64 window_available(struct mid_window *w)
{
	struct mid_window_stats stats = window_stats(w);

	return stats.limit - stats.next + stats.given_back;
}

static inline void window_grant(struct kunit *test, unsigned int credits)
{
	struct mid_window *w = test->priv;

	KUNIT_ASSERT_EQ(test, 0, mid_window_grant(w, mid_window_epoch(w), credits));
}

/* A reserve that does not wait. */
static inline int reserve_now(struct mid_window *w, unsigned int n,
			      struct mid_span *span)
{
	return mid_window_reserve(w, n, n, span, 0, 0);
}

static inline int reserve_urgent_now(struct mid_window *w, unsigned int n,
				     struct mid_span *span)
{
	return mid_window_reserve(w, n, n, span, MID_WINDOW_URGENT, 0);
}

static inline struct mid_span window_reserve(struct kunit *test, unsigned int n)
{
	struct mid_span span = {};

	KUNIT_ASSERT_EQ(test, 0, reserve_now(test->priv, n, &span));
	KUNIT_ASSERT_EQ(test, span.n, n);
	return span;
}

static inline u64 window_associate(struct kunit *test, struct mid_span *span,
				   unsigned int charge, void *ctx)
{
	struct mid_tag tag = { .id = NO_ID };
	u64 first = span->first;

	KUNIT_ASSERT_EQ(test, 0, mid_window_associate(test->priv, span, charge,
						      ctx, &tag, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, tag.id, first);
	KUNIT_ASSERT_EQ(test, tag.epoch, span->epoch);
	return tag.id;
}

/* Sends a request of @charge ids. */
static inline u64 window_send_large(struct kunit *test, unsigned int charge,
				    void *ctx)
{
	struct mid_tag tag = { .id = NO_ID };

	KUNIT_ASSERT_EQ(test, 0, mid_window_begin(test->priv, charge, ctx, &tag,
						  GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, tag.epoch, mid_window_epoch(test->priv));
	return tag.id;
}

/* Sends a request of one id. */
static inline u64 window_send(struct kunit *test, void *ctx)
{
	return window_send_large(test, 1, ctx);
}

/* Begins a new connection, and opens it to all. */
static inline u32 window_reset(struct kunit *test)
{
	u32 epoch = mid_window_reset(test->priv, NULL, NULL);

	mid_window_resume(test->priv, epoch);
	return epoch;
}

/* The request nr_ctx(0) of id 0 is in flight, and @credits ids are available. */
static inline struct mid_window *window_busy(struct kunit *test,
					     unsigned int credits)
{
	KUNIT_ASSERT_EQ(test, window_send(test, nr_ctx(0)), 0);
	window_grant(test, credits);
	return test->priv;
}

/* The window after a NEGOTIATE: id 0 is used, @credits ids are available. */
static inline struct mid_window *negotiated(struct kunit *test,
					    unsigned int credits)
{
	struct mid_window *w = window_busy(test, credits);

	KUNIT_ASSERT_PTR_EQ(test, nr_ctx(0),
			    mid_window_dissociate(w, mid_window_epoch(w), 0));
	return w;
}

static inline void expect_span(struct kunit *test, const struct mid_span *span,
			       u64 first, unsigned int n)
{
	KUNIT_EXPECT_EQ(test, span->first, first);
	KUNIT_EXPECT_EQ(test, span->n, n);
}

#define EXPECT_SPAN(test, span, first_id, length)			\
	expect_span(test, &(span), first_id, length)

/* What a reserve of too many returns: whether a reply can come that grants. */
static inline int window_too_few(struct mid_window *w)
{
	struct mid_window_stats stats = window_stats(w);

	return stats.in_use || stats.spans ? -EAGAIN : -EDEADLK;
}

/* Exactly @n ids are available, and they are consecutive. */
static inline void expect_available(struct kunit *test, unsigned int n)
{
	struct mid_window *w = test->priv;
	struct mid_span span = {};

	KUNIT_EXPECT_EQ(test, window_available(w), n);
	KUNIT_EXPECT_EQ(test, reserve_now(w, n + 1, &span), window_too_few(w));
	if (!n)
		return;
	KUNIT_EXPECT_EQ(test, reserve_now(w, n, &span), 0);
	mid_window_give_back(w, &span);
}

static u64 late_first_id __maybe_unused;
static u32 late_first_epoch __maybe_unused;

#ifdef kunit_activate_static_stub
static inline u64 window_first_id(void)
{
	return late_first_id;
}

static inline u32 window_first_epoch(void)
{
	return late_first_epoch;
}
#endif

/* Begins a new connection whose window is { @id }. */
static inline void window_begin_at(struct kunit *test, u64 id)
{
	late_first_id = id;
#ifdef kunit_activate_static_stub
	kunit_activate_static_stub(test, mid_window_first_id, window_first_id);
	window_reset(test);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* Another window, whose first epoch is @epoch. */
static inline void window_begin_in(struct kunit *test, u32 epoch)
{
	late_first_epoch = epoch;
#ifdef kunit_activate_static_stub
	kunit_activate_static_stub(test, mid_window_first_epoch,
				   window_first_epoch);
	window_with_slots(test, WINDOW_SLOTS);
#else
	kunit_skip(test, "this kernel's KUnit has no static stubs");
#endif
}

/* A task that waits for ids.  Static: a failed test ends before its tasks do. */
struct id_waiter {
	struct mid_window *w;
	struct task_struct *task;
	struct completion done;
	unsigned int min;
	unsigned int max;
	unsigned int flags;
	unsigned long timeout;
	int err;
	struct mid_span span;
};

#define ID_WAITERS	200
static struct id_waiter id_waiters[ID_WAITERS] __maybe_unused;

static inline int id_waiter_thread(void *data)
{
	struct id_waiter *waiter = data;

	allow_signal(SIGKILL);
	waiter->err = mid_window_reserve(waiter->w, waiter->min, waiter->max,
					 &waiter->span, waiter->flags,
					 waiter->timeout);
	kthread_complete_and_exit(&waiter->done, 0);
}

static inline struct id_waiter *window_start(struct kunit *test, unsigned int i,
					     unsigned int min, unsigned int max,
					     unsigned int flags,
					     unsigned long timeout)
{
	struct id_waiter *waiter = &id_waiters[i];
	struct task_struct *task;

	*waiter = (struct id_waiter){
		.w = test->priv, .min = min, .max = max, .flags = flags,
		.timeout = timeout, .span = { .first = NO_ID },
	};
	init_completion(&waiter->done);
	task = kthread_create(id_waiter_thread, waiter, "midwindow_wait/%u", i);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	waiter->task = get_task_struct(task);
	wake_up_process(task);
	return waiter;
}

static inline void window_await_waiters(struct kunit *test, unsigned int n)
{
	unsigned long end = jiffies + WINDOW_TIMEOUT;

	while (window_stats(test->priv).waiters != n) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		usleep_range(20, 50);
	}
}

/* Starts a waiter, and returns when it is in the queue behind @i others. */
static inline struct id_waiter *window_enqueue(struct kunit *test,
					       unsigned int i, unsigned int n)
{
	struct id_waiter *waiter = window_start(test, i, n, n, 0, NO_TIMEOUT);

	window_await_waiters(test, i + 1);
	return waiter;
}

static inline struct id_waiter *window_enqueue_urgent(struct kunit *test,
						      unsigned int i,
						      unsigned int n)
{
	struct id_waiter *waiter = window_start(test, i, n, n, MID_WINDOW_URGENT,
						WINDOW_TIMEOUT);

	window_await_waiters(test, i + 1);
	return waiter;
}

/* Waits until the waiter has returned. */
static inline void window_join(struct kunit *test, struct id_waiter *waiter)
{
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&waiter->done, WINDOW_TIMEOUT));
	put_task_struct(waiter->task);
}

/* The waiter returns, with @err. */
static inline void expect_waiter_error(struct kunit *test,
				       struct id_waiter *waiter, int err)
{
	window_join(test, waiter);
	KUNIT_EXPECT_EQ(test, waiter->err, err);
	KUNIT_EXPECT_EQ(test, waiter->span.first, NO_ID);
}

/* The waiter returns, with these ids. */
static inline void expect_waiter_span(struct kunit *test,
				      struct id_waiter *waiter, u64 first,
				      unsigned int n)
{
	window_join(test, waiter);
	KUNIT_EXPECT_EQ(test, waiter->err, 0);
	expect_span(test, &waiter->span, first, n);
}

static inline bool still_waits_for_ids(struct id_waiter *waiter)
{
	return !completion_done(&waiter->done);
}

#endif /* _MIDATLAS_KUNIT_H */
