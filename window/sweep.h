/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sweep - claims many requests, and hands them over in the order of their ids
 *
 * claim_if, reset and destroy hand over requests in the order of their ids, and allocate
 * nothing.  So a sweep first claims: each slot becomes BUSY, and its entry is in a list
 * of the sweep.  Then it sorts the list, and hands over.
 *
 *	T1: claim_if			T2: dissociate(id)
 *
 *	slot is LIVE|v
 *	want(request): yes
 *					cmpxchg LIVE|v -> FREE: ok
 *	cmpxchg LIVE|v -> BUSY: fails
 *	slot is FREE: next entry
 *
 * If the entry has been taken again, the word differs, and T1 asks want once more.
 */
#ifndef _MIDWINDOW_SWEEP_H
#define _MIDWINDOW_SWEEP_H

/**
 * struct mid_sweep - a sweep
 * @epoch: the epoch of the requests, or 0 for any
 * @start: the jiffy of the start
 * @age: how old they are at least
 * @want: says which it takes; or %NULL
 * @arg: for @want
 * @claimed: entries whose slots are BUSY for the sweep
 */
struct mid_sweep {
	u32 epoch;
	unsigned long start;
	unsigned long age;
	mid_window_want want;
	void *arg;
	struct list_head claimed;
};

static bool mid_sweep_wants(const struct mid_sweep *sweep, void *ctx, u64 id, u64 word)
{
	unsigned long age = mid_word_age_at(word, sweep->start);

	return age >= sweep->age && (!sweep->want || sweep->want(ctx, id, age, sweep->arg));
}

static void mid_sweep_claim(struct mid_sweep *sweep, struct mid_window *w, struct mid_entry *e)
{
	void *ctx;
	u64 word, id;
	u32 epoch;

	rcu_read_lock();
	do {
		/* If a reassociate is in progress: until it is over */
		mid_slot_settled(&e->slot, &w->lock);
		ctx = mid_entry_read(e, &word, &id, &epoch);
		if (!ctx || (sweep->epoch && epoch != sweep->epoch) ||
		    !mid_sweep_wants(sweep, ctx, id, word)) {
			rcu_read_unlock();
			return;
		}
	} while (mid_word_state(word) != MID_LIVE ||
		 !mid_slot_claim_word(&e->slot, &word, MID_BUSY));
	rcu_read_unlock();
	list_add_tail(&e->node, &sweep->claimed);
}

static int mid_entry_cmp(void *priv, const struct list_head *a, const struct list_head *b)
{
	return list_entry(a, struct mid_entry, node)->id >
	       list_entry(b, struct mid_entry, node)->id;
}

static unsigned int mid_window_sweep(struct mid_window *w, struct mid_sweep *sweep,
				     mid_window_fn fn)
{
	struct mid_entry *e, *next;
	struct mid_hash *h;
	unsigned int n = 0;
	u64 word, id;
	void *ctx;

	sweep->start = jiffies;
	INIT_LIST_HEAD(&sweep->claimed);
	for (e = NULL; (e = mid_window_next_entry(w, &h, e)); )
		mid_sweep_claim(sweep, w, e);
	list_sort(NULL, &sweep->claimed, mid_entry_cmp);

	list_for_each_entry_safe(e, next, &sweep->claimed, node) {
		ctx = e->slot.ctx;
		id = e->id;
		word = atomic64_read(&e->slot.word);
		rcu_read_lock();
		if (mid_window_watched())
			mid_window_watch_end(w, e->epoch, id, ctx, e->begun, word);
		mid_slot_free(&e->slot, word);
		mid_window_freed(w);
		rcu_read_unlock();
		if (fn)
			fn(ctx, id, sweep->arg);
		n++;
	}
	return n;
}

#endif /* _MIDWINDOW_SWEEP_H */
