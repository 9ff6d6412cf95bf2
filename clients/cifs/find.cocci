// SPDX-License-Identifier: GPL-2.0
//
// Looks up a reply's id in the atlas or window instead of searching the queue.

@find_smb1@
iterator name list_for_each_entry;
identifier server, buffer, buf, mid;
@@
 cifs_find_mid(struct TCP_Server_Info *server, char *buffer)
 {
 struct smb_hdr *buf = ...;
-struct mid_q_entry *mid;
-spin_lock(&server->mid_queue_lock);
-list_for_each_entry(mid, &server->pending_mid_q, qhead) { ... }
-spin_unlock(&server->mid_queue_lock);
-return NULL;
+return cifs_mid_find(server, 0, get_mid(buf), cpu_to_le16(buf->Command));
 }

// For a reply that a worker decrypts, cifs found and dequeued the mid in one step. Now the
// worker claims it later, as all others do.
@find_only@
identifier server, buf, dequeue;
@@
 __smb2_find_mid(struct TCP_Server_Info *server, char *buf
-	, bool dequeue
	)
 {
 <+...
-if (dequeue) { ... }
 ...+>
 }

@find_only_now@
expression server, buf;
@@
-__smb2_find_mid(server, buf, false)
+__smb2_find_mid(server, buf)

@find_and_dequeue@
@@
-smb2_find_dequeue_mid(...) { ... }

@offload_finds@
expression server, buf;
@@
-smb2_find_dequeue_mid(server, buf)
+__smb2_find_mid(server, buf)

// Each SMB2 reply passes here exactly once, before a path claims its request. So this is
// where the window gets the credits that the server grants, and the AsyncId of an
// interim response. A worker passes the epoch: the connection that the reply came on.
@find_epoch@
typedef __u64, u32;
identifier server, buf, mid, hdr, wire;
expression E1, E2;
@@
 __smb2_find_mid(struct TCP_Server_Info *server, char *buf
+	, u32 epoch
	)
 {
 struct mid_q_entry *mid;
 struct smb2_hdr *hdr = E1;
 __u64 wire = E2;
 if (...) { ... }
+mid_window_grant(server->window, epoch, le16_to_cpu(hdr->CreditRequest));
+if (hdr->Status == STATUS_PENDING && hdr->Flags & SMB2_FLAGS_ASYNC_COMMAND)
+	mid_window_note_async(server->window, epoch, le64_to_cpu(hdr->MessageId),
+			      le64_to_cpu(hdr->Id.AsyncId));
 spin_lock(&server->mid_queue_lock);
 ...
 }

@find_epoch_now@
expression server, buf;
@@
-return __smb2_find_mid(server, buf);
+return __smb2_find_mid(server, buf, cifs_mids_epoch(server));

@offload_knows_epoch@
typedef u32;
@@
 struct smb2_decrypt_work {
 struct work_struct decrypt;
 struct TCP_Server_Info *server;
+u32 epoch;
 ...
 };

@offload_notes_epoch@
symbol smb2_decrypt_offload;
expression dw, s;
@@
 INIT_WORK(&dw->decrypt, smb2_decrypt_offload);
 dw->server = s;
+dw->epoch = cifs_mids_epoch(s);

// Its credits count for the connection that the reply came on, too.
@offload_finds_epoch@
expression dw, mid;
@@
-mid = __smb2_find_mid(dw->server, dw->buf);
+mid = __smb2_find_mid(dw->server, dw->buf, dw->epoch);
 if (mid == NULL) {
 	...
-	smb2_add_credits_from_hdr(dw->buf, dw->server);
+	if (dw->epoch == cifs_mids_epoch(dw->server))
+		smb2_add_credits_from_hdr(dw->buf, dw->server);
 } else { ... }

@find_smb2@
iterator name list_for_each_entry;
typedef __u64, u32;
identifier server, buf, mid, hdr, wire;
expression E1, E2;
@@
 __smb2_find_mid(struct TCP_Server_Info *server, char *buf, u32 epoch)
 {
-struct mid_q_entry *mid;
 struct smb2_hdr *hdr = E1;
-__u64 wire = E2;
 ...
-spin_lock(&server->mid_queue_lock);
-list_for_each_entry(mid, &server->pending_mid_q, qhead) { ... }
-spin_unlock(&server->mid_queue_lock);
-return NULL;
+return cifs_mid_find(server, epoch, le64_to_cpu(hdr->MessageId), hdr->Command);
 }
