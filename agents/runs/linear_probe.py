"""A linear probe: what of the true state can be read off some features.

A ridge regression from features to a vector of the task. What it finds on rows
that it was not fitted to says how much of the state the features have, and in
what a planner or an actor can find it.
"""

from typing import Any

import numpy as np

# Of the variance of a feature: those that say the same do no harm then.
RIDGE = 1e-3
# Of a vector that does not vary there is nothing to be found.
_LEAST = 1e-10
_DIGITS = 4  # significant ones, of what is told


def fit(features: np.ndarray, truth: np.ndarray) -> 'Probe':
  """Fits a probe to rows.

  Args:
    features: [N, F].
    truth: [N, V].
  """
  mean, scale = features.mean(0), features.std(0) + 1e-6
  x = (features - mean) / scale
  center = truth.mean(0)
  gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
  weights = np.linalg.solve(gram, x.T @ (truth - center))
  return Probe(mean, scale, weights, center)


class Probe:
  """A fitted probe.

  Args:
    mean, scale: of the features, [F].
    weights: [F, V].
    center: of the vector, [V].
  """

  def __init__(
    self,
    mean: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
    center: np.ndarray,
  ):
    self._mean, self._scale = mean, scale
    self._weights, self._center = weights, center

  def read(self, features: np.ndarray) -> np.ndarray:
    """Maps features [N, F] to what it reads off them, [N, V]."""
    return (
      (features - self._mean) / self._scale
    ) @ self._weights + self._center

  def measure(self, features: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Measures the probe on rows that it was not fitted to.

    Returns:
      {r2, error, std}, each a list over the parts of the vector: the share of
      its variance that is read, None where there is none; the root of the mean
      squared error; and the deviation that it is to be compared with.
    """
    squared = np.square(self.read(features) - truth).mean(0)
    variance = truth.var(0)
    varies = variance > _LEAST
    shares = 1.0 - squared / np.where(varies, variance, 1.0)
    return {
      'r2': [
        _rounded(share) if known else None
        for share, known in zip(shares, varies)
      ],
      'error': [_rounded(x) for x in np.sqrt(squared)],
      'std': [_rounded(x) for x in np.sqrt(variance)],
    }


def _rounded(value: float) -> float:
  return float(f'{value:.{_DIGITS}g}')
