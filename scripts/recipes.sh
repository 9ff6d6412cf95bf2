#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# recipes.sh [DIR]: runs the recipes of Documentation/recipes.rst in QEMU, with Debian's
# kernel and the machine's own bpftrace, perf and drgn, and checks what they print. UML has
# neither BPF nor /proc/kcore. The commands and their output are written into DIR; some are
# in Documentation/recipes.
#
# The drgn script lists the requests in flight on the live kernel, in the guest, and from a
# vmcore of it, here. Both must equal the list in debugfs.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/stock.sh"

# Writes the guest's memory to DIALECT.vmcore when the guest asks for it.
dump_memory() {
	local dialect

	tail --pid=$$ -n +1 -F "$dir/console.log" 2>/dev/null | sed -un 's/\r$//; s/^= dump //p' | while read -r dialect; do
		printf '%s\n' "dump-guest-memory -p $dir/$dialect.vmcore" 'info status' >"$dir/monitor.in"
		sed '/VM status/q' <"$dir/monitor.out" >/dev/null
		touch "$dir/$dialect.dumped"
	done
}

# same_list LIST BEFORE AFTER: LIST, of drgn, equals the copies of inflight that were made
# before and after it. The ages, in ticks of 4 ms, lie between those of the copies.
same_list() {
	awk -v tick=4000 '
		FNR == 1 { file++ }
		/^#/ { next }
		file > 1 && FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
		file == 1 { n++; name[$2] = $1; state[$2] = $3; age[$2] = $4 * tick; charge[$2] = $5; ctx[$2] = $6; next }
		{
			copied[file]++
			live = $column["state"] == "live"
			wrong = name[$1] != "smbecho" || $column["state"] != state[$1] ||
				"charge" in column && $column["charge"] != charge[$1] ||
				"context" in column && $column["context"] != ctx[$1] ||
				live && file == 2 && $column["age_us"] > age[$1] + 2 * tick ||
				live && file == 3 && $column["age_us"] < age[$1] - 2 * tick
			if (wrong) {
				print "not in the list of drgn: " $0
				bad = 1
			}
		}
		END { exit bad || !n || copied[2] != n || copied[3] != n }' "$@"
}

# Both lists of a dialect
check_lists() {
	local copies=("$work/out/$1-"{before,between,after}.txt)
	local command="drgn --no-default-symbols -c $1.vmcore -s vmlinux -s midatlas.ko -s midwindow.ko tools/drgn/midatlas.py"

	(cd "$dir" && echo "# $command" && $command) >"$work/out/$1-vmcore.txt" || die "$1: drgn fails on the vmcore"
	same_list "$work/out/$1-drgn.txt" "${copies[@]:0:2}" >&2 || die "$1: drgn's list of the live kernel is not that of debugfs"
	same_list "$work/out/$1-vmcore.txt" "${copies[@]:1:2}" >&2 || die "$1: drgn's list of the vmcore is not that of debugfs"
}

need qemu-system-x86_64:qemu-system-x86 unshare:util-linux smbd:samba insmod:kmod depmod:kmod busybox:busybox-static \
	drgn:python3-drgn bpftrace:bpftrace perf:linux-perf
need_space 6
workdir recipes
# For stock.sh
name=6.1 arch=x86_64
root=$("$top/scripts/debian.sh" bookworm linux-{image,headers}-amd64 linux-image-amd64-dbg)
release=$(release_of amd64)
dir=$work/$name
mkdir -p "$dir/tools" "$work/out"
build || die "errors or warnings from the build for $release"
pack
ln "$root/usr/lib/debug/boot/vmlinux-$release" "$dir/vmlinux"
cp "$root/lib/modules/$release/kernel/drivers/firmware/qemu_fw_cfg.ko" "$dir"
cp -r "$top"/tools/{drgn,bpftrace} "$dir/tools"

dump_memory &
MONITOR=1 MEMORY=2048 LIMIT=${LIMIT:-550} "$top/scripts/qemu.sh" "$dir/kernel" "$dir" recipes.sh no_hash_pointers
sed -n 's/\r$//; s/^= \(smb[12]-[a-z]*\) /\1 /p' "$dir/console.log" |
	awk -v dir="$work/out" '{ file = dir "/" $1 ".txt"; sub(/^[^ ]* /, ""); print >file }'
check_lists smb1
check_lists smb2
[ $# -eq 0 ] || { mkdir -p "$1" && cp "$work"/out/* "$1"; }
for page in "$top"/Documentation/recipes/*; do
	diff <(grep '^# ' "$page") <(grep '^# ' "$work/out/${page##*/}") >&2 ||
		die "$page has other commands: copy it from the output of recipes.sh DIR"
done
say "recipes: $(sed -n 's/\r$//; s/^@ \(smb[12]: .*\)/\1/p' "$dir/console.log" | paste -sd ';'); drgn: $(
	grep -c ^smbecho "$work"/out/smb1-drgn.txt) and $(grep -c ^smbecho "$work"/out/smb2-drgn.txt) requests, live and in the vmcore"
