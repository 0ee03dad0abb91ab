"""Start: the time of a program's --help, and of its first update."""

import dataclasses
import subprocess
import sys
from collections.abc import Sequence

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options

HELP = [sys.executable, '-m', 'worldmodels', 'train', '--help']


def measure(options: Options) -> list[Figure]:
  """Returns the seconds of --help, and from import to the first update."""
  helped = clock.median(lambda: _run(HELP), options, warmup=1)
  fewer = dataclasses.replace(options, repeats=max(2, options.repeats // 5))
  first = options.command('first', 'cpu')
  begun = clock.median(lambda: _run(first), fewer, warmup=0)
  return [
    figure('start', '--help', helped.seconds, 's', helped, ('<=', 2)),
    figure(
      'start',
      'import to the first update',
      begun.seconds,
      's',
      begun,
      ('<=', 20),
    ),
  ]


def _run(command: Sequence[str]) -> None:
  """Runs a command to its end; raises if it fails."""
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(
      f'{" ".join(command[1:])} ended with {done.returncode}: {done.stderr}'
    )
