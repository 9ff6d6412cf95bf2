#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes what these scripts put into the cache, and the cache itself if nothing
# else is in it.

. "$(dirname "$0")/lib.sh"

rm -rf "$cache"/linux-source-* "$cache"/uml-* "$cache"/x86_64-* "$cache"/debian-* "$cache"/{modules,cifs}-of-* "$cache"/*.partial "$cache"/*.lock "$cache/apt.log" \
	"$cache/herd" "$cache/kunit-native" "$cache/run"
rmdir "$cache" 2>/dev/null || say "$cache holds other files too, which stay"
