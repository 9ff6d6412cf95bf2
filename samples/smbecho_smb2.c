// SPDX-License-Identifier: GPL-2.0
/*
 * SMB2 and 3: the life of a request
 * =================================
 *
 *	submitter --begin or associate--> window --dissociate--> receiver: replied
 *	    ^                             | | | | |
 *	    |                             | | | | +--claim_if--> sweep: timed out
 *	    |                             | | | +----abandon---> submitter: gave up
 *	    +------- sends again --unsend-+ | +------reset-----> receiver: reset
 *	    |                               |                       |
 *	    +------- sends again -----------|-----------------------+
 *	                                    +--------destroy---> destructor: reset
 *
 * As with an atlas, the window gives a request to exactly one of these paths.  A client
 * of a window also has to know:
 *
 * Ids.  The server waits for each id.  A request that has its id is sent, even if another
 * path has ended it meanwhile.  If it cannot be sent, and no byte of it went out, unsend
 * returns the id.  If that fails because another path was faster, only a new connection
 * helps.
 *
 * Credits.  A response's credits are granted before its request leaves the window.
 * Otherwise a task that waits for credits might find nothing in flight that could bring
 * any, and mid_window_reserve() would return -EDEADLK.
 *
 * Epochs.  Each connection has its own ids.  Until mid_window_resume() only urgent
 * requests get one: NEGOTIATE, whose id must be 0, and a first ECHO, for the credits.
 * All others wait in mid_window_reserve() and keep their place.
 *
 *	T1: receiver			T2: submitter
 *
 *					begin: epoch 1, id 7
 *	sock = NULL
 *	reset: gets T2's request, epoch = 2
 *	connects, resume
 *					locks send_lock
 *					tag.epoch != epoch: does not send
 *
 * Memory.  As many requests as there are slots need no memory for the window.  A client
 * that writes back dirty pages also takes its requests from a mempool.
 */

#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "smb2.h"
#include "smbecho.h"

#define COMPOUND_MAX	2

static u8 client_guid[16];

/* Requests */

static struct request *smb2_create(u16 command, size_t size, bool awaited)
{
	struct request *req = request_create(size, awaited);
	struct smb2_header *header;

	if (!req)
		return NULL;
	header = (void *)req->message;
	header->magic = SMB2_MAGIC;
	header->structure_size = cpu_to_le16(SMB2_HEADER_SIZE);
	header->command = cpu_to_le16(command);
	return req;
}

/* With room for the padding in a compound */
static struct request *echo_create(bool awaited)
{
	struct request *req;
	struct smb2_echo *echo;

	req = smb2_create(SMB2_ECHO, ALIGN(sizeof(*echo), SMB2_ALIGNMENT), awaited);
	if (!req)
		return NULL;
	req->length = sizeof(*echo);
	echo = (void *)req->message;
	echo->header.credit_charge = cpu_to_le16(1);
	echo->structure_size = cpu_to_le16(SMB2_ECHO_SIZE);
	return req;
}

/* An ECHO request, or a compound of two */
static struct request *smb2_echo(bool awaited)
{
	static atomic_t last_serial;
	struct request *req = echo_create(awaited);

	/* If there is no memory, one must do. */
	if (req && options.compound_every &&
	    atomic_inc_return(&last_serial) % options.compound_every == 0)
		req->next = echo_create(awaited);
	return req;
}

static struct request *negotiate_create(void)
{
	struct smb2_negotiate_request *negotiate;
	struct request *req;

	req = smb2_create(SMB2_NEGOTIATE, sizeof(*negotiate), false);
	if (!req)
		return NULL;
	req->setup = true;
	req->urgent = true;
	negotiate = (void *)req->message;
	negotiate->structure_size = cpu_to_le16(SMB2_NEGOTIATE_SIZE);
	negotiate->dialect_count = cpu_to_le16(ARRAY_SIZE(negotiate->dialects));
	negotiate->security_mode = cpu_to_le16(SMB2_SIGNING_ENABLED);
	negotiate->capabilities = cpu_to_le32(SMB2_CAP_LARGE_MTU);
	memcpy(negotiate->client_guid, client_guid, sizeof(client_guid));
	negotiate->dialects[0] = cpu_to_le16(SMB2_DIALECT_210);
	negotiate->dialects[1] = cpu_to_le16(SMB2_DIALECT_300);
	negotiate->dialects[2] = cpu_to_le16(SMB2_DIALECT_302);
	return req;
}

/* Ends the request, unless another path has claimed it. */
static bool smb2_finish(struct client *c, struct request *req, int err)
{
	if (!mid_window_dissociate_if(c->window, &req->tag, req))
		return false;
	request_done(req, request_fate(c, req, err));
	return true;
}

/* Sending */

/* The charge, and what is missing of the credits that the client would like to have */
static __le16 credit_request(struct client *c)
{
	int missing = (int)options.credits - READ_ONCE(c->credits);

	return cpu_to_le16(1 + clamp(missing, 0, U16_MAX - 1));
}

/*
 * Nothing of the request was sent.  Ends it and returns its ids, so that the server does
 * not wait for them.  False: another path has ended it, and they cannot be returned.
 */
static bool take_back(struct client *c, struct request *req, int err)
{
	if (!mid_window_unsend(c->window, &req->tag, req))
		return false;
	count(UNSENT);
	request_done(req, request_fate(c, req, err));
	return true;
}

/* A request or a compound could not be sent. */
static void send_failed(struct client *c, struct request **reqs, unsigned int n, int err)
{
	bool same = reqs[0]->tag.epoch == c->epoch;
	unsigned int i;

	lockdep_assert_held(&c->send_lock);

	for (i = 0; i < n; i++) {
		if (c->broken)		/* a part of it may have been sent */
			smb2_finish(c, reqs[i], err);
		else if (!take_back(c, reqs[i], err) && same)
			connection_break(c);
		WRITE_ONCE(reqs[i]->sending, false);
	}
}

static void fill_header(struct client *c, struct request *req, u32 next)
{
	struct smb2_header *header = (void *)req->message;

	header->credits = credit_request(c);
	header->next_command = cpu_to_le32(next);
	header->message_id = cpu_to_le64(req->tag.id);
	req->sent = ktime_get_ns();
	WRITE_ONCE(req->deadline, jiffies + timeout());
	/* The deadline is valid; pairs with is_overdue(). */
	smp_store_release(&req->sending, true);
}

/* The ids of a request are of one connection: it must not be sent on another. */
static int smb2_send_locked(struct client *c, struct request **reqs, unsigned int n)
{
	struct kvec vec[1 + COMPOUND_MAX];
	unsigned int i;
	size_t size;

	if (!connection_may_send(c, reqs[0]))
		return -ENOTCONN;
	if (reqs[0]->tag.epoch != c->epoch)
		return -ESTALE;
	for (i = 0; i < n; i++) {
		bool last = i == n - 1;

		size = last ? reqs[i]->length : ALIGN(reqs[i]->length, SMB2_ALIGNMENT);
		fill_header(c, reqs[i], last ? 0 : size);
		vec[1 + i].iov_base = reqs[i]->message;
		vec[1 + i].iov_len = size;
	}
	return connection_send(c, vec, n);
}

/* Until the receiver has noticed that the connection is lost, each request would fail. */
static void await_next_connection(struct client *c, u32 epoch)
{
	wait_event_killable_timeout(c->up_wait, READ_ONCE(c->epoch) != epoch ||
				    READ_ONCE(c->closing), timeout());
}

/* Sends a request or a compound.  On failure they have ended. */
static int smb2_send(struct client *c, struct request **reqs, unsigned int n)
{
	unsigned int i;
	int err;

	err = mutex_lock_killable(&c->send_lock);
	if (err) {
		for (i = 0; i < n; i++)
			take_back(c, reqs[i], err);
		return err;
	}
	err = smb2_send_locked(c, reqs, n);
	if (err)
		send_failed(c, reqs, n, err);
	mutex_unlock(&c->send_lock);
	if (!err && n > 1)
		count(COMPOUNDS);
	if (err && !reqs[0]->urgent)
		await_next_connection(c, reqs[0]->tag.epoch);
	return err;
}

/* Getting ids */

/* There are too few credits, and no reply can come that would grant more. */
static void starved(struct client *c, u32 epoch)
{
	count(STARVED);
	mutex_lock(&c->send_lock);
	if (READ_ONCE(c->up) && epoch == c->epoch)
		connection_break(c);
	mutex_unlock(&c->send_lock);
	await_next_connection(c, epoch);
}

static int wait_for_id(struct client *c, struct request *req)
{
	u32 epoch = mid_window_epoch(c->window);
	struct mid_span span;
	int err;

	err = mid_window_reserve(c->window, 1, 1, &span, req->urgent ? MID_WINDOW_URGENT : 0,
				 req->urgent ? 0 : timeout());
	if (err == -EDEADLK && !req->urgent)
		starved(c, epoch);
	if (err)
		return err;
	err = mid_window_associate(c->window, &span, 1, req, &req->tag, GFP_KERNEL);
	mid_window_give_back(c->window, &span);	/* empty, unless this failed */
	return err;
}

/* Gets an id, if possible without waiting, and sends the request. */
static int issue_one(struct client *c, struct request *req)
{
	int err = -EAGAIN;

	kref_get(&req->ref);
	WRITE_ONCE(req->sending, false);
	if (!req->urgent)
		err = mid_window_begin(c->window, 1, req, &req->tag, GFP_KERNEL);
	if (err == -EAGAIN)
		err = wait_for_id(c, req);
	if (err) {
		request_done(req, request_fate(c, req, err));
		return err;
	}
	/* The request has its id: from here on another path may end it. */
	return smb2_send(c, &req, 1);
}

/* Gives the requests of a compound consecutive ids, and sends those that have one. */
static int issue_span(struct client *c, struct request **reqs, struct mid_span *span)
{
	struct request *ready[COMPOUND_MAX];
	unsigned int i, n = 0;
	int err;

	for (i = 0; i < COMPOUND_MAX; i++) {
		kref_get(&reqs[i]->ref);
		WRITE_ONCE(reqs[i]->sending, false);
		err = mid_window_associate(c->window, span, 1, reqs[i], &reqs[i]->tag,
					   GFP_KERNEL);
		if (err)
			request_done(reqs[i], request_fate(c, reqs[i], err));
		else
			ready[n++] = reqs[i];
	}
	mid_window_give_back(c->window, span);
	return n ? smb2_send(c, ready, n) : err;
}

/* Sends a request, or the compound that it begins.  On failure they have ended. */
static int smb2_issue(struct client *c, struct request *req)
{
	struct request *reqs[COMPOUND_MAX] = { req, req->next };
	struct mid_span span;
	int err;

	if (!req->next)
		return issue_one(c, req);
	err = mid_window_reserve(c->window, COMPOUND_MAX, COMPOUND_MAX, &span, 0, timeout());
	if (!err)
		return issue_span(c, reqs, &span);
	/* Not enough credits, or no memory: one after the other may still be possible. */
	err = issue_one(c, req);
	return issue_one(c, req->next) ?: err;
}

/* Waiting, and giving up */

/*
 * Asks the server not to process a request that its submitter has abandoned.  There is
 * no reply to this, and it needs no credit.  A killed task does not wait for the lock.
 */
static void send_cancel(struct client *c, const struct mid_tag *tag)
{
	struct smb2_echo cancel = {
		.header.magic = SMB2_MAGIC,
		.header.structure_size = cpu_to_le16(SMB2_HEADER_SIZE),
		.header.command = cpu_to_le16(SMB2_CANCEL),
		.header.message_id = cpu_to_le64(tag->id),
		.structure_size = cpu_to_le16(SMB2_ECHO_SIZE),
	};
	struct kvec vec[] = { { }, { .iov_base = &cancel, .iov_len = sizeof(cancel) } };
	u64 async_id;

	if (!mutex_trylock(&c->send_lock))
		return;
	if (mid_window_async_id(c->window, tag, &async_id)) {
		cancel.header.flags = cpu_to_le32(SMB2_FLAGS_ASYNC);
		cancel.header.async_id = cpu_to_le64(async_id);
	}
	if (READ_ONCE(c->up) && tag->epoch == c->epoch && !connection_send(c, vec, 1))
		count(CANCELS);
	mutex_unlock(&c->send_lock);
}

/*
 * The window keeps the id and its AsyncId for the late reply, and knows that the reply may
 * still grant credits.
 */
static void give_up(struct client *c, struct request *req, enum result how)
{
	if (!mid_window_abandon(c->window, &req->tag, req, quarantine()))
		return;
	count(ABANDONED);
	if (how == TIMED_OUT)
		atomic_inc(&c->overdue);
	send_cancel(c, &req->tag);
	request_done(req, how);
}

/* Waits until the request is done.  Gives it up at its deadline, or if killed. */
static struct request *smb2_await(struct client *c, struct request *req)
{
	unsigned long deadline;
	long left;

	do {
		deadline = READ_ONCE(req->deadline);
		left = time_before(jiffies, deadline) ? deadline - jiffies : 0;
		left = wait_for_completion_killable_timeout(&req->done, left);
	} while (!left && deadline != READ_ONCE(req->deadline));
	if (left <= 0) {
		give_up(c, req, left ? CANCELLED : TIMED_OUT);
		/* Any other path that claimed it is about to complete it. */
		wait_for_completion(&req->done);
	}
	return req;
}

/* Replies */

static bool is_interim(const struct smb2_header *header)
{
	return header->status == cpu_to_le32(SMB2_STATUS_PENDING) &&
	       header->flags & cpu_to_le32(SMB2_FLAGS_ASYNC);
}

static bool is_answer(const struct smb2_echo *reply, u32 size)
{
	return size >= sizeof(*reply) &&
	       reply->header.command == cpu_to_le16(SMB2_ECHO) &&
	       !reply->header.status &&
	       reply->structure_size == cpu_to_le16(SMB2_ECHO_SIZE);
}

/* Any response grants credits, also one that no request waits for. */
static void grant(struct client *c, const struct smb2_header *header)
{
	u16 credits = le16_to_cpu(header->credits);

	mid_window_grant(c->window, c->epoch, credits);
	/* Only a hint, for credit_request() */
	WRITE_ONCE(c->credits, min_t(int, c->credits + credits, SZ_64K));
	atomic64_add(credits, &results[CREDITS]);
}

/*
 * The server works on the request: its reply comes later, and so does its deadline.  Not
 * again if the server repeats this.
 */
static void handle_interim(struct client *c, const struct smb2_header *header)
{
	struct mid_tag tag = {
		.id = le64_to_cpu(header->message_id),
		.epoch = c->epoch,
	};
	struct request *req;
	u64 async_id;
	bool again;
	int err;

	again = mid_window_async_id(c->window, &tag, &async_id);
	req = mid_window_map_get_put(c->window, tag.epoch, tag.id, request_get, request_put);
	/* Also for an abandoned request, which map does not find: a CANCEL needs it. */
	err = mid_window_note_async(c->window, tag.epoch, tag.id,
				    le64_to_cpu(header->async_id));
	if (!err)
		count(INTERIMS);
	else if (err == -ENOENT)
		mid_window_stray(c->window, tag.epoch, tag.id);
	else
		count(MISMATCHES);	/* no AsyncId, or a second one */
	if (!req)
		return;
	if (!err && !again)
		WRITE_ONCE(req->deadline, jiffies + timeout());
	request_put(req);
}

static void handle_reply(struct client *c, const struct smb2_header *header, u32 size)
{
	struct request *req;

	req = mid_window_dissociate(c->window, c->epoch, le64_to_cpu(header->message_id));
	if (!req)
		return;		/* the window counts it as late, stale or unknown */
	WRITE_ONCE(c->credits, max(c->credits - 1, 0));
	if (is_answer((const void *)header, size)) {
		WRITE_ONCE(c->heard, jiffies);
		atomic_set(&c->overdue, 0);
	} else {
		count(MISMATCHES);
	}
	request_done(req, REPLIED);
}

/*
 * Returns the size of the first response in the @left bytes of a frame, with its padding,
 * or 0 if it is invalid.  Only a response of this size may be read.
 */
static u32 response_size(const struct smb2_header *header, u32 left)
{
	u32 next;

	if (left < sizeof(*header) || header->magic != SMB2_MAGIC ||
	    header->structure_size != cpu_to_le16(SMB2_HEADER_SIZE) ||
	    !(header->flags & cpu_to_le32(SMB2_FLAGS_REPLY)))
		return 0;
	next = le32_to_cpu(header->next_command);
	if (!next)
		return left;
	if (next < sizeof(*header) || next >= left || !IS_ALIGNED(next, SMB2_ALIGNMENT))
		return 0;
	return next;
}

static void smb2_receive(struct client *c, int len)
{
	const struct smb2_header *header = c->frame;
	u32 left = len, size;

	do {
		size = response_size(header, left);
		if (!size) {
			count(MALFORMED);	/* and the rest of the compound */
			return;
		}
		count(REPLIES);
		if (le64_to_cpu(header->message_id) == MID_WINDOW_RESERVED) {
			count(UNSOLICITED);
		} else {
			grant(c, header);
			if (is_interim(header))
				handle_interim(c, header);
			else
				handle_reply(c, header, size);
		}
		header = (const void *)header + size;
		left -= size;
	} while (left);
}

/* The connection */

static bool is_offered(__le16 dialect)
{
	return dialect == cpu_to_le16(SMB2_DIALECT_210) ||
	       dialect == cpu_to_le16(SMB2_DIALECT_300) ||
	       dialect == cpu_to_le16(SMB2_DIALECT_302);
}

static int negotiated(struct client *c, int len)
{
	const struct smb2_negotiate_reply *reply = c->frame;
	u32 size;

	if (len < 0)
		return len;
	size = response_size(&reply->header, len);
	if (!size || size != len || reply->header.message_id ||
	    reply->header.command != cpu_to_le16(SMB2_NEGOTIATE) ||
	    is_interim(&reply->header)) {
		count(MALFORMED);
		return -EPROTO;
	}
	if (len < sizeof(*reply) || reply->header.status ||
	    reply->structure_size != cpu_to_le16(SMB2_NEGOTIATED_SIZE) ||
	    !is_offered(reply->dialect))
		return -EPROTONOSUPPORT;
	grant(c, &reply->header);
	return 0;
}

static int negotiate(struct client *c)
{
	struct request *req = negotiate_create();
	int err;

	if (!req)
		return -ENOMEM;
	err = smb2_issue(c, req);
	if (!err) {
		err = negotiated(c, receive_message(c));
		if (!smb2_finish(c, req, err))
			err = -ETIMEDOUT;
	}
	request_put(req);
	return err;
}

/* The NEGOTIATE may have brought one credit only.  The reply to this brings more. */
static int first_echo(struct client *c)
{
	struct request *req = echo_create(false);
	int len, err;

	if (!req)
		return -ENOMEM;
	req->setup = true;
	req->urgent = true;
	err = smb2_issue(c, req);
	while (!err && !completion_done(&req->done)) {
		len = receive_message(c);
		if (len < 0)
			err = len;
		else
			smb2_receive(c, len);
	}
	if (err)
		smb2_finish(c, req, err);
	else if (req->how != REPLIED)
		err = -ETIMEDOUT;
	request_put(req);
	return err;
}

/* Returns how many credits there are now. */
static int smb2_setup(struct client *c)
{
	struct mid_window_stats stats;
	u64 credits;
	int err;

	WRITE_ONCE(c->credits, 0);
	err = negotiate(c);
	if (!err)
		err = first_echo(c);
	if (err)
		return err;
	mid_window_stats(c->window, &stats);
	credits = stats.limit - stats.next + stats.given_back;
	/* One is for the keep-alive, but not the only one. */
	mid_window_set_aside(c->window, credits > 1);
	return min_t(u64, credits, INT_MAX);
}

static void smb2_resume(struct client *c)
{
	mid_window_resume(c->window, c->epoch);
}

/* Callback of mid_window_reset(): the connection was lost. */
static void request_reset(void *ctx, u64 id, void *client)
{
	request_done(ctx, request_fate(client, ctx, -ECONNRESET));
}

/* There is no socket: nothing is sent with an id of the old connection or the next. */
static void smb2_reset(struct client *c)
{
	u32 epoch = mid_window_reset(c->window, request_reset, c);

	mutex_lock(&c->send_lock);
	WRITE_ONCE(c->epoch, epoch);
	mutex_unlock(&c->send_lock);
	atomic_set(&c->overdue, 0);
}

/* Timeouts */

/* An ECHO that needs no credit of the others, if the server was silent for a while */
static void keep_alive(struct client *c)
{
	unsigned long since = timeout() / 2;
	struct request *req;

	/* Before resume, the urgent id is for the receiver. */
	if (!READ_ONCE(c->up) || time_before(jiffies, READ_ONCE(c->heard) + since) ||
	    time_before(jiffies, c->kept_alive + since))
		return;
	req = echo_create(false);
	if (!req)
		return;
	c->kept_alive = jiffies;
	req->urgent = true;
	if (!smb2_issue(c, req))
		count(KEEPALIVES);
	request_put(req);
}

/*
 * Called under RCU.  A submitter that waits sees to its own deadline.  A request that is
 * not being sent yet is left to its sender, which may still return its id.  The age does
 * not matter: each interim response, also a repeated one, makes it 0.
 */
static bool is_overdue(void *ctx, u64 id, unsigned long age, void *client)
{
	struct request *req = ctx;

	/* Pairs with fill_header(). */
	return !req->awaited && smp_load_acquire(&req->sending) &&
	       time_after_eq(jiffies, READ_ONCE(req->deadline));
}

static void request_timed_out(void *ctx, u64 id, void *client)
{
	struct client *c = client;

	atomic_inc(&c->overdue);
	request_done(ctx, TIMED_OUT);
}

static unsigned int smb2_sweep(struct client *c)
{
	keep_alive(c);
	mid_window_claim_if(c->window, 0, is_overdue, request_timed_out, c);
	return atomic_read(&c->overdue);
}

/* Load and unload */

static int smb2_create_window(struct client *c)
{
	get_random_bytes(client_guid, sizeof(client_guid));
	c->kept_alive = jiffies;
	c->window = mid_window_create(KBUILD_MODNAME, options.slots, GFP_KERNEL);
	if (IS_ERR(c->window))
		return PTR_ERR(c->window);
	/* A new window is open to all.  After a reset, NEGOTIATE comes first. */
	smb2_reset(c);
	return 0;
}

static void smb2_drain(struct client *c)
{
	mid_window_drain(c->window, HZ);
}

/* Callback of mid_window_destroy(): the client is being torn down. */
static void request_destruct(void *ctx, u64 id, void *client)
{
	count(DESTRUCTED);
	request_done(ctx, RESET);
}

static void smb2_destroy(struct client *c)
{
	mid_window_destroy(c->window, request_destruct, c);
}

static void smb2_show(struct client *c, struct seq_file *m)
{
	struct mid_window_stats stats;

	mid_window_stats(c->window, &stats);
	seq_printf(m, "epoch %u\n", stats.epoch);
	seq_printf(m, "available %llu\n", stats.limit - stats.next + stats.given_back);
	seq_printf(m, "in_flight %u\n", stats.in_use - stats.abandoned);
	seq_printf(m, "peak_in_flight %u\n", stats.high_water);
	seq_printf(m, "waiting %u\n", stats.waiters);
	seq_printf(m, "late %llu\n", stats.late);
	seq_printf(m, "stale %llu\n", stats.stale);
	seq_printf(m, "unknown %llu\n", stats.unknown);
	seq_printf(m, "slots %u\n", stats.slots);
	seq_printf(m, "lost %llu\n", stats.lost);
}

const struct protocol smb2 = {
	.name = "smb2",
	.create = smb2_create_window,
	.drain = smb2_drain,
	.destroy = smb2_destroy,
	.setup = smb2_setup,
	.resume = smb2_resume,
	.receive = smb2_receive,
	.reset = smb2_reset,
	.sweep = smb2_sweep,
	.echo = smb2_echo,
	.issue = smb2_issue,
	.await = smb2_await,
	.show = smb2_show,
};
