"""The tables of a sweep: CSV, a row for each run, and Markdown to read."""

import csv
import io
import re
import statistics
from collections.abc import Sequence
from typing import Any

from worldmodels.agents.sweeps import results
from worldmodels.agents.sweeps import runner
from worldmodels.agents.sweeps.results import Row

_FIRST = ('setting', 'task', 'seed', 'state', 'said')
_COUNTS = ('episodes', 'env_steps', 'updates', 'minutes')
_RETURN = ('return', 'return_std', 'return_episodes', 'return_of')
_LAST = ('kl', 'gradient_norm', 'image_loss', 'update_seconds')
_MADE_BY = ('command', 'commit', 'machine', 'cores', *results.VERSIONS)
_ERRORS = (
  *('image', 'image_of_copy', 'image_of_mean'),
  *('reward', 'reward_of_copy'),
)
# Names and formats of the columns of figures in Markdown.
_SHOWN = {
  'return': ('return', '.1f'),
  **{key: (key.replace('_', ' '), '.3g') for key in _ERRORS},
  'kl': ('KL', '.3g'),
  'gradient_norm': ('norm', '.3g'),
  'update_seconds': ('s/update', '.3f'),
  'minutes': ('minutes', '.1f'),
}


def as_csv(rows: Sequence[Row]) -> bytes:
  """Returns rows as a file of CSV, UTF-8."""
  there = {key for row in rows for key in row}
  probes = sorted(key for key in there if key.startswith('probe_'))
  steps = [f'{key}_{step}' for key in _ERRORS for step in results.HORIZONS]
  ordered = (
    *(*_FIRST, *_COUNTS, *_RETURN, 'open_loop_of', *steps, *_LAST),
    *(*probes, *_MADE_BY),
  )
  columns = [key for key in ordered if key in there]
  text = io.StringIO(newline='')
  writer = csv.DictWriter(
    text, columns, restval='', extrasaction='ignore', lineterminator='\n'
  )
  writer.writeheader()
  for row in rows:
    writer.writerow({key: _plain(value) for key, value in row.items()})
  return text.getvalue().encode('utf-8', 'replace')


def as_markdown(rows: Sequence[Row], command: str) -> bytes:
  """Returns tables to read: mean over seeds, each run, and how to repeat it.

  Args:
    rows: of the runs.
    command: of the sweep.
  """
  figures = _figures(rows)
  head = ['setting', 'task']
  parts = [
    '# Sweep\n',
    f'    {_one_line(command)}\n',
    'Image errors are open loop, in nats, at 1 / 5 / 15 steps after the last '
    'image seen, beside those of a copy of it and of the mean image; reward '
    'errors are shares of the variance. Probes are the R2 of a linear fit of '
    'the true state on held-out episodes.\n',
    '## Mean and standard deviation over seeds\n',
    *_table([*head, 'seeds', *figures], _means(rows, figures)),
    '\n## Runs\n',
    *_table(
      [*head, 'seed', 'state', *figures],
      [
        [row['setting'], row['task'], str(row['seed']), row['state']]
        + [_cell([row], figure) for figure in figures]
        for row in rows
      ],
    ),
    '\n## Commands\n',
  ]
  for row in rows:
    name = f'{row["setting"]} {row["task"]} seed {row["seed"]}'
    parts.append(f'{name}:\n\n    {_one_line(row["command"])}\n')
    parts.append(f'{_made_by(row)}\n')
  return '\n'.join(parts).encode('utf-8', 'replace')


def _figures(rows: Sequence[Row]) -> list[str]:
  """Returns the names of the figures that a run has."""
  there = {key for row in rows for key in row}
  probes = sorted(key for key in there if key.startswith('probe_'))
  known = [*_SHOWN, *probes]
  return [
    key
    for key in known
    if key in there or any(f'{key}_{x}' in there for x in results.HORIZONS)
  ]


def _means(rows: Sequence[Row], figures: Sequence[str]) -> list[list[str]]:
  """Returns the lines of the mean over seeds that are done."""
  groups: dict[tuple[str, str], list[Row]] = {}
  for row in rows:
    groups.setdefault((row['setting'], row['task']), []).append(row)
  lines = []
  for names, group in groups.items():
    done = [row for row in group if _is_done(row)]
    count = str(len(group))
    if len(done) < len(group):
      count = f'{len(done)} of {count}'
    lines.append([*names, count, *(_cell(done, figure) for figure in figures)])
  return lines


def _is_done(row: Row) -> bool:
  """Returns whether a run is done."""
  if row['state'] == results.EARLIER:
    return row.get('ended', False)
  return row['state'] == runner.DONE


def _cell(rows: Sequence[Row], figure: str) -> str:
  """Returns mean and spread of a figure over rows, by horizon if it has any."""
  _, form = _SHOWN.get(figure, (figure, '.2f'))
  if figure in _ERRORS:
    keys = [f'{figure}_{step}' for step in results.HORIZONS]
    texts = [_spread(rows, key, form) for key in keys]
    return ' / '.join(text or '–' for text in texts) if any(texts) else ''
  return _spread(rows, figure, form)


def _spread(rows: Sequence[Row], key: str, form: str) -> str:
  values = [row[key] for row in rows if key in row]
  if not values:
    return ''
  text = f'{statistics.fmean(values):{form}}'
  if len(rows) == 1:
    if key == 'return' and 'return_std' in rows[0]:
      text += f' ± {rows[0]["return_std"]:{form}} of {_count(rows[0])}'
    return text
  if len(values) > 1:
    text += f' ± {statistics.stdev(values):{form}}'
  return text if len(values) == len(rows) else f'{text} ({len(values)} known)'


def _count(row: Row) -> str:
  return f'{row.get("return_episodes", 0)} episodes'


def _made_by(row: Row) -> str:
  """Says with what a run was made."""
  said = [
    f'{name} {row[key]}'
    for key, name in (
      *(('commit', 'code'), ('machine', 'on'), ('cores', 'cores')),
      *((key, key) for key in results.VERSIONS),
    )
    if row.get(key)
  ]
  return _one_line(', '.join(said) or 'not made yet')


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
  names = [_SHOWN.get(name, (name.replace('_', ' '),))[0] for name in head]
  return [
    f'| {" | ".join(names)} |',
    f'|{"---|" * len(names)}',
    *(f'| {" | ".join(map(_escaped, row))} |' for row in rows),
  ]


def _escaped(text: str) -> str:
  return re.sub(r'([|<>`*\\])', r'\\\1', _one_line(text))


def _one_line(text: str) -> str:
  return ' '.join(text.split())


def _plain(value: Any) -> str:  # noqa: ANN401 (a figure or a text)
  return f'{value:.6g}' if isinstance(value, float) else str(value)
