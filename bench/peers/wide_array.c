// SPDX-License-Identifier: GPL-2.0
/*
 * array with slots as wide as those of the atlas, every other one in use: the lower bound
 * for a lookup in slots of 16 bytes
 *
 * Ids that are allocated in order and retired at random are not neighbours: n of them lie
 * in n/4 * (1 + 1/2 + 1/3 + 1/4) lines of four slots, twice as many as neighbours would.
 */
#define ARRAY_WIDE
#define bench_array bench_wide_array
#include "array.c"
