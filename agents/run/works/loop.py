"""W7: the whole loop, an episode at a time. W8: the loop of the preset."""

import contextlib
import io
import json
import pathlib
import tempfile

from agents.run import build
from agents.run import loop
from agents.run import run_directory

from . import clock
from . import model
from . import rows

TASK = 'cartpole_swingup'
_TRACED = 2  # episodes in which TensorFlow still builds its graphs


def measure(setting):
  """Returns agent steps per second of W7, or seconds per episode of W8."""
  return _paper(setting) if setting.preset == 'paper' else _preset(setting)


def _paper(setting):
  config, sizes = model.published(setting, 'bfloat16'), setting.sizes['loop']
  config.task = setting.task or TASK
  config.train.update(
      episodes=sizes['episodes'], seed_episodes=sizes['seed_episodes'],
      updates=sizes['updates'], batch=sizes['batch'], length=sizes['length'],
      overlap=True)
  config.planner.update({key: sizes[key] for key in (
      'horizon', 'iterations', 'candidates', 'elites')})
  config.environment.quality = 'fast'
  timing, steps = _episodes(config)
  return [rows.row(
      'W7', f'loop, {sizes["updates"]} updates of {sizes["batch"]} x '
      f'{sizes["length"]} an episode, bfloat16', steps / timing['seconds'],
      'agent steps/s', timing, ('>=', 15))]


def _preset(setting):
  config = setting.config()
  config.task = setting.task or config.task
  config.train.update(setting.sizes['preset'])
  timing, _ = _episodes(config)
  return [rows.row(
      'W8', f'episode of the preset, {config.train.updates} updates',
      timing['seconds'], 's', timing)]


def _episodes(config):
  """Trains; returns the time of an episode, and its agent steps."""
  loop.share_cores(config)  # As agents.run.train does.
  config.evaluate.update(every=10 ** 6, last_episodes=1)
  with (tempfile.TemporaryDirectory(prefix='worldmodels-') as folder,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO())):
    directory = run_directory.RunDirectory(pathlib.Path(folder, 'run'))
    directory.claim(config)
    training = loop.Training(config, directory, build.environment(config))
    with clock.Others() as others:
      training.run()
    ends = [json.loads(line)['wall_seconds']
            for line in directory.metrics.read_text().splitlines()[:-1]]
    steps = training.store.lengths[0] - 1
  seconds = [after - before for before, after in zip(
      ends[_TRACED - 1:], ends[_TRACED:], strict=False)]
  return clock.summary(seconds, others.cores), steps
