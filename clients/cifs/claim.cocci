// SPDX-License-Identifier: GPL-2.0
//
// A path that ends a request claims it before it touches it. If the claim fails, it
// leaves the request alone.

@dequeue@
typedef bool;
identifier server, mid, malformed;
@@
-void
+bool
 dequeue_mid(struct TCP_Server_Info *server, struct mid_q_entry *mid, bool malformed)
 {
+	if (!cifs_mid_claim(server, mid))
+		return false;
 ...
-	spin_lock(&server->mid_queue_lock);
-	if (!malformed)
-		mid->mid_state = MID_RESPONSE_RECEIVED;
-	else
-		mid->mid_state = MID_RESPONSE_MALFORMED;
-	if (mid->deleted_from_q == true) {
-		...
-	} else {
-		...
-	}
+	cifs_mid_answer(mid, malformed);
+	return true;
 }

@delete@
identifier server, mid;
@@
 delete_mid(struct TCP_Server_Info *server, struct mid_q_entry *mid)
 {
-	spin_lock(&server->mid_queue_lock);
-	if (!mid->deleted_from_q) { ... }
-	spin_unlock(&server->mid_queue_lock);
+	cifs_mid_claim(server, mid);
 	...
 }

// A reply in one of cifsd's buffers
@handle@
identifier server, mid, buf, malformed;
@@
-static void
+static int
 handle_mid(struct mid_q_entry *mid, struct TCP_Server_Info *server, char *buf,
	    int malformed)
 {
 if (...)
-	return;
+	return 0;
+if (!cifs_mid_claim(server, mid))
+	return -1;
 ...
-dequeue_mid(server, mid, malformed);
+cifs_mid_answer(mid, malformed);
+return 0;
 }

@handled@
expression mid, server, buf, rc;
@@
-handle_mid(mid, server, buf, rc);
-return 0;
+return handle_mid(mid, server, buf, rc);

// The last part of a reply in several parts
@last_part@
expression server, mid, e;
@@
-mid->multiEnd = true;
-dequeue_mid(server, mid, e);
+mid->multiEnd = dequeue_mid(server, mid, e);

// Data that cifsd discards from the socket. If the socket is lost meanwhile, the mid
// is still in flight, or the reset has claimed it.
@discarded@
expression server, mid, e;
identifier length;
@@
 length = cifs_discard_remaining_data(server);
-dequeue_mid(server, mid, e);
+if (length < 0 || !dequeue_mid(server, mid, e))
+	return -1;

@received@
expression server, mid;
@@
 cifs_readv_receive(...)
 {
 <+...
-dequeue_mid(server, mid, false);
+if (!dequeue_mid(server, mid, false))
+	return -1;
 ...+>
 }

// Decrypted data is copied. The checks that leave the request in flight come before
// the claim, so a worker never has to put a request back. After the claim the request
// always ends.
@read_claim@
identifier server, mid;
@@
 handle_read_data(struct TCP_Server_Info *server, struct mid_q_entry *mid, ...)
 {
 ...
 if (server->ops->is_status_pending && ...)
 	return -1;
+if (!cifs_mid_claim(server, mid))
+	return -1;
 ...
 }

@read_answer@
expression server, mid, rc;
identifier offloaded;
@@
(
-if (offloaded)
-	mid->mid_state = MID_RESPONSE_RECEIVED;
-else
-	dequeue_mid(server, mid, false);
+cifs_mid_answer(mid, false);
|
-if (offloaded)
-	mid->mid_state = MID_RESPONSE_MALFORMED;
-else
-	dequeue_mid(server, mid, rc);
+cifs_mid_answer(mid, true);
)

@read_no_copy@
symbol copied, mid, rdata;
expression e;
@@
 if (copied == 0)
-	return e;
+{
+	rdata->result = e;
+	cifs_mid_answer(mid, true);
+	return 0;
+}

@offload_done@
identifier rc;
@@
 smb2_decrypt_offload(...)
 {
 <+...
 if (rc >= 0) { ... }
-else { ... }
 ...+>
 }

// The sender of a request reads how it ended

@waiting@
expression mid;
@@
-mid->mid_state != MID_REQUEST_SUBMITTED && mid->mid_state != MID_RESPONSE_RECEIVED
+!cifs_mid_waits(mid)

@sync_result@
identifier server, mid;
@@
 cifs_sync_mid_result(struct mid_q_entry *mid, struct TCP_Server_Info *server)
 {
 <+...
(
-spin_lock(&server->mid_queue_lock);
|
-spin_unlock(&server->mid_queue_lock);
|
-if (mid->deleted_from_q == false) { ... }
+cifs_mid_claim(server, mid);
)
 ...+>
 }

// The reply must be visible before the state says that it is ready.
@ready@
expression mid;
@@
-mid->mid_state = MID_RESPONSE_READY;
+/* Pairs with cifs_mid_waits(). */
+smp_store_release(&mid->mid_state, MID_RESPONSE_READY);

// A frame of several parts can fail after some of its mids have been claimed.
@failed_frame@
symbol length, num_mids;
expression server;
identifier i, mids;
@@
 if (length < 0) {
 	for (i = 0; i < num_mids; i++)
-		if (mids[i])
+		if (mids[i]) {
+			cifs_mid_finish(server, mids[i]);
 			release_mid(server, mids[i]);
+		}
 	...
 }
