#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loads and unloads the modules as a user would, and a hundred times more.

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

rounds=100
result=/sys/kernel/debug/smbecho/result

# A client that sends requests, leaves some unanswered, and goes; in few processes,
# because UML is slow to start one.
round() {
	insmod ./midatlas.ko || fail "midatlas does not load"
	insmod samples/smbecho.ko requests=100 || fail "smbecho does not load"
	while read -r _ state <$result && [ "$state" = running ]; do
		sleep 0.05
	done
	[ "$state" = 'done' ] || fail "the client failed"
	rmmod smbecho midatlas || fail "the modules do not unload"
}

# What every call site in the kernel holds, after what RCU still held was freed
snapshot() {
	sleep 2
	cp /proc/allocinfo "$1"
}

# Call sites that hold at least one object more for each round. (Their lines
# are: bytes, objects, file:line and function; a header's are there repeatedly.)
grown() {
	awk -v rounds=$rounds '
		{ site = $3 " " $4 " " $5 " " $6 }
		FNR == NR { more[site] -= $2; next }
		{ more[site] += $2 }
		END { for (site in more) if (more[site] >= rounds) print more[site], site }
	' "$1" "$2"
}

for file in ./midatlas.ko samples/smbecho.ko; do
	for field in license description; do
		[ -n "$(modinfo -F $field $file)" ] || fail "$file has no $field"
	done
done
tell "modinfo is complete"

load ./midatlas.ko
load samples/loopback.ko || fail "the smallest client got a wrong answer: $(dmesg | tail -n 3)"
rmmod loopback
tell "$(dmesg | sed -n 's/.*\(loopback: .* wrong\)/\1/p')"

start_smbd
load samples/smbecho.ko requests=200
grep -q '^midatlas .* smbecho, ' /proc/modules || fail "smbecho does not use midatlas"
! rmmod midatlas 2>/dev/null || fail "midatlas could be removed under its client"
rmmod smbecho
rmmod midatlas || fail "midatlas cannot be removed without its client"
tell "midatlas cannot be removed while its client holds it"

# A connection in TIME_WAIT would look like an object left behind.
echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets
for _ in $(seq 5); do round; done
snapshot /tmp/before
for _ in $(seq $rounds); do round; done
snapshot /tmp/after
tell "loaded and unloaded $rounds times"

left=$(grown /tmp/before /tmp/after | tr "\n" ";")
[ -z "$left" ] || fail "left behind by $rounds rounds: $left"
tell "no call site in the kernel holds more objects than before"
done_well
