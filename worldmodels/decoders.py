"""Base of heads that draw images: from a small map to a Gaussian of pixels."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import convolutions
from worldmodels import errors
from worldmodels import head
from worldmodels import nets
from worldmodels.states import Tensor

tfd = tfp.distributions


class Decoder(keras.layers.Layer):
  """Transposed convolutions of stride 2, from a map to an image.

  Args:
    map_shape: height, width and channels of the map.
    shape: of the image.
    kernels: side of the kernels of each layer.
    channels: that each layer makes; the last draws and has no activation.
    padding: `valid` or `same`.
    activation: between the layers.
    initializer: of the weights of all layers but the last.
    normalization: after all layers but the last.
    precision: of the layers.

  Raises:
    ValueError: the image would have another shape.
  """

  def __init__(
    self,
    map_shape: tuple[int, int, int],
    shape: tuple[int, int, int],
    kernels: Sequence[int],
    channels: Sequence[int],
    *,
    padding: str,
    activation: Callable[[Tensor], Tensor],
    initializer: str,
    normalization: str = 'none',
    precision: str = 'float32',
  ):
    # Or Keras makes bfloat16 maps float32 on the way in.
    super().__init__(autocast=False, name='decoder')
    self._activation = activation
    self._convolutions, self._norms = [], []
    made = (None, *map_shape)
    for index, (kernel, units) in enumerate(
      zip(kernels, channels, strict=True)
    ):
      last = index == len(channels) - 1
      kind = (
        convolutions.SubpixelConvolution
        if last
        else convolutions.TransposedConvolution
      )
      layer = kind(
        units,
        kernel,
        2,
        padding,
        kernel_initializer='glorot_uniform' if last else initializer,
        dtype=precision,
        name=f'deconv{index}',
      )
      layer.build(made)
      made = layer.compute_output_shape(made)
      self._convolutions.append(layer)
      if not last:
        self._norms.append(nets.Norm(units, normalization, name=f'norm{index}'))
    if tuple(made[1:]) != tuple(shape):
      drawn = 'x'.join(map(str, made[1:]))
      raise ValueError(f'the decoder draws {drawn}; the images are {shape}')
    self.built = True

  def call(self, maps: Tensor) -> Tensor:
    """Maps maps [N, *map_shape] -> images float32 [N, *shape]."""
    x = maps
    for layer, norm in zip(self._convolutions, self._norms):
      x = self._activation(norm(layer(x)))
    return tf.cast(self._convolutions[-1](x), tf.float32)


class ImageHead(head.Head):
  """Base of heads that draw: a Gaussian of unit variance over pixels.

  Args:
    shape: of the image.
    **kwargs: name.

  Raises:
    OptionError: one step of the key is no image.
  """

  def __init__(self, shape: tuple[int, int, int], **kwargs: Any):
    super().__init__(**kwargs)
    if len(shape) != 3:
      raise errors.OptionError(
        'kind', f'is one that draws images; one step is {list(shape)}'
      )
    self._shape = tuple(shape)
    self.max_log_prob = head.gaussian_peak(self._shape)

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> mean image, pixels as the encoder normalizes them."""
    return self(features)

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps mean images [..., h, w, c] to a distribution over images."""
    return tfd.Independent(tfd.Normal(outputs, 1.0), 3)
