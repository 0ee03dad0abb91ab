"""An MLP to the probability that a number in [0, 1] is a 1: discounts."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import head
from worldmodels.states import Tensor

tfd = tfp.distributions


class Head(head.MLPHead):
  """An MLP to the probability that a number in [0, 1] is a 1.

  Args:
    features_size: F.
    shape: of one step of the key: ().
    **kwargs: of the MLP, and name.
  """

  def __init__(
    self, features_size: int, *, shape: tuple[int, ...] = (), **kwargs: Any
  ):
    head.check_number('bernoulli', shape)
    super().__init__(features_size, 1, **kwargs)

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> logits [...]."""
    return self._mlp(features)[..., 0]

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> probabilities [...]."""
    return tf.nn.sigmoid(self(features))

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps logits [...] to a distribution."""
    return tfd.Bernoulli(logits=outputs, dtype=tf.float32)
