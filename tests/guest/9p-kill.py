#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""9p-kill.py DIR COUNT: COUNT times, starts a process that works in DIR and kills it meanwhile.

Each process reads, writes, creates, renames, lists and removes, for ever. Eight run at a time.
Prints how many were killed.
"""
import os
import random
import signal
import sys
import time

ATONCE = 8


def work(directory, number):
    own = os.path.join(directory, "k%d" % (number % ATONCE))
    data = os.urandom(65536)
    while True:
        with open(own, "wb") as file:
            file.write(data[:random.randrange(1, len(data))])
        with open(os.path.join(directory, "data"), "rb") as file:
            file.seek(random.randrange(1 << 20))
            file.read(32768)
        os.rename(own, own + "r")
        os.listdir(directory)
        os.stat(own + "r")
        os.unlink(own + "r")


def child(directory, number):
    while True:
        try:
            work(directory, number)
        except OSError:
            pass    # one that was killed before has left its file, or removes it now


def main():
    directory, count = sys.argv[1], int(sys.argv[2])
    running, killed = [], 0
    for number in range(count + ATONCE):
        if number < count:
            pid = os.fork()
            if pid == 0:
                child(directory, number)
            running.append(pid)
        if number >= ATONCE:
            time.sleep(random.random() / 100)
            pid = running.pop(0)
            os.kill(pid, signal.SIGKILL)
            killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    print(killed)


main()
