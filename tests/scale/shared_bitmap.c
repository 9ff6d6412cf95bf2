// SPDX-License-Identifier: GPL-2.0
/*
 * A bitmap that all CPUs share: the lowest free id, by test_and_set_bit(); an array beside
 * it holds the requests
 */
#include "kernel.h"

#include "../../bench/loop.h"
#include "scale.h"

struct bitmap_table {
	unsigned int max;
	struct bench_req **slot;
	unsigned long map[];
};

static void *bitmap_create(unsigned int max)
{
	struct bitmap_table *t = machine_alloc(struct_size(t, map, BITS_TO_LONGS(max)), "bitmap");

	t->max = max;
	t->slot = machine_alloc(max * sizeof(*t->slot), "slot");
	return t;
}

static void bitmap_destroy(void *table) { }

static int bitmap_associate(void *table, struct bench_req *req, u32 *id)
{
	struct bitmap_table *t = table;
	unsigned long bit, word;
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(t->max); i++)
		while (~(word = READ_ONCE(t->map[i]))) {
			bit = ~word & (word + 1);
			if (__atomic_fetch_or(&t->map[i], bit, __ATOMIC_SEQ_CST) & bit)
				continue;
			*id = i * BITS_PER_LONG + __builtin_ctzl(bit);
			WRITE_ONCE(t->slot[*id], req);
			return 0;
		}
	return -ENOSPC;
}

static struct bench_req *bitmap_map(void *table, u32 id)
{
	struct bitmap_table *t = table;

	return READ_ONCE(t->slot[id]);
}

static struct bench_req *bitmap_dissociate(void *table, u32 id, struct bench_req *found)
{
	struct bitmap_table *t = table;
	struct bench_req *req = xchg(&t->slot[id], NULL);

	if (req)
		__atomic_fetch_and(&t->map[id / BITS_PER_LONG], ~BIT(id % BITS_PER_LONG),
				   __ATOMIC_SEQ_CST);
	return req;
}

BENCH_BASELINE(bitmap, "bitmap");
