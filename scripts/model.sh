#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# model.sh [WORD]: runs midatlas.c in every order of its callers that the scenarios
# (or those whose names have WORD in them) allow; see tests/model/README. SOURCE=FILE is
# used in place of midatlas.c, LIMIT is in seconds.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/user.sh"

source=$(realpath "${SOURCE:-$top/midatlas.c}")

[ "$(uname -m)" = x86_64 ] || die "the model's threads are written for x86_64"
need gcc:gcc /usr/include/stdlib.h:libc6-dev
tools=$("$top/scripts/source.sh")/tools
workdir model
build_model "$source"
timeout -k 5 "${LIMIT:-600}" "$work/model" "$@" | tee "$work/log" || {
	grep -q ^BROKEN "$work/log" || die "the model did not end in ${LIMIT:-600} s"
	die "$(sed -n 's/^BROKEN: //p' "$work/log")"
}
say "$(tail -n 1 "$work/log")"
