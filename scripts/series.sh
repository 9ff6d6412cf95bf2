#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh [write|build]: writes the patch series for the kernel's mailing lists: atlas, window,
# their tests and documentation, and the conversions of fs/smb/client, net/9p and fs/9p. The
# result is the branch "midatlas" of a git repository in the cache, on top of the cached
# kernel tree, and the files in series/output. See series/README.md.
#
# Each patch must satisfy checkpatch --strict and kernel-doc. Then each commit is built with
# W=1, and the KUnit tests run, with kunit.py alone. "write" does only the former, "build" only
# the latter.

. "$(dirname "$0")/lib.sh"
. "$top/clients/lib.sh"

data=$top/series
out=$data/output

version_of() { make -s -C "$tree" kernelversion 2>/dev/null || echo "of another version"; }

# misfit FILE WHAT
misfit() { die "$1: $2: the series is for Linux 7.3, $tree is Linux $(version_of)"; }

g() { git -C "$linux" "$@"; }

# author: the person that git knows, otherwise the placeholder
author() {
	local name email

	if ! name=$(git -C "$top" config user.name) || ! email=$(git -C "$top" config user.email); then
		IFS=$'\t' read -r name email <"$data/author"
		say "git has no user.name and user.email: the patches are from $name <$email>"
	fi
	export GIT_AUTHOR_NAME=$name GIT_AUTHOR_EMAIL=$email GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=$email
	GIT_AUTHOR_DATE=$(git -C "$top" log -1 --format=%cI 2>/dev/null) || GIT_AUTHOR_DATE=$(date -Is)
	export GIT_AUTHOR_DATE GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
}

# check_tree: of KSRC, which may be anything
check_tree() {
	local file changed

	for file in lib/Kconfig lib/Makefile lib/tests/Makefile MAINTAINERS Documentation/core-api/index.rst \
		fs/smb/client/transport.c net/9p/client.c scripts/checkpatch.pl tools/testing/kunit/kunit.py; do
		[ -e "$tree/$file" ] || misfit "$file" "not there"
	done
	for file in .config include/config arch/um/include/generated; do
		[ ! -e "$tree/$file" ] || die "$tree has the products of a build ($file): first run make mrproper there"
	done
	[ ! -e "$tree/.git" ] || {
		changed=$(git -C "$tree" diff --name-only HEAD | head -n 1)
		[ -z "$changed" ] || die "$tree/$changed has changes that are not committed"
	}
}

# prepare: makes $linux, a copy of the kernel tree that is a git repository. Its files are
# hard links where possible: whatever changes one has to replace it. Only the first commit
# takes long; the cache keeps it for the cached tree.
prepare() {
	local key

	key=$(stat -c %Y.%i "$tree/Makefile")
	if [ -n "${KSRC:-}" ] || [ "$(cat "$linux/.git/of" 2>/dev/null)" != "$key" ]; then
		need_space 4
		say "copying $tree into a git repository, in $linux (a minute or two)"
		rm -rf "$linux"
		cp -al "$tree" "$linux" 2>/dev/null || { rm -rf "$linux"; cp -a "$tree" "$linux"; }
		rm -rf "$linux/.git"
		g init -q -b midatlas
		# The index stays valid when a file gets another hard link.
		g config core.trustctime false
		g config core.checkStat minimal
		g config gc.auto 0
		# One pack, not 90,000 files
		g -c core.bigFileThreshold=1 add -f -A -- . ':!.pristine'
		g commit -q -m "Linux $(version_of)"
		g tag base
		echo "$key" >"$linux/.git/of"
	fi
	g checkout -q -f -B midatlas base
	g clean -q -f -d -x -e .pristine
}

# edit FILE SED-ARGUMENT...: fails if nothing changes
edit() {
	local file=$linux/$1

	[ -e "$file" ] || misfit "$1" "not there"
	sed "${@:2}" "$file" >"$work/edited"
	! cmp -s "$work/edited" "$file" || misfit "$1" "'${*:2}' finds nothing to change"
	cp --remove-destination "$work/edited" "$file"
}

# sorted_includes: moves our own headers to where they belong among <linux/*.h>
sorted_includes() {
	awk '
		/^#include <linux\/mid(atlas|window)\.h>$/ { own[n++] = $0; next }
		{ line[m++] = $0 }
		END {
			for (i = j = 0; i < m; i++) {
				block = line[i] ~ /^#include <linux\//
				while (j < n && ((block && line[i] > own[j]) || (in_block && !block)))
					print own[j++]
				print line[i]
				in_block = block
			}
		}' | cat -s
}

# put SOURCE FILE: copies one of our sources into the tree
put() {
	mkdir -p "$linux/$(dirname "$2")"
	sed -E -f "$data/names.sed" "$top/$1" | sorted_includes >"$work/put"
	cp --remove-destination "$work/put" "$linux/$2"
}

put_all() {
	local dir=$1 file

	shift
	for file; do
		put "$file" "$dir/${file##*/}"
	done
}

# config NAME: our Kconfig's entry
config() { awk -v name="$1" '/^config / { on = $2 == name } on' "$top/Kconfig"; }

# objects FILE...: our Kbuild's lines for these objects
objects() {
	sed -En 's/\$\(if \$\(KBUILD_EXTMOD\),[^,]*,(\$\(CONFIG_[A-Z_]*\))\)/\1/
		/^(CFLAGS_|obj-).*\<('"$(IFS='|'; echo "$*")"')\>/p' "$top/Kbuild"
}

# maintained FILE...: adds them to our entry of MAINTAINERS
maintained() {
	local entry=$work/entry

	[ -e "$entry" ] || printf '%s\n' 'MIDATLAS: IDENTIFIERS OF REQUESTS IN FLIGHT' \
		"M:	$GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>" 'S:	Maintained' >"$entry"
	{ grep -v '^F:' "$entry"; { grep '^F:' "$entry" || true; printf 'F:	%s\n' "$@"; } | sort; } >"$entry.new"
	mv "$entry.new" "$entry"
	! grep -q '^MIDATLAS:' "$linux/MAINTAINERS" || edit MAINTAINERS '/^MIDATLAS:/,/^$/d'
	edit MAINTAINERS "/^MIKROTIK CRS3XX /{
		e cat $entry; echo
	}"
}

step_atlas() {
	put midatlas.h include/linux/midatlas.h
	put_all lib/midatlas midatlas.c midslot.h midfolder.h midlatency.h
	put_all lib/midatlas/atlas atlas/*.h
	{ echo '# SPDX-License-Identifier: GPL-2.0'; echo; objects midatlas.o; } >"$linux/lib/midatlas/Makefile"
	{ echo '# SPDX-License-Identifier: GPL-2.0-only'; echo; config MIDATLAS; } |
		sed '$!b; /^$/d' >"$linux/lib/midatlas/Kconfig"
	edit lib/Kconfig 's,^source "lib/crypto/Kconfig",&\nsource "lib/midatlas/Kconfig",'
	edit lib/Makefile 's,^obj-y += .* crypto/,& midatlas/,'
	maintained include/linux/midatlas.h lib/midatlas/
}

step_window() {
	put midwindow.h include/linux/midwindow.h
	put midwindow.c lib/midatlas/midwindow.c
	put_all lib/midatlas/window window/*.h
	objects midwindow.o >"$work/objects"
	edit lib/midatlas/Makefile "\$r $work/objects"
	{ echo; config MIDWINDOW | sed '$!b; /^$/d'; } >"$work/config"
	edit lib/midatlas/Kconfig "\$r $work/config"
	maintained include/linux/midwindow.h
}

step_litmus() {
	local dir=Documentation/litmus-tests/midatlas

	mkdir -p "$linux/$dir"
	cp tests/litmus/*.litmus "$linux/$dir/"
	edit Documentation/litmus-tests/README "\$r $data/litmus.txt"
	maintained $dir/
}

# tests DIR OPTION FILE...: KUnit tests, each a module of its own
tests() {
	local dir=lib/tests/$1 option=$2 file

	shift 2
	put_all "$dir" "$@"
	{
		echo '# SPDX-License-Identifier: GPL-2.0'
		echo
		for file in $(printf '%s\n' "${@##*/}" | grep '\.c$'); do
			echo "obj-\$(CONFIG_$option) += ${file%.c}.o"
		done
	} >"$linux/$dir/Makefile"
	{ echo; config "$option" | sed '$!b; /^$/d'; } >"$work/config"
	edit lib/midatlas/Kconfig "\$r $work/config"
	edit lib/tests/Makefile "\$a obj-\$(CONFIG_$option) += ${dir##*/}/"
	maintained "$dir/"
}

step_atlas_tests() {
	local files

	# RDBSS' names for the calls are not part of the series.
	mapfile -t files < <(find midatlas_kunit.c tests/kunit -name 'midatlas*.c' ! -name '*rdbss*' | sort)
	tests midatlas MIDATLAS_KUNIT_TEST tests/kunit/fixture.h "${files[@]}"
}

step_window_tests() {
	tests midwindow MIDWINDOW_KUNIT_TEST tests/kunit/midwindow_*.c
	sed -i 's,^#include "fixture.h",#include "../midatlas/fixture.h",' "$linux"/lib/tests/midwindow/*.c
}

# page FILE [SED-EXPRESSION]: a page of our documentation
page() {
	sed -E -f "$data/documents.sed" -e "${3:-}" "$top/$1" >"$work/page"
	! grep -nE ":doc:\`[^<\`]*\`" "$work/page" >&2 || die "$1 links to a page that is not part of the series"
	cp --remove-destination "$work/page" "$linux/$2"
}

step_documents() {
	page Documentation/midatlas.rst Documentation/core-api/midatlas.rst
	page Documentation/midwindow.rst Documentation/core-api/midwindow.rst
	page Documentation/ABI/testing/debugfs-midatlas Documentation/ABI/testing/debugfs-midatlas \
		"s,^(Contact:[[:space:]]*).*,\1$GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>,"
	edit Documentation/core-api/index.rst 's,^   idr$,&\n   midatlas\n   midwindow,'
	maintained Documentation/ABI/testing/debugfs-midatlas Documentation/core-api/mid{atlas,window}.rst
}

# differing DIR FOLDER...: what differs in the converted copy in DIR, with the tree's names in it
differing() {
	local dir=$1 file

	shift
	(cd "$dir" && find "$@" -name '*.[ch]' ! -name 'mid*.h') | while read -r file; do
		cmp -s "$dir/$file" "$linux/$file" || sed -i -E -f "$data/names.sed" "$dir/$file"
		cmp -s "$dir/$file" "$linux/$file" || echo "$file"
	done
}

# converted DIR FOLDER...: takes over what differs
converted() {
	local file

	differing "$@" | while read -r file; do
		cp --remove-destination "$1/$file" "$linux/$file"
	done
}

# as_tested CLIENT FOLDER...: the steps together must make what "make CLIENT" tests
as_tested() {
	local different

	"$top/clients/$1/convert.sh" "$tree" "$work/tested"
	different=$(differing "$work/tested" "${@:2}")
	[ -z "$different" ] || die "the series and clients/$1/convert.sh differ in ${different//$'\n'/, }"
	rm -rf "$work/tested"
}

# cifs PATCH...: a step of the conversion. After it inflight.[ch] have the functions of the
# glue code that $glue names, as series/cifs/$other.{c,h,patch} change them.
cifs() {
	local kind

	rm -rf "$work/cifs"
	"$top/clients/cifs/convert.sh" "$linux" "$work/cifs" "$@"
	[ ${#glue[@]} -eq 0 ] || for kind in c h; do
		python3 "$data/pick.py" "$top/clients/cifs/inflight.$kind" "$data/cifs/$other.$kind" "${glue[@]}" \
			>"$work/cifs/fs/smb/client/inflight.$kind"
	done
	[ ! -e "$data/cifs/$other.patch" ] ||
		patch -s -p1 --no-backup-if-mismatch -d "$work/cifs/fs/smb/client" <"$data/cifs/$other.patch" >&2 ||
		die "series/cifs/$other.patch does not fit clients/cifs/inflight.c"
	converted "$work/cifs" fs/smb/client
}

step_cifs_flags() {
	other=none glue=()
	cifs flags.sed
}

step_cifs_claim() {
	other=queue glue=(cifs_mid_claim cifs_mid_answer cifs_mid_waits cifs_mid_finish)
	cifs claim find:find_only,find_only_now,find_and_dequeue,offload_finds state:glue
	edit fs/smb/client/Makefile 's,namespace.o reparse.o,& inflight.o,'
	maintained 'fs/smb/client/inflight.*'
}

step_cifs_reset() {
	glue+=(cifs_mids_claim_all cifs_mids_reset cifs_mids_complete cifs_mids_shut)
	cifs reset:reconnect,netbios,exit,unused
}

step_cifs_show() {
	glue+=(cifs_mids_for_each cifs_mid_show cifs_mids_show cifs_mid_dump cifs_dump_mids)
	cifs show:debug_data,debug_data_mid,dump
}

step_cifs_issue() {
	other=both glue=(-cifs_mid_find -cifs_mid_get_submitted)
	cifs state:credits_fields,create,create_counter,create_fails,destroy,free_after_rcu,free_before_exit \
		issue find:find_epoch,find_epoch_now,offload_knows_epoch,offload_notes_epoch,offload_finds_epoch \
		reset:resume show:trace counter.sed
	edit fs/smb/client/Kconfig '/^config CIFS$/,/^\thelp/s,^\tselect KEYS,&\n\tselect MIDATLAS\n\tselect MIDWINDOW,'
}

step_cifs_find() {
	glue=(-)
	cifs find:find_smb1,find_smb2
}

step_cifs_cancel() {
	cifs cancel
}

step_cifs_remove() {
	other=none
	cifs state:create_queue,create_queue_lock queue.sed
}

step_9p_tags() {
	"$top/clients/9p/convert.sh" "$linux" "$work/9p" state client trans_fd trans_virtio trans_others style.sed
	cp clients/9p/inflight.c "$work/9p/net/9p/"
	cp clients/9p/inflight.h "$work/9p/include/net/9p/"
	converted "$work/9p" net/9p include/net/9p
	edit net/9p/Makefile 's,^\tclient.o .*,&\n\tinflight.o \\,'
	edit net/9p/Kconfig '/^menuconfig NET_9P$/,/^\thelp/s,^\tselect NETFS_SUPPORT,\tselect MIDATLAS\n&,'
	maintained include/net/9p/inflight.h net/9p/inflight.c
}

step_9p_option() {
	"$top/clients/9p/convert.sh" "$linux" "$work/9p-option" option
	converted "$work/9p-option" net/9p fs/9p include/net/9p
}

# commit STEP: the message is series/messages/STEP.txt
commit() {
	step_"$1"
	g add -f -A -- . ':!.pristine'	# Debian's .gitignore lists all files
	g commit -q -s -F "$data/messages/$1.txt"
}

# doc COMMIT FILE: what kernel-doc finds, without line numbers
doc() {
	local copy

	copy=$(mktemp "$work/doc.XXXXXX.${2##*.}")
	g show "$1:$2" >"$copy" 2>/dev/null || return 0
	PYTHONDONTWRITEBYTECODE=1 python3 "$linux/scripts/kernel-doc" -none -Wall "$copy" 2>&1 |
		sed "s,$copy:[0-9]* ,,; s,$copy,," | sort -u
}

# kernel_doc COMMIT: what kernel-doc finds now and did not find before
kernel_doc() {
	local file

	for file in $(g diff --name-only "$1~" "$1" -- '*.[ch]'); do
		comm -13 <(doc "$1~" "$file") <(doc "$1" "$file") | sed "s,^,$file: ,"
	done
}

# judge PATCH COMMIT: what the tools have to say
judge() {
	local ignore=()

	# Names that are there already
	[[ ! $(g log -1 --format=%s "$2") =~ ^(smb|9p): ]] || ignore=(--ignore CAMELCASE)
	# checkpatch runs spdxcheck.py with any python3
	(cd "$linux" && PYTHONPATH=/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1 perl scripts/checkpatch.pl --strict --quiet --show-types "${ignore[@]}" "$1") &&
	kernel_doc "$2"
}

# render: the two pages, with Sphinx as scripts/docs.sh calls it
render() {
	local dir=$work/pages

	mkdir -p "$dir/Documentation"
	cp dkms.conf "$dir/"
	cp -r Documentation/static "$dir/Documentation/"
	cp "$linux"/Documentation/core-api/mid{atlas,window}.rst "$dir/Documentation/"
	sed "s,^kerneldoc_srctree = .*,kerneldoc_srctree = '$linux'," Documentation/conf.py >"$dir/Documentation/conf.py"
	printf '%s\n' midatlas ======== '' '.. toctree::' '' '   midatlas' '   midwindow' >"$dir/Documentation/index.rst"
	srctree=$linux PYTHONDONTWRITEBYTECODE=1 sphinx-build -q -n -W --keep-going -b html \
		"$dir/Documentation" "$dir/html" >"$dir.log" 2>&1 || { cat "$dir.log"; die "Sphinx reports problems"; }
}

write() {
	local step commit patch n=0 wrong=0

	for step in $steps; do
		say "${step//_/ }"
		commit "$step"
	done
	render
	as_tested cifs fs/smb/client
	as_tested 9p net/9p fs/9p include/net/9p
	rm -rf "$out"
	mkdir -p "$out"
	"$data/cover.sh" >"$work/cover"
	g config branch.midatlas.description "$(cat "$work/cover")"
	g format-patch -q --zero-commit --no-signature --cover-letter --cover-from-description=subject -o "$out" base..midatlas
	for commit in $(g rev-list --reverse base..midatlas); do
		n=$((n + 1))
		patch=$(compgen -G "$out/$(printf %04d $n)-*.patch")
		judge "$patch" "$commit" >"$work/judgement" 2>&1 || true
		[ ! -s "$work/judgement" ] || {
			wrong=$((wrong + 1))
			echo "${patch##*/}:"
			cat "$work/judgement"
		}
	done
	[ $wrong -eq 0 ] || die "checkpatch or kernel-doc complain about $wrong of $n patches"
	say "$n patches in ${out#"$top/"}, branch midatlas in $linux"
}

# configured: configures $linux for x86, all of it as modules; without what makes a build slow
configured() {
	mkdir -p "$objects/x86"
	make -C "$linux" O="$objects/x86" ARCH=x86_64 KCONFIG_ALLCONFIG="$data/x86.config" allmodconfig
}

# compile: all directories of the series, for x86, with W=1
compile() {
	local dir dirs=()

	for dir in lib/midatlas lib/tests/mid{atlas,window} fs/smb/client net/9p fs/9p; do
		[ ! -e "$linux/$dir" ] || dirs+=("$dir/")
	done
	configured && make -C "$linux" O="$objects/x86" ARCH=x86_64 W=1 -j"$(nproc)" "${dirs[@]}"
}

# kunit: with all options that the tree has; cifs and 9P are built in, so that they are linked
kunit() {
	local option

	cat "$top/.kunitconfig" "$data/clients.config" | while read -r option; do
		[[ $option != CONFIG_MID* ]] || grep -qs "^config ${option:7:-2}$" "$linux/lib/midatlas/Kconfig" || continue
		echo "$option"
	done >"$work/kunitconfig"
	kunit_py "$linux" --kunitconfig="$work/kunitconfig" --build_dir="$objects/um"
}

# build: each commit
build() {
	local commit title log=$work/build.log

	need gcc:gcc make:make flex:flex bison:bison bc:bc /usr/include/stdlib.h:libc6-dev /usr/include/gelf.h:libelf-dev
	need_space 2
	for commit in $(g rev-list --reverse base..midatlas); do
		title=$(g log -1 --format=%s "$commit")
		say "building: $title"
		g checkout -q --detach "$commit"
		compile >"$log" 2>&1 || { tail -n 30 "$log"; die "this does not build: $title"; }
		! grep -iE 'warning:|error:' "$log" || die "this does not build without a warning: $title"
		[[ $title != *KUnit* && $commit != "$(g rev-parse midatlas)" ]] || {
			kunit >"$log" 2>&1 || { tail -n 50 "$log"; die "the KUnit tests fail: $title"; }
			say "$(grep -o 'Ran [0-9]* tests:.*' "$log")"
		}
	done
	g checkout -q midatlas
}

steps='atlas window litmus documents atlas_tests window_tests cifs_flags cifs_claim cifs_reset cifs_show
	cifs_issue cifs_find cifs_cancel cifs_remove 9p_tags 9p_option'
case "$*" in
''|write|build) ;;
*) die "usage: series.sh [write|build]" ;;
esac
need_spatch
need git:git perl:perl patch:patch \
	/usr/lib/python3/dist-packages/ply:python3-ply /usr/lib/python3/dist-packages/git:python3-git \
	sphinx-build:python3-sphinx /usr/share/doc/python3-sphinx-rtd-theme:python3-sphinx-rtd-theme
tree=$("$top/scripts/source.sh")
check_tree
lock series
linux=$cache/series-${tree##*/}
[ -z "${KSRC:-}" ] || linux=$cache/series-KSRC
objects=$linux.objects
workdir series
cd "$top"
author
if [ "$*" = build ]; then
	[ -n "$(g rev-list base..midatlas 2>/dev/null)" ] || die "there is no series to build: first run make series"
else
	prepare
	write
fi
[ "$*" = write ] || build
