#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scale.sh: counts the transfers of cache lines a cycle on simulated machines of 2 to 128
# CPUs, see tests/scale/README. Prints tables, and fails if the atlas is over its limit or
# the spinlocks are not as is known. OUT=DIR receives the results.

. "$(dirname "$0")/lib.sh"
. "$top/tests/user.sh"

out=${OUT:-$cache/scale}
stateless+=' build_bug container_of'

[ "$(uname -m)" = x86_64 ] || die "the simulation switches CPUs on x86_64 only"
need gcc:gcc /usr/include/stdlib.h:libc6-dev python3:python3 gnuplot:gnuplot-nox
tools=$("$top/scripts/source.sh")/tools
workdir scale
user_headers kernel.h "$top"/{midatlas,midwindow}.c "${including[@]}" "$top"/bench/{*.h,peers/{credits.h,{midatlas,window_mid,window_floor,spinlock}.c}}

# Each access of these is counted.
seen=()
for source in "$top"/tests/scale/{atlas,window,window_floor,spinlock,shared_bitmap}.c "$tools"/lib/{rbtree,find_bit,hweight,list_sort}.c; do
	object=$(basename "$source" .c).o
	user_build gcc "$object" -c -DALONE -fsanitize=thread -include "$top/tests/scale/seen.h" "$source"
	seen+=("$work/$object")
done
wrapped=()
for name in alloc alloc_per_cpu free cpu lock unlock; do
	wrapped+=("-Wl,--wrap=model_$name")
done
for name in lockdep_is_held might_sleep complete wait_for_completion_killable_timeout; do
	wrapped+=("-Wl,--wrap=$name")
done
user_build gcc scale -DALONE -no-pie "${wrapped[@]}" -include "$top/tests/scale/seen.h" \
	"$top"/tests/scale/{main,machine}.c "$top/tests/fuzz/kernel.c" "$tools/lib/vsprintf.c" "${seen[@]}"

# run PATTERN MAX IN_FLIGHT TABLE...: on 2 to 128 CPUs
run() {
	local table cpus

	for table in "${@:4}"; do
		say "$1: $table"
		for cpus in 2 4 8 16 32 64 128; do
			"$work/scale" "$1" "$table" $cpus "$2" "$3" | sed 's/^/run,/' >>"$work/scale.csv"
		done
	done
}

while IFS=, read -r pattern table max in_flight _; do
	"$work/scale" "$pattern" "$table" 2 "$max" "$in_flight" | sed 's/^/check,/' >>"$work/scale.csv"
done <"$top/tests/scale/measured.csv"
run st 4096 1024 midatlas midwindow midwindow_reserve window_floor bitmap spinlock ticket_lock
run pc 4096 1024 midatlas midwindow window_floor bitmap spinlock
run sat 50 50 midatlas midwindow
mkdir -p "$out"
cp "$work/scale.csv" "$out/"
"$top/tests/scale/report.py" "$out" || die "a limit was missed"
say "results, tables and plots are in $out"
