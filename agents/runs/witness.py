"""Records vectors of a task that the agent does not see.

Whoever gives a model another objective wants to know what came of it in the
world, in the task's own numbers: where the cart truly is, say.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from worldmodels.spec import Spec

Episode = dict[str, np.ndarray]

_DIGITS = 5  # significant ones, of what is printed


class Witness:
  """Vectors that are recorded beside what the agent sees.

  Attributes:
    config: of the run, but that its environment shows these vectors as well.

  Args:
    config: of the run; it stays as it is.
    spec: of the run.
    names: of the vectors.
  """

  def __init__(
    self, config: ml_collections.ConfigDict, spec: Spec, names: Sequence[str]
  ):
    # Where there is no image, no names stand for all vectors.
    seen = tuple(config.environment.vectors) or tuple(spec.vectors)
    self._names = tuple(dict.fromkeys(names))
    self._extra = tuple(name for name in self._names if name not in seen)
    self._halves: dict[str, list[np.ndarray]] = {x: [] for x in self._names}
    self.config = config.copy_and_resolve_references()
    if self._extra:
      self.config.environment.vectors = (*seen, *self._extra)

  def spec(self, spec: Spec) -> Spec:
    """Returns the spec of an environment, of what the agent sees alone."""
    vectors = {
      key: size for key, size in spec.vectors.items() if key not in self._extra
    }
    return dataclasses.replace(spec, vectors=vectors)

  def add(self, episode: Episode) -> None:
    """Takes the mean of each vector over the last half of an episode."""
    for name, halves in self._halves.items():
      rows = episode[name]
      halves.append(rows[len(rows) // 2 :].mean(0, dtype=np.float64))

  def summary(self) -> dict[str, Any]:
    """Returns what is to be printed: nothing if nothing was asked for."""
    if not self._names:
      return {}
    found = {}
    for name, halves in self._halves.items():
      found[name] = {
        'last_half_mean': _rounded(np.mean(halves, 0)),
        'last_half_std': _rounded(np.std(halves, 0)),
        'last_halves': [_rounded(half) for half in halves],
      }
    return {'recorded': found}


def _rounded(values: np.ndarray) -> list[float]:
  return [float(f'{value:.{_DIGITS}g}') for value in values]
