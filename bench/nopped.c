// SPDX-License-Identifier: GPL-2.0
/*
 * The atlas with the static branches of x86 or arm64, which UML has not: as long as a
 * tracepoint is off, all there is of it is a nop.  In UML it is a load and a test.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>

#define NOTRACE
struct mid_atlas;
#include "../atlas/trace.h"

static __always_inline bool static_branch_off(void)
{
	asm goto("nop" : : : : on);
	return false;
on:
	return true;
}

/* In the usual associate and dissociate there are no others. */
#define trace_midatlas_associate_enabled()	static_branch_off()
#define trace_midatlas_dissociate_enabled()	static_branch_off()

#define VARIANT nopped
#include "variant.h"
#include "../midatlas.c"
