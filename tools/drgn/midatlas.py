#!/usr/bin/env drgn
# SPDX-License-Identifier: GPL-2.0
"""List the requests in flight on each connection, by the data structures alone.

    drgn -s vmlinux -s midatlas.ko -s midwindow.ko midatlas.py [NAME]
    drgn -c VMCORE -s vmlinux -s midatlas.ko -s midwindow.ko midatlas.py [NAME]

Each line has the name of the connection, the MID or MessageId, the state, the age in ticks
(of an abandoned one: the ticks until its quarantine ends), the charge and the address of
the request. The kernel and the modules need debug information: give the modules' files as
they were built."""

import sys

from drgn import Object, container_of
from drgn.helpers.linux.list import list_for_each_entry

# As in midslot.h
STATES = {2: "busy", 3: "abandoned", 4: "live", 5: "live", 6: "live"}
GEN_SHIFT = 3
TIME_SHIFT = 27
TIME_MASK = 2**37 - 1
TIME_AHEAD = 2**20


def die(message):
    sys.exit(f"midatlas.py: {message}")


def modules():
    """The two modules, as far as they are loaded, by name."""
    try:
        head = prog["modules"].address_of_()
    except LookupError:
        die("no debug information of the kernel: try drgn -s PATH/vmlinux")
    for module in list_for_each_entry("struct module", head, "list"):
        name = module.name.string_().decode()
        if name in ("midatlas", "midwindow"):
            yield name, module


def is_in(address, module):
    try:
        regions = list(module.mem)
    except AttributeError:      # before Linux 6.4
        regions = [module.core_layout]
    return any(0 <= address - r.base.value_() < r.size.value_() for r in regions)


def folders(name, module):
    """What is shown of each connection. Both modules have a list of the same name."""
    for symbol in prog.symbols("mid_folders"):
        if is_in(symbol.address, module):
            head = Object(prog, "struct list_head", address=symbol.address)
            return list_for_each_entry("struct mid_folder", head.address_of_(), "node")
    die(f"no debug information of {name}: try drgn -s PATH/{name}.ko, the file as it was built")


def age(state, word, now):
    """In ticks; of an abandoned request: until the quarantine ends."""
    elapsed = (now - (word >> TIME_SHIFT)) & TIME_MASK
    if STATES[state] == "abandoned":
        elapsed = -elapsed & TIME_MASK
    return 0 if elapsed > TIME_MASK - TIME_AHEAD else elapsed


def array(pointer, length):
    """What a pointer points to, as a list of dictionaries."""
    kind = prog.array_type(pointer.type_.type, length)
    return Object(prog, kind, address=pointer.value_()).value_()


def slots_of_atlas(atlas):
    """Each slot with its MID and its charge."""
    table = atlas.table
    while table:
        mask = table.mask.value_()
        for i, slot in enumerate(array(table.slots, mask + 1)):
            generation = slot["word"]["counter"] >> GEN_SHIFT
            yield slot, f"{i | generation & ~mask & 0xffff:#06x}", "-"
        table = table.older


def slots_of_window(window):
    """Each slot with its MessageId and its charge."""
    table = window.hash
    while table:
        for entry in array(table.entries, 1 << table.bits.value_()):
            yield entry["slot"], entry["id"], entry["charge"]
        table = table.older


def show(name, slots, now):
    for slot, number, charge in slots:
        word = slot["word"]["counter"] & (2**64 - 1)
        state = word & (2**GEN_SHIFT - 1)
        if state in STATES:
            ctx = f"{slot['ctx']:016x}" if STATES[state] == "live" else "-"
            print(name, number, STATES[state], age(state, word, now), charge, ctx)


def main(wanted):
    found = False
    now = prog["jiffies_64"].value_()
    kinds = {"midatlas": ("struct mid_atlas", slots_of_atlas),
             "midwindow": ("struct mid_window", slots_of_window)}
    loaded = dict(modules())
    if not loaded:
        die("neither midatlas nor midwindow is loaded")
    for module in loaded:
        kind, slots = kinds[module]
        for folder in folders(module, loaded[module]):
            name = folder.name.string_().decode()
            if wanted in (None, name):
                found = True
                show(name, slots(container_of(folder, kind, "folder")), now)
    if wanted and not found:
        die(f"no connection {wanted}")


if len(sys.argv) > 2:
    die("usage: drgn midatlas.py [NAME]")
main(sys.argv[1] if len(sys.argv) == 2 else None)
