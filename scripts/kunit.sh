#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests under UML as loaded modules, and takes nothing
# but a parsed pass of the kernel's own kunit.py for a success.

. "$(dirname "$0")/lib.sh"

need python3:python3 insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir kunit
build_modules "$kernel"
[ -e "$work/midatlas_kunit.ko" ] || die "no midatlas_kunit.ko was built: the kernel in $kernel has no KUnit"

"$top/scripts/uml.sh" "$kernel" "$work" kunit.sh || ended_badly=yes
PYTHONDONTWRITEBYTECODE=1 python3 "$kernel/source/tools/testing/kunit/kunit.py" parse "$work/console.log" |
	tee "$work/kunit.log" || die "KUnit tests failed"
passed=$(sed -n 's/.*Ran [0-9]* tests: passed: \([1-9][0-9]*\).*/\1/p' "$work/kunit.log")
[ -n "$passed" ] || die "no KUnit test was run"
[ -z "${ended_badly:-}" ] || die "KUnit passed, and yet the run did not end well"
say "$passed tests passed, $(sed -n 's/^@ Linux [^ ]*, //p' "$work/console.log")"
