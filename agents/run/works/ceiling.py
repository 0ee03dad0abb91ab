"""What this hardware can do: rates of a large product and of a convolution.

Works of TensorFlow are compared with the rate that was measured beside them, in
the same process: seconds differ from machine to machine and from hour to hour,
shares of a ceiling hardly do.
"""

import tensorflow as tf

from . import clock

PRODUCT, CONVOLUTION = 'product', 'convolution'


def rate(kind, precision, setting):
  """Measures a rate, forward and with both gradients for the convolution.

  Args:
    kind: PRODUCT, of two square matrices, or CONVOLUTION, 32 to 64 channels,
      kernel 4, stride 2, on maps of 31x31: PlaNet's second layer.
    precision: float32 or bfloat16.
    setting: a Setting.

  Returns:
    (GFLOP/s, what clock.median returned).
  """
  make = {PRODUCT: _product, CONVOLUTION: _convolution}[kind]
  function, operations = make(
      tf.as_dtype(precision), setting.sizes['ceiling'])
  timing = clock.median(function, setting)
  return operations / timing['seconds'] / 1e9, timing


def _product(dtype, sizes):
  side = sizes['product']
  a = tf.cast(tf.random.stateless_normal([side, side], [0, 1]), dtype)
  b = tf.cast(tf.random.stateless_normal([side, side], [0, 2]), dtype)

  @tf.function
  def product():
    return tf.linalg.matmul(a, b)

  return (lambda: done(product())), 2 * side ** 3


def _convolution(dtype, sizes):
  images = sizes['images']
  x = tf.cast(tf.random.stateless_normal([images, 31, 31, 32], [0, 1]), dtype)
  kernel = tf.cast(tf.random.stateless_normal([4, 4, 32, 64], [0, 2]), dtype)
  above = tf.cast(tf.random.stateless_normal([images, 14, 14, 64], [0, 3]),
                  dtype)

  @tf.function
  def convolution():
    with tf.GradientTape() as tape:
      tape.watch([x, kernel])
      y = tf.nn.conv2d(x, kernel, 2, 'VALID')
    return y, tape.gradient(y, [x, kernel], above)

  forward = 2 * images * (14 * 14 * 64) * (4 * 4 * 32)
  return (lambda: done(convolution())), 3 * forward


def done(tensors):
  """Waits until every tensor is there: devices run ahead of Python."""
  for tensor in tf.nest.flatten(tensors):
    tf.reshape(tensor, [-1])[:1].numpy()
