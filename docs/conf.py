"""Settings of the documentation: python -m sphinx -W --keep-going -b html docs docs/_build/html."""

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
    "sphinxcontrib.katex",
]
templates_path = ["templates"]
exclude_patterns = ["_build", "templates"]

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

# KaTeX comes with its extension. As MathML its output needs no fonts or styles from elsewhere.
katex_css_path = "katex-math.css"
katex_options = 'output: "mathml", throwOnError: false'

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"[\\/](benchmarks|datasets)[\\/]",
    "download_all_examples": False,
    "min_reported_time": 1,
    "show_memory": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "fairbinn_sklearn"
html_static_path = ["static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_sidebars = {"*": []}  # pages at the top have no siblings to list
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_prev_next": False,
    "use_edit_page_button": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
