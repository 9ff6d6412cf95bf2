/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midfolder - what an operator sees of an atlas or a window: a folder in debugfs
 *
 * Both modules include this, and each has its own list of folders.
 *
 * A work item makes the folder, because create may be called where debugfs must not
 * be.  What is destroyed soon never has one.  Destroy may be called for writeback to go
 * on, so the work item, which holds the lock of the parent directory, must not wait for
 * writeback when it allocates.
 *
 *	T1: destroy			T2: read
 *
 *	cancels the work item		debugfs: in use + 1
 *	debugfs_remove			reads the atlas
 *	  waits for T2			debugfs: in use - 1
 *	call_rcu
 *
 * After debugfs_remove() a file that is still open gives -EIO.
 *
 * A folder has the name that the client gave.  If that is in use, a number follows.  It
 * is never used again, so in a trace a name means one connection.
 */
#ifndef _MIDFOLDER_H
#define _MIDFOLDER_H

#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "midlatency.h"

#define MID_MAX_NAME		200	/* with a number it is a file's name */
#define MID_MAX_WORDS		200	/* of a client for a request */
#define MID_MAX_WAITERS		64	/* that the file waiters lists */
#define MID_PACE		msecs_to_jiffies(10)

/**
 * struct mid_folder - what is shown of an atlas or a window
 * @node: in mid_folders
 * @describe: what the client shows of a request, or %NULL
 * @latency: how long its requests were in flight
 * @stats_shown: when the file stats was shown last, in jiffies
 * @inflight_shown: the same for the file inflight
 * @work: makes the folder
 * @dir: the folder, or what debugfs has in place of it
 * @name: its name, of mid_folder_name_size() bytes
 */
struct mid_folder {
	struct list_head node;
	void (*describe)(struct seq_file *m, void *ctx);
	struct mid_latency latency;
	unsigned long stats_shown;
	unsigned long inflight_shown;
	struct work_struct work;
	struct dentry *dir;
	char name[];
};

/*
 * To look at all requests takes a cache line of each from the CPUs that send and receive.
 * So a file that does is shown at most once in MID_PACE, and a task that reads it in a loop
 * costs the connection little.
 */
static void mid_folder_pace(unsigned long *shown)
{
	unsigned long left = READ_ONCE(*shown) + MID_PACE - jiffies;

	/* More than MID_PACE: it was long ago, also if jiffies have wrapped since. */
	if (left && left <= MID_PACE)
		schedule_timeout_killable(left);
	WRITE_ONCE(*shown, jiffies);
}

static u64 mid_us_since(u64 ns)
{
	return div_u64(ktime_get_mono_fast_ns() - ns, NSEC_PER_USEC);
}

static void mid_show_printable(struct seq_file *m, const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		seq_putc(m, isascii(text[i]) && isprint(text[i]) ? text[i] : '?');
}

/*
 * What the client shows of a request, at the end of its line: one line of printable
 * characters, whatever the client writes.
 */
static void mid_show_words(struct seq_file *m, const struct mid_folder *folder, void *ctx)
{
	void (*describe)(struct seq_file *m, void *ctx) = READ_ONCE(folder->describe);
	char words[MID_MAX_WORDS];
	struct seq_file own = { .buf = words, .size = sizeof(words) };

	if (!describe)
		return;
	describe(&own, ctx);
	seq_putc(m, ' ');
	mid_show_printable(m, words, own.count);
	if (seq_has_overflowed(&own))
		seq_puts(m, "...");
}

/* From now on @show describes requests, and no reader is in an earlier one. */
static void mid_folder_show_with(struct mid_folder *folder,
				 void (*show)(struct seq_file *m, void *ctx))
{
	might_sleep();

	/* What the caller has prepared for @show is seen by it. */
	if (xchg(&folder->describe, show))
		synchronize_rcu();
}

/**
 * struct mid_waiting - a task that waits, as the file waiters shows it
 * @since: when it began, in nanoseconds
 * @pid: the task
 * @comm: its name
 * @min: the fewest ids that it needs
 * @max: the most ids that it can use
 * @urgent: it is served before all others
 */
struct mid_waiting {
	u64 since;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	unsigned int min;
	unsigned int max;
	bool urgent;
};

/* @task does not go on while it is read: it waits, and the caller has the lock. */
static void mid_waiting_note(struct mid_waiting *waiting, const struct task_struct *task,
			     u64 since)
{
	waiting->since = since;
	waiting->pid = task->pid;
	strscpy(waiting->comm, task->comm, sizeof(waiting->comm));
}

static void mid_waiting_show(struct seq_file *m, const struct mid_waiting *waiting)
{
	seq_printf(m, "%u", waiting->min);
	if (waiting->max != waiting->min)
		seq_printf(m, "-%u", waiting->max);
	seq_printf(m, "%s %llu %d ", waiting->urgent ? ",urgent" : "", mid_us_since(waiting->since),
		   waiting->pid);
	mid_show_printable(m, waiting->comm, strlen(waiting->comm));
	seq_putc(m, '\n');
}

/* The files that both have; what is different is in atlas/debugfs.h and window/debugfs.h. */

static int mid_stats_show(struct seq_file *m, void *unused);
DEFINE_SHOW_ATTRIBUTE(mid_stats);

/**
 * struct mid_inflight - the position of a reader of inflight, and what is there
 * @folder: that of the atlas or the window
 * @word: the slot's word
 * @ctx: its request while LIVE
 * @begun: when it began, or 0
 * @id: the MID, or the first of the ids
 * @async_id: of a window's entry, as all below
 * @epoch: the epoch of the ids
 * @charge: how many ids
 */
struct mid_inflight {
	struct mid_folder *folder;
	u64 word;
	void *ctx;
	u64 begun;
	u64 id;
	u64 async_id;
	u32 epoch;
	u32 charge;
};

/*
 * The first request at or after position @pos.  Position 0 is the heading.  Then come the
 * slots of each table, the newest first, at positions that do not change when tables come
 * and go between two reads.
 */
static void *mid_inflight_find(struct mid_inflight *at, loff_t *pos);
static int mid_inflight_show(struct seq_file *m, void *v);

static void *mid_inflight_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	struct mid_inflight *at = m->private;

	if (!*pos)
		mid_folder_pace(&at->folder->inflight_shown);
	rcu_read_lock();
	return mid_inflight_find(at, pos);
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
	at->folder = inode->i_private;
	return 0;
}

static const struct file_operations mid_inflight_fops = {
	.owner = THIS_MODULE,
	.open = mid_inflight_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* Notes up to MID_MAX_WAITERS tasks that wait, the next to be served first. */
static unsigned int mid_list_waiters(struct mid_folder *folder, struct mid_waiting *list,
				     unsigned int *waiting);

static int mid_waiters_show(struct seq_file *m, void *unused)
{
	struct mid_waiting *list = kcalloc(MID_MAX_WAITERS, sizeof(*list), GFP_KERNEL);
	unsigned int i, n, waiting;

	if (!list)
		return -ENOMEM;
	n = mid_list_waiters(m->private, list, &waiting);
	seq_puts(m, "ids age_us pid comm\n");
	for (i = 0; i < n; i++)
		mid_waiting_show(m, &list[i]);
	if (n == MID_MAX_WAITERS && waiting > n)
		seq_printf(m, "... %u more\n", waiting - n);
	kfree(list);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mid_waiters);

/* No request that is in flight has a stamp after this.  0 or -ENOMEM */
static int mid_clear_stamps(struct mid_folder *folder);

static int mid_latency_show(struct seq_file *m, void *unused)
{
	struct mid_folder *folder = m->private;

	mid_latency_print(m, &folder->latency);
	return 0;
}

static int mid_latency_open(struct inode *inode, struct file *file)
{
	return single_open(file, mid_latency_show, inode->i_private);
}

static ssize_t mid_latency_write(struct file *file, const char __user *buf, size_t count,
				 loff_t *pos)
{
	struct mid_folder *folder = ((struct seq_file *)file->private_data)->private;
	bool on;
	int err = kstrtobool_from_user(buf, count, &on);

	if (err)
		return err;
	mutex_lock(&mid_latency_mutex);
	if (!on)
		mid_latency_switch_off(&folder->latency);
	else if (!folder->latency.on)
		err = mid_clear_stamps(folder);
	if (on && !err)
		err = mid_latency_switch_on(&folder->latency);
	mutex_unlock(&mid_latency_mutex);
	return err ?: count;
}

static const struct file_operations mid_latency_fops = {
	.owner = THIS_MODULE,
	.open = mid_latency_open,
	.read = seq_read,
	.write = mid_latency_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* Adds the files that only one of the two has. */
static void mid_folder_add(struct mid_folder *folder);

static bool mid_show = true;
module_param_named(debugfs, mid_show, bool, 0444);
MODULE_PARM_DESC(debugfs, "show each connection in debugfs, at 3 KiB each");
#ifdef MID_VERSION
MODULE_VERSION(MID_VERSION);
#endif

static struct dentry *mid_debugfs;
static LIST_HEAD(mid_folders);
static DEFINE_SPINLOCK(mid_folders_lock);
static unsigned int mid_folders_added;

static size_t mid_folder_name_size(const char *name)
{
	return strnlen(name, MID_MAX_NAME) + sizeof("-4294967295");
}

static bool mid_folder_name_in_use(const struct mid_folder *folder)
{
	const struct mid_folder *other;

	list_for_each_entry_rcu(other, &mid_folders, node)
		if (!strcmp(other->name, folder->name))
			return true;
	return false;
}

/*
 * A name that a file can have and a terminal can show.  There may be many folders, so the
 * search for the name has interrupts on, and is repeated if a folder was added meanwhile.
 */
static void mid_folder_name(struct mid_folder *folder, const char *name)
{
	static atomic_t last = ATOMIC_INIT(1);
	unsigned int added;
	unsigned long flags;
	size_t length;
	bool unique;
	char *c;

	length = sprintf(folder->name, "%.*s", MID_MAX_NAME, name);
	for (c = folder->name; *c; c++)
		if (!isascii(*c) || !isgraph(*c) || *c == '/')
			*c = '_';
	/* "." and ".." are no names. */
	if (folder->name[0] == '.')
		folder->name[0] = '_';

	rcu_read_lock();
	do {
		/* Pairs with the release below. */
		added = smp_load_acquire(&mid_folders_added);
		while (mid_folder_name_in_use(folder))
			sprintf(folder->name + length, "-%u", atomic_inc_return(&last));
		spin_lock_irqsave(&mid_folders_lock, flags);
		unique = added == mid_folders_added;
		if (unique) {
			list_add_tail_rcu(&folder->node, &mid_folders);
			/* What it counts is in the list. */
			smp_store_release(&mid_folders_added, added + 1);
		}
		spin_unlock_irqrestore(&mid_folders_lock, flags);
	} while (!unique);
	rcu_read_unlock();
}

static void mid_folder_make(struct work_struct *work)
{
	struct mid_folder *folder = container_of(work, struct mid_folder, work);
	unsigned int noio = memalloc_noio_save();

	folder->dir = debugfs_create_dir(folder->name, mid_debugfs);
	debugfs_create_file("stats", 0444, folder->dir, folder, &mid_stats_fops);
	debugfs_create_file("inflight", 0400, folder->dir, folder, &mid_inflight_fops);
	debugfs_create_file("waiters", 0400, folder->dir, folder, &mid_waiters_fops);
	debugfs_create_file("latency", 0600, folder->dir, folder, &mid_latency_fops);
	mid_folder_add(folder);
	memalloc_noio_restore(noio);
}

static void mid_folder_init(struct mid_folder *folder, const char *name)
{
	mid_folder_name(folder, name);
	INIT_WORK(&folder->work, mid_folder_make);
	if (IS_ENABLED(CONFIG_DEBUG_FS) && mid_show)
		schedule_work(&folder->work);
}

/* After this no reader looks at the atlas or the window, which is freed by RCU. */
static void mid_folder_remove(struct mid_folder *folder)
{
	unsigned long flags;

	cancel_work_sync(&folder->work);
	debugfs_remove(folder->dir);
	spin_lock_irqsave(&mid_folders_lock, flags);
	list_del_rcu(&folder->node);
	spin_unlock_irqrestore(&mid_folders_lock, flags);
	mid_latency_end(&folder->latency);
}

#endif /* _MIDFOLDER_H */
