#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Measures a small read with $COUNTS (separated by colons) requests pending at the server:
# change notifies, and locks that another connection holds. At most $MOST_LOCKS locks:
# smbd retries all of them whenever one is cancelled. Not with SMB1: both variants return
# EAGAIN at once.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

# measure KIND DIALECT HELD
measure() {
	for count in $(echo "$COUNTS" | tr : ' '); do
		[ "$1" = notify ] || [ "$count" -le "$MOST_LOCKS" ] || continue
		if on_client_cpu ./hold "$1" "$3" "$count" $mnt/file "$READS" >/tmp/hold.out; then
			result "many:$1:$2:$count" "$(cat /tmp/hold.out)"
		else
			result "many:$1:$2:$count" failed
		fi
		tell "$variant, vers=$2, $count waiting ($1): $(cat /tmp/hold.out)"
	done
}

# with_mount DIALECT: a new connection, without the page cache
with_mount() {
	mount_apart "$1,cache=none"
	mkdir -p $mnt/dir
	head -c 65536 /dev/zero >$mnt/file
}

notifies() {
	with_mount "$1"
	measure notify "$1" $mnt/dir
	umount $mnt
}

locks() {
	with_mount "$1"
	: >$mnt/locked
	mkdir -p /tmp/other
	mount_apart "$1,nosharesock" /tmp/other
	./hold keep /tmp/other/locked >/tmp/kept &
	keeper=$!
	until grep -q kept /tmp/kept; do
		kill -0 $keeper || fail "no lock with vers=$1"
		sleep 0.1
	done
	measure lock "$1" $mnt/locked
	umount $mnt
	kill $keeper
	wait $keeper
	umount /tmp/other
}

# shellcheck disable=SC3045
ulimit -n 20000	# for smbd; dash supports it
echo 20000 >/proc/sys/kernel/threads-max
start_server
server_apart "$smbd"
for each in converted stock; do
	use $each
	notifies 3.1.1
	locks 3.1.1
	unuse
done
finish
