/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The measured loops, compiled around each baseline
 *
 * Besides the calls they only compute an index, load the id and compare each result with
 * the expected one. Their state fits into the registers that a call preserves.
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
 * An associate in a table that is exactly full may fail while another thread has just
 * freed a slot. A window hands out no new ids far above an unsent one, and an id stays unsent
 * for long if the host takes a CPU away between reserve and associate. A client would retry,
 * too.
 */
static __maybe_unused noinline int bench_associate_again(bench_associate_fn associate,
							 struct bench_load *load,
							 struct bench_req *req, u32 *id)
{
	unsigned int tries = BENCH_TRIES;
	int err;

	do {
		cpu_relax();
		err = associate(load->table, req, id);
	} while ((err == -ENOSPC || err == -EAGAIN) && --tries);
	return err;
}

__bench_loop bench_associate(bench_associate_fn associate, struct bench_load *load,
			     struct bench_req *req, u32 *id)
{
	int err = associate(load->table, req, id);

	if (likely(!err))
		return true;
	return (err == -ENOSPC || err == -EAGAIN) &&
	       !bench_associate_again(associate, load, req, id);
}

/* Retires a request and associates it again at once. */
__bench_loop bench_churn_in(struct bench_load *load, unsigned int cycles, const bool random,
			    bench_associate_fn associate, bench_map_fn map,
			    bench_dissociate_fn dissociate)
{
	u64 state = load->order.state;

	while (cycles--) {
		unsigned int i = bench_next(&load->order, random, &state);
		struct bench_req *req = &load->reqs[i];
		u32 *id = &load->ids[i];

		if (unlikely(map(load->table, *id) != req ||
			     dissociate(load->table, *id, req) != req ||
			     !bench_associate(associate, load, req, id)))
			return false;
	}
	load->order.state = state;
	return true;
}

/* One loop for each order: a test in each cycle would be a part of the result. */
__bench_loop bench_churn(struct bench_load *load, unsigned int cycles,
			 bench_associate_fn associate, bench_map_fn map,
			 bench_dissociate_fn dissociate)
{
	return load->order.random ?
		bench_churn_in(load, cycles, true, associate, map, dissociate) :
		bench_churn_in(load, cycles, false, associate, map, dissociate);
}

/* Associates @cycles requests; the ring has as many free tokens. */
__bench_loop bench_produce(struct bench_load *load, unsigned int cycles,
			   bench_associate_fn associate)
{
	unsigned int head = load->head;

	while (cycles--) {
		struct bench_token *token = &load->ring[head];

		if (unlikely(!bench_associate(associate, load,
					      &load->reqs[token->req], &token->id)))
			return false;
		if (++head == load->size)
			head = 0;
	}
	load->head = head;
	return true;
}

/*
 * Retires @cycles requests: the oldest in the ring, or in random order the one of the pool
 * that each of them is swapped with.
 */
__bench_loop bench_consume(struct bench_load *load, unsigned int cycles,
			   bench_map_fn map, bench_dissociate_fn dissociate)
{
	u64 state = load->order.state;
	unsigned int tail = load->tail;

	while (cycles--) {
		struct bench_token *token = &load->ring[tail];
		struct bench_req *req;
		unsigned int i;

		if (load->order.below) {
			i = bench_next(&load->order, load->order.random, &state);
			swap(*token, load->pool[i]);
		}
		if (++tail == load->size)
			tail = 0;
		req = &load->reqs[token->req];
		if (unlikely(map(load->table, token->id) != req ||
			     dissociate(load->table, token->id, req) != req))
			return false;
	}
	load->tail = tail;
	load->order.state = state;
	return true;
}

__bench_loop bench_lookup(struct bench_load *load, unsigned int cycles,
			  bench_map_fn map)
{
	const u32 *id = load->ids + load->next, *end = load->ids + load->depth;
	struct bench_req *req = load->reqs + load->next;
	void *table = load->table;

	while (cycles--) {
		if (unlikely(map(table, *id++) != req++))
			return false;
		if (unlikely(id == end)) {
			id = load->ids;
			req = load->reqs;
		}
	}
	load->next = req - load->reqs;
	return true;
}

/* Requests are aligned, so the low bit is 0 and only adds a wait for the result. */
__bench_loop bench_chase(struct bench_load *load, unsigned int cycles,
			 bench_map_fn map)
{
	unsigned int i = load->next;

	while (cycles--) {
		struct bench_req *req = map(load->table, load->ids[i]);

		if (unlikely(req != &load->reqs[i]))
			return false;
		/* Hides from the compiler that the value is known. */
		OPTIMIZER_HIDE_VAR(req);
		i += 1 + ((unsigned long)req & 1);
		if (i >= load->depth)
			i = 0;
	}
	load->next = i;
	return true;
}

/* BENCH_BASELINE(prefix, name, other members...): a baseline whose functions have @prefix */
#define BENCH_BASELINE(_pre, _name, ...)						\
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
const struct bench_baseline bench_##_pre = {					\
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
