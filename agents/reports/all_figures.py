"""The figures of runs as a table of CSV, one figure a row."""

import csv
import io
from collections.abc import Iterator, Sequence

from worldmodels.agents.reports import published
from worldmodels.agents.reports.records import Record
from worldmodels.data import reading

COLUMNS = (
  *('task', 'run', 'agent', 'seed', 'figure'),
  *('env_steps', 'episodes', 'updates', 'minutes', 'horizon', 'value'),
)
# Figures by horizon are numbered from 1, other lists are of episodes.
_BY_HORIZON = 'open_loop_'

Row = dict[str, object]


def table(
  records: Sequence[Record], random: dict[str, Sequence[float]]
) -> bytes:
  """Returns all figures of runs as a file of CSV, UTF-8.

  Args:
    records: of the runs.
    random: {task: returns of a random policy}.
  """
  text = io.StringIO(newline='')
  writer = csv.DictWriter(text, COLUMNS, restval='', lineterminator='\n')
  writer.writeheader()
  for record in records:
    for row in _rows(record):
      about = dict(agent=record.kind, seed=record.seed)
      writer.writerow(dict(task=record.task, run=record.label) | about | row)
  for task in dict.fromkeys(record.task for record in records):
    for value in random.get(task, ()):
      row = dict(agent='random', figure='return', value=_plain(value))
      writer.writerow(dict(row, task=task, run='random policy'))
    for method, points in published.curves(task).items():
      name = published.SOURCES[method][0]
      for point in points:
        row = dict(agent=name, figure='return', value=point.mean)
        row.update(task=task, run='published', env_steps=point.env_steps)
        writer.writerow(row)
  return text.getvalue().encode('utf-8', 'replace')


def _rows(record: Record) -> Iterator[Row]:
  """Yields the figures of a run, in the order of its lines."""
  for line in record.lines:
    when = dict(
      env_steps=line['env_steps'],
      episodes=line['episodes'],
      updates=line['updates'],
      minutes=f'{line["wall_seconds"] / 60:.3f}',
    )
    for key, value in line.items():
      if key in ('env_steps', 'episodes', 'updates', 'wall_seconds'):
        continue
      values = value if isinstance(value, list) else [value]
      for place, number in enumerate(values, 1):
        if reading.is_number(number):
          row = dict(when, figure=key, value=_plain(number))
          if isinstance(value, list) and key.startswith(_BY_HORIZON):
            row['horizon'] = place
          yield row
  returns = record.evaluation.get('returns')
  for value in returns if isinstance(returns, list) else ():
    if reading.is_number(value):
      updates = record.evaluation.get('checkpoint', '')
      row = dict(figure='evaluate_return', value=_plain(value))
      yield dict(row, updates=updates if reading.is_count(updates) else '')


def _plain(value: float) -> str:
  return f'{value:.6g}'
