// SPDX-License-Identifier: GPL-2.0
/* The same, and it finds its slot: what the promises cost with the least of a search */
#define F3_WALK
#define bench_f3 bench_f3_walk
#include "f3.c"
