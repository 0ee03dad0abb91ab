"""Base of distributions over actions in [-1, 1], as actors use them.

The kinds are the files of agents/action_distributions. Each is made of what a
network puts out.
"""

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels.states import Tensor

tfd = tfp.distributions

# Nothing is nearer to the ends: the inverse of tanh is infinite there.
EDGE = 1.0 - 1e-6


class ActionDistribution:
  """A distribution over actions, made of outputs [..., outputs_per_action * A].

  Attributes:
    outputs_per_action: numbers that it takes for each action.
    discrete: whether its actions are one-hot.
  """

  outputs_per_action = 2
  discrete = False

  def sample(self, seed: Tensor) -> Tensor:
    """Returns a draw with a gradient, [..., A]."""
    raise NotImplementedError

  def mode(self, seed: Tensor) -> Tensor:
    """Returns the action without exploring, [..., A]."""
    raise NotImplementedError

  def prior(self) -> Tensor:
    """Returns logits of one-hot actions, the mean of others, [..., A]."""
    return self.mode(None)

  def log_prob(self, action: Tensor) -> Tensor:
    """Returns the log density of actions [..., A]: [...]."""
    raise NotImplementedError

  def entropy(self, seed: Tensor) -> Tensor:
    """Returns the entropy in nats, [...], of a draw if there is no formula."""
    raise NotImplementedError


def clip(draw: Tensor, limit: float) -> Tensor:
  """Returns the draw within -limit .. limit, with the gradient of the draw."""
  inside = tf.clip_by_value(draw, -limit, limit)
  return draw + tf.stop_gradient(inside - draw)


def censored_log_prob(
  normal: tfd.Normal, value: Tensor, limit: float
) -> Tensor:
  """Returns the log density of draws that were clipped to -limit .. limit."""
  inside = tf.abs(value) < limit
  # The other branch must be finite as well, or its gradient is not.
  density = normal.log_prob(tf.where(inside, value, 0.0))
  ends = tf.where(
    value > 0.0, normal.log_survival_function(limit), normal.log_cdf(-limit)
  )
  return tf.where(inside, density, ends)
