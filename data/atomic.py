"""Files that are there as a whole or, after a crash, not at all."""

import fcntl
import os
import pathlib
from collections.abc import Callable
from typing import BinaryIO

_TEMPORARY = '.tmp'


def write(path: pathlib.Path, fill: Callable[[BinaryIO], object]) -> None:
  """Writes a file so that neither a crash nor a power cut leaves half of it.

  Args:
    path: of the file; one that is there is replaced.
    fill: writes what it gets into the file that it gets.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind.
  """
  temporary = path.with_name(path.name + _TEMPORARY)
  try:
    with open(temporary, 'wb') as file:
      fcntl.flock(file, fcntl.LOCK_EX)  # Says that someone is writing.
      fill(file)
      file.flush()
      os.fsync(file.fileno())
      os.replace(temporary, path)
  except BaseException as error:
    temporary.unlink(missing_ok=True)
    if isinstance(error, OSError):  # Those of writing lack the name.
      error.filename = error.filename or str(path)
    raise
  sync_directory(path.parent)


def sync_directory(path: pathlib.Path) -> None:
  """Has the names of the files in a directory written to disk."""
  directory = os.open(path, os.O_RDONLY)
  try:
    os.fsync(directory)
  finally:
    os.close(directory)


def remove_leftovers(directory: pathlib.Path) -> None:
  """Removes what `write` left in programs that were killed."""
  for path in directory.glob(f'*{_TEMPORARY}'):
    with open(path, 'rb') as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        continue  # Another program is writing it.
      path.unlink(missing_ok=True)
