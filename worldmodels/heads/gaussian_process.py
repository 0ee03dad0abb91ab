"""A sparse variational Gaussian process: numbers, and how sure they are.

Titsias (2009), Variational Learning of Inducing Variables in Sparse Gaussian
Processes; in minibatches as in Hensman et al. (2013), Gaussian Processes for
Big Data, equation 4. What is learned are M inducing points among the features
and a Gaussian over what the function is there. Far from them it knows nothing,
and says so: its deviation goes back to that of the prior.

The Gaussian is whitened: it is over L^-1 u, where L L^T is the prior covariance
of the values u at the inducing points, so that Adam finds it.
"""

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import head
from worldmodels.states import Tensor

tfd = tfp.distributions

# Added to the prior's covariance, as a share of its variance: float32 needs it.
_JITTER = 1e-3
_LEAST = 1e-6  # of variances


class Head(head.Head):
  """A Gaussian process over features, of one number.

  Args:
    features_size: F.
    shape: of one step of the key: ().
    inducing: M, points that it is learned at.
    std: of the noise in the number, at the start; it is learned.
    data: steps that the prior is weighed against: as many as are learned from.
    **kwargs: name.
  """

  def __init__(
    self,
    features_size: int,
    *,
    shape: tuple[int, ...] = (),
    inducing: int = 64,
    std: float = 1.0,
    data: int = 10_000,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    head.check_number('gaussian_process', shape)
    self._data, self._count = data, inducing
    made = {
      'points': ((inducing, features_size), _spread()),
      'values': ((inducing,), 'zeros'),
      'factor': ((inducing, inducing), 'zeros'),
      'center': ((), 'zeros'),
      # Logarithms, so that what they are of is positive.
      'amplitude': ((), 'zeros'),
      'length': ((), _constant(math.log(math.sqrt(features_size)))),
      'noise': ((), _constant(math.log(std))),
    }
    for name, (size, initializer) in made.items():
      weight = self.add_weight(shape=size, initializer=initializer, name=name)
      setattr(self, f'_{name}', weight)
    self.built = True

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> mean and variance of the function, [..., 2]."""
    lead = tf.shape(features)[:-1]
    rows = tf.reshape(features, [-1, features.shape[-1]])
    points = tf.convert_to_tensor(self._points)
    prior = self._covariance(points, points)
    variance = tf.exp(2.0 * self._amplitude)
    jitter = _JITTER * variance * tf.eye(self._count)
    chol = tf.linalg.cholesky(prior + jitter)
    weights = tf.linalg.triangular_solve(
      chol, self._covariance(points, rows)
    )  # [M, N]
    mean = self._center + tf.linalg.matvec(weights, self._values, True)
    # What the points leave open, and what is open at the points.
    spread = tf.matmul(self._posterior_factor(), weights, transpose_a=True)
    variance = (
      variance
      - tf.reduce_sum(tf.square(weights), 0)
      + tf.reduce_sum(tf.square(spread), 0)
    )
    found = tf.stack([mean, tf.maximum(variance, _LEAST)], -1)
    return tf.reshape(found, tf.concat([lead, [2]], 0))

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> the expected number, [...]."""
    return self(features)[..., 0]

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps outputs [..., 2] to a distribution, with the noise: event ()."""
    variance = outputs[..., 1] + tf.exp(2.0 * self._noise)
    return tfd.Normal(outputs[..., 0], tf.sqrt(variance))

  def loss_of(self, outputs: Tensor, target: Tensor) -> Tensor:
    """Returns the negative evidence lower bound of each number, [...] in nats.

    The expected likelihood, and of the KL from the prior the share of a step.
    """
    noise = tf.exp(2.0 * self._noise)
    likelihood = tfd.Normal(outputs[..., 0], tf.exp(self._noise)).log_prob(
      target
    )
    return (
      0.5 * outputs[..., 1] / noise
      - likelihood
      + self.divergence() / (self._data)
    )

  def divergence(self) -> Tensor:
    """Returns the KL from the prior at the inducing points, in nats."""
    factor = self._posterior_factor()
    squares = tf.reduce_sum(tf.square(factor))
    squares += tf.reduce_sum(tf.square(self._values))
    logs = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)))
    return 0.5 * (squares - self._count) - logs

  def _covariance(self, a: Tensor, b: Tensor) -> Tensor:
    """Returns the prior covariance of points [M, F] and [N, F]: [M, N]."""
    length = tf.exp(self._length)
    a, b = a / length, b / length
    distance = (
      tf.reduce_sum(tf.square(a), -1)[:, None]
      + tf.reduce_sum(tf.square(b), -1)[None]
      - 2.0 * tf.matmul(a, b, transpose_b=True)
    )
    exponent = 2.0 * self._amplitude - 0.5 * tf.maximum(distance, 0.0)
    return tf.exp(exponent)

  def _posterior_factor(self) -> Tensor:
    """Returns the factor of the whitened covariance, lower triangular."""
    factor = tf.convert_to_tensor(self._factor)
    diagonal = tf.exp(tf.linalg.diag_part(factor))
    return tf.linalg.set_diag(tf.linalg.band_part(factor, -1, 0), diagonal)


def _spread() -> keras.Initializer:
  return keras.initializers.RandomNormal(stddev=1.0)


def _constant(value: float) -> keras.Initializer:
  return keras.initializers.Constant(value)
