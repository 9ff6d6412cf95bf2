/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is included first where accesses are counted: the number of CPUs and the layout are
 * those of the simulated machine
 */
#ifndef _SCALE_SEEN_H
#define _SCALE_SEEN_H

extern unsigned int machine_cpus;

#define MODEL_CPUS	machine_cpus
#define ____cacheline_aligned			__attribute__((aligned(64)))
#define ____cacheline_aligned_in_smp	____cacheline_aligned
#define GFP_NOWAIT	0u
#define U32_MAX		UINT_MAX
#define U64_MAX		ULLONG_MAX
#define swap(a, b)	do { __typeof__(a) a_ = (a); (a) = (b); (b) = a_; } while (0)

#include "kernel.h"

#define atomic64_fetch_add	atomic_fetch_add
#define kvcalloc		kcalloc

#ifndef cpu_relax
#define cpu_relax()	do { } while (0)
#endif

#endif /* _SCALE_SEEN_H */
