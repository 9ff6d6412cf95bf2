// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the sample client with an arbitrary SMB1 server.
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

#include "smbecho.h"

#define STREAM		(2 * SMB_FRAME_MAX)
#define SENT		16	/* requests that the server remembers */
#define MESSAGE_MAX	512
#define HEAD		sizeof(__be32)

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

/* The last complete messages that the client sent */
struct message { u8 data[MESSAGE_MAX]; size_t size; unsigned int replies, right; };
static struct message sent[SENT];
static unsigned int nr_sent;
static u8 outgoing[MESSAGE_MAX];
static size_t nr_outgoing;

/* Data that the server sent, and the largest piece that one receive returns */
static u8 stream[STREAM];
static size_t stream_at, stream_end;
static unsigned int piece;
static unsigned int good;		/* correct replies in it */

static s64 result(enum result what) { return results[what].counter; }

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

static bool room_for(size_t size) { return stream_end + size <= STREAM; }

static void stream_put(const void *data, size_t size)
{
	memcpy(stream + stream_end, data, size);
	stream_end += size;
}

static void stream_head(u32 head)
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

/* Builds the correct reply to @request and returns its size. */
static size_t reply_to(const u8 *request, size_t size, unsigned int number, u8 *to)
{
	struct smb_negotiate_reply *negotiated = (void *)to;
	struct smb_echo *echo = (void *)to;
	u8 max_mpx;

	memcpy(to, request + HEAD, size - HEAD);
	echo->header.flags |= SMB_FLAGS_REPLY;
	if (echo->header.command == SMB_COM_ECHO) {
		echo->count = cpu_to_le16(number);
		return size - HEAD;
	}
	max_mpx = input_byte();
	memset(to + sizeof(echo->header), 0, 64);
	negotiated->header.word_count = SMB_NEGOTIATE_WORDS;
	negotiated->max_mpx = cpu_to_le16(max_mpx < 0xf8 ? max_mpx & 15 : max_mpx);
	return sizeof(struct smb_header) + 2 * SMB_NEGOTIATE_WORDS + sizeof(__le16);
}

/* Do the replies differ in a field that the client checks, except for the count? */
static bool matters(const struct smb_echo *reply, const struct smb_echo *right, size_t size)
{
	const struct smb_header *a = &reply->header, *b = &right->header;

	return a->magic != b->magic || a->command != b->command || a->status != b->status ||
		!(a->flags & SMB_FLAGS_REPLY) || a->mid != b->mid ||
		a->word_count != b->word_count || reply->byte_count != right->byte_count ||
		memcmp(reply->data, right->data, size - sizeof(*right));
}

/* May the client accept this reply?  At most one for each count. */
static bool may_be_good(struct message *request, const struct smb_echo *reply,
			const struct smb_echo *right, size_t size)
{
	u32 number = 1u << (le16_to_cpu(reply->count) & 31);

	if (right->header.command != SMB_COM_ECHO || matters(reply, right, size) ||
	    request->right & number)
		return false;
	request->right |= number;
	return true;
}

/* The reply to a recent request, with the changes that the input makes */
static void say_reply(void)
{
	u8 right[MESSAGE_MAX], reply[MESSAGE_MAX];
	u8 what = input_byte(), how = input_byte();
	unsigned int ago = nr_sent ? 1 + what % min(nr_sent, SENT + 0u) : 0;
	struct message *request = &sent[(nr_sent - ago) % SENT];
	size_t size, cut = 0, at;

	if (!ago || !room_for(HEAD + MESSAGE_MAX))
		return;
	if (!(how & 1))
		request->replies++;
	size = reply_to(request->data, request->size, request->replies + (how >> 6), right);
	memcpy(reply, right, size);
	if (how & 2) {
		at = input_byte() % size;
		reply[at] ^= input_byte();
	}
	if (how & 4) {
		at = input_below(sizeof(struct smb_echo));
		reply[at] = input_byte();
	}
	if (how & 8)
		cut = input_byte() % (size + 1);
	good += !cut && may_be_good(request, (void *)reply, (void *)right, size);
	stream_head(size - cut);
	stream_put(reply, size - cut);
}

static void say_unasked(void)
{
	struct smb_header header = {
		.magic = SMB_MAGIC, .command = SMB_COM_ECHO, .flags = SMB_FLAGS_REPLY,
	};
	u8 how = input_byte();

	if (!room_for(HEAD + SMB_MESSAGE_MIN))
		return;
	header.mid = how == 0xff ? cpu_to_le16(0xffff) : cpu_to_le16(input_word());
	stream_head(SMB_MESSAGE_MIN - (how & 1 && how != 0xff));
	stream_put(&header, sizeof(header));
	stream_put("\0", 2 - (how & 1 && how != 0xff));
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
	must(result(REPLIES) - result(MISMATCHES) <= good,
	     "%lld good replies of %u", (long long)(result(REPLIES) - result(MISMATCHES)), good);
	must(result(ABANDONED) <= result(CANCELLED), "more were abandoned than cancelled");
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
	options = (struct options){
		.payload = 4 + (how & 15),
		.echo_count = 1 + (how >> 4 & 3),
		.several_every = 1,
		.reassociate_every = how >> 6,
		.tries = 2,
		.timeout_ms = 400,
		.quarantine_ms = 300,
	};
	client.protocol = &smb1;
	if (client_start(&client))
		return;
	receiver.fn(receiver.data);
	client_close(&client);
	client_stop(&client);
	check();
}
