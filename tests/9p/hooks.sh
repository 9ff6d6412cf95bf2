#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hooks.sh DIR: puts the hooks of hooks.h into the copy of net/9p in DIR, which
# clients/9p/convert.sh has made.

. "$(dirname "$0")/../../scripts/lib.sh"

here=$top/tests/9p file=$1/net/9p/client.c

# after PATTERN LINE: puts the line after the only one that matches
after() {
	[ "$(grep -cE "$1" "$file")" = 1 ] || die "tests/9p/hooks.sh: not one line of $file matches $1"
	sed -i -E "/$1/a $2" "$file"
}

cp "$here/hooks.h" "$1/net/9p/"
after '^#include "protocol.h"' '#include "hooks.h"'
after 'client %p op %d' 'if (p9_hook_fails(type)) return ERR_PTR(-ENOMEM);'
if grep -q p9_tag_take "$file"; then
	after 'p9_tag_take\(c, req, type\);' 'p9_hook_has_tag(type);'
else
	sed -i '/if (tag < 0)/{n;s/$/\np9_hook_has_tag(type);/}' "$file"
fi
[ "$(grep -c 'p9_hook_' "$file")" = 2 ] || die "tests/9p/hooks.sh does not fit $file"
