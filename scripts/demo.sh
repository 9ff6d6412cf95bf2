#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client in a UML guest, with SMB1 and then with SMB2, checks its results
# and prints them as two tables.
#
# The server is a real smbd; REQUESTS and THREADS set the load. With HOSTILE=1 it is the
# hostile server; FRAMES, SEED and BEHAVIOURS set what it sends.

. "$(dirname "$0")/lib.sh"

declare -A result
faults=()

# Reads the guest's results ("= KEY VALUE") of each dialect ("= dialect NAME"), and then the
# client's last line in the kernel's log ("smbecho: requests N = replied N + ...").
read_results() {
	local key value dialect=

	while read -r key value; do
		[ "$key" != dialect ] || dialect=$value
		result[$dialect.$key]=$value
	done < <(sed -n 's/\r$//; s/^= //p; s/.* smbecho: \(requests .*\)/\1/p' "$work/console.log" | tr '=+,' '\n')
}

# result_of KEY: of the dialect of the table
result_of() { echo "${result[$dialect.$1]:-?}"; }

# row TEXT KEY OPERATOR VALUE [REMARK]: a line of the table. The client's value has to
# pass test(1).
row() {
	local value=${result[$dialect.$2]:-missing}

	test "$value" "$3" "$4" 2>/dev/null || faults+=("$dialect, $1: $value")
	[[ $2 != *_ns ]] || value=$(awk -v ns="$value" 'BEGIN { printf "%.2f ms", ns / 1e6 }')
	printf '  %-18s%12s%s\n' "$1" "$value" "${5:+ $5}"
}

# rows_of_ends REPLIED CANCELLED: how the requests ended, and the least that is expected
rows_of_ends() {
	row 'requests' requests -ge "$1"
	row '  = replied' replied -ge "$1"
	row '  + timed out' timed_out -ge 0
	row '  + cancelled' cancelled -ge "$2" '(the submitter was killed)'
	row '  + reset' reset -ge 0 "($(result_of destructed) of them by the destructor at the end)"
	row 'unaccounted' unaccounted -eq 0
}

# What both dialects have
samba_rows() {
	# On a slow machine some requests exceed their deadline.
	rows_of_ends $((requests * 9 / 10)) 100
	row 'requests/s' requests_per_s -gt 0
	row 'latency p50' latency_p50_ns -gt 0
	row 'latency p99' latency_p99_ns -gt 0
	row 'mismatches' mismatches -eq 0
	row 'malformed' malformed -eq 0
	row 'abandoned' abandoned -gt 0 '(cancelled while in flight)'
	row 'late replies' late -gt 0 '(to abandoned requests)'
	row 'connections' connections -ge 2
	row 'resubmitted' resubmitted -gt 0 '(on the next connection)'
	row 'destructed' destructed -gt 0
}

samba_smb1() {
	samba_rows
	row 'stale replies' stale -ge 0 '(to requests that ended, after the quarantine)'
	row 'peak in flight' peak_in_flight -eq "$(result_of max_mpx)" "of $(result_of max_mpx) (MaxMpxCount)"
	row 'replies' replies -ge "$requests" '(some requests get three)'
	row 'reassociated' reassociated -gt 0
}

samba_smb2() {
	samba_rows
	row 'stale replies' stale -eq 0
	row 'unknown replies' unknown -eq 0
	row 'peak in flight' peak_in_flight -gt 50 "($(result_of slots) need no memory)"
	row 'replies' replies -ge $((requests * 9 / 10))
	row 'compounds' compounds -gt 0 '(two requests in one frame)'
	row 'credits' credits -ge $((requests * 9 / 10)) "(granted; $(result_of available) available at the end)"
	row 'starved' starved -eq 0
	row 'lost ids' lost -eq 0
	row 'returned' unsent -ge 0 '(requests that could not be sent: their ids were used again)'
	row 'cancels sent' cancels -gt 0
	row 'keep-alives' keepalives -ge 0
}

# Of the storm
hostile_rows() {
	local kind hostile=0

	for kind in unknown stale late unsolicited malformed mismatches; do
		hostile=$((hostile + ${result[$dialect.$kind]:-0}))
	done
	result[$dialect.hostile]=$hostile
	row 'behaviours' met -gt 0
	row 'hostile frames' hostile -ge "$frames" '(received in the storm)'
	row "  unknown $1" unknown -gt 0
	row "  stale $1" stale -gt 0 '(of requests that have ended)'
	row '  late replies' late -ge 0 '(to abandoned requests)'
	row '  unsolicited' unsolicited -gt 0
	row '  malformed' malformed -gt 0
	row '  mismatches' mismatches -gt 0 '(the right number, a wrong reply)'
	row 'connections' connections -gt 1
	rows_of_ends 1000 1
}

hostile_smb1() { hostile_rows MIDs; }

hostile_smb2() {
	hostile_rows ids
	row 'interims' interims -gt 0 '(the reply comes later, or never)'
	row 'credits' credits -gt 0 '(granted)'
	row 'starved' starved -ge 0 '(too few credits: a new connection)'
	row 'compounds' compounds -gt 0 '(sent)'
	row 'returned' unsent -ge 0 '(requests that could not be sent)'
	row 'lost ids' lost -ge 0
}

requests=${REQUESTS:-100000} threads=${THREADS:-64}
frames=${FRAMES:-1000000} seed=${SEED:-$RANDOM} behaviours=${BEHAVIOURS:-all}
if [ -n "${HOSTILE:-}" ]; then
	[[ $frames =~ ^[1-9][0-9]{0,8}$ && $seed =~ ^[0-9]{1,9}$ && $behaviours =~ ^[a-z0-9_,]+$ ]] ||
		die "use numbers and names, such as FRAMES=1000000 SEED=1 BEHAVIOURS=early,storm"
	need python3:python3
	table=hostile
	guest=(hostile.sh FRAMES="$frames" SEED="$seed" BEHAVIOURS="$behaviours")
else
	[[ $requests =~ ^[1-9][0-9]{3,8}$ && $threads =~ ^[1-9][0-9]?$ ]] ||
		die "use numbers, such as REQUESTS=100000 (at least 1000) THREADS=64 (at most 99)"
	need smbd:samba
	table=samba
	guest=(demo.sh REQUESTS="$requests" THREADS="$threads")
fi
need insmod:kmod busybox:busybox-static taskset:util-linux
kernel=$("$top/scripts/kernel.sh")
workdir demo
build_modules "$kernel"

LIMIT=${LIMIT:-900} PINNED=${PINNED-yes} boot "$kernel" "$work" "${guest[@]}" || faults+=("the guest failed")
read_results
! grep 'smbecho: .* unaccounted [^0]' "$work/console.log" >&2 || faults+=("unaccounted requests")
for dialect in smb1 smb2; do
	if [ -z "${result[$dialect.dialect]:-}" ]; then
		faults+=("$dialect: no results")
		continue
	fi
	echo "${dialect^^}:"
	"${table}_$dialect"
done
[ ${#faults[@]} -eq 0 ] || die "FAILED: $(IFS=,; echo "${faults[*]}")"
say "SMB1 and SMB2: every request completed exactly once, and nothing leaked"
