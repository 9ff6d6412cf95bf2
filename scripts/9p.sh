#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# 9p.sh [PART...]: tests the kernel's 9P client in two variants, stock and converted to
# midatlas, in one UML guest. See clients/9p/README.md.
#
#	short	converted only: 30 seconds of the next two, for "make check"
#	faults	a server of the tests' own: silent, slow, or against the protocol
#	work	diod: verified fio, dbench, a tree
#	kills	diod: KILLS processes killed during I/O, the server killed and stopped
#	virtio	QEMU's own server: the same as work, and processes killed
#	checked	faults, work and kills, converted only, under KASAN and others (scripts/kernel/kasan.config)
#
# Without PART: all but short.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/variants.sh"
. "$top/scripts/stock.sh"

client=9p
kills=${KILLS:-10000}
variants=${VARIANTS:-converted:stock}

# must KEY OPERATOR NUMBER: what the converted client must have shown
must() {
	local seen

	seen=$(value converted "$1")
	test "${seen%%/*}" "$2" "$3" 2>/dev/null || fault "$1 is ${seen:-missing}, must be $2 $3"
}

# must_be_none KEY...
must_be_none() {
	local key

	for key; do
		must "$key" -eq 0
	done
}

run_short() {
	guest 150 SECONDS_EACH=4
	must_be_none {kill_readers,kill_writers,kill_walkers,umount_f}:left {twice,late}:{wrong,errors,broken} silence:broken
	say "$(value converted handed_out) tags, all came back; $(value converted strays) stray replies"
}

run_faults() {
	guest 900 VARIANTS="$variants" SECONDS_EACH="${SECONDS_EACH:-20}"
	echo "Against a server that is silent, slow, or breaks the protocol:"
	side_by_side '[a-z_]*:.*|handed_out|strays|unaccounted|new_taints|leaks'
	must_be_none {kill_readers,kill_writers,kill_walkers,umount_f,max_tags}:left \
		{twice,type,late,max_tags}:{wrong,errors,broken} {silence,umount_f,undo,undo_honour}:broken \
		undo:{walk,open,create}{,_honour}:fids max_tags:pending
	must kill_readers:works_again -eq 8
	must twice:reads -ge "${LEAST:-10000}"
	must late:reads -ge "${LEAST:-30000}"
	must late:late_replies -ge 10
	must debugfs:reads -eq 8
	must max_tags:most -le 3
}

run_work() {
	guest 1800 VARIANTS="$variants"
	echo "Seconds for the same work:"
	side_by_side '(fio|dbench|tree|mount|umount):.*|handed_out|unaccounted|new_taints|leaks'
	[ -z "$(results '^converted .* failed')" ] || fault "$(results '^converted .* failed' | wc -l) loads failed"
}

run_kills() {
	guest 3600 VARIANTS="$variants" KILLS="$kills"
	echo "Processes killed in the middle of their I/O:"
	side_by_side '(kill|restart|pause):.*|handed_out|strays|unaccounted|new_taints|leaks'
	must_be_none kill:{alive,differs,mounts_left} pause:{load,verify_errors} restart:{left,works_again}
	must kill:killed -ge "$kills"
}

# build_for_debian VARIANT: the 9P modules, and ours, for Debian's kernel
build_for_debian() {
	local there=$root/build.$$ status=0

	"$top/clients/9p/convert.sh" "$source" "$there" "${1/converted/}"
	cp -r "$top"/mid*.[ch] "$top/atlas" "$there/"
	cat >>"$there/Kbuild" <<-'END'
		CFLAGS_midatlas.o := -I$(src)
		obj-m += midatlas.o
	END
	in_root /bin/make -C "/usr/src/linux-headers-$release" M="/build.$$" -j"$(nproc)" CONFIG_NET_9P_USBG=m modules \
		>"$work/$1.log" 2>&1 || status=$?
	mkdir -p "$work/$1"
	find "$there" -name '*.ko' -exec mv -t "$work/$1" {} +
	rm -rf "$there"
	! grep -iE 'warning:|error:' "$work/$1.log" >&2 || status=1
	[ $status -eq 0 ] || die "the $1 9p does not build for $release, see $work/$1.log"
}

# pack VARIANT: a kernel that mounts its root with the variant
pack() {
	local out=$work/kernel-$1 tree=$work/initrd-$1 module

	mkdir -p "$out" "$tree"/{bin,dev,proc,sys,root}
	copy_image "$out"
	pack_modules "$tree"
	for module in "$tree"/modules/*; do
		[ ! -e "$work/$1/${module#*/modules/*-}" ] || cp "$work/$1/${module#*/modules/*-}" "$module"
	done
	cp "$work/$1/midatlas.ko" "$tree/modules/00-midatlas.ko"
	cp "$top/tests/guest/initrd.sh" "$tree/init"
	cp /bin/busybox "$tree/bin/busybox"
	(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$out/initrd"
}

# QEMU's own server. The root of the guest is a mount of the variant, too.
run_virtio() {
	local variant

	need qemu-system-x86_64:qemu-system-x86 unshare:util-linux depmod:kmod xz:xz-utils
	root=$("$top/scripts/debian.sh" trixie-backports linux-{image,headers}-amd64 binutils)
	release=$(release_of amd64)
	[[ $release = "$(make -s -C "$source" kernelversion)"[-+]* ]] || die "Debian's kernel is $release, the source is not"
	: >"$work/results"
	for variant in ${variants//:/ }; do
		build_for_debian "$variant"
		pack "$variant"
		mkdir -p "$work/share"
		SHARE=$work/share guest_of "$work/kernel-$variant" 1200 VARIANT="$variant" KILLS="${KILLS:-200}"
		cat "$work/console.log" >>"$work/results"
		rm -rf "$work/share"
	done
	mv "$work/results" "$work/console.log"
	judge_converted
	echo "Against QEMU's own server, seconds for the same work:"
	side_by_side '(fio|dbench|tree|mount|umount|kill):.*|handed_out|strays|unaccounted|new_taints'
	[ -z "$(results '^converted .* failed')" ] || fault "$(results '^converted .* failed' | wc -l) loads failed"
	must_be_none kill:alive kill:differs
}

# In another process, because it uses another kernel
run_checked() {
	CONFIG=$top/scripts/kernel/kasan.config VARIANTS=converted KILLS=${KILLS:-1000} LEAST=100 "$0" faults work kills ||
		fault "the sanitizers report problems"
}

[ $# -gt 0 ] || set -- faults work kills virtio checked
need insmod:kmod busybox:busybox-static spatch:coccinelle python3:python3
[ "$*" = short ] || need diod:diod fio:fio dbench:dbench
kernel=$("$top/scripts/kernel.sh")
source=$kernel/source
workdir 9p
build_modules "$kernel"
modules=$("$top/clients/9p/module.sh" "$kernel" "$work")
cp -r "$modules"/{stock,converted} "$work/"
for part; do
	declare -F "run_$part" >/dev/null || die "no part '$part': short, faults, work, kills, virtio or checked"
	"run_$part"
done
[ ${#wrong[@]} -eq 0 ] || die "FAILED: $(printf '%s; ' "${wrong[@]}")"
