// SPDX-License-Identifier: GPL-2.0
/*
 * smbecho - parameters, results, submitters
 *
 * When the module is loaded, @threads kernel threads submit @requests requests.  A
 * process that writes a number N to smbecho/submit in debugfs submits N more, one
 * after the other, and can be killed at any time.  If it opened the file with
 * O_NONBLOCK, it does not wait for the replies.
 *
 * smbecho/result has the counters.  On unload the kernel log gets the balance:
 * requests = replied + timed out + cancelled + reset.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/inet.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>

#include "smbecho.h"

#define THREADS_MAX	256

struct options options = {
	.dialect = "smb1",
	.server = "127.0.0.1",
	.port = 445,
	.threads = 64,
	.requests = 100000,
	.payload = 64,
	.echo_count = 3,
	.several_every = 4,
	.reassociate_every = 5,
	.compound_every = 4,
	.credits = 256,
	.slots = 512,
	.tries = 5,
	.timeout_ms = 10000,
	.quarantine_ms = 20000,
};

module_param_named(dialect, options.dialect, charp, 0444);
MODULE_PARM_DESC(dialect, "smb1 or smb2");

module_param_named(server, options.server, charp, 0444);
MODULE_PARM_DESC(server, "IPv4 or IPv6 address of the server");

module_param_named(port, options.port, uint, 0444);
MODULE_PARM_DESC(port, "TCP port of the server");

module_param_named(threads, options.threads, uint, 0444);
MODULE_PARM_DESC(threads, "kernel threads that submit requests");

module_param_named(requests, options.requests, uint, 0444);
MODULE_PARM_DESC(requests, "requests that the kernel threads submit");

module_param_named(payload, options.payload, uint, 0444);
MODULE_PARM_DESC(payload, "bytes of payload of a request (only SMB1)");

module_param_named(echo_count, options.echo_count, uint, 0444);
MODULE_PARM_DESC(echo_count, "replies to a request that asks for several (only SMB1)");

module_param_named(several_every, options.several_every, uint, 0444);
MODULE_PARM_DESC(several_every, "every Nth request asks for several replies (0: none, only SMB1)");

module_param_named(reassociate_every, options.reassociate_every, uint, 0444);
MODULE_PARM_DESC(reassociate_every, "every Nth partial reply replaces its request (0: none, only SMB1)");

module_param_named(compound_every, options.compound_every, uint, 0444);
MODULE_PARM_DESC(compound_every, "every Nth is a compound of two requests (0: none, only SMB2)");

module_param_named(credits, options.credits, uint, 0444);
MODULE_PARM_DESC(credits, "credits that the client would like to have (only SMB2)");

module_param_named(slots, options.slots, uint, 0444);
MODULE_PARM_DESC(slots, "requests in flight that never need memory for the window (only SMB2)");

module_param_named(tries, options.tries, uint, 0444);
MODULE_PARM_DESC(tries, "how often a request is sent at most if its connection is lost");

module_param_named(timeout_ms, options.timeout_ms, uint, 0444);
MODULE_PARM_DESC(timeout_ms, "timeout of a request, of a wait for a MID or credits and of a connect");

module_param_named(quarantine_ms, options.quarantine_ms, uint, 0444);
MODULE_PARM_DESC(quarantine_ms, "how long the number of a cancelled request is kept for its reply");

static struct client client;
static struct task_struct *submitters[THREADS_MAX];
static atomic_t submitters_left;
static atomic_t writers;	/* processes in submit_write() */
static atomic_t requests_left;
static u64 started, finished;	/* ns */

/* Results */

atomic64_t results[NR_RESULTS];

static const char * const result_names[NR_RESULTS] = {
	[REPLIED]	= "replied",
	[TIMED_OUT]	= "timed_out",
	[CANCELLED]	= "cancelled",
	[RESET]		= "reset",
	[RESUBMITTED]	= "resubmitted",
	[REASSOCIATED]	= "reassociated",
	[REQUESTS]	= "requests",
	[REPLIES]	= "replies",
	[ABANDONED]	= "abandoned",
	[DESTRUCTED]	= "destructed",
	[CONNECTIONS]	= "connections",
	[MISMATCHES]	= "mismatches",
	[UNSOLICITED]	= "unsolicited",
	[MALFORMED]	= "malformed",
	[COMPOUNDS]	= "compounds",
	[CREDITS]	= "credits",
	[INTERIMS]	= "interims",
	[CANCELS]	= "cancels",
	[UNSENT]	= "unsent",
	[KEEPALIVES]	= "keepalives",
	[STARVED]	= "starved",
};

static s64 result(enum result what)
{
	return atomic64_read(&results[what]);
}

static s64 requests_not_ended(void)
{
	s64 ended = 0;
	int i;

	for (i = 0; i < NR_ENDS; i++)
		ended += result(i);
	return result(REQUESTS) - ended;
}

/* Histogram of latencies, with eight buckets for each power of two */

#define LATENCY_BUCKETS	(8 * 62)

static atomic_t latencies[LATENCY_BUCKETS];

void latency_note(u64 ns)
{
	unsigned int shift = fls64(ns | 8) - 4;

	atomic_inc(&latencies[8 * shift + (ns >> shift)]);
}

static u64 latency_percentile(unsigned int percent)
{
	unsigned int bucket, shift;
	u64 all = 0, seen = 0;

	for (bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
		all += atomic_read(&latencies[bucket]);
	for (bucket = 0; bucket < LATENCY_BUCKETS - 1; bucket++) {
		seen += atomic_read(&latencies[bucket]);
		if (seen * 100 >= all * percent)
			break;
	}
	shift = bucket < 16 ? 0 : bucket / 8 - 1;
	return (u64)(bucket - 8 * shift) << shift;
}

static int result_show(struct seq_file *m, void *unused)
{
	/* Pairs with submitter(): if it reads "done", all their counts are visible. */
	bool done = !atomic_read_acquire(&submitters_left);
	u64 ns = (done ? finished : ktime_get_ns()) - started;
	int i;

	seq_printf(m, "state %s\n", done ? "done" : "running");
	for (i = 0; i < NR_RESULTS; i++)
		seq_printf(m, "%s %lld\n", result_names[i], result(i));
	seq_printf(m, "not_ended %lld\n", requests_not_ended());
	seq_printf(m, "writers %d\n", atomic_read(&writers));
	client.protocol->show(&client, m);
	seq_printf(m, "requests_per_s %llu\n",
		   div64_u64(result(REPLIED) * NSEC_PER_SEC, ns | 1));
	seq_printf(m, "latency_p50_ns %llu\n", latency_percentile(50));
	seq_printf(m, "latency_p99_ns %llu\n", latency_percentile(99));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/* Submitters */

static ssize_t submit_write(struct file *file, const char __user *buf,
			    size_t size, loff_t *pos)
{
	bool wait = !(file->f_flags & O_NONBLOCK);
	unsigned int n;
	int err;

	err = kstrtouint_from_user(buf, size, 0, &n);
	atomic_inc(&writers);
	while (!err && n--)
		err = request_submit(&client, wait);
	atomic_dec(&writers);
	return err ?: size;
}

/* An open file keeps the module loaded. */
static const struct file_operations submit_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.write = submit_write,
};

static int submitter(void *unused)
{
	allow_signal(SIGKILL);
	while (!READ_ONCE(client.closing) &&
	       atomic_dec_if_positive(&requests_left) >= 0)
		request_submit(&client, true);

	/* The last write is valid; pairs with result_show(). */
	WRITE_ONCE(finished, ktime_get_ns());
	atomic_dec_return_release(&submitters_left);
	return 0;
}

/* Threads.  They may exit early; a reference keeps the task until thread_stop(). */

struct task_struct *thread_start(int (*fn)(void *), void *data, const char *name)
{
	struct task_struct *task = kthread_create(fn, data, "%s", name);

	if (!IS_ERR(task)) {
		get_task_struct(task);
		wake_up_process(task);
	}
	return task;
}

/* kthread_stop() interrupts the waits of a thread, as a signal does. */
void thread_stop(struct task_struct *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

static int submitters_start(void)
{
	struct task_struct *task;
	unsigned int i;

	atomic_set(&requests_left, options.requests);
	atomic_set(&submitters_left, options.threads);
	for (i = 0; i < options.threads; i++) {
		task = thread_start(submitter, NULL, "smbecho-submit");
		if (IS_ERR(task))
			return PTR_ERR(task);
		submitters[i] = task;
	}
	return 0;
}

/* Kills the threads that still wait for a reply, like a process. */
static void submitters_stop(void)
{
	unsigned int i;

	for (i = 0; i < options.threads && submitters[i]; i++) {
		send_sig(SIGKILL, submitters[i], 1);
		thread_stop(submitters[i]);
	}
}

/* Parameters */

static const struct {
	const char *name;
	const unsigned int *value;
	unsigned int min;
	unsigned int max;
} limits[] = {
	{ "port", &options.port, 1, 0xffff },
	{ "threads", &options.threads, 0, THREADS_MAX },
	{ "requests", &options.requests, 0, INT_MAX },
	{ "payload", &options.payload, sizeof(u32), 4096 },
	{ "echo_count", &options.echo_count, 1, 16 },
	{ "credits", &options.credits, 1, 8192 },
	{ "slots", &options.slots, 0, MID_WINDOW_MAX_SLOTS },
	{ "tries", &options.tries, 1, 100 },
	{ "timeout_ms", &options.timeout_ms, 10, 3600000 },
	{ "quarantine_ms", &options.quarantine_ms, 0, 3600000 },
};

static int __init check_options(void)
{
	char service[sizeof("65535")];
	int i;

	client.protocol = !strcmp(options.dialect, "smb2") ? &smb2 : &smb1;
	if (strcmp(options.dialect, client.protocol->name)) {
		pr_err("dialect must be smb1 or smb2, not \"%s\"\n", options.dialect);
		return -EINVAL;
	}

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		if (*limits[i].value < limits[i].min ||
		    *limits[i].value > limits[i].max) {
			pr_err("%s must be between %u and %u\n",
			       limits[i].name, limits[i].min, limits[i].max);
			return -EINVAL;
		}
	}
	snprintf(service, sizeof(service), "%u", options.port);
	if (inet_pton_with_scope(&init_net, AF_UNSPEC, options.server, service,
				 &client.server)) {
		pr_err("server must be an IPv4 or IPv6 address, not \"%s\"\n",
		       options.server);
		return -EINVAL;
	}
	return 0;
}

/* Load and unload */

static struct dentry *debugfs_dir;

static void smbecho_stop(void)
{
	debugfs_remove(debugfs_dir);
	client_close(&client);
	submitters_stop();
	client_stop(&client);
	pr_info("requests %lld = replied %lld + timed_out %lld + cancelled %lld + reset %lld, unaccounted %lld, destructed %lld\n",
		result(REQUESTS), result(REPLIED), result(TIMED_OUT),
		result(CANCELLED), result(RESET), requests_not_ended(),
		result(DESTRUCTED));
}

static int __init smbecho_init(void)
{
	int err;

	err = check_options();
	if (!err)
		err = client_start(&client);
	if (err)
		return err;
	started = ktime_get_ns();
	err = submitters_start();
	if (err) {
		smbecho_stop();
		return err;
	}
	debugfs_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("result", 0444, debugfs_dir, NULL, &result_fops);
	debugfs_create_file("submit", 0200, debugfs_dir, NULL, &submit_fops);
	return 0;
}
module_init(smbecho_init);

static void __exit smbecho_exit(void)
{
	smbecho_stop();
}
module_exit(smbecho_exit);

MODULE_DESCRIPTION("Sample client of midatlas and midwindow: SMB ECHO requests");
MODULE_LICENSE("GPL");
