#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh           runs the KUnit tests as loaded modules in a UML guest. CONFIG selects
#                    another kernel, SUITES filters the suites, PART=N cuts races and
#                    long tests to one Nth.
# kunit.sh native    builds the tests into a kernel and runs them, with kunit.py alone

. "$(dirname "$0")/lib.sh"

# all_skipped LOG: kunit.py says so, and fails: a module of races on a kernel without SMP
all_skipped() {
	grep -q 'Ran [0-9]* tests: skipped: [0-9]*$' "$1"
}

# results_of MODULE: kunit.py parses the part of the console log that is the module's
results_of() {
	awk -v begin="@ $1" '/^@ / { on = $0 == begin } on' "$work/console.log" >"$work/$1.console"
	passed=0
	# KUnit prints nothing if SUITES selects no suite of the module.
	[ -z "${SUITES:-}" ] || grep -q 'KTAP version' "$work/$1.console" || return 0
	PYTHONDONTWRITEBYTECODE=1 python3 "$kernel/source/tools/testing/kunit/kunit.py" parse "$work/$1.console" |
		tee "$work/$1.log" || all_skipped "$work/$1.log" || die "KUnit tests failed"
	! all_skipped "$work/$1.log" || return 0
	passed=$(sed -n 's/.*Ran [0-9]* tests: passed: \([1-9][0-9]*\).*/\1/p' "$work/$1.log")
	[ -n "$passed" ] || die "no test of $1 was run"
}

as_modules() {
	local modules module sum=0 failed=''

	need python3:python3 insmod:kmod busybox:busybox-static taskset:util-linux
	kernel=$("$top/scripts/kernel.sh")
	workdir kunit
	build_modules "$kernel"
	modules=$(find "$work" -name "*_kunit.ko" -printf "%f\n" | sed "s/\.ko$//" | sort | paste -sd " ")
	[ -n "$modules" ] || die "no tests were built: the kernel in $kernel has no KUnit"

	PINNED=yes boot "$kernel" "$work" kunit.sh MODULES="${modules// /,}" ${SUITES:+"SUITES=$SUITES"} \
		${PART:+"PART=$PART"} || failed=yes
	for module in $modules; do
		results_of "$module"
		sum=$((sum + passed))
	done
	[ $sum -gt 0 ] || die "no test was run${SUITES:+: no suite matches SUITES=$SUITES}"
	[ -z "$failed" ] || die "all KUnit tests passed, but the guest failed"
	say "$sum tests passed, $(sed -n 's/^@ Linux [^ ]*, //p' "$work/console.log")"
}

# The kernel tree stays unchanged: our Kconfig is appended to a copy of its Kconfig, and
# UML's drivers-y, which is empty, adds our directory.
native() {
	local tree copy

	[ -z "${KSRC:-}" ] || die "kunit-native needs the cached kernel tree: unset KSRC"
	need gcc:gcc flex:flex bison:bison bc:bc perl:perl python3:python3 /usr/include/stdlib.h:libc6-dev
	tree=$("$top/scripts/source.sh")
	workdir native

	# kbuild puts the objects of TREE/../X into BUILD/../X. TREE and BUILD are in the same
	# directory, so that is the copy itself.
	copy=$work/midatlas
	copy_sources "$copy"
	{ cat "$tree/Kconfig"; echo "source \"$copy/Kconfig\""; } >"$work/Kconfig"

	say "building a kernel that includes the tests (about five minutes on two CPUs)"
	kunit_py "$tree" --kunitconfig="$top/.kunitconfig" --build_dir="$cache/kunit-native" \
		--make_options=KBUILD_KCONFIG="$work/Kconfig" \
		--make_options=drivers-y="$(realpath --relative-to="$tree" "$copy")/"
}

case "$*" in
'') as_modules ;;
native) native ;;
*) die "usage: kunit.sh [native]" ;;
esac
