// SPDX-License-Identifier: GPL-2.0
//
// The end of a connection claims all requests in flight, in any state.

@reconnect@
iterator name list_for_each_entry_safe;
expression server;
identifier mid, nmid, list;
@@
-spin_lock(&server->mid_queue_lock);
-list_for_each_entry_safe(mid, nmid, &server->pending_mid_q, qhead) {
-	...
-	if (...)
-		mid->mid_state = MID_RETRY_NEEDED;
-	...
-}
-spin_unlock(&server->mid_queue_lock);
+cifs_mids_reset(server, &list);
 ...
-list_for_each_entry_safe(mid, nmid, &list, qhead) { ... }
+cifs_mids_complete(server, &list, MID_RETRY_NEEDED, 0);

// After a reset, only NEGOTIATE and SESSION_SETUP get ids. All others return -EAGAIN, as
// they do when their credits are of the old connection. The end of the first session setup
// lets them go, also if it failed: other sessions need the connection, too.
@resume@
typedef u32;
identifier ses, server, rc;
@@
 cifs_setup_session(..., struct cifs_ses *ses, struct TCP_Server_Info *server, ...)
 {
+u32 epoch = cifs_mids_epoch(server);
 <+...
(
+if (server->window)
+	mid_window_resume(server->window, epoch);
 return rc;
|
+if (server->window)
+	mid_window_resume(server->window, epoch);
 return 0;
)
 ...+>
 }

// The server wants NetBIOS: the NEGOTIATE in flight ends with the result of the
// reconnect.
@netbios@
iterator name list_for_each_entry_safe;
expression server;
identifier mid, nmid, list, mid_rc;
@@
-spin_lock(&server->mid_queue_lock);
-list_for_each_entry_safe(mid, nmid, &server->pending_mid_q, qhead) { ... }
-spin_unlock(&server->mid_queue_lock);
+cifs_mids_claim_all(server, &list);
 ...
-list_for_each_entry_safe(mid, nmid, &list, qhead) {
-	...
-	mid->mid_rc = mid_rc;
-	...
-}
+cifs_mids_complete(server, &list, MID_RC, mid_rc);

// Unmount. A worker that still decrypts a reply would look up its mid: wait for it.
@exit@
identifier server;
@@
 clean_demultiplex_info(struct TCP_Server_Info *server)
 {
 ...
-if (!list_empty(&server->pending_mid_q)) { ... }
-if (!list_empty(&server->pending_mid_q)) { ... }
+cifs_mids_shut(server);
+flush_workqueue(decrypt_wq);
 ...
 }

@unused@
identifier mid = {mid, nmid};
@@
-struct mid_q_entry *mid;
 ... when != mid
     when strict
