#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# QEMU's own 9P server, over virtio: the loads of "work", then KILLS processes killed during
# their I/O. The root filesystem is a mount of the same VARIANT, and cannot be unloaded.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/lib.sh"

# shellcheck disable=SC2153 # of the command line
variant=$VARIANT tainted=$(taints)
tell "variant $variant"
[ "$variant" = stock ] || grep -q '^midatlas .*9pnet' /proc/modules || fail "9pnet does not use midatlas"
mkdir -p $mnt
make_tree
for options in cache=none cache=loose; do
	mount -t 9p share $mnt -o "trans=virtio,version=9p2000.L,msize=262144,$options" || fail "no mount"
	work "$options"
	tell "$variant, $options"
	umount $mnt || result "umount:$options" failed
done
mount -t 9p share $mnt -o trans=virtio,version=9p2000.L,msize=262144,cache=none || fail "no mount"
kill_during_io
umount $mnt || result kill:umount failed
tell "$variant, kills"
[ "$variant" = stock ] || account
result new_taints $(($(taints) - tainted))
result leaks 0
finish
