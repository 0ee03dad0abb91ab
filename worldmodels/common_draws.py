"""Draws that all candidates of a planner share.

A plan is chosen by differences of scores. If each candidate meets noise of its
own, these are differences of luck as well; if all meet the same (common random
numbers), they are those of the actions.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from worldmodels import replicas
from worldmodels.states import Tensor

# Of the thread that imagines: how the rows are laid out.
_rows = threading.local()


@contextlib.contextmanager
def among(candidates: int | Tensor, particles: int) -> Iterator[None]:
  """Has the candidates of a state share what is drawn in this block.

  Rows are those of states, in each the candidates, in each the particles: what
  is drawn for a particle is the same in each candidate.

  Args:
    candidates: N of each state.
    particles: P of each candidate.
  """
  _rows.layout = candidates, particles
  try:
    yield
  finally:
    _rows.layout = None


def draw(
  sampler: Callable[[Sequence, Tensor], Tensor],
  shape: Sequence[int | Tensor],
  seed: Tensor,
  axis: int,
) -> Tensor:
  """Draws for the rows; see replicas.draw, which it is outside of `among`."""
  layout = getattr(_rows, 'layout', None)
  if layout is None:
    return replicas.draw(sampler, shape, seed, axis)
  candidates, particles = layout
  number = tf.range(shape[axis])
  drawn = [*shape[:axis], shape[axis] // candidates, *shape[axis + 1 :]]
  row = number // (candidates * particles) * particles + number % particles
  return tf.gather(replicas.draw(sampler, drawn, seed, axis), row, axis=axis)
