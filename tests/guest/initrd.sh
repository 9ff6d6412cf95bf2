#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The first process of a kernel that needs modules to mount the root filesystem over 9p:
# loads them, mounts it and runs SCRIPT.

trap 'busybox poweroff -f' EXIT
for module in /modules/*.ko; do
	busybox insmod "$module" || exit
done
busybox mount -t 9p -o "ro,$MOUNT" root /root || exit
busybox mount -t devtmpfs dev /root/dev || exit
exec busybox switch_root /root "$SCRIPT"
