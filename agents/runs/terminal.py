"""Prints the progress of a run: a bar, a line per episode, an end."""

import pathlib
import shlex
import sys
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf
import tqdm

from worldmodels.data import workers
from worldmodels.data.store import Store

# At a terminal the bar moves; in a log it is a line now and then.
_SECONDS = 0.5 if sys.stderr.isatty() else 30

_SHOWN = (
  ('evaluation_return', 'evaluation', '.0f'),
  ('return', 'return', '.0f'),
  ('image_loss', 'image', '.2f'),
  ('reward_loss', 'reward', '.3f'),
  ('divergence', 'KL', '.1f'),
  ('update_seconds', 's/update', '.3f'),
)


class Terminal:
  """The terminal of a run; stdout has lines, stderr the bar."""

  def __init__(self):
    self._bar = None

  def line(self, text: str) -> None:
    """Prints a line above the bar."""
    tqdm.tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()

  def start(
    self,
    config: ml_collections.ConfigDict,
    path: pathlib.Path,
    environment: workers.Worker,
    store: Store,
    numbers: int,
    updates: int,
    last_update: int,
  ) -> None:
    """Prints task, device, directory and sizes of the run.

    Args:
      config: of the run.
      path: of its directory.
      environment: of its task.
      store: of its episodes.
      numbers: in a checkpoint.
      updates: that are done already.
      last_update: at which the run ends.
    """
    train, steps = config.train, environment.step_limit
    devices = tf.config.list_logical_devices('GPU') or (
      tf.config.list_logical_devices('CPU')
    )
    self.line(
      f'task       {config.task}, action repeat {environment.action_repeat}, '
      f'quality {environment.quality}, preset {config.preset}'
    )
    self.line(f'device     {", ".join(device.name for device in devices)}')
    self.line(
      f'run        {path}: {train.episodes} episodes, {last_update} updates of '
      f'{train.batch} x {train.length} images'
    )
    if steps:
      frames = train.episodes * steps * environment.action_repeat
      needed = store.estimate(frames, train.batch, train.length)
      self.line(f'store      {needed}')
    self.line(
      f'agent      {numbers / 1e6:.1f} million numbers, '
      f'{numbers * 4 / 2**20:.0f} MB per checkpoint'
    )
    if updates:
      self.line(
        f'continues  after {updates} updates and {store.next_index} episodes'
      )
    self._bar = tqdm.tqdm(
      total=last_update,
      initial=updates,
      unit='update',
      mininterval=_SECONDS,
      maxinterval=_SECONDS,
      dynamic_ncols=True,
      desc='seed episodes',
      file=sys.stderr,
      smoothing=0.02,
    )

  def update(self, updates: int) -> None:
    """Moves the bar to `updates`."""
    self._bar.set_description('learning', refresh=False)
    self._bar.update(updates - self._bar.n)

  def note(self, text: str) -> None:
    """Shows a note beside the bar."""
    self._bar.set_description(text)

  def episode(
    self, counters: dict[str, int], values: dict[str, Any], seconds: float
  ) -> None:
    """Prints the line of an episode."""
    step = counters['env_steps']
    per_second = step / seconds if seconds else 0.0
    parts = [
      f'{_clock(seconds)} episode {counters["episodes"]:4d}',
      f'env_steps {step:7d} ({per_second:.0f}/s)',
    ]
    for key, name, form in _SHOWN:
      if key in values:
        parts.append(f'{name} {float(values[key]):{form}}')
    for group in ('random', 'policy'):
      errors = values.get(f'open_loop_{group}_image')
      if errors is not None:
        shown = '/'.join(
          f'{errors[min(step, len(errors)) - 1]:.1f}' for step in (1, 5, 15)
        )
        parts.append(f'open loop {group} {shown} nats at 1/5/15')
    if values.get('skipped_updates'):
      parts.append(f'skipped {values["skipped_updates"]}')
    self.line('  '.join(parts))

  def end(
    self, path: pathlib.Path, values: dict[str, Any], seconds: float
  ) -> None:
    """Prints the result, and the commands to go on with."""
    logdir = f'--logdir={shlex.quote(str(path))}'
    self.line(
      f'done       evaluation mean {values["last_evaluation_mean"]:.0f} '
      f'+- {values["last_evaluation_std"]:.0f} over '
      f'{len(values["last_evaluation_returns"])} episodes, '
      f'{_clock(seconds)} in all'
    )
    self.line(f'evaluate   worldmodels evaluate {logdir}')
    self.line(f'watch      worldmodels video {logdir} --out=dream.webm')
    self.line(f'curves     tensorboard {logdir}')

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()


def count(variables: list[Any]) -> int:
  """Counts the numbers that variables hold."""
  return sum(int(np.prod(variable.shape)) for variable in variables)


def _clock(seconds: float) -> str:
  minutes, seconds = divmod(int(seconds), 60)
  return f'{minutes:3d}:{seconds:02d}'
