"""Draws the curves of runs as a picture, PNG or SVG.

  worldmodels plot --logdir=A,B,C --out=curves.png

The charts are those of `worldmodels report`: a row for each task.
"""

from absl import flags

from worldmodels import errors
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import raster
from worldmodels.agents.reports import records
from worldmodels.agents.reports import svg
from worldmodels.agents.runs import out_file
from worldmodels.data import atomic

_LOGDIR = flags.DEFINE_list(
  'logdir',
  None,
  'Directories of runs, with commas between; or of folders that hold some.',
  required=True,
)
_OUT = flags.DEFINE_string('out', 'curves.png', 'File to write: .png or .svg.')
_CHARTS = flags.DEFINE_list(
  'charts',
  list(figures.CHARTS),
  f'Which of {", ".join(figures.CHARTS)}, with commas between.',
)
_PLAY = flags.DEFINE_bool(
  'play', False, 'Plays random episodes where a run has kept none.'
)
# Pixels of a picture: what viewers open, and what fits into memory.
_MOST = 100_000_000


def main(argv: list[str]) -> None:
  """Reads the runs, draws and writes."""
  del argv
  out = out_file.check('--out', _OUT.value, ('.png', '.svg'))
  for name in _CHARTS.value:
    errors.choose('--charts', name, figures.CHARTS)
  found = records.read(_LOGDIR.value)
  random, _ = compare.random_returns(found, _PLAY.value, print)
  rows = []
  for task in dict.fromkeys(record.task for record in found):
    own = [record for record in found if record.task == task]
    rows.append(figures.charts(task, own, random.get(task, ()), _CHARTS.value))
  rows = [row for row in rows if row]
  if not rows:
    raise records.RecordError('these runs have no figures for these charts yet')
  width, height, _ = svg.arrange(rows)
  if width * height * raster.SCALE**2 > _MOST:
    raise errors.OptionError(
      '--logdir', f'has {len(rows)} tasks, too many for one picture'
    )
  if out.suffix.lower() == '.svg':
    content = svg.draw(rows).encode('utf-8', 'replace')
  else:
    content = raster.png(raster.draw(rows))
  atomic.write_bytes(out, content)
  for record in found:
    for note in record.notes:
      print(f'{record.label}: {note}')
  print(f'{out}: {sum(map(len, rows))} charts, {len(found)} runs')
