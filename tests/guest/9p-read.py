#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""9p-read.py FILE SECONDS [WRITE]: reads random blocks of the file "data" of 9p-server.py.

Prints the numbers of blocks read, of blocks with wrong data, and of errors, and the first error.
A mount that is lost ends it. With WRITE it writes blocks instead.
"""
import os
import random
import struct
import sys
import time

BLOCK = 4096
FATAL = 50

path, seconds, write = sys.argv[1], float(sys.argv[2]), len(sys.argv) > 3
reads = wrong = errors = 0
first = "-"
end = time.monotonic() + seconds
try:
    fd = os.open(path, os.O_WRONLY if write else os.O_RDONLY)
    print("open", file=sys.stderr, flush=True)
    while time.monotonic() < end:
        block = random.randrange(16384)
        data = struct.pack("<Q", block) * (BLOCK // 8)
        try:
            if write:
                os.pwrite(fd, data, block * BLOCK)
            elif os.pread(fd, BLOCK, block * BLOCK) != data:
                wrong += 1
            reads += 1
        except OSError as e:
            errors += 1
            first = str(e.errno) if errors == 1 else first
            if errors == FATAL:
                break
except OSError as e:
    errors += 1
    first = str(e.errno)
print(reads, wrong, errors, first)
