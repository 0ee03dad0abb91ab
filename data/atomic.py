"""Files and directories that are whole or, after a crash, absent.

Each is made beside its place under a temporary name, flushed to disk and
renamed. That name is drawn at random and the file is made exclusively, so that
nobody can put a link there first. It is locked until it has its own name: what
a killed program left can then be told from what another program is writing.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

# Of any temporary name, and what comes before it.
_TEMPORARY = re.compile(r'(.+)\.[0-9a-f]{16}\.tmp', re.DOTALL)
_LONGEST = 200  # bytes of a name; with the rest it stays below 255
_REMOVED = '.old'  # after the name of a directory that is on its way out
# Where files cannot be locked, what is as old as this is no longer written.
_ABANDONED_SECONDS = 24 * 3600


def write(
  path: pathlib.Path,
  fill: Callable[[BinaryIO], object],
  *,
  sweep: bool = True,
) -> None:
  """Writes a file so that neither a crash nor a power cut leaves half of it.

  Args:
    path: of the file; an older one, or a link, is replaced.
    fill: writes the content into the open file that it gets.
    sweep: whether what a killed program left of this file is removed. That
      takes a look at every name in the directory.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind, and
      an older file is as it was.
  """
  if sweep:
    _sweep(path)
  with _created(path) as (temporary, file):
    fill(file)
    file.flush()
    os.fsync(file.fileno())
    with _renaming(path):
      os.replace(temporary, path)
  sync(path.parent)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
  """Writes a file of these bytes, see `write`."""
  write(path, lambda file: file.write(content))


def check_writable(path: pathlib.Path, content: bytes) -> None:
  """Raises the OSError that writing `content` to `path` would raise."""
  _sweep(path)
  with _created(path) as (temporary, file):
    file.write(content)
    file.flush()
    temporary.unlink()


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
    FileExistsError: another program is making it.
    OSError: the disk is full or cannot be written. As after every exception in
      the `with` statement nothing is left behind, and an older directory is as
      it was.
  """
  busy = _sweep(path)
  if busy:
    raise FileExistsError(f'{path} is being written by another program')
  with naming(path):
    temporary, descriptor = _make_directory(path)
    try:
      yield temporary
      for folder, _, names in os.walk(temporary):
        for name in names:
          sync(os.path.join(folder, name))
        sync(folder)
      if path.exists():
        remove_directory(path)
      temporary.rename(path)
    except BaseException:
      shutil.rmtree(temporary, ignore_errors=True)
      raise
    finally:
      os.close(descriptor)
  sync(path.parent)


def remove_directory(path: pathlib.Path) -> None:
  """Removes a directory so that no crash leaves half of it under its name."""
  aside = _temporary(path.with_name(path.name + _REMOVED))
  path.rename(aside)
  shutil.rmtree(aside)


def remove_leftovers(parent: pathlib.Path) -> None:
  """Removes what killed programs left half written, or removed, in `parent`.

  For those who write there. Who only reads has to leave them.
  """
  with os.scandir(parent) as entries:
    left = [entry.path for entry in entries if _TEMPORARY.fullmatch(entry.name)]
  for path in left:
    _remove_leftover(path)


def sync(path: str | os.PathLike) -> None:
  """Flushes a file, or the names of the files in a directory, to disk."""
  descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
  """Names the file in OSErrors of writing, which lack it."""
  try:
    yield
  except OSError as error:
    error.filename = error.filename or str(path)
    raise


@contextlib.contextmanager
def _created(path: pathlib.Path) -> Iterator[tuple[pathlib.Path, BinaryIO]]:
  """Makes a locked temporary file; removed if the `with` statement fails."""
  flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
  while True:
    temporary = _temporary(path)
    with _renaming(path):
      descriptor = os.open(temporary, flags, 0o666)
    if _keeps(temporary, descriptor):
      break
    os.close(descriptor)
  try:
    with naming(path), os.fdopen(descriptor, 'wb') as file:
      yield temporary, file
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise


def _make_directory(path: pathlib.Path) -> tuple[pathlib.Path, int]:
  """Makes a locked temporary directory."""
  while True:
    temporary = _temporary(path)
    with _renaming(path):
      temporary.mkdir()
    with contextlib.suppress(FileNotFoundError):
      descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
      if _keeps(temporary, descriptor):
        return temporary, descriptor
      os.close(descriptor)


def _keeps(path: pathlib.Path, descriptor: int) -> bool:
  """Locks what was just made; says whether it is still there.

  Between the two another writer may have taken it for a leftover.
  """
  # Not on every file system; there the age decides.
  with contextlib.suppress(OSError):
    fcntl.flock(descriptor, fcntl.LOCK_EX)
  try:
    return os.path.samestat(os.lstat(path), os.fstat(descriptor))
  except FileNotFoundError:
    return False


def _sweep(path: pathlib.Path) -> bool:
  """Removes what is left of one path; says whether somebody writes it now."""
  own = {_start(path.name), _start(path.name + _REMOVED)}
  with _renaming(path), os.scandir(path.parent) as entries:
    matches = [_TEMPORARY.fullmatch(entry.name) for entry in entries]
  left = [path.with_name(m[0]) for m in matches if m and m[1] in own]
  return not all([_remove_leftover(leftover) for leftover in left])


def _remove_leftover(path: str | os.PathLike) -> bool:
  """Removes a file or directory; False where a program is writing it.

  Where files cannot be locked, a young one may be written: it stays.
  """
  flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
  try:
    kind = os.lstat(path).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
      return True  # No program of ours makes pipes, links or devices.
    descriptor = os.open(path, flags)
  except (FileNotFoundError, PermissionError):
    return True
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      return False
    except OSError:  # Nothing tells, and a new one has another name.
      age = time.time() - os.fstat(descriptor).st_mtime
      if age < _ABANDONED_SECONDS:
        return True
    with contextlib.suppress(FileNotFoundError, PermissionError):
      if stat.S_ISDIR(kind):
        shutil.rmtree(path)
      else:
        os.unlink(path)
    return True
  finally:
    os.close(descriptor)


def _temporary(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f'{_start(path.name)}.{secrets.token_hex(8)}.tmp')


def _start(name: str) -> str:
  """Returns how the temporary names of a name start."""
  return os.fsdecode(os.fsencode(name)[:_LONGEST])


@contextlib.contextmanager
def _renaming(path: pathlib.Path) -> Iterator[None]:
  """Puts the name that is asked for in OSErrors in place of a temporary one."""
  try:
    yield
  except OSError as error:
    error.filename = str(path)
    raise
