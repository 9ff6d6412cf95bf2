#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Injects faults around the sample client, in four parts that the arguments select:

allocations  each allocation fails once
signals      each wait is interrupted by a signal
unloads      the module is unloaded at many moments
cuts         the connection is cut after each byte

After each fault the client must still work, or must have been unloaded without a trace.
Prints the number of faults of each kind ("= KEY VALUE").  Stops at the first failure.
The caller checks the kernel log.
"""

import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import hostile

PORT = 4500
DEBUGFS = "/sys/kernel/debug"
SUBMIT = DEBUGFS + "/smbecho/submit"
RESULT = DEBUGFS + "/smbecho/result"
FINIT_MODULE, DELETE_MODULE = 313, 176  # x86_64
OPTIONS = types.SimpleNamespace(mpx=50, deadline_ms=500)

libc = ctypes.CDLL(None, use_errno=True)


def check(ok, what):
    if not ok:
        raise SystemExit(f"@ FAIL: {what}")


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"timeout: {what}")
        time.sleep(0.005)


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


class FailNth:
    """Lets a task's Nth allocation fail, from arm() until the end of the block."""

    def __init__(self, n, task="thread-self"):
        self.n = n
        self.was_hit = False
        self.fd = os.open(f"/proc/{task}/fail-nth", os.O_RDWR)

    def arm(self):
        os.pwrite(self.fd, str(self.n).encode(), 0)

    def hit(self):
        return int(os.pread(self.fd, 20, 0)) == 0

    def __enter__(self):
        self.arm()
        return self

    def __exit__(self, *_):
        self.was_hit = self.hit()
        os.pwrite(self.fd, b"0", 0)
        os.close(self.fd)


NO_FAULT = contextlib.nullcontext()


# The modules

def load(path, fault=NO_FAULT, **parameters):
    """Returns 0 or an errno."""
    text = " ".join(f"{key}={value}" for key, value in parameters.items())
    with open(path, "rb") as file:
        fd = file.fileno()
        ctypes.set_errno(0)
        with fault:
            libc.syscall(FINIT_MODULE, fd, text.encode(), 0)
        return ctypes.get_errno()


def unload(name):
    started = time.monotonic()
    ctypes.set_errno(0)
    libc.syscall(DELETE_MODULE, name.encode(), os.O_NONBLOCK)
    check(not ctypes.get_errno(), f"rmmod {name}: {os.strerror(ctypes.get_errno())}")
    check(time.monotonic() - started < 10, f"rmmod {name} took too long")


class Client:
    """The sample client, loaded for the block."""

    def __init__(self, **parameters):
        settings = {"port": PORT, "threads": 0, "requests": 0, "timeout_ms": 500,
                    "quarantine_ms": 500, **parameters}
        err = load("samples/smbecho.ko", **settings)
        check(not err, f"smbecho does not load: {os.strerror(err)}")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if not failure:
            unload("smbecho")

    def __getitem__(self, key):
        with open(RESULT) as file:
            return int(re.search(rf"^{key} (\d+)$", file.read(), re.M)[1])

    def lives(self):
        """An undisturbed request gets a reply soon."""
        replied = self["replied"]

        def one_more():
            submit(1)
            return self["replied"] > replied
        wait_for(one_more, "a reply after the fault")


def submit(count, flags=0, fault=NO_FAULT):
    fd = os.open(SUBMIT, os.O_WRONLY | flags)
    text = str(count).encode()
    try:
        with fault:
            os.write(fd, text)
    except OSError:
        pass
    finally:
        os.close(fd)


# The server

class Server:
    """Serves each new connection with the current behaviour."""

    def __init__(self):
        self.open = []
        self.serve = hostile.honest
        self.listen()

    def listen(self):
        self.sock = socket.create_server(("127.0.0.1", PORT))
        threading.Thread(target=self.accept, args=(self.sock,), daemon=True).start()

    def accept(self, sock):
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            self.open.append(connection)
            conn = hostile.Connection(connection, 1, OPTIONS)
            threading.Thread(target=hostile.serve_connection, args=(self.serve, conn),
                             daemon=True).start()

    def drop(self):
        """Shuts down all connections."""
        while self.open:
            try:
                self.open.pop().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.drop()

    def be(self, serve):
        self.serve = serve
        self.drop()


def silent(conn):
    """Reads all requests, sends no reply."""
    conn.negotiate()
    conn.silence()


def one_silent(conn):
    conn.negotiate(mpx=1)
    conn.silence()


def deaf(conn):
    """Stops reading after NEGOTIATE."""
    conn.negotiate(mpx=1000)
    time.sleep(3600)


def mute(conn):
    """Does not answer NEGOTIATE."""
    conn.silence()


# Allocations

def each_allocation(attempt):
    """Calls attempt(N) for N = 1, 2, ... until no allocation failed."""
    for n in itertools.count(1):
        if not attempt(n):
            return n - 1


def fail_load(path, name, **parameters):
    def attempt(n):
        fault = FailNth(n)
        if not load(path, fault, **parameters):
            unload(name)
        return fault.was_hit
    return each_allocation(attempt)


def fail_submit(server):
    server.be(hostile.honest)
    with Client() as client:
        client.lives()

        def attempt(n):
            fault = FailNth(n)
            submit(1, fault=fault)
            client.lives()
            return fault.was_hit
        return each_allocation(attempt)


def fail_growth(server):
    """The second request in flight lets the table grow."""
    server.be(silent)

    def attempt(n):
        with Client() as client:
            wait_for(lambda: client["max_mpx"] == OPTIONS.mpx, "a connection")
            submit(1, os.O_NONBLOCK)
            fault = FailNth(n)
            submit(1, os.O_NONBLOCK, fault)
            return fault.was_hit
    return each_allocation(attempt)


def task_of(comm):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == comm:
                    return pid
        except OSError:
            pass
    raise SystemExit(f"@ FAIL: there is no task {comm}")


def fail_connect(server):
    """In the receiver, from the end of a connection to the first reply of the next."""
    server.be(hostile.honest)
    with Client() as client:
        client.lives()
        receiver = task_of("smbecho")

        def attempt(n):
            connections = client["connections"]
            with FailNth(n, receiver) as fault:
                server.drop()
                wait_for(lambda: fault.hit() or client["connections"] > connections,
                         "another connection")
                client.lives()
            return fault.was_hit
        return each_allocation(attempt)


def allocations(server):
    for key, value in (("ignore-gfp-wait", "N"), ("verbose", "0")):
        put(f"{DEBUGFS}/failslab/{key}", value)
    put(f"{DEBUGFS}/fail_page_alloc/min-order", "20")
    unload("midatlas")
    points = {"load_midatlas": fail_load("midatlas.ko", "midatlas")}
    check(not load("midatlas.ko"), "midatlas does not load")
    points["load_smbecho"] = fail_load("samples/smbecho.ko", "smbecho", port=PORT,
                                       requests=0, threads=4)
    points["submit"] = fail_submit(server)
    points["growth"] = fail_growth(server)
    points["connect"] = fail_connect(server)
    return points


# Signals

class Victim:
    """A process that submits one request."""

    def __init__(self):
        self.process = subprocess.Popen(["/bin/sh", "-c", f"exec echo 1 >{SUBMIT}"])

    def state(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rpartition(") ")[2][0]

    def kill(self):
        self.process.kill()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            check(False, f"a killed submitter does not exit, it is in state {self.state()}")


KILLS = 20


def kill_in(state, client, victims=1, others=0):
    """Kills submitters that wait in the client: killable ("D"), or for a socket ("S")."""
    kills = 0
    while kills < KILLS:
        crowd = [Victim() for _ in range(victims)]
        wait_for(lambda: client["writers"] == victims + others, "submitters in the client")
        there = []

        def some_there():
            there[:] = [v for v in crowd if v.state() == state]
            return there
        wait_for(some_there, f"a submitter in state {state}")
        kills += len(there)
        for victim in there + [v for v in crowd if v not in there]:
            victim.kill()
    return kills


def signals(server):
    points = {}
    slow = {"timeout_ms": 20000, "quarantine_ms": 100}
    server.close()
    with Client(**slow) as client:
        points["for_a_connection"] = kill_in("D", client)
    server.listen()
    server.be(one_silent)
    with Client(**slow) as client:
        wait_for(lambda: client["connections"], "a connection")
        holder = Victim()
        wait_for(lambda: client["in_flight"] == 1, "a request in flight")
        points["for_a_mid"] = kill_in("D", client, others=1)
        holder.kill()
    server.be(silent)
    with Client(**slow) as client:
        wait_for(lambda: client["connections"], "a connection")
        points["for_a_reply"] = kill_in("D", client)
    # A few requests fill small buffers. A socket inherits them from its listener.
    server.close()
    for key in ("tcp_rmem", "tcp_wmem"):
        put(f"/proc/sys/net/ipv4/{key}", "4096 4096 4096")
    server.listen()
    server.be(deaf)
    with Client(payload=4096, **slow) as client:
        wait_for(lambda: client["connections"], "a connection")
        points["for_the_socket"] = kill_in("S", client, victims=8)
        points["for_the_sender"] = kill_in("D", client, victims=8)
    for key in ("tcp_rmem", "tcp_wmem"):
        put(f"/proc/sys/net/ipv4/{key}", "4096 131072 6291456")
    server.close()
    server.listen()
    return points


# Unload

MOMENTS = 25


def unload_at_each_moment():
    """At moments 4 ms apart, from loading on."""
    for moment in range(MOMENTS):
        with Client(threads=8, requests=1000000, tries=2):
            time.sleep(moment * 0.004)
    return MOMENTS


def unloads(server):
    points = {}
    for serve in (hostile.honest, hostile.trickle, silent, mute, deaf):
        server.be(serve)
        points[serve.__name__] = unload_at_each_moment()
    server.close()
    points["no_server"] = unload_at_each_moment()
    server.listen()
    return points


# Cuts

class Cuts:
    """Cuts every second connection, each at another byte. The others must work."""

    def __init__(self):
        negotiated = len(hostile.frame(hostile.message(hostile.NEGOTIATE, 0, bytes(34))))
        echoed = negotiated - 34 + 2 + 64
        places = [("accept", 0), *(("negotiate", n) for n in range(negotiated)),
                  *(("echo", n) for n in range(3 * echoed))]
        self.todo = [(where, n, how) for where, n in places for how in ("close", "reset")]
        self.todo += [(where, n, "silence") for where, n in places[::20]]
        self.done = 0
        self.cut_last = False

    def __call__(self, conn):
        if self.cut_last or not self.todo:
            self.cut_last = False
            self.whole(conn)
        else:
            self.cut_last = True
            self.cut(conn, *self.todo.pop(0))

    def whole(self, conn):
        conn.negotiate()
        for echo in conn.echoes():
            conn.send(echo.replies())
            if self.todo:
                raise hostile.Hangup

    def cut(self, conn, where, n, how):
        sent = 0
        real = conn.send

        def send(data):
            nonlocal sent
            real(data[:n - sent])
            if n - sent < len(data):
                self.end(conn, how)
            sent += len(data)
        if where == "accept":
            self.end(conn, how)
        if where == "negotiate":
            conn.send = send
        conn.negotiate()
        conn.send = send
        for echo in conn.echoes():
            conn.send(echo.replies())

    def end(self, conn, how):
        self.done += 1
        if how == "reset":
            conn.reset()
        if how == "silence":
            conn.silence()
        raise hostile.Hangup


def cuts(server):
    points = Cuts()
    server.be(points)
    with Client(threads=8, requests=2**31 - 1, timeout_ms=200, tries=1) as client:
        wait_for(lambda: not points.todo, "the last cut", 300)
        server.be(hostile.honest)
        client.lives()
        check(client["connections"] >= 2 * points.done - 1, "some connections are missing")
    return {"connections": points.done}


def main():
    for name in ("midatlas", "midwindow"):
        check(not load(name + ".ko"), f"{name} does not load")
    server = Server()
    for part in (allocations, signals, unloads, cuts):
        if part.__name__ not in sys.argv[1:]:
            continue
        for key, value in part(server).items():
            print(f"= {part.__name__}:{key} {value}", flush=True)
        print(f"@ {part.__name__}: survived", flush=True)
    server.close()
    unload("midwindow")
    unload("midatlas")


main()
