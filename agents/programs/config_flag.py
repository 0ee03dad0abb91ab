"""The flag --config: a config of the package by name, or a file of one's own.

  --config=planet:cpu          configs/planet.py of the package, preset cpu
  --config=mine/ball.py:fast   a file with `get_config(preset)`

Any key of it can be set: --config.dynamics.deter=64. Wrong ones are answered
with the nearest, before anything else is done.
"""

import difflib
import os
import pathlib
import re

import ml_collections
from absl import flags
from ml_collections import config_flags

from worldmodels import configs
from worldmodels import errors
from worldmodels.agents.runs.config_checks import flatten

_CONFIG = re.compile(r'--?config(?:=(.*))?')
_KEY = re.compile(r'--?(?:no)?config\.([^=]+)')

# The flag is of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


class FlagError(errors.UserError):
  """A wrong value of --config or of one of its keys; one line."""


def define(text: str) -> flags.FlagHolder:
  """Defines --config, with `text` as its help, and returns its holder."""
  try:
    return config_flags.DEFINE_config_file('config', None, text)
  except flags.Error as error:  # It reads files of flags at once.
    raise FlagError(str(error)) from error


def path_of(value: str) -> str:
  """Returns `FILE:PRESET` for `NAME:PRESET`, a config of the package.

  Raises:
    FlagError: it is neither a config of the package nor a file.
  """
  name, colon, preset = value.partition(':')
  if os.path.isfile(name):
    return value
  own = {
    path.stem: str(path)
    for folder in configs.__path__
    for path in pathlib.Path(folder).glob('*.py')
    if path.stem != '__init__'
  }
  if name in own:
    return f'{own[name]}{colon}{preset}'
  raise FlagError(
    f'--config={value}: there is no file {name!r} in {os.getcwd()}, and the '
    f'configs of the package are {", ".join(sorted(own))}'
  )


def load(value: str) -> ml_collections.ConfigDict:
  """Returns the config that `--config=value` names."""
  path = path_of(value)
  try:
    config = flags.FLAGS['config'].parser.parse(path)
  except (
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
  ) as error:
    # The message may be a whole trace, which ends with what matters.
    lines = str(error).strip().splitlines()
    last = f'{type(error).__name__}: {error}' if len(lines) < 2 else lines[-1]
    raise FlagError(f'--config={value}: {last}') from error
  if not isinstance(config, ml_collections.ConfigDict):
    raise FlagError(
      f'--config={value}: its get_config returns a {type(config).__name__}, '
      'not a ConfigDict'
    )
  return config


def parse(default: str, argv: list[str]) -> list[str]:
  """Parses flags among which is --config; returns the other arguments.

  ml_collections would find wrong keys as well, in traces that name no near one.

  Args:
    default: of --config.
    argv: the program's name and its arguments.

  Raises:
    FlagError: there is no such config, or no such key in it.
  """
  value, others = _take(argv[1:])
  value = default if value is None else value
  preset = flatten(load(value).to_dict())
  for match in filter(None, map(_KEY.match, others)):
    _check_key(match[1], preset)
  rest = flags.FLAGS([argv[0], f'--config={path_of(value)}', *others])
  _check_tuples(preset, flags.FLAGS['config'].value.to_dict())
  return rest


def _take(arguments: list[str]) -> tuple[str | None, list[str]]:
  """Returns the value of --config, the last if it is repeated, and the rest."""
  value, others = None, []
  remaining = iter(arguments)
  for argument in remaining:
    match = _CONFIG.fullmatch(argument)
    if match is None:
      others.append(argument)
    else:
      value = next(remaining, '') if match[1] is None else match[1]
  return value, others


def _check_key(name: str, keys: dict) -> None:
  """Raises a FlagError if a key that is set is not in the config."""
  below = [key for key in keys if key.startswith(f'{name}.')]
  if below:
    raise FlagError(
      f'{name} is a group of keys; set one of them, as in '
      f'--config.{below[0]}={keys[below[0]]}'
    )
  if name not in keys:
    raise FlagError(
      f'no key {name!r} in the config; did you mean {_nearest(name, keys)!r}?'
    )


def _check_tuples(preset: dict, config: dict) -> None:
  """Raises a FlagError if a tuple has parts of another type."""
  for key, value in flatten(config).items():
    if isinstance(value, tuple) and preset[key]:
      kind = type(preset[key][0])
      wrong = [part for part in value if not isinstance(part, kind)]
      if wrong:
        raise FlagError(f'--config.{key}: {wrong[0]!r} is no {kind.__name__}')


def _nearest(name: str, keys: dict) -> str:
  """Returns the key that was likely meant, perhaps without its group."""

  def likeness(key: str) -> float:
    pairs = ((name, key), (name.split('.')[-1], key.split('.')[-1]))
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

  return max(keys, key=likeness)
