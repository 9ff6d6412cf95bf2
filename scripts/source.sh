#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the path of a kernel source tree. The tree is fetched once into the cache.
#
# UML supports SMP from about 6.19 on. Therefore the tree is Debian's linux-source from
# the first of $newer_suites that has a recent one, otherwise the newest that the
# machine's own sources offer. KSRC=TREE uses TREE instead.

. "$(dirname "$0")/lib.sh"

wanted=7.3
newer_suites='trixie-backports forky'
smp_since=6.19
oldest=6.12

# at_least A B: version A is not older than B
at_least() { printf '%s\n' "$2" "$1" | sort -VC; }

# The newest tree in the cache
cached_tree() {
	find "$cache" -maxdepth 1 -name 'linux-source-*' ! -name '*.partial' | sort -V | tail -n 1
}

# If a header has changed, new modules would not fit the kernels that are already built.
pristine() {
	[ -e "$1/.pristine" ] &&
		[ -z "$(find "$1"/include "$1"/arch/{um,x86} -newer "$1/.pristine" -name '*.h' -print -quit)" ]
}

# pick_package MINIMUM: the wanted version, otherwise the newest from MINIMUM on
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

# Prints the name of the package, and leaves apt with the suite that has it
find_package() {
	local suite

	for suite in $newer_suites; do
		use_suites "$suite" >/dev/null 2>&1 && pick_package $smp_since && return
	done
	rm -f "$apt/sources.list"
	private_apt apt-get update >/dev/null 2>&1 && pick_package $oldest
}

fetch() {
	local package tree

	have apt-get || die "no apt-get to fetch a kernel with: set KSRC to the source tree of Linux $wanted"
	need_space 4
	trap 'rm -rf "$cache"/{apt,linux-source-*}.partial' EXIT
	rm -rf "$cache"/{apt,linux-source-*}.partial
	private_apt_in "$cache/apt.partial"

	say "looking for linux-source-$wanted on this machine's Debian mirror"
	package=$(find_package) ||
		die "no kernel source found: see what 'apt-get update' says, or set KSRC to the source tree of Linux $wanted"
	(cd "$apt" && private_apt apt-get download "$package" >&2) ||
		die "the download of $package failed: check the network, try again"

	tree=$cache/$package
	say "unpacking $package"
	mkdir "$tree.partial"
	dpkg-deb --fsys-tarfile "$apt/${package}_"*.deb |
		tar -xO "./usr/src/$package.tar.xz" | xz -d |
		tar -x --strip-components=1 -C "$tree.partial" ||
		die "$package does not unpack: free some disk space, try again"
	touch "$tree.partial/.pristine"
	mv "$tree.partial" "$tree"
}

if [ -n "${KSRC:-}" ]; then
	[ -e "$KSRC/arch/um/Makefile" ] || die "KSRC=$KSRC is not a kernel source tree"
	realpath "$KSRC"
	exit
fi

need xz:xz-utils
lock source
tree=$(cached_tree)
if [ -n "$tree" ] && ! pristine "$tree"; then
	say "the cached kernel source in $tree was changed: fetching it again"
	rm -rf "$tree"
	tree=
fi
[ -n "$tree" ] || fetch
tree=$(cached_tree)
[ "${tree##*-}" = $wanted ] || say "Linux $wanted is not available, using ${tree##*-}"
at_least "${tree##*-}" $smp_since ||
	say "********** UML ${tree##*-} HAS NO SMP: RACES ARE TESTED ON ONE CPU ONLY **********"
echo "$tree"
