# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # of the sourcing script
#
# Functions of the scripts that run two variants of a client in one guest. Source this
# file after lib.sh. $kernel is the kernel, $work the directory of the run, $client the
# prefix of the guest scripts, $part the part that runs.

wrong=()

# results PATTERN: the lines of the guest's results that match
results() { sed -n 's/^= //p' "$work/console.log" | grep -E "$1" || true; }

# value VARIANT KEY: the last result
value() { results "^$1 $2 " | tail -n 1 | cut -d ' ' -f 3-; }

fault() { wrong+=("$part: $*"); }

# complaints VARIANT: the problems that the kernel logged while VARIANT was loaded
complaints() {
	awk -v variant="$1" 'FNR == NR { complaint[$0]; next }
		/^@ variant / { now = $3 } now == variant && $0 in complaint' "$work/complaints" "$work/console.log"
}

# guest_of KERNEL SECONDS [NAME=VALUE...]: runs the part
guest_of() {
	local limit=$2

	rm -f "$work/console.log"
	LIMIT=$limit boot "$1" "$work" "$client-$part.sh" "${@:3}" 2> >(tee -a "$work/complaints" >&2) || true
	wait $!
	grep -aq '^@ done' "$work/console.log" || fault "the guest failed or took over $limit s"
}

# Only the converted client is judged.
judge_converted() {
	[ "$(value converted unaccounted)" = 0 ] || fault "$(value converted unaccounted) requests unaccounted for"
	[ "$(value converted leaks)" = 0 ] || fault "$(value converted leaks) objects leaked"
	[ -z "$(complaints converted)" ] || fault "the kernel logged a problem with the converted client"
}

# guest SECONDS [NAME=VALUE...]: runs the part and judges it
guest() {
	rm -f "$work/complaints"
	guest_of "$kernel" "$@"
	judge_converted
}

# side_by_side KEY-PATTERN: a line for each key, with both results
side_by_side() {
	local key

	printf '  %-28s%14s%14s\n' '' stock converted
	results "^converted ($1) " | cut -d ' ' -f 2 | sort -Vu | while read -r key; do
		printf '  %-28s%14s%14s\n' "$key" "$(value stock "$key")" "$(value converted "$key")"
	done
}

# spread: median, minimum and maximum of the numbers on stdin
spread() { sort -g | awk '{ v[NR] = $1 } END { printf "%s (%s-%s)", v[int((NR + 1) / 2)], v[1], v[NR] }'; }

median() { spread | cut -d ' ' -f 1; }

# rates VARIANT KEY: the rates of all runs
rates() { results "^$1 $2:" | cut -d ' ' -f 3; }

# ratios KEY: converted/stock, for each run
ratios() {
	results " $1:" | awk '{ n[$1, $2] += $3; run[$2] }
		END { for (r in run) print n["converted", r] / n["stock", r] }'
}
