#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""9p-server.py PORT [FAULT...]: a 9P2000.L server that keeps to the protocol, but for its faults.

The root has the file "data", in which each block of 4 KiB holds its own number, and "never",
of which no read is answered. Other names exist, too, but for those that begin with "no" or
"slowcreate". What begins with "slowwalk", "slowopen" or "slowcreate" is walked to, opened or
created after half a second. A walk to "strayN" brings a reply with the tag N first. Writes are
discarded.

    twice   each reply to a read, and each list of attributes, is sent twice
    late    a flushed read gets its Rflush at once, and its data 50 ms later, or as soon as another
            read has its tag
    type    before the reply to a read comes one of another type
    honour  a flushed request is answered before its Rflush
    cut=N   the connection ends N bytes after "cut" was walked to

SIGUSR1: silence, no replies until SIGUSR2. SIGHUP: prints what has been seen, as KEY=VALUE;
"broken" counts the client's violations of the protocol.
"""
import heapq
import random
import signal
import socket
import struct
import sys
import threading
import time

SIZE = 64 << 20
BLOCK = 4096
SLOW = 0.5
(RLERROR, TSTATFS, TLOPEN, TLCREATE, TGETATTR, TSETATTR, TXATTRWALK, TREADDIR, TFSYNC, TVERSION,
 TATTACH, TFLUSH, TWALK, TREAD, TWRITE, TCLUNK, TREMOVE, TUNLINKAT) = (
    7, 8, 12, 14, 24, 26, 30, 40, 50, 100, 104, 108, 110, 116, 118, 120, 122, 76)
ENOENT, EBADF, EOPNOTSUPP = 2, 9, 95

faults = dict(arg.partition("=")[::2] for arg in sys.argv[2:])
silent = threading.Event()
counts = {"reads": 0, "flushes": 0, "clunks": 0, "extra": 0, "broken": 0, "walks": 0, "most": 0}
connections = []


def qid(name):
    return struct.pack("<BIQ", 0x80 if name == b"" else 0, 0, hash(name) & 0xffffffff)


def blocks(offset, count):
    data = bytearray()
    while count > 0 and offset < SIZE:
        block, skip = divmod(offset, BLOCK)
        n = min(count, BLOCK - skip)
        data += (struct.pack("<Q", block) * (BLOCK // 8))[skip:skip + n]
        offset += n
        count -= n
    return bytes(data)


class Connection:
    """One client. Its lock is held for each message, and for each late reply."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Condition()
        self.fids = {}
        self.created = set()
        self.pending = {}       # tag -> the reply that is to come, or None
        self.silenced = []
        self.late = {}          # tag -> the data of a read that was flushed
        self.timers = []
        self.left = None

    def broken(self, what):
        counts["broken"] += 1
        print("broken:", what, file=sys.stderr, flush=True)

    def raw(self, message):
        if silent.is_set():
            self.silenced.append(message)
            return
        if self.left is not None:
            message = message[:self.left]
            self.left -= len(message)
        try:
            self.sock.sendall(message)
            if self.left == 0:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def send(self, kind, tag, body=b""):
        message = struct.pack("<IBH", 7 + len(body), kind, tag) + body
        if "type" in faults and kind == TREAD + 1:
            junk = bytes(random.randrange(8192))
            counts["extra"] += 1
            self.raw(struct.pack("<IBH", 7 + len(junk), random.choice((13, 25, 111, 119, 121)), tag) + junk)
        self.raw(message)
        if "twice" in faults and kind in (TREAD + 1, TGETATTR + 1):
            counts["extra"] += 1
            self.raw(message)

    def reply(self, kind, tag, body=b""):
        self.pending.pop(tag, None)
        self.send(kind, tag, body)

    def error(self, tag, errno):
        self.reply(RLERROR, tag, struct.pack("<I", errno))

    def later(self, delay, call, *args):
        heapq.heappush(self.timers, (time.monotonic() + delay, len(self.timers), call, args))
        self.lock.notify()

    def run_timers(self):
        with self.lock:
            while True:
                now = time.monotonic()
                while self.timers and self.timers[0][0] <= now:
                    _, _, call, args = heapq.heappop(self.timers)
                    call(*args)
                self.lock.wait(self.timers[0][0] - now if self.timers else None)

    def resume(self):
        with self.lock:
            messages, self.silenced = self.silenced, []
            for message in messages:
                self.raw(message)

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def run(self):
        try:
            while True:
                size, kind, tag = struct.unpack("<IBH", self.receive(7))
                body = self.receive(size - 7)
                with self.lock:
                    if tag in self.pending:
                        self.broken("tag %d is in use, %s" % (tag, self.pending[tag]))
                    self.pending[tag] = (kind,)
                    counts["most"] = max(counts["most"], len(self.pending))
                    self.handle(kind, tag, body)
        except (EOFError, OSError):
            pass
        connections.remove(self)

    def finish(self, tag, request, done, kind, body):
        """The end of a slow request, unless it was flushed."""
        if self.pending.get(tag) is not request:
            return
        done()
        self.reply(kind, tag, body)

    def slowly(self, slow, tag, done, kind, body):
        request = self.pending[tag] = (kind, done, body)
        if slow:
            self.later(SLOW, self.finish, tag, request, done, kind, body)
        else:
            self.finish(tag, request, done, kind, body)

    def flush(self, tag, old):
        counts["flushes"] += 1
        request = self.pending.pop(old, None)
        if request and len(request) == 3:
            kind, done, body = request
            if "honour" in faults:
                done()
                self.send(kind, old, body)
            elif "late" in faults and kind == TREAD + 1:
                self.late[old] = body
                self.later(0.05, self.send_late, old)
        self.reply(TFLUSH + 1, tag)

    def send_late(self, tag):
        body = self.late.pop(tag, None)
        if body is not None:
            counts["extra"] += 1
            self.send(TREAD + 1, tag, body)

    def walk(self, tag, body):
        counts["walks"] += 1
        fid, new, n = struct.unpack("<IIH", body[:10])
        names, at = [], 10
        for _ in range(n):
            length, = struct.unpack("<H", body[at:at + 2])
            names.append(body[at + 2:at + 2 + length])
            at += 2 + length
        if new != fid and new in self.fids:
            self.broken("fid %d is in use" % new)
        name = b"" if names[-1:] == [b".."] else (names or [self.fids[fid]])[-1]
        if name == b"cut":
            self.left = int(faults["cut"])
        if name.startswith(b"stray"):
            self.raw(struct.pack("<IBHI", 11, TSTATFS + 1, int(name[5:]), 0))
        if name.startswith(b"no") or name.startswith(b"slowcreate") and name not in self.created:
            return self.error(tag, ENOENT)
        return self.slowly(name.startswith(b"slowwalk"), tag, lambda: self.fids.__setitem__(new, name), TWALK + 1,
                           struct.pack("<H", n) + b"".join(qid(x) for x in names))

    def create(self, fid, name):
        self.fids[fid] = name
        self.created.add(name)

    def handle(self, kind, tag, body):
        if kind == TVERSION:
            msize, = struct.unpack("<I", body[:4])
            return self.reply(kind + 1, tag, struct.pack("<IH", msize, 8) + b"9P2000.L")
        if kind == TFLUSH:
            return self.flush(tag, struct.unpack("<H", body)[0])
        fid, = struct.unpack("<I", body[:4])
        if kind == TATTACH:
            self.fids[fid] = b""
            return self.reply(kind + 1, tag, qid(b""))
        if fid not in self.fids:
            self.broken("type %d of fid %d, which is not known" % (kind, fid))
            return self.error(tag, EBADF)
        name = self.fids[fid]
        if kind == TWALK:
            return self.walk(tag, body)
        if kind == TGETATTR:
            mode = 0o40755 if name == b"" else 0o100644
            stat = struct.pack("<IIIQQQQQ", mode, 0, 0, 1, 0, SIZE, BLOCK, SIZE // 512)
            return self.reply(kind + 1, tag, struct.pack("<Q", 0x7ff) + qid(name) + stat + bytes(80))
        if kind == TLOPEN:
            return self.slowly(name.startswith(b"slowopen"), tag, lambda: None, kind + 1, qid(name) + bytes(4))
        if kind == TLCREATE:
            length, = struct.unpack("<H", body[4:6])
            new = body[6:6 + length]
            return self.slowly(new.startswith(b"slowcreate"), tag, lambda: self.create(fid, new), kind + 1,
                               qid(new) + bytes(4))
        if kind == TREAD:
            counts["reads"] += 1
            self.send_late(tag)
            _, offset, count = struct.unpack("<IQI", body)
            data = blocks(offset, count)
            data = struct.pack("<I", len(data)) + data
            if name == b"never":
                self.pending[tag] = (kind + 1, lambda: None, data)
                return None
            return self.reply(kind + 1, tag, data)
        if kind == TWRITE:
            return self.reply(kind + 1, tag, body[12:16])
        if kind in (TCLUNK, TREMOVE):
            counts["clunks"] += 1
            del self.fids[fid]
            return self.reply(kind + 1, tag)
        if kind == TREADDIR:
            return self.reply(kind + 1, tag, bytes(4))
        if kind == TSTATFS:
            return self.reply(kind + 1, tag, struct.pack("<IIQQQQQQI", 0x01021997, BLOCK, *[1] * 6, 255))
        if kind in (TSETATTR, TFSYNC, TUNLINKAT):
            return self.reply(kind + 1, tag)
        return self.error(tag, EOPNOTSUPP)


def report(*_):
    counts["fids"] = sum(len(c.fids) for c in connections)
    counts["pending"] = sum(len(c.pending) for c in connections)
    print(" ".join("%s=%d" % item for item in counts.items()), flush=True)


def resume(*_):
    silent.clear()
    for connection in list(connections):
        threading.Thread(target=connection.resume, daemon=True).start()


def accept(listener):
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(Connection(sock))
        for run in connections[-1].run, connections[-1].run_timers:
            threading.Thread(target=run, daemon=True).start()


def main():
    signal.signal(signal.SIGUSR1, lambda *_: silent.set())
    signal.signal(signal.SIGUSR2, resume)
    signal.signal(signal.SIGHUP, report)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    while True:
        signal.pause()


main()
