#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the benchmark with PARAMETERS (separated by colons). Each line of its results
# begins with "= ".

. "${0%/*}/lib.sh"

bench=/sys/kernel/debug/midatlas_bench

# Without debugfs, whose directories would count as memory of an atlas
before=$(ls bench/before/midatlas_before.ko 2>/dev/null)
for atlas in ./midatlas.ko $before; do
	load "$atlas" debugfs=0 || fail "$atlas does not load"
done
# Short grace periods: a window waits for one when it is destroyed, and none is measured.
echo 1 >/sys/kernel/rcu_expedited
tell "clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
tell "$PARAMETERS"
# shellcheck disable=SC2046	# one argument each
load bench/midatlas_bench.ko $(echo "$PARAMETERS" | tr : ' ') || fail "midatlas_bench.ko does not load"
told=
while read -r state percent _ <$bench/state && [ "$state" = running ]; do
	[ "${percent%?}" = "$told" ] || tell "$percent %"
	told=${percent%?}
	sleep 0.2
done
sed 's/^/= /' $bench/results.csv
[ "$state" = 'done' ] || fail "the benchmark $state"
rmmod midatlas_bench || fail "midatlas_bench does not unload"
rmmod midwindow ${before:+midatlas_before} midatlas || fail "the modules do not unload"
done_well
