# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Builds the module's sources in user space. It is sourced, after lib.sh, into a
# script that has a workdir and the kernel's $tools.
# shellcheck disable=SC2154

# What the kernel's own tools/include has and what needs no model of the kernel
stateless='bitmap bitops bits compiler err hash kernel list log2 overflow rbtree sizes types'

# user_headers HEADER FILE...: each other header that the files include is this one,
# unless an earlier call has made it another one
user_headers() {
	local header

	sed -n 's/^#include <\(.*\)\.h>/\1/p' "${@:2}" | sort -u | while read -r header; do
		[[ " $stateless " != *" ${header#linux/} "* ]] || continue
		[ ! -e "$work/include/$header.h" ] || continue
		mkdir -p "$work/include/$(dirname "$header")"
		echo "#include \"$1\"" >"$work/include/$header.h"
	done
}

# user_build COMPILER OUTPUT ARGUMENT...: into $work
user_build() {
	local compiler=$1 output=$2

	shift 2
	"$compiler" -std=gnu11 -g -O2 -D_GNU_SOURCE -Wall -Werror -Wno-unused-function \
		-I"$work/include" -I"$top/tests/model" -I"$top" -isystem "$tools/include" \
		-o "$work/$output" "$@" "$tools/lib/find_bit.c" >"$work/$output.log" 2>&1 ||
		{ cat "$work/$output.log" >&2; die "$output does not build"; }
}

# build_model SOURCE: the model of that midatlas.c, into $work
build_model() {
	user_headers kernel.h "$1" "$top"/{midatlas,atlas/trace}.h
	user_build gcc model -no-pie -Wl,-z,now -fno-stack-protector -fcf-protection=none \
		"$1" "$top"/tests/model/{explore,atlas}.c
}
