# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of clients/*/convert.sh, which convert a copy of a kernel client with semantic
# patches. Source this file after scripts/lib.sh. $here is the directory of the patches,
# $tree the kernel tree, $work a scratch directory.

refuse() {
	die "$1: ${here#"$top/"}/ is for Linux 7.3, $tree is Linux $(make -s -C "$tree" kernelversion 2>/dev/null || echo of another version)"
}

rules() { sed -n 's/^@\([a-z0-9_]\{1,\}\)@$/\1/p' "$1"; }

# with_witnesses PATCH: adds a rule after each rule that reports when it has matched
with_witnesses() {
	cat "$1"
	rules "$1" | sed 's/.*/@script:python depends on &@\n@@\nprint("applied &")/'
}

# apply PATCH FILE...: fails if a rule of the patch matches nothing
apply() {
	local patch=$here/$1.cocci log=$work/$1.log macros missing

	shift
	macros=$(find "$here" -name parse.h)
	with_witnesses "$patch" >"$log.cocci"
	spatch --very-quiet --in-place --no-includes ${macros:+--macro-file "$macros"} --sp-file "$log.cocci" "$@" >"$log" 2>&1 ||
		die "spatch failed on ${patch#"$top/"}, see $log"
	missing=$(rules "$patch" | sed 's/^/applied /' | grep -vxFf "$log") || return 0
	refuse "nothing matches ${missing//applied /rule } of ${patch#"$top/"}"
}
