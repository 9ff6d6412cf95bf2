// SPDX-License-Identifier: GPL-2.0
/*
 * scale - counts the transfers of cache lines a cycle, on 2 to 128 CPUs
 *
 * scale PATTERN TABLE CPUS [MAX IN_FLIGHT]: prints a line for each name of a line, as
 * PATTERN,TABLE,CPUS,MAX,IN_FLIGHT,NAME,transfers a cycle
 * and the same for NAME "all", "ns" (a cycle of one CPU) and "wake-ups".
 *
 * st	each CPU retires a request of its own, and associates it again
 * pc	all CPUs but one associate; CPU 0 maps and dissociates, first in, first out
 * sat	the same, where they always wait for an id
 */
#include "../../bench/load.h"
#include "scale.h"

#define WARM_UP		500000000ul	/* picoseconds */
#define END		2500000000ul	/* two ticks later */
#define CPU_REQS	1024
#define NR_REQS		(CPU_REQS * MACHINE_MAX_CPUS)
#define LEAST_CYCLES	1000

static const struct scale_table tables[] = {
	{ "midatlas", &bench_midatlas, MACHINE_QUEUED, scale_label_atlas, scale_wait_atlas },
	{ "midwindow", &bench_window_mid, MACHINE_QUEUED, scale_label_window, scale_wait_window },
	{ "midwindow_reserve", &bench_window_reserve, MACHINE_QUEUED, scale_label_window,
	  scale_wait_window },
	{ "spinlock", &bench_spinlock, MACHINE_QUEUED, scale_label_spinlock },
	{ "ticket_lock", &bench_spinlock, MACHINE_TICKET, scale_label_spinlock },
	{ "bitmap", &bench_bitmap, MACHINE_QUEUED },
	{ "window_floor", &bench_window_floor, MACHINE_QUEUED, scale_label_window_floor },
};

static const struct scale_table *scale;
static const struct bench_baseline *baseline;
static void *table;
static unsigned int in_flight;
static bool waits;
static struct bench_req *reqs;
static u64 cycles, picoseconds;

/* The requests in flight, in the order of sending */
static struct token { u32 req, id; } *wire;
static unsigned int wire_first, wire_last;
static unsigned int left[MACHINE_MAX_CPUS];	/* requests that a CPU may still send */

static void require(bool ok, const char *what)
{
	if (!ok)
		broken("%s on %u CPUs: %s", scale->name, machine_cpus, what);
}

static void count(u64 since)
{
	if (machine_now() < WARM_UP)
		return;
	cycles++;
	picoseconds += machine_now() - max(since, WARM_UP);
}

static bool goes_on(void)
{
	return machine_now() < END || cycles < LEAST_CYCLES;
}

/* How many of @in_flight are one CPU's, if @senders share them */
static unsigned int share(unsigned int nr, unsigned int senders)
{
	return in_flight / senders + (nr < in_flight % senders);
}

static void churn(unsigned int cpu)
{
	unsigned int n = share(cpu, machine_cpus), i;
	struct bench_req *req = &reqs[cpu * CPU_REQS];
	u32 *ids = machine_alloc(n * sizeof(*ids), "request");
	u64 since, seed = cpu;

	for (i = 0; i < n; i++)
		require(!baseline->associate(table, &req[i], &ids[i]), "no id");
	while (goes_on()) {
		since = machine_now();
		i = bench_random(&seed, n);
		require(baseline->map(table, ids[i]) == &req[i], "the wrong request");
		require(baseline->dissociate(table, ids[i], &req[i]) == &req[i], "not ours");
		while (baseline->associate(table, &req[i], &ids[i]) && goes_on())
			;
		count(since);
	}
}

static void receive(void)
{
	struct token *token;
	struct bench_req *req;
	u64 since;

	while (goes_on()) {
		since = machine_now();
		while (wire_first == wire_last)
			machine_sleep();
		token = &wire[wire_first++ % NR_REQS];
		req = &reqs[token->req];
		require(baseline->map(table, token->id) == req, "the wrong request");
		require(baseline->dissociate(table, token->id, req) == req, "not ours");
		left[token->req / CPU_REQS]++;
		machine_wake(token->req / CPU_REQS);
		count(since);
	}
	machine_stop();
}

static void send(unsigned int cpu)
{
	u32 *id = machine_alloc(sizeof(*id), "request");
	unsigned int nr = cpu * CPU_REQS;
	int err;

	left[cpu] = waits ? UINT_MAX / 2 : share(cpu - 1, machine_cpus - 1);
	for (;;) {
		while (!left[cpu])
			machine_sleep();
		left[cpu]--;
		err = (waits ? scale->wait : baseline->associate)(table, &reqs[nr], id);
		require(!err, "no id");
		wire[wire_last++ % NR_REQS] = (struct token){ nr, *id };
		machine_wake(0);
		nr = nr / CPU_REQS * CPU_REQS + (nr + 1) % CPU_REQS;
	}
}

static void send_or_receive(unsigned int cpu)
{
	if (cpu)
		send(cpu);
	else
		receive();
}

static void print(const char *pattern, unsigned int max, const char *what, double value)
{
	printf("%s,%s,%u,%u,%u,%s,%.6f\n", pattern, scale->name, machine_cpus, max, in_flight, what,
	       value);
}

static unsigned int number(const char *s, unsigned int least, unsigned int most)
{
	unsigned long n = strtoul(s, NULL, 10);

	if (n < least || n > most) {
		fprintf(stderr, "scale: %s is not a number from %u to %u\n", s, least, most);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct machine_result result;
	unsigned int i, max;
	double all = 0;

	if (argc != 6)
		number("", 1, 0);
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strcmp(argv[2], tables[i].name))
			scale = &tables[i];
	machine_cpus = number(argv[3], 2, MACHINE_MAX_CPUS);
	max = number(argv[4], 1, 65535);
	waits = !strcmp(argv[1], "sat");
	in_flight = number(argv[5], waits ? 1 : machine_cpus, max);
	if (!scale || (waits && !scale->wait)) {
		fprintf(stderr, "scale: no table '%s' for '%s'\n", argv[2], argv[1]);
		exit(2);
	}
	machine_lock = scale->lock;
	baseline = scale->baseline;
	jiffies = 1000;

	wire = calloc(NR_REQS, sizeof(*wire));
	reqs = machine_alloc(NR_REQS * sizeof(*reqs), "request");
	table = baseline->create(max);
	require(!IS_ERR(table), "create");
	if (baseline->open)
		require(!baseline->open(table, 1, in_flight), "open");
	if (scale->label)
		scale->label(table);
	machine_run(strcmp(argv[1], "st") ? send_or_receive : churn, WARM_UP, &result);

	for (i = 0; i < result.nr_names; i++) {
		all += result.transfers[i];
		print(argv[1], max, result.names[i], (double)result.transfers[i] / cycles);
	}
	print(argv[1], max, "all", all / cycles);
	print(argv[1], max, "ns", picoseconds / 1000.0 / cycles);
	print(argv[1], max, "wake-ups", (double)result.wake_ups / cycles);
	return 0;
}
