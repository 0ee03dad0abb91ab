"""Dense layers of several networks at once: the members of an ensemble.

Each member has weights of its own, drawn for itself, and all of them are one
tensor with the member as its first axis: K small products are one batched
product, whose cost grows by less than K.
"""

import keras
import tensorflow as tf

from worldmodels import initializers
from worldmodels.states import Tensor


class Dense(keras.layers.Layer):
  """A linear layer of K members, with a float32 result.

  Args:
    members: K.
    units: size of the result.
    inputs: size of what comes in.
    initializer: of the kernel of each member.
    dtype: of the products.
    name: of the layer.
  """

  def __init__(
    self,
    members: int,
    units: int,
    inputs: int,
    *,
    initializer: str = 'glorot_uniform',
    dtype: str = 'float32',
    name: str | None = None,
  ):
    super().__init__(dtype=dtype, name=name)
    self.kernel = self.add_weight(
      shape=(members, inputs, units),
      initializer=initializers.Each(initializer),
      name='kernel',
    )
    self.bias = self.add_weight(
      shape=(members, 1, units),
      initializer='zeros',
      autocast=False,  # Or it would be rounded as the kernel is.
      name='bias',
    )
    self.built = True

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [N, inputs], of all alike, or [K, N, inputs] -> [K, N, units]."""
    dtype = self.compute_dtype
    if inputs.shape.rank == 2:
      inputs = inputs[None]
    product = tf.matmul(tf.cast(inputs, dtype), tf.cast(self.kernel, dtype))
    return tf.cast(product, tf.float32) + self.bias
