// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel with one task, for the fuzzers
 *
 * A grace period ends as soon as there is no reader, and memory is freed at once, so
 * the address sanitizer sees every use after free.  Time passes only when the task
 * waits or the target says so.  Work items run when they are due.
 */
#include "fuzz.h"

#define MAX_CALLBACKS	8192
#define MAX_WORKS	8
/* Shortly before the lower 32 bits wrap */
#define FIRST_JIFFY	0xffffff00ul

unsigned long jiffies;
unsigned int on_cpu, fail_alloc;
bool killed, alloc_failed;

static const u8 *at, *end;
static unsigned int blocks, readers;
static raw_spinlock_t *held;
static struct delayed_work *works[MAX_WORKS];
static unsigned int nr_works;
static struct { void *p; struct rcu_head *rcu; } callbacks[MAX_CALLBACKS];
static unsigned int nr_callbacks;

void broken(const char *fmt, ...)
{
	va_list args;

	fputs("BROKEN: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* The input */

bool input_left(void) { return at < end; }
u8 input_byte(void) { return at < end ? *at++ : 0; }

u16 input_word(void)
{
	u8 low = input_byte();

	return low | input_byte() << 8;
}

u64 input_number(void)
{
	u64 number = 0;
	int i;

	for (i = 0; i < 8; i++)
		number |= (u64)input_byte() << 8 * i;
	return number;
}

/* CPU and memory */

unsigned int model_cpu(void) { return on_cpu % MODEL_CPUS; }
u64 get_random_u64(void) { return 0x9e3779b97f4a7c15; }

void might_sleep(void)
{
	must(!readers, "might sleep inside rcu_read_lock()");
	must(!held, "might sleep under a lock");
}

void *model_alloc_raw(size_t size, gfp_t gfp)
{
	if (gfpflags_allow_blocking(gfp))
		might_sleep();
	must(!held, "allocation under a lock");
	if (fail_alloc && !--fail_alloc) {
		alloc_failed = true;
		return NULL;
	}
	blocks++;
	return malloc(size);
}

void *model_alloc(size_t size, gfp_t gfp)
{
	void *p = model_alloc_raw(size, gfp);

	return p ? memset(p, 0, size) : NULL;
}

void *model_alloc_per_cpu(gfp_t gfp)
{
	return model_alloc(MODEL_CPUS * MODEL_CPU_SIZE, gfp);
}

void model_free(const void *p)
{
	blocks -= !!p;
	free((void *)p);
}

/* RCU */

static void end_grace_period(void)
{
	unsigned int i;

	for (i = 0; i < nr_callbacks; i++) {
		if (callbacks[i].rcu)
			callbacks[i].rcu->func(callbacks[i].rcu);
		else
			model_free(callbacks[i].p);
	}
	nr_callbacks = 0;
}

static void when_unread(void *p, struct rcu_head *rcu)
{
	must(nr_callbacks < MAX_CALLBACKS, "too many RCU callbacks");
	callbacks[nr_callbacks].p = p;
	callbacks[nr_callbacks++].rcu = rcu;
	if (!readers)
		end_grace_period();
}

void call_rcu(struct rcu_head *rcu, void (*func)(struct rcu_head *rcu))
{
	rcu->func = func;
	when_unread(NULL, rcu);
}

void model_free_rcu(void *p) { when_unread(p, NULL); }
void rcu_barrier(void) { }
void rcu_read_lock(void) { readers++; }

void rcu_read_unlock(void)
{
	must(readers, "rcu_read_unlock() without a lock");
	if (!--readers)
		end_grace_period();
}

void model_rcu_access(void)
{
	must(readers, "rcu_dereference() outside rcu_read_lock()");
}

/* Locks */

void raw_spin_lock_init(raw_spinlock_t *lock) { lock->owner = 0; }
bool lockdep_is_held(const raw_spinlock_t *lock) { return held == lock; }

void model_lock(raw_spinlock_t *lock, const char *function, int line)
{
	must(!held && !lock->owner, "%s():%d takes a lock under a lock", function, line);
	lock->owner = 1;
	held = lock;
}

void model_unlock(raw_spinlock_t *lock)
{
	must(held == lock, "an unlock without a lock");
	lock->owner = 0;
	held = NULL;
}

/* Work items and time */

void schedule_delayed_work(struct delayed_work *w, unsigned long delay)
{
	unsigned int i;

	if (w->pending)
		return;
	w->pending = true;
	w->due = jiffies + delay;
	for (i = 0; i < nr_works; i++)
		if (works[i] == w)
			return;
	must(nr_works < MAX_WORKS, "too many work items");
	works[nr_works++] = w;
}

void cancel_delayed_work(struct delayed_work *w) { w->pending = false; }

void cancel_delayed_work_sync(struct delayed_work *w)
{
	unsigned int i;

	might_sleep();
	must(!w->running, "a work item waits for itself");
	w->pending = false;
	for (i = 0; i < nr_works; i++)
		if (works[i] == w)
			works[i--] = works[--nr_works];
}

/* The pending work item that is due first, if it is due by the jiffy @by */
static struct delayed_work *first_due(unsigned long by)
{
	struct delayed_work *first = NULL;
	unsigned int i;

	for (i = 0; i < nr_works; i++) {
		if (!works[i]->pending || works[i]->running || time_after(works[i]->due, by))
			continue;
		if (!first || time_before(works[i]->due, first->due))
			first = works[i];
	}
	return first;
}

/* Runs the next work item due by the jiffy @by; if there is none, advances to @by. */
static bool run_work(unsigned long by)
{
	struct delayed_work *w = first_due(by);

	jiffies = !w ? by : time_after(w->due, jiffies) ? w->due : jiffies;
	fuzz_jiffy();
	if (!w)
		return false;
	w->pending = false;
	w->running = true;
	w->work.func(&w->work);
	w->running = false;
	return true;
}

void pass_time(unsigned long ticks)
{
	unsigned long by = jiffies + ticks;

	while (run_work(by))
		;
}

/* Waiting */

void init_completion(struct completion *c) { c->done = 0; }

void complete(struct completion *c)
{
	if (c->done != UINT_MAX)
		c->done++;
}

void complete_all(struct completion *c) { c->done = UINT_MAX; }
bool completion_done(struct completion *c) { return c->done; }

/* Returns the rest of @timeout, 0 after a timeout, or -ERESTARTSYS. */
static long wait_for(struct completion *c, unsigned long timeout, bool killable)
{
	unsigned long by;

	might_sleep();
	if (!c->done && killable && killed)
		return -ERESTARTSYS;
	/* A wait without a timeout ends by a pending work item. */
	if (timeout == MAX_SCHEDULE_TIMEOUT)
		timeout = LONG_MAX / 4;
	by = jiffies + timeout;
	while (!c->done && run_work(by))
		;
	if (!c->done)
		return 0;
	if (c->done != UINT_MAX)	/* complete_all() */
		c->done--;
	return max((long)(by - jiffies), 1l);
}

void wait_for_completion(struct completion *c)
{
	must(wait_for(c, MAX_SCHEDULE_TIMEOUT, false), "waits forever");
}

unsigned long wait_for_completion_timeout(struct completion *c, unsigned long timeout)
{
	return wait_for(c, timeout, false);
}

long wait_for_completion_killable_timeout(struct completion *c, unsigned long timeout)
{
	return wait_for(c, timeout, true);
}

/* One input */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	at = data;
	end = data + size;
	jiffies = FIRST_JIFFY;
	on_cpu = 0;
	fail_alloc = 0;
	killed = false;
	fuzz();
	must(!readers && !held, "still locked");
	must(!nr_works, "a work item is left");
	must(!blocks, "%u blocks of memory are left", blocks);
	return 0;
}
