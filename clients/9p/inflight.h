/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests in flight of one 9P connection
 *
 * From p9_tag_take() to the claim that takes it out, the atlas holds a pointer and a
 * reference to each request.  A Tversion, which has no tag, is in c->version instead.
 *
 *	take		gives the request its tag; it is in flight from now on
 *	advance		it is queued or sent; from SENT on, a reply finds it
 *	claim		exactly one of reply, Rflush, failed send, umount -f and end of the
 *			connection gets the request
 *	p9_client_cb	the claimer ends it, with the reference of the atlas
 *
 * A task that is killed lets go of its request and leaves.  The request stays in flight,
 * with its buffers, its tag and a reference to its fid, until it is claimed.
 */
#ifndef NET_9P_INFLIGHT_H
#define NET_9P_INFLIGHT_H

#include <linux/stdarg.h>
#include <linux/types.h>

struct iov_iter;
struct p9_client;
struct p9_fid;
struct p9_req_t;
struct page;

/* The fewest tags of a connection: one is for Tflush. */
#define P9_MIN_TAGS	2

int p9_tags_create(struct p9_client *c);
void p9_tags_end(struct p9_client *c, int err);
void p9_tags_shut(struct p9_client *c, int err);
void p9_tags_destroy(struct p9_client *c);

int p9_tag_take(struct p9_client *c, struct p9_req_t *req, int8_t type);
struct p9_req_t *p9_tag_lookup(struct p9_client *c, u16 tag, u8 type);
struct p9_req_t *p9_tag_claim(struct p9_client *c, u16 tag, u8 type);

void p9_req_note_fid(struct p9_req_t *req);
bool p9_req_advance(struct p9_req_t *req, int status);
bool p9_req_claim(struct p9_client *c, struct p9_req_t *req);
void p9_req_end(struct p9_client *c, struct p9_req_t *req, int status, int err);
int p9_req_result(struct p9_client *c, struct p9_req_t *req, int err);
int p9_zc_wait(struct p9_client *c, struct p9_req_t *req, spinlock_t *ring_lock,
	       const struct iov_iter *iter, struct page **pages, int nr);
void p9_req_unkeep(struct p9_req_t *req);

void p9_fid_drop(struct p9_fid *fid);

/* Of client.c */
struct p9_req_t *p9_client_prepare_req(struct p9_client *c, s8 type, uint t_size, uint r_size,
				       const char *fmt, va_list ap);
int p9_check_errors(struct p9_client *c, struct p9_req_t *req);
void p9_fid_destroy(struct p9_fid *fid);

#endif /* NET_9P_INFLIGHT_H */
