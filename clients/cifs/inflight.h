/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that one connection of cifs has in flight
 *
 * SMB1's are in a MID atlas, SMB2/3's in a window of MessageIds; a connection has
 * the one or the other for life.  Both hold a pointer to the struct mid_q_entry,
 * and a reference to it, from cifs_mid_issue() to the claim that takes it out.
 *
 *	issue		the request gets its id and can be found by it
 *	submit		it is complete, and a reply to it makes sense
 *	claim		exactly one of reply, failed send and reset gets it
 *
 * Only who claimed a mid may change its state, run its callback or write into its
 * buffers.  All contexts are process contexts.
 */
#ifndef _CIFS_INFLIGHT_H
#define _CIFS_INFLIGHT_H

#include <linux/types.h>

struct TCP_Server_Info;
struct list_head;
struct mid_q_entry;
struct seq_file;

int cifs_mids_create(struct TCP_Server_Info *server);
void cifs_mids_shut(struct TCP_Server_Info *server);
void cifs_mids_destroy(struct TCP_Server_Info *server);

int cifs_mid_issue(struct TCP_Server_Info *server, struct mid_q_entry *mid);
void cifs_mid_submit(struct mid_q_entry *mid);

u32 cifs_mids_epoch(struct TCP_Server_Info *server);
void cifs_mids_grant(struct TCP_Server_Info *server, u32 epoch,
		     unsigned int credits);
struct mid_q_entry *cifs_mid_find(struct TCP_Server_Info *server, u32 epoch,
				  u64 id, __le16 command);

void cifs_mid_answer(struct mid_q_entry *mid, bool malformed);
bool cifs_mid_waits(const struct mid_q_entry *mid);
void cifs_mid_finish(struct TCP_Server_Info *server, struct mid_q_entry *mid);

bool cifs_mid_claim(struct TCP_Server_Info *server, struct mid_q_entry *mid);
bool cifs_mid_unsend(struct TCP_Server_Info *server, struct mid_q_entry *mid);
void cifs_mids_claim_all(struct TCP_Server_Info *server,
			 struct list_head *list);
void cifs_mids_reset(struct TCP_Server_Info *server, struct list_head *list);
void cifs_mids_complete(struct TCP_Server_Info *server, struct list_head *list,
			int state, int rc);
void cifs_mid_free(struct mid_q_entry *mid);

void cifs_mids_show(struct TCP_Server_Info *server, struct seq_file *m);
u64 cifs_mids_next(struct TCP_Server_Info *server);

#endif /* _CIFS_INFLIGHT_H */
