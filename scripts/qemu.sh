#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# qemu.sh KERNEL DIR SCRIPT [NAME=VALUE...]: like uml.sh, for a kernel that needs a real
# machine: QEMU emulates two CPUs, and the root filesystem of this machine is mounted
# over 9p, read-only.
#
# KERNEL is a directory that kernel.sh has built, or one with the files "vmlinuz" and
# "initrd". If it has a file "arch", that is the emulated architecture, and the initrd is
# the whole root filesystem. The directory $SHARE is a second 9p mount, "share", writable, and
# a third, "slow", which reads and writes 4 KiB in ten seconds.
# With $ROOT, a directory with KERNEL and DIR in it, that is the root filesystem.
#
# With $MONITOR, QEMU's monitor reads the pipe DIR/monitor.in and writes DIR/monitor.out.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/boot.sh"

kernel=$1 dir=$2 script=$3
shift 3
cpus=2
mount=trans=virtio,version=9p2000.L,msize=262144,cache=loose
seconds=${LIMIT:-600}

image=$kernel/vmlinuz
[ -e "$image" ] || image=$kernel/arch/x86/boot/bzImage
args=()
[ ! -e "$kernel/initrd" ] || args=(-initrd "$kernel/initrd")
console=ttyS0
case $(cat "$kernel/arch" 2>/dev/null || echo x86_64) in
x86_64)
	need qemu-system-x86_64:qemu-system-x86
	args+=(-virtfs "local,path=${ROOT:-/},mount_tag=root,security_model=none,readonly=on,multidevs=remap")
	# shellcheck disable=SC2054 # commas of QEMU's
	[ -z "${SHARE:-}" ] || args+=(-virtfs "local,path=$SHARE,mount_tag=share,security_model=none"
		-fsdev "local,id=slow,path=$SHARE,security_model=none,throttling.bps-total=400"
		-device virtio-9p-pci,fsdev=slow,mount_tag=slow)
	qemu=(qemu-system-x86_64 -cpu max)
	;;
i386)
	need qemu-system-i386:qemu-system-x86
	qemu=(qemu-system-i386 -cpu coreduo)
	;;
arm64)
	need qemu-system-aarch64:qemu-system-arm
	qemu=(qemu-system-aarch64 -M virt -cpu cortex-a72)
	console=ttyAMA0
	;;
esac

if [ -n "${MONITOR:-}" ]; then
	mkfifo "$dir"/monitor.{in,out}
	args+=(-device vmcoreinfo -chardev "pipe,id=monitor,path=$dir/monitor" -mon monitor)
fi

mkdir -p "$dir/guest"
cp "$top"/tests/guest/* "$dir/guest/"

# A booting kernel patches its code through a temporary int3. QEMU with a thread for each
# CPU sometimes executes an int3 that is already gone. No module of ours is loaded yet.
stumbled() {
	grep -aq 'int3: 0000' "$dir/console.log" && ! grep -aq 'as init process' "$dir/console.log"
}

inside=${dir#"${ROOT:-}"}
# One socket for each CPU: a kernel without ACPI reads the MP table of the BIOS, which
# lists only the first core of a socket.
for _ in 1 2 3; do
	run_guest "$seconds" "$dir" \
		"${qemu[@]}" -accel tcg,thread=multi -smp $cpus,sockets=$cpus -m "${MEMORY:-1024}" -nodefaults -nographic -no-reboot \
		-serial stdio -kernel "$image" "${args[@]}" -append "console=$console panic=-1 ignore_loglevel \
root=root rootfstype=9p rootflags=$mount ro init=$inside/guest/$script MOUNT=$mount SCRIPT=$inside/guest/$script \
END=reboot CPUS=$cpus KERNEL=${kernel#"${ROOT:-}"} WORK=$inside $*"
	stumbled || break
	say "QEMU failed while the kernel patched its own code: trying again"
done
judge "$dir" "$seconds"
