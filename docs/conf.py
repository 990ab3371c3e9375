"""Configure Sphinx; build with `python -m sphinx -W --keep-going -b html docs docs/_build/html`."""

import fairbinn_sklearn

project = "fairbinn_sklearn"
author = "The fairbinn_sklearn developers"
copyright = author  # noqa: A001
version = release = fairbinn_sklearn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # bundle MathJax and its fonts with the pages
]
templates_path = ["templates"]
exclude_patterns = ["_build", "templates"]

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "ignore_pattern": r"own_criteria\.py",
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "plot_",
    "capture_repr": (),
    "download_all_examples": False,
    "min_reported_time": 1,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "fairbinn_sklearn"
html_static_path = ["static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
# The header lists the pages, which leaves the width to code; folders list theirs beside the text.
html_sidebars = {"*": [], "auto_examples/*": [], "generated/*": []}
html_sidebars |= dict.fromkeys(["guide/*", "how_to/*"], ["sidebar-nav-bs"])
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_prev_next": False,
    "use_edit_page_button": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
