"""Reads a file of settings: {name: {key of the config: value}}.

TOML or JSON, of which nothing is executed:

  [preset]

  [light_kl]
  kl.posterior_scale = 0.1

  [dreamer]
  config = "dreamer:cpu"

A setting may be empty, and may name another config than --config does. Groups
and keys with points mean the same.
"""

import json
import pathlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worldmodels import errors
from worldmodels.data import reading

# What a setting is called, which is also a folder.
NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}')
CONFIG = 'config'  # the key that names a config
MOST = 1000
# Names of other things in the folder of a sweep: see directory.py.
_RESERVED = (
  *('episodes', 'table.csv', 'table.md', 'report.html', 'scores.csv'),
  *('sweep.json', 'claim.json', 'config.json', 'metrics.jsonl'),
)

_LARGEST = 1 << 20  # bytes
_LONGEST = 4096  # bytes of a line of TOML, whose reader is slow on longer ones
_ENDINGS = {'.toml': tomllib.loads, '.json': None}
# Of the sweep, not of a setting.
_TAKEN = {
  'task': '--tasks',
  'seed': '--seeds',
  'train.updates_total': '--updates',
  'preset': '--config',
}

Values = dict[str, Any]


class SettingsError(errors.UserError, ValueError):
  """A file of settings that cannot be used; the message is one line."""


def read(path: pathlib.Path) -> dict[str, Values]:
  """Returns the settings of a file in order, {name: {key: value}}.

  Raises:
    SettingsError: it holds no settings.
    OSError: it cannot be read.
  """
  if path.suffix.lower() not in _ENDINGS:
    raise SettingsError(
      f'--settings={path} ends in {path.suffix or "nothing"!r}; it is a file '
      f'that ends in {" or ".join(_ENDINGS)}'
    )
  try:
    content = reading.bytes_in(path, _LARGEST)
    found = _parsed(content, path.suffix.lower())
  except FileNotFoundError as error:
    raise SettingsError(f'--settings={path}: there is no such file') from error
  except reading.FileError as error:
    raise SettingsError(f'--settings={error}') from error
  except (ValueError, RecursionError) as error:
    said = ' '.join(str(error).split())[:200]
    raise SettingsError(f'--settings={path}: {said}') from error
  if not isinstance(found, dict):
    raise SettingsError(
      f'--settings={path} holds no settings: they are NAME and its keys'
    )
  if not found:
    raise SettingsError(f'--settings={path} is empty; it names settings')
  if len(found) > MOST:
    raise SettingsError(
      f'--settings={path} has {len(found)} settings; at most {MOST}'
    )
  return {name: _setting(path, name, found[name]) for name in found}


def _parsed(content: bytes, ending: str) -> object:
  """Returns what a file holds; names that come twice are errors."""
  text = content.decode()
  if ending == '.json':
    return json.loads(text, object_pairs_hook=_once)
  for number, line in enumerate(text.splitlines(), 1):
    if len(line) > _LONGEST:
      raise ValueError(f'line {number} is longer than {_LONGEST} characters')
  return tomllib.loads(text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) < len(pairs):
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f'{twice[:80]!r} is there twice')
  return found


def _setting(path: pathlib.Path, name: str, values: object) -> Values:
  """Returns {key: value} of a setting."""
  if not NAME.fullmatch(name):
    raise SettingsError(
      f'--settings={path}: a setting is called {name[:80]!r}; a name has up to '
      '64 letters, digits and any of _ . + -'
    )
  if name in _RESERVED:
    raise SettingsError(
      f'--settings={path}: a setting is called {name!r}, as something else in '
      'the folder of a sweep is'
    )
  where = f'--settings={path}, {name}'
  if not isinstance(values, dict):
    raise SettingsError(
      f'{where} is a {type(values).__name__}; it is keys of the config and '
      'their values'
    )
  for key, value in values.items():
    if isinstance(value, dict) and key[:1].isdecimal():
      raise SettingsError(
        f'{where}: {key[:80]} is no group of keys; a name with a point is '
        f'quoted, as in ["{name}.{key[:20]}"]'
      )
  found: Values = {}
  for key, value in _flat(values, where):
    if key in found:
      raise SettingsError(f'{where}: {key[:80]} is there twice')
    if key in _TAKEN:
      raise SettingsError(f'{where}: {key} belongs to {_TAKEN[key]}')
    found[key] = _checked(where, key, value)
  return found


def _flat(
  values: Mapping[str, Any], where: str, prefix: str = '', depth: int = 0
) -> Iterator[tuple[str, Any]]:
  if depth > reading.DEEPEST:
    raise SettingsError(f'{where}: nested deeper than {reading.DEEPEST} levels')
  for key, value in values.items():
    if isinstance(value, dict):
      yield from _flat(value, where, f'{prefix}{key}.', depth + 1)
    else:
      yield f'{prefix}{key}', value


def _checked(where: str, key: str, value: Any) -> Any:  # noqa: ANN401 (of a file)
  """Returns a value that a config may have."""
  parts = value if isinstance(value, list) else [value]
  for part in parts:
    if not isinstance(part, bool | int | float | str):
      raise SettingsError(
        f'{where}: {key[:80]} is a {type(part).__name__}; it is a number, a '
        'text, true or false, or a list of one of them'
      )
    if isinstance(part, int) and abs(part) >= 2**63:
      raise SettingsError(f'{where}: {key[:80]} is beyond all whole numbers')
  return tuple(value) if isinstance(value, list) else value
