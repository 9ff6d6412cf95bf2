#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# modules.sh KERNEL DIR [MAKE-ARGUMENT...]: copies the sources to DIR and builds the
# modules there, for a built kernel or its headers in KERNEL.

. "$(dirname "$0")/lib.sh"

kernel=$1 dir=$2
shift 2

copy_sources "$dir"
if grep -qs '^CONFIG_UML=y' "$kernel/.config"; then
	set -- ARCH=um "$@"
fi
make -C "$kernel" M="$dir" -j"$(nproc)" "$@" modules
