#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Mounts with the oldest and the newest dialect, writes files and compares them. Meanwhile
# debugfs is read all the time, also of requests that end.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

watch() {
	while :; do
		cat /sys/kernel/debug/mid*/*/inflight 2>/dev/null | grep -o 'live .* pid' >>/tmp/watch
	done
}

start_server
use converted
watch &
watcher=$!
head -c 8000000 /dev/urandom >/tmp/data
for dialect in 1.0 3.1.1,seal; do
	mount_share $dialect || fail "no mount with vers=$dialect"
	copy_and_compare "vers=$dialect"
done
kill $watcher
unuse
# Of both dialects; cifs-hang.sh looks at each request
for words in 'live [A-Z_]* pid' 'live command 0x[0-9a-f]* pid'; do
	grep -q "$words" /tmp/watch || fail "debugfs never had \"$words\", only $(sort -u /tmp/watch | paste -sd ' ')"
done
tell "debugfs had $(wc -l </tmp/watch) requests in flight"
done_well
