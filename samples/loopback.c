// SPDX-License-Identifier: GPL-2.0
/*
 * loopback - the smallest client of midatlas that is whole
 *
 * Its server squares numbers.  It is a part of this module, so that there is
 * nothing to set up: a work item for each message, which answers when it likes,
 * in any order, and sometimes not at all.  What the two know of each other is
 * what is in a message, as on a real wire.
 *
 * Loading it makes some thousand calls, from many tasks at a time, and fails if
 * one of them got another's answer.  smbecho, beside it, is a client that does
 * all that a real one has to.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "midatlas.h"

#define MAX_MPX		50		/* requests that the server takes at a time */
#define CALLERS		200
#define CALLS		20		/* of each caller */
#define LOST		100		/* one in so many messages */
#define TIMEOUT		(HZ / 2)

struct client {
	struct mid_atlas *atlas;
	struct workqueue_struct *wire;
};

/* A request: the context of its MID.  It is on its caller's stack. */
struct request {
	struct completion done;
	int status;
	u64 answer;
	u16 mid;
};

/* What goes over the wire. */
struct message {
	struct work_struct work;
	struct client *client;
	u16 mid;
	u32 number;
};

static int client_connect(struct client *c)
{
	c->atlas = mid_atlas_create("loopback", MAX_MPX, MAX_MPX, GFP_KERNEL);
	return PTR_ERR_OR_ZERO(c->atlas);
}

/* Ends a request.  Only who has taken it out of the atlas may. */
static void request_end(struct request *req, int status, u64 answer)
{
	req->status = status;
	req->answer = answer;
	complete_all(&req->done);
}

/* A reply came.  @mid is what it says, which may be anything. */
static void client_receive(struct client *c, u16 mid, u64 answer)
{
	struct request *req = mid_atlas_dissociate(c->atlas, mid);

	if (req)			/* else late, repeated or forged */
		request_end(req, 0, answer);
}

/* The server, and the receiver of what it sends. */
static void server(struct work_struct *work)
{
	struct message *msg = container_of(work, struct message, work);

	fsleep(get_random_u32() % 2000);
	if (get_random_u32() % LOST)
		client_receive(msg->client, msg->mid, (u64)msg->number * msg->number);
	kfree(msg);
}

static int client_send(struct client *c, u16 mid, u32 number)
{
	struct message *msg = kmalloc(sizeof(*msg), GFP_KERNEL);

	if (!msg)
		return -ENOMEM;
	msg->client = c;
	msg->mid = mid;
	msg->number = number;
	INIT_WORK(&msg->work, server);
	queue_work(c->wire, &msg->work);
	return 0;
}

/* Asks for the square of @number. */
static int client_call(struct client *c, u32 number, u64 *square)
{
	struct request req;
	int err;

	init_completion(&req.done);
	err = mid_atlas_associate_wait(c->atlas, &req, &req.mid, GFP_KERNEL, TIMEOUT);
	if (err)
		return err;

	/* From here on others may end it: the receiver, or a disconnect. */
	err = client_send(c, req.mid, number);
	if (!err && !wait_for_completion_timeout(&req.done, TIMEOUT))
		err = -ETIMEDOUT;
	if (err && mid_atlas_dissociate_if(c->atlas, req.mid, &req))
		return err;		/* taken back: nobody else will touch it */

	/* Whoever has taken it is done with it, or will be at once. */
	wait_for_completion(&req.done);
	*square = req.answer;
	return req.status;
}

static void request_reset(void *ctx, u16 mid, void *arg)
{
	request_end(ctx, -ECONNRESET, 0);
}

/* No new calls and no receiver any more. */
static void client_disconnect(struct client *c)
{
	mid_atlas_destroy(c->atlas, request_reset, NULL);
}

/*
 * To show that it works
 */

static struct client client;
static atomic_t answered, timed_out, wrong;

static void caller(struct work_struct *work)
{
	u64 square;
	int i, err;
	u32 number;

	for (i = 0; i < CALLS; i++) {
		number = get_random_u32();
		err = client_call(&client, number, &square);
		if (err == -ETIMEDOUT)
			atomic_inc(&timed_out);
		else if (err || square != (u64)number * number)
			atomic_inc(&wrong);
		else
			atomic_inc(&answered);
	}
}

static int call_from_many(void)
{
	struct workqueue_struct *tasks = alloc_workqueue("loopback_callers", WQ_UNBOUND, CALLERS);
	struct work_struct *callers = kcalloc(CALLERS, sizeof(*callers), GFP_KERNEL);
	int i, err = tasks && callers ? 0 : -ENOMEM;

	for (i = 0; !err && i < CALLERS; i++) {
		INIT_WORK(&callers[i], caller);
		queue_work(tasks, &callers[i]);
	}
	if (tasks)
		destroy_workqueue(tasks);	/* waits for them */
	kfree(callers);
	return err;
}

static int __init loopback_init(void)
{
	int err;

	client.wire = alloc_workqueue("loopback", WQ_UNBOUND, 0);
	if (!client.wire)
		return -ENOMEM;
	err = client_connect(&client);
	if (err) {
		destroy_workqueue(client.wire);
		return err;
	}

	err = call_from_many();
	pr_info("%d calls answered, %d timed out, %d wrong\n", atomic_read(&answered),
		atomic_read(&timed_out), atomic_read(&wrong));

	destroy_workqueue(client.wire);		/* the receiver is gone, */
	client_disconnect(&client);		/* and now the connection */
	return err ?: atomic_read(&wrong) ? -EIO : 0;
}

static void __exit loopback_exit(void)
{
}

module_init(loopback_init);
module_exit(loopback_exit);

MODULE_DESCRIPTION("The smallest client of the MID atlas");
MODULE_LICENSE("GPL");
