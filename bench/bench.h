/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a baseline is, and what is measured of it
 *
 * A *baseline* is one way to give requests in flight an id.  Its file in peers/ has
 * five functions and a BENCH_BASELINE() line, which compiles the loops of loop.h
 * around them: what is measured calls the baseline directly, and nobody pays for
 * this interface.
 */
#ifndef _MIDATLAS_BENCH_H
#define _MIDATLAS_BENCH_H

#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/container_of.h>
#include <linux/types.h>

/**
 * struct bench_req - a request, the context that baselines give an id
 * @node: where a baseline that links its requests has its members
 */
struct bench_req {
	u64 node[8];
} ____cacheline_aligned;

/* The baseline's part of a request, and back */
#define bench_req_node(req, type)					\
({									\
	BUILD_BUG_ON(sizeof(type) > sizeof((req)->node));		\
	(type *)(req)->node;						\
})

#define bench_node_req(ptr)	container_of((u64 (*)[8])(ptr), struct bench_req, node)

struct bench_load;

/* Runs so many cycles; false if a result was wrong. */
typedef bool bench_loop_fn(struct bench_load *load, unsigned int cycles);

/**
 * struct bench_baseline - one way to give requests in flight an id
 * @name: what the results call it
 * @deepest: with more in flight than this it takes too long; 0 if never
 * @proposed: it takes the id that the load proposes and knows to be free
 * @spread: it is proposed every other id, if there are so many
 * @lookup_only: nothing but its lookups is worth measuring
 * @unbounded: it does not keep the maximum
 * @linked: it links the requests: one of them cannot be in two tables
 * @create: a table for at most @max requests in flight, or an ERR_PTR
 * @destroy: frees a table, whatever is in it
 * @associate: stores the id of @req in @id, which has another one or 0 before, or fails
 *	with an errno
 * @map: the request that has the id, or NULL
 * @dissociate: the same, and the id is free again; to exactly one caller; @found
 *	is what map returned before, for a baseline that then need not search again
 * @churn: one thread associates, maps and dissociates
 * @produce: associates what another thread consumes
 * @consume: maps and dissociates
 * @lookup: maps ids that are all known beforehand
 * @chase: maps ids of which each is known only when the one before it is mapped
 */
struct bench_baseline {
	const char *name;
	unsigned int deepest;
	bool proposed;
	bool spread;
	bool lookup_only;
	bool unbounded;
	bool linked;
	void *(*create)(unsigned int max);
	void (*destroy)(void *table);
	int (*associate)(void *table, struct bench_req *req, u32 *id);
	struct bench_req *(*map)(void *table, u32 id);
	struct bench_req *(*dissociate)(void *table, u32 id, struct bench_req *found);
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
extern const struct bench_baseline bench_spinlock;
extern const struct bench_baseline bench_spinlock_irq;
extern const struct bench_baseline bench_xarray_cyclic;
extern const struct bench_baseline bench_xarray;
extern const struct bench_baseline bench_idr_cyclic;
extern const struct bench_baseline bench_ninep;
extern const struct bench_baseline bench_ida_array;
extern const struct bench_baseline bench_sbget;
extern const struct bench_baseline bench_sbq;
extern const struct bench_baseline bench_rht;
extern const struct bench_baseline bench_smb1;
extern const struct bench_baseline bench_smb2;

/**
 * enum bench_pattern - what the threads of a measurement do
 * @BENCH_CHURN: each associates, maps and dissociates
 * @BENCH_PC: pairs, of which one associates and the other maps and dissociates
 * @BENCH_LOOKUP: each maps
 * @BENCH_CHASE: each maps, one after the other
 * @BENCH_FULL: each dissociates and associates while the table is exactly full
 */
enum bench_pattern {
	BENCH_CHURN,
	BENCH_PC,
	BENCH_LOOKUP,
	BENCH_CHASE,
	BENCH_FULL,
};

/**
 * struct bench_case - under which conditions a baseline is measured
 * @pattern: what the threads do
 * @random: requests are retired in random order, not in that of their going out
 * @threads: how many threads there are, each on a CPU of its own
 * @max: how many requests the table takes
 * @depth: how many are in flight, over all threads
 * @ms: how long
 */
struct bench_case {
	enum bench_pattern pattern;
	bool random;
	unsigned int threads;
	unsigned int max;
	unsigned int depth;
	unsigned int ms;
};

/**
 * struct bench_sample - what came of it
 * @value: picoseconds, bytes, associates or failures
 * @cycles: how many cycles that is the result of
 * @disturbed: the CPU was not all ours meanwhile
 */
struct bench_sample {
	u64 value;
	u64 cycles;
	bool disturbed;
};

/*
 * All return 0, %-EBADMSG if the baseline gave a wrong result, what it returned if it
 * failed to associate, or %-ENOMEM.
 */
typedef int bench_run_fn(const struct bench_case *c, const struct bench_baseline *baseline,
			 struct bench_sample *sample);

bench_run_fn bench_measure;
bench_run_fn bench_memory;
bench_run_fn bench_reuse;
bench_run_fn bench_one_free;

#endif /* _MIDATLAS_BENCH_H */
