"""Reads paths that users give: a `~` that no shell has expanded, or nothing."""

import pathlib

from worldmodels import errors


def expanded(option: str, path: str | pathlib.Path) -> pathlib.Path:
  """Returns a path with its `~` expanded: a shell leaves that of --flag=~/x.

  Args:
    option: the flag that it is of, for messages.
    path: as the user gave it.

  Raises:
    OptionError: it is empty, or names no user.
  """
  if not str(path).strip() or '\0' in str(path):
    raise errors.OptionError(option, f'is {str(path)!r}; it is a path')
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as error:
    raise errors.OptionError(
      option, f'is {str(path)!r}; there is no such user'
    ) from error
