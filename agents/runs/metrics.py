"""Writes the figures of a run: metrics.jsonl and TensorBoard.

metrics.jsonl has a line for each episode after the seed episodes, one for each
evaluation before the line of the episode that it was made before, and one for
the evaluation at the end. The counters of a line are those of what it
measures: of an evaluation, the updates of the parameters that acted and the
episodes there were. But for wall_seconds and other names in _seconds the file
is a function of the config, however often the run was stopped: a resumed run
drops the lines past its checkpoint, because it does those updates again, and
a run that goes on past its end (a budget of `train` was raised) drops the line
of that end. Figures that are not finite are null.

TensorBoard has the figures in groups, over env_steps (see `events`).
"""

import collections
import contextlib
import json
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
import numpy.typing as npt

from worldmodels.agents.runs import events
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.sink import Sinks
from worldmodels.data import atomic
from worldmodels.data import reading

# What tells the lines of evaluations from others.
_EVALUATION, _END = 'evaluation_return', 'last_evaluation_mean'
# Bytes of metrics.jsonl: a line of an episode has a few thousand.
_LARGEST = 1 << 30

# Groups of TensorBoard. A group whose name a key begins with drops it there,
# and what is not named here are figures of updates.
_PREFIXES = ('open_loop', 'behavior')
_GROUPS = {
  'return': (
    'return',
    'evaluation_return',
    'last_evaluation_mean',
    'last_evaluation_std',
    'random_mean',
  ),
  'behavior': (
    'actor_entropy',
    'imagined_return',
    'imagined_reward',
    'return_spread',
  ),
  'time': ('wall_seconds', 'updates', 'age'),
}
_REST = 'loss'
# Which steps of a list by horizon TensorBoard has.
_HORIZONS = (1, 5, 15)
_FPS = 10  # of films for sinks; TensorBoard's come at the same pace


class Metrics:
  """Writes metrics; wall time goes on from where a resumed run stopped.

  Attributes:
    end: the line of the evaluation at the end, where there is one already.
    sinks: further places for figures and films; none at first.

  Args:
    directory: a RunDirectory.
    episodes: of the whole run.
    updates: of the restored checkpoint.
    wall_seconds: that the run has taken so far.
    log: called with a line when TensorBoard's events cannot be written, which
      does not stop a run.
    config: of the run, which TensorBoard shows as text.
    axis: the counter over which TensorBoard shows figures.
  """

  def __init__(
    self,
    directory: RunDirectory,
    episodes: int,
    updates: int = 0,
    wall_seconds: float = 0.0,
    log: Callable[[str], Any] = print,
    config: ml_collections.ConfigDict | None = None,
    axis: str = 'env_steps',
  ):
    self._path = directory.metrics
    self._start = time.monotonic() - wall_seconds
    self._log = log
    self._axis = axis
    self.end, kept = self._continue(episodes, updates)
    self.sinks = Sinks()
    keeps = None if kept is None else self._keeps(kept)
    self._events = events.Events(directory.events, log, keeps, config)

  @property
  def wall_seconds(self) -> float:
    """Seconds that the run has taken, all its starts together."""
    return time.monotonic() - self._start

  def write(self, counters: dict[str, int], values: dict[str, Any]) -> None:
    """Writes one line, and films.

    Args:
      counters: dict of env_steps, episodes, updates.
      values: {name: number or list of numbers}; of `NAME_video` frames uint8
        [T, H, W, 3], which go to TensorBoard alone.
    """
    films = {key: x for key, x in values.items() if key.endswith('_video')}
    values = {key: x for key, x in values.items() if key not in films}
    line = dict(counters, wall_seconds=round(self.wall_seconds, 3))
    line.update({key: _plain(value) for key, value in values.items()})
    with atomic.naming(self._path), open(self._path, 'a') as file:
      file.write(json.dumps(line, allow_nan=False) + '\n')
    shown = dict(
      values, updates=line['updates'], wall_seconds=line['wall_seconds']
    )
    tags = {}
    for key, value in shown.items():
      tags.update(scalars(key, value))
    finite = {x: float(y) for x, y in tags.items() if math.isfinite(y)}
    self.sinks.write(line[self._axis], finite)
    self._events.write(line[self._axis], tags)
    for key, frames in films.items():
      self.video(key, frames, line[self._axis])

  def sync(self) -> None:
    """Flushes the lines to disk: before the checkpoint that counts them.

    Else a power cut might leave that checkpoint and a gap in the lines.
    """
    with contextlib.suppress(FileNotFoundError), atomic.naming(self._path):
      for path in (self._path, self._path.parent):
        atomic.sync(path)

  def video(self, name: str, frames: np.ndarray, env_steps: int) -> None:
    """Shows frames uint8 [T, H, W, 3] in TensorBoard as an animation."""
    tag = f'{events.FILMS}{name.removesuffix("_video")}'
    self.sinks.film(env_steps, tag, frames, _FPS)
    self._events.film(env_steps, tag, frames, _FPS)

  def close(self) -> None:
    """Tells the sinks that the run has ended, or was stopped."""
    self.sinks.close()

  def _keeps(self, lines: list[dict[str, Any]]) -> events.Keeps | None:
    """Returns which events these lines have; None if they do not say."""
    steps = [line.get(self._axis) for line in lines]
    if not all(map(reading.is_count, steps)):
      return None  # Of a version that had other curves.
    last = max(steps, default=-1)
    newest = [x for x, step in zip(lines, steps, strict=True) if step == last]
    tags = collections.Counter(
      tag for line in newest for x in line for tag in scalars(x, line[x])
    )
    films = any(tag.startswith('open_loop/') for tag in tags)

    def keeps(tag: str, step: int) -> bool:
      if step != last:
        return step < last
      if tag.startswith(events.FILMS):
        return films
      tags[tag] -= 1  # A line and an evaluation after it may have one step.
      return tags[tag] >= 0

    return keeps

  def _continue(
    self, episodes: int, updates: int
  ) -> tuple[dict[str, Any] | None, list[dict[str, Any]] | None]:
    """Drops lines that will be written again.

    Returns:
      (the line of the end, all that are left); both None if there are none yet.
    """
    try:
      with reading.open_regular(self._path) as file:
        content = reading.content(file, self._path, _LARGEST)
    except FileNotFoundError:
      return None, None
    lines, kept, end, evaluation = content.splitlines(True), [], None, []
    left, before = [], []
    wrong = 0
    for line in lines:
      figures = _figures(line, self._path)
      if figures is None:
        # The last one may have been cut short by a kill.
        wrong += line is not lines[-1] or line.endswith(b'\n')
        continue
      if _EVALUATION in figures and 'return' not in figures:
        evaluation = [line]  # It stays if the line of its episode does.
        before = [figures]
        continue
      is_end = _END in figures
      goes_on = is_end and figures['episodes'] != episodes
      if figures['updates'] <= updates and not goes_on:
        # Of one that was cut short just there the end is missing.
        kept += [*evaluation, line.rstrip(b'\n') + b'\n']
        left += [*before, figures]
        end = figures if is_end else end
      evaluation, before = [], []
    if wrong:
      self._set_aside(content, wrong)
    if kept != lines:
      atomic.write_bytes(self._path, b''.join(kept))
    return end, left

  def _set_aside(self, content: bytes, wrong: int) -> None:
    """Keeps a copy of a file that has lines which this has not written."""
    copy = self._path.with_name(f'{self._path.name}.damaged')
    atomic.write_bytes(copy, content)
    self._log(
      f'{wrong} lines of {self._path} are damaged and left out; as it was it '
      f'is in {copy}'
    )


def _figures(line: bytes, path: pathlib.Path) -> dict[str, Any] | None:
  """Returns what a line holds; None if `write` has not written it."""
  try:
    figures = reading.parsed(line, path)
  except reading.FileError:
    return None
  if not isinstance(figures, dict) or not all(
    reading.is_count(figures.get(key)) for key in ('updates', 'episodes')
  ):
    return None
  if _END in figures:
    returns = figures.get('last_evaluation_returns')
    numbers = [figures[_END], figures.get('last_evaluation_std')]
    if not isinstance(returns, list) or not all(
      map(reading.is_number, numbers + returns)
    ):
      return None
  return figures


def scalars(key: str, value: npt.ArrayLike) -> dict[str, npt.ArrayLike]:
  """Returns what TensorBoard has of a figure.

  Args:
    key: as in metrics.jsonl.
    value: number, or list.

  Returns:
    {group/name: number}; of a list by horizon a few steps, of another list
    nothing.
  """
  tag = _tag(key)
  if np.ndim(value) == 0:
    return {tag: value}
  if not key.startswith(_PREFIXES):
    return {}
  steps = [step for step in _HORIZONS if step <= len(value)]
  return {f'{tag}/{step:02d}': value[step - 1] for step in steps}


def _tag(key: str) -> str:
  for group in _PREFIXES:
    if key.startswith(f'{group}_'):
      return f'{group}/{key.removeprefix(group)[1:]}'
  if key.endswith('_seconds'):
    return f'time/{key}'
  groups = [group for group, keys in _GROUPS.items() if key in keys]
  return f'{groups[0] if groups else _REST}/{key}'


def _plain(value: npt.ArrayLike) -> int | float | list[float | None] | None:
  if np.ndim(value):
    return [_number(number) for number in np.asarray(value).ravel()]
  value = np.asarray(value)
  if value.dtype.kind in 'iub':
    return int(value)
  return _number(value)


def _number(value: npt.ArrayLike) -> float | None:
  return float(f'{float(value):.6g}') if math.isfinite(value) else None
