// SPDX-License-Identifier: GPL-2.0
/*
 * midatlas_bench - measures the atlas and the window beside their baselines
 *
 * The benchmark starts when the module is loaded and stops when it is unloaded. In debugfs,
 * midatlas_bench/state shows its progress and midatlas_bench/results.csv the results, one
 * line for each baseline and case.
 *
 * A round measures every case once, with the baselines of one case in a row. A disturbance
 * of some seconds thus affects one or two rounds of each case, and the median ignores them.
 * Further rounds repeat the measurements that were disturbed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "bench.h"

#define BENCH_MAX_ROUNDS	31
#define BENCH_MAX_SIZES		32
#define BENCH_MAX_MIDS		65535
#define BENCH_MAX_TASKS		256

static char *baselines = "all";
module_param(baselines, charp, 0444);
MODULE_PARM_DESC(baselines, "which of floor_min,floor_slots,floor_full,midatlas,array,wide_array,xa_alloc_cyclic,xa_alloc,idr_cyclic,9p,ida,sbitmap_queue,sbitmap_get,semaphore_ida,nfs_slots,rhashtable,cifs_smb1,cifs_smb2,spinlock,spinlock_irqsave,midwindow,midwindow_reserve,window_floor,window_full,window_full_reserve,window_cifs,window_xarray,window_xarray_irqsave,window_rhashtable, or all");

static char *tests = "st,mt,pc,lookup,chase";
module_param(tests, charp, 0444);
MODULE_PARM_DESC(tests, "which of st,mt,pc,lookup,chase,memory,reuse,full,one_free,sat,sat_mixed,unread,read,window_st,window_mt,window_pc,window_old,window_charge,window_spare,window_unread,window_read,window_allocations,window_memory, or all");

static char *orders = "random";
module_param(orders, charp, 0444);
MODULE_PARM_DESC(orders, "order in which requests are retired: random, fifo, or all");

static char *sizes[BENCH_MAX_SIZES] = {
	"4096/1", "4096/50", "4096/1000", "65535/4096", "65535/65472",
};

static int nr_sizes = 5;
module_param_array(sizes, charp, &nr_sizes, 0444);
MODULE_PARM_DESC(sizes, "maximum/in flight, separated by commas");

static unsigned int threads = 2;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "threads of mt, pc (in pairs) and full, each on its own CPU");

static unsigned int tasks[BENCH_MAX_SIZES] = { 4, 16, 64 };
static int nr_tasks = 3;
module_param_array(tasks, uint, &nr_tasks, 0444);
MODULE_PARM_DESC(tasks, "tasks of sat and sat_mixed, all CPUs but the last share them, separated by commas");

static unsigned int service = 2000;
module_param(service, uint, 0444);
MODULE_PARM_DESC(service, "ns that the receiver of sat and sat_mixed takes for a request, besides the calls");

static unsigned int rounds = 9;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "measurements of each case; odd, at most 31");

static unsigned int ms = 5;
module_param(ms, uint, 0444);
MODULE_PARM_DESC(ms, "duration of each measurement");

static unsigned int repeats = 9;
module_param(repeats, uint, 0444);
MODULE_PARM_DESC(repeats, "rounds that repeat disturbed measurements");

static unsigned int others = 1000000;
module_param(others, uint, 0444);
MODULE_PARM_DESC(others, "requests of window_allocations, and those that go by in window_old");

static unsigned int check_ms = 100;
module_param(check_ms, uint, 0444);
MODULE_PARM_DESC(check_ms, "duration of reuse and full");

static const struct bench_baseline *const all_baselines[] = {
	&bench_floor_min, &bench_floor_slots, &bench_floor_full,
	&bench_midatlas, &bench_array, &bench_wide_array,
	&bench_xarray_cyclic, &bench_xarray, &bench_idr_cyclic, &bench_ninep,
	&bench_ida_array, &bench_sbq, &bench_sbget, &bench_semaphore, &bench_nfs,
	&bench_rht, &bench_smb1, &bench_smb2,
	&bench_spinlock, &bench_spinlock_irq,
	&bench_window_floor, &bench_window_full, &bench_full_reserve,
	&bench_window_mid, &bench_window_reserve,
	&bench_window_cifs, &bench_window_xarray, &bench_window_xairq, &bench_window_rht,
	BENCH_COPIES
};

/**
 * struct bench_test - a kind of measurement
 * @name: its name in the parameter and the results
 * @unit: unit of the results
 * @run: measures once
 * @pattern: the work of the threads
 * @timed: measures time, also of lookup-only baselines
 * @alone: has one thread
 * @full: needs a table that is exactly full
 * @window: of the window and its baselines
 * @old: one request is in flight from the beginning
 * @charge: ids of a request; 0 is 1
 * @spare: credits that no request needs
 * @read: a reader may read the files of the table
 * @more: the units of bench_sample::more
 */
struct bench_test {
	const char *name;
	const char *unit;
	bench_run_fn *run;
	enum bench_pattern pattern;
	bool timed;
	bool alone;
	bool full;
	bool window;
	bool old;
	unsigned int charge;
	unsigned int spare;
	bool read;
	const char *const *more;
};

static const char *const sat_more[BENCH_MORE] = {
	"ns_p50", "ns_p99", "ns_longest", "waited_of_1000", "wakeups_for_1000", "most_for_1000",
};

static const struct bench_test all_tests[] = {
	{ "st", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true },
	{ "unread", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true },
	{ "read", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true, .read = true },
	{ "mt", "ps", bench_measure, BENCH_CHURN, .timed = true },
	{ "pc", "ps", bench_measure, BENCH_PC, .timed = true },
	{ "lookup", "ps", bench_measure, BENCH_LOOKUP, .timed = true, .alone = true },
	{ "chase", "ps", bench_measure, BENCH_CHASE, .timed = true, .alone = true },
	{ "memory", "bytes", bench_memory, .alone = true },
	{ "reuse", "associates", bench_reuse, .alone = true },
	{ "full", "failed", bench_measure, BENCH_FULL, .full = true },
	{ "one_free", "failed", bench_one_free, .alone = true, .full = true },
	{ "window_st", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true },
	{ "window_mt", "ps", bench_measure, BENCH_CHURN, .timed = true, .window = true },
	{ "window_pc", "ps", bench_measure, BENCH_PC, .timed = true, .window = true },
	{ "window_old", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true, .old = true },
	{ "window_charge", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true, .charge = 16 },
	{ "window_spare", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true, .spare = 512 },
	{ "window_unread", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true },
	{ "window_read", "ps", bench_measure, BENCH_CHURN, .timed = true, .alone = true,
	  .window = true, .read = true },
	{ "window_allocations", "allocations", bench_allocations, .alone = true,
	  .window = true },
	{ "window_memory", "bytes", bench_memory, .alone = true, .window = true },
	{ "sat", "cycles/s", bench_sat, BENCH_SAT, .timed = true, .more = sat_more },
	{ "sat_mixed", "cycles/s", bench_sat, BENCH_SAT, .timed = true, .window = true,
	  .charge = 16, .more = sat_more },
};

/* Of all rounds */
struct bench_values {
	u64 at[BENCH_MAX_ROUNDS];
};

/**
 * struct bench_row - a line of the results
 * @test: the test
 * @baseline: the baseline
 * @c: the conditions
 * @nr: number of measurements
 * @disturbed: the measurements that were disturbed
 * @cycles: cycles in all measurements
 * @values: the results, then those of bench_sample::more; each sorted at the end
 */
struct bench_row {
	const struct bench_test *test;
	const struct bench_baseline *baseline;
	struct bench_case c;
	unsigned int nr;
	DECLARE_BITMAP(disturbed, BENCH_MAX_ROUNDS);
	u64 cycles;
	struct bench_values values[1 + BENCH_MORE];
};

static struct bench_row *rows;
static unsigned int nr_rows;
static struct task_struct *task;
static struct dentry *dir;

static const char *state = "running"; /* then done, stopped or failed */
static unsigned int rounds_done;
static unsigned int rows_done;

/*
 * The plan
 */

/* Is @name in the comma-separated @list? */
static bool bench_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *p;

	if (!strcmp(list, "all"))
		return true;
	for (p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	}
	return false;
}

/* Do all members of @list exist, of which @found do? */
static bool bench_all_known(const char *param, const char *list, unsigned int found)
{
	unsigned int members = 1;
	const char *p;

	for (p = list; (p = strchr(p, ',')); p++)
		members++;
	if (!strcmp(list, "all") || found == members)
		return true;
	pr_err("%s=%s: unknown name, see modinfo\n",
	       param, list);
	return false;
}

static bool bench_params_known(void)
{
	unsigned int i, nr_baselines = 0, nr_tests = 0, nr_orders;

	for (i = 0; i < ARRAY_SIZE(all_baselines); i++)
		nr_baselines += bench_listed(baselines, all_baselines[i]->name);
	for (i = 0; i < ARRAY_SIZE(all_tests); i++)
		nr_tests += bench_listed(tests, all_tests[i].name);
	nr_orders = bench_listed(orders, "random") + bench_listed(orders, "fifo");
	return bench_all_known("baselines", baselines, nr_baselines) &&
	       bench_all_known("tests", tests, nr_tests) &&
	       bench_all_known("orders", orders, nr_orders);
}

static bool bench_applies(const struct bench_test *test, const struct bench_baseline *baseline,
			  const struct bench_case *c)
{
	if (baseline->deepest && c->depth > baseline->deepest)
		return false;
	if (c->pattern == BENCH_SAT)
		return baseline->wait && (!test->window || baseline->open);
	if (baseline->waits_only)
		return false;
	if (test->window != !!baseline->open)
		return false;
	/* A slow baseline would take minutes. */
	if (test->old && baseline->deepest)
		return false;
	if (baseline->lookup_only)
		return c->pattern == BENCH_LOOKUP || c->pattern == BENCH_CHASE;
	/* The requests contain the links, whose size cannot be measured. */
	if (test->run == bench_memory && baseline->linked)
		return false;
	if (test->full && (baseline->unbounded || c->depth != c->max))
		return false;
	return test->timed || !baseline->proposed;
}

static void bench_plan_case(const struct bench_test *test, const struct bench_case *c)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all_baselines); i++) {
		if (!bench_listed(baselines, all_baselines[i]->name) ||
		    !bench_applies(test, all_baselines[i], c))
			continue;
		rows[nr_rows++] = (struct bench_row){
			.test = test, .baseline = all_baselines[i], .c = *c,
		};
	}
}

static int bench_plan_size(const struct bench_test *test, const char *size)
{
	struct bench_case c = {
		.pattern = test->pattern,
		.threads = test->alone ? 1 : threads,
		.ms = test->timed ? ms : check_ms,
		.charge = test->charge ?: 1,
		.spare = test->spare,
		.service = service,
		.others = others,
		.old = test->old,
		.read = test->read,
	};
	unsigned int i;
	char end;

	if (c.pattern == BENCH_PC && c.threads % 2)
		return 0;
	if (sscanf(size, "%u/%u%c", &c.max, &c.depth, &end) != 2 || !c.depth ||
	    c.depth > c.max || c.max > BENCH_MAX_MIDS) {
		pr_err("sizes=%s: give maximum/in flight, such as 4096/50\n", size);
		return -EINVAL;
	}
	if (c.pattern == BENCH_SAT) {
		if (c.max > BENCH_SAT_MIDS) {
			pr_err("sizes=%s: sat can do with %d at most\n", size, BENCH_SAT_MIDS);
			return -EINVAL;
		}
		for (i = 0; i < nr_tasks; i++) {
			c.threads = tasks[i];
			bench_plan_case(test, &c);
		}
		return 0;
	}
	if (bench_listed(orders, "random")) {
		c.random = true;
		bench_plan_case(test, &c);
	}
	if (bench_listed(orders, "fifo") && test->timed) {
		c.random = false;
		bench_plan_case(test, &c);
	}
	return 0;
}

static int bench_plan(void)
{
	unsigned int i, j;
	int err;

	if (!bench_params_known())
		return -EINVAL;
	rows = kvcalloc(max(nr_tasks, 2) * ARRAY_SIZE(all_tests) * nr_sizes *
			ARRAY_SIZE(all_baselines), sizeof(*rows), GFP_KERNEL);
	if (!rows)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(all_tests); i++) {
		if (!bench_listed(tests, all_tests[i].name))
			continue;
		for (j = 0; j < nr_sizes; j++) {
			err = bench_plan_size(&all_tests[i], sizes[j]);
			if (err)
				return err;
		}
	}
	if (nr_rows)
		return 0;
	pr_err("nothing to do: no baseline takes part in these tests and sizes\n");
	return -EINVAL;
}

/*
 * The work
 */

static unsigned int bench_row_disturbed(const struct bench_row *row)
{
	return bitmap_weight(row->disturbed, BENCH_MAX_ROUNDS);
}

/* Adds a measurement or, in a repeat round, replaces a disturbed one. */
static int bench_row_run(struct bench_row *row)
{
	struct bench_sample sample = {};
	unsigned int i, j;
	int err;

	err = row->test->run(&row->c, row->baseline, &sample);
	if (err) {
		pr_err("%s of %s with %u of %u in flight: error %d\n", row->test->name,
		       row->baseline->name, row->c.depth, row->c.max, err);
		return err;
	}
	row->cycles += sample.cycles;
	if (row->nr < rounds)
		i = row->nr++;
	else if (!sample.disturbed)
		i = find_first_bit(row->disturbed, BENCH_MAX_ROUNDS);
	else
		return 0;
	row->values[0].at[i] = sample.value;
	for (j = 0; j < BENCH_MORE; j++)
		row->values[1 + j].at[i] = sample.more[j];
	__assign_bit(i, row->disturbed, sample.disturbed);
	return 0;
}

/* Other users of memory disturb that test as other guests disturb those of time. */
static bool bench_is_repeated(const struct bench_test *test)
{
	return test->timed || test->run == bench_memory;
}

static int bench_round(unsigned int round)
{
	int err;

	for (rows_done = 0; rows_done < nr_rows; rows_done++) {
		if (round && !bench_is_repeated(rows[rows_done].test))
			continue;
		if (round >= rounds && !bench_row_disturbed(&rows[rows_done]))
			continue;
		if (kthread_should_stop())
			return -EINTR;
		err = bench_row_run(&rows[rows_done]);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

static int bench_compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int bench_main(void *unused)
{
	unsigned int i, j;
	int err = 0;

	while (!err && rounds_done < rounds + repeats) {
		err = bench_round(rounds_done);
		rounds_done++;
	}
	for (i = 0; i < nr_rows; i++)
		for (j = 0; j <= BENCH_MORE; j++)
			sort(rows[i].values[j].at, rows[i].nr, sizeof(u64), bench_compare, NULL);
	/* Publishes the results; pairs with results_show(). */
	smp_store_release(&state, !err ? "done" : err == -EINTR ? "stopped" : "failed");
	pr_info("%s\n", state);

	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/*
 * debugfs
 */

static int state_show(struct seq_file *m, void *unused)
{
	unsigned int done = READ_ONCE(rounds_done) * nr_rows + READ_ONCE(rows_done);

	seq_printf(m, "%s %u %%\n", READ_ONCE(state),
		   min(done * 100 / ((rounds + repeats) * nr_rows), 100u));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static void results_show_line(struct seq_file *m, const struct bench_row *row,
			      const char *unit, const struct bench_values *values)
{
	seq_printf(m, "%s,%s,%s,%u,%u,%u,%s,%u,%u,%llu,%llu,%llu,%llu\n",
		   row->test->name, row->baseline->name, row->c.random ? "random" : "fifo",
		   row->c.threads, row->c.max, row->c.depth, unit,
		   row->nr, bench_row_disturbed(row), row->cycles, values->at[row->nr / 2],
		   values->at[0], values->at[row->nr - 1]);
}

static void results_show_row(struct seq_file *m, const struct bench_row *row)
{
	unsigned int i;

	results_show_line(m, row, row->test->unit, &row->values[0]);
	for (i = 0; row->test->more && i < BENCH_MORE; i++)
		results_show_line(m, row, row->test->more[i], &row->values[1 + i]);
}

/* Empty while the benchmark runs */
static int results_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	/* Pairs with the release in bench_main(). */
	if (!strcmp(smp_load_acquire(&state), "running"))
		return 0;
	seq_puts(m, "test,baseline,order,threads,max,in_flight,unit,rounds,disturbed,cycles,median,least,most\n");
	for (i = 0; i < nr_rows; i++)
		if (rows[i].nr)
			results_show_row(m, &rows[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

static int __init bench_init(void)
{
	unsigned int i;
	int err;

	if (!(rounds % 2) || rounds > BENCH_MAX_ROUNDS || !ms || !check_ms) {
		pr_err("rounds must be odd and at most %d, ms and check_ms not 0\n",
		       BENCH_MAX_ROUNDS);
		return -EINVAL;
	}
	if (!threads || threads > num_online_cpus()) {
		pr_err("threads=%u: give 1 to %u, the number of CPUs\n",
		       threads, num_online_cpus());
		return -EINVAL;
	}
	for (i = 0; i < nr_tasks; i++) {
		if (!tasks[i] || tasks[i] > BENCH_MAX_TASKS) {
			pr_err("tasks=%u: give 1 to %u\n", tasks[i], BENCH_MAX_TASKS);
			return -EINVAL;
		}
	}
	err = bench_plan();
	if (err)
		goto err;
	task = kthread_create(bench_main, NULL, "midatlas_bench");
	if (IS_ERR(task)) {
		err = PTR_ERR(task);
		goto err;
	}
	dir = debugfs_create_dir("midatlas_bench", NULL);
	debugfs_create_file("state", 0444, dir, NULL, &state_fops);
	debugfs_create_file("results.csv", 0444, dir, NULL, &results_fops);
	wake_up_process(task);
	return 0;

err:
	kvfree(rows);
	return err;
}

static void __exit bench_exit(void)
{
	kthread_stop(task);
	debugfs_remove_recursive(dir);
	kvfree(rows);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmarks the MID atlas against other ID allocators and in-flight tables");
MODULE_LICENSE("GPL");
