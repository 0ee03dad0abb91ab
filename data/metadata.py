"""What lies beside the episodes: how they were made, and which are gone."""

import json
import pathlib

from . import atomic

_METADATA = 'metadata.json'
_DELETED = 'deleted.json'


class StoreError(ValueError):
  """The store does not fit what is asked of it; the message says why."""


def match(directory: pathlib.Path, asked: dict) -> dict:
  """Holds what is asked of a store to what is written beside its episodes.

  Args:
    directory: of the store.
    asked: JSON values by name; names that are new are added.

  Returns:
    All that is written there now.

  Raises:
    StoreError: a value differs, with one line for each.
  """
  asked = json.loads(json.dumps(asked))  # As it will be read again.
  stored = _read(directory / _METADATA)
  differences = [
    f'{key}: stored {stored[key]}, asked {value}'
    for key, value in asked.items()
    if key in stored and stored[key] != value
  ]
  if differences:
    lines = '\n'.join(differences)
    raise StoreError(f'{directory} was made otherwise:\n{lines}')
  merged = {**stored, **asked}
  if merged != stored:
    _write(directory / _METADATA, merged)
  return merged


class Deleted:
  """The count of episodes that were deleted to keep within the capacity.

  Attributes:
    episodes: deleted since the store was made.
    agent_steps: in those.
  """

  def __init__(self, directory: pathlib.Path):
    self._directory = directory
    record = _read(directory / _DELETED)
    self.episodes = record.get('episodes', 0)
    self.agent_steps = record.get('agent_steps', 0)
    self._unlink(record.get('names', []))  # A crash may have left some.

  def delete(self, names: list[str], agent_steps: int) -> None:
    """Deletes files; should it be interrupted, they are gone when reopened."""
    self.episodes += len(names)
    self.agent_steps += agent_steps
    record = {
      'episodes': self.episodes,
      'agent_steps': self.agent_steps,
      'names': names,
    }
    _write(self._directory / _DELETED, record)
    self._unlink(names)

  def _unlink(self, names: list[str]) -> None:
    for name in names:
      (self._directory / name).unlink(missing_ok=True)


def _read(path: pathlib.Path) -> dict:
  try:
    return json.loads(path.read_text())
  except FileNotFoundError:
    return {}
  except ValueError as error:
    raise StoreError(f'{path} is damaged: {error}') from error


def _write(path: pathlib.Path, values: dict) -> None:
  text = json.dumps(values, indent=2, sort_keys=True) + '\n'
  atomic.write(path, lambda file: file.write(text.encode()))
