"""The checkpoints that a run has, and the newest of them that is whole."""

import itertools
import pathlib
import re
from collections.abc import Callable
from typing import Any, NoReturn

from worldmodels import errors
from worldmodels.agents.runs import checkpoint_files
from worldmodels.agents.runs.checkpoint_files import Counters
from worldmodels.agents.runs.checkpoint_files import Values

_NAME = re.compile(r'(\d{8,})(\.new)?')
# Ends the name of one that replaces another of its number.
NEW = '.new'
# The counter of checkpoints that hold what acts and not what learns.
EXPORTED = 'exported'
# How often a reader looks again because a writer has removed what it saw.
_LOOKS = 100


class CheckpointError(errors.UserError, ValueError):
  """No checkpoint that can be restored; the message is one line."""


def check(
  directory: pathlib.Path, updates: int | None = None, learning: bool = False
) -> Counters | None:
  """Raises an error if `restore` would; returns the counters it would.

  Args:
    directory: of all checkpoints.
    updates: as for `restore`.
    learning: whether a run has to go on from it.
  """
  found = newest(directory, lambda line: None, updates)
  if found is None:
    return None
  path, _, counters = found
  if learning and counters.get(EXPORTED):
    refuse(path)
  return counters


def last_whole(directory: pathlib.Path) -> str:
  """Returns the path of the checkpoint that `restore` would take, as text."""
  try:
    found = newest(directory, lambda line: None, None)
  except (CheckpointError, OSError):
    found = None
  return 'none' if found is None else str(found[0])


def restorable(
  directory: pathlib.Path, updates: int | None = None
) -> list[pathlib.Path]:
  """Lists the checkpoints to restore from, the best last.

  Args:
    directory: of all checkpoints.
    updates: names one of them; None for any.

  Raises:
    CheckpointError: the one that is asked for is absent.
  """
  found = complete(directory)
  if updates is None:
    return found
  chosen = [path for path in found if updates_of(path) == updates]
  if not chosen:
    there = [x for x in found if (x / checkpoint_files.COUNTERS).exists()]
    numbers = sorted({updates_of(path) for path in there})
    there = ', '.join(map(str, numbers)) or 'none'
    raise CheckpointError(
      f'{directory} has no checkpoint of {updates} updates; there: {there}'
    )
  return chosen


def complete(directory: pathlib.Path) -> list[pathlib.Path]:
  """Lists the directories of complete checkpoints, oldest first."""
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    return []
  found = [path for path in directory.iterdir() if _NAME.fullmatch(path.name)]
  return sorted(found, key=lambda path: (updates_of(path), path.name))


def updates_of(path: pathlib.Path) -> int:
  """Returns the count of updates that names a checkpoint."""
  return int(_NAME.fullmatch(path.name)[1])


def newest(
  directory: pathlib.Path, log: Callable[[str], Any], updates: int | None
) -> tuple[pathlib.Path, Values, Counters] | None:
  """Reads the newest checkpoint that is whole.

  Args:
    directory: of all checkpoints.
    log: called with a line for each damaged one.
    updates: as for `checkpoint.restore`.

  Returns:
    (path, values, counters), or None where there is none.

  While the run goes on the list is out of date as soon as it is made, and all
  in it may be gone. Then there are others.
  """
  for look in itertools.count(1):
    found, lines = restorable(directory, updates), []
    for path in reversed(found):
      there = _identity(path)
      try:
        whole = path, *checkpoint_files.read(path, updates_of(path))
      except PermissionError:
        raise  # Nothing is known about it.
      except checkpoint_files.DAMAGE as error:
        if look < _LOOKS and (there is None or _identity(path) != there):
          break
        cause = f'{type(error).__name__}: {error}'
        lines.append(
          f'checkpoint {path} is damaged ({cause}); trying the one before'
        )
      else:
        _log_all(lines, log)
        return whole
    else:
      break
  if not found:
    return None
  _log_all(lines, log)
  raise CheckpointError(
    f'no checkpoint in {directory} can be restored: all '
    f'{len(found)} are damaged ({cause})'
  )


def _log_all(lines: list[str], log: Callable[[str], Any]) -> None:
  for line in lines:
    log(line)


def refuse(path: pathlib.Path) -> NoReturn:
  """Raises CheckpointError for one that was exported, where a run goes on."""
  raise CheckpointError(
    f'checkpoint {path} was exported: it has the weights and no optimizer, so '
    'that it can be looked at, and training cannot go on from it'
  )


def _identity(path: pathlib.Path) -> tuple[int, int] | None:
  """Returns what tells a directory from others that have had its name."""
  try:
    status = path.stat()
  except FileNotFoundError:
    return None
  return status.st_ino, status.st_mtime_ns
