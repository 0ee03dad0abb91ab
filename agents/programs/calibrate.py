"""Compares a Gaussian process, an ensemble and a network on a run's features.

  worldmodels calibrate --logdir=RUN --sizes=64,256,1024

Each predicts, from the features of a state and the action, the next reward and
the next state, and how sure that is. They are fitted to episodes of the run,
and held to the newest ones that were never trained on: negative log likelihood,
coverage of the intervals of 50 and 90 %, sharpness, and seconds, by the size of
the data. The model of the run stays as it is.

The last line is one JSON object, alone on stdout; the table goes to stderr.
"""

import json
import sys
from typing import Any

from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_SIZES = flags.DEFINE_list(
  'sizes', ['64', '256', '1024'], 'Steps to learn from, with commas between.'
)
_UPDATES = flags.DEFINE_integer(
  'updates', 600, 'Of each fit.', lower_bound=1, upper_bound=100_000
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Of the first weights.', lower_bound=0, upper_bound=2**20
)
_CHECKPOINT = checkpoint_flag.define('take')

_TEST = 2  # episodes, of those that were never trained on
_MOST_EPISODES, _MOST_SIZE = 200, 100_000
_COLUMNS = (
  *('nll', 'coverage_50', 'coverage_90', 'sharpness', 'rms_error', 'seconds'),
)


def main(argv: list[str]) -> None:
  """Compares and prints."""
  del argv
  sizes = _sizes()
  directory = RunDirectory(_LOGDIR.value)
  config, spec = directory.load(), directory.spec()
  model_needed.check(config, directory.path, 'it predicts nothing')
  restore.check(directory, _CHECKPOINT.value)
  training, test = _episodes(directory)
  steps = sum(len(episode['reward']) - 1 for episode in training)
  if steps < sizes[0]:
    raise RunError(
      f'{directory.path} has {steps} steps to learn from; the least of --sizes '
      f'is {sizes[0]}'
    )
  _say('starting TensorFlow, which takes some seconds')

  from worldmodels.agents.runs import calibration
  from worldmodels.agents.runs import forecasts
  from worldmodels.agents.runs import operations

  operations.make_deterministic(config)
  agent, counters = restore.agent(
    directory, config, spec, _CHECKPOINT.value, _say
  )
  forecasts.model_of(agent)
  rows = calibration.compare(
    *calibration.pairs(agent.model, training, test),
    sizes,
    _UPDATES.value,
    _SEED.value,
  )
  left_out = sorted(set(sizes) - {row['data'] for row in rows})
  _say(_table(rows))
  if left_out:
    counts = ', '.join(map(str, left_out))
    _say(f'--sizes: {counts} left out: there are {steps} steps to learn from')
  found = dict(
    task=config.task,
    checkpoint=counters['updates'],
    training_steps=steps,
    test_steps=sum(len(episode['reward']) - 1 for episode in test),
    left_out=left_out,
    rows=rows,
  )
  print(json.dumps(found))


def _sizes() -> list[int]:
  """Returns the sizes, the least first."""
  try:
    sizes = sorted({int(text) for text in _SIZES.value})
  except ValueError:
    sizes = []
  if not sizes or not 2 <= sizes[0] <= sizes[-1] <= _MOST_SIZE:
    raise errors.OptionError(
      '--sizes',
      f'is {",".join(_SIZES.value)!r}; it is whole numbers from 2 to '
      f'{_MOST_SIZE}, with commas between',
    )
  return sizes


def _episodes(directory: RunDirectory) -> tuple[list[Any], list[Any]]:
  """Returns episodes to learn from, and the newest held-out ones.

  Raises:
    RunError: there are too few.
  """
  found = {}
  for path in (directory.episodes, directory.heldout):
    found[path.name] = []
    if path.is_dir():
      store = Store(path, log=_say, reading=True)
      places = [place for place, rows in enumerate(store.lengths) if rows > 1]
      found[path.name] = [store.episode(x) for x in places[-_MOST_EPISODES:]]
  heldout = found[directory.heldout.name]
  training = found[directory.episodes.name] + heldout[:-_TEST]
  test = heldout[-_TEST:]
  if not training or not test:
    raise RunError(
      f'{directory.path} has {len(training)} episodes to learn from and '
      f'{len(test)} held-out ones; it takes one and one more'
    )
  return training, test


def _table(rows: list[dict[str, Any]]) -> str:
  head = ['target', f'{"kind":16}', f'{"data":>6}']
  lines = [' '.join([*head, *(f'{name:>11}' for name in _COLUMNS)])]
  for row in rows:
    lines.append(
      f'{row["target"]:6} {row["kind"]:16} {row["data"]:6d} '
      + ' '.join(f'{row[name]:11.4g}' for name in _COLUMNS)
    )
  return '\n'.join(lines)


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
