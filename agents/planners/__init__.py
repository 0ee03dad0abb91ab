"""Planners, one file each: `load(name).plan` chooses actions by a score."""

import importlib
import pkgutil


def names():
  """The planners there are: the modules of this folder."""
  return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name):
  """Returns the module of the planner called `name`."""
  if name not in names():
    raise ValueError(
        f'planner.name is {name!r}; it is one of {", ".join(names())}')
  return importlib.import_module(f'.{name}', __name__)
