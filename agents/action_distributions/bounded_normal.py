"""A Gaussian within bounds, with clipped draws (DreamerV3, 2023; its code)."""

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import replicas
from worldmodels.agents import action_distribution
from worldmodels.states import Tensor

tfd = tfp.distributions


class Distribution(action_distribution.ActionDistribution):
  """A Gaussian with mean and deviation within bounds; its draws are clipped.

  Args:
    outputs: [..., 2 A].
    min_std, max_std: bounds of the standard deviation.
  """

  def __init__(
    self, outputs: Tensor, *, min_std: float = 0.1, max_std: float = 1.0
  ):
    mean, std = tf.split(outputs, 2, -1)
    self._distribution = tfd.Normal(
      tf.tanh(mean), min_std + (max_std - min_std) * tf.sigmoid(std + 2.0)
    )

  def sample(self, seed: Tensor) -> Tensor:
    """Returns a draw, [..., A], clipped; the gradient is that of the draw."""
    draw = replicas.widely(
      lambda mean, std: tfd.Normal(mean, std).sample(seed=seed),
      self._distribution.loc,
      self._distribution.scale,
    )
    return action_distribution.clip(draw, 1.0)

  def mode(self, seed: Tensor) -> Tensor:
    """Returns the mean; no draw."""
    del seed
    return self._distribution.loc

  def log_prob(self, action: Tensor) -> Tensor:
    """Returns the log density, at the ends log probability, [...]."""
    return tf.reduce_sum(
      action_distribution.censored_log_prob(self._distribution, action, 1.0), -1
    )

  def entropy(self, seed: Tensor) -> Tensor:
    """Returns the entropy of the Gaussian."""
    del seed
    return tf.reduce_sum(self._distribution.entropy(), -1)
