"""Keeps the metadata of a store: how episodes were made, which were deleted."""

import json
import pathlib
from typing import Any

from worldmodels import errors
from worldmodels.data import atomic
from worldmodels.data import episode_files
from worldmodels.data import reading

_METADATA = 'metadata.json'
_DELETED = 'deleted.json'
# What must be of a kind, because it is counted with.
_COUNTS = ('action_repeat', 'size')


class StoreError(errors.UserError):
  """A store that cannot do its work; the message says why."""


def match_metadata(
  directory: pathlib.Path, asked: dict[str, Any], write: bool = True
) -> dict[str, Any]:
  """Compares the metadata asked for with those written beside the episodes.

  Args:
    directory: of the store.
    asked: JSON values by name; names that are new are added.
    write: whether those are written as well.

  Returns:
    All metadata, the new ones among them.

  Raises:
    StoreError: a value differs, with one line for each; or what is written
      there is not the metadata of a store.
  """
  asked = json.loads(json.dumps(asked))  # As it will be read again.
  path = directory / _METADATA
  stored = _read(path)
  for key in _COUNTS:
    value = stored.get(key, 1)
    if type(value) is not int or value < 1:
      raise StoreError(
        f'{path} is damaged: {key} is {_short(value)}, not a whole number '
        'from 1'
      )
  differences = [
    f'{key}: stored {_short(stored[key])}, asked {value}'
    for key, value in asked.items()
    if key in stored and stored[key] != value
  ]
  if differences:
    lines = '\n'.join(differences)
    raise StoreError(f'{directory} was made otherwise:\n{lines}')
  merged = {**stored, **asked}
  if write and merged != stored:
    _write(path, merged)
  return merged


class Deleted:
  """Count of the episodes that were deleted to keep within the capacity.

  Attributes:
    episodes: deleted since the store was made.
    agent_steps, env_steps: in those.
    names: files that were deleted last; a kill may have left some.

  Args:
    directory: of the store.
    action_repeat: env_steps per agent_step, where env_steps were not counted.

  Raises:
    StoreError: what is written there is not that.
  """

  def __init__(self, directory: pathlib.Path, action_repeat: int):
    self._directory = directory
    path = directory / _DELETED
    record = _read(path)
    self.episodes = record.get('episodes', 0)
    self.agent_steps = record.get('agent_steps', 0)
    names = record.get('names', [])
    for key in ('episodes', 'agent_steps', 'env_steps'):
      value = record.get(key, 0)
      if type(value) is not int or value < 0:
        raise StoreError(
          f'{path} is damaged: {key} is {_short(value)}, not a whole number '
          'from 0'
        )
    self.env_steps = record.get('env_steps', self.agent_steps * action_repeat)
    if not isinstance(names, list):
      raise StoreError(f'{path} is damaged: names is {_short(names)}, no list')
    for name in names:
      # It would be deleted: nothing but our own files, and those in here.
      own = isinstance(name, str) and episode_files.number_in(name) is not None
      if not own:
        raise StoreError(
          f'{path} is damaged: it has {_short(name)} among the names of '
          'deleted episodes; remove that'
        )
    self.names = frozenset(names)

  def delete(self, names: list[str], agent_steps: int, env_steps: int) -> None:
    """Deletes files; should it be interrupted, `finish` goes on."""
    self.episodes += len(names)
    self.agent_steps += agent_steps
    self.env_steps += env_steps
    self.names = frozenset(names)
    record = {
      'episodes': self.episodes,
      'agent_steps': self.agent_steps,
      'env_steps': self.env_steps,
      'names': names,
    }
    _write(self._directory / _DELETED, record)
    self.finish()

  def finish(self) -> None:
    """Removes the files of `names` that are still there."""
    for name in sorted(self.names):
      (self._directory / name).unlink(missing_ok=True)


def _read(path: pathlib.Path) -> dict[str, Any]:
  try:
    content = reading.json_in(path, finite=True)
  except FileNotFoundError:
    return {}
  except reading.FileError as error:
    raise StoreError(str(error)) from error
  if not isinstance(content, dict):
    raise StoreError(f'{path} is damaged: it holds no object {{...}}')
  return content


def _write(path: pathlib.Path, values: dict[str, Any]) -> None:
  text = json.dumps(values, indent=2, sort_keys=True) + '\n'
  atomic.write(path, lambda file: file.write(text.encode()), sweep=False)


def _short(value: object) -> str:
  """Returns a value of a file in a few characters of one line."""
  if isinstance(value, str):
    text = value if value.isprintable() else ascii(value)
  else:
    text = json.dumps(value)
  return text if len(text) < 60 else f'{text[:56]} ...'
