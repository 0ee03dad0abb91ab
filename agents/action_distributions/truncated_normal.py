"""A Gaussian cut off at -1 and 1 (DreamerV2, 2021; its code)."""

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import replicas
from worldmodels.agents import action_distribution
from worldmodels.states import Tensor

tfd = tfp.distributions


class Distribution(action_distribution.ActionDistribution):
  """A Gaussian cut off at -1 and 1.

  Args:
    outputs: [..., 2 A].
    init_std: standard deviation of the uncut Gaussian for an output of 0; it
      is at most twice that.
    min_std: added to it.
  """

  def __init__(
    self, outputs: Tensor, *, init_std: float = 1.0, min_std: float = 0.1
  ):
    mean, std = tf.split(outputs, 2, -1)
    std = 2.0 * init_std * tf.sigmoid(std / 2.0) + min_std
    self._whole = tfd.Normal(tf.tanh(mean), std)
    self._distribution = tfd.TruncatedNormal(self._whole.loc, std, -1.0, 1.0)

  def sample(self, seed: Tensor) -> Tensor:
    """Returns a draw, [..., A].

    By the inverse of the distribution function: TFP's own sampler rejects
    draws, and raises on a NaN, which is for the optimizer to skip.
    """
    uniform = replicas.draw(
      tf.random.stateless_uniform, tf.shape(self._whole.loc), seed
    )
    low, high = self._whole.cdf(-1.0), self._whole.cdf(1.0)
    # Nearer to 0 or 1 the inverse is infinite.
    share = tf.clip_by_value(low + uniform * (high - low), 1e-6, 1.0 - 1e-6)
    draw = self._whole.loc + self._whole.scale * tf.math.ndtri(share)
    return action_distribution.clip(draw, action_distribution.EDGE)

  def mode(self, seed: Tensor) -> Tensor:
    """Returns the mean of the uncut Gaussian, which is inside; no draw."""
    del seed
    return self._distribution.loc

  def log_prob(self, action: Tensor) -> Tensor:
    """Returns the log density of actions [..., A]: [...]."""
    return tf.reduce_sum(
      self._distribution.log_prob(
        tf.clip_by_value(
          action, -action_distribution.EDGE, action_distribution.EDGE
        )
      ),
      -1,
    )

  def entropy(self, seed: Tensor) -> Tensor:
    """Returns the entropy; exact."""
    del seed
    return tf.reduce_sum(self._distribution.entropy(), -1)
