# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What check.sh and check-source.sh share: steps, each with a line of its own when it has
# ended. A failed step says why, and the others run. Sourced after lib.sh, into a script
# that has a workdir.

verdicts=${VERDICTS:-$work/verdicts}

# step NAME COMMAND [ARGUMENT...]
step() {
	local name=$1 start=$SECONDS verdict=PASS why='' log note

	shift
	log=$(mktemp "$work/log.XXXXXX")
	"$@" >"$log" 2>&1 || { verdict=FAIL why=$'\n'"in $log:"$'\n'$(tail -n 30 "$log"); }
	note=$(sed -n '/ the logs of this run \| waiting for another run /d;s/^midatlas: /: /p' "$log" | tail -n 1)
	echo $verdict >>"$verdicts"
	echo "$verdict $(printf %4d $((SECONDS - start))) s  $name$note$why"
}

# run SECONDS SCRIPT [ARGUMENT...]: nothing that runs for minutes may run for ever,
# whatever it starts
run() { timeout -k 10 "$1" "$top/scripts/$2" "${@:3}"; }

passed() { grep -c PASS "$verdicts" || true; }
failed() { grep -c FAIL "$verdicts" || true; }

# What the kernel's headers use and Debian's sparse does not know
sparse="sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s)-1)'"

# builds KERNEL DIR [ARGUMENT...]: neither compiler nor linker nor checker has anything
# to say
builds() {
	"$top/scripts/modules.sh" "$1" "$2" W=1 "${@:3}" >"$2.log" 2>&1 ||
		{ cat "$2.log"; return 1; }
	! grep -iE 'warning:|error:' "$2.log" || return 1
	echo "$1" >"$2/kernel"
}

# builds_sparsely KERNEL DIR: and sparse was run: kbuild leaves it out when it finds it
# too old.
builds_sparsely() {
	builds "$1" "$2" C=2 CHECK="$sparse" || return
	grep '^  CHECK .*midatlas\.c$' "$2.log" || { echo "sparse was not run"; return 1; }
}

release_of() { cat "$1/include/config/kernel.release"; }
