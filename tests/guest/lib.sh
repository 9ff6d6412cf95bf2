# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Setup and functions of every guest script, which is the first process of the guest. The
# root filesystem is that of the host, read-only; only tmpfs is written. Source this file
# last, because a tmpfs may hide the other scripts.

# QEMU guests end with END=reboot.
trap 'exec busybox "${END:-poweroff}" -f' EXIT

stty -onlcr
tell() { echo "@ $*"; }
fail() { tell "FAIL: $*"; exit 1; }

# Kernel modules and working directory, where no tmpfs hides them
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

# With allocation profiling, the kernel reports what a module leaks when it is unloaded.
[ "${PROFILED:-0}" = 0 ] || [ "$(cat /proc/sys/vm/mem_profiling)" = 1 ] || fail "allocation profiling is off"

# load FILE.ko [PARAMETER...]: insmod, with all dependencies
load() {
	for dep in $(modinfo -F depends "$1" | tr , ' '); do
		load_by_name "$dep"
	done
	insmod "$@"
}

# The list is cached: searching a kernel's directory takes seconds.
load_by_name() {
	! grep -q "^$1 " /proc/modules || return 0
	[ -e /tmp/modules ] || find . /media -name '*.ko' >/tmp/modules
	load "$(grep "/$(echo "$1" | sed 's/_/[-_]/g')\.ko$" /tmp/modules | head -n 1)"
}

# kmemleak reports an object only when it is five seconds old.
no_leaks() {
	[ -e /sys/kernel/debug/kmemleak ] || return 0
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	leaks=$(cat /sys/kernel/debug/kmemleak)
	[ -z "$leaks" ] || { echo "$leaks"; fail "kmemleak reports leaks"; }
	tell "kmemleak reports nothing"
}

# The last line of each guest script: reports success
done_well() {
	no_leaks
	# Taints: bad page, oops, warning, soft lockup
	[ $(($(cat /proc/sys/kernel/tainted) & (32 | 128 | ${warning:-512} | 16384))) -eq 0 ] ||
		fail "the kernel is tainted: $(cat /proc/sys/kernel/tainted)"
	tell 'done'
	exit 0
}
