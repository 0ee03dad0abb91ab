"""Measures the limits of this hardware: a large product, a convolution.

Computations of TensorFlow are compared with the rate that was measured beside
them, in the same process: seconds differ from machine to machine and from hour
to hour, shares of a ceiling hardly do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.figures import Rate
from worldmodels.agents.benchmark.options import Options

PRODUCT, CONVOLUTION = 'product', 'convolution'

Sizes = dict[str, int]


def rate(kind: str, precision: str, options: Options) -> Rate:
  """Measures a rate, forward and with both gradients for the convolution.

  Args:
    kind: PRODUCT, of two square matrices, or CONVOLUTION, 32 to 64 channels,
      kernel 4, stride 2, on maps of 31x31: PlaNet's second layer.
    precision: float32 or bfloat16.
    options: of the benchmark.
  """
  make = {PRODUCT: _product, CONVOLUTION: _convolution}[kind]
  function, operations = make(tf.as_dtype(precision), options.sizes['ceiling'])
  timing = clock.median(function, options)
  return Rate(f'{precision} {kind}', operations / timing.seconds / 1e9, timing)


def done(tensors: tf.Tensor | Sequence[Any]) -> None:
  """Waits until every tensor is there: devices run ahead of Python."""
  for tensor in tf.nest.flatten(tensors):
    tf.reshape(tensor, [-1])[:1].numpy()


def _product(dtype: tf.DType, sizes: Sizes) -> tuple[Callable[[], None], int]:
  """Returns a product to run, and its floating point operations."""
  side = sizes['product']
  a = tf.cast(tf.random.stateless_normal([side, side], [0, 1]), dtype)
  b = tf.cast(tf.random.stateless_normal([side, side], [0, 2]), dtype)

  @tf.function(autograph=False)
  def product() -> tf.Tensor:
    return tf.linalg.matmul(a, b)

  return (lambda: done(product())), 2 * side**3


def _convolution(
  dtype: tf.DType, sizes: Sizes
) -> tuple[Callable[[], None], int]:
  """Returns a convolution to run both ways, and its operations."""
  images = sizes['images']
  x = tf.cast(tf.random.stateless_normal([images, 31, 31, 32], [0, 1]), dtype)
  kernel = tf.cast(tf.random.stateless_normal([4, 4, 32, 64], [0, 2]), dtype)
  above = tf.cast(
    tf.random.stateless_normal([images, 14, 14, 64], [0, 3]), dtype
  )

  @tf.function(autograph=False)
  def convolution() -> tuple[tf.Tensor, list[tf.Tensor]]:
    with tf.GradientTape() as tape:
      tape.watch([x, kernel])
      y = tf.nn.conv2d(x, kernel, 2, 'VALID')
    return y, tape.gradient(y, [x, kernel], above)

  forward = 2 * images * (14 * 14 * 64) * (4 * 4 * 32)
  return (lambda: done(convolution())), 3 * forward
