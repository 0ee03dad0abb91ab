"""Trains an agent, and continues a run that was stopped, however it was.

  python -m agents.run.train --config=configs/planet.py:cpu --logdir=RUN

Any key of the config can be set: --config.rssm.deter=64.
"""

from absl import flags

from agents import checkpoint

from . import build
from . import launch
from . import run_directory

_DEFAULT = 'configs/planet.py:cpu'

_CONFIG = launch.config_flag(
    f'File of configs, and a preset of it; by default {_DEFAULT}.')
_LOGDIR = flags.DEFINE_string(
    'logdir', None, 'Directory of the run, new or to be continued.',
    required=True)
_POISON = flags.DEFINE_integer(
    'poison_from', None, 'For tests: from this update on every reward that is '
    'trained on is NaN.', lower_bound=0)


def main(argv):
  """Trains to the end of the config.

  What does not suit is found before TensorFlow is imported, which takes
  seconds, and before there is anything in a new directory.
  """
  del argv
  config = _CONFIG.value
  build.check(config)
  directory = run_directory.RunDirectory(_LOGDIR.value)
  directory.claim(config)
  checkpoint.check(directory.checkpoints)
  environment = build.environment(config)
  from . import loop
  loop.share_cores(config)
  loop.Training(config, directory, environment, _POISON.value).run()


if __name__ == '__main__':
  launch.run(
      main, stopped='stopped; the same command continues', config=_DEFAULT)
