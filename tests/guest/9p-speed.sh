#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Throughput of both variants, $RUNS times: operations per second of fio with small random
# reads and writes, and of dbench. The variants alternate every few seconds, so that longer
# disturbances affect both. $TRANSPORT is fd, against diod on the other CPU, or virtio.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/lib.sh"

# shellcheck disable=SC2153 # of the command line
transport=$TRANSPORT
seconds=3

# mount_it OPTION
mount_it() {
	case $transport in
	fd) mount_diod "$1" || fail "no mount" ;;
	*) mount_share "$1" ;;
	esac
}

# Measures the loaded variant
rates() {
	mount_it cache=none
	result "$transport-fio:$run" "$(fio_rate)"
	umount $mnt
	mount_it cache=loose
	result "$transport-dbench:$run" "$(dbench_rate)"
	umount $mnt
}

mkdir -p $mnt
if [ "$transport" = fd ]; then
	start_diod
	taskset -ap 2 $diod >/dev/null
	on='taskset 1'
fi
documents >/tmp/documents
for run in $(seq "$RUNS"); do
	for each in stock converted converted stock; do
		use $each
		rates
		unuse
	done
	tell "run $run of $RUNS"
done
finish
