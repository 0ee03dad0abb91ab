"""Checkpoints: everything an agent is, complete or absent.

One directory per checkpoint, named by the count of updates, with the two files
of checkpoint_files.py. It appears under its name as a whole, so that a kill, a
full disk or a power cut leaves the one before; the one that replaces another of
its number appears beside it first, as NUMBER.new. Only numbers that are finite
become a checkpoint.
"""

import itertools
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from worldmodels import errors
from worldmodels.agents.runs import checkpoint_files
from worldmodels.agents.runs.checkpoint_files import Counters
from worldmodels.agents.runs.checkpoint_files import Values
from worldmodels.data import atomic

_NAME = re.compile(r'(\d{8,})(\.new)?')
_NEW = '.new'
# How often a reader looks again because a writer has removed what it saw.
_LOOKS = 100


class Variable(Protocol):
  """The part of a variable that a checkpoint needs."""

  path: str

  def numpy(self) -> np.ndarray:
    """Returns the value."""

  def assign(self, value: np.ndarray) -> object:
    """Sets the value."""


class CheckpointError(errors.UserError, ValueError):
  """No checkpoint that can be restored; the message is one line."""


def save(
  directory: pathlib.Path,
  variables: Sequence[Variable],
  counters: Counters,
  keep: int = 3,
) -> None:
  """Writes a checkpoint and removes all but the last `keep` up to it.

  Args:
    directory: of all checkpoints.
    variables: with distinct `path`s.
    counters: JSON values; `updates` names the checkpoint.
    keep: how many stay.

  Raises:
    CheckpointError: a variable is not finite; the ones before are untouched.
    OSError: it could not be written; the ones before are untouched.
  """
  directory = pathlib.Path(directory)
  values = by_path(variables)
  _check_finite(values, directory)
  directory.mkdir(parents=True, exist_ok=True)
  atomic.remove_leftovers(directory)
  _rename_new(directory)
  updates = counters['updates']
  path = directory / f'{updates:08d}'
  if path.exists():
    path = path.with_name(path.name + _NEW)
  with atomic.directory(path) as partial:
    checkpoint_files.write(partial, values, counters)
  _tidy(directory, updates, keep)


def check_finite(
  directory: pathlib.Path, variables: Sequence[Variable]
) -> None:
  """Raises CheckpointError if `save` would because of the variables' values.

  Args:
    directory: of all checkpoints.
    variables: with distinct `path`s.
  """
  _check_finite(by_path(variables), pathlib.Path(directory))


def restore(
  directory: pathlib.Path,
  variables: Sequence[Variable],
  log: Callable[[str], Any] = print,
  updates: int | None = None,
  keep: int | None = None,
) -> Counters | None:
  """Restores the newest checkpoint that is whole; returns its counters.

  A damaged checkpoint is logged and the previous one is used.

  Args:
    directory: of all checkpoints.
    variables: to be set, all of them or none.
    log: called with a line for each damaged checkpoint.
    updates: takes the checkpoint of so many updates and no other.
    keep: how many stay, as with `save`, which a kill may have kept from it;
      None, for who only looks, changes nothing.

  Returns:
    the counters, or None where there has never been a checkpoint.

  Raises:
    CheckpointError: there are checkpoints and none can be restored, the one
      that is asked for is absent, or the variables have other names or shapes.
    PermissionError: the newest cannot be read.
  """
  found = _newest(directory, log, updates)
  if found is None:
    return None
  path, values, counters = found
  _assign(variables, values, path)
  if keep is not None:
    _tidy(pathlib.Path(directory), updates_of(path), keep)
  return counters


def check(
  directory: pathlib.Path, updates: int | None = None
) -> Counters | None:
  """Raises an error if `restore` would; returns the counters it would."""
  found = _newest(directory, lambda line: None, updates)
  return None if found is None else found[2]


def last_whole(directory: pathlib.Path) -> str:
  """Returns the path of the checkpoint that `restore` would take, as text."""
  try:
    found = _newest(directory, lambda line: None, None)
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


def by_path(variables: Sequence[Variable]) -> Values:
  """Returns {path: value}; distinct paths or ValueError."""
  values = {
    variable.path.replace('/', '.'): variable.numpy() for variable in variables
  }
  if len(values) != len(variables):
    raise ValueError('variables share a name')
  return values


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


def _newest(
  directory: pathlib.Path, log: Callable[[str], Any], updates: int | None
) -> tuple[pathlib.Path, Values, Counters] | None:
  """Reads the newest that is whole: (path, values, counters), or None.

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


def _identity(path: pathlib.Path) -> tuple[int, int] | None:
  """Returns what tells a directory from others that have had its name."""
  try:
    status = path.stat()
  except FileNotFoundError:
    return None
  return status.st_ino, status.st_mtime_ns


def _tidy(directory: pathlib.Path, updates: int, keep: int) -> None:
  """Leaves the last `keep` checkpoints up to one, and nothing half written."""
  atomic.remove_leftovers(directory)
  _rename_new(directory)
  # Later ones were passed over as damaged, or are not of this run.
  done = [path for path in complete(directory) if updates_of(path) <= updates]
  for old in done[:-keep]:
    atomic.remove_directory(old)


def _rename_new(directory: pathlib.Path) -> None:
  """Gives checkpoints that replace one of their number its name."""
  for path in complete(directory):
    if path.suffix == _NEW:
      replaced = path.with_suffix('')
      if replaced.exists():
        atomic.remove_directory(replaced)
      path.rename(replaced)


def _check_finite(values: Values, directory: pathlib.Path) -> None:
  wrong = checkpoint_files.not_finite(values)
  if wrong:
    raise CheckpointError(
      f'{len(wrong)} of {len(values)} variables are not finite any more (the '
      f'first is {wrong[0]}): no checkpoint is made of them; the last good one '
      f'is {last_whole(directory)}: lower optimizer.rate or optimizer.clip'
    )


def _assign(
  variables: Sequence[Variable], values: Values, path: pathlib.Path
) -> None:
  """Sets all variables, after every name and shape was found to match."""
  wanted = {key: value.shape for key, value in by_path(variables).items()}
  stored = {key: value.shape for key, value in values.items()}
  for key in sorted(wanted.keys() | stored.keys()):
    if wanted.get(key) != stored.get(key):
      raise CheckpointError(
        f'checkpoint {path} does not match this agent: {key} is '
        f'{stored.get(key, "absent")} in the checkpoint and '
        f'{wanted.get(key, "absent")} in the agent'
      )
  for variable in variables:
    variable.assign(values[variable.path.replace('/', '.')])
