"""Trains an agent, or continues a run that was stopped.

  worldmodels train --config=planet:cpu --logdir=RUN

Any key of the config can be set: --config.dynamics.deter=64. With --config and
--help every key of that config is listed, with its value and range.

Several devices learn as one with --learners=N: the GPUs of a machine, without
one so many processes, or what TF_CONFIG names (docs/cluster_learners.md).
"""

import contextlib
import typing

import ml_collections
from absl import flags

from worldmodels.agents.cluster import start
from worldmodels.agents.programs import collector_flags
from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import learner_flag
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import recorded_data
from worldmodels.agents.runs import sink
from worldmodels.agents.runs import task_checks
from worldmodels.agents.runs import team_place
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
_COLLECTORS = collector_flags.define()
_LEARNERS = learner_flag.define()
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
  collectors = _COLLECTORS().count > 0
  config = _CONFIG.value
  directory = RunDirectory(_LOGDIR.value)
  place = _LEARNERS()
  place.check(config, collectors)
  if place.number:
    learner_flag.follow(config, directory, place)
    return
  recorded_data.refuse(directory, config)
  directory.claim(config)
  with contextlib.ExitStack() as stack:
    try:
      training = _prepare(config, directory, stack, place)
    finally:
      directory.leave()
    try:
      training.run()
    finally:
      training.metrics.close()


def _prepare(
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  stack: contextlib.ExitStack,
  place: team_place.Place,
) -> 'loop.Training':
  """Makes what trains, and with it a run of the directory.

  Args:
    config: of the run.
    directory: of the run, claimed.
    stack: takes what is to be ended with the program.
    place: of this process among the learners.
  """
  checkpoint_list.check(directory.checkpoints, learning=True)
  processes = learner_flag.processes(place)
  stack.callback(processes.end)
  there = checkpoint_list.complete(directory.checkpoints)
  terminal.announce(config, directory.path, goes_on=bool(there))
  environment = build.environment(config, **_LIMITS())
  spec = build.spec_of(environment)
  config = build.chosen(config, spec, environment.ends_early)
  task_checks.check(config, spec)
  asked, pool = _COLLECTORS(), None
  if asked.count:
    pool = stack.enter_context(
      start.collectors(
        *(config, spec, environment.step_limit, asked.count, asked.cluster),
        *(asked.lease_timeout, _LIMITS()),
      )
    )
  from worldmodels.agents.cluster import collecting
  from worldmodels.agents.runs import loop
  from worldmodels.agents.runs import operations

  operations.share_cores(config, asked.count > 0 and not asked.cluster)
  operations.make_deterministic(config)
  given = (config, directory, environment)
  more = dict(
    poison_from=_POISON.value, learners=learner_flag.made(place, processes)
  )
  if pool is None:
    training = loop.Training(*given, **more)
  else:
    training = collecting.Training(*given, pool, **more)
  training.metrics.sinks = sink.Sinks(
    _SINKS.value, directory.path, config.to_dict(), training.terminal.line
  )
  return training
