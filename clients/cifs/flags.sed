# SPDX-License-Identifier: GPL-2.0
#
# The flags of a mid shared one word. cifsd and a task that gives up wrote it under different
# locks or none, so each could overwrite the other's flag.
/^struct mid_q_entry {/,/^}/s,^\(\tbool [a-zA-Z_]*\):1;,\1;,
