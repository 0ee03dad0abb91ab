"""Learns a world model from recorded episodes alone, without a task.

  worldmodels fit --data=DIR --config.train.updates_total=20000 --logdir=RUN

DIR is in any format of docs/data.md. It is copied into the run, a share of it
held out: train.heldout_share. The same command continues a run that was
stopped. Then `worldmodels video --logdir=RUN` shows what the model imagines.
"""

from typing import TYPE_CHECKING

import ml_collections
from absl import flags

from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import recording_flags
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import paths
from worldmodels.agents.runs import recorded_data
from worldmodels.agents.runs import task_checks
from worldmodels.agents.runs.run_directory import RunDirectory

if TYPE_CHECKING:
  from worldmodels.agents.runs import fitting

CONFIG = 'planet:cpu'
STOPPED = 'stopped; the same command continues'
WAITS = 'for the update that is under way'

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
_DATA = flags.DEFINE_string(
  'data', None, 'Directory or file of recorded episodes.', required=True
)
_RECORDED = recording_flags.define()


def main(argv: list[str]) -> None:
  """Learns to the end of the config.

  What does not suit is found before TensorFlow is imported, which takes
  seconds, and before there is anything in a new directory.
  """
  del argv
  config = _CONFIG.value
  if not model_needed.has_model(config):
    raise build.ConfigError(
      f'the agent {config.agent.kind!r} has no world model that could be '
      'learned from recorded data; --config=planet:cpu has one'
    )
  data = paths.expanded('--data', _DATA.value)
  directory = RunDirectory(_LOGDIR.value)
  recorded_data.check_run(directory, config, data)
  note = recorded_data.note_in(directory)
  if note is None:
    source = _RECORDED.find(data)
    facts = dict(source.facts)
  else:
    source, facts = None, note['facts']
  recorded_data.adopt(config, facts, _is_set)
  config_checks.check(config, stored=True)
  directory.claim(config)
  try:
    checkpoint_list.check(directory.checkpoints, learning=True)
    if source is not None:
      print(f'source     {data}: {source.format}, {len(source.names)} episodes')
      episodes = _RECORDED.read(source, data, config.environment.size)
      config = _begin(config, directory, episodes)
    else:
      directory.start(config, directory.spec())
    fit = _prepare(config, directory)
  finally:
    directory.leave()
  fit.run()


def _is_set(key: str) -> bool:
  """Returns whether the user has set a key of the config."""
  name = f'config.{key}'
  return name in flags.FLAGS and flags.FLAGS[name].present > 0


def _begin(
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  episodes: recorded_data.Recorded,
) -> ml_collections.ConfigDict:
  """Copies the episodes, and makes a run; returns its config."""
  chosen = [config]

  def begin(copied: recorded_data.Copied) -> None:
    chosen[0] = build.chosen(config, copied.spec, copied.ends_early)
    task_checks.check(chosen[0], copied.spec)
    recorded_data.check_actions(chosen[0], copied)
    directory.start(chosen[0], copied.spec)

  recorded_data.copy(episodes, config, directory, begin, print)
  return chosen[0]


def _prepare(
  config: ml_collections.ConfigDict, directory: RunDirectory
) -> 'fitting.Fitting':
  """Makes what learns."""
  print('starting   TensorFlow, which takes some seconds', flush=True)
  from worldmodels.agents.runs import fitting
  from worldmodels.agents.runs import operations

  operations.make_deterministic(config)
  return fitting.Fitting(config, directory, directory.spec())
