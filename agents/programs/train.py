"""Trains an agent, or continues a run that was stopped.

  worldmodels train --config=planet:cpu --logdir=RUN

Any key of the config can be set: --config.dynamics.deter=64. With --config and
--help every key of that config is listed, with its value and range.
"""

import typing

import ml_collections
from absl import flags

from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import recorded_data
from worldmodels.agents.runs import sink
from worldmodels.agents.runs import task_checks
from worldmodels.agents.runs import terminal
from worldmodels.agents.runs.run_directory import RunDirectory

if typing.TYPE_CHECKING:
  from worldmodels.agents.runs import loop

CONFIG = 'planet:cpu'
INTERNAL = ('poison_from',)
STOPPED = 'stopped; the same command continues'
WAITS = 'for the update and the step of the task that are under way'

_CONFIG = config_flag.define(
  'Config of the package, or file of configs, and a preset of it; by default '
  f'{CONFIG}.'
)
_LOGDIR = flags.DEFINE_string(
  'logdir',
  None,
  'Directory of the run, new or to be continued.',
  required=True,
)
_SINKS = flags.DEFINE_list(
  'sinks',
  [],
  'Further places for figures and films: wandb, mlflow, rerun, or module:name '
  'of yours, with commas between.',
)
_LIMITS = time_limits.define()
_POISON = flags.DEFINE_integer(
  'poison_from',
  None,
  'From this update on every reward that is trained on is NaN.',
  lower_bound=0,
)


def main(argv: list[str]) -> None:
  """Trains to the end of the config.

  What does not suit is found before TensorFlow is imported, which takes
  seconds, and before there is anything in a new directory.
  """
  del argv
  sink.check('--sinks', _SINKS.value)
  config = _CONFIG.value
  directory = RunDirectory(_LOGDIR.value)
  recorded_data.refuse(directory, config)
  directory.claim(config)
  try:
    training = _prepare(config, directory)
  finally:
    directory.leave()
  try:
    training.run()
  finally:
    training.metrics.close()


def _prepare(
  config: ml_collections.ConfigDict, directory: RunDirectory
) -> 'loop.Training':
  """Makes what trains, and with it a run of the directory."""
  checkpoint_list.check(directory.checkpoints, learning=True)
  there = checkpoint_list.complete(directory.checkpoints)
  terminal.announce(config, directory.path, goes_on=bool(there))
  environment = build.environment(config, **_LIMITS())
  spec = build.spec_of(environment)
  config = build.chosen(config, spec, environment.ends_early)
  task_checks.check(config, spec)
  from worldmodels.agents.runs import loop
  from worldmodels.agents.runs import operations

  operations.share_cores(config)
  operations.make_deterministic(config)
  training = loop.Training(config, directory, environment, _POISON.value)
  training.metrics.sinks = sink.Sinks(
    _SINKS.value, directory.path, config.to_dict(), training.terminal.line
  )
  return training
