"""Reads the action that a page has sent."""

import numpy as np


def parse(given: object, size: int, discrete: bool) -> np.ndarray | None:
  """Returns an action float32 [A]; None for anything else.

  Args:
    given: a value of JSON.
    size: A.
    discrete: whether an action is one-hot; else each is within [-1, 1].
  """
  if not isinstance(given, list) or len(given) != size:
    return None
  if not all(type(x) in (int, float) and abs(x) <= 1 for x in given):
    return None
  if discrete and sorted(given) != [0] * (size - 1) + [1]:
    return None
  return np.array(given, np.float32)
