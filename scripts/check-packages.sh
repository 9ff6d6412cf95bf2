#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests the Debian packages in a clean chroot with the headers of two kernels: apt
# installs them, dkms builds the modules for both kernels, the example client builds
# against them, and removal leaves nothing behind. Takes some minutes.

. "$(dirname "$0")/lib.sh"

# Files that apt, depmod and dkms (its key) write for any package
not_ours='^/(proc|sys|dev|tmp|run|packages)(/|$)|^/var/(log|cache|lib/(apt|dpkg))/|^(/usr)?/lib/modules/[^/]*/modules\.'
not_ours+='|^/var/lib/dkms/mok\.'

# shellcheck disable=SC2016  # apt-get expands these
sources() {
	apt-get indextargets 'Identifier: Packages' 'Origin: Debian' --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
}

# inside COMMAND...: in the chroot, with a private /proc
inside() {
	unshare --mount --pid --fork --kill-child --root="$root" --mount-proc \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C INITRD=No DEBIAN_FRONTEND=noninteractive "$@"
}
apt() { inside apt-get -y -q --no-install-recommends "$@" >>"$work/apt.log" 2>&1 || die "apt-get $1 failed, see $work/apt.log"; }
files() { inside find / -xdev ! -type d -o -type d -path '*midatlas*' | grep -vE "$not_ours" | sort; }

# Headers of the release's default kernel and of the newest other one
install_kernels() {
	local other

	other=$(inside apt-cache search --names-only '^linux-headers-[0-9]+\.[0-9]+-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
	[ -n "$other" ] || die "this release has the headers of one kernel only"
	apt install linux-headers-amd64 "$other"
	kernels=$(inside ls /lib/modules)
	[ "$(wc -w <<<"$kernels")" -eq 2 ] || die "not two kernels but: ${kernels//$'\n'/ }"
}

# The example of midatlas-dev, in its own directory, by the commands of the package
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

	# modinfo -k finds a module by name only if depmod has seen it.
	for module in "${modules[@]}"; do
		[[ $(inside modinfo -k "$1" -F filename "$module") = "/lib/modules/$1/updates/dkms/$module.ko"* ]] ||
			die "no $module for Linux $1"
		[ "$(inside modinfo -k "$1" -F vermagic "$module" | cut -d ' ' -f 1)" = "$1" ] ||
			die "$module for Linux $1 was built for another kernel"
	done
	build_client "$1"
	say "Linux $1: dkms has built ${modules[*]}, and a client builds against midatlas-dev"
}

check_man() {
	[ "$(inside dpkg -L midatlas-dev | grep -c '/man9/mid')" -eq "$(cat "$top"/*.c | grep -c '^EXPORT_SYMBOL_GPL')" ] ||
		die "not every exported function has a man page in midatlas-dev"
	[ "$(inside dpkg -L midatlas-tools | grep -c '/man1/mid')" -eq 1 ] || die "midatlas-top has no man page"
}

check_tools() {
	inside midatlas-top --help >"$work/top.log" 2>&1 || die "midatlas-top does not run, see $work/top.log"
}

mapfile -t modules < <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' "$top/dkms.conf")
[ "$(id -u)" -eq 0 ] || die "not root: run sudo make check-packages"
need mmdebstrap:mmdebstrap
need_space 3
workdir check-packages
root=$work/root

"$top/scripts/packages.sh" "$work/packages"
say "installing $(. /etc/os-release; echo "$PRETTY_NAME") in a chroot"
mkdir -p "$root"
# The chroot is temporary, so fsync is not needed.
sources | mmdebstrap --quiet --variant=apt --include=ca-certificates --dpkgopt=force-unsafe-io - "$root" - >"$work/debootstrap.log" 2>&1 ||
	die "mmdebstrap failed, see $work/debootstrap.log"
apt update
install_kernels
apt install dkms pkgconf python3
files >"$work/before"

mkdir "$root/packages"
cp "$work"/packages/*.deb "$root/packages/"
inside sh -c 'cd / && apt-get -y -q --no-install-recommends install ./packages/*.deb' >"$work/install.log" 2>&1 ||
	die "apt cannot install the packages, see $work/install.log"
for kernel in $kernels; do
	check_kernel "$kernel"
done
check_man
check_tools

apt purge midatlas-dev midatlas-dkms midatlas-tools
files >"$work/after"
diff "$work/before" "$work/after" >&2 || die "removing the packages leaves or removes other files"
say "the packages install, build and uninstall cleanly"
