"""Lays out a chart: series in, shapes with places out.

What draws the shapes is in svg.py and raster.py, so that a page and a picture
are the same. Nothing here knows what a run is.
"""

import dataclasses
import math
from collections.abc import Sequence

Points = Sequence[tuple[float, float]]

# Okabe and Ito's colors, which differ for every kind of color vision.
COLORS = (
  *('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'),
  *('#7a4fbf', '#8c564b', '#4d4d4d', '#b0a000'),
)
INK, DIM, GRID = '#1a1c20', '#5c6370', '#e3e6ea'
WIDTH, HEIGHT = 560, 330  # of a chart without its legend
LETTER = 12
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 44, 40
_LINE = 17  # pixels, height of a line of the legend
_WIDE = 0.58  # of a letter, as a share of its height


@dataclasses.dataclass(frozen=True)
class Series:
  """Points that belong together.

  Attributes:
    name: in the legend; the same name stands there once, and none with ''.
    points: (x, y), in order; y may be NaN, where the line is broken.
    color: '#rrggbb'.
    width: of the line in pixels, 0 for none.
    dashed: whether the line is.
    dots: whether each point is marked.
    faint: drawn paler, for what is behind the others.
    low, high: y of the edges of a band around the points, or empty.
  """

  name: str
  points: Points
  color: str = COLORS[0]
  width: float = 2.0
  dashed: bool = False
  dots: bool = False
  faint: bool = False
  low: Sequence[float] = ()
  high: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Chart:
  """A chart to lay out.

  Attributes:
    title: above it.
    x, y: what the axes are.
    series: what is drawn, the first one behind the others.
    zero: whether the y axis begins at 0.
    right: where the x axis ends; None for the end of the series.
  """

  title: str
  x: str
  y: str
  series: Sequence[Series]
  zero: bool = False
  right: float | None = None


@dataclasses.dataclass(frozen=True)
class Path:
  """A line through points, or the area inside where it is filled."""

  points: Points
  color: str
  width: float = 1.0
  dashed: bool = False
  opacity: float = 1.0
  filled: bool = False


@dataclasses.dataclass(frozen=True)
class Dot:
  """A marked point, with what is said of it where one points at it."""

  x: float
  y: float
  color: str
  radius: float
  says: str = ''


@dataclasses.dataclass(frozen=True)
class Text:
  """A line of text; `anchor` is start, middle or end."""

  x: float
  y: float
  text: str
  color: str = INK
  size: float = LETTER
  anchor: str = 'start'
  bold: bool = False


Shape = Path | Dot | Text


def layout(chart: Chart) -> tuple[float, float, list[Shape]]:
  """Places everything that a chart has.

  Args:
    chart: with finite numbers, or NaN in y.

  Returns:
    (width, height, shapes), in pixels from the top left.
  """
  plane = _Plane(chart)
  shapes: list[Shape] = [
    Text(_LEFT - 42, 18, _cut(chart.title, WIDTH), size=14, bold=True),
    Text(_LEFT - 42, 35, chart.y, DIM),
    Text(WIDTH - _RIGHT, HEIGHT - 6, chart.x, DIM, anchor='end'),
    *plane.grid(),
  ]
  if plane.empty:
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    shapes.append(
      Text(middle, HEIGHT / 2, 'no figures yet', DIM, anchor='middle')
    )
  for series in chart.series:
    shapes += plane.draw(series)
  legend, height = _legend(chart.series)
  return WIDTH, HEIGHT + height, shapes + legend


class _Plane:
  """The plane of a chart: from figures to pixels."""

  def __init__(self, chart: Chart):
    right = math.inf if chart.right is None else chart.right
    shown = [
      (x, y)
      for series in chart.series
      for part in (*_runs(series.points, right), *_runs(_band(series), right))
      for x, *values in part
      for y in values
    ]
    self.empty = not shown
    xs = [x for x, _ in shown] or [0.0]
    ys = [y for _, y in shown] or [0.0, 1.0]
    self._x = ticks(min(0.0, *xs), max(xs) if right == math.inf else right, 6)
    self._y = ticks(min(0.0, *ys) if chart.zero else min(ys), max(ys), 5)
    self._x_end = max(xs) if right == math.inf else right
    self._x_end = max(self._x_end, self._x[0] + 1e-12)

  def x(self, value: float) -> float:
    start = self._x[0]
    share = (value - start) / (self._x_end - start)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

  def y(self, value: float) -> float:
    share = (value - self._y[0]) / (self._y[-1] - self._y[0])
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

  def grid(self) -> list[Shape]:
    """Returns the lines and the numbers of both axes."""
    shapes: list[Shape] = []
    for value in self._y:
      y = self.y(value)
      shapes.append(Path([(_LEFT, y), (WIDTH - _RIGHT, y)], GRID))
      shapes.append(
        Text(_LEFT - 6, y + 4, number(value), DIM, 11, anchor='end')
      )
    base = HEIGHT - _BOTTOM
    for value in self._x:
      if value <= self._x_end * (1 + 1e-9):
        x = self.x(value)
        shapes.append(Path([(x, base), (x, base + 4)], DIM))
        shapes.append(
          Text(x, base + 17, number(value), DIM, 11, anchor='middle')
        )
    return [*shapes, Path([(_LEFT, base), (WIDTH - _RIGHT, base)], DIM)]

  def draw(self, series: Series) -> list[Shape]:
    """Returns a band, lines and dots."""
    opacity = 0.45 if series.faint else 1.0
    shapes: list[Shape] = []
    for part in _runs(_band(series), self._x_end):
      edge = [(self.x(x), self.y(high)) for x, _, high in part]
      edge += [(self.x(x), self.y(low)) for x, low, _ in reversed(part)]
      shapes.append(Path(edge, series.color, 0, opacity=0.15, filled=True))
    for part in _runs(series.points, self._x_end):
      points = [(self.x(x), self.y(y)) for x, y in part]
      if series.width and len(points) > 1:
        shapes.append(
          Path(points, series.color, series.width, series.dashed, opacity)
        )
      if series.dots or len(points) == 1:
        radius = 1.5 + series.width / 2
        shapes += [
          Dot(*place, series.color, radius, f'{series.name}: {_pair(*point)}')
          for place, point in zip(points, part)
        ]
    return shapes


def _band(series: Series) -> list[tuple[float, float, float]]:
  """Returns (x, low, high) of a series, nothing without a band."""
  edges = zip(series.points, series.low, series.high)
  return [(x, low, high) for (x, _), low, high in edges]


def _runs(points: Sequence[tuple], end: float) -> list[list[tuple]]:
  """Cuts points where one is not finite, and at the end of the x axis."""
  runs: list[list[tuple]] = [[]]
  for point in points:
    last = runs[-1][-1] if runs[-1] else None
    if not all(map(math.isfinite, point)):
      runs.append([])
    elif point[0] <= end * (1 + 1e-9):
      runs[-1].append(point)
    elif last is not None and last[0] < end:  # Up to the end, and no further.
      share = (end - last[0]) / (point[0] - last[0])
      runs[-1].append(
        (end, *(a + share * (b - a) for a, b in zip(last[1:], point[1:])))
      )
  return [run for run in runs if run]


def _legend(series: Sequence[Series]) -> tuple[list[Shape], float]:
  """Returns the legend below a chart, and its height."""
  named = {one.name: one for one in reversed(series) if one.name}
  shapes: list[Shape] = []
  x, y = float(_LEFT), HEIGHT + 8.0
  for one in reversed(named.values()):
    name = _cut(one.name, WIDTH - _LEFT - _RIGHT - 40)
    wide = 30 + _extent(name) + 14
    if x > _LEFT and x + wide > WIDTH - _RIGHT:
      x, y = float(_LEFT), y + _LINE
    opacity = 0.45 if one.faint else 1.0
    shapes.append(
      Path([(x, y), (x + 22, y)], one.color, one.width, one.dashed, opacity)
    )
    if one.dots:
      shapes.append(Dot(x + 11, y, one.color, 1.5 + one.width / 2))
    shapes.append(Text(x + 28, y + 4, name))
    x += wide
  return shapes, y + _LINE - HEIGHT if shapes else 0.0


def ticks(low: float, high: float, count: int) -> list[float]:
  """Returns round numbers from below `low` to above `high`.

  Args:
    low: finite.
    high: finite; where it is `low`, there is a range all the same.
    count: about how many.
  """
  low, high = sorted((low, high))
  if high - low <= 1e-9 * max(abs(low), abs(high)):
    wide = 0.1 * max(abs(low), abs(high))
    low, high = (low - wide, high + wide) if wide > 1e-12 else (0.0, 1.0)
  raw = (high - low) / count
  size = 10.0 ** math.floor(math.log10(raw))
  step = size * next((x for x in (1, 2, 2.5, 5) if x * size >= raw), 10)
  first = math.floor(low / step + 1e-9)
  last = math.ceil(high / step - 1e-9)
  return [index * step for index in range(first, last + 1)]


def number(value: float) -> str:
  """Returns a short text for a number: 0, 2.5, 40k, 1M, 3e+12."""
  size = abs(value)
  for least, ending in ((1e12, ''), (1e6, 'M'), (1e4, 'k')):
    if size >= least:
      scaled = value / least if ending == 'M' else value / 1e3
      return f'{scaled:.4g}{ending}' if ending else f'{value:.3g}'
  return '0' if size < 1e-12 else f'{value:.4g}'


def _pair(x: float, y: float) -> str:
  return f'{y:.4g} at {number(x)}'


def _extent(text: str) -> float:
  return _WIDE * LETTER * len(text)


def _cut(text: str, width: float) -> str:
  """Shortens a text to a width, in the middle."""
  most = max(4, int(width / (_WIDE * LETTER)))
  if len(text) <= most:
    return text
  half = (most - 1) // 2
  return f'{text[:half]}…{text[-half:]}'
