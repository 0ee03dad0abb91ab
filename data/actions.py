"""Converts between agents' action vectors [A] and a task's own actions.

Where actions are continuous the vector is within [-1, 1] and is scaled to the
task's bounds. A part without bounds is passed on as it is, one with a single
bound is shifted to its side of it. Where the task offers A choices
(`dm_env.specs.DiscreteArray`) it is one-hot, and the task is told the index.
"""

import math

import numpy as np
import numpy.typing as npt
from dm_env import specs

_TOLERANCE = 1e-6  # of bounds and of one-hot vectors, for sums in float32
# From here on a bound counts as none: many tasks that have none name the
# largest number of a type.
_UNBOUNDED = 1e9


def spec(size: int, discrete: bool = False) -> specs.BoundedArray:
  """Makes the spec of an action [A]: in [-1, 1], or in [0, 1] if one-hot."""
  low = 0 if discrete else -1
  return specs.BoundedArray((size,), np.float32, low, 1, 'action')


def sample(
  random: np.random.Generator, size: int, discrete: bool = False
) -> np.ndarray:
  """Draws an action float64 [A], all as likely as each other."""
  if discrete:
    return one_hot(random.integers(size), size)
  return random.uniform(-1, 1, size)


def one_hot(choice: int, size: int) -> np.ndarray:
  """Returns a choice as float64 [size]."""
  found = np.zeros(size)
  found[choice] = 1
  return found


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
    distance = np.abs(action - one_hot(np.argmax(action), size))
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
    bounds: the task's own, [low, high] of each part of a continuous action,
      infinite where it has none.
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
      self.bounds = []
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
    low, high = _told_bounds(task_spec)
    self.bounds = np.stack([low, high], -1).reshape(-1, 2).tolist()
    self._low, self._high = _bounds(low, high, np.dtype(task_spec.dtype))

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


def _told_bounds(task_spec: specs.Array) -> list[np.ndarray]:
  """Returns low and high of a spec, float64 in its shape."""
  ends = (('minimum', -np.inf), ('maximum', np.inf))
  return [
    np.broadcast_to(getattr(task_spec, name, none), task_spec.shape).astype(
      np.float64
    )
    for name, none in ends
  ]


def _bounds(
  low: np.ndarray, high: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
  """Returns what -1 and 1 stand for, for the bounds of a task."""
  told = f'its action has the bounds {low.tolist()} and {high.tolist()}'
  if not (low <= high).all():  # NaN too
    raise ValueError(f'{told}: expected numbers, the lower one first')
  huge = min(_UNBOUNDED, float(np.finfo(dtype).max))
  above, below = low > -huge, high < huge  # whether there is that bound
  if (low >= huge).any() or (high <= -huge).any():
    raise ValueError(f'{told}: expected them nearer to zero than {huge:g}')
  # A width of 2, as that of [-1, 1], where a bound is missing.
  least = np.where(above, np.maximum(low, -1.0), -1.0)
  most = np.where(below, np.minimum(high, 1.0), 1.0)
  least = np.where(~above & below, most - 2, least)
  most = np.where(above & ~below, least + 2, most)
  both = above & below
  least, most = np.where(both, low, least), np.where(both, high, most)
  if (~both & (least.astype(dtype) == most.astype(dtype))).any():
    raise ValueError(
      f'{told}, where {dtype.name} knows no difference of 2: name both bounds'
    )
  return least, most
