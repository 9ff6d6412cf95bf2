# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every script here shares. It is sourced, not run.
#
# A script's stdout is its result; what people read goes to stderr.

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
*[!A-Za-z0-9_./@+,~-]*) die "kbuild takes no '$cache': set MIDATLAS_CACHE to a path of plain characters" ;;
/*) ;;
*) cache=$PWD/$cache ;;
esac
mkdir -p "$cache" 2>/dev/null || die "cannot write to $cache: set MIDATLAS_CACHE to a folder of yours"

# A command, or a file of which this is the path or a pattern
have() { command -v "$1" >/dev/null || compgen -G "$1" >/dev/null; }

# need THING:PACKAGE...: installs the package of each thing that is not here
need() {
	local pair missing=()

	for pair; do
		have "${pair%:*}" || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	have apt-get || die "no apt-get here: install the equivalents of these Debian packages by hand: ${missing[*]}"
	[ "$(id -u)" -eq 0 ] || die "not root, so install what is missing first: sudo apt-get install ${missing[*]}"
	# One at a time, for scripts that run beside each other may miss the same.
	(
		flock 8
		say "installing ${missing[*]}"
		install_packages "${missing[@]}" >"$cache/apt.log" 2>&1
	) 8>"$cache/apt.lock" ||
		die "apt-get could not install ${missing[*]}: see $cache/apt.log, check the network, run this again"
	for pair; do
		have "${pair%:*}" || die "still no ${pair%:*}: try apt-get install --reinstall ${pair#*:}"
	done
}

# Samba is wanted as a program: no file server may start on this machine.
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

# lock NAME: held to the end of this script, so that two runs do not meet
lock() {
	exec 9>"$cache/$1.lock"
	flock -n 9 || { say "waiting for another run that prepares the $1"; flock 9; }
}

# need_space GIB: of free disk space in the cache
need_space() {
	local free

	free=$(($(df --output=avail -B1M "$cache" | tail -n 1) / 1024))
	[ $free -ge "$1" ] ||
		die "$1 GiB are needed in $cache, $free are free: free some, or set MIDATLAS_CACHE to a larger disk"
}

# progress LABEL: counts the build steps on stdin and shows that it is alive:
# on a terminal in one line that changes, elsewhere in a line now and then.
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

# workdir NAME: $work is a scratch folder of this run, which stays behind only
# when the run fails.
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

# copy_sources DIR: what kbuild needs of the repository, which so stays free of
# what is built
copy_sources() {
	mkdir -p "$1"
	(cd "$top" && find . -name .git -prune -o -name '*.mod.c' -o \
		\( -name '*.[ch]' -o -name Kbuild -o -name Kconfig \) -print0 |
		tar -c --null -T -) | tar -x -C "$1"
}

# build_modules KERNEL: leaves them in $work. $MIDATLAS_BUILT is a folder where that was
# done before, for the kernel that its file "kernel" names; what was last built for a kernel
# is kept in the cache.
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

# boot KERNEL DIR SCRIPT [NAME=VALUE...]: in UML, or a kernel for real machines in QEMU
boot() {
	if [ -e "$1/linux" ]; then
		"$top/scripts/uml.sh" "$@"
	else
		"$top/scripts/qemu.sh" "$@"
	fi
}
