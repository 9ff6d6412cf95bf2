#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh [CONFIG [PATCH]]: prints the path of a built UML kernel (binary
# "linux", tree "source"), which it builds once into the cache: that of another config
# (or of $CONFIG), if wanted from a patched copy of the tree; else the one that all
# tests share, of scripts/kernel/uml.config and, in the one version that it is for,
# scripts/kernel/uml.patch. A config that says "# ARCH=x86_64" is one for QEMU (binary "bzImage").
#
# The folder is named after the version, the config and the patch. Its file "ready" is
# written last and lists the checksums of what the build made: a folder without
# it was interrupted and is continued, one that does not match it is broken and
# built anew.

. "$(dirname "$0")/lib.sh"

# Options that older kernels do not have are told; any other loss is an error.
check_config() {
	local lost

	lost=$(grep ^CONFIG_ "$out/wanted" | grep -vxFf "$out/.config") || return 0
	case $version in
	6.*) say "Linux $version has no ${lost//$'\n'/, }" ;;
	*) die "Linux $version does not take ${lost//$'\n'/, }: mend $config" ;;
	esac
}

# patched: prints the path of a copy of the tree that has the patch. It is made
# of hard links, where it can: patch replaces files and never writes into one.
patched() {
	local tree=$out.source

	if [ ! -e "$tree" ]; then
		rm -rf "$tree.partial"
		cp -al "$src" "$tree.partial" 2>/dev/null || {
			rm -rf "$tree.partial"
			need_space 3
			cp -a "$src" "$tree.partial"
		}
		patch -s -N -p1 -d "$tree.partial" <"$patch" >"$out.log" 2>&1 ||
			die "$patch does not fit Linux $version, see $out.log: it needs the one that it names"
		mv "$tree.partial" "$tree"
	fi
	echo "$tree"
}

build() {
	need_space 1
	[ -z "$patch" ] || src=$(patched)
	mkdir -p "$out"
	cp "$config" "$out/wanted"
	# What SYSCTL was then called
	[[ $version != 6.* ]] || echo CONFIG_PROC_SYSCTL=y >>"$out/wanted"
	make -C "$src" O="$out" ARCH="$arch" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig >"$out/log" 2>&1 ||
		die "Linux $version could not be configured, see $out/log"
	check_config
	say "building Linux $version for $arch once, in $out (five to ten minutes on two CPUs)"
	make -C "$src" O="$out" ARCH="$arch" -j"$(nproc)" $binary modules 2>&1 |
		tee -a "$out/log" | progress "Linux $version for $arch" || {
		mv "$out/log" "$out.log"
		rm -rf "$out"
		die "the kernel build failed, see the end of $out.log; 'make clean-cache' starts from nothing"
	}
	(cd "$out" && find . \( -name linux -o -path "*/boot/bzImage" -o -name '*.ko' -o -name Module.symvers -o -name .config \) \
		-type f -exec sha256sum {} +) >"$out/ready.tmp"
	mv "$out/ready.tmp" "$out/ready"
}

machine=$(uname -m)
[ "$machine" = x86_64 ] || die "UML needs an x86_64 machine, this is $machine: 'make modules' builds for it"
need gcc:gcc make:make flex:flex bison:bison bc:bc perl:perl patch:patch /usr/include/stdlib.h:libc6-dev

src=$("$top/scripts/source.sh")
version=$(make -s -C "$src" kernelversion)
config=${1:-${CONFIG:-}} patch=${2:-}
if [ -z "$config" ]; then
	config=$top/scripts/kernel/uml.config
	[ -n "${KSRC:-}" ] || [[ $version != 7.3?(.*) ]] || patch=$top/scripts/kernel/uml.patch
fi
arch=$(sed -n 's/^# ARCH=//p' "$config")
arch=${arch:-um} binary=linux
[ "$arch" = um ] || { binary=bzImage; need /usr/include/gelf.h:libelf-dev; }
out=$cache/${arch/um/uml}-$version-$(cat "$config" ${patch:+"$patch"} <(echo "$src") | sha256sum | cut -c 1-8)
lock "${out##*/}"

if [ -e "$out/ready" ] && ! (cd "$out" && sha256sum --status -c ready 2>/dev/null); then
	say "the cached kernel in $out is broken, building it anew"
	rm -rf "$out"
fi
if [ ! -e "$out/ready" ] || [ -n "${KSRC:-}" ]; then
	build
fi
echo "$out"
