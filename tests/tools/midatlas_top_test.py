#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs midatlas-top on a directory that looks like debugfs."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/midatlas-top")

ATLAS = {"max": 50, "in_use": 23, "slots": 64, "high_water": 30, "abandoned": 2, "waiters": 3,
         "associated": 1000, "dissociated": 979, "stale": 0, "unknown": 0, "late": 0,
         "exhausted": 0, "oldest_ms": 12}
WINDOW = {"epoch": 1, "next": 100, "limit": 140, "unsent": 100, "spans": 0, "given_back": 2,
          "aside": 1, "stalled": 0, "in_use": 8, "high_water": 9, "abandoned": 0, "waiters": 0,
          "wants": 0, "slots": 24, "associated": 100, "dissociated": 92, "stale": 0,
          "unknown": 0, "late": 0, "exhausted": 0, "lost": 0, "oldest_ms": 34000}
MIDS = "mid context age_us state\n"
IDS = "id async_id epoch charge age_us state\n"


class Case(unittest.TestCase):
    def setUp(self):
        # A user who is not root can read the tool there.
        self.work = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.work)
        os.chmod(self.work, 0o755)
        self.top = shutil.copy(TOP, self.work)
        self.debugfs = os.path.join(self.work, "debug")
        os.mkdir(self.debugfs)

    def write(self, path, text):
        path = os.path.join(self.debugfs, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # At once, for a reader at the same time
        with open(f"{self.work}/new", "w", newline="\n") as file:
            file.write(text)
        os.replace(f"{self.work}/new", path)

    def stats(self, directory, usual, **changes):
        self.write(f"{directory}/stats",
                   "".join(f"{key} {value}\n" for key, value in {**usual, **changes}.items()))

    def atlas(self, name, inflight=MIDS, latency="off\nbelow_ns count\n", **changes):
        self.stats(f"midatlas/{name}", ATLAS, **changes)
        self.write(f"midatlas/{name}/inflight", inflight)
        self.write(f"midatlas/{name}/latency", latency)

    def window(self, name, inflight=IDS, latency="off\nbelow_ns count\n", **changes):
        self.stats(f"midwindow/{name}", WINDOW, **changes)
        self.write(f"midwindow/{name}/inflight", inflight)
        self.write(f"midwindow/{name}/latency", latency)

    def command(self, *args):
        return [self.top, "--debugfs", self.debugfs, "-d", "0.1", *args]

    def run_top(self, *args, **options):
        return subprocess.run(self.command(*args), text=True, timeout=10, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def output(self, *args, **options):
        done = self.run_top(*args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def rows(self, *args, **options):
        """The words of each row, by name"""
        lines = self.output("-1", *args, **options).splitlines()
        return {line.split()[0]: line.split() for line in lines[4:]}

    def tables(self, *args):
        """Yields each table, until the caller has what it waits for."""
        with subprocess.Popen(self.command("-n", "100", *args), stdout=subprocess.PIPE,
                              text=True) as top:
            try:
                yield from top.stdout
            finally:
                top.terminate()
            self.fail("what was awaited did not come in 100 tables")

    def json_tables(self):
        for line in self.tables("--json"):
            yield {c["name"]: c for c in json.loads(line)["connections"]}

    def refuses(self, word, *args, **options):
        done = self.run_top(*args, **options)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(word, done.stderr)


class Table(Case):
    def test_atlases_and_windows_in_one_list(self):
        self.atlas("smb-10")
        self.atlas("smb-9", "", waiters=0, oldest_ms=0)
        self.window("smb-2")
        lines = self.output("-1").splitlines()
        self.assertRegex(lines[0], r"^\d\d:\d\d:\d\d  atlases: 2, windows: 1, "
                                   r"requests in flight: 54$")
        self.assertEqual(lines[3].split(), "NAME KIND FLIGHT LIMIT RATE LATE STALE UNKN P50 P99 "
                                           "OLDEST WAIT".split())
        self.assertEqual([line.split() for line in lines[4:]], [
            "smb-2 window 8 50 0 0 0 0 - - 34.0s 0".split(),
            "smb-9 atlas 23 50 0 0 0 0 - - 0ms 0".split(),
            "smb-10 atlas 23 50 0 0 0 0 - - 12ms 3".split()])

    def test_fits_80_columns(self):
        self.atlas("n" * 30 + "-1", max=65535, in_use=65535, waiters=10**9, oldest_ms=4 * 10**9,
                   latency="on\nbelow_ns count\n18446744073709551616 1\n")
        self.window("w" * 30 + "-2", limit=2**64 - 1)
        lines = self.output("-1").splitlines()
        self.assertEqual({len(line) for line in lines[3:]}, {80})
        self.assertEqual([line.split()[0] for line in lines[4:]],
                         ["nnnnnn..nnnn-1", "wwwwww..wwww-2"])
        wide = self.rows(env={**os.environ, "COLUMNS": "90"})
        self.assertIn("n" * 11 + ".." + "n" * 9 + "-1", wide)

    def test_rates_are_per_second(self):
        self.atlas("a")
        tables = self.json_tables()
        old = next(tables)["a"]
        self.assertEqual(old["rate"], 0)
        self.atlas("a", associated=2000, late=10, stale=20, unknown=30)
        for found in tables:
            new = found["a"]
            if new["rate"]:
                break
            old = new
        seconds = new["monotonic"] - old["monotonic"]
        for rate, events in (("rate", 1000), ("late_rate", 10), ("stale_rate", 20),
                             ("unknown_rate", 30)):
            self.assertAlmostEqual(new[rate], events / seconds)

    def test_a_rare_event_is_not_zero(self):
        self.atlas("a")
        rows = (line.split() for line in self.tables("-d", "0.2") if line.startswith("a "))
        self.assertEqual(next(rows)[5], "0")
        self.atlas("a", late=1)
        self.assertRegex(next(row[5] for row in rows if row[5] != "0"), r"^([1-9]\.\d|0\.[1-9])$")

    def test_another_connection_of_the_same_name_has_no_rates(self):
        self.atlas("a")
        tables = self.json_tables()
        next(tables)
        os.rename(f"{self.debugfs}/midatlas/a", f"{self.debugfs}/old")
        self.atlas("a", associated=5000)
        new = next(t["a"] for t in tables if t and t["a"]["stats"]["associated"] == 5000)
        self.assertIsNone(new["rate"])

    def test_percentiles_while_latency_is_on(self):
        counts = "below_ns count\n2048 50\n65536 48\n1048576 1\n4294967296 1\n"
        self.atlas("on", latency="on\n" + counts)
        self.atlas("off", latency="off\n" + counts)
        self.atlas("empty", latency="on\nbelow_ns count\n")
        rows = self.rows()
        self.assertEqual(rows["on"][8:10], ["2us", "1ms"])
        self.assertEqual(rows["off"][8:10], ["-", "-"])
        self.assertEqual(rows["empty"][8:10], ["-", "-"])

    def test_one_name(self):
        self.atlas("a")
        self.window("a")
        self.window("b")
        found = json.loads(self.output("-1", "--json", "a"))["connections"]
        self.assertEqual([c["kind"] for c in found], ["atlas", "window"])
        self.refuses("no connection has the name c", "-1", "c")

    def test_json(self):
        self.window("w", latency="on\nbelow_ns count\n2048 7\n")
        tables = [json.loads(line) for line in self.output("-n", "2", "--json").splitlines()]
        self.assertEqual(len(tables), 2)
        found = tables[1]["connections"][0]
        self.assertAlmostEqual(tables[1]["time"], time.time(), delta=5)
        self.assertEqual(found["stats"], WINDOW)
        self.assertEqual(found["latency"],
                         {"on": True, "p50_ns": 2048, "p99_ns": 2048, "buckets": {"2048": 7}})
        self.assertEqual([found[key] for key in ("name", "kind", "in_flight", "limit", "rate",
                                                 "oldest_ms", "waiters")],
                         ["w", "window", 8, 50, 0, 34000, 0])

    def test_live_until_q(self):
        self.atlas("a")
        parent, child = pty.openpty()
        top = subprocess.Popen(self.command(), stdin=child, stdout=child,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"})
        os.close(child)
        seen = b""
        while b"\ra" not in seen and b"\na" not in seen and select.select([parent], [], [], 5)[0]:
            seen += os.read(parent, 4096)
        os.write(parent, b"q")
        self.assertEqual(top.wait(5), 0)
        while select.select([parent], [], [], 0)[0]:
            try:
                seen += os.read(parent, 4096)
            except OSError:
                break
        os.close(parent)
        self.assertTrue(seen.endswith(b"\033[?7h\033[?25h\033[?1049l"), seen)


class Slow(Case):
    def test_the_oldest_request_comes_first(self):
        self.atlas("a", MIDS + "0x0054 00000000deadbeef 1234567 live pid 77 ECHO\n"
                               "0x0055 00000000deadbee0 999999 live pid 78 ECHO\n"
                               "0x0056 - 1000000 busy\n"
                               "0x0057 - - abandoned for 18230 ms more\n")
        self.window("w", IDS + "97 - 1 1 7654321 live pid 79 READ /a file\n"
                               "18446744073709551615 12 1 16 2000000 live\n")
        self.assertEqual(self.output("--slow", "1000").splitlines(), [
            "AGE_MS  NAME  KIND                      ID  REQUEST",
            "  7654  w     window                    97  pid 79 READ /a file",
            "  2000  w     window  18446744073709551615  (live)",
            "  1234  a     atlas                 0x0054  pid 77 ECHO",
            "  1000  a     atlas                 0x0056  (busy)"])
        self.assertEqual(self.output("--slow", "7655"),
                         "no request has been in flight for 7655 ms\n")
        self.assertEqual(self.output("--slow", "0", "a").count("\n"), 4)

    def test_json(self):
        self.window("w", IDS + "97 12 1 2 7654321 live pid 79 READ\n")
        self.assertEqual(json.loads(self.output("--slow", "1", "--json"))["requests"], [
            {"name": "w", "kind": "window", "id": "97", "async_id": "12", "epoch": "1",
             "charge": "2", "age_us": 7654321, "state": "live", "what": "pid 79 READ"}])

    def test_a_client_prints_anything(self):
        # C0, DEL, C1, a right-to-left override, bytes that are not UTF-8, a megabyte
        self.atlas("a", MIDS)
        words = b"\033[2J\r\0\x7f \xc2\x9b \xe2\x80\xae \xff \xc3\xbc " + b"x" * 1000000
        with open(f"{self.debugfs}/midatlas/a/inflight", "ab") as file:
            file.write(b"0x0001 00000000deadbeef 5000 live " + words + b"\n"
                       b"not a request\n\n0x0002 00000000deadbee0 4000 live next\n")
        heading, first, second = self.output("--slow", "1").split("\n")[:3]
        self.assertIn("?[2J??? ? ? \ufffd \u00fc xxx", first)
        self.assertLess(len(first), 1100)
        self.assertTrue(first.isprintable())
        self.assertTrue(second.endswith("next"))

    def test_another_locale(self):
        self.atlas("a", MIDS + "0x0001 00000000deadbeef 5000 live \u4e2d\n")
        out = self.output("--slow", "1", env={**os.environ, "PYTHONIOENCODING": "latin-1"})
        self.assertTrue(out.endswith("  ?\n"), out)

    def test_refuses_another_format(self):
        self.atlas("a", "mid context age_ms state\n0x0001 00000000deadbeef 5 live\n")
        self.refuses("format", "--slow", "1")

    def test_refuses_an_unreadable_file(self):
        self.atlas("a")
        os.remove(f"{self.debugfs}/midatlas/a/inflight")
        os.mkdir(f"{self.debugfs}/midatlas/a/inflight")
        self.refuses("inflight", "--slow", "1")


class Latency(Case):
    def text(self, path):
        with open(os.path.join(self.debugfs, path)) as file:
            return file.read()

    def test_on_and_off(self):
        self.atlas("a", latency="x")
        self.window("w", latency="x")
        self.assertEqual(self.output("--latency", "on"), "")
        self.assertEqual(self.text("midatlas/a/latency") + self.text("midwindow/w/latency"), "11")
        self.output("--latency", "off", "w")
        self.assertEqual(self.text("midatlas/a/latency") + self.text("midwindow/w/latency"), "10")
        self.refuses("no connection", "--latency", "on", "b")

    def test_refuses_an_unwritable_file(self):
        self.atlas("a")
        os.remove(f"{self.debugfs}/midatlas/a/latency")
        os.mkdir(f"{self.debugfs}/midatlas/a/latency")
        self.refuses("latency", "--latency", "on")


class Survives(Case):
    def test_connections_that_come_and_go(self):
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                self.atlas("a")
                self.window("b", IDS + "97 - 1 1 7654321 live\n")
                for name in ("midatlas/a", "midwindow"):
                    shutil.rmtree(f"{self.debugfs}/{name}")

        os.mkdir(f"{self.debugfs}/midatlas")
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            self.assertEqual(self.output("-n", "4").count("atlases: "), 4)
            self.output("--slow", "1", "-n", "2")
        finally:
            stop.set()
            thread.join()

    def test_the_end_of_all_connections(self):
        self.atlas("a")
        lines = self.tables()
        next(line for line in lines if line.startswith("a "))
        shutil.rmtree(f"{self.debugfs}/midatlas")
        next(line for line in lines if line == "no atlas and no window\n")

    def test_unreadable_and_odd_files(self):
        self.atlas("gone")
        os.remove(f"{self.debugfs}/midatlas/gone/stats")
        self.atlas("unreadable")
        for name in ("stats", "latency"):
            os.remove(f"{self.debugfs}/midatlas/unreadable/{name}")
            os.mkdir(f"{self.debugfs}/midatlas/unreadable/{name}")
        self.atlas("odd")
        self.write("midatlas/odd/stats", "in_use 5\nmax\nwaiters -1\n\nnew_key some words\n")
        self.write("midatlas/odd/latency", "on\nbelow 3\n")
        self.atlas("\033[31m")
        rows = self.rows()
        self.assertEqual(rows["unreadable"], ["unreadable", "atlas"] + ["-"] * 10)
        self.assertEqual(rows["odd"], ["odd", "atlas", "5"] + ["-"] * 9)
        self.assertEqual(set(rows), {"unreadable", "odd", "?[31m"})

    def test_300_alike(self):
        for i in range(2, 301):
            self.stats(f"midatlas/x-{i}", ATLAS)
        self.assertEqual(list(self.rows()), [f"x-{i}" for i in range(2, 301)])

    def test_a_closed_pipe(self):
        self.atlas("a")
        top = subprocess.Popen(self.command("-n", "3"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        top.stdout.close()
        self.assertEqual((top.stderr.read(), top.wait()), (b"", 0))
        top.stderr.close()


class Manual(Case):
    def test_it_has_all_options_and_columns(self):
        self.atlas("a")
        with open(f"{TOP}.1") as file:
            manual = file.read().replace("\\", "")
        words = re.findall(r"-\w\b|--\w+", self.output("--help"))
        words += self.output("-1").splitlines()[3].split()
        self.assertEqual([word for word in words if word not in manual], [])


class Refuses(Case):
    def test_not_mounted(self):
        self.refuses("mount -t debugfs")

    def test_no_debugfs(self):
        os.rmdir(self.debugfs)
        self.refuses("No such file")

    def test_not_loaded(self):
        # Something is mounted there.
        self.debugfs = "/proc"
        self.refuses("not loaded")

    def test_not_root(self):
        self.atlas("a")
        os.chmod(self.debugfs, 0o700 if os.geteuid() == 0 else 0)
        self.refuses("root", user=65534 if os.geteuid() == 0 else None)
        os.chmod(self.debugfs, 0o755)
        os.chmod(f"{self.debugfs}/midatlas/a/inflight", 0o600 if os.geteuid() == 0 else 0)
        self.refuses("root", "--slow", "1", user=65534 if os.geteuid() == 0 else None)

    def test_arguments(self):
        for args in (["-d", "0"], ["-d", "nan"], ["-n", "0"], ["--slow", "-1"], ["--slow", "nan"],
                     ["--latency", "maybe"], ["--slow", "1", "--latency", "on"]):
            done = self.run_top(*args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)


if __name__ == "__main__":
    unittest.main()
