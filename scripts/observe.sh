#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What people can see of an atlas, under UML: tracepoints, debugfs, midatlas-top.
# READ_FOR in the environment is how long debugfs is read under full load.

. "$(dirname "$0")/lib.sh"

seconds=${READ_FOR:-5}
[[ $seconds =~ ^[1-9][0-9]{0,2}$ ]] || die "give a number of seconds up to 999, as READ_FOR=60"

need smbd:samba insmod:kmod busybox:busybox-static python3:python3 setpriv:util-linux
kernel=$("$top/scripts/kernel.sh")
workdir observe
build_modules "$kernel"
cp "$top/tools/midatlas-top" "$work"
boot "$kernel" "$work" observe.sh READ_FOR="$seconds"
say "$(sed -n 's/^@ \(.* readings,.*\)/\1/p' "$work/console.log")"
