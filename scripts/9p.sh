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
#	checked	all of these, under KASAN and others (scripts/kernel/kasan.config)
#
# Without PART: all but short.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/variants.sh"

client=9p
kills=${KILLS:-10000}

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
	guest 600 SECONDS_EACH=10
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
	guest 1200
	echo "Seconds for the same work:"
	side_by_side '(fio|dbench|tree|mount|umount):.*|handed_out|unaccounted|new_taints|leaks'
	[ -z "$(results '^converted .* failed')" ] || fault "$(results '^converted .* failed' | wc -l) loads failed"
}

run_kills() {
	guest 1200 KILLS="$kills"
	echo "Processes killed in the middle of their I/O:"
	side_by_side '(kill|restart|pause):.*|handed_out|strays|unaccounted|new_taints|leaks'
	must_be_none kill:{alive,differs,mounts_left} pause:{load,verify_errors} restart:{left,works_again}
	must kill:killed -ge "$kills"
}

# In another process, because it uses another kernel
run_checked() {
	CONFIG=$top/scripts/kernel/kasan.config KILLS=${KILLS:-1000} LEAST=100 "$0" faults work kills ||
		fault "the sanitizers report problems"
}

[ $# -gt 0 ] || set -- faults work kills checked
need insmod:kmod busybox:busybox-static spatch:coccinelle python3:python3
[ "$*" = short ] || need diod:diod fio:fio dbench:dbench
kernel=$("$top/scripts/kernel.sh")
workdir 9p
build_modules "$kernel"
modules=$("$top/clients/9p/module.sh" "$kernel" "$work")
cp -r "$modules"/{stock,converted} "$work/"
for part; do
	declare -F "run_$part" >/dev/null || die "no part '$part': short, faults, work, kills or checked"
	"run_$part"
done
[ ${#wrong[@]} -eq 0 ] || die "FAILED: $(printf '%s; ' "${wrong[@]}")"
