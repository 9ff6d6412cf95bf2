/* SPDX-License-Identifier: GPL-2.0 */
/*
 * debugfs - midwindow/NAME/ with stats, credits, inflight, waiters and latency
 */
#ifndef _MIDWINDOW_DEBUGFS_H
#define _MIDWINDOW_DEBUGFS_H

static struct mid_window *mid_window_of(struct mid_folder *folder)
{
	return container_of(folder, struct mid_window, folder);
}

static int mid_stats_show(struct seq_file *m, void *unused)
{
	struct mid_folder *folder = m->private;
	struct mid_window_stats stats;

	mid_folder_pace(&folder->stats_shown);
	mid_window_stats(mid_window_of(folder), &stats);
	seq_printf(m, "epoch %u\n", stats.epoch);
	seq_printf(m, "next %llu\n", stats.next);
	seq_printf(m, "limit %llu\n", stats.limit);
	seq_printf(m, "unsent %llu\n", stats.unsent);
	seq_printf(m, "spans %u\n", stats.spans);
	seq_printf(m, "given_back %u\n", stats.given_back);
	seq_printf(m, "aside %u\n", stats.aside);
	seq_printf(m, "stalled %u\n", stats.stalled);
	seq_printf(m, "in_use %u\n", stats.in_use);
	seq_printf(m, "high_water %u\n", stats.high_water);
	seq_printf(m, "abandoned %u\n", stats.abandoned);
	seq_printf(m, "waiters %u\n", stats.waiters);
	seq_printf(m, "wants %u\n", stats.wants);
	seq_printf(m, "slots %u\n", stats.slots);
	seq_printf(m, "associated %llu\n", stats.associated);
	seq_printf(m, "dissociated %llu\n", stats.dissociated);
	seq_printf(m, "stale %llu\n", stats.stale);
	seq_printf(m, "unknown %llu\n", stats.unknown);
	seq_printf(m, "late %llu\n", stats.late);
	seq_printf(m, "exhausted %llu\n", stats.exhausted);
	seq_printf(m, "lost %llu\n", stats.lost);
	seq_printf(m, "oldest_ms %u\n", jiffies_to_msecs(stats.oldest));
	return 0;
}

/* Whether requests can begin, and if not, what has to happen first */
static void mid_credits_state(struct seq_file *m, const struct mid_window *w,
			      const struct mid_window_stats *stats)
{
	u64 available = stats->limit - stats->next + stats->given_back;
	unsigned int wants = max(stats->wants, 1u);
	bool paused = READ_ONCE(w->paused);

	seq_puts(m, "state ");
	if (READ_ONCE(w->shut))
		seq_puts(m, "shut: no more requests begin\n");
	else if (paused)
		seq_puts(m, "reset: only urgent requests begin until the connection is set up\n");
	else if (stats->stalled)
		seq_printf(m, "stalled: id %llu was not sent, and it is too far behind the next one\n",
			   stats->unsent);
	else if (available >= wants + (u64)stats->aside)
		seq_puts(m, "open: requests can begin\n");
	else if (stats->unsent < stats->next)
		seq_printf(m, "starved: id %llu was not sent, and the server may grant nothing before it is\n",
			   stats->unsent);
	else if (stats->in_use)
		seq_puts(m, "starved: no credits, the replies to the requests in flight must grant some\n");
	else
		seq_puts(m, "starved: no credits, and nothing is in flight: only a reset can help\n");
}

static int mid_credits_show(struct seq_file *m, void *unused)
{
	struct mid_window *w = mid_window_of(m->private);
	struct mid_window_stats stats;

	mid_window_read_stats(w, &stats);
	seq_printf(m, "epoch %u\n", stats.epoch);
	seq_printf(m, "next %llu\n", stats.next);
	seq_printf(m, "limit %llu\n", stats.limit);
	seq_printf(m, "unsent %llu\n", stats.unsent);
	seq_printf(m, "available %llu\n", stats.limit - stats.next + stats.given_back);
	seq_printf(m, "given_back %u\n", stats.given_back);
	seq_printf(m, "aside %u\n", stats.aside);
	seq_printf(m, "spans %u\n", stats.spans);
	seq_printf(m, "waiters %u\n", stats.waiters);
	seq_printf(m, "wants %u\n", stats.wants);
	mid_credits_state(m, w, &stats);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mid_credits);

/* Whether a request is in the entry.  If so, notes what is there. */
static bool mid_entry_peek(const struct mid_entry *e, struct mid_inflight *at)
{
	do {
		at->ctx = mid_entry_read(e, &at->word, &at->id, &at->epoch);
		at->async_id = READ_ONCE(e->async_id);
		at->begun = READ_ONCE(e->begun);
		at->charge = READ_ONCE(e->charge);
		/* As in mid_entry_read() */
		smp_rmb();
	} while ((u64)atomic64_read(&e->slot.word) != at->word);
	return at->ctx || mid_word_state(at->word) == MID_ABANDONED;
}

static void *mid_inflight_find(struct mid_inflight *at, loff_t *pos)
{
	struct mid_hash *h;
	loff_t first;

	if (!*pos)
		return SEQ_START_TOKEN;
	/* Pairs with mid_window_grow(). */
	for (h = smp_load_acquire(&mid_window_of(at->folder)->hash); h; h = h->older) {
		first = 1 + ((loff_t)(MID_MAX_BITS - h->bits) << MID_MAX_BITS);
		*pos = max(*pos, first);
		for (; *pos - first < BIT(h->bits); (*pos)++)
			if (mid_entry_peek(mid_hash_entry(h, *pos - first), at))
				return at;
	}
	return NULL;
}

static int mid_inflight_show(struct seq_file *m, void *v)
{
	struct mid_inflight *at = m->private;

	if (v == SEQ_START_TOKEN) {
		seq_puts(m, "id async_id epoch charge age_us state\n");
		return 0;
	}
	seq_printf(m, "%llu ", at->id);
	if (at->async_id)
		seq_printf(m, "%llu", at->async_id);
	else
		seq_putc(m, '-');
	seq_printf(m, " %u %u ", at->epoch, at->charge);
	if (at->ctx) {
		seq_printf(m, "%llu live",
			   mid_latency_age_us(at->begun, mid_word_age(at->word)));
		/* In the RCU section in which the entry had it */
		mid_show_words(m, at->folder, at->ctx);
	} else {
		seq_printf(m, "- abandoned for %u ms more",
			   jiffies_to_msecs(mid_word_left(at->word, MID_MAX_QUARANTINE)));
	}
	seq_putc(m, '\n');
	return 0;
}

static unsigned int mid_list_waiters(struct mid_folder *folder, struct mid_waiting *list,
				     unsigned int *waiting)
{
	struct mid_window *w = mid_window_of(folder);
	struct mid_waiter *waiter;
	unsigned int n = 0, urgent;
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	for (urgent = 2; urgent-- > 0; )
		list_for_each_entry(waiter, &w->queue[urgent], node) {
			if (n == MID_MAX_WAITERS)
				break;
			mid_waiting_note(&list[n], waiter->task, waiter->since);
			list[n].min = waiter->want.min;
			list[n].max = waiter->want.max;
			list[n++].urgent = urgent;
		}
	*waiting = atomic_read(&w->waiting);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return n;
}

/* Each begin writes a stamp, or none, over that of the last request. */
static int mid_clear_stamps(struct mid_folder *folder)
{
	return 0;
}

static void mid_folder_add(struct mid_folder *folder)
{
	debugfs_create_file("credits", 0444, folder->dir, folder, &mid_credits_fops);
}

#endif /* _MIDWINDOW_DEBUGFS_H */
