#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Whatever can fail around the sample client, fails; see faults.py, which FAULTS
# (split at the commas) is for.

. "${0%/*}/lib.sh"

# Where a module's tracepoints find no memory the kernel itself warns; which warnings are
# not of that kind is seen in its log (boot.sh).
# shellcheck disable=SC2034
warning=0

busybox ifconfig lo up
# shellcheck disable=SC2046
python3 guest/faults.py $(echo "$FAULTS" | tr , " ") || fail "the client did not survive"
done_well
