# SPDX-License-Identifier: GPL-2.0
#
# Updates comments that describe the removed queue.
s,[[:space:]]*/\* multiplex id - rotating counter\, protected by mid_counter_lock \*/,,
s,still be on the pending_mid_q,still be in flight,
/^ \* TCP_Server_Info->mid_queue_lock/d
/^ \* TCP_Server_Info->mid_counter_lock/d
/^ \*[[:space:]]*mid_q_entry->deleted_from_q/d
