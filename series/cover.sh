#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the cover letter, subject first. The figures are those of Documentation/performance.rst.

set -euo pipefail
cd "$(dirname "$0")/.."
page=$(grep -o -m 1 'bench/results/[a-z0-9-]\+' Documentation/performance.rst)/README.rst

# cell HEADING MAXIMUM ROW COLUMN: a number of the page, in whole nanoseconds, or "-". MAXIMUM is
# empty if the heading has only one table.
cell() {
	awk -F, -v heading="$1" -v maximum="$2" -v row="$3" -v column="$4" '
		/^===/ { inside = before == heading }
		{ before = $0 }
		!inside { next }
		/^\.\. csv-table::/ { table = maximum == "" || index($0, "at most " maximum " in flight") }
		!table { next }
		/^   in flight,/ { for (i = 2; i <= NF; i++) if ($i == column) at = i }
		$1 == "   " row { found = 1; if (at && $at != "") value = sprintf("%.0f", $at) }
		END {
			if (!found) { print "no row " row " under " heading >"/dev/stderr"; exit 1 }
			print value == "" ? "-" : value
		}' "$page"
}

# table HEADING BASELINE...: of the atlas
table() {
	local heading=$1 baseline size value

	printf '  %-17s%15s%15s%15s\n' '' '50 of 64' '1000 of 4096' '49152 of 65535'
	for baseline in "${@:2}"; do
		printf '  %-17s' "$baseline"
		for size in '64 50' '4096 1000' '65535 49152'; do
			value=$(cell "$heading" "${size% *}" "$baseline" "${size#* }")
			printf '%15s' "$value"
		done
		echo
	done
}

# window_table NAME...: a row for each case
window_table() {
	local heading size name value

	printf '  %-17s' ''
	for name; do
		value=${name#window_}
		printf '%14s' "${value%_irqsave}"
	done
	echo
	for heading in 'Window, ST: one thread, random order' 'Window, MT: two threads, random order' \
		'Window, PC: one thread sends, another completes, in order'; do
		for size in '1 of 64' '50 of 64' '512 of 512' '8192 of 8192'; do
			value=${heading#Window, }
			printf '  %-17s' "${value%%:*}, ${size%% *} in flight"
			for name; do
				value=$(cell "$heading" '' "$name" "$size")
				printf '%14s' "$value"
			done
			echo
		done
	done
}

sed '/^@TABLES@$/,$d' series/cover.txt
echo 'Nanoseconds for one request with one thread (requests in flight of the maximum):'
echo
baselines=(midatlas xa_alloc_cyclic idr_cyclic 9p sbitmap_queue sbitmap_get rhashtable spinlock cifs_smb1 floor_full)
table 'ST: one thread, random order' "${baselines[@]}"
echo
echo 'The same for each of two threads that use one table:'
echo
table 'MT: two threads on one table, random order' "${baselines[@]}"
echo
echo 'One thread sends, another one completes:'
echo
table 'PC: one thread sends, another completes, in order' "${baselines[@]}"
echo
echo 'A window of MessageIds, beside what fs/smb/client does today, an XArray and an'
echo 'rhashtable; ST, MT and PC are the three cases above:'
echo
window_table midwindow window_cifs window_xarray_irqsave window_rhashtable
sed '1,/^@TABLES@$/d' series/cover.txt
