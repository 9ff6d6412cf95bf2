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
windows=/sys/kernel/debug/midwindow
result=/sys/kernel/debug/smbecho/result

check() { python3 -B guest/observe.py "$@" >/tmp/verdict 2>&1 || fail "$(tail -n 1 /tmp/verdict)"; }

# await FILE KEY OPERATOR VALUE: waits until the value of KEY in FILE passes test(1)
await() {
	tries=600
	while :; do
		while read -r key value; do
			[ "$key" = "$2" ] && break
		done <"$1"
		test "$value" "$3" "$4" && break
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "$2 is $value in $1, not $3 $4: $(paste -sd ' ' "$1")"
		sleep 0.1
	done
}

# await_folder DIRECTORY: waits until the work item has made it
await_folder() { until [ -e "$1/latency" ]; do sleep 0.1; done; }

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
load ./midwindow.ko || fail "midwindow.ko does not load"
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
atlas=smbecho
await_folder $atlases/$atlas
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
awk '$4 == "live" && ($3 < 490000 || $3 > 30000000) { exit 1 }' /tmp/inflight || fail "not half a second old: $(cat /tmp/inflight)"
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

# The same with SMB2: the events of a window, while latencies are not counted; and then
# latencies beside the client's own
echo >$tracing/trace
echo 1 >$tracing/events/midwindow/enable
load samples/smbecho.ko dialect=smb2 requests=0 timeout_ms=60000 || fail "smbecho.ko does not load"
await_folder $windows/smbecho
pids=
for _ in 1 2 3 4; do
	echo 500 >${result%/*}/submit &
	pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids
signal_smbd STOP
for _ in $(seq 20); do
	(echo 1000000 >${result%/*}/submit) &
	pids="$pids $!"
done
await $result in_flight -ge 20	# some send compounds of two
sleep 0.5
cat $windows/smbecho/inflight >/tmp/inflight
check inflight /tmp/inflight
awk '$6 == "live" && $5 > 490000 && $5 < 30000000' /tmp/inflight >/tmp/live
[ "$(wc -l </tmp/live)" -ge 20 ] || fail "not 20 requests half a second old: $(cat /tmp/inflight)"
# shellcheck disable=SC2086
kill -KILL $pids 2>/dev/null
await $result writers -eq 0
signal_smbd CONT
await $windows/smbecho/stats late -ge 16
rmmod smbecho || fail "smbecho does not unload"
echo 0 >$tracing/events/midwindow/enable
! grep -hE '^(overrun|dropped events): [1-9]' $tracing/per_cpu/cpu*/stats || fail "events were lost"
cat $tracing/trace >/tmp/trace
check window /tmp/trace smbecho
tell "the window's trace is complete: $(cat /tmp/verdict)"

load samples/smbecho.ko dialect=smb2 requests=0 || fail "smbecho.ko does not load"
await_folder $windows/smbecho
[ "$(head -n 1 $windows/smbecho/latency)" = off ] || fail "latencies are counted from the start"
echo 1 >$windows/smbecho/latency
pids=
for _ in 1 2 3 4; do
	echo 25000 >${result%/*}/submit &
	pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids
cat $windows/smbecho/latency >/tmp/latency
cat $result >/tmp/result
check latency /tmp/latency /tmp/result
tell "latencies: $(cat /tmp/verdict)"
rmmod smbecho || fail "smbecho does not unload"

# says FILE WORDS: the file must have a line of this kind
says() { grep -q "$2" "$1" || fail "$1 does not say \"$2\": $(cat "$1")"; }

# commands_of BLOCK WORDS: as they stand in observability.rst; a block may end with a command that
# does not end by itself.
commands_of() {
	PATH=/tmp:$PATH timeout 3 sh -e "$1" >/tmp/printed 2>&1 || [ $? -eq 124 ] || fail "$(cat "$1" /tmp/printed)"
	says /tmp/printed "$2"
	tell "observability.rst: $(head -n 1 "$1"): $(grep -m 1 "$2" /tmp/printed)"
}

# wait_in FOLDER N: the file waiters must list N tasks of the sample client, or more
wait_in() {
	signal_smbd STOP
	await "$1/stats" waiters -ge "$2"
	cat "$1/waiters" >/tmp/waiters
	signal_smbd CONT
	[ "$(grep -cE '^[1-9][0-9]*(-[1-9][0-9]*)? [0-9]+ [0-9]+ smbecho' /tmp/waiters)" -ge "$2" ] ||
		fail "waiters does not list $2 tasks: $(cat /tmp/waiters)"
}

load samples/smbecho.ko requests=100000000 timeout_ms=60000 || fail "smbecho.ko does not load"
await_folder $atlases/smbecho
await $result replied -gt 1000
wait_in $atlases/smbecho 14
signal_smbd STOP
(sleep 1.5; signal_smbd CONT) &
commands_of block3 'midatlas_dissociate: smbecho mid=0x'
wait $!
echo 0 >$tracing/events/midatlas/filter
echo 0 >$tracing/events/midatlas/enable
echo counter >$tracing/trace_clock
rmmod smbecho || fail "smbecho does not unload"
load samples/smbecho.ko dialect=smb2 threads=20 credits=16 compound_every=0 requests=100000000 \
	timeout_ms=60000 ||
	fail "smbecho.ko does not load"
await_folder $windows/smbecho
await $result replied -gt 1000
wait_in $windows/smbecho 4
commands_of block1 '^state '
signal_smbd STOP
sleep 1.2
commands_of block2 '^ *[1-9][0-9]*  smbecho  window '
signal_smbd CONT
rmmod smbecho || fail "smbecho does not unload"
tell "tasks wait for a MID, and for credits"

# display PARAMETER...: atlases and windows with two requests each
display() {
	load tests/stress/mid_display.ko "$@" || fail "mid_display.ko does not load"
}

# Connections that starve, each for its own reason, and one event for each
echo >$tracing/trace
echo 1 >$tracing/events/midwindow/midwindow_stall/enable
for why in credits hole; do
	display name=$why starve=$why
	await_folder $windows/$why
	cat $windows/$why/credits >/tmp/$why
	rmmod mid_display
done
echo 0 >$tracing/events/midwindow/midwindow_stall/enable
cat $tracing/trace >/tmp/trace
says /tmp/credits '^state starved: no credits, the replies'
says /tmp/hole '^state starved: id 1 was not sent'
says /tmp/trace 'midwindow_stall: credits .*: no credits'
says /tmp/trace 'midwindow_stall: hole .*unsent=1: an id was not sent'
[ "$(grep -c midwindow_stall: /tmp/trace)" -eq 2 ] || fail "not one event for each: $(cat /tmp/trace)"
tell "a starved connection says why: $(sed -n 's/^state //p' /tmp/credits /tmp/hole | paste -sd ';')"

# A client that shows much, and what no terminal should see; then names alike
display words=2000000
for file in $atlases/display/inflight $windows/display/inflight; do
	await_folder "${file%/*}"
	cat "$file" >/tmp/inflight
	check inflight /tmp/inflight
	[ "$(grep -cE 'request [01]\?\?\?\[2Jw+\.\.\.$' /tmp/inflight)" -eq 2 ] || fail "$file: $(cat -v /tmp/inflight)"
done
for files in $atlases/display $windows/display; do
	check pace "$files/stats" "$files/inflight"
done
tell "a task that reads in a loop waits in between"
# A file that is open while its window goes
exec 3<$windows/display/inflight 4<$atlases/display/stats
rmmod mid_display
! cat <&3 >/tmp/out 2>&1 || fail "a window that has gone can be read: $(cat /tmp/out)"
! cat <&4 >/tmp/out 2>&1 || fail "an atlas that has gone can be read: $(cat /tmp/out)"
exec 3<&- 4<&-

display name='a/b\x07c' count=300
await_folder $windows/a_b_c
until [ "$(find $windows -name latency | wc -l)" -eq 300 ]; do sleep 0.1; done
[ "$(find $atlases -mindepth 1 -maxdepth 1 -name 'a_b_c*' | wc -l)" -eq 300 ] || fail "not 300 atlases: $(ls $atlases)"
rmmod mid_display
[ -z "$(find $windows $atlases -mindepth 1)" ] || fail "folders stay behind"
tell "300 connections of one name have folders of their own"

# From here on processes read all files as fast as they can.
python3 -B guest/observe.py watch $atlases $windows >/tmp/watch 2>&1 &
watch=$!

load samples/smbecho.ko requests=100000000 || fail "smbecho.ko does not load"
atlas=smbecho
await_folder $atlases/$atlas
await $result replied -gt 1000
stats=$atlases/$atlas/stats
{ grep ^associated "$stats"; cut -d ' ' -f 1 /proc/uptime; } >/tmp/rate
/tmp/midatlas-top -n 2 -d 3 >/tmp/top || fail "midatlas-top fails"
{ grep ^associated "$stats"; cut -d ' ' -f 1 /proc/uptime; } >>/tmp/rate
check top /tmp/top "$atlas" /tmp/rate
tell "midatlas-top: $(cat /tmp/verdict)"
rmmod smbecho || fail "smbecho does not unload"

# All calls, on atlases and windows that are created and destroyed, while latencies are
# switched on and off; and unknown replies, which smbd never sends
echo >$tracing/trace
echo 1 >$tracing/events/midatlas/midatlas_unknown/enable
while :; do
	for file in "$atlases"/*/latency "$windows"/*/latency; do
		{ echo 1 >"$file"; sleep 0.01; echo 0 >"$file"; } 2>/dev/null
	done
done &
switch=$!
until=$(($(date +%s) + READ_FOR))
while [ "$(date +%s)" -lt $until ]; do
	load tests/stress/midatlas_stress.ko operations=200000 || fail "the stress test failed"
	rmmod midatlas_stress
	load tests/stress/midwindow_stress.ko operations=200000 || fail "the stress test failed"
	rmmod midwindow_stress
done
echo 0 >$tracing/events/midatlas/enable
grep -q 'midatlas_unknown: midatlas_stress' $tracing/trace || fail "no unknown in the trace"

kill $switch $watch
wait $watch || fail "$(tail -n 1 /tmp/watch)"
tell "$(cat /tmp/watch)"

rmmod midatlas midwindow || fail "the modules do not unload"
{ [ ! -e $atlases ] && [ ! -e $windows ]; } || fail "debugfs still has the folders"
done_well
