/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests in flight of one cifs connection
 *
 * An SMB1 connection has a MID atlas, an SMB2/3 connection a window of MessageIds,
 * from creation to release.  Both hold a pointer and a reference to the struct
 * mid_q_entry, from cifs_mid_issue() to the claim that takes it out.
 *
 *	reserve		takes the ids of a compound, or of a large read or write
 *	issue		gives the request its id
 *	submit		the request is complete: from now on a reply finds it
 *	claim		exactly one of reply, failed send and reset gets the request
 *
 * Only the path that claimed a mid may change its state, run its callback or write
 * to its buffers.
 */
#ifndef _CIFS_INFLIGHT_H
#define _CIFS_INFLIGHT_H

#include <linux/types.h>
#include "midatlas.h"
#include "midwindow.h"

struct TCP_Server_Info;
struct cifs_credits;
struct list_head;
struct mid_q_entry;
struct seq_file;
struct smb_rqst;

int cifs_mids_create(struct TCP_Server_Info *server, unsigned int max_credits);
void cifs_mids_shut(struct TCP_Server_Info *server);
void cifs_mids_destroy(struct TCP_Server_Info *server);

int cifs_ids_reserve_compound(struct TCP_Server_Info *server,
			      const struct smb_rqst *rqst, int num);
void cifs_ids_reserve_some(struct TCP_Server_Info *server,
			   struct cifs_credits *credits, size_t *size);
void cifs_ids_trim(struct TCP_Server_Info *server, struct cifs_credits *credits,
		   unsigned int n);
void cifs_ids_return(struct TCP_Server_Info *server, struct mid_span *ids);

int cifs_mid_issue(struct TCP_Server_Info *server, struct mid_q_entry *mid);
void cifs_mid_submit(struct mid_q_entry *mid);

u32 cifs_mids_epoch(struct TCP_Server_Info *server);
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

#endif /* _CIFS_INFLIGHT_H */
