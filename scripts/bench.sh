#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Benchmarks the atlas, the window and their baselines in a UML kernel of its own, and prints
# tables and whether each target is met.
#
# MODE=quick (the default), full, or smoke (checks the results, not the speed, in the kernel
# of "make check"). OUT=DIR receives the results.
# BEFORE=COMMIT measures the atlas of that commit in the same run, as "before".
# ONLY=NAME,... measures only these baselines, and in quick mode all depths in both orders.
# PARTS="window sat" measures only these: atlas, window, sat (full tables while tasks wait), read
# (the cost of a task that shows the files in debugfs again and again).
# HERE=yes loads the modules of "make modules" into the running kernel instead, and packs the
# results and the description of the machine into midatlas-bench-MACHINE.tar.gz, in OUT or
# the current directory.

. "$(dirname "$0")/lib.sh"

mode=${MODE:-quick} out=${OUT:-} here=${HERE:-} before=${BEFORE:-} only=${ONLY:-}
parts=${PARTS:-atlas window sat$([ -n "$here" ] || echo ' read')}

# Depths, as maximum/in flight
main=4096/1,4096/50,4096/1000,65535/4096,65535/65472
# Three quarters full
three_quarters=64/48,4096/3072,65535/49152
# The depths at each maximum, and exactly full
all=64/1,64/50,$three_quarters,$main,4096/4096,65535/1,65535/50,65535/1000,65535/65535
full=50/50,64/64,4096/4096,65535/65535
reuse=64/1,64/50,65535/1,65535/50,65535/1000

# The module's parameters for the atlas, a line for each boot of the guest
atlas_phases() {
	case $mode in
	smoke)
		echo "tests=st,mt,pc,lookup,chase orders=all rounds=1 repeats=0 ms=1 sizes=64/50"
		echo "tests=memory,reuse,full,one_free rounds=1 repeats=0 check_ms=10 sizes=64/64,4096/1000"
		;;
	quick)
		if [ -n "$only" ]; then
			echo "tests=st,mt,pc orders=all ms=3 sizes=$all"
		else
			echo "tests=st,mt orders=random ms=3 sizes=64/1,64/50,$three_quarters,$main"
			echo "tests=pc orders=fifo ms=3 sizes=64/1,64/50,$three_quarters,$main"
			echo "tests=st,mt orders=fifo ms=3 sizes=64/50,$three_quarters"
			echo "tests=pc orders=random ms=3 sizes=64/50,$three_quarters"
		fi
		echo "tests=lookup,chase orders=random ms=2 sizes=64/50,$main"
		echo "tests=memory,reuse check_ms=50 sizes=50/50,$reuse,65535/65535 baselines=midatlas,xa_alloc_cyclic,spinlock"
		echo "tests=full,one_free check_ms=1000 sizes=$full baselines=midatlas"
		;;
	full)
		echo "tests=st orders=all ms=10 sizes=$all"
		echo "tests=mt orders=all ms=10 sizes=$all"
		echo "tests=pc orders=all ms=10 sizes=$all"
		echo "tests=lookup,chase orders=random ms=10 sizes=$all"
		echo "tests=memory,reuse check_ms=200 sizes=50/50,$all"
		echo "tests=full,one_free check_ms=500 sizes=$full"
		echo "tests=full check_ms=20000 sizes=$full baselines=midatlas"
		;;
	esac
}

# The same for the window. Each case is in one line, beside those that it is compared with.
window_phases() {
	local variants=window_old,window_charge,window_spare some=64/50 rest=64/1,512/512,8192/8192
	local ms=3 orders=random pc=fifo others=100000

	if [ "$mode" = smoke ]; then
		echo "tests=window_st,window_mt,window_pc,$variants,window_allocations,window_memory orders=all rounds=1 repeats=0 ms=1 others=10000 sizes=64/50"
		return
	fi
	if [ "$mode" = full ]; then
		some=64/50,512/512 rest=64/1,8192/8192 ms=10 pc=all others=10000000
	fi
	[ -z "$only" ] || orders=all pc=all
	echo "tests=window_st,window_mt,$variants orders=$orders ms=$ms others=$others sizes=$some"
	echo "tests=window_st,window_mt orders=$orders ms=$ms sizes=$rest"
	echo "tests=window_pc orders=$pc ms=$ms sizes=$some,$rest"
	echo "tests=window_allocations,window_memory rounds=3 sizes=1/1,64/50,512/512,8192/8192 baselines=midwindow,midwindow_reserve,window_floor,window_xarray"
}

# The same for full tables
sat_phases() {
	case $mode in
	smoke) echo "tests=sat,sat_mixed rounds=1 repeats=0 ms=5 sizes=50/50" ;;
	quick) echo "tests=sat,sat_mixed ms=30 sizes=50/50" ;;
	full) echo "tests=sat,sat_mixed ms=100 sizes=50/50" ;;
	esac
}

# The same while a task on another CPU reads all files in debugfs
read_phases() {
	local ms=300 sizes=64/50,512/512

	case $mode in
	smoke) ms=20 sizes=64/50 ;;
	full) ms=1700 ;;	# a minute of reading each
	esac
	echo "tests=unread,read,window_unread,window_read orders=random ms=$ms sizes=$sizes baselines=midatlas,midwindow"
}

# named PATTERN...: the baselines in ONLY that grep finds
named() {
	tr , '\n' <<<"$only" | grep "$@" | paste -sd ,
}

phases() {
	local part

	case $mode in
	quick | full | smoke) ;;
	*) die "MODE=$mode: give quick, full or smoke" ;;
	esac
	for part in $parts; do
		case $part in
		atlas) atlas_phases | only "$(named -v 'window\|semaphore_ida\|nfs_slots')" "$before" ;;
		window) window_phases | only "$(named window)" ;;
		sat) sat_phases | only "$(named 'midatlas\|midwindow_reserve\|window_full_reserve\|window_cifs\|sbitmap_queue\|semaphore_ida\|nfs_slots')" "$before" ;;
		read) read_phases ;;
		*) die "PARTS=$parts: give some of atlas, window, sat, read" ;;
		esac
	done
}

# copy NAME MODULE [COMMIT]: makes midatlas or midwindow, of that commit or of this tree, a
# module and a baseline in bench/NAME. Symbols, events and the baseline are renamed; the flags
# are those of ../Kbuild. An untraced copy has no events and no latency.
copy() {
	local name=$1 module=$2 commit=${3:-} dir=$work/bench/$1 peer=midatlas untraced=

	[ "$module" = midatlas ] || peer=window_mid
	[[ $name != untraced* ]] || untraced=yes
	rm -rf "$dir"
	mkdir -p "$dir"
	git -C "$top" ls-tree --name-only "${commit:-HEAD}" | grep -x '.*\.h\|atlas\|window\|mid[a-z]*\.c' |
		if [ -n "$commit" ]; then
			xargs git -C "$top" archive "$commit" -- | tar -x -C "$dir"
		else
			tar -C "$top" -T - -c | tar -x -C "$dir"
		fi
	mv "$dir/$module.c" "$dir/${module}_$name.c"
	sed "/^#define window_reserve_create/,\$d
		s/\(BENCH_[A-Z]*\)($peer, \"$module\"/\1($name, \"$name\"/
		s/\<${peer}_/${name}_/g; s|\"../../$module.h\"|\"$module.h\"|; s|\"../\([a-z]*.h\)\"|\"../../bench/\1\"|" \
		"$top/bench/peers/$peer.c" >"$dir/baseline.c"
	find "$dir" -name '*.[ch]' -exec sed -i "s/\<mid_\(atlas\|window\)_/${name}_mid_\1_/g
		s/^#define TRACE_SYSTEM .*/#define TRACE_SYSTEM ${module}_$name/
		${untraced:+s/static_branch_unlikely(&mid_timed)/false/}" {} +
	cat >"$dir/Kbuild" <<-END
		ccflags-y += -idirafter \$(src)/../../compat${untraced:+ -DNOTRACE}
		CFLAGS_${module}_$name.o := -I\$(src)$([ "$module" != midatlas ] || echo " -falign-functions=64")
		obj-m += ${module}_$name.o
	END
}

# only NAMES [COMMIT]: restricts phases to the baselines that ONLY names, if it is given, and
# adds "before" to those that name baselines.
only() {
	if [ -n "$only" ] && [ -z "$1" ]; then
		cat >/dev/null
	else
		sed -E "${1:+s/ baselines=[^ ]*//; s/$/ baselines=$1/; }${2:+s/( baselines=[^ ]*)/\1,before/}"
	fi
}

# Gives the guest's threads the highest priority, if allowed.
go_first() {
	local pid thread

	[ "$(id -u)" -eq 0 ] || return 0
	until pid=$(cat "$work/uml/pid" 2>/dev/null) && [ -n "$pid" ]; do
		sleep 0.1
	done
	sleep 0.3
	echo -20 >"/proc/$pid/autogroup" || true
	for thread in /proc/"$pid"/task/*; do
		renice -n -20 -p "${thread##*/}" || true
	done
} >/dev/null 2>&1

# Runs each phase and collects all results in results.csv.
measure() {
	local parameters first

	while read -r parameters; do
		rm -rf "$work/uml"
		go_first &
		first=$!
		LIMIT=${LIMIT:-1800} PINNED=yes "$top/scripts/uml.sh" "$kernel" "$work" bench.sh PARAMETERS="${parameters// /:}" ||
			die "a result was wrong or the guest failed"
		kill "$first" 2>/dev/null || true
		sed -n 's/^= //p' "$work/console.log" >>"$work/results.csv"
	done < <(phases)
	sed -i '2,${/^test,/d}' "$work/results.csv"
}

# run_here RESULTS PARAMETER...: in the running kernel
run_here() {
	local debugfs=/sys/kernel/debug/midatlas_bench state percent results=$1

	shift
	say "$*"
	insmod "$top/bench/midatlas_bench.ko" "$@" || die "midatlas_bench does not load, see dmesg"
	while read -r state percent <$debugfs/state && [ "$state" = running ]; do
		sleep 0.5
	done
	cat $debugfs/results.csv >>"$results"
	rmmod midatlas_bench
	[ "$state" = 'done' ] || die "a result was wrong: the benchmark $state $percent"
}

unload() { rmmod midatlas_bench midwindow midatlas 2>/dev/null || true; }

leave_here() {
	local status=$?

	unload
	leave_workdir $status
}

# The phases, and then MT and PC with all CPUs
measure_here() {
	local parameters threads

	trap leave_here EXIT
	{ insmod "$top/midatlas.ko" debugfs=0 && insmod "$top/midwindow.ko" debugfs=0; } || die "the modules do not load, see dmesg"
	while read -r parameters; do
		# shellcheck disable=SC2086	# one argument each
		run_here "$work/results.csv" $parameters
	done < <(phases)
	threads=$(($(nproc) / 2 * 2))
	if [ $threads -gt 2 ] && [ "$mode" != smoke ]; then
		run_here "$work/threads-$threads.csv" tests=mt,pc ms=3 "threads=$threads" sizes=64/50,4096/1000,65535/49152
	fi
	unload
	sed -i '2,${/^test,/d}' "$work/results.csv"
}

# The name of the folder in bench/results: the CPU, and how many
machine() {
	echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | sed 's/([^)]*)//g; s/ @.*//; s/ CPU\| Processor\|[0-9]*-Core//g' |
		tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-' | tr -s -)-$(nproc)cpu"
}

# The file to send in
pack_here() {
	local dir file

	dir=$work/$(machine)
	file=${out:-$PWD}/midatlas-bench-${dir##*/}.tar.gz
	mkdir "$dir"
	cp "$work"/{results,threads-*}.csv "$work/setup.txt" "$dir/" 2>/dev/null || true
	lscpu >"$dir/lscpu.txt"
	[ "$mode" = smoke ] || "$top/bench/report.py" "$dir"
	tar -C "$work" -czf "$file" "${dir##*/}"
	say "the results and the description of this machine are in $file"
}

# Prints the test setup, as KEY: VALUE.
setup() {
	echo "cpu: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	echo "hypervisor: $(lscpu | sed -n 's/^Hypervisor vendor: *//p' | grep . || echo none or unknown)"
	if [ -n "$here" ]; then
		cat <<-END
			kernel: $(uname -r)
			cpus: $(nproc)
			clocksource: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
			governor: $(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null || echo none)
			command line: $(cat /proc/cmdline)
		END
	else
		cat <<-END
			host kernel: $(uname -r), $(nproc) CPUs
			kernel: UML $(make -s -C "$kernel/source" kernelversion), with scripts/kernel/uml.patch
			cpus: $(sed -n 's/^@ Linux .*, \([0-9]*\) CPUs$/\1/p' "$work/console.log")
			clocksource: $(sed -n 's/^@ clocksource //p' "$work/console.log")
		END
	fi
	cat <<-END
		mode: $mode
		commit: $(git -C "$top" describe --always --dirty 2>/dev/null || echo none)
		before: ${before:+$(git -C "$top" rev-parse --short "$before^{commit}")}
		date: $(date -u +%F)
	END
}

phases >/dev/null
if [ -n "$here" ]; then
	[ -z "$before" ] || die "HERE=yes does not measure an earlier commit: leave out BEFORE"
	[ "$(id -u)" -eq 0 ] || die "not root: run sudo make bench HERE=yes"
	need insmod:kmod python3:python3 lscpu:util-linux
	[ "$mode" = smoke ] || need gnuplot:gnuplot-nox
	[ "$(modinfo -F vermagic "$top/bench/midatlas_bench.ko" 2>/dev/null | cut -d ' ' -f 1)" = "$(uname -r)" ] ||
		die "no modules for Linux $(uname -r): first run make modules"
	! grep -q '^mid\(atlas\|window\) ' /proc/modules || die "midatlas or midwindow is loaded: first unload it"
	workdir bench
	measure_here
	setup | grep -v '^before: $' >"$work/setup.txt"
	pack_here
	exit
fi
out=${out:-$cache/bench}
need insmod:kmod busybox:busybox-static python3:python3 gnuplot:gnuplot-nox
own=("$top/scripts/kernel/bench.config" "$top/scripts/kernel/uml.patch")
[ "$mode" != smoke ] || own=()
kernel=$("$top/scripts/kernel.sh" "${own[@]}")
workdir bench
if [ "$mode" = smoke ]; then
	build_modules "$kernel"
else
	copy untraced_atlas midatlas
	copy untraced_window midwindow
	if [ -n "$before" ]; then
		before=$(git -C "$top" rev-parse --verify --quiet "$before^{commit}") || die "BEFORE=$BEFORE is not a commit"
		copy before midatlas "$before"
	fi
	"$top/scripts/modules.sh" "$kernel" "$work" >"$work/build.log" 2>&1 ||
		die "the modules do not build, see $work/build.log"
fi
[ -e "$work/bench/midatlas_bench.ko" ] || die "the kernel in $kernel has no sbitmap, which two baselines need"

measure
setup | grep -v '^before: $' >"$work/setup.txt"
if [ "$mode" = smoke ]; then
	say "$(($(wc -l <"$work/results.csv") - 1)) results, all of them right"
	exit
fi
mkdir -p "$out"
cp "$work/results.csv" "$work/setup.txt" "$out/"
"$top/bench/report.py" "$out"
say "results, tables and plots are in $out"
