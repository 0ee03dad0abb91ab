"""Converts recorded episodes from one format to another."""

import pathlib
from collections.abc import Callable

from worldmodels import kinds
from worldmodels.data import atomic
from worldmodels.data import recordings
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import RecordingError


def writer(kind: str) -> Callable[[pathlib.Path, Recorded], None]:
  """Returns the function that writes a format.

  Raises:
    OptionError: there is none; its option is `kind`.
  """
  return kinds.find(recordings.PACKAGE, kind, 'write')


def check_out(path: pathlib.Path) -> None:
  """Raises RecordingError unless `path` is free: absent, or an empty folder."""
  if path.is_symlink() or (path.exists() and not path.is_dir()):
    raise RecordingError(
      f'--out={path}: there is a file; it is a new directory'
    )
  if path.is_dir() and any(path.iterdir()):
    raise RecordingError(
      f'--out={path} is not empty: it is a new directory, nothing is '
      'overwritten'
    )
  if not path.absolute().parent.is_dir():
    raise RecordingError(f'--out={path}: there is no {path.parent}')


def write(path: pathlib.Path, kind: str, recorded: Recorded) -> int:
  """Writes episodes into a new directory, whole or not at all.

  Args:
    path: of the directory.
    kind: format to write.
    recorded: the episodes.

  Returns:
    bytes that were written.

  Raises:
    RecordingError: an episode is damaged, or breaks the convention.
    OSError: the disk is full or cannot be written.
  """
  fill = writer(kind)
  check_out(path)
  with atomic.directory(path.absolute()) as partial:
    fill(partial, recorded)
    files = [file for file in partial.rglob('*') if file.is_file()]
    return sum(file.stat().st_size for file in files)
