"""Writes the figures of a run: metrics.jsonl and TensorBoard.

metrics.jsonl has a line for each episode after the seed episodes and one for
the evaluation at the end. But for wall_seconds and other names in _seconds it
is a function of the config, however often the run was stopped: a resumed run
drops the lines past its checkpoint, because it does those updates again, and
a run that goes on past its end (train.episodes was raised) drops the line of
that end. Figures that are not finite are null.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worldmodels.agents.runs import animation
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import atomic


class Metrics:
  """Writes metrics; wall time goes on from where a resumed run stopped.

  Attributes:
    end: the line of the evaluation at the end, where there is one already.

  Args:
    directory: a RunDirectory.
    episodes: of the whole run.
    updates: of the restored checkpoint.
    wall_seconds: that the run has taken so far.
    log: called with a line when TensorBoard's events cannot be written, which
      does not stop a run.
  """

  def __init__(
    self,
    directory: RunDirectory,
    episodes: int,
    updates: int = 0,
    wall_seconds: float = 0.0,
    log: Callable[[str], Any] = print,
  ):
    self._path = directory.metrics
    self._start = time.monotonic() - wall_seconds
    self._log = log
    self.end = self._continue(episodes, updates)
    self._events = None
    with self._optional():
      self._events = tf.summary.create_file_writer(str(directory.events))

  @property
  def wall_seconds(self) -> float:
    """Seconds that the run has taken, all its starts together."""
    return time.monotonic() - self._start

  def write(self, counters: dict[str, int], values: dict[str, Any]) -> None:
    """Writes one line.

    Args:
      counters: dict of env_steps, episodes, updates.
      values: {name: number or list of numbers}; of lists by horizon
        TensorBoard has steps 1, 5 and 15.
    """
    line = dict(counters, wall_seconds=round(self.wall_seconds, 3))
    line.update({key: _plain(value) for key, value in values.items()})
    with atomic.naming(self._path), open(self._path, 'a') as file:
      file.write(json.dumps(line, allow_nan=False) + '\n')
    if self._events is None:
      return
    with self._optional(), self._events.as_default(step=counters['updates']):
      for key, value in values.items():
        if np.ndim(value) == 0:
          tf.summary.scalar(key, value)
        else:
          for step in (1, 5, 15):
            if step <= len(value):
              tf.summary.scalar(f'{key}/{step}', value[step - 1])
      self._events.flush()

  def video(self, name: str, frames: np.ndarray, updates: int) -> None:
    """Shows frames uint8 [T, H, W, 3] in TensorBoard as an animation."""
    if self._events is None:
      return
    with self._optional(), self._events.as_default(step=updates):
      animation.write_summary(name, frames, updates)
      self._events.flush()

  @contextlib.contextmanager
  def _optional(self) -> Iterator[None]:
    """Gives up the events, and not the run, where they cannot be written."""
    try:
      yield
    except (tf.errors.OpError, OSError) as error:
      self._log(f'no TensorBoard events from here on: {error}')
      self._events = None

  def _continue(self, episodes: int, updates: int) -> dict[str, Any] | None:
    """Drops lines that will be written again; returns the line of the end."""
    if not self._path.exists():
      return None
    lines, kept, end = self._path.read_bytes().splitlines(True), [], None
    for line in lines:
      try:
        figures = json.loads(line)
      except ValueError:
        continue  # Cut short by a kill.
      is_end = 'last_evaluation_mean' in figures
      goes_on = is_end and figures['episodes'] != episodes
      if figures['updates'] <= updates and not goes_on:
        kept.append(line)
        end = figures if is_end else end
    if kept != lines:
      atomic.write_bytes(self._path, b''.join(kept))
    return end


def _plain(value: npt.ArrayLike) -> int | float | list[float | None] | None:
  if np.ndim(value):
    return [_number(number) for number in np.asarray(value).ravel()]
  value = np.asarray(value)
  if value.dtype.kind in 'iub':
    return int(value)
  return _number(value)


def _number(value: npt.ArrayLike) -> float | None:
  return float(f'{float(value):.6g}') if math.isfinite(value) else None
