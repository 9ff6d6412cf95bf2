/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What spatch has to know to parse all of cifs.
 */
#define scoped_guard(...) YACFE_ITERATOR
