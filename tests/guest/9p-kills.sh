#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# diod: kills KILLS processes during their I/O, and the mount must work after it; then stops
# and continues the server under load, kills it, and unmounts under load.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/lib.sh"

kills() {
	mount_diod cache=none || fail "no mount"
	kill_during_io
	umount $mnt || result kill:umount failed
}

keep_busy() {
	fio --name=load --directory=$mnt --rw=randrw --bsrange=4k-64k --size=4m --numjobs=4 \
		--verify=crc32c --time_based --runtime="$1" --group_reporting --minimal >/tmp/load.log 2>&1
}

pause() {
	mount_diod cache=none || fail "no mount"
	keep_busy 6 &
	loader=$!
	for n in 1 2; do
		sleep 1
		kill -STOP $diod
		sleep 1
		kill -CONT $diod
	done
	wait $loader
	result pause:load $?
	result pause:verify_errors "$(grep -c '^verify:\|verify failed' /tmp/load.log)"
	rm -f $mnt/load.*
	umount $mnt || result pause:umount failed
}

# The load ends with an error, and the unmount is not hindered.
restart() {
	mount_diod cache=none || fail "no mount"
	keep_busy 60 &
	loader=$!
	sleep 2
	kill -9 $diod
	await 200 all_ended $loader
	result restart:left "$(alive $loader)/1"
	umount $mnt || result restart:umount failed
	start_diod
	mount_diod cache=none && [ "$(head -c 1 $mnt/data | wc -c)" = 1 ]
	result restart:works_again $?
}

start_diod
for each in $(echo "$VARIANTS" | tr : ' '); do
	use "$each"
	for test in kills pause restart 'unmount_under_load 9p kill:mounts_left'; do
		$test
		tell "$each, $test"
	done
	unuse
done
finish
