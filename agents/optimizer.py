"""Adam with a clipped global norm that survives a bad batch.

A single NaN in one gradient makes, through the global norm, every weight NaN.
So an update whose norm is not finite is skipped and counted.
"""

import keras
import tensorflow as tf


class Optimizer(keras.layers.Layer):
  """Adam over a fixed list of variables.

  Args:
    variables: every variable that is trained.
    rate: learning rate.
    epsilon: of Adam.
    clip: largest global norm of the gradient; longer ones are shortened.
    warmup: updates over which the rate rises linearly from 0.
  """

  def __init__(self, variables, *, rate, epsilon, clip, warmup=0, name):
    super().__init__(name=name)
    self._targets = list(variables)
    self._clip = clip
    if warmup:
      rate = keras.optimizers.schedules.PolynomialDecay(
          rate / warmup, warmup, rate)
    # Named, or the names of its slots would count the optimizers of a process.
    self._adam = keras.optimizers.Adam(rate, epsilon=epsilon, name='adam')
    self._adam.build(self._targets)
    self.skipped = self.add_weight(
        shape=(), dtype='int32', initializer='zeros', trainable=False,
        name='skipped')
    # How many of the last updates in a row were skipped.
    self.skipped_run = self.add_weight(
        shape=(), dtype='int32', initializer='zeros', trainable=False,
        name='skipped_run')
    self.built = True

  @property
  def slots(self):
    """Variables to be kept with the trained ones in a checkpoint."""
    return list(self._adam.variables) + [self.skipped, self.skipped_run]

  def minimize(self, loss, tape):
    """Applies the gradient of the scalar `loss`; returns its global norm."""
    gradients = tape.gradient(loss, [v.value for v in self._targets])
    gradients, norm = tf.clip_by_global_norm(gradients, self._clip)
    finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)

    def apply():
      self._adam.apply(gradients, self._targets)
      self.skipped_run.assign(0)
      return 0

    def skip():
      self.skipped.assign_add(1)
      self.skipped_run.assign_add(1)
      return 0

    tf.cond(finite, apply, skip)
    return norm
