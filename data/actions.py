"""Converts between agents' action vectors [A] and a task's own actions.

Where actions are continuous the vector is within [-1, 1] and is scaled to the
task's bounds. Where the task offers A choices (`dm_env.specs.DiscreteArray`) it
is one-hot, and the task is told the index.
"""

import math

import numpy as np
import numpy.typing as npt
from dm_env import specs

_TOLERANCE = 1e-6  # of bounds and of one-hot vectors, for sums in float32


def spec(size: int, discrete: bool = False) -> specs.BoundedArray:
  """Makes the spec of an action [A]: in [-1, 1], or in [0, 1] if one-hot."""
  low = 0 if discrete else -1
  return specs.BoundedArray((size,), np.float32, low, 1, 'action')


def sample(
  random: np.random.Generator, size: int, discrete: bool = False
) -> np.ndarray:
  """Draws an action float64 [A], all as likely as each other."""
  if discrete:
    return np.eye(size)[random.integers(size)]
  return random.uniform(-1, 1, size)


def check(
  action: npt.ArrayLike, size: int, discrete: bool = False
) -> np.ndarray:
  """Returns the action [A] as float64.

  Raises:
    ValueError: wrong shape, not finite, or by more than 1e-6 out of bounds or,
      of a choice, from one-hot.
  """
  action = np.asarray(action, np.float64)
  if action.shape != (size,):
    raise ValueError(
      f'action has shape {list(action.shape)}, expected [{size}]'
    )
  if discrete:
    distance = np.abs(action - np.eye(size)[np.argmax(action)])
    if not distance.max() <= _TOLERANCE:  # NaN fails too
      raise ValueError(
        f'action {action.tolist()} is not one-hot: the task offers {size} '
        'choices'
      )
  elif not np.abs(action).max(initial=0) <= 1 + _TOLERANCE:
    raise ValueError(f'action {action.tolist()} is not within [-1, 1]')
  return action


class Actions:
  """Actions of a task as vectors [A].

  Attributes:
    size: A.
    discrete: whether the vectors are one-hot.
  """

  def __init__(self, task_spec: specs.Array):
    """Reads the task's spec.

    Raises:
      ValueError: an agent has no such actions.
    """
    self._spec = task_spec
    self.discrete = isinstance(task_spec, specs.DiscreteArray)
    if self.discrete:
      self.size = int(task_spec.num_values)
      return
    floats = isinstance(task_spec, specs.Array) and np.issubdtype(
      task_spec.dtype, np.floating
    )
    self.size = math.prod(task_spec.shape) if floats else 0
    if not self.size:
      raise ValueError(
        f'its action is {task_spec!r}: expected one array of floats, or a '
        'DiscreteArray'
      )
    shape = task_spec.shape
    low = np.broadcast_to(getattr(task_spec, 'minimum', -np.inf), shape)
    high = np.broadcast_to(getattr(task_spec, 'maximum', np.inf), shape)
    bounded = np.isfinite(low) & np.isfinite(high)
    self._low = np.where(bounded, low, -1.0)
    self._high = np.where(bounded, high, 1.0)

  def to_task(self, action: npt.ArrayLike) -> np.ndarray:
    """Converts a vector [A] to an action of the task's own spec.

    Raises:
      ValueError: see `check`.
    """
    action = check(action, self.size, self.discrete)
    if self.discrete:
      return self._spec.dtype.type(np.argmax(action))
    action = action.reshape(self._spec.shape)
    action = self._low + (action + 1) / 2 * (self._high - self._low)
    # Rounding may lead out of bounds, here and where the action was chosen.
    return np.clip(action, self._low, self._high).astype(self._spec.dtype)
