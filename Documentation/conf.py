# SPDX-License-Identifier: GPL-2.0
"""How Sphinx renders this directory: with the kernel's own extensions.

scripts/docs.sh runs it, with the path of a kernel tree in $srctree.
"""

import logging
import os
import re
import sys
from pathlib import Path

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


def is_news(record):
    """False for a warning about a struct and a function of one name, which C allows."""
    return not re.search(r"Duplicate C declaration(?s:.*)c:function:: void \w+_stats \(",
                         record.getMessage())


def setup(_app):
    logging.getLogger("sphinx.sphinx.domains.c").addFilter(is_news)
