#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Measures 1,000 connections, one with 65,535 requests, and for how long interrupts are off.
# Each line of the results begins with "= ".

. "${0%/*}/lib.sh"

ms() { awk '{ print int($1 * 1000) }' /proc/uptime; }

for module in midatlas midwindow; do
	for debugfs in 0 1; do
		tell "$module, debugfs=$debugfs"
		load bench/${module}_large.ko debugfs=$debugfs || fail "${module}_large does not load"
		folder=/sys/kernel/debug/${module}_large/large
		if [ $debugfs = 1 ]; then
			begin=$(ms)
			lines=$(wc -l <$folder/inflight)
			echo "= read inflight of 65535 in debugfs,$((($(ms) - begin) * 1000000)),ns"
			[ "$lines" -eq 65536 ] || fail "inflight has $lines lines"
		fi
		rmmod ${module}_large || fail "${module}_large does not unload"
	done
done
done_well
