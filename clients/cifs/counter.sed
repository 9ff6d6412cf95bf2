# SPDX-License-Identifier: GPL-2.0
#
# The members of a connection and of a request, with their comments, which spatch would move;
# and the style of what spatch writes. Each line must change something.
/^struct TCP_Server_Info {$/,/^};/s,^\tspinlock_t mid_counter_lock;.*,\tstruct mid_atlas *atlas;\n\tstruct mid_window *window;\n\tstruct mid_span ids;\t/* reserved by the holder of the send mutex */\n\tu64 next_mid;\t\t/* for tracepoints */,
/^struct TCP_Server_Info {$/,/^};/{/^\t__u64 current_mid;/d}
/^struct mid_q_entry {$/,/^};/s,^\tstruct list_head qhead;.*,&\n\tstruct rcu_head rcu;,
/^struct mid_q_entry {$/,/^};/s,^\t__u64 mid;.*,&\n\tstruct mid_tag tag;\n\t__u64 file;\t\t/* of a read or write: its persistent id */,
/^ \* TCP_Server_Info->mid_counter_lock/d
s,\<for(j = 0;j < \(.*\);j++)$,for (j = 0; j < \1; j++),
/READ_ONCE(server->next_mid)/,/;$/s,^\(\t*\) \{8\},\1\t,
s,^\(\tstruct mid_span ids;\)/\*,\1\t/*,
