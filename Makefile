# SPDX-License-Identifier: GPL-2.0
#
# Targets for people. kbuild reads Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@echo 'Try:'
	@echo '  make demo            SMB1 and SMB2 client against a real Samba, in a UML guest'
	@echo '  make demo HOSTILE=1  the same client against a server that breaks the protocol'
	@echo '  make cifs            the kernel'"'"'s SMB client, stock and on midatlas, compared'
	@echo '  make 9p              the kernel'"'"'s 9P client, in the same way'
	@echo
	@echo 'Test:'
	@echo '  make check           all pre-merge checks (4 minutes)'
	@echo '  make check-deep      slow tests (about five hours): the ten marked *; PARTS="litmus faults" selects'
	@echo '  make kunit           KUnit tests, loaded as modules'
	@echo '  make kunit-native    KUnit tests, built into a kernel by kunit.py'
	@echo '  make stress          concurrency stress test (tasks, softirq, hardirq)'
	@echo '  make soak          * the same for HOURS=1: full tables, reconnects, jiffies that wrap'
	@echo '  make litmus        * memory-ordering tests, under the kernel'"'"'s memory model'
	@echo '  make model         * model checking of all interleavings (user space)'
	@echo '  make mutants       * mutation tests: seed known bugs, verify that a test catches each'
	@echo '  make fuzz          * libFuzzer on atlas, window and sample client (user space)'
	@echo '  make kernels       * build and boot test on Debian'"'"'s kernels (QEMU)'
	@echo '  make recipes       * bpftrace, perf, hist triggers and drgn, as documented (QEMU)'
	@echo '  make sanitize      * KUnit, stress test and client under KASAN, KCSAN and lockdep'
	@echo '  make faults        * fault injection (allocations, signals, unload, short reads)'
	@echo
	@echo 'Measure:'
	@echo '  make bench           benchmark against XArray, IDR, sbitmap and others (2 minutes)'
	@echo '  make bench MODE=full the same, all sizes and orders (about 15 minutes)'
	@echo '  make bench HERE=yes  on the running kernel; packs the results into a file (5 minutes)'
	@echo '  make scale           cache lines that move between 2 to 128 CPUs, simulated (a minute)'
	@echo '  make large           1,000 connections; 65,535 requests in flight; interrupts off (3 minutes)'
	@echo
	@echo 'Build:'
	@echo '  make modules         modules for the running kernel, or for the one of KDIR=...'
	@echo '  make install         build and install them in updates/midatlas; uninstall removes them'
	@echo '  make docs            documentation as HTML and man pages, in Documentation/output'
	@echo '  make clean           remove build products'
	@echo '  make clean-cache     remove the cached kernels, sources and tools'
	@echo
	@echo 'Package:'
	@echo '  make dkms-install    install with DKMS, also for later kernels; dkms-uninstall removes'
	@echo '  make packages        Debian and RPM packages, in packages/'
	@echo '  make series        * patches for the kernel'"'"'s lists, in series/output; each is built and tested'
	@echo '  make check-packages  the packages and the commands of the documentation, in a chroot and QEMU'
	@echo
	@echo 'Tests need a kernel. It is built once, in $$MIDATLAS_CACHE (~/.cache/midatlas).'
	@echo 'KSRC=... uses the source tree of another kernel.'

headers:
	@test -e $(KDIR)/Makefile || { echo "midatlas: no kernel headers in $(KDIR):" \
		"install linux-headers-$$(uname -r), or set KDIR" >&2; exit 1; }

modules: headers
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# Each of these is a script.
jobs := demo check cifs 9p bench scale kunit litmus model fuzz mutants kernels recipes sanitize check-deep series docs packages check-packages

$(jobs):
	@scripts/$@.sh

kunit-native:
	@scripts/kunit.sh native

stress faults observe soak large lifecycle:
	@scripts/guest.sh $@

dkms-install dkms-uninstall:
	@scripts/dkms.sh $(@:dkms-%=%)

# Not modules_install: it installs tests and samples, and skips depmod with Debian's headers.
release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)
installed = $(INSTALL_MOD_PATH)/lib/modules/$(release)/updates/midatlas
depmod = PATH=$$PATH:/usr/sbin:/sbin depmod $(addprefix -b ,$(INSTALL_MOD_PATH)) $(release)

install: headers
	$(MAKE) -C $(KDIR) M=$(CURDIR) midatlas.ko midwindow.ko
	install -D -m 644 -t $(installed) midatlas.ko midwindow.ko
	$(depmod)

uninstall: headers
	@test -e $(installed) || { echo "midatlas: not installed in $(installed)" >&2; exit 1; }
	rm -r $(installed)
	rmdir --ignore-fail-on-non-empty $(dir $(installed))
	$(depmod)

# Unlike kbuild's clean, this needs no headers, and cleans after all kernels.
clean:
	@find . -name .git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '.*.cmd' -o -name '.*.d' -o -name '.tmp_*' -o -name modules.order -o -name Module.symvers \) \
		-exec rm -rf {} +

# Other files in the cache stay.
clean-cache:
	@bash -c '. scripts/lib.sh; cd "$$cache"; \
		rm -rf linux-source-* uml-* x86_64-* debian-* {modules,cifs,9p}-of-* series-* *.partial *.lock apt.log herd kunit-native run; \
		rmdir "$$cache" 2>/dev/null || say "$$cache has other files, which stay"'

.PHONY: help headers modules install uninstall dkms-install dkms-uninstall clean clean-cache
.PHONY: kunit-native stress faults observe soak large lifecycle $(jobs)
