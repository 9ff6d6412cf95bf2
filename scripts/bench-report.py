#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench-report.py DIR: makes tables, plots and a verdict out of a benchmark.

Reads results.csv and setup in DIR.  Prints the tables and, for each target, by how
much it is met or missed.  Writes to DIR results.json (all of it), tables.md,
targets.txt, setup.rst, a wide .csv for each table, and plots as .svg.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

TITLES = {
    "floor_min": "floor_min, the floor",
    "floor_slots": "floor_slots, the floor with such slots",
    "floor_full": "the same, with all that is to be asked",
    "midatlas": "midatlas",
    "before": "midatlas before",
    "array": "bare RCU array",
    "wide_array": "the same, 16 bytes a slot, every other in use",
    "xa_alloc_cyclic": "xa_alloc_cyclic",
    "xa_alloc": "xa_alloc, lowest first",
    "idr_cyclic": "idr cyclic + spinlock",
    "9p": "net/9p's way",
    "ida": "ida + array",
    "sbitmap_queue": "sbitmap_queue + array",
    "sbitmap_get": "sbitmap_get + array",
    "rhashtable": "rhashtable, counter ids",
    "cifs_smb1": "cifs' way, SMB1",
    "cifs_smb2": "cifs' way, SMB2",
    "spinlock": "spinlock + free list",
    "spinlock_irqsave": "the same, irqsave",
}

# Without the variants of midatlas and of the floor, which would hide their curves
BASELINES = [baseline for baseline in TITLES
         if baseline not in ("before", "floor_full")]

# Test and order of retirement, title, what the baselines are compared with
TABLES = [
    ("st", "random", "ST: one thread associates, maps and dissociates", "floor_min"),
    ("mt", "random", "MT: two threads on one table", "floor_min"),
    ("pc", "fifo", "PC: one thread associates, the other maps and dissociates", "floor_min"),
    ("lookup", "random", "Lookup, throughput", "array"),
    ("chase", "random", "Lookup, each after the one before", "array"),
    ("st", "fifo", "ST, retired in order", "floor_min"),
    ("mt", "fifo", "MT, retired in order", "floor_min"),
    ("pc", "random", "PC, retired in random order", "floor_min"),
]

NEARLY_FULL = 0.99
SPARE = 0.75


class Results:
    """The medians by test, order, baseline, and (maximum, in flight)."""

    def __init__(self, path):
        with open(path, newline="") as lines:
            self.rows = list(csv.DictReader(lines))
        self.value = {}
        for row in self.rows:
            for column in ("threads", "max", "in_flight", "rounds", "disturbed",
                           "cycles", "median", "least", "most"):
                row[column] = int(row[column])
            size = (row["max"], row["in_flight"])
            key = (row["test"], row["order"], row["baseline"])
            # A longer run of the same replaces the shorter one before it.
            self.value.setdefault(key, {})[size] = row["median"]

    def sizes(self, test, order):
        found = {size for (t, o, _), values in self.value.items()
                 if (t, o) == (test, order) for size in values}
        return sorted(found)

    def get(self, test, order, baseline, size):
        return self.value.get((test, order, baseline), {}).get(size)

    def ratio(self, test, order, size, of, to):
        """How many times as much as @to is @of?  None if either is not known."""
        a, b = (self.get(test, order, baseline, size) for baseline in (of, to))
        return a / b if a and b else None


def number(value):
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def table(results, test, order, base):
    """A header and a row for each baseline: ns, times @base, times midatlas."""
    sizes = results.sizes(test, order)
    yield ["in flight / maximum"] + [f"{n} / {m}" for m, n in sizes]
    for baseline, title in TITLES.items():
        cells = []
        for size in sizes:
            value = results.get(test, order, baseline, size)
            if value is None:
                cells.append("-")
                continue
            cell = number(value / 1000)
            for other in (base, "midatlas"):
                ratio = results.ratio(test, order, size, baseline, other)
                cell += f" · {ratio:.2f}" if ratio and baseline != other else " · 1"
            cells.append(cell)
        if set(cells) != {"-"}:
            yield [title] + cells


def plain_table(results, test):
    sizes = results.sizes(test, "random")
    yield ["in flight / maximum"] + [f"{n} / {m}" for m, n in sizes]
    for baseline, title in TITLES.items():
        values = [results.get(test, "random", baseline, size) for size in sizes]
        if any(value is not None for value in values):
            yield [title] + ["-" if value is None else str(value) for value in values]


def markdown(rows):
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number_of_row, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "| " + " | ".join(cells) + " |"
        if not number_of_row:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def new_before(results):
    """A header and a row for each test and depth: new/before, the worst first"""
    yield ["new/before", "test", "order", "in flight / maximum", "new, ns", "before, ns"]
    rows = []
    for test in ("st", "mt", "pc"):
        for order in ("random", "fifo"):
            for size in results.sizes(test, order):
                ratio = results.ratio(test, order, size, "midatlas", "before")
                if ratio:
                    new, before = (results.get(test, order, baseline, size) / 1000
                                   for baseline in ("midatlas", "before"))
                    rows.append((ratio, test, order, size, new, before))
    for ratio, test, order, (most, depth), new, before in sorted(rows, reverse=True):
        yield [f"{ratio:.2f}", test, order, f"{depth} / {most}", number(new), number(before)]


class Targets:
    """What was demanded, and what came of it."""

    def __init__(self, results):
        self.results = results
        self.lines = []
        self.last = None

    def add(self, number_of_target, text, limit, cases, least=False):
        """@cases: (what came out, where); all at most @limit, or at least."""
        cases = [(value, where) for value, where in cases if value is not None]
        self.last = None
        if not cases:
            return
        value, where = (min if least else max)(cases)
        met = self.meets(value, limit, least)
        by = abs(value / limit - 1) * 100 if limit else value
        self.last = {"target": number_of_target, "text": text, "met": met,
                     "limit": limit, "value": round(value, 3), "where": where,
                     "by_percent": round(by, 1), "note": "", "possible": True}
        self.lines.append(self.last)

    @staticmethod
    def meets(value, limit, least):
        return value >= limit if least else value <= limit

    def at_best(self, ratios, least, text):
        """If the last target was missed: how close comes what costs the least?"""
        ratios = [ratio for ratio, _ in ratios if ratio]
        target = self.last
        if not ratios or not target or target["met"]:
            return
        best = (min if least else max)(ratios)
        target["note"] += f"; {text} {best:.2f}x"
        target["possible"] &= self.meets(best, target["limit"], least)

    def ratios(self, test, order, of, to, keep=lambda size: True):
        """Of all sizes but exactly full, where what is demanded is no speed"""
        for size in self.results.sizes(test, order):
            if keep(size) and size[0] != size[1]:
                ratio = self.results.ratio(test, order, size, of, to)
                yield ratio, f"{size[1]} of {size[0]}"

    def text(self):
        for line in self.lines:
            verdict = "met" if line["met"] else "MISSED"
            by = f" by {line['by_percent']:g} %" if line["limit"] else ""
            yield (f"target {line['target']}  {line['text']:52} {verdict + by:18} "
                   f"{line['value']:g}, {line['where']}{line['note']}")
        missed = [line for line in self.lines if not line["met"]]
        possible = sum(line["possible"] for line in missed)
        yield (f"{len(self.lines) - len(missed)} of {len(self.lines)} targets met; {len(missed)} missed, "
               f"of which {len(missed) - possible} by what costs the least, too")


def fullness(size):
    return size[1] / size[0]


def judge(results, cpus):
    targets = Targets(results)
    full = lambda size: fullness(size) > NEARLY_FULL
    some = lambda size: size[1] >= 50

    def all_asked(test, order, of, to, keep):
        """floor_full's CPUs walk through all of a table, and only in a large one apart."""
        apart = lambda size: keep(size) and (test == "st" or size[0] > 4096)
        return targets.ratios(test, order, of, to, apart) if test in ("st", "mt") else []

    def against(number_of_target, test, order, baseline, limit, keep=lambda size: True):
        name = {"st": "ST", "mt": "MT", "pc": "PC", "lookup": "lookup"}[test]
        targets.add(number_of_target, f"{name}: at least {limit:g}x faster than {baseline}", limit,
                 targets.ratios(test, order, baseline, "midatlas", keep), least=True)
        targets.at_best(all_asked(test, order, baseline, "floor_full", keep), True, "floor_full itself:")
        for least in ("floor_min", "floor_slots"):
            targets.at_best(targets.ratios(test, order, baseline, least, keep), True, f"{least} itself:")

    def floor(number_of_target, test, order, limit, text, keep, to="floor_min"):
        targets.add(number_of_target, f"{text}: at most {limit:g}x {to}", limit,
                 targets.ratios(test, order, "midatlas", to, keep))
        targets.at_best(targets.ratios(test, order, "floor_slots", to, keep), False, "floor_slots itself:")
        targets.at_best(all_asked(test, order, "floor_full", to, keep), False, "floor_full itself:")

    def lookup(test, limit, text):
        floor(4, test, "random", limit, text, lambda size: True, "array")
        targets.at_best(targets.ratios(test, "random", "wide_array", "array"), False,
                     "an array of slots as wide, every other in use:")

    floor(1, "st", "random", 2.0, "ST", lambda size: not full(size))
    floor(1, "st", "random", 4.5, "ST, 99.9 % full", full)
    floor(2, "mt", "random", 2.5, "MT", lambda size: fullness(size) <= SPARE)
    tight = lambda size: fullness(size) > SPARE
    floor(2, "mt", "random", 3.5, "MT, over 75 % full", tight)
    against(2, "mt", "random", "spinlock", 5)
    floor(3, "pc", "fifo", 1.3, "PC, from 50 in flight", lambda size: some(size) and not full(size))
    floor(3, "pc", "fifo", 1.6, "PC, nearly full", full)
    lookup("lookup", 1.5, "lookup, throughput")
    lookup("chase", 1.5, "lookup, latency")
    against(4, "lookup", "random", "xa_alloc_cyclic", 2)
    for baseline, limits in {"xa_alloc_cyclic": (4, 20, 10), "idr_cyclic": (3, 20, 10),
                         "9p": (4, 20, 12), "sbitmap_queue": (1.4, 1.5, 1.7),
                         "sbitmap_get": (1.2, 1.2, 1.2)}.items():
        against(5, "st", "random", baseline, limits[0])
        against(5, "mt", "random", baseline, limits[1])
        against(5, "pc", "fifo", baseline, limits[2], some)
    against(5, "st", "random", "cifs_smb1", 200, lambda size: size[1] == 1000)
    against(5, "st", "random", "cifs_smb2", 80, lambda size: size[1] == 1000)

    flat = []
    for depth in (1, 50, 1000):
        small, large = (results.get("st", "random", "midatlas", (most, depth))
                        for most in (4096, 65535))
        flat.append((large / small if small and large else None, f"{depth} in flight"))
    targets.add(6, "flat: maximum 65,535 at most 1.2x 4096", 1.2, flat)
    few, many = (results.get("st", "random", "midatlas", (65535, depth)) for depth in (50, 4096))
    targets.add(6, "flat: 4096 in flight at most 1.3x 50", 1.3,
             [(many / few if few and many else None, "maximum 65,535")])

    memory = results.value.get(("memory", "random", "midatlas"), {})
    targets.add(7, "memory: at most 17 bytes a slot + 1 KiB + 64 a CPU", 1.0,
             [(value / (17 * size[0] + 1024 + 64 * cpus), f"maximum {size[0]}")
              for size, value in memory.items()])
    targets.add(7, "memory: 50 MIDs in at most 2 KiB", 2048,
             [(memory.get((50, 50)), "maximum 50")])

    for test, text in (("full", "exactly full: no associate fails"),
                       ("one_free", "one MID free: any CPU gets it in one call")):
        rows = [row for row in results.rows if (row["test"], row["baseline"]) == (test, "midatlas")]
        targets.add(8, text, 0, [(row["median"], f"in {row['cycles']:,} cycles, maximum {row['max']}")
                              for row in rows])
    return targets


def gnuplot(script, out):
    common = f"""set terminal svg size 900,520 noenhanced font 'sans,12' background 'white'
set output '{out}'
set logscale y
set format y '%.0f'
set grid ytics lc rgb '#dddddd'
set ylabel 'ns for a cycle'
"""
    subprocess.run(["gnuplot"], input=common + script, text=True, check=True)


def style(baseline):
    if baseline == "midatlas":
        return "lc rgb '#c00000' lw 3 pt 7"
    if baseline == "floor_min":
        return "lc rgb 'black' lw 2 dt 2 pt 6"
    others = [name for name in TITLES if name not in ("midatlas", "floor_min")]
    return f"lt {others.index(baseline) + 1} pt {others.index(baseline) + 1}"


def plot_depths(results, test, order, title, out):
    """Cost against depth; of the sizes with one depth, that of the largest maximum"""
    sizes = {depth: (most, depth) for most, depth in results.sizes(test, order) if most != depth}
    curves, data = [], []
    for baseline in BASELINES:
        points = [(depth, results.get(test, order, baseline, sizes[depth])) for depth in sorted(sizes)]
        points = [f"{depth} {value / 1000}" for depth, value in points if value]
        if points:
            curves.append(f"'-' title \"{TITLES[baseline]}\" with linespoints {style(baseline)}")
            data.append("\n".join(points) + "\ne\n")
    if curves:
        gnuplot(f'set title "{title}"\nset logscale x\nset xlabel "requests in flight"\n'
                "set key outside right\nplot " + ", \\\n".join(curves) + "\n" + "".join(data), out)


def plot_patterns(results, out):
    """The three patterns, side by side, with 1000 of 4096 in flight"""
    size = (4096, 1000)
    patterns = [("st", "random"), ("mt", "random"), ("pc", "fifo")]
    rows = []
    for baseline in BASELINES:
        values = [results.get(test, order, baseline, size) for test, order in patterns]
        if all(values):
            rows.append(f'"{TITLES[baseline]}" ' + " ".join(str(value / 1000) for value in values))
    if not rows:
        return
    data = "\n".join(rows) + "\ne\n"
    targets = ", ".join(f"'-' using {i + 2}:xtic(1) title '{name}'"
                     for i, name in enumerate(("one thread", "two threads", "pair")))
    gnuplot('set title "1000 of 4096 in flight"\nset style data histogram\n'
            "set style fill solid border -1\nset xtics rotate by -40\nset boxwidth 0.9\n"
            f"set rmargin 12\nset key top left\nplot {targets}\n" + data * 3, out)


def read_setup(path):
    return dict(line.rstrip("\n").split(" ", 1) for line in open(path) if " " in line)


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def tables(results, out):
    for test, order, title, base in TABLES:
        if not results.sizes(test, order):
            continue
        rows = list(table(results, test, order, base))
        write_csv(out / f"{test}-{order}.csv", rows)
        yield f"\n{title} (ns · times {base} · times midatlas)\n"
        yield from markdown(rows)
    for test, title in (("memory", "Memory of a table (bytes)"),
                        ("reuse", "Reuse: the fewest associates between two uses of one id "
                                  "(0: none came back)")):
        if results.sizes(test, "random"):
            rows = list(plain_table(results, test))
            write_csv(out / f"{test}.csv", rows)
            yield f"\n{title}\n"
            yield from markdown(rows)


def main():
    if len(sys.argv) != 2 or not Path(sys.argv[1], "results.csv").exists():
        sys.exit("bench-report.py: give the directory with the results.csv of a run of bench.sh")
    out = Path(sys.argv[1])
    results = Results(out / "results.csv")
    setup = read_setup(out / "setup")
    targets = judge(results, int(setup.get("cpus", 2)))

    timed = [row for row in results.rows if row["unit"] == "ps"]
    disturbed = sum(row["disturbed"] for row in timed) / max(1, sum(row["rounds"] for row in timed))
    setup["disturbed"] = f"{disturbed:.1%} of the measurements, after repetition"
    text = [f"{key}: {value}" for key, value in setup.items()]
    text += list(tables(results, out))
    (out / "tables.md").write_text("\n".join(text) + "\n")
    rows = list(new_before(results))
    if len(rows) > 1:
        write_csv(out / "before.csv", rows)
        text += ["\nThis commit against the one before, worst first\n"] + list(markdown(rows))
    text += [""] + list(targets.text())
    (out / "targets.txt").write_text("\n".join(targets.text()) + "\n")
    (out / "setup.rst").write_text(".. SPDX-License-Identifier: GPL-2.0\n\n" + "".join(
        f":{key}: {value}\n" for key, value in setup.items()))
    (out / "results.json").write_text(json.dumps(
        {"setup": setup, "targets": targets.lines, "results": results.rows}, indent=1) + "\n")
    print("\n".join(text))

    for test, order, title, _ in TABLES[:3]:
        plot_depths(results, test, order, title, out / f"{test}.svg")
    plot_patterns(results, out / "patterns.svg")


main()
