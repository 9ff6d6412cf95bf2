// SPDX-License-Identifier: GPL-2.0
/*
 * What the requests of both protocols have in common, and how one is submitted
 *
 * A request has two references: the submitter's, and that of the atlas or window, which
 * passes to the path that takes the request out.  The receiver takes a third one while it
 * looks at a request that stays in flight.
 */

#include <linux/ktime.h>
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
struct request *request_clone(const struct request *req)
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
 * Completes a request that has left the atlas or window, or never entered it, and drops
 * their reference.  Only the path that took the request out may call this.
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

/* How a request ends that failed with @err.  It may be sent again. */
enum result request_fate(struct client *c, struct request *req, int err)
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

/* Waits until the request has ended; sends it again if its connection is lost. */
static int request_see_through(struct client *c, struct request *req, bool wait)
{
	int err = 0;

	while (wait) {
		req = c->protocol->await(c, req);
		if (req->how != RESUBMITTED)
			break;
		reinit_completion(&req->done);
		req->got = 0;
		c->protocol->issue(c, req);
	}
	if (wait && req->how == REPLIED)
		latency_note(ktime_get_ns() - req->sent);
	if (wait && req->how == CANCELLED)
		err = -EINTR;
	request_put(req);
	return err;
}

/*
 * Sends one request, or a compound of two, and again if the connection is lost, until
 * they have ended.  Without @wait, returns once they are sent.  Returns -ENOMEM, -EINTR
 * if the task was killed, else 0: the counters tell how they ended.
 */
int request_submit(struct client *c, bool wait)
{
	struct request *req = c->protocol->echo(wait), *next;
	int err;

	if (!req)
		return -ENOMEM;
	next = req->next;
	c->protocol->issue(c, req);
	req->next = NULL;		/* from now on, each is on its own */
	err = request_see_through(c, req, wait);
	if (next)
		err = request_see_through(c, next, wait) ?: err;
	return err;
}
