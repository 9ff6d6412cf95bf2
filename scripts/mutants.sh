#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mutants.sh [WORD...]: applies the mutants of tests/mutants/*.mut (or those with a WORD
# in their names) to a copy of the tree, one at a time, and runs the test that must catch
# each; see tests/mutants/README. BY="model litmus" runs only the mutants that these catch.
# mutants.sh --dry-run: only checks that each mutant applies.

. "$(dirname "$0")/lib.sh"

litmus=$top/tests/litmus
caught=0 failed=0

mutate() { PYTHONDONTWRITEBYTECODE=1 python3 "$top/tests/mutants/mutate.py" "$@"; }

# Each of these runs one test on the sources in $tree and sets $said to its message.
# They fail if the test did not catch the mutant.

# by_model WORD...: of a scenario's name
by_model() {
	LIMIT=300 "$tree/scripts/model.sh" "$*" >"$work/log" 2>&1 || true
	said=$(sed -n 's/^BROKEN: //p' "$work/log")
	[ -n "$said" ] || { said=$(tail -n 1 "$work/log"); return 1; }
}

# The barriers that a diff removes, sorted
barriers() { sed -n 's/^[-<]\([^-]\)/\1/p' | grep -oE 'smp_[a-z]*mb[a-z_]*|_(release|acquire)\b'; }

# The model is sequentially consistent, so it cannot see a missing barrier. Instead, the
# -broken test of a pair must model a function of the mutant and lack the same barrier.
by_litmus() {
	local barrier functions

	said="the pair differs in another barrier"
	barrier=$(barriers <"$work/diff") &&
		barriers < <(diff "$litmus/$1-fixed.litmus" "$litmus/$1-broken.litmus") | grep -xF "$barrier" >/dev/null || return
	said="the pair does not model the changed function"
	functions=$(sed -n 's/^ \* Models: //p' "$litmus/$1-broken.litmus" | tr -d ' ()' | tr , '\n')
	mutate "$tree" show "$name" in | grep -xF "$functions" >/dev/null || return
	"$top/scripts/litmus.sh" "$1" >"$work/log" 2>&1 || { said=$(head -n 1 "$work/log"); return 1; }
	said=$(sed -n 's/^\([^ ]*-broken\) */\1: /p' "$work/log")
}

# Builds only what changed since the last mutant.
build_mutant() {
	local kernel

	said="does not build"
	kernel=$("$top/scripts/kernel.sh")
	"$tree/scripts/modules.sh" "$kernel" "$work/modules" >"$work/log" 2>&1 || return
	echo "$kernel" >"$work/modules/kernel"
}

# by_kunit SUITE TEST
by_kunit() {
	build_mutant || return
	MIDATLAS_BUILT=$work/modules SUITES=$1.$2 "$tree/scripts/kunit.sh" >"$work/log" 2>&1 || true
	said=$(sed -n "s/^\\[[0-9:]*\\][ =]*\\(\\[FAILED\\] $2\\)[ =]*$/\\1/p" "$work/log" | head -n 1)
	[ -n "$said" ] || { said="$2 did not fail: $(tail -n 1 "$work/log")"; return 1; }
}

# by_guest TEST WORD...: the test must fail, and say these words
by_guest() {
	build_mutant || return
	MIDATLAS_BUILT=$work/modules LIMIT=120 "$tree/scripts/guest.sh" "$1" >"$work/log" 2>&1 || true
	said=$(sed -n 's/^ *FAIL: \(FAIL: \)\?//p' "$work/log" | head -n 1)
	[[ $said = *"${*:2}"* ]] && return
	said="does not say ${*:2}: ${said:-$(tail -n 1 "$work/log")}"
	return 1
}

# restore: the sources without the last mutant, in $tree
restore() {
	local file

	sed -n 's/^--- //p' "$work/diff" | while read -r file; do
		cp "$top/$file" "$tree/$file"
	done
}

# try KIND ARGUMENT...: a row of the table
try() {
	local result=caught said

	mutate "$tree" apply "$name" >"$work/diff"
	if ! "by_$1" "${@:2}"; then
		result="NOT CAUGHT"
		failed=$((failed + 1))
	else
		caught=$((caught + 1))
	fi
	printf '%-36s %-10s %-7s %s\n' "$name" "$result" "$1" "$said"
	restore
}

need python3:python3
mutate "$top" || die "bring tests/mutants/*.mut up to date"
[ "${1:-}" != --dry-run ] || exit 0

workdir mutants
tree=$work/tree
mkdir "$tree"
tar -C "$top" -c --exclude=./.git --exclude=./packages . | tar -C "$tree" -x
for name in $(mutate "$top" list "$@"); do
	read -ra by <<<"$(mutate "$top" show "$name" caught-by)"
	[[ " ${BY:-${by[0]}} " != *" ${by[0]} "* ]] || try "${by[@]}"
done
[ $failed -eq 0 ] || die "$failed mutants of $((caught + failed)) are not caught"
[ $caught -gt 0 ] || die "no mutant to run"
say "$caught mutants, all of them caught"
