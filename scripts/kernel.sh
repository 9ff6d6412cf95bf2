#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh [CONFIG [PATCH]]: prints the path of a built UML kernel (binary "linux", tree
# "source"). The kernel is built once into the cache.
#
# CONFIG defaults to $CONFIG, and then to scripts/kernel/uml.config, which most tests use,
# with scripts/kernel/uml.patch for the version that the patch is for. A config with
# the line "# ARCH=x86_64" is for QEMU (binary "bzImage").
#
# The directory is named after the version, the config and the patch. Its file "ready" is
# written last and has the checksums of the results. Without it an interrupted build
# continues; if a checksum is wrong, the kernel is built again.

. "$(dirname "$0")/lib.sh"

# A missing option is an error, but older kernels may lack some.
check_config() {
	local lost

	lost=$(grep ^CONFIG_ "$out/wanted" | grep -vxFf "$out/.config") || return 0
	case $version in
	6.*) say "Linux $version has no ${lost//$'\n'/, }" ;;
	*) die "Linux $version does not accept ${lost//$'\n'/, }: correct $config" ;;
	esac
}

# Prints the path of a patched copy of the tree. The copy is made of hard links where
# possible: patch replaces files and never writes into them.
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
			die "$patch does not apply to Linux $version, see $out.log"
		mv "$tree.partial" "$tree"
	fi
	echo "$tree"
}

build() {
	need_space 1
	[ -z "$patch" ] || src=$(patched)
	mkdir -p "$out"
	cp "$config" "$out/wanted"
	# The old name of CONFIG_SYSCTL
	[[ $version != 6.* ]] || echo CONFIG_PROC_SYSCTL=y >>"$out/wanted"
	make -C "$src" O="$out" ARCH="$arch" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig >"$out/log" 2>&1 ||
		die "Linux $version cannot be configured, see $out/log"
	check_config
	say "building Linux $version for $arch once, in $out (five to ten minutes on two CPUs)"
	make -C "$src" O="$out" ARCH="$arch" -j"$(nproc)" $binary modules 2>&1 |
		tee -a "$out/log" | progress "Linux $version for $arch" || {
		mv "$out/log" "$out.log"
		rm -rf "$out"
		die "the kernel build failed, see the end of $out.log; 'make clean-cache' removes everything"
	}
	(cd "$out" && find . \( -name linux -o -path "*/boot/bzImage" -o -name '*.ko' -o -name Module.symvers -o -name .config \) \
		-type f -exec sha256sum {} +) >"$out/ready.tmp"
	mv "$out/ready.tmp" "$out/ready"
}

machine=$(uname -m)
[ "$machine" = x86_64 ] || die "UML needs an x86_64 machine, this is $machine: only 'make modules' works here"
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
	say "the cached kernel in $out is damaged: building it again"
	rm -rf "$out"
fi
if [ ! -e "$out/ready" ] || [ -n "${KSRC:-}" ]; then
	build
fi
echo "$out"
