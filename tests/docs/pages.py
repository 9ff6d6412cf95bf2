#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""pages.py check                each block of C or text on a page is in a file of samples/,
                              links lead to files, and a test runs each command
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
# Run by check-packages.sh and, observability.rst, by "guest.sh observe". Other pages may have
# the same commands, and targets of the Makefile, which "make check" and "make check-deep" run.
TESTED = ["README.md", *(f"Documentation/{name}.rst" for name in (
    "client", "installing", "performance", "observability"))]
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


def check_code(pages):
    files = [path.read_text() for path in (TOP / "samples").iterdir()]
    count = 0
    for page in pages:
        for language, body in blocks(page):
            if language in ("c", "text"):
                count += 1
                if not any(f"{body}\n" in file for file in files):
                    sys.exit(f"{page.name}: no file of samples/ has this:\n{body}")
    if count < 20:
        sys.exit(f"only {count} blocks of code were found")


def check_links(pages):
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            if page.suffix == ".md" and not (page.parent / link).exists():
                sys.exit(f"{page.relative_to(TOP)}: no {link}")


def check_commands(pages):
    makefile = (TOP / "Makefile").read_text()
    lines = {page: [line for block in blocks(page) for line in commands(*block).splitlines()]
             for page in pages}
    tested = {line for name in TESTED for line in lines[TOP / name]}
    for page, its_lines in lines.items():
        for line in set(its_lines) - tested:
            target = re.match(r"make ([a-z-]+)", line)
            if not target or not re.search(rf"^(jobs :=|[a-z]).*\b{target[1]}\b", makefile, re.M):
                sys.exit(f"{page.relative_to(TOP)}: no test runs: {line}")


def main():
    if sys.argv[1:] == ["check"]:
        pages = [page for page in TOP.rglob("*") if page.suffix in (".md", ".rst") and
                 page.relative_to(TOP).parts[0] not in (".git", "packages") and
                 "output" not in page.parts]
        check_code(pages)
        check_links(pages)
        check_commands(pages)
    elif sys.argv[1:2] == ["commands"] and len(sys.argv) > 2:
        for page in sys.argv[2:]:
            for block in blocks(TOP / page):
                if lines := commands(*block):
                    print(f"{lines}\n")
    else:
        sys.exit(__doc__)


main()
