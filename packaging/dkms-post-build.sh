#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dkms-post-build.sh DIR: dkms runs this in its build directory. DIR is the directory where
# it keeps the modules for this kernel. Keeps the Module.symvers there, without the build
# paths, so that dkms removes it together with the modules.

set -e
sed 's|	[^	]*/\(mid[a-z]*\)	|	\1	|' Module.symvers >"$1/Module.symvers"
