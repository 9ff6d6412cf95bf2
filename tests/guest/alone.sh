#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The only process of a guest of another architecture. Its root filesystem has busybox and
# the modules, nothing else.

trap 'busybox poweroff -f' EXIT
tell() { echo "@ $*"; }
fail() { tell "FAIL: $*"; exit 1; }

busybox mount -t proc proc /proc
[ "$(busybox nproc)" -eq "$CPUS" ] || fail "$(busybox nproc) CPUs are up, not $CPUS"
tell "Linux $(busybox uname -r) on $(busybox uname -m), $CPUS CPUs"
busybox insmod /midatlas.ko || fail "midatlas.ko does not load"
busybox insmod /midatlas_stress.ko operations="$OPERATIONS" || fail "the stress test failed"
busybox rmmod midatlas_stress || fail "midatlas_stress does not unload"
busybox rmmod midatlas || fail "midatlas does not unload"
tell 'done'
exit 0
