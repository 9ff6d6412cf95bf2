#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the cover letter, subject first. The figures are those of Documentation/performance.rst.

set -euo pipefail
cd "$(dirname "$0")/.."
results=$(grep -o -m 1 'bench/results/[^/]*' Documentation/performance.rst)

# table FILE COLUMN... -- ROW...: these columns and rows of a result, in whole nanoseconds
table() {
	local file=$1 columns=''

	shift
	while [ "$1" != -- ]; do
		columns+="$1|"
		shift
	done
	shift
	awk -F, -v columns="${columns%|}" -v rows="$(IFS='|'; echo "$*")" '
		BEGIN { n = split(columns, column, "|"); m = split(rows, row, "|") }
		NR == 1 { for (i = 2; i <= NF; i++) at[$i] = i; next }
		{ for (i = 1; i <= n; i++) value[$1, i] = $at[column[i]] }
		END {
			printf "  %-17s", ""
			for (i = 1; i <= n; i++) {
				if (!(column[i] in at)) { print "no column " column[i] >"/dev/stderr"; exit 1 }
				printf "%15s", column[i]
			}
			print ""
			for (j = 1; j <= m; j++) {
				if (!((row[j], 1) in value)) { print "no row " row[j] >"/dev/stderr"; exit 1 }
				printf "  %-17s", row[j]
				for (i = 1; i <= n; i++)
					printf "%15s", value[row[j], i] == "" ? "-" : sprintf("%.0f", value[row[j], i])
				print ""
			}
		}' "$results/$file"
}

# window_table NAME...: the same of the window, whose results are the other way round
window_table() {
	awk -F, -v names="$*" '
		BEGIN { n = split(names, name, " ") }
		NR == 1 {
			for (i = 4; i <= NF; i++) at[$i] = i
			printf "  %-17s", ""
			for (i = 1; i <= n; i++) {
				title = name[i]
				sub(/^window_/, "", title)
				sub(/_irqsave$/, "", title)
				printf "%14s", title
			}
			print ""
		}
		NR > 1 && /^[A-Z]*,/ {
			printf "  %-17s", $1 ", " $3 " in flight"
			for (i = 1; i <= n; i++) printf "%14.0f", $at[name[i]]
			print ""
		}' "$results/window.csv"
}

sed '/^@TABLES@$/,$d' series/cover.txt
echo 'Nanoseconds for one request with one thread (requests in flight of the maximum):'
echo
baselines=(midatlas xa_alloc_cyclic idr_cyclic 9p sbitmap_queue sbitmap_get rhashtable spinlock cifs_smb1 floor_full)
table st.csv '50 of 64' '1000 of 4096' '49152 of 65535' -- "${baselines[@]}"
echo
echo 'The same for each of two threads that use one table:'
echo
table mt.csv '50 of 64' '1000 of 4096' '49152 of 65535' -- "${baselines[@]}"
echo
echo 'One thread sends, another one completes:'
echo
table pc.csv '50 of 64' '1000 of 4096' '49152 of 65535' -- "${baselines[@]}"
echo
echo 'A window of MessageIds, beside what fs/smb/client does today, an XArray and an'
echo 'rhashtable; ST, MT and PC are the three cases above:'
echo
window_table midwindow window_cifs window_xarray_irqsave window_rhashtable
sed '1,/^@TABLES@$/d' series/cover.txt
