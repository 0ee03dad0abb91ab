"""W7: the whole loop, an episode at a time. W8: the loop of the preset."""

import contextlib
import io
import json
import pathlib
import tempfile

import ml_collections

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.runs import build
from worldmodels.agents.runs import loop
from worldmodels.agents.runs import operations
from worldmodels.agents.runs.run_directory import RunDirectory

TASK = 'cartpole_swingup'
_TRACED = 2  # episodes in which TensorFlow still builds its graphs


def measure(options: Options) -> list[Figure]:
  """Returns agent steps per second of W7, or seconds per episode of W8."""
  return _paper(options) if options.preset == 'paper' else _preset(options)


def _paper(options: Options) -> list[Figure]:
  config, sizes = model.published(options, 'bfloat16'), options.sizes['loop']
  config.task = options.task or TASK
  for key in ('episodes', 'seed_episodes', 'updates', 'batch', 'length'):
    config.train[key] = sizes[key]
  config.train.overlap = True
  for key in ('horizon', 'iterations', 'candidates', 'elites'):
    config.planner[key] = sizes[key]
  config.environment.quality = 'fast'
  timing, steps = _episodes(config)
  return [
    figure(
      'W7',
      f'loop, {sizes["updates"]} updates of {sizes["batch"]} x '
      f'{sizes["length"]} an episode, bfloat16',
      steps / timing.seconds,
      'agent steps/s',
      timing,
      ('>=', 15),
    )
  ]


def _preset(options: Options) -> list[Figure]:
  config = options.config()
  config.task = options.task or config.task
  config.train.update(options.sizes['preset'])
  timing, _ = _episodes(config)
  return [
    figure(
      'W8',
      f'episode of the preset, {config.train.updates} updates',
      timing.seconds,
      's',
      timing,
    )
  ]


def _episodes(config: ml_collections.ConfigDict) -> tuple[clock.Timing, int]:
  """Trains; returns the time of an episode, and its agent steps."""
  operations.share_cores(config)  # As `worldmodels train` does.
  config.evaluate.update(every=10**6, last_episodes=1)
  with (
    tempfile.TemporaryDirectory(prefix='worldmodels-') as folder,
    contextlib.redirect_stdout(io.StringIO()),
    contextlib.redirect_stderr(io.StringIO()),
  ):
    # A whole run.
    directory = RunDirectory(pathlib.Path(folder, 'run'))
    directory.claim(config)
    training = loop.Training(config, directory, build.environment(config))
    with clock.OtherLoad() as others:
      training.run()
    # When its episodes ended; other lines are of evaluations.
    lines = map(json.loads, directory.metrics.read_text().splitlines())
    ends = [line['wall_seconds'] for line in lines if 'return' in line]
    steps = training.experience.store.lengths[0] - 1
  seconds = [
    after - before
    for before, after in zip(ends[_TRACED - 1 :], ends[_TRACED:], strict=False)
  ]
  return clock.summary(seconds, others.cores), steps
