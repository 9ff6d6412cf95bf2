// SPDX-License-Identifier: GPL-2.0
/*
 * After: an atlas
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "midatlas.h"
#include "port.h"

struct connection {
	struct mid_atlas *atlas;
};

struct connection *connection_create(unsigned int max_mpx)
{
	struct connection *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->atlas = mid_atlas_create("port", max_mpx, max_mpx, GFP_KERNEL);
	if (IS_ERR(c->atlas)) {
		kfree(c);
		return NULL;
	}
	return c;
}

int request_begin(struct connection *c, struct request *req)
{
	return mid_atlas_associate_wait(c->atlas, req, &req->mid, GFP_KERNEL,
					MAX_SCHEDULE_TIMEOUT);
}

void request_replied(struct connection *c, u16 mid)
{
	struct request *req = mid_atlas_dissociate(c->atlas, mid);

	if (req)
		request_end(req, 0);
}

bool request_cancel(struct connection *c, struct request *req)
{
	return mid_atlas_dissociate_if(c->atlas, req->mid, req);
}

static void request_reset(void *ctx, u16 mid, void *arg)
{
	request_end(ctx, -ECONNRESET);
}

void connection_reset(struct connection *c)
{
	mid_atlas_claim_all(c->atlas, request_reset, NULL);
}

void connection_destroy(struct connection *c)
{
	mid_atlas_destroy(c->atlas, request_reset, NULL);
	kfree(c);
}

MODULE_DESCRIPTION("Requests in flight in an atlas");
MODULE_LICENSE("GPL");
