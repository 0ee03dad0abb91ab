"""A world model as it is with other weights, without a copy of it.

Averaged weights act (agents/optimizers.py): behavior that is learned inside the
model is to be learned inside that one, and not inside its newest step.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels.world_model import WorldModel


class Reweighted:
  """A WorldModel, or a layer of one, that computes with other weights.

  Methods find these weights, and so do those of its layers, such as
  `dynamics` and what `head` returns. All else is the model's own.

  Args:
    model: whose layers compute.
    weights: in place of its trainable variables, in their order. They are read
      at each call, and no gradient reaches them.
    layer: of the model, that is meant; None for the model itself.
  """

  def __init__(
    self,
    model: WorldModel,
    weights: Sequence[keras.Variable],
    layer: keras.layers.Layer | None = None,
  ):
    self._model = model
    self._weights = list(weights)
    self._layer = model if layer is None else layer

  def __getattr__(self, name: str) -> object:
    found = getattr(self._layer, name)
    return self._scoped(found) if inspect.ismethod(found) else self._own(found)

  def __call__(self, *arguments: Any, **options: Any) -> object:
    """Calls the layer."""
    return self._scoped(self._layer.__call__)(*arguments, **options)

  def _own(self, found: object) -> object:
    """Returns what was found; a layer of the model with these weights."""
    if isinstance(found, keras.layers.Layer):
      return Reweighted(self._model, self._weights, found)
    return found

  def _scoped(self, method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method of the layer that finds the weights in its layers."""

    def scoped(*arguments: Any, **options: Any) -> object:
      values = [tf.stop_gradient(weight.value) for weight in self._weights]
      pairs = zip(self._model.trainable_variables, values, strict=True)
      with keras.StatelessScope(state_mapping=pairs):
        return self._own(method(*arguments, **options))

    return scoped
