// SPDX-License-Identifier: GPL-2.0
/*
 * explore - runs threads in every order
 *
 * The threads are coroutines.  Each runs to its next access to what others may
 * change, and stops before it: that is a *step*.  The state between two steps is
 * all that a step can change: the heap, the stacks, a few variables here and the
 * test's own.  It is hashed, and from each state that was not seen before every
 * thread that can goes a step: a search in depth, that puts the state back for the
 * next thread.
 *
 *	explore
 *	  a step of T1		seen: back
 *	  a step of T2
 *	    a step of T1
 *	      ...
 *
 * The hash has 64 bits: among ten million states two share one, and then something
 * may be missed, with a probability of 3 in a million.  What is left on a stack
 * below its top is cleared, so that it tells no two states apart.
 *
 * Whatever waits for a grace period is freed by the step in which the last reader
 * that was there leaves, the earliest possible, and memory is not used twice: an
 * access after the free is found, not only likely to be.
 */

#include <signal.h>
#include <unistd.h>

#include "explore.h"
#include "switch.h"

#undef shared

#define STACK_SIZE	8192
#define HEAP_SIZE	16384
#define MAX_BLOCKS	32
#define MAX_CALLBACKS	8
#define MAX_DEPTH	4096
#define MAX_SNAPSHOTS	(64ul << 20)
#define OUTSIDE		MODEL_THREADS	/* the thread that we are ourselves */
#define POISON		0x6b

enum wait {
	RUNS, WAITS_LOCK, WAITS_COMPLETION, WAITS_UNTIL, WAITS_READERS, WAITS_WORK, WAITS_WORKER,
	ENDED
};

struct thread {
	void *sp;
	enum wait wait;
	const void *on;
	bool (*may_go)(void);
	int rcu;
	unsigned int readers;		/* that synchronize_rcu() still waits for */
	bool timed, killable;		/* how it waits */
	bool may[FAILED + 1];
	enum outcome outcome;		/* of the step that it was sent on */
	const char *function;		/* where it is */
	int line;
};

static struct {
	struct thread threads[MODEL_THREADS + 1];
	unsigned int nr_threads;
	unsigned int heap_used;
	struct block { unsigned int at, size; bool freed; } blocks[MAX_BLOCKS];
	unsigned int nr_blocks;
	struct block per_cpu;
	struct { struct rcu_head *rcu; unsigned int readers; } callbacks[MAX_CALLBACKS];
	unsigned int nr_callbacks;
	struct delayed_work *work;
	bool unloaded;
} world;

unsigned long jiffies;

static char heap[HEAP_SIZE] __attribute__((aligned(64)));
static char stacks[MODEL_THREADS][STACK_SIZE] __attribute__((aligned(64)));

static int running = OUTSIDE;
static int is_quiet;
static void *outside_sp;
static void (*thread_main)(int thread);

static struct { unsigned char thread, outcome; const char *function; int line; } trace[MAX_DEPTH];
static unsigned int depth, deepest;

/*
 * What went wrong
 */

static void print_trace(void)
{
	static const char *const outcomes[] = { "", " times out", " is killed", " fails" };
	unsigned int i;

	printf("\n");
	for (i = 0; i < depth; i++) {
		printf("  T%d  %*s%s", trace[i].thread + 1,
		       trace[i].thread * 30, "", trace[i].function);
		if (trace[i].line)
			printf(":%d", trace[i].line);
		printf("%s\n", outcomes[trace[i].outcome]);
	}
}

static char complaint[256];

static void __attribute__((noreturn)) give_up(void)
{
	print_trace();
	printf("BROKEN: %s\n", complaint);
	fflush(stdout);
	_exit(1);
}

void broken(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, args);
	va_end(args);
	if (running == OUTSIDE || is_quiet)
		give_up();
	/* A thread's stack is too small to print from. */
	switch_stack(&world.threads[running].sp, outside_sp);
	__builtin_unreachable();
}

static void crashed(int sig)
{
	snprintf(complaint, sizeof(complaint), "T%d: %s", running + 1, strsignal(sig));
	give_up();
}

static void catch_crashes(void)
{
	static char stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = crashed, .sa_flags = SA_ONSTACK };

	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
}

static void __attribute__((noreturn)) thread_begins(void)
{
	thread_main(running);
	world.threads[running].wait = ENDED;
	switch_stack(&world.threads[running].sp, outside_sp);
	__builtin_unreachable();
}

static void __attribute__((noreturn)) worker_begins(void)
{
	struct thread *me = &world.threads[MODEL_WORKER];

	for (;;) {
		me->wait = WAITS_WORK;
		me->function = "expiry";
		me->line = 0;
		switch_stack(&me->sp, outside_sp);
		run_work();
	}
}

static void create_thread(int thread, void (*begin)(void))
{
	memset(stacks[thread], 0, STACK_SIZE);
	world.threads[thread] = (struct thread){
		.sp = new_stack(stacks[thread] + STACK_SIZE, begin), .function = "begin",
	};
}

/* To the explorer, who sends this thread on when it can go on. */
static enum outcome stop(enum wait wait, const void *on)
{
	struct thread *me = &world.threads[running];
	enum outcome outcome;

	me->wait = wait;
	me->on = on;
	switch_stack(&me->sp, outside_sp);
	outcome = me->outcome;
	me->wait = RUNS;
	me->on = NULL;
	me->timed = false;
	me->killable = false;
	me->outcome = GO;
	return outcome;
}

static void at(const char *function, int line)
{
	world.threads[running].function = function;
	world.threads[running].line = line;
}

int current_thread(void) { return running; }
void quiet(bool on) { is_quiet += on ? 1 : -1; }

void let_fail(enum outcome outcome, bool may)
{
	world.threads[running].may[outcome] = may;
}

bool waits(int thread)
{
	return world.threads[thread].wait == WAITS_COMPLETION;
}

bool waits_in_vain(int thread)
{
	return waits(thread) && !((const struct completion *)world.threads[thread].on)->done;
}

static bool can_go(int thread, enum outcome outcome)
{
	const struct thread *t = &world.threads[thread];

	switch (t->wait) {
	case RUNS:
		return outcome == GO || (outcome == FAILED && t->on);
	case WAITS_LOCK:
		return outcome == GO && !((const raw_spinlock_t *)t->on)->owner;
	case WAITS_COMPLETION:
		if (!waits_in_vain(thread))
			return outcome == GO;
		return (outcome == TIMED_OUT && t->timed && t->may[TIMED_OUT]) ||
		       (outcome == KILLED && t->killable && t->may[KILLED]);
	case WAITS_UNTIL:
		return outcome == GO && t->may_go();
	case WAITS_READERS:
		return outcome == GO && !t->readers;
	case WAITS_WORK:
		return outcome == GO && world.work && world.work->pending;
	case WAITS_WORKER:
		return outcome == GO && !((const struct delayed_work *)t->on)->running;
	default:
		return false;
	}
}

static void send(int thread, enum outcome outcome)
{
	struct thread *t = &world.threads[thread];

	trace[depth++] = (__typeof__(trace[0])){ thread, outcome, t->function, t->line };
	if (depth == MAX_DEPTH)
		broken("this takes too many steps");
	if (depth > deepest)
		deepest = depth;
	t->outcome = outcome;
	running = thread;
	switch_stack(&outside_sp, t->sp);
	running = OUTSIDE;
	if (complaint[0])
		give_up();
	memset(stacks[thread], 0, (char *)t->sp - stacks[thread]);
}

/*
 * The kernel
 */

static void check_access(const volatile void *addr)
{
	unsigned long offset = (const volatile char *)addr - heap;
	unsigned int i;

	if (offset >= HEAP_SIZE)
		return;
	for (i = 0; i < world.nr_blocks; i++)
		if (offset - world.blocks[i].at < world.blocks[i].size) {
			if (world.blocks[i].freed)
				broken("use after free");
			return;
		}
	broken("access beyond what was allocated");
}

/*
 * These accesses are not steps of their own, because they change only a count, or which
 * slot is tried first: each thread has a CPU of its own, and a sample is one step.
 */
static bool only_counts(const volatile void *addr, const char *function)
{
	static const char *const functions[] = {
		"mid_atlas_in_use", "mid_atlas_note_in_use", "mid_atlas_note_full",
		"mid_atlas_sample", "mid_atlas_sample_is_due",
		"mid_find_tune", "mid_find_is_low", "mid_find_guess", "mid_find_turn",
		"mid_find_take",
	};
	unsigned long offset = (const volatile char *)addr - heap;
	unsigned int i;

	if (offset - world.per_cpu.at < world.per_cpu.size)
		return true;
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (!strcmp(function, functions[i]))
			return true;
	return false;
}

void *model_alloc_per_cpu(gfp_t gfp)
{
	void *p = model_alloc(MODEL_CPUS * MODEL_CPU_SIZE, gfp);

	world.per_cpu = world.blocks[world.nr_blocks - 1];
	return p;
}

void shared(const volatile void *addr, const char *function, int line)
{
	check_access(addr);
	if (is_quiet || only_counts(addr, function))
		return;
	at(function, line);
	stop(RUNS, NULL);
	check_access(addr);
}

void point(const char *what)
{
	if (is_quiet)
		return;
	at(what, 0);
	stop(RUNS, NULL);
}

void wait_until(bool (*may_go)(void))
{
	if (is_quiet) {
		if (!may_go())
			broken("%s() would wait for ever", __func__);
		return;
	}
	at(__func__, 0);
	world.threads[running].may_go = may_go;
	stop(WAITS_UNTIL, NULL);
}

unsigned int model_cpu(void)
{
	return running % MODEL_CPUS;
}

static bool holds_a_lock(void);

void might_sleep(void)
{
	if (world.threads[running].rcu)
		broken("might sleep inside rcu_read_lock()");
	if (holds_a_lock())
		broken("might sleep under a lock");
}

void *model_alloc(size_t size, gfp_t gfp)
{
	struct block *b = &world.blocks[world.nr_blocks];

	if (gfpflags_allow_blocking(gfp))
		might_sleep();
	if (holds_a_lock())
		broken("allocation under a lock");
	if (!is_quiet && world.threads[running].may[FAILED]) {
		at("alloc", 0);
		if (stop(RUNS, b) == FAILED)
			return NULL;
		b = &world.blocks[world.nr_blocks];
	}
	if (world.nr_blocks == MAX_BLOCKS || world.heap_used + size > HEAP_SIZE)
		broken("the heap is full");
	*b = (struct block){ world.heap_used, size, false };
	world.heap_used = (world.heap_used + size + 15) & ~15;
	world.nr_blocks++;
	memset(heap + b->at, 0, size);
	return heap + b->at;
}

void model_free(const void *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < world.nr_blocks; i++)
		if (heap + world.blocks[i].at == p && !world.blocks[i].freed) {
			world.blocks[i].freed = true;
			memset(heap + world.blocks[i].at, POISON, world.blocks[i].size);
			return;
		}
	broken("free of what was not allocated, or is free");
}

unsigned int blocks_in_use(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < world.nr_blocks; i++)
		n += !world.blocks[i].freed;
	return n;
}

/* What nobody reads any more goes. */
static void end_grace_periods(void)
{
	struct rcu_head *rcu;
	unsigned int i = 0;

	while (i < world.nr_callbacks) {
		if (world.callbacks[i].readers) {
			i++;
			continue;
		}
		if (world.unloaded)
			broken("RCU calls back a module that is gone");
		rcu = world.callbacks[i].rcu;
		world.callbacks[i] = world.callbacks[--world.nr_callbacks];
		world.callbacks[world.nr_callbacks].rcu = NULL;
		quiet(true);
		rcu->func(rcu);
		quiet(false);
		i = 0;
	}
}

void rcu_read_lock(void)
{
	world.threads[running].rcu++;
}

void rcu_read_unlock(void)
{
	unsigned int i;

	if (world.threads[running].rcu <= 0)
		broken("rcu_read_unlock() without a lock");
	if (--world.threads[running].rcu)
		return;
	for (i = 0; i < world.nr_callbacks; i++)
		world.callbacks[i].readers &= ~(1u << running);
	for (i = 0; i <= MODEL_THREADS; i++)
		world.threads[i].readers &= ~(1u << running);
	if (running == OUTSIDE)
		end_grace_periods();
}

void model_rcu_access(void)
{
	if (!world.threads[running].rcu)
		broken("rcu_dereference() outside rcu_read_lock()");
}

/* The threads that are inside rcu_read_lock() */
static unsigned int rcu_readers(void)
{
	unsigned int i, readers = 0;

	for (i = 0; i <= MODEL_THREADS; i++)
		if (world.threads[i].rcu)
			readers |= 1u << i;
	return readers;
}

void call_rcu(struct rcu_head *rcu, void (*func)(struct rcu_head *rcu))
{
	unsigned int i, readers = rcu_readers();

	for (i = 0; i < world.nr_callbacks; i++)
		if (world.callbacks[i].rcu == rcu)
			broken("call_rcu() twice");
	if (world.nr_callbacks == MAX_CALLBACKS)
		broken("too many RCU callbacks");
	rcu->func = func;
	world.callbacks[world.nr_callbacks].rcu = rcu;
	world.callbacks[world.nr_callbacks++].readers = readers;
	if (running == OUTSIDE)
		end_grace_periods();
}

static bool no_callbacks(void)
{
	return !world.nr_callbacks;
}

void rcu_barrier(void)
{
	might_sleep();
	wait_until(no_callbacks);
}

void synchronize_rcu(void)
{
	unsigned int readers = rcu_readers();

	might_sleep();
	if (is_quiet) {
		if (readers)
			broken("%s() would wait for ever", __func__);
		return;
	}
	at(__func__, 0);
	world.threads[running].readers = readers;
	stop(WAITS_READERS, NULL);
}

void module_ends(void);

void unload(void)
{
	module_ends();
	world.unloaded = true;
}

void raw_spin_lock_init(raw_spinlock_t *lock)
{
	lock->owner = 0;
}

/* One lock is all that there is, so one that somebody holds is that one. */
static bool is_held[MODEL_THREADS + 1];

static bool holds_a_lock(void)
{
	return is_held[running];
}

void model_lock(raw_spinlock_t *lock, const char *function, int line)
{
	check_access(lock);
	if (lock->owner == running + 1)
		broken("%s() takes a lock that it has", function);
	if (is_quiet) {
		if (lock->owner)
			broken("%s() would wait for a lock for ever", function);
	} else {
		at(function, line);
		stop(WAITS_LOCK, lock);
		check_access(lock);
	}
	lock->owner = running + 1;
	is_held[running] = true;
}

void model_unlock(raw_spinlock_t *lock)
{
	check_access(lock);
	if (lock->owner != running + 1)
		broken("an unlock without a lock");
	lock->owner = 0;
	is_held[running] = false;
}

bool lockdep_is_held(const raw_spinlock_t *lock)
{
	return lock->owner == running + 1;
}

void init_completion(struct completion *c)
{
	c->done = 0;
}

void complete(struct completion *c)
{
	shared(c, __func__, 0);
	c->done++;
}

void complete_all(struct completion *c)
{
	shared(c, __func__, 0);
	c->done = UINT_MAX;
}

bool completion_done(struct completion *c)
{
	shared(c, __func__, 0);
	return c->done;
}

static enum outcome wait_for(struct completion *c, bool timed, bool killable)
{
	enum outcome outcome = GO;

	might_sleep();
	check_access(c);
	if (is_quiet) {
		if (!c->done)
			return timed ? TIMED_OUT : (broken("waits for ever"), GO);
	} else {
		at("wait", 0);
		world.threads[running].timed = timed;
		world.threads[running].killable = killable;
		outcome = stop(WAITS_COMPLETION, c);
		check_access(c);
	}
	if (outcome == GO && c->done != UINT_MAX)	/* complete_all() */
		c->done--;
	return outcome;
}

void wait_for_completion(struct completion *c)
{
	wait_for(c, false, false);
}

unsigned long wait_for_completion_timeout(struct completion *c, unsigned long timeout)
{
	return wait_for(c, timeout != MAX_SCHEDULE_TIMEOUT, false) == GO ? timeout : 0;
}

long wait_for_completion_killable_timeout(struct completion *c, unsigned long timeout)
{
	switch (wait_for(c, timeout != MAX_SCHEDULE_TIMEOUT, true)) {
	case GO:
		return timeout;
	case KILLED:
		return -ERESTARTSYS;
	default:
		return 0;
	}
}

void schedule_delayed_work(struct delayed_work *w, unsigned long delay)
{
	shared(w, __func__, 0);
	if (w->pending)
		return;
	if (world.work && world.work != w)
		broken("a second work");
	world.work = w;
	w->pending = true;
	w->due = jiffies + delay;
}

void cancel_delayed_work(struct delayed_work *w)
{
	shared(w, __func__, 0);
	w->pending = false;
}

void cancel_delayed_work_sync(struct delayed_work *w)
{
	might_sleep();
	cancel_delayed_work(w);
	if (!is_quiet) {
		at(__func__, 0);
		stop(WAITS_WORKER, w);
	} else if (w->running) {
		broken("waits for a work for ever");
	}
	w->pending = false;
	world.work = NULL;
}

void run_work(void)
{
	struct delayed_work *w = world.work;

	if (!w || !w->pending)
		return;
	if (time_after(w->due, jiffies))
		jiffies = w->due;
	w->pending = false;
	w->running = true;
	w->work.func(&w->work);
	w->running = false;
}

/*
 * debugfs.  The files are made by a work, when the test asks for them; they stay the
 * same while the threads run, so they are no part of the state.
 */

static struct work_struct *first_work;
static struct { const char *name; void *data; const struct file_operations *fops; } files[4];
static unsigned int nr_files;
static void (*read_line)(const char *line);
/* From open() to its caller, which is one step */
static const struct seq_operations *opened;
static char *private;

void model_init_work(struct work_struct *w, void (*func)(struct work_struct *w))
{
	w->func = func;
	if (!first_work)
		first_work = w;
}

void create_files(void)
{
	nr_files = 0;
	first_work->func(first_work);
}

void model_create_file(const char *name, void *data, const struct file_operations *fops)
{
	if (nr_files == ARRAY_SIZE(files))
		broken("too many files");
	files[nr_files].name = name;
	files[nr_files].data = data;
	files[nr_files++].fops = fops;
}

#define PRIVATE_SIZE	128

void *model_seq_open(const struct seq_operations *ops, size_t size)
{
	if (size > PRIVATE_SIZE)
		broken("a file needs %zu bytes", size);
	opened = ops;
	return private;
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	static char line[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	read_line(line);
}

void read_file(const char *name, void (*line)(const char *line))
{
	const struct seq_operations *ops;
	char mine[PRIVATE_SIZE] __attribute__((aligned(16))) = { };
	struct seq_file m = { .private = mine };
	struct inode inode;
	unsigned int i;
	loff_t pos = 0;
	void *v;

	for (i = 0; i < nr_files && strcmp(files[i].name, name); i++)
		;
	if (i == nr_files)
		broken("no file \"%s\"", name);
	read_line = line;
	private = mine;
	inode.i_private = files[i].data;
	if (files[i].fops->open(&inode, NULL))
		broken("\"%s\" does not open", name);
	ops = opened;
	for (v = ops->start(&m, &pos); v; v = ops->next(&m, v, &pos))
		if (v != SEQ_START_TOKEN)
			ops->show(&m, v);
	ops->stop(&m, v);
}

/*
 * States
 */

struct part { void *at; size_t size; };

/* What makes up the state.  What a snapshot holds comes before what tells its size. */
static unsigned int parts(struct part part[])
{
	unsigned int n = 0, i;

	part[n++] = (struct part){ &world, sizeof(world) };
	part[n++] = (struct part){ is_held, sizeof(is_held) };
	part[n++] = (struct part){ &jiffies, sizeof(jiffies) };
	part[n++] = (struct part){ __start_model_state, __stop_model_state - __start_model_state };
	part[n++] = (struct part){ test_state, test_state_size };
	part[n++] = (struct part){ heap, world.heap_used };
	for (i = 0; i < MODEL_THREADS; i++)
		if (world.threads[i].sp)
			part[n++] = (struct part){ world.threads[i].sp,
				stacks[i] + STACK_SIZE - (char *)world.threads[i].sp };
	return n;
}

static char *snapshots;
static size_t snapshots_used;

static size_t save(void)
{
	struct part part[MODEL_THREADS + 6];
	unsigned int i, n = parts(part);
	size_t where = snapshots_used;

	for (i = 0; i < n; i++) {
		if (snapshots_used + part[i].size > MAX_SNAPSHOTS)
			broken("too deep");
		memcpy(snapshots + snapshots_used, part[i].at, part[i].size);
		snapshots_used += part[i].size;
	}
	return where;
}

static void restore(size_t where)
{
	struct part part[MODEL_THREADS + 6];
	void *dirty[MODEL_THREADS];
	unsigned int i, n;

	for (i = 0; i < MODEL_THREADS; i++)
		dirty[i] = world.threads[i].sp;
	memcpy(&world, snapshots + where, sizeof(world));
	n = parts(part);
	for (i = 0; i < n; i++) {
		memcpy(part[i].at, snapshots + where, part[i].size);
		where += part[i].size;
	}
	for (i = 0; i < MODEL_THREADS; i++)
		if (dirty[i] < world.threads[i].sp)
			memset(dirty[i], 0, world.threads[i].sp - dirty[i]);
}

static u64 multiply(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

/* Products that do not wait for one another, each pair of words with keys of its own. */
static u64 hash_part(const char *at, size_t size, u64 key)
{
	u64 word[2], hash = size;
	size_t i;

	for (i = 0; i < size; i += sizeof(word)) {
		if (size - i < sizeof(word))
			memset(word, 0, sizeof(word));
		memcpy(word, at + i, size - i < sizeof(word) ? size - i : sizeof(word));
		key += 0x9e3779b97f4a7c15;
		hash += multiply(word[0] ^ key, word[1] ^ (key * 0xd1342543de82ef95));
	}
	return hash;
}

static u64 hash_state(void)
{
	struct part part[MODEL_THREADS + 6];
	unsigned int i, n = parts(part);
	u64 hash = n;

	for (i = 0; i < n; i++)
		hash = multiply(hash ^ 0x2545f4914f6cdd1d,
				hash_part(part[i].at, part[i].size, hash) | 1);
	return hash ?: 1;
}

static u64 *seen;
static size_t seen_size, seen_used;

static bool see(u64 hash);

static void grow_seen(void)
{
	u64 *old = seen;
	size_t i, size = seen_size;

	seen_size = size ? 2 * size : 1 << 16;
	seen_used = 0;
	seen = calloc(seen_size, sizeof(*seen));
	if (!seen)
		broken("out of memory for the states");
	for (i = 0; i < size; i++)
		if (old[i])
			see(old[i]);
	free(old);
}

/* Is this state new? */
static bool see(u64 hash)
{
	size_t i;

	if (2 * seen_used >= seen_size)
		grow_seen();
	for (i = hash & (seen_size - 1); seen[i]; i = (i + 1) & (seen_size - 1))
		if (seen[i] == hash)
			return false;
	seen[i] = hash;
	seen_used++;
	return true;
}

/* From this state on. */
static void search(void)
{
	size_t where, used = snapshots_used;
	unsigned int left = 0, went = 0;
	enum outcome outcome;
	bool going = false;
	int thread;

	if (!see(hash_state()))
		return;
	for (thread = 0; thread < MODEL_THREADS; thread++) {
		if (world.threads[thread].sp && world.threads[thread].wait != ENDED &&
		    world.threads[thread].wait != WAITS_WORK)
			left |= 1u << thread;
		going |= world.threads[thread].sp && can_go(thread, GO);
	}
	if (!going && !left) {
		test_end();
		return;
	}
	if (!going)
		test_stuck(left);

	where = save();
	for (thread = 0; thread < MODEL_THREADS; thread++) {
		for (outcome = GO; outcome <= FAILED; outcome++) {
			if (!world.threads[thread].sp || !can_go(thread, outcome))
				continue;
			send(thread, outcome);
			end_grace_periods();
			test_step(thread);
			search();
			depth--;
			restore(where);
			went++;
		}
	}
	if (!went)
		broken("nobody can go on, and not all have ended");
	snapshots_used = used;
}

void reset_world(void)
{
	size_t size = __stop_model_state - __start_model_state;
	static char *first;

	/* The module's variables as they were at first */
	if (!first)
		first = memcpy(malloc(size), __start_model_state, size);
	memcpy(__start_model_state, first, size);
	memset(&world, 0, sizeof(world));
	memset(is_held, 0, sizeof(is_held));
	jiffies = 1000;
	first_work = NULL;
	depth = 0;
	deepest = 0;
	free(seen);
	seen = NULL;
	seen_size = 0;
	grow_seen();
}

unsigned int longest_run(void) { return deepest; }

unsigned long explore(int threads, void (*main)(int thread))
{
	int thread;

	catch_crashes();
	if (!snapshots)
		snapshots = malloc(MAX_SNAPSHOTS);
	if (!snapshots)
		broken("out of memory");
	thread_main = main;
	for (thread = 0; thread < threads; thread++)
		create_thread(thread, thread_begins);
	create_thread(MODEL_WORKER, worker_begins);
	running = MODEL_WORKER;
	switch_stack(&outside_sp, world.threads[MODEL_WORKER].sp);
	running = OUTSIDE;
	search();
	return seen_used;
}
