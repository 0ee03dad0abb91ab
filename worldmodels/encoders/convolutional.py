"""Convolutions of stride 2 over images.

Four of them as in World Models (Ha and Schmidhuber, 2018, appendix A.1) and
PlaNet (Hafner et al., 2019, appendix A).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels import convolutions
from worldmodels import nets
from worldmodels.states import Tensor


class ImageEncoder(keras.layers.Layer):
  """Convolutions of stride 2 over images, flattened.

  Attributes:
    embed: E.

  Args:
    shape: height, width and channels of the image.
    channels: of each convolution.
    kernel: side of the kernels.
    padding: `valid` or `same`.
    activation, initializer, normalization, precision: of the convolutions.
  """

  def __init__(
    self,
    *,
    shape: tuple[int, int, int] = (64, 64, 3),
    channels: Sequence[int] = (32, 64, 128, 256),
    kernel: int = 4,
    padding: str = 'valid',
    activation: str = 'relu',
    initializer: str = 'glorot_uniform',
    normalization: str = 'none',
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._activation = keras.activations.get(activation)
    self._convolutions, self._norms = [], []
    shape = (None, *shape)
    for index, units in enumerate(channels):
      layer = convolutions.Convolution(
        units,
        kernel,
        2,
        padding,
        kernel_initializer=initializer,
        dtype=precision,
        name=f'conv{index}',
      )
      self._norms.append(nets.Norm(units, normalization, name=f'norm{index}'))
      layer.build(shape)
      shape = layer.compute_output_shape(shape)
      self._convolutions.append(layer)
    _, height, width, depth = shape
    self.embed = height * width * depth
    self.built = True

  def call(self, image: Tensor) -> Tensor:
    """Maps float pixels [N, h, w, c] -> embed [N, E]."""
    x = image
    for layer, norm in zip(self._convolutions, self._norms, strict=True):
      x = self._activation(norm(layer(x)))
    return tf.cast(tf.reshape(x, [-1, self.embed]), tf.float32)
