#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the benchmark with PARAMETERS (separated by colons). Each line of its results
# begins with "= ".

. "${0%/*}/lib.sh"

bench=/sys/kernel/debug/midatlas_bench

# Without debugfs, whose directories would count as memory of an atlas or a window
debugfs=0
case $PARAMETERS in
*read*)
	debugfs=1
	taskset -c $((CPUS - 1)) sh "${0%/*}/read-debugfs.sh" &
	;;
esac
copies=$(ls bench/*/mid*_*.ko 2>/dev/null)
for module in ./midatlas.ko ./midwindow.ko $copies; do
	load "$module" debugfs=$debugfs || fail "$module does not load"
done
# Short grace periods: a window waits for one when it is destroyed, and none is measured.
echo 1 >/sys/kernel/rcu_expedited
# A waker puts the task into the queue of the other CPU, as with a cache that both share. In
# UML it would send a signal, which takes 15 us.
echo NO_TTWU_QUEUE >/sys/kernel/debug/sched/features || fail "no scheduler features"
tell "clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
tell "$PARAMETERS"
# shellcheck disable=SC2046	# one argument each
load bench/midatlas_bench.ko $(echo "$PARAMETERS" | tr : ' ') || fail "midatlas_bench.ko does not load"
told=
# Each look takes a CPU some milliseconds: rarely, and not in step with the rounds.
set -- 0.2 0.3 0.5 0.8 1.3 2.1
while read -r state percent _ <$bench/state && [ "$state" = running ]; do
	[ "${percent%?}" = "$told" ] || tell "$percent %"
	told=${percent%?}
	sleep "$1"
	[ $# -eq 1 ] || shift
done
sed 's/^/= /' $bench/results.csv
[ "$state" = 'done' ] || fail "the benchmark $state"
[ $debugfs = 0 ] || kill $!
rmmod midatlas_bench || fail "midatlas_bench does not unload"
# shellcheck disable=SC2086	# one module each
rmmod midwindow midatlas ${copies:+$(basename -a -s .ko $copies)} || fail "the modules do not unload"
done_well
