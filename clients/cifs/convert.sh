#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# convert.sh TREE DIR: copies fs/smb of the kernel tree TREE to DIR and converts its cifs
# to midatlas. See README.md.
#
# DIR is created only if every rule of the semantic patches has matched and nothing of
# the old queue is left. Otherwise the patches are not for this version.
#
# convert.sh TREE DIR PATCH[:RULE,...]...: applies only these patches, or rules of them

. "$(dirname "$0")/../../scripts/lib.sh"
here=$top/clients/cifs
. "$top/clients/lib.sh"

tree=$(realpath "$1") dir=$2
patches=("${@:3}")
[ $# -gt 2 ] || patches=(flags.sed state issue find claim cancel reset show counter.sed queue.sed)
old='pending_mid_q|mid_queue_lock|mid_counter_lock|deleted_from_q|server->current_mid'
old+='|get_next_mid|revert_current_mid|find_dequeue_mid|smb2_seq_num_into_buf'
touched="$old|dequeue_mid|handle_mid|cifs_mid_pool|struct mid_q_entry \{|wait_for_response"

[ -e "$tree/fs/smb/client/transport.c" ] || refuse "no fs/smb/client"
need_spatch
workdir convert
rm -rf "$dir" "$dir.partial"
client=$dir.partial/fs/smb/client
mkdir -p "$dir.partial/fs"
cp -r "$tree/fs/smb" "$dir.partial/fs/smb"
ln -s "$tree/fs/nls" "$dir.partial/fs/nls"

for patch in "${patches[@]}"; do
	# All files that use the old queue
	mapfile -t files < <(grep -lE "$touched" "$client"/*.[ch])
	apply "$patch" "${files[@]}"
done
if [ $# -eq 2 ]; then
	! grep -nE "\<($old)\>" "$client"/*.[ch] >&2 || refuse "the old queue is still there"
	cp "$top"/clients/cifs/inflight.[ch] "$top"/midatlas.h "$top"/midwindow.h "$client"
	echo 'cifs-y += inflight.o' >>"$client/Makefile"
fi
mv "$dir.partial" "$dir"
