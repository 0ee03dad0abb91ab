"""Draws an image as blobs at places that the features name.

The inverse of a spatial softmax (Jakab et al., 2018; Minderer et al., 2019).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from worldmodels import convolutions
from worldmodels import cores
from worldmodels import decoders
from worldmodels import errors
from worldmodels import nets
from worldmodels.states import Tensor

SIDE = 4  # of the first map of the canvas
DRAWS = ('blobs', 'both')


class Head(decoders.ImageHead):
  """Draws blobs whose places and strengths the features give.

  Gaussian blobs on a small map, then transposed convolutions. What moves in the
  image moves in the features, so the decoder need not learn to draw the same
  thing everywhere.

  Args:
    features_size: F.
    shape: of the image.
    points: blobs, each on a channel of its own.
    side: of the map that they are drawn on; doubled by every layer.
    width: standard deviation of a blob; the map goes from -1 to 1.
    hidden: units of a dense layer before the places; 0 leaves it out.
    canvas: channels of the map that they are drawn beside: a dense layer makes
      it of the features, 4 x 4, and transposed convolutions double it up to
      `side`. Empty for blobs alone.
    draws: `blobs` alone, or `both`, on a canvas where there is one.
    channels: of all transposed convolutions but the last.
    activation, initializer: of the layers.
    precision: of the transposed convolutions.
  """

  def __init__(
    self,
    features_size: int,
    *,
    shape: tuple[int, int, int] = (64, 64, 3),
    points: int = 32,
    side: int = 16,
    width: float = 0.12,
    hidden: int = 200,
    canvas: Sequence[int] = (),
    draws: str = 'both',
    channels: Sequence[int] = (32,),
    activation: str = 'elu',
    initializer: str = 'he_normal',
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(shape, **kwargs)
    self._width = width
    self._activation = keras.activations.get(activation)
    self._precision = keras.DTypePolicy(precision).compute_dtype
    self._hidden = None
    if hidden:
      self._hidden = nets.dense(
        hidden, features_size, initializer=initializer, name='hidden'
      )
    # Small: with places far apart at the start most blobs are out of sight,
    # and a blob out of sight is not learned.
    self._places = nets.dense(
      3 * points,
      hidden or features_size,
      name='places',
      initializer=keras.initializers.VarianceScaling(0.02),
    )
    places = tf.random.stateless_uniform([2 * points], [0, 1], -0.8, 0.8)
    self._places.bias.assign(tf.concat([places, tf.ones([points])], 0))
    self._line = tf.linspace(-1.0, 1.0, side)
    self._small, self._canvas = None, []
    errors.choose('draws', draws, DRAWS)
    if canvas and draws == 'both':
      self._check_canvas(canvas, side)
      self._small = nets.dense(
        SIDE**2 * canvas[0], features_size, dtype=precision, name='canvas'
      )
      made = (None, SIDE, SIDE, canvas[0])
      for index, units in enumerate(canvas[1:]):
        layer = convolutions.TransposedConvolution(
          units,
          4,
          2,
          'same',
          activation=activation,
          kernel_initializer=initializer,
          dtype=precision,
          name=f'double{index}',
        )
        layer.build(made)
        made = layer.compute_output_shape(made)
        self._canvas.append(layer)
      points += canvas[-1]
    depths = [*channels, shape[-1]]
    self._decoder = decoders.Decoder(
      (side, side, points),
      shape,
      [4] * len(depths),
      depths,
      padding='same',
      activation=self._activation,
      initializer=initializer,
      precision=precision,
    )
    self.built = True

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> mean image float32 [..., h, w, c]."""
    x = tf.reshape(features, [-1, features.shape[-1]])
    small = [] if self._small is None else [self._small(x)]
    if self._hidden is not None:
      x = self._activation(self._hidden(x))
    image = cores.in_blocks(self._draw, self._places(x), *small)
    lead = tf.shape(features)[:-1]
    return tf.reshape(image, tf.concat([lead, list(self._shape)], 0))

  def _draw(self, places: Tensor, small: Tensor | None = None) -> Tensor:
    """Maps places and strengths [N, 3 K] -> images float32 [N, h, w, c].

    Args:
      places: across, down and strength of each blob.
      small: the canvas [N, 4 * 4 * C] before it is doubled; None for none.
    """
    across, down, strength = tf.split(places, 3, -1)  # [N, K] each
    rows = self._profile(down) * strength[:, None]
    maps = rows[:, :, None] * self._profile(across)[:, None]
    maps = tf.cast(maps, self._precision)  # [N, side, side, K]
    if small is not None:
      beside = tf.reshape(small, [-1, SIDE, SIDE, small.shape[-1] // SIDE**2])
      for layer in self._canvas:
        beside = layer(beside)
      maps = tf.concat([maps, tf.cast(beside, maps.dtype)], -1)
    return self._decoder(maps)

  def _check_canvas(self, canvas: Sequence[int], side: int) -> None:
    """Raises OptionError where a canvas does not grow to the map's side."""
    grown = SIDE * 2 ** (len(canvas) - 1)
    if grown != side:
      raise errors.OptionError(
        'canvas',
        f'has {len(canvas)} entries, which make a map of {grown} x {grown}; '
        f'the blobs are on one of {side} x {side}',
      )

  def _profile(self, place: Tensor) -> Tensor:
    """Draws the blobs along one axis: [N, K] -> [N, side, K]."""
    distance = (place[:, None] - self._line[:, None]) / self._width
    return tf.exp(-0.5 * tf.square(distance))
