"""Layers that encoder, dynamics and heads share: how a network is built.

Activation, initialization and normalization are values, because they decide
how fast a world model learns from few images: ReLU and Glorot, which every
reference system uses, stall where ELU and He do not (docs/experiments.md).
"""

import os

import keras
import tensorflow as tf

# Images that convolutions take together; of very many images, the most blocks.
BLOCK, MOST_BLOCKS = 32, 16


def shares_of(count, least):
  """Splits `count` over the cores: sizes of at least `least`, one if unknown.

  A GPU wants all at once, and gets it.
  """
  cores = len(os.sched_getaffinity(0))
  shares = min((count or 0) // least, cores)
  if shares < 2 or tf.config.list_physical_devices('GPU'):
    return [count]
  return [count // shares] * (shares - 1) + [
      count - count // shares * (shares - 1)]


def in_blocks(function, values):
  """Maps values [N, ...] a block at a time, if N is known.

  A block stays in the cache of a core from one operation to the next, and
  blocks go to cores side by side. A GPU wants all at once, and gets it.

  Args:
    function: of a tensor [n, ...], each member for itself -> [n, ...].
    values: [N, ...].

  Returns:
    [N, ...].
  """
  count = values.shape[0] or 0
  blocks = min(count // BLOCK, MOST_BLOCKS)
  if blocks < 2 or tf.config.list_physical_devices('GPU'):
    return function(values)
  size = count // blocks
  sizes = [size] * (blocks - 1) + [count - size * (blocks - 1)]
  return tf.concat(
      [function(block) for block in tf.split(values, sizes)], 0)


def add_bias(values, bias):
  """Adds a bias [C] to values [..., C]; its gradient is a matrix product.

  TensorFlow's own sums bfloat16 in bfloat16, where nothing that is small
  beside the sum so far adds to it: of 262,144 numbers of mean 0.05 it makes
  2,064 instead of 13,819. A product sums in float32, and is faster.
  """

  @tf.custom_gradient
  def add(values, bias):

    def gradient(upstream):
      rows = tf.reshape(upstream, [-1, upstream.shape[-1]])
      ones = tf.ones([1, tf.shape(rows)[0]], rows.dtype)
      return upstream, tf.matmul(ones, rows)[0]

    return tf.nn.bias_add(values, bias), gradient

  # A custom gradient takes tensors, not variables.
  return add(values, tf.convert_to_tensor(bias))


class Dense(keras.layers.Dense):
  """A linear layer with a float32 result, whatever its product is made in."""

  def call(self, inputs):
    """Maps [..., inputs] -> float32 [..., units]."""
    rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
    product = tf.matmul(rows, self.kernel)
    if self.use_bias:
      product = add_bias(product, self.bias)
    shape = tf.concat([tf.shape(inputs)[:-1], [self.units]], 0)
    return tf.cast(tf.reshape(product, shape), tf.float32)


def dense(units, inputs, *, initializer='glorot_uniform', dtype='float32',
          use_bias=True, name=None):
  """Returns a built linear layer [..., inputs] -> float32 [..., units].

  Built at once, so that every variable exists before the first call: an
  optimizer or a checkpoint made before it would miss the late ones.
  """
  layer = Dense(
      units, kernel_initializer=initializer, use_bias=use_bias, dtype=dtype,
      name=name)
  layer.build((None, inputs))
  return layer


class Norm(keras.layers.Layer):
  """Layer norm over the last axis; `none` is the identity."""

  def __init__(self, size, kind='layer', epsilon=1e-3, **kwargs):
    # Or Keras makes bfloat16 maps float32 on the way in.
    super().__init__(autocast=False, **kwargs)
    if kind not in ('none', 'layer'):
      raise ValueError(f'normalization is {kind!r}; it is none or layer')
    self._kind = kind
    self._epsilon = epsilon
    if kind == 'layer':
      self._scale = self.add_weight(
          shape=(size,), initializer='ones', name='scale')
      self._offset = self.add_weight(
          shape=(size,), initializer='zeros', name='offset')
    self.built = True

  def call(self, inputs):
    """Normalizes [..., size]; statistics in float32."""
    if self._kind == 'none':
      return inputs
    mean, variance = tf.nn.moments(
        tf.cast(inputs, tf.float32), [-1], keepdims=True)
    # One scale and one offset: (x - mean) * s / std + offset.
    scale = tf.math.rsqrt(variance + self._epsilon) * self._scale
    return tf.cast(
        tf.cast(inputs, tf.float32) * scale + (self._offset - mean * scale),
        inputs.dtype)


class MLP(keras.layers.Layer):
  """Layers of equal width [..., inputs] -> [..., units], then `outputs`."""

  def __init__(self, inputs, *, units, layers, outputs=None,
               activation='relu', initializer='glorot_uniform',
               normalization='none', precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._activation = keras.activations.get(activation)
    self._hidden, self._norms = [], []
    for index in range(layers):
      self._hidden.append(
          dense(units, inputs, initializer=initializer, dtype=precision,
                name=f'dense{index}'))
      self._norms.append(Norm(units, normalization, name=f'norm{index}'))
      inputs = units
    self._out = (
        dense(outputs, inputs, dtype=precision, name='out')
        if outputs else None)
    self.size = outputs or inputs
    self.built = True

  def call(self, inputs):
    """Maps [..., inputs] -> [..., outputs or units]."""
    x = inputs
    for linear, norm in zip(self._hidden, self._norms, strict=True):
      x = self._activation(norm(linear(x)))
    return self._out(x) if self._out is not None else x
