#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Makes OPERATIONS calls of the atlas from many threads. The kernel log has the counts.

. "${0%/*}/lib.sh"

load ./midatlas.ko || fail "midatlas.ko does not load"
load tests/stress/midatlas_stress.ko operations="$OPERATIONS" || fail "the stress test failed"
rmmod midatlas_stress || fail "midatlas_stress does not unload"
rmmod midatlas || fail "midatlas does not unload"
done_well
