#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the path of a built UML kernel (binary "linux", tree "source"), which it
# builds once into the cache.
#
# The folder is named after the version and the config. Its file "ready" is
# written last and lists the checksums of what the build made: a folder without
# it was interrupted and is continued, one that does not match it is broken and
# built anew.

. "$(dirname "$0")/lib.sh"

config=$top/scripts/uml.config

# Options that older kernels do not have are told; any other loss is an error.
check_config() {
	local lost

	lost=$(grep ^CONFIG_ "$out/wanted" | grep -vxFf "$out/.config") || return 0
	case $version in
	6.*) say "Linux $version has no ${lost//$'\n'/, }" ;;
	*) die "Linux $version does not take ${lost//$'\n'/, }: mend scripts/uml.config" ;;
	esac
}

build() {
	need_space 1
	mkdir -p "$out"
	cp "$config" "$out/wanted"
	# What SYSCTL was then called
	[[ $version != 6.* ]] || echo CONFIG_PROC_SYSCTL=y >>"$out/wanted"
	make -C "$src" O="$out" ARCH=um KCONFIG_ALLCONFIG="$out/wanted" allnoconfig >"$out/log" 2>&1 ||
		die "Linux $version could not be configured, see $out/log"
	check_config
	say "building UML $version once, in $out (five to ten minutes on two CPUs)"
	make -C "$src" O="$out" ARCH=um -j"$(nproc)" linux modules 2>&1 |
		tee -a "$out/log" | progress "UML $version" || {
		mv "$out/log" "$out.log"
		rm -rf "$out"
		die "the kernel build failed, see the end of $out.log; 'make clean-cache' starts from nothing"
	}
	(cd "$out" && find . \( -name linux -o -name '*.ko' -o -name Module.symvers -o -name .config \) \
		-type f -exec sha256sum {} +) >"$out/ready.tmp"
	mv "$out/ready.tmp" "$out/ready"
}

machine=$(uname -m)
[ "$machine" = x86_64 ] || die "UML needs an x86_64 machine, this is $machine: 'make modules' builds for it"
need gcc:gcc make:make flex:flex bison:bison bc:bc perl:perl /usr/include/stdlib.h:libc6-dev

lock kernel

src=$("$top/scripts/source.sh")
version=$(make -s -C "$src" kernelversion)
out=$cache/uml-$version-$(cat "$config" <(echo "$src") | sha256sum | cut -c 1-8)

if [ -e "$out/ready" ] && ! (cd "$out" && sha256sum --status -c ready 2>/dev/null); then
	say "the cached kernel in $out is broken, building it anew"
	rm -rf "$out"
fi
if [ ! -e "$out/ready" ] || [ -n "${KSRC:-}" ]; then
	build
fi
echo "$out"
