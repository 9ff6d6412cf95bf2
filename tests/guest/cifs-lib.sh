# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions of the cifs guest scripts. They need smbd.sh and lib.sh; lib.sh is sourced
# last.

. "${0%/*}/variants.sh"

# Signing needs a user. Encryption needs ciphers: cifs requests them by algorithm, not by
# module.
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

# use VARIANT: loads the variant
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

# Unloads the variant. The converted one reports whether all IDs came back.
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

# Sums up the reports of the connections that have ended since the last call
account() {
	dmesg -c | sed -n 's/.*CIFS: connection .*: \([0-9]*\) M[A-Za-z]* handed out, \([0-9]*\) came back, \([0-9]*\) left.*/\1 \2 \3/p' |
		awk '{ out += $1; back += $2; left += $3 } END { print out + 0, back + 0, left + 0 }' >/tmp/accounts
	read -r out back left </tmp/accounts
	result handed_out "$out"
	result unaccounted $((out - back + left))
}

# mount_share DIALECT[,OPTION...] [DIRECTORY]
mount_share() {
	mount -t cifs //127.0.0.1/share "${2:-$mnt}" -o "user=root,pass=secret,ip=127.0.0.1,vers=$1"
}

# For measurements the client has one CPU and the server the other: their placement by the
# scheduler makes a larger difference than the client.
on_client_cpu() { taskset 1 "$@"; }

# server_apart SMBD: pins smbd, before it forks
server_apart() { taskset -ap 2 "$1" >/dev/null; }

# mount_apart DIALECT[,OPTION...] [DIRECTORY]: with the receiver on the client's CPU
mount_apart() {
	mount_share "$@" || fail "no mount with vers=$1"
	for thread in $(pgrep -x cifsd); do
		taskset -p 1 "$thread" >/dev/null
	done
}
