#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the benchmark with PARAMETERS (separated by colons). Each line of its results
# begins with "= ".

. "${0%/*}/lib.sh"

bench=/sys/kernel/debug/midatlas_bench

# Without debugfs, whose directories would count as memory of an atlas or a window
copies=$(ls bench/*/mid*_*.ko 2>/dev/null)
for module in ./midatlas.ko ./midwindow.ko $copies; do
	load "$module" debugfs=0 || fail "$module does not load"
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
# shellcheck disable=SC2086	# one module each
rmmod midwindow midatlas ${copies:+$(basename -a -s .ko $copies)} || fail "the modules do not unload"
done_well
