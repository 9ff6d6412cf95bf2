// SPDX-License-Identifier: GPL-2.0
/*
 * The connection
 * ==============
 *
 * One thread connects, negotiates and receives until the connection is lost.  Then
 * it resets the client and connects again.  Any task may send.
 *
 * One atlas serves all connections.  Its maximum is 1 for the NEGOTIATE, then what
 * the server allows.  A reset sets it back to 1 and claims the requests in flight:
 *
 *	T1: reset			T2: submitter
 *
 *					associate_wait: MID m
 *	up = false
 *	claim_all: gets T2's request
 *	connects, up = true
 *					locks send_lock
 *					m is no longer T2's: does not send
 *
 * If T1's claim_all has passed m before T2 gets it, T2 sends on the new connection,
 * or finds that there is none and takes its request back.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "smbecho.h"

#define RECONNECT_MIN	1		/* jiffies; doubled after each failure */
#define RECONNECT_MAX	HZ

/* Maps the result of a failed socket call to an error code. */
static int socket_error(int ret)
{
	if (ret == -EAGAIN || ret == -EINPROGRESS)
		return -ETIMEDOUT;
	return ret ?: -ECONNRESET;
}

/* Stops sending on this connection.  The receiver sees it and reconnects. */
static void connection_break(struct client *c)
{
	lockdep_assert_held(&c->send_lock);

	WRITE_ONCE(c->up, false);
	if (c->sock)
		kernel_sock_shutdown(c->sock, SHUT_RDWR);
}

/* Sending */

static bool may_send(struct client *c, const struct request *req)
{
	const struct smb_header *header = (const void *)req->message;

	return READ_ONCE(c->up) || header->command == SMB_COM_NEGOTIATE;
}

/* Waits until there is a connection. */
int connection_wait(struct client *c, const struct request *req)
{
	long left;

	left = wait_event_killable_timeout(c->up_wait, may_send(c, req) ||
					   READ_ONCE(c->closing), timeout());
	if (left < 0)
		return left;
	return may_send(c, req) ? 0 : -ENOTCONN;
}

static int send_message(struct client *c, struct request *req)
{
	__be32 head = cpu_to_be32(req->length);
	struct kvec vec[] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = req->message, .iov_len = req->length },
	};
	size_t size = sizeof(head) + req->length;
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
	int sent;

	req->sent = ktime_get_ns();
	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, vec, ARRAY_SIZE(vec), size);
	do {
		sent = sock_sendmsg(c->sock, &msg);
	} while (sent > 0 && msg_data_left(&msg));
	if (sent > 0)
		return 0;

	/* The connection is intact if a signal came before the first byte. */
	if (!signal_pending(current) || msg_data_left(&msg) < size)
		connection_break(c);
	return socket_error(sent);
}

int connection_send(struct client *c, struct request *req)
{
	struct smb_header *header = (void *)req->message;
	int err;

	err = mutex_lock_killable(&c->send_lock);
	if (err)
		return err;
	header->mid = cpu_to_le16(req->mid);
	if (!may_send(c, req))
		err = -ENOTCONN;
	else if (mid_atlas_map(c->atlas, req->mid) != req)
		err = -ESTALE;		/* another path has ended it */
	else
		err = send_message(c, req);
	mutex_unlock(&c->send_lock);
	return err;
}

/* Receiving */

static int receive(struct client *c, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { };
	int got;

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, len);
	while (msg_data_left(&msg)) {
		if (kthread_should_stop())
			return -EINTR;
		got = sock_recvmsg(c->sock, &msg, MSG_WAITALL);
		if (got <= 0)
			return socket_error(got);
	}
	return 0;
}

/* Receives a message into @c->frame and returns its length. */
static int receive_message(struct client *c)
{
	__be32 head;
	u32 len;
	int err;

	do {
		err = receive(c, &head, sizeof(head));
		if (err)
			return err;
		len = be32_to_cpu(head);
	} while (len == NBSS_KEEPALIVE);

	/* The start of the next frame is unknown now. */
	if ((len & ~NBSS_LENGTH) || len > SMB_FRAME_MAX) {
		count(MALFORMED);
		return -EPROTO;
	}
	return receive(c, c->frame, len) ?: len;
}

static bool is_reply(const struct smb_header *header, int len)
{
	return len >= SMB_MESSAGE_MIN && header->magic == SMB_MAGIC &&
	       header->flags & SMB_FLAGS_REPLY;
}

static bool is_answer(const struct smb_echo *reply, int len,
		      const struct request *req)
{
	const struct smb_echo *echo = (const void *)req->message;

	return len >= struct_size(reply, data, options.payload) &&
	       reply->header.command == SMB_COM_ECHO &&
	       !reply->header.status &&
	       reply->header.word_count == SMB_ECHO_WORDS &&
	       le16_to_cpu(reply->count) == req->got + 1 &&
	       reply->byte_count == echo->byte_count &&
	       !memcmp(reply->data, echo->data, options.payload);
}

/*
 * No request waits for this reply.  The atlas counts it as late, stale or unknown; a
 * late reply frees its MID.
 */
static void handle_stray(struct client *c, u16 mid)
{
	struct request *req = mid_atlas_dissociate(c->atlas, mid);

	/* Associated since the lookup: the server has guessed its MID. */
	if (req) {
		count(MISMATCHES);
		request_done(req, REPLIED);
	}
}

static void handle_reply(struct client *c, int len, struct request *req)
{
	const struct smb_echo *reply = c->frame;
	bool last = true;

	count(REPLIES);
	if (is_answer(reply, len, req)) {
		WRITE_ONCE(c->heard, jiffies);
		last = ++req->got == req->wanted;
	} else {
		count(MISMATCHES);	/* ends the request */
	}
	if (!last) {
		if (options.reassociate_every &&
		    c->partial_replies++ % options.reassociate_every == 0)
			request_replace(c, req);
	} else if (!request_finish(c, req, 0)) {
		handle_stray(c, req->mid);
	}
}

static void handle_message(struct client *c, int len)
{
	const struct smb_header *header = c->frame;
	struct request *req;
	u16 mid;

	if (!is_reply(header, len)) {
		count(MALFORMED);
		return;
	}
	mid = le16_to_cpu(header->mid);
	if (mid == SMB_MID_UNSOLICITED) {
		count(UNSOLICITED);
		return;
	}
	req = mid_atlas_map_get_put(c->atlas, mid, request_get, request_put);
	if (!req) {
		handle_stray(c, mid);
		return;
	}
	handle_reply(c, len, req);
	request_put(req);
}

static int receive_replies(struct client *c)
{
	for (;;) {
		int len = receive_message(c);

		if (len < 0)
			return len;
		handle_message(c, len);
		cond_resched();
	}
}

/* Connecting and disconnecting */

static int server_connect(struct client *c)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(&init_net, c->server.ss_family, SOCK_STREAM,
			       IPPROTO_TCP, &sock);
	if (err)
		return err;

	sock->sk->sk_sndtimeo = timeout();
	tcp_sock_set_nodelay(sock->sk);
	/* void *: Linux 6.19 changed the type of this parameter. */
	err = kernel_connect(sock, (void *)&c->server, sizeof(c->server), 0);
	if (err) {
		sock_release(sock);
		return socket_error(err);
	}

	mutex_lock(&c->send_lock);
	c->sock = sock;
	mutex_unlock(&c->send_lock);
	WRITE_ONCE(c->heard, jiffies);
	count(CONNECTIONS);
	return 0;
}

static struct request *negotiate_create(void)
{
	static const struct smb_negotiate_request negotiate = {
		.header.magic = SMB_MAGIC,
		.header.command = SMB_COM_NEGOTIATE,
		.header.flags2 = SMB_FLAGS2_NT_STATUS,
		.header.tid = SMB_TID_NONE,
		.byte_count = cpu_to_le16(sizeof(SMB_DIALECT)),
		.dialect = SMB_DIALECT,
	};
	struct request *req = request_create(sizeof(negotiate), false);

	if (req)
		memcpy(req->message, &negotiate, sizeof(negotiate));
	return req;
}

/* Returns how many requests in flight the server allows, or an error. */
static int negotiated(struct client *c, const struct request *req, int len)
{
	const struct smb_negotiate_reply *reply = c->frame;

	if (len < 0)
		return len;
	if (!is_reply(&reply->header, len) ||
	    reply->header.command != SMB_COM_NEGOTIATE ||
	    le16_to_cpu(reply->header.mid) != req->mid) {
		count(MALFORMED);
		return -EPROTO;
	}
	if (len < sizeof(*reply) || reply->header.status ||
	    reply->header.word_count != SMB_NEGOTIATE_WORDS ||
	    reply->dialect || !reply->max_mpx)
		return -EPROTONOSUPPORT;
	return min_t(int, le16_to_cpu(reply->max_mpx), MID_ATLAS_MAX_MIDS);
}

static int negotiate(struct client *c)
{
	struct request *req = negotiate_create();
	int ret;

	if (!req)
		return -ENOMEM;
	ret = request_issue(c, req);
	if (!ret) {
		ret = negotiated(c, req, receive_message(c));
		if (!request_finish(c, req, min(ret, 0)))
			ret = -ETIMEDOUT;
	}
	request_put(req);
	return ret;
}

static int connection_open(struct client *c)
{
	int ret;

	ret = server_connect(c);
	if (!ret)
		ret = negotiate(c);
	if (ret < 0)
		return ret;

	mid_atlas_set_max(c->atlas, ret);
	mutex_lock(&c->send_lock);
	WRITE_ONCE(c->up, true);
	mutex_unlock(&c->send_lock);
	wake_up_all(&c->up_wait);
	pr_info_ratelimited("%pISpc: connected, allows %d requests in flight\n",
			    &c->server, ret);
	return 0;
}

static void connection_close(struct client *c)
{
	struct socket *sock = c->sock;

	if (!sock)
		return;
	/* Before the lock: this ends the send of a task that holds it. */
	kernel_sock_shutdown(sock, SHUT_RDWR);
	mutex_lock(&c->send_lock);
	WRITE_ONCE(c->up, false);
	c->sock = NULL;
	mutex_unlock(&c->send_lock);
	sock_release(sock);
}

/* Claims the requests in flight.  Their submitters may send them again. */
static void connection_reset(struct client *c)
{
	/* Also ends all quarantines: no late reply can come. */
	mid_atlas_set_max(c->atlas, 1);
	mid_atlas_claim_all(c->atlas, request_reset, c);
}

static int receiver(void *data)
{
	unsigned long delay = RECONNECT_MIN;
	struct client *c = data;
	int err;

	for (;;) {
		err = connection_open(c);
		if (!err) {
			delay = RECONNECT_MIN;
			err = receive_replies(c);
		}
		connection_close(c);
		/* The destructor ends the requests that are still in flight. */
		if (kthread_should_stop())
			return 0;
		if (delay == RECONNECT_MIN)
			pr_info_ratelimited("%pISpc: error %d, reconnecting\n",
					    &c->server, err);
		connection_reset(c);
		schedule_timeout_interruptible(delay);
		delay = min(2 * delay, (unsigned long)RECONNECT_MAX);
	}
}

/*
 * Claims the requests whose deadline has passed.  If there were any, and the server
 * has sent no good reply for two timeouts or does not answer the NEGOTIATE, breaks
 * the connection.  A sender that holds the lock does that when its send times out.
 */
static void sweep(struct work_struct *work)
{
	struct client *c = container_of(work, struct client, sweep.work);
	unsigned long silent_since = READ_ONCE(c->heard) + 2 * timeout();

	if (mid_atlas_claim_older(c->atlas, timeout(), request_timed_out, c) &&
	    (!READ_ONCE(c->up) || time_after(jiffies, silent_since)) &&
	    mutex_trylock(&c->send_lock)) {
		connection_break(c);
		mutex_unlock(&c->send_lock);
	}
	schedule_delayed_work(&c->sweep, timeout() / 8 + 1);
}

int client_start(struct client *c)
{
	int err;

	mutex_init(&c->send_lock);
	init_waitqueue_head(&c->up_wait);
	INIT_DELAYED_WORK(&c->sweep, sweep);
	c->frame = kvmalloc(SMB_FRAME_MAX, GFP_KERNEL);
	if (!c->frame)
		return -ENOMEM;
	c->atlas = mid_atlas_create(KBUILD_MODNAME, 1, 1, GFP_KERNEL);
	err = PTR_ERR_OR_ZERO(c->atlas);
	if (err)
		goto free_frame;
	c->receiver = thread_start(receiver, c, "smbecho");
	err = PTR_ERR_OR_ZERO(c->receiver);
	if (err)
		goto destroy_atlas;
	schedule_delayed_work(&c->sweep, 0);
	return 0;

destroy_atlas:
	mid_atlas_destroy(c->atlas, NULL, NULL);
free_frame:
	kvfree(c->frame);
	return err;
}

/* Stops new requests.  Waits up to a second for those in flight. */
void client_close(struct client *c)
{
	WRITE_ONCE(c->closing, true);
	wake_up_all(&c->up_wait);
	mid_atlas_drain(c->atlas, HZ);
}

/* Requires that all submitters are gone.  The destructor ends all other requests. */
void client_stop(struct client *c)
{
	thread_stop(c->receiver);
	cancel_delayed_work_sync(&c->sweep);
	mid_atlas_destroy(c->atlas, request_destruct, c);
	kvfree(c->frame);
}
