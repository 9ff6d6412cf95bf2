/* SPDX-License-Identifier: GPL-2.0 */
/*
 * smbecho - a small SMB1 client on midatlas
 *
 * It keeps as many ECHO requests in flight as the server takes, and lives
 * through all that can become of them: replies, deadlines, submitters that are
 * killed, connections that die.
 *
 *	smbecho_request.c	a request's life: what a client's author is here for
 *	smbecho_connection.c	the socket, its receiver, and what comes in
 *	smbecho_main.c		parameters, results, who submits; load and unload
 *	smb1.h			the messages
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

/* What there is to count. */
enum result {
	/* The ends of requests.  Each has one. */
	REPLIED, TIMED_OUT, CANCELLED, RESET,
	/* How else they leave the atlas: for another try, or to another context. */
	RESUBMITTED, REASSOCIATED,
	REQUESTS, REPLIES, ABANDONED, DESTRUCTED, CONNECTIONS,
	MISMATCHES,		/* answers to another question */
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

/* The module's parameters. */
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

/* A client: one atlas, and one connection after the other. */
struct client {
	struct mid_atlas *atlas;
	struct sockaddr_storage server;
	bool closing;			/* for good: no further tries */

	struct mutex send_lock;		/* for one message at a time */
	struct socket *sock;		/* changed under send_lock, by the receiver */
	bool up;			/* under send_lock; requests may be sent */
	wait_queue_head_t up_wait;

	struct task_struct *receiver;
	void *frame;			/* received last; the receiver's own */
	unsigned int partial_replies;	/* the receiver's own, too */
	unsigned long heard;		/* jiffies; when the last good reply came */
	struct delayed_work sweep;
};

/* A request: the context of its MID. */
struct request {
	struct kref ref;
	struct rcu_head rcu;		/* who has just mapped it may still look */
	struct completion done;
	enum result how;		/* it left the atlas; good when it is done */
	struct request *heir;		/* its successor if it was REASSOCIATED */
	bool awaited;			/* by its submitter, who can try again */
	unsigned int tries;
	unsigned int wanted;		/* replies */
	unsigned int got;		/* the receiver's, while in flight */
	u64 sent;			/* ns */
	u16 mid;
	size_t length;
	u8 message[];			/* as it goes out */
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
