/* SPDX-License-Identifier: GPL-2.0 */
/*
 * explore - runs threads in every order
 */
#ifndef _MODEL_EXPLORE_H
#define _MODEL_EXPLORE_H

#include "kernel.h"

#define MODEL_THREADS	4	/* three of the test's, and the workqueue's */
#define MODEL_WORKER	(MODEL_THREADS - 1)

/* What may come of a step, beside what the others do. */
enum outcome { GO, TIMED_OUT, KILLED, FAILED };

/* What a test has of its own; it is part of the state. */
extern void *test_state;
extern size_t test_state_size;

/* Runs @main(0) .. @main(@threads - 1) in every order.  Returns the number of states. */
unsigned long explore(int threads, void (*main)(int thread));

/*
 * Called by the explorer: after each step; where nobody can go on but by an error
 * (@left: the threads that wait); and where all have ended.
 */
void test_step(int thread);
void test_stuck(unsigned int left);
void test_end(void);

int current_thread(void);
bool waits(int thread);			/* for a completion */
bool waits_in_vain(int thread);		/* for one that is not done */
void wait_until(bool (*may_go)(void));
void quiet(bool on);			/* nobody else runs, and nothing may wait */
void let_fail(enum outcome outcome, bool may);	/* the current thread, from now on */
void point(const char *what);		/* others may run here */
void run_work(void);			/* whose time then has come */
void unload(void);			/* the module, whose code then is gone */
void reset_world(void);
void create_files(void);		/* of debugfs, once, before the threads run */
void read_file(const char *name, void (*line)(const char *line));
unsigned int blocks_in_use(void);
unsigned int longest_run(void);

/* The module's own variables, see LIST_HEAD() in kernel.h */
extern char __start_model_state[], __stop_model_state[];

#endif /* _MODEL_EXPLORE_H */
