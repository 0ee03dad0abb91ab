"""Trains an agent, or continues a run that was stopped.

  worldmodels train --config=planet:cpu --logdir=RUN

Any key of the config can be set: --config.dynamics.deter=64.
"""

from absl import flags

from worldmodels.agents.programs import config_flag
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs.run_directory import RunDirectory

CONFIG = 'planet:cpu'
STOPPED = 'stopped; the same command continues'

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
_POISON = flags.DEFINE_integer(
  'poison_from',
  None,
  'For tests: from this update on every reward that is trained on is NaN.',
  lower_bound=0,
)


def main(argv: list[str]) -> None:
  """Trains to the end of the config.

  What does not suit is found before TensorFlow is imported, which takes
  seconds, and before there is anything in a new directory.
  """
  del argv
  config = _CONFIG.value
  config_checks.check(config)
  directory = RunDirectory(_LOGDIR.value)
  directory.claim(config)
  checkpoint.check(directory.checkpoints)
  environment = build.environment(config)
  from worldmodels.agents.runs import loop

  loop.share_cores(config)
  loop.Training(config, directory, environment, _POISON.value).run()
