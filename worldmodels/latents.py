"""The stochastic part of a state: what it is drawn from, and how.

`stoch` [..., size] is what the dynamics and the heads read. Beside it a state
keeps what it was drawn from, of which `losses.state_kl` makes the divergence:
mean and std [..., S] of a Gaussian (PlaNet; Hafner et al., 2019), or logits
[..., S, C] of S categoricals (DreamerV2; Hafner et al., 2021, section 2.1).
Noise comes from outside, so that a loop over time draws it all at once.
"""

import keras
import tensorflow as tf


class Gaussian:
  """Diagonal Gaussian, sampled through its mean and deviation.

  Args:
    variables: S.
    min_std: floor of every standard deviation.
  """

  def __init__(self, variables, min_std):
    self.size = variables
    self.statistics = 2 * variables
    self._min_std = min_std

  def initial(self, batch):
    """Returns the parts of a state before anything was seen."""
    zeros = tf.zeros([batch, self.size])
    return {'stoch': zeros, 'mean': zeros, 'std': zeros}

  def noise(self, seed, lead, count):
    """Returns `count` tensors [*lead, S] to draw with, zeros without a seed."""
    return _draws(tf.random.stateless_normal, seed, [*lead, self.size], count)

  def parts(self, statistics, noise):
    """Maps statistics [..., 2 S] and noise [..., S] to parts of a state."""
    mean, std = tf.split(statistics, 2, -1)
    std = tf.nn.softplus(std) + self._min_std
    return {'stoch': mean + std * noise, 'mean': mean, 'std': std}


class Code(Gaussian):
  """Nothing is drawn and std is 1: PlaNet's deterministic model.

  The KL of two codes is half their squared distance.
  """

  def parts(self, statistics, noise):
    """Maps statistics [..., 2 S] to parts of a state; the noise is unused."""
    mean, _ = tf.split(statistics, 2, -1)
    return {'stoch': mean, 'mean': mean, 'std': tf.ones_like(mean)}


class Categorical:
  """S variables of C classes each, as one-hot vectors in a row.

  The gradient of a draw is that of the probabilities (straight-through; Bengio
  et al., 2013). A share of the probability is uniform (`unimix`, 1 % in
  DreamerV3), so that no divergence is infinite.

  Args:
    variables: S.
    classes: C.
    unimix: share of the uniform distribution.
  """

  def __init__(self, variables, classes, unimix):
    self._shape = (variables, classes)
    self._unimix = unimix
    self.size = self.statistics = variables * classes

  def initial(self, batch):
    """Returns the parts of a state before anything was seen."""
    return {'stoch': tf.zeros([batch, self.size]),
            'logits': tf.zeros([batch, *self._shape])}

  def noise(self, seed, lead, count):
    """Returns `count` tensors [*lead, S, C] of Gumbel noise, or of zeros."""
    return _draws(_gumbel, seed, [*lead, *self._shape], count)

  def parts(self, statistics, noise):
    """Maps statistics [..., S C] and noise [..., S, C] to parts of a state.

    Without noise the likeliest class is taken.
    """
    lead = tf.shape(statistics)[:-1]
    logits = tf.reshape(statistics, tf.concat([lead, self._shape], 0))
    if self._unimix:
      probabilities = ((1.0 - self._unimix) * tf.nn.softmax(logits)
                       + self._unimix / self._shape[1])
      logits = tf.math.log(probabilities)
    else:
      probabilities = tf.nn.softmax(logits)
      logits = tf.nn.log_softmax(logits)
    drawn = tf.one_hot(tf.argmax(logits + noise, -1), self._shape[1])
    drawn += probabilities - tf.stop_gradient(probabilities)
    return {'stoch': tf.reshape(drawn, tf.shape(statistics)),
            'logits': logits}


def load(kind, *, stoch, min_std, classes, unimix):
  """Returns the stochastic part that the RSSM called `kind` has."""
  if kind == 'deterministic':
    return Code(stoch, min_std)
  if kind == 'categorical':
    return Categorical(stoch, classes, unimix)
  return Gaussian(stoch, min_std)


def _gumbel(shape, seed):
  """Added to log probabilities, it makes their argmax a draw."""
  uniform = tf.random.stateless_uniform(
      shape, seed, minval=keras.backend.epsilon(), maxval=1.0)
  return -tf.math.log(-tf.math.log(uniform))


def _draws(draw, seed, shape, count):
  if seed is None:
    return [tf.zeros(shape)] * count
  seeds = tf.random.split(seed, count)
  return [draw(shape, seeds[index]) for index in range(count)]
