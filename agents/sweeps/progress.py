"""Shows how far a sweep is: a table in a terminal, lines elsewhere."""

import shutil
import sys
import time
from collections.abc import Sequence

from worldmodels.agents.runs import figures
from worldmodels.agents.runs.silence import Silence
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps import runner
from worldmodels.agents.sweeps import standing
from worldmodels.agents.sweeps.runner import Entry

_HEAD = ('setting', 'task', 'seed', 'state', 'done', 'time', 'value')
_AGAIN, _LINES = 2.0, 60.0  # seconds between two tables, and two lines
_WIDEST = 30  # characters of a column
_UP, _ERASE = '\x1b[{}A', '\x1b[J'


class Progress:
  """The terminal of a sweep.

  Args:
    table: whether a table is drawn again and again; by default in a terminal.
  """

  def __init__(self, table: bool | None = None):
    self._shows_table = sys.stdout.isatty() if table is None else table
    self._height = 0  # of the table that is there
    self._last = time.monotonic()
    self._silence = Silence(_LINES)

  def line(self, text: str) -> None:
    """Prints a line, above the table if there is one."""
    self._erase()
    print(text, flush=True)
    self._silence.end()
    self._last = 0.0  # The table comes again soon.

  def told(self, entry: Entry) -> None:
    """Says that the state of a job has changed."""
    at = time.strftime('%H:%M:%S')
    if entry.state == runner.FAILED:
      self.line(
        f'{at} failed   {entry.job.name}: {entry.stage}: {entry.said} '
        f'({entry.job.log})'
      )
    elif not self._shows_table:
      what = f' ({entry.stage})' if entry.stage else ''
      self.line(f'{at} {entry.state:8} {entry.job.name}{what}')

  def look(self, entries: Sequence[Entry], last: bool = False) -> None:
    """Shows the table again, or now and then a line, if it is time to.

    Args:
      entries: of all jobs.
      last: whether the table is to stay, in whatever is no terminal as well.
    """
    now = time.monotonic()
    if last:
      self._erase()
      print('\n'.join(table(entries)), flush=True)
    elif self._shows_table and now - self._last > _AGAIN:
      self._draw(entries)
      self._last = now
    elif not self._shows_table and self._silence.is_long():
      for entry in entries:
        if entry.state == runner.RUNNING:
          cells = '  '.join(filter(None, _cells(entry)[3:]))
          self.line(f'{time.strftime("%H:%M:%S")} {entry.job.name}: {cells}')

  def _draw(self, entries: Sequence[Entry]) -> None:
    columns, rows = shutil.get_terminal_size()
    lines = [line[: columns - 1] for line in table(entries, rows - 2)]
    self._erase()
    print('\n'.join(lines), flush=True)
    self._height = len(lines)

  def _erase(self) -> None:
    if self._height:
      sys.stdout.write(_UP.format(self._height) + _ERASE)
    self._height = 0


def table(entries: Sequence[Entry], most: int | None = None) -> list[str]:
  """Returns the lines of a table, and one that counts.

  Args:
    entries: of all jobs.
    most: lines; where there are more jobs, those that say most are shown.
  """
  states = [entry.state for entry in entries]
  shown = list(entries)
  room = len(shown) if most is None else max(1, most - 2)
  if len(shown) > room:
    order = (runner.RUNNING, runner.FAILED, runner.WAITING, runner.DONE)
    best = sorted(shown, key=lambda entry: order.index(entry.state))[:room]
    shown = [entry for entry in shown if any(entry is x for x in best)]
  rows = [_HEAD, *map(_cells, shown)]
  widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
  lines = ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
  counts = [
    f'{states.count(state)} {state}'
    for state in (runner.DONE, runner.RUNNING, runner.WAITING, runner.FAILED)
    if state in states
  ]
  return [*lines, f'{len(states)} runs: {", ".join(counts)}']


def _cells(entry: Entry) -> tuple[str, ...]:
  job = entry.job
  found = standing.of(job)
  unit = jobs.UNITS[job.stages[0].name]
  state = entry.stage if entry.state == runner.RUNNING else entry.state
  known = found.done > 0
  value = '' if found.value is None else f'{found.value:.4g}'
  of = 'image loss' if unit == 'updates' else 'return'
  return (
    *(_cut(job.setting), _cut(job.task), str(job.seed), state),
    f'{found.done}/{found.total} {unit}' if known else '',
    figures.clock(found.seconds) if known else '',
    f'{of} {value}' if value else '',
  )


def _cut(text: str) -> str:
  return text if len(text) <= _WIDEST else f'{text[: _WIDEST - 1]}…'
