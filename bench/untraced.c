// SPDX-License-Identifier: GPL-2.0
/* The atlas without its tracepoints: what do they cost when they are off? */
#define NOTRACE
#define VARIANT untraced
#include "variant.h"
#include "../midatlas.c"
