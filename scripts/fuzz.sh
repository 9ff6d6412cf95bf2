#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh [TARGET...]: fuzzes midatlas.c, midwindow.c and the sample client (client: SMB1,
# client2: SMB2) with libFuzzer, in user space under ASan and UBSan; see tests/fuzz/README.
# EXECUTIONS=N is the total number of inputs. ATLAS=FILE, WINDOW=FILE and CLIENT=FILE replace
# the sources. SEEDS=new rewrites the seeds from all inputs that were found.

. "$(dirname "$0")/lib.sh"
. "$top/tests/user.sh"

executions=${EXECUTIONS:-10000000}
atlas=$(realpath "${ATLAS:-$top/midatlas.c}")
window=$(realpath "${WINDOW:-$top/midwindow.c}")
client=$(realpath "${CLIENT:-$top/samples/smbecho_connection.c}")
request=$top/samples/smbecho_request.c
all='atlas window client client2'

# build TARGET SOURCE...: without traced comparisons, as no target compares with magic
# numbers
build() {
	say "building the $1 fuzzer"
	user_build clang "$1" -DALONE -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp \
		-I"$top/tests/fuzz" -I"$top/samples" "$top/tests/fuzz/${1%2}.c" "$top/tests/fuzz/kernel.c" "${@:2}"
}

build_target() {
	stubs=$work/include.$1
	case $1 in
	atlas)
		user_headers kernel.h "$atlas" "${including[@]}"
		build atlas "$atlas"
		;;
	window)
		user_headers window.h "$window" "${including[@]}"
		build window -fno-sanitize=alignment "$window" "$tools"/lib/{rbtree,hweight,vsprintf,list_sort}.c
		;;
	client)
		user_headers kernel.h "$atlas" "${including[@]}"
		user_headers client.h "$client" "$request" "$top"/samples/{smbecho_smb1.c,smb{1,echo}.h}
		build client "$top"/tests/fuzz/smb1.c "$client" "$request" "$top/samples/smbecho_smb1.c" "$atlas"
		;;
	client2)
		user_headers window.h "$window" "${including[@]}"
		user_headers client.h "$client" "$request" "$top"/samples/{smbecho_smb2.c,smb{1,2,echo}.h}
		build client2 -fno-sanitize=alignment "$top"/tests/fuzz/smb2.c "$client" "$request" \
			"$top/samples/smbecho_smb2.c" "$window" "$tools"/lib/{rbtree,hweight,vsprintf,list_sort}.c
		;;
	esac
}

# share TARGET: its part of ten inputs. The clients take longer for each.
share() { case $1 in client*) echo 1 ;; *) echo 4 ;; esac; }

# fuzzer TARGET ARGUMENT...: without LeakSanitizer, as the targets themselves check for leaks
fuzzer() {
	ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1:malloc_context_size=4 \
		"$work/$1" -max_len=96 -timeout=10 -artifact_prefix="$work/$1-" "${@:2}" 2>&1
}

# watch TARGET N: shows the progress of the fuzzer whose output is on stdin
watch() {
	local line next=0

	while IFS= read -r line; do
		if [[ $line =~ ^'#'([0-9]+) ]] && [ $SECONDS -ge $next ]; then
			say "$1: ${BASH_REMATCH[1]} of $2 inputs"
			next=$((SECONDS + 20))
		fi
	done
}

# complaint LOG: the line that says why a fuzzer failed
complaint() {
	grep -m 1 -oE 'BROKEN: .*|runtime error: .*|(Address|libFuzz)[A-Za-z]*: .*' "$1" || tail -n 1 "$1"
}

# play TARGET N
play() {
	local log=$work/$1.log found

	mkdir -p "$work/found-$1" "$work/seeds-$1"
	# shellcheck disable=SC2016 # split runs the filter
	split -l 1 --filter='basenc --base16 -d >"$FILE"' "$top/tests/fuzz/seeds/$1" "$work/seeds-$1/"
	fuzzer "$1" -runs="$2" -print_final_stats=1 "$work/found-$1" "$work/seeds-$1" |
		tee "$log" | watch "$1" "$2" || {
		found=$(compgen -G "$work/$1-*-*") || found='none, it was before the first'
		die "$1: $(complaint "$log"), see $log; the input: $found"
	}
	sed -n "s/^stat::number_of_executed_units: */$1 /p" "$log" | tee -a "$work/executions"
}

# keep_seeds TARGET: the fewest inputs that together reach the same code, a line of hex each
keep_seeds() {
	mkdir "$work/new-$1"
	fuzzer "$1" -set_cover_merge=1 -use_counters=0 "$work/new-$1" "$work/found-$1" "$work/seeds-$1" >"$work/merge.log" ||
		die "the seeds cannot be merged, see $work/merge.log"
	find "$work/new-$1" -type f -exec basenc --base16 -w 0 {} \; -exec echo \; |
		sort >"$top/tests/fuzz/seeds/$1"
}

[ $# -gt 0 ] || eval "set -- $all"
for target; do
	[[ " $all " = *" $target "* ]] || die "no target '$target': $all"
done
[[ $executions =~ ^[1-9][0-9]{0,11}$ ]] || die "EXECUTIONS is a number, not '$executions'"
need clang:clang /usr/include/stdlib.h:libc6-dev
version=$(clang -dumpversion)
need "$(clang -print-resource-dir)/lib/*/*fuzzer*.a:libclang-rt-${version%%.*}-dev"
tools=$("$top/scripts/source.sh")/tools
workdir fuzz

parts=0
for target; do
	build_target "$target"
	parts=$((parts + $(share "$target")))
done
players=()
for target; do
	play "$target" $((executions * $(share "$target") / parts)) &
	players+=($!)
done
# A fuzzer that fails has printed why. The others run to their end.
for player in "${players[@]}"; do
	wait "$player" || failed=yes
done
[ -z "${failed:-}" ] || exit 1
for target; do
	[ "${SEEDS:-}" != new ] || keep_seeds "$target"
done
say "$(awk '{ n += $2 } END { print n }' "$work/executions") executions, nothing found"
