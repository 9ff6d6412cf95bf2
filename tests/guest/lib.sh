# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What every guest script shares: the first process of a kernel whose root
# is the machine's own, read-only. Nothing but tmpfs is ever written, and this is
# sourced last, because a tmpfs can hide the other scripts.

# A machine of QEMU's goes away by a reset.
trap 'exec busybox "${END:-poweroff}" -f' EXIT

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

# Where it is built in, the kernel itself tells what a module leaves behind when it goes.
[ "${PROFILED:-0}" = 0 ] || [ "$(cat /proc/sys/vm/mem_profiling)" = 1 ] || fail "allocation profiling is off"

# load FILE.ko [PARAMETER...]: insmod, with what it depends on, ours or the kernel's, and
# what that depends on
load() {
	for dep in $(modinfo -F depends "$1" | tr , ' '); do
		load_by_name "$dep"
	done
	insmod "$@"
}

# (To search a kernel's folder takes seconds: once.)
load_by_name() {
	! grep -q "^$1 " /proc/modules || return 0
	[ -e /tmp/modules ] || find . /media -name '*.ko' >/tmp/modules
	load "$(grep "/$(echo "$1" | sed 's/_/[-_]/g')\.ko$" /tmp/modules | head -n 1)"
}

# What kmemleak finds; it takes an object for lost when it is five seconds old.
no_leaks() {
	[ -e /sys/kernel/debug/kmemleak ] || return 0
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	leaks=$(cat /sys/kernel/debug/kmemleak)
	[ -z "$leaks" ] || { echo "$leaks"; fail "kmemleak has found something"; }
	tell "kmemleak has found nothing"
}

# The last line of each guest script: nothing but this is a success
done_well() {
	no_leaks
	# taints of a bad page, an oops, a warning and a soft lockup
	[ $(($(cat /proc/sys/kernel/tainted) & (32 | 128 | ${warning:-512} | 16384))) -eq 0 ] ||
		fail "the kernel is tainted: $(cat /proc/sys/kernel/tainted)"
	tell 'done'
	exit 0
}
