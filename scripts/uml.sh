#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# uml.sh KERNEL DIR SCRIPT [NAME=VALUE...]: boots a UML kernel on this
# machine's own userland, read-only, with scripts/guest/SCRIPT as its first
# process and DIR as that one's working directory.
#
# It succeeds when the guest says so ("@ done") within the time, and the kernel
# has nothing to complain about. DIR/console.log has all of it; the guest's other
# lines that begin with "@ " are shown as they come.

. "$(dirname "$0")/lib.sh"

kernel=$1 dir=$2 script=$3
shift 3
log=$dir/console.log
memory=512
seconds=600

complaints='WARNING:|BUG:|Oops|Call Trace|Kernel panic|[Ss]tall|refcount_t:|[Uu]nable to handle'
complaints+='|Modules linked in|blocked for more than|allocated at module unload|memory leak'

# UML needs both arguments for a second CPU
cpus=1
args=()
if grep -q '^CONFIG_SMP=y' "$kernel/.config"; then
	cpus=2
	args=(seccomp=on "ncpus=$cpus")
fi

# UML keeps its memory in a file on /dev/shm, which containers make tiny
[ "$(df --output=avail -BM /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)0" -gt ${memory}0 ] ||
	export TMPDIR=$dir

mkdir -p "$dir/guest"
cp "$top"/scripts/guest/* "$dir/guest/"

# Whatever ends UML, its other processes are to go with it: one that is left would
# hold the output open, and tee wait for ever. UML has a session of its own, and
# outlives SIGINT and SIGTERM.
end_guest() { kill -KILL $guest "-$(cat "$dir/uml/pid" 2>/dev/null || echo $guest)" 2>/dev/null || true; }

rm -rf "$dir/console" "$dir/uml"
mkfifo "$dir/console"
tee "$log" <"$dir/console" | sed -un '/^@ done/d; s/^@ /  /p' >&2 &
reader=$!
timeout -s KILL "$seconds" \
	"$kernel/linux" mem=${memory}M "${args[@]}" uml_dir="$dir/" umid=uml \
	rootfstype=hostfs rootflags=/ ro init="$dir/guest/$script" con=null con0=fd:0,fd:1 \
	ignore_loglevel CPUS=$cpus KERNEL="$kernel" WORK="$dir" "$@" </dev/null >"$dir/console" 2>&1 &
guest=$!
trap 'end_guest; trap - INT; kill -INT $$' INT TERM
wait $guest || true
end_guest
wait $reader || true
rm "$dir/console"

if grep -E "^\[ *[0-9]+\.[0-9]+\].*($complaints)" "$log" >&2; then
	die "the kernel complained, see $log"
fi
grep -aq '^@ done' "$log" || die "the guest failed or took over $seconds s, see the end of $log"
