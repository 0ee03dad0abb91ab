"""The stochastic part of a state: its distributions and draws.

`stoch` [..., size] is what the dynamics and the heads read. Beside it a state
keeps what it was drawn from: mean and std [..., S] of a Gaussian (PlaNet;
Hafner et al., 2019), or logits [..., S, C] of S categoricals (DreamerV2; Hafner
et al., 2021, section 2.1). Noise comes from outside, so that a loop over time
draws it all at once.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from worldmodels import common_draws
from worldmodels import errors
from worldmodels import losses
from worldmodels import uncertainty
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.uncertainty import Uncertainty

LATENTS = ('gaussian', 'deterministic', 'categorical')


class Gaussian:
  """Diagonal Gaussian, sampled through its mean and deviation.

  Attributes:
    keys: of what `stoch` is drawn from.
    size: of `stoch`.
    outputs: numbers that a network has to put out for one state.

  Args:
    variables: S.
    min_std: floor of every standard deviation.
  """

  keys = ('mean', 'std')
  stochastic = True

  def __init__(self, variables: int, min_std: float):
    self.size = variables
    self.outputs = 2 * variables
    self._min_std = min_std

  def initial(self, count: int | Tensor) -> State:
    """Returns the part of a state before anything was seen."""
    zeros = tf.zeros([count, self.size])
    return {'stoch': zeros, 'mean': zeros, 'std': zeros}

  def noise(
    self, seed: Tensor | None, lead: Sequence[int | Tensor], count: int
  ) -> list[Tensor]:
    """Returns `count` tensors [*lead, S] to draw with, zeros without a seed."""
    return _draws(tf.random.stateless_normal, seed, lead, [self.size], count)

  def state(self, outputs: Tensor, noise: Tensor) -> State:
    """Maps outputs [..., 2 S] and noise [..., S] to the part of a state."""
    mean, std = tf.split(outputs, 2, -1)
    std = tf.nn.softplus(std) + self._min_std
    return {'stoch': mean + std * noise, 'mean': mean, 'std': std}

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns KL(posterior || prior) in nats, [...]."""
    return losses.gaussian_kl(
      posterior['mean'], posterior['std'], prior['mean'], prior['std']
    )

  def centers(self, state: State) -> Tensor:
    """Returns the means [..., size] of a state."""
    return state['mean']

  def blend(self, state: State, weight: Tensor) -> Tensor:
    """Maps a state [..., K, *] and weights [..., K] to its mean [..., S]."""
    return tf.einsum('...ks,...k->...s', state['mean'], weight)

  def uncertainty(self, state: State) -> Uncertainty:
    """Returns both kinds of uncertainty of K members, of states [..., K, *]."""
    return uncertainty.of_gaussians(state['mean'], state['std'])


class Deterministic(Gaussian):
  """Draws nothing and has std 1: PlaNet's deterministic model.

  The KL of two of them is half their squared distance.
  """

  stochastic = False

  def state(self, outputs: Tensor, noise: Tensor) -> State:
    """Maps outputs [..., 2 S] to the part of a state; the noise is unused."""
    mean, _ = tf.split(outputs, 2, -1)
    return {'stoch': mean, 'mean': mean, 'std': tf.ones_like(mean)}

  def uncertainty(self, state: State) -> Uncertainty:
    """Raises OptionError: points have no entropy."""
    raise errors.OptionError(
      'latent',
      "is 'deterministic': what its members predict are points, which have no "
      'entropy; `disagreement` says how far they are apart',
    )


class Categorical:
  """S variables of C classes each, as one-hot vectors in a row.

  The gradient of a draw is that of the probabilities (straight-through; Bengio
  et al., 2013). A share of the probability is uniform (`unimix`, 1 % in
  DreamerV3), so that no divergence is infinite.

  Attributes:
    keys: of what `stoch` is drawn from.
    size: of `stoch`.
    outputs: numbers that a network has to put out for one state.

  Args:
    variables: S.
    classes: C.
    unimix: share of the uniform distribution.
  """

  keys = ('logits',)
  stochastic = True

  def __init__(self, variables: int, classes: int, unimix: float):
    self._shape = (variables, classes)
    self._unimix = unimix
    self.size = self.outputs = variables * classes

  def initial(self, count: int | Tensor) -> State:
    """Returns the part of a state before anything was seen."""
    return {
      'stoch': tf.zeros([count, self.size]),
      'logits': tf.zeros([count, *self._shape]),
    }

  def noise(
    self, seed: Tensor | None, lead: Sequence[int | Tensor], count: int
  ) -> list[Tensor]:
    """Returns `count` tensors [*lead, S, C] of Gumbel noise, or of zeros."""
    return _draws(_gumbel, seed, lead, self._shape, count)

  def state(self, outputs: Tensor, noise: Tensor) -> State:
    """Maps outputs [..., S C] and noise [..., S, C] to the part of a state.

    Without noise the likeliest class is taken.
    """
    lead = tf.shape(outputs)[:-1]
    logits = tf.reshape(outputs, tf.concat([lead, self._shape], 0))
    if self._unimix:
      probabilities = (1.0 - self._unimix) * tf.nn.softmax(
        logits
      ) + self._unimix / self._shape[1]
      logits = tf.math.log(probabilities)
    else:
      probabilities = tf.nn.softmax(logits)
      logits = tf.nn.log_softmax(logits)
    drawn = _chosen(logits + noise, probabilities)
    return {'stoch': tf.reshape(drawn, tf.shape(outputs)), 'logits': logits}

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns KL(posterior || prior) in nats, [...]."""
    return losses.categorical_kl(posterior['logits'], prior['logits'])

  def centers(self, state: State) -> Tensor:
    """Returns the probabilities [..., size] of a state."""
    logits = state['logits']
    shape = tf.concat([tf.shape(logits)[:-2], [self.size]], 0)
    return tf.reshape(tf.exp(logits), shape)

  def blend(self, state: State, weight: Tensor) -> Tensor:
    """Returns the likeliest classes of a mixture, see Gaussian.blend."""
    mixed = tf.einsum('...ksc,...k->...sc', tf.exp(state['logits']), weight)
    shape = tf.concat([tf.shape(mixed)[:-2], [self.size]], 0)
    return tf.reshape(_chosen(mixed, mixed), shape)

  def uncertainty(self, state: State) -> Uncertainty:
    """Returns both kinds of uncertainty of K members, of states [..., K, *]."""
    return uncertainty.of_categoricals(state['logits'])


def load(
  latent: str, *, stoch: int, min_std: float, classes: int, unimix: float
) -> Gaussian | Categorical:
  """Returns the stochastic part called `latent`, one of LATENTS."""
  errors.choose('latent', latent, LATENTS)
  if latent == 'deterministic':
    return Deterministic(stoch, min_std)
  if latent == 'categorical':
    return Categorical(stoch, classes, unimix)
  return Gaussian(stoch, min_std)


def _chosen(scores: Tensor, probabilities: Tensor) -> Tensor:
  """Returns the best class, one-hot, with the gradient of probabilities."""
  drawn = tf.one_hot(tf.argmax(scores, -1), probabilities.shape[-1])
  drawn += probabilities - tf.stop_gradient(probabilities)
  return drawn


def _gumbel(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
  """Returns noise that makes the argmax of log probabilities a draw."""
  uniform = tf.random.stateless_uniform(
    shape, seed, minval=keras.backend.epsilon(), maxval=1.0
  )
  return -tf.math.log(-tf.math.log(uniform))


def _draws(
  draw: Callable[..., Tensor],
  seed: Tensor | None,
  lead: Sequence[int | Tensor],
  size: Sequence[int],
  count: int,
) -> list[Tensor]:
  """Returns `count` tensors [*lead, *size], of which lead ends with rows."""
  shape, rows = [*lead, *size], len(lead) - 1
  if seed is None:
    return [tf.zeros(shape)] * count
  seeds = tf.random.split(seed, count)
  return [
    common_draws.draw(draw, shape, x, rows) for x in tf.unstack(seeds, count)
  ]
