import numpy as np
import pytest
import tensorflow as tf

from agents.planners import cem
from worldmodels import imagination
from worldmodels import world_model

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 2
OPTIONS = dict(iterations=3, candidates=20, elites=5)


def starts(batch=B):
  return tf.zeros([batch, H, A])


def quadratic(optimum):
  """A score that is best at `optimum` [B, H, A], another for each member."""
  return lambda actions: (
    -tf.reduce_sum(tf.square(actions - optimum[:, None]), [2, 3])
  )


def optima(seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


class Recorder:
  """A score that keeps the candidates it was asked about."""

  def __init__(self, score):
    self._score = score
    self.asked = []

  def __call__(self, actions):
    self.asked.append(actions.numpy())
    return self._score(actions)


@pytest.fixture
def same_noise(monkeypatch):
  """Every member of a batch draws the same, so that a batch of one does."""
  normal = tf.random.stateless_normal

  def repeated(shape, seed):
    shape = [int(size) for size in shape]
    return tf.repeat(normal([1, *shape[1:]], seed), shape[0], 0)

  monkeypatch.setattr(cem.tf.random, 'stateless_normal', repeated)


def test_finds_the_optimum_of_each_member():
  optimum = optima()
  plan = cem.plan(
    quadratic(optimum), starts(), SEED, iterations=15, candidates=200, elites=20
  )
  np.testing.assert_allclose(plan, optimum, atol=0.03)


def test_is_that_of_numpy():
  """Algorithm 2 of PlaNet, written down a second time, with the same noise."""
  optimum = optima().numpy()
  score = quadratic(tf.constant(optimum))
  found = cem.plan(score, starts(), SEED, spread=0.7, min_std=0.3, **OPTIONS)
  seeds = tf.random.split(SEED, 3)
  mean, std = np.zeros([B, H, A]), np.full([B, H, A], 0.7)
  for index in range(3):
    noise = tf.random.stateless_normal([B, 20, H, A], seeds[index]).numpy()
    for b in range(B):
      actions = np.clip(mean[b] + std[b] * noise[b], -1, 1)
      returns = -np.square(actions - optimum[b]).sum((1, 2))
      elites = actions[np.argsort(returns)[-5:]]
      mean[b] = elites.mean(0)
      # The root of the variance, as in the code; the paper's is another.
      std[b] = np.maximum(np.sqrt(elites.var(0) + 1e-6), 0.3)
  np.testing.assert_allclose(found, mean, atol=1e-5)


def test_unlike_members_are_three_batches_of_one(same_noise):
  optimum = optima()
  together = cem.plan(quadratic(optimum), starts(), SEED, **OPTIONS)
  for b in range(B):
    score = quadratic(optimum[b : b + 1])
    alone = cem.plan(score, starts(1), SEED, **OPTIONS)
    np.testing.assert_allclose(together[b], alone[0], atol=1e-6)
  assert np.ptp(together, 0).max() > 0.1


def test_unlike_members_of_a_world_model_too(same_noise):
  model = world_model.WorldModel(
    actions=A,
    size=16,
    encoder=dict(image='spatial_softmax', channels=(), points=2),
    rssm=dict(deter=5, stoch=3, hidden=6, activation='elu'),
    heads={'reward': dict(kind='normal', scale=1.0, units=6, activation='elu')},
    kl=dict(scale=1.0),
    overshooting=dict(steps=0),
  )
  random = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(random.normal(size=variable.shape))
  state = {
    key: tf.constant(random.normal(size=[B, size]), tf.float32)
    for key, size in (('deter', 5), ('stoch', 3), ('mean', 3), ('std', 3))
  }
  score = imagination.score(model, state)
  together = cem.plan(score, starts(), SEED, **OPTIONS)
  for b in range(B):
    one = {key: value[b : b + 1] for key, value in state.items()}
    score = imagination.score(model, one)
    alone = cem.plan(score, starts(1), SEED, **OPTIONS)
    np.testing.assert_allclose(together[b], alone[0], atol=1e-4)
  assert np.ptp(together, 0).max() > 0.05


def test_candidates_are_around_the_start_and_within_bounds():
  start = tf.fill([B, H, A], 0.5)
  score = Recorder(lambda actions: tf.zeros(actions.shape[:2]))
  cem.plan(
    score, start, SEED, iterations=1, candidates=500, elites=5, spread=0.1
  )
  (asked,) = score.asked
  assert asked.shape == (B, 500, H, A)
  assert asked.mean() == pytest.approx(0.5, abs=0.01)
  assert asked.std() == pytest.approx(0.1, abs=0.01)
  score = Recorder(lambda actions: tf.zeros(actions.shape[:2]))
  cem.plan(score, start, SEED, spread=9.0, **OPTIONS)
  assert len(score.asked) == 3
  assert np.abs(score.asked).max() == 1.0
  # No candidate, step or iteration has another's noise.
  inside = np.stack(score.asked)[np.abs(score.asked) < 1]
  assert len(np.unique(inside)) == inside.size


def test_a_floor_keeps_it_looking():
  options = dict(iterations=4, candidates=200, elites=2)
  for floor, low, high in ((0.0, 0.0, 0.1), (0.4, 0.3, 0.5)):
    score = Recorder(quadratic(optima()))
    cem.plan(score, starts(), SEED, min_std=floor, **options)
    assert low < score.asked[-1].std(1).mean() < high


def test_the_plan_is_the_mean_of_the_elites():
  score = Recorder(quadratic(optima()))
  found = cem.plan(score, starts(), SEED, iterations=1, candidates=9, elites=9)
  np.testing.assert_allclose(found, score.asked[0].mean(1), atol=1e-6)
  found = cem.plan(score, starts(), SEED, iterations=1, candidates=9, elites=1)
  best = np.argmax(score._score(tf.constant(score.asked[1])), 1)
  np.testing.assert_allclose(found, score.asked[1][range(B), best], atol=1e-6)


@pytest.mark.parametrize('elites', [0, 21])
def test_impossible_elites_are_refused(elites):
  with pytest.raises(ValueError, match=rf'elites is {elites}; .*\(20\)'):
    cem.plan(
      quadratic(optima()),
      starts(),
      SEED,
      iterations=1,
      candidates=20,
      elites=elites,
    )


def test_works_in_a_graph_of_unknown_batch():
  optimum = optima()

  @tf.function(input_signature=[tf.TensorSpec([None, H, A])] * 2)
  def graph(start, optimum):
    return cem.plan(quadratic(optimum), start, SEED, **OPTIONS)

  golden = cem.plan(quadratic(optimum), starts(), SEED, **OPTIONS)
  np.testing.assert_allclose(graph(starts(), optimum), golden, atol=1e-5)
  assert graph(starts(1), optimum[:1]).shape == [1, H, A]
