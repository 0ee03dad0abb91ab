"""What losses are divided by: the variance of what a head predicts.

A loss that is divided by the variance of its own batch weighs each batch
otherwise: one without a reward weighs most, and the mean that is learned is too
small where rewards are rare. So the variance is that of many batches.
"""

import keras
import tensorflow as tf

from worldmodels import replicas
from worldmodels.spec import Spec
from worldmodels.states import Tensor

DECAY = 0.99  # of what was known, with each batch


class RunningVariance(keras.layers.Layer):
  """Variance of each number of a key, from means that decay.

  Args:
    shape: of the key at one step.
    name: of the layer.
  """

  def __init__(self, shape: tuple[int, ...], name: str):
    super().__init__(name=name)

    def start(name: str, shape: tuple[int, ...]) -> keras.Variable:
      return self.add_weight(
        shape=shape, initializer='zeros', trainable=False, name=name
      )

    # The average of 1, by which a start at zero is undone (Adam).
    self._one = start('one', ())
    self._mean, self._square = start('mean', shape), start('square', shape)
    self.built = True

  def update(self, values: Tensor, mask: Tensor) -> None:
    """Takes a batch in; one that is not finite changes nothing.

    Args:
      values: [B, T, ...].
      mask: float32 [B, T], 0 for the steps that are left out.
    """
    values = tf.cast(values, tf.float32)
    beside = tf.ones([values.shape.rank - 2], tf.int32)
    wide = tf.reshape(mask, tf.concat([tf.shape(mask), beside], 0))
    (steps,) = replicas.total(tf.reduce_sum(mask))
    mean, square = (
      total / steps
      for total in replicas.total(
        tf.reduce_sum(wide * values, [0, 1]),
        tf.reduce_sum(wide * tf.square(values), [0, 1]),
      )
    )
    finite = tf.reduce_all(tf.math.is_finite(square))
    for variable, now in (
      (self._one, 1.0),
      (self._mean, mean),
      (self._square, square),
    ):
      before = variable.value
      after = DECAY * before + (1.0 - DECAY) * now
      variable.assign(tf.where(finite, after, before))

  def value(self) -> Tensor:
    """Returns the variance, the mean over the numbers: scalar; 0 at first."""
    mean, square = (
      tf.math.divide_no_nan(average.value, self._one.value)
      for average in (self._mean, self._square)
    )
    return tf.reduce_mean(tf.maximum(square - tf.square(mean), 0.0))


class Units(keras.layers.Layer):
  """What the losses of all heads are divided by.

  Args:
    relative: {key of a head: what is added to its variance; 0 for no division}.
    spec: of the task.
  """

  def __init__(self, relative: dict[str, float], spec: Spec):
    super().__init__(name='units')
    self._relative = {key: least for key, least in relative.items() if least}
    # An attribute each: Keras follows those, not the values of a dict.
    with keras.name_scope('units'):
      for key in self._relative:
        name = key.replace('/', '.')  # As dm_control.composer has them.
        setattr(self, f'{key}_variance', RunningVariance(spec.shape(key), name))
    self.built = True

  def update(self, batch: dict[str, Tensor]) -> None:
    """Takes a batch [B, T, ...] in."""
    for key in self._relative:
      getattr(self, f'{key}_variance').update(batch[key], batch['mask'])

  def of(self, key: str) -> Tensor | float:
    """Returns what the loss of a key is divided by, scalar."""
    if key not in self._relative:
      return 1.0
    return getattr(self, f'{key}_variance').value() + self._relative[key]
