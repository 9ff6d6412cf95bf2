/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels before 6.3, whose KUnit has no static stubs.  The directory compat/ is
 * searched last, so a kernel that has the header uses its own.
 */
#ifndef _COMPAT_KUNIT_STATIC_STUB_H
#define _COMPAT_KUNIT_STATIC_STUB_H

#define KUNIT_STATIC_STUB_REDIRECT(args...) ((void)0)

#endif
