#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Injects the FAULTS (separated by commas) around the sample client; see faults.py.

. "${0%/*}/lib.sh"

# The kernel warns when a module's tracepoints find no memory. boot.sh checks the log for
# other warnings.
# shellcheck disable=SC2034
warning=0

busybox ifconfig lo up
# shellcheck disable=SC2046
python3 guest/faults.py $(echo "$FAULTS" | tr , " ") || fail "the client did not survive a fault"
done_well
