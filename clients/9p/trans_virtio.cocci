// SPDX-License-Identifier: GPL-2.0
//
// The transport over virtio. The ring holds a reference to each request that it has.

@virtio_fields@
@@
 struct virtio_chan {
 ...
 struct virtqueue *vq;
+unsigned int in_ring;
 ...
 };

@virtio_init@
expression chan, v;
@@
 chan->vdev = v;
+chan->client = NULL;
+chan->in_ring = 0;

// What was let go is still in the ring: its buffers are of a cache of the client.
@virtio_close@
identifier chan, client;
@@
 p9_virtio_close(struct p9_client *client)
 {
 struct virtio_chan *chan = client->trans;
+if (chan) {
+	spin_lock_irq(&chan->lock);
+	chan->client = NULL;
+	spin_unlock_irq(&chan->lock);
+	wait_event(*chan->vc_wq, !READ_ONCE(chan->in_ring));
+}
 ...
 }

// Without a length, the device gives back the buffers of a request that was flushed.
@virtio_done@
expression chan, req, len;
@@
-if (len) {
-	req->rc.size = len;
-	p9_client_cb(chan->client, req, REQ_STATUS_RCVD);
-}
+chan->in_ring--;
+if (req->kept_pages) {
+	atomic_sub(req->nr_kept, &vp_pinned);
+	wake_up(&vp_wq);
+	p9_req_unkeep(req);
+}
+/* Pairs with the wait in p9_zc_wait(). */
+smp_store_release(&req->in_ring, false);
+if (len && chan->client && p9_req_claim(chan->client, req)) {
+	req->rc.size = len;
+	p9_client_cb(chan->client, req, REQ_STATUS_RCVD);
+} else {
+	wake_up(&req->wq);
+}
+p9_req_put(chan->client, req);

@virtio_wake@
expression chan;
identifier need_wakeup;
@@
-if (need_wakeup)
+if (need_wakeup || !READ_ONCE(chan->client))
 	wake_up(chan->vc_wq);

@virtio_send@
expression req;
@@
-WRITE_ONCE(req->status, REQ_STATUS_SENT);
+if (!p9_req_advance(req, REQ_STATUS_SENT))
+	return 0;
 req_retry:

@virtio_zc_send@
expression req;
@@
-WRITE_ONCE(req->status, REQ_STATUS_SENT);
+if (!p9_req_advance(req, REQ_STATUS_SENT)) {
+	err = 0;
+	goto err_out;
+}
 req_retry_pinned:

@virtio_ring@
expression err, chan, sgs, n, m, req, gfp;
@@
+p9_req_get(req);
+req->in_ring = true;
+chan->in_ring++;
 err = virtqueue_add_sgs(chan->vq, sgs, n, m, req, gfp);
 if (err < 0) {
+	chan->in_ring--;
+	req->in_ring = false;
+	p9_req_put(client, req);
 	...
 }

// A killed task leaves its pages to the request, or waits until the device has given them back.
@virtio_zc_wait@
expression err, req, E;
symbol client, chan, uidata, uodata, in_pages, out_pages, in_nr_pages, out_nr_pages;
@@
-err = io_wait_event_killable(req->wq, E);
+err = p9_zc_wait(client, req, &chan->lock, uidata ?: uodata, in_pages ?: out_pages,
+		  in_nr_pages + out_nr_pages);
+if (err)
+	return err;

@virtio_zc_unsent@
expression client, req;
@@
-if (!kicked) { p9_req_put(client, req); }
+if (!kicked && p9_req_claim(client, req))
+	p9_req_put(client, req);

@virtio_cancelled@
@@
-p9_virtio_cancelled(...) { ... }

@virtio_cancelled_op@
identifier t;
@@
 struct p9_trans_module t = {
-	.cancelled = p9_virtio_cancelled,
 };
