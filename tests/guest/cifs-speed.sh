#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Throughput of both variants, $RUNS times: IOPS of fio with small random reads and
# writes, and operations per second of dbench. The variants alternate every few seconds,
# so that longer disturbances affect both.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

seconds=4

# A load for dbench: an office program with eight documents. dbench's own load takes hours
# and only writes in its first seconds.
documents() {
	dir='\clients\client1'
	cat <<-END
		Deltree "$dir" NT_STATUS_OK
		Mkdir "${dir%\\*}" NT_STATUS_OK
		NTCreateX "$dir" 0x1 0x2 1 NT_STATUS_OK
		Close 1 NT_STATUS_OK
	END
	for n in 1 2 3 4 5 6 7 8; do
		cat <<-END
			QUERY_PATH_INFORMATION "$dir\\$n.doc" 1004 NT_STATUS_OBJECT_NAME_NOT_FOUND
			NTCreateX "$dir\\$n.doc" 0x40 0x2 2 NT_STATUS_OK
			WriteX 2 0 16384 16384 NT_STATUS_OK
			WriteX 2 16384 16384 16384 NT_STATUS_OK
			QUERY_FILE_INFORMATION 2 258 NT_STATUS_OK
			Close 2 NT_STATUS_OK
			FIND_FIRST "$dir\\<.doc" 260 1366 1 NT_STATUS_OK
			NTCreateX "$dir\\$n.doc" 0x0 0x1 3 NT_STATUS_OK
			ReadX 3 0 4096 4096 NT_STATUS_OK
			ReadX 3 4096 4096 4096 NT_STATUS_OK
			SET_FILE_INFORMATION 3 1004 NT_STATUS_OK
			Close 3 NT_STATUS_OK
			NTCreateX "$dir\\$n.tmp" 0x40 0x2 4 NT_STATUS_OK
			WriteX 4 0 16384 16384 NT_STATUS_OK
			WriteX 4 16384 16384 16384 NT_STATUS_OK
			Flush 4 NT_STATUS_OK
			Close 4 NT_STATUS_OK
			QUERY_FS_INFORMATION 259 NT_STATUS_OK
			Unlink "$dir\\$n.doc" 0x6 NT_STATUS_OK
			Rename "$dir\\$n.tmp" "$dir\\$n.doc" NT_STATUS_OK
			QUERY_PATH_INFORMATION "$dir\\$n.doc" 1004 NT_STATUS_OK
		END
	done
}

# Operations per second. The files stay for the next call.
fio_rate() {
	on_client_cpu fio --name=speed --directory=$mnt --rw=randrw --bs=4k --size=8m --numjobs=4 --time_based \
		--runtime=$seconds --group_reporting --minimal >/tmp/fio.log || fail "fio: $(tail -n 1 /tmp/fio.log)"
	tail -n 1 /tmp/fio.log | awk -F ';' '{ print $8 + $49 }'
}

# Operations per second, of any kind
dbench_rate() {
	on_client_cpu dbench -c /tmp/documents -D $mnt -t $seconds 4 >/tmp/dbench.log || fail "dbench: $(tail -n 1 /tmp/dbench.log)"
	rm -rf $mnt/clients
	awk -v s=$seconds '/^Throughput/ { print n / s } /^ Operation / { table = 1 } table { n += $2 }' /tmp/dbench.log
}

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
	for each in stock converted converted stock converted stock stock converted; do
		use $each
		rates
		unuse
	done
	tell "run $run of $RUNS"
done
finish
