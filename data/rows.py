"""Builds and checks episodes by the row convention of PlaNet and Dreamer.

Row t holds the outcome of action t: `action[t]` led to `image[t]`, `reward[t]`
and `discount[t]`. Row 0 is the reset, its action and reward are zero.
  image        uint8   [L, H, W, 3]
  action       float32 [L, A]  in [-1, 1]; of a choice, one-hot but in row 0
  reward       float32 [L]     sum over the action repeat
  discount     float32 [L]     0 where the task ended
  is_first, is_last, is_terminal  bool [L]
  any vector   float32 [L, N]
Episodes of others may lack the discount and the flags.
"""

from collections.abc import Mapping, Sequence

import dm_env
import numpy as np
import numpy.typing as npt

FLAGS = ('is_first', 'is_last', 'is_terminal')
COLUMNS = ('reward', 'discount', *FLAGS)

_REQUIRED = ('image', 'action', 'reward')


def stack(
  timesteps: Sequence[dm_env.TimeStep], actions: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
  """Builds an episode from the timesteps of an environment.

  Args:
    timesteps: L timesteps, from the reset to the last one.
    actions: the L - 1 actions [A] between them.

  Returns:
    {key: [L, ...]} of every observation and every key above.
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
  for key in observations[0]:
    episode[key] = np.stack([observation[key] for observation in observations])
  return complete(episode)


def complete(episode: Mapping[str, npt.ArrayLike]) -> dict[str, np.ndarray]:
  """Returns an episode with the dtypes above and no key missing.

  Raises:
    ValueError: a key, shape or value breaks the row convention.
  """
  episode = {key: np.asarray(value) for key, value in episode.items()}
  length = check_shapes({k: (v.dtype, v.shape) for k, v in episode.items()})
  result = {k: v.astype(dtype_of(k), copy=False) for k, v in episode.items()}
  for key, value in result.items():
    if value.dtype == np.float32 and not np.isfinite(value).all():
      raise ValueError(f'{key} is not finite')
  if result['action'][0].any() or result['reward'][0]:
    raise ValueError('row 0 is the reset: its action and reward must be zero')
  return derive(result, length)


def check_shapes(
  arrays: Mapping[str, tuple[np.dtype, tuple[int, ...]]],
) -> int:
  """Checks the arrays of an episode, given as {key: (dtype, shape)}.

  Returns:
    L, the rows of the episode.

  Raises:
    ValueError: they do not make an episode.
  """
  missing = [key for key in _REQUIRED if key not in arrays]
  if missing:
    raise ValueError(f'it has no {missing[0]!r}')
  dtype, shape = arrays['image']
  if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
    raise ValueError(f'image is {dtype} {list(shape)}, not uint8 [L, H, W, 3]')
  for key, dimensions in {'action': 2, **dict.fromkeys(COLUMNS, 1)}.items():
    if key in arrays and len(arrays[key][1]) != dimensions:
      raise ValueError(f'{key} has shape {list(arrays[key][1])}')
  length = shape[0]
  for key, (_, shape) in arrays.items():
    if not length or shape[:1] != (length,):
      raise ValueError(f'{key} has shape {list(shape)}, image {length} rows')
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
  return np.uint8 if key == 'image' else bool if key in FLAGS else np.float32
