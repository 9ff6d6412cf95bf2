/* SPDX-License-Identifier: GPL-2.0 */
/*
 * debugfs - midatlas/NAME/ with stats, inflight, waiters and latency
 */
#ifndef _MIDATLAS_DEBUGFS_H
#define _MIDATLAS_DEBUGFS_H

static struct mid_atlas *mid_atlas_of(struct mid_folder *folder)
{
	return container_of(folder, struct mid_atlas, folder);
}

static int mid_stats_show(struct seq_file *m, void *unused)
{
	struct mid_folder *folder = m->private;
	struct mid_atlas_stats stats;

	mid_folder_pace(&folder->stats_shown);
	mid_atlas_stats(mid_atlas_of(folder), &stats);
	seq_printf(m, "max %u\n", stats.max);
	seq_printf(m, "in_use %u\n", stats.in_use);
	seq_printf(m, "slots %u\n", stats.slots);
	seq_printf(m, "high_water %u\n", stats.high_water);
	seq_printf(m, "abandoned %u\n", stats.abandoned);
	seq_printf(m, "waiters %u\n", stats.waiters);
	seq_printf(m, "associated %llu\n", stats.associated);
	seq_printf(m, "dissociated %llu\n", stats.dissociated);
	seq_printf(m, "stale %llu\n", stats.stale);
	seq_printf(m, "unknown %llu\n", stats.unknown);
	seq_printf(m, "late %llu\n", stats.late);
	seq_printf(m, "exhausted %llu\n", stats.exhausted);
	seq_printf(m, "oldest_ms %u\n", jiffies_to_msecs(stats.oldest));
	return 0;
}

/* Whether slot @i is in use.  If so, notes what is there. */
static bool mid_slot_peek(const struct mid_table *t, unsigned int i, struct mid_inflight *at)
{
	const struct mid_slot *slot = &t->slots[i];

	do {
		/* Pairs with the release in mid_slot_publish(). */
		at->word = atomic64_read_acquire(&slot->word);
		at->ctx = at->word & MID_LIVE ? READ_ONCE(slot->ctx) : NULL;
		at->begun = at->ctx ? mid_slot_stamp(t, i) : 0;
		/* As in mid_slot_map() */
		smp_rmb();
	} while ((u64)atomic64_read(&slot->word) != at->word);
	at->id = mid_word_mid(t, i, at->word);
	return mid_word_state(at->word) >= MID_BUSY;
}

static void *mid_inflight_find(struct mid_inflight *at, loff_t *pos)
{
	struct mid_table *t;
	loff_t first;

	if (!*pos)
		return SEQ_START_TOKEN;
	t = rcu_dereference(mid_atlas_of(at->folder)->table);
	for (; t; t = rcu_dereference(t->older)) {
		first = 1 + ((loff_t)(MID_BITS - t->order) << MID_BITS);
		*pos = max(*pos, first);
		for (; *pos - first <= t->mask; (*pos)++)
			if (mid_slot_peek(t, *pos - first, at))
				return at;
	}
	return NULL;
}

static int mid_inflight_show(struct seq_file *m, void *v)
{
	struct mid_inflight *at = m->private;
	u64 age = mid_latency_age_us(at->begun, mid_word_age(at->word));

	if (v == SEQ_START_TOKEN) {
		seq_puts(m, "mid context age_us state\n");
		return 0;
	}
	if (at->ctx) {
		seq_printf(m, "0x%04x %p %llu live", (u16)at->id, at->ctx, age);
		/* In the RCU section in which the slot had it */
		mid_show_words(m, at->folder, at->ctx);
	} else if (mid_word_state(at->word) == MID_BUSY) {
		seq_printf(m, "0x%04x - %llu busy", (u16)at->id, age);
	} else {
		seq_printf(m, "0x%04x - - abandoned for %u ms more", (u16)at->id,
			   jiffies_to_msecs(mid_word_left(at->word, MID_MAX_QUARANTINE)));
	}
	seq_putc(m, '\n');
	return 0;
}

static unsigned int mid_list_waiters(struct mid_folder *folder, struct mid_waiting *list,
				     unsigned int *waiting)
{
	struct mid_atlas *atlas = mid_atlas_of(folder);
	struct mid_waiter *w;
	unsigned int n = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&atlas->lock, flags);
	list_for_each_entry(w, &atlas->waiters, node) {
		if (n == MID_MAX_WAITERS)
			break;
		mid_waiting_note(&list[n], w->task, w->since);
		list[n].min = 1;
		list[n++].max = 1;
	}
	*waiting = atomic_read(&atlas->waiting);
	raw_spin_unlock_irqrestore(&atlas->lock, flags);
	return n;
}

static int mid_clear_stamps(struct mid_folder *folder)
{
	return mid_atlas_clear_stamps(mid_atlas_of(folder));
}

static void mid_folder_add(struct mid_folder *folder)
{
}

#endif /* _MIDATLAS_DEBUGFS_H */
