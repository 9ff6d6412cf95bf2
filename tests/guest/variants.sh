# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # $variant is set by use()
#
# Functions of guest scripts that compare two variants of a client. They need lib.sh.
#
# A variant is "converted" or "stock". Each result begins with the loaded variant. A kernel
# message belongs to the last line "@ variant".

# shellcheck disable=SC2034
mnt=/tmp/mnt

# Taints: bad page, oops, warning, soft lockup
taints() { echo $(($(cat /proc/sys/kernel/tainted) & (32 | 128 | 512 | 16384))); }

# result KEY VALUE
result() { echo "= $variant $1 $2"; }

# The number of leaks that kmemleak reports, if the kernel has it
leaks() {
	cd /sys/kernel/debug || return
	[ -e kmemleak ] || { echo 0; return; }
	sleep 6
	echo scan >kmemleak
	cat kmemleak >&2
	grep -c '^unreferenced' kmemleak
	echo clear >kmemleak
}

# The last line of a script that compares variants: cifs.sh judges the results
finish() { tell 'done'; }

# After this, reads go to the server.
drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# verify FIO-ARGUMENT...
verify() {
	fio --name=verify --directory="$mnt/fio" --verify=crc32c --verify_fatal=1 --group_reporting \
		--minimal "$@" >/tmp/fio.log 2>&1
}

work_fio() {
	mkdir "$mnt/fio" &&
	verify --rw=randwrite --bs=4k --size=2m --numjobs=4 &&
	verify --rw=write --bs=1m --size=16m --numjobs=2 &&
	verify --rw=randrw --bsrange=1k-256k --size=4m --numjobs=4 &&
	verify --rw=randwrite --bs=16k --size=2m --numjobs=4 --direct=1 &&
	rm -r "$mnt/fio"
}

# A file that the client still has open is removed when it is closed. Until then its
# directory is not empty.
remove() {
	for _ in $(seq 20); do
		rm -rf "$@" 2>/dev/null && return
		sleep 0.5
	done
	rm -rf "$@"
}

work_dbench() {
	mkdir "$mnt/dbench" &&
	dbench -c /usr/share/dbench/client.txt -D "$mnt/dbench" -t 4 4 >/tmp/dbench.log 2>&1 &&
	remove "$mnt/dbench"
}

work_tree() {
	cp -r /tmp/tree "$mnt/tree" &&
	drop_caches &&
	diff -r /tmp/tree "$mnt/tree" &&
	rm -r "$mnt/tree"
} >/tmp/tree.log 2>&1

# Without names that differ only in case: a share of smbd ignores case
make_tree() {
	cp -r /usr/include/linux /tmp/tree
	rm -r /tmp/tree/netfilter*
}

# work NAME: all of it, and how long it took
work() {
	for work in fio dbench tree; do
		start=$(cut -d ' ' -f 1 /proc/uptime)
		if work_$work; then
			end=$(cut -d ' ' -f 1 /proc/uptime)
			result "$work:$1" "$(echo "$start $end" | awk '{ printf "%.1f", $2 - $1 }')"
		else
			result "$work:$1" failed
			tail -n 5 /tmp/$work.log
		fi
	done
}

# copy_and_compare WHERE: a file and a tree are written, read back from the server and deleted
copy_and_compare() {
	cp /tmp/data $mnt/data || fail "$1: no copy"
	cp -r /usr/include/asm-generic $mnt/tree || fail "$1: no copy of a tree"
	drop_caches
	cmp /tmp/data $mnt/data || fail "$1: the data differs"
	diff -r /usr/include/asm-generic $mnt/tree || fail "$1: the tree differs"
	rm -r $mnt/data $mnt/tree
	umount $mnt || fail "$1: no unmount"
	tell "$1: written, compared, deleted, unmounted"
}

# unmount_under_load TYPE RESULT: how many mounts of this type are left. The caller's
# keep_busy makes the load.
unmount_under_load() {
	keep_busy 30 &
	loader=$!
	sleep 2
	umount -l $mnt
	sleep 1
	busybox killall -9 fio
	wait $loader
	result "$2" "$(grep -c " $1 " /proc/mounts)"
}

# A load for dbench: an office program with eight documents. dbench's own load takes hours
# and only writes in its first seconds.
documents() {
	dir='\clients\client1'
	cat <<-END
		Deltree "$dir" NT_STATUS_OK
		Mkdir "${dir%\\*}" NT_STATUS_OK
		NTCreateX "$dir" 0x1 0x2 1 NT_STATUS_OK
		Close 1 NT_STATUS_OK
	END
	for n in 1 2 3 4 5 6 7 8; do
		cat <<-END
			QUERY_PATH_INFORMATION "$dir\\$n.doc" 1004 NT_STATUS_OBJECT_NAME_NOT_FOUND
			NTCreateX "$dir\\$n.doc" 0x40 0x2 2 NT_STATUS_OK
			WriteX 2 0 16384 16384 NT_STATUS_OK
			WriteX 2 16384 16384 16384 NT_STATUS_OK
			QUERY_FILE_INFORMATION 2 258 NT_STATUS_OK
			Close 2 NT_STATUS_OK
			FIND_FIRST "$dir\\<.doc" 260 1366 1 NT_STATUS_OK
			NTCreateX "$dir\\$n.doc" 0x0 0x1 3 NT_STATUS_OK
			ReadX 3 0 4096 4096 NT_STATUS_OK
			ReadX 3 4096 4096 4096 NT_STATUS_OK
			SET_FILE_INFORMATION 3 1004 NT_STATUS_OK
			Close 3 NT_STATUS_OK
			NTCreateX "$dir\\$n.tmp" 0x40 0x2 4 NT_STATUS_OK
			WriteX 4 0 16384 16384 NT_STATUS_OK
			WriteX 4 16384 16384 16384 NT_STATUS_OK
			Flush 4 NT_STATUS_OK
			Close 4 NT_STATUS_OK
			QUERY_FS_INFORMATION 259 NT_STATUS_OK
			Unlink "$dir\\$n.doc" 0x6 NT_STATUS_OK
			Rename "$dir\\$n.tmp" "$dir\\$n.doc" NT_STATUS_OK
			QUERY_PATH_INFORMATION "$dir\\$n.doc" 1004 NT_STATUS_OK
		END
	done
}

# Operations per second. The files stay for the next call. $on may pin the load, $seconds is how
# long it runs.
fio_rate() {
	${on:-} fio --name=speed --directory=$mnt --rw=randrw --bs=4k --size=8m --numjobs=4 --time_based \
		--runtime="$seconds" --group_reporting --minimal >/tmp/fio.log || fail "fio: $(tail -n 1 /tmp/fio.log)"
	tail -n 1 /tmp/fio.log | awk -F ';' '{ print $8 + $49 }'
}

# Operations per second, of any kind
dbench_rate() {
	${on:-} dbench -c /tmp/documents -D $mnt -t "$seconds" 4 >/tmp/dbench.log || fail "dbench: $(tail -n 1 /tmp/dbench.log)"
	rm -rf $mnt/clients
	awk -v s="$seconds" '/^Throughput/ { print n / s } /^ Operation / { table = 1 } table { n += $2 }' /tmp/dbench.log
}
