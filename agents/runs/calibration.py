"""Compares how well models of one step know what they do not know.

On the features of a trained model, which stays as it is: from those of a state
and the action to the next reward and to the next state. Each predicts a
Gaussian for every number; three kinds are held to episodes that none has seen.

  gaussian_process  heads/gaussian_process.py
  ensemble          5 networks that predict mean and deviation (Lakshminarayanan
                    et al., 2017), and the moments of their mixture
  single            one of them

A Gaussian that is right has the lowest negative log likelihood of all, holds
half of what comes within 0.674 deviations of its mean and nine tenths within
1.645. Sharpness is its deviation: of two that are calibrated, the one with the
smaller is better.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents.curiosity import Ensemble
from worldmodels.agents.runs import starts
from worldmodels.agents.runs.starts import Episode
from worldmodels.heads import gaussian_process
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

KINDS = ('gaussian_process', 'ensemble', 'single')
MEMBERS = 5
COMPONENTS = 4  # of the next state: the principal ones of its features

_INDUCING, _BATCH = 64, 128
_RATES = {'gaussian_process': 0.02, 'ensemble': 3e-3, 'single': 3e-3}
# Deviations on either side of the mean that hold a half, and nine tenths.
_HALF, _MOST = 0.67449, 1.64485
_LEAST = 1e-3  # deviation that a network may predict, of numbers of deviation 1

# Inputs [N, I] -> (means, deviations), each [N, D].
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class CalibrationError(errors.UserError, ValueError):
  """Episodes that nothing can be compared on; the message is one line."""


class Pairs(NamedTuple):
  """What is predicted from what; numbers of mean 0 and deviation 1.

  Attributes:
    inputs: features and action, [N, I].
    reward: the next, [N, 1].
    state: principal components of the next features, [N, at most COMPONENTS].
  """

  inputs: np.ndarray
  reward: np.ndarray
  state: np.ndarray


def pairs(
  model: WorldModel, training: Sequence[Episode], test: Sequence[Episode]
) -> tuple[Pairs, Pairs]:
  """Filters episodes; returns the pairs of both kinds, scaled by the first.

  Args:
    model: a WorldModel.
    training: episodes {key: [L, ...]} to learn from.
    test: others, to be held to.

  Raises:
    CalibrationError: the rewards to learn from are all alike.
  """
  (features, action, reward, after), other = (
    _steps(model, each) for each in (training, test)
  )
  if np.ptp(reward) == 0:
    raise CalibrationError(
      'the rewards of these episodes are all alike: there is nothing to predict'
    )
  center = after.mean(0)
  _, _, axes = np.linalg.svd(after - center, full_matrices=False)
  axes = axes[:COMPONENTS].T
  scales = [_scale(x) for x in (features, reward, (after - center) @ axes)]

  def made(
    features: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    after: np.ndarray,
  ) -> Pairs:
    scaled = [
      ((values - mean) / deviation).astype(np.float32)
      for values, (mean, deviation) in zip(
        (features, reward, (after - center) @ axes), scales
      )
    ]
    return Pairs(np.concatenate([scaled[0], action], -1), *scaled[1:])

  return made(features, action, reward, after), made(*other)


def compare(
  training: Pairs, test: Pairs, sizes: Sequence[int], updates: int, seed: int
) -> list[dict[str, Any]]:
  """Fits each kind to more and more pairs; returns a row for each.

  Args:
    training: to learn from; the first of them, in an order of their own.
    test: to be held to.
    sizes: how many to learn from; those beyond what there is are left out.
    updates: of each fit.
    seed: of the order and of the first weights.
  """
  order = np.random.default_rng(seed).permutation(len(training.inputs))
  rows = []
  for size in sizes:
    chosen = Pairs(*(values[order[:size]] for values in training))
    if len(chosen.inputs) < size:
      continue
    for kind in KINDS:
      for target in ('reward', 'state'):
        keras.utils.set_random_seed(seed)
        predict, seconds = _fit(
          kind, chosen.inputs, getattr(chosen, target), updates
        )
        mean, deviation = predict(test.inputs)
        found = measures(mean, deviation, getattr(test, target))
        rows.append(
          dict(target=target, kind=kind, data=size)
          | {key: float(f'{value:.4g}') for key, value in found.items()}
          | dict(seconds=round(seconds, 2))
        )
  return rows


def measures(
  mean: np.ndarray, deviation: np.ndarray, values: np.ndarray
) -> dict[str, float]:
  """Measures Gaussians by what came.

  Args:
    mean: [...].
    deviation: [...], above 0.
    values: that came, [...].

  Returns:
    nll: mean negative log likelihood of a number, in nats;
    coverage_50, coverage_90: share of the numbers within these intervals;
    sharpness: mean deviation; rms_error: of the means.
  """
  off = np.abs(values - mean) / deviation
  nll = 0.5 * np.square(off) + np.log(deviation) + 0.5 * np.log(2 * np.pi)
  return dict(
    nll=nll.mean(),
    coverage_50=(off <= _HALF).mean(),
    coverage_90=(off <= _MOST).mean(),
    sharpness=deviation.mean(),
    rms_error=np.sqrt(np.square(values - mean).mean()),
  )


def _steps(
  model: WorldModel, episodes: Sequence[Episode]
) -> tuple[np.ndarray, ...]:
  """Returns features, actions, rewards and next features of all steps."""
  found = []
  for episode in episodes:
    state, *_ = starts.filtered(model, episode)
    features = model.features(tf.nest.map_structure(tf.constant, state)).numpy()
    found.append(
      (
        features[:-1],
        episode['action'][1:].astype(np.float32),
        episode['reward'][1:, None].astype(np.float32),
        features[1:],
      )
    )
  return tuple(np.concatenate(values) for values in zip(*found))


def _scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  deviation = values.std(0)
  return values.mean(0), np.where(deviation > 1e-6, deviation, 1.0)


def _fit(
  kind: str, inputs: np.ndarray, values: np.ndarray, updates: int
) -> tuple[Predict, float]:
  """Fits a kind to inputs [N, I], values [N, D]; also returns the seconds."""
  if kind == 'gaussian_process':
    model = _Processes(inputs, values.shape[1])
  else:
    model = _Networks(
      inputs.shape[1], values.shape[1], MEMBERS if kind == 'ensemble' else 1
    )
  variables = model.trainable_variables
  adam = keras.optimizers.Adam(_RATES[kind])
  adam.build(variables)

  @tf.function(reduce_retracing=True, autograph=False)
  def update(x: Tensor, y: Tensor) -> None:
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(model.loss(x, y))
    gradient = tape.gradient(loss, [v.value for v in variables])
    adam.apply(tf.clip_by_global_norm(gradient, 10.0)[0], variables)

  random = np.random.default_rng(0)
  count = min(_BATCH, len(inputs))
  update.get_concrete_function(
    *(tf.TensorSpec([count, x.shape[1]]) for x in (inputs, values))
  )  # That a graph is built is none of the cost of data.
  begun = time.monotonic()
  for _ in range(updates):
    rows = random.integers(len(inputs), size=count)
    update(tf.constant(inputs[rows]), tf.constant(values[rows]))
  seconds = time.monotonic() - begun
  return lambda x: [y.numpy() for y in model.predict(tf.constant(x))], seconds


class _Processes(keras.layers.Layer):
  """A Gaussian process for each of D numbers."""

  def __init__(self, inputs: np.ndarray, count: int):
    super().__init__()
    points = inputs[np.linspace(0, len(inputs) - 1, _INDUCING).astype(int)]
    points = points + 1e-2 * np.random.default_rng(0).normal(size=points.shape)
    self._count = count
    for index in range(count):
      made = gaussian_process.Head(
        inputs.shape[1], inducing=_INDUCING, data=len(inputs), name=f'p{index}'
      )
      made.variables[0].assign(points)
      setattr(self, f'_process_{index}', made)
    self.built = True

  def loss(self, x: Tensor, y: Tensor) -> Tensor:
    """Returns the sum over the numbers, [N]."""
    return sum(
      self._process(index).loss(x, y[:, index]) for index in range(self._count)
    )

  def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns means and deviations, [N, D]."""
    found = [
      self._process(index).distribution(self._process(index)(x))
      for index in range(self._count)
    ]
    return (
      tf.stack([each.mean() for each in found], -1),
      tf.stack([each.stddev() for each in found], -1),
    )

  def _process(self, index: int) -> gaussian_process.Head:
    return getattr(self, f'_process_{index}')


class _Networks(keras.layers.Layer):
  """Networks to mean and deviation, and the moments of their mixture."""

  def __init__(self, inputs: int, count: int, members: int):
    super().__init__()
    self._ensemble = Ensemble(
      inputs,
      actions=0,
      members=members,
      units=64,
      layers=2,
      activation='elu',
      initializer='he_normal',
      outputs=2 * count,
    )
    self.built = True

  def loss(self, x: Tensor, y: Tensor) -> Tensor:
    """Returns the negative log likelihoods, summed over all, [N]."""
    mean, deviation = self._each(x)
    off = tf.square((y - mean) / deviation)
    return tf.reduce_sum(0.5 * off + tf.math.log(deviation), [0, 2])

  def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns means and deviations of the mixture, [N, D]."""
    mean, deviation = self._each(x)
    inside = tf.reduce_mean(tf.square(deviation), 0)
    between = tf.math.reduce_variance(mean, 0)
    return tf.reduce_mean(mean, 0), tf.sqrt(inside + between)

  def _each(self, x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns means and deviations of the members, [K, N, D]."""
    mean, deviation = tf.split(self._ensemble(x, x[:, :0]), 2, -1)
    return mean, tf.nn.softplus(deviation) + _LEAST
