//@ top
// SPDX-License-Identifier: GPL-2.0
/*
 * The requests in flight of one cifs connection: see inflight.h
 */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/seq_file.h>
#include "cifsglob.h"
#include "cifsproto.h"
#include "cifs_debug.h"
#include "inflight.h"

//@ cifs_mid_claim
/**
 * cifs_mid_claim - take a request off the queue, to end it
 * @server: the connection
 * @mid: the request, to which the caller has a reference
 *
 * Return: true if the caller owns the request now.  If false, another path has
 * claimed it, and the caller must leave it alone.
 */
bool cifs_mid_claim(struct TCP_Server_Info *server, struct mid_q_entry *mid)
{
	bool ours;

	spin_lock(&server->mid_queue_lock);
	ours = !mid->deleted_from_q;
	if (ours) {
		list_del_init(&mid->qhead);
		mid->deleted_from_q = true;
	}
	spin_unlock(&server->mid_queue_lock);
	return ours;
}

//@ cifs_mids_for_each
static void cifs_mids_for_each(struct TCP_Server_Info *server,
			       void (*fn)(struct mid_q_entry *mid, void *arg),
			       void *arg)
{
	struct mid_q_entry *mid;

	spin_lock(&server->mid_queue_lock);
	list_for_each_entry(mid, &server->pending_mid_q, qhead)
		fn(mid, arg);
	spin_unlock(&server->mid_queue_lock);
}

//@ cifs_mids_claim_all
/**
 * cifs_mids_claim_all - claim every request in flight
 * @server: the connection
 * @list: where to put the requests, with a reference to each
 */
void cifs_mids_claim_all(struct TCP_Server_Info *server,
			 struct list_head *list)
{
	struct mid_q_entry *mid;

	spin_lock(&server->mid_queue_lock);
	list_for_each_entry(mid, &server->pending_mid_q, qhead) {
		smb_get_mid(mid);
		mid->deleted_from_q = true;
	}
	list_splice_tail_init(&server->pending_mid_q, list);
	spin_unlock(&server->mid_queue_lock);
}

//@ cifs_mids_reset
/**
 * cifs_mids_reset - claim every request in flight when the connection has ended
 * @server: the connection, whose send mutex is held
 * @list: where to put the requests, with a reference to each
 */
void cifs_mids_reset(struct TCP_Server_Info *server, struct list_head *list)
{
	cifs_mids_claim_all(server, list);
}

//@ cifs_mids_shut
/**
 * cifs_mids_shut - end all requests of a connection
 * @server: the connection; the socket is closed
 */
void cifs_mids_shut(struct TCP_Server_Info *server)
{
	LIST_HEAD(list);

	cifs_mids_claim_all(server, &list);
	if (!list_empty(&list)) {
		cifs_mids_complete(server, &list, MID_SHUTDOWN, 0);
		msleep(125);	/* for the tasks that were woken, to return */
	}
	if (!list_empty(&server->pending_mid_q)) {
		/* A request may wait 45 s for the reply to an oplock break. */
		cifs_dbg(FYI, "Wait for exit from demultiplex thread\n");
		msleep(46000);
	}
}
