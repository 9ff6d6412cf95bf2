# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Starts a real smbd in the guest: SMB1 allowed, loopback only, all files on tmpfs. It does
# not use aio threads: in UML the handover costs milliseconds for each request.

listening() { grep -q '^ *[0-9]*: [0-9A-F]*:01BD [0-9A-F:]* 0A ' /proc/net/tcp; }

start_smbd() {
	for dir in /run /var/lib/samba /var/cache/samba /var/log/samba; do
		mount -t tmpfs tmpfs $dir || fail "no $dir to mount a tmpfs on"
	done
	mkdir -p /run/samba /var/lib/samba/private /tmp/share
	busybox ifconfig lo up

	cat >/tmp/smb.conf <<-END
		[global]
		server role = standalone server
		server min protocol = NT1
		server signing = auto
		map to guest = Bad User
		guest account = root
		interfaces = lo
		bind interfaces only = yes
		smb ports = 445
		disable netbios = yes
		smb2 max credits = ${CREDITS:-8192}
		load printers = no
		[share]
		path = /tmp/share
		read only = no
		guest ok = yes
		aio read size = 0
		aio write size = 0
	END
	run_smbd
	tell "$(smbd --version) listens on port 445"
}

# smbd makes a process group, which signal_smbd() signals.
run_smbd() {
	smbd --foreground --configfile=/tmp/smb.conf >/tmp/smbd.log 2>&1 &
	smbd=$!

	tries=100
	until listening; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "smbd does not listen: $(tail -n 1 /tmp/smbd.log)"
		sleep 0.1
	done
}

signal_smbd() { kill -s "$1" -- "-$smbd"; }
