"""Checks the file that a program is to write before its work, not after."""

import json
import os
import pathlib
from collections.abc import Sequence

from worldmodels import errors
from worldmodels.agents.runs.paths import expanded
from worldmodels.data import atomic


def check(option: str, name: str, endings: Sequence[str] = ()) -> pathlib.Path:
  """Returns the path of a file that can be written.

  Args:
    option: the flag that names it, for messages.
    name: as the user gave it.
    endings: one of which it has to have, if there are any.

  Raises:
    OptionError: it has another ending, or cannot be written.
  """
  path = expanded(option, name)
  ending = path.suffix.lower()
  if endings and ending not in endings:
    raise errors.OptionError(
      option,
      f'is {name!r}, which ends in {ending or "nothing"!r}; it ends in '
      f'{" or ".join(endings)}',
    )
  try:
    if path.exists() and not path.is_file():
      kind = 'a directory' if path.is_dir() else 'no regular file'
      raise errors.OptionError(option, f'is {name!r}, {kind}; it is a file')
    if not path.parent.is_dir():
      raise errors.OptionError(
        option, f'is {name!r}; no {path.parent} is there'
      )
    if not os.access(path.parent, os.W_OK):
      raise errors.OptionError(
        option, f'is {name!r}; {path.parent} is not writable'
      )
    atomic.check_writable(path, b'')
  except OSError as error:
    raise errors.OptionError(
      option, f'is {name!r}: {error.strerror}'
    ) from error
  return path


def write_json(option: str, name: str, values: object) -> None:
  """Writes values as JSON, the file whole at any time.

  Args:
    option: the flag that names the file, for messages.
    name: as the user gave it.
    values: that JSON has.

  Raises:
    OptionError: it cannot be written.
  """
  text = json.dumps(values, indent=1) + '\n'
  atomic.write_bytes(check(option, name), text.encode())
