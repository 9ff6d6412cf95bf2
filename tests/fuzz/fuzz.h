/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the fuzzers: the input, and a kernel with one task
 */
#ifndef _FUZZ_H
#define _FUZZ_H

#include "kernel.h"

/* Defined by each target: plays one input; updates its model when jiffies change. */
void fuzz(void);
void fuzz_jiffy(void);
u64 test_mid_window_first_id(void);	/* replaces the one in midwindow.c */
u32 test_mid_window_first_epoch(void);	/* likewise */

/* Consume the input from its front; beyond its end they return 0. */
bool input_left(void);
u8 input_byte(void);
u16 input_word(void);
u64 input_number(void);

/* A number less than @n from the next byte */
static inline unsigned int input_below(unsigned int n)
{
	return n ? input_byte() % n : 0;
}

/* Stops with a message if @c is false. */
#define must(c, ...)	do { if (!(c)) broken(__VA_ARGS__); } while (0)

/* Conditions of the next call, and its result */
extern unsigned int on_cpu;		/* the CPU of the task */
extern unsigned int fail_alloc;		/* the Nth allocation fails; 0: none */
extern bool killed;			/* the task has a fatal signal */
extern bool alloc_failed;		/* an allocation has failed */

void pass_time(unsigned long ticks);
void *model_alloc_raw(size_t size, gfp_t gfp);	/* not zeroed */

#endif /* _FUZZ_H */
