#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# QEMU's own 9P server, over virtio. The root filesystem is a mount of the same VARIANT, and
# cannot be unloaded. TESTS are some of these:
#
#	loads	those of "work"
#	kills	KILLS processes killed during their I/O
#	slow	readers and writers killed that wait for a slow server
#	unpinned	the same, and the Tflush fails
#	closed	the same, and an unmount before the replies

. "${0%/*}/9p-lib.sh"
. "${0%/*}/lib.sh"

# shellcheck disable=SC2153 # of the command line
variant=$VARIANT tainted=$(taints)
tell "variant $variant"
[ "$variant" = stock ] || grep -q '^midatlas .*9pnet' /proc/modules || fail "9pnet does not use midatlas"
mkdir -p $mnt

# Starts two readers and a writer, and sets $pids. The server answers one every ten seconds.
start_slow() {
	tr '\000' '\252' </dev/zero | head -c 12k >/tmp/slow
	mount_share cache=none
	cp /tmp/slow $mnt/slow
	umount $mnt
	mount_share cache=none slow
	dd if=$mnt/slow of=/dev/null bs=4k count=1 2>/dev/null
	dd if=$mnt/slow of=/dev/null bs=4k skip=1 count=1 2>/dev/null &
	pids=$!
	dd if=$mnt/slow of=/dev/null bs=4k skip=2 count=1 2>/dev/null &
	pids="$pids $!"
	dd if=/tmp/slow of=$mnt/written bs=4k count=1 2>/dev/null &
	pids="$pids $!"
	sleep 2
}

# killed_while_slow NAME: late data must not get into memory that another process has by now. That
# process counts the bytes, or dies of them.
killed_while_slow() {
	start_slow
	kill_all "$1" 5
	result "$1:overwritten" "$(python3 -c '
import time
mine = b"U" * (400 << 20)
time.sleep(35)
print(len(mine) - mine.count(b"U"))' || echo it died)"
	# shellcheck disable=SC2086
	wait $pids 2>/dev/null
	umount $mnt || result "$1:umount" failed
}

slow() { killed_while_slow slow; }

# The same, while there is no memory for a Tflush, which a stock task waits for
unpinned() {
	hook fail_flush 9
	killed_while_slow unpinned
	hook fail_flush 0
}

# An unmount while the device still has requests. Their replies come later.
closed() {
	start_slow
	hook fail_flush 9
	kill_all closed 5
	hook fail_flush 0
	umount $mnt || result closed:umount failed
	sleep 35
	result closed:underflows "$(dmesg | grep -c 'refcount_t: underflow')"
}

loads() {
	make_tree
	for options in cache=none cache=loose; do
		mount_share $options
		work "$options"
		tell "$variant, $options"
		umount $mnt || result "umount:$options" failed
	done
}

kills() {
	mount_share cache=none
	kill_during_io
	umount $mnt || result kill:umount failed
}

for test in $(echo "$TESTS" | tr : ' '); do
	$test
	tell "$variant, $test"
done
[ "$variant" = stock ] || account
result new_taints $(($(taints) - tainted))
result leaks 0
finish
