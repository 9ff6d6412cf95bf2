#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms.sh stage DIR    copies the sources that dkms builds the modules from to DIR
# dkms.sh install      installs them for the running kernel with dkms (KERNEL=... for
#                      another one, KERNEL=all for each with headers)
# dkms.sh uninstall    removes them for all kernels
# dkms.sh check        in private directories: builds for each kernel with headers, and
#                      then a client with the Module.symvers that dkms has kept

. "$(dirname "$0")/lib.sh"

# The name and the version are in dkms.conf only.
setting() { sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$top/dkms.conf"; }

# Neither tests nor samples
stage() {
	mkdir -p "$1"
	{
		own_sources
		find "$top"/*.h "$top"/{Kbuild,dkms.conf,packaging/dkms-post-build.sh,compat} -type f
	} | sed "s|^$top/||" | sort -u | tar -C "$top" -c -T - | tar -x --no-same-owner -C "$1"
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
	[ ! -e "$source" ] || die "$source exists: first run 'make dkms-uninstall', or remove the package midatlas-dkms"
	stage "$source"
	for kernel in $(kernels); do
		if ! dkms install "$id" -k "$kernel" >&2; then
			uninstall_all
			die "dkms cannot install $id for Linux $kernel: all of it was removed again"
		fi
	done
}

uninstall_all() {
	dkms remove "$id" --all >&2 || true
	rm -rf "$source"
}

# check_version KERNEL
check_version() {
	local module

	for module in mid{atlas,window}; do
		[ "$(modinfo -F version "$(compgen -G "$work/dkms/$id/$1/*/module/$module.ko*")")" = "${id#*/}" ] ||
			die "$module for Linux $1 does not have the version ${id#*/}"
	done
}

# A client gets nothing but the header and the Module.symvers.
build_client() {
	local build=/lib/modules/$1/build symvers

	symvers=$(compgen -G "$work/dkms/$id/$1/*/Module.symvers") || die "dkms has kept no Module.symvers for Linux $1"
	mkdir -p "$work/include" "$work/client-$1"
	cp "$top"/mid{atlas,window}.h "$work/include/"
	cp "$top"/samples/*.[ch] "$top/samples/Kbuild" "$work/client-$1/"
	make -C "$build" M="$work/client-$1" KCFLAGS="-I$work/include" KBUILD_EXTRA_SYMBOLS="$symvers" modules \
		>"$work/client-$1.log" 2>&1 || { cat "$work/client-$1.log" >&2; die "the client does not build for Linux $1"; }
	! grep -iE 'warning:|error:' "$work/client-$1.log" >&2 || die "warnings from the client's build for Linux $1"
}

check_all() {
	local kernel KERNEL=all

	need dkms:dkms make:make gcc:gcc modinfo:kmod "/lib/modules/*/build/Makefile:linux-headers-amd64"
	workdir dkms
	stage "$work/src/${id/\//-}"
	mkdir "$work/dkms"
	for kernel in $(kernels); do
		mok_signing_key=$work/mok.key mok_certificate=$work/mok.pub dkms build "$id" -k "$kernel" \
			--sourcetree "$work/src" --dkmstree "$work/dkms" >"$work/$kernel.log" 2>&1 ||
			{ cat "$work/$kernel.log" >&2; die "dkms cannot build $id for Linux $kernel"; }
		check_version "$kernel"
		build_client "$kernel"
	done
	say "$(kernels | wc -l) kernel(s)"
}

id=$(setting PACKAGE_NAME)/$(setting PACKAGE_VERSION)
source=/usr/src/${id/\//-}

case "$*" in
'stage '?*) stage "$2" ;;
install | uninstall)
	[ "$(id -u)" -eq 0 ] || die "not root: run sudo make dkms-$1"
	[ "$1" = install ] || [ -e "$source" ] || die "$id is not installed"
	"$1_all"
	;;
check) check_all ;;
*) die "usage: dkms.sh stage DIR | install | uninstall | check" ;;
esac
