# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Debian packages that are unpacked, not installed: apt with lists and downloads of
# its own, from the mirrors that the machine uses anyway, verified by apt and
# Debian's archive keyring. The machine's set-up stays as it is. Sourced after lib.sh.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_options=()	# more of them

# private_apt_in DIR: where all of it is; on the machine's own sources
private_apt_in() {
	apt=$1
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
}

# private_sources MIRROR SUITE...: from now on on these
private_sources() {
	local mirror=$1 suite

	shift
	for suite; do
		echo "deb [signed-by=$keyring] $mirror $suite main"
	done >"$apt/sources.list"
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

# The mirrors that apt itself reads out of the machine's sources, in either format
mirrors() {
	apt-get --print-uris update | sed -n "s|^'\(.*\)/dists/[a-z]*/InRelease'.*|\1|p" | sort -u
}
