// SPDX-License-Identifier: GPL-2.0
/*
 * The same with slots as wide as those of the atlas: what of a lookup's cost comes from
 * the cache lines
 *
 * Ids that are handed out in turn and retired at random are not neighbours: n of them lie
 * in n/4 * (1 + 1/2 + 1/3 + 1/4) lines of four slots, twice as many as if they were. So
 * here every other slot is in use.
 */
#define ARRAY_WIDE
#define bench_array bench_wide_array
#include "array.c"
