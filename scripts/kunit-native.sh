#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the tests into a kernel of their own and runs them, all by the kernel's
# kunit.py. The kernel tree stays as it is: a Kconfig of our own is wrapped around
# its Kconfig, and UML's empty drivers-y takes the folder in.

. "$(dirname "$0")/lib.sh"

[ -z "${KSRC:-}" ] || die "kunit-native works in the cached kernel tree only: unset KSRC"
need gcc:gcc flex:flex bison:bison bc:bc perl:perl python3:python3 /usr/include/stdlib.h:libc6-dev
tree=$("$top/scripts/source.sh")
workdir native

# kbuild puts the objects of TREE/../X into BUILD/../X; with tree and build side
# by side that is the copy itself.
copy=$work/midatlas
copy_sources "$copy"
{ cat "$tree/Kconfig"; echo "source \"$copy/Kconfig\""; } >"$work/Kconfig"

say "building a kernel with the tests in it (about five minutes on two CPUs)"
PYTHONDONTWRITEBYTECODE=1 python3 "$tree/tools/testing/kunit/kunit.py" run --arch=um \
	--kunitconfig="$top/.kunitconfig" --build_dir="$cache/kunit-native" --jobs="$(nproc)" \
	--make_options=KBUILD_KCONFIG="$work/Kconfig" \
	--make_options=drivers-y="$(realpath --relative-to="$tree" "$copy")/" \
	--kernel_args=seccomp=on --kernel_args=ncpus=2
