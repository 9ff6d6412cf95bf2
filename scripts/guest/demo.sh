#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Lets the sample client loose on a real smbd, on one connection after another:
# smbd ends one without a session after a minute. Prints the client's results,
# each line after "= ".

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

result=/sys/kernel/debug/smbecho/result

start_smbd
load ./midatlas.ko || fail "midatlas.ko does not load"
tell "$REQUESTS requests from $THREADS threads on each of $CONNECTIONS connections"
for _ in $(seq "$CONNECTIONS"); do
	load samples/smbecho.ko "requests=$REQUESTS" "threads=$THREADS" ||
		fail "smbecho.ko does not load"
	while grep -q '^state running' $result; do
		sleep 0.2
	done
	sed 's/^/= /' $result
	rmmod smbecho || fail "smbecho does not unload"
done
rmmod midatlas || fail "midatlas does not unload"
done_well
