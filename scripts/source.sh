#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the path of a kernel source tree, which it fetches once into the cache.
#
# UML has SMP from about 6.19 on, so the tree is Debian's linux-source package
# from the first suite of newer_suites that has one, and else the newest of the
# machine's own suites. The mirror is the machine's own; apt and Debian's archive
# keyring verify what comes from it, and apt's set-up stays as it is.
# KSRC=TREE uses that tree instead.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/apt.sh"

wanted=7.3
newer_suites='trixie-backports forky'
smp_since=6.19
oldest=6.12

# Whether version $1 is at least $2
at_least() { printf '%s\n' "$2" "$1" | sort -VC; }

# A tree that was fetched before, the newest if there are several
cached_tree() {
	find "$cache" -maxdepth 1 -name 'linux-source-*' ! -name '*.partial' | sort -V | tail -n 1
}

# Modules built with headers that somebody changed since do not fit the kernels that
# were built before: such a tree is not worth keeping.
pristine() {
	[ -e "$1/.pristine" ] &&
		[ -z "$(find "$1"/include "$1"/arch/{um,x86} -newer "$1/.pristine" -name '*.h' -print -quit)" ]
}

# pick_package MINIMUM: the wanted version or the newest, if it is not too old
pick_package() {
	local versions newest

	versions=$(private_apt apt-cache search --names-only '^linux-source-[0-9]+\.[0-9]+$' |
		sed 's/^linux-source-\([^ ]*\).*/\1/' | sort -V)
	newest=$(tail -n 1 <<<"$versions")
	if grep -qx "$wanted" <<<"$versions"; then
		echo "linux-source-$wanted"
	elif [ -n "$newest" ] && at_least "$newest" "$1"; then
		echo "linux-source-$newest"
	else
		return 1
	fi
}

# Leaves apt's private state at the suite that has the package whose name it prints
find_package() {
	local suite mirror

	for suite in $newer_suites; do
		for mirror in $(mirrors); do
			private_sources "$mirror" "$suite"
			private_apt apt-get update >/dev/null 2>&1 && pick_package $smp_since && return
		done
	done
	rm -f "$apt/sources.list"
	private_apt apt-get update >/dev/null 2>&1 && pick_package $oldest
}

fetch() {
	local package tree

	have apt-get || die "no apt-get here to fetch a kernel with: set KSRC to the source tree of Linux $wanted"
	need_space 4
	trap 'rm -rf "$cache"/{apt,linux-source-*}.partial' EXIT
	rm -rf "$cache"/{apt,linux-source-*}.partial
	private_apt_in "$cache/apt.partial"

	say "looking for linux-source-$wanted on this machine's Debian mirror"
	package=$(find_package) ||
		die "no kernel source to be had: see what 'apt-get update' says, or set KSRC to the source tree of Linux $wanted"
	(cd "$apt" && private_apt apt-get download "$package" >&2) ||
		die "the download of $package failed: check the network, run this again"

	tree=$cache/$package
	say "unpacking $package"
	mkdir "$tree.partial"
	dpkg-deb --fsys-tarfile "$apt/${package}_"*.deb |
		tar -xO "./usr/src/$package.tar.xz" | xz -d |
		tar -x --strip-components=1 -C "$tree.partial" ||
		die "$package did not unpack: free some disk space, run this again"
	touch "$tree.partial/.pristine"
	mv "$tree.partial" "$tree"
}

if [ -n "${KSRC:-}" ]; then
	[ -e "$KSRC/arch/um/Makefile" ] || die "KSRC=$KSRC is no kernel source tree: unset it, or name one"
	realpath "$KSRC"
	exit
fi

need xz:xz-utils
lock source
tree=$(cached_tree)
if [ -n "$tree" ] && ! pristine "$tree"; then
	say "the cached kernel source in $tree was changed, fetching it anew"
	rm -rf "$tree"
	tree=
fi
[ -n "$tree" ] || fetch
tree=$(cached_tree)
[ "${tree##*-}" = $wanted ] || say "Linux $wanted is not to be had; this is ${tree##*-}"
at_least "${tree##*-}" $smp_since ||
	say "********** UML ${tree##*-} HAS NO SMP: THE RACES ARE RUN ON ONE CPU **********"
echo "$tree"
