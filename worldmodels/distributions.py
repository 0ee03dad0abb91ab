"""Symlog and two-hot: numbers of any size as targets (DreamerV3, section 3).

Rewards and returns of unknown scale make squared errors explode or vanish.
symlog(x) = sign(x) log(1 + |x|) flattens them; two-hot makes a number a
distribution over the two of a row of fixed numbers between which it lies, so
that the size of a gradient does not depend on the size of the number.
Hafner et al. (2023), Mastering Diverse Domains through World Models; the
numbers of the row are those of its final version, symexp of equal distances.
"""

import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels.states import Tensor

tfd = tfp.distributions


def symlog(x: Tensor) -> Tensor:
  """Returns sign(x) log(1 + |x|)."""
  return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: Tensor) -> Tensor:
  """Returns the inverse of symlog: sign(x) (exp(|x|) - 1)."""
  return tf.sign(x) * tf.math.expm1(tf.abs(x))


def exponential_bins(count: int, limit: float) -> Tensor:
  """Returns numbers [count] from -symexp(limit) to symexp(limit).

  Exactly symmetric: a rounding error of the largest is larger than most.
  """
  above = symexp(tf.linspace(0.0, limit, count // 2 + 1))
  return tf.concat([-tf.reverse(above[1:], [0]), above], 0)


def two_hot(values: Tensor, bins: Tensor) -> Tensor:
  """Returns weights on the two nearest bins, whose mean is the value.

  Args:
    values: [...]; past the ends they count as the end.
    bins: [K], rising.

  Returns:
    [..., K], which sum to 1.
  """
  count = bins.shape[0]
  values = tf.clip_by_value(values, bins[0], bins[-1])
  above = tf.searchsorted(bins, tf.reshape(values, [-1]), side='right')
  above = tf.reshape(tf.clip_by_value(above, 1, count - 1), tf.shape(values))
  low, high = tf.gather(bins, above - 1), tf.gather(bins, above)
  share = ((values - low) / (high - low))[..., None]
  return (1.0 - share) * tf.one_hot(above - 1, count) + share * tf.one_hot(
    above, count
  )


class TwoHot:
  """A distribution over bins [K], as a head needs one.

  Args:
    logits: [..., K].
    bins: [K], odd, symmetric about 0.
  """

  def __init__(self, logits: Tensor, bins: Tensor):
    self._logits = logits
    self._bins = bins
    self.batch_shape = logits.shape[:-1]
    self.event_shape = tf.TensorShape([])

  def mean(self) -> Tensor:
    """Returns the expected number, [...]."""
    weighted = tf.nn.softmax(self._logits) * self._bins
    half = self._bins.shape[0] // 2
    # Pairs of opposite bins first: the ends are so large that a sum in any
    # other order leaves their rounding errors where 0 should be.
    pairs = weighted[..., :half] + tf.reverse(weighted[..., half + 1 :], [-1])
    return tf.reduce_sum(pairs, -1) + weighted[..., half]

  def log_prob(self, values: Tensor) -> Tensor:
    """Returns minus the cross entropy to the two-hot of values [...]: [...]."""
    return tf.reduce_sum(
      two_hot(values, self._bins) * tf.nn.log_softmax(self._logits), -1
    )


class Symlog:
  """A distribution of the symlog of a number.

  Args:
    inner: tfd.Distribution of symlogs.
    mean: what stands for the mean, [...].
  """

  def __init__(self, inner: tfd.Distribution, mean: Tensor):
    self._inner = inner
    self._mean = mean
    self.batch_shape = inner.batch_shape
    self.event_shape = inner.event_shape

  def mean(self) -> Tensor:
    """Returns the symexp of the mean symlog, [...]."""
    return self._mean

  def log_prob(self, values: Tensor) -> Tensor:
    """Returns the log density of the symlog of values [...]: [...]."""
    return self._inner.log_prob(symlog(values))
