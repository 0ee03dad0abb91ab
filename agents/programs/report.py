"""Makes one page of runs: curves, scores, films, configs.

  worldmodels report --logdir=A,B,C --out=report.html
  worldmodels report --logdir=A,B,C --csv=scores.csv --figures=figures.csv

--csv writes a row for each evaluation of each run: task, agent, seed,
env_steps, minutes, return, machine, cores, commit. --figures writes every
figure that there is, --picture draws the curves.

Runs of one task stand beside each other, beside random actions and beside
published curves where there are any. The page needs no network. A run may go on
meanwhile, and a record of one will do: config.json and metrics.jsonl.
"""

import datetime
import pathlib
from collections.abc import Sequence

from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import usage
from worldmodels.agents.reports import all_figures
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import films
from worldmodels.agents.reports import page
from worldmodels.agents.reports import picture
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
_CSV = flags.DEFINE_string(
  'csv', None, 'Table of scores to write, a row for each evaluation: .csv.'
)
_FIGURES = flags.DEFINE_string(
  'figures', None, 'Table of all figures to write, one in a row: .csv.'
)
_PICTURE = flags.DEFINE_string(
  'picture',
  None,
  'Picture of the curves to write, by env_steps and by minutes: .svg or .png.',
)
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
  more = _checked(out)
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
  for flag, path in more.items():
    what, content = _made(flag, path, found, random)
    atomic.write_bytes(path, content)
    _say(path, what)


def _checked(out: pathlib.Path) -> dict[str, pathlib.Path]:
  """Returns the other files that are asked for, by flag, no one twice."""
  asked = (
    ('--csv', _CSV.value, ('.csv',)),
    ('--figures', _FIGURES.value, ('.csv',)),
    ('--picture', _PICTURE.value, picture.ENDINGS),
  )
  found = {'--out': out}
  for flag, value, endings in asked:
    if value is None:
      continue
    path = out_file.check(flag, value, endings)
    for other, taken in found.items():
      if path.resolve() == taken.resolve():
        raise errors.OptionError(flag, f'is the file of {other}: give another')
    found[flag] = path
  del found['--out']
  return found


def _made(
  flag: str,
  path: pathlib.Path,
  found: Sequence[records.Record],
  random: dict[str, list[float]],
) -> tuple[str, bytes]:
  """Returns what the file of a flag is, and its content."""
  if flag == '--csv':
    content = scores.table(found)
    rows = content.count(b'\n') - 1
    return f'{rows} scores', content
  if flag == '--figures':
    return 'all figures', all_figures.table(found, random)
  content, count = picture.draw(
    found, random, path.suffix.lower(), ('return', 'minutes')
  )
  return f'{count} charts', content


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
