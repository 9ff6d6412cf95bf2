#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The converted client only: a tree over diod, and the faults that are quick to show.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/9p-server.sh"
. "${0%/*}/lib.sh"

start_diod
use converted
mount_diod cache=none || fail "no mount of diod's"
head -c 4000000 /dev/urandom >/tmp/data
copy_and_compare diod
for test in silence force 'replies twice' late; do
	$test
	tell "$test"
done
unuse
finish
