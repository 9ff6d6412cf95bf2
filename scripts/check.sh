#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Everything that gates, one numbered line each. A failed step says why and the
# next one runs; the last line is the sum.

. "$(dirname "$0")/lib.sh"

passed=0 failed=0

# step NAME COMMAND [ARGUMENT...]
step() {
	local name=$1 number=$((passed + failed + 1)) start=$SECONDS log note

	shift
	log=$work/$number.log
	printf '%2d %s ... ' $number "$name"
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		note=$(sed -n 's/^midatlas: /, /p' "$log" | tail -n 1)
		echo "PASS ($((SECONDS - start)) s$note)"
	else
		failed=$((failed + 1))
		echo "FAIL ($((SECONDS - start)) s), in $log:"
		tail -n 30 "$log"
	fi
}

# run SCRIPT [ARGUMENT...]: nothing that runs for minutes may run for ever, whatever it
# starts
run() { timeout -k 10 900 "$top/scripts/$1" "${@:2}"; }

summary() {
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
}

# What the kernel's headers use and Debian's sparse does not know
sparse="sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s)-1)'"

# builds_clean KERNEL: neither compiler nor linker nor sparse has anything to say,
# and sparse was run: kbuild leaves it out when it finds it too old.
builds_clean() {
	local dir

	dir=$(mktemp -d "$work/build.XXXXXX")
	"$top/scripts/modules.sh" "$1" "$dir" W=1 C=2 CHECK="$sparse" >"$dir.log" 2>&1 ||
		{ cat "$dir.log"; return 1; }
	grep '^  CHECK .*midatlas\.c$' "$dir.log" || { echo "sparse was not run"; return 1; }
	! grep -iE 'warning:|error:' "$dir.log"
}

checkpatch() {
	local tool=(perl "$kernel/source/scripts/checkpatch.pl" --no-tree --strict --quiet --show-types)

	find . ! -path './model/*' ! -name 'midatlax*' ! -name port_idr.c \( -name '*.[ch]' -o -name Kbuild -o -name Kconfig -o -name '*.rst' \) \
		-print0 | xargs -0 -n 8 -P "$(nproc)" "${tool[@]}" --file &&
	# RDBSS' names and types; in $work, where checkpatch may leave its notes on them
	(cd "$work" && "${tool[@]}" --ignore CAMELCASE,NEW_TYPEDEFS --file "$top"/midatlax*.[ch]) &&
	# a user-space program, with the macros of the kernel in it
	"${tool[@]}" --ignore VOLATILE,MEMORY_BARRIER,NEW_TYPEDEFS,EXPORT_SYMBOL,CAMELCASE,EMBEDDED_FUNCTION_NAME,PREFER_DEFINED_ATTRIBUTE_MACRO,MACRO_ARG_REUSE,MACRO_ARG_UNUSED,MACRO_ARG_PRECEDENCE,MACRO_WITH_FLOW_CONTROL,IS_ENABLED_CONFIG --file model/*.[ch] &&
	# what is deprecated, to show it
	"${tool[@]}" --ignore DEPRECATED_API --file samples/port_idr.c
}

kernel_doc() {
	grep -lZ '^/\*\*$' ./*.[ch] bench/*.[ch] |
		xargs -0 python3 "$kernel/source/scripts/kernel-doc" -none -Wall -Werror
}

documentation() { scripts/docs.sh "$work/docs"; }

shell_scripts() {
	shellcheck -x -P SCRIPTDIR scripts/*.sh scripts/guest/*.sh .ci/run
}

cd "$top"
headers=linux-headers-amd64
! grep -qs '^ID=ubuntu' /etc/os-release || headers=linux-headers-generic
need sparse:sparse shellcheck:shellcheck perl:perl python3:python3 "/lib/modules/*/build:$headers"
workdir check
kernel=$("$top/scripts/kernel.sh") || { failed=1; summary; exit 1; }

for build in "$kernel" /lib/modules/*/build; do
	step "W=1 and sparse for Linux $(cat "$build/include/config/kernel.release")" builds_clean "$build"
done
step "checkpatch --strict" checkpatch
step "kernel-doc -Wall -Werror" kernel_doc
step "dkms, and a client of what it builds" scripts/dkms.sh check
step "documentation: Sphinx -n -W, man pages" documentation
step "shellcheck" shell_scripts
step "KUnit under UML" run kunit.sh
step "load and unload under UML" run lifecycle.sh
MODE=smoke step "short benchmark, of correctness" run bench.sh
REQUESTS=20000 step "short demo" run demo.sh
FRAMES=20000 BEHAVIOURS=repeated,truncated,short,too_long,reset_in_frame,storm step "hostile server" run hostile.sh
step "tracepoints, debugfs and midatlas-top" run observe.sh
step "cifs on midatlas" run cifs.sh short
summary
