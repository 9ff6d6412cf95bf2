/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ids - sets of ids of one epoch
 */
#ifndef _MODEL_IDS_H
#define _MODEL_IDS_H

#include "kernel.h"

#define IDS_WORDS	4
#define IDS		(64 * IDS_WORDS)

struct ids { u64 word[IDS_WORDS]; };

static bool has_id(const struct ids *ids, u64 id)
{
	return id < IDS && ids->word[id / 64] >> id % 64 & 1;
}

static void set_id(struct ids *ids, u64 id, bool value)
{
	if (id >= IDS)
		broken("id %llu is too large for the model", (unsigned long long)id);
	ids->word[id / 64] &= ~(1ull << id % 64);
	ids->word[id / 64] |= (u64)value << id % 64;
}

static void set_ids(struct ids *ids, u64 first, unsigned int n, bool value)
{
	while (n--)
		set_id(ids, first++, value);
}

static unsigned int count_ids(const struct ids *ids)
{
	unsigned int i, n = 0;

	for (i = 0; i < IDS_WORDS; i++)
		n += __builtin_popcountll(ids->word[i]);
	return n;
}

/* How many ids from @id on are in the set, at most @most */
static unsigned int run_at(const struct ids *ids, u64 id, unsigned int most)
{
	unsigned int n = 0;

	while (n < most && has_id(ids, id + n))
		n++;
	return n;
}

/* The first of the lowest @n consecutive ids of the set, or IDS */
static u64 lowest_run(const struct ids *ids, unsigned int n)
{
	u64 id;

	for (id = 0; id < IDS; id++)
		if (has_id(ids, id) && run_at(ids, id, n) == n)
			break;
	return id;
}

#endif /* _MODEL_IDS_H */
