#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares the lists of requests that wait for a stopped smbd.

cifs-hang.py proxy LOG    forwards a connection from PORT to smbd, and logs each request
                          and reply
cifs-hang.py stop SMBD    stops smbd, a process group
cifs-hang.py hang MOUNT SMBD WINDOW LOG
                          stops smbd. Five readers, a writer and a stat() of MOUNT hang.
                          Their requests must be listed alike by the proxy, cifs' DebugData,
                          the WINDOW in debugfs and midatlas-top.
"""

import collections
import contextlib
import glob
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 4450
HEADER = struct.Struct("<4sHHIHHIIQ")
REPLY = 1
PENDING = 0x103
NAMES = ("NEGOTIATE SESSION_SETUP LOGOFF TREE_CONNECT TREE_DISCONNECT CREATE CLOSE FLUSH READ "
         "WRITE LOCK IOCTL CANCEL ECHO QUERY_DIRECTORY CHANGE_NOTIFY QUERY_INFO SET_INFO "
         "OPLOCK_BREAK").split()

READ_SIZE = 200000      # takes four MessageIds
SLOW_MS = 1000
PRECISE_NS = 10**6      # each age must be known to this, in one round
ROUNDS = 40             # a busy host delays a task or the proxy
TRACING = "/sys/kernel/tracing"

Task = collections.namedtuple("Task", "pid commands file")


def fail(message):
    sys.exit(f"cifs-hang: {message}")


def forward(source, sink, log):
    stream = source.makefile("rb")
    while head := stream.read(4):
        raw = stream.read(int.from_bytes(head, "big"))
        now = time.monotonic_ns()
        part = raw
        while part:
            _, _, _, status, command, _, flags, following, mid = HEADER.unpack_from(part)
            if not flags & REPLY:
                os.write(log, f"request {mid} {NAMES[command]} {now}\n".encode())
            elif status != PENDING:
                os.write(log, f"reply {mid}\n".encode())
            part = part[following:] if following else b""
        sink.sendall(head + raw)
    sink.shutdown(socket.SHUT_WR)


def proxy(path):
    listener = socket.create_server(("127.0.0.1", PORT))
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", 445))
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=forward, args=(server, client, log)).start()
    forward(client, server, log)


# The lists: each is a dict by MessageId

def on_the_wire(path):
    """Command and arrival of each request without a reply."""
    found = {}
    with open(path) as file:
        for kind, mid, *rest in map(str.split, file):
            if kind == "request":
                found[int(mid)] = (rest[0], int(rest[1]))
            else:
                del found[int(mid)]
    return found


def in_debug_data():
    """Command and pid."""
    with open("/proc/fs/cifs/DebugData") as file:
        found = re.findall(r"com: (\d+) pid: (\d+) cbdata: \S+ mid (\d+)", file.read())
    return {int(mid): (NAMES[int(command)], int(pid)) for command, pid, mid in found}


def quickest_look(path):
    """What a short file says, and the times before and after."""
    looks = []
    for _ in range(20):
        with open(path, "rb", buffering=0) as file:
            before = time.monotonic_ns()
            text = file.read(4096)
            after = time.monotonic_ns()
        looks.append((after - before, before, text.decode(), after))
    return min(looks)[1:]


def in_window(window):
    """Command, pid, id of the file and age in ns; and the times before and after."""
    before, text, after = quickest_look(f"{window}/inflight")
    found = {}
    for line in text.splitlines()[1:]:
        match = re.fullmatch(r"(\d+) - \d+ \d+ (\d+) live (\w+) pid (\d+)(?: file (\w+))?", line)
        if not match:
            fail(f"inflight has the line {line!r}")
        mid, age, command, pid, file_id = match.groups()
        found[int(mid)] = (command, int(pid), file_id, int(age) * 1000)
    return before, found, after


def in_top():
    """Command, pid and age in ns."""
    top = subprocess.run(["./midatlas-top", "--slow", str(SLOW_MS), "--json"],
                         stdout=subprocess.PIPE, check=True)
    found = {}
    for request in json.loads(top.stdout)["requests"]:
        command, _, pid, *_ = request["what"].split()
        found[int(request["id"])] = (command, int(pid), request["age_us"] * 1000)
    return found


def trace_cifs():
    """Lets cifs note when it makes each request, by the clock of this script."""
    for file, value in ("trace_clock", "mono"), ("events/cifs/smb3_cmd_enter/enable", "1"):
        with open(f"{TRACING}/{file}", "w") as sink:
            sink.write(value)


def made_by_cifs():
    """When cifs made the last request of each pid and command, in ns."""
    with open(f"{TRACING}/trace") as file:
        found = re.findall(r"-(\d+) .* (\d+)\.(\d{6}): smb3_cmd_enter: .* cmd=(\d+) ", file.read())
    return {(int(pid), NAMES[int(command)]): int(seconds + fraction) * 1000
            for pid, seconds, fraction, command in found}


def open_files():
    """The id of each open file, by its name."""
    with open("/proc/fs/cifs/open_files") as file:
        fields = [line.split() for line in file if line.startswith("0x")]
    return {field[7]: field[2] for field in fields}


def same(what, found, expected):
    if sorted(found) != sorted(expected):
        fail(f"{what}: {sorted(found)}, not {sorted(expected)}")


# The tasks, each in a process of its own

def start(commands, file, work):
    pid = os.fork()
    if not pid:
        os._exit(0 if work() else 1)
    return Task(pid, commands, file)


def start_reader(path):
    fd = os.open(path, os.O_RDONLY)
    return lambda: start(["READ"], os.path.basename(path),
                         lambda: len(os.pread(fd, READ_SIZE, 0)) == READ_SIZE)


def start_writer(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    return lambda: start(["WRITE"], os.path.basename(path),
                         lambda: os.pwrite(fd, bytes(4096), 0) == 4096)


def start_stat(path):
    """A compound. The client remembers for a second that a name does not exist."""
    return lambda: start(["CREATE", "QUERY_INFO", "CLOSE"], None,
                         lambda: not os.path.exists(f"{path}{time.monotonic_ns()}"))


def compare(tasks, window, log):
    """Returns what each age may be wrong by, from and to, in ns, by file and command."""
    before, requests, after = in_window(window)
    top = in_top()
    elapsed = time.monotonic_ns() - before
    wire = on_the_wire(log)
    same("the wire and the window", [(mid, command) for mid, (command, _) in wire.items()],
         [(mid, command) for mid, (command, *_) in requests.items()])
    same("DebugData and the window",
         [(mid, *words) for mid, words in in_debug_data().items()],
         [(mid, *words[:2]) for mid, words in requests.items()])
    same("midatlas-top and the window",
         [(mid, *words[:2]) for mid, words in top.items()],
         [(mid, *words[:2]) for mid, words in requests.items()])
    same("the tasks and the window",
         [(task.pid, command) for task in tasks for command in task.commands],
         [(pid, command) for command, pid, *_ in requests.values()])

    by_pid = {task.pid: task for task in tasks}
    ids = open_files()
    made = made_by_cifs()
    errors = {}
    for mid, (command, pid, file_id, age) in requests.items():
        task = by_pid[pid]
        if file_id != ids.get(task.file):
            fail(f"{command} {mid} is for {file_id}, but {task.file} has {ids.get(task.file)}")
        # The request began after cifs made it, and before the proxy received it.
        least, most = before - wire[mid][1], after - made[pid, command]
        if not least - 1000 < age <= most:
            fail(f"{command} {mid} has the age {age} ns, not {least} to {most} ns")
        if not age <= top[mid][2] <= age + elapsed:
            fail(f"{command} {mid} is {age} ns old, {top[mid][2]} ns in midatlas-top")
        errors[task.file, command] = least - 1000 - age, most - age
    return errors


def await_requests(log, count):
    patience = 500
    while len(on_the_wire(log)) < count:
        patience -= 1
        if not patience:
            fail(f"not {count} requests on the wire: {on_the_wire(log)}")
        time.sleep(0.01)


def stop(smbd):
    """Waits until smbd has stopped: a process that runs on another CPU does so at a tick."""
    os.killpg(int(smbd), signal.SIGSTOP)
    running = True
    while running:
        running = False
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path) as file:
                state, _, group, *_ = file.read().rpartition(")")[2].split()
                running |= group == smbd and state not in "TZ"


def hang(mount, smbd, window, log):
    starters = [start_reader(f"{mount}/read{n}") for n in range(5)]
    starters += [start_writer(f"{mount}/written"), start_stat(f"{mount}/missing")]
    known = {}
    trace_cifs()
    for _ in range(ROUNDS):
        same("in flight before", on_the_wire(log), [])
        stop(smbd)
        tasks = []
        for begin in starters:      # one after the other, so that none waits for a CPU
            tasks.append(begin())
            await_requests(log, sum(len(task.commands) for task in tasks))
        time.sleep(SLOW_MS / 1000)
        errors = compare(tasks, window, log)
        os.killpg(int(smbd), signal.SIGCONT)
        for task in tasks:
            if os.waitpid(task.pid, 0)[1]:
                fail(f"{task} failed after smbd went on")
        same("in flight after", in_window(window)[1], [])
        # A clock that is wrong is so in each round.
        for key, (low, high) in errors.items():
            lowest, highest = known.get(key, (low, high))
            known[key] = max(low, lowest), min(high, highest)
        worst = max(high - low for low, high in known.values())
        if worst <= PRECISE_NS:
            break
    else:
        fail(f"after {ROUNDS} rounds an age is known to {worst} ns only: {known}")
    print(f"{len(known)} requests, the same in all lists, ages right to {worst / 10**6:.2f} ms")


if __name__ == "__main__":
    {"proxy": proxy, "hang": hang, "stop": stop}[sys.argv[1]](*sys.argv[2:])
