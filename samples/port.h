/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One client three times, to be read side by side (Documentation/porting.rst):
 *
 *	port_idr.c	with an IDR and a lock
 *	port_xarray.c	with an XArray
 *	port_atlas.c	with an atlas
 *
 * They are built with the other samples, so that they stay what they claim to be.
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

/* Each request is ended by exactly one of reply, cancel and reset. */
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
