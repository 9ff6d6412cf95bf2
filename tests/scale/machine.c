// SPDX-License-Identifier: GPL-2.0
/*
 * machine - a simulated machine of many CPUs, which counts the transfers of cache lines
 *
 * Each CPU is a coroutine with a clock.  The CPU with the earliest clock goes on.
 * The compiler calls a function here before each access to memory (-fsanitize=thread, but
 * with the functions of this file in the place of the sanitizer's).  A directory knows for
 * each line which CPUs have it, and whether one of them may write to it (MESI, with caches
 * that never are full):
 *
 *	read	hit if the CPU has the line; otherwise a transfer, and the others keep theirs
 *	write	hit if no other CPU has it; otherwise a transfer, and the others lose it
 *
 * An atomic operation is one write.  Two transfers of a line do not overlap, each takes
 * MACHINE_TRANSFER.  What was in no cache costs nothing.
 *
 * A CPU that waits in a loop reads the line when it has it, and again each time that another
 * CPU has written to it.
 *
 * Locks, completions, per-CPU data and memory are those of ../fuzz/kernel.c, but for the
 * functions with __wrap_: link with -Wl,--wrap for each.
 */
#include <sys/mman.h>

#include "../fuzz/fuzz.h"
#include "../model/switch.h"
#include "machine.h"

#define ARENA_SIZE	(512ul << 20)
#define ARENA_LINES	(ARENA_SIZE / MACHINE_LINE)
#define DATA_LINES	8192		/* of the program's variables */
#define STACK_SIZE	32768
#define SKEW		20000ul		/* how far a CPU may run ahead, in picoseconds */
#define NOBODY		-1
#define MAX_LOCKS	4

enum wait { RUNS, SPINS, SLEEPS, WAITS, ENDED };

struct line {
	u64 has[MACHINE_MAX_CPUS / 64];
	u64 busy;			/* until then it is on the way */
	s16 owner;			/* may write to it */
	u8 name;
	u8 spinning;			/* CPUs that wait for a write */
};

struct node {				/* of a CPU in the queue of a lock */
	bool granted;
	struct cpu *next;
} __attribute__((aligned(MACHINE_LINE)));

static struct cpu {
	void *sp;
	u64 clock;
	enum wait wait;
	const void *on;
	struct node *node;
	bool woken;
} cpus[MACHINE_MAX_CPUS];

static u64 due[MACHINE_MAX_CPUS];	/* their clocks, or U64_MAX if they wait */

static struct queue {
	const raw_spinlock_t *lock;
	bool pending;
	struct cpu *tail;
	unsigned int next, served;
} queues[MAX_LOCKS];

unsigned int machine_cpus = 2;
enum machine_lock machine_lock;

static char *arena;
static size_t arena_used;
static struct line *lines;
static struct line data_lines[DATA_LINES];
static struct cpu *me;
static void *outside_sp;
static u64 limit, next_tick, counts_from;
static void (*cpu_main)(unsigned int cpu);
static struct machine_result *counted;
static struct machine_result names = { .names = { "other" }, .nr_names = 1 };

void fuzz(void) { }
void fuzz_jiffy(void) { }
u64 machine_now(void) { return me->clock; }

/*
 * Memory
 */

static struct line *line_of(unsigned long addr)
{
	unsigned long offset = addr - (unsigned long)arena;

	if (offset < ARENA_SIZE)
		return &lines[offset / MACHINE_LINE];
	offset = addr - (unsigned long)__data_start / MACHINE_LINE * MACHINE_LINE;
	if (offset < DATA_LINES * MACHINE_LINE)
		return &data_lines[offset / MACHINE_LINE];
	return NULL;
}

static u8 name_number(const char *name)
{
	unsigned int i;

	for (i = 0; i < names.nr_names; i++)
		if (!strcmp(names.names[i], name))
			return i;
	must(i < MACHINE_MAX_NAMES, "too many names");
	names.names[names.nr_names++] = name;
	return i;
}

void machine_name(const void *p, size_t size, const char *name)
{
	unsigned long addr = (unsigned long)p, end = addr + size;
	u8 number = name_number(name);

	for (; addr < end; addr = (addr / MACHINE_LINE + 1) * MACHINE_LINE)
		line_of(addr)->name = number;
}

static void arena_create(void)
{
	unsigned long i;

	must(_end - __data_start < (DATA_LINES - 1) * MACHINE_LINE, "DATA_LINES is too small");
	arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	lines = mmap(NULL, ARENA_LINES * sizeof(*lines), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(arena != MAP_FAILED && lines != MAP_FAILED, "no memory");
	for (i = 0; i < DATA_LINES; i++)
		data_lines[i].owner = NOBODY;
	machine_name(&jiffies, sizeof(jiffies), "jiffies");
}

void *machine_alloc(size_t size, const char *name)
{
	unsigned long i;
	char *p;

	if (!arena)
		arena_create();
	p = arena + arena_used;
	arena_used += (size + MACHINE_LINE - 1) / MACHINE_LINE * MACHINE_LINE;
	must(arena_used <= ARENA_SIZE, "no memory");
	for (i = (p - arena) / MACHINE_LINE; i < arena_used / MACHINE_LINE; i++)
		lines[i].owner = NOBODY;
	machine_name(p, size, name);
	return p;
}

void *__wrap_model_alloc(size_t size, gfp_t gfp) { return machine_alloc(size, "other"); }
void *__wrap_model_alloc_per_cpu(gfp_t gfp)
{
	return machine_alloc(MACHINE_MAX_CPUS * MODEL_CPU_SIZE, "per CPU");
}

/* A process runs one machine and ends. */
void __wrap_model_free(const void *p) { }

/*
 * CPUs
 */

unsigned int __wrap_model_cpu(void) { return me ? me - cpus : 0; }
void __wrap_might_sleep(void) { }

static void dirty(struct line *line, int owner)
{
	memset(line->has, 0, sizeof(line->has));
	if (owner != NOBODY)
		line->has[owner / 64] = 1ull << owner % 64;
	line->owner = owner;
}

/* The next CPU that runs: the one that is behind.  It runs until it is @limit. */
static struct cpu *next_cpu(void)
{
	u64 first = U64_MAX, second = U64_MAX;
	unsigned int i, next = 0;

	for (i = 0; i < machine_cpus; i++) {
		if (due[i] >= second)
			continue;
		if (due[i] < first) {
			second = first;
			first = due[i];
			next = i;
		} else {
			second = due[i];
		}
	}
	if (first == U64_MAX)
		return NULL;
	for (; next_tick <= first; next_tick += MACHINE_TICK) {
		jiffies++;
		dirty(line_of((unsigned long)&jiffies), 0);
	}
	limit = min(second > U64_MAX - SKEW ? U64_MAX : second + SKEW, next_tick);
	return &cpus[next];
}

static void go_on(void)
{
	struct cpu *from = me, *next;

	due[from - cpus] = from->wait == RUNS ? from->clock : U64_MAX;
	next = next_cpu();
	if (next == from)
		return;
	if (!next)
		for (next = cpus; next < cpus + machine_cpus; next++)
			must(next->wait == ENDED, "CPU %ld waits forever", next - cpus);
	me = next < cpus + machine_cpus ? next : NULL;
	switch_stack(&from->sp, me ? me->sp : outside_sp);
}

static void wait(enum wait wait, const void *on)
{
	me->wait = wait;
	me->on = on;
	go_on();
}

static void wake(struct cpu *cpu, u64 latency)
{
	cpu->wait = RUNS;
	cpu->clock = max(cpu->clock, me->clock + latency);
	due[cpu - cpus] = cpu->clock;
	limit = min(limit, cpu->clock + SKEW);
}

void machine_sleep(void)
{
	if (!me->woken)
		wait(SLEEPS, NULL);
	me->woken = false;
}

void machine_wake(unsigned int cpu)
{
	cpus[cpu].woken = true;
	if (cpus[cpu].wait == SLEEPS)
		wake(&cpus[cpu], 0);
}

static void cpu_begins(void)
{
	cpu_main(me - cpus);
	wait(ENDED, NULL);
	__builtin_unreachable();
}

void machine_stop(void)
{
	switch_stack(&me->sp, outside_sp);
}

void machine_run(void (*main)(unsigned int cpu), u64 from, struct machine_result *result)
{
	struct cpu *cpu;

	for (cpu = cpus; cpu < cpus + machine_cpus; cpu++) {
		*cpu = (struct cpu){
			.sp = new_stack((char *)machine_alloc(STACK_SIZE, "stack") +
					STACK_SIZE, cpu_begins),
			.node = machine_alloc(sizeof(*cpu->node), "lock queue"),
		};
	}
	cpu_main = main;
	counts_from = from;
	counted = &names;
	next_tick = MACHINE_TICK;
	me = next_cpu();
	switch_stack(&outside_sp, me->sp);
	*result = names;
}

/*
 * Accesses
 */

static bool others_have(const struct line *line, int id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(line->has); i++)
		if (line->has[i] & ~(i == id / 64 ? 1ull << id % 64 : 0))
			return true;
	return false;
}

/* Whether the CPU has to fetch the line, or the right to write to it */
static bool misses(const struct line *line, int id, bool write)
{
	bool has = line->has[id / 64] >> id % 64 & 1;

	return (write || !has) && others_have(line, id);
}

/* The others go on with the line until it leaves them. */
static void transfer(struct line *line)
{
	me->clock = max(me->clock, line->busy) + MACHINE_TRANSFER;
	line->busy = me->clock;
	if (me->clock >= counts_from)
		counted->transfers[line->name]++;
	go_on();
}

static void access(const void *addr, bool write, u64 cost)
{
	struct line *line = line_of((unsigned long)addr);
	int id = me - cpus;
	struct cpu *cpu;

	if (!line)
		return;
	me->clock += cost;
	if (me->clock > limit)
		go_on();
	if (line->owner == id)
		return;
	if (misses(line, id, write))
		transfer(line);
	if (write || !others_have(line, id)) {
		dirty(line, id);
	} else {
		line->owner = NOBODY;
		line->has[id / 64] |= 1ull << id % 64;
	}
	if (!write || !line->spinning)
		return;
	for (cpu = cpus; cpu < cpus + machine_cpus; cpu++)
		if (cpu->wait == SPINS && cpu->on == line)
			wake(cpu, MACHINE_PAUSE);
	line->spinning = 0;
}

static void seen(const void *addr, bool write)
{
	if (me)
		access(addr, write, MACHINE_HIT);
}

static void atomic(const volatile void *addr)
{
	if (me)
		access((const void *)addr, true, MACHINE_ATOMIC);
}

/* Waits until @condition, which a write to @addr makes true */
#define spin_until(addr, condition)					\
do {									\
	for (seen(addr, false); !(condition); seen(addr, false)) {	\
		line_of((unsigned long)(addr))->spinning = 1;		\
		wait(SPINS, line_of((unsigned long)(addr)));		\
	}								\
} while (0)

/* What the compiler calls */
#define SEEN(n)								\
	void __tsan_read##n(void *p) { seen(p, false); }		\
	void __tsan_write##n(void *p) { seen(p, true); }		\
	void __tsan_unaligned_read##n(void *p) { seen(p, false); }	\
	void __tsan_unaligned_write##n(void *p) { seen(p, true); }
SEEN(1) SEEN(2) SEEN(4) SEEN(8) SEEN(16)

static void seen_range(void *p, long size, bool write)
{
	unsigned long addr = (unsigned long)p, end = addr + size;

	for (; addr < end; addr = (addr / MACHINE_LINE + 1) * MACHINE_LINE)
		seen((void *)addr, write);
}

void __tsan_read_range(void *p, long size) { seen_range(p, size, false); }
void __tsan_write_range(void *p, long size) { seen_range(p, size, true); }
void __tsan_func_entry(void *caller) { }
void __tsan_func_exit(void) { }
void __tsan_init(void) { }

#define ATOMIC(bits, name, builtin)							\
	u64 __tsan_atomic##bits##_##name(union word volatile *p, u##bits v)	\
	{									\
		atomic(p);							\
		return __atomic_##builtin(&p->w##bits, v, __ATOMIC_SEQ_CST);	\
	}
#define ATOMICS(bits)								\
	ATOMIC(bits, fetch_add, fetch_add)					\
	ATOMIC(bits, fetch_sub, fetch_sub)					\
	ATOMIC(bits, fetch_or, fetch_or)					\
	ATOMIC(bits, fetch_and, fetch_and)					\
	ATOMIC(bits, exchange, exchange_n)					\
	bool __tsan_atomic##bits##_compare_exchange_strong(union word volatile *p,	\
							   union word *old, u##bits v)	\
	{									\
		atomic(p);							\
		return cas(&p->w##bits, &old->w##bits, v);			\
	}

union word {
	u32 w32;
	u64 w64;
};

ATOMICS(32) ATOMICS(64)

/*
 * Locks: the steps of kernel/locking/qspinlock.c, and a ticket lock
 */

static struct queue *queue_of(const raw_spinlock_t *lock)
{
	struct queue *q = queues;

	while (q->lock && q->lock != lock)
		q++;
	must(q < queues + MAX_LOCKS, "too many locks");
	q->lock = lock;
	return q;
}

static void lock_in_queue(raw_spinlock_t *lock, struct queue *q)
{
	struct cpu *before;

	seen(me->node, true);
	me->node->granted = false;
	me->node->next = NULL;
	atomic(lock);
	before = q->tail;
	q->tail = me;
	if (before) {
		seen(before->node, true);
		before->node->next = me;
		spin_until(me->node, me->node->granted);
	}
	spin_until(lock, !lock->owner && !q->pending);
	atomic(lock);
	lock->owner = 1;
	if (q->tail == me) {
		q->tail = NULL;
		return;
	}
	spin_until(me->node, me->node->next);
	before = me->node->next;
	seen(before->node, true);
	before->node->granted = true;
}

void __wrap_model_lock(raw_spinlock_t *lock, const char *function, int line)
{
	struct queue *q = queue_of(lock);
	unsigned int ticket;

	if (!me) {
		lock->owner = 1;
		return;
	}
	atomic(lock);
	if (machine_lock == MACHINE_TICKET) {
		ticket = q->next++;
		spin_until(lock, q->served == ticket);
		lock->owner = 1;
		return;
	}
	if (!lock->owner && !q->pending && !q->tail) {
		lock->owner = 1;
		return;
	}
	if (!q->pending && !q->tail) {
		atomic(lock);
		if (!q->pending && !q->tail) {
			q->pending = true;
			spin_until(lock, !lock->owner);
			seen(lock, true);
			q->pending = false;
			lock->owner = 1;
			return;
		}
	}
	lock_in_queue(lock, q);
}

void __wrap_model_unlock(raw_spinlock_t *lock)
{
	seen(lock, true);
	lock->owner = 0;
	queue_of(lock)->served += machine_lock == MACHINE_TICKET && me;
}

bool __wrap_lockdep_is_held(const raw_spinlock_t *lock) { return true; }

/*
 * Completions.  The lines of the scheduler are not counted.
 */

void __wrap_complete(struct completion *c)
{
	struct cpu *cpu;

	atomic(c);
	c->done++;
	for (cpu = cpus; cpu < cpus + machine_cpus; cpu++) {
		if (cpu->wait != WAITS || cpu->on != c)
			continue;
		wake(cpu, MACHINE_WAKE_UP);
		if (me->clock >= counts_from)
			counted->wake_ups++;
	}
}

long __wrap_wait_for_completion_killable_timeout(struct completion *c, unsigned long timeout)
{
	atomic(c);
	while (!c->done) {
		wait(WAITS, c);
		atomic(c);
	}
	c->done--;
	return timeout;
}
