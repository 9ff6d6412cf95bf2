#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh install      builds the modules for the kernel of $KDIR and installs them
# install.sh uninstall    removes them
#
# INSTALL_MOD_PATH is put in front of /lib/modules, as in the kernel's own Makefile.

. "$(dirname "$0")/lib.sh"

mapfile -t modules < <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1.ko/p' "$top/dkms.conf")

build=${KDIR:-/lib/modules/$(uname -r)/build}
[ -e "$build/Makefile" ] || die "no kernel headers in $build: install linux-headers-$(uname -r), or set KDIR"
# Not kernel.release: what Debian's headers have there is another name.
release=$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$build/include/generated/utsrelease.h")
base=${INSTALL_MOD_PATH:-}
dir=$base/lib/modules/$release/updates/midatlas

may_write() {
	mkdir -p "$base/lib/modules" 2>/dev/null || true
	[ -w "$base/lib/modules" ] || die "cannot write to $base/lib/modules: sudo make $1"
}

# Built by name, and elsewhere: no tests, no samples, and no files of root's here
build_and_copy() {
	workdir install
	copy_sources "$work"
	make -C "$build" M="$work" "${modules[@]}" >"$work/log" 2>&1 ||
		{ tail -n 20 "$work/log" >&2; die "the modules do not build for Linux $release"; }
	install -D -m 644 -t "$dir" "${modules[@]/#/$work/}"
	say "${modules[*]} for Linux $release: in $dir"
}

remove() {
	[ -e "$dir" ] || die "nothing of midatlas is in $dir"
	rm -r "$dir"
	rmdir --ignore-fail-on-non-empty "${dir%/*}"
}

case ${1:-} in
install) action=build_and_copy ;;
uninstall) action=remove ;;
*) die "say 'install' or 'uninstall'" ;;
esac
need depmod:kmod make:make gcc:gcc
may_write "$1"
$action
depmod ${base:+-b "$base"} "$release"
