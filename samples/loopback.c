// SPDX-License-Identifier: GPL-2.0
/*
 * loopback - a minimal but complete client of midatlas
 *
 * Its server squares numbers.  The server is part of this module, so there is
 * nothing to set up.  It handles each message in a work item, after a random
 * delay: replies come in any order, and some are lost.  Client and server share
 * only what is in a message, as on a real wire.
 *
 * Loading the module makes 4,000 calls from 200 tasks.  It fails if a call gets
 * the answer to another one.  smbecho, in the same directory, is a sample with
 * everything that a real client needs.
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

#define MAX_MPX		50		/* requests in flight that the server allows */
#define CALLERS		200
#define CALLS		20		/* per caller */
#define LOST		100		/* one message in 100 gets no reply */
#define TIMEOUT		(HZ / 2)

struct client {
	struct mid_atlas *atlas;
	struct workqueue_struct *wire;
};

/* The atlas maps a MID to this.  It is on its caller's stack. */
struct request {
	struct completion done;
	int status;
	u64 answer;
	u16 mid;
};

/* A message on the wire.  @work is for the transport only. */
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

/* Completes a request.  Only the caller that took it out of the atlas may do so. */
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

/* The server; it also plays the client's receiver when it replies. */
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

	/* Another path claimed it and is about to complete it. */
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
 * Demonstration: many callers at once
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
		destroy_workqueue(tasks);	/* waits for all callers */
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

	destroy_workqueue(client.wire);		/* stops the receiver */
	client_disconnect(&client);
	return err ?: atomic_read(&wrong) ? -EIO : 0;
}

static void __exit loopback_exit(void)
{
}

module_init(loopback_init);
module_exit(loopback_exit);

MODULE_DESCRIPTION("Minimal client of the MID atlas");
MODULE_LICENSE("GPL");
