#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh KERNEL DIR: prints the path of the converted cifs.ko for the built kernel in
# KERNEL. It is built once into the cache, against our modules in DIR.

. "$(dirname "$0")/../../scripts/lib.sh"

kernel=$1 dir=$2

lock cifs
key=$(cat "$top"/clients/cifs/* "$top"/midatlas.h "$top"/midwindow.h "$kernel/ready" | sha256sum)
out=$cache/cifs-of-$(basename "$kernel")
if [ "$(cat "$out/key" 2>/dev/null)" != "$key" ]; then
	workdir cifs-module
	say "converting the cifs of $(basename "$kernel")"
	"$top/clients/cifs/convert.sh" "$kernel/source" "$work/tree"
	make -C "$kernel" M="$work/tree/fs/smb" ARCH=um CONFIG_CIFS=m KBUILD_EXTRA_SYMBOLS="$dir/Module.symvers" \
		-j"$(nproc)" modules 2>&1 | tee "$work/build.log" | progress "converted cifs" ||
		die "the converted cifs does not build, see $work/build.log"
	rm -rf "$out"
	mkdir "$out"
	mv "$work/tree/fs/smb/client/cifs.ko" "$out/"
	echo "$key" >"$out/key"
fi
echo "$out/cifs.ko"
