/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Baselines of the window: 64-bit ids in sequence, within the credits of a server
 *
 * Such a baseline has create, map and destroy, and instead of associate and dissociate:
 *
 *	int begin(void *table, unsigned int charge, struct bench_req *req, u64 *id);
 *	void grant(void *table, unsigned int credits);
 *	struct bench_req *claim(void *table, u32 id, struct bench_req *found);
 *
 * A new table has one credit, as a new connection. The measured loops call begin as
 * associate, and as dissociate grant and then claim: a window wants a reply's credits
 * before its request is claimed. They keep the low half of the id; the other half is 0 in
 * a measurement.
 */
#ifndef _MIDATLAS_BENCH_WINDOW_H
#define _MIDATLAS_BENCH_WINDOW_H

#include <linux/log2.h>

#include "loop.h"

/**
 * struct bench_window - the first member of each table
 * @charge: ids of a request, a power of two
 * @shift: its logarithm
 */
struct bench_window {
	unsigned int charge;
	unsigned int shift;
};

typedef int bench_begin_fn(void *table, unsigned int charge, struct bench_req *req, u64 *id);
typedef void bench_grant_fn(void *table, unsigned int credits);

/* The first request has the only credit, and the server's reply grants more. */
static inline int bench_window_open(struct bench_window *window, unsigned int charge,
				    unsigned int credits, bench_begin_fn begin,
				    bench_map_fn map, bench_grant_fn grant,
				    bench_dissociate_fn claim)
{
	struct bench_req first = {};
	u64 id;
	int err;

	window->charge = charge;
	window->shift = ilog2(charge);
	err = begin(window, 1, &first, &id);
	if (err)
		return err;
	if (map(window, id) != &first)
		return -EBADMSG;
	grant(window, credits);
	return claim(window, id, &first) == &first ? 0 : -EBADMSG;
}

/* BENCH_WINDOW(prefix, name, other members...): as BENCH_BASELINE() */
#define BENCH_WINDOW(_pre, _name, ...)						\
static int _pre##_associate(void *table, struct bench_req *req, u32 *id)	\
{										\
	struct bench_window *window = table;					\
	u64 mid = 0;								\
	int err = _pre##_begin(table, window->charge, req, &mid);		\
										\
	*id = mid;								\
	return err;								\
}										\
										\
static struct bench_req *_pre##_dissociate(void *table, u32 id,			\
					   struct bench_req *found)		\
{										\
	struct bench_window *window = table;					\
										\
	_pre##_grant(table, window->charge);					\
	return _pre##_claim(table, id, found);					\
}										\
										\
static int _pre##_open(void *table, unsigned int charge, unsigned int credits)	\
{										\
	return bench_window_open(table, charge, credits, _pre##_begin,		\
				 _pre##_map, _pre##_grant, _pre##_claim);	\
}										\
										\
static __maybe_unused struct bench_req *					\
_pre##_end(void *table, unsigned int charge, u32 id, struct bench_req *found)	\
{										\
	_pre##_grant(table, charge);						\
	return _pre##_claim(table, id, found);					\
}										\
										\
BENCH_BASELINE(_pre, _name, .open = _pre##_open, __VA_ARGS__)

#endif /* _MIDATLAS_BENCH_WINDOW_H */
