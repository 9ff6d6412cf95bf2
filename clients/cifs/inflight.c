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
#include "smb2pdu.h"
#include "inflight.h"

/* MIDs of an SMB1 connection without growing its table; Samba allows 50. */
#define CIFS_FIRST_MIDS	256

/* How long a shutdown waits for senders that already have an id. */
#define CIFS_SHUT_TIMEOUT	(46 * HZ)

static const char *const smb2_names[] = {
	[SMB2_NEGOTIATE_HE] = "NEGOTIATE",
	[SMB2_SESSION_SETUP_HE] = "SESSION_SETUP",
	[SMB2_LOGOFF_HE] = "LOGOFF",
	[SMB2_TREE_CONNECT_HE] = "TREE_CONNECT",
	[SMB2_TREE_DISCONNECT_HE] = "TREE_DISCONNECT",
	[SMB2_CREATE_HE] = "CREATE",
	[SMB2_CLOSE_HE] = "CLOSE",
	[SMB2_FLUSH_HE] = "FLUSH",
	[SMB2_READ_HE] = "READ",
	[SMB2_WRITE_HE] = "WRITE",
	[SMB2_LOCK_HE] = "LOCK",
	[SMB2_IOCTL_HE] = "IOCTL",
	[SMB2_CANCEL_HE] = "CANCEL",
	[SMB2_ECHO_HE] = "ECHO",
	[SMB2_QUERY_DIRECTORY_HE] = "QUERY_DIRECTORY",
	[SMB2_CHANGE_NOTIFY_HE] = "CHANGE_NOTIFY",
	[SMB2_QUERY_INFO_HE] = "QUERY_INFO",
	[SMB2_SET_INFO_HE] = "SET_INFO",
	[SMB2_OPLOCK_BREAK_HE] = "OPLOCK_BREAK",
};

/*
 * What debugfs shows of a request
 *
 *	T1: reads debugfs, under RCU	T2: cifsd
 *
 *	finds the mid
 *					claims it, completes it
 *					last reference: frees buffers, call_rcu
 *	reads command, pid and file
 *	leaves RCU
 *					frees or reuses the mid
 *
 * These members are final before the request is in flight.  The path is not shown: only the
 * task that waits, or callback_data, holds the open file, and T2 may have ended that.  The
 * id of the file is the same as in /proc/fs/cifs/open_files, which has the path.
 */
static void smb2_mid_describe(struct seq_file *m, void *ctx)
{
	const struct mid_q_entry *mid = ctx;

	seq_printf(m, "%s pid %d", smb2_names[le16_to_cpu(mid->command)], mid->pid);
	if (mid->file)
		seq_printf(m, " file 0x%llx", mid->file);
}

static void smb1_mid_describe(struct seq_file *m, void *ctx)
{
	const struct mid_q_entry *mid = ctx;

	seq_printf(m, "command 0x%02x pid %d", le16_to_cpu(mid->command), mid->pid);
}

/**
 * cifs_mids_create - create the atlas or window of a new connection
 * @server: the connection; its protocol is known
 * @max_credits: the mount option, or 0
 *
 * Each request in flight has cost a credit.  Windows and Samba let a connection have
 * MID_WINDOW_MAX_SPAN credits unless they are configured otherwise, so a window for
 * that many requests, in 1 MiB, never needs memory again.  "max_credits" makes it
 * smaller.
 *
 * In debugfs it has the name of the server.  Further channels have a number, too.
 *
 * Return: 0 or %-ENOMEM.
 */
int cifs_mids_create(struct TCP_Server_Info *server, unsigned int max_credits)
{
	const char *name = *server->hostname ? server->hostname : "cifs";
	unsigned int slots = MID_WINDOW_MAX_SPAN;

	if (is_smb1(server)) {
		server->atlas = mid_atlas_create(name, MID_ATLAS_MAX_MIDS,
						 CIFS_FIRST_MIDS, GFP_KERNEL);
		if (IS_ERR(server->atlas))
			return PTR_ERR(server->atlas);
		mid_atlas_show_with(server->atlas, smb1_mid_describe);
		return 0;
	}
	if (max_credits >= 20)	/* cifs ignores less */
		slots = min(slots, max_credits);
	server->window = mid_window_create(name, slots, GFP_KERNEL);
	if (IS_ERR(server->window))
		return PTR_ERR(server->window);
	mid_window_show_with(server->window, smb2_mid_describe);
	return 0;
}

/**
 * cifs_ids_reserve_compound - reserve the ids of a compound
 * @server: the connection; the caller holds its send mutex
 * @rqst: its requests, of SMB2/3 if there are several
 * @num: how many
 *
 * A single request gets its ids from cifs_mid_issue().
 *
 * Return: 0; %-EAGAIN; or %-EDEADLK if no credit can come.
 */
int cifs_ids_reserve_compound(struct TCP_Server_Info *server,
			      const struct smb_rqst *rqst, int num)
{
	const struct smb2_hdr *hdr;
	unsigned int charge = 0;
	int i, rc;

	if (num == 1)
		return 0;
	for (i = 0; i < num; i++) {
		hdr = rqst[i].rq_iov[0].iov_base;
		charge += max(le16_to_cpu(hdr->CreditCharge), 1);
	}
	rc = mid_window_reserve(server->window, charge, charge, &server->ids, 0, 0);
	return rc && rc != -EDEADLK ? -EAGAIN : rc;
}

/**
 * cifs_ids_reserve_some - reserve the ids of a large read or write
 * @server: the connection
 * @credits: the credits that it may use; fewer if there is no run of that many ids
 * @size: how many bytes they are for; updated
 *
 * Without an id here, cifs_mid_issue() decides.
 */
void cifs_ids_reserve_some(struct TCP_Server_Info *server,
			   struct cifs_credits *credits, size_t *size)
{
	if (mid_window_reserve(server->window, 1, credits->value,
			       &credits->ids, 0, 0))
		credits->ids.n = 0;
	else if (credits->ids.n < credits->value) {
		credits->value = credits->ids.n;
		*size = credits->value * SMB2_MAX_BUFFER_SIZE;
	}
}

/**
 * cifs_ids_return - return reserved ids that are not used
 * @server: the connection
 * @ids: the ids, or none
 */
void cifs_ids_return(struct TCP_Server_Info *server, struct mid_span *ids)
{
	if (ids->n)
		mid_window_give_back(server->window, ids);
}

/**
 * cifs_ids_trim - return reserved ids that are not needed
 * @server: the connection
 * @credits: the credits and ids of a read or write
 * @n: how many ids it needs
 */
void cifs_ids_trim(struct TCP_Server_Info *server, struct cifs_credits *credits,
		   unsigned int n)
{
	struct mid_span rest = credits->ids;

	if (rest.n <= n)
		return;
	rest.first += n;
	rest.n -= n;
	credits->ids.n = n;
	mid_window_give_back(server->window, &rest);
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

/* Whether @server has no id, and no reply can come that would grant one */
static bool smb2_starved(struct TCP_Server_Info *server)
{
	struct mid_span ids;
	int rc;

	rc = mid_window_reserve(server->window, 1, 1, &ids, 0, 0);
	if (!rc)
		mid_window_give_back(server->window, &ids);
	return rc == -EDEADLK;
}

/* NEGOTIATE and SESSION_SETUP have the first ids of a connection, in this order. */
static int smb2_reserve_first(struct TCP_Server_Info *server,
			      struct mid_q_entry *mid)
{
	int rc = mid_window_reserve(server->window, mid->credits, mid->credits,
				    &server->ids, MID_WINDOW_URGENT, 0);

	/* A session setup that began on the connection before */
	if (!rc && !server->ids.first && mid->command != SMB2_NEGOTIATE) {
		mid_window_give_back(server->window, &server->ids);
		return -EAGAIN;
	}
	return rc;
}

/*
 * A request takes as many consecutive ids as it costs credits (MS-SMB2 3.2.4.1.5).
 * It takes none if the server has not granted that many.
 */
static int cifs_mid_issue_smb2(struct TCP_Server_Info *server,
			       struct mid_q_entry *mid)
{
	int rc = 0;

	if (mid->command == SMB2_NEGOTIATE || mid->command == SMB2_SESSION_SETUP)
		rc = smb2_reserve_first(server, mid);
	if (rc)
		return rc;

	if (server->ids.n)
		rc = mid_window_associate(server->window, &server->ids,
					  mid->credits, mid, &mid->tag, GFP_NOFS);
	else
		rc = mid_window_begin(server->window, mid->credits, mid,
				      &mid->tag, GFP_NOFS);
	if (rc)
		return rc == -EAGAIN && smb2_starved(server) ? -EDEADLK : rc;
	mid->mid = mid->tag.id;
	WRITE_ONCE(server->next_mid, mid->mid + mid->credits);
	return 0;
}

/**
 * cifs_mid_issue - give a request its id
 * @server: the connection; the caller holds its send mutex
 * @mid: the request, to which the caller has a reference of its own
 *
 * From now on the request is in flight and must be claimed.  No reply finds it
 * before cifs_mid_submit().
 *
 * If no id can ever come the connection is of no use.  cifsd ends it, too, when it
 * counts no credits and nothing in flight.
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
	if (rc == -ESHUTDOWN)
		return -ENOENT;
	if (rc == -EDEADLK || rc == -ENOSPC)	/* no credits; all MIDs in use */
		cifs_signal_cifsd_for_reconnect(server, false);
	return -EAGAIN;
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
	if (!mid && server->window && id != MID_WINDOW_RESERVED)
		mid_window_stray(server->window, epoch, id);
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
		ours = mid_window_dissociate_if(server->window, &mid->tag, mid);
	else
		ours = mid_atlas_dissociate_if(server->atlas, mid->mid, mid);
	if (ours)
		refcount_dec(&mid->refcount);
	return ours;
}

/**
 * cifs_mid_unsend - take a request out that could not be sent
 * @server: the connection; the caller holds its send mutex
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
	if (!mid_window_unsend(server->window, &mid->tag, mid))
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

/* What is to be done with each request, whose id has 16 or 64 bits */
struct cifs_mids_call {
	void (*fn)(struct mid_q_entry *mid, void *arg);
	void *arg;
};

static void cifs_mids_call_smb1(void *mid, u16 id, void *arg)
{
	struct cifs_mids_call *call = arg;

	call->fn(mid, call->arg);
}

static void cifs_mids_call_smb2(void *mid, u64 id, void *arg)
{
	struct cifs_mids_call *call = arg;

	call->fn(mid, call->arg);
}

static void cifs_mids_for_each(struct TCP_Server_Info *server,
			       void (*fn)(struct mid_q_entry *mid, void *arg),
			       void *arg)
{
	struct cifs_mids_call call = { fn, arg };

	if (server->window)
		mid_window_for_each(server->window, cifs_mids_call_smb2, &call);
	else
		mid_atlas_for_each(server->atlas, cifs_mids_call_smb1, &call);
}

static void cifs_mid_collect(struct mid_q_entry *mid, void *list)
{
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
	struct cifs_mids_call call = { cifs_mid_collect, list };

	if (server->window)
		mid_window_claim_if(server->window, 0, NULL, cifs_mids_call_smb2,
				    &call);
	else
		mid_atlas_claim_all(server->atlas, cifs_mids_call_smb1, &call);
}

/**
 * cifs_mids_reset - claim every request in flight and start a new epoch
 * @server: the connection; the caller holds its send mutex
 * @list: where to put the requests, with the references of the atlas or window
 *
 * Ids of the old connection no longer find a request.  Before mid_window_resume(),
 * only the requests that set up the new connection have ids.
 */
void cifs_mids_reset(struct TCP_Server_Info *server, struct list_head *list)
{
	struct cifs_mids_call call = { cifs_mid_collect, list };

	if (server->window)
		mid_window_reset(server->window, cifs_mids_call_smb2, &call);
	else
		cifs_mids_claim_all(server, list);
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
static void cifs_mid_show(struct mid_q_entry *mid, void *m)
{
	seq_printf(m, "\n\t\tState: %d com: %d pid: %d cbdata: %p mid %llu",
		   mid->mid_state, le16_to_cpu(mid->command), mid->pid,
		   mid->callback_data, mid->mid);
}

/**
 * cifs_mids_show - list the requests in flight
 * @server: the connection
 * @m: /proc/fs/cifs/DebugData
 */
void cifs_mids_show(struct TCP_Server_Info *server, struct seq_file *m)
{
	seq_printf(m, "\n\tServer ConnectionId: 0x%llx", server->conn_id);
	cifs_mids_for_each(server, cifs_mid_show, m);
}

static void __maybe_unused cifs_mid_dump(struct mid_q_entry *mid, void *unused)
{
	cifs_dbg(VFS, "State: %d Cmd: %d Pid: %d Cbdata: %p Mid %llu\n",
		 mid->mid_state, le16_to_cpu(mid->command), mid->pid,
		 mid->callback_data, mid->mid);
}

/**
 * cifs_dump_mids - log the requests in flight
 * @server: the connection, or %NULL
 */
void cifs_dump_mids(struct TCP_Server_Info *server)
{
	if (!server || !IS_ENABLED(CONFIG_CIFS_DEBUG2))
		return;
	cifs_dbg(VFS, "Dump pending requests:\n");
	cifs_mids_for_each(server, cifs_mid_dump, NULL);
}

/**
 * cifs_mids_destroy - free what cifs_mids_create() allocated
 * @server: the connection; no task uses it any more
 */
void cifs_mids_destroy(struct TCP_Server_Info *server)
{
	struct mid_window_stats w;
	struct mid_atlas_stats a;

	if (!IS_ERR_OR_NULL(server->atlas)) {
		mid_atlas_stats(server->atlas, &a);
		pr_info("connection %llu: %llu MIDs handed out, %llu came back, %u left; %llu stale and %llu unknown replies; %u in flight at most\n",
			server->conn_id, a.associated, a.dissociated, a.in_use,
			a.stale, a.unknown, a.high_water);
		mid_atlas_destroy(server->atlas, NULL, NULL);
	}
	if (!IS_ERR_OR_NULL(server->window)) {
		mid_window_stats(server->window, &w);
		pr_info("connection %llu: %llu MessageIds handed out, %llu came back, %u left; %llu stale and %llu unknown replies; %u in flight at most\n",
			server->conn_id, w.associated, w.dissociated,
			w.in_use + w.spans, w.stale, w.unknown, w.high_water);
		mid_window_destroy(server->window, NULL, NULL);
	}
}
