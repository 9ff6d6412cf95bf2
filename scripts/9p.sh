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
#	virtio	QEMU's own server: the same as work, processes killed, a slow server. TESTS
#		selects some of them, see tests/guest/9p-virtio.sh.
#	speed	diod, and QEMU's own server: throughput, the variants in turn. TRANSPORTS selects
#		fd or virtio.
#	checked	faults, work and kills, converted only, under KASAN and others (scripts/kernel/kasan.config)
#
# Without PART: all but short.

. "$(dirname "$0")/lib.sh"
. "$top/clients/variants.sh"
. "$top/scripts/stock.sh"

client=9p
kills=${KILLS:-10000}
runs=${RUNS:-5}
variants=${VARIANTS:-converted:stock}

# must KEY OPERATOR NUMBER: what the converted client must have shown
must() {
	local seen

	seen=$(value converted "$1")
	test "${seen%%/*}" "$2" "$3" 2>/dev/null || fault "$1 is ${seen:-missing}, must be $2 $3"
	[ "$seen" != 0/0 ] || fault "$1: no process was there to be killed"
}

# must_be_none KEY...
must_be_none() {
	local key

	for key; do
		must "$key" -eq 0
	done
}

# row LETTER TEXT KEY...: a line of the table for people, with the results of both variants
row() {
	local letter=$1 text=$2 variant key line

	shift 2
	line=$(printf '  %-3s%-54s' "$letter" "$text")
	for variant in stock converted; do
		line+=$(printf '%24s' "$(for key; do value $variant "$key"; done | paste -sd ' ')")
	done
	echo "$line" >>"$work/table"
}

run_short() {
	guest 150 SECONDS_EACH=4
	must_be_none {kill_readers,kill_writers,kill_walkers,umount_f}:left {twice,late}:{wrong,errors,broken} silence:broken
	say "$(value converted handed_out) tags, all came back; $(value converted strays) stray replies"
}

run_faults() {
	cp -r "$("$top/clients/9p/module.sh" "$kernel" "$work" hooks)"/*-hooks "$work/"
	guest 900 VARIANTS="$variants" SECONDS_EACH="${SECONDS_EACH:-20}"
	echo "Against a server that is silent, slow, or breaks the protocol:"
	side_by_side '[a-z_]*:.*|handed_out|strays|unaccounted|new_taints|leaks'
	must_be_none {kill_readers,kill_writers,kill_walkers,umount_f,max_tags}:left \
		{twice,type,late,max_tags}:{wrong,errors,broken} {silence,umount_f,undo,undo_honour,window,flush_fails}:broken \
		flush_fails:{left,pending} hooks:{unaccounted,leaks} \
		undo:{walk,open,create}{,_honour}:fids max_tags:pending
	must kill_readers:works_again -eq 8
	must twice:reads -ge "${LEAST:-10000}"
	must late:reads -ge "${LEAST:-30000}"
	must late:late_replies -ge 10
	must debugfs:reads -eq 8
	must max_tags:most -le 3
	must window:ms -lt 2500
	row A 'left after kill -9, the server is silent: readers' kill_readers:left
	row '' 'writers' kill_writers:left
	row '' 'tasks that walk and open' kill_walkers:left
	row B 'readers left after umount -f' umount_f:left
	row C 'each reply twice: reads, wrong, mount' twice:{reads,wrong,mount}
	row '' 'a reply of a wrong type first: reads, wrong, mount' type:{reads,wrong,mount}
	row D 'late replies after Rflush: reads, wrong, mount' late:{reads,wrong,mount}
	row E 'reply to a tag that is being taken: ms till the next' window:ms
	row F 'error after a cut at bytes 0 to 14' cut:errors
	row H 'requests never flushed, no memory for the Tflush' flush_fails:pending
	row '' 'tags handed out, not returned' handed_out unaccounted
	row '' 'fids left by a killed walk, open, create' undo:{walk,open,create}:fids
	row '' 'the same, and the late reply comes' undo:{walk,open,create}_honour:fids
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
	row '' 'diod: killed during I/O; works, data same (0: yes)' kill:{killed,alive,differs}
}

# build_for_debian VARIANT [hooks]: the 9P modules, and ours, for Debian's kernel
build_for_debian() {
	local there=$root/build.$$ status=0

	"$top/clients/9p/convert.sh" "$source" "$there" "${1/converted/}"
	[ $# = 1 ] || "$top/tests/9p/hooks.sh" "$there"
	cp -r "$top"/mid*.[ch] "$top/atlas" "$there/"
	cat >>"$there/Kbuild" <<-'END'
		CFLAGS_midatlas.o := -I$(src)
		obj-m += midatlas.o
	END
	in_root /bin/make -C "/usr/src/linux-headers-$release" M="/build.$$" -j"$(nproc)" CONFIG_NET_9P_USBG=m modules \
		>"$work/$1.log" 2>&1 || status=$?
	mkdir -p "$built/$1${2:+-$2}"
	find "$there" -name '*.ko' -exec mv -t "$built/$1${2:+-$2}" {} +
	rm -rf "$there"
	! grep -iE 'warning:|error:' "$work/$1.log" >&2 || status=1
	[ $status -eq 0 ] || die "the $1 9p does not build for $release, see $work/$1.log"
}

# Debian's kernel, and both variants for it in $work/$release. They are built once.
prepare_debian() {
	local key variant

	need qemu-system-x86_64:qemu-system-x86 unshare:util-linux depmod:kmod xz:xz-utils
	root=$("$top/scripts/debian.sh" trixie-backports linux-{image,headers}-amd64 binutils)
	release=$(release_of amd64)
	[[ $release = "$(make -s -C "$source" kernelversion)"[-+]* ]] || die "Debian's kernel is $release, the source is not"
	lock 9p-debian
	built=$cache/9p-of-$release
	key=$(cat "$top"/clients/lib.sh "$top"/clients/9p/*.{cocci,sh,[ch]} "$top"/tests/9p/* "$top"/mid*.[ch] "$top"/atlas/* | sha256sum)
	if [ "$(cat "$built/key" 2>/dev/null)" != "$key" ]; then
		rm -rf "$built"
		for variant in stock converted; do
			build_for_debian $variant
			build_for_debian $variant hooks
		done
		echo "$key" >"$built/key"
	fi
	exec 9>&-
}

# pack VARIANT: a kernel that mounts its root with the variant. The hooks in it do nothing
# unless a test sets them
pack() {
	local tree=$work/initrd-$1 module

	start_tree
	for module in "$tree"/modules/*; do
		[ ! -e "$built/$1-hooks/${module#*/modules/*-}" ] || cp "$built/$1-hooks/${module#*/modules/*-}" "$module"
	done
	cp "$built/$1-hooks/midatlas.ko" "$tree/modules/00-midatlas.ko"
	cp "$top/tests/guest/initrd.sh" "$tree/init"
	end_tree "$work/kernel-$1"
}

# start_tree, end_tree KERNEL: around what makes the initrd from $tree
start_tree() {
	mkdir -p "$tree"/{bin,dev,proc,sys,root}
	cp /bin/busybox "$tree/bin/busybox"
	pack_modules "$tree"
}

end_tree() {
	mkdir -p "$1"
	copy_image "$1"
	(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$1/initrd"
}

# A kernel that measures the speed: all is in its initrd, and 9p can be unloaded.
pack_for_speed() {
	local tree=$work/initrd-speed program

	start_tree
	rm "$tree"/modules/*-9p*
	mkdir -p "$tree"/{media,mnt,run,tmp,guest,9p}
	cp -r "$built"/{stock,converted} "$built/converted/midatlas.ko" "$tree/9p/"
	cp "$top"/tests/guest/*.sh "$tree/guest/"
	for program in fio dbench; do
		program=$(command -v $program)
		# shellcheck disable=SC2046
		cp -L --parents "$program" $(ldd "$program" | grep -o '/[^ ]*') "$tree/"
	done
	cat >"$tree/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		for module in /modules/*.ko /9p/midatlas.ko; do
			insmod "$module" || exit
		done
		mount -t devtmpfs dev /dev
		export KERNEL=/modules WORK=/9p
		exec /guest/9p-speed.sh
	END
	chmod +x "$tree/init"
	end_tree "$work/kernel-speed"
}

run_speed() {
	local transport key ratio

	for transport in ${TRANSPORTS:-fd virtio}; do
		if [ "$transport" = virtio ]; then
			prepare_debian
			pack_for_speed
			mkdir -p "$work/share"
			SHARE=$work/share guest_of "$work/kernel-speed" 900 TRANSPORT=virtio RUNS="$runs"
		else
			PINNED=yes guest 900 TRANSPORT="$transport" RUNS="$runs"
		fi
		judge_converted
		echo "Operations per second over $transport: median (minimum-maximum), and the ratio of $runs runs:"
		printf '  %-14s%24s%24s%20s\n' '' stock converted converted/stock
		for key in "$transport"-{fio,dbench}; do
			printf '  %-14s%24s%24s%20s\n' "$key" "$(rates stock "$key" | cut -d . -f 1 | spread)" \
				"$(rates converted "$key" | cut -d . -f 1 | spread)" "$(ratios "$key" | cut -c 1-5 | spread)"
			ratio=$(ratios "$key" | median)
			echo "     $key: $ratio of the speed of stock" >>"$work/table"
			awk "BEGIN { exit !(${ratio:-0} >= 0.97) }" || fault "$key: ${ratio:-no} of the speed of stock"
		done
	done
}

# QEMU's own server. The root of the guest is a mount of the variant, too.
run_virtio() {
	local variant tests=${TESTS:-loads:kills:slow:unpinned:closed}

	prepare_debian
	: >"$work/results"
	for variant in ${variants//:/ }; do
		pack "$variant"
		mkdir -p "$work/share"
		SHARE=$work/share guest_of "$work/kernel-$variant" 1200 VARIANT="$variant" KILLS="${KILLS:-200}" TESTS="$tests"
		cat "$work/console.log" >>"$work/results"
		rm -rf "$work/share"
	done
	mv "$work/results" "$work/console.log"
	judge_converted
	echo "Against QEMU's own server, seconds for the same work:"
	side_by_side '(fio|dbench|tree|mount|umount|kill|slow|unpinned|closed):.*|handed_out|strays|unaccounted|new_taints'
	[ -z "$(results '^converted .* failed')" ] || fault "$(results '^converted .* failed' | wc -l) loads failed"
	[[ $tests != *kills* ]] || must_be_none kill:{alive,differs}
	[[ $tests != *slow* ]] || must_be_none slow:{left,overwritten}
	[[ $tests != *unpinned* ]] || must_be_none unpinned:{left,overwritten}
	[[ $tests != *closed* ]] || must_be_none closed:{left,underflows}
	row A 'virtio: left after kill -9, zero-copy, slow server' slow:left
	row I 'the same, and no Tflush: bytes of others overwritten' unpinned:overwritten
	row K 'the same, and unmounted: a reference is put twice' closed:underflows
	row '' 'virtio: killed during I/O; works, data same (0: yes)' kill:{killed,alive,differs}
}

# In another process, because it uses another kernel
run_checked() {
	CONFIG=$top/scripts/kernel/kasan.config VARIANTS=converted KILLS=${KILLS:-1000} LEAST=100 "$0" faults work kills ||
		fault "the sanitizers report problems"
}

[ $# -gt 0 ] || set -- faults work kills virtio speed checked
need insmod:kmod busybox:busybox-static spatch:coccinelle python3:python3 diod:diod
[ "$*" = short ] || need fio:fio dbench:dbench taskset:util-linux
kernel=$("$top/scripts/kernel.sh")
source=$kernel/source
workdir 9p
build_modules "$kernel"
modules=$("$top/clients/9p/module.sh" "$kernel" "$work")
cp -r "$modules"/{stock,converted} "$work/"
for part; do
	declare -F "run_$part" >/dev/null || die "no part '$part': short, faults, work, kills, virtio, speed or checked"
	"run_$part"
done
if [ -e "$work/table" ] && [ "$variants" != converted ]; then
	echo "The faults of clients/9p/README.md (G, J, L and M are argued there):"
	printf '  %-57s%24s%24s\n' '' stock converted
	cat "$work/table"
	echo "Lines that the conversion has added and removed:"
	awk '{ print; a += $2; r += $3 } END { print "all", a, r }' "$modules/lines" | xargs printf '  %-36s%6d%6d\n'
fi
[ ${#wrong[@]} -eq 0 ] || die "FAILED: $(printf '%s; ' "${wrong[@]}")"
