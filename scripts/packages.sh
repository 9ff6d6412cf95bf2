#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# packages.sh [DIR]: builds the Debian packages, their source package and the RPM packages
# into DIR (packages/). It fails if lintian reports anything.
#
# The version is that of dkms.conf, the maintainer that of MAINTAINERS, and the dates are those
# of CHANGELOG.md. The same sources give the same packages, bit by bit.

. "$(dirname "$0")/lib.sh"

out=${1:-$top/packages}

# The releases of CHANGELOG.md: version, date
releases() { sed -n 's/^## \([0-9][^ ]*\) (\([-0-9]*\))$/\1 \2/p' "$top/CHANGELOG.md"; }

deb_changelog() {
	releases | while read -r release date; do
		printf 'midatlas (%s-0upstream1) unstable; urgency=medium\n\n  * New upstream release.\n\n -- %s  %s\n\n' \
			"$release" "$maintainer" "$(date -u -R -d "$date")"
	done
}

rpm_changelog() {
	releases | while read -r release date; do
		printf '* %s %s - %s-1\n- New upstream release\n\n' "$(date -u -d "$date" '+%a %b %d %Y')" "$maintainer" "$release"
	done
}

# What a clone would have, with changes that are not committed; but not debian/
orig() {
	tar -C "$top" -c --exclude-vcs --exclude-from="$top/.gitignore" --exclude=./debian \
		--transform "s|^\.|midatlas-$version|;" --sort=name --owner=0 --group=0 --numeric-owner \
		--mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" . | xz -T1
}

build_debs() {
	local copy=$work/midatlas-$version

	cp "$work/orig" "$work/midatlas_$version.orig.tar.xz"
	tar -C "$work" -xf "$work/orig"
	cp -r "$top/debian" "$copy/"
	sed -i "s/@MAINTAINER@/$maintainer/" "$copy/debian/control"
	deb_changelog >"$copy/debian/changelog"
	chmod -R u=rwX,go=rX "$copy/debian"
	(cd "$copy" && dpkg-buildpackage -us -uc) >"$work/build.log" 2>&1 ||
		{ tail -n 20 "$work/build.log" >&2; die "the Debian packages do not build"; }
	lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/*.changes >"$work/lintian.log" 2>&1 ||
		{ cat "$work/lintian.log" >&2; die "lintian reports problems"; }
	[ ! -s "$work/lintian.log" ] || { cat "$work/lintian.log" >&2; die "lintian has printed something"; }
}

# On Debian rpm's database does not know what is installed, hence --nodeps. A source package has
# the path of the directory in it, so it is always the same one.
build_rpms() {
	local dir=/tmp/midatlas-rpm clamp='clamp_mtime_to_source_date_epoch 1'

	# The macro that limits the times of the files has another name from rpm 4.20 on.
	printf '%s\n' 4.20 "$(rpm --version | sed 's/.* //')" | sort -VC &&
		clamp='build_mtime_policy clamp_to_source_date_epoch'
	lock rpm
	rm -rf "$dir"
	mkdir -m 700 "$dir" "$dir"/{SOURCES,SPECS} || die "$dir belongs to somebody else: remove it"
	cp "$work/orig" "$dir/SOURCES/midatlas-$version.tar.xz"
	{ sed "s/^Version: .*/Version: $version/; s/^Packager: .*/Packager: $maintainer/" "$top/packaging/midatlas.spec"; rpm_changelog; } >"$dir/SPECS/midatlas.spec"
	touch -d "@$SOURCE_DATE_EPOCH" "$dir"/*/midatlas*
	rpmbuild -ba --nodeps --define "_topdir $dir" --define '_buildhost localhost' \
		--define 'source_date_epoch_from_changelog 0' --define 'use_source_date_epoch_as_buildtime 1' \
		--define "$clamp" "$dir/SPECS/midatlas.spec" >"$work/rpm.log" 2>&1 ||
		{ tail -n 20 "$work/rpm.log" >&2; die "the RPM packages do not build"; }
	! grep -i warning "$work/rpm.log" >&2 || die "warnings from rpmbuild"
	mv "$dir"/RPMS/noarch/*.rpm "$dir"/SRPMS/*.rpm "$work/"
	rm -rf "$dir"
}

need /usr/share/build-essential:build-essential dpkg-buildpackage:dpkg-dev dh:debhelper dh_dkms:dh-dkms \
	lintian:lintian fakeroot:fakeroot rpmbuild:rpm xz:xz-utils "/usr/lib/linux-kbuild-*/scripts/kernel-doc:linux-headers-amd64"
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$top/dkms.conf")
maintainer=$(sed -n 's/^M:	//p' "$top/MAINTAINERS")
[ -n "$maintainer" ] || die "MAINTAINERS has no line M:"
read -r newest date < <(releases) || die "CHANGELOG.md has no release"
[ "$newest" = "$version" ] || die "dkms.conf has the version $version, the newest release of CHANGELOG.md is $newest"
SOURCE_DATE_EPOCH=$(date -u -d "$date" +%s)
export SOURCE_DATE_EPOCH
workdir packages
orig >"$work/orig"
build_debs
build_rpms

mkdir -p "$out"
rm -f "$out"/midatlas*
mv "$work"/midatlas_* "$work"/midatlas-*.deb "$work"/*.rpm "$out"
say "built $(cd "$out" && echo *.deb *.rpm) in $out, lintian is silent"
