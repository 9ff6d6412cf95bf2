// SPDX-License-Identifier: GPL-2.0
/* The atlas of untraced.c */
#define VARIANT untraced
#define PEER_NAME "untraced"
#include "../variant.h"
#include "midatlas.c"
