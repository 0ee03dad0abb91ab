"""Makes one page of runs: curves, scores, films, configs.

  worldmodels report --logdir=A,B,C --out=report.html --csv=scores.csv

Runs of one task stand beside each other, beside random actions and beside
published curves where there are any. The page needs no network. A run may go on
meanwhile, and a record of one will do: config.json and metrics.jsonl.
"""

import datetime
import pathlib

from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import usage
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import films
from worldmodels.agents.reports import page
from worldmodels.agents.reports import records
from worldmodels.agents.reports import scores
from worldmodels.agents.runs import out_file
from worldmodels.data import atomic

_LOGDIR = flags.DEFINE_list(
  'logdir',
  None,
  'Directories of runs, with commas between; or of folders that hold some.',
  required=True,
)
_OUT = flags.DEFINE_string('out', 'report.html', 'Page to write: .html.')
_CSV = flags.DEFINE_string('csv', None, 'Table of all figures to write: .csv.')
_FILMS = flags.DEFINE_bool(
  'films', True, 'Films the runs that have a checkpoint.'
)
_PLAY = flags.DEFINE_bool(
  'play',
  True,
  'Plays episodes: films the agent acting, and random actions where a run has '
  'kept none.',
)


def main(argv: list[str]) -> None:
  """Reads the runs, films them, and writes."""
  del argv
  out = out_file.check('--out', _OUT.value, ('.html', '.htm'))
  table = None
  if _CSV.value is not None:
    table = out_file.check('--csv', _CSV.value, ('.csv',))
    if table == out:
      raise errors.OptionError('--csv', 'is the file of --out: give another')
  found = records.read(_LOGDIR.value)
  random, sources = compare.random_returns(found, _PLAY.value, print)
  shown = {record.label: _films(record) for record in found}
  contents = page.Contents(found, random, sources, shown)
  today = datetime.datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z')
  written = page.build(
    contents, f'made by worldmodels {usage.version()}, {today}'
  )
  atomic.write_bytes(out, written)
  for record in found:
    for note in record.notes:
      print(f'{record.label}: {note}')
  _say(out, f'{len(found)} runs')
  if table is not None:
    atomic.write_bytes(table, scores.table(found, random))
    _say(table, 'all figures')


def _films(record: records.Record) -> list[films.Film]:
  """Returns the films of a run: new ones where they can be made."""
  if not _FILMS.value:
    return []
  if not films.has_checkpoint(record):
    return films.kept(record)
  print(f'{record.label}: filming, which takes some seconds')
  return films.made(record, _PLAY.value, print) or films.kept(record)


def _say(path: pathlib.Path, what: str) -> None:
  print(f'{path}: {what}, {path.stat().st_size / 1e6:.2f} MB')
