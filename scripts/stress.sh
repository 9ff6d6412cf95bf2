#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the stress test under UML, or with another kernel ($CONFIG). OPERATIONS in the
# environment says how much of it.

. "$(dirname "$0")/lib.sh"

operations=${OPERATIONS:-1000000}
[[ $operations =~ ^[1-9][0-9]{3,11}$ ]] || die "OPERATIONS=$operations: give a number from 1000 on"
need insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir stress
build_modules "$kernel"
boot "$kernel" "$work" stress.sh OPERATIONS="$operations"
say "$(sed -n 's/.* midatlas_stress: \(.* wrong\).*/\1/p' "$work/console.log")"
