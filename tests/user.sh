# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that build the modules' sources in user space. Source this file after lib.sh,
# in a script that has a workdir and the kernel's tools/ directory in $tools.
# shellcheck disable=SC2154

# Headers that come from the kernel's tools/include
stateless='bitmap bitops bits build_bug compiler err hash kernel list list_sort log2 math overflow rbtree sizes types'

# Files whose includes need stubs
mapfile -t including < <(own_sources)
including+=("$top"/*.h)

# user_headers HEADER FILE...: makes each kernel header that the files include a stub
# that includes HEADER, in $stubs or $work/include. Stubs of earlier calls stay.
user_headers() {
	local header stubs=${stubs:-$work/include}

	sed -n 's/^#include <\(.*\)\.h>/\1/p' "${@:2}" | sort -u | while read -r header; do
		[[ " $stateless " != *" ${header#linux/} "* ]] || continue
		[ ! -e "$stubs/$header.h" ] || continue
		mkdir -p "$stubs/$(dirname "$header")"
		echo "#include \"$1\"" >"$stubs/$header.h"
	done
}

# user_build COMPILER OUTPUT ARGUMENT...: builds $work/OUTPUT, with -c an object
user_build() {
	local compiler=$1 output=$2 stubs=${stubs:-$work/include}

	shift 2
	case " $* " in
	*' -c '* | *'/find_bit.o '*) ;;
	*) set -- "$@" "$tools/lib/find_bit.c" ;;
	esac
	"$compiler" -std=gnu11 -g -O2 -D_GNU_SOURCE -Wall -Werror -Wno-unused-function \
		-I"$stubs" -I"$top/tests/model" -I"$top" -isystem "$tools/include" \
		-o "$work/$output" "$@" >"$work/$output.log" 2>&1 ||
		{ cat "$work/$output.log" >&2; die "$output does not build"; }
}

# build_model TEST SOURCE [ARGUMENT...]: builds $work/model, which tests/model/TEST.c checks,
# with SOURCE as midatlas.c or midwindow.c
build_model() {
	user_headers kernel.h "$2" "${including[@]}"
	user_build gcc model -no-pie -Wl,-z,now -fno-stack-protector -fcf-protection=none \
		"${@:3}" "$2" "$top"/tests/model/{explore,"$1"}.c
}
