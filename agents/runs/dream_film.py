"""Films what a model predicts: images, or curves where there are none."""

from collections.abc import Sequence

import numpy as np

from worldmodels.agents.runs import film
from worldmodels.agents.runs import film_size
from worldmodels.agents.runs import traces
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel


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


def compose(
  model: WorldModel,
  batch: dict[str, np.ndarray],
  context: int,
  scale: int,
  titles: Sequence[str],
) -> np.ndarray:
  """Returns frames uint8 [T, height, width, 3] of an open-loop prediction.

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
    return traces.compose(truth, predicted, context, names, **options)
  truth, predicted = film.open_loop(model, batch, context)
  return film.compose(truth, predicted, context, **options)
