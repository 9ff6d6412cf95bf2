#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py DIR: makes tables and plots out of the counts of scale.sh, and judges them.

Reads scale.csv in DIR and measured.csv beside this file.  Writes scale-PATTERN.csv (one row a table, one column a number of
CPUs), scale-lines.csv (the lines by name), scale-check.csv and scale-PATTERN.svg.  Fails if a limit is missed.
"""

import csv
import subprocess
import sys
from pathlib import Path

COLOURS = {"midatlas": "#c00000", "midwindow": "#08306b", "midwindow_reserve": "#4292c6",
           "window_floor": "#707070", "bitmap": "#74c476", "spinlock": "#fd8d3c",
           "ticket_lock": "#7f2704"}
TITLES = {"st": "Each CPU associates, maps and dissociates",
          "pc": "All CPUs but one associate, one maps and dissociates",
          "sat": "The same, and the CPUs that associate always wait for an id"}
LEAST = 0.0001	# what is less is neither plotted nor listed
SHOWN = 64	# the CPUs of the table of lines


def read(path):
    """{pattern: {table: {cpus: {name: value}}}}, and {case: {name: value}} of measured cases"""
    counts, checks = {}, {}
    with open(path, newline="") as lines:
        for run, pattern, table, cpus, most, in_flight, name, value in csv.reader(lines):
            if run == "check":
                of_run = checks.setdefault((pattern, table, most, in_flight), {})
            else:
                of_table = counts.setdefault(pattern, {}).setdefault(table, {})
                of_run = of_table.setdefault(int(cpus), {})
            of_run[name] = float(value)
    return counts, checks


def check(checks):
    yield ["pattern", "table", "in flight", "measured, ns", "simulated, ns", "ratio"]
    with open(Path(__file__).with_name("measured.csv"), newline="") as lines:
        for *case, ns in csv.reader(lines):
            simulated = checks[tuple(case)]["ns"]
            yield [case[0], case[1], f"{case[3]} of {case[2]}", ns, f"{simulated:.1f}",
                   f"{simulated / float(ns):.2f}"]


def short(value):
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def table(tables, name="all"):
    cpus = sorted({n for counts in tables.values() for n in counts})
    yield ["table"] + [f"{n} CPUs" for n in cpus]
    for title, counts in tables.items():
        yield [title] + [short(counts[n][name]) for n in cpus]


def lines(counts):
    yield ["pattern", "table", "line", f"transfers a cycle, {SHOWN} CPUs"]
    for pattern, tables in counts.items():
        for title, of_table in tables.items():
            rows = [(value, name) for name, value in of_table[SHOWN].items()
                    if name not in ("all", "ns") and value >= LEAST]
            yield from ([pattern, title, name, short(value)]
                        for value, name in sorted(rows, reverse=True))


def aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def plot(tables, title, out):
    curves, data = [], []
    for name, counts in tables.items():
        points = "\n".join(f"{cpus} {max(values['all'], LEAST)}" for cpus, values in counts.items())
        curves.append(f"'-' title '{name}' with linespoints lc rgb '{COLOURS[name]}' "
                      f"lw {3 if name.startswith('mid') else 1.5} pt {list(COLOURS).index(name) + 1}")
        data.append(points + "\ne\n")
    subprocess.run(["gnuplot"], text=True, check=True, input=f"""
set terminal svg size 900,520 noenhanced font 'sans,12' background 'white'
set output '{out}'
set title '{title}'
set logscale xy
set xrange [1.7:150]
set xtics ({', '.join(str(cpus) for cpus in counts)})
set format y '%g'
set grid ytics lc rgb '#dddddd'
set xlabel 'CPUs'
set ylabel 'transfers of a cache line a cycle'
set key outside right
plot """ + ", ".join(curves) + "\n" + "".join(data))


def judge(st, checked):
    """(what, value, least, most)"""
    for pattern, name, _, _, _, ratio in checked[1:]:
        yield f"{pattern}, {name}: simulated/measured on two CPUs", float(ratio), 0.4, 2.5
    grow = lambda name: st[name][64]["all"] / st[name][16]["all"]
    yield "atlas: transfers a cycle on 64 CPUs, 4096 MIDs a quarter full", \
        st["midatlas"][64]["all"], 0, 0.1
    # Each release makes all CPUs that wait read the line again.
    yield "ticket lock: transfers on 64 CPUs, times those on 16", grow("ticket_lock"), 3, 5
    # Each CPU waits for a line of its own.
    yield "queued lock: transfers on 64 CPUs, times those on 16", grow("spinlock"), 0.8, 1.25


def main():
    out = Path(sys.argv[1] if len(sys.argv) == 2 else "")
    if len(sys.argv) != 2 or not (out / "scale.csv").exists():
        sys.exit("report.py: give the directory of a run of scale.sh")
    counts, checks = read(out / "scale.csv")
    checked = list(check(checks))
    tables = {"lines": ("the lines by name", list(lines(counts))),
              "check": ("a cycle on two CPUs", checked)}
    for pattern, of_pattern in counts.items():
        tables[pattern] = TITLES[pattern] + ": transfers a cycle", list(table(of_pattern))
        plot(of_pattern, TITLES[pattern], out / f"scale-{pattern}.svg")
    for name, (title, rows) in tables.items():
        with open(out / f"scale-{name}.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        print(title, *aligned(rows), "", sep="\n")
    missed = 0
    for what, value, least, most in judge(counts["st"], checked):
        good = least <= value <= most
        missed += not good
        print(f"{what}: {short(value)} ({least} to {most}) {'met' if good else 'MISSED'}")
    sys.exit(bool(missed))


main()
