// SPDX-License-Identifier: GPL-2.0
/* The same, and it asks and counts what all of the promises need */
#define F3_ALL
#define bench_f3 bench_f3_all
#include "f3.c"
