# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What a run of the sample client comes to: read from $work/console.log, shown as
# a table, and judged. Sourced after lib.sh.

declare -A result
faults=()

# The results that the guest shows ("= KEY VALUE"), and over them the client's
# last words in the kernel's log ("smbecho: requests N = replied N + ...").
read_results() {
	local key value

	while read -r key value; do
		result[$key]=$value
	done < <(sed -n 's/\r$//; s/^= //p; s/.* smbecho: \(requests .*\)/\1/p' "${work:?}/console.log" | tr '=+,' '\n')
}

# row TEXT KEY OPERATOR VALUE [REMARK]: a line of the table, and what test(1) has
# to say to the client's value
row() {
	local value=${result[$2]:-missing}

	test "$value" "$3" "$4" 2>/dev/null || faults+=("$1: $value")
	[[ $2 != *_ns ]] || value=$(awk -v ns="$value" 'BEGIN { printf "%.2f ms", ns / 1e6 }')
	printf '  %-18s%12s%s\n' "$1" "$value" "${5:+ $5}"
}

# rows_of_ends REPLIED KILLED: how the requests ended, each once, and the least
# that is expected of two of the ends
rows_of_ends() {
	row 'requests' requests -ge "$1"
	row '  = replied' replied -ge "$1"
	row '  + timed out' timed_out -ge 0
	row '  + cancelled' cancelled -ge "$2" 'their submitters were killed'
	row '  + reset' reset -ge 0 "${result[destructed]:-?} of them by the destructor, at the end"
	row 'unaccounted' unaccounted -eq 0
}

verdict() {
	[ ${#faults[@]} -eq 0 ] || die "FAILED: $(IFS=,; echo "${faults[*]}")"
	say "each request ended once, and nothing was left behind"
}
