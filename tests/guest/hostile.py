#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A hostile SMB1 server: answers NEGOTIATE and ECHO, in many wrong ways.

It serves each behaviour on a port of its own until it is killed.  --list prints
the ports, the behaviours and the counts that a client must show afterwards.
hostile_smb2.py does the same with SMB2.

The behaviour "storm" mixes the others at random.  After SIGUSR1 it answers
correctly, and prints what it has sent.  The seed of the random numbers is printed.
"""

import argparse
import collections
import random
import signal
import socket
import struct
import sys
import threading
import time

NEGOTIATE = 0x72
ECHO = 0x2B
LOCKING = 0x24
REPLY = 0x80
KEEPALIVE = 0x85
ACCESS_DENIED = 0xC0000022
UNSOLICITED = 0xFFFF
FRAME_MAX = 0x10000
HEADER = struct.Struct("<4sBIBHH8sHHHHH")

Behaviour = collections.namedtuple("Behaviour", "serve expected")
behaviours = {}


def registrar(registry):
    def behaviour(expected):
        """Registers a way to serve a connection under the function's name."""
        def register(function):
            registry[function.__name__] = Behaviour(function, expected)
            return function
        return register
    return behaviour


behaviour = registrar(behaviours)


class Hangup(Exception):
    """The other side has closed, or this one wants to."""


def message(command, mid, words=b"", data=b"", *, magic=b"\xffSMB", status=0,
            flags=REPLY, byte_count=None):
    header = HEADER.pack(magic, command, status, flags, 0x4000, 0, bytes(8), 0,
                         0xFFFF, 0, 0, mid)
    if byte_count is None:
        byte_count = len(data)
    return (header + bytes([len(words) // 2]) + words +
            struct.pack("<H", byte_count) + data)


def frame(payload, *, kind=0, length=None):
    if length is None:
        length = len(payload)
    return struct.pack(">I", kind << 24 | length) + payload


# For each MID a reply, whether or not such a request exists.
GUESSES = [frame(message(ECHO, mid, b"\1\0")) for mid in range(0x10000)]


class Echo:
    """A client's ECHO request, and possible replies to it."""

    def __init__(self, raw):
        self.mid = HEADER.unpack_from(raw)[11]
        self.count, size = struct.unpack_from("<HH", raw, HEADER.size + 1)
        self.data = raw[HEADER.size + 5:][:size]

    def reply(self, sequence=1, *, mid=None, data=None, command=ECHO, **fields):
        return frame(message(command, self.mid if mid is None else mid,
                             struct.pack("<H", sequence),
                             self.data if data is None else data, **fields))

    def all(self, data=None):
        return [self.reply(n + 1, data=data) for n in range(self.count)]

    def replies(self):
        return b"".join(self.all())


class Connection:
    def __init__(self, sock, seed, options):
        self.sock = sock
        self.mpx = options.mpx
        self.deadline = options.deadline_ms / 1000
        self.random = random.Random(seed)
        self.buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.settimeout(None)
        self.sock.sendall(data)

    def message(self):
        """The first complete message received, or None."""
        if len(self.buffer) < 4:
            return None
        end = 4 + struct.unpack_from(">I", self.buffer)[0]
        if len(self.buffer) < end:
            return None
        raw, self.buffer = self.buffer[4:end], self.buffer[end:]
        return raw

    def receive(self, timeout=None):
        """The next message. A TimeoutError loses no data."""
        self.sock.settimeout(timeout)
        while (raw := self.message()) is None:
            data = self.sock.recv(0x10000)
            if not data:
                raise Hangup
            self.buffer += data
        return raw

    def requests(self, raw):
        """The ECHO requests of a message."""
        return [Echo(raw)]

    def echoes(self):
        """All requests of the client, as they arrive."""
        while True:
            yield from self.requests(self.receive())

    def waiting(self, timeout):
        """The requests that have arrived, or arrive in time."""
        found = []
        try:
            found += self.requests(self.receive(timeout))
            while (raw := self.message()) is not None:
                found += self.requests(raw)
        except TimeoutError:
            pass
        return found

    def negotiate(self, *, dialect=0, mpx=None, words=17, **fields):
        mid = HEADER.unpack_from(self.receive())[11]
        body = struct.pack("<HBH", dialect, 3, self.mpx if mpx is None else mpx)
        self.send(frame(message(NEGOTIATE, mid, body.ljust(2 * words, b"\0")[:2 * words],
                                **fields)))

    def silence(self):
        """Reads but sends nothing until the client hangs up."""
        while True:
            self.receive()

    def reset(self):
        """Closes with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise Hangup


def serve(conn, answer):
    """Answers NEGOTIATE, and each ECHO with the result of answer()."""
    conn.negotiate()
    for echo in conn.echoes():
        conn.send(answer(echo))


# Correct, but unusual: the client must report no error.

RIGHT = "replied>0 mismatches=0 malformed=0"


@behaviour(RIGHT + " reassociated>0")
def honest(conn):
    serve(conn, Echo.replies)


@behaviour(RIGHT)
def trickle(conn):
    """Byte by byte."""
    conn.negotiate()
    for echo in conn.echoes():
        for byte in echo.replies():
            conn.send(bytes([byte]))


@behaviour(RIGHT)
def reorder(conn):
    """Answers the requests that have arrived, last first."""
    conn.negotiate()
    while True:
        held = conn.waiting(None)
        conn.send(b"".join(echo.replies() for echo in reversed(held)))


@behaviour(RIGHT)
def keepalive(conn):
    serve(conn, lambda echo: frame(b"", kind=KEEPALIVE) + echo.replies())


@behaviour(RIGHT + " peak_in_flight=1")
def one_at_a_time(conn):
    """MaxMpxCount 1."""
    conn.mpx = 1
    honest(conn)


@behaviour(RIGHT + " max_mpx=65535")
def many_at_a_time(conn):
    """The largest possible MaxMpxCount."""
    conn.mpx = 0xFFFF
    honest(conn)


# Wrong replies in valid frames.

@behaviour("unknown>0 mismatches=0")
def unknown(conn):
    """A MID that the client does not use, before each reply."""
    serve(conn, lambda echo: echo.reply(mid=echo.mid ^ 0x5555) + echo.replies())


@behaviour("stale>0 mismatches=0")
def repeated(conn):
    """Repeats the last reply to each request."""
    serve(conn, lambda echo: echo.replies() + echo.reply(echo.count))


@behaviour("unsolicited>0 mismatches=0")
def unsolicited(conn):
    serve(conn, lambda echo: echo.reply(mid=UNSOLICITED) + echo.replies() +
          frame(message(LOCKING, UNSOLICITED, bytes(16))))


@behaviour("mismatches>0")
def sequence(conn):
    """Several replies to a request, last first."""
    serve(conn, lambda echo: b"".join(reversed(echo.all())))


@behaviour("mismatches>0")
def payload(conn):
    """Flips one bit in one of ten replies."""
    def answer(echo):
        data = bytearray(echo.data)
        if conn.random.random() < 0.1:
            data[conn.random.randrange(len(data))] ^= 1
        return b"".join(echo.all(bytes(data)))
    serve(conn, answer)


@behaviour("mismatches>0")
def swapped(conn):
    """The payload of the previous request."""
    before = b"?" * 64

    def answer(echo):
        nonlocal before
        data, before = before.ljust(len(echo.data))[:len(echo.data)], echo.data
        return b"".join(echo.all(data))
    serve(conn, answer)


@behaviour("mismatches>0")
def status(conn):
    serve(conn, lambda echo: frame(message(ECHO, echo.mid, status=ACCESS_DENIED)))


@behaviour("mismatches>0")
def command(conn):
    serve(conn, lambda echo: echo.reply(command=NEGOTIATE))


@behaviour("mismatches>0")
def byte_count(conn):
    """More bytes announced than the frame has."""
    serve(conn, lambda echo: echo.reply(byte_count=0xFFFF))


@behaviour("mismatches>0")
def truncated(conn):
    """The frame ends in the payload."""
    serve(conn, lambda echo: frame(message(ECHO, echo.mid, struct.pack("<H", 1),
                                           echo.data)[:-1]))


@behaviour("unknown>60000")
def early(conn):
    """Guesses MIDs: all of them before the first request, then at random."""
    conn.negotiate()
    conn.send(b"".join(GUESSES))
    for echo in conn.echoes():
        conn.send(b"".join(conn.random.choices(GUESSES, k=500)) + echo.replies())


@behaviour("timed_out>0 stale>0 mismatches=0")
def late(conn):
    """Answers after the deadline, all at once."""
    conn.negotiate()
    while True:
        held = conn.waiting(None)
        time.sleep(1.5 * conn.deadline)
        conn.send(b"".join(echo.replies() for echo in held))


# Invalid frames.

@behaviour("malformed>0 mismatches=0")
def short(conn):
    """Frames that end in the header."""
    whole = message(ECHO, 0)
    serve(conn, lambda echo: b"".join(frame(whole[:n]) for n in (0, 1, 4, 31, 34)) +
          echo.replies())


@behaviour("malformed>0 mismatches=0")
def not_smb(conn):
    """SMB2, and noise."""
    noise = conn.random.randbytes(200)
    serve(conn, lambda echo: frame(message(ECHO, echo.mid, magic=b"\xfeSMB")) +
          frame(noise) + echo.replies())


@behaviour("malformed>0 mismatches=0")
def not_a_reply(conn):
    serve(conn, lambda echo: echo.reply(flags=0) + echo.replies())


@behaviour("malformed>0 mismatches=0 replied>0")
def longest(conn):
    """Frames of exactly 64 KiB, the largest allowed."""
    serve(conn, lambda echo: frame(bytes(FRAME_MAX)) + echo.replies())


@behaviour("malformed>0 connections>1")
def too_long(conn):
    serve(conn, lambda echo: frame(bytes(FRAME_MAX + 1)) + echo.replies())


@behaviour("malformed>0 connections>1")
def much_too_long(conn):
    serve(conn, lambda echo: frame(b"", length=0xFFFFFF) + echo.replies())


@behaviour("malformed>0 connections>1")
def wrong_kind(conn):
    """A negative session response."""
    serve(conn, lambda echo: frame(b"\x80", kind=0x83))


@behaviour("malformed>0 connections>1")
def noise(conn):
    conn.negotiate()
    while True:
        conn.send(conn.random.randbytes(4096))


# Silence.

@behaviour("replied>0 timed_out>0 connections>1")
def silent(conn):
    """From the 20th request on."""
    conn.negotiate()
    for n, echo in enumerate(conn.echoes()):
        if n < 20:
            conn.send(echo.replies())


@behaviour("timed_out>0 mismatches=0")
def stingy(conn):
    """One reply only, even if the request asks for several."""
    serve(conn, Echo.reply)


@behaviour("timed_out>0 connections>1")
def deaf(conn):
    """Does not read."""
    conn.negotiate()
    time.sleep(60)


@behaviour("timed_out>0 unknown>0 connections>1")
def babble(conn):
    """Sends unknown MIDs all the time, and no reply."""
    conn.negotiate()
    junk = GUESSES[0x5555] * 100
    while True:
        conn.send(junk)


@behaviour("timed_out>0 malformed=0 connections>1")
def keepalive_only(conn):
    conn.negotiate()
    while True:
        conn.send(frame(b"", kind=KEEPALIVE))
        time.sleep(0.01)


@behaviour("timed_out>0 connections>1")
def never_ending(conn):
    """A byte of a reply now and then."""
    conn.negotiate()
    while True:
        for byte in frame(bytes(FRAME_MAX)):
            conn.send(bytes([byte]))
            time.sleep(0.05)


# The end of the connection.

@behaviour("replied=0 reset>0 connections>1")
def close_at_once(conn):
    raise Hangup


@behaviour("resubmitted>0 reset>0 connections>1")
def close_after_negotiate(conn):
    conn.negotiate()


@behaviour("replied>0 resubmitted>0 connections>1")
def close_later(conn):
    conn.negotiate()
    for n, echo in enumerate(conn.echoes()):
        if n == 30:
            break
        conn.send(echo.replies())


@behaviour("resubmitted>0 connections>1")
def close_in_frame(conn):
    conn.negotiate()
    conn.send(next(conn.echoes()).replies()[:50])


@behaviour("replied=0 reset>0 connections>1")
def reset_at_once(conn):
    conn.reset()


@behaviour("resubmitted>0 connections>1")
def reset_in_frame(conn):
    """At any byte."""
    conn.negotiate()
    replies = next(conn.echoes()).replies()
    conn.send(replies[:conn.random.randrange(len(replies))])
    conn.reset()


# NEGOTIATE itself.

@behaviour("replied=0 timed_out>0")
def negotiate_silent(conn):
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_no_dialect(conn):
    conn.negotiate(dialect=0xFFFF, words=1)
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_none_at_a_time(conn):
    """MaxMpxCount 0."""
    conn.negotiate(mpx=0)
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_smb2(conn):
    conn.negotiate(magic=b"\xfeSMB")
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_truncated(conn):
    """All words announced, none sent."""
    raw = bytearray(message(NEGOTIATE, HEADER.unpack_from(conn.receive())[11]))
    raw[HEADER.size] = 17
    conn.send(frame(bytes(raw)))
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_error(conn):
    conn.negotiate(status=ACCESS_DENIED)
    conn.silence()


class Storm:
    """One connection with random behaviour.

    Each turn reads the requests that have arrived and performs one action, on some
    of them or on earlier ones.
    """
    calm = threading.Event()
    sent = collections.Counter()	# frames of all connections

    def __init__(self, conn):
        self.conn = conn
        self.random = conn.random
        self.open = []					# requests without a reply
        self.held = collections.deque()			# (time, request)
        self.mids = collections.deque(maxlen=4096)	# seen
        self.done = collections.deque(maxlen=256)	# frames that were sent

    def send(self, kind, frames):
        self.conn.send(b"".join(frames))
        self.sent[kind] += len(frames)

    def some(self):
        """A count: mostly small, sometimes a burst."""
        return self.random.choice((1, 2, 5, 20, 100, 1000))

    def take(self):
        """Some of the requests."""
        count = min(len(self.open), self.some())
        taken, self.open = self.open[:count], self.open[count:]
        return taken

    def reply(self, kind, requests):
        frames = [reply for echo in requests for reply in echo.all()]
        self.done.extend(frames)
        self.send(kind, frames)

    # The actions.

    def right(self):
        self.reply("right", self.take())

    def reordered(self):
        taken = self.take()
        self.random.shuffle(taken)
        self.reply("reordered", taken)

    def held_back(self):
        due = time.monotonic() + self.random.uniform(0.9, 2) * self.conn.deadline
        self.held.extend((due, echo) for echo in self.take())

    def lost(self):
        self.take()

    def guessed(self):
        self.send("random", self.random.choices(GUESSES, k=self.some()))

    def stale(self):
        if self.mids:
            self.send("stale", [GUESSES[mid] for mid in
                                self.random.choices(self.mids, k=self.some())])

    def duplicate(self):
        if self.done:
            self.send("duplicate", self.random.choices(self.done, k=self.some()))

    def unsolicited(self):
        self.send("unsolicited", [GUESSES[UNSOLICITED]] * self.some())

    def wrong(self):
        data = self.random.randbytes(64)
        self.send("wrong", [self.random.choice((
            echo.reply(data=data), echo.reply(echo.count + 1),
            echo.reply(byte_count=0xFFFF), echo.reply(command=LOCKING),
            echo.reply(status=ACCESS_DENIED))) for echo in self.take()])

    def malformed(self):
        whole = message(ECHO, self.random.choice(self.mids or [0]), b"\1\0")
        self.send("malformed", [self.random.choice((
            frame(whole[:self.random.randrange(len(whole))]),
            frame(b"\xfe" + whole[1:]), frame(b""),
            frame(self.random.randbytes(self.random.randrange(200)))))
            for _ in range(self.some())])

    def monster(self):
        self.send("malformed", [frame(bytes(self.random.choice((FRAME_MAX, 0x20000))))])

    def silence(self):
        longest = self.random.choices((0.01, 2 * self.conn.deadline), (19, 1))[0]
        time.sleep(self.random.uniform(0, longest))

    def cut(self):
        """Closes, resets or falls silent, after any byte."""
        rest = b"".join(reply for echo in self.take() for reply in echo.all())
        self.conn.send(rest[:self.random.randrange(len(rest) + 1)])
        self.sent["cut"] += 1
        if self.random.random() < 0.5:
            self.conn.reset()
        if self.random.random() < 0.1:
            self.conn.silence()
        raise Hangup

    turns = {right: 30, reordered: 20, held_back: 4, lost: 1, guessed: 10, stale: 10,
             duplicate: 10, unsolicited: 3, wrong: 3, malformed: 3, monster: 0.2,
             silence: 5, cut: 0.4}

    def release(self):
        """Sends the replies that are due."""
        ready = []
        while self.held and self.held[0][0] < time.monotonic():
            ready.append(self.held.popleft()[1])
        if ready:
            self.reply("late", ready)

    def begin(self):
        self.conn.negotiate(mpx=self.random.choice((1, 3, 50, 50, 50, 1000, 65535)))
        self.guessed()	# while some MIDs were never in use

    def run(self):
        self.begin()
        while True:
            idle = not self.open and not self.held
            for echo in self.conn.waiting(0.01 if idle else 0.0001):
                self.open.append(echo)
                self.mids.append(echo.mid)
            if self.calm.is_set():
                self.right()
                continue
            self.release()
            turn, = self.random.choices(list(self.turns), self.turns.values())
            turn(self)

    @classmethod
    def report(cls):
        hostile = sum(cls.sent.values()) - cls.sent["right"]
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(cls.sent.items()))
        return f"{hostile} hostile frames ({kinds})"


@behaviour("unknown>0 stale>0 unsolicited>0 malformed>0 mismatches>0 connections>1")
def storm(conn):
    Storm(conn).run()


def serve_connection(serve_it, conn):
    with conn.sock:
        try:
            serve_it(conn)
        except (Hangup, ConnectionError):
            pass


def serve_port(name, serve_it, kind, server, options):
    number = 0
    while True:
        sock, _ = server.accept()
        number += 1
        conn = kind(sock, f"{options.seed} {name} {number}", options)
        threading.Thread(target=serve_connection, daemon=True,
                         args=(serve_it, conn)).start()


def main(doc, first_port, registry, kind, storm_of):
    """Serves the behaviours of a registry.  Their connections are of this kind."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true",
                        help="print the port, name and expected counts of each behaviour")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=first_port, help="the first port")
    parser.add_argument("--mpx", type=int, default=50, help="MaxMpxCount, or credits")
    parser.add_argument("--deadline-ms", type=int, default=500,
                        help="deadline of the client")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    options = parser.parse_args()
    ports = {name: options.port + n for n, name in enumerate(registry)}

    if options.list:
        for name, port in ports.items():
            print(port, name, registry[name].expected)
        return
    signal.signal(signal.SIGUSR1, lambda *_: storm_of.calm.set())
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    for name, port in ports.items():
        server = socket.create_server((options.host, port), family=family)
        threading.Thread(target=serve_port, daemon=True,
                         args=(name, registry[name].serve, kind, server, options)).start()
    print(f"seed {options.seed}", flush=True)
    while not storm_of.calm.wait(1):
        pass
    print(storm_of.report(), flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    try:
        main(__doc__, 4400, behaviours, Connection, Storm)
    except KeyboardInterrupt:
        sys.exit(1)
