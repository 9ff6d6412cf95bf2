#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cifs.sh [PART...]: tests the kernel's SMB client in two variants, stock and converted to
# midatlas, in one UML guest against a real smbd. See clients/cifs/README.md.
#
#	short	converted only: mount, write, compare, unmount; for "make check"
#	hang	converted only: the server stops, debugfs names the requests that wait; as well
#	work	ten dialects with signing and encryption: verified fio, dbench, a tree
#	faults	server killed or stopped, processes killed, unmount under load, no memory
#	speed	throughput, the variants in turn
#	many	cost of a small read beside thousands of pending requests
#	sat	64 tasks that read from a server that grants 16 credits
#	checked	work and faults, under KASAN and others (scripts/kernel/kasan.config)
#
# Without PART: all but short and hang. DIALECTS selects dialects of work.

. "$(dirname "$0")/lib.sh"
. "$top/clients/variants.sh"

client=cifs
runs=5
reads=5000
all_dialects='1.0 1.0,sign 2.1 2.1,sign 3.0 3.0,sign 3.0,seal 3.1.1 3.1.1,sign 3.1.1,seal'
dialects=${DIALECTS:-$all_dialects}
counts='0 50 100 200 500 1000 2000 4000'
most_locks=1000
tasks=64
credits=16
seconds=4
out=$cache/cifs-results

run_short() {
	guest 180
	say "$(value converted handed_out) requests, all accounted for"
}

run_hang() {
	guest 180
	say "$(sed -n 's/^@ \(.* in all lists.*\)/\1/p' "$work/console.log" | tr -d '\r')"
}

run_work() {
	guest 3600 DIALECTS="${dialects// /:}"
	echo "Seconds for the same work:"
	side_by_side '(fio|dbench|tree|mount|umount):.*|handed_out|unaccounted|new_taints|leaks'
	[ -z "$(results '^converted .* failed')" ] || fault "$(results '^converted .* failed' | wc -l) loads failed"
}

# without_nofs: builds the two modules so that each of their GFP_NOFS allocations fails
without_nofs() {
	local dir=$work/nofs

	copy_sources "$dir"
	sed -i '/STATIC_STUB_REDIRECT(mid_[a-z]*_alloc, size, gfp);/a\
		if (!(gfp & __GFP_FS)) {\
			pr_info("refused %zu bytes\\n", size);\
			return NULL;\
		}' "$dir/midwindow.c" "$dir/atlas/table.h"
	[ "$(cat "$dir/midwindow.c" "$dir/atlas/table.h" | grep -c '"refused %zu')" = 2 ] || die "found no allocations to refuse"
	sed -i '/kunit\|tests\|samples\|bench/d' "$dir/Kbuild"
	make -C "$kernel" M="$dir" ARCH=um -j"$(nproc)" modules >"$dir.log" 2>&1 ||
		die "the modules do not build, see $dir.log"
	cp --remove-destination "$dir"/mid{atlas,window}.ko "$work/"
	rm -rf "$dir"
}

run_faults() {
	mkdir "$work/normal"
	mv "$work"/mid{atlas,window}.ko "$work/normal/"
	without_nofs
	guest 2400
	mv "$work/normal"/*.ko "$work/"
	rmdir "$work/normal"
	echo "Under faults (exit status of the load, verification errors):"
	side_by_side '(restart|pause|silence|kill|umount|memory):.*|handed_out|unaccounted|new_taints|leaks'
	[ -z "$(results '^converted .*:(verify_errors|failed_writes|mounts_left) [^0]')" ] || fault "data was lost or a mount left"
	[ -z "$(results '^converted .*:refused [^0]')" ] || fault "a request needed memory"
}

run_speed() {
	local key ratio

	PINNED=yes guest $((60 + runs * 360)) RUNS=$runs
	echo "Operations per second: median (minimum-maximum), and the ratio of $runs runs:"
	printf '  %-14s%22s%22s%27s\n' '' stock converted converted/stock
	for key in fio:1.0 fio:3.1.1 dbench:1.0 dbench:3.1.1; do
		printf '  %-14s%22s%22s%27s\n' $key "$(rates stock $key | spread)" "$(rates converted $key | spread)" "$(ratios $key | spread)"
		ratio=$(ratios $key | median)
		awk "BEGIN { exit !($ratio >= 0.98) }" || fault "$key: $ratio of the speed of stock"
	done
}

# growth VARIANT KIND: CPU time of cifsd per reply, with 1000 pending requests relative to 50
growth() {
	awk -v a="$(value "$1" "many:$2:1000" | cut -d ' ' -f 4)" -v b="$(value "$1" "many:$2:50" | cut -d ' ' -f 4)" \
		'BEGIN { printf "%.2f", b ? a / b : 99 }'
}

run_many() {
	local kind variant

	PINNED=yes guest 2400 COUNTS="${counts// /:}" MOST_LOCKS=$most_locks READS=$reads
	results ':' | sed -n 's/^\([a-z]*\) many:\([a-z]*\):\([0-9.]*\):\([0-9]*\) \(.*\)/\2 \3 \1 \4 \5/p' >"$out/many.txt"
	echo "A read of 4 KiB beside pending requests (ns: median, p99, average; CPU of cifsd per reply):"
	sed 's/^/  /' "$out/many.txt" | column -t
	gnuplot -e "dir='$out'" "$top/clients/cifs/many.gp"
	say "table: $out/many.txt, plot: $out/many.svg"
	for kind in notify:3.1.1 lock:3.1.1; do
		for variant in stock converted; do
			say "$kind, $variant: a reply with 1000 pending costs $(growth $variant $kind) times one with 50"
		done
		awk "BEGIN { exit !($(growth converted $kind) <= 1.2) }" || fault "$kind: the cost of a reply grows with the requests in flight"
	done
}

# sat VARIANT DIALECT COLUMN: of all runs
sat() { awk -v variant="$1" -v dialect="$2" -v n="$3" '$1 == variant && $2 == dialect { print $n }' "$out/sat.txt"; }

run_sat() {
	local dialect variant

	PINNED=yes guest $((120 + runs * 10 * seconds)) RUNS=$runs TASKS=$tasks CREDITS=$credits SECONDS_EACH=$seconds
	results ':' | sed -n 's/^\([a-z]*\) sat:\([0-9.]*\):\([0-9]*\) \(.*\)/\1 \2 \3 \4/p' >"$out/sat.txt"
	echo "$tasks tasks read 4 KiB each from a server that grants $credits credits. Median (minimum-maximum) of $runs runs:"
	printf '  %-8s%-11s%20s%24s%24s%22s%10s\n' dialect client reads/s 'p99, ms' 'longest, ms' 'fewest of a task' starved
	for dialect in 2.1 3.1.1; do
		for variant in stock converted; do
			printf '  %-8s%-11s%20s%24s%24s%22s%10s\n' $dialect $variant "$(sat $variant $dialect 4 | spread)" \
				"$(sat $variant $dialect 6 | awk '{ print int($1 / 1e6) }' | spread)" \
				"$(sat $variant $dialect 7 | awk '{ print int($1 / 1e6) }' | spread)" \
				"$(sat $variant $dialect 8 | spread)" "$(sat $variant $dialect 10 | awk '{ n += $1 } END { print n + 0 }')"
		done
	done
	[ "$(grep -c . "$out/sat.txt")" -eq $((4 * runs)) ] || fault "a load failed"
	awk '$1 == "converted" { n += $10 } END { exit n }' "$out/sat.txt" || fault "a task starved"
}

# In another process, because it uses another kernel
run_checked() {
	CONFIG=$top/scripts/kernel/kasan.config DIALECTS=${DIALECTS:-1.0 2.1 3.1.1,seal} "$0" work faults ||
		fault "the sanitizers report problems"
}

for dialect in $dialects; do
	[[ " $all_dialects " = *" $dialect "* ]] || die "no dialect '$dialect': $all_dialects"
done
[ $# -gt 0 ] || set -- work faults speed many sat checked
need smbd:samba mount.cifs:cifs-utils insmod:kmod busybox:busybox-static spatch:coccinelle python3:python3
[[ $* =~ ^(short|hang| )+$ ]] || need taskset:util-linux pgrep:procps fio:fio dbench:dbench killall:psmisc gnuplot:gnuplot-nox column:bsdextrautils
kernel=$("$top/scripts/kernel.sh")
workdir cifs
mkdir -p "$out"
build_modules "$kernel"
cp "$("$top/clients/cifs/module.sh" "$kernel" "$work")" "$work/"
cp "$top/tools/midatlas-top" "$work/"
gcc -O2 -pthread -o "$work/hold" "$top/clients/cifs/hold.c"
for part; do
	declare -F "run_$part" >/dev/null || die "no part '$part': short, hang, work, faults, speed, many, sat or checked"
	"run_$part"
done
[ ${#wrong[@]} -eq 0 ] || die "FAILED: $(printf '%s; ' "${wrong[@]}")"
