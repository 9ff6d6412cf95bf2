#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Both variants against a server that is silent, slow, or breaks the protocol. SECONDS_EACH
# is how long a load runs.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/9p-server.sh"
. "${0%/*}/lib.sh"

busybox ifconfig lo up
for each in $(echo "$VARIANTS" | tr : ' '); do
	use "$each"
	for test in silence force 'replies twice' 'replies type' late cuts undone 'undone honour' max_tags; do
		$test
		tell "$each, $test"
	done
	unuse
	use "$each" hooks
	for test in window flush_fails; do
		$test
		tell "$each, $test"
	done
	unuse
done
finish
