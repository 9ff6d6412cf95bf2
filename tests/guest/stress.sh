#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Makes OPERATIONS calls of the atlas, and as many of the window, from many threads. The
# kernel log has the counts.

. "${0%/*}/lib.sh"

for module in midatlas midwindow; do
	load ./$module.ko || fail "$module.ko does not load"
	load tests/stress/${module}_stress.ko operations="$OPERATIONS" || fail "the stress test of $module failed"
	rmmod ${module}_stress || fail "${module}_stress does not unload"
	rmmod $module || fail "$module does not unload"
done
done_well
