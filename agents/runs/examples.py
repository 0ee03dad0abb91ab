"""Finished runs that come with the package, to look at and to start from.

Each is a folder of agents/examples as `worldmodels export` makes it, with a
card.md that says how it was made and what it scores.
"""

import pathlib

from worldmodels import errors
from worldmodels.agents.runs import paths

PREFIX = 'example:'

_ROOT = pathlib.Path(__file__).parent.parent / 'examples'


def names() -> list[str]:
  """Lists the examples."""
  return sorted(path.parent.name for path in _ROOT.glob('*/config.json'))


def path(name: str) -> pathlib.Path:
  """Returns the directory of the run that `example:NAME` stands for.

  Args:
    name: with `example:` before it.

  Raises:
    OptionError: there is no such example.
  """
  found = name.removeprefix(PREFIX)
  if found not in names():
    raise errors.OptionError(
      '--logdir',
      f'is {name[:80]!r}; the examples are '
      + ', '.join(PREFIX + there for there in names()),
    )
  return _ROOT / found


def located(directory: str | pathlib.Path) -> pathlib.Path:
  """Returns the path of a --logdir, which may be an example or start with ~.

  Raises:
    OptionError: it is empty, or names no example or no user.
  """
  if str(directory).startswith(PREFIX):
    return path(str(directory))
  return paths.expanded('--logdir', directory)


def holds(directory: pathlib.Path) -> bool:
  """Returns whether a directory is that of an example."""
  return directory.resolve().parent == _ROOT.resolve()
