"""Learns a world model from images, plans and learns behavior inside it.

The learned simulator itself, which knows no environment, planner or file
format, is the modules of this package; `worldmodels.agents`, `worldmodels.data`
and `worldmodels.configs` use it. In a checkout those three lie beside this
folder, in a wheel inside of it.
"""

import pathlib

if not (pathlib.Path(__file__).parent / 'agents').is_dir():
  __path__.append(str(pathlib.Path(__file__).parent.parent))
