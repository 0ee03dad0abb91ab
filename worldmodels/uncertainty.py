"""Both kinds of uncertainty of an ensemble, told apart.

K members predict a distribution each. What all of them are unsure of alike is
noise of the world, which no data reduce (aleatoric); what they differ about is
what the data have not told them yet (epistemic). With a member k drawn evenly,
and what it predicts, y:

    entropy    H[y]   = E_k H[y | k] + I[y; k]
    variance   Var[y] = E_k Var[y | k] + Var_k E[y | k]

The first term on the right is aleatoric, the second epistemic (Depeweg et al.,
2018, Decomposition of Uncertainty in Bayesian Deep Learning; Lakshminarayanan
et al., 2017, for ensembles in the place of a posterior). The entropy of the
output, on the left, does not tell them apart. Entropies are in nats.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from worldmodels.states import Tensor


class Uncertainty(NamedTuple):
  """Uncertainty of a prediction, and the two parts that it is the sum of.

  Attributes:
    total: of what is predicted.
    aleatoric: mean over the members of the uncertainty of each.
    epistemic: the rest, 0 where the members agree.
  """

  total: Tensor
  aleatoric: Tensor
  epistemic: Tensor


def variances(mean: Tensor, variance: Tensor) -> Uncertainty:
  """Splits the variance of a mixture of K members, each number for itself.

  The law of total variance: exact, whatever the members' distributions are.

  Args:
    mean: of each member, [..., K, S].
    variance: of each member, [..., K, S].

  Returns:
    an Uncertainty [..., S], in squared units of what is predicted.
  """
  aleatoric = tf.reduce_mean(variance, -2)
  epistemic = tf.math.reduce_variance(mean, -2)
  return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)


def of_gaussians(mean: Tensor, std: Tensor) -> Uncertainty:
  """Splits the entropy of a mixture of diagonal Gaussians.

  The entropy of a mixture has no closed form. In its place is that of the
  Gaussian of its mean and variance, which is never less, so `total` and
  `epistemic` are upper bounds; they are exact where the members agree.

  Args:
    mean: of each member, [..., K, S].
    std: of each member, [..., K, S].

  Returns:
    an Uncertainty [...] in nats, summed over S.
  """
  split = variances(mean, tf.square(std))
  constant = 0.5 * math.log(2.0 * math.pi * math.e)
  each = constant + tf.reduce_mean(tf.math.log(std), -2)  # [..., S]
  total = tf.reduce_sum(constant + 0.5 * tf.math.log(split.total), -1)
  aleatoric = tf.reduce_sum(each, -1)
  return Uncertainty(total, aleatoric, tf.maximum(total - aleatoric, 0.0))


def of_categoricals(logits: Tensor) -> Uncertainty:
  """Splits the entropy of a mixture of categoricals: exact.

  Args:
    logits: log probabilities of each member, [..., K, S, C].

  Returns:
    an Uncertainty [...] in nats, summed over S; `epistemic` is the mutual
    information of member and class (BALD; Houlsby et al., 2011).
  """
  probabilities = tf.exp(logits)
  each = -tf.reduce_sum(probabilities * logits, [-2, -1])  # [..., K]
  mixed = tf.reduce_mean(probabilities, -3)  # [..., S, C]
  total = -tf.reduce_sum(tf.math.xlogy(mixed, mixed), [-2, -1])
  aleatoric = tf.reduce_mean(each, -1)
  return Uncertainty(total, aleatoric, tf.maximum(total - aleatoric, 0.0))


def deviation(values: Tensor, axis: int) -> Tensor:
  """Returns the standard deviation along an axis; its gradient is finite."""
  variance = tf.math.reduce_variance(values, axis)
  return root(variance)


def root(values: Tensor) -> Tensor:
  """Returns square roots; where a value is nothing the gradient is 0."""
  some = values > _LEAST
  return tf.where(some, tf.sqrt(tf.where(some, values, 1.0)), 0.0)


# Rounding makes as much of members that agree.
_LEAST = 1e-12
