#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms.sh stage DIR    puts what dkms builds the modules from into DIR
# dkms.sh install      has dkms build and install them for the kernel that runs
#                      here (KERNEL=... for another, "all" for each with headers)
# dkms.sh uninstall    undoes that for all kernels, and leaves nothing

. "$(dirname "$0")/lib.sh"

# The name and the version stand in dkms.conf only.
setting() { sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$top/dkms.conf"; }

stage() {
	local dir=$1

	mkdir -p "$dir"
	(cd "$top" && find . -maxdepth 1 \( -name '*.[ch]' ! -name '*_kunit*' -o -name Kbuild -o -name dkms.conf \) -print0 |
		tar -c --null -T - compat scripts/dkms-post-build.sh) | tar -x --no-same-owner -C "$dir"
}

kernels() {
	case ${KERNEL:-} in
	all) (cd /lib/modules && for build in */build/Makefile; do echo "${build%%/*}"; done) ;;
	*) echo "${KERNEL:-$(uname -r)}" ;;
	esac
}

install_all() {
	local kernel

	need dkms:dkms make:make gcc:gcc
	[ ! -e "$source" ] || die "$source exists: 'make dkms-uninstall' (or remove the package midatlas-dkms) first"
	for kernel in $(kernels); do
		[ -e "/lib/modules/$kernel/build/Makefile" ] ||
			die "no headers for Linux $kernel: install linux-headers-$kernel first, or name another as KERNEL=..."
	done
	stage "$source"
	for kernel in $(kernels); do
		if ! dkms install "$id" -k "$kernel" >&2; then
			uninstall_all
			die "dkms could not install $id for Linux $kernel, nothing is left of it"
		fi
	done
}

uninstall_all() {
	dkms remove "$id" --all >&2 || true
	rm -rf "$source"
}

id=$(setting PACKAGE_NAME)/$(setting PACKAGE_VERSION)
source=/usr/src/${id/\//-}

case "$*" in
'stage '?*) stage "$2" ;;
install | uninstall)
	[ "$(id -u)" -eq 0 ] || die "not root: sudo make dkms-$1"
	if [ "$1" = uninstall ] && [ ! -e "$source" ]; then
		die "$id is not there"
	fi
	"$1_all"
	;;
*) die "say 'stage DIR', 'install' or 'uninstall'" ;;
esac
