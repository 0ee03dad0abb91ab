"""Draws the curves of runs as a picture, PNG or SVG.

  worldmodels plot --logdir=A,B,C --out=curves.png
  worldmodels plot --logdir=results --out=curves.svg --charts=return,minutes

The charts are those of `worldmodels report`: a row for each task.
"""

from absl import flags

from worldmodels import errors
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import picture
from worldmodels.agents.reports import records
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
_COLUMNS = flags.DEFINE_integer(
  'columns',
  0,
  'Charts side by side; 0 for a row for each task.',
  lower_bound=0,
  upper_bound=20,
)
_PLAY = flags.DEFINE_bool(
  'play', False, 'Plays random episodes where a run has kept none.'
)


def main(argv: list[str]) -> None:
  """Reads the runs, draws and writes."""
  del argv
  out = out_file.check('--out', _OUT.value, picture.ENDINGS)
  for name in _CHARTS.value:
    errors.choose('--charts', name, figures.CHARTS)
  found = records.read(_LOGDIR.value)
  random, _ = compare.random_returns(found, _PLAY.value, print)
  content, count = picture.draw(
    *(found, random, out.suffix.lower()), _CHARTS.value, _COLUMNS.value
  )
  atomic.write_bytes(out, content)
  for record in found:
    for note in record.notes:
      print(f'{record.label}: {note}')
  print(f'{out}: {count} charts, {len(found)} runs')
