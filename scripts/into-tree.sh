#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# into-tree.sh TREE: puts the modules into a kernel source tree, as lib/midatlas,
# with Kconfig, Makefile, documentation and a MAINTAINERS entry. The sources are the
# same that are built with M=. Run again, it brings them up to date.

. "$(dirname "$0")/lib.sh"

place=lib/midatlas
page=Documentation/core-api/midatlas.rst

entry() {
	local maintainer

	maintainer=$(sed -n 's/^Maintainer: //p' "$top/debian/control")
	printf '%s\n' 'MIDATLAS (IDENTIFIERS OF REQUESTS IN FLIGHT)' "M:	$maintainer" 'S:	Maintained' \
		"F:	$page" "F:	$place/" ''
}

# change FILE COMMAND...: FILE is what the command makes of it. Never in place: the
# tree may share its files with others by hard links.
change() {
	local file=$1

	shift
	"$@" <"$file" >"$work/changed" || die "$file could not be changed"
	rm "$file"
	cp "$work/changed" "$file"
}

# once FILE LINE COMMAND...: unless FILE has the LINE
once() {
	local file=$1 line=$2

	shift 2
	grep -qxF "$line" "$file" || change "$file" "$@" "$line"
	grep -qxF "$line" "$file" || die "there is no place for \"$line\" in $file"
}

# They read stdin and put the line that is given into it.
at_end() { cat; echo "$1"; }
before_endmenu() { awk -v line="$1" '{ lines[NR] = $0 } /^endmenu/ { last = NR } END { for (i = 1; i <= NR; i++) { if (i == last) print line "\n"; print lines[i] } }'; }
after_xarray() { sed "s/^   xarray\$/&\n$1/"; }

# The entry in its alphabetical place
among_maintainers() {
	entry >"$work/entry"
	awk -v entry="$work/entry" -v title="$1" '
		function put() { while ((getline line <entry) > 0) print line; done = 1 }
		list && !done && blank && /^[0-9A-Z][^:]/ && toupper($0) > title { put() }
		{ print; blank = /^$/ }
		/^Maintainers List/ { list = 1 }'
}

tree=${1:-}
[ -n "$tree" ] || die "say into which kernel source tree: scripts/into-tree.sh TREE"
for file in MAINTAINERS lib/Kconfig lib/Makefile Documentation/core-api/index.rst; do
	[ -w "$tree/$file" ] || die "$tree is no kernel source tree that can be written to: there is no $file"
done
workdir into-tree
cd "$tree"

# What kbuild needs, without what is for other trees (cifs) and older ones (compat)
rm -rf "$place"
copy_sources "$work/copy"
rm -rf "$work/copy/clients"
[ ! -e include/kunit/static_stub.h ] || rm -rf "$work/copy/compat"
mv "$work/copy" "$place"
sed "s|^\(\.\. kernel-doc:: \)|\1$place/|" "$top/Documentation/midatlas.rst" >"$work/page"
rm -f "$page"
cp "$work/page" "$page"

once lib/Kconfig "source \"$place/Kconfig\"" before_endmenu
once lib/Makefile "obj-\$(CONFIG_MIDATLAS) += ${place#lib/}/" at_end
once Documentation/core-api/index.rst '   midatlas' after_xarray
once MAINTAINERS "$(entry | head -n 1)" among_maintainers
say "midatlas is in $tree/$place: 'make menuconfig', Library routines"
