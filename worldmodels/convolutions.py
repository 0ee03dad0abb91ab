"""Convolutions that processors are slow at, as what they are fast at.

Both layers have the variables of the Keras layer that they stand for, and its
result to rounding (docs/performance.md has what they gain).
"""

import keras
import tensorflow as tf

from worldmodels import layers as nets

# The largest side of a map whose filter gradient is taken as a product.
SMALL = 2


class Convolution(keras.layers.Conv2D):
  """A convolution; to a small map with a filter gradient of one product.

  Where a map of 2 x 2 is made, its patches are hardly more numbers than the
  images that they are cut from, and the library's own filter gradient takes
  four times as long.
  """

  def convolution_op(self, inputs, kernel):
    """Maps [N, h, w, D] and kernel [k, k, D, C] -> [N, h', w', C]."""
    _, side, _, _ = self.compute_output_shape(inputs.shape)
    if side > SMALL:
      return super().convolution_op(inputs, kernel)
    stride, padding = self.strides[0], self.padding.upper()

    @tf.custom_gradient
    def convolve(inputs, kernel):

      def gradient(upstream):
        by_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream,
            strides=[1, stride, stride, 1], padding=padding)
        size = kernel.shape[0]
        patches = tf.image.extract_patches(
            inputs, [1, size, size, 1], [1, stride, stride, 1], [1, 1, 1, 1],
            padding)
        by_kernel = tf.matmul(
            tf.reshape(patches, [-1, patches.shape[-1]]),
            tf.reshape(upstream, [-1, upstream.shape[-1]]), transpose_a=True)
        return by_inputs, tf.reshape(by_kernel, kernel.shape)

      return tf.nn.conv2d(inputs, kernel, stride, padding), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


class Upconvolution(keras.layers.Conv2DTranspose):
  """A transposed convolution with the bias of `layers.add_bias`."""

  def call(self, inputs):
    """Maps [N, h, w, D] -> [N, h', w', C]."""
    shape = self.compute_output_shape(inputs.shape)
    x = tf.nn.conv2d_transpose(
        inputs, self.kernel, [tf.shape(inputs)[0], *shape[1:]], self.strides,
        self.padding.upper())
    return nets.add_bias(x, tf.convert_to_tensor(self.bias))


class Drawing(keras.layers.Conv2DTranspose):
  """A transposed convolution of stride 2 to few channels, for even kernels.

  Every 2 x 2 of the result comes from the same k/2 x k/2 of the map. So they
  are one place of an ordinary convolution with 4 C channels, which fill the
  vector units that C = 3 leave idle (Shi et al., 2016, section 3).
  """

  def build(self, input_shape):
    """Builds the layer of maps [N, h, w, D]."""
    if self.strides != (2, 2) or any(k % 2 for k in self.kernel_size):
      raise ValueError(
          f'kernel {self.kernel_size} and strides {self.strides}: a drawing '
          'has an even kernel and stride 2')
    super().build(input_shape)

  def call(self, inputs):
    """Maps [N, h, w, D] -> [N, 2 h + k - 2, ..., C], `same` [N, 2 h, ..., C].

    With x the map, w the kernel and a in {0, 1}:
    y[2 j + a] = sum_m x[j - m] w[2 m + a].
    """
    taps = self.kernel_size[0] // 2
    depth, channels = inputs.shape[-1], self.filters
    kernel = tf.reshape(
        self.kernel, [taps, 2, taps, 2, channels, depth])[::-1, :, ::-1]
    kernel = tf.reshape(
        tf.transpose(kernel, [0, 2, 5, 1, 3, 4]),
        [taps, taps, depth, 4 * channels])
    edge = [taps - 1, taps - 1]
    x = tf.nn.conv2d(
        tf.pad(inputs, [[0, 0], edge, edge, [0, 0]]), kernel, 1, 'VALID')
    x = nets.add_bias(x, tf.tile(tf.convert_to_tensor(self.bias), [4]))
    side = x.shape[1]
    x = tf.reshape(x, [-1, side, side, 2, 2 * channels])  # a, then b and C.
    x = tf.reshape(
        tf.transpose(x, [0, 1, 3, 2, 4]), [-1, 2 * side, 2 * side, channels])
    if self.padding == 'same':
      inside = 2 * inputs.shape[1]
      x = tf.slice(x, [0, taps - 1, taps - 1, 0], [-1, inside, inside, -1])
    return x
