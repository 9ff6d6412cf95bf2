#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a small read costs beside $COUNTS (separated by colons) requests that wait at the
# server: change notifies, and locks that a second connection holds. Of locks no more
# than $MOST_LOCKS: smbd tries all that wait again whenever one goes away. Not with
# SMB1, where each comes back at once with EAGAIN, stock and converted.

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

# with_mount DIALECT: an empty connection, no cache in between
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
ulimit -n 20000	# dash has it, and smbd needs it
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
