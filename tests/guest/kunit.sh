#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests of MODULES. The results are on the console.

. "${0%/*}/lib.sh"

if [ -n "${SUITES:-}" ]; then
	insmod "$(find /media -name kunit.ko)" filter_glob="$SUITES" || fail "kunit.ko does not load"
fi
load ./midatlas.ko || fail "midatlas.ko does not load"
load ./midwindow.ko || fail "midwindow.ko does not load"
for module in $(echo "$MODULES" | tr , ' '); do
	tell "$module"
	load "$(find . -name "$module.ko")" part="${PART:-1}" || fail "$module.ko does not load"
	rmmod "$module" || fail "$module does not unload"
done
left=$(find /sys/kernel/debug/midatlas /sys/kernel/debug/midwindow -mindepth 1)
[ -z "$left" ] || fail "left in debugfs: $left"
rmmod midwindow midatlas || fail "the modules do not unload"
done_well
