#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [source]: all pre-merge checks, one line for each. The last line is the sum.
#
# "source" runs only the checks that need no guest: source, scripts, documentation and
# the builds for installed kernels. Without it they run beside the guests at low
# priority. KUnit's long tests are cut to one in PART (5).

. "$(dirname "$0")/lib.sh"
workdir check
verdicts=${VERDICTS:-$work/verdicts}

# step NAME COMMAND [ARGUMENT...]: prints the verdict. After a failure the others still run.
step() {
	local name=$1 start=$SECONDS verdict=PASS why='' log note

	shift
	log=$(mktemp "$work/log.XXXXXX")
	"$@" >"$log" 2>&1 || { verdict=FAIL why=$'\n'"in $log:"$'\n'$(tail -n 30 "$log"); }
	note=$(sed -n '/ the logs of this run \| waiting for another run /d;s/^midatlas: /: /p' "$log" | tail -n 1)
	echo $verdict >>"$verdicts"
	echo "$verdict $(printf %4d $((SECONDS - start))) s  $name$note$why"
}

# run SCRIPT [ARGUMENT...]: with a time limit
run() { timeout -k 10 900 "$top/scripts/$1" "${@:2}"; }

passed() { grep -c PASS "$verdicts" || true; }
failed() { grep -c FAIL "$verdicts" || true; }

release_of() { cat "$1/include/config/kernel.release"; }

# builds KERNEL DIR [ARGUMENT...]: without a warning
builds() {
	"$top/scripts/modules.sh" "$1" "$2" W=1 "${@:3}" >"$2.log" 2>&1 ||
		{ cat "$2.log"; return 1; }
	# pahole, which nothing here uses, may have been installed after the kernel was built.
	! grep -iE 'warning:|error:' "$2.log" | grep -v 'pahole version differs' || return 1
	echo "$1" >"$2/kernel"
}

# Debian's sparse does not know these two, which the kernel's headers use.
sparse="sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s)-1)'"

# builds_sparsely KERNEL DIR: kbuild silently skips a sparse that it finds too old
builds_sparsely() {
	builds "$1" "$2" C=2 CHECK="$sparse" || return
	grep '^  CHECK .*midatlas\.c$' "$2.log" || { echo "sparse was not run"; return 1; }
}

user_space=(VOLATILE MEMORY_BARRIER NEW_TYPEDEFS EXPORT_SYMBOL CAMELCASE EMBEDDED_FUNCTION_NAME
	PREFER_DEFINED_ATTRIBUTE_MACRO MACRO_ARG_REUSE MACRO_ARG_UNUSED MACRO_ARG_PRECEDENCE
	MACRO_WITH_FLOW_CONTROL IS_ENABLED_CONFIG)

checkpatch() {
	local tool=(perl "$tree/scripts/checkpatch.pl" --no-tree --strict --quiet --show-types)

	find . \( -path ./tests/model -o -path ./tests/fuzz -o -path ./tests/scale -o -name midatlax.h -o -name midatlas_rdbss_kunit.c \
		-o -name port_idr.c -o -path ./bench/sat.c -o -path './clients/*/inflight.c' -o -path './series/*' \) -prune -o \( -name '*.[ch]' -o -name Kbuild -o -name Kconfig -o -name '*.rst' \) -print0 |
		xargs -0 -n 8 -P "$(nproc)" "${tool[@]}" --file &&
	# The names and types of RDBSS; in $work, because checkpatch leaves a file there
	(cd "$work" && "${tool[@]}" --ignore CAMELCASE,NEW_TYPEDEFS --file "$top"/samples/midatlax.h "$top"/tests/kunit/midatlas_rdbss_kunit.c) &&
	# Names of net/9p and fs/smb
	"${tool[@]}" --ignore CAMELCASE --file clients/{9p,cifs}/inflight.c &&
	# User-space programs that define the kernel's macros
	"${tool[@]}" --ignore "$(IFS=,; echo "${user_space[*]}")" --file tests/{model,fuzz,scale}/*.[ch] &&
	# A thread that has nothing to do but to keep a CPU busy
	"${tool[@]}" --ignore YIELD --file bench/sat.c &&
	# The example of a port from the deprecated IDR
	"${tool[@]}" --ignore DEPRECATED_API --file samples/port_idr.c
}

kernel_doc() {
	grep -rlZ --include='*.[ch]' '^/\*\*$' . |
		xargs -0 python3 "$tree/scripts/kernel-doc" -none -Wall -Werror
}

shell_scripts() { shellcheck -x -P SCRIPTDIR scripts/*.sh tests/guest/*.sh clients/*/*.sh tests/9p/*.sh packaging/*.sh debian/tests/{client,tools} .ci/run; }

check_source() {
	local headers=linux-headers-amd64 build

	! grep -qs '^ID=ubuntu' /etc/os-release || headers=linux-headers-generic
	need shellcheck:shellcheck perl:perl python3:python3 patch:patch "/lib/modules/*/build:$headers"
	tree=$("$top/scripts/source.sh")
	for build in /lib/modules/*/build; do
		step "W=1 for Linux $(release_of "$build")" builds "$build" "$(mktemp -d "$work/build.XXXXXX")"
	done
	step "checkpatch --strict" checkpatch
	step "one scenario of the model" scripts/model.sh "grow, grow"
	step "kernel-doc -Wall -Werror" kernel_doc
	step "DKMS build, and a client built with the result" scripts/dkms.sh check
	step "documentation: Sphinx -n -W, man pages, width of pages" scripts/docs.sh check "$work/docs"
	step "the seeded mutants fit the code" scripts/mutants.sh --dry-run
	step "midatlas-top, on files like those of debugfs" python3 -B tests/tools/midatlas_top_test.py
	step "shellcheck" shell_scripts
}

check_all() {
	local kernel guests beside

	need sparse:sparse setsid:util-linux
	kernel=$("$top/scripts/kernel.sh") || { echo "FAIL: there is no kernel to check with"; exit 1; }

	# All guests load the modules of the first step.
	export MIDATLAS_BUILT=$work/built
	step "W=1 and sparse for Linux $(release_of "$kernel")" builds_sparsely "$kernel" "$MIDATLAS_BUILT"

	# In its own session: the kernel balances CPU time between sessions (autogroup).
	# shellcheck disable=SC2016
	VERDICTS=$verdicts setsid sh -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$0" source' \
		scripts/check.sh &
	beside=$!
	trap 'kill -- -$beside; trap - INT; kill -INT $$' INT TERM

	# Guests that run at the same time must not be pinned to the same CPUs.
	export PINNED=''
	PART=${PART:-5} step "KUnit under UML" run kunit.sh
	{
		step "load and unload under UML" run guest.sh lifecycle
		MODE=smoke step "short benchmark, results only" run bench.sh
		step "9p on midatlas" run 9p.sh short
	} &
	guests=$!
	REQUESTS=20000 step "short demo" run demo.sh
	HOSTILE=1 FRAMES=20000 BEHAVIOURS=repeated,truncated,short,too_long,reset_in_frame,storm \
		step "short hostile-server run" run demo.sh
	step "tracepoints, debugfs and midatlas-top" run guest.sh observe
	step "cifs on midatlas" run cifs.sh short
	step "cifs' requests that hang, in four lists" run cifs.sh hang
	wait $guests
	wait $beside || [ "$(failed)" -gt 0 ] || step "the checks without a guest" false
	echo "$(passed) passed, $(failed) failed, in $SECONDS s"
}

cd "$top"
case "$*" in
'') check_all ;;
source) check_source ;;
*) die "usage: check.sh [source]" ;;
esac
[ "$(failed)" -eq 0 ]
