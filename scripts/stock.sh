# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that build the modules for one of Debian's kernels and prepare it for qemu.sh.
# Source this file after lib.sh. The caller sets $root (see debian.sh), $release, $arch, and
# $name, a directory in $work.
# shellcheck disable=SC2154

# release_of FLAVOUR: "amd64" must not match "rt-amd64"
release_of() {
	find "$root/usr/src" -maxdepth 1 -name 'linux-headers-*' -printf '%f\n' |
		sed -n "s/^linux-headers-\([0-9][0-9a-z.+]*\(-[0-9]*\)\?-$1\)$/\1/p" | sort -V | tail -n 1
}

# in_root COMMAND...: in the chroot, with /proc until the command ends
in_root() {
	# shellcheck disable=SC2016
	unshare --mount sh -c 'mount --bind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

# Builds the modules with the tools of the kernel's suite, into $work/$name
build() {
	local there=$root/build.$$ args=() status=0

	case $arch in
	i386) args=(CROSS_COMPILE=) ;;
	arm64) args=(CROSS_COMPILE=aarch64-linux-gnu-) ;;
	esac
	copy_sources "$there"
	in_root /bin/make -C "/usr/src/linux-headers-$release" M="/build.$$" -j"$(nproc)" "${args[@]}" modules \
		>"$work/$name/build.log" 2>&1 || status=$?
	(cd "$there" && find . -name '*.ko' -exec cp --parents {} "$work/$name/" \;)
	rm -rf "$there"
	[ $status -eq 0 ] || return $status
	! grep -iE 'warning:|error:' "$work/$name/build.log"
}

# pack_modules DIR: the modules that mount the root over 9p, numbered in load order
pack_modules() {
	local module n=0

	[ -e "$root/lib/modules/$release/modules.dep" ] || depmod -b "$root" "$release"
	mkdir "$1/modules"
	for module in virtio_pci 9pnet_virtio 9p; do
		modprobe -S "$release" -d "$root" --show-depends $module
	done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' | while read -r module; do
		n=$((n + 1))
		case $module in
		*.xz) xz -dc "$module" >"$1/modules/$(printf %02d $n)-$(basename "$module" .xz)" ;;
		*) cp "$module" "$1/modules/$(printf %02d $n)-${module##*/}" ;;
		esac
	done
}

# copy_image DIR: the kernel's image, as vmlinuz
copy_image() {
	local image

	for image in "$root/boot/vmlinuz-$release" "$root/lib/modules/$release/vmlinuz"; do
		[ ! -e "$image" ] || cp "$image" "$1/vmlinuz"
	done
}

# Makes $work/$name/kernel for qemu.sh
pack() {
	local out=$work/$name/kernel tree=$work/$name/initrd busybox=/bin/busybox

	mkdir -p "$out" "$tree"/{bin,dev,proc,sys,root}
	copy_image "$out"
	if [ "$arch" = x86_64 ]; then
		pack_modules "$tree"
		cp "$top/tests/guest/initrd.sh" "$tree/init"
	else
		echo "$arch" >"$out/arch"
		busybox=$root/$arch/bin/busybox
		cp "$work/$name"/midatlas.ko "$work/$name"/tests/stress/midatlas_stress.ko "$tree/"
		cp "$top/tests/guest/alone.sh" "$tree/init"
	fi
	cp "$busybox" "$tree/bin/busybox"
	(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$out/initrd"
}
