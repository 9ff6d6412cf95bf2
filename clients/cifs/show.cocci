// SPDX-License-Identifier: GPL-2.0
//
// Diagnostics: /proc/fs/cifs/DebugData, the debug log and tracepoints

@debug_data@
iterator name list_for_each_entry;
expression server, m;
identifier mid;
@@
-if (list_empty(&server->pending_mid_q))
-	continue;
-seq_printf(m, ..., server->conn_id);
-spin_lock(&server->mid_queue_lock);
-list_for_each_entry(mid, &server->pending_mid_q, qhead) { ... }
-spin_unlock(&server->mid_queue_lock);
+cifs_mids_show(server, m);

@debug_data_mid@
identifier mid;
@@
 cifs_debug_data_proc_show(...)
 {
 <+...
-struct mid_q_entry *mid;
 ...+>
 }

// The same list in the log, for CONFIG_CIFS_DEBUG2. inflight.c has its replacement.
@dump@
@@
-cifs_dump_mids(...) { ... }

@trace@
expression server;
@@
-server->current_mid
+READ_ONCE(server->next_mid)
