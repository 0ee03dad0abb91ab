"""The page: one file without scripts that asks the network for nothing."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from worldmodels.agents.reports import audits
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import published
from worldmodels.agents.reports import svg
from worldmodels.agents.reports.films import Film
from worldmodels.agents.reports.records import Record

# The browser is told to load nothing, whatever a config says.
_POLICY = (
  "default-src 'none'; img-src data:; media-src data:; "
  "style-src 'unsafe-inline'"
)
_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1180px; padding: 24px; color: #1a1c20;
  background: #fff; font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif; }
h1 { margin: 0 0 4px; font-size: 26px; }
h2 { margin: 44px 0 8px; padding-top: 16px; border-top: 2px solid #e3e6ea;
  font-size: 21px; }
h3 { margin: 26px 0 4px; font-size: 16px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 80ch; }
.dim, figcaption, summary { color: #5c6370; }
.note { color: #9a4b00; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 10px 0; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid #e3e6ea;
  text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { color: #5c6370; font-weight: 500; }
.scores td, .scores th { white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.charts { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
.charts svg { width: 100%; height: auto; }
.films { display: flex; flex-wrap: wrap; gap: 18px; }
figure { margin: 8px 0; max-width: 100%; }
figcaption { max-width: 60ch; font-size: 13px; }
video, img { max-width: min(100%, 620px); border-radius: 4px; }
summary { cursor: pointer; }
code { font-size: 13px; overflow-wrap: anywhere; }
@media print { details { display: none; } h2 { break-before: page; } }
"""


@dataclasses.dataclass(frozen=True)
class Contents:
  """What a page shows.

  Attributes:
    records: of the runs, in order.
    random: {task: returns of a random policy}.
    sources: {task: where those are from}.
    films: {label of a run: its films}.
  """

  records: Sequence[Record]
  random: dict[str, Sequence[float]]
  sources: dict[str, str]
  films: dict[str, Sequence[Film]]


def build(contents: Contents, made: str) -> bytes:
  """Returns the page as a file, UTF-8.

  Args:
    contents: of the page.
    made: when and with what it was made.
  """
  tasks = list(dict.fromkeys(record.task for record in contents.records))
  count = len(contents.records)
  title = f'{count} run{"s" * (count != 1)}: {", ".join(tasks)}'
  parts = [
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    f'<title>{svg.escape(title)}</title><style>{_STYLE}</style></head><body>',
    f'<h1>{svg.escape(title)}</h1><p class="dim">{svg.escape(made)}</p>',
    _scores(contents),
  ]
  for task in tasks:
    parts += _task(contents, task)
  return (''.join(parts) + '</body></html>\n').encode('utf-8', 'replace')


def _scores(contents: Contents) -> str:
  """Returns the table of all runs."""
  head = (
    *('run', 'task', 'agent', 'seed', 'episodes', 'env_steps', 'minutes'),
    *('return', 'from', 'random policy'),
  )
  rows = []
  for record in contents.records:
    last = record.lines[-1] if record.lines else {}
    random = contents.random.get(record.task, ())
    score = record.score()
    rows.append(
      [
        *(record.label, record.task, record.kind, record.seed),
        _count(last.get('episodes')),
        _count(last.get('env_steps')),
        f'{last["wall_seconds"] / 60:.1f}' if last else '',
        _score(score),
        '' if score is None else score[3],
        _score((sum(random) / len(random), None, 0)) if random else '',
      ]
    )
  table = _table(head, rows, numbers=(4, 5, 6, 7, 9))
  return f'<div class="scores">{table}</div>'


def _task(contents: Contents, task: str) -> Iterable[str]:
  """Yields the section of a task: charts, words about them, its runs."""
  records = [record for record in contents.records if record.task == task]
  random = contents.random.get(task, ())
  yield f'<h2>{svg.escape(task)}</h2><div class="charts">'
  for one in figures.charts(task, records, random):
    yield f'<div>{svg.draw([[one]])}</div>'
  yield (
    '</div><p class="dim">Dots are evaluations without exploration noise; thin '
    'lines are the episodes that were collected for training, with it. Where '
    'several seeds ran, the thick line is their mean and the band reaches from '
    'the lowest to the highest. Open-loop error: the model sees some images, '
    'then imagines from the actions alone; below both baselines it knows more '
    'than they do.</p>'
  )
  if random:
    yield f'<p class="dim">Random policy: {svg.escape(contents.sources[task])}.'
    yield '</p>'
  else:
    yield '<p class="dim">Random policy: not known here.</p>'
  if methods := published.curves(task):
    rows = []
    for method, points in methods.items():
      name, source = published.SOURCES[method]
      frames = f'{points[-1].env_steps:,}'
      rows.append([name, f'{points[-1].mean:g}', frames, source])
    head = ('method', 'return at the end', 'after frames', 'source')
    yield (
      '<details><summary>Published curves, and where they are from</summary>'
      f'<p class="dim">{svg.escape(published.PROTOCOL)}</p>'
      f'{_table(head, rows, numbers=(1, 2))}</details>'
    )
  for record in records:
    yield _run(record, contents.films.get(record.label, ()))


def _run(record: Record, films: Sequence[Film]) -> str:
  """Returns the part of a run: films, notes, config and versions."""
  parts = [f'<h3>{svg.escape(record.label)}</h3>']
  parts += [f'<p class="note">{svg.escape(x)}</p>' for x in record.notes]
  if films:
    parts.append(f'<div class="films">{"".join(map(_film, films))}</div>')
  if audits.is_one(record.audit):
    updates = record.lines[-1]['updates'] if record.lines else 0
    parts.append(audits.section(record.audit, record.label, updates))
  if record.config:
    rows = list(_flat(record.config))
    parts.append(
      '<details><summary>Config</summary>'
      f'{_table(("key", "value"), rows)}</details>'
    )
  if record.versions:
    rows = list(_flat(record.versions[-1]))
    note = f'<p class="dim">The newest of {len(record.versions)} starts.</p>'
    parts.append(
      f'<details><summary>Versions</summary>{note}'
      f'{_table(("package", "version"), rows)}</details>'
    )
  return ''.join(parts)


def _film(film: Film) -> str:
  caption = svg.escape(film.caption)
  if film.kind.startswith('video/'):
    shown = (
      f'<video src="{film.address}" controls autoplay loop muted playsinline '
      f'aria-label="{caption}"></video>'
    )
  else:
    shown = f'<img src="{film.address}" alt="{caption}">'
  return f'<figure>{shown}<figcaption>{caption}</figcaption></figure>'


def _table(
  head: Sequence[str],
  rows: Sequence[Sequence[str]],
  numbers: Sequence[int] = (),
) -> str:
  cells = [
    ''.join(
      f'<td{" class=" + chr(34) + "number" + chr(34) if i in numbers else ""}>'
      f'{svg.escape(str(value))}</td>'
      for i, value in enumerate(row)
    )
    for row in rows
  ]
  names = ''.join(f'<th>{svg.escape(name)}</th>' for name in head)
  body = ''.join(f'<tr>{row}</tr>' for row in cells)
  return f'<div class="wide"><table><tr>{names}</tr>{body}</table></div>'


def _flat(values: dict[str, Any], prefix: str = '') -> Iterable[list[str]]:
  """Yields the keys of a nested dict, with a point between their parts."""
  for key, value in values.items():
    if isinstance(value, dict) and value:
      yield from _flat(value, f'{prefix}{key}.')
    else:
      yield [f'{prefix}{key}', str(value)]


def _count(value: float | None) -> str:
  return '' if value is None else f'{value:,.0f}'


def _score(score: Sequence | None) -> str:
  """Returns `985.3 ± 2.3 (10)`: mean, deviation, episodes."""
  if score is None:
    return ''
  mean, std, count, *_ = score
  text = f'{mean:,.1f}'
  text += '' if std is None else f' ± {std:,.1f}'
  return f'{text} ({count})' if count else text
