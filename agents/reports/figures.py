"""Makes the charts of runs of one task: curves of returns, open-loop errors."""

from collections.abc import Sequence

import numpy as np

from worldmodels.agents.reports import open_loop_charts
from worldmodels.agents.reports import published
from worldmodels.agents.reports.chart import INK
from worldmodels.agents.reports.chart import Chart
from worldmodels.agents.reports.chart import Points
from worldmodels.agents.reports.chart import Series
from worldmodels.agents.reports.chart import number
from worldmodels.agents.reports.groups import Group
from worldmodels.agents.reports.groups import groups
from worldmodels.agents.reports.records import Record

AXES = {'env_steps': 'env_steps (simulator frames)', 'minutes': 'minutes'}
_RETURNS = ('return', 'evaluation_return', 'last_evaluation_mean')
_MOST = 1000  # points of a curve: more than a chart has pixels for
_DOTS = 200  # of an evaluation each; more of them are a line
# Of published curves, which are not to be mistaken for ours.
_PALE = {
  'planet': '#7f8c9b',
  'dreamer': '#b39b7d',
  'dreamerv2': '#93ad8f',
  'dreamerv3': '#8fa8c4',
  'drqv2': '#b890b5',
  'mrq': '#b5ad6d',
}
CHARTS = ('return', 'minutes', 'open_loop')


def charts(
  task: str,
  records: Sequence[Record],
  random: Sequence[float],
  wanted: Sequence[str] = CHARTS,
) -> list[Chart]:
  """Makes the charts of the runs of a task.

  Args:
    task: its name.
    records: of the runs.
    random: returns of a random policy, or none.
    wanted: which of CHARTS.

  Returns:
    charts; for open_loop those of each kind of episodes that was measured.
  """
  made = groups(records)
  found = []
  # Who learns from recordings alone has no returns.
  acts = any(record.curve(key) for record in records for key in _RETURNS)
  if acts or not any(record.lines for record in records):
    if 'return' in wanted:
      found.append(_returns(task, made, random, 'env_steps'))
    if 'minutes' in wanted:
      found.append(_returns(task, made, random, 'minutes'))
  if 'open_loop' in wanted:
    found += open_loop_charts.charts(task, made)
  return found


def evaluations(record: Record, axis: str) -> Points:
  """Returns the mean returns without noise, the one at the end included.

  Args:
    record: of a run.
    axis: env_steps or minutes.
  """
  lines = [
    (x, x['evaluation_return']) for x in record.curve('evaluation_return')
  ]
  ends = record.curve('last_evaluation_mean')
  lines += [(x, x['last_evaluation_mean']) for x in ends]
  return [(_at(line, axis), float(value)) for line, value in lines]


def trainings(record: Record, axis: str) -> Points:
  """Returns the returns of the episodes that were trained on."""
  return [(_at(x, axis), float(x['return'])) for x in record.curve('return')]


def thinned(points: Points, most: int = _MOST) -> Points:
  """Averages neighbors where there are more points than a chart can show."""
  if len(points) <= most:
    return points
  parts = np.array_split(np.array(points), most)
  return [tuple(part.mean(0).tolist()) for part in parts]


def mean(curves: Sequence[Points]) -> tuple[Points, list[float], list[float]]:
  """Averages curves where all of them are known.

  Returns:
    (mean, lowest, highest), between the points of each linearly.
  """
  start = max(curve[0][0] for curve in curves)
  stop = min(curve[-1][0] for curve in curves)
  places = sorted(
    {x for curve in curves for x, _ in curve if start <= x <= stop}
  )
  if not places:
    return [], [], []
  values = np.stack([np.interp(places, *np.array(c).T) for c in curves])
  points = list(zip(places, values.mean(0).tolist()))
  return points, values.min(0).tolist(), values.max(0).tolist()


def _at(line: dict[str, float], axis: str) -> float:
  seconds = axis == 'minutes'
  return line['wall_seconds'] / 60 if seconds else float(line['env_steps'])


def _returns(
  task: str, made: Sequence[Group], random: Sequence[float], axis: str
) -> Chart:
  series, ends = [], []
  for group in made:
    for record in group.records:
      thin = thinned(trainings(record, axis))
      series.append(Series('', thin, group.color, 1.0, faint=True))
      ends += [x for x, _ in thin]
  for group in made:
    series += _evaluated(group, axis)
    for record in group.records:
      ends += [x for x, _ in evaluations(record, axis)]
  right = max(ends, default=1.0) or 1.0
  if random:
    level = float(np.mean(random))
    name = f'random policy, mean of {len(random)}'
    flat = Series(name, [(0.0, level), (right, level)], INK, 1.5, dashed=True)
    series.insert(0, flat)
  if axis == 'env_steps':
    series = [*_published(task, right), *series]
  else:
    series = [*_best_published(task, made, right), *series]
  title = (
    f'{task}: return by {"simulator frames" if axis != "minutes" else axis}'
  )
  return Chart(title, AXES[axis], 'return of an episode', series, right=right)


def _evaluated(group: Group, axis: str) -> list[Series]:
  """Returns the curves of evaluations: of each run, and their mean."""
  found = [(record, evaluations(record, axis)) for record in group.records]
  found = [(record, curve) for record, curve in found if curve]
  if not found:
    return []
  name = group.name([record for record, _ in found])
  curves = [thinned(curve) for _, curve in found]
  if len(curves) == 1:
    dots = len(curves[0]) <= _DOTS
    return [Series(name, curves[0], group.color, 2.5, dots=dots)]
  each = [Series('', x, group.color, 1.2, dots=len(x) <= _DOTS) for x in curves]
  points, low, high = mean([sorted(curve) for curve in curves])
  middle = Series(name, points, group.color, 3.0, low=low, high=high)
  return [*each, middle]


def _published(task: str, right: float) -> list[Series]:
  """Returns published curves as far as ours go, in pale colors."""
  found = []
  for method, points in published.curves(task).items():
    places = [(float(x.env_steps), x.mean) for x in points]
    if places[0][0] <= right:
      name = f'{published.SOURCES[method][0]} (published)'
      color = _PALE[method]
      found.append(Series(name, places, color, 1.5, dashed=True, dots=True))
  return found


def _best_published(
  task: str, made: Sequence[Group], right: float
) -> list[Series]:
  """Returns the best that others had after as many frames, as a level.

  A curve that ends before counts with its last point, which is named.
  Nobody has published minutes, so there is no curve of theirs.
  """
  frames = max(
    (
      x
      for group in made
      for record in group.records
      for x, _ in evaluations(record, 'env_steps')
    ),
    default=0.0,
  )
  levels = {}
  for method, points in published.curves(task).items():
    places = [float(point.env_steps) for point in points]
    if places[0] <= frames:
      means = [point.mean for point in points]
      level = float(np.interp(frames, places, means))
      levels[method] = level, min(frames, places[-1])
  if not levels:
    return []
  best = max(levels, key=levels.get)
  level, after = levels[best]
  name = f'{published.SOURCES[best][0]} after {number(after)} frames'
  flat = [(0.0, level), (right, level)]
  name = f'{name} (best published)'
  return [Series(name, flat, _PALE[best], 1.5, dashed=True)]
