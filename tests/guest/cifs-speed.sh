#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Throughput of both variants, $RUNS times: IOPS of fio with small random reads and
# writes, and operations per second of dbench. The variants alternate every few seconds,
# so that longer disturbances affect both. Many short measurements say more than a few long
# ones: two mounts of one variant differ by 5 %.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

seconds=1
on=on_client_cpu

# Measures the loaded variant
rates() {
	for dialect in 1.0 3.1.1; do
		mount_apart "$dialect,cache=none"
		result "fio:$dialect:$run" "$(fio_rate)"
		umount $mnt
		mount_apart "$dialect"
		result "dbench:$dialect:$run" "$(dbench_rate)"
		umount $mnt
	done
}

start_server
server_apart "$smbd"
documents >/tmp/documents
for run in $(seq "$RUNS"); do
	for _ in 1 2; do
		for each in stock converted converted stock converted stock stock converted; do
			use $each
			rates
			unuse
		done
	done
	tell "run $run of $RUNS"
done
finish
