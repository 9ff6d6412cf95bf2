/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midlatency - for how long requests were in flight, in nanoseconds
 *
 * The file latency of a connection switches it on.  Until then it costs a branch that is
 * patched out, and ages are known to a tick only, from the slot's word.  While it is on, each
 * request is stamped when it begins; a request without a stamp began before, and is not
 * counted.
 *
 * Switching on clears the stamps of earlier requests first, so no request is measured from
 * the begin of another:
 *
 *	T1: echo 1 >latency		T2: associate
 *
 *					looks at @on: off
 *	stamps = 0
 *	@on = true
 *					publishes without a stamp: 0
 */
#ifndef _MIDLATENCY_H
#define _MIDLATENCY_H

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

#define MID_LATENCY_BUCKETS	48	/* the last one begins at 2^46 ns, 19 hours */

/**
 * struct mid_latencies - requests by their time in flight
 * @count: how many were in flight for less than 2^n ns, and at least half of that
 */
struct mid_latencies {
	unsigned long count[MID_LATENCY_BUCKETS];
};

/**
 * struct mid_latency - the time in flight of a connection's requests
 * @on: they are stamped and counted
 * @counts: the counts of each CPU; %NULL before it was switched on for the first time
 */
struct mid_latency {
	bool on;
	struct mid_latencies __percpu *counts;
};

/* Counts the connections that have it on. */
static DEFINE_STATIC_KEY_FALSE(mid_timed);
static DEFINE_MUTEX(mid_latency_mutex);

/* The stamp of a request that begins: the time, or 0 while it is off */
static inline u64 mid_latency_stamp(const struct mid_latency *latency)
{
	if (!static_branch_unlikely(&mid_timed))
		return 0;
	/* Pairs with mid_latency_switch_on(). */
	return smp_load_acquire(&latency->on) ? ktime_get_mono_fast_ns() : 0;
}

/* A request has ended.  Returns its time in flight, in ns: from its @stamp, or its @age. */
static inline u64 mid_latency_count(struct mid_latency *latency, u64 stamp, unsigned long age)
{
	u64 ns;

	if (!stamp)
		return jiffies64_to_nsecs(age);
	ns = ktime_get_mono_fast_ns() - stamp;
	/* Pairs with mid_latency_switch_on(). */
	if (smp_load_acquire(&latency->on))
		this_cpu_inc(latency->counts->count[min(fls64(ns), MID_LATENCY_BUCKETS - 1)]);
	return ns;
}

/* The age of a request in flight, in microseconds */
static inline u64 mid_latency_age_us(u64 stamp, unsigned long age)
{
	u64 ns = stamp ? ktime_get_mono_fast_ns() - stamp : jiffies64_to_nsecs(age);

	return div_u64(ns, NSEC_PER_USEC);
}

/* The caller has mid_latency_mutex. */
static void mid_latency_switch_off(struct mid_latency *latency)
{
	if (latency->on)
		static_branch_dec(&mid_timed);
	WRITE_ONCE(latency->on, false);
}

/*
 * Counts from 0 on.  The caller has mid_latency_mutex, and either it is on already, or no
 * request in flight has a stamp.
 */
static int mid_latency_switch_on(struct mid_latency *latency)
{
	int cpu;

	if (!latency->counts)
		latency->counts = alloc_percpu(struct mid_latencies);
	if (!latency->counts)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(latency->counts, cpu), 0, sizeof(struct mid_latencies));
	if (!latency->on)
		static_branch_inc(&mid_timed);
	/* The counts and the stamps first */
	smp_store_release(&latency->on, true);
	return 0;
}

static void mid_latency_print(struct seq_file *m, const struct mid_latency *latency)
{
	unsigned long count;
	unsigned int i;
	int cpu;

	mutex_lock(&mid_latency_mutex);
	seq_puts(m, latency->on ? "on\n" : "off\n");
	seq_puts(m, "below_ns count\n");
	for (i = 0; latency->counts && i < MID_LATENCY_BUCKETS; i++) {
		count = 0;
		for_each_possible_cpu(cpu)
			count += READ_ONCE(per_cpu_ptr(latency->counts, cpu)->count[i]);
		if (count)
			seq_printf(m, "%llu %lu\n", BIT_ULL(i), count);
	}
	mutex_unlock(&mid_latency_mutex);
}

/* Before the connection is freed; the counts are freed after a grace period. */
static void mid_latency_end(struct mid_latency *latency)
{
	mutex_lock(&mid_latency_mutex);
	mid_latency_switch_off(latency);
	mutex_unlock(&mid_latency_mutex);
}

#endif /* _MIDLATENCY_H */
