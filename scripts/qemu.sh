#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# qemu.sh KERNEL DIR SCRIPT [NAME=VALUE...]: the same as uml.sh, with a kernel for a
# real machine, which QEMU emulates: two CPUs, and this machine's own userland over
# 9p, read-only.
#
# KERNEL is what kernel.sh has built; or a folder with a file "vmlinuz" and one
# "initrd" that mounts the root. With a file "arch" there the machine is another one
# and all there is to it is the initrd.

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
	args+=(-virtfs "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap")
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

mkdir -p "$dir/guest"
cp "$top"/tests/guest/* "$dir/guest/"
# A kernel that patches its own code while it boots puts an int3 there for a moment. Where
# each CPU is a thread of QEMU's, that is, seldom, hit when it is gone, and no module of
# ours is there yet.
stumbled() {
	grep -aq 'int3: 0000' "$dir/console.log" && ! grep -aq 'as init process' "$dir/console.log"
}

# A socket for each CPU: of the cores of one, the table of the BIOS, which is what a
# kernel without ACPI reads, has the first alone.
for _ in 1 2 3; do
	run_guest "$seconds" "$dir" \
		"${qemu[@]}" -accel tcg,thread=multi -smp $cpus,sockets=$cpus -m 1024 -nodefaults -nographic -no-reboot \
		-serial stdio -kernel "$image" "${args[@]}" -append "console=$console panic=-1 ignore_loglevel \
root=root rootfstype=9p rootflags=$mount ro init=$dir/guest/$script MOUNT=$mount SCRIPT=$dir/guest/$script \
END=reboot CPUS=$cpus KERNEL=$kernel WORK=$dir $*"
	stumbled || break
	say "QEMU stumbled over the kernel's own patching: once more"
done
judge "$dir" "$seconds"
