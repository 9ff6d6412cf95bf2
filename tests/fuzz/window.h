/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the kernel that only midwindow.c needs, like ../model/kernel.h
 */
#ifndef _FUZZ_WINDOW_H
#define _FUZZ_WINDOW_H

#include "kernel.h"

/* As in the kernel, constants of another type are fine. */
#undef min
#undef max
#undef min_t
#define min(a, b)	({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b)	({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(type, a, b)	({ type a_ = (a); type b_ = (b); a_ < b_ ? a_ : b_; })

#ifndef round_down
#define round_down(n, size)	((n) & ~(__typeof__(n))((size) - 1))
#endif
#ifndef U32_MAX
#define U32_MAX		UINT_MAX
#endif

#define atomic64_add(n, v)		((void)atomic_fetch_add(n, v))
#define atomic64_add_return(n, v)	(atomic_fetch_add(n, v) + (n))
#define atomic64_or			atomic_or
#define atomic64_andnot			atomic_andnot
#define atomic64_xchg(v, n)		xchg(&(v)->counter, n)

#ifndef smp_rmb
#define smp_rmb()	do { } while (0)
#endif
#define __GFP_NORETRY	0u
#ifndef might_sleep_if
#define might_sleep_if(c)	do { if (c) might_sleep(); } while (0)
#endif
#define complete_all(c)		((void)((c)->done = UINT_MAX))
#define completion_done(c)	((c)->done)

#define system_wq	NULL
#define mod_delayed_work(wq, w, delay)					\
	do { cancel_delayed_work(w); schedule_delayed_work(w, delay); } while (0)

/* In the kernel's tools/lib */
typedef int (*list_cmp_func_t)(void *priv, const struct list_head *a, const struct list_head *b);
void list_sort(void *priv, struct list_head *head, list_cmp_func_t cmp);

/* The fuzzer misuses spans: it counts the warnings of a call. */
extern unsigned int warnings;
#undef WARN_ON_ONCE
#define WARN_ON_ONCE(c)		({ bool c_ = (c); warnings += c_; c_; })

#endif /* _FUZZ_WINDOW_H */
