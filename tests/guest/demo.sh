#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Lets the sample client loose on a real smbd, and then lets the worst happen:
# submitters are killed, smbd dies, and it falls silent when the client wants to
# go. Prints the client's results, each line after "= ".

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

victims=100
unanswered=10
debugfs=/sys/kernel/debug/smbecho

# await KEY OPERATOR VALUE: until that is true of the client's result
await() {
	while :; do
		while read -r key value; do
			[ "$key" = "$1" ] && break
		done <$debugfs/result
		test "$value" "$2" "$3" && break
		sleep 0.1
	done
}

start_smbd
load ./midatlas.ko || fail "midatlas.ko does not load"
load samples/smbecho.ko "requests=$REQUESTS" "threads=$THREADS" || fail "smbecho.ko does not load"
tell "$THREADS kernel threads submit $REQUESTS requests"

await replied -ge $((REQUESTS / 10))
pids=
for _ in $(seq $victims); do
	(echo 1000000 >$debugfs/submit) &
	pids="$pids $!"
done
await writers -eq $victims
# Now a third of them has a request in flight, and none is answered.
signal_smbd STOP
# shellcheck disable=SC2086
kill -KILL $pids
await writers -eq 0
signal_smbd CONT
tell "$victims processes that submit, too, were killed"

await replied -ge $((REQUESTS / 2))
signal_smbd KILL
run_smbd
tell "smbd was killed and started again"

await state = 'done'
signal_smbd STOP
echo $unanswered | dd of=$debugfs/submit oflag=nonblock status=none || fail "cannot submit"
sed 's/^/= /' $debugfs/result
rmmod smbecho || fail "smbecho does not unload"
rmmod midatlas || fail "midatlas does not unload"
tell "$unanswered requests were left unanswered at the end"
done_well
