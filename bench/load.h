/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that threads keep in flight, and which of them is retired when
 */
#ifndef _MIDATLAS_BENCH_LOAD_H
#define _MIDATLAS_BENCH_LOAD_H

#include <linux/cache.h>
#include <linux/types.h>

#include "bench.h"

#define BENCH_IDS	65536	/* a MID has 16 bits; a baseline's ids may go beyond */

/**
 * struct bench_token - a request on its way between two threads
 * @req: its number
 * @id: its id in flight; before that the one that it had the last time
 */
struct bench_token {
	u32 req;
	u32 id;
};

/**
 * struct bench_order - which request is the next to be retired
 * @state: the seed of a random order, or the one that was retired last
 * @below: how many there are
 * @random: the order is random, not that in which they went out
 *
 * The loops have a copy of @state in a register: a store would have to be done before
 * the next atomic operation.
 */
struct bench_order {
	u64 state;
	unsigned int below;
	bool random;
};

/**
 * struct bench_load - the requests of one thread, or of a pair
 * @table: what gives them their ids
 * @reqs: the requests
 * @ids: their ids, where one thread has them
 * @depth: how many there are
 * @order: how they are retired
 * @next: the one that a lookup maps next
 * @ring: the wire of a pair: the tokens in flight, then those that are free
 * @pool: of a pair: in flight too, held back to be retired out of order
 * @size: tokens in @ring
 * @held: tokens in @pool
 * @batch: how many the one hands to the other at a time
 * @least: the consumer waits until the ring has this many in flight
 * @produced: tokens that went out, ever
 * @head: where in @ring the next one goes out
 * @consumed: tokens that came back, ever
 * @tail: where in @ring the next one comes back
 * @stop: no more will go out
 * @baseline: who owns @table
 * @used: the ids in flight over all loads, while the table is exactly full
 * @failed: associates that failed though there was a free one
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

/* A number below @below; Knuth's generator for MMIX, which can add any odd number. */
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
