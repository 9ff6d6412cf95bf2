# SPDX-License-Identifier: GPL-2.0
#
# What our sources are called in a kernel tree
s,^#include ["<](\.\./\.\./)?(mid(atlas|window)\.h)[">],#include <linux/\2>,
s,^#include "tests/kunit/fixture.h",#include "fixture.h",
s,tests/litmus/,Documentation/litmus-tests/midatlas/,
s,tests/kunit/fixture.h,fixture.h,

# What they do not need there: for the model
/^#ifndef .*the model /,/^#endif/{
	/^#(ifndef|endif)/d
}
s,[[:space:]]*/\* the model (has|tries) .*,,
s,  Bugs that$,,
/^ \* need a certain interleaving are scenarios of the model/d

# For Debian's sparse
/^#ifndef __CHECKER__/,/^#endif/{
	/^#(ifndef|endif)/d
}

# For older kernels
/^\/\* What MODULE_IMPORT_NS\(\) is in every kernel/d
s,^MODULE_INFO\(import_ns\, (.*)\);,MODULE_IMPORT_NS(\1);,
/^#ifndef KUNIT_CASE_SLOW/,/^#endif/d
/^#ifdef __has_include/,/^#ifndef _KUNIT_RUN_IN_IRQ_CONTEXT_H/c#include <kunit/run-in-irq-context.h>
/^static inline void kunit_run_irq_test/,/^#endif/d
/^#ifndef kunit_warning_suppress/,/^#endif/d
