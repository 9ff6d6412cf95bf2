#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the same load on both variants with each of DIALECTS (separated by colons): fio with
# verification of small and large blocks, buffered and direct; dbench; a tree copied,
# compared and deleted.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

# verify FIO-ARGUMENT...
verify() {
	fio --name=verify --directory="$mnt/fio" --verify=crc32c --verify_fatal=1 --group_reporting \
		--minimal "$@" >/tmp/fio.log 2>&1
}

work_fio() {
	mkdir "$mnt/fio" &&
	verify --rw=randwrite --bs=4k --size=2m --numjobs=4 &&
	verify --rw=write --bs=1m --size=16m --numjobs=2 &&
	verify --rw=randrw --bsrange=1k-256k --size=4m --numjobs=4 &&
	verify --rw=randwrite --bs=16k --size=2m --numjobs=4 --direct=1 &&
	rm -r "$mnt/fio"
}

# A file that the client still has open is removed when it is closed. Until then its
# directory is not empty.
remove() {
	for _ in $(seq 20); do
		rm -rf "$@" 2>/dev/null && return
		sleep 0.5
	done
	rm -rf "$@"
}

work_dbench() {
	mkdir "$mnt/dbench" &&
	dbench -c /usr/share/dbench/client.txt -D "$mnt/dbench" -t 4 4 >/tmp/dbench.log 2>&1 &&
	remove "$mnt/dbench"
}

work_tree() {
	cp -r /tmp/tree "$mnt/tree" &&
	drop_caches &&
	diff -r /tmp/tree "$mnt/tree" &&
	rm -r "$mnt/tree"
} >/tmp/tree.log 2>&1

start_server
# Without names that differ only in case: the share ignores case
cp -r /usr/include/linux /tmp/tree
rm -r /tmp/tree/netfilter*
for each in converted stock; do
	use $each
	for dialect in $(echo "$DIALECTS" | tr : ' '); do
		mount_share "$dialect" || { result "mount:$dialect" failed; continue; }
		for work in fio dbench tree; do
			start=$(cut -d ' ' -f 1 /proc/uptime)
			if work_$work; then
				end=$(cut -d ' ' -f 1 /proc/uptime)
				result "$work:$dialect" "$(echo "$start $end" | awk '{ printf "%.1f", $2 - $1 }')"
			else
				result "$work:$dialect" failed
				tail -n 5 /tmp/$work.log
			fi
		done
		umount "$mnt" || result "umount:$dialect" failed
		rm -rf /tmp/share/*	# files of a failed load must not affect the next
		tell "$each, vers=$dialect"
	done
	unuse
done
finish
