/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that threads keep in flight, and the order in which they are retired
 */
#ifndef _MIDATLAS_BENCH_LOAD_H
#define _MIDATLAS_BENCH_LOAD_H

#include <linux/cache.h>
#include <linux/types.h>

#include "bench.h"

#define BENCH_IDS	65536	/* MIDs have 16 bits; some baselines have larger ids */

/**
 * struct bench_token - a request that one thread hands to another
 * @req: index of the request
 * @id: its id; while it is not in flight, its previous id
 */
struct bench_token {
	u32 req;
	u32 id;
};

/**
 * struct bench_order - the order in which requests are retired
 * @state: the seed of a random order, or the index of the request retired last
 * @below: number of requests
 * @random: random order, not first in, first out
 *
 * The loops keep a copy of @state in a register: the next atomic operation would have to
 * wait for a store.
 */
struct bench_order {
	u64 state;
	unsigned int below;
	bool random;
};

/**
 * struct bench_load - the requests of one thread, or of a pair
 * @table: the baseline's table
 * @reqs: the requests
 * @ids: their ids; unused in a pair
 * @depth: number of requests
 * @order: the order in which they are retired
 * @next: the request that a lookup maps next
 * @ring: of a pair: the tokens in flight, then the free ones
 * @pool: of a pair: tokens in flight that are held back to be retired out of order
 * @size: tokens in @ring
 * @held: tokens in @pool
 * @batch: tokens that are handed over at a time
 * @least: the consumer waits until the ring has this many in flight
 * @produced: total of tokens associated
 * @head: index in @ring of the next token to associate
 * @consumed: total of tokens retired
 * @tail: index in @ring of the next token to retire
 * @stop: the producer has ended
 * @baseline: the owner of @table
 * @used: the ids in flight over all loads, if the table is exactly full
 * @failed: associates that failed although an id was free
 */
struct bench_load {
	void *table;
	struct bench_req *reqs;
	u32 *ids;
	unsigned int depth;
	struct bench_order order;
	unsigned int next;

	struct bench_token *ring;
	struct bench_token *pool;
	unsigned int size;
	unsigned int held;
	unsigned int batch;
	unsigned int least;

	unsigned int produced ____cacheline_aligned;
	unsigned int head;
	unsigned int consumed ____cacheline_aligned;
	unsigned int tail;
	bool stop;

	const struct bench_baseline *baseline ____cacheline_aligned;
	unsigned long *used;
	u64 failed;
} ____cacheline_aligned;

/* A random number below @below, by Knuth's generator for MMIX with the increment 1 */
static __always_inline unsigned int bench_random(u64 *seed, unsigned int below)
{
	*seed = *seed * 6364136223846793005ull + 1;
	return ((*seed >> 32) * below) >> 32;
}

static __always_inline unsigned int bench_next(const struct bench_order *order,
					       bool random, u64 *state)
{
	if (random)
		return bench_random(state, order->below);
	if (++*state >= order->below)
		*state = 0;
	return *state;
}

#endif /* _MIDATLAS_BENCH_LOAD_H */
