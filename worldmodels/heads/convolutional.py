"""Transposed convolutions from features to an image.

PlaNet's decoder (Hafner et al., 2019, appendix A; the transposed convolutions
of Ha and Schmidhuber, 2018).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels import cores
from worldmodels import decoders
from worldmodels import errors
from worldmodels import initializers
from worldmodels import nets
from worldmodels.states import Tensor


class Head(decoders.ImageHead):
  """Transposed convolutions from features to a unit-variance Gaussian.

  Args:
    features_size: F.
    shape: of the image.
    start: side of the map that a dense layer makes of the features. PlaNet
      starts from 1; its first transposed convolution (kernel 5, on a 1x1
      map) is here the matrix product that it is, which is pathological as a
      convolution on a CPU. From 4 the dense layer is linear (DreamerV3), and
      every further layer has kernel 4 and doubles.
    channels: of all layers but the last, from the small map to the large.
    linear: width of PlaNet's dense layer before the 1x1 map; 0 leaves it out.
    activation, initializer, normalization, precision: of the layers.
  """

  def __init__(
    self,
    features_size: int,
    *,
    shape: tuple[int, int, int] = (64, 64, 3),
    start: int = 1,
    channels: Sequence[int] = (128, 64, 32),
    linear: int = 1024,
    activation: str = 'relu',
    initializer: str = 'glorot_uniform',
    normalization: str = 'none',
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(shape, **kwargs)
    if start not in (1, 4):
      raise errors.OptionError('start', f'is {start}; it is 1 or 4')
    kernels = (5, 6, 6) if start == 1 else (4, 4, 4, 4)
    depths = [*channels[1:], shape[-1]]
    if len(depths) < len(kernels):
      depths.insert(0, channels[0])
    if len(depths) != len(kernels):
      raise errors.OptionError(
        'channels',
        f'has {len(channels)} entries; a decoder from a {start}x{start} map '
        f'takes {len(kernels)}',
      )
    self._activation = keras.activations.get(activation)
    # From features to a small map.
    self._linear = None
    if linear:
      self._linear = nets.dense(
        linear, features_size, dtype=precision, name='linear'
      )
    side = 5 if start == 1 else 4
    self._map_shape = (side, side, channels[0])
    first, self._map_norm = 'glorot_uniform', None
    if start == 1:
      first = initializers.FromPoint(initializer, self._map_shape)
      self._map_norm = nets.Norm(channels[0], normalization, name='map_norm')
    self._map = nets.dense(
      side * side * channels[0],
      linear or features_size,
      initializer=first,
      dtype=precision,
      name='map',
    )
    # From the map to an image.
    self._decoder = decoders.Decoder(
      self._map_shape,
      shape,
      kernels,
      depths,
      padding='valid' if start == 1 else 'same',
      activation=self._activation,
      initializer=initializer,
      normalization=normalization,
      precision=precision,
    )
    self.built = True

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> mean image float32 [..., h, w, c]."""
    lead = tf.shape(features)[:-1]
    x = tf.reshape(features, [-1, features.shape[-1]])
    if self._linear is not None:
      x = self._linear(x)
    x = tf.reshape(self._map(x), [-1, *self._map_shape])
    if self._map_norm is not None:
      x = self._activation(self._map_norm(x))
    image = cores.in_blocks(self._decoder, x)
    return tf.reshape(image, tf.concat([lead, list(self._shape)], 0))
