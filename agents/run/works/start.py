"""How long a program takes to say something, and to begin to learn."""

import subprocess
import sys

from . import clock
from . import rows


def measure(setting):
  """Returns the seconds of --help, and from import to the first update."""
  repeats = max(1, setting.repeats // 5)
  told = clock.median(
      lambda: _run('agents.run.train', '--helpshort'), repeats, warmup=1)
  begun = clock.median(
      lambda: _run('agents.run.benchmark', '--child', '--work=first'), repeats,
      warmup=0)
  return [
      rows.row('start', '--help', told['seconds'], 's', told, ('<=', 2)),
      rows.row('start', 'import to the first update', begun['seconds'], 's',
               begun, ('<=', 20)),
  ]


def _run(module, *arguments):
  # absl ends with 1 after it has helped.
  subprocess.run([sys.executable, '-m', module, *arguments],
                 capture_output=True, check='--child' in arguments)
