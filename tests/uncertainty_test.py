"""Two kinds of uncertainty, by hand and of members whose noise is known."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import uncertainty
from worldmodels.dynamics import ensemble
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.trajectories import Sampling


def test_variance_is_split_by_hand():
  """Means 1 and 3, variances 4 and 6: 5 within, 1 between."""
  mean, variance = tf.constant([[[1.0], [3.0]]]), tf.constant([[[4.0], [6.0]]])
  found = uncertainty.variances(mean, variance)
  np.testing.assert_allclose(found, [[[6.0]], [[5.0]], [[1.0]]])


def test_the_variance_is_that_of_the_mixture():
  random = np.random.default_rng(0)
  mean, std = random.normal(size=[5, 3]), random.uniform(0.5, 2, [5, 3])
  drawn = mean[:, None] + std[:, None] * random.normal(size=[5, 200_000, 3])
  found = uncertainty.variances(tf.constant(mean), tf.constant(std**2))
  np.testing.assert_allclose(found.total, drawn.var((0, 1)), rtol=0.02)


def test_entropies_of_gaussians_that_agree_are_those_of_one():
  std = tf.constant([[0.5, 2.0], [1.0, 3.0]])  # Of two states.
  each = tf.repeat(std[:, None], 4, 1)
  found = uncertainty.of_gaussians(0.0 * each + 7.0, each)
  golden = tfp.distributions.MultivariateNormalDiag(std, std).entropy()
  np.testing.assert_allclose(found.aleatoric, golden, rtol=1e-6)
  np.testing.assert_allclose(found.total, golden, rtol=1e-6)
  np.testing.assert_allclose(found.epistemic, 0.0, atol=1e-6)


def test_of_gaussians_apart_the_rest_grows_with_the_spread_of_their_means():
  """Of equal deviations: half the log of 1 + spread / variance."""
  mean = tf.constant([[-1.0], [1.0]])
  found = uncertainty.of_gaussians(mean, tf.fill([2, 1], 0.5))
  assert float(found.epistemic) == pytest.approx(0.5 * math.log(5.0), rel=1e-5)
  # No more than that is known: with two members it is at most log 2.
  far = uncertainty.of_gaussians(0.01 * mean, tf.fill([2, 1], 0.5))
  assert 0 <= float(far.epistemic) < 1e-3


def test_entropies_of_categoricals_by_hand():
  """Unsure alike: all is noise. Sure of unlike classes: none is."""
  half = [[[0.5, 0.5]], [[0.5, 0.5]]]
  apart = [[[1.0 - 1e-9, 1e-9]], [[1e-9, 1.0 - 1e-9]]]
  logits = tf.math.log(tf.constant([half, apart]))  # [2, K, S, C]
  found = uncertainty.of_categoricals(logits)
  two = math.log(2.0)
  np.testing.assert_allclose(found.total, [two, two], atol=1e-5)
  np.testing.assert_allclose(found.aleatoric, [two, 0.0], atol=1e-5)
  np.testing.assert_allclose(found.epistemic, [0.0, two], atol=1e-5)


def test_roots_have_a_gradient_everywhere():
  values = tf.constant([0.0, 4.0])
  with tf.GradientTape() as tape:
    tape.watch(values)
    found = uncertainty.root(values)
  np.testing.assert_allclose(found, [0.0, 2.0])
  np.testing.assert_allclose(tape.gradient(found, values), [0.0, 0.25])
  found = uncertainty.deviation(tf.constant([[1.0, 3.0], [5.0, 5.0]]), 1)
  np.testing.assert_allclose(found, [1.0, 0.0])


# --------------------------------------- members whose answer is known ----

NOISE = (
  0.5  # Standard deviation on the left; on the right there is next to none.
)


def world(random, low, high, count=128):
  """Where one is and what comes of it: x, y [count, 1]."""
  x = random.uniform(low, high, [count, 1]).astype(np.float32)
  noise = np.where(x < 0, NOISE, 0.05) * random.normal(size=x.shape)
  return x, (np.sin(3 * x) + noise).astype(np.float32)


class Guess:
  """A model of one step whose reward is what the members think comes of it."""

  spec = Spec(actions=1, image=None)

  def __init__(self, made):
    self.imagine, self.spread = made.imagine, made.spread
    self.start = made.initial(1)

  def reward(self, state):
    return state['stoch'][..., 0]

  def discount(self, state):
    return tf.ones_like(self.reward(state))


def choose(model, risk):
  """Plans one step: (the best action, what the model expects of it)."""
  actions = tf.linspace(-1.0, 1.0, 41)
  problem = Problem(
    model, model.start, horizon=1, sampling=Sampling(risk=risk, weight=20.0)
  )
  scores = problem.score(actions[None, :, None, None])[0]
  best = int(tf.argmax(scores))
  return float(actions[best]), float(scores[best])


def learn(*stages):
  """{(data, side): Uncertainty} of members after each stage of learning.

  Args:
    *stages: (data, low, high): a name, and where its data are.
  """
  keras.utils.set_random_seed(1)
  made = ensemble.Dynamics(
    embed=1,
    actions=1,
    stoch=1,
    hidden=24,
    recurrent=False,
    min_std=0.01,
    activation='elu',
    initializer='he_normal',
    members=5,
  )
  random = np.random.default_rng(0)
  variables = made.trainable_variables
  adam = keras.optimizers.Adam(5e-3)
  adam.build(variables)

  @tf.function
  def update(x, y):
    with tf.GradientTape() as tape:
      prior = made.step(made.initial(x.shape[0]), x)
      # A posterior that has seen y: the KL is the likelihood of y.
      mean = tf.repeat(y[:, None], 5, 1)
      seen = dict(prior, mean=mean, std=0.01 * tf.ones_like(mean))
      loss = tf.reduce_mean(made.divergence(seen, prior))
    by = tape.gradient(loss, [x.value for x in variables])
    pairs = [(g, v) for g, v in zip(by, variables) if g is not None]
    adam.apply(
      [
        tf.zeros_like(v.value) if g is None else g
        for g, v in zip(by, variables)
      ],
      variables,
    )
    return len(pairs)

  def take(low, high):
    for _ in range(500):
      x, y = world(random, low, high)
      update(tf.constant(x), tf.constant(y))

  def look(low, high):
    x = tf.linspace([low], [high], 50)
    found = made.uncertainty(made.step(made.initial(50), x))
    return uncertainty.Uncertainty(*(float(np.mean(part)) for part in found))

  found = {}
  for data, low, high in stages:
    take(low, high)
    if data == 'left':
      found['chosen'] = {
        risk: choose(Guess(made), risk) for risk in ('mean', 'disagreement')
      }
    found[data, 'left'] = look(-0.9, -0.2)
    found[data, 'right'] = look(0.7, 1.0)
    for side in (
      'left',
      'right',
    ):  # With -s they are seen: docs/uncertainty.md.
      parts = ' '.join(
        f'{name} {value:.2f}'
        for name, value in found[data, side]._asdict().items()
      )
      print(f'learned {data}, asked {side}: {parts}')
  return found


@pytest.fixture(scope='module')
def measured():
  return learn(('left', -1.0, -0.1), ('both', -1.0, 1.0))


@pytest.fixture(scope='module')
def beyond():
  """Members that have seen where there is noise, and some of where not."""
  return learn(('most', -1.0, 0.4))


def tells_what_is_not_known(of):
  """What a measure of what is not known has to do, in nats."""
  assert of['left', 'right'] > of['left', 'left'] + 0.1  # No data on the right.
  assert of['both', 'right'] < of['left', 'right'] - 0.1  # There they come.
  assert of['both', 'right'] < 0.1 and of['both', 'left'] < 0.1  # All is known.


def part(measured, name):
  return {
    key: getattr(value, name)
    for key, value in measured.items()
    if key != 'chosen'
  }


def test_epistemic_uncertainty_falls_as_data_come(measured):
  tells_what_is_not_known(part(measured, 'epistemic'))


def test_noise_stays_however_many_data_come(measured):
  golden = 0.5 * math.log(2 * math.pi * math.e * NOISE**2)
  of = part(measured, 'aleatoric')
  for data in ('left', 'both'):
    assert of[data, 'left'] == pytest.approx(golden, abs=0.2)
  assert of['both', 'right'] < golden - 1.0


def test_the_entropy_of_the_output_does_not_tell(beyond):
  """It is least where nothing was learned, and most where all is known."""
  for name in ('total', 'aleatoric'):
    of = part(beyond, name)
    assert of['most', 'right'] < of['most', 'left'] - 1.0, name
  of = part(beyond, 'epistemic')
  assert of['most', 'right'] > 0.5 > 0.1 > of['most', 'left']


def test_a_planner_exploits_what_is_not_known_unless_it_is_told(measured):
  """Data of the left half alone: what comes to the right is promised too much.

  There it falls steeply, and nobody has seen that.
  """

  def came(action):
    return np.sin(3 * action) if action < 0 else -2 * action

  bold, promised = measured['chosen']['mean']
  careful, _ = measured['chosen']['disagreement']
  assert bold > 0.3 and promised > 0.3 > came(bold) + 0.8
  assert came(careful) > came(bold) + 0.5
