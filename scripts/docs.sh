#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# docs.sh [DIR]: renders the documentation into DIR (Documentation/output), html/
# by Sphinx and man9/ by kernel-doc, both with the kernel tree's own tools.
#
# It fails if Sphinx, kernel-doc or groff has anything to say, if a page names a
# function of ours that no page describes, if an exported symbol has no man page, or
# if the code in the README is not the sample's.

. "$(dirname "$0")/lib.sh"

out=${1:-$top/Documentation/output}

# Who exports it, has it documented
exporting() { (cd "$top" && grep -l '^EXPORT_SYMBOL_GPL' -- *.c); }
exported() { (cd "$top" && sed -n 's/^EXPORT_SYMBOL_GPL(\(.*\));$/\1/p' ./*.c); }

render_html() {
	rm -rf "$out/html"
	srctree=$tree PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -j auto -n -W --keep-going -b html \
		-d "$work/doctrees" "$top/Documentation" "$out/html" >"$work/sphinx.log" 2>&1 ||
		{ cat "$work/sphinx.log" >&2; die "Sphinx is not content with the documentation"; }
}

# A name that the kernel's automarkup took for ours and found nowhere
dead_links() {
	grep -rhoP --include='*.html' 'broken_xref[^>]*><span class="pre">\K[^<]*' "$out/html" |
		sort -u | grep -E '\bmid_(atlas|window)' || true
}

render_man() {
	local files

	mapfile -t files < <(exporting)
	rm -rf "$out/man9"
	mkdir -p "$out/man9"
	(cd "$top" && python3 "$tree/scripts/kernel-doc" -none -Wall -Werror "${files[@]}" &&
		scripts/man-pages.py "$tree/scripts/kernel-doc" "$out/man9" "${files[@]}") \
		>"$work/kernel-doc.log" 2>&1 ||
		{ cat "$work/kernel-doc.log" >&2; die "kernel-doc is not content with the sources"; }
}

missing_pages() {
	local symbol

	for symbol in $(exported); do
		[ -s "$out/man9/$symbol.9" ] || echo "$symbol"
	done
}

bad_pages() { groff -man -Tutf8 -K utf8 -ww -z "$out"/man9/*.9 2>&1; }

# Lines of C in the README that are not the sample's
# shellcheck disable=SC2016  # these are Markdown's
typed_off() { sed -n '/^```c$/,/^```$/{//!p}' "$top/README.md" | grep -vxFf "$top/samples/loopback.c" || true; }

none() { [ -z "$2" ] || die "$1: ${2//$'\n'/, }"; }

need sphinx-build:python3-sphinx /usr/share/doc/python3-sphinx-rtd-theme:python3-sphinx-rtd-theme \
	groff:groff-base python3:python3
workdir docs
tree=$("$top/scripts/source.sh")
mkdir -p "$out"
none "README.md has code that samples/loopback.c has not" "$(typed_off)"
render_html
none "no page describes" "$(dead_links)"
render_man
none "no man page for" "$(missing_pages)"
none "groff says" "$(bad_pages)"
say "$(find "$out/html" -name '*.html' | wc -l) pages, $(find "$out/man9" -name '*.9' | wc -l) man pages in $out"
