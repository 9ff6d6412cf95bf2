#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py DIR: makes a page of plots, tables and targets out of a benchmark.

Reads results.csv and setup.txt in DIR, as bench.sh writes them.  Writes README.rst, its plots
and, if an earlier commit was measured too, before.csv.  Prints the tables and the targets.
"""

import csv
import io
import subprocess
import sys
from pathlib import Path

# Every baseline in the order of the tables, with its colour: one colour a family
COLOURS = {
    "floor_min": "#a0a0a0", "floor_slots": "#707070", "floor_full": "#303030",
    "array": "#a0a0a0", "wide_array": "#707070",
    "midatlas": "#c00000", "before": "#f08080", "untraced_atlas": "#f0c0c0",
    "xa_alloc_cyclic": "#08306b", "xa_alloc": "#2171b5", "idr_cyclic": "#4292c6",
    "9p": "#6baed6", "ida": "#9ecae1",
    "sbitmap_queue": "#006d2c", "sbitmap_get": "#74c476",
    "rhashtable": "#7f2704", "cifs_smb1": "#d94801", "cifs_smb2": "#f16913",
    "spinlock": "#fd8d3c", "spinlock_irqsave": "#fdbe85",
}
# The same for the window
WINDOW = {"window_floor": "#303030", "window_full": "#808080",
          "window_full_reserve": "#c0c0c0", "midwindow": "#c00000",
          "untraced_window": "#f0c0c0", "midwindow_reserve": "#f08080",
          "window_cifs": "#d94801", "window_xarray": "#2171b5", "window_xarray_irqsave": "#08306b",
          "window_rhashtable": "#006d2c"}

# While tasks wait, with their colours; the figures of a measurement, and their scale
SAT = {"midatlas": "#c00000", "before": "#f08080", "midwindow_reserve": "#7a0177",
       "sbitmap_queue": "#006d2c", "semaphore_ida": "#2171b5", "nfs_slots": "#6baed6",
       "window_cifs": "#d94801", "window_full_reserve": "#c0c0c0"}
SAT_OURS = ("midatlas", "midwindow_reserve")
# The least that a window needs is none of the baselines that it is compared with.
SAT_FLOORS = {"midwindow_reserve": "window_full_reserve"}
SAT_TESTS = {"sat": "one id", "sat_mixed": "1 to 16 ids"}
# ns_quietest: the longest wait in the round in which that was the shortest
SAT_FIGURES = {"cycles/s": 1, "ns_p50": 1000, "ns_p99": 1000, "ns_longest": 1000,
               "ns_quietest": 1000, "waited_of_1000": 1000, "wakeups_for_1000": 1000,
               "most_for_1000": 1000}

# The order of retirement that a table without an order in its name has
MAIN_ORDER = {"st": "random", "mt": "random", "pc": "fifo"}
WINDOW_ORDER = {"window_st": "random", "window_mt": "random", "window_pc": "fifo",
                "window_old": "random", "window_charge": "random", "window_spare": "random"}
TITLES = {"window_st": "ST", "window_mt": "MT", "window_pc": "PC",
          "window_old": "ST, beside an old request", "window_charge": "ST, CreditCharge 16",
          "window_spare": "ST, 512 spare credits"}
# What the page answers: test, order of retirement, heading, unit, and picoseconds a unit
QUESTIONS = (
    ("st", "random", "ST: one thread, random order", "ns a cycle", 1000),
    ("mt", "random", "MT: two threads on one table, random order", "ns a cycle", 1000),
    ("pc", "fifo", "PC: one thread sends, another completes, in order", "ns a cycle", 1000),
    ("lookup", "random", "Lookup, throughput", "ns a map", 1000),
    ("chase", "random", "Lookup, latency", "ns a map", 1000),
    ("memory", "random", "Memory of a table", "bytes", 1),
    ("reuse", "random", "Reuse: fewest associates between two uses of a number", "associates", 1),
    ("window_st", "random", "Window, ST: one thread, random order", "ns a cycle", 1000),
    ("window_mt", "random", "Window, MT: two threads, random order", "ns a cycle", 1000),
    ("window_pc", "fifo", "Window, PC: one thread sends, another completes, in order",
     "ns a cycle", 1000),
    ("window_memory", "random", "Memory of a window", "bytes", 1),
)
# Times as fast as each baseline: limit, test, requests in flight (least, most)
WINDOW_FASTER = {
    "window_cifs": (
        (1.5, "window_st", 1, 50), (10, "window_st", 512), (2, "window_mt", 1, 1),
        (4, "window_mt", 50, 50), (10, "window_mt", 512), (1.05, "window_pc", 1, 1),
        (2, "window_pc", 50)),
    "window_xarray_irqsave": ((1.25, "window_st", 50), (2, "window_mt"), (2, "window_pc")),
    "window_rhashtable": ((1.05, "window_st"), (1, "window_mt"), (1.4, "window_pc")),
}
OTHER_ALLOCATORS = ("xa_alloc_cyclic", "xa_alloc", "idr_cyclic", "9p", "ida", "sbitmap_queue")


class Results:
    """The medians by test, order, baseline and size = (maximum, in flight)

    While tasks wait, the test is "TEST FIGURE", and the size (maximum, tasks)."""

    def __init__(self, path):
        with open(path, newline="") as lines:
            self.rows = list(csv.DictReader(lines))
        self.value = {}
        for row in self.rows:
            key = (row["test"], row["order"], row["baseline"])
            size = (int(row["max"]), int(row["in_flight"]))
            if row["test"] in SAT_TESTS:
                key = (f"{row['test']} {row['unit']}", *key[1:])
                size = (size[0], int(row["threads"]))
            # A longer run of the same case replaces the shorter one before it.
            self.value.setdefault(key, {})[size] = int(row["median"])
            if row["unit"] == "ns_longest":
                key = (f"{row['test']} ns_quietest", *key[1:])
                # In a round with 0 no task waited: it says nothing.
                self.value.setdefault(key, {})[size] = int(row["least"]) or int(row["median"])

        self.has_before = any(key[2] == "before" for key in self.value)

    def sizes(self, test, order):
        return sorted({size for (t, o, _), values in self.value.items()
                       if (t, o) == (test, order) for size in values})

    def get(self, test, order, baseline, size):
        return self.value.get((test, order, baseline), {}).get(size)

    def ratio(self, test, order, size, of, to):
        """@of / @to, or None if one of them was not measured"""
        a, b = (self.get(test, order, baseline, size) for baseline in (of, to))
        return a / b if a is not None and b else None

    def cells(self, tests, keep=lambda size: True):
        """Every case of @tests: (test, order, size)"""
        return [(test, order, size) for test in tests for order in ("random", "fifo")
                for size in self.sizes(test, order) if keep(size)]

    def disturbed(self):
        timed = [row for row in self.rows if row["unit"] in ("ps", "cycles/s")]
        return sum(int(row["disturbed"]) for row in timed) / max(
            1, sum(int(row["rounds"]) for row in timed))


def depth_name(size):
    return f"{size[1]} of {size[0]}"


def number(value, scale):
    """Three digits or more"""
    if value is None:
        return ""
    return f"{value / scale:.{1 if scale > 1 and value < 100 * scale else 0}f}"


def table(results, test, order, scale=1, maximum=None):
    """A header, then a row for each baseline; of all sizes, or of those with @maximum"""
    sizes = [size for size in results.sizes(test, order) if maximum in (None, size[0])]
    if sizes:
        yield ["in flight"] + [str(size[1]) if maximum else depth_name(size) for size in sizes]
    for baseline in COLOURS | WINDOW:
        values = [results.get(test, order, baseline, size) for size in sizes]
        if any(value is not None for value in values):
            yield [baseline] + [number(value, scale) for value in values]


def variants_table(results):
    """The cases of the window with one thread, a row for each baseline"""
    tests = ("window_old", "window_charge", "window_spare")
    size = max((size for test in tests for size in results.sizes(test, "random")), default=None)
    if size:
        yield [f"{size[1]} in flight"] + ["ordinary"] + [TITLES[test][4:] for test in tests]
        for baseline in WINDOW:
            values = [results.get(test, "random", baseline, size) for test in ("window_st", *tests)]
            if any(value is not None for value in values[1:]):
                yield [baseline] + [number(value, 1000) for value in values]


def sat_table(results):
    """A row for each baseline and number of tasks; times in us"""
    yield ["ids", "tasks", "baseline", "cycles/s", "wait p50", "wait p99", "longest wait",
           "in the quietest round", "waited", "wake-ups a wait", "most/least"]
    for test, ids in SAT_TESTS.items():
        for size in results.sizes(f"{test} cycles/s", "fifo"):
            for baseline in SAT:
                values = [results.get(f"{test} {figure}", "fifo", baseline, size)
                          for figure in SAT_FIGURES]
                if values[0] is not None:
                    yield [ids, str(size[1]), baseline] + [
                        f"{value / scale:.{0 if scale == 1 else 2}f}"
                        for value, scale in zip(values, SAT_FIGURES.values())]


def before_table(results):
    """New/before for each test, order and depth, the worst first"""
    rows = []
    for test, order, size in results.cells(("st", "mt", "pc")):
        ratio = results.ratio(test, order, size, "midatlas", "before")
        if ratio:
            new, before = (results.get(test, order, baseline, size) / 1000
                           for baseline in ("midatlas", "before"))
            rows.append((ratio, [f"{ratio:.2f}", test, order, depth_name(size),
                                 f"{new:.1f}", f"{before:.1f}"]))
    if rows:
        yield ["new/before", "test", "order", "in flight", "new, ns", "before, ns"]
        yield from (row for _, row in sorted(rows, reverse=True))


class Targets:
    """Each target, its value, and a lower bound's value in the same case"""

    def __init__(self, results):
        self.results = results
        self.rows = [["target", "limit", "value", "", "floor", "where"]]
        self.missed = 0

    def add(self, text, limit, cases, least=False):
        """@cases: (value, floor's value, where); the worst must keep to @limit"""
        cases = [case for case in cases if case[0] is not None]
        if not cases:
            return
        value, floor, where = (min if least else max)(cases, key=lambda case: case[0])
        met = value >= limit if least else value <= limit
        self.missed += not met
        self.rows.append([text, f"{'>=' if least else '<='} {limit:g}", f"{value:.4g}",
                          "met" if met else "MISSED", f"{floor:.4g}" if floor else "-", where])

    def ratios(self, text, limit, cells, to, floor="floor_full", of="midatlas"):
        """The time of @of as a multiple of that of @to"""
        self.add(text, limit, [
            (self.results.ratio(*cell, of, to), self.results.ratio(*cell, floor, to),
             f"{cell[0]} {cell[1]}, {depth_name(cell[2])}") for cell in cells])

    def faster(self, text, limit, cells, than):
        """The time of @than as a multiple of that of midwindow"""
        self.add(text, limit, [
            (self.results.ratio(*cell, than, "midwindow"),
             self.results.ratio(*cell, than, "window_full"),
             f"{cell[0]} {cell[1]}, {depth_name(cell[2])}") for cell in cells], least=True)

    def variant(self, text, limit, test, than="window_st", of="midwindow", floor="window_full"):
        """The time of @of in @test as a multiple of that in @than"""
        def ratio(order, size, baseline):
            a, b = (self.results.get(t, order, baseline, size) for t in (test, than))
            return a / b if a and b else None

        self.add(text, limit, [
            (ratio(order, size, of), ratio(order, size, floor),
             f"{order}, {depth_name(size)}") for _, order, size in self.results.cells([test])])

    def sizes(self, text, limit, test, value, least=False, of="midatlas"):
        """@value of each size at which @of has a result"""
        values = self.results.value.get((test, "random", of), {})
        self.add(text, limit, [(value(size, got), None, depth_name(size))
                               for size, got in values.items()], least)


def ahead(targets, results, cells, where):
    for other in OTHER_ALLOCATORS:
        targets.ratios(f"time, times {other}{where}", 1.0,
                       [cell for cell in cells if not results.has_before or
                        (results.ratio(*cell, "before", other) or 1) < 1], other)


def targets_against_before(targets, results):
    """What a change of the atlas may cost"""
    three_quarters = lambda size: size[1] <= 0.75 * size[0]
    targets.ratios("ST, times before, up to 75 % full", 1.15,
                   results.cells(["st"], three_quarters), "before")
    targets.ratios("ST, times before, fuller", 1.5,
                   results.cells(["st"], lambda size: not three_quarters(size)), "before")
    targets.ratios("MT, times before", 1.5, results.cells(["mt"]), "before")
    targets.ratios("PC, times before", 1.5, results.cells(["pc"]), "before")
    ahead(targets, results, results.cells(("st", "mt", "pc")), ", where before is ahead")

    def times_before(test):
        return lambda size, got: got / before if (
            before := results.get(test, "random", "before", size)) else None

    # 0: no id came back at all
    targets.sizes("reuse distance, times before", 0.9, "reuse", lambda size, got:
                  times_before("reuse")(size, got) if got else None, least=True)
    # Not larger: repetitions of one measurement differ by as much as this.
    targets.sizes("memory, times before", 1.05, "memory", times_before("memory"))


def targets_alone(targets, results):
    """What the atlas must reach with no earlier commit beside it"""
    not_full = lambda size: size[1] <= 0.75 * size[0]
    some = lambda size: size[1] >= 50 and not_full(size)
    main = [cell for cell in results.cells(("st", "mt", "pc"), lambda size: size[0] != size[1])
            if cell[1] == MAIN_ORDER[cell[0]] and (cell[0] != "pc" or cell[2][1] >= 50)]
    targets.ratios("ST, times floor_full, up to 75 % full", 1.15,
                   results.cells(["st"], not_full), "floor_full")
    targets.ratios("MT, times floor_min, up to 75 % full", 2.5,
                   results.cells(["mt"], not_full), "floor_min")
    targets.ratios("PC in order, times floor_min, from 50 in flight", 1.3,
                   [cell for cell in results.cells(["pc"], some) if cell[1] == "fifo"],
                   "floor_min")
    ahead(targets, results, main, ", PC in order from 50 in flight")


def targets_of_window(targets, results):
    """What the window must reach beside its baselines"""
    def cells(test, least=1, most=None):
        return [cell for cell in results.cells(
            [test], lambda size: least <= size[1] <= (most or size[1]))
            if cell[1] == WINDOW_ORDER[test]]

    def case(test, least=1, most=None):
        number = (f", {least} to {most} in flight" if most and most > least else
                  f", {least} in flight" if most else
                  f", from {least} in flight" if least > 1 else "")
        return f"window, {TITLES[test]}{number}"

    for limit, *where in ((1.8, "window_st", 1, 512), (2.5, "window_st", 8192, 8192),
                          (2.2, "window_mt"), (1.1, "window_pc", 50)):
        targets.ratios(f"{case(*where)}: time, times window_floor", limit, cells(*where),
                       "window_floor", of="midwindow", floor="window_full")
    for than, limits in WINDOW_FASTER.items():
        for limit, *where in limits:
            targets.faster(f"{case(*where)}: times as fast as {than}", limit, cells(*where), than)
    targets.variant("window, ST: beside an old request, times without", 1.1, "window_old")
    targets.variant("window, ST: CreditCharge 16, times 1", 1.3, "window_charge")
    targets.variant("window, ST: 512 spare credits, times none", 1.1, "window_spare")
    targets.ratios("window, ST: time, times without events and latency", 1.01,
                   cells("window_st"), "untraced_window", of="midwindow", floor=None)
    for limit, test in ((1.5, "window_st"), (2, "window_mt")):
        targets.add(f"window, {TITLES[test]}: reserve + associate, times begin", limit, [
            (results.ratio(*cell, "midwindow_reserve", "midwindow"),
             results.ratio(*cell, "window_full_reserve", "window_full"),
             f"{cell[0]} {cell[1]}, {depth_name(cell[2])}") for cell in cells(test)])
    targets.sizes("window: slab allocations", 0, "window_allocations", lambda size, got: got,
                  of="midwindow")
    targets.sizes("memory of a new window, bytes", 8192, "window_memory",
                  lambda size, got: got if size == (1, 1) else None, of="midwindow")
    # Three quarters of a table are used, and its size is a power of two.
    targets.sizes("memory of a window, times (8 KiB + 64 bytes a slot)", 1.0, "window_memory",
                  lambda size, got: got / (8192 + 64 * slots([-(-4 * size[0] // 3)])),
                  of="midwindow")


def targets_of_sat(targets, results):
    """What a hand-over must reach; as the floor the best value of the other baselines, but
    for cycles/s of the window the least that it needs"""
    def figure(unit):
        return lambda test, name, size: results.get(f"{test} {unit}", "fifo", name, size)

    def add(text, limit, of, test, sizes, value):
        targets.add(text, limit, [
            (value(test, of, size), min(value(test, name, size) for name in others[size]),
             f"{size[1]} tasks") for size in sizes])

    rate, median, longest = figure("cycles/s"), figure("ns_p50"), figure("ns_quietest")
    unfair = lambda *case: figure("most_for_1000")(*case) / 1000
    for of in SAT_OURS:
        for test, ids in SAT_TESTS.items():
            what = f"{of}, {ids}"
            sizes = [size for size in results.sizes(f"{test} cycles/s", "fifo")
                     if rate(test, of, size)]
            others = {size: [name for name in SAT
                             if name not in (*SAT_OURS, *SAT_FLOORS.values(), "before")
                             and rate(test, name, size)] for size in sizes}
            sizes = [size for size in sizes if others[size]]
            for size in sizes:
                best = max(rate(test, name, size) for name in others[size])
                floors = [SAT_FLOORS[of]] if of in SAT_FLOORS else [
                    name for name in others[size] if unfair(test, name, size) <= 1.05]
                floor = max((rate(test, name, size) or 0 for name in floors), default=0)
                targets.add(f"{what}: cycles/s, times the best baseline", 1.0, [
                    (rate(test, of, size) / best, floor / best or None,
                     f"{size[1]} tasks")], least=True)
            for size in sizes:
                add(f"{what}: longest wait, times the median", 3, of, test, [size],
                    # Fewer than half of the calls may have waited.
                    lambda *case: longest(*case) / (median(*case) or 1))
            add(f"{what}: wake-ups a wait", 1.0, of, test, sizes,
                lambda *case: figure("wakeups_for_1000")(*case) / 1000)
            add(f"{what}: most/least", 1.05, of, test, sizes, unfair)


def slots(size):
    """The slots of an atlas for @size: a power of two"""
    return 1 << (size[0] - 1).bit_length()


def judge(results, cpus):
    targets = Targets(results)
    (targets_against_before if results.has_before else targets_alone)(targets, results)
    for test, text in (("lookup", "throughput"), ("chase", "latency")):
        targets.ratios(f"lookup, {text}, times wide_array", 1.5, results.cells([test]),
                       "wide_array", "floor_slots")
    targets.ratios("lookup, throughput, times xa_alloc_cyclic", 0.5, results.cells(["lookup"]),
                   "xa_alloc_cyclic", "wide_array")
    targets.sizes("memory, times (17 bytes a slot + 1 KiB + 64 bytes a CPU)", 1.0, "memory",
                  lambda size, got: got / (17 * slots(size) + 1024 + 64 * cpus))
    targets.sizes("memory of 50 MIDs, bytes", 2048, "memory",
                  lambda size, got: got if size == (50, 50) else None)
    targets.sizes("exactly full: failed associates", 0, "full", lambda size, got: got)
    targets.sizes("one MID free: failed associates", 0, "one_free", lambda size, got: got)
    targets.ratios("ST: time, times without events and latency", 1.01,
                   [cell for cell in results.cells(["st"]) if cell[1] == MAIN_ORDER["st"]],
                   "untraced_atlas", floor=None)
    targets_of_window(targets, results)
    targets_of_sat(targets, results)
    for of, window in (("midatlas", ""), ("midwindow", "window_")):
        targets.variant(f"{of}: time while a task reads debugfs, times without", 1.03,
                        f"{window}read", f"{window}unread", of)
    return targets


def aligned(rows):
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) if not i else cell.rjust(width)
                     for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


def plot(results, test, order, title, unit, scale, out):
    """Against requests in flight, each in the largest table; memory against the largest number
    in flight.  False if there is nothing to plot."""
    x, label = (0, "most requests in flight") if "memory" in test else (1, "requests in flight")
    sizes = sorted(results.sizes(test, order), key=lambda size: (size[x], size[1 - x]))
    sizes = {size[x]: size for size in sizes}.values()
    curves, data = [], []
    ours = ("midatlas", "midwindow")
    for i, (baseline, colour) in sorted(enumerate((COLOURS | WINDOW).items()),
                                        key=lambda curve: curve[1][0] in ours):
        points = [f"{size[x]} {value / scale}" for size in sizes
                  if (value := results.get(test, order, baseline, size))]
        if len(points) > 1:
            width = 3 if baseline in ours else 1.5
            curves.append(f"'-' title '{baseline}' with linespoints lc rgb '{colour}' lw {width} "
                          f"pt {i + 1}")
            data.append("\n".join(points) + "\ne\n")
    if curves:
        subprocess.run(["gnuplot"], text=True, check=True, input=f"""
set terminal svg size 600,640 noenhanced font 'sans,15' background 'white'
set output '{out}'
set title '{title}' font 'sans,14'
set logscale xy
set format y '%.0f'
set grid ytics lc rgb '#dddddd'
set xlabel '{label}'
set ylabel '{unit}'
set key below maxcols 3 samplen 1.5
plot """ + ", ".join(curves) + "\n" + "".join(data))
    return bool(curves)


def csv_table(title, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return (f".. csv-table:: {title}\n   :header-rows: 1\n   :class: numbers\n\n" +
            "".join(f"   {line}\n" for line in text.getvalue().splitlines()))


def heading(text, line):
    return f"{text}\n{line * len(text)}\n"


def page(results, setup, targets, last, out):
    """The parts of README.rst: what a forge shows, and a page of the documentation"""
    yield (".. SPDX-License-Identifier: GPL-2.0\n.. Written by bench/report.py\n\n"
           f"{'=' * len(out.name)}\n{heading(out.name, '=')}")
    yield "".join(f":{line}\n" for line in setup.splitlines())
    for test, order, title, unit, scale in QUESTIONS:
        maxima = sorted({size[0] for size in results.sizes(test, order)})
        if not maxima:
            continue
        yield heading(title, "=")
        if plot(results, test, order, title, unit, scale, out / f"{test}.svg"):
            yield f".. figure:: {test}.svg\n   :alt: {title}\n"
        if test.startswith("window"):
            yield csv_table(unit, table(results, test, order, scale))
        else:
            for maximum in maxima:
                yield csv_table(f"{unit}, at most {maximum} in flight",
                                table(results, test, order, scale, maximum))
    rows = list(variants_table(results))
    if rows:
        yield heading("Window, ST: special cases", "=")
        yield csv_table("ns a cycle", rows)
    rows = list(table(results, "window_allocations", "random"))
    if rows:
        yield heading("Slab allocations of a task in a million requests", "=")
        yield csv_table("allocations", rows)
    rows = list(sat_table(results))
    if len(rows) > 1:
        yield heading("SAT: full tables while tasks wait", "=")
        plot_sat(results, out / "sat.svg")
        yield ".. figure:: sat.svg\n   :alt: cycles a second, and waits\n"
        # Two narrow tables: what is done, and how long that takes
        for title, columns in (("50 ids", (0, 1, 2, 3, 8, 9, 10)),
                               ("50 ids, times in us", (0, 1, 2, 4, 5, 6, 7))):
            yield csv_table(title, [[row[i] for i in columns] for row in rows])
    yield heading("Targets", "=")
    yield csv_table("The worst case of each", targets)
    yield f"{last}.\n"


def plot_sat(results, out):
    """Rate, and the 99th percentile of the waits, against the number of tasks"""
    sizes = results.sizes("sat cycles/s", "fifo")
    if not sizes:
        return
    panels = ""
    for figure, scale, label in (("cycles/s", 1000, "1000 cycles/s"),
                                 ("ns_p99", 1000, "99th percentile of the waits, us")):
        curves, data = [], []
        for baseline, colour in SAT.items():
            points = [f"{size[1]} {value / scale}" for size in sizes
                      if (value := results.get(f"sat {figure}", "fifo", baseline, size))]
            if points:
                width = 3 if baseline in SAT_OURS else 1.5
                curves.append(f"'-' title '{baseline}' with linespoints lc rgb '{colour}' "
                              f"lw {width} pt {list(SAT).index(baseline) + 1}")
                data.append("\n".join(points) + "\ne\n")
        log = ("set yrange [0:*]\nset key bottom right" if figure == "cycles/s" else
               "set logscale y\nset yrange [*:*]\nset key top left")
        panels += f"{log}\nset ylabel '{label}'\nplot " + ", ".join(curves) + "\n" + "".join(data)
    subprocess.run(["gnuplot"], text=True, check=True, input=f"""
set terminal svg size 900,420 noenhanced font 'sans,12' background 'white'
set output '{out}'
set multiplot layout 1,2
set logscale x 2
set xtics ({', '.join(str(size[1]) for size in sizes)})
set xrange [{sizes[0][1] / 1.5}:{sizes[-1][1] * 1.5}]
set grid ytics lc rgb '#dddddd'
set xlabel 'tasks, with {sizes[0][0]} ids'
""" + panels)


def main():
    out = Path(sys.argv[1] if len(sys.argv) == 2 else "").resolve()
    if len(sys.argv) != 2 or not (out / "results.csv").exists():
        sys.exit("report.py: give the directory of a run of bench.sh")
    results = Results(out / "results.csv")
    setup = (out / "setup.txt").read_text()
    cpus = int(dict(line.split(": ", 1) for line in setup.splitlines()).get("cpus", 2))

    text = [setup]
    for test, order, title, unit, scale in QUESTIONS:
        rows = list(table(results, test, order, scale))
        if rows:
            text += [f"{title}, {unit}", *aligned(rows), ""]
    rows = list(sat_table(results))
    if len(rows) > 1:
        text += ["SAT: full tables while tasks wait, in us", *aligned(rows), ""]
    before = list(before_table(results))
    if len(before) > 1:
        with open(out / "before.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(before)
        text += ["new/before, worst first", *aligned(before), ""]
    targets = judge(results, cpus)
    last = (f"{len(targets.rows) - 1 - targets.missed} of {len(targets.rows) - 1} targets met; "
            f"{results.disturbed():.1%} of the measurements were disturbed, after repetition")
    (out / "README.rst").write_text("\n".join(page(results, setup, targets.rows, last, out)))
    print("\n".join(text + aligned(targets.rows) + [last]))


main()
