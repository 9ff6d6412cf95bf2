/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The measured loops, compiled around each peer
 *
 * They do as little as they can besides: an index, a load of the id, the calls,
 * a comparison of each result with the one that is right.
 */
#ifndef _MIDATLAS_BENCH_LOOP_H
#define _MIDATLAS_BENCH_LOOP_H

#include <linux/errno.h>
#include <linux/processor.h>
#include <linux/slab.h>

#include "bench.h"
#include "load.h"

#define BENCH_TRIES	1000000

#define __bench_loop static __always_inline bool

typedef int bench_associate_fn(void *table, struct bench_req *req, u32 *id);
typedef struct bench_req *bench_map_fn(void *table, u32 id);
typedef struct bench_req *bench_dissociate_fn(void *table, u32 id, struct bench_req *found);

/*
 * A table that is exactly full may fail while another thread, which has just freed
 * a slot, takes a look around.  A client would try again, too.
 */
__bench_loop bench_associate(bench_associate_fn associate, void *table,
			     struct bench_req *req, u32 *id)
{
	unsigned int tries = BENCH_TRIES;
	int err;

	while (unlikely((err = associate(table, req, id)) == -ENOSPC) && --tries)
		cpu_relax();
	return !err;
}

/* One thread's requests: each is retired, and goes out again at once. */
__bench_loop bench_churn(struct bench_load *load, unsigned int cycles,
			 bench_associate_fn associate, bench_map_fn map,
			 bench_dissociate_fn dissociate)
{
	struct bench_order order = load->order;
	struct bench_req *reqs = load->reqs;
	void *table = load->table;
	u32 *ids = load->ids;
	bool ok = true;

	while (cycles--) {
		unsigned int i = bench_next(&order);
		struct bench_req *req = &reqs[i];
		u32 id = ids[i];

		ok &= map(table, id) == req;
		ok &= dissociate(table, id, req) == req;
		ok &= bench_associate(associate, table, req, &ids[i]);
	}
	load->order = order;
	return ok;
}

/* Sends @cycles requests out; the ring has so many that are free. */
__bench_loop bench_produce(struct bench_load *load, unsigned int cycles,
			   bench_associate_fn associate)
{
	struct bench_token *ring = load->ring;
	struct bench_req *reqs = load->reqs;
	unsigned int size = load->size;
	unsigned int head = load->head;
	void *table = load->table;
	bool ok = true;

	while (cycles--) {
		struct bench_token *token = &ring[head];

		ok &= bench_associate(associate, table, &reqs[token->req], &token->id);
		if (++head == size)
			head = 0;
	}
	load->head = head;
	return ok;
}

/*
 * Retires @cycles requests: the oldest in the ring, or those from the pool that
 * they change places with.
 */
__bench_loop bench_consume(struct bench_load *load, unsigned int cycles,
			   bench_map_fn map, bench_dissociate_fn dissociate)
{
	struct bench_order order = load->order;
	struct bench_token *pool = load->pool;
	struct bench_token *ring = load->ring;
	struct bench_req *reqs = load->reqs;
	unsigned int size = load->size;
	unsigned int tail = load->tail;
	void *table = load->table;
	bool ok = true;

	while (cycles--) {
		struct bench_token token = ring[tail];
		struct bench_req *req;

		if (order.below) {
			unsigned int i = bench_next(&order);

			swap(token, pool[i]);
			ring[tail] = token;
		}
		if (++tail == size)
			tail = 0;
		req = &reqs[token.req];
		ok &= map(table, token.id) == req;
		ok &= dissociate(table, token.id, req) == req;
	}
	load->tail = tail;
	load->order = order;
	return ok;
}

__bench_loop bench_lookup(struct bench_load *load, unsigned int cycles,
			  bench_map_fn map)
{
	struct bench_req *reqs = load->reqs;
	unsigned int depth = load->depth;
	unsigned int i = load->order.at;
	void *table = load->table;
	u32 *ids = load->ids;
	bool ok = true;

	while (cycles--) {
		ok &= map(table, ids[i]) == &reqs[i];
		if (++i >= depth)
			i = 0;
	}
	load->order.at = i;
	return ok;
}

/* Requests are aligned: the low bit adds nothing but the wait for the result. */
__bench_loop bench_chase(struct bench_load *load, unsigned int cycles,
			 bench_map_fn map)
{
	struct bench_req *reqs = load->reqs;
	unsigned int depth = load->depth;
	unsigned int i = load->order.at;
	void *table = load->table;
	u32 *ids = load->ids;
	bool ok = true;

	while (cycles--) {
		struct bench_req *req = map(table, ids[i]);

		ok &= req == &reqs[i];
		i += 1 + ((unsigned long)req & 1);
		if (i >= depth)
			i = 0;
	}
	load->order.at = i;
	return ok;
}

/* BENCH_PEER(prefix, name, other members...): the peer whose functions begin so */
#define BENCH_PEER(_pre, _name, ...)						\
static bool _pre##_churn(struct bench_load *load, unsigned int cycles)		\
{										\
	return bench_churn(load, cycles, _pre##_associate, _pre##_map,		\
			   _pre##_dissociate);					\
}										\
										\
static bool _pre##_produce(struct bench_load *load, unsigned int cycles)	\
{										\
	return bench_produce(load, cycles, _pre##_associate);			\
}										\
										\
static bool _pre##_consume(struct bench_load *load, unsigned int cycles)	\
{										\
	return bench_consume(load, cycles, _pre##_map, _pre##_dissociate);	\
}										\
										\
static bool _pre##_lookup(struct bench_load *load, unsigned int cycles)		\
{										\
	return bench_lookup(load, cycles, _pre##_map);				\
}										\
										\
static bool _pre##_chase(struct bench_load *load, unsigned int cycles)		\
{										\
	return bench_chase(load, cycles, _pre##_map);				\
}										\
										\
const struct bench_peer bench_##_pre = {					\
	.name = _name,								\
	.create = _pre##_create,						\
	.destroy = _pre##_destroy,						\
	.associate = _pre##_associate,						\
	.map = _pre##_map,							\
	.dissociate = _pre##_dissociate,					\
	.churn = _pre##_churn,							\
	.produce = _pre##_produce,						\
	.consume = _pre##_consume,						\
	.lookup = _pre##_lookup,						\
	.chase = _pre##_chase,							\
	__VA_ARGS__								\
}

#endif /* _MIDATLAS_BENCH_LOOP_H */
