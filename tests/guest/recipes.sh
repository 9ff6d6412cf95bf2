#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the recipes of Documentation/recipes.rst against the sample client, with SMB1 and then
# with SMB2, and checks what they count. Each command and what it prints go to the console,
# each line after "= DIALECT-RECIPE "; so do copies of inflight.
#
# "= dump DIALECT" asks the host for a vmcore. The host makes the file DIALECT.dumped when it
# has it.

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

tracing=/sys/kernel/tracing
debugfs=/sys/kernel/debug/smbecho
writers=10

print_all() {
	for file in /tmp/out/*; do
		cat -s "$file" | sed "s/^/= ${file##*/} /"
	done
}

fail() {
	print_all
	tell "FAIL: $*"
	exit 1
}

# await LINE: waits until the client's results have it
await() { until grep -qx "$1" $debugfs/result; do sleep 0.1; done; }

# run RECIPE COMMAND
run() {
	echo "# $2" >>"/tmp/out/$1"
	sh -c "$2" >>"/tmp/out/$1" 2>&1 || fail "$2: $(tail -n 1 "/tmp/out/$1")"
}

# start RECIPE COMMAND: it is the process $started. Waits until bpftrace has attached its
# probes.
start() {
	echo "# $2" >>"/tmp/out/$1"
	sh -c "exec $2" >>"/tmp/out/$1" 2>&1 &
	started=$!
	until grep -q '^Attaching' "/tmp/out/$1"; do
		kill -0 $started || fail "$2: $(cat "/tmp/out/$1")"
		sleep 0.1
	done
	sleep 2
	kill -0 $started || fail "$2: $(tail -n 1 "/tmp/out/$1")"
}

# stop PID...: as Ctrl-C does
stop() {
	kill -INT "$@"
	wait "$@"
}

# printed NUMBER PATTERN FILE: waits for the lines, which bpftrace prints from a buffer
printed() {
	tries=100
	while [ "$(count "$2" "$3")" -lt "$1" ] && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.2
	done
}

# equal WHAT NUMBER EXPECTED
equal() { [ "$2" = "$3" ] || fail "$dialect: $1: $2, not $3"; }

counter() { sed -n "s/^$1 //p" "$folder/stats"; }

# The sum of a histogram of bpftrace
sum() { sed -n 's/^[[(].*[])] *\([0-9]*\) |.*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# count WORD FILE
count() { grep -c "$1" "$2"; }

# The numbers of the live requests
live() { sed -n 's/ .* live.*//p' "$1" | sort; }

# Traffic: each way to count the same requests gives the same number.
busy() {
	run "$dialect-latency" "echo 1 >$folder/latency"
	start "$dialect-latency" 'bpftrace tools/bpftrace/latency.bt'
	events=$tracing/events/$module
	run "$dialect-hist" "echo 'hist:keys=name,age_ns.log2:sort=name,age_ns' >$events/${module}_dissociate/trigger"
	run "$dialect-who" "echo 'hist:keys=name,common_pid.execname' >$events/${module}_associate/trigger"
	associated=$(counter associated) dissociated=$(counter dissociated)

	run "$dialect-perf" "perf record -q -o /tmp/perf.data -a -e '$module:*' -- sh -c 'echo 100 >$debugfs/submit'"
	run "$dialect-perf" 'perf script -i /tmp/perf.data -F trace:comm,tid,time,event,trace | head -n 20'
	grep -q "${module}_dissociate: smbecho" "/tmp/out/$dialect-perf" || fail "perf script: $(tail -n 1 "/tmp/out/$dialect-perf")"
	equal 'perf record' "$(perf script -i /tmp/perf.data | count "$module:${module}_associate:" -)" \
		$(($(counter associated) - associated))

	run "$dialect-trace" "perf trace -e '$module:*' -- sh -c 'echo 5 >$debugfs/submit'"
	equal 'perf trace' "$(count "${module}_associate(name: \"smbecho\"" "/tmp/out/$dialect-trace")" 5

	echo 500 >$debugfs/submit
	stop $started
	associated=$(($(counter associated) - associated)) dissociated=$(($(counter dissociated) - dissociated))
	run "$dialect-hist" "cat $events/${module}_dissociate/hist"
	run "$dialect-who" "cat $events/${module}_associate/hist"
	run "$dialect-hist" "echo '!hist:keys=name,age_ns.log2' >$events/${module}_dissociate/trigger"
	run "$dialect-who" "echo '!hist:keys=name,common_pid.execname' >$events/${module}_associate/trigger"
	[ $dissociated -ge 605 ] || fail "$dialect: only $dissociated requests"
	equal latency.bt "$(sum "/tmp/out/$dialect-latency")" $dissociated
	equal 'hist trigger' "$(sed -n 's/ *Hits: //p' "/tmp/out/$dialect-hist")" $dissociated
	equal 'hist trigger' "$(sed -n 's/ *Hits: //p' "/tmp/out/$dialect-who")" $associated
	tell "$dialect: latency.bt, hist triggers and perf: $dissociated requests"
}

# The server is silent: which tasks wait, from where, for what
hung() {
	start "$dialect-slow" 'bpftrace tools/bpftrace/slow.bt 1000'
	slow=$started
	start "$dialect-credits" 'bpftrace tools/bpftrace/credits.bt 1000'
	credits=$started
	signal_smbd STOP
	pids=
	for _ in $(seq $writers); do
		(echo 1 >$debugfs/submit) &
		pids="$pids $!"
		sleep 0.1
	done
	await "writers $writers"
	# The first one has a request in flight, which is abandoned.
	# shellcheck disable=SC2086
	set -- $pids
	kill -KILL "$1"
	await "writers $((writers - 1))"
	sleep 1

	cat "$folder/inflight" >"/tmp/out/$dialect-before"
	cat "$folder/waiters" >"/tmp/out/$dialect-waiters"
	run "$dialect-drgn" 'drgn --no-default-symbols -s vmlinux -s midatlas.ko -s midwindow.ko tools/drgn/midatlas.py'
	cat "$folder/inflight" >"/tmp/out/$dialect-between"
	echo "= dump $dialect"
	until [ -e "$dialect.dumped" ]; do sleep 0.5; done
	cat "$folder/inflight" >"/tmp/out/$dialect-after"
	live "/tmp/out/$dialect-after" >/tmp/live
	[ -s /tmp/live ] || fail "$dialect: nothing is in flight"
	grep -q abandoned "/tmp/out/$dialect-after" || fail "$dialect: no request is abandoned"

	signal_smbd CONT
	await 'writers 0'
	waiters=$(($(count . "/tmp/out/$dialect-waiters") - 1))
	printed "$(count . /tmp/live)" '^smbecho .* ms, ' "/tmp/out/$dialect-slow"
	printed $waiters '^smbecho: .* waited ' "/tmp/out/$dialect-credits"
	stop $slow $credits
	sed -n 's/^smbecho \([0-9a-fx]*\): [0-9]* ms, recipes.sh ([1-9][0-9]*)$/\1/p' "/tmp/out/$dialect-slow" | sort >/tmp/slow
	cmp /tmp/slow /tmp/live || fail "$dialect: slow.bt says $(xargs </tmp/slow), in flight were $(xargs </tmp/live)"
	equal 'stacks of slow.bt' "$(count 'request_submit+' "/tmp/out/$dialect-slow")" "$(count . /tmp/live)"
	equal credits.bt "$(count '^smbecho: .* waited ' "/tmp/out/$dialect-credits")" $waiters
	tell "$dialect: slow.bt: $(count . /tmp/slow) requests; credits.bt: $waiters waiters"
}

# recipes DIALECT MODULE
recipes() {
	dialect=$1 module=$2 folder=/sys/kernel/debug/$2/smbecho
	load samples/smbecho.ko "dialect=$1" requests=1 threads=1 credits=4 compound_every=0 \
		timeout_ms=200000 quarantine_ms=200000 || fail "smbecho.ko does not load"
	await 'state done'
	busy
	hung
	rmmod smbecho || fail "smbecho does not unload"
}

mount -t tracefs tracefs $tracing
mkdir /tmp/out
start_smbd
load ./qemu_fw_cfg.ko || fail "qemu_fw_cfg.ko does not load"
load ./midatlas.ko || fail "midatlas.ko does not load"
load ./midwindow.ko || fail "midwindow.ko does not load"
recipes smb1 midatlas
rm /tmp/out/smb1-credits
recipes smb2 midwindow
grep -q 'smbecho stalls: .* no credits' /tmp/out/smb2-credits || fail "credits.bt does not see the stall"
print_all
rmmod midwindow midatlas || fail "midatlas and midwindow do not unload"
done_well
