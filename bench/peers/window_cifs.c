// SPDX-License-Identifier: GPL-2.0
/*
 * cifs of 7.3 for SMB2, with its credits: wait_for_free_credits(), smb2_get_next_mid() once
 * for each id, __smb2_find_mid() with a reference, dequeue_mid(), smb2_add_credits()
 *
 * Left out are the messages, the number of the connection, the credits kept back for
 * compounds, echoes and oplock breaks, and the second trip to the list in delete_mid(), which
 * only synchronous requests make.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../window.h"
#include "cifs.h"

#define CIFS_GOOD	1
#define CIFS_EXITING	2

struct cifs_entry {
	struct cifs_mid mid;
	refcount_t ref;
};

struct cifs_server {
	struct bench_window window;
	struct cifs_table table;
	spinlock_t srv_lock; /* serialises @status */
	int status;
	spinlock_t req_lock; /* serialises @credits to @max_in_flight */
	int credits;
	unsigned int in_flight;
	unsigned int max_in_flight;
	wait_queue_head_t request_q;
	atomic_t waiters;
};

static void *window_cifs_create(unsigned int max)
{
	struct cifs_server *server = kzalloc(sizeof(*server), GFP_KERNEL);

	if (!server)
		return ERR_PTR(-ENOMEM);
	cifs_init(&server->table);
	spin_lock_init(&server->srv_lock);
	spin_lock_init(&server->req_lock);
	init_waitqueue_head(&server->request_q);
	server->status = CIFS_GOOD;
	server->credits = 1;
	return server;
}

static void window_cifs_destroy(void *table)
{
	kfree(table);
}

static bool cifs_has_status(struct cifs_server *server, int status)
{
	bool has;

	spin_lock(&server->srv_lock);
	has = server->status == status;
	spin_unlock(&server->srv_lock);
	return has;
}

static int cifs_take_credits(struct cifs_server *server, unsigned int charge)
{
	int err = 0;

	/* cifs takes this lock before its loop, which drops it first. */
	spin_lock(&server->req_lock);
	spin_unlock(&server->req_lock);
	if (cifs_has_status(server, CIFS_EXITING))
		return -ENOENT;
	spin_lock(&server->req_lock);
	if (server->credits < (int)charge) {
		err = -EAGAIN;
	} else {
		server->credits -= charge;
		server->in_flight++;
		server->max_in_flight = max(server->max_in_flight, server->in_flight);
	}
	spin_unlock(&server->req_lock);
	return err;
}

static int window_cifs_begin(void *table, unsigned int charge, struct bench_req *req, u64 *id)
{
	struct cifs_entry *entry = bench_req_node(req, struct cifs_entry);
	struct cifs_server *server = table;
	int err = cifs_take_credits(server, charge);

	if (err)
		return err;
	*id = cifs_next_mid(&server->table);
	while (--charge)
		cifs_next_mid(&server->table);
	refcount_set(&entry->ref, 1);
	cifs_enqueue(&server->table, req, *id);
	return 0;
}

static struct bench_req *window_cifs_map(void *table, u32 id)
{
	struct cifs_server *server = table;
	struct bench_req *req = cifs_find(&server->table, id);

	if (req)
		refcount_inc(&bench_req_node(req, struct cifs_entry)->ref);
	return req;
}

static void window_cifs_grant(void *table, unsigned int credits)
{
	struct cifs_server *server = table;

	spin_lock(&server->req_lock);
	server->credits += credits;
	server->in_flight--;
	spin_unlock(&server->req_lock);
	wake_up(&server->request_q);
	cifs_has_status(server, CIFS_EXITING);
}

/* Puts the reference of the lookup; the request's own is left. */
static struct bench_req *window_cifs_claim(void *table, u32 id, struct bench_req *found)
{
	struct cifs_server *server = table;
	struct bench_req *req = cifs_dequeue(&server->table, found);

	return refcount_dec_and_test(&bench_req_node(found, struct cifs_entry)->ref) ? NULL : req;
}

static bool cifs_has_credits(struct cifs_server *server, unsigned int charge)
{
	bool has;

	spin_lock(&server->req_lock);
	has = server->credits >= (int)charge;
	spin_unlock(&server->req_lock);
	return has;
}

/* A task that is woken tries again, as any other that comes. */
static int window_cifs_wait(void *table, unsigned int charge, struct bench_req *req, u32 *id)
{
	struct cifs_server *server = table;
	u64 mid = 0;
	int err;

	while ((err = window_cifs_begin(table, charge, req, &mid)) == -EAGAIN) {
		atomic_inc(&server->waiters);
		wait_event_killable_timeout(server->request_q, cifs_has_credits(server, charge),
					    MAX_JIFFY_OFFSET);
		atomic_dec(&server->waiters);
	}
	*id = mid;
	return err;
}

BENCH_WINDOW(window_cifs, "window_cifs", .deepest = 8192, .linked = true,
	     .wait = window_cifs_wait, .end = window_cifs_end);
