#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# litmus.sh [PAIR...]: runs the litmus tests, or those pairs, under the kernel's memory
# model, as its checklitmus.sh would, and checks that they and the code still speak of
# each other.

. "$(dirname "$0")/lib.sh"

code=(midatlas.c midwindow.c)
dir=tests/litmus
failed=0

bad() { echo "$*"; failed=$((failed + 1)); }

# run TEST: what herd7 says of it
run() {
	(cd "$model" && timeout -k 5 60 "$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
		"$herd/usr/bin/herd7" -set-libdir "$herd/usr/share/herdtools7/herd" \
		-conf linux-kernel.cfg "$top/$1" 2>&1)
}

# judge NAME-KIND RESULT
judge() {
	local test=$dir/$1.litmus said

	[ -e "$test" ] || { bad "$1: there is no such test"; return; }
	grep -qx " \* Result: $2" "$test" || bad "$1: should have the line 'Result: $2'"
	said=$(run "$test") || said="herd7 failed: $said"
	if grep -q "^Observation $1 $2 " <<<"$said" && ! grep -q ^Flag <<<"$said"; then
		printf '%-28s %s\n' "$1" "$2"
	else
		bad "$1: not $2: $said"
	fi
}

# Whether what the test models is still there, and says so
in_code() {
	local function

	for function in $(sed -n 's/^ \* Models: //p' "$dir/$1-fixed.litmus" | tr -d '(),'); do
		grep -qE "^([a-z].*[ *])?$function\(" "${code[@]}" || bad "$1: $function() is no more"
	done
	grep -qE "[[ ]$1[],]" "${code[@]}" || bad "$1: no comment in the code names it"
	grep -qx "$1" $dir/README || bad "$1: not in $dir/README"
}

cd "$top"
herd=$("$top/scripts/herd.sh")
lib=$herd/usr/lib/x86_64-linux-gnu
model=$("$top/scripts/source.sh")/tools/memory-model

names=("$@")
[ $# -gt 0 ] ||
	mapfile -t names < <(find $dir -name '*.litmus' -printf '%f\n' | sed 's/-[a-z]*\.litmus$//' | sort -u)
[ ${#names[@]} -gt 0 ] || die "there are no litmus tests in $dir"
for name in "${names[@]}"; do
	judge "$name-fixed" Never
	judge "$name-broken" Sometimes
	in_code "$name"
done
[ $failed -eq 0 ] || die "$failed things are wrong with the litmus tests"
say "${#names[@]} pairs of litmus tests: each fixed one Never, each broken one Sometimes"
