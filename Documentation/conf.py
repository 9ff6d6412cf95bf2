# SPDX-License-Identifier: GPL-2.0
"""How Sphinx renders this directory: with the kernel's own extensions.

scripts/docs.sh runs it, with the path of a kernel tree in $srctree.
"""

import logging
import os
import re
import sys
from pathlib import Path

from sphinx.directives.code import LiteralInclude

here = Path(__file__).resolve().parent
sys.path.insert(0, os.path.join(os.environ["srctree"], "Documentation/sphinx"))

project = "midatlas"
author = "the midatlas authors"
release = re.search(r'^PACKAGE_VERSION="(.*)"$', (here.parent / "dkms.conf").read_text(), re.M)[1]
language = "en"

extensions = ["automarkup", "kerneldoc"]
kerneldoc_srctree = str(here.parent)
exclude_patterns = ["output"]

primary_domain = "c"
highlight_language = "none"
c_id_attributes = ["__must_check"]
nitpicky = True
# Types from the kernel's headers, and opaque types
nitpick_ignore = [("c:identifier", name) for name in
                  ("bool", "gfp_t", "size_t", "u16", "u32", "u64", "seq_file",
                   "mid_atlas", "mid_window")]

html_theme = "sphinx_rtd_theme"
html_theme_options = {"navigation_depth": 3, "prev_next_buttons_location": "both"}
html_static_path = ["static"]
html_css_files = ["midatlas.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
smartquotes = False


class CSource(LiteralInclude):
    """.. c-source:: FILE NAME...: functions and other definitions, with the comments above.

    They are found by name, not by line number.  A name that the file does not define is
    an error.
    """

    required_arguments = 2
    optional_arguments = 20
    final_argument_whitespace = False

    def run(self):
        _, path = self.env.relfn2path(self.arguments[0])
        lines = Path(path).read_text().splitlines()
        try:
            ranges = [self.definition(lines, name) for name in self.arguments[1:]]
        except LookupError as name:
            return [self.state.document.reporter.error(
                f"{self.arguments[0]} does not define {name}", line=self.lineno)]
        # With the blank line that separates it from the next
        self.options["lines"] = ",".join(f"{first}-{last + 1}" for first, last in ranges[:-1])
        self.options["lines"] += f"{',' * (len(ranges) > 1)}{ranges[-1][0]}-{ranges[-1][1]}"
        self.options.setdefault("language", "c")
        return super().run()

    @staticmethod
    def definition(lines, name):
        """The first and the last line, counted from 1"""
        begins = re.compile(rf"(?!.*;$)[a-z].*\b{re.escape(name)}\b(\(| = | \{{$)")
        first = next((i for i, line in enumerate(lines) if begins.match(line)), None)
        if first is None:
            raise LookupError(name)
        last = next(i for i in range(first, len(lines)) if lines[i].startswith("}"))
        if lines[first - 1].endswith("*/"):
            first = max(i for i in range(first) if lines[i].startswith("/*"))
        return first + 1, last + 1


def is_news(record):
    """False for a warning about a struct and a function of one name, which C allows."""
    return not re.search(r"Duplicate C declaration(?s:.*)c:function:: void \w+_stats \(",
                         record.getMessage())


def setup(app):
    app.add_directive("c-source", CSource)
    logging.getLogger("sphinx.sphinx.domains.c").addFilter(is_news)
