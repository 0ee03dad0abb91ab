"""Keeps folders of a checkout from hiding the user's packages of the same name.

In a checkout `agents`, `configs` and `data` lie beside this package, in a
folder that is often on the path; many projects have packages of those names.
Where worldmodels is installed there is no such folder, and nothing is done.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Sequence

import worldmodels

_OURS = ('agents', 'configs', 'data')


def roots() -> list[str]:
  """Returns the root of the checkout, if this is one; see __init__.py."""
  return [os.path.realpath(path) for path in worldmodels.__path__[1:]]


def hide() -> None:
  """Takes the checkout off the path, but still finds its other modules.

  `worldmodels`, which is imported by now, finds its parts by itself.
  """
  ours = roots()
  if not ours:
    return
  sys.path[:] = [
    path for path in sys.path if os.path.realpath(path) not in ours
  ]
  # What `python -m agents.run.train` has imported on its way here.
  for module in [*sys.modules]:
    if module.split('.')[0] in _OURS:
      del sys.modules[module]
  if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder(ours))


class _Finder(importlib.abc.MetaPathFinder):
  """Finds the other modules of a checkout, after all that is on the path."""

  def __init__(self, folders: list[str]):
    self._folders = folders

  def find_spec(
    self,
    fullname: str,
    path: Sequence[str] | None,
    target: types.ModuleType | None = None,
  ) -> importlib.machinery.ModuleSpec | None:
    if path is not None or fullname in _OURS:
      return None
    return importlib.machinery.PathFinder.find_spec(
      fullname, self._folders, target
    )
