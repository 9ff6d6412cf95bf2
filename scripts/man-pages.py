#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""man-pages.py KERNEL-DOC DIR FILE...: writes a man page for each exported function.

The kernel-doc of any kernel will do.  What it prints is one stream, with a SEE ALSO
(if any) that names what it has left out, too; here each page names the others.
"""

import re
import subprocess
import sys
from pathlib import Path


def pages(kernel_doc, file):
    text = subprocess.run([kernel_doc, "-man", "-export", file], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    for page in re.split(r"^(?=\.TH )", text, flags=re.M)[1:]:
        yield re.match(r'\.TH "(\w+)" 9 ', page)[1], page.split('.SH "SEE ALSO"')[0]


def main():
    if len(sys.argv) < 4:
        sys.exit("man-pages.py: give the kernel-doc script, a folder, and sources")
    kernel_doc, out, *files = sys.argv[1:]
    for file in files:
        all_pages = dict(pages(kernel_doc, file))
        for name, page in all_pages.items():
            others = [f"\\fB{other}\\fR(9)" for other in all_pages if other != name]
            Path(out, f"{name}.9").write_text(
                page + '.SH "SEE ALSO"\n' + ",\n".join(others) + "\n")


try:
    main()
except (OSError, subprocess.CalledProcessError) as error:
    sys.exit(f"man-pages.py: {error}")
