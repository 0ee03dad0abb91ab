"""Prints the progress of `fit`: a line for each block of updates, and a bar."""

import pathlib
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

import tqdm

from worldmodels.agents.runs.silence import Silence

_ROWS = 20  # after which the names of the columns are printed again
_HORIZONS = (1, 5, 15)
_COLUMNS = (
  ('image_loss', 'image', '.2f'),
  ('reward_loss', 'reward', '.3f'),
  ('divergence', 'KL', '.2f'),
  ('update_seconds', 's/update', '.3f'),
)


class Progress:
  """The terminal of a run; stdout has lines, stderr the bar.

  Args:
    total: updates of the run.
    bar: whether there is a bar; by default where both are a terminal.
  """

  def __init__(self, total: int, bar: bool | None = None):
    if bar is None:
      bar = sys.stdout.isatty() and sys.stderr.isatty()
    self._total = total
    self._shows_bar = bar
    self._bar = None
    self._rows = 0
    self._pace = None  # seconds of an update
    self._last = time.monotonic()
    self._silence = Silence()

  def line(self, text: str) -> None:
    """Prints a line, above the bar if there is one."""
    if self._bar is None:
      print(text, flush=True)
    else:
      self._bar.write(text, file=sys.stdout)
    self._silence.end()

  def start(self, lines: Sequence[str], updates: int) -> None:
    """Prints what a run is, after `updates` that are done."""
    for line in lines:
      self.line(line)
    self._last = time.monotonic()
    if self._shows_bar:
      self._bar = tqdm.tqdm(
        total=self._total,
        initial=updates,
        mininterval=0.5,
        dynamic_ncols=True,
        desc='learning',
        file=sys.stderr,
        unit='updates',
      )

  def update(self, updates: int) -> None:
    """Moves the bar; without one a line says now and then how far it is."""
    if self._bar is not None:
      self._bar.update(updates - self._bar.n)
    elif self._silence.is_long():
      self.line(f'{updates} of {self._total} updates')

  def row(self, updates: int, values: dict[str, Any], seconds: float) -> None:
    """Prints the figures after so many updates.

    Args:
      updates: that there are now.
      values: {name: figure}; what is not there is not shown.
      seconds: that the run has taken so far.
    """
    self._pace = values.get('update_seconds', self._pace)
    left = (self._total - updates) * (self._pace or 0)
    shown = [column for column in _COLUMNS if column[0] in values]
    if self._rows % _ROWS == 0:
      names = ''.join(f'{name:>10}' for _, name, _ in shown)
      self.line(f'{"time":>8}{"left":>9}{"updates":>10}{names}')
    self._rows += 1
    text = f'{_clock(seconds):>8}{_clock(left):>9}{updates:10d}'
    for key, _, form in shown:
      text += f'{values[key]:10{form}}'
    if values.get('skipped_updates'):
      text += f'  skipped {values["skipped_updates"]}'
    self.line(text)
    error = values.get('open_loop_recorded_image')
    if error is not None:
      steps = [step for step in _HORIZONS if step <= len(error)]
      mine, copied, mean = (
        '/'.join(
          f'{values[f"open_loop_recorded_{key}"][i - 1]:.1f}' for i in steps
        )
        for key in ('image', 'copy_image', 'mean_image')
      )
      at = '/'.join(map(str, steps))
      self.line(
        f'  held out, nats at step {at}: {mine}  copy of the last {copied}  '
        f'mean image {mean}'
      )

  def end(self, path: pathlib.Path, seconds: float) -> None:
    """Prints the commands to go on with."""
    logdir = f'--logdir={shlex.quote(str(path))}'
    self.line(f'done       {_clock(seconds)} in all')
    self.line(f'watch      worldmodels video {logdir} --out=dream.webm')
    self.line(f'curves     tensorboard {logdir}')

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None


def _clock(seconds: float) -> str:
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'
