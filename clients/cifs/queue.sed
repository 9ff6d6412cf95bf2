# SPDX-License-Identifier: GPL-2.0
#
# What is left of the queue: members and comments
/^struct TCP_Server_Info {$/,/^};/{/^\tspinlock_t mid_queue_lock;/d}
/^struct TCP_Server_Info {$/,/^};/{/^\tstruct list_head pending_mid_q;/d}
/^struct mid_q_entry {$/,/^};/{/^\tbool deleted_from_q;/d}
s,still be on the pending_mid_q,still be in flight,
/^ \* TCP_Server_Info->mid_queue_lock/d
/^ \*[[:space:]]*mid_q_entry->deleted_from_q/d
