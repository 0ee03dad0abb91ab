"""Finds the runs that a path stands for, by their files of metrics."""

import pathlib

from worldmodels import errors

METRICS = 'metrics.jsonl'
# Folders within each other: those of a sweep are setting, task and seed.
_DEEPEST = 3


class RecordError(errors.UserError, ValueError):
  """Something is no record of a run; the message is one line."""


def find(path: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files of metrics that a path stands for.

  Args:
    path: of a run, of a file of metrics, or of folders that hold some.

  Raises:
    RecordError: there is nothing of a run.
  """
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise RecordError(f'--logdir={path}: there is no such run')
  if (path / METRICS).exists() or (path / 'config.json').exists():
    return [path / METRICS]
  below = _below(path, _DEEPEST)
  if not below:
    raise RecordError(
      f'--logdir={path} holds no {METRICS}, nor do its folders: not a run'
    )
  return below


def _below(path: pathlib.Path, depth: int) -> list[pathlib.Path]:
  """Returns the files of metrics in folders, but not those inside a run."""
  found = []
  for folder in sorted(x for x in path.iterdir() if x.is_dir()):
    if (folder / METRICS).exists():
      found.append(folder / METRICS)
    elif depth > 1 and not (folder / 'config.json').exists():
      found += _below(folder, depth - 1)
  return found
