"""Makes the folder that a Ray of ours has for its logs and sockets."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_FOLDER = 'worldmodels-ray-'
OF_PROGRAM = 'worldmodels-tmp-'  # where a program has its temporary files
# Paths of sockets have an upper limit (107), which those of Ray come close to.
_LONGEST_PARENT = 16
_TRIES = 20


@contextlib.contextmanager
def made() -> Iterator[pathlib.Path]:
  """Makes a folder for logs and sockets of a Ray of ours, of this user alone.

  It is removed in the end, and with it those of processes that were killed.
  """
  parent = pathlib.Path(tempfile.gettempdir())
  if parent.name.startswith(OF_PROGRAM):
    parent = parent.parent  # Beside it: Ray outlives programs.
  if len(str(parent)) > _LONGEST_PARENT:
    parent = pathlib.Path('/tmp')
  for left in parent.glob(f'{_FOLDER}*'):
    with contextlib.suppress(OSError), _locked(left):
      shutil.rmtree(left, ignore_errors=True)
  with contextlib.ExitStack() as held:
    folder = _held(parent, held)
    try:
      yield folder
    finally:
      shutil.rmtree(folder, ignore_errors=True)


def _held(parent: pathlib.Path, held: contextlib.ExitStack) -> pathlib.Path:
  """Makes a folder and holds it; another start may remove it in between."""
  for _ in range(_TRIES):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
    try:
      held.enter_context(_locked(folder))
    except (BlockingIOError, FileNotFoundError):
      continue  # It is being removed.
    except OSError:
      folder.rmdir()
      raise
    if folder.exists():
      return folder
  raise FileNotFoundError(f'{folder} is removed by others as soon as made')


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
  """Holds a folder as this process does while it lives, or raises OSError."""
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield
  finally:
    os.close(descriptor)
