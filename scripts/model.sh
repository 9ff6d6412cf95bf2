#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# model.sh [WORD]: model-checks midatlas.c: runs all interleavings of each scenario, or of
# those whose name contains WORD; see tests/model/README. SOURCE=FILE replaces midatlas.c,
# LIMIT is the time limit in seconds.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/user.sh"

source=$(realpath "${SOURCE:-$top/midatlas.c}")

[ "$(uname -m)" = x86_64 ] || die "the model switches threads on x86_64 only"
need gcc:gcc /usr/include/stdlib.h:libc6-dev
tools=$("$top/scripts/source.sh")/tools
workdir model
build_model "$source"
timeout -k 5 "${LIMIT:-600}" "$work/model" "$@" | tee "$work/log" || {
	grep -q ^BROKEN "$work/log" || die "the model did not end within ${LIMIT:-600} s"
	die "$(sed -n 's/^BROKEN: //p' "$work/log")"
}
say "$(tail -n 1 "$work/log")"
