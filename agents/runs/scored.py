"""Says what came of episodes, as programs print it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodels.data import workers


def summary(
  environment: workers.Worker, seeds: Sequence[int], returns: Sequence[float]
) -> dict[str, Any]:
  """Returns what JSON says of the returns of episodes.

  Args:
    environment: that they were played in.
    seeds: of the episodes.
    returns: of as many.
  """
  return {
    'task': environment.task,
    'episodes': len(returns),
    'mean': round(float(np.mean(returns)), 3),
    'std': round(float(np.std(returns)), 3),
    'returns': [round(value, 3) for value in returns],
    'seeds': list(seeds),
    'quality': environment.quality,
    'action_repeat': environment.action_repeat,
  }
