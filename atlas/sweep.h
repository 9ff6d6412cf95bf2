/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sweep - claims many requests, those that its caller wants
 *
 * A sweep looks at one slot after the other.  It claims the very word that it showed to
 * @want, so it never takes a request that @want did not say yes to:
 *
 *	T1: claim_if			T2: dissociate(M) (reply), associate
 *
 *	word is LIVE|v, ctx
 *	want(ctx): yes
 *					word: LIVE|v -> FREE|v, BUSY|v+1, LIVE|v+1
 *	cmpxchg LIVE|v -> FREE|v: fails
 *	word is LIVE|v+1, ctx2
 *	want(ctx2)
 *
 * A request that was in flight when the sweep began is in it.  One that came since may be
 * missed, because its slot had been passed; but if a sweep with an age of 0 saw it, a client
 * that sends its requests again from @fn would have them claimed again.  Timestamps
 * cannot tell, as one jiffy has room for many associates, and a touch changes them.  So each
 * such sweep sets MODE_SWEEP, and an associate that sees it makes its slot NEW, not
 * LIVE.  Only a sweep makes a difference between the two:
 *
 *	T1: claim_if(age 0)		T2: associate
 *
 *	mode |= SWEEP
 *	all NEW become LIVE
 *	claims what is LIVE, fn(ctx)
 *					mode & SWEEP? word: BUSY -> NEW
 *	slot is NEW: not in this sweep
 *
 * A second sweep that begins meanwhile makes all LIVE, and the first may then see them.
 * For a sweep with another age what came since is too young.
 */
#ifndef _MIDATLAS_SWEEP_H
#define _MIDATLAS_SWEEP_H

/**
 * struct mid_sweep - a sweep, and where it is; it survives the end of an RCU section
 * @age: requests must have been in flight for so long when it began
 * @want: says which of these to claim
 * @arg: passed to @want
 * @start: the jiffy in which it began
 * @order: of the table; no two have the same
 * @i: the next slot there
 */
struct mid_sweep {
	unsigned long age;
	mid_ctx_want want;
	void *arg;
	unsigned long start;
	unsigned int order;
	unsigned int i;
};

static void mid_atlas_count_sweep(struct mid_atlas *atlas, int n)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	atlas->sweeps += n;
	mid_atlas_set_mode(atlas, MID_MODE_SWEEP, atlas->sweeps);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
}

static void mid_atlas_begin_sweep(struct mid_atlas *atlas)
{
	struct mid_table *t;
	unsigned int i;

	mid_atlas_count_sweep(atlas, 1);
	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t; t = rcu_dereference(t->older))
		for (i = 0; i <= t->mask; i++)
			mid_slot_make_old(&t->slots[i], &atlas->lock);
	rcu_read_unlock();
}

/* How old the request of a slot was when the sweep began */
static unsigned long mid_sweep_age(const struct mid_sweep *s, u64 word)
{
	unsigned long now = jiffies, age = mid_word_age_at(word, now);

	return age - min(age, now - s->start);
}

/* The request of slot @i, if it belongs to the sweep; it is then ours. */
static void *mid_slot_sweep(struct mid_atlas *atlas, struct mid_table *t, unsigned int i,
			    const struct mid_sweep *s, u16 *mid)
{
	bool watched = mid_atlas_watched();
	struct mid_slot *slot = &t->slots[i];
	unsigned long age;
	void *ctx;
	u64 word;

	do {
		ctx = mid_slot_read(slot, &atlas->lock, &word);
		age = mid_sweep_age(s, word);
		if (!ctx || age < s->age || (!s->age && mid_word_state(word) == MID_NEW))
			return NULL;
		*mid = mid_word_mid(t, i, word);
		if (s->want && !s->want(ctx, *mid, age, s->arg))
			return NULL;
	} while (!mid_slot_claim_word(slot, &word, watched ? MID_BUSY : MID_FREE));
	mid_table_claimed(atlas, t, i, word, ctx, watched);
	return ctx;
}

/* The next request of the sweep; it is then ours. */
static void *mid_atlas_sweep(struct mid_atlas *atlas, struct mid_sweep *s, u16 *mid)
{
	struct mid_table *t;
	void *ctx = NULL;

	rcu_read_lock();
	for (t = rcu_dereference(atlas->table); t && !ctx; t = rcu_dereference(t->older)) {
		if (t->order > s->order)
			continue;	/* done, or newer than we are */
		if (t->order < s->order)
			s->i = 0;
		s->order = t->order;
		while (s->i <= t->mask && !ctx)
			ctx = mid_slot_sweep(atlas, t, s->i++, s, mid);
	}
	rcu_read_unlock();
	return ctx;
}

#endif /* _MIDATLAS_SWEEP_H */
