#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# modinfo, insmod and rmmod under UML as a user types them, a hundred times over, or as
# often as ROUNDS in the environment says.

. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-100}
[[ $rounds =~ ^[1-9][0-9]{1,4}$ ]] || die "ROUNDS=$rounds: give a number from 10 on"
need smbd:samba insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir lifecycle
build_modules "$kernel"
boot "$kernel" "$work" lifecycle.sh ROUNDS="$rounds"
