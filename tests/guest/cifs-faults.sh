#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Injects the same faults under the same load into both variants: server killed and
# restarted, server stopped and continued, processes killed during I/O, share unmounted.

. "${0%/*}/smbd.sh"
. "${0%/*}/cifs-lib.sh"
. "${0%/*}/lib.sh"

fault_dialects='1.0 3.1.1 3.1.1,seal'

# cifs reconnects when the server is silent for three echo_intervals.
mount_hard() {
	mount_share "$1,hard,echo_interval=1" || fail "no mount with vers=$1"
	mkdir -p $mnt/load
}

# keep_busy SECONDS: verified reads and writes
keep_busy() {
	fio --name=load --directory=$mnt/load --rw=randrw --bsrange=4k-256k --size=4m --numjobs=4 \
		--verify=crc32c --time_based --runtime="$1" --group_reporting --minimal \
		>/tmp/load.log 2>&1
}

# loaded NAME FAULT: injects FAULT three times under load
loaded() {
	keep_busy 12 &
	loader=$!
	for _ in 1 2 3; do
		sleep 3
		$2
	done
	wait $loader
	result "$1:load" $?
	result "$1:verify_errors" "$(grep -c '^verify:\|verify failed' /tmp/load.log)"
	rm -rf $mnt/load
	mkdir -p $mnt/load
}

restart() {
	killall -9 smbd
	sleep 0.5
	restart_server
}

pause() {
	killall -STOP smbd
	sleep 1
	killall -CONT smbd
}

# Longer than cifs waits: it reconnects while the server is stopped
silence() {
	killall -STOP smbd
	sleep 5
	killall -CONT smbd
}

# Starts twelve processes that read, write and list directories, and kills them during
# I/O. smbd is also a child of this shell, so only these are waited for.
slaughter() {
	victims=
	for n in 1 2 3; do
		dd if=/dev/zero of=$mnt/load/w$n bs=1M count=64 2>/dev/null &
		victims="$victims $!"
		dd if=/dev/zero of=$mnt/load/d$n bs=256k count=64 oflag=direct 2>/dev/null &
		victims="$victims $!"
		cat $mnt/load/w$n >/dev/null 2>&1 &
		victims="$victims $!"
		find $mnt >/dev/null 2>&1 &
		victims="$victims $!"
	done
	sleep "0.$1"
	# shellcheck disable=SC2086
	{
		kill -9 $victims 2>/dev/null
		wait $victims
	}
}

kills() {
	for round in 1 2 3 4 5 6; do
		for tenth in 1 2 4; do
			slaughter $tenth
		done
	done
	echo "$round" >$mnt/load/alive && [ "$(cat $mnt/load/alive)" = "$round" ]
	result "kill:alive" $?
}

unmount_under_load() {
	keep_busy 30 &
	loader=$!
	sleep 2
	umount -l $mnt
	sleep 1
	killall -9 fio
	wait $loader
	result "umount:mounts_left" "$(grep -c ' cifs ' /proc/mounts)"
}

start_server
for each in converted stock; do
	use $each
	for dialect in $fault_dialects; do
		mount_hard "$dialect"
		for fault in restart pause silence; do
			loaded "$fault:$dialect" $fault
			tell "$each, vers=$dialect, $fault"
		done
		kills
		tell "$each, vers=$dialect, kills"
		unmount_under_load
		tell "$each, vers=$dialect, unmount"
	done
	unuse
done
finish
