"""Three Keras convolutions, faster on CPUs and exact in bfloat16.

Each layer has the variables of the Keras layer that it stands for, and its
result to rounding (docs/performance.md has what they gain).
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import nets
from worldmodels.states import Tensor

# The largest side of a map whose filter gradient is taken as a product.
SMALL = 2


class Convolution(keras.layers.Conv2D):
  """A convolution with the bias of `nets.add_bias`.

  Where it makes a map of 2 x 2 its filter gradient is one product: the patches
  are hardly more numbers than the images that they are cut from, and the
  library's own filter gradient takes four times as long.
  """

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [N, h, w, D] -> [N, h', w', C]."""
    x = self.convolution_op(inputs, self.kernel)
    if self.use_bias:
      x = nets.add_bias(x, self.bias)
    return self.activation(x)

  def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
    """Maps [N, h, w, D] and kernel [k, k, D, C] -> [N, h', w', C]."""
    _, *sides, _ = self.compute_output_shape(inputs.shape)
    if max(sides) > SMALL or self.groups > 1 or max(self.dilation_rate) > 1:
      return super().convolution_op(inputs, kernel)
    size, strides = [1, *self.kernel_size, 1], [1, *self.strides, 1]
    padding = self.padding.upper()

    @tf.custom_gradient
    def convolve(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Any]:

      def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        by_inputs = tf.raw_ops.Conv2DBackpropInput(
          input_sizes=tf.shape(inputs),
          filter=kernel,
          out_backprop=upstream,
          strides=strides,
          padding=padding,
        )
        patches = tf.image.extract_patches(
          inputs, size, strides, [1, 1, 1, 1], padding
        )
        by_kernel = tf.matmul(
          tf.reshape(patches, [-1, patches.shape[-1]]),
          tf.reshape(upstream, [-1, upstream.shape[-1]]),
          transpose_a=True,
        )
        return by_inputs, tf.reshape(by_kernel, kernel.shape)

      return tf.nn.conv2d(inputs, kernel, strides, padding), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


class TransposedConvolution(keras.layers.Conv2DTranspose):
  """A transposed convolution with the bias of `nets.add_bias`."""

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [N, h, w, D] -> [N, h', w', C]."""
    shape = self.compute_output_shape(inputs.shape)
    x = tf.nn.conv2d_transpose(
      inputs,
      self.kernel,
      [tf.shape(inputs)[0], *shape[1:]],
      self.strides,
      self.padding.upper(),
    )
    if self.use_bias:
      x = nets.add_bias(x, self.bias)
    return self.activation(x)


class SubpixelConvolution(keras.layers.Conv2DTranspose):
  """A transposed convolution of stride 2 to few channels, for even kernels.

  Every 2 x 2 of the result comes from the same k/2 x k/2 of the map. So they
  are one place of an ordinary convolution with 4 C channels, which fill the
  vector units that C = 3 leave idle (Shi et al., 2016, section 3).
  """

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Builds the layer of maps [N, h, w, D]."""
    kernel = self.kernel_size
    if self.strides != (2, 2) or kernel[0] % 2 or kernel[0] != kernel[1]:
      raise ValueError(
        f'kernel {kernel} and strides {self.strides}: a subpixel convolution '
        'has an even square kernel and stride 2'
      )
    super().build(input_shape)

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [N, h, w, D] -> [N, 2 h + k - 2, ..., C], `same` [N, 2 h, ..., C].

    With x the map, w the kernel and a in {0, 1}:
    y[2 j + a] = sum_m x[j - m] w[2 m + a].
    """
    taps = self.kernel_size[0] // 2
    depth, channels = inputs.shape[-1], self.filters
    kernel = tf.reshape(self.kernel, [taps, 2, taps, 2, channels, depth])[
      ::-1, :, ::-1
    ]
    kernel = tf.reshape(
      tf.transpose(kernel, [0, 2, 5, 1, 3, 4]),
      [taps, taps, depth, 4 * channels],
    )
    edge = [taps - 1, taps - 1]
    x = tf.nn.conv2d(
      tf.pad(inputs, [[0, 0], edge, edge, [0, 0]]), kernel, 1, 'VALID'
    )
    if self.use_bias:
      x = nets.add_bias(x, tf.tile(self.bias, [4]))
    _, height, width, _ = x.shape
    # To rows of 2 x 2: a is the row; b, the column, stays beside C.
    x = tf.reshape(x, [-1, height, width, 2, 2 * channels])
    x = tf.reshape(
      tf.transpose(x, [0, 1, 3, 2, 4]), [-1, 2 * height, 2 * width, channels]
    )
    if self.padding == 'same':
      _, height, width, _ = inputs.shape
      x = tf.slice(
        x, [0, taps - 1, taps - 1, 0], [-1, 2 * height, 2 * width, -1]
      )
    return self.activation(x)
