# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that all scripts share. Source this file, do not run it.
#
# A script prints its result on stdout. Messages go to stderr.

set -euo pipefail
exec </dev/null
unset MAKEFLAGS MFLAGS CROSS_COMPILE KBUILD_OUTPUT
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

say() { printf 'midatlas: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

export top
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${MIDATLAS_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or MIDATLAS_CACHE}/.cache}/midatlas}
case $cache in
*[!A-Za-z0-9_./@+,~-]*) die "kbuild cannot use the path '$cache': set MIDATLAS_CACHE to a path of plain characters" ;;
/*) ;;
*) cache=$PWD/$cache ;;
esac
mkdir -p "$cache" 2>/dev/null || die "cannot write to $cache: set MIDATLAS_CACHE to a writable directory"

# have THING: THING is a command, a path or a pattern of paths
have() { command -v "$1" >/dev/null || compgen -G "$1" >/dev/null; }

# need THING:PACKAGE...: installs the package of each THING that is missing
need() {
	local pair missing=()

	for pair; do
		have "${pair%:*}" || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	have apt-get || die "no apt-get: install the equivalents of these Debian packages: ${missing[*]}"
	[ "$(id -u)" -eq 0 ] || die "not root: first run sudo apt-get install ${missing[*]}"
	# Scripts that run in parallel may miss the same package.
	(
		flock 8
		say "installing ${missing[*]}"
		install_packages "${missing[@]}" >"$cache/apt.log" 2>&1
	) 8>"$cache/apt.lock" ||
		die "apt-get cannot install ${missing[*]}: see $cache/apt.log, check the network, try again"
	for pair; do
		have "${pair%:*}" || die "still no ${pair%:*}: try apt-get install --reinstall ${pair#*:}"
	done
}

# Only the program of the package samba is used: its services are never started.
install_packages() {
	local unit units=()

	if [ -d /run/systemd/system ] && [[ " $* " = *" samba "* ]]; then
		units=(smbd.service nmbd.service)
		systemctl mask --runtime "${units[@]}"
	fi
	apt-get update &&
	DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" || return
	for unit in "${units[@]}"; do
		systemctl unmask --runtime "$unit"
		systemctl disable "$unit"
	done
}

# lock NAME: until the script ends
lock() {
	exec 9>"$cache/$1.lock"
	flock -n 9 || { say "waiting for another run that prepares $1"; flock 9; }
}

# need_space GIB: of free disk space in the cache
need_space() {
	local free

	free=$(($(df --output=avail -B1M "$cache" | tail -n 1) / 1024))
	[ $free -ge "$1" ] ||
		die "$cache needs $1 GiB, $free are free: free some, or set MIDATLAS_CACHE to a larger disk"
}

# progress LABEL: counts the build steps on stdin. On a terminal it updates one line,
# otherwise it prints a line every 15 seconds.
progress() {
	local every=15 before='' after=$'\n' line steps=0 start=$SECONDS next=0

	if [ -t 2 ]; then
		every=1 before=$'\r' after=''
	fi
	while IFS= read -r line; do
		[[ $line = '  '[A-Z]* ]] && steps=$((steps + 1))
		if [ $((SECONDS - start)) -ge $next ]; then
			printf '%smidatlas: %s: %d steps, %d:%02d%s' "$before" "$1" $steps \
				$(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$after" >&2
			next=$((SECONDS - start + every))
		fi
	done
	[ -z "$before" ] || echo >&2
}

# workdir NAME: makes the scratch directory $work. It is removed if the run succeeds.
workdir() {
	mkdir -p "$cache/run"
	find "$cache/run" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +
	work=$(mktemp -d "$cache/run/$1.XXXXXX")
	trap 'leave_workdir $?' EXIT
}

leave_workdir() {
	if [ "$1" -eq 0 ]; then
		rm -rf "$work"
	else
		say "the logs of this run are in $work"
	fi
}

# copy_sources DIR: copies all that kbuild reads, so that no build writes into the
# repository
copy_sources() {
	mkdir -p "$1"
	(cd "$top" && find . -name .git -prune -o -name '*.mod.c' -o \
		\( -name '*.[ch]' -o -name Kbuild -o -name Kconfig -o -name dkms.conf \) -print0 |
		tar -c --null -T -) | tar -x -C "$1"
}

# own_sources: prints the paths of the modules' sources and private headers
own_sources() {
	find "$top"/mid{atlas,window}.c "$top"/mid{slot,folder,latency}.h "$top"/{atlas,window} -name '*.[ch]' 2>/dev/null || true
}

# build_modules KERNEL: builds the modules into $work. The cache keeps the last build for
# each kernel. If the file $MIDATLAS_BUILT/kernel names KERNEL, that directory is used.
build_modules() {
	local built key
	built=$cache/modules-of-$(basename "$1")

	if [ "$(cat "${MIDATLAS_BUILT:-}/kernel" 2>/dev/null)" = "$1" ]; then
		cp -al "$MIDATLAS_BUILT/." "$work/"
		return
	fi
	copy_sources "$work"
	key=$(cd "$work" && { find . -type f -print0 | sort -z | xargs -0 sha256sum
		sha256sum "$1/ready" "$top/scripts/modules.sh"; } | sha256sum)
	(
		flock 7
		if [ "$(cat "$built/key" 2>/dev/null)" != "$key" ]; then
			rm -rf "$built"
			"$top/scripts/modules.sh" "$1" "$built" >"$work/build.log" 2>&1 ||
				die "the modules do not build, see $work/build.log"
			echo "$key" >"$built/key"
		fi
		cp -alf "$built/." "$work/"
	) 7>"$built.lock"
}

# boot KERNEL DIR SCRIPT [NAME=VALUE...]: see uml.sh and qemu.sh
boot() {
	if [ -e "$1/linux" ]; then
		"$top/scripts/uml.sh" "$@"
	else
		"$top/scripts/qemu.sh" "$@"
	fi
}

# kunit_py TREE ARGUMENT...: builds a kernel with the tests and runs it, with kunit.py alone
kunit_py() {
	PYTHONDONTWRITEBYTECODE=1 python3 "$1/tools/testing/kunit/kunit.py" run --arch=um --jobs="$(nproc)" \
		--kernel_args=seccomp=on --kernel_args=ncpus=2 "${@:2}"
}

# Fetches Debian packages without installing them. Apt gets private lists, a private cache
# and the mirrors of this machine, verifies with Debian's archive keyring, and leaves the
# machine's own setup as it is.
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
