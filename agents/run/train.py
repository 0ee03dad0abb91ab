"""Trains an agent, and continues a run that was stopped, however it was.

  python -m agents.run.train --config=configs/planet.py:cpu --logdir=RUN

Any key of the config can be set: --config.rssm.deter=64.
"""

from absl import flags
from ml_collections import config_flags

from . import launch

_CONFIG = config_flags.DEFINE_config_file(
    'config', 'configs/planet.py:cpu', 'File of configs, and a preset of it.')
_LOGDIR = flags.DEFINE_string(
    'logdir', None, 'Directory of the run, new or to be continued.',
    required=True)
_POISON = flags.DEFINE_integer(
    'poison_from', None, 'For tests: from this update on every reward that is '
    'trained on is NaN.', lower_bound=0)


def main(argv):
  """Trains to the end of the config."""
  del argv
  # Here, because it imports TensorFlow.
  from . import loop
  loop.Training(
      _CONFIG.value, _LOGDIR.value, poison_from=_POISON.value).run()


if __name__ == '__main__':
  launch.run(main)
