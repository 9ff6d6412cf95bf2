#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Mounts with the oldest and the newest dialect, writes files and compares them.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

start_server
use converted
head -c 8000000 /dev/urandom >/tmp/data
for dialect in 1.0 3.1.1,seal; do
	mount_share $dialect || fail "no mount with vers=$dialect"
	cp /tmp/data $mnt/data || fail "$dialect: no copy"
	cp -r /usr/include/asm-generic $mnt/tree || fail "$dialect: no copy of a tree"
	drop_caches
	cmp /tmp/data $mnt/data || fail "$dialect: the data differs"
	diff -r /usr/include/asm-generic $mnt/tree || fail "$dialect: the tree differs"
	rm -r $mnt/data $mnt/tree
	umount $mnt || fail "$dialect: no unmount"
	tell "mounted with vers=$dialect, written, compared, deleted, unmounted"
done
unuse
done_well
