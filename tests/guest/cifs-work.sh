#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the same load on both variants with each of DIALECTS (separated by colons): fio with
# verification of small and large blocks, buffered and direct; dbench; a tree copied,
# compared and deleted.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

start_server
make_tree
for each in converted stock; do
	use $each
	for dialect in $(echo "$DIALECTS" | tr : ' '); do
		mount_share "$dialect" || { result "mount:$dialect" failed; continue; }
		work "$dialect"
		umount "$mnt" || result "umount:$dialect" failed
		rm -rf /tmp/share/*	# files of a failed load must not affect the next
		tell "$each, vers=$dialect"
	done
	unuse
done
finish
