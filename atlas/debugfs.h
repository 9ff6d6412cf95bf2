/* SPDX-License-Identifier: GPL-2.0 */
/*
 * debugfs - midatlas/NAME-NUMBER/ with stats and inflight
 *
 * A work item makes the directory, because mid_atlas_create() may be called where
 * debugfs must not be.  An atlas that is destroyed soon never has one.  Destroy may
 * be called for writeback to go on, so the work item, which holds the lock of the
 * parent directory, must not wait for writeback when it allocates.
 *
 *	T1: destroy			T2: read
 *
 *	cancels the work item		debugfs: in use + 1
 *	debugfs_remove			reads the atlas
 *	  waits for T2			debugfs: in use - 1
 *	call_rcu
 *
 * After debugfs_remove() a file that is still open gives -EIO.
 */
#ifndef _MIDATLAS_DEBUGFS_H
#define _MIDATLAS_DEBUGFS_H

static bool mid_show = true;
module_param_named(debugfs, mid_show, bool, 0444);
MODULE_PARM_DESC(debugfs, "show each atlas in debugfs, at 2 KiB each");

static struct dentry *mid_debugfs;

static int mid_stats_show(struct seq_file *m, void *unused)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(m->private, &stats);
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
DEFINE_SHOW_ATTRIBUTE(mid_stats);

/**
 * struct mid_inflight - the position of a reader of inflight
 * @atlas: the atlas
 * @mid: the MID
 * @word: the slot's word
 * @ctx: its request while LIVE
 */
struct mid_inflight {
	struct mid_atlas *atlas;
	u16 mid;
	u64 word;
	void *ctx;
};

/* Is slot @i in use?  If so, notes what is there. */
static bool mid_slot_peek(const struct mid_table *t, unsigned int i, struct mid_inflight *at)
{
	at->word = atomic64_read(&t->slots[i].word);
	at->mid = mid_word_mid(t, i, at->word);
	at->ctx = NULL;
	if (at->word & MID_LIVE) {
		at->ctx = mid_slot_map(&t->slots[i], mid_key(at->mid, MID_LIVE), t->match);
		return at->ctx;
	}
	return mid_word_state(at->word) >= MID_BUSY;
}

/*
 * The first slot in use at or after position @pos.  Position 0 is the heading.  Then
 * come the slots of each table, the newest table first, at positions that do not change
 * when tables come and go between two reads.
 */
static void *mid_inflight_find(struct mid_inflight *at, loff_t *pos)
{
	struct mid_table *t;
	loff_t first;

	if (!*pos)
		return SEQ_START_TOKEN;
	t = rcu_dereference(at->atlas->table);
	for (; t; t = rcu_dereference(t->older)) {
		first = 1 + ((loff_t)(MID_BITS - t->order) << MID_BITS);
		*pos = max(*pos, first);
		for (; *pos - first <= t->mask; (*pos)++)
			if (mid_slot_peek(t, *pos - first, at))
				return at;
	}
	return NULL;
}

static void *mid_inflight_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	rcu_read_lock();
	return mid_inflight_find(m->private, pos);
}

static void *mid_inflight_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return mid_inflight_find(m->private, pos);
}

static void mid_inflight_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int mid_inflight_show(struct seq_file *m, void *v)
{
	struct mid_inflight *at = m->private;
	void (*describe)(struct seq_file *m, void *ctx) = READ_ONCE(at->atlas->describe);
	unsigned int age = jiffies_to_msecs(mid_word_age(at->word));

	if (v == SEQ_START_TOKEN)
		seq_puts(m, "mid context age_ms state");
	else if (at->ctx)
		seq_printf(m, "0x%04x %p %u live", at->mid, at->ctx, age);
	else if (mid_word_state(at->word) == MID_BUSY)
		seq_printf(m, "0x%04x - %u busy", at->mid, age);
	else
		seq_printf(m, "0x%04x - - abandoned for %u ms more", at->mid,
			   jiffies_to_msecs(mid_word_left(at->word, MID_MAX_QUARANTINE)));
	/* In the RCU section in which the slot had it */
	if (v != SEQ_START_TOKEN && at->ctx && describe) {
		seq_puts(m, " ");
		describe(m, at->ctx);
	}
	seq_puts(m, "\n");
	return 0;
}

static const struct seq_operations mid_inflight_sops = {
	.start = mid_inflight_start,
	.next = mid_inflight_next,
	.stop = mid_inflight_stop,
	.show = mid_inflight_show,
};

static int mid_inflight_open(struct inode *inode, struct file *file)
{
	struct mid_inflight *at = __seq_open_private(file, &mid_inflight_sops, sizeof(*at));

	if (!at)
		return -ENOMEM;
	at->atlas = inode->i_private;
	return 0;
}

static const struct file_operations mid_inflight_fops = {
	.owner = THIS_MODULE,
	.open = mid_inflight_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static void mid_atlas_show(struct work_struct *work)
{
	struct mid_atlas *atlas = container_of(work, struct mid_atlas, show);
	unsigned int noio = memalloc_noio_save();
	struct dentry *dir;

	dir = debugfs_create_dir(atlas->name, mid_debugfs);
	debugfs_create_file("stats", 0444, dir, atlas, &mid_stats_fops);
	debugfs_create_file("inflight", 0400, dir, atlas, &mid_inflight_fops);
	atlas->dir = dir;
	memalloc_noio_restore(noio);
}

/* After this no reader looks at the atlas. */
static void mid_atlas_hide(struct mid_atlas *atlas)
{
	cancel_work_sync(&atlas->show);
	debugfs_remove(atlas->dir);
}

/*
 * A name that a file can have and a terminal can show.  Many connections may have
 * the same name, so each atlas has a number.
 */
static void mid_atlas_name(struct mid_atlas *atlas, const char *name)
{
	static atomic_t last;
	char *c;

	sprintf(atlas->name, "%.*s-%u", MID_MAX_NAME, name,
		(unsigned int)atomic_inc_return(&last));
	for (c = atlas->name; *c; c++)
		if (!isascii(*c) || !isgraph(*c) || *c == '/')
			*c = '_';
}

#endif /* _MIDATLAS_DEBUGFS_H */
