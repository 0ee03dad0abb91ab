"""The flag --config: a config of the package by name, or a file of one's own.

  --config=planet:cpu          configs/planet.py of the package, preset cpu
  --config=mine/ball.py:fast   a file with `get_config(preset)`

Any key of it can be set: --config.dynamics.deter=64. Wrong keys are answered
with the nearest, wrong values with their range, before anything else is done.
"""

import ast
import difflib
import os
import pathlib
import re
import textwrap
import traceback
from collections.abc import Mapping
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from worldmodels import configs
from worldmodels import errors
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs.config_checks import flatten

_CONFIG = re.compile(r'--?config(?:=(.*))?')
_KEY = re.compile(r'--?(?:no)?config\.([^=]+)')
# What keys and groups were called before 0.1.
_OLD_NAMES = (
  (r'^rssm\.', 'dynamics.'),
  (r'^behaviour\.', 'learner.'),
  (r'^(actor|critic)\.', r'learner.\1.'),
  (r'^encoder\.image$', 'encoder.kind'),
  (r'\.name$', '.kind'),
)
# How ml_collections begins the message of an error that it has caught.
_RAISED_AGAIN = 'Error whilst parsing config file'
# Keys less alike than that are no hint.
_ALIKE = 0.6
# Of help.
_WIDTH, _COLUMN = 80, 36

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
  name = os.path.expanduser(name)  # A shell leaves that of --config=~/x.
  if os.path.isfile(name):
    return f'{name}{colon}{preset}'
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
  except (Exception, SystemExit) as error:  # noqa: BLE001 (of the user's file)
    raise FlagError(f'--config={value}: {_explain(error, path)}') from error
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
    ConfigError: nothing can be made of its values.
  """
  value, others = take(argv[1:])
  value = default if value is None else value
  preset = flatten(load(value).to_dict())
  for match in filter(None, map(_KEY.match, others)):
    _check_key(match[1], preset, value)
  rest = flags.FLAGS([argv[0], f'--config={path_of(value)}', *others])
  config = flags.FLAGS['config'].value
  _check_tuples(preset, config.to_dict())
  config_checks.check(config, _own_keys(value))
  return rest


def changed(value: str, values: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Returns the config that `--config=value` names with other values of keys.

  Raises:
    FlagError: there is no such config, or no such key in it.
    ConfigError: nothing can be made of its values.
  """
  config = load(value)
  preset = flatten(config.to_dict())
  for name, given in values.items():
    _check_key(name, preset, value)
    try:
      config.update_from_flattened_dict({name: given})
    except (TypeError, ValueError) as error:
      raise config_checks.ConfigError(
        f'{name} is {repr(given)[:80]}; it is a value such as '
        f'{repr(preset[name])[:80]}'
      ) from error
  _check_tuples(preset, config.to_dict())
  config_checks.check(config, _own_keys(value))
  return config


def chosen() -> dict[str, Any]:
  """Returns the keys of the config that flags have set, with their values."""
  values = flatten(flags.FLAGS['config'].value.to_dict())
  return {
    key: value
    for key, value in values.items()
    if f'config.{key}' in flags.FLAGS and flags.FLAGS[f'config.{key}'].present
  }


def take(arguments: list[str]) -> tuple[str | None, list[str]]:
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


def describe(value: str) -> str:
  """Returns the help of the keys of the config that `--config=value` names."""
  config = flatten(load(value).to_dict())
  keys = config_keys.merge(config_keys.of_package(), _own_keys(value))
  source = pathlib.Path(_file(value)).read_text()
  lines = [ast.get_docstring(ast.parse(source)) or '', '']
  lines.append(f'The keys of {value}, set as --config.KEY=VALUE:')
  # In the order in which configs have them; but groups keep together.
  names = [*(name for name in keys if name in config)]
  names += sorted(config.keys() - {*names})
  groups = list(dict.fromkeys(name.partition('.')[0] for name in names))
  for name in sorted(names, key=lambda x: groups.index(x.partition('.')[0])):
    lines += _row(f'{name}={config[name]}', config_keys.lookup(keys, name))
  return '\n'.join(lines)


def _row(key: str, about: object) -> list[str]:
  """Returns the lines of a key and what is said about it, in two columns."""
  text = textwrap.wrap(
    str(about or ''), width=_WIDTH - _COLUMN, break_on_hyphens=False
  )
  if len(key) > _COLUMN - 4 or not text:
    return [f'  {key}', *(' ' * _COLUMN + line for line in text)]
  first, *others = text
  return [
    f'  {key:{_COLUMN - 2}}{first}',
    *(' ' * _COLUMN + line for line in others),
  ]


def _file(value: str) -> str:
  """Returns the path of the file that --config=value names."""
  return path_of(value).partition(':')[0]


def _own_keys(value: str) -> dict[str, config_keys.Key]:
  """Returns what a file of one's own says of its keys."""
  path = pathlib.Path(_file(value))
  if path.parent in map(pathlib.Path, configs.__path__):
    return {}  # They are read anyway.
  return config_keys.read(path.read_text())


def _explain(error: BaseException, path: str) -> str:
  """Returns one line for what a file of configs raised, and where."""
  if isinstance(error, SystemExit):
    return 'it ends the program'
  if str(error).startswith(_RAISED_AGAIN):
    error = error.__context__
  text = '; '.join(filter(None, map(str.strip, str(error).splitlines())))
  text = f'{type(error).__name__}: {text}' if text else type(error).__name__
  file, _, _ = path.partition(':')
  places = [
    frame.lineno
    for frame in traceback.extract_tb(error.__traceback__)
    if frame.filename == file
  ]
  return f'{text} ({file}, line {places[-1]})' if places else text


def _check_key(name: str, keys: dict[str, Any], config: str) -> None:
  """Raises a FlagError if a key that is set is not in the config."""
  below = [key for key in keys if key.startswith(f'{name}.')]
  if below:
    raise FlagError(
      f'{name} is a group of keys; set one of them, as in '
      f'--config.{below[0]}={keys[below[0]]}'
    )
  if name not in keys:
    near = _nearest(name, keys)
    hint = (
      f'did you mean {near!r}?'
      if near
      else f'--config={config} --help lists its keys'
    )
    raise FlagError(f'no key {name!r} in the config; {hint}')


def _check_tuples(preset: dict, config: dict) -> None:
  """Raises a FlagError if a tuple has parts of another type."""
  for key, value in flatten(config).items():
    if isinstance(value, tuple) and preset[key]:
      kind = type(preset[key][0])
      wrong = [part for part in value if not isinstance(part, kind)]
      if wrong:
        raise FlagError(f'--config.{key}: {wrong[0]!r} is no {kind.__name__}')


def _nearest(name: str, keys: dict[str, Any]) -> str | None:
  """Returns the key that was likely meant, perhaps without its group."""
  for old, new in _OLD_NAMES:
    name = re.sub(old, new, name)
  # Abbreviated: the beginning of each part.
  parts = name.split('.')
  begun = [
    key
    for key in keys
    if len(key.split('.')) == len(parts)
    and all(map(str.startswith, key.split('.'), parts))
  ]
  if begun:
    return begun[0]

  def likeness(key: str) -> tuple[float, float]:
    whole, last = (
      difflib.SequenceMatcher(None, *pair).ratio()
      for pair in ((name, key), (parts[-1], key.split('.')[-1]))
    )
    return max(whole, last), whole + last

  nearest = max(keys, key=lambda key: sum(likeness(key)))
  return nearest if likeness(nearest)[0] >= _ALIKE else None
