"""The flags --config.planner.* and --config.acting of a run that is there.

  worldmodels evaluate --logdir=RUN --config.planner.kind=cem

Laid over the config of the run, see agents/runs/overrides.py. The flags are
those of `train`, but there is no config to choose: it is that of the run.
"""

import re
from collections.abc import Callable
from typing import Any

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels.agents.runs import overrides
from worldmodels.agents.runs.run_directory import RunDirectory

# What the flags become, as there is none for each key of any config.
FLAG = 'laid_over'

_KEY = re.compile(r'--?(no)?config\.([^=]+)(?:=(.*))?', re.DOTALL)
_CONFIG = re.compile(r'--?config(=.*)?', re.DOTALL)

# The flag is of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


class FlagError(errors.UserError):
  """A flag --config that means nothing here; one line."""


def define() -> Callable[
  [RunDirectory], tuple[ml_collections.ConfigDict, dict[str, Any]]
]:
  """Defines the flag; returns a function that reads the config of a run.

  It returns the config as the flags have it, and what differs in it.
  """
  chosen = flags.DEFINE_multi_string(FLAG, [], 'KEY=VALUE of the config.')

  def read(
    directory: RunDirectory,
  ) -> tuple[ml_collections.ConfigDict, dict[str, Any]]:
    config = directory.load()
    if not chosen.value:
      return config, {}
    values = dict(text.split('=', 1) for text in chosen.value)
    changed = overrides.laid_over(config, directory.spec(), values)
    planning = [name for name in values if name.startswith('planner.')]
    if planning and changed.get('acting', 'planner') != 'planner':
      raise FlagError(
        f'{planning[0]} would change nothing: the actor of this run acts; add '
        '--config.acting=planner'
      )
    return changed, overrides.differences(config, changed)

  return read


def take(arguments: list[str]) -> list[str]:
  """Returns arguments with --laid_over=KEY=VALUE for each --config.KEY=VALUE.

  Args:
    arguments: of the program.

  Raises:
    FlagError: a whole config is asked for.
  """
  found, remaining = [], list(arguments)
  while remaining:
    argument = remaining.pop(0)
    if _CONFIG.fullmatch(argument):
      raise FlagError(
        f'{argument}: the config is that of the run; of its keys '
        f'{overrides.OPEN} may differ, as in --config.planner.kind=cem'
      )
    match = _KEY.fullmatch(argument)
    if match is None:
      found.append(argument)
      continue
    no, name, value = match.groups()
    if no:
      value = 'false'
    elif value is None:
      # As everywhere: --flag value, or --flag for a boolean.
      follows = remaining and not remaining[0].startswith('--')
      value = remaining.pop(0) if follows else 'true'
    found.append(f'--{FLAG}={name}={value}')
  return found
