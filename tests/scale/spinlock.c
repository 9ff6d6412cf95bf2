// SPDX-License-Identifier: GPL-2.0
/* The free list under a spinlock, as the benchmark uses it */
#include "kernel.h"

#undef spin_lock_irqsave
#undef spin_unlock_irqrestore
#define spinlock_t		raw_spinlock_t
#define spin_lock_init		raw_spin_lock_init
#define spin_lock(lock)		model_lock(lock, __func__, __LINE__)
#define spin_unlock		model_unlock
#define spin_lock_irqsave	raw_spin_lock_irqsave
#define spin_unlock_irqrestore	raw_spin_unlock_irqrestore
#include "../../bench/peers/spinlock.c"
#include "scale.h"

void scale_label_spinlock(void *table)
{
	struct spin_table *t = table;

	machine_name(t->slot, 4096 * sizeof(*t->slot), "slot");
	machine_name(t, 1, "lock and free list");
}
