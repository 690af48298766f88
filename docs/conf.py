"""How Sphinx makes the site of docs/: `make docs`, then open docs/_build/html/index.html."""

import sys
from pathlib import Path

import lptpp

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "lptpp"
author = copyright = "the lptpp authors"
version = release = lptpp.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "settings_reference",
    "markdown_docstrings",
]
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = "lptpp"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
