"""Settings of Sphinx for the site that docs/site/pages.py writes."""

project = 'worldmodels'
author = 'The authors of worldmodels'
extensions = ['myst_parser']
html_theme = 'alabaster'
html_theme_options = {
  'description': 'World models from pixels, in TensorFlow 2',
  'fixed_sidebar': True,
  'page_width': '1100px',
  'sidebar_width': '260px',
}
html_sidebars = {'**': ['about.html', 'searchfield.html', 'navigation.html']}
html_show_sourcelink = False
html_copy_source = False
# Links to headings, as GitHub has them.
myst_heading_anchors = 4
# Signatures as the code has them.
add_module_names = False
python_maximum_signature_line_length = 80
# Kinds share their names, so that of a type may be that of several.
suppress_warnings = ['ref.python']
# The front page is GitHub's as well, and its code has no names of languages.
highlight_language = 'none'
