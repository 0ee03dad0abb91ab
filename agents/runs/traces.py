"""Films what a model without images predicts: curves beside those that came.

One frame shows one step of several chunks, a column for each; a row for each
number of the vectors, and one for the reward. What was observed is blue up to
the context, what is imagined orange, what really came gray. Of an ensemble thin
lines are a deviation of what its members dream above and below.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.runs.film import IMAGINED
from worldmodels.agents.runs.film import OBSERVED
from worldmodels.world_model import WorldModel

Batch = dict[str, np.ndarray]

_BACKGROUND, _PANEL = (18, 20, 24), (34, 37, 43)
_EDGE = tuple(value // 2 for value in IMAGINED)
_TRUTH, _TEXT = (150, 154, 162), (232, 232, 232)
# Of a panel, of the space between two, of a line of text: pixels at scale 1.
_WIDTH, _HEIGHT, _GAP, _LINE = 80, 24, 6, 8
MOST = 8  # numbers that are shown


def open_loop(
  model: WorldModel, batch: Batch, context: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
  """Predicts the vectors and the reward of chunks.

  Args:
    model: a WorldModel with heads of vectors.
    batch: a batch {vectors, action, reward, is_first}, [B, T, ...].
    context: observed steps.

  Returns:
    (truth, prediction), float [B, T, V] of the first numbers, and their names.
  """
  found = prediction.predict(model, states.tensors(batch), context)
  features = model.features(found)
  truth, drawn, names = [], [], []
  for key in _keys(model):
    values = np.asarray(model.head(key).mean(features))
    lead = values.shape[:2]
    drawn.append(values.reshape(*lead, -1))
    truth.append(np.asarray(batch[key]).reshape(*lead, -1))
    size = drawn[-1].shape[-1]
    names += [key if size == 1 else f'{key} {i}' for i in range(size)]
  pair = [_kept(np.concatenate(part, -1)) for part in (truth, drawn)]
  return *pair, _kept(np.array(names)).tolist()


def apart(model: WorldModel, batch: Batch, context: int) -> np.ndarray:
  """Returns the deviation of what members dream: [B, T, V], as `open_loop`.

  Args:
    model: of several members.
    batch: as of `open_loop`.
    context: observed steps, about which they agree.
  """
  dreams = tf.function(disagreement.dreams, autograph=False)
  keys = _keys(model)
  found = dreams(model, states.tensors(batch), context, keys)
  variance = [found[key][1].numpy() for key in keys]
  joined = np.concatenate([x.reshape(*x.shape[:2], -1) for x in variance], -1)
  return np.pad(_kept(np.sqrt(joined)), [(0, 0), (context, 0), (0, 0)])


def compose(
  truth: np.ndarray,
  predicted: np.ndarray,
  context: int,
  names: Sequence[str],
  *,
  scale: int = 3,
  titles: Sequence[str] = (),
  apart: np.ndarray | None = None,
) -> np.ndarray:
  """Draws curves of several chunks, with captions.

  Args:
    truth: [N, T, V], a column for each of the N, a row for each of the V.
    predicted: of the same shape.
    context: how many of the T steps the model has observed.
    names: of the V.
    scale: whole number by which panels are enlarged.
    titles: a short text over each column, or nothing.
    apart: by how much the members of an ensemble differ, of the same shape.

  Returns:
    Frames uint8 [T, height, width, 3], height and width even.
  """
  edges = () if apart is None else (predicted - apart, predicted + apart)
  count, steps, rows = truth.shape
  width, height = _WIDTH * scale, _HEIGHT * scale
  line, gap = _LINE * scale, _GAP * scale
  still = np.full((*size(count, rows, scale), 3), _BACKGROUND, np.uint8)
  low, span = _ends(truth)
  frames = []
  places = [
    (
      column,
      row,
      gap + column * (width + gap),
      2 * line + row * (height + line),
    )
    for column in range(count)
    for row in range(rows)
  ]
  for column, row, left, top in places:
    still[top : top + height, left : left + width] = _PANEL
    if not row and titles:
      _write(still, titles[column], left, line - scale, scale)
    if not column:
      _write(still, names[row], left, top - scale, scale)
  curves = [
    [
      _points(values[column, :, row], low[row], span[row], (left, top), scale)
      for values in (truth, predicted, *edges)
    ]
    for column, row, left, top in places
  ]
  thick = max(1, 2 * scale // 3)
  for step in range(steps):
    canvas = still.copy()
    for came, drawn, *around in curves:
      seen, ahead = min(context, step + 1), slice(context - 1, step + 1)
      cv2.polylines(canvas, [came[: step + 1]], False, _TRUTH, thick)
      cv2.polylines(canvas, [drawn[:seen]], False, OBSERVED, thick)
      if step >= context:
        cv2.polylines(canvas, [drawn[ahead]], False, IMAGINED, thick)
        for edge in around:
          cv2.polylines(canvas, [edge[ahead]], False, _EDGE, 1)
    frames.append(canvas)
  return np.stack(frames)


def size(count: int, rows: int, scale: int) -> tuple[int, int]:
  """Returns height and width of a frame, even: of some columns and rows."""
  height = _LINE + rows * (_HEIGHT + _LINE) + _GAP
  width = _GAP + count * (_WIDTH + _GAP)
  return 2 * (height * scale // 2), 2 * (width * scale // 2)


def _keys(model: WorldModel) -> list[str]:
  """Returns what is drawn; the reward is the last one."""
  return [key for key in (*model.spec.vectors, 'reward') if key in model.keys]


def _kept(values: np.ndarray) -> np.ndarray:
  """Returns the first of many numbers [..., V], and the last one."""
  return np.concatenate(
    [values[..., :-1][..., : MOST - 1], values[..., -1:]], -1
  )


def _ends(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the least value [V] and the span [V] that panels show.

  They are those of the truth and half as much: a dream may leave them.
  """
  low, high = truth.min((0, 1)), truth.max((0, 1))
  span = np.maximum(high - low, 1e-6)
  return low - 0.25 * span, 1.5 * span


def _points(
  values: np.ndarray,
  low: float,
  span: float,
  corner: tuple[int, int],
  scale: int,
) -> np.ndarray:
  """Returns the pixels, x and y, of values [T] in a panel: int32 [T, 2]."""
  share = np.clip((values - low) / span, 0, 1)
  x = np.linspace(0, _WIDTH * scale - 1, len(values))
  y = (1 - share) * (_HEIGHT * scale - 1)
  return np.rint(np.stack([x, y], -1) + corner).astype(np.int32)


def _write(
  canvas: np.ndarray, text: str, left: int, base: int, scale: int
) -> None:
  """Writes a text whose letters are six pixels high at scale 1."""
  font = cv2.FontFace('sans')
  cv2.putText(canvas, text, (left, base), _TEXT, font, 6 * scale)
