#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client against a real smbd, both inside UML, and prints what
# came of it. REQUESTS and THREADS in the environment change the work; with
# HOSTILE=1 the server is a hostile one instead.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/results.sh"

[ -z "${HOSTILE:-}" ] || exec "$top/scripts/hostile.sh"

requests=${REQUESTS:-100000} threads=${THREADS:-64}

table() {
	# On a machine that is slow enough some may pass their deadline.
	rows_of_ends $((requests * 9 / 10)) 100
	row 'requests/s' requests_per_s -gt 0
	row 'peak in flight' peak_in_flight -eq "${result[max_mpx]:-0}" "of ${result[max_mpx]:-?} (MaxMpxCount)"
	row 'latency p50' latency_p50_ns -gt 0
	row 'latency p99' latency_p99_ns -gt 0
	row 'replies' replies -ge "$requests" 'to some requests three'
	row 'mismatches' mismatches -eq 0
	row 'malformed' malformed -eq 0
	row 'reassociated' reassociated -gt 0
	row 'abandoned' abandoned -gt 0 'of the cancelled: they were in flight'
	row 'late replies' late -gt 0 'to those'
	row 'stale replies' stale -ge 0 'to those whose MID was free again'
	row 'connections' connections -ge 2
	row 'resubmitted' resubmitted -gt 0 'on the next connection'
	row 'destructed' destructed -gt 0
}

[[ $requests =~ ^[1-9][0-9]{3,8}$ && $threads =~ ^[1-9][0-9]?$ ]] ||
	die "give numbers, as REQUESTS=100000 (from 1000 on) THREADS=64 (up to 99)"
need smbd:samba insmod:kmod busybox:busybox-static taskset:util-linux
kernel=$("$top/scripts/kernel.sh")
workdir demo
build_modules "$kernel"

PINNED=${PINNED-yes} boot "$kernel" "$work" demo.sh REQUESTS="$requests" THREADS="$threads" ||
	faults+=("the run did not end well")
read_results

[ ${#result[@]} -eq 0 ] || table
verdict
