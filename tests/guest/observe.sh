#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Checks tracepoints, debugfs and midatlas-top while the sample client talks to a real
# smbd. Then debugfs is read for READ_FOR seconds while atlases are created, used by all
# calls and destroyed.

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

tracing=/sys/kernel/tracing
atlases=/sys/kernel/debug/midatlas
result=/sys/kernel/debug/smbecho/result

check() { python3 -B guest/observe.py "$@" >/tmp/verdict 2>&1 || fail "$(tail -n 1 /tmp/verdict)"; }

# await FILE KEY OPERATOR VALUE: waits until the value of KEY in FILE passes test(1)
await() {
	while :; do
		while read -r key value; do
			[ "$key" = "$2" ] && break
		done <"$1"
		test "$value" "$3" "$4" && break
		sleep 0.1
	done
}

# atlas_of CLIENT: waits for the atlas' directory, and prints its name
atlas_of() {
	until [ -e "$(echo $atlases/"$1"-*)" ]; do sleep 0.1; done
	basename $atlases/"$1"-*
}

# refuses WORD COMMAND...: the command must fail, with one line that contains WORD
refuses() {
	word=$1
	shift
	! "$@" >/tmp/out 2>/tmp/err || fail "$* does not fail"
	{ [ ! -s /tmp/out ] && [ "$(wc -l </tmp/err)" -eq 1 ] && grep -q "$word" /tmp/err; } ||
		fail "$* says: $(cat /tmp/out /tmp/err)"
}

mount -t tracefs tracefs $tracing
start_smbd

# A copy that the unprivileged user can read
cp midatlas-top /tmp
refuses 'not loaded' /tmp/midatlas-top
load ./midatlas.ko || fail "midatlas.ko does not load"
refuses root setpriv --reuid 65534 --clear-groups /tmp/midatlas-top
umount /sys/kernel/debug
refuses mount /tmp/midatlas-top
mount -t debugfs debugfs /sys/kernel/debug
tell "midatlas-top reports missing requirements"

# One clock for all CPUs, and a buffer for all events
echo counter >$tracing/trace_clock
echo 32768 >$tracing/buffer_size_kb
echo 1 >$tracing/events/midatlas/enable

load samples/smbecho.ko requests=5000 timeout_ms=60000 || fail "smbecho.ko does not load"
atlas=$(atlas_of smbecho)
stats=$atlases/$atlas/stats
await $result state = 'done'

# 30 requests are killed in flight. A quarter of the maximum (12) stays abandoned; the
# other MIDs are freed at once. Replies arrive for all of them.
pids=
for _ in $(seq 30); do
	(echo 1000000 >${result%/*}/submit) &
	pids="$pids $!"
done
await $result writers -eq 30
signal_smbd STOP
await $result in_flight -eq 30
sleep 0.2	# until the last one is sent
# shellcheck disable=SC2086
kill -KILL $pids
await $result writers -eq 0
cat $atlases/"$atlas"/inflight >/tmp/inflight
signal_smbd CONT
[ "$(grep -c abandoned /tmp/inflight)" -eq 12 ] || fail "not 12 abandoned: $(cat /tmp/inflight)"
check inflight /tmp/inflight
await "$stats" late -eq 12
await "$stats" stale -ge 18
dmesg | grep -q "midatlas: $atlas: 12 requests were given up" || fail "no warning that smbd is silent"

signal_smbd STOP
echo 10 | dd of=${result%/*}/submit oflag=nonblock status=none || fail "cannot submit"
await $result in_flight -eq 10
sleep 0.5
cat "$stats" >/tmp/stats
check stats /tmp/stats
awk '/^oldest_ms/ && ($2 < 490 || $2 > 30000) { exit 1 }' /tmp/stats || fail "oldest_ms is wrong for requests half a second old: $(tail -n 1 /tmp/stats)"
cat $atlases/"$atlas"/inflight >/tmp/inflight
check inflight /tmp/inflight
[ "$(grep -c live /tmp/inflight)" -eq 10 ] || fail "not 10 live: $(cat /tmp/inflight)"
awk '$4 == "live" && ($3 < 490 || $3 > 30000) { exit 1 }' /tmp/inflight || fail "not half a second old: $(cat /tmp/inflight)"
signal_smbd CONT
rmmod smbecho || fail "smbecho does not unload"
[ ! -e "$atlases/$atlas" ] || fail "the atlas' directory still exists"

echo 0 >$tracing/events/midatlas/enable
! grep -hE '^(overrun|dropped events): [1-9]' $tracing/per_cpu/cpu*/stats || fail "events were lost"
cat $tracing/trace >/tmp/trace
check trace /tmp/trace "$atlas"
tell "the trace is complete: $(cat /tmp/verdict)"

# Trace and inflight must show the same request pointers.
awk '$4 == "live" { print "mid=" $1 " ctx=" $2 }' /tmp/inflight >/tmp/both
grep -Fc -f /tmp/both /tmp/trace | grep -qE '^[2-9][0-9]' || fail "inflight's requests are not in the trace"

# From here on two processes read all files as fast as they can.
python3 -B guest/observe.py watch $atlases >/tmp/watch 2>&1 &
watch=$!

load samples/smbecho.ko requests=100000000 || fail "smbecho.ko does not load"
atlas=$(atlas_of smbecho)
await $result replied -gt 1000
stats=$atlases/$atlas/stats
{ grep ^associated "$stats"; cut -d ' ' -f 1 /proc/uptime; } >/tmp/rate
/tmp/midatlas-top -n 2 -d 0.5 >/tmp/top || fail "midatlas-top fails"
{ grep ^associated "$stats"; cut -d ' ' -f 1 /proc/uptime; } >>/tmp/rate
check top /tmp/top "$atlas" /tmp/rate
tell "midatlas-top: $(cat /tmp/verdict)"
rmmod smbecho || fail "smbecho does not unload"

# All calls, on atlases that are created and destroyed; and unknown replies, which smbd
# never sends
echo >$tracing/trace
echo 1 >$tracing/events/midatlas/midatlas_unknown/enable
until=$(($(date +%s) + READ_FOR))
while [ "$(date +%s)" -lt $until ]; do
	load tests/stress/midatlas_stress.ko operations=200000 || fail "the stress test failed"
	rmmod midatlas_stress
done
echo 0 >$tracing/events/midatlas/enable
grep -q 'midatlas_unknown: midatlas_stress-' $tracing/trace || fail "no unknown in the trace"

kill $watch
wait $watch || fail "$(tail -n 1 /tmp/watch)"
tell "$(cat /tmp/watch)"

rmmod midatlas || fail "midatlas does not unload"
[ ! -e $atlases ] || fail "debugfs still has midatlas"
done_well
