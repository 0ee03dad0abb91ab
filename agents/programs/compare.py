"""Compares planners on a trained run, at the same time for each action.

  worldmodels compare --logdir=RUN --milliseconds=50 --episodes=10
  worldmodels compare --logdir=RUN --planners=own,cem,icem --json=table.json

Each kind of planner has the options of its paper and as many candidates as fit
into that time here; `own` is the run's planner as it is. Prints a table of
Markdown; everything else goes to stderr. docs/planners.md has such a table.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels.agents import suited
from worldmodels.agents.programs import played_flags
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import build
from worldmodels.agents.runs import out_file
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import workers
from worldmodels.spec import Spec

if TYPE_CHECKING:
  from worldmodels.agents.benchmark.planners import Row

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_MILLISECONDS = flags.DEFINE_float(
  'milliseconds',
  50.0,
  'Time for each action, of all planners.',
  lower_bound=1.0,
  upper_bound=60_000.0,
)
_EPISODES = played_flags.episodes(10, 'How many of each.')
_PLANNERS = flags.DEFINE_list(
  'planners',
  None,
  'Kinds of planners, or module:name of your own; by default own and all that '
  'suit the actions.',
)
_WARM_START = flags.DEFINE_enum(
  'warm_start',
  'both',
  ['no', 'yes', 'both'],
  'Whether plans start from the one before, moved on by a step.',
)
_SEED = played_flags.seed('Of the episodes and of the planners.')
_JSON = flags.DEFINE_string(
  'json', None, 'File to write the figures to, with the returns.'
)
_LIMITS = time_limits.define()

_STARTS = {'no': (False,), 'yes': (True,), 'both': (False, True)}


def main(argv: list[str]) -> None:
  """Compares and prints."""
  del argv
  directory = RunDirectory(_LOGDIR.value)
  config = planning(directory.load(), directory)
  restore.check(directory)
  spec = directory.spec()
  names = names_of(_PLANNERS.value, spec.discrete)
  if _JSON.value is not None:
    out_file.check('--json', _JSON.value)
  _say(f'starting {config.task}, then TensorFlow, which takes some seconds')
  environment = build.environment(config, **_LIMITS())
  try:
    directory.check_spec(build.spec_of(environment))
    rows = _rows(names, directory, config, spec, environment)
  finally:
    environment.close()
  from worldmodels.agents.benchmark import planners

  print(planners.table(rows))


def _rows(
  names: Sequence[str],
  directory: RunDirectory,
  config: ml_collections.ConfigDict,
  spec: Spec,
  environment: workers.Worker,
) -> list['Row']:
  """Returns the rows of the table."""
  from worldmodels import cores
  from worldmodels.agents.benchmark import planners
  from worldmodels.agents.runs import operations

  cores.halve_threads()
  operations.make_deterministic(config)
  agent, _ = restore.agent(directory, config, spec, log=_say)
  compared = planners.Comparison(agent, config, spec, _say)
  played = seeds.of_played(_EPISODES.value, _SEED.value)
  rows = []
  for row in compared.rows(
    names, _STARTS[_WARM_START.value], _MILLISECONDS.value, environment, played
  ):
    rows.append(row)
    _write(rows, config)
  return rows


def planning(
  config: ml_collections.ConfigDict, directory: RunDirectory
) -> ml_collections.ConfigDict:
  """Returns the config of a run whose agent plans.

  Raises:
    UserError: the agent of the run has no planner.
  """
  if 'planner' not in config:
    raise errors.UserError(
      f'{directory.path} is a run of an agent without a planner: '
      f'{config.agent.kind}'
    )
  if 'acting' in config:
    config.acting = 'planner'
  return config


def names_of(asked: Sequence[str] | None, discrete: bool) -> list[str]:
  """Returns the kinds to compare, of those that suit the task.

  Args:
    asked: what the user names; None for all.
    discrete: whether the actions of the task are one-hot.

  Raises:
    OptionError: one of them is none of those.
  """
  known = ['own', *suited.planners(discrete)]
  for name in asked or ():
    if ':' in name:  # Of the user's, who knows whether it suits.
      continue
    errors.choose('--planners', name, known)
  return list(asked or known)


def _write(rows: Sequence['Row'], config: ml_collections.ConfigDict) -> None:
  """Writes the rows so far to --json."""
  if _JSON.value is None:
    return
  values = dict(
    task=config.task,
    milliseconds=_MILLISECONDS.value,
    rows=[row._asdict() | dict(mean=row.mean, std=row.std) for row in rows],
  )
  out_file.write_json('--json', _JSON.value, values)


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
