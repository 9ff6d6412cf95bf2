// SPDX-License-Identifier: GPL-2.0
/* The atlas of uncounted.c */
#define VARIANT uncounted
#define PEER_NAME "uncounted"
#include "../variant.h"
#include "midatlas.c"
