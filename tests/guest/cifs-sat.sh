#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Reads of $TASKS tasks through both variants, $RUNS times for $SECONDS_EACH seconds, from a
# server that grants $CREDITS credits: most of the tasks wait for a credit.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

# Measures the loaded variant
saturate() {
	for dialect in 2.1 3.1.1; do
		mount_apart "$dialect,cache=none"
		head -c 65536 /dev/zero >$mnt/file
		on_client_cpu ./hold sat $mnt/file "$TASKS" "$SECONDS_EACH" >/tmp/hold.out || fail "$variant, vers=$dialect: no reads"
		result "sat:$dialect:$run" "$(cat /tmp/hold.out)"
		umount $mnt
	done
}

start_server
server_apart "$smbd"
for run in $(seq "$RUNS"); do
	for each in stock converted; do
		use $each
		saturate
		unuse
	done
	tell "run $run of $RUNS"
done
finish
