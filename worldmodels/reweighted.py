"""A world model as it is with other weights, without a copy of it.

Averaged weights act (agents/optimizers.py): behavior that is learned inside the
model is to be learned inside that one, and not inside its newest step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels.world_model import WorldModel


class Reweighted:
  """The methods of a WorldModel, computed with other weights.

  What is no method is the model's own.

  Args:
    model: whose layers compute.
    weights: in place of its trainable variables, in their order. They are read
      at each call, and no gradient reaches them.
  """

  def __init__(self, model: WorldModel, weights: Sequence[keras.Variable]):
    self._model = model
    self._weights = list(weights)

  def __getattr__(self, name: str) -> object:
    found = getattr(self._model, name)
    return self._scoped(found) if callable(found) else found

  def _scoped(self, method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method of the model that finds the weights in its layers."""

    def scoped(*arguments: Any, **options: Any) -> object:
      values = [tf.stop_gradient(weight.value) for weight in self._weights]
      pairs = zip(self._model.trainable_variables, values, strict=True)
      with keras.StatelessScope(state_mapping=pairs):
        return method(*arguments, **options)

    return scoped
