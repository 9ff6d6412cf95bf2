#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms.sh stage DIR    puts what dkms builds the modules from into DIR
# dkms.sh install      has dkms build and install them for the kernel that runs
#                      here (KERNEL=... for another, "all" for each with headers)
# dkms.sh uninstall    undoes that for all kernels, and leaves nothing
# dkms.sh check        builds for each kernel with headers, and a client with what
#                      dkms has kept, in folders of its own

. "$(dirname "$0")/lib.sh"

# The name and the version stand in dkms.conf only.
setting() { sed -n "s/^$1=\"\(.*\)\"$/\1/p" "$top/dkms.conf"; }

# The sources of the modules by name, all headers: neither tests nor samples
stage() {
	local dir=$1 sources

	mapfile -t sources < <(setting 'BUILT_MODULE_NAME.*')
	mkdir -p "$dir"
	(cd "$top" && find -- *.h "${sources[@]/%/.c}" Kbuild dkms.conf atlas compat packaging/dkms-post-build.sh \
		-type f -print0 | tar -c --null -T -) | tar -x --no-same-owner -C "$dir"
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

# A client has nothing of ours but a header and the Module.symvers.
build_client() {
	local build=/lib/modules/$1/build symvers

	symvers=$(compgen -G "$work/dkms/$id/$1/*/Module.symvers") || die "dkms has kept no Module.symvers for Linux $1"
	mkdir -p "$work/include" "$work/client-$1"
	cp "$top/midatlas.h" "$work/include/"
	cp "$top"/samples/*.[ch] "$top/samples/Kbuild" "$work/client-$1/"
	make -C "$build" M="$work/client-$1" KCFLAGS="-I$work/include" KBUILD_EXTRA_SYMBOLS="$symvers" modules \
		>"$work/client-$1.log" 2>&1 || { cat "$work/client-$1.log" >&2; die "no client can be built for Linux $1"; }
	! grep -iE 'warning:|error:' "$work/client-$1.log" >&2 || die "a client's build for Linux $1 has something to say"
}

check_all() {
	local kernel KERNEL=all

	need dkms:dkms make:make gcc:gcc "/lib/modules/*/build/Makefile:linux-headers-amd64"
	workdir dkms
	stage "$work/src/${id/\//-}"
	mkdir "$work/dkms"
	for kernel in $(kernels); do
		mok_signing_key=$work/mok.key mok_certificate=$work/mok.pub dkms build "$id" -k "$kernel" \
			--sourcetree "$work/src" --dkmstree "$work/dkms" >"$work/$kernel.log" 2>&1 ||
			{ cat "$work/$kernel.log" >&2; die "dkms cannot build $id for Linux $kernel"; }
		build_client "$kernel"
	done
	say "$(kernels | wc -l) kernel(s)"
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
check) check_all ;;
*) die "say 'stage DIR', 'install', 'uninstall' or 'check'" ;;
esac
