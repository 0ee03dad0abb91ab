"""Compares the scale of recorded actions with that of the task they are for."""

from collections.abc import Sequence

import numpy as np

from worldmodels.agents.runs import recorded_data
from worldmodels.agents.runs.run_directory import RunDirectory

_NEAR = 0.02  # share that the range of what was done may lack of the bounds


def other(
  directory: RunDirectory, bounds: Sequence[Sequence[float]]
) -> str | None:
  """Says that actions of the data were scaled otherwise than a task's are.

  Args:
    directory: of a run.
    bounds: of the task: [low, high] of each part of an action.

  Returns:
    a line, or None where they agree or nothing is known of one of them.
  """
  known = (recorded_data.note_in(directory) or {}).get('actions')
  if not isinstance(known, dict) or not np.isfinite(bounds).all():
    return None
  try:
    ends = [np.asarray(known.get(x), float) for x in ('low', 'high')]
    learned = np.stack(ends, -1)
  except (TypeError, ValueError):
    return None  # A damaged file; it says nothing.
  if learned.shape != np.shape(bounds) or np.allclose(
    learned, bounds, rtol=_NEAR, atol=1e-6
  ):
    return None
  return (
    f'actions    -1 and 1 are {learned.tolist()} in the data, and '
    f'{np.asarray(bounds).tolist()} in the task: what was learned acts on '
    'another scale; fit with --action_bounds of the task'
  )
