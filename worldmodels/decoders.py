"""Decoders: heads that draw an image from features.

`Image` is PlaNet's (Hafner et al., 2019, appendix A; the transposed
convolutions of Ha and Schmidhuber, 2018); `Points` draws blobs at places.
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import convolutions
from worldmodels import layers as nets

tfd = tfp.distributions


def _deconvolutions(side, depth, shape, kernels, depths, *, padding,
                    initializer, dtype, normalization='none'):
  """Builds transposed convolutions of stride 2 from a map to an image.

  Args:
    side: of the map, in pixels.
    depth: of the map.
    shape: of the image.
    kernels: of each layer.
    depths: of what each layer makes; the last draws and has no activation.
    padding: of the layers.
    initializer: of the weights of all but the last.
    dtype: of the layers.
    normalization: after all but the last.

  Returns:
    (the layers, the norms between them, one fewer).

  Raises:
    ValueError: the image would have another shape.
  """
  layers, norms = [], []
  for index, (kernel, units) in enumerate(zip(kernels, depths, strict=True)):
    last = index == len(depths) - 1
    kind = convolutions.Drawing if last else convolutions.Upconvolution
    layer = kind(
        units, kernel, 2, padding,
        kernel_initializer='glorot_uniform' if last else initializer,
        dtype=dtype, name=f'deconv{index}')
    layer.build((None, side, side, depth))
    side = layer.compute_output_shape((None, side, side, depth))[1]
    depth = units
    layers.append(layer)
    if not last:
      norms.append(nets.Norm(units, normalization, name=f'norm{index}'))
  if (side, side, depth) != tuple(shape):
    raise ValueError(
        f'the decoder draws {side}x{side}x{depth}; the images are {shape}')
  return layers, norms


def _deconvolve(x, layers, norms, activation):
  """Runs what `_deconvolutions` built; returns float32."""
  for layer, norm in zip(layers, norms):
    x = activation(norm(layer(x)))
  return tf.cast(layers[-1](x), tf.float32)


class Image(keras.layers.Layer):
  """Transposed convolutions from features to a unit-variance Gaussian.

  Args:
    features: F.
    start: side of the map that a dense layer makes of the features. PlaNet
      starts from 1; its first transposed convolution (kernel 5, on a 1x1
      map) is here the matrix product that it is, which is pathological as a
      convolution on a CPU. From 4 every layer has kernel 4 and doubles.
    channels: of all layers but the last, from the small map to the large.
    linear: width of PlaNet's dense layer before the 1x1 map; 0 leaves it out.
  """

  def __init__(self, features, *, shape=(64, 64, 3), start=1,
               channels=(128, 64, 32), linear=1024, activation='relu',
               initializer='glorot_uniform', normalization='none',
               precision='float32', **kwargs):
    super().__init__(**kwargs)
    if start not in (1, 4):
      raise ValueError(f'heads.image.start is {start}; it is 1 or 4')
    self._activation = keras.activations.get(activation)
    make = dict(initializer=initializer, dtype=precision)
    self._linear = (
        nets.dense(linear, features, dtype=precision, name='linear')
        if linear else None)
    self._side = 5 if start == 1 else 4
    self._depth = channels[0]
    self._map = nets.dense(
        self._side * self._side * self._depth, linear or features,
        name='map', **make)
    kernels = (5, 6, 6) if start == 1 else (4, 4, 4, 4)
    padding = 'valid' if start == 1 else 'same'
    depths = list(channels[1:]) + [shape[-1]]
    if len(depths) < len(kernels):
      depths.insert(0, channels[0])
    if len(depths) != len(kernels):
      raise ValueError(
          f'heads.image.channels has {len(channels)} entries; a decoder from '
          f'a {start}x{start} map takes {len(kernels)}')
    self._map_norm = nets.Norm(self._depth, normalization, name='map_norm')
    self._deconvolutions, self._norms = _deconvolutions(
        self._side, self._depth, shape, kernels, depths, padding=padding,
        normalization=normalization, **make)
    self._shape = tuple(shape)
    self.peak = -0.5 * math.prod(shape) * math.log(2 * math.pi)
    self.built = True

  def call(self, features):
    """Maps [..., F] -> mean image float32 [..., 64, 64, 3]."""
    lead = tf.shape(features)[:-1]
    x = tf.reshape(features, [-1, features.shape[-1]])
    if self._linear is not None:
      x = self._linear(x)
    x = tf.reshape(self._map(x), [-1, self._side, self._side, self._depth])
    x = self._activation(self._map_norm(x))
    return tf.reshape(
        nets.in_blocks(self._draw, x), tf.concat([lead, list(self._shape)], 0))

  def _draw(self, x):
    """Maps maps [N, side, side, depth] -> images float32 [N, 64, 64, 3]."""
    return _deconvolve(
        x, self._deconvolutions, self._norms, self._activation)

  def mean(self, features):
    """Maps [..., F] -> mean image, pixels as `encoder.pixels` makes them."""
    return self(features)

  def distribution(self, features):
    """Maps [..., F] -> tfd.Distribution, event [64, 64, 3]."""
    return tfd.Independent(tfd.Normal(self(features), 1.0), 3)


class Points(keras.layers.Layer):
  """Draws an image as blobs at places that the features name.

  The inverse of a spatial softmax (Jakab et al., 2018; Minderer et al.,
  2019): the places and strengths of Gaussian blobs on a small map, then
  transposed convolutions. What moves in the image moves in the features, so
  the decoder need not learn to draw the same thing everywhere.

  Args:
    features: F.
    points: blobs, each on a channel of its own.
    side: of the map that they are drawn on; doubled by every layer.
    width: standard deviation of a blob; the map goes from -1 to 1.
    hidden: units of a dense layer before the places; 0 leaves it out.
    channels: of all transposed convolutions but the last.
  """

  def __init__(self, features, *, shape=(64, 64, 3), points=32, side=16,
               width=0.12, hidden=200, channels=(32,), activation='elu',
               initializer='he_normal', precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._width = width
    self._activation = keras.activations.get(activation)
    self._precision = keras.DTypePolicy(precision).compute_dtype
    self._hidden = (
        nets.dense(hidden, features, initializer=initializer, name='hidden')
        if hidden else None)
    # Small: with places far apart at the start most blobs are out of sight,
    # and a blob out of sight is not learned.
    self._places = nets.dense(
        3 * points, hidden or features, name='places',
        initializer=keras.initializers.VarianceScaling(0.02))
    self._places.bias.assign(tf.concat([
        tf.random.stateless_uniform([2 * points], [0, 1], -0.8, 0.8),
        tf.ones([points])], 0))
    self._line = tf.linspace(-1.0, 1.0, side)
    depths = [*channels, shape[-1]]
    self._deconvolutions, self._norms = _deconvolutions(
        side, points, shape, [4] * len(depths), depths, padding='same',
        initializer=initializer, dtype=precision)
    self._shape = tuple(shape)
    self.peak = -0.5 * math.prod(shape) * math.log(2 * math.pi)
    self.built = True

  def call(self, features):
    """Maps [..., F] -> mean image float32 [..., 64, 64, 3]."""
    x = tf.reshape(features, [-1, features.shape[-1]])
    if self._hidden is not None:
      x = self._activation(self._hidden(x))
    image = nets.in_blocks(self._draw, self._places(x))
    return tf.reshape(image, tf.concat(
        [tf.shape(features)[:-1], list(self._shape)], 0))

  def _draw(self, places):
    """Maps places and strengths [N, 3 K] -> images float32 [N, 64, 64, 3]."""
    across, down, strength = tf.split(places, 3, -1)  # [N, K] each
    rows = self._profile(down) * strength[:, None]
    maps = rows[:, :, None] * self._profile(across)[:, None]
    x = tf.cast(maps, self._precision)  # [N, side, side, K]
    return _deconvolve(
        x, self._deconvolutions, self._norms, self._activation)

  def _profile(self, place):
    """The blobs along one axis: [N, K] -> [N, side, K]."""
    distance = (place[:, None] - self._line[:, None]) / self._width
    return tf.exp(-0.5 * tf.square(distance))

  mean = Image.mean
  distribution = Image.distribution
