// SPDX-License-Identifier: GPL-2.0
//
// A request gets its tag at the end of its allocation. A killed task lets go of its
// request, and nobody waits for a Tflush.

@tag_alloc@
identifier c, req, type, tag;
@@
-refcount_set(&req->refcount, 0);
 init_waitqueue_head(&req->wq);
 INIT_LIST_HEAD(&req->req_list);
-idr_preload(GFP_NOFS);
-spin_lock_irq(&c->lock);
-if (type == P9_TVERSION)
-	tag = idr_alloc(...);
-else
-	tag = idr_alloc(...);
-req->tc.tag = tag;
-spin_unlock_irq(&c->lock);
-idr_preload_end();
-if (tag < 0) { ... }
-refcount_set(&req->refcount, 2);
+err = p9_tag_take(c, req, type);
+if (err) {
+	p9_req_put(c, req);
+	return ERR_PTR(err);
+}
 return req;

@tag_error@
@@
 p9_tag_alloc(...)
 {
 <+...
-int tag;
+int err;
 ...+>
 }

@lookup@
@@
-p9_tag_lookup(...) { ... }

@remove@
@@
-p9_tag_remove(...) { ... }

@put@
expression c, r;
@@
-p9_tag_remove(c, r);

@callback@
@@
-p9_client_cb(...) { ... }

@exports@
identifier f = {p9_tag_lookup, p9_client_cb, p9_client_clunk};
declarer name EXPORT_SYMBOL;
@@
-EXPORT_SYMBOL(f);

@flush@
@@
-p9_client_flush(...) { ... }

@clunk@
@@
-p9_client_clunk(...) { ... }

@public@
identifier f = {p9_client_prepare_req, p9_check_errors, p9_fid_destroy};
type T;
@@
-static
 T f(...) { ... }

// The type of a reply must be the one of the request, or an error.
@reply_type@
identifier req, type, err;
@@
 p9_check_errors(struct p9_client *c, struct p9_req_t *req)
 {
 <+...
 if (type != P9_RERROR && type != P9_RLERROR)
-	return 0;
+	return type == req->tc.id + 1 ? 0 : -EIO;
 ...+>
 }

@note_fid@
expression c, req;
@@
 p9pdu_finalize(c, &req->tc);
+p9_req_note_fid(req);

@not_written@
expression c, req, err;
@@
 reterr:
-p9_req_put(c, req);
+if (p9_req_claim(c, req))
+	p9_req_put(c, req);
 p9_req_put(c, req);
 return ERR_PTR(err);

@rpc@
identifier c, type, req, err;
expression E;
@@
 p9_client_rpc(struct p9_client *c, int8_t type, ...)
 {
 ...
 err = c->trans_mod->request(c, req);
 if (err < 0) {
-	p9_req_put(c, req);
+	if (p9_req_claim(c, req))
+		p9_req_put(c, req);
 	...
 }
-again:
 err = E;
 smp_rmb();
-if (err == -ERESTARTSYS && c->status == Connected && type == P9_TFLUSH) { ... }
-if (READ_ONCE(req->status) == REQ_STATUS_ERROR) { ... }
-if (err == -ERESTARTSYS && c->status == Connected) { ... }
+err = p9_req_result(c, req, err);
 ...
 }

// A task that was killed before it waits must not wait. But it writes back what others have
// written, too, so a Twrite still waits for its end then.
@killed_before@
identifier f = {p9_client_rpc, p9_client_zc_rpc};
identifier type;
@@
 f(struct p9_client *c, int8_t type, ...)
 {
 <+...
-signal_pending(current)
+signal_pending(current) && (type == P9_TWRITE || !fatal_signal_pending(current))
 ...+>
 }

// What zc_request() has sent has ended when it returns, or was let go of.
@zc_rpc@
identifier c, req, err;
@@
 p9_client_zc_rpc(struct p9_client *c, ...)
 {
 ...
 err = c->trans_mod->zc_request(...);
 if (err < 0) {
 	if (err == -EIO) c->status = Disconnected;
-	if (err != -ERESTARTSYS)
-		goto recalc_sigpending;
+	goto recalc_sigpending;
 }
-if (READ_ONCE(req->status) == REQ_STATUS_ERROR) { ... }
-if (err == -ERESTARTSYS && c->status == Connected) { ... }
+err = p9_req_result(c, req, 0);
 ...
 }

// umount -f
@begin_disconnect@
expression clnt;
@@
 clnt->status = BeginDisconnect;
+p9_tags_end(clnt, -EIO);

// A fid is at the server from the reply on. Without this nobody clunks it.
@fid_create@
expression fid;
@@
 fid->mode = -1;
+fid->gone = true;

@fid_made@
identifier f = {p9_client_attach, p9_client_walk, p9_client_xattrwalk};
struct p9_fid *fid;
@@
 f(...)
 {
 <+...
+fid->gone = false;
 return fid;
 ...+>
 }

@fid_unmade@
identifier f = {p9_client_attach, p9_client_walk, p9_client_xattrwalk};
expression fid;
@@
 f(...)
 {
 <+...
-p9_fid_destroy(fid);
+p9_fid_drop(fid);
 ...+>
 }

// A request of a killed task may still have a reference to the fid.
@fid_removed@
expression err, fid;
@@
-if (err == -ERESTARTSYS)
-	p9_fid_put(fid);
-else
-	p9_fid_destroy(fid);
+if (err != -ERESTARTSYS)
+	fid->gone = true;
+p9_fid_drop(fid);
