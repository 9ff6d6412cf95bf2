#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests as loaded modules; their results are on the console.

. "${0%/*}/lib.sh"

load ./midatlas.ko || fail "midatlas.ko does not load"
for tests in midatlas_kunit midatlas_life_kunit; do
	load ./$tests.ko || fail "$tests.ko does not load"
	rmmod $tests || fail "$tests does not unload"
done
rmmod midatlas || fail "midatlas does not unload"
done_well
