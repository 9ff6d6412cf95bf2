/* SPDX-License-Identifier: GPL-2.0 */
/*
 * smbecho - a small SMB1 client on midatlas
 *
 * It keeps as many ECHO requests in flight as the server allows, and handles every
 * way in which a request can end: reply, timeout, killed submitter, lost connection.
 *
 *	smbecho_request.c	the life of a request; start reading here
 *	smbecho_connection.c	the socket, the receiver, incoming messages
 *	smbecho_main.c		parameters, results, submitters; load and unload
 *	smb1.h			message formats
 */
#ifndef _SMBECHO_H
#define _SMBECHO_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "midatlas.h"
#include "smb1.h"

/* Counters */
enum result {
	/* Each request ends in exactly one of these ways. */
	REPLIED, TIMED_OUT, CANCELLED, RESET,
	/* Left the atlas, but goes on: sent again, or replaced by its successor. */
	RESUBMITTED, REASSOCIATED,
	REQUESTS, REPLIES, ABANDONED, DESTRUCTED, CONNECTIONS,
	MISMATCHES,		/* replies that do not match their request */
	UNSOLICITED, MALFORMED,
	NR_RESULTS
};

#define NR_ENDS		(RESET + 1)

extern atomic64_t results[NR_RESULTS];

static inline void count(enum result what)
{
	atomic64_inc(&results[what]);
}

void latency_note(u64 ns);

/* The module parameters */
struct options {
	char *server;
	unsigned int port;
	unsigned int threads;
	unsigned int requests;
	unsigned int payload;
	unsigned int echo_count;
	unsigned int several_every;
	unsigned int reassociate_every;
	unsigned int tries;
	unsigned int timeout_ms;
	unsigned int quarantine_ms;
};

extern struct options options;

static inline unsigned long timeout(void)
{
	return msecs_to_jiffies(options.timeout_ms);
}

/* A client: one atlas for a succession of connections */
struct client {
	struct mid_atlas *atlas;
	struct sockaddr_storage server;
	bool closing;			/* no request is sent again */

	struct mutex send_lock;		/* serializes messages on the socket */
	struct socket *sock;		/* written by the receiver, under send_lock */
	bool up;			/* requests may be sent; under send_lock */
	wait_queue_head_t up_wait;

	struct task_struct *receiver;
	void *frame;			/* the last received; only for the receiver */
	unsigned int partial_replies;	/* only for the receiver */
	unsigned long heard;		/* time of the last good reply, in jiffies */
	struct delayed_work sweep;
};

/* A request.  The atlas maps its MID to this. */
struct request {
	struct kref ref;
	struct rcu_head rcu;		/* lookups may still read it when it is freed */
	struct completion done;
	enum result how;		/* it left the atlas; valid once it is done */
	struct request *successor;	/* if it was REASSOCIATED */
	bool awaited;			/* its submitter waits and can send it again */
	unsigned int tries;
	unsigned int wanted;		/* number of replies */
	unsigned int got;		/* replies so far; written by the receiver */
	u64 sent;			/* ns */
	u16 mid;
	size_t length;
	u8 message[];			/* as sent */
};

struct request *request_create(size_t length, bool awaited);
bool request_get(void *ctx);
void request_put(void *ctx);
void request_done(struct request *req, enum result how);

int request_issue(struct client *c, struct request *req);
bool request_finish(struct client *c, struct request *req, int err);
void request_replace(struct client *c, struct request *req);
void request_timed_out(void *ctx, u16 mid, void *client);
void request_reset(void *ctx, u16 mid, void *client);
void request_destruct(void *ctx, u16 mid, void *client);
int request_submit(struct client *c, bool wait);

int connection_wait(struct client *c, const struct request *req);
int connection_send(struct client *c, struct request *req);

int client_start(struct client *c);
void client_close(struct client *c);
void client_stop(struct client *c);

struct task_struct *thread_start(int (*fn)(void *), void *data, const char *name);
void thread_stop(struct task_struct *task);

#endif /* _SMBECHO_H */
