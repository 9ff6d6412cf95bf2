// SPDX-License-Identifier: GPL-2.0
//
// A request gets its id at the end of the mid's allocation, under the send mutex, and
// not earlier. Each mid returns exactly its own ids if it is not sent. The order does
// not matter. A compound takes its ids in one piece. A large read or write takes them
// with its credits, and may get fewer than it wants.

@smb1_mid@
identifier hdr, server, entry;
@@
 alloc_mid(
-	const struct smb_hdr *hdr
+	struct smb_hdr *hdr
	, struct TCP_Server_Info *server)
 {
 struct mid_q_entry *entry;
+int rc;
 <+...
(
-return NULL;
+return ERR_PTR(-ENOMEM);
|
-entry->mid = get_mid(hdr);
|
 entry->mid_state = MID_REQUEST_ALLOCATED;
+rc = cifs_mid_issue(server, entry);
+if (rc) {
+	release_mid(server, entry);
+	return ERR_PTR(rc);
+}
+hdr->Mid = cpu_to_le16(entry->mid);
)
 ...+>
 }

// Reads and writes have the id of their file in the same place.
@smb2_mid@
identifier hdr, server, entry;
@@
 smb2_mid_entry_alloc(
-	const struct smb2_hdr *hdr
+	struct smb2_hdr *hdr
	, struct TCP_Server_Info *server)
 {
 struct mid_q_entry *entry;
+int rc;
 <+...
(
-return NULL;
+return ERR_PTR(-ENOMEM);
|
-entry->mid = le64_to_cpu(hdr->MessageId);
|
 entry->mid_state = MID_REQUEST_ALLOCATED;
+if (entry->command == SMB2_READ || entry->command == SMB2_WRITE)
+	entry->file = ((struct smb2_read_req *)hdr)->PersistentFileId;
+rc = cifs_mid_issue(server, entry);
+if (rc) {
+	release_mid(server, entry);
+	return ERR_PTR(rc);
+}
+hdr->MessageId = cpu_to_le64(entry->mid);
)
 ...+>
 }

@sync_setup@
expression mid, e1, e2, server;
identifier alloc = {alloc_mid, smb2_mid_entry_alloc};
@@
 *mid = alloc(e1, e2);
-if (*mid == NULL)
-	return -ENOMEM;
-spin_lock(&server->mid_queue_lock);
-list_add_tail(&(*mid)->qhead, &server->pending_mid_q);
-spin_unlock(&server->mid_queue_lock);
-return 0;
+return PTR_ERR_OR_ZERO(*mid);

@async_setup@
expression mid, e1, e2;
identifier alloc = {alloc_mid, smb2_mid_entry_alloc};
statement S;
@@
 mid = alloc(e1, e2);
-if (mid == NULL) S
+if (IS_ERR(mid))
+	return mid;

@unsigned_smb2@
expression mid, server, hdr;
identifier put = {delete_mid, release_mid};
@@
-revert_current_mid_from_hdr(server, hdr);
+cifs_mid_unsend(server, mid);
 put(server, mid);

@unsigned_smb1@
expression mid, rqst, server, rc;
identifier put = {delete_mid, release_mid};
@@
 rc = cifs_sign_rqst(rqst, server, &mid->sequence_number);
 if (rc) {
+	cifs_mid_unsend(server, mid);
 	put(server, mid);
 	...
 }

// Without a mid no id has been taken.
@no_mid@
expression server, hdr;
@@
-revert_current_mid_from_hdr(server, hdr);

// The first @n mids of a compound were set up, the next one failed.
@unsent_part@
expression server, n;
identifier i, mid;
@@
-revert_current_mid(server, n);
 for (i = 0; i < n; i++)
-	delete_mid(server, mid[i]);
+{
+	cifs_mid_unsend(server, mid[i]);
+	delete_mid(server, mid[i]);
+}
+cifs_ids_return(server, &server->ids);

@unsent_compound@
expression server, n, e;
identifier i, mid;
@@
-revert_current_mid(server, n);
 e -= 2;
 for (i = 0; i < n; i++) {
+	cifs_mid_unsend(server, mid[i]);
 	delete_mid(server, mid[i]);
 	...
 }

// If another path claimed it, its callback reports the error: return none here.
@unsent_async@
expression server, n, e, mid;
@@
 if (rc < 0) {
-	revert_current_mid(server, n);
 	e -= 2;
-	delete_mid(server, mid);
+	if (cifs_mid_unsend(server, mid))
+		release_mid(server, mid);
+	else
+		rc = 0;
 }

// The ids of a compound, which is always SMB2/3
@reserve_compound@
symbol rc, credits, optype, j;
identifier server, rqst, mid, ses, num, i;
@@
 compound_send_recv(..., const int num, struct smb_rqst *rqst, ...)
 {
 <+...
+rc = cifs_ids_reserve_compound(server, rqst, num);
+if (rc) {
+	cifs_server_unlock(server);
+	for (j = 0; j < num; j++)
+		add_credits(server, &credits[j], optype);
+	return rc;
+}
 for (i = 0; i < num; i++) {
 	mid[i] = server->ops->setup_request(ses, server, &rqst[i]);
 	...
 }
 ...+>
 }

// The ids of a large read or write: at least one, at most one for each credit
@reserve_some@
expression server, num, credits, size;
@@
 credits->value = DIV_ROUND_UP(*num, size);
+cifs_ids_reserve_some(server, credits, num);
 credits->instance = server->reconnect_instance;

@trim@
expression server, c, n;
@@
+cifs_ids_trim(server, c, n);
 server->credits += c->value - n;

@return_with_credits@
identifier server, credits;
@@
 add_credits_and_wake_if(struct TCP_Server_Info *server, struct cifs_credits *credits, ...)
 {
 if (credits->value) {
+	cifs_ids_return(server, &credits->ids);
 	...
 }
 }

@use_async@
identifier server, rqst, credits, flags, mid;
@@
 cifs_call_async(struct TCP_Server_Info *server, struct smb_rqst *rqst, ...,
		 const int flags,
-		 const struct cifs_credits *credits
+		 struct cifs_credits *credits
		 )
 {
 <+...
+if (flags & CIFS_HAS_CREDITS) {
+	server->ids = credits->ids;
+	credits->ids.n = 0;
+}
 mid = server->ops->setup_async_request(server, rqst);
+cifs_ids_return(server, &server->ids);
 ...+>
 }

// A reply must find a request only when its callback is set.
@submit_async@
expression server, mid;
@@
-mid->mid_state = MID_REQUEST_SUBMITTED;
-spin_lock(&server->mid_queue_lock);
-list_add_tail(&mid->qhead, &server->pending_mid_q);
-spin_unlock(&server->mid_queue_lock);
+cifs_mid_submit(mid);

@submit_compound@
identifier mid, i;
statement S;
@@
-mid[i]->mid_state = MID_REQUEST_SUBMITTED;
 mid[i]->optype = ...;
 if (...)
 	mid[i]->callback = ...;
 else
 	mid[i]->callback = ...;
+cifs_mid_submit(mid[i]);

// The window of a new connection starts at MessageId 0 by itself.
@negotiate@
expression server;
@@
-spin_lock(&server->mid_counter_lock);
-server->current_mid = 0;
-spin_unlock(&server->mid_counter_lock);

// The code that made ids before

@early_smb1_if@
expression E, hdr, server;
@@
-if (E)
-	hdr->Mid = get_next_mid(server);

@early_smb1@
expression hdr, server;
@@
(
-hdr->Mid = get_next_mid(server);
|
-hdr.Mid = get_next_mid(server);
)

@early_smb2@
expression server, hdr;
@@
-smb2_seq_num_into_buf(server, hdr);

@counters@
identifier f = {smb2_seq_num_into_buf, smb2_get_next_mid, smb2_revert_current_mid,
		cifs_get_next_mid, get_next_mid, get_next_mid64,
		revert_current_mid, revert_current_mid_from_hdr};
@@
-f(...) { ... }

@counter_ops@
identifier ops, f;
@@
 struct smb_version_operations ops = {
-	.get_next_mid = f,
 };

@revert_ops@
identifier ops, f;
@@
 struct smb_version_operations ops = {
-	.revert_current_mid = f,
 };

@ops_fields@
identifier a, b;
@@
 struct smb_version_operations {
 ...
-__u64 (*get_next_mid)(struct TCP_Server_Info *);
-void (*revert_current_mid)(struct TCP_Server_Info *a, const unsigned int b);
 ...
 };
