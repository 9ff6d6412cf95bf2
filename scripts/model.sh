#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# model.sh [WORD]: model-checks midatlas.c and midwindow.c: runs all interleavings of each
# scenario, or of those whose name contains WORD; see tests/model/README. SOURCE=FILE replaces
# midatlas.c, WINDOW=FILE midwindow.c; LIMIT is the time limit of each binary in seconds.

. "$(dirname "$0")/lib.sh"
. "$top/tests/user.sh"

source=$(realpath "${SOURCE:-$top/midatlas.c}")
window=$(realpath "${WINDOW:-$top/midwindow.c}")

[ "$(uname -m)" = x86_64 ] || die "the model switches threads on x86_64 only"
need gcc:gcc /usr/include/stdlib.h:libc6-dev
tools=$("$top/scripts/source.sh")/tools
workdir model

# has FILE [WORD]: whether a scenario of the file may be wanted
has() { grep -qF -- "${2#=}" "$top/tests/model/$1"; }

# explore [WORD]: runs the model that was built, whose scenarios may all lack WORD
explore() {
	timeout -k 5 "${LIMIT:-600}" "$work/model" "$@" | tee "$work/log" && { cat "$work/log" >>"$work/logs"; return; }
	! grep -q '^0 scenarios' "$work/log" || return 0
	grep -q ^BROKEN "$work/log" || die "the model did not end within ${LIMIT:-600} s"
	die "$(sed -n 's/^BROKEN: //p' "$work/log")"
}

word="$*"
if has scenarios.h "$word"; then
	build_model atlas "$source"
	explore "$@"
	# Where a table of all MIDs is small enough for the model
	build_model atlas "$source" -DMID_BITS=3
	explore "$@"
fi
if has window_scenarios.h "$word"; then
	# A window that grows from 4 entries to 16, and whose rings have two words
	build_model window "$window" -Wno-maybe-uninitialized \
		-DMID_FIRST_BITS=2 -DMID_IDS_SPREAD=128 -DMID_LEAST_ABANDONED=1 \
		"$tools"/lib/{rbtree,hweight,list_sort,vsprintf}.c
	explore "$@"
fi
user_build gcc time -DALONE -Wl,--wrap=model_cpu "$top"/tests/model/time.c "$top"/tests/fuzz/kernel.c "$source"
user_build gcc time_window -DALONE -Wno-maybe-uninitialized "$top"/tests/model/time_window.c \
	"$top"/tests/fuzz/kernel.c "$window" "$tools"/lib/{rbtree,hweight,list_sort,vsprintf}.c
{ "$work/time" && "$work/time_window"; } || die "ages or counts are wrong after 2^32 jiffies"
[ -s "$work/logs" ] || die "no scenario has '$*' in its name"
say "$(awk '/ scenarios, / { n += $1; states += $3 } END { print n " scenarios, " states " states, all interleavings, no check failed" }' "$work/logs")"
