#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Everything that gates, a line for each step; the last line is the sum. What needs no
# guest (check-source.sh) runs beside the guests, on the time that they leave. Of KUnit's
# long runs this is a fifth (PART); "make kunit" runs them whole.

. "$(dirname "$0")/lib.sh"
workdir check
. "$top/scripts/check-lib.sh"

cd "$top"
need sparse:sparse setsid:util-linux
kernel=$("$top/scripts/kernel.sh") || { echo "FAIL: there is no kernel to check with"; exit 1; }

# All guests load the modules of the first step.
export MIDATLAS_BUILT=$work/built
step "W=1 and sparse for Linux $(release_of "$kernel")" builds_sparsely "$kernel" "$MIDATLAS_BUILT"

# In a session of its own, for the kernel shares out its time by these
# shellcheck disable=SC2016
VERDICTS=$verdicts setsid sh -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$0"' \
	scripts/check-source.sh &
beside=$!
trap 'kill -- -$beside; trap - INT; kill -INT $$' INT TERM

# Where several guests run at once their CPUs had better not stay where they are.
export PINNED=''
PART=${PART:-5} step "KUnit under UML" run 900 kunit.sh
step "load and unload under UML" run 900 lifecycle.sh &
guests=$!
MODE=smoke step "short benchmark, of correctness" run 900 bench.sh
REQUESTS=20000 step "short demo" run 900 demo.sh
FRAMES=20000 BEHAVIOURS=repeated,truncated,short,too_long,reset_in_frame,storm \
	step "hostile server" run 900 hostile.sh
step "tracepoints, debugfs and midatlas-top" run 900 observe.sh
step "cifs on midatlas" run 900 cifs.sh short
wait $guests
wait $beside || [ "$(failed)" -gt 0 ] || step "the steps without a guest" false
echo "$(passed) passed, $(failed) failed, in $SECONDS s"
[ "$(failed)" -eq 0 ]
