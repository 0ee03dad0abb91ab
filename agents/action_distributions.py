"""Distributions over actions in [-1, 1], as actors use them.

Each is made of what a network puts out, [..., outputs(A)], and has

    sample(seed) -> [..., A]      with a gradient
    mode(seed) -> [..., A]        what is done without exploring
    log_prob(action) -> [...]
    entropy(seed) -> [...]        in nats; of samples where there is no formula

    tanh_normal       Dreamer (Hafner et al., 2020, appendix A and its code)
    truncated_normal  DreamerV2 (2021; its code)
    bounded_normal    DreamerV3 (2023; its code)
    one_hot           discrete actions, straight-through (DreamerV2)
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

# Nothing is nearer to the ends: the inverse of tanh is infinite there.
_EDGE = 1.0 - 1e-6
# What lies past here has rounded too much on its way through tanh and back.
_FAR = 4.0


class TanhNormal:
  """tanh of a Gaussian, whose mean is kept from running away.

  Args:
    outputs: [..., 2 A].
    mean_scale: the mean before the tanh is mean_scale * tanh(m / mean_scale).
    init_std: standard deviation before the tanh for an output of 0.
    min_std: floor of it.
    mode_samples: the mode is the likeliest of so many draws (Dreamer's code:
      100); 0 takes the tanh of the mean, and no draw.
  """

  def __init__(self, outputs, *, mean_scale=5.0, init_std=5.0, min_std=1e-4,
               mode_samples=0):
    mean, std = tf.split(outputs, 2, -1)
    self._mean = mean_scale * tf.tanh(mean / mean_scale)
    raw = math.log(math.expm1(init_std))
    self._std = tf.nn.softplus(std + raw) + min_std
    self._mode_samples = mode_samples

  def sample(self, seed):
    """Returns a draw, [..., A]."""
    return tf.tanh(self._draw(seed, tf.shape(self._mean)))

  def mode(self, seed):
    """Returns the likeliest of some draws, or the tanh of the mean."""
    if not self._mode_samples:
      return tf.tanh(self._mean)
    shape = tf.concat([[self._mode_samples], tf.shape(self._mean)], 0)
    draws = self._draw(seed, shape)  # [M, ..., A]
    best = tf.argmax(self._log_prob(draws), 0)  # [...]
    chosen = tf.one_hot(best, self._mode_samples, axis=0)[..., None]
    return tf.tanh(tf.reduce_sum(chosen * draws, 0))

  def log_prob(self, action):
    """Log density of actions [..., A]: [...].

    Of what has nearly rounded to an end, the log probability of all that has:
    so the score has mean 0, as reinforce needs it.
    """
    before = tf.clip_by_value(
        tf.atanh(tf.clip_by_value(action, -_EDGE, _EDGE)), -_FAR, _FAR)
    each = _censored(tfd.Normal(self._mean, self._std), before, _FAR)
    return tf.reduce_sum(each - _log_slope(before), -1)

  def entropy(self, seed):
    """Minus the log density of one draw: there is no formula."""
    return -self._log_prob(self._draw(seed, tf.shape(self._mean)))

  def _draw(self, seed, shape):
    """Returns draws from before the tanh."""
    return self._mean + self._std * tf.random.stateless_normal(shape, seed)

  def _log_prob(self, before):
    """Log density of the tanh of [..., A], by that from before it."""
    return tf.reduce_sum(
        tfd.Normal(self._mean, self._std).log_prob(before)
        - _log_slope(before), -1)


class TruncatedNormal:
  """A Gaussian cut off at -1 and 1.

  Args:
    outputs: [..., 2 A].
    init_std: standard deviation of the uncut Gaussian for an output of 0; it
      is at most twice that.
    min_std: added to it.
  """

  def __init__(self, outputs, *, init_std=1.0, min_std=0.1):
    mean, std = tf.split(outputs, 2, -1)
    std = 2.0 * init_std * tf.sigmoid(std / 2.0) + min_std
    self._whole = tfd.Normal(tf.tanh(mean), std)
    self._distribution = tfd.TruncatedNormal(
        self._whole.loc, std, -1.0, 1.0)

  def sample(self, seed):
    """Returns a draw, [..., A].

    By the inverse of the distribution function: TFP's own sampler rejects
    draws, and raises on a NaN, which is for the optimizer to skip.
    """
    uniform = tf.random.stateless_uniform(tf.shape(self._whole.loc), seed)
    low, high = self._whole.cdf(-1.0), self._whole.cdf(1.0)
    # Nearer to 0 or 1 the inverse is infinite.
    share = tf.clip_by_value(low + uniform * (high - low), 1e-6, 1.0 - 1e-6)
    draw = self._whole.loc + self._whole.scale * tf.math.ndtri(share)
    return _clipped(draw, _EDGE)

  def mode(self, seed):
    """Returns the mean of the uncut Gaussian, which is inside; no draw."""
    del seed
    return self._distribution.loc

  def log_prob(self, action):
    """Log density of actions [..., A]: [...]."""
    return tf.reduce_sum(self._distribution.log_prob(
        tf.clip_by_value(action, -_EDGE, _EDGE)), -1)

  def entropy(self, seed):
    """Returns the entropy; exact."""
    del seed
    return tf.reduce_sum(self._distribution.entropy(), -1)


class BoundedNormal:
  """A Gaussian with mean and deviation within bounds; its draws are clipped.

  Args:
    outputs: [..., 2 A].
    min_std, max_std: bounds of the standard deviation.
  """

  def __init__(self, outputs, *, min_std=0.1, max_std=1.0):
    mean, std = tf.split(outputs, 2, -1)
    self._distribution = tfd.Normal(
        tf.tanh(mean),
        min_std + (max_std - min_std) * tf.sigmoid(std + 2.0))

  def sample(self, seed):
    """Returns a draw, [..., A], clipped; the gradient is that of the draw."""
    return _clipped(self._distribution.sample(seed=seed), 1.0)

  def mode(self, seed):
    """Returns the mean; no draw."""
    del seed
    return self._distribution.loc

  def log_prob(self, action):
    """Log density of actions [..., A], at the ends log probability: [...]."""
    return tf.reduce_sum(_censored(self._distribution, action, 1.0), -1)

  def entropy(self, seed):
    """Returns the entropy of the Gaussian."""
    del seed
    return tf.reduce_sum(self._distribution.entropy(), -1)


class OneHot:
  """One of A actions, as a one-hot vector.

  Args:
    outputs: [..., A], logits.
    unimix: share of the uniform distribution.
  """

  def __init__(self, outputs, *, unimix=0.01):
    size = outputs.shape[-1]
    self._probs = (1.0 - unimix) * tf.nn.softmax(outputs) + unimix / size
    self._distribution = tfd.OneHotCategorical(
        probs=self._probs, dtype=tf.float32)

  def sample(self, seed):
    """Returns a draw, [..., A]; its gradient is that of the probabilities."""
    draw = tf.stop_gradient(self._distribution.sample(seed=seed))
    return draw + self._probs - tf.stop_gradient(self._probs)

  def mode(self, seed):
    """Returns the likeliest action; no draw."""
    del seed
    return self._distribution.mode()

  def log_prob(self, action):
    """Log probability of one-hot actions [..., A]: [...]."""
    return tf.reduce_sum(action * tf.math.log(self._probs), -1)

  def entropy(self, seed):
    """Returns the entropy; exact."""
    del seed
    return -tf.reduce_sum(self._probs * tf.math.log(self._probs), -1)


def _clipped(draw, limit):
  """The draw within -limit .. limit, with the gradient of the draw."""
  inside = tf.clip_by_value(draw, -limit, limit)
  return draw + tf.stop_gradient(inside - draw)


def _log_slope(before):
  """log(1 - tanh(x)^2), which is exact where tanh(x) rounds to 1."""
  return 2.0 * (math.log(2.0) - before - tf.nn.softplus(-2.0 * before))


def _censored(normal, value, limit):
  """Log density of draws that were clipped to -limit .. limit."""
  inside = tf.abs(value) < limit
  # The other branch must be finite as well, or its gradient is not.
  density = normal.log_prob(tf.where(inside, value, 0.0))
  ends = tf.where(value > 0.0, normal.log_survival_function(limit),
                  normal.log_cdf(-limit))
  return tf.where(inside, density, ends)


# The distribution, and its outputs per action.
KINDS = {
    'tanh_normal': (TanhNormal, 2),
    'truncated_normal': (TruncatedNormal, 2),
    'bounded_normal': (BoundedNormal, 2),
    'one_hot': (OneHot, 1),
}
