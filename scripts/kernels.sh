#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the modules for Debian's kernels, with the headers and the compiler of each
# suite, boots each kernel in QEMU and tests the modules there. KERNELS="6.1 6.12-rt"
# selects some of the kernels.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/stock.sh"

# name, suite, flavour, architecture
all=(
	"6.1 bookworm amd64 x86_64"
	"6.12 bookworm-backports amd64 x86_64"
	"6.12-rt bookworm-backports rt-amd64 x86_64"
	"7.x trixie-backports amd64 x86_64"
	"6.1-i386 bookworm 686-pae i386"
	"6.1-arm64 bookworm arm64 arm64"
)
operations=${OPERATIONS:-200000} requests=${REQUESTS:-5000}
# QEMU's timing means nothing, so only the results are checked.
benchmark=tests=st,mt,pc,lookup,full,one_free:orders=random:rounds=1:repeats=0:ms=1:check_ms=10:sizes=64/50

packages_of() {
	case $1 in
	bookworm)
		echo linux-{image,headers}-amd64 gcc-aarch64-linux-gnu linux-{image,headers}-{686-pae:i386,arm64:arm64} \
			busybox-static:{i386,arm64}
		;;
	bookworm-backports) echo linux-{image,headers}-{amd64,rt-amd64} ;;
	*) echo linux-{image,headers}-amd64 binutils ;;
	esac
}

boot() {
	LIMIT=300 timeout -k 5 360 "$top/scripts/qemu.sh" "$work/$name/kernel" "$work/$name" "$@"
}

# log_of MODULE TEST: the last log line of the module
log_of() { sed -n "s/.* $1: //p" "$work/$name/$2.log" | tail -n 1 | tr -d '\r'; }

try() {
	# shellcheck disable=SC2046
	root=$("$top/scripts/debian.sh" "$suite" $(packages_of "$suite")) || return
	release=$(release_of "$flavour")
	[ -n "$release" ] || { say "Debian $suite has no kernel for $flavour"; return 1; }
	mkdir "$work/$name"
	build || { say "errors or warnings from the build for $release"; return 1; }
	pack || return
	if [ "$arch" != x86_64 ]; then
		boot alone.sh OPERATIONS="$operations" || return
		mv "$work/$name/console.log" "$work/$name/stress.log"
		return
	fi
	boot stress.sh OPERATIONS="$operations" || return
	mv "$work/$name/console.log" "$work/$name/stress.log"
	boot demo.sh REQUESTS="$requests" THREADS=32 || return
	mv "$work/$name/console.log" "$work/$name/demo.log"
	log_of smbecho demo | grep -q 'unaccounted 0,' || { say "requests are unaccounted for"; return 1; }
	boot bench.sh PARAMETERS="$benchmark" || return
	mv "$work/$name/console.log" "$work/$name/bench.log"
}

row() {
	printf '  %-10s %-24s %-7s %-5s %s\n' "$@"
}

need qemu-system-x86_64:qemu-system-x86 unshare:util-linux smbd:samba insmod:kmod depmod:kmod busybox:busybox-static xz:xz-utils
chosen=" ${KERNELS:-$(printf '%s\n' "${all[@]}" | cut -d ' ' -f 1 | tr '\n' ' ')} "
workdir kernels
good=0 bad=()
row kernel release machine '' tested >"$work/table"
for line in "${all[@]}"; do
	read -r name suite flavour arch <<<"$line"
	[[ $chosen = *" $name "* ]] || continue
	say "$name: Debian $suite, linux-image-$flavour"
	release=
	if try; then
		good=$((good + 1))
		row "$name" "$release" "$arch" good "$(log_of midatlas_stress stress | sed 's/ in .*//'); $(
			[ ! -e "$work/$name/demo.log" ] || log_of smbecho demo | sed 's/ = .*//')$(
			[ ! -e "$work/$name/bench.log" ] || echo "; $(grep -c '^= [a-z]*,' "$work/$name/bench.log") results of the benchmark")" >>"$work/table"
	else
		bad+=("$name")
		row "$name" "${release:-none}" "$arch" BAD '' >>"$work/table"
	fi
done
cat "$work/table"
[ ${#bad[@]} -eq 0 ] || die "FAILED: ${bad[*]}"
say "$good kernels: builds without warnings, all tests passed, nothing in the logs"
