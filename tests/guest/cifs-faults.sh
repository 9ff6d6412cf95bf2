#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Injects the same faults under the same load into both variants: server killed and
# restarted, server stopped and continued, processes killed during I/O, share unmounted,
# memory exhausted during writeback.
#
# All GFP_NOFS allocations of midatlas and midwindow fail (scripts/cifs.sh).

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

caches='cifs_mpx_ids cifs_request cifs_small_rq cifs_io_request cifs_io_subrequest'

# fail_caches 0|1: from now on each allocation from the caches of cifs' mempools fails
fail_caches() {
	[ -d /sys/kernel/debug/failslab ] || return 0
	for cache in $caches; do
		echo "$1" >"/sys/kernel/slab/$cache/failslab" || fail "no failslab for $cache"
	done
	(
		cd /sys/kernel/debug/failslab || exit
		echo 1 >cache-filter
		echo N >ignore-gfp-wait
		echo 0 >verbose
		echo -1 >./times
		echo $(($1 * 100)) >probability
	) || fail "no failslab"
}

# Fills the memory, all but $1 MiB. There is no swap.
hog() {
	mkdir -p /tmp/hog
	mount -t tmpfs -o size=100% tmpfs /tmp/hog || fail "no tmpfs"
	free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	[ "$free" -le "$1" ] || head -c $((free - $1))M /dev/zero >/tmp/hog/zeros
}

# write_back DIALECT: 256 MiB, in small requests, while memory is scarce. Each part is
# written back, read from the server and compared.
write_back() {
	rm -rf /tmp/share/load
	failed=0 differ=0
	mount_share "$1,hard,rsize=16384,wsize=16384" || fail "no mount with vers=$1"
	head -c 32M /dev/urandom >/tmp/data
	hog 96
	fail_caches 1
	for part in 1 2 3 4 5 6 7 8; do
		dd if=/tmp/data of=$mnt/data$part bs=1M conv=fsync 2>/tmp/dd.log ||
			{ failed=$((failed + 1)); cat /tmp/dd.log; }
		echo 1 >/proc/sys/vm/drop_caches
		cmp /tmp/data $mnt/data$part || differ=$((differ + 1))
		rm -f $mnt/data$part
	done
	fail_caches 0
	rm -f /tmp/data
	umount /tmp/hog
	umount $mnt
	result "memory:$1:failed_writes" $failed
	result "memory:$1:verify_errors" $differ
	result "memory:$1:refused" "$(dmesg | grep -c 'refused .* bytes')"
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
		unmount_under_load cifs umount:mounts_left
		tell "$each, vers=$dialect, unmount"
		write_back "$dialect"
		tell "$each, vers=$dialect, scarce memory"
	done
	unuse
done
finish
