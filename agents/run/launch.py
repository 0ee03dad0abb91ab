"""How every program starts: flags, one clear line for what is wrong."""

import sys

from absl import app
from absl import flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file('config', 'configs/planet.py:cpu')
_LOGDIR = flags.DEFINE_string('logdir', None, 'where', required=True)


def run(main):
  app.run(lambda argv: main(_CONFIG.value, _LOGDIR.value))
