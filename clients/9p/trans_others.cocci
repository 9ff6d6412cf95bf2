// SPDX-License-Identifier: GPL-2.0
//
// The transports over xen, RDMA and USB: they are built, not run. Each lookup takes a
// reference, which they did not put.

@xen_sent@
expression client, req;
@@
 notify_remote_via_irq(ring->irq);
-p9_req_put(client, req);
 return 0;

@xen_status@
expression p9_req;
@@
 p9_xen_request(...)
 {
 ...
-WRITE_ONCE(p9_req->status, REQ_STATUS_SENT);
+p9_req_advance(p9_req, REQ_STATUS_SENT);
 ...
 }

@xen_lookup@
identifier req, h, priv;
@@
 p9_xen_response(...)
 {
 <+...
-req = p9_tag_lookup(priv->client, h.tag);
-if (!req || req->status != REQ_STATUS_SENT) {
+req = p9_tag_claim(priv->client, h.tag, h.id);
+if (!req) {
 	...
 }
 ...+>
 }

@xen_too_big@
expression req;
identifier l;
@@
+req->t_err = -EIO;
 WRITE_ONCE(req->status, REQ_STATUS_ERROR);
 goto l;

@rdma_lookup@
identifier req, client, tag;
symbol c, err_out;
@@
 recv_done(...)
 {
 <+...
-req = p9_tag_lookup(client, tag);
-if (!req)
-	goto err_out;
+req = p9_tag_claim(client, tag, c->rc.id);
+if (!req) {
+	if (!post_recv(client, c))
+		return; /* a stray: its buffer is for the next reply */
+	goto err_out;
+}
 ...+>
 }

@rdma_declare@
@@
+static int post_recv(struct p9_client *client, struct p9_rdma_context *c);
 recv_done(...) { ... }

@rdma_twice@
identifier req, tag;
@@
-if (unlikely(req->rc.sdata)) {
-	pr_err(..., tag);
-	goto err_out;
-}

@rdma_send@
expression req, rdma, wr, err;
@@
-WRITE_ONCE(req->status, REQ_STATUS_SENT);
+p9_req_advance(req, REQ_STATUS_SENT);
+p9_req_get(req);
 err = ib_post_send(rdma->qp, &wr, NULL);
 if (err)
+{
+	p9_req_put(client, req);
 	goto dma_unmap;
+}

@usbg_sent@
expression req;
@@
 usb9pfs_tx_complete(...)
 {
 ...
-WRITE_ONCE(req->status, REQ_STATUS_SENT);
+p9_req_advance(req, REQ_STATUS_SENT);
 ...
 }

@usbg_lookup@
identifier req, rc;
expression client;
@@
-req = p9_tag_lookup(client, rc.tag);
-if (!req || req->status != REQ_STATUS_SENT) {
+req = p9_tag_lookup(client, rc.tag, rc.id);
+if (!req) {
 	...
 }

@usbg_received@
expression client, req, status;
@@
 usb9pfs_rx_complete(...)
 {
 ...
-p9_client_cb(client, req, status);
+if (p9_req_claim(client, req)) {
+	if (status == REQ_STATUS_ERROR)
+		req->t_err = -EIO;
+	p9_client_cb(client, req, status);
+}
 ...
 }

@usbg_clear@
expression client, req;
@@
 usb9pfs_clear_tx(...)
 {
 ...
-if (!req->t_err)
-	req->t_err = -ECONNRESET;
-p9_client_cb(client, req, REQ_STATUS_ERROR);
+p9_req_end(client, req, REQ_STATUS_ERROR, -ECONNRESET);
 }

// A request is never in a list of this transport.
@usbg_cancel@
@@
 p9_usbg_cancel(...)
 {
-...
+return 1;
 }
