#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs KUnit, the stress test and the sample client under the kernel's sanitizers, and
# prints a table. PARTS="kasan kcsan" selects:
#
#	kasan  memory errors, in a UML kernel with one CPU
#	kcsan  data races and locking errors, on two CPUs in QEMU

. "$(dirname "$0")/lib.sh"

parts=${PARTS:-kasan kcsan}
bad=()

row() { printf '  %-8s %-9s %s\n' "$1" "$2" "$3" >>"$work/table"; }

# run WHERE WHAT SECONDS COMMAND...: a row with the last message of the command
run() {
	local log=$work/$1-$2.log

	say "$2 under $1"
	if timeout -k 5 "$3" "${@:4}" >"$log" 2>&1; then
		row "$1" "$2" "$(sed -n 's/^midatlas: //p' "$log" | tail -n 1)"
	else
		tail -n 20 "$log" >&2
		bad+=("$2 under $1")
		row "$1" "$2" "FAILED"
	fi
}

# use CONFIG: with this kernel, which is built first, as that takes longer than a test may
use() {
	export CONFIG=$top/scripts/kernel/$1
	"$top/scripts/kernel.sh" >/dev/null
}

kasan() {
	use kasan.config
	run kasan kunit 900 "$top/scripts/kunit.sh"
	run kasan stress 1800 env OPERATIONS=10000000 LIMIT=1700 "$top/scripts/guest.sh" stress
	run kasan client 600 env REQUESTS=20000 "$top/scripts/demo.sh"
	run kasan hostile 600 env HOSTILE=1 FRAMES=20000 \
		BEHAVIOURS=repeated,truncated,short,too_long,reset_in_frame,storm "$top/scripts/demo.sh"
}

kcsan() {
	use kcsan.config
	run kcsan kunit 900 env PART=200 SUITES='*_race' LIMIT=800 "$top/scripts/kunit.sh"
	run kcsan stress 1800 env OPERATIONS=1000000 LIMIT=1700 "$top/scripts/guest.sh" stress
	run kcsan client 600 env REQUESTS=5000 THREADS=32 "$top/scripts/demo.sh"
}

workdir sanitize
for part in $parts; do
	[[ $part = @(kasan|kcsan) ]] || die "no part '$part': kasan or kcsan"
	$part
done
echo "kasan: KASAN, UBSAN, kmemleak, DEBUG_OBJECTS; UML, one CPU"
echo "kcsan: KCSAN (strict), PROVE_LOCKING, PROVE_RCU, DEBUG_ATOMIC_SLEEP; QEMU, two CPUs"
cat "$work/table"
[ ${#bad[@]} -eq 0 ] || die "FAILED: $(IFS=,; echo "${bad[*]}")"
say "the sanitizers report nothing"
