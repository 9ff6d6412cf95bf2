#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A hostile SMB2 server: answers NEGOTIATE and ECHO, in many wrong ways.

Its options, and what it prints, are those of hostile.py.
"""

import struct
import sys
import time

import hostile
from hostile import ACCESS_DENIED, FRAME_MAX, KEEPALIVE, Hangup, frame, serve

NEGOTIATE = 0x00
CANCEL = 0x0C
ECHO = 0x0D
OPLOCK_BREAK = 0x12
REPLY = 1
ASYNC = 2
PENDING = 0x103
UNSOLICITED = 2**64 - 1
SMB302 = 0x0302
HEADER = struct.Struct("<4sHHIHHIIQQQ16s")
ECHO_BODY = struct.pack("<HH", 4, 0)

behaviours = {}
behaviour = hostile.registrar(behaviours)


def message(command, mid, body=ECHO_BODY, *, magic=b"\xfeSMB", header_size=64, status=0,
            flags=REPLY, credits=1, following=0, async_id=None):
    if async_id is not None:
        flags |= ASYNC
    return HEADER.pack(magic, header_size, 1, status, command, credits, flags, following,
                       mid, async_id or 0, 0, bytes(16)) + body


def compound(messages):
    """One frame of several messages, each of which points to the next one."""
    whole = b""
    for n, raw in enumerate(messages, 1):
        if n < len(messages):
            raw = raw.ljust((len(raw) + 7) // 8 * 8, b"\0")
            raw = raw[:20] + struct.pack("<I", len(raw)) + raw[24:]
        whole += raw
    return frame(whole)


class Echo:
    """A client's ECHO request, and possible replies to it."""

    def __init__(self, conn, fields):
        self.conn = conn
        self.mid = fields[8]
        self.asked = fields[5]

    def message(self, command=ECHO, *, mid=None, credits=None, **fields):
        if credits is None:
            credits = self.conn.grant(self.asked)
        return message(command, self.mid if mid is None else mid, credits=credits, **fields)

    def reply(self, command=ECHO, **fields):
        return frame(self.message(command, **fields))

    def interim(self, async_id=None, *, credits=0, **fields):
        if async_id is None:
            async_id = self.mid + 1000
        return self.reply(status=PENDING, body=struct.pack("<HHIB", 9, 0, 0, 0),
                          async_id=async_id, credits=credits, **fields)

    def all(self):
        return [self.reply()]

    def replies(self):
        return self.reply()


class Connection(hostile.Connection):
    """Grants what the client asks for, as long as it does not have --mpx credits."""

    def __init__(self, sock, seed, options):
        super().__init__(sock, seed, options)
        self.credits = 1		# granted and not used
        self.next = 0			# the lowest MessageId that was not seen

    def grant(self, asked):
        credits = max(min(asked, self.mpx - self.credits), 0)
        if not self.credits:
            credits = max(credits, 1)
        self.credits += credits
        return credits

    def requests(self, raw):
        found = []
        while raw:
            fields = HEADER.unpack_from(raw)
            if fields[4] != CANCEL:
                found.append(Echo(self, fields))
                self.credits -= 1
                self.next = max(self.next, fields[8] + 1)
            raw = raw[fields[7]:] if fields[7] else b""
        return found

    def negotiate(self, *, dialect=SMB302, length=64, command=NEGOTIATE, size=65, **fields):
        request, = self.requests(self.receive())
        body = struct.pack("<HHH", size, 1, dialect).ljust(length, b"\0")
        self.send(request.reply(command, body=body, **fields))


# Those that are the same whatever the protocol
for name in ("wrong_kind", "noise", "deaf", "keepalive_only", "never_ending", "close_at_once",
             "reset_at_once", "negotiate_silent", "negotiate_error"):
    behaviours[name] = hostile.behaviours[name]


# Correct, but unusual: the client must report no error.

RIGHT = "replied>0 mismatches=0 malformed=0 unknown=0 starved=0"


@behaviour(RIGHT + " compounds>0")
def honest(conn):
    serve(conn, Echo.reply)


@behaviour(RIGHT)
def trickle(conn):
    """Byte by byte."""
    conn.negotiate()
    for echo in conn.echoes():
        for byte in echo.reply():
            conn.send(bytes([byte]))


@behaviour(RIGHT)
def reorder(conn):
    """Answers the requests that have arrived, last first."""
    conn.negotiate()
    while True:
        held = conn.waiting(None)
        conn.send(b"".join(echo.reply() for echo in reversed(held)))


@behaviour(RIGHT)
def compounded(conn):
    """All replies in one frame."""
    conn.negotiate()
    while True:
        held = conn.waiting(None)
        if held:
            conn.send(compound([echo.message() for echo in held]))


@behaviour(RIGHT)
def keepalive(conn):
    serve(conn, lambda echo: frame(b"", kind=KEEPALIVE) + echo.reply())


@behaviour(RIGHT + " peak_in_flight=1 compounds=0")
def one_at_a_time(conn):
    """Never more than one credit."""
    conn.mpx = 1
    honest(conn)


@behaviour(RIGHT)
def two_at_a_time(conn):
    """Two credits, one of which is for the keep-alive."""
    conn.mpx = 2
    honest(conn)


@behaviour(RIGHT)
def many_credits(conn):
    """65535 in each reply."""
    serve(conn, lambda echo: echo.reply(credits=0xFFFF))


@behaviour(RIGHT + " interims>0")
def interim(conn):
    """Without credits; the reply has the same AsyncId."""
    serve(conn, lambda echo: echo.interim() + echo.reply(async_id=echo.mid + 1000))


@behaviour(RIGHT + " interims>0")
def interim_credits(conn):
    """The credits come with the interim response, not with the reply."""
    serve(conn, lambda echo: echo.interim(credits=conn.grant(echo.asked)) +
          echo.reply(credits=0))


@behaviour(RIGHT + " interims>0")
def interim_repeated(conn):
    serve(conn, lambda echo: 2 * echo.interim() + echo.reply())


# Credits.  The client must not wait for ever.

@behaviour("replied>0 starved>0 connections>1 mismatches=0")
def no_credits(conn):
    """None after the second reply."""
    conn.negotiate(credits=1)
    for n, echo in enumerate(conn.echoes()):
        conn.send(echo.reply(credits=0 if n else 5))


@behaviour("peak_in_flight=1 timed_out>0 starved=0 connections>1")
def no_credit_at_all(conn):
    conn.negotiate(credits=0)
    conn.silence()


@behaviour("replied>0 mismatches=0")
def random_credits(conn):
    """From none to all."""
    serve(conn, lambda echo: echo.reply(credits=conn.random.choice((0, 0, 1, 2, 3, 0xFFFF))))


@behaviour("replied>0 unknown>0 mismatches=0")
def credits_of_nobody(conn):
    """None in the replies, but in a response to an unknown id."""
    serve(conn, lambda echo: echo.reply(mid=echo.mid ^ 1 << 40) + echo.reply(credits=0))


# Wrong interim responses in valid frames.

@behaviour("replied>0 interims>0 mismatches>0")
def interim_other_id(conn):
    """A second AsyncId."""
    serve(conn, lambda echo: echo.interim(5) + echo.interim(6) + echo.reply())


@behaviour("replied>0 interims=0 mismatches>0")
def interim_no_id(conn):
    """AsyncId 0."""
    serve(conn, lambda echo: echo.interim(0) + echo.reply())


@behaviour("replied>0 interims=0 unknown>0 mismatches=0")
def interim_of_nobody(conn):
    """For ids far away."""
    serve(conn, lambda echo: echo.interim(mid=echo.mid + 100000) + echo.reply())


@behaviour("replied>0 mismatches=0")
def interim_of_others(conn):
    """For requests that the client may be about to send."""
    serve(conn, lambda echo: b"".join(echo.interim(9, mid=conn.next + n) for n in range(10)) +
          echo.reply())


@behaviour("replied>0 interims=0 stale>0 mismatches=0")
def interim_late(conn):
    """After the reply."""
    serve(conn, lambda echo: echo.reply() + echo.interim())


@behaviour("interims>0 timed_out>0 abandoned>0 cancels>0 mismatches=0")
def interim_only(conn):
    """The server works on it, and never ends."""
    conn.negotiate()
    for n, echo in enumerate(conn.echoes()):
        conn.send(echo.interim() if n > 20 and n % 4 == 0 else echo.reply())


@behaviour("interims>0 timed_out>0 mismatches=0")
def interim_for_ever(conn):
    """Repeats it: the deadline does not move again."""
    conn.negotiate()
    held = []
    while True:
        for echo in conn.waiting(0.02):
            if conn.next > 20 and echo.mid % 4 == 0:
                held.append(echo)
            else:
                conn.send(echo.reply())
        conn.send(b"".join(echo.interim() for echo in held[-20:]))


# Wrong replies in valid frames.

@behaviour("unknown>0 mismatches=0")
def unknown(conn):
    """An id that the client does not use, before each reply."""
    serve(conn, lambda echo: echo.reply(mid=echo.mid ^ 1 << 63, credits=0) + echo.reply())


@behaviour("unknown>0 replied>0")
def early(conn):
    """Guesses the ids of requests that were not sent yet."""
    serve(conn, lambda echo: b"".join(echo.reply(mid=conn.next + n, credits=0)
                                      for n in range(100)) + echo.reply())


@behaviour("stale>0 mismatches=0")
def repeated(conn):
    serve(conn, lambda echo: echo.reply() + echo.reply(credits=0))


@behaviour("stale>0 replied>0 mismatches=0")
def lowest(conn):
    """Replies to the id of the NEGOTIATE."""
    serve(conn, lambda echo: echo.reply(mid=0, credits=0) + echo.reply())


@behaviour("unsolicited>0 mismatches=0")
def unsolicited(conn):
    serve(conn, lambda echo: echo.reply(mid=UNSOLICITED, credits=9) + echo.reply() +
          echo.reply(OPLOCK_BREAK, mid=UNSOLICITED, credits=0, body=bytes(24)))


@behaviour("mismatches>0")
def status(conn):
    serve(conn, lambda echo: echo.reply(status=ACCESS_DENIED if echo.mid > 9 else 0))


@behaviour("mismatches>0")
def pending(conn):
    """STATUS_PENDING, but not asynchronous."""
    serve(conn, lambda echo: echo.reply(status=PENDING if echo.mid > 9 else 0))


@behaviour("mismatches>0")
def command(conn):
    serve(conn, lambda echo: echo.reply(OPLOCK_BREAK if echo.mid > 9 else ECHO))


@behaviour("mismatches>0")
def body_size(conn):
    """Another StructureSize."""
    serve(conn, lambda echo: echo.reply(body=struct.pack("<HH", 9 if echo.mid > 9 else 4, 0)))


@behaviour("mismatches>0")
def truncated(conn):
    """The frame ends in the body, or before it."""
    serve(conn, lambda echo: frame(echo.message()[:64 + conn.random.randrange(4)]))


@behaviour("timed_out>0 late>0 mismatches=0")
def late(conn):
    """Answers after the deadline, all at once."""
    conn.negotiate()
    while True:
        held = conn.waiting(None)
        if conn.next > 20:
            time.sleep(1.5 * conn.deadline)
        conn.send(b"".join(echo.reply() for echo in held))


# Invalid frames.

@behaviour("malformed>0 mismatches=0")
def short(conn):
    """Frames that end in the header."""
    whole = message(ECHO, 0)
    serve(conn, lambda echo: b"".join(frame(whole[:n]) for n in (0, 1, 4, 24, 63)) +
          echo.reply())


@behaviour("malformed>0 mismatches=0")
def not_smb(conn):
    """SMB1, encrypted, compressed, and noise."""
    junk = conn.random.randbytes(200)
    serve(conn, lambda echo: b"".join(echo.reply(magic=magic, credits=0) for magic in
                                      (b"\xffSMB", b"\xfdSMB", b"\xfcSMB")) +
          frame(junk) + echo.reply())


@behaviour("malformed>0 mismatches=0")
def not_a_reply(conn):
    serve(conn, lambda echo: echo.reply(flags=0, credits=0) + echo.reply())


@behaviour("malformed>0 mismatches=0")
def header_size(conn):
    serve(conn, lambda echo: echo.reply(header_size=63, credits=0) + echo.reply())


@behaviour("malformed>0 replied>0")
def cut(conn):
    """A NextCommand that is no offset of a header."""
    wrong = (1, 4, 8, 56, 63, 65, 66, 68, 72, 76, 0x1000, 0x10000, 0x7FFFFFF8, 0x80000000,
             0xFFFFFFC0, 0xFFFFFFF8, 0xFFFFFFFF)

    def answer(echo):
        raw = echo.message(following=conn.random.choice(wrong), credits=0)
        return frame(raw) + frame(raw + bytes(conn.random.randrange(100))) + echo.reply()
    serve(conn, answer)


@behaviour("malformed>0 replied>0")
def cut_second(conn):
    """The second header of a compound is incomplete, or not a header."""
    def answer(echo):
        first = echo.message(following=72).ljust(72, b"\0")
        second = conn.random.choice((bytes(64), message(ECHO, 0, magic=b"\xffSMB"),
                                     message(ECHO, 0, following=1),
                                     message(ECHO, 0)[:conn.random.randrange(64)]))
        return frame(first + second)
    serve(conn, answer)


@behaviour("malformed>0 mismatches>0 replied>0")
def overlapping(conn):
    """The second header of a compound is in the body of the first."""
    serve(conn, lambda echo: frame(echo.message(following=64, body=b"") +
                                   message(ECHO, echo.mid, header_size=0)))


@behaviour("malformed=0 unknown>1000 replied>0")
def long_compound(conn):
    """As many headers as a frame can have."""
    serve(conn, lambda echo: compound([echo.message()] + 900 * [
        message(ECHO, 1 << 50, credits=0)]))


@behaviour("malformed>0 mismatches=0 replied>0")
def longest(conn):
    """Frames of exactly 64 KiB, the largest allowed."""
    serve(conn, lambda echo: frame(bytes(FRAME_MAX)) + echo.reply())


@behaviour("malformed>0 connections>1")
def too_long(conn):
    serve(conn, lambda echo: frame(bytes(FRAME_MAX + 1)) + echo.reply())


@behaviour("malformed>0 connections>1")
def much_too_long(conn):
    serve(conn, lambda echo: frame(b"", length=0xFFFFFF) + echo.reply())


# Silence.

@behaviour("replied>0 timed_out>0 abandoned>0 keepalives>0 connections>1")
def silent(conn):
    """From the 20th request on."""
    conn.negotiate()
    for n, echo in enumerate(conn.echoes()):
        if n < 20:
            conn.send(echo.reply())


@behaviour("timed_out>0 replied>0 mismatches=0")
def half_silent(conn):
    """No reply to the second request of a compound."""
    conn.negotiate()
    while True:
        echoes = conn.requests(conn.receive())
        if echoes:
            conn.send(echoes[0].reply())
            conn.credits += len(echoes) - 1


@behaviour("timed_out>0 connections>1")
def deaf_guesses(conn):
    """Does not read, but sends interim responses to what it could read."""
    conn.negotiate()
    conn.send(next(conn.echoes()).reply(credits=100))
    mid = conn.next
    while True:
        conn.send(b"".join(frame(message(ECHO, mid + n, status=PENDING, async_id=7, credits=0))
                           for n in range(100)))
        time.sleep(0.01)


@behaviour("timed_out>0 unknown>0 connections>1")
def babble(conn):
    """Sends unknown ids all the time, and no reply."""
    conn.negotiate()
    junk = frame(message(ECHO, 1 << 60, credits=0)) * 100
    while True:
        conn.send(junk)


# The end of the connection.

@behaviour("peak_in_flight=1 reset>0 connections>1")
def close_after_negotiate(conn):
    conn.negotiate()


@behaviour("replied>0 resubmitted>0 connections>1")
def close_later(conn):
    conn.negotiate()
    for n, echo in enumerate(conn.echoes()):
        if n == 30:
            break
        conn.send(echo.reply())


@behaviour("replied>0 resubmitted>0 connections>1")
def close_in_frame(conn):
    conn.negotiate()
    echoes = conn.echoes()
    conn.send(next(echoes).reply())
    conn.send(next(echoes).reply()[:50])


@behaviour("resubmitted>0 replied>0 connections>1")
def reset_in_frame(conn):
    """At any byte, also of the first replies."""
    left = conn.random.randrange(600)

    def answer(echo):
        nonlocal left
        raw = echo.interim() + compound([echo.message(), message(ECHO, 1 << 50)])
        if left < len(raw):
            conn.send(raw[:left])
            conn.reset()
        left -= len(raw)
        return raw
    serve(conn, answer)


# The setup.

@behaviour("replied=0 reset>0")
def negotiate_no_dialect(conn):
    """One that was not offered."""
    conn.negotiate(dialect=conn.random.choice((0x0202, 0x02FF, 0x0311, 0, 0xFFFF)))
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_smb1(conn):
    conn.negotiate(magic=b"\xffSMB")
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_wrong_id(conn):
    conn.negotiate(mid=1)
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_command(conn):
    conn.negotiate(command=ECHO)
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_interim(conn):
    conn.negotiate(status=PENDING, async_id=1)
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_compound(conn):
    conn.negotiate(following=64)
    conn.silence()


@behaviour("replied=0 malformed>0")
def negotiate_empty(conn):
    """A frame without a message."""
    conn.receive()
    conn.send(frame(b""))
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_truncated(conn):
    conn.negotiate(length=conn.random.randrange(6, 64))
    conn.silence()


@behaviour("replied=0 reset>0")
def negotiate_size(conn):
    """Another StructureSize."""
    conn.negotiate(size=64)
    conn.silence()


@behaviour("peak_in_flight=1 timed_out>0 connections>1")
def first_echo_silent(conn):
    """No reply to the ECHO that gets credits."""
    conn.negotiate()
    conn.silence()


@behaviour("peak_in_flight=1 timed_out>0 interims>0 connections>1")
def first_echo_interim(conn):
    """Only interim responses to it."""
    conn.negotiate()
    echo = next(conn.echoes())
    while True:
        conn.send(echo.interim())
        time.sleep(0.01)


class Storm(hostile.Storm):
    """One connection with random behaviour."""

    def frame_of(self, mid, **fields):
        return frame(message(ECHO, mid, **fields))

    def near(self):
        """An id that was used, is used, or will be used soon; sometimes any."""
        chance = self.random.random()
        if chance < 0.1:
            return self.random.getrandbits(64)
        if chance < 0.5 and self.mids:
            return self.random.choice(self.mids)
        return max(self.conn.next + self.random.randrange(-50, 300), 0)

    def credits(self):
        """Of a response to nobody: two of three connections have none to spare."""
        if not self.generous:
            return 0
        return self.random.choices((0, 1, 5, 0xFFFF), (1000, 50, 20, 1))[0]

    # The actions.

    def guessed(self):
        """An id that was not sent yet may be right a moment later."""
        self.send("random", [self.frame_of(self.random.getrandbits(64) if
                                           self.random.random() < 0.8 else
                                           self.conn.next + self.random.randrange(300),
                                           credits=self.credits())
                             for _ in range(self.some())])

    def stale(self):
        if self.mids:
            self.send("stale", [self.frame_of(mid, credits=self.credits()) for mid in
                                self.random.choices(self.mids, k=self.some())])

    def unsolicited(self):
        self.send("unsolicited", [self.frame_of(UNSOLICITED)] * self.some())

    def compounded(self):
        taken = self.take()
        if taken:
            self.conn.send(compound([echo.message() for echo in taken]))
            self.sent["compounded"] += len(taken)

    def cut_compound(self):
        """NextCommand and length at random."""
        raw = bytearray()
        for echo in self.take():
            raw += echo.message(following=self.random.choice((72, 64, 68, 8, 0, 1 << 31)))
            raw += bytes(self.random.choice((0, 0, 4, 5)))
        self.conn.send(frame(bytes(raw[:self.random.randrange(len(raw) + 1)])[:FRAME_MAX]))
        self.sent["malformed"] += 1

    def interims(self):
        """For some of the requests, which stay open; some with another AsyncId."""
        self.send("interim", [echo.interim(self.random.choice((None, None, 0, 1)),
                                           credits=self.credits())
                              for echo in self.open[:self.some()]])

    def interim_guesses(self):
        self.send("interim", [self.frame_of(self.near(), status=PENDING,
                                            async_id=self.random.randrange(4), credits=0)
                              for _ in range(self.some())])

    def no_credits(self):
        self.reply_with("no credits", lambda echo: echo.reply(credits=0))

    def flood(self):
        self.reply_with("many credits", lambda echo: echo.reply(credits=0xFFFF))

    def reply_with(self, kind, answer):
        self.send(kind, [answer(echo) for echo in self.take()])

    def wrong(self):
        self.reply_with("wrong", lambda echo: self.random.choice((
            echo.reply(status=ACCESS_DENIED), echo.reply(OPLOCK_BREAK),
            echo.reply(body=b"\x09\0\0\0"), echo.reply(status=PENDING),
            frame(echo.message()[:64 + self.random.randrange(4)]))))

    def malformed(self):
        whole = message(ECHO, self.near())
        self.send("malformed", [self.random.choice((
            frame(whole[:self.random.randrange(64)]), frame(b"\xff" + whole[1:]), frame(b""),
            frame(whole[:20] + struct.pack("<I", self.random.getrandbits(32)) + whole[24:]),
            frame(self.random.randbytes(self.random.randrange(200)))))
            for _ in range(self.some())])

    turns = {hostile.Storm.right: 30, hostile.Storm.reordered: 20, compounded: 10,
             hostile.Storm.held_back: 4, hostile.Storm.lost: 1, guessed: 10, stale: 10,
             hostile.Storm.duplicate: 10, unsolicited: 3, wrong: 3, malformed: 3,
             cut_compound: 3, interims: 5, interim_guesses: 5, no_credits: 3, flood: 0.3,
             hostile.Storm.monster: 0.2, hostile.Storm.silence: 5, hostile.Storm.cut: 0.4}

    def begin(self):
        self.generous = self.random.random() < 1 / 3
        self.conn.mpx = self.random.choice((1, 3, 50, 50, 50, 1000, 8192))
        if self.random.random() < 0.05:
            self.guessed()
        self.conn.negotiate()
        self.guessed()


@behaviour("unknown>0 stale>0 unsolicited>0 malformed>0 mismatches>0 interims>0 connections>1")
def storm(conn):
    Storm(conn).run()


if __name__ == "__main__":
    try:
        hostile.main(__doc__, 4600, behaviours, Connection, Storm)
    except KeyboardInterrupt:
        sys.exit(1)
