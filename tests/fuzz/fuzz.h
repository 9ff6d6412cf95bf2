/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers share: the input, and a kernel with one task
 */
#ifndef _FUZZ_H
#define _FUZZ_H

#include "kernel.h"

/* Of a target: plays one input; and says what a jiffy has brought, before works run. */
void fuzz(void);
void fuzz_jiffy(void);
u64 test_mid_window_first_id(void);	/* in the place of midwindow.c's */

/* The input, from its front; beyond its end all is 0. */
bool input_left(void);
u8 input_byte(void);
u16 input_word(void);
u64 input_number(void);

/* Its next byte, if it is less than @n; else something of it that is. */
static inline unsigned int input_below(unsigned int n)
{
	return n ? input_byte() % n : 0;
}

/* What must be true. */
#define must(c, ...)	do { if (!(c)) broken(__VA_ARGS__); } while (0)

/* What comes next. */
extern unsigned int on_cpu;		/* we run there */
extern unsigned int fail_alloc;		/* the so-manieth allocation fails; 0: none */
extern bool killed;			/* the task has a signal */
extern bool alloc_failed;		/* one has */

void pass_time(unsigned long ticks);
void *model_alloc_raw(size_t size, gfp_t gfp);	/* not zeroed */

#endif /* _FUZZ_H */
