# SPDX-License-Identifier: GPL-2.0
#
# Pages that are not part of the series, and the places of ours in a kernel tree
s,  :doc:`glossary` lists the project's terms\.,,
s,; :doc:`performance` has the$,.,
/^measured sizes\.$/d
s,^(\.\. kernel-doc:: )(mid[a-z]*\.h)$,\1include/linux/\2,
s,^(\.\. kernel-doc:: )(mid[a-z]*\.c)$,\1lib/midatlas/\2,
/^Users:[[:space:]]*midatlas-top$/d
