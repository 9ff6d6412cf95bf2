// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a request
 * =====================
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
 * A request has two references: the submitter's, and the atlas', which passes to the
 * path that takes the request out.  The receiver takes a third one while it handles
 * a reply.
 */

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "smbecho.h"

static struct request *request_alloc(size_t length)
{
	struct request *req;

	req = kzalloc(struct_size(req, message, length), GFP_KERNEL);
	if (!req)
		return NULL;
	kref_init(&req->ref);
	init_completion(&req->done);
	req->length = length;
	return req;
}

struct request *request_create(size_t length, bool awaited)
{
	struct request *req = request_alloc(length);

	if (!req)
		return NULL;
	req->awaited = awaited;
	req->wanted = 1;
	count(REQUESTS);
	return req;
}

/* Copies @req for the replies still to come, without the references to it. */
static struct request *request_clone(const struct request *req)
{
	struct request *successor = request_alloc(req->length);

	if (!successor)
		return NULL;
	successor->awaited = req->awaited;
	successor->tries = req->tries;
	successor->wanted = req->wanted;
	successor->got = req->got;
	successor->sent = req->sent;
	successor->mid = req->mid;
	memcpy(successor->message, req->message, req->length);
	return successor;
}

bool request_get(void *ctx)
{
	struct request *req = ctx;

	return kref_get_unless_zero(&req->ref);
}

static void request_free(struct kref *ref)
{
	struct request *req = container_of(ref, struct request, ref);

	if (req->successor)
		request_put(req->successor);
	kfree_rcu(req, rcu);
}

void request_put(void *ctx)
{
	struct request *req = ctx;

	kref_put(&req->ref, request_free);
}

/*
 * Completes a request that has left the atlas or never entered it, and drops the
 * atlas' reference.  Only the path that took the request out may call this.
 */
void request_done(struct request *req, enum result how)
{
	WARN_ON_ONCE(completion_done(&req->done));	/* completed twice */
	count(how);
	req->how = how;
	complete_all(&req->done);
	request_put(req);
}

static bool may_try_again(struct client *c, struct request *req)
{
	return req->awaited && !READ_ONCE(c->closing) &&
	       ++req->tries < options.tries;
}

static enum result how_ended(struct client *c, struct request *req, int err)
{
	switch (err) {
	case 0:
		return REPLIED;
	case -ETIMEDOUT:
		return TIMED_OUT;
	case -EINTR:
	case -ERESTARTSYS:
		return CANCELLED;
	default:
		return may_try_again(c, req) ? RESUBMITTED : RESET;
	}
}

/* Ends the request, unless another path has claimed it. */
bool request_finish(struct client *c, struct request *req, int err)
{
	if (!mid_atlas_dissociate_if(c->atlas, req->mid, req))
		return false;
	request_done(req, how_ended(c, req, err));
	return true;
}

/* Callback of mid_atlas_claim_older(): the deadline has passed. */
void request_timed_out(void *ctx, u16 mid, void *client)
{
	request_done(ctx, TIMED_OUT);
}

/* Callback of mid_atlas_claim_all(): the connection was lost. */
void request_reset(void *ctx, u16 mid, void *client)
{
	request_done(ctx, how_ended(client, ctx, -ECONNRESET));
}

/* Callback of mid_atlas_destroy(): the client is being torn down. */
void request_destruct(void *ctx, u16 mid, void *client)
{
	count(DESTRUCTED);
	request_done(ctx, RESET);
}

/* Gets a MID for the request and sends it.  On failure the request has ended. */
int request_issue(struct client *c, struct request *req)
{
	int err;

	kref_get(&req->ref);
	err = connection_wait(c, req);
	if (!err)
		err = mid_atlas_associate_wait(c->atlas, req, &req->mid,
					       GFP_KERNEL, timeout());
	if (err) {
		request_done(req, how_ended(c, req, err));
		return err;
	}

	/* The request has its MID: from here on another path may end it. */
	err = connection_send(c, req);
	if (err)
		request_finish(c, req, err);
	return err;
}

/*
 * Gives the MID to a successor, as a client does that hands the remaining replies
 * to another request.  The request that is replaced is @req: a MID is not reused
 * so soon that another request could have got it since the lookup.
 */
void request_replace(struct client *c, struct request *req)
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
	if (mid_atlas_abandon(c->atlas, req->mid, req,
			      msecs_to_jiffies(options.quarantine_ms))) {
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

/*
 * Sends one request, and again if its connection is lost, until it has ended.
 * Without @wait, returns once it is sent.  Returns -ENOMEM, -EINTR if the task was
 * killed, else 0: the counters tell how the request ended.
 */
int request_submit(struct client *c, bool wait)
{
	struct request *req = echo_create(wait);
	int err;

	if (!req)
		return -ENOMEM;
	do {
		reinit_completion(&req->done);
		req->got = 0;
		request_issue(c, req);
		if (wait)
			req = request_await(c, req);
	} while (wait && req->how == RESUBMITTED);

	if (wait && req->how == REPLIED)
		latency_note(ktime_get_ns() - req->sent);
	err = wait && req->how == CANCELLED ? -EINTR : 0;
	request_put(req);
	return err;
}
