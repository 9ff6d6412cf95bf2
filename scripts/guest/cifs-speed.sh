#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Throughput of both variants, in turn, $ROUNDS times: fio's IOPS with small random
# reads and writes, and dbench's MB/s.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

seconds=10

# rate DIALECT: one round
rate() {
	mount_apart "$1,cache=none"
	on_client_cpu fio --name=speed --directory=$mnt --rw=randrw --bs=4k --size=8m --numjobs=4 --time_based \
		--runtime=$seconds --group_reporting --minimal >/tmp/fio.log || fail "fio: $(tail -n 1 /tmp/fio.log)"
	result "fio:$1" "$(tail -n 1 /tmp/fio.log | awk -F ';' '{ print $8 + $49 }')"
	rm $mnt/speed.*
	umount $mnt
	mount_apart "$1"
	on_client_cpu dbench -c /usr/share/dbench/client.txt -D $mnt -t $seconds 4 >/tmp/dbench.log || fail "dbench: $(tail -n 1 /tmp/dbench.log)"
	result "dbench:$1" "$(awk '/^Throughput/ { print $2 }' /tmp/dbench.log)"
	rm -rf $mnt/clients
	umount $mnt
}

start_server
server_apart "$smbd"
order='converted stock'
for round in $(seq "$ROUNDS"); do
	for each in $order; do
		use "$each"
		for dialect in 1.0 3.1.1; do
			rate $dialect
		done
		unuse
	done
	order="${order#* } ${order% *}"
	tell "round $round of $ROUNDS"
done
finish
