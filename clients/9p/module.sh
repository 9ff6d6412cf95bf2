#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh KERNEL DIR: prints the path of a directory with the 9P modules for the built
# kernel in KERNEL, stock/*.ko and converted/*.ko. They are built once into the cache,
# against our modules in DIR.

. "$(dirname "$0")/../../scripts/lib.sh"

kernel=$1 dir=$2

# build VARIANT
build() {
	"$top/clients/9p/convert.sh" "$kernel/source" "$work/$1" "${1/converted/}"
	make -C "$kernel" M="$work/$1" ARCH=um CONFIG_NET_9P=m CONFIG_NET_9P_FD=m CONFIG_9P_FS=m \
		KBUILD_EXTRA_SYMBOLS="$dir/Module.symvers" -j"$(nproc)" modules 2>&1 |
		tee "$work/$1.log" | progress "$1 9p" ||
		die "the $1 9p does not build, see $work/$1.log"
	mkdir -p "$out/$1"
	find "$work/$1" -name '*.ko' -exec mv -t "$out/$1/" {} +
}

lock 9p
key=$(cat "$top"/clients/lib.sh "$top"/clients/9p/* "$top"/midatlas.h "$kernel/ready" | sha256sum)
out=$cache/9p-of-$(basename "$kernel")
if [ "$(cat "$out/key" 2>/dev/null)" != "$key" ]; then
	workdir 9p-module
	say "converting the 9p of $(basename "$kernel")"
	rm -rf "$out"
	build stock
	build converted
	echo "$key" >"$out/key"
fi
echo "$out"
