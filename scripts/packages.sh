#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# packages.sh [DIR]: builds the Debian packages into DIR (packages/). It fails if lintian
# reports anything.

. "$(dirname "$0")/lib.sh"

out=${1:-$top/packages}

need dpkg-buildpackage:dpkg-dev dh:debhelper dh_dkms:dh-dkms lintian:lintian fakeroot:fakeroot \
	"/usr/lib/linux-kbuild-*/scripts/kernel-doc:linux-headers-amd64"
workdir packages

# What a clone would have, with changes that are not committed
copy=$work/midatlas
mkdir "$copy"
tar -C "$top" -c --exclude-vcs --exclude-from="$top/.gitignore" . | tar -x -C "$copy"
(cd "$copy" && dpkg-buildpackage -us -uc) >"$work/build.log" 2>&1 ||
	{ tail -n 20 "$work/build.log" >&2; die "the packages do not build"; }
grep -q "^PACKAGE_VERSION=\"$(dpkg-parsechangelog -l "$copy/debian/changelog" -S Version)\"" "$top/dkms.conf" ||
	die "dkms.conf and debian/changelog have different versions"

lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/*.changes >"$work/lintian.log" 2>&1 ||
	{ cat "$work/lintian.log" >&2; die "lintian reports problems"; }
[ ! -s "$work/lintian.log" ] || { cat "$work/lintian.log" >&2; die "lintian has printed something"; }

mkdir -p "$out"
rm -f "$out"/midatlas*
mv "$work"/midatlas*_* "$out"
say "built $(cd "$out" && echo *.deb) in $out, lintian is silent"
