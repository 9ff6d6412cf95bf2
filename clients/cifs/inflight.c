// SPDX-License-Identifier: GPL-2.0
/*
 * The requests in flight of one cifs connection: see inflight.h
 */
#include <linux/mempool.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include "cifsglob.h"
#include "cifsproto.h"
#include "cifs_debug.h"
#include "inflight.h"
#include "midatlas.h"
#include "midwindow.h"

/* MIDs of an SMB1 connection without growing its table; Samba allows 50. */
#define CIFS_FIRST_MIDS	256

/* How long a shutdown waits for senders that already have an id. */
#define CIFS_SHUT_TIMEOUT	(46 * HZ)

/**
 * cifs_mids_create - create the atlas or window of a new connection
 * @server: the connection; its protocol is known
 *
 * Return: 0 or %-ENOMEM.
 */
int cifs_mids_create(struct TCP_Server_Info *server)
{
	char name[32];

	snprintf(name, sizeof(name), "cifs-%llu", server->conn_id);
	if (is_smb1(server)) {
		server->atlas = mid_atlas_create(name, MID_ATLAS_MAX_MIDS,
						 CIFS_FIRST_MIDS, GFP_KERNEL);
		return PTR_ERR_OR_ZERO(server->atlas);
	}
	server->window = mid_window_create(name, GFP_KERNEL);
	return PTR_ERR_OR_ZERO(server->window);
}

/* cifs retries on -EAGAIN: no memory is treated like no credits. */
static int cifs_mid_no_id(struct TCP_Server_Info *server, int rc)
{
	switch (rc) {
	case -ENOSPC:	/* all 65535 MIDs in use: reconnect, as before */
		cifs_signal_cifsd_for_reconnect(server, false);
		return -EAGAIN;
	case -ESHUTDOWN:
		return -ENOENT;
	default:
		return -EAGAIN;
	}
}

static int cifs_mid_issue_smb1(struct TCP_Server_Info *server,
			       struct mid_q_entry *mid)
{
	u16 id;
	int rc;

	rc = mid_atlas_associate(server->atlas, mid, &id, GFP_NOFS);
	if (!rc)
		mid->mid = id;
	return rc;
}

/*
 * A request takes as many consecutive ids as it costs credits (MS-SMB2 3.2.4.1.5).
 * It takes none if the server has not granted that many.
 */
static int cifs_mid_issue_smb2(struct TCP_Server_Info *server,
			       struct mid_q_entry *mid)
{
	struct mid_span ids;
	u64 id;
	int rc;

	rc = mid_window_reserve(server->window, mid->credits, &ids);
	if (rc)
		return rc;
	mid->epoch = ids.epoch;
	rc = mid_window_associate(server->window, &ids, mid->credits, mid, &id,
				  GFP_NOFS);
	if (rc)
		mid_window_give_back(server->window, &ids);
	else
		mid->mid = id;
	return rc;
}

/**
 * cifs_mid_issue - give a request its id
 * @server: the connection, whose send mutex is held
 * @mid: the request, to which the caller has a reference of its own
 *
 * From now on the request is in flight and must be claimed.  No reply finds it
 * before cifs_mid_submit().
 *
 * Return: 0, and the caller copies mid->mid to the header; %-EAGAIN; or %-ENOENT if
 * the connection has ended.
 */
int cifs_mid_issue(struct TCP_Server_Info *server, struct mid_q_entry *mid)
{
	int rc;

	smb_get_mid(mid);
	if (server->window)
		rc = cifs_mid_issue_smb2(server, mid);
	else
		rc = cifs_mid_issue_smb1(server, mid);
	if (!rc)
		return 0;
	refcount_dec(&mid->refcount);
	return cifs_mid_no_id(server, rc);
}

/**
 * cifs_mid_submit - let replies find a request that is about to be sent
 * @mid: the request
 */
void cifs_mid_submit(struct mid_q_entry *mid)
{
	/* Pairs with cifs_mid_get_submitted(): a receiver sees a complete request. */
	smp_store_release(&mid->mid_state, MID_REQUEST_SUBMITTED);
}

/* Called inside rcu_read_lock(), so the memory of @mid is not freed. */
static bool cifs_mid_get_submitted(struct mid_q_entry *mid, __le16 command)
{
	/* Pairs with cifs_mid_submit(). */
	return smp_load_acquire(&mid->mid_state) == MID_REQUEST_SUBMITTED &&
	       mid->command == command && refcount_inc_not_zero(&mid->refcount);
}

/**
 * cifs_mids_epoch - get the epoch of the connection to the server
 * @server: the connection
 *
 * Return: a number that changes with each reconnect; always 0 for SMB1.
 */
u32 cifs_mids_epoch(struct TCP_Server_Info *server)
{
	return server->window ? mid_window_epoch(server->window) : 0;
}

/**
 * cifs_mids_grant - add the credits that the server grants to the window
 * @server: an SMB2/3 connection
 * @epoch: cifs_mids_epoch() when the reply was received
 * @credits: CreditResponse of that reply
 *
 * cifs still counts its credits itself.  The window tracks the ids that they permit.
 */
void cifs_mids_grant(struct TCP_Server_Info *server, u32 epoch,
		     unsigned int credits)
{
	mid_window_grant(server->window, epoch, credits);
}

/**
 * cifs_mid_find - find the request that a reply belongs to
 * @server: the connection
 * @epoch: cifs_mids_epoch() when the reply was received
 * @id: from the reply
 * @command: from the reply
 *
 * The request stays in flight.
 *
 * Return: the request, with a strong reference, or %NULL.
 */
struct mid_q_entry *cifs_mid_find(struct TCP_Server_Info *server, u32 epoch,
				  u64 id, __le16 command)
{
	struct mid_q_entry *mid;

	rcu_read_lock();
	if (server->window)
		mid = mid_window_map(server->window, epoch, id);
	else
		mid = mid_atlas_map(server->atlas, id);
	if (mid && !cifs_mid_get_submitted(mid, command))
		mid = NULL;
	rcu_read_unlock();
	return mid;
}

/**
 * cifs_mid_claim - take a request out, to end it
 * @server: the connection
 * @mid: the request, to which the caller has a reference of its own
 *
 * Return: true if the caller owns the request now.  If false, another path has
 * claimed it, and the caller must leave it alone.
 */
bool cifs_mid_claim(struct TCP_Server_Info *server, struct mid_q_entry *mid)
{
	bool ours;

	if (server->window)
		ours = mid_window_dissociate_if(server->window, mid->epoch,
						mid->mid, mid);
	else
		ours = mid_atlas_dissociate_if(server->atlas, mid->mid, mid);
	if (ours)
		refcount_dec(&mid->refcount);
	return ours;
}

/**
 * cifs_mid_unsend - take a request out that could not be sent
 * @server: the connection, whose send mutex is held
 * @mid: the request, to which the caller has a reference of its own
 *
 * Like cifs_mid_claim(), but also returns the MessageIds to the window.  The server
 * expects each of them, and grants no more while one is missing (MS-SMB2 3.3.1.1).
 *
 * Return: true if the caller owns the request now.
 */
bool cifs_mid_unsend(struct TCP_Server_Info *server, struct mid_q_entry *mid)
{
	if (!server->window)
		return cifs_mid_claim(server, mid);
	if (!mid_window_unsend(server->window, mid->epoch, mid->mid, mid))
		return false;
	refcount_dec(&mid->refcount);
	return true;
}

/**
 * cifs_mid_answer - record that the reply of a request is complete
 * @mid: the request, which the caller has claimed
 * @malformed: whether the reply is malformed
 */
void cifs_mid_answer(struct mid_q_entry *mid, bool malformed)
{
	/* Pairs with cifs_mid_waits(). */
	smp_store_release(&mid->mid_state, malformed ? MID_RESPONSE_MALFORMED :
						       MID_RESPONSE_RECEIVED);
}

/**
 * cifs_mid_waits - check whether a request can still get a reply
 * @mid: the request, which the caller sent
 *
 * Return: false if the request has ended.  The caller then sees the final state and
 * the complete reply.
 */
bool cifs_mid_waits(const struct mid_q_entry *mid)
{
	/* Pairs with the releases of the path that claimed it, and of its callback. */
	int state = smp_load_acquire(&mid->mid_state);

	return state == MID_REQUEST_SUBMITTED || state == MID_RESPONSE_RECEIVED;
}

/**
 * cifs_mid_finish - complete a request whose reply was in a bad frame
 * @server: the connection
 * @mid: a request that was found for the frame
 *
 * If its own part of the frame was good, the request has been claimed, and no other
 * path completes it.
 */
void cifs_mid_finish(struct TCP_Server_Info *server, struct mid_q_entry *mid)
{
	if (mid->mid_state == MID_RESPONSE_RECEIVED ||
	    mid->mid_state == MID_RESPONSE_MALFORMED)
		mid_execute_callback(server, mid);
}

static void cifs_mid_collect(void *ctx, u16 id, void *list)
{
	struct mid_q_entry *mid = ctx;

	list_add_tail(&mid->qhead, list);
}

static void smb2_mid_collect(void *ctx, u64 id, void *list)
{
	struct mid_q_entry *mid = ctx;

	list_add_tail(&mid->qhead, list);
}

/**
 * cifs_mids_claim_all - claim every request in flight
 * @server: the connection
 * @list: where to put the requests, with the references of the atlas or window
 */
void cifs_mids_claim_all(struct TCP_Server_Info *server,
			 struct list_head *list)
{
	if (server->window)
		mid_window_claim_all(server->window, smb2_mid_collect, list);
	else
		mid_atlas_claim_all(server->atlas, cifs_mid_collect, list);
}

/**
 * cifs_mids_reset - claim every request in flight and start a new epoch
 * @server: the connection, whose send mutex is held
 * @list: where to put the requests, with the references of the atlas or window
 *
 * Ids of the old connection no longer find a request.
 */
void cifs_mids_reset(struct TCP_Server_Info *server, struct list_head *list)
{
	if (server->window)
		mid_window_reset(server->window, smb2_mid_collect, list);
	else
		mid_atlas_claim_all(server->atlas, cifs_mid_collect, list);
}

/**
 * cifs_mids_complete - complete requests that get no reply
 * @server: the connection
 * @list: the requests from cifs_mids_claim_all() or cifs_mids_reset()
 * @state: the state to end them with
 * @rc: the error that goes with %MID_RC
 */
void cifs_mids_complete(struct TCP_Server_Info *server, struct list_head *list,
			int state, int rc)
{
	struct mid_q_entry *mid, *next;

	list_for_each_entry_safe(mid, next, list, qhead) {
		list_del_init(&mid->qhead);
		mid->mid_rc = rc;
		/* Pairs with cifs_mid_waits(). */
		smp_store_release(&mid->mid_state, state);
		mid_execute_callback(server, mid);
		release_mid(server, mid);
	}
}

static int cifs_mids_drain(struct TCP_Server_Info *server, unsigned long timeout)
{
	if (server->window)
		return mid_window_drain(server->window, timeout);
	return mid_atlas_drain(server->atlas, timeout);
}

/**
 * cifs_mids_shut - end all requests of a connection and refuse new ones
 * @server: the connection; the socket is closed
 *
 *	T1: cifs_mids_shut()		T2: sends a request
 *
 *	no new ids
 *					issue: -ESHUTDOWN
 *	claims all
 *
 * If T2 got its id before, either T1 claims the request, or T2 fails to send it and
 * claims it.  T1's second drain waits for that.
 */
void cifs_mids_shut(struct TCP_Server_Info *server)
{
	LIST_HEAD(list);

	cifs_mids_drain(server, 0);
	cifs_mids_claim_all(server, &list);
	if (!list_empty(&list)) {
		cifs_mids_complete(server, &list, MID_SHUTDOWN, 0);
		msleep(125);	/* for the tasks that were woken, to return */
	}
	if (cifs_mids_drain(server, CIFS_SHUT_TIMEOUT))
		cifs_server_dbg(VFS, "requests were in flight for %d s after the end of their connection\n",
				CIFS_SHUT_TIMEOUT / HZ);
}

static void cifs_mid_free_rcu(struct rcu_head *rcu)
{
	mempool_free(container_of(rcu, struct mid_q_entry, rcu), &cifs_mid_pool);
}

/**
 * cifs_mid_free - free a mid whose last reference is gone
 * @mid: the mid
 *
 * A lookup that found the mid before may still read its reference count.
 */
void cifs_mid_free(struct mid_q_entry *mid)
{
	call_rcu(&mid->rcu, cifs_mid_free_rcu);
}

/* Called inside rcu_read_lock(). */
static void cifs_mid_show(const struct mid_q_entry *mid, struct seq_file *m)
{
	seq_printf(m, "\n\t\tState: %d com: %d pid: %d cbdata: %p mid %llu",
		   mid->mid_state, le16_to_cpu(mid->command), mid->pid,
		   mid->callback_data, mid->mid);
}

static void cifs_mid_show_smb1(void *ctx, u16 id, void *m)
{
	cifs_mid_show(ctx, m);
}

static void cifs_mid_show_smb2(void *ctx, u64 id, void *m)
{
	cifs_mid_show(ctx, m);
}

/**
 * cifs_mids_show - list the requests in flight
 * @server: the connection
 * @m: /proc/fs/cifs/DebugData
 */
void cifs_mids_show(struct TCP_Server_Info *server, struct seq_file *m)
{
	seq_printf(m, "\n\tServer ConnectionId: 0x%llx", server->conn_id);
	if (server->window)
		mid_window_for_each(server->window, cifs_mid_show_smb2, m);
	else
		mid_atlas_for_each(server->atlas, cifs_mid_show_smb1, m);
}

#ifdef CONFIG_CIFS_DEBUG2
static void cifs_mid_dump(const struct mid_q_entry *mid)
{
	cifs_dbg(VFS, "State: %d Cmd: %d Pid: %d Cbdata: %p Mid %llu\n",
		 mid->mid_state, le16_to_cpu(mid->command), mid->pid,
		 mid->callback_data, mid->mid);
}

static void cifs_mid_dump_smb1(void *ctx, u16 id, void *arg)
{
	cifs_mid_dump(ctx);
}

static void cifs_mid_dump_smb2(void *ctx, u64 id, void *arg)
{
	cifs_mid_dump(ctx);
}

/**
 * cifs_dump_mids - log the requests in flight
 * @server: the connection, or %NULL
 */
void cifs_dump_mids(struct TCP_Server_Info *server)
{
	if (!server)
		return;
	cifs_dbg(VFS, "Dump pending requests:\n");
	if (server->window)
		mid_window_for_each(server->window, cifs_mid_dump_smb2, NULL);
	else
		mid_atlas_for_each(server->atlas, cifs_mid_dump_smb1, NULL);
}
#else
void cifs_dump_mids(struct TCP_Server_Info *server)
{
}
#endif

/**
 * cifs_mids_next - get the next MessageId, for tracepoints
 * @server: the connection
 *
 * Return: the MessageId; always 0 for SMB1.
 */
u64 cifs_mids_next(struct TCP_Server_Info *server)
{
	return server->window ? mid_window_next(server->window) : 0;
}

static void cifs_mids_destroy_smb1(struct mid_atlas *atlas, u64 conn_id)
{
	struct mid_atlas_stats s;

	mid_atlas_stats(atlas, &s);
	pr_info("connection %llu: %llu MIDs handed out, %llu came back, %u left; %llu stale and %llu unknown replies; %u in flight at most\n",
		conn_id, s.associated, s.dissociated, s.in_use, s.stale, s.unknown, s.high_water);
	mid_atlas_destroy(atlas, NULL, NULL);
}

static void cifs_mids_destroy_smb2(struct mid_window *window, u64 conn_id)
{
	struct mid_window_stats s;

	mid_window_stats(window, &s);
	pr_info("connection %llu: %llu MessageIds handed out, %llu came back, %u left; %llu stale and %llu unknown replies; %u in flight at most\n",
		conn_id, s.associated, s.dissociated, s.in_use, s.stale, s.unknown, s.high_water);
	mid_window_destroy(window, NULL, NULL);
}

/**
 * cifs_mids_destroy - free what cifs_mids_create() allocated
 * @server: the connection; no task uses it any more
 */
void cifs_mids_destroy(struct TCP_Server_Info *server)
{
	if (!IS_ERR_OR_NULL(server->atlas))
		cifs_mids_destroy_smb1(server->atlas, server->conn_id);
	if (!IS_ERR_OR_NULL(server->window))
		cifs_mids_destroy_smb2(server->window, server->conn_id);
}
