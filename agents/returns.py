"""Returns of imagined steps: targets of critics, objectives of actors."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from worldmodels import replicas
from worldmodels.states import Tensor


def lambda_return(
  reward: Tensor, discount: Tensor, value: Tensor, lambda_: float
) -> Tensor:
  """Averages returns over all lengths: the lambda-return.

      R_h = reward_h + discount_h ((1 - lambda) value_h + lambda R_{h+1})

  and R of the last step bootstraps from its value alone. Lambda 0 looks one
  step ahead, lambda 1 to the end of the horizon (Dreamer, equation 6, in the
  recursive form; Sutton and Barto, 2018, section 12.1).

  Args:
    reward: [N, H], of each step.
    discount: [N, H], of what comes after the step; 0 where the episode ends.
    value: [N, H], of the state that the step led to.
    lambda_: 0 to 1.

  Returns:
    [N, H].
  """
  following, returns = value[:, -1], []
  for step in reversed(range(reward.shape[1])):
    following = reward[:, step] + discount[:, step] * (
      (1.0 - lambda_) * value[:, step] + lambda_ * following
    )
    returns.append(following)
  return tf.stack(returns[::-1], 1)


def percentiles(
  values: Tensor, weight: Tensor, shares: Sequence[float]
) -> Tensor:
  """Returns percentiles of the values whose weight is positive.

  Args:
    values: [...].
    weight: [...], not positive for what does not count.
    shares: [K], from 0 to 1.

  Returns:
    [K]; NaN where nothing has a weight.
  """
  counted = tf.boolean_mask(values, weight > 0.0)
  nothing = tf.cast(tf.equal(tf.size(counted), 0), tf.int32)
  ordered = tf.sort(tf.concat([counted, tf.fill([nothing], float('nan'))], 0))
  last = tf.cast(tf.size(ordered) - 1, tf.float32)
  return tf.gather(ordered, tf.cast(tf.round(last * shares), tf.int32))


class ReturnScale(keras.layers.Layer):
  """Divisor of returns: their spread, averaged over updates.

  From the 5th to the 95th percentile (DreamerV3).

  Args:
    least: the least scale; 0 makes it always 1.
    decay: of the average.
  """

  def __init__(self, least: float, decay: float):
    super().__init__(name='return_scale')
    self._least, self._decay = least, decay
    # The 5th and the 95th percentile.
    self._range = self.add_weight(
      shape=(2,), initializer='zeros', trainable=False, name='range'
    )
    self.built = True

  def update(
    self, returns: Tensor, weight: Tensor, enabled: Tensor | bool
  ) -> Tensor:
    """Updates the average by returns [...] of weight [...]: the new scale."""
    if not self._least:
      return tf.constant(1.0)
    returns, weight = replicas.gather((tf.stop_gradient(returns), weight))
    now = percentiles(returns, weight, [0.05, 0.95])
    before = self._range.value
    unset = tf.reduce_all(tf.equal(before, 0.0))
    moved = tf.where(
      unset, now, self._decay * before + (1.0 - self._decay) * now
    )
    finite = tf.reduce_all(tf.math.is_finite(now))
    self._range.assign(tf.where(enabled & finite, moved, before))
    scale = self._range.value[1] - self._range.value[0]
    return tf.maximum(scale, self._least)
