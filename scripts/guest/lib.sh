# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What every guest script shares: the first process of a UML kernel whose root
# is the machine's own, read-only. Nothing but tmpfs is ever written, and this is
# sourced last, because a tmpfs can hide the other scripts.

trap 'exec busybox poweroff -f' EXIT

stty -onlcr
tell() { echo "@ $*"; }
fail() { tell "FAIL: $*"; exit 1; }

# Where no tmpfs can hide them: the kernel's modules, and the working directory
mount --bind "$KERNEL" /media
mount --bind "$WORK" /mnt
cd /mnt || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp

[ "$(nproc)" -eq "$CPUS" ] || fail "$(nproc) CPUs are up, not $CPUS"
tell "Linux $(uname -r), $CPUS CPUs"

# With it on, the kernel itself tells what a module leaves behind when it goes.
[ "$(cat /proc/sys/vm/mem_profiling)" = 1 ] || fail "allocation profiling is off"

# load FILE.ko [PARAMETER...]: insmod, with the kernel's own modules it depends on
load() {
	for dep in $(modinfo -F depends "$1" | tr , ' '); do
		grep -q "^$dep " /proc/modules ||
			find /media -name "$dep.ko" -exec insmod {} \;
	done
	insmod "$@"
}

# The last line of each guest script: nothing but this is a success
done_well() {
	# taints of a bad page, an oops, a warning and a soft lockup
	[ $(($(cat /proc/sys/kernel/tainted) & (32 | 128 | 512 | 16384))) -eq 0 ] ||
		fail "the kernel is tainted: $(cat /proc/sys/kernel/tainted)"
	tell 'done'
	exit 0
}
