#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the same load on both variants, with and without a cache, against diod: fio with
# verification, dbench, a tree copied, compared and deleted.

. "${0%/*}/9p-lib.sh"
. "${0%/*}/lib.sh"

start_diod
make_tree
for each in $(echo "$VARIANTS" | tr : ' '); do
	use "$each"
	for options in cache=none cache=loose; do
		mount_diod "$options" || { result "mount:$options" failed; continue; }
		work "$options"
		umount $mnt || result "umount:$options" failed
		rm -rf ${export:?}/*	# files of a failed load must not affect the next
		tell "$each, $options"
	done
	unuse
done
finish
