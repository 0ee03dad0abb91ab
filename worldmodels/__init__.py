"""Learns a world model from camera images, plans and learns behavior inside it.

  run = worldmodels.load('runs/balance')

is where a program of one's own starts from: docs/library.md.

The learned simulator itself, which knows no environment, planner or file
format, is the modules of this package; `worldmodels.agents`, `worldmodels.data`
and `worldmodels.configs` use it. In a checkout those three lie beside this
folder, in a wheel inside of it.
"""

import importlib
import pathlib

if not (pathlib.Path(__file__).parent / 'agents').is_dir():
  __path__.append(str(pathlib.Path(__file__).parent.parent))


def __getattr__(name: str) -> object:
  """Returns `load`; to import this package imports no agent."""
  if name == 'load':
    return importlib.import_module(f'{__name__}.agents.runs.loading').load
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
