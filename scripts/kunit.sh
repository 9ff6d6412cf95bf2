#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests under UML as loaded modules, and takes nothing
# but a parsed pass of the kernel's own kunit.py for a success. In the environment,
# CONFIG takes another kernel, SUITES only the suites that match it, and PART one in so
# many turns of a race or a long run.

. "$(dirname "$0")/lib.sh"

need python3:python3 insmod:kmod busybox:busybox-static taskset:util-linux
kernel=$("$top/scripts/kernel.sh")
workdir kunit
build_modules "$kernel"
modules=$(find "$work" -name "*_kunit.ko" -printf "%f\n" | sed "s/\.ko$//" | sort | paste -sd " ")
[ -n "$modules" ] || die "no tests were built: the kernel in $kernel has no KUnit"

# run_of MODULE: parses what the console has of it; kunit.py takes one module's
# list of suites at a time
run_of() {
	awk -v begin="@ $1" '/^@ / { on = $0 == begin } on' "$work/console.log" >"$work/$1.console"
	passed=0
	# Where no suite of a module matches, KUnit says nothing of it
	[ -z "${SUITES:-}" ] || grep -q 'KTAP version' "$work/$1.console" || return 0
	PYTHONDONTWRITEBYTECODE=1 python3 "$kernel/source/tools/testing/kunit/kunit.py" parse "$work/$1.console" |
		tee "$work/$1.log" || die "KUnit tests failed"
	passed=$(sed -n 's/.*Ran [0-9]* tests: passed: \([1-9][0-9]*\).*/\1/p' "$work/$1.log")
	[ -n "$passed" ] || die "no test of $1 was run"
}

PINNED=yes boot "$kernel" "$work" kunit.sh MODULES="${modules// /,}" ${SUITES:+"SUITES=$SUITES"} ${PART:+"PART=$PART"} || ended_badly=yes
sum=0
for module in $modules; do
	run_of "$module"
	sum=$((sum + passed))
done
[ $sum -gt 0 ] || die "no suite matches SUITES=$SUITES"
[ -z "${ended_badly:-}" ] || die "KUnit passed, and yet the run did not end well"
say "$sum tests passed, $(sed -n 's/^@ Linux [^ ]*, //p' "$work/console.log")"
