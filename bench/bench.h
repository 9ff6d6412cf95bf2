/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Baselines, cases and results
 *
 * A *baseline* is one way to give requests in flight an id: the atlas, another allocator
 * of the kernel, or a lower bound. Its file in peers/ has five functions and a
 * BENCH_BASELINE() line, which compiles the loops of loop.h around them. The measured
 * loops call the baseline directly, so this interface costs nothing.
 *
 * A baseline of the window gives 64-bit ids within a server's credits. Its file has six
 * functions and a BENCH_WINDOW() line, see window.h.
 */
#ifndef _MIDATLAS_BENCH_H
#define _MIDATLAS_BENCH_H

#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/container_of.h>
#include <linux/types.h>

/**
 * struct bench_req - a request, which a baseline gives an id
 * @node: space for the members of a baseline that links its requests
 */
struct bench_req {
	u64 node[8];
} ____cacheline_aligned;

/* Converts between a request and the baseline's part of it. */
#define bench_req_node(req, type)					\
({									\
	BUILD_BUG_ON(sizeof(type) > sizeof((req)->node));		\
	(type *)(req)->node;						\
})

#define bench_node_req(ptr)	container_of((u64 (*)[8])(ptr), struct bench_req, node)

struct bench_load;

/* Runs @cycles cycles; false if a result was wrong. */
typedef bool bench_loop_fn(struct bench_load *load, unsigned int cycles);

/**
 * struct bench_baseline - one way to give requests in flight an id
 * @name: its name in the results
 * @deepest: the most requests in flight that it is measured with; 0 for no limit
 * @proposed: it has no search and takes the free id that the load proposes
 * @spread: the load proposes every other id
 * @lookup_only: only its lookups are measured
 * @unbounded: it does not enforce the maximum
 * @linked: it links the requests, so a request cannot be in two tables
 * @waits_only: it is only measured while tasks wait
 * @open: of a window: grants @credits to requests that take @charge ids each
 * @create: creates a table for at most @max requests in flight, or returns an ERR_PTR
 * @destroy: frees a table with all that is in it
 * @associate: stores the id of @req in @id, which holds the previous id or 0, or returns an
 *	errno
 * @map: returns the request that has the id, or NULL
 * @dissociate: returns the request to exactly one caller and frees the id; @found is what
 *	map returned before, for baselines that need no second search
 * @wait: as associate, but waits for @charge ids; %NULL: no task can wait
 * @end: of such a baseline, as dissociate, for a request with @charge ids
 * @churn: loop of a thread that associates, maps and dissociates
 * @produce: loop of a thread that associates
 * @consume: loop of a thread that maps and dissociates
 * @lookup: loop that maps ids known beforehand
 * @chase: loop that maps ids each of which depends on the previous result
 */
struct bench_baseline {
	const char *name;
	unsigned int deepest;
	bool proposed;
	bool spread;
	bool lookup_only;
	bool unbounded;
	bool linked;
	bool waits_only;
	int (*open)(void *table, unsigned int charge, unsigned int credits);
	void *(*create)(unsigned int max);
	void (*destroy)(void *table);
	int (*associate)(void *table, struct bench_req *req, u32 *id);
	struct bench_req *(*map)(void *table, u32 id);
	struct bench_req *(*dissociate)(void *table, u32 id, struct bench_req *found);
	int (*wait)(void *table, unsigned int charge, struct bench_req *req, u32 *id);
	struct bench_req *(*end)(void *table, unsigned int charge, u32 id,
				 struct bench_req *found);
	bench_loop_fn *churn;
	bench_loop_fn *produce;
	bench_loop_fn *consume;
	bench_loop_fn *lookup;
	bench_loop_fn *chase;
};

extern const struct bench_baseline bench_floor_min;
extern const struct bench_baseline bench_floor_slots;
extern const struct bench_baseline bench_floor_full;
extern const struct bench_baseline bench_array;
extern const struct bench_baseline bench_wide_array;
extern const struct bench_baseline bench_midatlas;
extern const struct bench_baseline bench_before;
extern const struct bench_baseline bench_untraced_atlas;
extern const struct bench_baseline bench_untraced_window;
extern const struct bench_baseline bench_spinlock;
extern const struct bench_baseline bench_spinlock_irq;
extern const struct bench_baseline bench_xarray_cyclic;
extern const struct bench_baseline bench_xarray;
extern const struct bench_baseline bench_idr_cyclic;
extern const struct bench_baseline bench_ninep;
extern const struct bench_baseline bench_ida_array;
extern const struct bench_baseline bench_semaphore;
extern const struct bench_baseline bench_nfs;
extern const struct bench_baseline bench_sbget;
extern const struct bench_baseline bench_sbq;
extern const struct bench_baseline bench_rht;
extern const struct bench_baseline bench_smb1;
extern const struct bench_baseline bench_smb2;
extern const struct bench_baseline bench_window_floor;
extern const struct bench_baseline bench_window_full;
extern const struct bench_baseline bench_full_reserve;
extern const struct bench_baseline bench_window_mid;
extern const struct bench_baseline bench_window_reserve;
extern const struct bench_baseline bench_window_cifs;
extern const struct bench_baseline bench_window_xarray;
extern const struct bench_baseline bench_window_xairq;
extern const struct bench_baseline bench_window_rht;

/**
 * enum bench_pattern - the work of the threads in a measurement
 * @BENCH_CHURN: each associates, maps and dissociates
 * @BENCH_PC: pairs, of which one associates and the other maps and dissociates
 * @BENCH_LOOKUP: each maps
 * @BENCH_CHASE: each maps, each id depending on the previous result
 * @BENCH_FULL: each dissociates and associates while the table is exactly full
 * @BENCH_SAT: each associates, and waits for an id that a receiver frees
 */
enum bench_pattern {
	BENCH_CHURN,
	BENCH_PC,
	BENCH_LOOKUP,
	BENCH_CHASE,
	BENCH_FULL,
	BENCH_SAT,
};

/**
 * struct bench_case - the conditions of a measurement
 * @pattern: the work of the threads
 * @random: requests are retired in random order, not first in, first out
 * @threads: number of threads, each on its own CPU but for BENCH_SAT
 * @max: the most requests in flight that the table is created for
 * @depth: requests in flight, over all threads
 * @ms: duration in milliseconds
 * @charge: of a window: ids of a request; for BENCH_SAT the most
 * @spare: of a window: credits that no request needs
 * @service: for BENCH_SAT: ns that the receiver takes for a request, besides the calls
 * @others: requests that go by beside an old one, or while allocations are counted
 * @old: beside @depth, one request is in flight from the beginning to the end
 * @read: a reader may read the files of the table in debugfs, in the folder "read"
 */
struct bench_case {
	enum bench_pattern pattern;
	bool random;
	unsigned int threads;
	unsigned int max;
	unsigned int depth;
	unsigned int ms;
	unsigned int charge;
	unsigned int spare;
	unsigned int service;
	unsigned int others;
	bool old;
	bool read;
};

extern const char *bench_name;	/* of the next atlas or window */

#define BENCH_MORE	6
#define BENCH_SAT_MIDS	256	/* the most ids of BENCH_SAT */

/**
 * struct bench_sample - the result of a measurement
 * @value: picoseconds, bytes, associates, allocations, failures, or cycles a second
 * @more: of BENCH_SAT: the median, the 99th percentile and the longest wait in ns; requests
 *	that slept, of 1000; wake-ups for 1000 of these; requests of the task that was served
 *	most for 1000 of the one that was served least
 * @cycles: number of cycles behind @value
 * @disturbed: the CPU was shared with another guest meanwhile
 */
struct bench_sample {
	u64 value;
	u64 more[BENCH_MORE];
	u64 cycles;
	bool disturbed;
};

/*
 * All return 0, %-EBADMSG for a wrong result, the baseline's errno if an associate failed,
 * or %-ENOMEM.
 */
typedef int bench_run_fn(const struct bench_case *c, const struct bench_baseline *baseline,
			 struct bench_sample *sample);

bench_run_fn bench_measure;
bench_run_fn bench_sat;
bench_run_fn bench_memory;
bench_run_fn bench_reuse;
bench_run_fn bench_one_free;
bench_run_fn bench_allocations;

bool bench_is_disturbed(void);

#endif /* _MIDATLAS_BENCH_H */
