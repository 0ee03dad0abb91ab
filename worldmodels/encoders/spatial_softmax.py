"""The expected place of each of some feature maps.

Deep spatial autoencoders (Finn et al., 2016; Levine et al., 2016, section 5):
what a pixel shows is lost, where it is remains, and dynamics on places are
easy.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels import convolutions
from worldmodels import errors
from worldmodels.states import Tensor

EMBEDS = ('places', 'maps', 'both')


class ImageEncoder(keras.layers.Layer):
  """Convolutions, then the expected place of each feature: [N, 2 * points].

  Places say nothing of what has none: a texture that moves, a body of many
  parts. `further` convolutions embed that beside them.

  Attributes:
    embed: E.

  Args:
    shape: height, width and channels of the image.
    channels: of the convolutions of stride 2 before the maps.
    kernel: of those.
    further: channels of more of them, after those; what they make is embedded
      beside the places. Empty for places alone.
    embeds: `places` alone, what the `further` convolutions make alone (`maps`),
      or `both`, where there are both.
    points: maps, and so places.
    activation, initializer, precision: of the convolutions.
    coordinates: the image gets two more channels, its coordinates.
    presence: also how strongly each feature is there (its largest logit,
      squashed): an object may be hidden.
    sharpness: start of the factor, learned for each map, on the logits.
    standardize: each map to mean 0 and variance 1 before that. Flat maps have
      all places in the middle, and hardly a gradient.
  """

  def __init__(
    self,
    *,
    shape: tuple[int, int, int] = (64, 64, 3),
    channels: Sequence[int] = (16, 32),
    kernel: int = 4,
    further: Sequence[int] = (),
    embeds: str = 'both',
    points: int = 32,
    activation: str = 'elu',
    initializer: str = 'he_normal',
    coordinates: bool = False,
    presence: bool = False,
    sharpness: float = 1.0,
    standardize: bool = False,
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    height, width, depth = shape
    self._coordinates = _grid(height, width) if coordinates else None
    errors.choose('embeds', embeds, EMBEDS)
    if embeds == 'maps' and not further:
      raise errors.OptionError(
        'embeds', "is 'maps'; `further` is empty, so there are places alone"
      )
    make = dict(
      activation=activation,
      kernel_initializer=initializer,
      dtype=precision,
    )
    shape = (None, height, width, depth + (2 if coordinates else 0))
    self._convolutions, shape = _stack(channels, shape, kernel, 'conv', make)
    self.embed = self._embedded = 0
    self._further = []
    if embeds != 'places' and further:
      self._further, (_, *made) = _stack(
        further, shape, kernel, 'further', make
      )
      self._embedded = math.prod(made)
    self._maps = None
    if embeds != 'maps':
      self._make_places(shape, points, sharpness, precision)
      self._presence, self._standardize = presence, standardize
      self.embed = points * (3 if presence else 2)
      # As much of the first layer after this comes from the places, which are
      # few, as from the rest.
      self._weight = math.sqrt(max(self._embedded, 1) / self.embed)
    self.embed += self._embedded
    self.built = True

  def _make_places(
    self,
    shape: tuple[int | None, ...],
    points: int,
    sharpness: float,
    precision: str,
  ) -> None:
    """Builds what finds the places of `points` features on a map's shape."""
    self._maps = convolutions.Convolution(
      points, 3, 1, 'same', dtype=precision, name='maps'
    )
    self._maps.build(shape)
    _, height, width, _ = shape
    self._points = points
    self._pixels = height * width  # P
    ones = tf.ones([self._pixels, 1])
    places = tf.reshape(_grid(height, width), [-1, 2])
    self._places = tf.concat([ones, places], -1)  # 1, x, y of each: [P, 3]
    # One temperature per map, learned: sharp for an edge, soft for a body.
    self._sharpness = self.add_weight(
      shape=(points,),
      initializer=keras.initializers.Constant(sharpness),
      name='sharpness',
    )

  def call(self, image: Tensor) -> Tensor:
    """Maps float pixels [N, h, w, c] -> embed [N, E]."""
    x = image
    if self._coordinates is not None:
      grid = tf.broadcast_to(
        self._coordinates, tf.concat([tf.shape(x)[:-1], [2]], 0)
      )
      x = tf.concat([x, tf.cast(grid, x.dtype)], -1)
    for layer in self._convolutions:
      x = layer(x)
    parts = []
    if self._maps is not None:
      parts = self._find_places(x)
    if self._further:
      parts = [self._weight * part for part in parts]
      for layer in self._further:
        x = layer(x)
      parts.append(tf.cast(tf.reshape(x, [-1, self._embedded]), tf.float32))
    return tf.concat(parts, -1)

  def _find_places(self, x: Tensor) -> list[Tensor]:
    """Returns places [N, 2 K], and presence [N, K], of features of maps."""
    maps = tf.cast(self._maps(x), tf.float32)
    logits = tf.reshape(maps, [-1, self._pixels, self._points])  # [N, P, K]
    # Contrast. Sums over places are matrix products: reductions over an axis
    # that is not the last are several times slower.
    scale = self._sharpness
    if self._standardize:
      # The mean need not be taken off: a softmax does not see it.
      mean = self._mean(logits)
      variance = self._mean(tf.square(logits)) - tf.square(mean)
      scale = scale * tf.math.rsqrt(tf.maximum(variance, 0.0) + 1e-6)
    else:
      mean = 0.0
    logits *= scale
    # Expected places.
    peak = tf.reduce_max(logits, 1, keepdims=True)
    weights = tf.exp(logits - tf.stop_gradient(peak))  # [N, P, K]
    moments = tf.linalg.matmul(self._places, weights, transpose_a=True)
    places = moments[:, 1:] / moments[:, :1]  # [N, 2, K]
    parts = [
      tf.reshape(tf.transpose(places, [0, 2, 1]), [-1, 2 * self._points])
    ]
    if self._presence:
      parts.append(tf.tanh((peak - mean * scale)[:, 0] * 0.1))
    return parts

  def _mean(self, values: Tensor) -> Tensor:
    """Returns the mean of [N, P, K] over the places: [N, 1, K]."""
    ones = self._places[:, :1] / self._pixels
    return tf.linalg.matmul(ones, values, transpose_a=True)


def _stack(
  channels: Sequence[int],
  shape: tuple[int | None, ...],
  kernel: int,
  name: str,
  options: dict[str, Any],
) -> tuple[list[convolutions.Convolution], tuple[int | None, ...]]:
  """Builds convolutions of stride 2; returns them and the shape they make."""
  made = []
  for index, units in enumerate(channels):
    layer = convolutions.Convolution(
      units, kernel, 2, 'same', name=f'{name}{index}', **options
    )
    layer.build(shape)
    shape = layer.compute_output_shape(shape)
    made.append(layer)
  return made, shape


def _grid(height: int, width: int) -> Tensor:
  """Returns coordinates in [-1, 1], [height, width, 2]."""
  across, down = tf.linspace(-1.0, 1.0, width), tf.linspace(-1.0, 1.0, height)
  return tf.stack(tf.meshgrid(across, down, indexing='xy'), -1)
