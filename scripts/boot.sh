# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of uml.sh and qemu.sh: run a guest and judge its console log. Source this
# file after lib.sh.

complaints='WARNING:|BUG:|Oops|Call Trace|Kernel panic|detected.* stall|refcount_t:|[Uu]nable to handle'
complaints+='|Modules linked in|blocked for more than|allocated at module unload|new suspected memory leaks'
complaints+='|suspicious RCU usage|possible recursive locking|possible circular locking|Invalid wait context'
complaints+='|UBSAN:|ODEBUG:|unreferenced object|inconsistent lock state'

# Prints the log without the KCSAN reports in which neither stack has one of our modules.
# A line of "=" is above and below each report.
without_foreign_races() {
	awk '/==========\r?$/ {
			if (report == "") {
				report = $0
				next
			}
			if (report !~ /BUG: KCSAN/ || gsub(/BUG:|WARNING:/, "&", report) > 1 ||
			    report ~ /\[(mid[a-z_]*|smbecho|loopback)\]/)
				print report "\n" $0
			report = ""
			next
		}
		report != "" { report = report "\n" $0; next }
		{ print }
		END { print report }' "$1"
}

# Under fault injection the kernel warns about allocations that fail. Drops these.
without_failed_allocations() {
	if [ -n "${FAULTS:-}" ]; then
		awk '/vmalloc error: .* failed|WARNING: .* at event_define_fields/ { skip = 1 } !skip { print } /Call Trace:/ { skip = 0 }'
	else
		cat
	fi
}

# judge DIR SECONDS: fails unless the guest reported success and the kernel logged no
# problem
judge() {
	if without_foreign_races "$1/console.log" | without_failed_allocations | grep -aE "^\[ *[0-9]+\.[0-9]+\].*($complaints)" >&2; then
		die "the kernel logged a problem, see $1/console.log"
	fi
	grep -aq '^@ done' "$1/console.log" || die "the guest failed or took over $2 s, see the end of $1/console.log"
}

# Pins each virtual CPU of a UML guest to a core of its own: two that share a core never
# race. The guest's own processes stay on the core where they began.
pin_cpus() {
	local cores pid thread i

	mapfile -t cores < <(lscpu -p=cpu,core | awk -F, '!/#/ && !seen[$2]++ { print $1 }')
	until pid=$(cat "$dir/uml/pid") && [ -n "$pid" ]; do
		kill -0 "$guest" || return
		sleep 0.1
	done
	# A CPU that comes up later starts on the core of the first.
	for _ in 1 2 3 4; do
		sleep 0.3
		i=0
		for thread in /proc/"$pid"/task/*; do
			taskset -cp "${cores[i++ % ${#cores[@]}]}" "${thread##*/}" || true
		done
	done
} >/dev/null 2>&1

# run_guest SECONDS DIR COMMAND...: logs the console to DIR/console.log, and shows the
# guest's lines that begin with "@ ". $PINNED pins the CPUs.
#
# When the guest ends, its remaining processes are killed: one that held the output open
# would block tee forever. UML runs in its own session and survives SIGINT and SIGTERM.
run_guest() {
	local seconds=$1 reader

	dir=$2
	shift 2
	rm -rf "$dir/console" "$dir/uml"
	mkfifo "$dir/console"
	tee "$dir/console.log" <"$dir/console" | tr -d '\r' | sed -un '/^@ done/d; s/^@ /  /p' >&2 &
	reader=$!
	timeout -s KILL "$seconds" "$@" </dev/null >"$dir/console" 2>&1 &
	guest=$!
	[ -z "${PINNED:-}" ] || pin_cpus &
	trap 'end_guest; trap - INT; kill -INT $$' INT TERM
	wait $guest || true
	end_guest
	wait $reader || true
	rm "$dir/console"
}

end_guest() { kill -KILL "$guest" "-$(cat "$dir/uml/pid" 2>/dev/null || echo "$guest")" 2>/dev/null || true; }
