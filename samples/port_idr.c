// SPDX-License-Identifier: GPL-2.0
/*
 * Before: an IDR, a lock and a counter of the requests in flight
 */
#include <linux/atomic.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "port.h"

struct connection {
	spinlock_t lock;	/* protects @requests */
	struct idr requests;
	atomic_t in_flight;
	int max_mpx;
	wait_queue_head_t room;
};

struct connection *connection_create(unsigned int max_mpx)
{
	struct connection *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	spin_lock_init(&c->lock);
	idr_init(&c->requests);
	init_waitqueue_head(&c->room);
	c->max_mpx = max_mpx;
	return c;
}

static void connection_has_room(struct connection *c)
{
	atomic_dec(&c->in_flight);
	wake_up(&c->room);
}

int request_begin(struct connection *c, struct request *req)
{
	int mid, err;

	err = wait_event_killable(c->room, atomic_add_unless(&c->in_flight, 1,
							     c->max_mpx));
	if (err)
		return err;

	idr_preload(GFP_KERNEL);
	spin_lock_irq(&c->lock);
	mid = idr_alloc_cyclic(&c->requests, req, 0, 0xffff, GFP_NOWAIT);
	if (mid >= 0)
		req->mid = mid;
	spin_unlock_irq(&c->lock);
	idr_preload_end();

	if (mid < 0) {
		connection_has_room(c);
		return mid;
	}
	return 0;
}

void request_replied(struct connection *c, u16 mid)
{
	struct request *req;
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	req = idr_remove(&c->requests, mid);
	spin_unlock_irqrestore(&c->lock, flags);

	if (!req)
		return;
	connection_has_room(c);
	request_end(req, 0);
}

bool request_cancel(struct connection *c, struct request *req)
{
	unsigned long flags;
	bool ours;

	spin_lock_irqsave(&c->lock, flags);
	ours = idr_find(&c->requests, req->mid) == req;
	if (ours)
		idr_remove(&c->requests, req->mid);
	spin_unlock_irqrestore(&c->lock, flags);

	if (ours)
		connection_has_room(c);
	return ours;
}

void connection_reset(struct connection *c)
{
	struct request *req;
	unsigned long flags;
	int mid;

	for (;;) {
		mid = 0;
		spin_lock_irqsave(&c->lock, flags);
		req = idr_get_next(&c->requests, &mid);
		if (req)
			idr_remove(&c->requests, mid);
		spin_unlock_irqrestore(&c->lock, flags);
		if (!req)
			break;
		connection_has_room(c);
		request_end(req, -ECONNRESET);
	}
}

void connection_destroy(struct connection *c)
{
	connection_reset(c);
	idr_destroy(&c->requests);
	kfree(c);
}

MODULE_DESCRIPTION("Requests in flight in an IDR");
MODULE_LICENSE("GPL");
