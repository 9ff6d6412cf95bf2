/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The atlas without one of its capabilities, which so gets a price
 *
 * Such a variant is midatlas.c itself, in a module of its own and under other
 * names: those of its calls begin with VARIANT.
 */
#ifndef _MIDATLAS_BENCH_VARIANT_H
#define _MIDATLAS_BENCH_VARIANT_H

#include <linux/compiler_types.h>

#define __VARIANT(call)			__PASTE(VARIANT, call)

#define mid_atlas_create		__VARIANT(_create)
#define mid_atlas_destroy		__VARIANT(_destroy)
#define mid_atlas_associate		__VARIANT(_associate)
#define mid_atlas_associate_wait	__VARIANT(_associate_wait)
#define mid_atlas_map			__VARIANT(_map)
#define mid_atlas_map_get		__VARIANT(_map_get)
#define mid_atlas_map_get_put		__VARIANT(_map_get_put)
#define mid_atlas_dissociate		__VARIANT(_dissociate)
#define mid_atlas_dissociate_if		__VARIANT(_dissociate_if)
#define mid_atlas_reassociate		__VARIANT(_reassociate)
#define mid_atlas_abandon		__VARIANT(_abandon)
#define mid_atlas_for_each		__VARIANT(_for_each)
#define mid_atlas_claim_all		__VARIANT(_claim_all)
#define mid_atlas_claim_older		__VARIANT(_claim_older)
#define mid_atlas_set_max		__VARIANT(_set_max)
#define mid_atlas_drain			__VARIANT(_drain)
#define mid_atlas_stats			__VARIANT(_stats)
#define mid_atlas_alloc			__VARIANT(_alloc)

/* The peer that calls it */
#define bench_midatlas			__PASTE(bench_, VARIANT)

#endif /* _MIDATLAS_BENCH_VARIANT_H */
