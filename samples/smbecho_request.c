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
 *	    +------ another try ------|----------------------------+
 *	                              +-------destroy--------> destructor: reset
 *
 * All of them may try to end one request at the same time.  The atlas gives it
 * to one, who says how it ended by request_done().  The others get NULL or false
 * and leave it alone.  So there is no lock, no flag and no list here.
 *
 * There are two references to a request: its submitter's, and one that goes into
 * the atlas and comes out of it with the request.  The receiver takes a third
 * while it looks at a reply.
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

/* For what is still to come of @req: its copy, but for who uses it. */
static struct request *request_clone(const struct request *req)
{
	struct request *heir = request_alloc(req->length);

	if (!heir)
		return NULL;
	heir->awaited = req->awaited;
	heir->tries = req->tries;
	heir->wanted = req->wanted;
	heir->got = req->got;
	heir->sent = req->sent;
	heir->mid = req->mid;
	memcpy(heir->message, req->message, req->length);
	return heir;
}

bool request_get(void *ctx)
{
	struct request *req = ctx;

	return kref_get_unless_zero(&req->ref);
}

static void request_free(struct kref *ref)
{
	struct request *req = container_of(ref, struct request, ref);

	if (req->heir)
		request_put(req->heir);
	kfree_rcu(req, rcu);
}

void request_put(void *ctx)
{
	struct request *req = ctx;

	kref_put(&req->ref, request_free);
}

/*
 * The request has left the atlas, or never got in.  Only who has taken it out
 * may say so; the atlas' reference goes.
 */
void request_done(struct request *req, enum result how)
{
	WARN_ON_ONCE(completion_done(&req->done));	/* exactly once */
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

/* Ends the request, unless somebody else does. */
bool request_finish(struct client *c, struct request *req, int err)
{
	if (!mid_atlas_dissociate_if(c->atlas, req->mid, req))
		return false;
	request_done(req, how_ended(c, req, err));
	return true;
}

/* To mid_atlas_claim_older(): the deadline has passed. */
void request_timed_out(void *ctx, u16 mid, void *client)
{
	request_done(ctx, TIMED_OUT);
}

/* To mid_atlas_claim_all(): the connection is gone. */
void request_reset(void *ctx, u16 mid, void *client)
{
	request_done(ctx, how_ended(client, ctx, -ECONNRESET));
}

/* To mid_atlas_destroy(): so is the client. */
void request_destruct(void *ctx, u16 mid, void *client)
{
	count(DESTRUCTED);
	request_done(ctx, RESET);
}

/* Gets a MID for the request and sends it.  Should that fail it is done. */
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

	/* From here on others may end it, as soon as it has its MID. */
	err = connection_send(c, req);
	if (err)
		request_finish(c, req, err);
	return err;
}

/*
 * Gives the MID to another context, as in a client that hands what is still to
 * come to somebody else.  That it is still @req's is known because MIDs rest:
 * no other request can have got it since the receiver looked.
 */
void request_replace(struct client *c, struct request *req)
{
	struct request *heir = request_clone(req);
	struct request *old;

	if (!heir)
		return;			/* then it goes on as it is */
	kref_get(&heir->ref);		/* one for @req, one for the atlas */
	old = mid_atlas_reassociate(c->atlas, req->mid, heir);
	if (!old) {			/* it has just ended */
		request_put(heir);
		request_put(heir);
		return;
	}
	WARN_ON_ONCE(old != req);
	old->heir = heir;
	request_done(old, REASSOCIATED);
}

/* The submitter was killed.  Its MID stays taken for a late reply. */
static void request_cancel(struct client *c, struct request *req)
{
	if (mid_atlas_abandon(c->atlas, req->mid, req,
			      msecs_to_jiffies(options.quarantine_ms))) {
		count(ABANDONED);
		request_done(req, CANCELLED);
	}
}

/* Waits until the request is done, or else the one that took its place. */
static struct request *request_await(struct client *c, struct request *req)
{
	struct request *heir;

	for (;;) {
		if (wait_for_completion_killable(&req->done)) {
			request_cancel(c, req);
			/* Who else has it is about to end it: not for long. */
			wait_for_completion(&req->done);
		}
		heir = req->heir;
		if (!heir)
			return req;
		request_get(heir);
		request_put(req);
		req = heir;
	}
}

/* An ECHO request, with a payload that no other has. */
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
 * One request, from its first try to its end; without @wait it is on its own
 * once it is sent.  Returns -EINTR if the task was killed, else 0: however it
 * ended, it has been counted.
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
