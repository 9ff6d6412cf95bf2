#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loads and unloads the modules a hundred times, and checks that nothing leaks.

. "${0%/*}/smbd.sh"
. "${0%/*}/lib.sh"

rounds=100
result=/sys/kernel/debug/smbecho/result

# round N: loads the client, lets it send requests and unloads it. SMB1 and SMB2 take
# turns. Few processes, because UML starts them slowly.
round() {
	insmod ./midatlas.ko || fail "midatlas does not load"
	insmod ./midwindow.ko || fail "midwindow does not load"
	insmod samples/smbecho.ko dialect=smb$(($1 % 2 + 1)) requests=100 || fail "smbecho does not load"
	while read -r _ state <$result && [ "$state" = running ]; do
		sleep 0.05
	done
	[ "$state" = 'done' ] || fail "the client failed"
	rmmod smbecho midwindow midatlas || fail "the modules do not unload"
}

smbds() { grep -ls ^smbd /proc/[0-9]*/comm | wc -l; }

# snapshot FILE: the allocations of each call site, after RCU has freed its objects. Waits up to
# 30 s for smbd's processes of the connections: each has memory for what it sends.
snapshot() {
	patience=150
	while [ "$(smbds)" -gt "$listening" ] && [ $patience -gt 0 ]; do
		patience=$((patience - 1))
		sleep 0.2
	done
	sleep 2
	cp /proc/allocinfo "$1"
}

# grown BEFORE AFTER: call sites with at least one more object for every second round. A line is:
# bytes, objects, file:line, function. A header's call sites occur repeatedly.
grown() {
	awk -v rounds=$rounds '
		{ site = $3 " " $4 " " $5 " " $6 }
		FNR == NR { more[site] -= $2; next }
		{ more[site] += $2 }
		END { for (site in more) if (more[site] >= rounds / 2) print more[site], site }
	' "$1" "$2"
}

for file in ./midatlas.ko ./midwindow.ko samples/smbecho.ko; do
	for field in license description; do
		[ -n "$(modinfo -F $field $file)" ] || fail "$file has no $field"
	done
done
tell "modinfo is complete"

load ./midatlas.ko
load samples/loopback.ko || fail "loopback got a wrong answer: $(dmesg | tail -n 3)"
rmmod loopback
tell "$(dmesg | sed -n 's/.*\(loopback: .* wrong\)/\1/p')"

start_smbd
listening=$(smbds)
load samples/smbecho.ko requests=200
grep -q '^midatlas .* smbecho, ' /proc/modules || fail "smbecho does not use midatlas"
! rmmod midatlas 2>/dev/null || fail "midatlas unloads while its client is loaded"
rmmod smbecho
rmmod midatlas || fail "midatlas does not unload after its client"
rmmod midwindow || fail "midwindow does not unload after its client"
tell "midatlas does not unload while its client is loaded"

# A connection in TIME_WAIT would look like a leak.
echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets
for i in $(seq 6); do round "$i"; done
snapshot /tmp/before
for i in $(seq $rounds); do round "$i"; done
snapshot /tmp/after
tell "loaded and unloaded $rounds times"

left=$(grown /tmp/before /tmp/after | tr "\n" ";")
[ -z "$left" ] || fail "leaked by $rounds rounds: $left"
tell "no call site in the kernel has more objects than before"
done_well
