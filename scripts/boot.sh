# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What uml.sh and qemu.sh share: how a guest is run, and what its run comes to.
# Sourced after lib.sh.

complaints='WARNING:|BUG:|Oops|Call Trace|Kernel panic|detected.* stall|refcount_t:|[Uu]nable to handle'
complaints+='|Modules linked in|blocked for more than|allocated at module unload|new suspected memory leaks'
complaints+='|suspicious RCU usage|possible recursive locking|possible circular locking|Invalid wait context'
complaints+='|UBSAN:|ODEBUG:|unreferenced object|inconsistent lock state'

# KCSAN watches all of the kernel. A data race is ours if a module of ours is in one of
# the two stacks; this is the log without the others. (A line of = is above and below
# each report.)
without_others_races() {
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

# Where allocations fail on purpose the kernel may say so; that is the log without it.
without_failed_allocations() {
	if [ -n "${FAULTS:-}" ]; then
		awk '/vmalloc error: .* failed|WARNING: .* at event_define_fields/ { skip = 1 } !skip { print } /Call Trace:/ { skip = 0 }'
	else
		cat
	fi
}

# judge DIR SECONDS: the guest said that all is well, and the kernel did not complain
judge() {
	if without_others_races "$1/console.log" | without_failed_allocations | grep -aE "^\[ *[0-9]+\.[0-9]+\].*($complaints)" >&2; then
		die "the kernel complained, see $1/console.log"
	fi
	grep -aq '^@ done' "$1/console.log" || die "the guest failed or took over $2 s, see the end of $1/console.log"
}

# The virtual CPUs of a UML guest stay where they are, each on a core of its own: two that
# share one never race. The guest's processes stay on the core where they began: where
# they are few they then need not be waked on another.
pin_cpus() {
	local cores pid thread i

	mapfile -t cores < <(lscpu -p=cpu,core | awk -F, '!/#/ && !seen[$2]++ { print $1 }')
	until pid=$(cat "$dir/uml/pid") && [ -n "$pid" ]; do
		kill -0 "$guest" || return
		sleep 0.1
	done
	# One that comes up later begins where the first one is.
	for _ in 1 2 3 4; do
		sleep 0.3
		i=0
		for thread in /proc/"$pid"/task/*; do
			taskset -cp "${cores[i++ % ${#cores[@]}]}" "${thread##*/}" || true
		done
	done
} >/dev/null 2>&1

# run_guest SECONDS DIR COMMAND...: with DIR/console.log as its console. The guest's
# lines that begin with "@ " are shown as they come. With PINNED in the environment, as
# above.
#
# Whatever ends the guest, its other processes are to go with it: one that is left
# would hold the output open, and tee wait for ever. UML has a session of its own, and
# outlives SIGINT and SIGTERM.
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
