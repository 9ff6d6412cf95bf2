#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests the packages in a clean chroot with the headers of two kernels, by the commands of the
# documentation as they stand there: those of README.md, client.rst, installing.rst and
# performance.rst are run in the chroot; from the first that loads a module on, the rest of a
# block is run in QEMU, with the chroot as its root and Debian's kernel. Then removal must
# leave nothing behind, the packages' own tests (autopkgtest) must pass, and a second build must
# give the same packages. Takes some minutes.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/stock.sh"

# Files that apt, depmod and dkms (its key) write for any package; and the repository
not_ours='^/(proc|sys|dev|tmp|run|root|guest)(/|$)|^/var/(log|cache|lib/(apt|dpkg))/|^(/usr)?/lib/modules/[^/]*/modules\.'
not_ours+='|^/var/lib/dkms/mok\.'
pages=(README.md Documentation/{client,installing,performance}.rst)
# What no chroot can do: scripts that are run by themselves, and Secure Boot, which is the firmware's
skip='^make (demo|check|bench|kunit)|mokutil'
# What needs the kernel
loads='^sudo (insmod|modprobe|make bench)'

# shellcheck disable=SC2016  # apt-get expands these
sources() {
	apt-get indextargets 'Identifier: Packages' 'Origin: Debian' --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
}

# inside COMMAND...: in the chroot, with a private /proc
inside() {
	unshare --mount --pid --fork --kill-child --root="$root" --mount-proc \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C INITRD=No DEBIAN_FRONTEND=noninteractive "$@"
}
apt() { inside apt-get -y -q --no-install-recommends "$@" >>"$work/apt.log" 2>&1 || die "apt-get $1 failed, see $work/apt.log"; }
files() { inside find / -xdev ! -type d -o -type d -path '*midatlas*' | grep -vE "$not_ours" | sort; }

# The release's default kernel, its headers, and those of the newest other one
install_kernels() {
	local other

	other=$(inside apt-cache search --names-only '^linux-headers-[0-9]+\.[0-9]+-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
	[ -n "$other" ] || die "this release has the headers of one kernel only"
	apt install linux-image-amd64 linux-headers-amd64 "$other"
	kernels=$(inside ls /lib/modules)
	[ "$(wc -w <<<"$kernels")" -eq 2 ] || die "not two kernels but: ${kernels//$'\n'/ }"
}

# The chroot runs on another kernel than the one that the commands are for.
pretend_release() {
	# shellcheck disable=SC2016  # of dpkg-query
	release=$(inside dpkg-query -W -f '${Depends}' linux-image-amd64 | sed 's/^linux-image-\([^ ]*\).*/\1/')
	cat >"$root/usr/local/bin/uname" <<-END
		#!/bin/sh
		[ "\$*" != -r ] || exec echo $release
		exec /bin/uname "\$@"
	END
	chmod +x "$root/usr/local/bin/uname"
}

# run_block: the commands on stdin. Packages are built outside of the chroot, which is to stay
# clean; what needs the kernel goes to the guest.
run_block() {
	local block

	block=$(cat)
	if [[ $block = *'make packages'* ]]; then
		[ -e "$repo/packages" ] || make -s -C "$repo" packages || return
		block=$(grep -v '^make packages$' <<<"$block") || return 0
	fi
	if grep -qE "$loads" <<<"$block"; then
		{ sed -nE "/$loads/,\$p" <<<"$block"; echo; } >>"$root/guest/commands"
		block=$(sed -E "/$loads/,\$d" <<<"$block")
	fi
	[ -n "$block" ] || return 0
	say "${block//$'\n'/; }"
	[[ $block != *TREE* ]] || mkdir -p "$repo/TREE/lib"
	inside sh -ec "cd /root/midatlas; $block" >>"$work/commands.log" 2>&1 || { tail -n 5 "$work/commands.log" >&2; return 1; }
}

run_pages() {
	local page line block

	for page in "${pages[@]}"; do
		block=
		while IFS= read -r line; do
			if [ -n "$line" ]; then
				block+=$line$'\n'
			elif [ -n "$block" ]; then
				run_block <<<"${block%$'\n'}" || die "$page: a command fails: ${block//$'\n'/; }, see $work/commands.log"
				block=
			fi
		done < <(python3 -B tests/docs/pages.py commands "$page" | grep -vE "$skip")
		[ "$page" != "${pages[1]}" ] || check_installed
	done
}

# What the two first pages have installed
check_installed() {
	local module kernel

	for kernel in $kernels; do
		# modinfo -k finds a module by name only if depmod has seen it.
		for module in "${modules[@]}"; do
			[[ $(inside modinfo -k "$kernel" -F filename "$module") = "/lib/modules/$kernel/updates/dkms/$module.ko"* ]] ||
				die "no $module for Linux $kernel"
			[ "$(inside modinfo -k "$kernel" -F vermagic "$module" | cut -d ' ' -f 1)" = "$kernel" ] ||
				die "$module for Linux $kernel was built for another kernel"
		done
	done
	[ "$(inside dpkg -L midatlas-dev | grep -c '/man9/mid')" -eq "$(cat "$top"/*.c | grep -c '^EXPORT_SYMBOL_GPL')" ] ||
		die "not every exported function has a man page in midatlas-dev"
	in_guest
}

# The guest runs while the packages are installed.
in_guest() {
	arch=x86_64 name=guest
	rm -rf "$work/guest"
	mkdir -p "$root/guest/dir"
	pack
	rm -rf "$root/guest/kernel"
	cp -r "$work/guest/kernel" "$root/guest/"
	ROOT=$root LIMIT=${LIMIT:-400} "$top/scripts/qemu.sh" "$root/guest/kernel" "$root/guest/dir" pages.sh ||
		{ cp "$root/guest/dir/console.log" "$work/"; die "a command fails in the guest, see $work/console.log"; }
	: >"$root/guest/commands"
}

same_packages() {
	"$top/scripts/packages.sh" "$work/again" 2>/dev/null || die "the packages do not build a second time"
	(cd "$work/again" && sha256sum -- *.deb *.dsc *.tar.* *.rpm) | (cd "$repo/packages" && sha256sum --quiet -c) ||
		die "a second build gives other packages"
}

mapfile -t modules < <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' "$top/dkms.conf")
[ "$(id -u)" -eq 0 ] || die "not root: run sudo make check-packages"
need mmdebstrap:mmdebstrap git:git qemu-system-x86_64:qemu-system-x86 busybox:busybox-static insmod:kmod
need_space 5
cd "$top"
workdir check-packages
root=$work/root repo=$root/root/midatlas

say "installing $(. /etc/os-release; echo "$PRETTY_NAME") in a chroot"
mkdir -p "$root"
# The chroot is temporary, so fsync is not needed.
sources | mmdebstrap --quiet --variant=apt --include=ca-certificates --dpkgopt=force-unsafe-io - "$root" - >"$work/debootstrap.log" 2>&1 ||
	die "mmdebstrap failed, see $work/debootstrap.log"
echo 'APT::Get::Assume-Yes "true";' >"$root/etc/apt/apt.conf.d/assume-yes"
apt update
install_kernels
apt install dkms gcc pkgconf python3 sudo make git openssl hostname man-db mount busybox-static
pretend_release
mkdir -p "$root/guest" "$repo"
# sudo passes on what pages.sh sets for the benchmark.
echo 'Defaults !env_reset' >"$root/etc/sudoers.d/environment"
git clone -q --no-hardlinks "$top" "$work/clone"
mv "$work/clone/.git" "$repo/"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$repo"
files >"$work/before"

run_pages
in_guest
files >"$work/after"
diff "$work/before" "$work/after" >&2 || die "removing the packages leaves or removes other files"
apt install autopkgtest autodep8
# dkms' own test may break the chroot, which is temporary.
inside sh -c 'cd /root/midatlas/packages && autopkgtest --ignore-restrictions=breaks-testbed ./*.deb ./*.dsc -- null' >"$work/autopkgtest.log" 2>&1 ||
	die "autopkgtest fails, see $work/autopkgtest.log"
same_packages
say "the packages install, work and go without a trace, and build the same twice; autopkgtest: $(
	grep -cE ' PASS$' "$work/autopkgtest.log") passed"
