#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The converted client only: a tree over diod, and the faults that are quick to show.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/9p-server.sh"
. "${0%/*}/lib.sh"

start_diod
use converted
mount_diod cache=none || fail "no mount of diod's"
head -c 4000000 /dev/urandom >/tmp/data
cp /tmp/data $mnt/data || fail "no copy"
cp -r /usr/include/asm-generic $mnt/tree || fail "no copy of a tree"
drop_caches
cmp /tmp/data $mnt/data || fail "the data differs"
diff -r /usr/include/asm-generic $mnt/tree || fail "the tree differs"
rm -r $mnt/data $mnt/tree
umount $mnt || fail "no unmount"
tell "written, compared, deleted, unmounted"
for test in silence force 'replies twice' late; do
	$test
	tell "$test"
done
unuse
finish
