// SPDX-License-Identifier: GPL-2.0
//
// The transport over a socket or two files. The list of sent requests is gone; the one of
// unsent requests holds a reference to each, which the writer takes over.

@fd_fields@
@@
 struct p9_conn {
 ...
-struct list_head req_list;
+u32 skip;
+char skipped[PAGE_SIZE];
 struct list_head unsent_req_list;
 ...
 };

@fd_init@
expression m;
@@
-INIT_LIST_HEAD(&m->req_list);

// No reply finds a request any more, and nobody sends one.
@fd_conn_cancel@
identifier m, err, req, rtmp, cancel_list;
iterator name list_for_each_entry_safe;
declarer name LIST_HEAD;
@@
 p9_conn_cancel(struct p9_conn *m, int err)
 {
 ...
-LIST_HEAD(cancel_list);
 p9_debug(...);
+if (err >= 0)
+	err = -ECONNRESET; /* end of file */
 ...
-list_for_each_entry_safe(req, rtmp, &m->req_list, req_list) { ... }
 list_for_each_entry_safe(req, rtmp, &m->unsent_req_list, req_list) {
-	list_move(&req->req_list, &cancel_list);
-	WRITE_ONCE(req->status, REQ_STATUS_ERROR);
+	list_del_init(&req->req_list);
+	p9_req_put(m->client, req);
 }
 spin_unlock(&m->req_lock);
-list_for_each_entry_safe(req, rtmp, &cancel_list, req_list) { ... }
+p9_tags_shut(m->client, err);
 }

// After umount -f, Tclunks are still sent.
@fd_poll@
expression client;
@@
 p9_fd_poll(...)
 {
 ...
-if (client && client->status == Connected)
+if (client && client->status != Disconnected)
 	ts = client->trans;
 ...
 }

@fd_skip@
identifier m;
expression e1;
@@
 p9_read_work(...)
 {
 <+...
 clear_bit(Rpending, &m->wsched);
+if (m->skip) {
+	err = p9_fd_read(m->client, m->skipped, min(m->skip, (u32)sizeof(m->skipped)));
+	if (err == -EAGAIN)
+		goto end_clear;
+	if (err <= 0)
+		goto error;
+	m->skip -= err;
+	goto end_clear;
+}
 ...+>
 }

@fd_lookup@
expression m;
@@
-m->rreq = p9_tag_lookup(m->client, m->rc.tag);
-if (!m->rreq || (m->rreq->status != REQ_STATUS_SENT)) { ... }
+m->rreq = p9_tag_lookup(m->client, m->rc.tag, m->rc.id);
+if (!m->rreq && m->rc.size > m->client->msize) {
+	p9_debug(P9_DEBUG_ERROR, "bad packet: size %d tag %d\n", m->rc.size, m->rc.tag);
+	err = -EIO;
+	goto error;
+}
+if (!m->rreq) {
+	m->skip = m->rc.size - P9_HDRSZ;
+	m->rc.sdata = NULL;
+	goto end_clear;
+}

@fd_received@
expression m;
@@
 m->rreq->rc.size = m->rc.offset;
-spin_lock(&m->req_lock);
-if (m->rreq->status == REQ_STATUS_SENT) { ... }
-else if (m->rreq->status == REQ_STATUS_FLSHD) { ... }
-else { ... }
-spin_unlock(&m->req_lock);
+if (p9_req_claim(m->client, m->rreq))
+	p9_client_cb(m->client, m->rreq, REQ_STATUS_RCVD);

// A stray reply may come while nothing is in flight.
@fd_read_on@
identifier m, n;
@@
 p9_read_work(...)
 {
 <+...
-if (!list_empty(&m->req_list)) {
-	if (test_and_clear_bit(Rpending, &m->wsched))
-		n = EPOLLIN;
-	else
-		n = p9_fd_poll(m->client, NULL, NULL);
-	if ((n & EPOLLIN) && !test_and_set_bit(Rworksched, &m->wsched)) { ... }
-}
+if (test_and_clear_bit(Rpending, &m->wsched))
+	n = EPOLLIN;
+else
+	n = p9_fd_poll(m->client, NULL, NULL);
+if ((n & EPOLLIN) && !test_and_set_bit(Rworksched, &m->wsched))
+	schedule_work(&m->rq);
 return;
 ...+>
 }

@fd_write@
identifier m, req;
@@
 p9_write_work(...)
 {
 <+...
 req = list_entry(...);
-WRITE_ONCE(req->status, REQ_STATUS_SENT);
-p9_debug(...);
-list_move_tail(&req->req_list, &m->req_list);
+list_del_init(&req->req_list);
+if (!p9_req_advance(req, REQ_STATUS_SENT)) {
+	spin_unlock(&m->req_lock);
+	p9_req_put(m->client, req);
+	goto end_clear;
+}
 m->wbuf = req->tc.sdata;
 m->wsize = req->tc.size;
 m->wpos = 0;
-p9_req_get(req);
 m->wreq = req;
 ...+>
 }

@fd_request@
expression m, req;
@@
-WRITE_ONCE(req->status, REQ_STATUS_UNSENT);
-list_add_tail(&req->req_list, &m->unsent_req_list);
+if (p9_req_advance(req, REQ_STATUS_UNSENT)) {
+	p9_req_get(req);
+	list_add_tail(&req->req_list, &m->unsent_req_list);
+}

@fd_cancel@
identifier client, req, m, ret;
@@
 p9_fd_cancel(struct p9_client *client, struct p9_req_t *req)
 {
 ...
-if (req->status == REQ_STATUS_UNSENT) {
-	list_del(&req->req_list);
-	WRITE_ONCE(req->status, REQ_STATUS_FLSHD);
-	p9_req_put(client, req);
+if (!list_empty(&req->req_list)) {
+	list_del_init(&req->req_list);
 	ret = 0;
 }
 spin_unlock(&m->req_lock);
+if (!ret) {
+	p9_req_put(client, req); /* of the list */
+	p9_req_end(client, req, REQ_STATUS_FLSHD, -ERESTARTSYS);
+}
 return ret;
 }

@fd_cancelled@
@@
-p9_fd_cancelled(...) { ... }

@fd_cancelled_op@
identifier t;
@@
 struct p9_trans_module t = {
-	.cancelled = p9_fd_cancelled,
 };
