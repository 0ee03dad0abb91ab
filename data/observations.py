"""Reads what a task shows and gives, and holds it to the specs of the task.

All that is read is copied: a task may draw into the same arrays again. What
breaks a spec is a ValueError whose message begins with `its`, or names the
method that returned it: environments.py puts the name of the task before it.
"""

import math
from collections.abc import Mapping, Sequence

import dm_env
import numpy as np
import numpy.typing as npt
from dm_env import specs

from worldmodels.data import rows

_LARGEST = float(np.finfo(np.float32).max)
_SHOWN = 8  # numbers of a vector that a message lists
_TEXT = 100  # characters of a value that a message quotes
_FIELDS = ('first', 'last', 'reward', 'discount', 'observation')


class Observations:
  """Image and vectors of a task.

  Attributes:
    shapes: {key: shape} as they are handed on, vectors as [N].
  """

  def __init__(
    self,
    task_spec: object,
    vectors: Sequence[str],
    size: int,
    rendered: bool = False,
    shown: bool = True,
  ):
    """Reads the task's spec.

    Args:
      task_spec: what the task's `observation_spec` returned.
      vectors: names of the observations to hand on beside the image.
      size: height and width of the image in pixels.
      rendered: whether the image does not come from the task.
      shown: whether there is an image; else there have to be vectors.

    Raises:
      ValueError: there is no such image or vector.
    """
    if not isinstance(task_spec, Mapping):
      raise ValueError(
        "its observation is no dict with the key 'image': "
        f'{_quote(repr(task_spec))}'
      )
    self._size = size
    self._drawn = shown and not rendered
    if self._drawn:
      self._check_image_spec(task_spec['image'])
    if not (shown or vectors):
      raise ValueError('it shows no image, and no vector was asked for')
    self.shapes = {'image': (size, size, 3)} if shown else {}
    self._own = {}  # {key: shape in the spec of the task}
    for name in vectors:
      self._own[name] = _vector_shape(task_spec, name)
      self.shapes[name] = (math.prod(self._own[name]),)

  def read(
    self, observation: object, image: np.ndarray | None = None
  ) -> dict[str, np.ndarray]:
    """Copies image uint8 [size, size, 3] and vectors float32 [N].

    Args:
      observation: of a timestep of the task.
      image: the one that was rendered, where it is.

    Raises:
      ValueError: a spec is not kept, or a number not finite.
    """
    if not isinstance(observation, Mapping):
      raise ValueError(
        f'its observation is a {type(observation).__name__}, expected a dict'
      )
    wanted = ['image', *self._own] if self._drawn else [*self._own]
    if any(name not in observation for name in wanted):
      raise ValueError(f'it observes {list(observation)} but promised {wanted}')
    if self._drawn:
      image = np.asarray(observation['image'])
      self._check_image(image.shape, image.dtype)
    result = {} if image is None else {'image': np.array(image)}
    for name, shape in self._own.items():
      result[name] = _vector(name, observation[name], shape)
    return result

  def _check_image_spec(self, spec: object) -> None:
    if not (hasattr(spec, 'shape') and hasattr(spec, 'dtype')):
      raise ValueError(
        f'its image is {_quote(repr(spec))}: expected a dm_env spec'
      )
    self._check_image(spec.shape, spec.dtype)
    largest = np.max(getattr(spec, 'maximum', 255))
    if largest <= 1:
      raise ValueError(
        f'its image goes from 0 to {largest:g} by its spec, expected 0 to 255: '
        'multiply images of 0 to 1 by 255'
      )

  def _check_image(self, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
    expected = (self._size, self._size, 3)
    if tuple(shape) != expected or dtype != np.uint8:
      hint = _image_hint(tuple(shape), np.dtype(dtype), self._size)
      raise ValueError(
        f'its image is {np.dtype(dtype).name} {list(shape)}, expected uint8 '
        f'{list(expected)}{hint}'
      )


def observation_spec(
  shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, specs.Array]:
  """Makes specs from the shapes of the image and of each vector."""
  return {
    key: specs.BoundedArray(shape, np.uint8, 0, 255, key)
    if key == 'image'
    else specs.Array(shape, np.float32, key)
    for key, shape in shapes.items()
  }


def reward_spec() -> specs.Array:
  """Makes the spec of a reward, summed over the action repeat."""
  return specs.Array((), np.float64, 'reward')


def check_timestep(timestep: object, method: str) -> None:
  """Checks that `reset` or `step` returned a timestep as it should.

  Raises:
    ValueError: it is none, or one that does not belong there.
  """
  if any(not hasattr(timestep, name) for name in _FIELDS):
    raise ValueError(
      f'{method} returned a {type(timestep).__name__}, expected a '
      'dm_env.TimeStep; a Gym environment needs a wrapper that makes one'
    )
  if timestep.first() != (method == 'reset'):
    kind = dm_env.StepType(timestep.step_type).name
    raise ValueError(
      f'{method} returned a timestep of type {kind}: an episode has one FIRST, '
      'from reset, and one LAST, from the step that ends it'
    )


def number(name: str, value: object) -> float:
  """Returns a number that float32 can hold.

  Raises:
    ValueError: it is none.
  """
  array = np.asarray(value)
  if array.size != 1 or array.dtype.kind not in 'biuf':
    raise ValueError(f'its {name} is {_quote(value)}: expected a finite number')
  result = float(array.reshape(()))
  if not math.isfinite(result):
    raise ValueError(f'its {name} is {result}: expected a finite number')
  if abs(result) > _LARGEST:
    raise ValueError(
      f'its {name} is {result:g}: expected a number that float32 holds, at '
      f'most {_LARGEST:.3g}'
    )
  return result


def discount(value: object) -> float:
  """Returns a discount, which is within [0, 1].

  Raises:
    ValueError: it is not.
  """
  result = number('discount', value)
  if not 0 <= result <= 1:
    raise ValueError(f'its discount is {result:g}: expected 0 to 1')
  return result


def _vector_shape(
  task_spec: Mapping[str, object], name: str
) -> tuple[int, ...]:
  """Returns the shape of a vector in the spec of the task."""
  if name not in task_spec or name == 'image':
    names = ', '.join(str(key) for key in task_spec if key != 'image')
    raise ValueError(f'it has no vector {name!r}, only: {names or "none"}')
  if name in rows.RESERVED:
    raise ValueError(
      f'its vector {name!r} has a name that episodes keep for themselves: '
      f'rename it, or name in environment.vectors those to have '
      f'(taken: {", ".join(rows.RESERVED)})'
    )
  shape = getattr(task_spec[name], 'shape', None)
  if not isinstance(shape, tuple) or not math.prod(shape):
    raise ValueError(
      f'its vector {name!r} is {_quote(repr(task_spec[name]))}: expected a '
      'dm_env spec of at least one number'
    )
  return shape


def _vector(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
  """Copies a vector as float32 [N]."""
  try:
    with np.errstate(over='ignore'):  # It is found below.
      vector = np.array(value, np.float32)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f'its observation {name!r} is {_quote(value)}: expected numbers of shape '
      f'{list(shape)}'
    ) from error
  # One number is one number, as [] and as [1].
  if vector.shape != shape and not vector.size == math.prod(shape) == 1:
    raise ValueError(
      f'its observation {name!r} has shape {list(vector.shape)} but '
      f'{list(shape)} in its observation_spec: they have to agree at every step'
    )
  vector = vector.reshape(-1)
  if not np.isfinite(vector).all():
    shown = vector.tolist()
    if len(shown) > _SHOWN:
      place = int(np.argmin(np.isfinite(vector)))
      shown = f'{shown[place]} at place {place} of {len(shown)}'
    raise ValueError(
      f'its observation {name!r} is {shown}: expected finite numbers that '
      'float32 holds'
    )
  return vector


def _image_hint(shape: tuple[int, ...], dtype: np.dtype, size: int) -> str:
  """Returns what is probably to be done about an image, or nothing."""
  if dtype.kind == 'f':
    return '; multiply images of 0 to 1 by 255, and convert to uint8'
  if len(shape) == 2 or shape[2:] == (1,):
    return '; repeat a gray channel three times'
  if len(shape) != 3:
    return ''
  if shape[0] == 3 and shape[2] != 3:
    return '; the channels come last'
  if shape[2] == 4:
    return '; leave out the fourth channel, alpha'
  if shape[2] > 3:
    return '; show the newest frame alone: the model remembers earlier ones'
  if shape[0] == shape[1] != size:
    drawn = 'smaller' if shape[0] > size else 'larger'
    return f'; draw it {drawn}, or ask for size {shape[0]}'
  if shape[0] != shape[1]:
    return '; draw it as high as wide'
  return '' if dtype == np.uint8 else '; convert it to uint8'


def _quote(value: object) -> str:
  """Returns a value as text in one line that is not long."""
  value = repr(value) if isinstance(value, str | bytes) else str(value)
  text = ' '.join(value.split())
  return text if len(text) <= _TEXT else f'{text[:_TEXT]}...'
