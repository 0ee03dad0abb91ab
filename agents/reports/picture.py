"""Draws the charts of all tasks as one picture."""

from collections.abc import Sequence

from worldmodels import errors
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import raster
from worldmodels.agents.reports import records
from worldmodels.agents.reports import svg

ENDINGS = ('.png', '.svg')
# Pixels of a picture: what viewers open, and what fits into memory.
_MOST = 100_000_000


def draw(
  found: Sequence[records.Record],
  random: dict[str, Sequence[float]],
  ending: str,
  charts: Sequence[str] = figures.CHARTS,
  columns: int = 0,
) -> tuple[bytes, int]:
  """Draws runs, those of a task on the same charts.

  Args:
    found: records of the runs.
    random: {task: returns of a random policy}.
    ending: one of ENDINGS.
    charts: which of figures.CHARTS.
    columns: charts side by side; 0 for a row for each task.

  Returns:
    (content of the file, number of charts).

  Raises:
    RecordError: there is nothing to draw yet.
    OptionError: there is too much for one picture.
  """
  rows = []
  for task in dict.fromkeys(record.task for record in found):
    own = [record for record in found if record.task == task]
    rows.append(figures.charts(task, own, random.get(task, ()), charts))
  rows = [row for row in rows if row]
  if not rows:
    raise records.RecordError('these runs have no figures for these charts yet')
  if columns:
    every = [chart for row in rows for chart in row]
    rows = [every[i : i + columns] for i in range(0, len(every), columns)]
  count = sum(map(len, rows))
  width, height, _ = svg.arrange(rows)
  if width * height * raster.SCALE**2 > _MOST:
    raise errors.OptionError(
      '--logdir', f'has {count} charts of runs, too many for one picture'
    )
  if ending == '.svg':
    return svg.draw(rows).encode('utf-8', 'replace'), count
  return raster.png(raster.draw(rows)), count
