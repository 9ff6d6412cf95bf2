#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# docs.sh [DIR]                 builds the documentation in DIR (Documentation/output), with
#                               the tools of the kernel tree: html/ and man9/
# docs.sh check DIR             also fails if Chromium finds a page that does not fit into a
#                               window of 390, 1280 or 1600 pixels
# docs.sh man KERNEL-DOC DIR    writes only the man pages, into DIR
#
# It fails on any warning of Sphinx, kernel-doc, groff (also for the man page of
# midatlas-top) or get_abi.py, if a page links to a function of ours that no page describes,
# if an exported function has no man page, and if code on a page is not in samples/,
# a link leads nowhere, or no test runs a command.

. "$(dirname "$0")/lib.sh"

cd "$top"
mapfile -t exporting < <(grep -l '^EXPORT_SYMBOL_GPL' -- *.c)

# man_pages KERNEL-DOC DIR: splits the output of any kernel's kernel-doc into one page for
# each exported function. kernel-doc's SEE ALSO also lists functions without a page.
man_pages() {
	local file

	for file in "${exporting[@]}"; do
		"$1" -man -export "$file" | awk -v dir="$2" '
			/^\.TH / { names[++n] = substr($2, 2, length($2) - 2); page = dir "/" names[n] ".9" }
			/^\.SH "?SEE ALSO/ { page = "" }
			page { print >page }
			END {
				for (i = 1; i <= n; i++) {
					page = dir "/" names[i] ".9"
					print ".SH \"SEE ALSO\"" >page
					for (j = 1; j <= n; j++)
						if (j != i)
							print "\\fB" names[j] "\\fR(9)" (j + (i == n) < n ? "," : "") >page
				}
			}' || return
	done
}

render_html() {
	rm -rf "$out/html"
	srctree=$tree PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -j auto -n -W --keep-going -b html \
		-d "$work/doctrees" "$top/Documentation" "$out/html" >"$work/sphinx.log" 2>&1 ||
		{ cat "$work/sphinx.log" >&2; die "Sphinx reports problems"; }
}

exported() { sed -n 's/^EXPORT_SYMBOL_GPL(\(.*\));$/\1/p' "${exporting[@]}"; }

# Names of ours that the kernel's automarkup could not resolve
dead_links() {
	grep -rhoP --include='*.html' 'broken_xref[^>]*><span class="pre">\K[^<]*' "$out/html" |
		sort -u | grep -E '\bmid_(atlas|window)' || true
}

render_man() {
	rm -rf "$out/man9"
	mkdir -p "$out/man9"
	{ python3 "$tree/scripts/kernel-doc" -none -Wall -Werror "${exporting[@]}" &&
		man_pages "$tree/scripts/kernel-doc" "$out/man9"; } >"$work/kernel-doc.log" 2>&1 ||
		{ cat "$work/kernel-doc.log" >&2; die "kernel-doc reports problems"; }
}

missing_pages() {
	local symbol

	for symbol in $(exported); do
		[ -s "$out/man9/$symbol.9" ] || echo "$symbol"
	done
}

bad_pages() { groff -man -Tutf8 -K utf8 -ww -z "$out"/man9/*.9 tools/*.1 2>&1; }

# The format of the kernel's Documentation/ABI
bad_abi() { PYTHONDONTWRITEBYTECODE=1 python3 "$tree/tools/docs/get_abi.py" --dir Documentation/ABI validate 2>&1; }

# Prints what does not fit. One Chromium shows all pages in frames of each width.
too_wide() {
	local frames=$work/html/widths.html

	cp -r "$out/html" "$work/html"
	{
		cat tests/docs/widths.html
		(cd "$out/html" && find . -name '*.html' -printf '"%P", ' | sed 's/.*/<script>measure([&]);<\/script>/')
	} >"$frames"
	timeout -k 10 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files \
		--user-data-dir="$work/chromium" --virtual-time-budget=100000 --dump-dom "file://$frames" \
		>"$work/widths.log" 2>"$work/chromium.log" || { echo "Chromium failed, see $work/chromium.log"; return; }
	sed -n '/<pre id="result">/,/<\/pre>/{s/.*<pre id="result">//; /<\/pre>/!p}' "$work/widths.log" >"$work/widths"
	grep -qx "measured $((3 * $(find "$out/html" -name '*.html' | wc -l)))" "$work/widths" || echo "not every page was measured"
	grep -v '^measured ' "$work/widths" || true
}

none() { [ -z "$2" ] || die "$1: ${2//$'\n'/, }"; }

case ${1:-} in
man)
	mkdir -p "$3"
	man_pages "$2" "$3"
	exit
	;;
check)
	shift
	check=yes
	need chromium:chromium
	;;
*) check= ;;
esac
out=$(realpath -m "${1:-Documentation/output}")
need sphinx-build:python3-sphinx /usr/share/doc/python3-sphinx-rtd-theme:python3-sphinx-rtd-theme \
	groff:groff-base python3:python3
workdir docs
tree=$("$top/scripts/source.sh")
mkdir -p "$out"
none "on a page" "$(python3 -B tests/docs/pages.py check 2>&1)"
render_html
none "no page describes" "$(dead_links)"
render_man
none "no man page for" "$(missing_pages)"
none "groff reports" "$(bad_pages)"
none "get_abi.py reports" "$(bad_abi)"
[ -z "$check" ] || none "does not fit" "$(too_wide)"
say "$(find "$out/html" -name '*.html' | wc -l) pages, $(find "$out/man9" -name '*.9' | wc -l) man pages in $out"
