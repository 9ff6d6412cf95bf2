// SPDX-License-Identifier: GPL-2.0
/*
 * smbecho - a small SMB1 client on midatlas
 *
 * Connects to a server, learns from it how many requests it takes at a time
 * (MaxMpxCount), and keeps that many ECHO requests in flight from several
 * threads until all are answered.  Then it leaves some unanswered and
 * disconnects.  What happened can be read in debugfs, smbecho/result.
 *
 * Who owns a request
 * ==================
 *
 *	submitter --associate--> atlas --dissociate--> receiver    (answered)
 *	                           |
 *	                           +------destroy----> destructor  (left over)
 *
 * Up to the associate a request is its submitter's.  From then on it is the
 * atlas': a reply can have ended and freed it before associate has returned,
 * so the submitter sends from a buffer of its own and never looks back.
 *
 * While the connection lives, only the receiver dissociates and reassociates.
 * So what it has mapped stays until it does one of the two itself, and needs no
 * reference count.  (A client that also has timeouts or cancels cannot argue
 * like that: it must take a reference where it maps.)
 *
 * The receiver's thread is the one that disconnects, too, when all submitters
 * are gone.  What is in the atlas then goes to the destructor.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/inet.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/overflow.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "../midatlas.h"
#include "smbecho.h"

#define THREADS_MAX	32

static char *server = "127.0.0.1";
module_param(server, charp, 0444);
MODULE_PARM_DESC(server, "IPv4 or IPv6 address of the server");

static unsigned int port = 445;
module_param(port, uint, 0444);
MODULE_PARM_DESC(port, "TCP port of the server");

static unsigned int threads = 4;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "threads that submit requests");

static unsigned int requests = 100000;
module_param(requests, uint, 0444);
MODULE_PARM_DESC(requests, "requests to get answered");

static unsigned int payload = 64;
module_param(payload, uint, 0444);
MODULE_PARM_DESC(payload, "bytes that each request has echoed");

static unsigned int echo_count = 3;
module_param(echo_count, uint, 0444);
MODULE_PARM_DESC(echo_count, "replies to a request that wants several");

static unsigned int several_every = 4;
module_param(several_every, uint, 0444);
MODULE_PARM_DESC(several_every, "one request in so many wants several replies (0: none)");

static unsigned int reassociate_every = 5;
module_param(reassociate_every, uint, 0444);
MODULE_PARM_DESC(reassociate_every, "one of those in so many changes its context in flight (0: none)");

static unsigned int outstanding = 10;
module_param(outstanding, uint, 0444);
MODULE_PARM_DESC(outstanding, "further requests, left unanswered at the disconnect");

static unsigned int timeout = 5;
module_param(timeout, uint, 0444);
MODULE_PARM_DESC(timeout, "seconds after which a silent server is given up");

static struct sockaddr_storage server_address;

/* What there is to tell: counters, and what is reckoned from them at the end. */

enum result {
	REQUESTS, REPLIES, COMPLETED, REASSOCIATED, DESTRUCTED,
	MISMATCHES, UNKNOWN, UNSOLICITED, MALFORMED, PEAK_IN_FLIGHT, MAX_MPX,
	ERROR, REQUESTS_PER_S, LATENCY_P50, LATENCY_P99, UNACCOUNTED,
	NR_RESULTS
};

static const char * const result_names[] = {
	[REQUESTS]	 = "requests",
	[REPLIES]	 = "replies",
	[COMPLETED]	 = "completed",
	[REASSOCIATED]	 = "reassociated",
	[DESTRUCTED]	 = "destructed",
	[MISMATCHES]	 = "mismatches",	/* answers to another question */
	[UNKNOWN]	 = "unknown",		/* MIDs that map to nothing */
	[UNSOLICITED]	 = "unsolicited",
	[MALFORMED]	 = "malformed",
	[PEAK_IN_FLIGHT] = "peak_in_flight",
	[MAX_MPX]	 = "max_mpx",
	[ERROR]		 = "error",
	[REQUESTS_PER_S] = "requests_per_s",
	[LATENCY_P50]	 = "latency_p50_ns",
	[LATENCY_P99]	 = "latency_p99_ns",
	[UNACCOUNTED]	 = "unaccounted",
};

static atomic64_t results[NR_RESULTS];
static const char *state = "running";

static void count(enum result kind)
{
	atomic64_inc(&results[kind]);
}

static s64 result(enum result kind)
{
	return atomic64_read(&results[kind]);
}

static void result_set(enum result kind, s64 value)
{
	atomic64_set(&results[kind], value);
}

static int result_show(struct seq_file *m, void *unused)
{
	int i;

	/* Pairs with finish(): who reads that it is over reads all results. */
	seq_printf(m, "state %s\n", smp_load_acquire(&state));
	for (i = 0; i < NR_RESULTS; i++)
		seq_printf(m, "%s %lld\n", result_names[i], result(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/*
 * Latencies, to within an eighth: eight buckets for each power of two.  Only
 * the receiver's thread comes here.
 */

#define LATENCY_BUCKETS	(8 * 62)

static unsigned int latencies[LATENCY_BUCKETS];

static void latency_note(u64 ns)
{
	unsigned int shift = fls64(ns | 8) - 4;

	latencies[8 * shift + (ns >> shift)]++;
}

static u64 latency_percentile(unsigned int percent)
{
	u64 rank = div_u64(result(COMPLETED) * percent, 100);
	unsigned int bucket = 0, shift;
	u64 seen = latencies[0];

	while (seen < rank && bucket < LATENCY_BUCKETS - 1)
		seen += latencies[++bucket];
	shift = bucket < 16 ? 0 : bucket / 8 - 1;
	return (u64)(bucket - 8 * shift) << shift;
}

/* One ECHO request: the context of its MID. */
struct request {
	u64 start;		/* ns; when it got its MID */
	unsigned int wanted;	/* replies */
	unsigned int got;
	u8 payload[];		/* no two requests have the same */
};

static struct request *request_create(u32 serial)
{
	struct request *req;
	struct rnd_state noise;

	req = kmalloc(struct_size(req, payload, payload), GFP_KERNEL);
	if (!req)
		return NULL;
	req->wanted = 1;
	req->got = 0;
	if (several_every && serial % several_every == 0)
		req->wanted = echo_count;
	prandom_seed_state(&noise, serial);
	prandom_bytes_state(&noise, req->payload, payload);
	memcpy(req->payload, &serial, sizeof(serial));
	return req;
}

/* A connection, and all who use it. */
struct connection {
	struct socket *sock;
	struct mutex send_lock;		/* for one message at a time */
	void *frame;			/* received last; the receiver's own */
	unsigned long deadline;		/* jiffies; for the next reply */
	int error;			/* the first, which ended it */

	struct mid_atlas *atlas;
	unsigned int max_mpx;
	wait_queue_head_t mid_free;
	atomic_t in_flight;

	atomic_t serial;		/* of the last request */
	unsigned int partial_replies;
	struct task_struct *submitters[THREADS_MAX];
};

/* Breaks it for all who use it. */
static void connection_fail(struct connection *conn, int err)
{
	cmpxchg(&conn->error, 0, err);
	kernel_sock_shutdown(conn->sock, SHUT_RDWR);
}

/* What a socket call returned that did not succeed. */
static int socket_error(int ret)
{
	if (ret == -EAGAIN || ret == -EINPROGRESS)
		return -ETIMEDOUT;
	return ret ?: -ECONNRESET;
}

static int send_message(struct connection *conn, void *message, size_t len)
{
	__be32 head = cpu_to_be32(len);
	struct kvec vec[] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = message, .iov_len = len },
	};
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
	int sent;

	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, vec, ARRAY_SIZE(vec),
		      sizeof(head) + len);
	mutex_lock(&conn->send_lock);
	do {
		sent = sock_sendmsg(conn->sock, &msg);
	} while (sent > 0 && msg_data_left(&msg));
	mutex_unlock(&conn->send_lock);
	return sent > 0 ? 0 : socket_error(sent);
}

static int receive(struct connection *conn, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { };
	int got;

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, len);
	while (msg_data_left(&msg)) {
		if (kthread_should_stop())
			return -EINTR;
		/* A server that says much but answers nothing is silent, too. */
		if (time_after(jiffies, conn->deadline))
			return -ETIMEDOUT;
		got = sock_recvmsg(conn->sock, &msg, MSG_WAITALL);
		if (got <= 0)
			return socket_error(got);
	}
	return 0;
}

/* Returns the length of the message that is now in @conn->frame. */
static int receive_message(struct connection *conn)
{
	__be32 head;
	u32 len;
	int err;

	do {
		err = receive(conn, &head, sizeof(head));
		if (err)
			return err;
		len = be32_to_cpu(head);
	} while (len == NBSS_KEEPALIVE);

	/* Who has lost the frame's borders cannot find them again. */
	if ((len & ~NBSS_LENGTH) || len > SMB_FRAME_MAX) {
		count(MALFORMED);
		return -EPROTO;
	}
	return receive(conn, conn->frame, len) ?: len;
}

static bool is_reply(const struct smb_header *header, int len)
{
	return len >= SMB_MESSAGE_MIN && header->magic == SMB_MAGIC &&
	       header->flags & SMB_FLAGS_REPLY;
}

static int server_connect(struct connection *conn)
{
	struct sock *sk;
	int err;

	err = sock_create_kern(&init_net, server_address.ss_family,
			       SOCK_STREAM, IPPROTO_TCP, &conn->sock);
	if (err)
		return err;

	sk = conn->sock->sk;
	sk->sk_rcvtimeo = timeout * HZ;
	sk->sk_sndtimeo = timeout * HZ;
	tcp_sock_set_nodelay(sk);
	conn->deadline = jiffies + timeout * HZ;

	/* void *, because the type of an address changed in 6.19. */
	err = kernel_connect(conn->sock, (void *)&server_address,
			     sizeof(server_address), 0);
	if (err) {
		sock_release(conn->sock);
		return socket_error(err);
	}
	return 0;
}

/* Learns how many requests the server takes at a time. */
static int negotiate(struct connection *conn)
{
	struct smb_negotiate_request request = {
		.header.magic = SMB_MAGIC,
		.header.command = SMB_COM_NEGOTIATE,
		.header.flags2 = SMB_FLAGS2_NT_STATUS,
		.header.tid = SMB_TID_NONE,
		.byte_count = cpu_to_le16(sizeof(SMB_DIALECT)),
		.dialect = SMB_DIALECT,
	};
	const struct smb_negotiate_reply *reply = conn->frame;
	int len, err;

	err = send_message(conn, &request, sizeof(request));
	if (err)
		return err;
	len = receive_message(conn);
	if (len < 0)
		return len;

	if (!is_reply(&reply->header, len) ||
	    reply->header.command != SMB_COM_NEGOTIATE) {
		count(MALFORMED);
		return -EPROTO;
	}
	if (len < sizeof(*reply) || reply->header.status ||
	    reply->header.word_count != SMB_NEGOTIATE_WORDS ||
	    reply->dialect || !reply->max_mpx)
		return -EPROTONOSUPPORT;
	conn->max_mpx = le16_to_cpu(reply->max_mpx);
	result_set(MAX_MPX, conn->max_mpx);
	return 0;
}

static int connection_open(struct connection *conn)
{
	int err;

	mutex_init(&conn->send_lock);
	init_waitqueue_head(&conn->mid_free);
	conn->frame = kvmalloc(SMB_FRAME_MAX, GFP_KERNEL);
	if (!conn->frame)
		return -ENOMEM;
	err = server_connect(conn);
	if (err)
		goto free_frame;
	err = negotiate(conn);
	if (err)
		goto release_sock;
	/* All slots at once: to write back dirty pages must not need memory. */
	conn->atlas = mid_atlas_create("smbecho", conn->max_mpx, conn->max_mpx,
				       GFP_KERNEL);
	err = PTR_ERR_OR_ZERO(conn->atlas);
	if (err)
		goto release_sock;
	return 0;

release_sock:
	sock_release(conn->sock);
free_frame:
	kvfree(conn->frame);
	return err;
}

static void request_destruct(void *ctx, u16 mid, void *arg)
{
	count(DESTRUCTED);
	kfree(ctx);
}

static void connection_close(struct connection *conn)
{
	kernel_sock_shutdown(conn->sock, SHUT_RDWR);
	mid_atlas_destroy(conn->atlas, request_destruct, NULL);
	sock_release(conn->sock);
	kvfree(conn->frame);
}

/* Submitters */

static void in_flight_inc(struct connection *conn)
{
	s64 now = atomic_inc_return(&conn->in_flight);
	s64 peak = result(PEAK_IN_FLIGHT);

	while (now > peak &&
	       !atomic64_try_cmpxchg(&results[PEAK_IN_FLIGHT], &peak, now))
		;
}

/* False as long as there is no MID to be had. */
static bool try_associate(struct connection *conn, struct request *req,
			  u16 *mid, int *err)
{
	req->start = ktime_get_ns();
	*err = mid_atlas_associate(conn->atlas, req, mid, GFP_NOWAIT);
	return *err != -ENOSPC;
}

/* Waits for a MID.  If there is one, the request belongs to the atlas. */
static int associate(struct connection *conn, struct request *req, u16 *mid)
{
	int err;

	if (wait_event_interruptible_exclusive(conn->mid_free,
					       try_associate(conn, req, mid, &err)))
		return -EINTR;
	if (!err)
		in_flight_inc(conn);
	return err;
}

static void echo_fill(struct smb_echo *echo, const struct request *req)
{
	echo->header = (struct smb_header) {
		.magic = SMB_MAGIC,
		.command = SMB_COM_ECHO,
		.flags2 = SMB_FLAGS2_NT_STATUS,
		.tid = SMB_TID_NONE,
		.word_count = SMB_ECHO_WORDS,
	};
	echo->count = cpu_to_le16(req->wanted);
	echo->byte_count = cpu_to_le16(payload);
	memcpy(echo->data, req->payload, payload);
}

static int submit(struct connection *conn, struct smb_echo *echo, u32 serial)
{
	struct request *req;
	u16 mid;
	int err;

	req = request_create(serial);
	if (!req)
		return -ENOMEM;
	echo_fill(echo, req);

	err = associate(conn, req, &mid);
	if (err) {
		kfree(req);
		return err;
	}
	count(REQUESTS);
	echo->header.mid = cpu_to_le16(mid);
	return send_message(conn, echo, struct_size(echo, data, payload));
}

/* Submits requests, alone or with others, until there were @last of them. */
static int submit_until(struct connection *conn, u32 last)
{
	struct smb_echo *echo;
	int err = 0;

	echo = kmalloc(struct_size(echo, data, payload), GFP_KERNEL);
	if (!echo)
		return -ENOMEM;
	while (!err && !kthread_should_stop()) {
		u32 serial = atomic_inc_return(&conn->serial);

		if (serial > last)
			break;
		err = submit(conn, echo, serial);
	}
	kfree(echo);
	return err;
}

static int submitter(void *data)
{
	struct connection *conn = data;
	int err = submit_until(conn, requests);

	if (err)
		connection_fail(conn, err);
	return 0;
}

/* The receiver */

/*
 * What mid_atlas_map() returns is good under RCU, and no longer.  Here it is
 * good until the caller itself dissociates or reassociates the MID, because
 * nobody else does: see the top of this file.
 */
static struct request *find_request(struct connection *conn, u16 mid)
{
	struct request *req;

	rcu_read_lock();
	req = mid_atlas_map(conn->atlas, mid);
	rcu_read_unlock();
	return req;
}

static bool is_answer(const struct smb_echo *reply, int len,
		      const struct request *req)
{
	return len >= struct_size(reply, data, payload) &&
	       reply->header.command == SMB_COM_ECHO &&
	       !reply->header.status &&
	       reply->header.word_count == SMB_ECHO_WORDS &&
	       le16_to_cpu(reply->count) == req->got + 1 &&
	       le16_to_cpu(reply->byte_count) == payload &&
	       !memcmp(reply->data, req->payload, payload);
}

static void complete_request(struct connection *conn, u16 mid)
{
	struct request *req;

	atomic_dec(&conn->in_flight);
	req = mid_atlas_dissociate(conn->atlas, mid);
	if (WARN_ON_ONCE(!req))		/* nobody else ends requests */
		return;
	latency_note(ktime_get_ns() - req->start);
	kfree(req);
	count(COMPLETED);
	wake_up(&conn->mid_free);
}

/*
 * The request goes on as another object under the same MID, as in a client
 * that hands what is still to come to somebody else.
 */
static void replace_request(struct connection *conn, u16 mid,
			    const struct request *req)
{
	struct request *heir, *old;

	heir = kmemdup(req, struct_size(req, payload, payload), GFP_KERNEL);
	if (!heir)
		return;			/* then it goes on as it is */
	old = mid_atlas_reassociate(conn->atlas, mid, heir);
	if (WARN_ON_ONCE(!old)) {	/* the MID was free, and still is */
		kfree(heir);
		return;
	}
	kfree(old);
	count(REASSOCIATED);
}

static void handle_message(struct connection *conn, int len)
{
	const struct smb_echo *reply = conn->frame;
	struct request *req;
	u16 mid;

	if (!is_reply(&reply->header, len)) {
		count(MALFORMED);
		return;
	}
	mid = le16_to_cpu(reply->header.mid);
	if (mid == SMB_MID_UNSOLICITED) {
		count(UNSOLICITED);
		return;
	}
	req = find_request(conn, mid);
	if (!req) {
		count(UNKNOWN);
		return;
	}

	count(REPLIES);
	conn->deadline = jiffies + timeout * HZ;
	if (!is_answer(reply, len, req)) {
		/* It ends the request; the MID of a further one is unknown. */
		count(MISMATCHES);
		complete_request(conn, mid);
	} else if (++req->got == req->wanted) {
		complete_request(conn, mid);
	} else if (reassociate_every &&
		   conn->partial_replies++ % reassociate_every == 0) {
		replace_request(conn, mid, req);
	}
}

static int receive_replies(struct connection *conn)
{
	while (result(COMPLETED) < requests) {
		int len = receive_message(conn);

		if (len < 0)
			return len;
		handle_message(conn, len);
		cond_resched();
	}
	return 0;
}

/* Threads.  They may end by themselves, and are held until they are stopped. */

static struct task_struct *thread_start(int (*fn)(void *), void *data,
					const char *name)
{
	struct task_struct *task = kthread_create(fn, data, "%s", name);

	if (!IS_ERR(task)) {
		get_task_struct(task);
		wake_up_process(task);
	}
	return task;
}

/* kthread_stop() interrupts, like a signal, what the thread may wait for. */
static void thread_stop(struct task_struct *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

static int submitters_start(struct connection *conn)
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		struct task_struct *task;

		task = thread_start(submitter, conn, "smbecho-submit");
		if (IS_ERR(task))
			return PTR_ERR(task);
		conn->submitters[i] = task;
	}
	return 0;
}

static void submitters_stop(struct connection *conn)
{
	unsigned int i;

	for (i = 0; i < threads && conn->submitters[i]; i++)
		thread_stop(conn->submitters[i]);
}

static int exchange(struct connection *conn)
{
	int err = submitters_start(conn);

	if (!err)
		err = receive_replies(conn);
	if (err)
		connection_fail(conn, err);
	submitters_stop(conn);
	return conn->error;
}

/* Nobody receives any more: these will be in flight at the disconnect. */
static int leave_outstanding(struct connection *conn)
{
	return submit_until(conn, atomic_read(&conn->serial) +
				  min(outstanding, conn->max_mpx));
}

/* The module: one thread that connects, receives, and disconnects. */

static struct task_struct *client_task;
static struct dentry *debugfs_dir;

static void finish(int err, u64 ns)
{
	result_set(ERROR, err);
	result_set(REQUESTS_PER_S,
		   div64_u64(result(COMPLETED) * NSEC_PER_SEC, ns | 1));
	result_set(LATENCY_P50, latency_percentile(50));
	result_set(LATENCY_P99, latency_percentile(99));
	result_set(UNACCOUNTED, result(REQUESTS) - result(COMPLETED) -
				result(DESTRUCTED));
	/* Pairs with result_show(). */
	smp_store_release(&state, err ? "failed" : "done");

	pr_info("%s (%d): %lld requests, %lld replies, %lld requests/s, at most %lld of %lld in flight, %lld destructed, %lld unaccounted, %lld mismatches\n",
		state, err, result(REQUESTS), result(REPLIES),
		result(REQUESTS_PER_S), result(PEAK_IN_FLIGHT), result(MAX_MPX),
		result(DESTRUCTED), result(UNACCOUNTED), result(MISMATCHES));
}

static int client(void *unused)
{
	struct connection conn = { };
	u64 start, ns = 0;
	int err;

	err = connection_open(&conn);
	if (!err) {
		start = ktime_get_ns();
		err = exchange(&conn);
		ns = ktime_get_ns() - start;
		if (!err)
			err = leave_outstanding(&conn);
		connection_close(&conn);
	}
	finish(err, ns);
	return 0;
}

static const struct {
	const char *name;
	const unsigned int *value;
	unsigned int min;
	unsigned int max;
} limits[] = {
	{ "port", &port, 1, 0xffff },
	{ "threads", &threads, 1, THREADS_MAX },
	{ "requests", &requests, 1, 100000000 },
	{ "payload", &payload, sizeof(u32), 4096 },
	{ "echo_count", &echo_count, 1, 16 },
	{ "timeout", &timeout, 1, 3600 },
};

static int __init check_parameters(void)
{
	char service[sizeof("65535")];
	int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		if (*limits[i].value < limits[i].min ||
		    *limits[i].value > limits[i].max) {
			pr_err("%s must be between %u and %u\n",
			       limits[i].name, limits[i].min, limits[i].max);
			return -EINVAL;
		}
	}
	snprintf(service, sizeof(service), "%u", port);
	if (inet_pton_with_scope(&init_net, AF_UNSPEC, server, service,
				 &server_address)) {
		pr_err("server must be an IPv4 or IPv6 address, not \"%s\"\n",
		       server);
		return -EINVAL;
	}
	return 0;
}

static int __init smbecho_init(void)
{
	int err = check_parameters();

	if (err)
		return err;
	client_task = thread_start(client, NULL, "smbecho");
	if (IS_ERR(client_task))
		return PTR_ERR(client_task);
	debugfs_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("result", 0444, debugfs_dir, NULL, &result_fops);
	return 0;
}
module_init(smbecho_init);

static void __exit smbecho_exit(void)
{
	debugfs_remove(debugfs_dir);
	thread_stop(client_task);
}
module_exit(smbecho_exit);

MODULE_DESCRIPTION("A small SMB1 client on midatlas: ECHO requests");
MODULE_LICENSE("GPL");
