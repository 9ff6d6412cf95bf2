#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the path of a folder in the cache, which it fills once, with herd7 and
# the libraries that it needs: Debian has herdtools7 in forky only, built for a
# newer libc than this machine's.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/apt.sh"

suite=forky
packages=(herdtools7 libc6 libgmp10)
herd=$cache/herd

download() {
	local mirror

	for mirror in $(mirrors); do
		private_sources "$mirror" $suite
		private_apt apt-get update >/dev/null 2>&1 &&
			(cd "$apt" && private_apt apt-get download "${packages[@]}" >&2) && return
	done
	return 1
}

fetch() {
	local deb

	have apt-get || die "no apt-get here to fetch herd7 with"
	need_space 1
	trap 'rm -rf "$herd.partial"' EXIT
	rm -rf "$herd.partial"
	private_apt_in "$herd.partial"
	say "fetching herdtools7 of Debian $suite"
	download || die "herdtools7 is not to be had: see what 'apt-get update' says, run this again"
	for deb in "$apt"/*.deb; do
		dpkg -x "$deb" "$apt/root" || die "$deb did not unpack: free some disk space, run this again"
	done
	mv "$apt/root" "$herd"
}

[ "$(uname -m)" = x86_64 ] || die "herd7 is fetched for x86_64 only"
lock herd
[ -e "$herd" ] || fetch
echo "$herd"
