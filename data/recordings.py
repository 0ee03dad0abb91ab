"""Finds recorded episodes of whatever format.

A format is a file of data/formats, which says what it recognizes. It hands out
episodes by the row convention of rows.py, but with images and actions as they
were recorded: of any size, and in the units of their task. recorded.py makes
the rest alike.
"""

import contextlib
import dataclasses
import importlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from worldmodels import errors
from worldmodels import kinds

PACKAGE = 'worldmodels.data.formats'
# Of one episode, unpacked: what a file says may be a lie.
LARGEST = 1 << 31  # bytes

Episode = dict[str, np.ndarray]


class RecordingError(errors.UserError, ValueError):
  """Recorded data that cannot be used; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Recordings:
  """Episodes somewhere on disk, none of them read yet.

  Attributes:
    format: name of the format.
    names: of the episodes, for messages.
    load: reads the episode at a position: {key: [L, ...]} by rows.py; `image`
      uint8 [L, h, w, c]; `action` in the units of its task, float [L, A] or,
      of a choice, integers [L]. Images that it decodes it brings to the pixels
      that it is told, as pictures.py does; others are brought there later.
    actions: reads the actions of an episode alone.
    low, high: bounds of the actions [A], None where nothing names them.
    choices: of a choice, from how many; 0 where nothing says.
    facts: metadata of a store, as far as they are known.
  """

  format: str
  names: Sequence[str]
  load: Callable[[int, int], Episode]
  actions: Callable[[int], np.ndarray]
  low: np.ndarray | None = None
  high: np.ndarray | None = None
  choices: int = 0
  facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find(
  path: pathlib.Path, kind: str | None = None, image: str | None = None
) -> Recordings:
  """Finds the episodes at a path.

  Args:
    path: of a file or directory.
    kind: a file of data/formats, or `module:name`; None recognizes it.
    image: what the images are called there; None where one can tell.

  Raises:
    RecordingError: there is nothing, or nothing that can be read.
    OptionError: there is no such format; its option is `kind`.
    OSError: it cannot be read.
  """
  if not path.exists():
    raise RecordingError(f'{path}: there is no such file or directory')
  kind = kind or _recognized(path)
  read = kinds.find(PACKAGE, kind, 'read')
  try:
    found = read(path, image)
  except RecordingError as error:
    if str(path) in str(error):
      raise
    raise RecordingError(f'{path}: {error}') from error
  if not found.names:
    raise RecordingError(f'{path} holds no episodes')
  return found


def _recognized(path: pathlib.Path) -> str:
  """Returns the name of the format that a path looks like."""
  names = kinds.names(PACKAGE, 'recognizes')
  fitting = [
    name
    for name in names
    if importlib.import_module(f'{PACKAGE}.{name}').recognizes(path)
  ]
  if len(fitting) > 1:
    raise RecordingError(
      f'{path} looks like {" and ".join(fitting)}: --from= chooses'
    )
  if not fitting:
    there = 'an empty directory' if _empty(path) else 'in no format known here'
    raise RecordingError(
      f'{path} is {there}; read are {", ".join(names)} (docs/data.md says how '
      'each looks)'
    )
  return fitting[0]


def _empty(path: pathlib.Path) -> bool:
  return path.is_dir() and not any(path.iterdir())


def moved_down(outcome: np.ndarray) -> np.ndarray:
  """Moves what belongs to the step after a row [L - 1, ...] into that row.

  Returns:
    [L, ...], zero in row 0, which is the reset.
  """
  reset = np.zeros((1, *outcome.shape[1:]), outcome.dtype)
  return np.concatenate([reset, outcome])


def flags(length: int, terminal: bool) -> Episode:
  """Returns discount and flags [L] of an episode.

  Args:
    length: L.
    terminal: whether the task ended; else only the recording did.
  """
  row = np.arange(length)
  last = row == length - 1
  return {
    'discount': 1 - (last & terminal).astype(np.float32),
    'is_first': row == 0,
    'is_last': last,
    'is_terminal': last & terminal,
  }


@contextlib.contextmanager
def extra(name: str, package: str) -> Iterator[None]:
  """Names the extra that brings a package where it is not installed.

  Args:
    name: of the extra in pyproject.toml.
    package: that is imported in the `with` statement.
  """
  try:
    yield
  except ModuleNotFoundError as error:
    if (error.name or '').partition('.')[0] != package:
      raise
    raise RecordingError(
      f'{package} is not installed; the extra {name} brings it: pip install '
      f"'worldmodels-tf[{name}]'"
    ) from error


def check_size(what: object, size: int) -> None:
  """Raises RecordingError for more bytes than an episode may have."""
  if size > LARGEST:
    raise RecordingError(
      f'{what} unpacks to {size / 1e9:.1f} GB; an episode may have '
      f'{LARGEST / 1e9:.1f} GB'
    )


def check_lengths(episode: Mapping[str, np.ndarray]) -> None:
  """Raises RecordingError where the arrays of an episode differ in length."""
  lengths = {key: len(value) for key, value in episode.items()}
  if len(set(lengths.values())) > 1:
    listed = ', '.join(f'{key} {count}' for key, count in lengths.items())
    raise RecordingError(f'its rows do not match: {listed}')
