#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# smbd stops, and requests hang: whose are they, and since when? Compares what debugfs says
# with cifs' DebugData and events, with what went over the wire, and with the tasks. A proxy
# between cifs and smbd records the wire.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

mount -t tracefs tracefs /sys/kernel/tracing || fail "no tracefs"
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

# SMB1 has an atlas. READ_ANDX has the number 0x2e.
atlas=/sys/kernel/debug/midatlas/127.0.0.1
mount_share 1.0,cache=none || fail "no mount with vers=1.0"
exec 3<$mnt/read0
python3 -B guest/cifs-hang.py stop "$smbd"
busybox dd bs=4096 count=1 <&3 >/dev/null 2>&1 &
reader=$!
until grep -q ' live ' $atlas/inflight; do sleep 0.1; done
mid=$(printf 0x%04x "$(sed -n 's/.* mid \([0-9]*\)$/\1/p' /proc/fs/cifs/DebugData)")
cat $atlas/inflight >/tmp/inflight
grep -q "^$mid .* live command 0x2e pid $reader\$" /tmp/inflight ||
	fail "no READ_ANDX $mid of $reader: $(tail -n 1 /tmp/inflight)"
signal_smbd CONT
wait $reader || fail "the reader fails after smbd went on"
exec 3<&-
umount $mnt || fail "no unmount with vers=1.0"
tell "SMB1: $(tail -n 1 /tmp/inflight)"
unuse
done_well
