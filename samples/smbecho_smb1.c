// SPDX-License-Identifier: GPL-2.0
/*
 * SMB1: the life of a request
 * ===========================
 *
 *	submitter --associate_wait--> atlas --dissociate_if--> receiver: replied
 *	    ^                         | | | |
 *	    |                         | | | +-claim_older----> sweep: timed out
 *	    |                         | | +---abandon--------> submitter: cancelled
 *	    |                         | +-----claim_all------> receiver: reset
 *	    |                         |                            |
 *	    +------ sends again ------|----------------------------+
 *	                              +-------destroy--------> destructor: reset
 *
 * All of these paths may race to end one request.  The atlas gives it to exactly
 * one of them, which records how it ended with request_done().  The others get NULL
 * or false and leave the request alone.  So no lock, flag or list is needed here.
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

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "smbecho.h"

static int smb1_send(struct client *c, struct request *req)
{
	struct smb_header *header = (void *)req->message;
	struct kvec vec[] = {
		{ },
		{ .iov_base = req->message, .iov_len = req->length },
	};
	int err;

	err = mutex_lock_killable(&c->send_lock);
	if (err)
		return err;
	header->mid = cpu_to_le16(req->mid);
	req->sent = ktime_get_ns();
	if (!connection_may_send(c, req))
		err = -ENOTCONN;
	else if (mid_atlas_map(c->atlas, req->mid) != req)
		err = -ESTALE;		/* another path has ended it */
	else
		err = connection_send(c, vec, 1);
	mutex_unlock(&c->send_lock);
	return err;
}

/* Ends the request, unless another path has claimed it. */
static bool request_finish(struct client *c, struct request *req, int err)
{
	if (!mid_atlas_dissociate_if(c->atlas, req->mid, req))
		return false;
	request_done(req, request_fate(c, req, err));
	return true;
}

/* Callback of mid_atlas_claim_older(): the deadline has passed. */
static void request_timed_out(void *ctx, u16 mid, void *client)
{
	request_done(ctx, TIMED_OUT);
}

/* Callback of mid_atlas_claim_all(): the connection was lost. */
static void request_reset(void *ctx, u16 mid, void *client)
{
	request_done(ctx, request_fate(client, ctx, -ECONNRESET));
}

/* Callback of mid_atlas_destroy(): the client is being torn down. */
static void request_destruct(void *ctx, u16 mid, void *client)
{
	count(DESTRUCTED);
	request_done(ctx, RESET);
}

/* Gets a MID for the request and sends it.  On failure the request has ended. */
static int request_issue(struct client *c, struct request *req)
{
	int err;

	kref_get(&req->ref);
	err = connection_wait(c, req);
	if (!err)
		err = mid_atlas_associate_wait(c->atlas, req, &req->mid,
					       GFP_KERNEL, timeout());
	if (err) {
		request_done(req, request_fate(c, req, err));
		return err;
	}

	/* The request has its MID: from here on another path may end it. */
	err = smb1_send(c, req);
	if (err)
		request_finish(c, req, err);
	return err;
}

/*
 * Gives the MID to a successor, as a client does that hands the remaining replies
 * to another request.  The request that is replaced is @req: a MID is not reused
 * so soon that another request could have got it since the lookup.
 */
static void request_replace(struct client *c, struct request *req)
{
	struct request *successor = request_clone(req);
	struct request *old;

	if (!successor)
		return;			/* @req keeps its MID */
	kref_get(&successor->ref);	/* one for @req, one for the atlas */
	old = mid_atlas_reassociate(c->atlas, req->mid, successor);
	if (!old) {			/* it has just ended */
		request_put(successor);
		request_put(successor);
		return;
	}
	WARN_ON_ONCE(old != req);
	old->successor = successor;
	request_done(old, REASSOCIATED);
}

/* The submitter was killed.  The MID stays busy for a late reply. */
static void request_cancel(struct client *c, struct request *req)
{
	if (mid_atlas_abandon(c->atlas, req->mid, req, quarantine())) {
		count(ABANDONED);
		request_done(req, CANCELLED);
	}
}

/* Waits until the request, or its last successor, is done.  Returns that one. */
static struct request *request_await(struct client *c, struct request *req)
{
	struct request *successor;

	for (;;) {
		if (wait_for_completion_killable(&req->done)) {
			request_cancel(c, req);
			/* Any other path that claimed it is about to complete it. */
			wait_for_completion(&req->done);
		}
		successor = req->successor;
		if (!successor)
			return req;
		request_get(successor);
		request_put(req);
		req = successor;
	}
}

/* An ECHO request with a unique payload */
static struct request *echo_create(bool awaited)
{
	static atomic_t last_serial;
	u32 serial = atomic_inc_return(&last_serial);
	struct rnd_state noise;
	struct request *req;
	struct smb_echo *echo;

	req = request_create(struct_size(echo, data, options.payload), awaited);
	if (!req)
		return NULL;
	if (options.several_every && serial % options.several_every == 0)
		req->wanted = options.echo_count;

	echo = (void *)req->message;
	echo->header.magic = SMB_MAGIC;
	echo->header.command = SMB_COM_ECHO;
	echo->header.flags2 = SMB_FLAGS2_NT_STATUS;
	echo->header.tid = SMB_TID_NONE;
	echo->header.word_count = SMB_ECHO_WORDS;
	echo->count = cpu_to_le16(req->wanted);
	echo->byte_count = cpu_to_le16(options.payload);
	prandom_seed_state(&noise, serial);
	prandom_bytes_state(&noise, echo->data, options.payload);
	memcpy(echo->data, &serial, sizeof(serial));
	return req;
}

/* Replies */

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

/* The connection */

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

	if (!req)
		return NULL;
	req->setup = true;
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

static int smb1_setup(struct client *c)
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
	if (ret > 0)
		mid_atlas_set_max(c->atlas, ret);
	return ret;
}

/* Claims the requests in flight.  Their submitters may send them again. */
static void smb1_reset(struct client *c)
{
	/* Also ends all quarantines: no late reply can come. */
	mid_atlas_set_max(c->atlas, 1);
	mid_atlas_claim_all(c->atlas, request_reset, c);
}

static unsigned int smb1_sweep(struct client *c)
{
	return mid_atlas_claim_older(c->atlas, timeout(), request_timed_out, c);
}

static int smb1_create(struct client *c)
{
	c->atlas = mid_atlas_create(KBUILD_MODNAME, 1, 1, GFP_KERNEL);
	return PTR_ERR_OR_ZERO(c->atlas);
}

static void smb1_drain(struct client *c)
{
	mid_atlas_drain(c->atlas, HZ);
}

static void smb1_destroy(struct client *c)
{
	mid_atlas_destroy(c->atlas, request_destruct, c);
}

static void smb1_show(struct client *c, struct seq_file *m)
{
	struct mid_atlas_stats stats;

	mid_atlas_stats(c->atlas, &stats);
	seq_printf(m, "max_mpx %u\n", stats.max);
	seq_printf(m, "in_flight %u\n", stats.in_use - stats.abandoned);
	seq_printf(m, "peak_in_flight %u\n", stats.high_water);
	seq_printf(m, "waiting %u\n", stats.waiters);
	seq_printf(m, "late %llu\n", stats.late);
	seq_printf(m, "stale %llu\n", stats.stale);
	seq_printf(m, "unknown %llu\n", stats.unknown);
}

const struct protocol smb1 = {
	.name = "smb1",
	.create = smb1_create,
	.drain = smb1_drain,
	.destroy = smb1_destroy,
	.setup = smb1_setup,
	.receive = handle_message,
	.reset = smb1_reset,
	.sweep = smb1_sweep,
	.echo = echo_create,
	.issue = request_issue,
	.await = request_await,
	.show = smb1_show,
};
