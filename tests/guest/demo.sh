#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client against a real smbd, first with SMB1, then with SMB2. Meanwhile
# submitters are killed, smbd is killed and restarted, and at the end smbd is stopped before
# the client is unloaded. Prints the client's results, each line after "= ".

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

victims=100
unanswered=10
debugfs=/sys/kernel/debug/smbecho

# await KEY OPERATOR VALUE: waits until the value of KEY passes test(1)
await() {
	while :; do
		while read -r key value; do
			[ "$key" = "$1" ] && break
		done <$debugfs/result
		test "$value" "$2" "$3" && break
		sleep 0.1
	done
}

# demo DIALECT
demo() {
	load samples/smbecho.ko "dialect=$1" "requests=$REQUESTS" "threads=$THREADS" ||
		fail "smbecho.ko does not load"
	echo "= dialect $1"
	tell "$1: $THREADS kernel threads submit $REQUESTS requests"

	await replied -ge $((REQUESTS / 10))
	pids=
	for _ in $(seq $victims); do
		(echo 1000000 >$debugfs/submit) &
		pids="$pids $!"
	done
	await writers -eq $victims
	# Now a third of them or more have a request in flight, and no reply arrives.
	signal_smbd STOP
	# shellcheck disable=SC2086
	kill -KILL $pids
	await writers -eq 0
	signal_smbd CONT
	tell "$1: killed $victims submitting processes"

	await replied -ge $((REQUESTS / 2))
	signal_smbd KILL
	run_smbd
	tell "$1: killed and restarted smbd"

	await state = 'done'
	signal_smbd STOP
	echo $unanswered | dd of=$debugfs/submit oflag=nonblock status=none || fail "cannot submit"
	sed 's/^/= /' $debugfs/result
	rmmod smbecho || fail "smbecho does not unload"
	tell "$1: unloaded the client with $unanswered requests or more in flight"
}

start_smbd
load ./midatlas.ko || fail "midatlas.ko does not load"
demo smb1
signal_smbd KILL
run_smbd
demo smb2
rmmod midwindow midatlas || fail "midatlas and midwindow do not unload"
done_well
