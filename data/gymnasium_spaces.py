"""Reads spaces of Gymnasium, and of the gym before it, by name of their kind.

Of an observation each part is a picture, a vector, or nothing that a model
could see (text, graphs, sequences).
"""

from collections.abc import Iterator

import numpy as np

from worldmodels.data import frames

# Smaller ones are maps, such as the seven by seven fields that MiniGrid shows.
_SMALLEST = 24
_WHOLE = 'observation'  # name of an observation that has no parts
_MAP = 'map'  # name of an `image` that is none
_VECTORS = ('Box', 'Discrete', 'MultiBinary', 'MultiDiscrete')
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


def is_picture(space: Space) -> bool:
  """Returns whether it can be looked at."""
  return (
    type(space).__name__ == 'Box'
    and frames.is_picture(space.shape, space.dtype)
    and min(space.shape[:2]) >= _SMALLEST
  )


def is_vector(space: Space) -> bool:
  """Returns whether `vector` makes numbers of it."""
  return type(space).__name__ in _VECTORS and not is_picture(space)


def size(space: Space) -> int:
  """Returns how many numbers `vector` makes."""
  kind = type(space).__name__
  if kind == 'Discrete':
    return int(space.n)
  if kind == 'MultiDiscrete':
    return int(np.sum(space.nvec))
  return int(np.prod(space.shape))


def vector(space: Space, value: object) -> np.ndarray:
  """Returns the numbers of a value, float64 [V]; of a choice, one-hot.

  Raises:
    TypeError, ValueError, IndexError: it is not of this space.
  """
  kind = type(space).__name__
  if kind == 'Discrete':
    first = int(getattr(space, 'start', 0))
    return _one_hot(int(value) - first, int(space.n))
  if kind == 'MultiDiscrete':
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
  return np.eye(count)[index]


def _parts(space: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
  """Yields (path, space) of all parts of a space that have no parts."""
  kind = type(space).__name__
  if kind not in ('Dict', 'Tuple'):
    yield path, space
    return
  inner = space.spaces
  for key, part in inner.items() if kind == 'Dict' else enumerate(inner):
    yield from _parts(part, (*path, key))


def _name(path: Path) -> str:
  """Returns what a part is called: one word, which a config can have."""
  words = path if path and isinstance(path[0], str) else (_WHOLE, *path)
  return '_'.join(''.join(filter(_is_plain, str(word))) for word in words)


def _is_plain(character: str) -> bool:
  return character.isalnum() or character == '_'
