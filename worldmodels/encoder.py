"""Encodes observations: image and vectors -> embed [..., E].

This is the one place where pixels become floats. The kinds of image encoder are
the files of worldmodels/encoders.
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import cores
from worldmodels import kinds
from worldmodels import nets
from worldmodels import replicas
from worldmodels.spec import Spec
from worldmodels.states import Tensor

MOST = 16.0  # An image that only flickers is not blown up without end.


def pixels(image: Tensor, bits: int = 8) -> Tensor:
  """Returns float32 pixels in [-0.5, 0.5] of uint8 `image` [...].

  With fewer than 8 `bits` the low ones are dropped (PlaNet keeps 5, as Glow
  does). The dequantization noise that PlaNet's code then adds belongs to
  training alone and is `dequantize`.
  """
  image = tf.cast(image, tf.float32)
  if bits < 8:
    bins = 2.0**bits
    return tf.floor(image / 2.0 ** (8 - bits)) / bins - 0.5
  return image * (1.0 / 255.0) - 0.5


def dequantize(image: Tensor, seed: Tensor, bits: int) -> Tensor:
  """Adds uniform noise of one bin to `pixels(image, bits)` (PlaNet's code)."""
  noise = replicas.draw(tf.random.stateless_uniform, tf.shape(image), seed)
  return image + noise / 2.0**bits


def drawing(floats: Tensor, bits: int = 8) -> Tensor:
  """Returns uint8 images of floats [...]: the inverse of `pixels`."""
  # Of a bin of colors the mean is the middle.
  levels = 255.0 if bits == 8 else 256.0
  image = tf.round((floats + 0.5) * levels)
  return tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.uint8)


class Encoder(keras.layers.Layer):
  """Encodes observations: an image and, beside it, named vectors.

  Attributes:
    embed: E.
    bits: color depth that is kept.
    mean_image: what is subtracted, [h, w, c]; zero unless `center`.
    spread_image: what pixels are divided by, [h, w, 1]; one unless `whiten` or
      `nats`.

  Args:
    spec: of the task.
    kind: of the image encoder.
    bits: color depth that is kept, 1 to 8.
    center: subtract `mean_image`, set from the seed episodes.
    whiten: if not 0, with `center`, divide each pixel by its spread over the
      seed episodes; the number is the floor of its variance, as a multiple of
      the mean variance of all.
    nats: if not 0, with `center`, divide all pixels by one number, so that
      always predicting the mean of the seed episodes' images costs so many
      nats: then one weight of the image's loss suits pictures in which little
      moves and those in which all does. Pixels grow at most MOST times.
    vector_units: width of the two layers over the vectors.
    **options: of the image encoder.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    kind: str = 'convolutional',
    bits: int = 8,
    center: bool = False,
    whiten: float = 0.0,
    nats: float = 0.0,
    vector_units: int = 64,
    **options: Any,
  ):
    super().__init__(name='encoder')
    self.bits = bits
    self._center, self._whiten, self._nats = center, whiten, nats
    self._image = self.mean_image = self.spread_image = None
    self.embed = 0
    if spec.image:
      self._image = kinds.make(
        'worldmodels.encoders',
        'ImageEncoder',
        {'name': 'image', **options, 'kind': kind},
        sizes=('embed',),
        shape=spec.image,
      )
      self.mean_image = self.add_weight(
        shape=spec.image,
        initializer='zeros',
        trainable=False,
        name='mean_image',
      )
      self.spread_image = self.add_weight(
        shape=(*spec.image[:2], 1),
        initializer='ones',
        trainable=False,
        name='spread_image',
      )
      self.embed += self._image.embed
    self._vectors = dict(spec.vectors)
    self._vector = None
    if self._vectors:
      self._vector = nets.MLP(
        sum(self._vectors.values()),
        units=vector_units,
        layers=2,
        activation='elu',
      )
      self.embed += vector_units
    self.built = True

  @property
  def image_encoder(self) -> keras.layers.Layer | None:
    """The layer that encodes pixels; None where there is no image."""
    return self._image

  def fit_statistics(self, image: Tensor) -> None:
    """Sets mean and spread from uint8 images [N, h, w, c], if asked for."""
    if not self._center or self._image is None:
      return
    mean, variance = tf.nn.moments(pixels(image, self.bits), [0])
    self.mean_image.assign(mean)
    variance = tf.reduce_sum(variance, -1, keepdims=True)
    # Images that are all the same, to rounding, stay as they are.
    if tf.reduce_mean(variance) > 1e-9:
      self.spread_image.assign(self._spread(variance))

  def _spread(self, variance: Tensor) -> Tensor:
    """Returns what pixels are divided by, for their variance [h, w, 1]."""
    spread = tf.ones_like(variance)
    if self._whiten:
      floor = self._whiten * tf.reduce_mean(variance)
      spread = tf.sqrt(variance + floor)
      # As hard to predict by the mean as it was: the loss keeps its scale.
      share = tf.reduce_sum(variance / tf.square(spread))
      spread *= tf.sqrt(share / tf.reduce_sum(variance))
    if self._nats:
      cost = 0.5 * tf.reduce_sum(variance / tf.square(spread))
      spread *= tf.maximum(tf.sqrt(cost / self._nats), 1.0 / MOST)
    return spread

  def normalize(self, floats: Tensor) -> Tensor:
    """Centers, and scales, `pixels` [..., h, w, c], if that is asked for."""
    if self._center:
      floats = floats - self.mean_image
    if self._whiten or self._nats:
      return floats / self.spread_image
    return floats

  def target(self, image: Tensor, seed: Tensor | None = None) -> Tensor:
    """Maps uint8 images [..., h, w, c] to the target of an image head.

    Args:
      image: uint8 [..., h, w, c].
      seed: int32 [2], of the noise that training has with few bits; None for
        none.
    """
    floats = pixels(image, self.bits)
    if seed is not None and self.bits < 8:
      floats = dequantize(floats, seed, self.bits)
    return self.normalize(floats)

  def middle(self, floats: Tensor) -> Tensor:
    """Moves `pixels` of few bits to the middle of their bin.

    That is the mean of `target` over its noise, and so what a model learns.
    """
    return floats + 0.5 / 2.0**self.bits if self.bits < 8 else floats

  def denormalize(self, floats: Tensor) -> Tensor:
    """Maps normalized images back to `pixels` [..., h, w, c]."""
    return floats * self.spread_image + self.mean_image

  def call(self, observation: dict[str, Tensor]) -> Tensor:
    """Maps {image uint8 [..., h, w, c], vectors} -> embed float32 [..., E]."""
    parts, lead = [], None
    if self._image is not None:
      image = observation['image']
      lead = tf.shape(image)[:-3]
      flat = tf.reshape(image, tf.concat([[-1], image.shape[-3:]], 0))
      parts.append(
        cores.in_blocks(
          lambda x: self._image(self.normalize(pixels(x, self.bits))), flat
        )
      )
    if self._vector is not None:
      vectors = tf.concat(
        [observation[key] for key in sorted(self._vectors)], -1
      )
      lead = tf.shape(vectors)[:-1] if lead is None else lead
      parts.append(self._vector(tf.reshape(vectors, [-1, vectors.shape[-1]])))
    embed = tf.concat(parts, -1)
    return tf.reshape(embed, tf.concat([lead, [self.embed]], 0))
