# SPDX-License-Identifier: GPL-2.0
#
# For people. What kbuild is to build stands in Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@echo 'make demo           SMB requests through the atlas to a real Samba, in a UML kernel'
	@echo 'make demo HOSTILE=1 the same client against a hostile server: a million frames'
	@echo 'make check          everything that gates: builds, checkers, KUnit, a short demo'
	@echo 'make bench          the atlas and each other way to do it, measured, in a minute or two'
	@echo 'make bench MODE=full the same, more thoroughly, in ten'
	@echo 'make modules        the modules for the kernel that runs here (KDIR=... for another)'
	@echo 'make cifs           the kernel'"'"'s own SMB client, stock and on midatlas, side by side'
	@echo 'make model          the atlas in every order of its callers, in user space'
	@echo 'make fuzz           atlas, window and sample client under libFuzzer, in user space'
	@echo 'make litmus         the memory-ordering tests, under the kernel'"'"'s memory model'
	@echo 'make defects        bugs planted in the atlas one by one: each is caught, and by what'
	@echo 'make sanitize       the tests under KASAN, KCSAN, lockdep and others'
	@echo 'make check-deep     what check has no time for: an hour; PARTS=... takes some of its parts'
	@echo 'make faults         each allocation, wait, moment and byte fails once'
	@echo 'make kernels        builds, boots and works with the kernels that Debian ships'
	@echo 'make stress         all calls of the atlas at once, from everywhere'
	@echo 'make kunit          the KUnit tests alone, as modules'
	@echo 'make kunit-native   the same, built into a kernel by kunit.py'
	@echo 'make docs           HTML and man pages, in Documentation/output'
	@echo 'make install        the modules, for the same kernel; uninstall'
	@echo 'make dkms-install   the same by DKMS, for later kernels, too; dkms-uninstall'
	@echo 'make packages       Debian packages, in packages/; check-packages tries them'
	@echo 'make clean          removes what was built here'
	@echo 'make clean-cache    removes the cached kernel'
	@echo
	@echo 'Demo and check build a kernel once, in $$MIDATLAS_CACHE (~/.cache/midatlas).'
	@echo 'KSRC=... names the source tree of another kernel to do it with.'

modules:
	@test -e $(KDIR)/Makefile || { echo "midatlas: no kernel headers in $(KDIR):" \
		"install linux-headers-$$(uname -r), or set KDIR" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# Each is a script of that name.
jobs := demo check cifs bench kunit kunit-native stress litmus model fuzz defects kernels sanitize faults check-deep
jobs += docs packages check-packages clean-cache

$(jobs):
	@scripts/$@.sh

install uninstall:
	@KDIR="$(KDIR)" scripts/install.sh $@

dkms-install dkms-uninstall:
	@scripts/dkms.sh $(@:dkms-%=%)

.PHONY: install uninstall dkms-install dkms-uninstall

# Not kbuild's own clean: this one needs no headers and knows the products of all kernels.
clean:
	@find . -name .git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '.*.cmd' -o -name '.*.d' -o -name '.tmp_*' -o -name modules.order -o -name Module.symvers \) \
		-exec rm -rf {} +

.PHONY: help modules clean $(jobs)
