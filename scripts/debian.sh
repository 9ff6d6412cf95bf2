#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# debian.sh SUITE PACKAGE...: prints the path of a root directory to chroot into. It has
# the packages of a Debian suite with their dependencies, and is unpacked once into the
# cache.
#
# A PACKAGE:ARCHITECTURE is unpacked without its dependencies: into the directory
# ARCHITECTURE of the root, unless it is part of Linux and has its version in its paths.

. "$(dirname "$0")/lib.sh"

suite=$1
shift
suites=("${suite%-backports}")
[ "${suites[0]}" = "$suite" ] || suites+=("$suite")

# Every Debian has these, so no package depends on them.
essential=(dash bash coreutils findutils grep sed mawk make)

# Neither a build nor a boot needs these large parts.
skip=(--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
	--exclude='*/kernel/drivers/[!fv]*' --exclude='*/kernel/sound' --exclude='./dev/*'
	--exclude='./usr/lib/debug/lib/modules/*')

native() { printf '%s\n' "$@" | grep -v : || true; }
foreign() { printf '%s\n' "$@" | grep : || true; }

# real_name PACKAGE:ARCHITECTURE: the package that a metapackage depends on, or PACKAGE
real_name() {
	private_apt apt-cache show --no-all-versions "$1" |
		sed -n "s/^Depends: \(${1%%-*}-[a-z]*-[0-9][^ ,]*\).*/\1:${1##*:}/p" | grep . || echo "$1"
}

fetch() {
	local package

	apt_options=(-o APT::Architectures="amd64$(foreign "$@" | sed 's/.*:/,/' | sort -u | tr -d '\n')"
		-o APT::Default-Release="$suite" -o Debug::NoLocking=1)
	use_suites "${suites[@]}" || return
	# shellcheck disable=SC2046
	private_apt apt-get -y --no-install-recommends --download-only install "${essential[@]}" $(native "$@") || return
	for package in $(foreign "$@"); do
		(cd "$apt/cache/archives" && private_apt apt-get download "$(real_name "$package")") || return
	done
}

# Maintainer scripts and the installer would have made these.
furnish() {
	mkdir -p "$1"/usr/{bin,sbin,lib,lib64} "$1"/{dev,proc,tmp}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$1"
	ln -s mawk "$1/bin/awk"
	ln -s dash "$1/bin/sh"
	mknod -m 666 "$1/dev/null" c 1 3
}

unpack() {
	local deb dir arch

	for deb in "$apt"/cache/archives/*.deb; do
		arch=$(dpkg-deb -f "$deb" Architecture)
		dir=$1
		[[ $arch = @(amd64|all) || $deb = */linux-* ]] || dir+=/$arch
		mkdir -p "$dir"
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --keep-directory-symlink "${skip[@]}" ||
			die "${deb##*/} does not unpack: free some disk space, try again"
	done
}

[ "$(id -u)" -eq 0 ] || die "not root: building in another Debian needs chroot"
have apt-get || die "no apt-get to fetch Debian's kernels with"
name=debian-$suite-$(sha256sum <<<"${essential[*]} $*" | cut -c 1-8)
root=$cache/$name
lock "$name"
if [ ! -e "$root" ]; then
	need_space 4
	say "fetching the kernels of Debian $suite"
	trap 'rm -rf "$apt"' EXIT
	private_apt_in "$cache/$name.apt.partial"
	fetch "$@" >"$root.log" 2>&1 ||
		die "Debian $suite cannot be fetched: see $root.log, check the network, try again"
	rm -rf "$root.partial"
	mkdir "$root.partial"
	furnish "$root.partial"
	unpack "$root.partial"
	rm "$root.log"
	mv "$root.partial" "$root"
fi
echo "$root"
