// SPDX-License-Identifier: GPL-2.0
/*
 * Before: an XArray and a counter of the requests in flight
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "port.h"

struct connection {
	struct xarray requests;
	u32 next;
	atomic_t in_flight;
	int max_mpx;
	wait_queue_head_t room;
};

struct connection *connection_create(unsigned int max_mpx)
{
	struct connection *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	xa_init_flags(&c->requests, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
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
	int err;
	u32 mid;

	err = wait_event_killable(c->room, atomic_add_unless(&c->in_flight, 1,
							     c->max_mpx));
	if (err)
		return err;

	xa_lock_irq(&c->requests);
	err = __xa_alloc_cyclic(&c->requests, &mid, req, XA_LIMIT(0, 0xfffe),
				&c->next, GFP_KERNEL);
	if (err >= 0)
		req->mid = mid;
	xa_unlock_irq(&c->requests);

	if (err < 0) {
		connection_has_room(c);
		return err;
	}
	return 0;
}

void request_replied(struct connection *c, u16 mid)
{
	struct request *req;
	unsigned long flags;

	xa_lock_irqsave(&c->requests, flags);
	req = __xa_erase(&c->requests, mid);
	xa_unlock_irqrestore(&c->requests, flags);

	if (!req)
		return;
	connection_has_room(c);
	request_end(req, 0);
}

bool request_cancel(struct connection *c, struct request *req)
{
	unsigned long flags;
	bool ours;

	xa_lock_irqsave(&c->requests, flags);
	ours = __xa_cmpxchg(&c->requests, req->mid, req, NULL, 0) == req;
	xa_unlock_irqrestore(&c->requests, flags);

	if (ours)
		connection_has_room(c);
	return ours;
}

void connection_reset(struct connection *c)
{
	struct request *req;
	unsigned long flags, mid;

	for (;;) {
		mid = 0;
		xa_lock_irqsave(&c->requests, flags);
		req = xa_find(&c->requests, &mid, 0xfffe, XA_PRESENT);
		if (req)
			__xa_erase(&c->requests, mid);
		xa_unlock_irqrestore(&c->requests, flags);
		if (!req)
			break;
		connection_has_room(c);
		request_end(req, -ECONNRESET);
	}
}

void connection_destroy(struct connection *c)
{
	connection_reset(c);
	xa_destroy(&c->requests);
	kfree(c);
}

MODULE_DESCRIPTION("Requests in flight in an XArray");
MODULE_LICENSE("GPL");
