"""Reads and writes spaces of Gymnasium in the JSON of Minari."""

import json
import math
import pathlib
from typing import Any

import numpy as np

from worldmodels.data.recordings import RecordingError


def of_actions(
  text: object, path: pathlib.Path
) -> tuple[np.ndarray | None, np.ndarray | None, int, int]:
  """Reads the space of actions.

  Args:
    text: JSON, or None where there is none.
    path: where it is from, for messages.

  Returns:
    (low [A], high [A], how many choices, the first of them); None and 0 for
    what it does not have.

  Raises:
    RecordingError: it is something else, or of another kind.
  """
  if text is None:  # An environment may say; what it is need not be known.
    return None, None, 0, 0
  try:
    space = json.loads(text) if isinstance(text, str) else text
    kind = space['type']
    if kind == 'Discrete':
      choices, first = int(space['n']), int(space.get('start', 0))
      if not 0 < choices < 2**16:
        raise ValueError(f'{choices} choices')
      return None, None, choices, first
    if kind == 'Box':
      low, high = (
        np.asarray(space[key], np.float64).ravel() for key in ('low', 'high')
      )
      size = math.prod(space['shape'])
      if not low.size == high.size == size or np.isnan([*low, *high]).any():
        raise ValueError(f'bounds of {low.size} numbers for {size}')
      return low, high, 0, 0
  except (
    ValueError,
    TypeError,
    KeyError,
    RecursionError,
    OverflowError,
  ) as error:
    raise RecordingError(
      f'{path} is damaged: action_space is no space ({error})'
    ) from error
  raise RecordingError(
    f'{path}: its actions are {kind!r}; Box and Discrete are read'
  )


def of_array(value: np.ndarray) -> dict[str, Any]:
  """Returns the space of a row of an array [L, ...]."""
  shape = list(value.shape[1:])
  low, high = (0, 255) if value.dtype == np.uint8 else (-np.inf, np.inf)
  return {
    'type': 'Box',
    'dtype': str(value.dtype),
    'shape': shape,
    'low': np.full(shape, low).tolist(),
    'high': np.full(shape, high).tolist(),
  }


def of_taken(size: int, discrete: bool) -> dict[str, Any]:
  """Returns the space of actions of ours, of `size` parts or choices."""
  if discrete:
    return {'type': 'Discrete', 'dtype': 'int64', 'start': 0, 'n': size}
  return {
    'type': 'Box',
    'dtype': 'float32',
    'shape': [size],
    'low': [-1.0] * size,
    'high': [1.0] * size,
  }
