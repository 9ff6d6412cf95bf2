#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""pages.py code                 each block of C or text on a page is in a file of samples/
pages.py commands PAGE...     prints the commands of these pages, a blank line after each block

A page has its code in itself: a forge does not render literalinclude.  Commands are in blocks
of sh, and in blocks of console after "# ".  Any other block that looks like commands is an
error.
"""

import re
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RST = re.compile(r"^(?P<indent> *)(?:\.\. code-block:: (?P<language>\w+)|[^.\n].*::|::)\n"
                 r"(?P<body>(?:[ \t]*\n|(?P=indent)[ \t]+.*\n)+)", re.M)
MARKDOWN = re.compile(r"^```(?P<language>\w*)\n(?P<body>(?s:.*?))^```$|^\n(?P<plain>(?:    .*\n)+)",
                      re.M)


def blocks(page):
    """The language and the lines of each block of @page"""
    regex = RST if page.suffix == ".rst" else MARKDOWN
    for match in regex.finditer(page.read_text()):
        body = match["body"] or match["plain"]
        yield match["language"] or "", textwrap.dedent(body).strip("\n")


def commands(language, body):
    """The commands of a block"""
    if language == "sh":
        return body
    if language == "console":
        return "\n".join(line[2:] for line in body.splitlines() if line.startswith("# "))
    if not language and re.search(r"^(# |\$ |sudo |make [a-z]|insmod )", body, re.M):
        sys.exit(f"commands in a block that is not of sh or console:\n{body}")
    return ""


def check_code():
    files = [path.read_text() for path in (TOP / "samples").iterdir()]
    count = 0
    for page in [TOP / "README.md", *(TOP / "Documentation").glob("*.rst")]:
        for language, body in blocks(page):
            if language in ("c", "text"):
                count += 1
                if not any(f"{body}\n" in file for file in files):
                    sys.exit(f"{page.name}: no file of samples/ has this:\n{body}")
    if count < 20:
        sys.exit(f"only {count} blocks of code were found")


def main():
    if sys.argv[1:] == ["code"]:
        check_code()
    elif sys.argv[1:2] == ["commands"] and len(sys.argv) > 2:
        for page in sys.argv[2:]:
            for block in blocks(TOP / page):
                if lines := commands(*block):
                    print(f"{lines}\n")
    else:
        sys.exit(__doc__)


main()
