#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the sample client against each of BEHAVIOURS of the hostile server, and last
# against "storm" until it has received FRAMES hostile frames; first with SMB1, then with
# SMB2. Prints the client's results of the storms, each line after "= ".

. "${0%/*}/lib.sh"

debugfs=/sys/kernel/debug/smbecho
deadline=500

# Results of the client, which read_result sets
state='' replied=0 unknown=0 stale=0 late=0 unsolicited=0 malformed=0 mismatches=0 connections=0
read_result() {
	while read -r key value; do
		eval "$key=\$value"
	done <$debugfs/result
}

# holds EXPECTED: "KEY>VALUE" or "KEY=VALUE"
holds() {
	eval "value=\$${1%%[>=]*}"
	case $1 in
	*'>'*) [ "$value" -gt "${1#*>}" ] ;;
	*) [ "$value" -eq "${1#*=}" ] ;;
	esac
}

# as_expected NAME EXPECTED...: within 5 s, because a reconnect may be in progress
as_expected() {
	name=$1
	shift
	for expected; do
		tries=50
		until holds "$expected"; do
			tries=$((tries - 1))
			[ $tries -gt 0 ] ||
				fail "$name: $value, not $expected, in: $(tr '\n' ' ' <$debugfs/result)"
			sleep 0.1
			read_result
		done
	done
}

meet() {
	insmod samples/smbecho.ko dialect="$dialect" port="$1" requests=200 tries=2 timeout_ms=$deadline ||
		fail "smbecho.ko does not load"
	while read_result && [ "$state" = running ]; do
		sleep 0.1
	done
	shift
	as_expected "$@"
	rmmod smbecho || fail "smbecho does not unload"
}

# Starts five submitters and kills them
kill_some() {
	pids=
	for _ in 1 2 3 4 5; do
		(echo 1000000 >$debugfs/submit) 2>/dev/null &
		pids="$pids $!"
	done
	sleep 0.2
	# shellcheck disable=SC2086
	kill -KILL $pids
}

meet_storm() {
	insmod samples/smbecho.ko dialect="$dialect" port="$1" requests=2147483647 timeout_ms=$deadline ||
		fail "smbecho.ko does not load"
	while
		read_result
		[ $((unknown + stale + late + unsolicited + malformed + mismatches)) -lt "$FRAMES" ] ||
			[ "$connections" -lt 2 ]
	do
		kill_some
		sleep 0.1
	done

	# The client must still work.
	kill -USR1 $server
	goal=$((replied + 1000))
	while read_result && [ "$replied" -lt $goal ]; do
		sleep 0.1
	done
	shift
	as_expected "$@"
	sed 's/^/= /' $debugfs/result
	rmmod smbecho || fail "smbecho does not unload"
}

# meet_all DIALECT SERVER: the server's behaviours
meet_all() {
	dialect=$1
	echo "= dialect $dialect"
	python3 -B "$2" --seed "$SEED" --deadline-ms $deadline >"/tmp/$dialect.log" &
	server=$!
	until grep -q seed "/tmp/$dialect.log"; do
		sleep 0.1
	done
	python3 -B "$2" --list >"/tmp/$dialect.list"

	met=0
	while read -r port name expected; do
		case ,$BEHAVIOURS, in
		*,"$name",* | ,all,) ;;
		*) continue ;;
		esac
		# shellcheck disable=SC2086
		if [ "$name" = storm ]; then
			tell "$dialect: survived $met behaviours; starting the storm with $(cat "/tmp/$dialect.log")"
			meet_storm "$port" "$dialect storm" $expected
			tell "$dialect: $(tail -n 1 "/tmp/$dialect.log")"
		else
			meet "$port" "$dialect $name" $expected
		fi
		met=$((met + 1))
	done <"/tmp/$dialect.list"
	echo "= met $met"
	kill -KILL $server
}

busybox ifconfig lo up
load ./midatlas.ko || fail "midatlas.ko does not load"
load ./midwindow.ko || fail "midwindow.ko does not load"
meet_all smb1 guest/hostile.py
meet_all smb2 guest/hostile_smb2.py
rmmod midwindow midatlas || fail "midatlas and midwindow do not unload"
done_well
