/* SPDX-License-Identifier: GPL-2.0 */
/*
 * table - slots and their MIDs: layout, allocation, older tables
 *
 * A table of 2^order slots needs @order bits of the MID.  The others are the low
 * bits of the slot's generation:
 *
 *	MID = slot | generation << order	(16 bits)
 *
 * A late reply to an earlier generation of a slot thus carries another MID, and maps
 * to nothing, until the generation bits have wrapped: with 64 slots after 1024
 * takes of the slot.  0xffff would be the last slot with all generation bits set; that
 * generation is skipped, and a table without generation bits does not use the slot.
 *
 * In the slot's word the generation is rotated left by @order bits, so that its
 * low bits lie where the MID has them, and one mask compares word and MID.
 */
#ifndef _MIDATLAS_TABLE_H
#define _MIDATLAS_TABLE_H

/* The last slot's number is a reserved MID where there are no generation bits. */
static unsigned int mid_table_size(const struct mid_table *t)
{
	return min(t->mask + 1, (unsigned int)MID_RESERVED);
}

static __always_inline struct mid_slot *mid_table_slot(const struct mid_table *t, u16 mid)
{
	return &t->slots[mid & t->mask];
}

static __always_inline u16 mid_word_mid(const struct mid_table *t, unsigned int i, u64 word)
{
	return i | ((word >> MID_GEN_SHIFT) & ~t->mask & MID_RESERVED);
}

/* The key of a slot that has @mid in @state; t->match is its mask. */
static __always_inline u32 mid_key(u16 mid, unsigned int state)
{
	return (u32)mid << MID_GEN_SHIFT | state;
}

static u64 mid_gen_to_word(const struct mid_table *t, u32 gen)
{
	u32 high = gen >> (MID_GEN_BITS - t->order);

	return (gen << t->order | high) << MID_GEN_SHIFT & MID_LOW_MASK;
}

/* How often the slot was taken, modulo 2^24, or more: a replace counts, too. */
static u32 mid_word_gen(const struct mid_table *t, u64 word)
{
	u32 gen = ((u32)word & MID_LOW_MASK) >> MID_GEN_SHIFT;

	return gen >> t->order | (gen & t->mask) << (MID_GEN_BITS - t->order);
}

/*
 * All slots come from here.  The caller of an associate handles -ENOMEM, so a
 * failure that is likely prints no warning.
 */
VISIBLE_IF_KUNIT void *mid_atlas_alloc(size_t size, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(mid_atlas_alloc, size, gfp);

	if (gfpflags_allow_blocking(gfp))
		return kvzalloc(size, gfp);
	return kzalloc(size, gfp | __GFP_NOWARN);
}
EXPORT_SYMBOL_IF_KUNIT(mid_atlas_alloc);

static void mid_table_free(struct mid_table *t)
{
	if (!t)
		return;
	kvfree(t->begun);
	kvfree(t->slots);
	kvfree(t);
}

static void mid_table_free_rcu(struct rcu_head *rcu)
{
	mid_table_free(container_of(rcu, struct mid_table, rcu));
}

/* How many slots a CPU probes in order: a share for each CPU, of whole cache lines */
static unsigned int mid_table_chunk(unsigned int order)
{
	unsigned int share = BIT(order) / roundup_pow_of_two(max_t(unsigned int, nr_cpu_ids, 2));

	return clamp(share, min_t(unsigned int, BIT(order), MID_LEAST_CHUNK), MID_MOST_CHUNK);
}

static struct mid_table *mid_table_alloc(unsigned int order, gfp_t gfp)
{
	unsigned int slots = max_t(unsigned int, BIT(order), MID_LINE);
	struct mid_table *t;

	t = mid_atlas_alloc(struct_size(t, urgent, BITS_TO_LONGS(slots)), gfp);
	if (!t)
		return NULL;
	t->slots = mid_atlas_alloc(slots * sizeof(*t->slots), gfp);
	if (!t->slots) {
		mid_table_free(t);
		return NULL;
	}

	/* Without stamps, ages are known to a tick. */
	if (static_branch_unlikely(&mid_timed))
		t->begun = mid_atlas_alloc(slots * sizeof(*t->begun), gfp);

	t->order = order;
	t->mask = BIT(order) - 1;
	t->match = (~t->mask & MID_RESERVED) << MID_GEN_SHIFT | MID_LIVE;
	t->step = MID_GEN_ONE << order;
	t->chunk = mid_table_chunk(order);
	return t;
}

/* Parked slots are linked by their @ctx; the last one parked is the first to return. */
static void mid_table_park(struct mid_table *t, unsigned int i)
{
	/* Marked: a map that began while the slot was LIVE may be reading. */
	WRITE_ONCE(t->slots[i].ctx, (void *)(unsigned long)t->parked_head);
	t->parked_head = i;
	t->parked++;
}

/*
 * Puts the first @online slots of a new table into service and parks the others.
 * The first generation of each slot is the one after @gen.
 */
static void mid_table_init(struct mid_table *t, unsigned int online, unsigned int gen)
{
	u64 word = mid_gen_to_word(t, gen);
	unsigned int i;

	t->online = online;
	/* In this order the lowest parked slot is the first to return. */
	for (i = mid_table_size(t); i-- > online; ) {
		atomic64_set(&t->slots[i].word, mid_word_with(word, MID_PARKED));
		mid_table_park(t, i);
	}
	for (i = 0; i < online; i++)
		atomic64_set(&t->slots[i].word, mid_word_with(word, MID_FREE));
	/* The slot that is never in service */
	if (t->mask == MID_RESERVED)
		atomic64_set(&t->slots[t->mask].word, MID_PARKED);
}

/* The generation with which a table of 2^@order slots begins: its MIDs follow those of @t. */
static unsigned int mid_table_next_gen(const struct mid_table *t, unsigned int order)
{
	unsigned int i;
	u32 last = 0;

	for (i = 0; i < mid_table_size(t); i++)
		last = max(last, mid_word_gen(t, atomic64_read(&t->slots[i].word)));
	last = ((((u64)last + 1) << t->order) - 1) >> order;
	/* A little ahead, because callers go on using @t. */
	return (last + BIT(MID_BITS - order) / 64) & MID_RESERVED;
}

static bool mid_slot_has(const struct mid_table *t, u16 mid)
{
	unsigned int i = mid & t->mask;
	u64 word = atomic64_read(&t->slots[i].word);
	unsigned int state = mid_word_state(word);

	return state != MID_FREE && state != MID_PARKED && mid_word_mid(t, i, word) == mid;
}

/*
 * The caller made slot @i BUSY, with a full barrier.  Goes on to a generation whose
 * MID is not reserved and not in use in an older table, with a full barrier again.
 * Returns false if all generations of the slot are.
 *
 *	T1: associate (older table)	T2: grow		T3: associate (new)
 *
 *	word: FREE -> BUSY, MID is M
 *	full barrier			mode |= OLDER
 *	mode & OLDER?			smp_mb
 *	table still the current one?	table = new
 *								word: -> BUSY, M
 *								full barrier
 *								older has M?
 *
 * If T1 still sees the older table as the current one, T3 sees T1's slot and
 * goes on to the slot's next generation [grow-associate].
 */
static bool mid_slot_unique(struct mid_table *t, unsigned int i, u64 *word)
{
	unsigned int gens = (MID_RESERVED + 1) >> t->order;
	struct mid_table *older;
	u16 mid;

	do {
		mid = mid_word_mid(t, i, *word);
		older = rcu_dereference(t->older);
		while (older && !mid_slot_has(older, mid))
			older = rcu_dereference(older->older);
		if (!older && mid != MID_RESERVED)
			return true;
		mid_slot_advance(&t->slots[i], t->step, word);
	} while (--gens);
	return false;
}

#endif /* _MIDATLAS_TABLE_H */
