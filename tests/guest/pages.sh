#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the blocks of /guest/commands, which check-packages.sh has taken from the documentation.
# A blank line ends a block.

. "${0%/*}/lib.sh"

mount -t tmpfs tmpfs /run
# As udev makes it; bash needs it for <(command).
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
# Only whether the benchmark works: QEMU's timing means nothing.
export MODE=smoke OUT=/tmp MIDATLAS_CACHE=/tmp/cache
# The output is a terminal: man would wait for a key.
export MANPAGER=cat
cd /root/midatlas || exit
awk -v RS= '{ print >("/tmp/block" NR) }' /guest/commands
for block in /tmp/block*; do
	sed 's/^/$ /' "$block"
	sh -e "$block" </dev/null || fail "a command of: $(paste -sd ';' "$block")"
	tell "$(wc -l <"$block") commands: $(head -n 1 "$block") ..."
done
done_well
