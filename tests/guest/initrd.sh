#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The first process of a kernel that has as modules what it needs to mount the
# machine's root over 9p: does that, and goes on with SCRIPT there.

trap 'busybox poweroff -f' EXIT
for module in /modules/*.ko; do
	busybox insmod "$module" || exit
done
busybox mount -t 9p -o "ro,$MOUNT" root /root || exit
busybox mount -t devtmpfs dev /root/dev || exit
exec busybox switch_root /root "$SCRIPT"
