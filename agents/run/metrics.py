"""Where the figures of a run go: metrics.jsonl, TensorBoard, the terminal."""

import contextlib
import json
import time

import numpy as np
import tensorflow as tf

from . import animation


class Metrics:
  """Writes metrics; wall time goes on from where a resumed run stopped.

  Args:
    directory: a RunDirectory.
    updates: of the restored checkpoint: lines past it are dropped, because
      those updates are done again.
    wall_seconds: that the run has taken so far.
    log: called with a line when TensorBoard's events cannot be written, which
      does not stop a run.
  """

  def __init__(self, directory, updates=0, wall_seconds=0.0, log=print):
    self._path = directory.metrics
    self._start = time.monotonic() - wall_seconds
    self._log = log
    self._drop_after(updates)
    self._events = None
    with self._optional():
      self._events = tf.summary.create_file_writer(str(directory.events))

  @property
  def wall_seconds(self):
    """Seconds that the run has taken, all its starts together."""
    return time.monotonic() - self._start

  def write(self, counters, values):
    """Writes one line.

    Args:
      counters: dict of env_steps, episodes, updates.
      values: {name: number or list of numbers}; lists (by horizon) go to
        metrics.jsonl alone.
    """
    line = dict(counters, wall_seconds=round(self.wall_seconds, 3))
    line.update({key: _plain(value) for key, value in values.items()})
    with open(self._path, 'a') as file:
      file.write(json.dumps(line) + '\n')
    with self._optional():
      with self._events.as_default(step=counters['updates']):
        for key, value in values.items():
          if np.ndim(value) == 0:
            tf.summary.scalar(key, value)
      self._events.flush()

  def video(self, name, frames, updates):
    """Shows frames uint8 [T, H, W, 3] in TensorBoard as an animation."""
    with self._optional(), self._events.as_default(step=updates):
      animation.write_summary(name, frames, updates)
      self._events.flush()

  @contextlib.contextmanager
  def _optional(self):
    """Events are a convenience: without them a run goes on."""
    try:
      yield
    except tf.errors.OpError as error:
      self._log(f'no TensorBoard events: {error.message}')

  def _drop_after(self, updates):
    if not self._path.exists():
      return
    kept = []
    for line in self._path.read_text().splitlines():
      try:
        if json.loads(line)['updates'] <= updates:
          kept.append(line)
      except (json.JSONDecodeError, KeyError):
        continue  # A line cut short by a kill.
    partial = self._path.with_name(self._path.name + '.partial')
    partial.write_text(''.join(line + '\n' for line in kept))
    partial.rename(self._path)


def _plain(value):
  if np.ndim(value):
    return [float(f'{number:.6g}') for number in np.asarray(value).ravel()]
  value = np.asarray(value)
  if value.dtype.kind in 'iub':
    return int(value)
  return float(f'{float(value):.6g}')
