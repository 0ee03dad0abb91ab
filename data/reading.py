"""Opens files that anybody may have put there, and reads JSON from them.

A name may be that of a FIFO, which hangs whoever opens it, of a link to a
device that has no end, or of a file larger than memory. So what a file is, and
how large, is known before its content is.
"""

import json
import os
import stat
from typing import BinaryIO, NoReturn

from worldmodels import errors

# Of a file of JSON: those of a run have a few thousand bytes.
LARGEST = 1 << 24
# Objects and lists within each other; Python counts its own calls as well.
DEEPEST = 20

# Not to wait for who writes into a FIFO.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = (
  (stat.S_ISDIR, 'a directory'),
  (stat.S_ISFIFO, 'a FIFO'),
  (stat.S_ISSOCK, 'a socket'),
)


class FileError(errors.UserError, ValueError):
  """A file that is not what its name says; the message is one line."""


class IrregularError(FileError):
  """What has the name of a file is a directory, a FIFO, a device or such."""


def open_regular(
  path: str | os.PathLike, within: int | None = None
) -> BinaryIO:
  """Opens a regular file, or one that a link names, for reading.

  Args:
    path: of the file.
    within: descriptor of the directory that the path starts from.

  Raises:
    IrregularError: it is something else than a regular file.
    OSError: it is not there, or cannot be read.
  """
  return os.fdopen(descriptor_of(path, within), 'rb')


def descriptor_of(path: str | os.PathLike, within: int | None = None) -> int:
  """Returns the descriptor of a file that is opened, see `open_regular`."""
  check_regular(path, os.stat(path, dir_fd=within))  # To open one may hang.
  return reopened(path, within)


def reopened(path: str | os.PathLike, within: int | None = None) -> int:
  """Returns the descriptor of what was a regular file when it was looked at.

  That saves one look. What has come in its place is refused all the same; only
  a device might do something when it is opened.
  """
  descriptor = os.open(path, _FLAGS, dir_fd=within)
  try:
    check_regular(path, os.fstat(descriptor))
  except IrregularError:
    os.close(descriptor)
    raise
  return descriptor


def check_regular(path: str | os.PathLike, status: os.stat_result) -> None:
  """Raises IrregularError for the status of what is not a regular file."""
  if not stat.S_ISREG(status.st_mode):
    names = [name for test, name in _KINDS if test(status.st_mode)]
    raise IrregularError(
      f'{path} is {names[0] if names else "a device"}, not a regular file'
    )


def size(file: BinaryIO) -> int:
  """Returns the bytes of an open file."""
  return os.fstat(file.fileno()).st_size


def content(file: BinaryIO, path: str | os.PathLike, largest: int) -> bytes:
  """Reads an open file of at most `largest` bytes.

  Args:
    file: of `open_regular`.
    path: of the file, for messages.
    largest: bytes that it may have.

  Raises:
    FileError: it has more.
  """
  if size(file) <= largest:
    found = file.read(largest + 1)  # It may grow.
    if len(found) <= largest:
      return found
  raise FileError(f'{path} is larger than {largest >> 20} MB')


def bytes_in(path: str | os.PathLike, largest: int = LARGEST) -> bytes:
  """Reads a file of at most `largest` bytes.

  Raises:
    FileError: it is not a regular file, or is larger.
    OSError: it is not there, or cannot be read.
  """
  with open_regular(path) as file:
    return content(file, path, largest)


def json_in(path: str | os.PathLike, finite: bool = False) -> object:
  """Reads a file of JSON.

  Args:
    path: of the file.
    finite: whether NaN and Infinity, which Python writes, are refused.

  Raises:
    FileError: it is not a regular file, is too large, or is no JSON.
    OSError: it is not there, or cannot be read.
  """
  return parsed(bytes_in(path), path, finite)


def parsed(
  text: bytes, path: str | os.PathLike, finite: bool = False
) -> object:
  """Returns the value of a text in JSON.

  Args:
    text: in UTF-8.
    path: where it is from, for messages.
    finite: whether NaN and Infinity, which Python writes, are refused.

  Raises:
    FileError: it is no JSON, or nested deeper than DEEPEST.
  """
  try:
    value = json.loads(text, parse_constant=_refuse if finite else None)
  except (ValueError, RecursionError) as error:  # Not JSON, or not even text.
    raise FileError(f'{path} is damaged: {error}') from error
  level = [value]
  for _ in range(DEEPEST):
    level = [child for parent in level for child in _children(parent)]
  if level:
    raise FileError(f'{path} is damaged: nested deeper than {DEEPEST} levels')
  return value


def _refuse(constant: str) -> NoReturn:
  raise ValueError(f'{constant} is no number')


def is_number(value: object) -> bool:
  """Returns whether a value from JSON is a finite number."""
  return type(value) in (int, float) and abs(value) < 1e300


def is_count(value: object) -> bool:
  """Returns whether a value from JSON is a whole number from 0 below 2**63."""
  return type(value) is int and 0 <= value < 2**63


def _children(value: object) -> list[object]:
  if isinstance(value, dict):
    return list(value.values())
  return value if isinstance(value, list) else []
