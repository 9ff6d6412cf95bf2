#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads what the guest saw, and is hard to please.

observe.py trace FILE ATLAS    a trace with all midatlas events: does every MID of
                               the atlas live the life that atlas/trace.h draws?
observe.py inflight FILE       one reading of an atlas' inflight
observe.py stats FILE          one reading of an atlas' stats
observe.py top FILE ATLAS      what midatlas-top printed of a busy atlas
observe.py watch FOLDER        reads all atlases' files until it is terminated"""

import collections
import glob
import os
import re
import signal
import sys

EVENT = re.compile(r"^.*: midatlas_(\w+): (\S+) ?(.*)$")


def fail(message):
    sys.exit(f"FAIL: {message}")


def fields(text):
    return dict(word.split("=", 1) for word in text.split())


def lives(events):
    """Follows each MID and each waiting context. Returns how often each event was seen."""
    context = {}            # of each MID in flight
    quarantine = set()
    waiting = collections.Counter()
    seen = collections.Counter()

    for number, (event, args) in enumerate(events, 1):
        mid, ctx = args.get("mid"), args.get("ctx")
        where = f"event {number}, {event} of {args}"
        seen[event] += 1
        if mid == "0xffff" and event != "unknown":
            fail(f"{where}: the server's own MID")
        if event == "associate":
            if mid in context or mid in quarantine:
                fail(f"{where}: the MID is in use")
            context[mid] = ctx
        elif event in ("dissociate", "abandon", "reassociate"):
            if context.get(mid) != ctx:
                fail(f"{where}: the MID has {context.get(mid)}")
            if event == "reassociate":
                context[mid] = args["new_ctx"]
            else:
                del context[mid]
            if event == "abandon":
                quarantine.add(mid)
        elif event in ("late", "expire"):
            if mid not in quarantine:
                fail(f"{where}: the MID was not abandoned")
            quarantine.discard(mid)
        elif event in ("stale", "unknown"):
            if mid in context or mid in quarantine:
                fail(f"{where}: the MID is in use")
        elif event == "wait":
            waiting[ctx] += 1
        elif event == "wait_end":
            waiting[ctx] -= 1
            if waiting[ctx] < 0:
                fail(f"{where}: it did not wait")
        elif event == "create":
            if number != 1:
                fail(f"{where}: not the first event")
        elif event not in ("exhausted", "drain", "drain_end", "destroy"):
            fail(f"{where}: what is that?")
    if context:
        fail(f"{len(context)} requests were never ended: {context}")
    if sum(waiting.values()):
        fail("a wait did not end")
    return seen


def check_trace(path, atlas):
    events = []
    with open(path) as file:
        for line in file:
            match = EVENT.match(line)
            if match and match[2] == atlas:
                events.append((match[1], fields(match[3])))
    seen = lives(events)
    for event in ("create", "associate", "reassociate", "dissociate", "abandon",
                  "late", "expire", "stale", "exhausted", "wait", "wait_end",
                  "drain", "drain_end", "destroy"):
        if not seen[event]:
            fail(f"no {event} in the trace")
    if seen["associate"] != seen["dissociate"] + seen["abandon"]:
        fail(f"the sum is wrong: {seen}")
    print(", ".join(f"{count} {event}" for event, count in seen.most_common()))


def check_inflight(path):
    """Returns how many MIDs are in use."""
    mids = set()
    with open(path) as file:
        if file.readline() != "mid context age_ms state\n":
            fail(f"{path} has no heading")
        for line in file:
            match = re.match(r"(0x[0-9a-f]{4}) (?:([0-9a-f]{16}) \d+ live|- \d+ busy"
                             r"|- - abandoned for \d+ ms more)$", line)
            if not match:
                fail(f"{path} has {line!r}")
            if match[1] in mids or match[1] == "0xffff":
                fail(f"{path} has {match[1]} once too often")
            mids.add(match[1])
    return len(mids)


def check_stats(path):
    """Returns how many MIDs are in use."""
    with open(path) as file:
        stats = {key: int(value) for key, value in map(str.split, file)}
    wanted = ("max in_use slots high_water abandoned waiters associated dissociated "
              "stale unknown late exhausted oldest_ms").split()
    if list(stats) != wanted:
        fail(f"{path} has {list(stats)}")
    if not stats["abandoned"] <= stats["in_use"] <= 0xffff >= stats["high_water"]:
        fail(f"{path} has {stats}")
    return stats["in_use"]


def rate_of(path):
    """Requests per second, from two times two lines: associated N, and the time"""
    with open(path) as file:
        words = [float(line.split()[-1]) for line in file]
    return (words[2] - words[0]) / (words[3] - words[1])


def check_top(path, atlas, rate_path):
    rate = rate_of(rate_path)
    with open(path) as file:
        text = file.read()
    if "\033" in text:
        fail("midatlas-top is not plain where it is piped")
    tables = [table.splitlines() for table in text.split("\n\n")[1::2]]
    if len(tables) != 2:
        fail(f"midatlas-top prints {len(tables)} tables, not 2: {text}")
    for head, *rows in tables:
        if not head.startswith("ATLAS  "):
            fail(f"midatlas-top has the heading {head}")
        row = [row.split() for row in rows if row.startswith(f"{atlas} ")]
        if not row or not re.match(r"[1-9]\d*/50$", row[0][1]) or float(row[0][2]) <= 0:
            fail(f"midatlas-top has no {atlas} at work: {rows}")
        if not rate / 5 < float(row[0][2]) < rate * 5:
            fail(f"midatlas-top has {row[0][2]} requests/s, of {rate:.0f}")
    print(f"{row[0][1]} in flight, {row[0][2]} requests/s")


def watch_one(check, pattern):
    """Reads what there is until SIGTERM."""
    reads = used = 0
    running = True

    def stop(*unused):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    while running:
        for path in glob.glob(pattern):
            try:
                used += bool(check(path))
                reads += 1
            except OSError:
                pass        # it went, and that is how it shows
    return reads, used


def watch(folder):
    children = {}
    for check in (check_stats, check_inflight):
        read_end, write_end = os.pipe()
        child = os.fork()
        if not child:
            reads, used = watch_one(check, f"{folder}/*/{check.__name__[6:]}")
            os.write(write_end, f"{reads} {used}".encode())
            os._exit(0)
        children[child] = read_end
    signal.signal(signal.SIGTERM, lambda *unused: [os.kill(child, signal.SIGTERM) for child in children])
    sums = [0, 0]
    for child, read_end in children.items():
        if os.waitpid(child, 0)[1]:
            fail("a reader has failed")
        sums = [a + int(b) for a, b in zip(sums, os.read(read_end, 100).split())]
    if not sums[1]:
        fail("no reading had a MID in use")
    print(f"{sums[0]} readings, {sums[1]} with MIDs in use")


if __name__ == "__main__":
    do = {"trace": check_trace, "inflight": check_inflight, "stats": check_stats,
          "top": check_top, "watch": watch}[sys.argv[1]]
    do(*sys.argv[2:])
