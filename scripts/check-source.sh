#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What of "make check" needs no guest: the sources and the scripts under their checkers,
# the documents, and the modules for each kernel whose headers are here.

. "$(dirname "$0")/lib.sh"
workdir check-source
. "$top/scripts/check-lib.sh"

checkpatch() {
	local tool=(perl "$tree/scripts/checkpatch.pl" --no-tree --strict --quiet --show-types)

	find . ! -path './tests/model/*' ! -path './tests/fuzz/*' ! -name midatlax.h ! -name midatlas_rdbss_kunit.c ! -name port_idr.c \( -name '*.[ch]' -o -name Kbuild -o -name Kconfig -o -name '*.rst' \) \
		-print0 | xargs -0 -n 8 -P "$(nproc)" "${tool[@]}" --file &&
	# RDBSS' names and types; in $work, where checkpatch may leave its notes on them
	(cd "$work" && "${tool[@]}" --ignore CAMELCASE,NEW_TYPEDEFS --file "$top"/samples/midatlax.h "$top"/tests/kunit/midatlas_rdbss_kunit.c) &&
	# a user-space program, with the macros of the kernel in it
	"${tool[@]}" --ignore VOLATILE,MEMORY_BARRIER,NEW_TYPEDEFS,EXPORT_SYMBOL,CAMELCASE,EMBEDDED_FUNCTION_NAME,PREFER_DEFINED_ATTRIBUTE_MACRO,MACRO_ARG_REUSE,MACRO_ARG_UNUSED,MACRO_ARG_PRECEDENCE,MACRO_WITH_FLOW_CONTROL,IS_ENABLED_CONFIG --file tests/{model,fuzz}/*.[ch] &&
	# what is deprecated, to show it
	"${tool[@]}" --ignore DEPRECATED_API --file samples/port_idr.c
}

kernel_doc() {
	grep -lZ '^/\*\*$' ./*.[ch] atlas/*.h tests/kunit/*.[ch] tests/stress/*.c samples/*.h bench/*.[ch] |
		xargs -0 python3 "$tree/scripts/kernel-doc" -none -Wall -Werror
}

documentation() { scripts/docs.sh "$work/docs"; }

# That each is caught takes "make defects"; that they are out of date is seen here.
defects_fit() {
	local defect bad=0

	for defect in tests/mutants/*.patch; do
		patch --dry-run -p1 -F0 -s <"$defect" || { echo "make $defect anew"; bad=1; }
	done
	return "$bad"
}

shell_scripts() {
	shellcheck -x -P SCRIPTDIR scripts/*.sh tests/guest/*.sh .ci/run
}

headers=linux-headers-amd64
! grep -qs '^ID=ubuntu' /etc/os-release || headers=linux-headers-generic
need shellcheck:shellcheck perl:perl python3:python3 patch:patch "/lib/modules/*/build:$headers"
cd "$top"
tree=$("$top/scripts/source.sh")
for build in /lib/modules/*/build; do
	step "W=1 for Linux $(release_of "$build")" builds "$build" "$(mktemp -d "$work/build.XXXXXX")"
done
step "checkpatch --strict" checkpatch
step "a scenario of the model" scripts/model.sh "grow, grow"
step "kernel-doc -Wall -Werror" kernel_doc
step "dkms, and a client of what it builds" scripts/dkms.sh check
step "documentation: Sphinx -n -W, man pages" documentation
step "the seeded defects fit the code" defects_fit
step "shellcheck" shell_scripts
[ "$(failed)" -eq 0 ] || exit 1
