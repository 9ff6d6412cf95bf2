#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests as loaded modules; their results are on the console.

. "${0%/*}/lib.sh"

load ./midatlas.ko || fail "midatlas.ko does not load"
load ./midatlas_kunit.ko || fail "midatlas_kunit.ko does not load"
rmmod midatlas_kunit || fail "midatlas_kunit does not unload"
rmmod midatlas || fail "midatlas does not unload"
done_well
