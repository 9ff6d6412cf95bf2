#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# modinfo, insmod and rmmod under UML as a user types them, a hundred times over.

. "$(dirname "$0")/lib.sh"

need smbd:samba insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir lifecycle
build_modules "$kernel"
boot "$kernel" "$work" lifecycle.sh
