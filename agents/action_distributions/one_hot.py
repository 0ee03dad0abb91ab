"""Discrete actions, with straight-through draws (DreamerV2)."""

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import replicas
from worldmodels.agents import action_distribution
from worldmodels.states import Tensor

tfd = tfp.distributions


class Distribution(action_distribution.ActionDistribution):
  """Draws one of A actions, as a one-hot vector.

  Args:
    outputs: [..., A], logits.
    unimix: share of the uniform distribution.
  """

  outputs_per_action = 1
  discrete = True

  def __init__(self, outputs: Tensor, *, unimix: float = 0.01):
    size = outputs.shape[-1]
    self._probs = (1.0 - unimix) * tf.nn.softmax(outputs) + unimix / size
    # Without a share of the uniform one a probability may be 0 in float32.
    self._log_probs = (
      tf.math.log(self._probs) if unimix else tf.nn.log_softmax(outputs)
    )
    self._distribution = tfd.OneHotCategorical(
      probs=self._probs, dtype=tf.float32
    )

  def sample(self, seed: Tensor) -> Tensor:
    """Returns a draw, [..., A]; its gradient is that of the probabilities."""
    draw = replicas.widely(
      lambda probs: tfd.OneHotCategorical(probs=probs, dtype=tf.float32).sample(
        seed=seed
      ),
      self._probs,
    )
    draw = tf.stop_gradient(draw)
    return draw + self._probs - tf.stop_gradient(self._probs)

  def mode(self, seed: Tensor) -> Tensor:
    """Returns the likeliest action; no draw."""
    del seed
    return self._distribution.mode()

  def prior(self) -> Tensor:
    """Returns the log probability of each action, [..., A]."""
    return self._log_probs

  def log_prob(self, action: Tensor) -> Tensor:
    """Returns the log probability of one-hot actions [..., A]: [...]."""
    return tf.reduce_sum(action * self._log_probs, -1)

  def entropy(self, seed: Tensor) -> Tensor:
    """Returns the entropy; exact."""
    del seed
    return -tf.reduce_sum(self._probs * self._log_probs, -1)
