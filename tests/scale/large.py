#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""large.py CONSOLE-LOG DIR: makes tables out of what bench/large.h prints.

Writes large.csv (memory and time) and large-off.csv (for how long interrupts are off, the
longest first) in DIR.  Of several times the least counts, and of memory the most: later
measurements use what the allocators have kept.  Fails if interrupts are off for longer than LIMIT.
"""

import csv
import re
import sys
from pathlib import Path

LIMIT = 50000	# ns


def read(path):
    """({what: {(module, debugfs): value}}, {(module, case, function): ns})"""
    values, offs = {}, {}
    where = None
    for line in open(path, errors="replace"):
        section = re.search(r"^@ (mid\w+), debugfs=(\d)", line)
        result = re.search(r"(?:^|_large: )= (.*),([^,]*),([^,]*)$", line.rstrip())
        if section:
            where = section.groups()
        elif result and where and result[1].startswith("off,"):
            key = (where[0], result[1][len("off,"):], result[2])
            offs[key] = min(offs.get(key, 1 << 63), int(result[3]))
        elif result and where:
            key = f"{result[1]}, {result[3]}"
            of_key = values.setdefault(key, {})
            choose = max if result[3] == "bytes" else min
            of_key[where] = choose(of_key.get(where, int(result[2])), int(result[2]))
    return values, offs


def write(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print()


def main():
    if len(sys.argv) != 3:
        sys.exit("large.py: give the log of the guest and a directory")
    values, offs = read(sys.argv[1])
    if not values or not offs:
        sys.exit(f"large.py: {sys.argv[1]} has no results")
    columns = [(module, debugfs) for module in ("midatlas", "midwindow") for debugfs in "01"]
    write(Path(sys.argv[2]) / "large.csv",
          [["", *(f"{module}, debugfs={debugfs}" for module, debugfs in columns)]] +
          [[what] + [f"{row[column]:,}" if column in row else "" for column in columns]
           for what, row in values.items()])
    longest = sorted(offs.items(), key=lambda off: -off[1])
    write(Path(sys.argv[2]) / "large-off.csv", [["module", "case", "function", "us"]] +
          [[*key, f"{ns / 1000:.1f}"] for key, ns in longest if ns >= 2000])
    (module, case, function), ns = longest[0]
    print(f"interrupts are off for {ns / 1000:.1f} us at most (limit {LIMIT // 1000}): "
          f"{module}, {function}(), {case}")
    sys.exit(ns > LIMIT)


main()
