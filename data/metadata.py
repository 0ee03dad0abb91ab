"""Keeps the metadata of a store: how episodes were made, which were deleted."""

import json
import pathlib
from typing import Any

from worldmodels import errors
from worldmodels.data import atomic

_METADATA = 'metadata.json'
_DELETED = 'deleted.json'


class StoreError(errors.UserError):
  """A store that cannot do its work; the message says why."""


def match_metadata(
  directory: pathlib.Path, asked: dict[str, Any]
) -> dict[str, Any]:
  """Compares the metadata asked for with those written beside the episodes.

  Args:
    directory: of the store.
    asked: JSON values by name; names that are new are added.

  Returns:
    All metadata that are written there now.

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
  """Count of the episodes that were deleted to keep within the capacity.

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


def _read(path: pathlib.Path) -> dict[str, Any]:
  try:
    return json.loads(path.read_text())
  except FileNotFoundError:
    return {}
  except ValueError as error:
    raise StoreError(f'{path} is damaged: {error}') from error


def _write(path: pathlib.Path, values: dict[str, Any]) -> None:
  text = json.dumps(values, indent=2, sort_keys=True) + '\n'
  atomic.write_bytes(path, text.encode())
