// SPDX-License-Identifier: GPL-2.0
/*
 * The connection
 * ==============
 *
 * One thread connects, negotiates and receives until the connection is lost.  Then
 * it resets the client and connects again.  Any task may send.
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
void connection_break(struct client *c)
{
	lockdep_assert_held(&c->send_lock);

	c->broken = true;
	WRITE_ONCE(c->up, false);
	if (c->sock)
		kernel_sock_shutdown(c->sock, SHUT_RDWR);
}

/* Sending */

bool connection_may_send(struct client *c, const struct request *req)
{
	return READ_ONCE(c->up) || req->setup;
}

/* Waits until there is a connection. */
int connection_wait(struct client *c, const struct request *req)
{
	long left;

	left = wait_event_killable_timeout(c->up_wait, connection_may_send(c, req) ||
					   READ_ONCE(c->closing), timeout());
	if (left < 0)
		return left;
	return connection_may_send(c, req) ? 0 : -ENOTCONN;
}

/*
 * Sends @messages messages in one frame.  @vec has one more element: the first is for
 * the header.  If this fails and c->broken is not set, no byte was sent.
 */
int connection_send(struct client *c, struct kvec *vec, unsigned int messages)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
	size_t size = 0;
	unsigned int i;
	__be32 head;
	int sent;

	lockdep_assert_held(&c->send_lock);

	if (c->broken || !c->sock)
		return -ENOTCONN;
	for (i = 1; i <= messages; i++)
		size += vec[i].iov_len;
	head = cpu_to_be32(size);
	vec[0].iov_base = &head;
	vec[0].iov_len = sizeof(head);
	size += sizeof(head);
	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, vec, 1 + messages, size);
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
int receive_message(struct client *c)
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

static int receive_replies(struct client *c)
{
	for (;;) {
		int len = receive_message(c);

		if (len < 0)
			return len;
		c->protocol->receive(c, len);
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
	c->broken = false;
	mutex_unlock(&c->send_lock);
	WRITE_ONCE(c->heard, jiffies);
	count(CONNECTIONS);
	return 0;
}

static int connection_open(struct client *c)
{
	int ret;

	ret = server_connect(c);
	if (!ret)
		ret = c->protocol->setup(c);
	if (ret < 0)
		return ret;

	mutex_lock(&c->send_lock);
	WRITE_ONCE(c->up, !c->broken);
	mutex_unlock(&c->send_lock);
	if (c->protocol->resume)
		c->protocol->resume(c);
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
		c->protocol->reset(c);
		schedule_timeout_interruptible(delay);
		delay = min(2 * delay, (unsigned long)RECONNECT_MAX);
	}
}

/*
 * Ends the requests whose deadline has passed.  If there were any, and the server has
 * sent no good reply for two timeouts or the connection is not up yet, breaks the
 * connection.  A sender that holds the lock does that when its send times out.
 */
static void sweep(struct work_struct *work)
{
	struct client *c = container_of(work, struct client, sweep.work);
	unsigned long silent_since = READ_ONCE(c->heard) + 2 * timeout();

	if (c->protocol->sweep(c) &&
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
	err = c->protocol->create(c);
	if (err)
		goto free_frame;
	c->receiver = thread_start(receiver, c, "smbecho");
	err = PTR_ERR_OR_ZERO(c->receiver);
	if (err)
		goto destroy;
	schedule_delayed_work(&c->sweep, 0);
	return 0;

destroy:
	c->protocol->destroy(c);
free_frame:
	kvfree(c->frame);
	return err;
}

/* Stops new requests.  Waits up to a second for those in flight. */
void client_close(struct client *c)
{
	WRITE_ONCE(c->closing, true);
	wake_up_all(&c->up_wait);
	c->protocol->drain(c);
}

/* Requires that all submitters are gone.  The destructor ends all other requests. */
void client_stop(struct client *c)
{
	thread_stop(c->receiver);
	cancel_delayed_work_sync(&c->sweep);
	c->protocol->destroy(c);
	kvfree(c->frame);
}
