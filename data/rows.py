"""Builds and checks episodes by the row convention of PlaNet and Dreamer.

Row t holds the outcome of action t: `action[t]` led to `image[t]`, `reward[t]`
and `discount[t]`. Row 0 is the reset, its action and reward are zero.
  image        uint8   [L, H, W, 3]; absent where vectors are all
  action       float32 [L, A]  in [-1, 1]; of a choice, one-hot but in row 0
  reward       float32 [L]     sum over the action repeat
  discount     float32 [L]     0 where the task ended
  is_first, is_last, is_terminal  bool [L]
  any vector   float32 [L, N]
  env_steps    int32   [L]     simulator steps that the action took; row 0 has 0
Episodes of others may lack the discount and the flags. Where env_steps are
missing, each action took as many as actions are held for; they are counted,
and are no part of what is learned from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dm_env
import numpy as np
import numpy.typing as npt

from worldmodels import errors

FLAGS = ('is_first', 'is_last', 'is_terminal')
COLUMNS = ('reward', 'discount', *FLAGS)
COUNT = 'env_steps'
# What no vector can be called: the keys above, that of sample's padding, and
# two arguments of np.savez.
RESERVED = ('image', 'action', *COLUMNS, COUNT, 'mask', 'file', 'allow_pickle')

NUMBERS = 'biuf'  # kinds of NumPy that can be learned from
REQUIRED = ('action', 'reward')

_MOST_STEPS = 10**6  # of the simulator for one action
# Above 1, of an action: what a conversion of dtypes may add.
ROUNDING = 1e-5


class RowsError(errors.UserError, ValueError):
  """Arrays that are no episode by the convention; the message is one line."""


class TimeStep(dm_env.TimeStep):
  """A timestep that says how long its action was held.

  Attributes:
    env_steps: simulator steps that it took; fewer than the action repeat where
      the episode ended within it.
  """

  env_steps: int | None = None

  def __new__(cls, *fields: Any, env_steps: int) -> 'TimeStep':
    timestep = super().__new__(cls, *fields)
    timestep.env_steps = env_steps
    return timestep


def stack(
  timesteps: Sequence[dm_env.TimeStep], actions: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
  """Builds an episode from the timesteps of an environment.

  Args:
    timesteps: L timesteps, from the reset to the last one; where they are of
      the class above, their env_steps are kept.
    actions: the L - 1 actions [A] between them.

  Returns:
    {key: [L, ...]} of every observation and every key above.

  Raises:
    ValueError: the counts do not belong together.
    RowsError: an observation has a reserved name.
  """
  if len(timesteps) != len(actions) + 1 or not len(actions):
    raise ValueError(f'{len(timesteps)} timesteps, {len(actions)} actions')
  action = np.asarray(actions, np.float32)  # [L - 1, A]
  observations = [timestep.observation for timestep in timesteps]
  episode = {
    'action': np.concatenate([np.zeros_like(action[:1]), action]),
    'reward': [timestep.reward or 0 for timestep in timesteps],
    'discount': [1, *(timestep.discount for timestep in timesteps[1:])],
    'is_last': [timestep.last() for timestep in timesteps],
  }
  held = [getattr(timestep, 'env_steps', None) for timestep in timesteps[1:]]
  if None not in held:
    episode[COUNT] = [0, *held]
  for key in observations[0]:
    if key in RESERVED and key != 'image':
      raise RowsError(f'an observation is called {key!r}, which is reserved')
    episode[key] = np.stack([observation[key] for observation in observations])
  return complete(episode)


def complete(episode: Mapping[str, npt.ArrayLike]) -> dict[str, np.ndarray]:
  """Returns an episode with the dtypes above and no key missing.

  Raises:
    RowsError: a key, shape or value breaks the row convention.
  """
  episode = {key: np.asarray(value) for key, value in episode.items()}
  length = check_shapes({k: (v.dtype, v.shape) for k, v in episode.items()})
  return derive(check_values(episode), length)


def check_values(
  arrays: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
  """Checks the values of an episode, whose shapes are right.

  Args:
    arrays: {key: [L, ...]}; the image is not looked at and may be absent.

  Returns:
    The same, with the dtypes above.

  Raises:
    RowsError: a value breaks the row convention.
  """
  with np.errstate(over='ignore', invalid='ignore'):  # It is found below.
    result = {k: v.astype(dtype_of(k), copy=False) for k, v in arrays.items()}
  for key, value in result.items():
    if value.dtype == np.float32 and not np.isfinite(value).all():
      raise RowsError(f'{key} is not finite in row {_row(~np.isfinite(value))}')
  if result['action'][0].any() or result['reward'][0]:
    raise RowsError(
      'row 0 is the reset: its action and reward must be zero. If action[t] '
      'and reward[t] belong to the step after image[t], move both one row down'
    )
  beyond = np.abs(result['action']) > 1 + ROUNDING
  if beyond.any():
    raise RowsError(
      f'action has {result["action"][beyond][0]:g} in row {_row(beyond)}: '
      'actions lie in [-1, 1], where -1 and 1 are the bounds of the task'
    )
  discount = result.get('discount', np.ones(1))
  outside = (discount < 0) | (discount > 1)
  if outside.any():
    raise RowsError(
      f'discount has {discount[outside][0]:g} in row {_row(outside)}; it lies '
      'in [0, 1]'
    )
  _check_flags(result)
  _check_count(arrays.get(COUNT, np.zeros(1)))
  return result


def _check_flags(arrays: Mapping[str, np.ndarray]) -> None:
  """Checks that an episode begins with its only reset and ends once."""
  row = np.arange(len(arrays['reward']))
  for key, place in (('is_first', 0), ('is_last', -1), ('is_terminal', -1)):
    wrong = arrays.get(key, np.zeros(len(row), bool)) & (row != row[place])
    if wrong.any():
      name = 'first' if place == 0 else 'last'
      raise RowsError(
        f'{key} is true in row {_row(wrong)} of {len(row)}, and may be in the '
        f'{name} alone: a file holds one episode'
      )
  if 'is_first' in arrays and not arrays['is_first'][0]:
    raise RowsError('is_first is false in row 0, which is the reset')


def _check_count(count: np.ndarray) -> None:
  """Checks the simulator steps [L], before they are converted."""
  wrong = ~((count >= 0) & (count <= _MOST_STEPS))  # NaN too
  if wrong.any():
    raise RowsError(
      f'{COUNT} has {count[wrong][0]:g} in row {_row(wrong)}: each row counts '
      f'the simulator steps of its action, at most {_MOST_STEPS}'
    )


def _row(wrong: np.ndarray) -> int:
  """Returns the first row in which something [L, ...] is wrong."""
  return int(np.argwhere(wrong)[0][0])


def check_shapes(
  arrays: Mapping[str, tuple[np.dtype, tuple[int, ...]]],
) -> int:
  """Checks the arrays of an episode, given as {key: (dtype, shape)}.

  Returns:
    L, the rows of the episode.

  Raises:
    RowsError: they do not make an episode.
  """
  missing = [key for key in ('image', *REQUIRED) if key not in arrays]
  if missing and missing != ['image']:  # Vectors may be all there is.
    raise RowsError(f'it has no {missing[0]!r}')
  for key, (dtype, _) in arrays.items():
    if dtype.kind not in NUMBERS:
      raise RowsError(f'{key} holds {dtype}, not real numbers')
  if 'image' not in arrays:
    others = arrays.keys() - {'action', *COLUMNS, COUNT}
    if not any(len(arrays[key][1]) == 2 for key in others):
      raise RowsError("it has no 'image', and no vector [L, N] either")
  else:
    dtype, shape = arrays['image']
    if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
      raise RowsError(f'image is {dtype} {list(shape)}, not uint8 [L, H, W, 3]')
  columns = dict.fromkeys((*COLUMNS, COUNT), 1)
  for key, dimensions in {'action': 2, **columns}.items():
    if key in arrays and len(arrays[key][1]) != dimensions:
      raise RowsError(f'{key} has shape {list(arrays[key][1])}')
  first = 'image' if 'image' in arrays else 'action'
  _, (length, *_) = arrays[first]
  if not length:
    raise RowsError('it has no rows')
  for key, (_, shape) in arrays.items():
    if shape[:1] != (length,):
      raise RowsError(f'{key} has shape {list(shape)}, {first} {length} rows')
  return length


def derive(arrays: dict[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
  """Adds the discount and flags [L] that an episode lacks."""
  row = np.arange(length)
  arrays.setdefault('is_first', row == 0)
  arrays.setdefault('is_last', row == length - 1)
  if 'is_terminal' not in arrays:
    ended = arrays.get('discount', np.ones(length)) == 0
    arrays['is_terminal'] = arrays['is_last'] & ended
  arrays.setdefault('discount', 1 - arrays['is_terminal'].astype(np.float32))
  return arrays


def dtype_of(key: str) -> type:
  """Returns the dtype in which a key is kept and handed out."""
  if key in FLAGS:
    return bool
  return {'image': np.uint8, COUNT: np.int32}.get(key, np.float32)
