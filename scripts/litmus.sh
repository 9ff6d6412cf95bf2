#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# litmus.sh [PAIR...]: runs all pairs of litmus tests, or those named, under the kernel's
# memory model, and checks that tests and code refer to each other.
#
# The tree's checklitmus.sh does not fit: it wants herd7 in PATH, writes into the tree,
# and accepts any "Result:" and every flag of the model but one.

. "$(dirname "$0")/lib.sh"

dir=tests/litmus
failed=0

# herd7 with its libraries, in the cache: Debian has herdtools7 in forky only, built for
# a newer libc than that of this machine.
herd=$cache/herd
lib=$herd/usr/lib/x86_64-linux-gnu
suite=forky
packages=(herdtools7 libc6 libgmp10)

fetch_herd() {
	local deb

	have apt-get || die "no apt-get to fetch herd7 with"
	need_space 1
	workdir herd
	private_apt_in "$work"
	say "fetching herdtools7 from Debian $suite"
	{ use_suites $suite && (cd "$apt" && private_apt apt-get download "${packages[@]}"); } >"$work/log" 2>&1 ||
		die "cannot fetch herdtools7: see $work/log, check the network, try again"
	for deb in "$apt"/*.deb; do
		dpkg -x "$deb" "$apt/root" || die "$deb does not unpack: free some disk space, try again"
	done
	mv "$apt/root" "$herd"
}

bad() { echo "$*"; failed=$((failed + 1)); }

# run TEST: prints the output of herd7
run() {
	(cd "$model" && timeout -k 5 60 "$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
		"$herd/usr/bin/herd7" -set-libdir "$herd/usr/share/herdtools7/herd" \
		-conf linux-kernel.cfg "$top/$1" 2>&1)
}

# judge TEST RESULT
judge() {
	local test=$dir/$1.litmus said

	[ -e "$test" ] || { bad "$1: no such test"; return; }
	grep -qx " \* Result: $2" "$test" || bad "$1: lacks the line 'Result: $2'"
	said=$(run "$test") || said="herd7 failed: $said"
	if grep -q "^Observation $1 $2 " <<<"$said" && ! grep -q ^Flag <<<"$said"; then
		printf '%-28s %s\n' "$1" "$2"
	else
		bad "$1: not $2: $said"
	fi
}

# in_code PAIR: the code has the functions that the pair models, and a comment names it
in_code() {
	local function

	for function in $(sed -n 's/^ \* Models: //p' "$dir/$1-fixed.litmus" | tr -d '(),'); do
		grep -qE "^([a-z].*[ *])?$function\(" "${code[@]}" || bad "$1: the code has no $function()"
	done
	grep -qE "[[ ]$1[],]" "${code[@]}" || bad "$1: no comment in the code names it"
	grep -qx "$1" $dir/README || bad "$1: not in $dir/README"
}

cd "$top"
[ "$(uname -m)" = x86_64 ] || die "herd7 is fetched for x86_64 only"
mapfile -t code < <(own_sources)
[ -e "$herd" ] || (lock herd; [ -e "$herd" ] || fetch_herd)
model=$("$top/scripts/source.sh")/tools/memory-model

names=("$@")
[ $# -gt 0 ] ||
	mapfile -t names < <(find $dir -name '*.litmus' -printf '%f\n' | sed 's/-[a-z]*\.litmus$//' | sort -u)
[ ${#names[@]} -gt 0 ] || die "there are no litmus tests in $dir"
for name in "${names[@]}"; do
	judge "$name-fixed" Never
	judge "$name-broken" Sometimes
	in_code "$name"
done
[ $failed -eq 0 ] || die "$failed litmus checks failed"
say "${#names[@]} pairs of litmus tests: every fixed one Never, every broken one Sometimes"
