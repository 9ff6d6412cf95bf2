// SPDX-License-Identifier: GPL-2.0
/*
 * The same where threads have slots in one cache line, as they have in a table that is
 * small and nearly full: no allocator can give each of them lines of its own there
 */
#define F2_MIXED
#define bench_f2 bench_f2_mixed
#include "f2.c"
