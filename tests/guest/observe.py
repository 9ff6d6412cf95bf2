#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks traces, debugfs files and the output of midatlas-top.

observe.py trace FILE ATLAS    a trace with all midatlas events: each MID of the atlas
                               must follow the states drawn in atlas/trace.h
observe.py window FILE NAME    a trace with all midwindow events: each id of the window
                               must follow the states drawn in window/trace.h
observe.py inflight FILE       a copy of an atlas' or a window's inflight
observe.py stats FILE          a copy of an atlas' or a window's stats
observe.py latency FILE RESULT a copy of latency; the sample client's result must have
                               p50 and p99 in the same bucket, or in the next one
observe.py top FILE ATLAS RATE output of midatlas-top for a busy atlas; RATE has two
                               samples of its counter
observe.py pace FILE...        files that look at all requests: a loop must wait in between
observe.py watch DIRECTORY...  reads the files of all atlases and windows until SIGTERM"""

import collections
import glob
import itertools
import os
import re
import signal
import sys
import time

EVENT = re.compile(r"^.*: mid(?:atlas|window)_(\w+): (\S+) ?(.*)$")


def fail(message):
    sys.exit(f"FAIL: {message}")


def fields(text):
    return dict(word.split("=", 1) for word in text.split())


def lives(events):
    """Follows each MID and each waiting request. Returns the count of each event."""
    context = {}            # the request of each MID in flight
    quarantine = set()
    waiting = collections.Counter()
    seen = collections.Counter()

    for number, (event, args) in enumerate(events, 1):
        mid, ctx = args.get("mid"), args.get("ctx")
        where = f"event {number}, {event} of {args}"
        seen[event] += 1
        if mid == "0xffff" and event != "unknown":
            fail(f"{where}: the MID is reserved for the server")
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
                fail(f"{where}: the request did not wait")
        elif event == "create":
            if number != 1:
                fail(f"{where}: not the first event")
        elif event not in ("exhausted", "drain", "drain_end", "destroy"):
            fail(f"{where}: unknown event")
    if context:
        fail(f"{len(context)} requests did not end: {context}")
    if sum(waiting.values()):
        fail("a wait did not end")
    return seen


def events_of(path, name):
    events = []
    with open(path) as file:
        for line in file:
            match = EVENT.match(line)
            if match and match[2] == name:
                events.append((match[1], fields(match[3].split(": ")[0])))
    return events


def check_seen(seen, *wanted):
    for event in wanted:
        if not seen[event]:
            fail(f"no {event} in the trace")
    print(", ".join(f"{count} {event}" for event, count in seen.most_common()))


def check_trace(path, atlas):
    seen = lives(events_of(path, atlas))
    if seen["associate"] != seen["dissociate"] + seen["abandon"]:
        fail(f"the counts do not add up: {seen}")
    check_seen(seen, "create", "associate", "reassociate", "dissociate", "abandon",
               "late", "expire", "stale", "exhausted", "wait", "wait_end", "drain",
               "drain_end", "destroy")


def check_window(path, window):
    """Follows each id of each epoch: unsent or returned, in a span, in flight, ended."""
    ids = {}
    seen = collections.Counter()

    def move(where, args, n, to, *allowed):
        for i in range(n):
            key = args["epoch"], int(args["id"]) + i
            if ids.get(key, "unsent") not in allowed:
                fail(f"{where}: id {key[1]} is {ids.get(key)}")
            ids[key] = to

    for number, (event, args) in enumerate(events_of(path, window), 1):
        where = f"event {number}, {event} of {args}"
        seen[event] += 1
        if event == "reserve":
            move(where, args, int(args["n"]), "in a span", "unsent")
        elif event == "give_back":
            move(where, args, int(args["n"]), "unsent", "in a span")
        elif event == "associate":
            move(where, args, 1, "in flight", "unsent", "in a span")
        elif event == "unsend":
            move(where, args, 1, "unsent", "in flight")
        elif event == "dissociate":
            move(where, args, 1, "ended", "in flight")
        elif event == "abandon":
            move(where, args, 1, "abandoned", "in flight")
        elif event == "late":
            move(where, args, 1, "ended", "abandoned")
        elif event == "note_async":
            move(where, args, 1, "in flight", "in flight")
        elif event in ("stale", "unknown"):
            if ids.get((args["epoch"], int(args["id"]))) == "in flight":
                fail(f"{where}: the id is in flight")
    if "in flight" in ids.values():
        fail("a request did not end")
    check_seen(seen, "create", "grant", "reserve", "associate", "dissociate", "abandon",
               "late", "drain", "destroy")


ATLAS_LINE = re.compile(r"(0x[0-9a-f]{4}) (?:[0-9a-f]{16} \d+ live(?: [ -~]{1,203})?"
                        r"|- \d+ busy|- - abandoned for \d+ ms more)$")
WINDOW_LINE = re.compile(r"(\d+) (?:-|\d+) \d+ \d+ (?:\d+ live(?: [ -~]{1,203})?"
                         r"|- abandoned for \d+ ms more)$")
LINES = {"mid context age_us state\n": ATLAS_LINE,
         "id async_id epoch charge age_us state\n": WINDOW_LINE}


def check_inflight(path):
    """Returns the number of requests."""
    ids = set()
    with open(path) as file:
        wanted = LINES.get(file.readline())
        if not wanted:
            fail(f"{path} has no heading")
        for line in file:
            match = wanted.match(line)
            if not match:
                fail(f"{path} has {line!r}")
            if wanted is ATLAS_LINE and (match[1] in ids or match[1] == "0xffff"):
                fail(f"{path} has {match[1]}, which is reserved or a duplicate")
            ids.add(match[1])
    return len(ids)


ATLAS_STATS = ("max in_use slots high_water abandoned waiters associated dissociated "
               "stale unknown late exhausted oldest_ms").split()
WINDOW_STATS = ("epoch next limit unsent spans given_back aside stalled in_use high_water "
                "abandoned waiters wants slots associated dissociated stale unknown late "
                "exhausted lost oldest_ms").split()


def check_stats(path):
    """Returns the number of requests."""
    with open(path) as file:
        stats = {key: int(value) for key, value in map(str.split, file)}
    if list(stats) not in (ATLAS_STATS, WINDOW_STATS):
        fail(f"{path} has {list(stats)}")
    if not stats["abandoned"] <= stats["in_use"] <= 0xffff >= stats["high_water"]:
        fail(f"{path} has {stats}")
    return stats["in_use"]


def check_latency(path, result_path):
    with open(path) as file:
        state, heading, *lines = file.read().splitlines()
    if (state, heading) != ("on", "below_ns count"):
        fail(f"{path} has {state!r}, {heading!r}")
    buckets = [tuple(map(int, line.split())) for line in lines]
    with open(result_path) as file:
        result = dict(line.split() for line in file)
    total = sum(count for _, count in buckets)
    if total < 100000:
        fail(f"{path} has {total} requests, not 100000")
    said = []
    for percent in (50, 99):
        rest = total * percent / 100
        for below, count in buckets:
            rest -= count
            if rest <= 0:
                break
        own = int(result[f"latency_p{percent}_ns"])
        if not below / 4 <= own < below * 2:
            fail(f"p{percent} is below {below} ns in {path}, and {own} ns says the client")
        said.append(f"p{percent} below {below} ns, {own} ns by the client")
    print(f"{total} requests, {', '.join(said)}")


def rate_of(path):
    """Requests per second, from two samples. A sample is two lines: counter, time."""
    with open(path) as file:
        words = [float(line.split()[-1]) for line in file]
    return (words[2] - words[0]) / (words[3] - words[1])


def check_top(path, atlas, rate_path):
    rate = rate_of(rate_path)
    with open(path) as file:
        text = file.read()
    if "\033" in text:
        fail("midatlas-top prints escape sequences into a pipe")
    tables = [table.splitlines() for table in text.split("\n\n")[1::2]]
    if len(tables) != 2:
        fail(f"midatlas-top prints {len(tables)} tables, not 2: {text}")
    for _, head, *rows in tables:
        row = next((dict(zip(head.split(), row.split())) for row in rows
                    if row.startswith(f"{atlas} ")), {})
        if not re.match(r"[1-9]", row.get("FLIGHT", "")) or row["LIMIT"] != "50":
            fail(f"midatlas-top shows no requests of {atlas}: {head}, {rows}")
        if not rate / 5 < float(row["RATE"]) < rate * 5:
            fail(f"midatlas-top shows {row['RATE']} requests/s, not about {rate:.0f}")
    print(f"{row['FLIGHT']}/{row['LIMIT']} in flight, {row['RATE']} requests/s")


def check_pace(*paths):
    """Ten pauses of 10 ms, of which the first may have been over, and each ends at a tick."""
    for path in paths:
        begin = time.monotonic()
        for _ in range(11):
            check_other(path)
        took = time.monotonic() - begin
        if took < 0.08:
            fail(f"{path} is read 11 times in {1000 * took:.0f} ms")


def watch_one(check, pattern):
    """Reads and checks the files until SIGTERM."""
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
                pass        # the atlas was destroyed
    return reads, used


def check_other(path):
    """Any other file"""
    with open(path) as file:
        file.read()
    return False


def watch(*directories):
    children = {}
    files = ((check_stats, "stats"), (check_inflight, "inflight"),
             (check_other, "[clw]*"))    # credits, latency, waiters
    for (check, name), directory in itertools.product(files, directories):
        read_end, write_end = os.pipe()
        child = os.fork()
        if not child:
            reads, used = watch_one(check, f"{directory}/*/{name}")
            os.write(write_end, f"{reads} {used}".encode())
            os._exit(0)
        children[child] = read_end
    signal.signal(signal.SIGTERM, lambda *unused: [os.kill(child, signal.SIGTERM) for child in children])
    sums = [0, 0]
    for child, read_end in children.items():
        if os.waitpid(child, 0)[1]:
            fail("a reader failed")
        sums = [a + int(b) for a, b in zip(sums, os.read(read_end, 100).split())]
    if not sums[1]:
        fail("no reading had a request")
    print(f"{sums[0]} readings, {sums[1]} with requests")


if __name__ == "__main__":
    do = {"trace": check_trace, "window": check_window, "latency": check_latency,
          "inflight": check_inflight, "stats": check_stats,
          "top": check_top, "pace": check_pace, "watch": watch}[sys.argv[1]]
    do(*sys.argv[2:])
