"""Runs a sweep and writes what comes of it, run by run."""

import datetime
import pathlib
from collections.abc import Sequence

from worldmodels import errors
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import page
from worldmodels.agents.reports import records
from worldmodels.agents.reports import scores
from worldmodels.agents.sweeps import directory
from worldmodels.agents.sweeps import local
from worldmodels.agents.sweeps import results
from worldmodels.agents.sweeps import runner
from worldmodels.agents.sweeps import tables
from worldmodels.agents.sweeps.directory import SweepDirectory
from worldmodels.agents.sweeps.jobs import Job
from worldmodels.agents.sweeps.progress import Progress
from worldmodels.agents.sweeps.results import Row
from worldmodels.data import atomic


def of(
  place: SweepDirectory,
  made: Sequence[Job],
  where: local.Local,
  command: str,
  version: str,
) -> list[str]:
  """Runs the jobs, and writes tables and a report of all runs.

  Args:
    place: the folder of the sweep, begun.
    made: the jobs.
    where: their commands run, such as Local.
    command: of the sweep.
    version: of the distribution.

  Returns:
    a text for each run that failed.
  """
  progress, written = Progress(), Written(place, command)
  _introduce(made, place.path, where.says, progress)

  def tell(entry: runner.Entry) -> None:
    progress.told(entry)
    if entry.state in (runner.DONE, runner.FAILED):
      written.update([entry], sweep.entries)

  def look() -> None:
    for line in where.news():
      progress.line(line)
    progress.look(sweep.entries)

  sweep = runner.Runner(made, where, tell, look)
  try:
    sweep.run()
  finally:
    written.update(sweep.entries, sweep.entries)
  progress.look(sweep.entries, last=True)
  progress.line(f'table      {place.path / directory.MARKDOWN}')
  progress.line(f'           {place.path / directory.TABLE}')
  for line in _report(place, version):
    progress.line(line)
  return [
    f'{entry.job.name} ({entry.stage}: {entry.said})'
    for entry in sweep.entries
    if entry.state == runner.FAILED
  ]


class Written:
  """The tables of a sweep, on disk after each run.

  Args:
    place: the folder of the sweep.
    command: of the sweep.
  """

  def __init__(self, place: SweepDirectory, command: str):
    self._place = place
    self._command = command
    self._rows: dict[pathlib.Path, Row] = {}
    for path, run in place.runs.items():
      self._rows[path] = results.row(path, run) | {'state': results.EARLIER}
    # Settings and tasks as they were given, then seeds.
    settings, tasks = (
      list(dict.fromkeys(run[key] for run in place.runs.values()))
      for key in ('setting', 'task')
    )
    places = [
      {name: i for i, name in enumerate(names)} for names in (settings, tasks)
    ]

    def order(path: pathlib.Path) -> tuple[int, int, int]:
      run = place.runs[path]
      return places[0][run['setting']], places[1][run['task']], run['seed']

    self._paths = sorted(place.runs, key=order)

  def update(
    self, changed: Sequence[runner.Entry], entries: Sequence[runner.Entry]
  ) -> None:
    """Writes the tables.

    Args:
      changed: jobs whose figures are read again.
      entries: of all jobs; runs of none of them are of an earlier command.
    """
    for entry in entries:
      self._rows[entry.job.path]['state'] = entry.state
    for entry in changed:
      path = entry.job.path
      row = results.row(path, self._place.runs[path])
      row['state'] = entry.state
      if entry.said:
        row['said'] = f'{entry.stage}: {entry.said}'
      self._rows[path] = row
    rows = [self._rows[path] for path in self._paths]
    path = self._place.path
    atomic.write_bytes(path / directory.TABLE, tables.as_csv(rows))
    text = tables.as_markdown(rows, self._command)
    atomic.write_bytes(path / directory.MARKDOWN, text)


def _introduce(
  made: Sequence[Job], path: pathlib.Path, where: str, progress: Progress
) -> None:
  """Says what is going to be done."""
  counts = {
    key: len({getattr(job, key) for job in made})
    for key in ('setting', 'task', 'seed')
  }
  parts = [f'{count} {key}{"s" * (count > 1)}' for key, count in counts.items()]
  progress.line(f'sweep      {path}: {len(made)} runs: {", ".join(parts)}')
  progress.line(f'jobs       {where}')


def _report(place: SweepDirectory, version: str) -> list[str]:
  """Writes the report over all runs that have figures; says where."""
  there = [str(x) for x in place.runs if (x / records.METRICS).exists()]
  if not there:
    return ['report     none: no run has figures yet']
  found, noted = [], []
  for path in there:
    try:
      found += records.read([path])
    except errors.UserError as error:
      noted.append(f'report     without {path}: {error}')
  if not found:
    return noted
  records.name(found)
  random, sources = compare.random_returns(found, False, print)
  contents = page.Contents(found, random, sources, {})
  today = datetime.datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z')
  made = f'made by worldmodels {version}, {today}'
  out = place.path / directory.REPORT
  atomic.write_bytes(out, page.build(contents, made))
  table = place.path / directory.SCORES
  atomic.write_bytes(table, scores.table(found))
  return [*noted, f'report     {out}', f'scores     {table}']
