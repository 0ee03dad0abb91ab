"""The claim of a program on a directory: one at a time, on any file system.

It is a file in the directory that says who has it. Where the file system has
locks the file is locked: that ends with the process, however it ends, and
network file systems that have locks know of it on all machines, which of the
lock of a directory they do not. Where there are none the file itself is the
claim. One program alone makes it; another one takes it over if it can see that
the first has ended, which is on one machine only, and else says which file to
remove.

A run is claimed by the program that trains in it, a store by the first that
appends, also within a run: others may append to that without training.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import secrets
import socket
import time
import weakref
from typing import Any

from worldmodels import errors
from worldmodels.data import reading

NAME = 'claim.json'
# How often the file is opened anew because another program has removed it.
_TRIES = 100
# Whose lock it is that one cannot have; all else says that there are none.
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_POLL_SECONDS = 0.05

# By process, as a child has none of its parent's, and directory.
_shared: weakref.WeakValueDictionary[tuple[int, str], 'Claim'] = (
  weakref.WeakValueDictionary()
)


class ClaimError(errors.UserError):
  """Another program has the claim; the message is one line."""


class Claim:
  """The only claim on a directory, until `release` or the end of the process.

  Attributes:
    writer: who wrote last, of those who share it by `take`; free to use.

  Args:
    directory: which exists and can be written.
    doing: what a program does there that has the claim, as `is training in`.

  Raises:
    ClaimError: another program has it, or another part of this one.
    FileError: something else has the name of its file.
    OSError: the file cannot be written.
  """

  def __init__(self, directory: pathlib.Path, doing: str):
    self.writer: object = None
    path = directory / NAME
    for _ in range(_TRIES):
      file = _take(path, f'another program {doing} {directory}')
      if file is not None:
        break
    else:
      raise ClaimError(f'other programs claim {directory} again and again')
    self._release = weakref.finalize(self, _end, file, path, os.getpid())

  def release(self) -> None:
    """Ends the claim."""
    self._release()


def take(
  directory: pathlib.Path,
  doing: str = 'writes into',
  wait_seconds: float = 0,
) -> Claim:
  """Claims a directory; in one process all claims by this are the same.

  It ends with the last of those who have it.

  Args:
    directory: which exists and can be written.
    doing: what a program does there that has the claim.
    wait_seconds: for a claim that another program has for a moment.

  Raises:
    ClaimError: another program has it.
    FileError: something else has the name of its file.
    OSError: the file cannot be written.
  """
  key = (os.getpid(), os.path.realpath(directory))
  deadline = time.monotonic() + wait_seconds
  while True:
    claim = _shared.get(key)
    if claim is not None:
      return claim
    try:
      claim = _shared[key] = Claim(directory, doing)
    except ClaimError:
      if time.monotonic() >= deadline:
        raise
      time.sleep(_POLL_SECONDS)


def _take(path: pathlib.Path, busy: str) -> int | None:
  """Returns a descriptor of the file that is claimed; None to try again."""
  file, made = _open(path)
  if file is None:
    return None
  claimed = False
  try:
    locked = _lock(file, f'{busy}{_who(_said(file, path))}')
    said = _said(file, path)
    if not _is(file, path):
      return None  # It was removed: another one may be there by now.
    # What was locked, and is not any more, is nobody's.
    if not made and not (locked and said.get('locked', True)):
      _check_ended(said, path, busy)
      if not locked:
        _take_away(path, said, busy)
        return None
    _write(file, locked)
    claimed = True
    return file
  finally:
    if not claimed:
      os.close(file)


def _open(path: pathlib.Path) -> tuple[int | None, bool]:
  """Returns a descriptor of the file, and whether this has just made it."""
  flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
  try:
    return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644), True
  except FileExistsError:
    with contextlib.suppress(FileNotFoundError):
      return os.open(path, flags), False
  return None, False


def _lock(file: int, busy: str) -> bool:
  """Locks a file; returns False where there are no locks."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    if error.errno in _HELD:
      raise ClaimError(busy) from error
    return False
  return True


def _write(file: int, locked: bool) -> None:
  """Writes who has the claim; with a lock it is a claim without that too."""
  said = dict(says_of_itself(), locked=locked)
  try:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(said).encode() + b'\n', 0)
    os.fsync(file)
  except OSError:
    if not locked:
      raise


def _said(file: int, path: pathlib.Path) -> dict[str, Any]:
  """Returns what the file says, or nothing where it does not say it right."""
  reading.check_regular(path, os.fstat(file))
  try:
    said = reading.parsed(os.pread(file, 1 << 16, 0), path)
  except reading.FileError:
    return {}
  right = (
    isinstance(said, dict)
    and says_of_itself().keys() <= said.keys()
    and reading.is_count(said['process'])
    and str(said['host']).isprintable()  # Of one line.
  )
  return said if right else {}


def _check_ended(said: dict[str, Any], path: pathlib.Path, busy: str) -> None:
  """Raises ClaimError unless the process that has the claim has ended."""
  ended = _has_ended(said)
  if ended is None:
    raise ClaimError(
      f'{busy}{_who(said)}: if it has ended, which cannot be seen from here, '
      f'remove {path}'
    )
  if not ended:
    raise ClaimError(f'{busy}{_who(said)}')


def _has_ended(said: dict[str, Any]) -> bool | None:
  """Says whether a process has ended; None if that cannot be seen from here."""
  mine = says_of_itself()
  if not said or not mine['boot']:
    return None
  # Machines may have one name, and containers count their processes anew.
  if any(said[key] != mine[key] for key in ('host', 'machine', 'namespace')):
    return None
  if said['boot'] != mine['boot']:
    return True if mine['machine'] else None
  try:
    os.kill(said['process'], 0)
  except (ProcessLookupError, OverflowError):
    return True
  except PermissionError:
    pass  # Of another user.
  # Another process may have that number by now.
  started = _started(said['process'])
  return bool(started and said['started']) and said['started'] != started


def _take_away(path: pathlib.Path, said: dict[str, Any], busy: str) -> None:
  """Removes the file of a process that has ended, and no other's.

  Several programs may find it so at the same time, and one of them may have
  made its own by now.
  """
  aside = path.with_name(f'{path.name}.{secrets.token_hex(8)}.tmp')
  try:
    path.rename(aside)
  except FileNotFoundError:
    return
  file = os.open(aside, os.O_RDONLY)
  try:
    found = _said(file, aside)
    if found != said:
      with contextlib.suppress(FileExistsError):
        os.link(aside, path)
      raise ClaimError(f'{busy}{_who(found)}')
  finally:
    os.close(file)
    aside.unlink()


def _end(file: int, path: pathlib.Path, process: int) -> None:
  """Removes the file, unless this is a child of the process that claimed it."""
  if os.getpid() == process:
    with contextlib.suppress(OSError):
      if _is(file, path):
        path.unlink()
    os.close(file)


def _is(file: int, path: pathlib.Path) -> bool:
  """Returns whether an open file still has this path."""
  try:
    return os.path.samestat(os.fstat(file), os.lstat(path))
  except FileNotFoundError:
    return False


def _who(said: dict[str, Any]) -> str:
  return f' (process {said["process"]} on {said["host"]})' if said else ''


def says_of_itself() -> dict[str, Any]:
  """Returns what tells this process from all others."""
  process = os.getpid()
  namespace = ''
  with contextlib.suppress(OSError):
    namespace = os.readlink('/proc/self/ns/pid')
  return {
    'process': process,
    'started': _started(process),
    'host': socket.gethostname(),
    'machine': _line('/etc/machine-id'),
    'boot': _line('/proc/sys/kernel/random/boot_id'),
    'namespace': namespace,
  }


def _started(process: int) -> str:
  """Returns when a process was started, for comparison; '' if unknown."""
  # After the name, which is in brackets and may hold spaces.
  fields = _line(f'/proc/{process}/stat').rpartition(')')[2].split()
  return fields[19] if len(fields) > 19 else ''


def _line(path: str) -> str:
  try:
    return pathlib.Path(path).read_text().strip()
  except (OSError, ValueError):  # Or it is no text.
    return ''
