/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The same client three times, to compare (Documentation/porting.rst):
 *
 *	port_idr.c	with an IDR and a lock
 *	port_xarray.c	with an XArray
 *	port_atlas.c	with an atlas
 *
 * All three are built with the other samples, so they cannot go stale.
 */
#ifndef _PORT_H
#define _PORT_H

#include <linux/completion.h>
#include <linux/types.h>

struct connection;

struct request {
	struct completion done;
	int status;
	u16 mid;
};

/* Exactly one of reply, cancel and reset completes a request. */
int request_begin(struct connection *c, struct request *req);
void request_replied(struct connection *c, u16 mid);
bool request_cancel(struct connection *c, struct request *req);
void connection_reset(struct connection *c);

struct connection *connection_create(unsigned int max_mpx);
void connection_destroy(struct connection *c);

static inline void request_end(struct request *req, int status)
{
	req->status = status;
	complete(&req->done);
}

#endif /* _PORT_H */
