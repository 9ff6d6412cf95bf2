#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the stress tests of the atlas and of the window at the same time, for SECONDS. Checks
# that the low 32 bits of jiffies have wrapped, if there was time, and that no memory is lost.

. "${0%/*}/lib.sh"

# soak SECONDS
soak() {
	load tests/stress/midatlas_stress.ko seconds="$1" mids=65535,50 &
	atlas=$!
	load tests/stress/midwindow_stress.ko seconds="$1" &
	wait $atlas || fail "the stress test of midatlas failed"
	wait $! || fail "the stress test of midwindow failed"
	rmmod midatlas_stress midwindow_stress || fail "the stress tests do not unload"
}

# KiB that are in use and cannot be reclaimed
used() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	awk '{ kib[$1] = $2 }
		END { print kib["MemTotal:"] - kib["MemFree:"] - kib["Buffers:"] - kib["Cached:"] - kib["SReclaimable:"] }' \
		/proc/meminfo
}

for module in midatlas midwindow; do
	load ./$module.ko || fail "$module.ko does not load"
done
# What the allocators keep is allocated then.
soak 10
before=$(used)
soak "$SECONDS_EACH"
after=$(used)
tell "memory in use: $before KiB before, $after KiB after $SECONDS_EACH s"
[ $((after - before)) -lt 1024 ] || fail "$((after - before)) KiB are lost"
up=$(cut -d . -f 1 /proc/uptime)
tell "up for $up s; jiffies wrap after 300 s"
for module in midatlas midwindow; do
	rmmod $module || fail "$module does not unload"
done
done_well
