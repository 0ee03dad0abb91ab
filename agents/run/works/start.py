"""How long a program takes to say something, and to begin to learn."""

import dataclasses
import subprocess
import sys

from . import clock
from . import rows


def measure(setting):
  """Returns the seconds of --help, and from import to the first update."""
  told = clock.median(
      lambda: _run('agents.run.train', '--helpshort'), setting, warmup=1)
  begun = clock.median(
      lambda: _run('agents.run.benchmark', '--child', '--work=first',
                   '--preset=cpu', f'--configs={setting.configs}'),
      dataclasses.replace(setting, repeats=max(2, setting.repeats // 5)),
      warmup=0)
  return [
      rows.row('start', '--helpshort', told['seconds'], 's', told, ('<=', 2)),
      rows.row('start', 'import to the first update', begun['seconds'], 's',
               begun, ('<=', 20)),
  ]


def _run(module, *arguments):
  done = subprocess.run([sys.executable, '-m', module, *arguments],
                        capture_output=True, text=True, check=False)
  # absl ends with 1 after it has helped.
  if done.returncode and 'flags:' not in done.stdout:
    raise RuntimeError(f'{module} ended with {done.returncode}: {done.stderr}')
