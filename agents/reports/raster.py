"""Draws charts as pixels, with OpenCV: nothing else has to be installed."""

import cv2
import numpy as np

from worldmodels.agents.reports import chart
from worldmodels.agents.reports import svg

SCALE = 2  # pixels of the picture to one of the layout
_SHIFT = 4  # bits below a pixel at which OpenCV places what it draws
_DASH = 6.0, 4.0


def draw(rows: svg.Rows) -> np.ndarray:
  """Draws rows of charts; returns uint8 [height, width, 3], RGB."""
  width, height, placed = svg.arrange(rows)
  size = (round(SCALE * height), round(SCALE * width), 3)
  canvas = np.full(size, 255, np.uint8)
  for x, y, shapes in placed:
    for shape in shapes:
      _draw(canvas, shape, np.array([x, y]))
  return canvas


def png(image: np.ndarray) -> bytes:
  """Returns the file of an image uint8 [h, w, 3], RGB.

  Raises:
    OSError: it cannot be encoded.
  """
  done, content = cv2.imencode('.png', image[..., ::-1])
  if not done:
    raise OSError(f'OpenCV {cv2.__version__} cannot encode .png')
  return content.tobytes()


def _draw(canvas: np.ndarray, shape: chart.Shape, offset: np.ndarray) -> None:
  """Draws a shape whose places count from `offset`."""
  color = tuple(int(shape.color[i : i + 2], 16) for i in (1, 3, 5))
  if isinstance(shape, chart.Text):
    _write(canvas, shape, offset, color)
  elif isinstance(shape, chart.Dot):
    center = _fixed([(shape.x, shape.y)], offset)[0]
    radius = round(shape.radius * SCALE * 2**_SHIFT)
    cv2.circle(canvas, center, radius, color, -1, cv2.LINE_AA, _SHIFT)
  elif shape.filled:
    over = canvas.copy()
    points = _fixed(shape.points, offset)
    cv2.fillPoly(over, [points], color, cv2.LINE_AA, _SHIFT)
    _blend(canvas, over, shape.opacity)
  else:
    over = canvas if shape.opacity == 1 else canvas.copy()
    wide = max(1, round(shape.width * SCALE))
    lines = _dashes(shape.points) if shape.dashed else [shape.points]
    fixed = [_fixed(line, offset) for line in lines]
    cv2.polylines(over, fixed, False, color, wide, cv2.LINE_AA, _SHIFT)
    if over is not canvas:
      _blend(canvas, over, shape.opacity)


def _blend(canvas: np.ndarray, over: np.ndarray, opacity: float) -> None:
  cv2.addWeighted(over, opacity, canvas, 1 - opacity, 0, canvas)


def _write(
  canvas: np.ndarray,
  text: chart.Text,
  offset: np.ndarray,
  color: tuple[int, ...],
) -> None:
  font = cv2.FontFace('sans')
  size, weight = round(text.size * SCALE), 600 if text.bold else 400
  x, y = (np.array([text.x, text.y]) + offset) * SCALE
  # Its font has these alone of what lies beyond a line of text.
  words = ''.join(x if x >= ' ' else '?' for x in text.text)
  words = words.encode('utf-8', 'replace').decode()
  box = cv2.getTextSize((1, 1), words, (0, 0), font, size, weight)
  x -= {'start': 0.0, 'middle': 0.5, 'end': 1.0}[text.anchor] * box[2]
  place = (round(x), round(y))
  cv2.putText(canvas, words, place, color, font, size, weight)


def _fixed(points: chart.Points, offset: np.ndarray) -> np.ndarray:
  """Returns int32 [N, 2] in parts of a pixel."""
  places = (np.array(points) + offset) * SCALE * 2**_SHIFT
  return places.round().astype(np.int32)


def _dashes(points: chart.Points) -> list[list[tuple[float, float]]]:
  """Cuts a line into the dashes that are drawn of it."""
  places = np.array(points, float)
  steps = np.hypot(*np.diff(places, axis=0).T)
  at = np.concatenate([[0.0], np.cumsum(steps)])
  dashes = []
  for start in np.arange(0.0, at[-1], sum(_DASH)):
    stop = min(start + _DASH[0], at[-1])
    between = at[(at > start) & (at < stop)]
    where = np.concatenate([[start], between, [stop]])
    xs, ys = (np.interp(where, at, places[:, axis]) for axis in (0, 1))
    dashes.append(list(zip(xs, ys)))
  return dashes
