"""Films what a model predicts: images, or curves where there are none."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import states
from worldmodels.agents.runs import film
from worldmodels.agents.runs import film_size
from worldmodels.agents.runs import traces
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

# The row of an ensemble, beside those of `film`.
MEMBERS = 'members'


def check_size(
  spec: Spec,
  length: int,
  scale: int,
  titles: Sequence[str],
  rows: Sequence[str] = film.ROWS,
) -> None:
  """Raises RunError for a film that no encoder or memory has room for.

  Args:
    spec: of the run.
    length: T, frames.
    scale: by which pixels are enlarged.
    titles: of the columns.
    rows: names of the rows; curves have rows of their own.
  """
  if spec.image is None:
    count = min(traces.MOST, 1 + sum(spec.vectors.values()))
    height, width = traces.size(len(titles), count, scale)
  else:
    shape = (len(titles), length, *spec.image)
    layout = film.Layout(shape, scale, titles, rows)
    height, width = layout.height, layout.width
  film_size.check(length, height, width)


def rows(model: WorldModel) -> list[str]:
  """Returns the names of the rows of `compose`, where the task has images."""
  return [*film.ROWS, *([MEMBERS] if _has_several(model) else [])]


def compose(
  model: WorldModel,
  batch: dict[str, np.ndarray],
  context: int,
  scale: int,
  titles: Sequence[str],
) -> np.ndarray:
  """Returns frames uint8 [T, height, width, 3] of an open-loop prediction.

  Of an ensemble a fourth row shows how far its members are apart, on the scale
  of the error; curves have thin lines there.

  Args:
    model: that predicts.
    batch: {key: [B, T, ...]} of recorded chunks.
    context: observed steps.
    scale: by which pixels are enlarged.
    titles: of the columns.
  """
  options = dict(scale=scale, titles=titles)
  if 'image' not in batch:
    truth, predicted, names = traces.open_loop(model, batch, context)
    if _has_several(model):
      options['apart'] = traces.apart(model, batch, context)
    return traces.compose(truth, predicted, context, names, **options)
  truth, predicted = film.open_loop(model, batch, context)
  if _has_several(model):
    options['more'] = {MEMBERS: apart(model, batch, context)}
  return film.compose(truth, predicted, context, **options)


def apart(
  model: WorldModel, batch: dict[str, np.ndarray], context: int
) -> np.ndarray:
  """Draws the deviation of the images that members imagine, as heat.

  Args:
    model: of several members.
    batch: {key: [B, T, ...]} of recorded chunks.
    context: observed steps, about which they agree.

  Returns:
    uint8 [B, T, H, W, 3].
  """
  dreams = tf.function(disagreement.dreams, autograph=False)
  found = dreams(model, states.tensors(batch), context, ['image'])
  _, variance = found['image']
  values = 255 * np.sqrt(variance.numpy()).mean(-1)  # [B, T - context, H, W]
  seen = np.zeros_like(values, shape=(len(values), context, *values.shape[2:]))
  return film.heat(np.concatenate([seen, values], 1))


def _has_several(model: WorldModel) -> bool:
  return disagreement.members_of(model) > 1
