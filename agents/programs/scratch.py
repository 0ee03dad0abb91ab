"""The folder of a program for temporary files, of its own and of its libraries.

A program that is killed leaves it behind, with some fifty files: TensorFlow
writes one for each function that it translates. The next program that starts
removes it: the folder of one that runs is locked.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile

from worldmodels.agents.cluster import folders

# Of which the user has no folders, or has some that look otherwise.
_NAME = re.compile(f'{folders.OF_PROGRAM}[a-z0-9_]{{8}}')
_MARK = 'of-a-program'
_LEAST = 8 << 20  # bytes


def make() -> str:
  """Makes the folder and has all temporary files made there; returns its path.

  Those of workers, and of what they start, as well. Folders of programs that
  were killed are removed.

  Raises:
    OSError: there is no place for temporary files, or no room.
  """
  remove_leftovers()
  path = None
  while path is None:
    path = _made()
  tempfile.tempdir = os.environ['TMPDIR'] = path
  room = os.statvfs(path)
  if room.f_bavail * room.f_frsize < _LEAST:
    remove(path)
    raise OSError(
      errno.ENOSPC,
      f'{os.strerror(errno.ENOSPC)} for temporary files (TMPDIR names another '
      'place)',
      os.path.dirname(path),
    )
  return path


def remove(path: str) -> None:
  """Removes the folder and what is in it."""
  shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
  """Removes the folders of programs that do not run any more."""
  with os.scandir(tempfile.gettempdir()) as entries:
    paths = [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
  for path in paths:
    # Those of other users cannot be opened; a link is no directory.
    with contextlib.suppress(OSError):
      lock = _lock(path)
      try:
        if os.path.isfile(os.path.join(path, _MARK)):
          shutil.rmtree(path, ignore_errors=True)
        else:  # Its program was killed before it had made the mark.
          os.rmdir(path)
      finally:
        os.close(lock)


def _made() -> str | None:
  """Makes a locked folder; returns None if another program has removed it.

  The lock ends with this process: its descriptor is never closed.
  """
  path = tempfile.mkdtemp(prefix=folders.OF_PROGRAM)
  try:
    _lock(path)
    with open(os.path.join(path, _MARK), 'x'):
      return path
  except (FileNotFoundError, BlockingIOError):
    return None
  except OSError as error:
    if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
      raise
    return path  # There are no locks here, so it is not removed if it is left.


def _lock(path: str) -> int:
  """Locks a directory; returns the descriptor that holds the lock.

  Raises:
    BlockingIOError: another process holds it.
    OSError: there is no such directory, or there are no locks.
  """
  descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError:
    os.close(descriptor)
    raise
  return descriptor
