/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Credits and ids from two counters, for tables that only find the request of an id
 *
 * Ids that were not sent cannot be returned, and no task can wait for credits.
 */
#ifndef _MIDATLAS_BENCH_CREDITS_H
#define _MIDATLAS_BENCH_CREDITS_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/errno.h>

#include "../window.h"

struct credits_table {
	struct bench_window window;
	atomic64_t credits ____cacheline_aligned;
	atomic64_t next ____cacheline_aligned;
};

static inline void credits_init(struct credits_table *t)
{
	atomic64_set(&t->credits, 1);
}

static __always_inline u64 credits_next(struct credits_table *t, unsigned int charge)
{
	return atomic64_fetch_add(charge, &t->next);
}

static __always_inline int credits_take(struct credits_table *t, unsigned int charge, u64 *id)
{
	s64 credits = atomic64_read(&t->credits);

	do {
		if (credits < charge)
			return -EAGAIN;
	} while (!atomic64_try_cmpxchg(&t->credits, &credits, credits - charge));
	*id = credits_next(t, charge);
	return 0;
}

static __always_inline void credits_grant(struct credits_table *t, unsigned int credits)
{
	atomic64_add(credits, &t->credits);
}

#endif /* _MIDATLAS_BENCH_CREDITS_H */
