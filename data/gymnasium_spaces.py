"""Reads spaces of Gymnasium, and of the gym before it, by name of their kind.

Of an observation each part is a picture, a vector, or nothing that a model
could see (text, graphs, sequences).
"""

from collections.abc import Iterator

import numpy as np

from worldmodels.data import actions
from worldmodels.data import frames

# Smaller ones are maps, such as the seven by seven fields that MiniGrid shows.
_SMALLEST = 24
_WHOLE = 'observation'  # name of an observation that has no parts
_MAP = 'map'  # name of an `image` that is none
_VECTORS = ('Box', 'Discrete', 'MultiBinary', 'MultiDiscrete')
# Of a space; a subclass of one is one.
_KINDS = frozenset((*_VECTORS, 'Dict', 'Tuple'))
_SHOWN = 160  # characters that a message quotes

Space = object  # gymnasium.spaces.Space, which need not be installed
Path = tuple[str | int, ...]  # of a part of an observation


def parts(space: Space) -> dict[str, tuple[Path, Space]]:
  """Returns {name: (path, space)} of all parts that have no parts."""
  found = {}
  for path, part in _parts(space):
    name = _name(path)
    if name == 'image' and not is_picture(part):
      name = _MAP  # That name is for what is looked at.
    while name in found:  # `joint-1` and `joint1`.
      name += '_'
    found[name] = path, part
  return found


def kind(space: Space) -> str:
  """Returns the name of a space that is known here, else of its class."""
  names = [base.__name__ for base in type(space).__mro__]
  return next((name for name in names if name in _KINDS), names[0])


def is_picture(space: Space) -> bool:
  """Returns whether it can be looked at."""
  return (
    kind(space) == 'Box'
    and frames.is_picture(space.shape, space.dtype)
    and min(space.shape[:2]) >= _SMALLEST
  )


def hint(space: Space) -> str:
  """Returns what makes a picture of a space that is drawn in another way.

  Empty for all that is no picture at all.
  """
  shape = getattr(space, 'shape', None) or ()
  if kind(space) != 'Box' or len(shape) != 3 or is_picture(space):
    return ''
  first = shape[0] < _SMALLEST <= min(shape[1:])
  if not first and min(shape[:2]) < _SMALLEST:
    return ''
  if space.dtype.kind == 'f':
    return 'multiply pixels of 0 to 1 by 255, and convert to uint8'
  if space.dtype != np.uint8:
    return 'convert it to uint8'
  if first and shape[0] in (1, 3):
    return 'put the channels last'
  return 'show the newest frame alone: the model remembers earlier ones'


def is_vector(space: Space) -> bool:
  """Returns whether `vector` makes numbers of it."""
  drawn = is_picture(space) or hint(space)
  return kind(space) in _VECTORS and not drawn


def size(space: Space) -> int:
  """Returns how many numbers `vector` makes."""
  if kind(space) == 'Discrete':
    return int(space.n)
  if kind(space) == 'MultiDiscrete':
    return int(np.sum(space.nvec))
  return int(np.prod(space.shape))


def vector(space: Space, value: object) -> np.ndarray:
  """Returns the numbers of a value, float64 [V]; of a choice, one-hot.

  Raises:
    TypeError, ValueError, IndexError: it is not of this space.
  """
  if kind(space) == 'Discrete':
    first = int(getattr(space, 'start', 0))
    return _one_hot(int(value) - first, int(space.n))
  if kind(space) == 'MultiDiscrete':
    start = np.zeros_like(space.nvec) + getattr(space, 'start', 0)
    flat = [np.ravel(part) for part in (value, start, space.nvec)]
    return np.concatenate(
      [
        _one_hot(int(x) - int(least), int(count))
        for x, least, count in zip(*flat, strict=True)
      ]
    )
  return np.asarray(value, np.float64).reshape(-1)


def quote(value: object) -> str:
  """Returns a value as text in one line that is not long."""
  text = ' '.join(str(value).split())
  return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'


def _one_hot(index: int, count: int) -> np.ndarray:
  if not 0 <= index < count:
    raise ValueError(f'{index} is not from 0 to {count - 1}')
  return actions.one_hot(index, count)


def _parts(space: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
  """Yields (path, space) of all parts of a space that have no parts."""
  if kind(space) not in ('Dict', 'Tuple'):
    yield path, space
    return
  inner, named = space.spaces, kind(space) == 'Dict'
  for key, part in inner.items() if named else enumerate(inner):
    yield from _parts(part, (*path, key))


def _name(path: Path) -> str:
  """Returns what a part is called: one word, which a config can have."""
  words = path if path and isinstance(path[0], str) else (_WHOLE, *path)
  return '_'.join(''.join(filter(_is_plain, str(word))) for word in words)


def _is_plain(character: str) -> bool:
  return character.isalnum() or character == '_'
