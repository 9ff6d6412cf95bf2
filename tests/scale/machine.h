/* SPDX-License-Identifier: GPL-2.0 */
/*
 * machine - a simulated machine of many CPUs, which counts the transfers of cache lines
 */
#ifndef _SCALE_MACHINE_H
#define _SCALE_MACHINE_H

#include "kernel.h"

#define MACHINE_LINE		64
#define MACHINE_MAX_CPUS	128
#define MACHINE_MAX_NAMES	32

/* What an access of another CPU's line, or a lock, costs; in picoseconds */
#define MACHINE_HIT		500ul
#define MACHINE_ATOMIC		2400ul
#define MACHINE_TRANSFER	45000ul
#define MACHINE_PAUSE		15000ul
#define MACHINE_WAKE_UP		1000000ul
#define MACHINE_TICK		1000000000ul

/**
 * struct machine_result - what was counted
 * @names: the names of the lines, see machine_name()
 * @transfers: transfers of lines with that name
 * @nr_names: how many names there are
 * @wake_ups: tasks that were woken
 */
struct machine_result {
	const char *names[MACHINE_MAX_NAMES];
	u64 transfers[MACHINE_MAX_NAMES];
	unsigned int nr_names;
	u64 wake_ups;
};

/* How locks are taken: like the kernel's, or with a ticket for which all CPUs look */
enum machine_lock { MACHINE_QUEUED, MACHINE_TICKET };
extern enum machine_lock machine_lock;

extern char __data_start[], _end[];	/* the program's variables */

/* Zeroed memory of whole lines with that name */
void *machine_alloc(size_t size, const char *name);
/* The lines of an object, or of a part of it, have this name. */
void machine_name(const void *p, size_t size, const char *name);

/* Runs @main on each CPU, until all have ended; counts from the time @from on. */
void machine_run(void (*main)(unsigned int cpu), u64 from, struct machine_result *result);

/* For main: the time on this CPU in picoseconds, and waits for another CPU */
u64 machine_now(void);
void machine_sleep(void);
void machine_wake(unsigned int cpu);
void machine_stop(void);			/* ends the run */

#endif /* _SCALE_MACHINE_H */
