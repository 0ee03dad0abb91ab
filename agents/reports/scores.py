"""The scores of runs as a table of CSV: a row for each evaluation.

Every evaluation of every run is in it, without exploration noise: those during
the run, the one at its end, and that of `evaluate` where it was kept.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from worldmodels.agents.reports.records import Record
from worldmodels.agents.runs import provenance
from worldmodels.data import reading

COLUMNS = (
  *('task', 'agent', 'seed', 'env_steps', 'minutes', 'return'),
  *('machine', 'cores', 'commit'),
  *('std', 'episodes', 'updates', 'point', 'run'),
)

# What a point is: of two episodes or so, of ten, of ten others.
DURING, END, EVALUATE = 'during', 'end', 'evaluate'

Row = dict[str, Any]


def table(records: Sequence[Record]) -> bytes:
  """Returns the scores of runs as a file of CSV, UTF-8.

  Args:
    records: of the runs.
  """
  text = io.StringIO(newline='')
  writer = csv.DictWriter(text, COLUMNS, restval='', lineterminator='\n')
  writer.writeheader()
  for record in sorted(records, key=_order):
    about = dict(task=record.task, agent=record.kind, seed=record.seed)
    about.update(made_by(record.versions), run=record.label)
    for point in points(record):
      writer.writerow(about | point)
  return text.getvalue().encode('utf-8', 'replace')


def points(record: Record) -> list[Row]:
  """Returns the evaluations of a run, in the order in which they were made."""
  found = []
  evaluate = record.config.get('evaluate')
  count = evaluate.get('episodes') if isinstance(evaluate, dict) else None
  for line in record.lines:
    if reading.is_number(line.get('evaluation_return')):
      row = _point(line, line['evaluation_return'], DURING)
      found.append(row | {'episodes': count if reading.is_count(count) else ''})
    if reading.is_number(line.get('last_evaluation_mean')):
      row = _point(line, line['last_evaluation_mean'], END)
      std, each = (line.get(f'last_evaluation_{x}') for x in ('std', 'returns'))
      found.append(row | _spread(std, each))
  return [*found, *_evaluated(record)]


def made_by(versions: Sequence[dict[str, Any]]) -> Row:
  """Returns machine, cores and commit; several where a run was moved.

  Of code that was installed the commit is the name and version of that.

  Args:
    versions: the starts of a run.
  """
  named = [
    {
      'machine': start.get('machine'),
      'cores': start.get('cores'),
      'commit': provenance.code_of(start),
    }
    for start in versions
  ]
  return {
    key: ' + '.join(
      dict.fromkeys(str(x[key]) for x in named if x[key] is not None)
    )
    for key in ('machine', 'cores', 'commit')
  }


def _evaluated(record: Record) -> Iterator[Row]:
  """Yields what `evaluate` has found, at the place of its checkpoint."""
  found = record.evaluation
  if not reading.is_number(found.get('mean')):
    return
  updates = found.get('checkpoint')
  there = [line for line in record.lines if line['updates'] == updates]
  row = {'return': _plain(found['mean']), 'point': EVALUATE}
  if reading.is_count(updates):
    row['updates'] = updates
  if there:
    row |= _point(there[-1], found['mean'], EVALUATE)
  yield row | _spread(found.get('std'), found.get('returns'))


def _point(line: Row, value: float, point: str) -> Row:
  return {
    'env_steps': line['env_steps'],
    'minutes': f'{line["wall_seconds"] / 60:.3f}',
    'return': _plain(value),
    'updates': line['updates'],
    'point': point,
  }


def _spread(std: object, returns: object) -> Row:
  """Returns standard deviation and number of some episodes."""
  row = {}
  if reading.is_number(std):
    row['std'] = _plain(std)
  if isinstance(returns, list):
    row['episodes'] = len(returns)
  return row


def _order(record: Record) -> tuple[str, str, int, str]:
  seed = record.seed
  return record.task, record.kind, int(seed) if seed.isdecimal() else -1, seed


def _plain(value: float) -> str:
  return f'{value:.6g}'
