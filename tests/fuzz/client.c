// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the sample client with an arbitrary server of SMB1 or SMB2.
 *
 * The client's receiver runs unmodified.  Whenever it has read all data, the input
 * chooses what happens next: the server sends data in pieces of any size or closes
 * the connection; a task submits requests or is killed; time passes.  At the end of
 * the input the client stops, and every request must have ended exactly once.
 *
 * The address sanitizer only allows access to the part of a frame that has been
 * received.  The rest of the buffer, with the data of older frames, is poisoned.
 */
#include <sanitizer/asan_interface.h>

#include "server.h"

#define STREAM		(2 * SMB_FRAME_MAX)

struct options options;
atomic64_t results[NR_RESULTS];

static struct client client;
static struct task_struct receiver;
static struct socket the_socket;
static bool stopping;

/* Which of the next calls fail, and how */
static unsigned int send_limit, fail_connect;
static int send_error, receive_error;
static bool pending_signal, killed_at_lock;

struct message sent[SENT];
unsigned int nr_sent;
static u8 outgoing[MESSAGE_MAX];
static size_t nr_outgoing;

/* Data that the server sent, and the largest piece that one receive returns */
static u8 stream[STREAM];
static size_t stream_at, stream_end;
static unsigned int piece;
unsigned int good;

/* The client's other half */

void latency_note(u64 ns) { }

struct task_struct *thread_start(int (*fn)(void *), void *data, const char *name)
{
	receiver = (struct task_struct){ .fn = fn, .data = data };
	return &receiver;
}

void thread_stop(struct task_struct *task) { }
bool kthread_should_stop(void) { return stopping; }
bool signal_pending(struct task_struct *task) { return pending_signal; }

void mutex_lock(struct mutex *m)
{
	must(!m->locked, "a mutex is locked twice");
	m->locked = true;
}

int mutex_lock_killable(struct mutex *m)
{
	if (killed && killed_at_lock)
		return -EINTR;
	mutex_lock(m);
	return 0;
}

bool mutex_trylock(struct mutex *m)
{
	bool ours = !m->locked;

	m->locked = true;
	return ours;
}

void mutex_unlock(struct mutex *m)
{
	must(m->locked, "unlock of a mutex that is not locked");
	m->locked = false;
}

void prandom_bytes_state(struct rnd_state *s, void *buf, size_t n)
{
	u8 *byte = buf;

	while (n--) {
		s->state = s->state * 1664525 + 1013904223;
		*byte++ = s->state >> 24;
	}
}

void fuzz_jiffy(void) { }

/* The server's side of the stream */

bool room_for(size_t size) { return stream_end + size <= STREAM; }

void stream_put(const void *data, size_t size)
{
	memcpy(stream + stream_end, data, size);
	stream_end += size;
}

void stream_head(u32 head)
{
	__be32 be = cpu_to_be32(head);

	stream_put(&be, HEAD);
}

static void forget_connection(void)
{
	nr_sent = 0;
	nr_outgoing = 0;
	stream_at = 0;
	stream_end = 0;
	server_connected();
}

/* The client sent @size more bytes of a message. */
static void server_reads(const void *data, size_t size)
{
	struct message *message;
	size_t want;

	must(nr_outgoing + size <= MESSAGE_MAX, "a message is too long");
	memcpy(outgoing + nr_outgoing, data, size);
	nr_outgoing += size;
	if (nr_outgoing < HEAD)
		return;
	want = be32_to_cpu(*(__be32 *)outgoing) + HEAD;
	must(nr_outgoing <= want, "two messages in one");
	if (nr_outgoing < want)
		return;
	message = &sent[nr_sent++ % SENT];
	memcpy(message->data, outgoing, want);
	message->size = want;
	message->replies = 0;
	message->right = 0;
	nr_outgoing = 0;
	server_got(message);
}

/* The socket calls */

void iov_iter_kvec(struct iov_iter *iter, unsigned int direction,
		   const struct kvec *vec, size_t n, size_t size)
{
	void *buf = vec->iov_base;

	*iter = (struct iov_iter){ .vec = vec, .left = size };
	if (direction != ITER_DEST)
		return;
	ASAN_UNPOISON_MEMORY_REGION(client.frame, SMB_FRAME_MAX);
	must(n == 1 && vec->iov_len == size, "an invalid receive of %zu bytes", size);
	must(!__asan_region_is_poisoned(buf, size), "the buffer is too small for %zu bytes", size);
	ASAN_POISON_MEMORY_REGION(client.frame, SMB_FRAME_MAX);
}

int sock_create_kern(void *net, int family, int type, int protocol, struct socket **sock)
{
	if (fail_connect == 1) {
		fail_connect = 0;
		return -ENOMEM;
	}
	must(!the_socket.sk, "a second socket");
	the_socket = (struct socket){ .sk = &the_socket.its_sk };
	*sock = &the_socket;
	return 0;
}

int kernel_connect(struct socket *sock, void *to, int size, int flags)
{
	must(sock == &the_socket && sock->sk, "not a socket");
	forget_connection();
	if (fail_connect) {
		fail_connect = 0;
		return -EINPROGRESS;
	}
	return 0;
}

void kernel_sock_shutdown(struct socket *sock, int how)
{
	must(sock == &the_socket && sock->sk, "not a socket");
	sock->shut = true;
}

void sock_release(struct socket *sock)
{
	must(sock == &the_socket && sock->sk, "not a socket");
	sock->sk = NULL;
}

/* Sends the first kvec. */
int sock_sendmsg(struct socket *sock, struct msghdr *msg)
{
	struct iov_iter *iter = &msg->msg_iter;
	size_t size;

	must(sock == &the_socket && sock->sk, "not a socket");
	must(client.send_lock.locked, "sends without the lock");
	if (sock->shut)
		return -EPIPE;
	if (send_error && !send_limit--)
		return send_error;
	size = min(iter->vec->iov_len - iter->offset, iter->left);
	server_reads(iter->vec->iov_base + iter->offset, size);
	iter->left -= size;
	iter->vec++;
	return size;
}

static void play(void);

/* Returns a piece of what the server has sent; plays the input until there is some. */
int sock_recvmsg(struct socket *sock, struct msghdr *msg, int flags)
{
	struct iov_iter *iter = &msg->msg_iter;
	u8 *to = iter->vec->iov_base + iter->offset;
	size_t size;
	int err;

	must(sock == &the_socket && sock->sk, "not a socket");
	must(!client.send_lock.locked, "receives under the lock");
	while (stream_at == stream_end && !receive_error && !sock->shut && input_left())
		play();
	err = receive_error;
	receive_error = 0;
	if (!input_left() && stream_at == stream_end)
		stopping = true;
	if (err || sock->shut || stream_at == stream_end)
		return min(err, 0);

	size = min3(stream_end - stream_at, iter->left, (size_t)piece);
	ASAN_UNPOISON_MEMORY_REGION(to, size);
	memcpy(to, stream + stream_at, size);
	stream_at += size;
	iter->offset += size;
	iter->left -= size;
	return size;
}

/* The events */

static void say_anything(void)
{
	unsigned int size = input_below(64);

	if (!room_for(size))
		return;
	while (size--)
		stream[stream_end++] = input_byte();
}

/* A frame with a valid header and arbitrary content */
static void say_frame(void)
{
	u8 how = input_byte();
	size_t size = how < 0xfc ? input_byte() << (how & 3) : SMB_FRAME_MAX - 0xfe + how;

	if (!room_for(HEAD + size))
		return;
	stream_head(size);
	memset(stream + stream_end, input_byte(), size);
	stream_end += size;
}

/* Submits from a task that is killed when it waits for the send lock or the reply. */
static void submit_and_be_killed(void)
{
	killed = true;
	killed_at_lock = input_byte() & 1;
	request_submit(&client, true);
	killed = false;
}

static void say_keepalive(void)
{
	if (room_for(HEAD))
		stream_head(NBSS_KEEPALIVE);
}

static void cut_pieces(void) { piece = 1 + input_byte(); }
static void submit_one(void) { request_submit(&client, false); }

static void submit_many(void)
{
	unsigned int n = input_below(16);

	while (n--)
		request_submit(&client, false);
}

static void let_time_pass(void) { pass_time(input_below(2 * timeout())); }
static void let_alloc_fail(void) { fail_alloc = input_below(16); }
static void let_connect_fail(void) { fail_connect = input_below(3); }

/* A signal interrupts the sender, or the server does not read. */
static void let_send_fail(void)
{
	u8 how = input_byte();

	send_error = how & 3 ? -EAGAIN : -ERESTARTSYS;
	pending_signal = send_error == -ERESTARTSYS;
	send_limit = how >> 2 & 7;
}

static void hang_up(void)
{
	receive_error = input_byte() & 1 ? -EAGAIN : 1;	/* 1: the end of the stream */
}

static void (*const calls[])(void) = {
	say_reply, say_reply, say_reply, say_reply, say_anything, say_frame, say_unasked,
	say_keepalive, cut_pieces, submit_one, submit_one, submit_many, submit_and_be_killed,
	let_time_pass, let_send_fail, let_alloc_fail, let_connect_fail, hang_up,
};

static void play(void)
{
	calls[input_below(ARRAY_SIZE(calls))]();
}

static void check(void)
{
	s64 ended = 0;
	int i;

	for (i = 0; i < NR_ENDS; i++)
		ended += result(i);
	must(result(REQUESTS) == ended, "of %lld requests %lld ended",
	     (long long)result(REQUESTS), (long long)ended);
	server_check();
	must(!the_socket.sk, "a socket is left");
}

static void forget(void)
{
	memset(&client, 0, sizeof(client));
	memset(results, 0, sizeof(results));
	stopping = false;
	send_error = 0;
	receive_error = 0;
	fail_connect = 0;
	pending_signal = false;
	piece = STREAM;
	good = 0;
	forget_connection();
}

void fuzz(void)
{
	u8 how = input_byte();

	forget();
	options = server_options(how);
	client.protocol = server_protocol;
	if (client_start(&client))
		return;
	receiver.fn(receiver.data);
	client_close(&client);
	client_stop(&client);
	check();
}
