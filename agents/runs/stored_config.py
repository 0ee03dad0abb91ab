"""Reads the config of a run, which anybody may have written.

That may have been an older version of this code. What is wrong with values and
their types is said by config_checks.py.
"""

import pathlib
from typing import Any

import ml_collections

from worldmodels import errors
from worldmodels.agents import suited
from worldmodels.agents.runs import provenance
from worldmodels.data import reading

# What every config has.
GROUPS = ('agent', 'task', 'environment', 'store', 'train', 'evaluate')
# Keys that came later, with the value that does what was done before.
ADDED = {
  'environment': {
    'camera': 'auto',
    'step_limit': 0,
    'image': 'auto',
    'crop': [],
    'gray': False,
  },
  'dynamics': {'fans': 'part', 'members': 5},
  'encoder': {'nats': 0.0},
  'train': {
    'deterministic_ops': False,
    'env_steps': 0,
    'minutes': 0.0,
    'updates_total': 0,
    'heldout_share': 0.1,
    'margin': 0.0,
    'recency': 0.0,
  },
  'planner': {
    'warm_start': False,
    'replan': 1,
    'particles': 1,
    'propagation': 'expectation',
    'common': False,
    'risk': 'mean',
    'risk_weight': 1.0,
    'temperature': 2.0,
    'color': 3.0,
    'decay': 1.25,
    'keep': 0.3,
    'momentum': 0.1,
    'rate': 0.1,
    'min_probability': 0.01,
  },
}
# What configs had before there were kinds of dynamics.
_OLD_GROUP = 'rssm'


class RunError(errors.UserError, ValueError):
  """The directory is no such run; the message is one line."""


def read(path: pathlib.Path) -> ml_collections.ConfigDict:
  """Returns the config in RUN/config.json.

  Raises:
    RunError: there is none that a run can have, or it is of a version of this
      code whose runs cannot be continued.
  """
  config = read_json(path)
  lacking = [
    key for key in GROUPS if not isinstance(config, dict) or key not in config
  ]
  if lacking:
    raise RunError(
      f'{path} is no config of a run: it has no key {lacking[0]!r}'
    )
  if _OLD_GROUP in config:
    raise RunError(
      f'{path.parent} is a run of an earlier version, whose config has a group '
      f'{_OLD_GROUP!r}: use the code that it was made with '
      f'({_last_code(path.parent)})'
    )
  try:
    return ml_collections.ConfigDict(completed(config))
  except ValueError as error:
    raise RunError(f'{path} is no config of a run: {error}') from error


def read_json(path: pathlib.Path) -> object:
  """Reads a file that every run has.

  Raises:
    RunError: it is not there, or is no JSON.
  """
  try:
    return reading.json_in(path)
  except (FileNotFoundError, NotADirectoryError) as error:
    raise RunError(f'{path.parent} holds no {path.name}: not a run') from error
  except reading.FileError as error:
    raise RunError(str(error)) from error


def completed(config: dict[str, Any]) -> dict[str, Any]:
  """Returns a config with the keys that it lacks because they came later."""
  config = dict(config)
  for name, added in ADDED.items():
    if isinstance(config.get(name), dict):
      config[name] = added | config[name]
  if 'exploration' in config:
    config = {'exploration_color': 'white'} | config
  encoder, heads = config.get('encoder'), config.get('heads')
  if isinstance(encoder, dict) and 'points' in encoder:
    config['encoder'] = {'further': [], 'embeds': 'both'} | encoder
  if isinstance(heads, dict):
    config['heads'] = {key: _completed_head(heads[key]) for key in heads}
  return config


def differing(
  stored: dict[str, Any], asked: dict[str, Any], free: tuple[str, ...]
) -> list[str]:
  """Lists the keys of two configs whose values differ.

  What the second one leaves to the task is no difference.

  Args:
    stored: {key: value} of a run, flat.
    asked: the same of a run that is to be made.
    free: how keys begin that may differ.
  """
  return [
    key
    for key in sorted(stored.keys() | asked.keys())
    if stored.get(key) != asked.get(key)
    and not key.startswith(free)
    and not (key in stored and suited.by_task(key, asked.get(key)))
  ]


def _completed_head(head: object) -> object:
  """Returns the options of a head with those that came later for its kinds."""
  if not isinstance(head, dict):
    return head
  added = {}
  if 'points' in head:
    added |= {'canvas': [], 'draws': 'both'}
  if 'std' in head:
    added['relative'] = 0.0
  return added | head


def _last_code(run: pathlib.Path) -> str:
  """Says which code the newest start of a run had, if it is known."""
  try:
    code = provenance.code_of(reading.json_in(run / 'versions.json')[-1])
  except (OSError, ValueError, LookupError, TypeError, AttributeError):
    code = None
  if code and code.startswith(provenance.DISTRIBUTION):
    return code
  return f'commit {code or "unknown"}'
