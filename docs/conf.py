"""The documentation: ``make docs`` builds it, offline, with warnings as errors."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]  # the extension; the doctor's patients

project = "softgrad"
author = "The softgrad developers"
copyright = author
version = release = installed("softgrad")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "softgrad_site",
]
root_doc = "index"
exclude_patterns = ["_build", "_ext", "_figures"]
default_role = "code"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say what is accepted, and in what shape
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

smartquotes_action = "q"  # two hyphens are an option, not a dash

html_theme = "furo"
html_title = "softgrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
templates_path: list[str] = []
