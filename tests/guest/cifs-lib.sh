# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the cifs guest scripts share, on top of smbd.sh and lib.sh, which is
# sourced last.
#
# A variant is "converted" or "stock"; each line of a result begins with the one
# that is loaded. What the kernel logs belongs to the variant that was told last.

mnt=/tmp/mnt

# Signing needs a user; encryption needs ciphers, which cifs asks for by the names
# of their algorithms.
start_server() {
	start_smbd
	printf 'secret\nsecret\n' | smbpasswd -c /tmp/smb.conf -s -a root >/dev/null ||
		fail "smbpasswd adds no user"
	for module in aes cryptomgr ccm gcm ctr cmac; do
		load_by_name $module || fail "$module.ko does not load"
	done
	load ./midwindow.ko || fail "midwindow.ko does not load"
	mkdir -p $mnt
}

restart_server() {
	smbd --foreground --no-process-group --configfile=/tmp/smb.conf >>/tmp/smbd.log 2>&1 &
}

# What the kernel holds against itself: a bad page, an oops, a warning, a lockup
taints() { echo $(($(cat /proc/sys/kernel/tainted) & (32 | 128 | 512 | 16384))); }

# use VARIANT: loads it
use() {
	variant=$1 tainted=$(taints)
	tell "variant $variant"
	case $variant in
	stock)
		load /media/fs/smb/client/cifs.ko || fail "the stock cifs.ko does not load" ;;
	converted)
		load ./cifs.ko || fail "the converted cifs.ko does not load"
		grep -q '^midwindow .*cifs' /proc/modules || fail "cifs does not use midwindow"
		grep -q '^midatlas .*cifs' /proc/modules || fail "cifs does not use midatlas" ;;
	esac
}

# result KEY VALUE
result() { echo "= $variant $1 $2"; }

# leaks: how many objects kmemleak takes for lost, where the kernel has it
leaks() {
	cd /sys/kernel/debug || return
	[ -e kmemleak ] || { echo 0; return; }
	sleep 6
	echo scan >kmemleak
	cat kmemleak >&2
	grep -c '^unreferenced' kmemleak
	echo clear >kmemleak
}

# unuse: unloads the variant. The converted one accounts for every id then.
unuse() {
	tries=600
	until rmmod cifs 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "cifs does not unload, it has $(awk '/^cifs /{print $3}' /proc/modules) users"
		sleep 0.1
	done
	[ "$variant" = stock ] || account
	result new_taints $(($(taints) - tainted))
	result leaks "$(leaks)"
}

# The last line of a script that has run both variants: it is over, and the results
# say how it went.
finish() { tell 'done'; }

# What the connections that ended since the last time said
account() {
	dmesg -c | sed -n 's/.*CIFS: connection .*: \([0-9]*\) M[A-Za-z]* handed out, \([0-9]*\) came back, \([0-9]*\) left.*/\1 \2 \3/p' |
		awk '{ out += $1; back += $2; left += $3 } END { print out + 0, back + 0, left + 0 }' >/tmp/accounts
	read -r out back left </tmp/accounts
	result handed_out "$out"
	result unaccounted $((out - back + left))
}

# mount_share DIALECT[,OPTION...] [FOLDER]
mount_share() {
	mount -t cifs //127.0.0.1/share "${2:-$mnt}" -o "user=root,pass=secret,ip=127.0.0.1,vers=$1"
}

# Where something is measured the client has one CPU and the server the other: where the
# scheduler puts them makes more of a difference than any client does.
on_client_cpu() { taskset 1 "$@"; }

# server_apart SMBD: with those that it will fork
server_apart() { taskset -ap 2 "$1" >/dev/null; }

# mount_apart DIALECT[,OPTION...] [FOLDER]: with its receiver on the client's CPU
mount_apart() {
	mount_share "$@" || fail "no mount with vers=$1"
	for thread in $(pgrep -x cifsd); do
		taskset -p 1 "$thread" >/dev/null
	done
}

# drop what is cached, so that it comes from the server
drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
