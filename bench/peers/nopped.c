// SPDX-License-Identifier: GPL-2.0
/* The atlas of nopped.c */
#define VARIANT nopped
#define PEER_NAME "nopped"
#include "../variant.h"
#include "midatlas.c"
