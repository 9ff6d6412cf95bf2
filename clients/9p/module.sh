#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh KERNEL DIR [hooks]: prints the path of a directory with the 9P modules for the
# built kernel in KERNEL, stock/*.ko and converted/*.ko. They are built once into the cache,
# against our modules in DIR. With "hooks", they have the hooks of tests/9p. The file "lines"
# there says how many lines of each file the conversion has added and removed.

. "$(dirname "$0")/../../scripts/lib.sh"

kernel=$1 dir=$2 hooks=${3:+-$3}

# build VARIANT
build() {
	"$top/clients/9p/convert.sh" "$kernel/source" "$work/$1" "${1/converted/}"
	[ -z "$hooks" ] || "$top/tests/9p/hooks.sh" "$work/$1"
	make -C "$kernel" M="$work/$1" ARCH=um CONFIG_NET_9P=m CONFIG_NET_9P_FD=m CONFIG_9P_FS=m \
		KBUILD_EXTRA_SYMBOLS="$dir/Module.symvers" -j"$(nproc)" modules 2>&1 |
		tee "$work/$1.log" | progress "$1 9p" ||
		die "the $1 9p does not build, see $work/$1.log"
	mkdir -p "$out/$1$hooks"
	find "$work/$1" -name '*.ko' -exec mv -t "$out/$1$hooks/" {} +
}

lines() {
	(cd "$work/converted" && find . \( -name '*.[ch]' -o -name Makefile \) ! -name '*.mod.c' ! -name midatlas.h) | sort |
		while read -r file; do
			{ diff -N "$work/stock/$file" "$work/converted/$file" || true; } | awk -v file="${file#./}" \
				'/^>/ { added++ } /^</ { removed++ } END { if (NR) print file, added + 0, removed + 0 }'
		done
}

lock 9p
key=$(cat "$top"/clients/lib.sh "$top"/clients/9p/*.{cocci,sh,[ch]} "$top"/tests/9p/* "$top"/midatlas.h "$kernel/ready" | sha256sum)
out=$cache/9p-of-$(basename "$kernel")$hooks
if [ "$(cat "$out/key" 2>/dev/null)" != "$key" ]; then
	workdir 9p-module
	say "converting the 9p of $(basename "$kernel")"
	rm -rf "$out"
	build stock
	build converted
	lines >"$out/lines"
	echo "$key" >"$out/key"
fi
echo "$out"
