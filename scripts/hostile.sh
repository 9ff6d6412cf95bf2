#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client against a hostile server, both inside UML, and prints
# what it survived. FRAMES, SEED and BEHAVIOURS in the environment change the work.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/results.sh"

frames=${FRAMES:-1000000} seed=${SEED:-$RANDOM} behaviours=${BEHAVIOURS:-all}

table() {
	row 'behaviours met' met -gt 0
	row 'hostile frames' hostile -ge "$frames" 'received in the storm'
	row '  unknown MIDs' unknown -gt 0
	row '  stale MIDs' stale -gt 0 'of requests that had ended'
	row '  late replies' late -ge 0 'to requests that were given up'
	row '  unsolicited' unsolicited -gt 0
	row '  malformed' malformed -gt 0
	row '  mismatches' mismatches -gt 0 'the right MID, a wrong reply'
	row 'connections' connections -gt 1
	rows_of_ends 1000 1
}

[[ $frames =~ ^[1-9][0-9]{0,8}$ && $seed =~ ^[0-9]{1,9}$ && $behaviours =~ ^[a-z_,]+$ ]] ||
	die "give numbers and names, as FRAMES=1000000 SEED=1 BEHAVIOURS=early,storm"
need python3:python3 insmod:kmod busybox:busybox-static taskset:util-linux
kernel=$("$top/scripts/kernel.sh")
workdir hostile
build_modules "$kernel"

PINNED=${PINNED-yes} boot "$kernel" "$work" hostile.sh FRAMES="$frames" SEED="$seed" BEHAVIOURS="$behaviours" ||
	faults+=("the run did not end well")
read_results
for kind in unknown stale late unsolicited malformed mismatches; do
	result[hostile]=$((${result[hostile]:-0} + ${result[$kind]:-0}))
done
! grep 'smbecho: .* unaccounted [^0]' "$work/console.log" >&2 || faults+=("unaccounted requests")

[ ${#result[@]} -eq 0 ] || table
verdict
