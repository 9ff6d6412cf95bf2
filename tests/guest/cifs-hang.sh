#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# smbd stops, and requests hang: whose are they, and since when? Compares what debugfs says
# with cifs' DebugData, with what went over the wire, and with the tasks themselves. A proxy
# between cifs and smbd records the wire.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

window=/sys/kernel/debug/midwindow/127.0.0.1

start_server
use converted
for n in 0 1 2 3 4; do
	head -c 200000 /dev/zero >/tmp/share/read$n
done
python3 -B guest/cifs-hang.py proxy /tmp/wire &
until [ -e /tmp/wire ]; do sleep 0.1; done
mount_share 3.1.1,cache=none,port=4450 || fail "no mount"
until [ -e $window/latency ]; do sleep 0.1; done
echo 1 >$window/latency

python3 -B guest/cifs-hang.py hang $mnt "$smbd" $window /tmp/wire >/tmp/verdict 2>&1 ||
	fail "$(tail -n 1 /tmp/verdict)"
tell "$(cat /tmp/verdict)"
umount $mnt || fail "no unmount"
unuse
done_well
