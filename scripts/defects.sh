#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# defects.sh [WORD]: plants each bug of tests/mutants/ (or those that have WORD in their
# names) in a copy of midatlas.c, one at a time, and runs the one part that is said to
# catch it; see tests/mutants/README. BY="model litmus" in the environment takes only what
# these catch.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/user.sh"

litmus=$top/tests/litmus
caught=0 failed=0

# What a patch's header says of it
field() { sed -n "/^--- /q; s/^$1: //p" "$patch"; }

# Each of these runs one part on the sources in $tree, and sets $said to what it says.
# They fail if that is not that it caught the defect.

by_model() {
	said="it does not build"
	(build_model "$tree/midatlas.c") >"$work/log" 2>&1 || return
	! timeout -k 5 300 "$work/model" "$*" >"$work/log" 2>&1 || { said=$(tail -n 1 "$work/log"); return 1; }
	said=$(sed -n 's/^BROKEN: //p' "$work/log")
	[ -n "$said" ] || { said="it broke off: $(tail -n 1 "$work/log")"; return 1; }
}

# The barriers that are gone, by a patch or from a litmus test to its twin
barriers() { sed -n 's/^[-<]\([^-]\)/\1/p' | grep -oE 'smp_[a-z]*mb[a-z_]*|_(release|acquire)\b'; }

# What the model cannot see, for it is sequentially consistent: the broken twin of a
# pair stands for the patch if it models a function there and lacks the same barrier.
by_litmus() {
	local barrier functions

	said="it does not lack the same barrier"
	barrier=$(barriers <"$patch") &&
		barriers < <(diff "$litmus/$1-fixed.litmus" "$litmus/$1-broken.litmus") | grep -xF "$barrier" >/dev/null || return
	said="it models no function of the patch"
	functions=$(sed -n 's/^ \* Models: //p' "$litmus/$1-broken.litmus" | tr -d ' ()' | tr , '|')
	grep -qE "^(@@.*@@|[ +-]).*[ *]($functions)\(" "$patch" || return
	"$top/scripts/litmus.sh" "$1" >"$work/log" 2>&1 || { said=$(head -n 1 "$work/log"); return 1; }
	said=$(sed -n 's/^\([^ ]*-broken\) */\1: /p' "$work/log")
}

# by_kunit SUITE TEST
by_kunit() {
	SUITES=$1 "$tree/scripts/kunit.sh" >"$work/log" 2>&1 || true
	said=$(sed -n "s/^\[[0-9:]*\] *\(\[FAILED\] $2\)$/\1/p" "$work/log" | head -n 1)
	[ -n "$said" ] || { said="$2 did not fail: $(tail -n 1 "$work/log")"; return 1; }
}

# plant: the sources with the patch, in $tree
plant() {
	rm -rf "$tree"
	mkdir "$tree"
	tar -C "$top" -c --exclude=./.git --exclude=./packages . | tar -C "$tree" -x
	patch -d "$tree" -p1 -F0 -s --no-backup-if-mismatch <"$patch" >"$work/log" 2>&1
}

# try KIND ARGUMENT...: a row of the table
try() {
	local result=caught said="the patch does not apply any more: make it anew"

	if ! plant || ! "by_$1" "${@:2}"; then
		result="NOT CAUGHT"
		failed=$((failed + 1))
	else
		caught=$((caught + 1))
	fi
	printf '%-36s %-10s %-7s %s\n' "$name" "$result" "$1" "$said"
}

need patch:patch gcc:gcc /usr/include/stdlib.h:libc6-dev
tools=$("$top/scripts/source.sh")/tools
workdir defects
tree=$work/tree
for patch in "$top"/tests/mutants/*"${1:-}"*.patch; do
	[ -e "$patch" ] || die "there is no defect '${1:-}'"
	name=$(basename "$patch" .patch)
	read -ra by <<<"$(field Caught-by)"
	[[ ${by[0]:-} = @(model|litmus|kunit) && -n $(field Defect) ]] ||
		die "tests/mutants/$name.patch: needs the lines 'Defect: WHAT' and 'Caught-by: model|litmus|kunit WHICH'"
	[[ " ${BY:-${by[0]}} " != *" ${by[0]} "* ]] || try "${by[@]}"
done
[ $failed -eq 0 ] || die "$failed defects of $((caught + failed)) are not caught"
[ $caught -gt 0 ] || die "no such defect is caught by ${BY:-anything}"
say "$caught defects planted, each of them caught"
