# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2012,SC2086,SC2154 # lists of PIDs
#
# The tests against 9p-server.py. SECONDS_EACH is how long a load runs. They need 9p-lib.sh.

# load_on FILE COUNT [write]: starts processes that read blocks, and sets $pids. Returns when
# all of them have opened the file, or $enough.
load_on() {
	pids=
	rm -f /tmp/load.*
	for n in $(seq "$2"); do
		python3 "$here/9p-read.py" $mnt/"$1" 600 ${3:+write} >/tmp/load.$n 2>&1 &
		pids="$pids $!"
	done
	await 200 have_opened "${enough:-$2}" || fail "the loads do not start"
	sleep 0.5
}

have_opened() { [ "$(cat /tmp/load.* | grep -c open)" -ge "$1" ]; }

# resume NAME: the server speaks again, and the mount must work
resume() {
	kill -USR2 $server
	await 50 all_ended $pids || result "$1:left_after" "$(alive $pids)"
	wait $pids 2>/dev/null
	result "$1:works_again" "$(timeout 5 head -c 8 $mnt/data | wc -c)"
}

silence() {
	start_server
	mount_9p || fail "no mount"
	load_on data 8
	kill -USR1 $server
	sleep 0.5
	[ "$variant" = stock ] || result debugfs:reads "$(cat /sys/kernel/debug/midatlas/9p-*/inflight | grep -c 'type 116 fid [0-9]* pid [0-9]*$')"
	kill_all kill_readers
	resume kill_readers

	load_on data 8 write
	kill -USR1 $server
	sleep 0.5
	kill_all kill_writers
	resume kill_writers

	# New names: walks, opens and creates
	kill -USR1 $server
	pids=
	for n in 1 2 3 4; do
		cat $mnt/walked$n >/dev/null 2>&1 &
		pids="$pids $!"
	done
	sleep 1
	kill_all kill_walkers
	resume kill_walkers
	unmount silence
	sleep 0.5
	stop_server silence
}

force() {
	start_server
	mount_9p || fail "no mount"
	load_on data 4
	kill -USR1 $server
	sleep 0.5
	umount -f $mnt 2>/dev/null
	{
		await 30 all_ended $pids
		result umount_f:left "$(alive $pids)/4"
		kill -9 $pids 2>/dev/null
	}
	kill -USR2 $server
	wait $pids 2>/dev/null
	unmount umount_f
	stop_server umount_f
}

# readers SECONDS COUNT: sums up what the readers have seen
readers() {
	for n in $(seq "$2"); do
		python3 "$here/9p-read.py" $mnt/data "$1" >/tmp/read.$n 2>/dev/null &
		readers="$readers $!"
	done
}

# seen NAME
seen() {
	wait $readers
	readers=
	cat /tmp/read.* | awk '{ n += $1; wrong += $2; errors += $3; if ($4 != "-") e = $4 }
		END { print n + 0, wrong + 0, errors + 0, e + 0 }' >/tmp/seen
	rm -f /tmp/read.*
	read -r n bad errors errno </tmp/seen
	result "$1:reads" "$n"
	result "$1:wrong" "$bad"
	result "$1:errors" "$errors"
	[ "$errors" = 0 ] || result "$1:errno" "$errno"
	if timeout 5 ls $mnt/data >/dev/null 2>&1; then
		result "$1:mount" lives
	else
		result "$1:mount" lost
	fi
}

# replies NAME: each reply twice, or of the wrong type before
replies() {
	start_server "$1"
	if mount_9p; then
		readers "$SECONDS_EACH" 2
		seen "$1"
		unmount "$1"
	else
		result "$1:mount" none
	fi
	stop_server "$1"
}

# Readers of "never" are killed all the time: their reads are flushed, and answered late.
late() {
	start_server late
	mount_9p || fail "no mount"
	readers "$SECONDS_EACH" 2
	end=$(($(cut -d . -f 1 /proc/uptime) + SECONDS_EACH))
	while [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ]; do
		dd if=$mnt/never of=/dev/null bs=4096 count=1 2>/dev/null &
		victim=$!
		sleep 0.05
		kill -9 $victim 2>/dev/null
		wait $victim 2>/dev/null
	done
	seen late
	result late:late_replies "$(server_says extra)"
	unmount late
	stop_server late
}

# The connection ends, some bytes into a reply
cuts() {
	for at in $(seq 0 14); do
		start_server cut="$at"
		mount_9p || fail "no mount"
		ls $mnt/cut 2>&1 | sed 's/.*: //' >>/tmp/cuts
		unmount cut
		kill $server
		wait $server 2>/dev/null
	done
	result cut:errors "$(sed 's/Bad address/EFAULT/; s/Connection reset by peer/ECONNRESET/' /tmp/cuts |
		sort | uniq -c | sed 's/^ *//' | tr ' ' _ | paste -sd ,)"
	rm -f /tmp/cuts
}


undone() {
	start_server "$@"
	mount_9p || fail "no mount"
	cat $mnt/other >/dev/null 2>&1
	for what in walk open create; do
		before=$(server_says fids)
		pids=
		for n in 1 2 3 4 5; do
			case $what in
			create) dd of="$mnt/slow$what$n" count=0 2>/dev/null & ;;
			*) head -c 0 "$mnt/slow$what$n" >/dev/null 2>&1 & ;;
			esac
			pids="$pids $!"
		done
		sleep 0.3
		{
			kill -9 $pids
			wait $pids 2>/dev/null
		}
		sleep 1.5
		echo 2 >/proc/sys/vm/drop_caches	# dentries have fids
		sleep 0.5
		result "undo:$what${1:+_$1}:fids" $(($(server_says fids) - before))
	done
	unmount undo
	stop_server "undo${1:+_$1}"
}

# A task stops for four seconds after it has got its tag. Meanwhile a reply with this tag comes.
# How long another task waits for its reply.
window() {
	start_server
	mount_9p || fail "no mount"
	hook statfs_pause 4000
	stat -f $mnt >/dev/null 2>&1 &
	pids=$!
	sleep 0.3
	tag=0
	[ "$variant" = stock ] || tag=$(($(grep -ho '^0x[0-9a-f]*' /sys/kernel/debug/midatlas/9p-*/inflight)))
	start=$(cut -d ' ' -f 1 /proc/uptime)
	ls "$mnt/stray$tag" >/dev/null 2>&1
	result window:ms "$(echo "$start $(cut -d ' ' -f 1 /proc/uptime)" | awk '{ printf "%d", ($2 - $1) * 1000 }')"
	wait $pids
	hook statfs_pause 0
	unmount window
	stop_server window
}

# A reader is killed while there is no memory for its Tflush.
flush_fails() {
	start_server
	mount_9p || fail "no mount"
	load_on never 1
	hook fail_flush 1
	kill_all flush_fails
	sleep 1
	result flush_fails:pending "$(server_says pending)"
	unmount flush_fails
	stop_server flush_fails
}

# Of three tags one is for Tflush: two of eight reads are in flight. All are killed, and
# each in flight is flushed.
max_tags() {
	start_server
	mount_9p 5640 / max_tags=3 || fail "no mount"
	enough=2
	load_on never 8
	enough=
	sleep 2
	result max_tags:most "$(server_says most)"
	kill_all max_tags
	sleep 1
	result max_tags:pending "$(server_says pending)"
	readers 2 8
	seen max_tags
	unmount max_tags
	stop_server max_tags
}
