"""Planners by name: `load(name).plan` chooses actions by a score.

A planner is a file in agents/planners/; there is no list to keep.
"""

import importlib
import pkgutil

from . import planners


def names():
  """The planners there are."""
  return sorted(
      module.name for module in pkgutil.iter_modules(planners.__path__))


def load(name):
  """Returns the module of the planner called `name`."""
  if name not in names():
    raise ValueError(
        f'planner.name is {name!r}; it is one of {", ".join(names())}')
  return importlib.import_module(f'.{name}', planners.__name__)
