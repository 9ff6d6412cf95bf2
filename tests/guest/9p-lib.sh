# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2086,SC2154
#
# Functions of the 9p guest scripts. They need lib.sh, which is sourced last.

. "${0%/*}/variants.sh"

here=${0%/*}

# use VARIANT [hooks]: loads the variant, or its build with the hooks of tests/9p
use() {
	variant=$1 hooks=${2:+$2:} tainted=$(taints)
	tell "variant $variant"
	for module in 9pnet 9pnet_${transport:-fd} 9p; do
		load "./$variant${2:+-$2}/$module.ko" || fail "the $variant $module.ko does not load"
	done
	[ "$variant" = stock ] || grep -q '^midatlas .*9pnet' /proc/modules || fail "9pnet does not use midatlas"
}

# Unloads the variant. The converted one reports whether all tags came back.
unuse() {
	tries=100
	until rmmod 9p 9pnet_${transport:-fd} 9pnet 2>/dev/null || ! grep -q '^9pnet ' /proc/modules; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "9p does not unload: $(grep ^9p /proc/modules | tr '\n' ';')"
		sleep 0.1
	done
	[ "$variant" = stock ] || account
	result "${hooks}new_taints" $(($(taints) - tainted))
	result "${hooks}leaks" "$(leaks)"
}

# Sums up the reports of the connections that have ended since the last call
account() {
	dmesg -c | sed -n 's/.*9pnet: \([0-9]*\) tags handed out, \([0-9]*\) came back, \([0-9]*\) left; \([0-9]*\) stray.*/\1 \2 \3 \4/p' |
		awk '{ out += $1; back += $2; left += $3; strays += $4 }
			END { print out + 0, back + 0, left + 0, strays + 0 }' >/tmp/accounts
	read -r out back left strays </tmp/accounts
	result "${hooks}handed_out" "$out"
	result "${hooks}strays" "$strays"
	result "${hooks}unaccounted" $((out - back + left))
}

# start_server FAULT...: the server of the tests
start_server() {
	rm -f /tmp/server.log
	python3 "$here/9p-server.py" 5640 "$@" >/tmp/server.log 2>/tmp/server.err &
	server=$!
	await 100 grep -qs ready /tmp/server.log || fail "the server does not start: $(cat /tmp/server.err)"
}

# server_says KEY: one of its counts
server_says() {
	kill -HUP $server
	sleep 0.3
	tail -n 1 /tmp/server.log | tr ' ' '\n' | sed -n "s/^$1=//p"
}

# stop_server NAME
stop_server() {
	result "$1:broken" "$(server_says broken)"
	kill $server
	wait $server 2>/dev/null
}

# await TENTHS COMMAND...: until the command succeeds
await() {
	patience=$1
	shift
	until "$@"; do
		patience=$((patience - 1))
		[ $patience -gt 0 ] || return 1
		sleep 0.1
	done
}

# mount_9p [PORT [ANAME [OPTION...]]]
mount_9p() {
	mkdir -p $mnt
	mount -i -t 9p 127.0.0.1 $mnt -o "trans=tcp,port=${1:-5640},aname=${2:-/},uname=root,access=any,version=9p2000.L${3:+,$3}"
}

# alive PID...: how many of the processes have not ended
alive() {
	n=0
	for pid; do
		state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)
		case $state in
		Z | '') ;;
		*) n=$((n + 1)) ;;
		esac
	done
	echo $n
}

# all_ended PID...
all_ended() { [ "$(alive "$@")" = 0 ]; }

# kill_all NAME [TENTHS]: kills $pids, and says how many are left after three seconds
kill_all() {
	{
		total=$(alive $pids)
		kill -9 $pids 2>/dev/null
		await ${2:-30} all_ended $pids
		result "$1:left" "$(alive $pids)/$total"
	}
}

# hook NAME NUMBER: see tests/9p/hooks.h
hook() { echo "$2" >"/sys/module/9pnet/parameters/$1"; }

# unmount NAME: also a mount that is in use
unmount() {
	umount $mnt 2>/dev/null || { sleep 1; umount $mnt; } || { result "$1:umount" failed; umount -l $mnt; }
}

export=/tmp/export

# Starts a real server, which exports a tmpfs
start_diod() {
	busybox ifconfig lo up
	mount -t tmpfs tmpfs /run
	mkdir -p $export
	diod --foreground --no-auth --no-userdb --listen=127.0.0.1:564 --export=$export --config-file=/dev/null --nwthreads=16 >/tmp/diod.log 2>&1 &
	diod=$!
	await 100 grep -q ':0234 [0-9A-F:]* 0A ' /proc/net/tcp || fail "diod does not listen: $(cat /tmp/diod.log)"
}

# mount_share OPTION [TAG]: from QEMU
mount_share() {
	mount -t 9p "${2:-share}" $mnt -o "trans=virtio,version=9p2000.L,msize=262144,$1" || fail "no mount"
}

mount_diod() { mount_9p 564 $export "$1"; }

# Kills KILLS processes; then the mount must work, and the data be the same.
kill_during_io() {
	head -c 2M /dev/urandom >/tmp/data
	cp /tmp/data $mnt/data || fail "no copy"
	result kill:killed "$(python3 "$here/9p-kill.py" $mnt "$KILLS")"
	echo alive >$mnt/alive && [ "$(cat $mnt/alive)" = alive ]
	result kill:alive $?
	cmp /tmp/data $mnt/data
	result kill:differs $?
}
