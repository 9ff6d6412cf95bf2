# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Fetches Debian packages without installing them. Apt gets private lists, a private
# cache and the mirrors of this machine, verifies with Debian's archive keyring, and
# leaves the machine's own setup as it is. Source this file after lib.sh.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_options=()	# further options for every call

# private_apt_in DIR: keeps lists and cache in DIR, and uses the machine's own sources
private_apt_in() {
	apt=$1
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
}

# private_apt TOOL ARGUMENT...
private_apt() {
	local tool=$1 sources=()

	shift
	[ ! -e "$apt/sources.list" ] ||
		sources=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null)
	"$tool" -q -o APT::Sandbox::User=root -o Dir::State::Lists="$apt/lists" \
		-o Dir::State::status=/dev/null \
		-o Dir::Cache="$apt/cache" "${sources[@]}" "${apt_options[@]}" "$@"
}

# The machine's mirrors: apt reads the sources in either format
mirrors() {
	apt-get --print-uris update | sed -n "s|^'\(.*\)/dists/[a-z]*/InRelease'.*|\1|p" | sort -u
}

# use_suites SUITE...: from now on, from the first mirror that has all of them
use_suites() {
	local mirror suite

	for mirror in $(mirrors); do
		for suite; do
			echo "deb [signed-by=$keyring] $mirror $suite main"
		done >"$apt/sources.list"
		private_apt apt-get -o APT::Update::Error-Mode=any update && return
	done
	return 1
}
