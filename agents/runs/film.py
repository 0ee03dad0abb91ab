"""Open-loop prediction beside the truth, as frames to look at.

One frame shows one step of several chunks, a column for each: what was there,
what the model drew, and where the two differ. The model sees the first steps,
the context, and imagines the others from the actions alone: those are the
dream. Frames are RGB; nothing here knows a file format.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from worldmodels import prediction
from worldmodels import states
from worldmodels.world_model import WorldModel

Batch = dict[str, np.ndarray]

# Blue and orange differ for every kind of color vision.
OBSERVED = (86, 180, 233)
IMAGINED = (240, 150, 40)
_BACKGROUND = (18, 20, 24)
_LINE = (62, 66, 74)
_TEXT = (232, 232, 232)
_DIM = (150, 154, 162)
_BOLD = 700  # weight, as of CSS
ROWS = ('truth', 'model', 'error')
_GAIN = 3  # of the error: a third of the range of a pixel is shown as all


def open_loop(
  model: WorldModel, batch: Batch, context: int
) -> tuple[np.ndarray, np.ndarray]:
  """Draws the posterior in the context, then what the model imagines.

  Args:
    model: a WorldModel with an image head.
    batch: a batch {image uint8 [B, T, H, W, 3], action, is_first}.
    context: observed steps, at least 1 and fewer than T.

  Returns:
    (truth, prediction), uint8 arrays [B, T, H, W, 3].
  """
  found = prediction.predict(model, states.tensors(batch), context)
  return np.asarray(batch['image']), model.drawing(found).numpy()


def reconstruction(
  model: WorldModel, batch: Batch
) -> tuple[np.ndarray, np.ndarray]:
  """Draws the posterior of every step: each has just been seen.

  Args:
    model: a WorldModel with an image head.
    batch: a batch {image uint8 [B, T, H, W, 3], action, is_first}.

  Returns:
    (truth, prediction), uint8 arrays [B, T, H, W, 3]; for `compose` the
    context is T.
  """
  posterior, _ = model.observe(states.tensors(batch))
  return np.asarray(batch['image']), model.drawing(posterior).numpy()


def compose(
  truth: np.ndarray,
  predicted: np.ndarray,
  context: int,
  *,
  scale: int = 3,
  titles: Sequence[str] = (),
  rows: Sequence[str] = ROWS,
  more: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
  """Lays out truth, model and error of several chunks, with captions.

  Args:
    truth: uint8 [N, T, H, W, 3], a column for each of the N.
    predicted: uint8, of the same shape.
    context: how many of the T steps the model has observed.
    scale: whole number by which the pixels are enlarged.
    titles: a short text over each column, or nothing.
    rows: what truth, model and error are called.
    more: {name: uint8 of the same shape} of further rows.

  Returns:
    Frames uint8 [T, height, width, 3], height and width even, as video
    formats want them.

  Raises:
    ValueError: the shapes do not belong together.
  """
  if truth.shape != predicted.shape or truth.shape[4:] != (3,):
    raise ValueError(
      f'truth {list(truth.shape)} and prediction {list(predicted.shape)} are '
      'not both [N, T, H, W, 3]'
    )
  if not 0 <= context <= truth.shape[1]:
    raise ValueError(
      f'a context of {context} of {truth.shape[1]} steps cannot be'
    )
  if titles and len(titles) != len(truth):
    raise ValueError(f'{len(titles)} titles for {len(truth)} columns')
  more = more or {}
  layout = Layout(truth.shape, scale, titles, [*rows, *more])
  images = np.stack([truth, predicted, error(truth, predicted), *more.values()])
  return np.stack(
    [
      layout.frame(images[:, :, step], step, context)
      for step in range(truth.shape[1])
    ]
  )


def error(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """Draws the absolute difference, mean of the colors, as heat.

  Args:
    truth: uint8 [..., H, W, 3].
    predicted: uint8, of the same shape.

  Returns:
    uint8 [..., H, W, 3], black where the two are equal; from a third of the
    range of a pixel on it is as bright as it gets.
  """
  return heat(np.abs(truth.astype(np.int16) - predicted).mean(-1))


def heat(values: np.ndarray) -> np.ndarray:
  """Draws values [..., H, W], from 0 to 255, as `error` does differences."""
  bright = np.clip(np.round(_GAIN * values), 0, 255).astype(np.uint8)
  scale = np.arange(256, dtype=np.uint8)[:, None]
  colors = cv2.applyColorMap(scale, cv2.COLORMAP_INFERNO)[:, 0, ::-1].copy()
  colors[0] = 0
  return colors[bright]


class Layout:
  """Places of everything in a frame, and the parts that do not move.

  Attributes:
    height, width: of a frame in pixels, even.

  Args:
    shape: [N, T, H, W, 3] of the images.
    scale: by which they are enlarged.
    titles: of the columns, or nothing.
    rows: their names.
    words: over frames of the context, and over others before their count.
  """

  def __init__(
    self,
    shape: Sequence[int],
    scale: int,
    titles: Sequence[str] = (),
    rows: Sequence[str] = ROWS,
    words: Sequence[str] = ('observed', 'imagined'),
  ):
    columns, self._steps, height, width, _ = shape
    self._scale = scale
    self._tile = (height * scale, width * scale)
    self._letter = max(11, 4 + 4 * scale)  # pixels, height of the text
    self._border = max(2, scale)
    self._gap = 2 * self._border + 2 * scale + 2
    self._pad = 4 + 2 * scale
    self._font = cv2.FontFace('sans')
    line = round(1.6 * self._letter)
    self._rows, self._words = rows, words
    left = 2 * self._pad + max(self._extent(name) for name in rows)
    top = self._pad + line + (line if any(titles) else self._gap)
    count, spacing = len(rows), self._gap
    self._tops = [top + i * (self._tile[0] + spacing) for i in range(count)]
    self._lefts = [left + i * (self._tile[1] + spacing) for i in range(columns)]
    below = self._tops[-1] + self._tile[0]
    self._bar = below + self._gap + self._pad // 2  # top of the timeline
    self._thick = 2 + 2 * scale
    # One small column must still leave room for the words above it.
    words = left + self._extent(f'{words[1]} +000', _BOLD) + self._pad
    words += self._extent('step 000 of 000') + self._pad
    right = max(self._lefts[-1] + self._tile[1] + self._pad, words)
    self.height = _even(self._bar + self._thick + self._pad)
    self.width = _even(right)
    self._canvas = self._background(titles)

  def frame(self, images: np.ndarray, step: int, context: int) -> np.ndarray:
    """Draws one step.

    Args:
      images: uint8 [R, N, H, W, 3], by default truth, model and error.
      step: which of the T steps it is, from 0.
      context: how many of them are observed.

    Returns:
      uint8 [height, width, 3].
    """
    canvas = self._canvas.copy()
    color = OBSERVED if step < context else IMAGINED
    for left in self._lefts:  # The model's is the second row, or the only one.
      self._frame_tile(canvas, self._tops[:2][-1], left, color)
    for row, top in enumerate(self._tops):
      for column, left in enumerate(self._lefts):
        self._paste(canvas, images[row, column], top, left)
    word = self._words[0]
    if step >= context:
      word = f'{self._words[1]} +{step - context + 1}'
    base = self._pad + self._letter
    self._write(canvas, word, self._lefts[0], base, color, _BOLD)
    count = f'step {step + 1} of {self._steps}'
    right = self.width - self._pad - self._extent(count)
    self._write(canvas, count, right, base, _TEXT)
    self._timeline(canvas, step, context)
    return canvas

  def _background(self, titles):
    canvas = np.full((self.height, self.width, 3), _BACKGROUND, np.uint8)
    for name, top in zip(self._rows, self._tops):
      base = top + self._tile[0] // 2 + self._letter // 3
      self._write(canvas, name, self._pad, base, _DIM)
    for title, left in zip(titles, self._lefts):
      while title and self._extent(title) > self._tile[1]:
        title = title[:-1]
      base = self._tops[0] - self._gap // 2 - 1
      self._write(canvas, title, left, base, _DIM)
    return canvas

  def _timeline(self, canvas, step, context):
    """Draws a bar of all steps, colored up to the one that is shown."""
    start, end = self._lefts[0], self._lefts[-1] + self._tile[1]
    edges = np.linspace(start, end, self._steps + 1).round().astype(int)
    bar = canvas[self._bar : self._bar + self._thick]
    bar[:, start:end] = _LINE
    seen = min(step + 1, context)
    bar[:, edges[0] : edges[seen]] = OBSERVED
    bar[:, edges[seen] : edges[step + 1]] = IMAGINED
    if 0 < context < self._steps:  # Where seeing ends, also before it does.
      mark = edges[context]
      canvas[self._bar - 3 : self._bar + self._thick + 3, mark] = _TEXT

  def _frame_tile(self, canvas, top, left, color):
    height, width = self._tile
    wide = self._border
    canvas[
      top - wide : top + height + wide, left - wide : left + width + wide
    ] = color

  def _paste(self, canvas, image, top, left):
    height, width = self._tile
    canvas[top : top + height, left : left + width] = np.repeat(
      np.repeat(image, self._scale, 0), self._scale, 1
    )

  def _write(self, canvas, text, left, base, color, weight=400):
    cv2.putText(
      canvas, text, (left, base), color, self._font, self._letter, weight
    )

  def _extent(self, text, weight=400):
    """Returns the width of a text in pixels."""
    box = cv2.getTextSize(
      (1, 1), text, (0, 0), self._font, self._letter, weight
    )
    return math.ceil(box[2])


def _even(number):
  return number + number % 2
