#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The slow tests, about five hours on two CPUs. Each part is a make target and has a time
# limit. Prints the results and a table. PARTS="litmus faults" runs only these.

. "$(dirname "$0")/lib.sh"

# PART:MINUTES
all=(litmus:5 model:15 mutants:90 fuzz:20 kernels:20 recipes:15 sanitize:35 faults:15 soak:70 series:60)
names=${all[*]%:*}
parts=${PARTS:-$names}
unset PARTS	# sanitize.sh reads a PARTS of its own
failed=0

# part NAME MINUTES
part() {
	local log=$work/$1.log start=$SECONDS result=PASS

	say "$1 (at most $2 minutes)"
	timeout -k 5 "$2m" make -s -C "$top" "$1" 2>&1 >"$log.out" | tee "$log" >&2 || result=FAIL
	[ $result = PASS ] || failed=$((failed + 1))
	printf '%-9s %s %5d s  %s\n' "$1" $result $((SECONDS - start)) \
		"$(sed -n 's/^midatlas: //p' "$log" | grep -v ' the logs of this run ' | tail -n 1)" >>"$work/table"
}

for name in $parts; do
	[[ " $names " = *" $name "* ]] || die "no part '$name': $names"
done
workdir check-deep
for limit in "${all[@]}"; do
	[[ " $parts " != *" ${limit%:*} "* ]] || part "${limit%:*}" "${limit#*:}"
done
for name in $parts; do
	[ ! -s "$work/$name.log.out" ] || { echo "$name:"; cat "$work/$name.log.out"; }
done
cat "$work/table"
[ $failed -eq 0 ] || die "$failed parts failed"
say "all parts passed"
