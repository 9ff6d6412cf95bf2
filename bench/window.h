/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Baselines of the window: 64-bit ids in sequence, within the credits of a server
 *
 * The functions of such a baseline, beside create and destroy:
 *
 *	int begin(void *table, unsigned int charge, struct bench_req *req, u64 *id);
 *	struct bench_req *map(void *table, u32 id);
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
/* The first request has the only credit, and the server's reply grants more. */	\
static int _pre##_open(void *table, unsigned int charge, unsigned int credits)	\
{										\
	struct bench_window *window = table;					\
	struct bench_req first = {};						\
	u64 mid;								\
	int err;								\
										\
	window->charge = charge;						\
	window->shift = ilog2(charge);						\
	err = _pre##_begin(table, 1, &first, &mid);				\
	if (err)								\
		return err;							\
	if (_pre##_map(table, mid) != &first)					\
		return -EBADMSG;						\
	_pre##_grant(table, credits);						\
	return _pre##_claim(table, mid, &first) == &first ? 0 : -EBADMSG;	\
}										\
										\
BENCH_BASELINE(_pre, _name, .open = _pre##_open, ##__VA_ARGS__)

#endif /* _MIDATLAS_BENCH_WINDOW_H */
