// SPDX-License-Identifier: GPL-2.0
/*
 * The same with slots as wide as those of the atlas: what of a lookup's cost comes
 * from the cache lines
 */
#define ARRAY_WIDE
#define ARRAY_NAME "wide_array"
#define bench_array bench_wide_array
#include "array.c"
