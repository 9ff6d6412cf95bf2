#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Shows that the Debian packages do what they are for, on a clean system in a
# chroot with the headers of two kernels: apt installs them, dkms builds the
# modules for both kernels, a client is built against them that has nothing else
# of ours, and removal leaves nothing. Some minutes.

. "$(dirname "$0")/lib.sh"

# What others write whenever packages come and go: apt, depmod, dkms its key
not_ours='^/(proc|sys|dev|tmp|run|packages)(/|$)|^/var/(log|cache|lib/(apt|dpkg))/|^(/usr)?/lib/modules/[^/]*/modules\.'
not_ours+='|^/var/lib/dkms/mok\.'

# shellcheck disable=SC2016  # apt-get puts these in
sources() {
	apt-get indextargets 'Identifier: Packages' 'Origin: Debian' --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
}

# With a /proc of its own, and no trace of it outside
inside() {
	unshare --mount --pid --fork --kill-child --root="$root" --mount-proc \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C INITRD=No DEBIAN_FRONTEND=noninteractive "$@"
}
apt() { inside apt-get -y -q --no-install-recommends "$@" >>"$work/apt.log" 2>&1 || die "apt-get $1 failed, see $work/apt.log"; }
files() { inside find / -xdev ! -type d -o -type d -path '*midatlas*' | grep -vE "$not_ours" | sort; }

# Headers of the release's own kernel and of the newest other that it offers
install_kernels() {
	local other

	other=$(inside apt-cache search --names-only '^linux-headers-[0-9]+\.[0-9]+-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
	[ -n "$other" ] || die "this release offers the headers of one kernel only"
	apt install linux-headers-amd64 "$other"
	kernels=$(inside ls /lib/modules)
	[ "$(wc -w <<<"$kernels")" -eq 2 ] || die "not two kernels but: ${kernels//$'\n'/ }"
}

# In a folder of its own, with what the package midatlas-dev says about it
build_client() {
	inside sh -ec "rm -rf /root/client; cp -r /usr/share/doc/midatlas-dev/examples /root/client
		make -C /root/client KDIR=/lib/modules/$1/build" >"$work/client-$1.log" 2>&1 ||
		die "the client does not build for Linux $1, see $work/client-$1.log"
	! grep -iE 'warning:|error:' "$work/client-$1.log" || die "warnings from the client's build for Linux $1"
	[[ $(inside modinfo -F depends /root/client/smbecho.ko) = *midatlas* ]] || die "the client does not depend on midatlas"
	inside rm -r /root/client
}

check_kernel() {
	local module

	# By name, so depmod knows them, too
	for module in "${modules[@]}"; do
		[[ $(inside modinfo -k "$1" -F filename "$module") = "/lib/modules/$1/updates/dkms/$module.ko"* ]] ||
			die "no $module for Linux $1"
		[ "$(inside modinfo -k "$1" -F vermagic "$module" | cut -d ' ' -f 1)" = "$1" ] ||
			die "$module for Linux $1 was built for another"
	done
	build_client "$1"
	say "Linux $1: dkms has built ${modules[*]}, and a client builds against midatlas-dev"
}

check_man() {
	[ "$(inside dpkg -L midatlas-dev | grep -c '/man9/mid')" -eq "$(cat "$top"/*.c | grep -c '^EXPORT_SYMBOL_GPL')" ] ||
		die "not every exported symbol has a man page in midatlas-dev"
}

mapfile -t modules < <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' "$top/dkms.conf")
[ "$(id -u)" -eq 0 ] || die "not root: sudo make check-packages"
need mmdebstrap:mmdebstrap
need_space 3
workdir check-packages
root=$work/root

"$top/scripts/packages.sh" "$work/packages"
say "installing a clean $(. /etc/os-release; echo "$PRETTY_NAME") in a chroot"
mkdir -p "$root"
# Nobody will miss it after a crash: no fsync.
sources | mmdebstrap --quiet --variant=apt --include=ca-certificates --dpkgopt=force-unsafe-io - "$root" - >"$work/debootstrap.log" 2>&1 ||
	die "mmdebstrap failed, see $work/debootstrap.log"
apt update
install_kernels
apt install dkms pkgconf
files >"$work/before"

mkdir "$root/packages"
cp "$work"/packages/*.deb "$root/packages/"
inside sh -c 'cd / && apt-get -y -q --no-install-recommends install ./packages/*.deb' >"$work/install.log" 2>&1 ||
	die "apt cannot install the packages, see $work/install.log"
for kernel in $kernels; do
	check_kernel "$kernel"
done
check_man

apt purge midatlas-dev midatlas-dkms
files >"$work/after"
diff "$work/before" "$work/after" >&2 || die "the packages leave something behind, or take something along"
say "removed, and nothing is left behind"
