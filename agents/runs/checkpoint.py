"""Checkpoints: everything an agent is, complete or absent.

One directory per checkpoint, named by the count of updates, with the two files
of checkpoint_files.py. It appears under its name as a whole, so that a kill, a
full disk or a power cut leaves the one before; the one that replaces another of
its number appears beside it first, as NUMBER.new. Only numbers that are finite
become a checkpoint.
"""

import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from worldmodels.agents.runs import checkpoint_files
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs.checkpoint_files import Counters
from worldmodels.agents.runs.checkpoint_files import Values
from worldmodels.agents.runs.checkpoint_list import CheckpointError
from worldmodels.data import atomic

# Variables that came later, which an older checkpoint lacks.
_LATER = re.compile(r'units\..+\.(one|mean|square)')


class Variable(Protocol):
  """The part of a variable that a checkpoint needs."""

  path: str

  def numpy(self) -> np.ndarray:
    """Returns the value."""

  def assign(self, value: np.ndarray) -> object:
    """Sets the value."""


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
    path = path.with_name(path.name + checkpoint_list.NEW)
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
  exported: Sequence[Variable] = (),
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
    exported: those to be set by a checkpoint of export.py, which has no others;
      none, for who has to go on learning, refuses such a one.

  Returns:
    the counters, or None where there has never been a checkpoint.

  Raises:
    CheckpointError: there are checkpoints and none can be restored, the one
      that is asked for is absent, or the variables have other names or shapes.
    PermissionError: the newest cannot be read.
  """
  found = checkpoint_list.newest(directory, log, updates)
  if found is None:
    return None
  path, values, counters = found
  if counters.get(checkpoint_list.EXPORTED):
    variables = exported or checkpoint_list.refuse(path)
  _assign(variables, values, path)
  if keep is not None:
    _tidy(pathlib.Path(directory), checkpoint_list.updates_of(path), keep)
  return counters


def by_path(variables: Sequence[Variable]) -> Values:
  """Returns {path: value}; distinct paths or ValueError."""
  values = {
    variable.path.replace('/', '.'): variable.numpy() for variable in variables
  }
  if len(values) != len(variables):
    raise ValueError('variables share a name')
  return values


def _tidy(directory: pathlib.Path, updates: int, keep: int) -> None:
  """Leaves the last `keep` checkpoints up to one, and nothing half written."""
  atomic.remove_leftovers(directory)
  _rename_new(directory)
  # Later ones were passed over as damaged, or are not of this run.
  done = [
    path
    for path in checkpoint_list.complete(directory)
    if checkpoint_list.updates_of(path) <= updates
  ]
  for old in done[:-keep]:
    atomic.remove_directory(old)


def _rename_new(directory: pathlib.Path) -> None:
  """Gives checkpoints that replace one of their number its name."""
  for path in checkpoint_list.complete(directory):
    if path.suffix == checkpoint_list.NEW:
      replaced = path.with_suffix('')
      if replaced.exists():
        atomic.remove_directory(replaced)
      path.rename(replaced)


def _check_finite(values: Values, directory: pathlib.Path) -> None:
  wrong = checkpoint_files.not_finite(values)
  if wrong:
    last = checkpoint_list.last_whole(directory)
    raise CheckpointError(
      f'{len(wrong)} of {len(values)} variables are not finite any more (the '
      f'first is {wrong[0]}): no checkpoint is made of them; the last good one '
      f'is {last}: lower optimizer.rate or optimizer.clip'
    )


def _assign(
  variables: Sequence[Variable], values: Values, path: pathlib.Path
) -> None:
  """Sets all variables, after every name and shape was found to match.

  Those that are of a later version stay as they are, as at the start.
  """
  wanted = {key: value.shape for key, value in by_path(variables).items()}
  stored = {key: value.shape for key, value in values.items()}
  later = {
    key for key in wanted.keys() - stored.keys() if _LATER.fullmatch(key)
  }
  for key in sorted((wanted.keys() | stored.keys()) - later):
    if wanted.get(key) != stored.get(key):
      raise CheckpointError(
        f'checkpoint {path} does not match this agent: {key} is '
        f'{stored.get(key, "absent")} in the checkpoint and '
        f'{wanted.get(key, "absent")} in the agent'
      )
  for variable in variables:
    key = variable.path.replace('/', '.')
    if key not in later:
      variable.assign(values[key])
