#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Lets each allocation, each wait, each moment of the module's life and each byte of
# a connection fail under the sample client, in a UML kernel with KASAN and kmemleak,
# and prints how many such points there were. FAULTS=signals,cuts takes some.

. "$(dirname "$0")/lib.sh"

export CONFIG=${CONFIG:-$top/scripts/kernel/kasan.config}
export FAULTS=${FAULTS:-allocations,signals,unloads,cuts}
need python3:python3 insmod:kmod busybox:busybox-static
kernel=$("$top/scripts/kernel.sh")
workdir faults
build_modules "$kernel"
LIMIT=${LIMIT:-900} boot "$kernel" "$work" faults.sh FAULTS="$FAULTS"
! grep 'smbecho: .* unaccounted [^0]' "$work/console.log" >&2 || die "requests are unaccounted for"
sed -n 's/^= \(.*\):\(.*\) \(.*\)$/\1 \2 \3/p' "$work/console.log" | tr -d '\r' | tr _ ' ' |
	awk '{ n = $NF; part = $1; $1 = $NF = ""; printf "  %-12s %-20s %5d\n", part, $0, n }'
say "$(sed -n 's/^= .* //p' "$work/console.log" | tr -d '\r' | awk '{ n += $1 } END { print n }') points hit, all survived"
