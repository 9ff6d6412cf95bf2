// SPDX-License-Identifier: GPL-2.0
//
// The members of a connection and of a request. An atlas (SMB1) or a window (SMB2/3)
// replaces the queue, its locks and the MID counter in struct TCP_Server_Info.

@glue@
@@
 #include "../common/fscc.h"
+#include "inflight.h"

@server_fields@
typedef __u64, u64;
@@
 struct TCP_Server_Info {
 ...
-spinlock_t mid_queue_lock;
-spinlock_t mid_counter_lock;
-struct list_head pending_mid_q;
+struct mid_atlas *atlas;
+struct mid_window *window;
+struct mid_span ids;	/* reserved by the holder of the send mutex */
+u64 next_mid;	/* for tracepoints */
 ...
-__u64 current_mid;
 ...
 };

// The flags shared one word. cifsd and a task that gives up wrote it under different
// locks or none, so each could overwrite the other's flag.
@mid_fields@
@@
 struct mid_q_entry {
 struct list_head qhead;
+struct rcu_head rcu;
 ...
 __u64 mid;
+struct mid_tag tag;
+__u64 file;	/* of a read or write: its persistent id */
 ...
-bool wait_cancelled:1;
-bool deleted_from_q:1;
-bool large_buf:1;
-bool multiRsp:1;
-bool multiEnd:1;
-bool decrypted:1;
+bool wait_cancelled;
+bool large_buf;
+bool multiRsp;
+bool multiEnd;
+bool decrypted;
 };

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
-INIT_LIST_HEAD(&server->pending_mid_q);
+rc = cifs_mids_create(server, ctx->max_credits);
+if (rc)
+	goto out_err_crypto_release;
 ...+>
 }

@create_locks@
expression server;
@@
-spin_lock_init(&server->mid_queue_lock);
-spin_lock_init(&server->mid_counter_lock);

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
