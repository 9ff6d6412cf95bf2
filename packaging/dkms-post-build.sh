#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dkms-post-build.sh DIR: run by dkms where it has built, with the folder in which
# it keeps the modules for this kernel. The Module.symvers goes there, too, with
# names that do not tell where it was built, and leaves together with the modules.

set -e
sed 's|	[^	]*/\(mid[a-z]*\)	|	\1	|' Module.symvers >"$1/Module.symvers"
