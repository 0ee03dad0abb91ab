"""The episodes of a run by index, as arrays; nothing of the run is changed."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from worldmodels.data.store import Store

Episode = dict[str, np.ndarray]


class Episodes(Sequence):
  """Episodes of a folder, in the order in which they were collected.

  Each is read when it is asked for: {key: [L, ...]} with `action[t]` what led
  to `image[t]`, `reward[t]` and `discount[t]`. Those that are collected later
  are not among them.

  Args:
    directory: of the files; there are none if there is no such directory.
    log: called with a line for each damaged file.
  """

  def __init__(self, directory: pathlib.Path, log: Callable[[str], Any]):
    self._store = None
    if directory.is_dir():
      self._store = Store(directory, log=log, reading=True)

  @property
  def lengths(self) -> list[int]:
    """The rows of each episode."""
    return self._store.lengths if self._store else []

  @property
  def returns(self) -> list[float]:
    """The return of each episode."""
    return self._store.returns if self._store else []

  def __len__(self) -> int:
    return self._store.episodes if self._store else 0

  @overload
  def __getitem__(self, index: int) -> Episode: ...

  @overload
  def __getitem__(self, index: slice) -> list[Episode]: ...

  def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
    places = range(len(self))[index]
    if isinstance(places, range):
      return [self._store.episode(place) for place in places]
    return self._store.episode(places)
