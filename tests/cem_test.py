import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels.agents.planners import cem
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 2
OPTIONS = dict(iterations=3, candidates=20, elites=5)


def quadratic(optimum, **options):
  """A problem with the best plan `optimum` [B, H, A], unlike ones."""
  return worlds.Goals(worlds.distance, optimum).problem(**options)


def flat(**options):
  world = worlds.Goals(worlds.nothing, tf.zeros([B, H, A]))
  return world.problem(**options)


def plan(problem, **options):
  return cem.plan(problem, SEED, **OPTIONS | options).actions


def optima(seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


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
  found = plan(quadratic(optimum), iterations=15, candidates=200, elites=20)
  np.testing.assert_allclose(found, optimum, atol=0.03)


def test_is_that_of_numpy():
  """Algorithm 2 of PlaNet, written down a second time, with the same noise."""
  optimum = optima().numpy()
  found = plan(quadratic(optimum), spread=0.7, min_std=0.3)
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
  together = plan(quadratic(optimum))
  for b in range(B):
    alone = plan(quadratic(optimum[b : b + 1]))
    np.testing.assert_allclose(together[b], alone[0], atol=1e-6)
  assert np.ptp(together, 0).max() > 0.1


def small_model():
  return WorldModel(
    spec=Spec(actions=A, image=(16, 16, 3)),
    encoder=dict(kind='spatial_softmax', channels=(), points=2),
    dynamics=dict(kind='rssm', deter=5, stoch=3, hidden=6, activation='elu'),
    heads={'reward': dict(kind='normal', scale=1.0, units=6, activation='elu')},
    kl=dict(scale=1.0),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0),
  )


def test_a_single_candidate_is_one_too():
  model = small_model()
  problem = Problem(model, model.initial(1), horizon=H)
  made = tf.function(
    lambda seed: cem.plan(problem, seed, iterations=2, candidates=1, elites=1)
  )
  assert made(SEED).actions.shape == (1, H, A)
  whole = cem.plan(flat(), SEED, iterations=2, candidates=4, elites=2, spread=2)
  assert whole.actions.shape == (B, H, A)


def test_unlike_members_of_a_world_model_too(same_noise):
  model = small_model()
  random = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(random.normal(size=variable.shape))
  state = {
    key: tf.constant(random.normal(size=value.shape), tf.float32)
    for key, value in model.initial(B).items()
  }
  together = plan(Problem(model, state, horizon=H))
  for b in range(B):
    one = {key: value[b : b + 1] for key, value in state.items()}
    alone = plan(Problem(model, one, horizon=H))
    np.testing.assert_allclose(together[b], alone[0], atol=1e-4)
  assert np.ptp(together, 0).max() > 0.05


def test_candidates_are_around_the_start_and_within_bounds():
  start = tf.fill([B, H, A], 0.5)
  problem = flat(start=start)
  plan(problem, iterations=1, candidates=500, spread=0.1)
  (asked,) = problem.asked
  assert asked.shape == (B, 500, H, A)
  assert asked.mean() == pytest.approx(0.5, abs=0.01)
  assert asked.std() == pytest.approx(0.1, abs=0.01)
  problem = flat(start=start)
  plan(problem, spread=9.0)
  assert len(problem.asked) == 3
  assert np.abs(problem.asked).max() == 1.0
  # No candidate, step or iteration has another's noise.
  inside = np.stack(problem.asked)[np.abs(problem.asked) < 1]
  assert len(np.unique(inside)) == inside.size


def test_a_floor_keeps_it_looking():
  options = dict(iterations=4, candidates=200, elites=2)
  for floor, low, high in ((0.0, 0.0, 0.1), (0.4, 0.3, 0.5)):
    problem = quadratic(optima())
    plan(problem, min_std=floor, **options)
    assert low < problem.asked[-1].std(1).mean() < high


def test_the_plan_is_the_mean_of_the_elites():
  problem = quadratic(optima())
  found = plan(problem, iterations=1, candidates=9, elites=9)
  (asked,) = problem.asked
  np.testing.assert_allclose(found, asked.mean(1), atol=1e-6)
  found = plan(problem, iterations=1, candidates=9, elites=1)
  asked = problem.asked[1]
  best = np.argmax(problem.score(tf.constant(asked)), 1)
  np.testing.assert_allclose(found, asked[range(B), best], atol=1e-6)


def test_proposals_are_candidates_at_every_refit():
  optimum = optima()
  proposals = tf.stack([-optimum, optimum], 1)  # [B, M, H, A]
  problem = quadratic(optimum, proposals=proposals)
  found = plan(problem, elites=1)
  for asked in problem.asked:
    assert asked.shape == (B, 22, H, A)
    np.testing.assert_array_equal(asked[:, -2:], proposals)
  np.testing.assert_allclose(found, optimum, atol=1e-6)


@pytest.mark.parametrize('elites', [0, 21])
def test_impossible_elites_are_refused(elites):
  message = rf'^elites is {elites}; .*\(20\)'
  with pytest.raises(errors.OptionError, match=message):
    plan(quadratic(optima()), elites=elites)


def test_works_in_a_graph_of_unknown_batch():
  optimum = optima()

  @tf.function(input_signature=[tf.TensorSpec([None, H, A])] * 2)
  def graph(start, optimum):
    return plan(quadratic(optimum, start=start))

  start = tf.fill([B, H, A], 0.25)
  golden = plan(quadratic(optimum, start=start))
  np.testing.assert_allclose(graph(start, optimum), golden, atol=1e-5)
  assert graph(start[:1], optimum[:1]).shape == [1, H, A]
