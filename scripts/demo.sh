#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client against a real smbd, both inside UML, and prints what
# came of it. REQUESTS and THREADS in the environment change the work.

. "$(dirname "$0")/lib.sh"

requests=${REQUESTS:-100000} threads=${THREADS:-4}
declare -A result
faults=()

# Adds up what the client reports after each connection, "KEY VALUE" by line.
read_results() {
	local key value old

	while read -r key value; do
		old=${result[$key]:-}
		case $key in
		state) [ "${old:-done}" = 'done' ] || value=$old ;;
		peak_in_flight) ((value <= ${old:-value})) || value=$old ;;
		max_mpx | *_ns) ((value >= ${old:-0})) || value=$old ;;
		requests_per_s) value=$((${old:-0} + value / connections)) ;;
		*) value=$((${old:-0} + value)) ;;
		esac
		result[$key]=$value
	done
}

# row TEXT KEY OPERATOR VALUE [REMARK]: a line of the table, and what test(1) has
# to say to the client's value
row() {
	local value=${result[$2]:-missing}

	test "$value" "$3" "$4" 2>/dev/null || faults+=("$1: $value")
	[[ $2 != *_ns ]] || value=$(awk -v ns="$value" 'BEGIN { printf "%.2f ms", ns / 1e6 }')
	printf '  %-16s%12s%s\n' "$1" "$value" "${5:+ $5}"
}

table() {
	row 'client' state = 'done'
	row 'requests' requests -ge "$requests"
	row 'replies' replies -ge "$requests"
	row 'requests/s' requests_per_s -gt 0
	row 'peak in flight' peak_in_flight -eq "${result[max_mpx]:-0}" "of ${result[max_mpx]:-?} (MaxMpxCount)"
	row 'latency p50' latency_p50_ns -gt 0 '(of the slowest connection)'
	row 'latency p99' latency_p99_ns -gt 0
	row 'reassociated' reassociated -gt 0
	row 'destructed' destructed -gt 0
	row 'mismatches' mismatches -eq 0
	row 'unknown MIDs' unknown -eq 0
	row 'malformed' malformed -eq 0
	row 'unaccounted' unaccounted -eq 0
}

[[ $requests =~ ^[1-9][0-9]{0,8}$ && $threads =~ ^[1-9][0-9]?$ ]] ||
	die "REQUESTS=$requests THREADS=$threads: give numbers, as REQUESTS=100000 THREADS=4"
connections=$(((requests + 19999) / 20000))
each=$(((requests + connections - 1) / connections))
need smbd:samba insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir demo
build_modules "$kernel"

"$top/scripts/uml.sh" "$kernel" "$work" demo.sh \
	CONNECTIONS=$connections REQUESTS=$each THREADS="$threads" || faults+=("the run did not end well")
read_results < <(sed -n 's/^= //p' "$work/console.log")

[ ${#result[@]} -eq 0 ] || table
[ ${#faults[@]} -eq 0 ] || die "FAILED: $(IFS=,; echo "${faults[*]}")"
say "each request ended once, and nothing was left behind"
