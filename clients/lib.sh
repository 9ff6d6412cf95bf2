# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of clients/*/convert.sh, which convert a copy of a kernel client with semantic
# patches. Source this file after scripts/lib.sh. $here is the directory of the patches,
# $tree the kernel tree, $work a scratch directory.

refuse() {
	die "$1: ${here#"$top/"}/ is for Linux 7.3, $tree is Linux $(make -s -C "$tree" kernelversion 2>/dev/null || echo of another version)"
}

# spatch 1.3 looks for Python's library by the name that only its -dev package has; 1.1 does not.
need_spatch() {
	local name='"%s/libpython%d.%d.so" % (s.get_config_var("MULTIARCH"), *v[:2])'

	need spatch:coccinelle python3:python3
	[[ $(spatch --version) == *' 1.'[01].* ]] ||
		need "/usr/lib/$(python3 -c "import sysconfig as s; from sys import version_info as v; print($name)"):libpython3-dev"
}

rules() { sed -n 's/^@\([a-z0-9_]\{1,\}\)@$/\1/p' "$1"; }

# only PATCH [RULE...]: the patch, or only these rules of it
only() {
	[ $# -gt 1 ] || { cat "$1"; return; }
	awk -v wanted=" ${*:2} " '/^@[a-z0-9_]+@$/ { on = index(wanted, " " substr($0, 2, length($0) - 2) " ") } on' "$1"
}

# with_witnesses PATCH: adds a rule after each rule that reports when it has matched
with_witnesses() {
	cat "$1"
	rules "$1" | sed 's/.*/@script:python depends on &@\n@@\nprint("applied &")/'
}

# edit_all SED FILE...: fails if a line of the script changes no file
edit_all() {
	local script=$here/$1 line file changed

	shift
	while IFS= read -r line; do
		[[ $line != '#'* ]] || continue
		changed=
		for file; do
			sed -e "$line" "$file" >"$work/edited"
			cmp -s "$work/edited" "$file" || { changed=yes; cat "$work/edited" >"$file"; }
		done
		[ -n "$changed" ] || refuse "'$line' of ${script#"$top/"} changes nothing"
	done <"$script"
}

# apply PATCH[:RULE,...] FILE...: a semantic patch, or only these rules of it, or a sed script;
# fails if a rule matches nothing
apply() {
	[[ $1 != *.sed ]] || { edit_all "$@"; return; }
	local name=${1%%:*} chosen=() log macros missing patch

	[ "$name" = "$1" ] || IFS=, read -ra chosen <<<"${1#*:}"
	log=$work/$name.log patch=$work/$name.chosen
	shift
	only "$here/$name.cocci" "${chosen[@]}" >"$patch"
	macros=$(find "$here" -name parse.h)
	with_witnesses "$patch" >"$log.cocci"
	spatch --very-quiet --in-place --no-includes ${macros:+--macro-file "$macros"} --sp-file "$log.cocci" "$@" >"$log" 2>&1 ||
		die "spatch failed on ${here#"$top/"}/$name.cocci, see $log"
	missing=$(rules "$patch" | sed 's/^/applied /' | grep -vxFf "$log") || return 0
	refuse "nothing matches ${missing//applied /rule } of ${here#"$top/"}/$name.cocci"
}
