"""The tanh of a Gaussian (Dreamer, 2020, appendix A; its code)."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import replicas
from worldmodels.agents import action_distribution
from worldmodels.states import Tensor

tfd = tfp.distributions

# atanh(tanh(x)) is inaccurate beyond this.
_FAR = 4.0


class Distribution(action_distribution.ActionDistribution):
  """tanh of a Gaussian, whose mean is kept from running away.

  Args:
    outputs: [..., 2 A].
    mean_scale: the mean before the tanh is mean_scale * tanh(m / mean_scale).
    init_std: standard deviation before the tanh for an output of 0.
    min_std: floor of it.
    mode_samples: the mode is the likeliest of so many draws (Dreamer's code:
      100); 0 takes the tanh of the mean, and no draw.
  """

  def __init__(
    self,
    outputs: Tensor,
    *,
    mean_scale: float = 5.0,
    init_std: float = 5.0,
    min_std: float = 1e-4,
    mode_samples: int = 0,
  ):
    mean, std = tf.split(outputs, 2, -1)
    self._mean = mean_scale * tf.tanh(mean / mean_scale)
    raw = math.log(math.expm1(init_std))
    self._std = tf.nn.softplus(std + raw) + min_std
    self._mode_samples = mode_samples

  def sample(self, seed: Tensor) -> Tensor:
    """Returns a draw, [..., A]."""
    return tf.tanh(self._draw(seed, tf.shape(self._mean)))

  def mode(self, seed: Tensor) -> Tensor:
    """Returns the likeliest of some draws, or the tanh of the mean."""
    if not self._mode_samples:
      return tf.tanh(self._mean)
    shape = tf.concat([[self._mode_samples], tf.shape(self._mean)], 0)
    draws = self._draw(seed, shape)  # [M, ..., A]
    best = tf.argmax(self._log_prob(draws), 0)  # [...]
    chosen = tf.one_hot(best, self._mode_samples, axis=0)[..., None]
    return tf.tanh(tf.reduce_sum(chosen * draws, 0))

  def prior(self) -> Tensor:
    """Returns the tanh of the mean, [..., A]."""
    return tf.tanh(self._mean)

  def log_prob(self, action: Tensor) -> Tensor:
    """Returns the log density of actions [..., A]: [...].

    Near -1 and 1 the density is replaced by the probability of the whole tail:
    so the score has mean 0, as reinforce needs it.
    """
    before = tf.clip_by_value(
      tf.atanh(
        tf.clip_by_value(
          action, -action_distribution.EDGE, action_distribution.EDGE
        )
      ),
      -_FAR,
      _FAR,
    )
    each = action_distribution.censored_log_prob(
      tfd.Normal(self._mean, self._std), before, _FAR
    )
    return tf.reduce_sum(each - _log_slope(before), -1)

  def entropy(self, seed: Tensor) -> Tensor:
    """Returns minus the log density of one draw: there is no formula."""
    return -self._log_prob(self._draw(seed, tf.shape(self._mean)))

  def _draw(self, seed: Tensor, shape: Tensor) -> Tensor:
    """Returns draws from before the tanh."""
    noise = replicas.draw(tf.random.stateless_normal, shape, seed)
    return self._mean + self._std * noise

  def _log_prob(self, before: Tensor) -> Tensor:
    """Returns the log density of the tanh of `before` [..., A]."""
    return tf.reduce_sum(
      tfd.Normal(self._mean, self._std).log_prob(before) - _log_slope(before),
      -1,
    )


def _log_slope(before: Tensor) -> Tensor:
  """Returns log(1 - tanh(x)^2), exact also where tanh(x) rounds to 1."""
  return 2.0 * (math.log(2.0) - before - tf.nn.softplus(-2.0 * before))
