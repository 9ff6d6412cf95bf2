/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Macros that spatch needs to parse all of cifs
 */
#define scoped_guard(...) YACFE_ITERATOR
