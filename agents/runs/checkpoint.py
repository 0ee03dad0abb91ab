"""Checkpoints: everything an agent is, complete or absent.

One directory per checkpoint, named by the count of updates: variables.npz (no
pickles) and counters.json, which has a checksum of both. It appears under its
name as a whole, so that a kill, a full disk or a power cut leaves the one
before.
"""

import json
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from worldmodels import errors
from worldmodels.data import atomic

_DAMAGE = (
  zipfile.BadZipFile,
  zlib.error,
  ValueError,
  KeyError,
  EOFError,
  NotImplementedError,
  OSError,
)
_VARIABLES, _COUNTERS = 'variables.npz', 'counters.json'

Counters = dict[str, Any]
Values = dict[str, np.ndarray]


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
  """Writes a checkpoint and removes all but the last `keep`.

  Args:
    directory: of all checkpoints.
    variables: with distinct `path`s.
    counters: JSON values; `updates` names the checkpoint.
    keep: how many stay.

  Raises:
    OSError: it could not be written; the ones before are untouched.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  atomic.remove_leftovers(directory)
  values = by_path(variables)
  with atomic.directory(directory / f'{counters["updates"]:08d}') as partial:
    with open(partial / _VARIABLES, 'wb') as file:
      np.savez(file, **values)
    checksum = _checksum(partial, counters)
    text = json.dumps(dict(counters, checksum=checksum))
    (partial / _COUNTERS).write_text(text)
  for old in complete(directory)[:-keep]:
    atomic.remove_directory(old)


def restore(
  directory: pathlib.Path,
  variables: Sequence[Variable],
  log: Callable[[str], Any] = print,
  updates: int | None = None,
) -> Counters | None:
  """Restores the newest checkpoint that is whole; returns its counters.

  A damaged checkpoint is logged and the previous one is used.

  Args:
    directory: of all checkpoints.
    variables: to be set, all of them or none.
    log: called with a line for each damaged checkpoint.
    updates: takes the checkpoint of so many updates and no other.

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
  return counters


def check(directory: pathlib.Path, updates: int | None = None) -> None:
  """Raises an error if `restore` would find no usable checkpoint."""
  _newest(directory, lambda line: None, updates)


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
  chosen = [path for path in found if int(path.name) == updates]
  if not chosen:
    there = ', '.join(str(int(path.name)) for path in found) or 'none'
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
  found = [
    path for path in directory.iterdir() if re.fullmatch(r'\d{8,}', path.name)
  ]
  return sorted(found, key=lambda path: int(path.name))


def _newest(
  directory: pathlib.Path, log: Callable[[str], Any], updates: int | None
) -> tuple[pathlib.Path, Values, Counters] | None:
  """Reads the newest that is whole: (path, values, counters), or None."""
  found = restorable(directory, updates)
  cause = None
  for path in reversed(found):
    try:
      return path, *_read(path)
    except PermissionError:
      raise  # Nothing is known about it.
    except _DAMAGE as error:
      cause = f'{type(error).__name__}: {error}'
      log(f'checkpoint {path} is damaged ({cause}); trying the one before')
  if found:
    raise CheckpointError(
      f'no checkpoint in {directory} can be restored: all '
      f'{len(found)} are damaged ({cause})'
    )
  return None


def _read(path: pathlib.Path) -> tuple[Values, Counters]:
  counters = json.loads((path / _COUNTERS).read_text())
  # The first ones had none.
  checksum = counters.pop('checksum', None)
  if checksum not in (None, _checksum(path, counters)):
    raise ValueError('its checksum is wrong')
  with np.load(path / _VARIABLES, allow_pickle=False) as file:
    return {key: file[key] for key in file.files}, counters


def _checksum(path: pathlib.Path, counters: Counters) -> int:
  """Returns the CRC-32 of the counters and of the file of variables."""
  checksum = zlib.crc32(json.dumps(counters, sort_keys=True).encode())
  with open(path / _VARIABLES, 'rb') as file:
    while block := file.read(1 << 20):
      checksum = zlib.crc32(block, checksum)
  return checksum


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
