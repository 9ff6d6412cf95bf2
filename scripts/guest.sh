#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh TEST: runs tests/guest/TEST.sh in a UML guest, or with the kernel of $CONFIG.
#
#	stress     OPERATIONS calls of the atlas and of the window, from many threads
#	faults     fault injection: each allocation, each wait (signals), unload at any
#	           moment, a connection cut at each byte; FAULTS=signals,cuts takes some
#	observe    tracepoints, debugfs and midatlas-top; debugfs is read for READ_FOR
#	           seconds under full load
#	soak       the calls of the atlas and of the window for HOURS (1; 0.1 is six minutes)
#	large      memory and time of 1,000 connections and of one with 65,535 requests, and for how
#	           long interrupts are off; OUT=DIR receives the results
#	lifecycle  modinfo, insmod and rmmod, a hundred times

. "$(dirname "$0")/lib.sh"

test=${1:-}
arguments=() own=()
case $test in
stress)
	operations=${OPERATIONS:-1000000}
	[[ $operations =~ ^[1-9][0-9]{3,11}$ ]] || die "OPERATIONS=$operations is not a number of at least 1000"
	arguments=("OPERATIONS=$operations")
	;;
faults)
	export CONFIG=${CONFIG:-$top/scripts/kernel/kasan.config} LIMIT=${LIMIT:-900}
	export FAULTS=${FAULTS:-allocations,signals,unloads,cuts}
	arguments=("FAULTS=$FAULTS")
	need python3:python3
	;;
observe)
	seconds=${READ_FOR:-5}
	[[ $seconds =~ ^[1-9][0-9]{0,2}$ ]] || die "READ_FOR=$seconds is not a number of seconds up to 999"
	arguments=("READ_FOR=$seconds")
	need smbd:samba python3:python3 setpriv:util-linux
	;;
soak)
	hours=${HOURS:-1}
	seconds=$(awk -v hours="$hours" 'BEGIN { print hours ~ /^[0-9]+(\.[0-9]+)?$/ ? int(hours * 3600) : 0 }')
	[[ $seconds -ge 10 && $seconds -le 360000 ]] || die "HOURS=$hours is not a number of hours from 0.003 to 100"
	export LIMIT=${LIMIT:-$((seconds + 300))}
	arguments=("SECONDS_EACH=$seconds")
	;;
large)
	own=("$top/scripts/kernel/bench.config" "$top/scripts/kernel/uml.patch")
	out=${OUT:-$cache/large}
	need python3:python3
	;;
lifecycle) need smbd:samba ;;
*) die "usage: guest.sh stress|faults|observe|soak|large|lifecycle" ;;
esac
need insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh" "${own[@]}")
workdir "$test"
build_modules "$kernel"
cp "$top/tools/midatlas-top" "$work"
[ "$test" != observe ] || python3 -B "$top/tests/docs/pages.py" commands Documentation/observability.rst |
	awk -v RS= -v dir="$work" '{ print >(dir "/block" NR) }'
boot "$kernel" "$work" "$test.sh" "${arguments[@]}"

log=$work/console.log
case $test in
stress | soak) say "$(sed -n 's/.* mid[a-z]*_stress: \(.* wrong\).*/\1/p' "$log" | paste -sd ';')" ;;
observe) say "$(sed -n 's/^@ \(.* readings,.*\)/\1/p' "$log")" ;;
large)
	mkdir -p "$out"
	"$top/tests/scale/large.py" "$log" "$out" || die "interrupts are off for too long"
	say "the tables are in $out"
	;;
faults)
	! grep 'smbecho: .* unaccounted [^0]' "$log" >&2 || die "requests are unaccounted for"
	sed -n 's/^= \(.*\):\(.*\) \(.*\)$/\1 \2 \3/p' "$log" | tr -d '\r' | tr _ ' ' |
		awk '{ n = $NF; part = $1; $1 = $NF = ""; printf "  %-12s %-20s %5d\n", part, $0, n }'
	say "$(sed -n 's/^= .* //p' "$log" | tr -d '\r' | awk '{ n += $1 } END { print n }') faults injected, all survived"
	;;
esac
