"""Encoders: what the model sees becomes what the dynamics are told.

image uint8 [..., 64, 64, 3] (and vectors float32 [..., V]) -> embed [..., E].
This is the one place where pixels become floats.

`convolutional`: four convolutions of stride 2, as in World Models (Ha and
Schmidhuber, 2018, appendix A.1), PlaNet (Hafner et al., 2019, appendix A).
`spatial_softmax`: the expected place of each of `points` feature maps (Deep
spatial autoencoders, Finn et al., 2016; Levine et al., 2016, section 5): what
a pixel shows is lost, where it is remains, and dynamics on places are easy.
"""

import keras
import tensorflow as tf

from worldmodels import convolutions
from worldmodels import layers as nets


def pixels(image, bits=8):
  """Returns float32 pixels in [-0.5, 0.5] of uint8 `image` [...].

  With fewer than 8 `bits` the low ones are dropped (PlaNet keeps 5, as Glow
  does). The dequantization noise that PlaNet's code then adds belongs to
  training alone and is `dequantize`.
  """
  image = tf.cast(image, tf.float32)
  if bits < 8:
    bins = 2.0 ** bits
    return tf.floor(image / 2.0 ** (8 - bits)) / bins - 0.5
  return image * (1.0 / 255.0) - 0.5


def dequantize(image, seed, bits):
  """Adds uniform noise of one bin to `pixels(image, bits)` (PlaNet's code)."""
  noise = tf.random.stateless_uniform(tf.shape(image), seed)
  return image + noise / 2.0 ** bits


class Convolutional(keras.layers.Layer):
  """Convolutions of stride 2 over images, flattened."""

  def __init__(self, *, size=64, channels=(32, 64, 128, 256), kernel=4,
               padding='valid', activation='relu',
               initializer='glorot_uniform', normalization='none',
               precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._activation = keras.activations.get(activation)
    self._convolutions, self._norms = [], []
    depth = 3
    for index, units in enumerate(channels):
      layer = convolutions.Convolution(
          units, kernel, 2, padding, kernel_initializer=initializer,
          dtype=precision, name=f'conv{index}')
      self._norms.append(
          nets.Norm(units, normalization, name=f'norm{index}'))
      layer.build((None, size, size, depth))
      _, size, _, depth = layer.compute_output_shape(
          (None, size, size, depth))
      self._convolutions.append(layer)
    self.embed = size * size * depth
    self.built = True

  def call(self, image):
    """Maps float pixels [N, 64, 64, 3] -> embed [N, E]."""
    x = image
    for layer, norm in zip(self._convolutions, self._norms, strict=True):
      x = self._activation(norm(layer(x)))
    return tf.cast(tf.reshape(x, [-1, self.embed]), tf.float32)


class SpatialSoftmax(keras.layers.Layer):
  """Convolutions, then the expected place of each feature: [N, 2 * points].

  Args:
    size: image height and width.
    channels: of the convolutions of stride 2 before the maps.
    kernel: of those.
    points: maps, and so places.
    activation, initializer, precision: of the convolutions.
    coordinates: the image gets two more channels, its coordinates.
    presence: also how strongly each feature is there (its largest logit,
      squashed): an object may be hidden.
    sharpness: start of the factor, learned for each map, on the logits.
    standardize: each map to mean 0 and variance 1 before that. Flat maps have
      all places in the middle, and hardly a gradient.
  """

  def __init__(self, *, size=64, channels=(16, 32), kernel=4, points=32,
               activation='elu', initializer='he_normal', coordinates=False,
               presence=False, sharpness=1.0, standardize=False,
               precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._convolutions = []
    self._coordinates = _grid(size) if coordinates else None
    depth = 5 if coordinates else 3
    for index, units in enumerate(channels):
      layer = keras.layers.Conv2D(
          units, kernel, 2, 'same', activation=activation,
          kernel_initializer=initializer, dtype=precision,
          name=f'conv{index}')
      layer.build((None, size, size, depth))
      size, depth = size // 2, units
      self._convolutions.append(layer)
    self._maps = keras.layers.Conv2D(
        points, 3, 1, 'same', dtype=precision, name='maps')
    self._maps.build((None, size, size, depth))
    self._points = points
    self._presence = presence
    self._pixels = size * size  # P
    self._places = tf.concat([  # 1, x, y of each: [P, 3]
        tf.ones([self._pixels, 1]), tf.reshape(_grid(size), [-1, 2])], -1)
    # One temperature per map, learned: sharp for an edge, soft for a body.
    self._sharpness = self.add_weight(
        shape=(points,), initializer=keras.initializers.Constant(sharpness),
        name='sharpness')
    self._standardize = standardize
    self.embed = points * (3 if presence else 2)
    self.built = True

  def call(self, image):
    """Maps float pixels [N, 64, 64, 3] -> embed [N, E]."""
    x = image
    if self._coordinates is not None:
      grid = tf.broadcast_to(
          self._coordinates, tf.concat([tf.shape(x)[:-1], [2]], 0))
      x = tf.concat([x, tf.cast(grid, x.dtype)], -1)
    for layer in self._convolutions:
      x = layer(x)
    maps = tf.cast(self._maps(x), tf.float32)
    logits = tf.reshape(maps, [-1, self._pixels, self._points])  # [N, P, K]
    # Sums over places are matrix products: reductions over an axis that is
    # not the last are several times slower.
    scale = self._sharpness
    if self._standardize:
      # The mean need not be taken off: a softmax does not see it.
      mean = self._mean(logits)
      variance = self._mean(tf.square(logits)) - tf.square(mean)
      scale = scale * tf.math.rsqrt(tf.maximum(variance, 0.0) + 1e-6)
    else:
      mean = 0.0
    logits *= scale
    peak = tf.reduce_max(logits, 1, keepdims=True)
    weights = tf.exp(logits - tf.stop_gradient(peak))  # [N, P, K]
    moments = tf.linalg.matmul(self._places, weights, transpose_a=True)
    places = moments[:, 1:] / moments[:, :1]  # [N, 2, K]
    parts = [tf.reshape(
        tf.transpose(places, [0, 2, 1]), [-1, 2 * self._points])]
    if self._presence:
      parts.append(tf.tanh((peak - mean * scale)[:, 0] * 0.1))
    return tf.concat(parts, -1)

  def _mean(self, values):
    """The mean of [N, P, K] over the places: [N, 1, K]."""
    ones = self._places[:, :1] / self._pixels
    return tf.linalg.matmul(ones, values, transpose_a=True)


def _grid(size):
  """Returns coordinates in [-1, 1], [size, size, 2]."""
  line = tf.linspace(-1.0, 1.0, size)
  return tf.stack(tf.meshgrid(line, line, indexing='xy'), -1)


IMAGE_ENCODERS = {
    'convolutional': Convolutional,
    'spatial_softmax': SpatialSoftmax,
}


class Encoder(keras.layers.Layer):
  """Encodes what is observed: an image and, beside it, named vectors.

  Args:
    image: which image encoder, a key of IMAGE_ENCODERS.
    bits: color depth that is kept, 1 to 8.
    center: subtract `mean_image`, set from the seed episodes.
    whiten: if not 0, with `center`, divide each pixel by its spread over the
      seed episodes; the number is the floor of its variance, as a multiple of
      the mean variance of all.
    vectors: {key: size} of float32 vectors encoded beside the image.
    vector_units: width of the two layers over the vectors.
    size: image height and width.
    **options: of the image encoder.
  """

  def __init__(self, *, image='convolutional', bits=8, center=False, whiten=0.0,
               vectors=None, vector_units=64, size=64, **options):
    super().__init__(name='encoder')
    if image not in IMAGE_ENCODERS:
      raise ValueError(
          f'encoder.image is {image!r}; it is one of '
          f'{", ".join(sorted(IMAGE_ENCODERS))}')
    self.bits = bits
    self._image = IMAGE_ENCODERS[image](size=size, name='image', **options)
    self.mean_image = self.add_weight(
        shape=(size, size, 3), initializer='zeros', trainable=False,
        name='mean_image')
    self.spread_image = self.add_weight(
        shape=(size, size, 1), initializer='ones', trainable=False,
        name='spread_image')
    self._center = center
    self._whiten = whiten
    self.vectors = dict(vectors or {})
    self._vector = None
    if self.vectors:
      self._vector = nets.MLP(
          sum(self.vectors.values()), units=vector_units, layers=2,
          activation='elu', name='vectors')
    self.embed = self._image.embed + (vector_units if self.vectors else 0)
    self.built = True

  def center(self, image):
    """Sets `mean_image` to the mean of uint8 images [N, 64, 64, 3]."""
    if not self._center:
      return
    mean, variance = tf.nn.moments(pixels(image, self.bits), [0])
    self.mean_image.assign(mean)
    if self._whiten:
      variance = tf.reduce_sum(variance, -1, keepdims=True)
      floor = self._whiten * tf.reduce_mean(variance)
      spread = tf.sqrt(variance + floor)
      # As hard to predict by the mean as it was: the loss keeps its scale.
      share = tf.reduce_sum(
          tf.math.divide_no_nan(variance, tf.square(spread)))
      scale = tf.sqrt(tf.math.divide_no_nan(share, tf.reduce_sum(variance)))
      # Images that are all the same, to rounding, stay as they are.
      varies = tf.reduce_mean(variance) > 1e-9
      self.spread_image.assign(
          tf.where(varies, spread * scale, tf.ones_like(spread)))

  def normalize(self, floats):
    """Centers, and whitens, `pixels` [..., 64, 64, 3], if that is asked for."""
    if self._center:
      floats = floats - self.mean_image
    return floats / self.spread_image if self._whiten else floats

  def call(self, observation):
    """Maps {image uint8 [..., 64, 64, 3], ...} -> embed float32 [..., E]."""
    image = observation['image']
    lead = tf.shape(image)[:-3]
    flat = tf.reshape(image, tf.concat([[-1], image.shape[-3:]], 0))
    parts = [nets.in_blocks(
        lambda x: self._image(self.normalize(pixels(x, self.bits))), flat)]
    if self._vector is not None:
      vectors = tf.concat(
          [observation[key] for key in sorted(self.vectors)], -1)
      parts.append(
          self._vector(tf.reshape(vectors, [-1, vectors.shape[-1]])))
    embed = tf.concat(parts, -1)
    return tf.reshape(embed, tf.concat([lead, [self.embed]], 0))
