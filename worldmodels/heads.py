"""Heads: features [..., F] become a distribution over one step of a key.

`image` and `points` draw (decoders.py); `normal` is an MLP to a unit-variance
Gaussian (rewards, vectors), `symlog` the same for what may be large, `two_hot`
an MLP to a distribution over classes of numbers (rewards, values); `bernoulli`
an MLP to a probability (discount).

Keras layers hand on tensors only; distributions are built outside of them.
"""

import inspect
import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import decoders
from worldmodels import layers as nets
from worldmodels import symlog as symlogs

tfd = tfp.distributions


class Head(keras.layers.Layer):
  """What `call` returns is made a distribution by `made_of`."""

  def distribution(self, features):
    """Maps [..., F] -> distribution, batch [...]."""
    return self.made_of(self(features))


class Normal(Head):
  """An MLP to the mean of a Gaussian of fixed standard deviation."""

  def __init__(self, features, *, shape=(), units=200, layers=2, std=1.0,
               activation='relu', initializer='glorot_uniform',
               normalization='none', precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._shape = tuple(shape)
    self._std = std
    self._mlp = nets.MLP(
        features, units=units, layers=layers,
        outputs=math.prod(self._shape), activation=activation,
        initializer=initializer, normalization=normalization,
        precision=precision, name='mlp')
    # The log density at the mean, in nats: `loss` counts from there, so that
    # a perfect prediction costs nothing whatever the size of the event.
    self.peak = -math.prod(self._shape) * math.log(
        std * math.sqrt(2 * math.pi))
    self.built = True

  def call(self, features):
    """Maps [..., F] -> means [..., *shape]."""
    mean = self._mlp(features)
    return tf.reshape(mean, tf.concat([tf.shape(features)[:-1],
                                       list(self._shape)], 0))

  def mean(self, features):
    """Maps [..., F] -> [..., *shape]."""
    return self(features)

  def made_of(self, outputs):
    """Maps what `call` returned -> tfd.Distribution, event `shape`."""
    return tfd.Independent(
        tfd.Normal(outputs, self._std), len(self._shape))


class Bernoulli(Head):
  """An MLP to the probability that a number in [0, 1] is a 1 (discount)."""

  peak = 0.0

  def __init__(self, features, *, shape=(), units=200, layers=2,
               activation='relu', initializer='glorot_uniform',
               normalization='none', precision='float32', **kwargs):
    super().__init__(**kwargs)
    if shape:
      raise ValueError(f'a bernoulli head predicts one number, not {shape}')
    self._mlp = nets.MLP(
        features, units=units, layers=layers, outputs=1,
        activation=activation, initializer=initializer,
        normalization=normalization, precision=precision, name='mlp')
    self.built = True

  def call(self, features):
    """Maps [..., F] -> logits [...]."""
    return self._mlp(features)[..., 0]

  def mean(self, features):
    """Maps [..., F] -> probabilities [...]."""
    return tf.nn.sigmoid(self(features))

  def made_of(self, outputs):
    """Maps what `call` returned -> tfd.Bernoulli."""
    return tfd.Bernoulli(logits=outputs, dtype=tf.float32)


class Symlog(Normal):
  """An MLP to the symlog of what it predicts (DreamerV3).

  The squared error is that of symlogs, so no number is too large for it.
  """

  def mean(self, features):
    """Maps [..., F] -> [..., *shape]; symexp of the most likely symlog."""
    return symlogs.symexp(self(features))

  def made_of(self, outputs):
    """Maps the symlogs that `call` returned -> symlogs.Symlog."""
    return symlogs.Symlog(super().made_of(outputs), symlogs.symexp(outputs))


class TwoHot(Head):
  """An MLP to probabilities of numbers at exponential distances (DreamerV3).

  Args:
    features: F.
    bins: K, odd, so that 0 is one of them.
    limit: the largest symlog; the numbers are -/+ symexp(limit) and between.

  The last layer starts at zero, so every mean starts at 0.
  """

  peak = 0.0

  def __init__(self, features, *, shape=(), units=200, layers=2, bins=255,
               limit=20.0, activation='relu', initializer='glorot_uniform',
               normalization='none', precision='float32', **kwargs):
    super().__init__(**kwargs)
    if shape:
      raise ValueError(f'a two_hot head predicts one number, not {shape}')
    if bins < 3 or bins % 2 == 0:
      raise ValueError(f'bins is {bins}; it is odd and at least 3')
    self._bins = symlogs.exponential_bins(bins, limit)
    self._mlp = nets.MLP(
        features, units=units, layers=layers, outputs=bins,
        activation=activation, initializer=initializer,
        normalization=normalization, precision=precision, name='mlp')
    for variable in self._mlp.variables[-2:]:
      variable.assign(tf.zeros_like(variable))
    self.built = True

  def call(self, features):
    """Maps [..., F] -> logits [..., K]."""
    return self._mlp(features)

  def mean(self, features):
    """Maps [..., F] -> expected number [...]."""
    return self.distribution(features).mean()

  def made_of(self, outputs):
    """Maps the logits that `call` returned -> symlogs.TwoHot."""
    return symlogs.TwoHot(outputs, self._bins)


# Of the heads that predict numbers, each leaves aside what another one takes:
# so that the kind can be chosen by itself.
_SCALAR_OPTIONS = ('std', 'bins', 'limit')
HEADS = {'image': decoders.Image, 'points': decoders.Points, 'normal': Normal,
         'symlog': Symlog, 'two_hot': TwoHot, 'bernoulli': Bernoulli}


def load(kind, features, **options):
  """Returns the head called `kind`, built for features of size F."""
  if kind not in HEADS:
    raise ValueError(
        f'head kind is {kind!r}; it is one of {", ".join(sorted(HEADS))}')
  others = set(_SCALAR_OPTIONS) - set(inspect.signature(
      HEADS[kind].__init__).parameters)
  return HEADS[kind](features, **{
      key: value for key, value in options.items() if key not in others})
