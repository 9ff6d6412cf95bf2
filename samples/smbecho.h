/* SPDX-License-Identifier: GPL-2.0 */
/*
 * smbecho - a small SMB client on midatlas and midwindow
 *
 * It keeps as many ECHO requests in flight as the server allows, and handles every
 * way in which a request can end: reply, timeout, killed submitter, lost connection.
 * It speaks SMB1, with 16-bit MIDs from an atlas, or SMB2, with 64-bit MessageIds from
 * a window.
 *
 *	smbecho_smb1.c		the life of a request in SMB1; start reading here
 *	smbecho_smb2.c		the life of a request in SMB2; or here
 *	smbecho_request.c	what all requests have; submitting one
 *	smbecho_connection.c	the socket, the receiver, the timeouts
 *	smbecho_main.c		parameters, results, submitters; load and unload
 *	smb1.h, smb2.h		message formats
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
#include <linux/seq_file.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "midatlas.h"
#include "midwindow.h"
#include "smb1.h"

/* Counters */
enum result {
	/* Each request ends in exactly one of these ways. */
	REPLIED, TIMED_OUT, CANCELLED, RESET,
	/* Left the atlas or window, but goes on: sent again, or replaced. */
	RESUBMITTED, REASSOCIATED,
	REQUESTS, REPLIES, ABANDONED, DESTRUCTED, CONNECTIONS,
	MISMATCHES,		/* replies that do not match their request */
	UNSOLICITED, MALFORMED,
	/* Only SMB2 */
	COMPOUNDS, CREDITS,	/* sent; granted */
	INTERIMS,		/* interim responses to requests in flight */
	CANCELS,		/* sent to the server */
	UNSENT,			/* requests whose ids went back */
	KEEPALIVES, STARVED,	/* sent; waits for credits that could never come */
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
	char *dialect;
	char *server;
	unsigned int port;
	unsigned int threads;
	unsigned int requests;
	unsigned int payload;
	unsigned int echo_count;
	unsigned int several_every;
	unsigned int reassociate_every;
	unsigned int compound_every;
	unsigned int credits;
	unsigned int slots;
	unsigned int tries;
	unsigned int timeout_ms;
	unsigned int quarantine_ms;
};

extern struct options options;

static inline unsigned long timeout(void)
{
	return msecs_to_jiffies(options.timeout_ms);
}

static inline unsigned long quarantine(void)
{
	return msecs_to_jiffies(options.quarantine_ms);
}

struct protocol;

/* A client: one atlas or window for a succession of connections */
struct client {
	const struct protocol *protocol;
	struct mid_atlas *atlas;	/* SMB1 */
	struct mid_window *window;	/* SMB2 */
	struct sockaddr_storage server;
	bool closing;			/* no request is sent again */

	struct mutex send_lock;		/* serializes messages on the socket */
	struct socket *sock;		/* written by the receiver, under send_lock */
	bool up;			/* requests may be sent; under send_lock */
	bool broken;			/* nothing may be sent; under send_lock */
	u32 epoch;			/* of @sock; written while there is none */
	wait_queue_head_t up_wait;

	struct task_struct *receiver;
	void *frame;			/* the last received; only for the receiver */
	unsigned int partial_replies;	/* only for the receiver */
	unsigned long heard;		/* time of the last good reply, in jiffies */
	unsigned long kept_alive;	/* time of the last keep-alive; only for @sweep */
	int credits;			/* unused and in flight; written by the receiver */
	atomic_t overdue;		/* requests timed out since the last good reply */
	struct delayed_work sweep;
};

/* A request.  The atlas maps its MID, or the window its MessageId, to this. */
struct request {
	struct kref ref;
	struct rcu_head rcu;		/* lookups may still read it when it is freed */
	struct completion done;
	enum result how;		/* it was completed; valid once it is done */
	bool setup;			/* it is sent before the connection is up */
	bool awaited;			/* its submitter waits and can send it again */
	unsigned int tries;
	u64 sent;			/* ns */

	/* SMB1 */
	struct request *successor;	/* if it was REASSOCIATED */
	unsigned int wanted;		/* number of replies */
	unsigned int got;		/* replies so far; written by the receiver */
	u16 mid;

	/* SMB2 */
	struct request *next;		/* is sent in the same compound */
	struct mid_tag tag;
	bool urgent;			/* may use the id that is set aside */
	bool sending;			/* its first byte may be on the wire */
	unsigned long deadline;		/* in jiffies; an interim response moves it */

	size_t length;
	u8 message[];			/* as sent */
};

/*
 * What the two protocols do differently.  issue() gives the request its number and
 * sends it; if it fails, the request was completed.
 */
struct protocol {
	const char *name;
	int (*create)(struct client *c);
	void (*drain)(struct client *c);	/* stops new requests, waits up to 1 s */
	void (*destroy)(struct client *c);

	/* Called by the receiver: */
	int (*setup)(struct client *c);		/* returns how many may be in flight */
	void (*resume)(struct client *c);	/* the connection is up */
	void (*receive)(struct client *c, int len);
	void (*reset)(struct client *c);	/* the connection was lost */

	/*
	 * Ends the requests whose deadline has passed.  Returns how many there were, now
	 * (SMB1) or since the last good reply (SMB2).
	 */
	unsigned int (*sweep)(struct client *c);

	struct request *(*echo)(bool awaited);	/* a new ECHO request */
	int (*issue)(struct client *c, struct request *req);
	struct request *(*await)(struct client *c, struct request *req);

	void (*show)(struct client *c, struct seq_file *m);
};

extern const struct protocol smb1, smb2;

struct request *request_create(size_t length, bool awaited);
struct request *request_clone(const struct request *req);
bool request_get(void *ctx);
void request_put(void *ctx);
void request_done(struct request *req, enum result how);
enum result request_fate(struct client *c, struct request *req, int err);
int request_submit(struct client *c, bool wait);

int receive_message(struct client *c);
bool connection_may_send(struct client *c, const struct request *req);
int connection_wait(struct client *c, const struct request *req);
int connection_send(struct client *c, struct kvec *vec, unsigned int messages);
void connection_break(struct client *c);

int client_start(struct client *c);
void client_close(struct client *c);
void client_stop(struct client *c);

struct task_struct *thread_start(int (*fn)(void *), void *data, const char *name);
void thread_stop(struct task_struct *task);

#endif /* _SMBECHO_H */
