#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# uml.sh KERNEL DIR SCRIPT [NAME=VALUE...]: boots a UML kernel on the root filesystem of
# this machine, read-only. Its first process is tests/guest/SCRIPT, with DIR as the
# working directory.
#
# It succeeds if the guest prints "@ done" within $LIMIT seconds and the kernel logs no
# problem. DIR/console.log has the whole log.

. "$(dirname "$0")/lib.sh"
. "$top/scripts/boot.sh"

kernel=$1 dir=$2 script=$3
shift 3
memory=512
seconds=${LIMIT:-600}

# UML needs both arguments for a second CPU.
cpus=1
args=()
if grep -q '^CONFIG_SMP=y' "$kernel/.config"; then
	cpus=2
	args=(seccomp=on "ncpus=$cpus")
fi
profiled=$(grep -c '^CONFIG_MEM_ALLOC_PROFILING=y' "$kernel/.config" || true)

# UML keeps its memory in a file on /dev/shm, which is tiny in many containers.
[ "$(df --output=avail -BM /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)0" -gt ${memory}0 ] ||
	export TMPDIR=$dir

mkdir -p "$dir/guest"
cp "$top"/tests/guest/* "$dir/guest/"
run_guest "$seconds" "$dir" \
	"$kernel/linux" mem=${memory}M "${args[@]}" uml_dir="$dir/" umid=uml \
	rootfstype=hostfs rootflags=/ ro init="$dir/guest/$script" con=null con0=fd:0,fd:1 \
	ignore_loglevel CPUS=$cpus PROFILED="$profiled" KERNEL="$kernel" WORK="$dir" "$@"
judge "$dir" "$seconds"
