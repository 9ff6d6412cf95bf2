// SPDX-License-Identifier: GPL-2.0
//
// An atlas (SMB1) or a window (SMB2/3) replaces the queue, its locks and the MID counter in
// struct TCP_Server_Info. counter.sed and queue.sed change the members.

@glue@
@@
 #include "../common/fscc.h"
+#include "inflight.h"

@credits_fields@
@@
 struct cifs_credits {
 ...
+struct mid_span ids;	/* of at most @value ids */
 };

@create@
identifier ctx;
expression server;
@@
 cifs_get_tcp_session(struct smb3_fs_context *ctx, ...)
 {
 <+...
 INIT_LIST_HEAD(&server->pending_mid_q);
+rc = cifs_mids_create(server, ctx->max_credits);
+if (rc)
+	goto out_err_crypto_release;
 ...+>
 }

@create_counter@
expression server;
@@
-spin_lock_init(&server->mid_counter_lock);

@create_queue@
expression server;
@@
-INIT_LIST_HEAD(&server->pending_mid_q);

@create_queue_lock@
expression server;
@@
-spin_lock_init(&server->mid_queue_lock);

@create_fails@
struct TCP_Server_Info *server;
@@
 smbd_destroy(server);
+cifs_mids_destroy(server);
 kfree(server);

@destroy@
struct TCP_Server_Info *server;
@@
+cifs_mids_destroy(server);
 kfree_sensitive(server);

// Lookups take no lock: a mid is freed a grace period after its last reference.
@free_after_rcu@
expression mid;
@@
-mempool_free(mid, &cifs_mid_pool);
+cifs_mid_free(mid);

@free_before_exit@
@@
+rcu_barrier();
 mempool_exit(&cifs_mid_pool);
