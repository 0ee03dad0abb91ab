"""Files and directories that are whole or, after a crash, absent.

Each is made under a temporary name beside its own, flushed to disk and renamed.
It is locked until then, so that what a killed program left can be told from
what another program is writing.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import BinaryIO

_TEMPORARY = '.tmp'


def write(path: pathlib.Path, fill: Callable[[BinaryIO], object]) -> None:
  """Writes a file so that neither a crash nor a power cut leaves half of it.

  Args:
    path: of the file; an older one is replaced.
    fill: writes the content into the open file that it gets.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind, and
      an older file is as it was.
  """
  temporary = _temporary(path)
  try:
    with naming(path), open(temporary, 'wb') as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      fill(file)
      file.flush()
      os.fsync(file.fileno())
      os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise
  _sync(path.parent)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
  """Writes a file of these bytes, see `write`."""
  write(path, lambda file: file.write(content))


def check_writable(path: pathlib.Path, content: bytes) -> None:
  """Raises the OSError that writing `content` to `path` would raise."""
  temporary = _temporary(path)
  try:
    with naming(path), open(temporary, 'wb') as file:
      file.write(content)
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def directory(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Makes a directory so that no crash leaves half of it.

  An older directory of that name is removed once the new one is whole on disk;
  a crash between that and the renaming leaves neither.

  Args:
    path: of the directory.

  Yields:
    An empty directory beside `path`, to be filled in a `with` statement; at the
    end of that it is renamed to `path`.

  Raises:
    OSError: the disk is full or cannot be written. As after every exception in
      the `with` statement nothing is left behind, and an older directory is as
      it was.
  """
  temporary = _temporary(path)
  _remove_leftover(temporary)
  with naming(path):
    temporary.mkdir()
    try:
      with _opened(temporary) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield temporary
        for folder, _, names in os.walk(temporary):
          for name in names:
            _sync(os.path.join(folder, name))
          _sync(folder)
        if path.exists():
          remove_directory(path)
        temporary.rename(path)
    except BaseException:
      shutil.rmtree(temporary, ignore_errors=True)
      raise
  _sync(path.parent)


def remove_directory(path: pathlib.Path) -> None:
  """Removes a directory so that no crash leaves half of it under its name."""
  aside = _temporary(path.with_name(f'{path.name}.old'))
  _remove_leftover(aside)
  path.rename(aside)
  shutil.rmtree(aside)


def remove_leftovers(parent: pathlib.Path) -> None:
  """Removes what killed programs left half written, or removed, in `parent`."""
  for path in parent.glob(f'*{_TEMPORARY}'):
    _remove_leftover(path)


def _remove_leftover(path: pathlib.Path) -> None:
  """Removes a file or directory unless it is gone or a program writes it."""
  with contextlib.suppress(FileNotFoundError), _opened(path) as descriptor:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      return
    if path.is_dir():
      shutil.rmtree(path)
    else:
      path.unlink()


def _temporary(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(path.name + _TEMPORARY)


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
  """Names the file in OSErrors of writing, which lack it."""
  try:
    yield
  except OSError as error:
    error.filename = error.filename or str(path)
    raise


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[int]:
  """Opens a file or directory for reading; yields its descriptor."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    yield descriptor
  finally:
    os.close(descriptor)


def _sync(path: str | os.PathLike) -> None:
  """Flushes a file, or the names of the files in a directory, to disk."""
  with _opened(path) as descriptor:
    os.fsync(descriptor)
