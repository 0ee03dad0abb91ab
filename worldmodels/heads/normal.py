"""An MLP to a Gaussian of fixed deviation: rewards, vectors, values."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import head
from worldmodels.states import Tensor

tfd = tfp.distributions


class Head(head.MLPHead):
  """An MLP to the mean of a Gaussian of fixed standard deviation.

  Args:
    features_size: F.
    shape: of one step of the key.
    std: standard deviation.
    **kwargs: of the MLP, and name.
  """

  def __init__(
    self,
    features_size: int,
    *,
    shape: tuple[int, ...] = (),
    std: float = 1.0,
    **kwargs: Any,
  ):
    super().__init__(features_size, math.prod(shape), **kwargs)
    self._shape = tuple(shape)
    self._std = std
    self.max_log_prob = head.gaussian_peak(self._shape, std)

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> means [..., *shape]."""
    lead = tf.shape(features)[:-1]
    mean = self._mlp(features)
    return tf.reshape(mean, tf.concat([lead, list(self._shape)], 0))

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> [..., *shape]."""
    return self(features)

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps means [..., *shape] to a distribution, event `shape`."""
    return tfd.Independent(tfd.Normal(outputs, self._std), len(self._shape))
