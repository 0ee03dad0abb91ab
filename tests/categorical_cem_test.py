import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels.agents.planners import categorical_cem
from worldmodels.problem import Problem
from worldmodels.spec import Spec

SEED = tf.constant([1, 2])
B, H, A = 3, 8, 5
OPTIONS = dict(iterations=3, candidates=40, elites=8)


def starts(batch=B):
  return tf.zeros([batch, H, A])


def optima(seed=0):
  """Choices [B, H], unlike ones."""
  return np.random.default_rng(seed).integers(0, A, [B, H])


def agreement(optimum, weight=1.0, **options):
  """A problem whose score is how many choices are those of `optimum` [B, H]."""
  goals = tf.one_hot(optimum, A) * tf.constant(weight, tf.float32)
  return worlds.Goals(worlds.product, goals, True).problem(**options)


def flat(**options):
  return worlds.Goals(worlds.nothing, starts(), True).problem(**options)


def plan(problem, seed=SEED, **options):
  return categorical_cem.plan(problem, seed, **OPTIONS | options).actions


def one_hot(actions):
  actions = np.asarray(actions)
  return set(np.unique(actions)) <= {0, 1} and (actions.sum(-1) == 1).all()


@pytest.fixture
def same_noise(monkeypatch):
  """Every member of a batch draws the same, so that a batch of one does."""
  uniform = tf.random.stateless_uniform

  def repeated(shape, seed):
    shape = [int(size) for size in shape]
    return tf.repeat(uniform([1, *shape[1:]], seed), shape[0], 0)

  monkeypatch.setattr(categorical_cem.tf.random, 'stateless_uniform', repeated)


def test_finds_the_optimum_of_each_member():
  """One sequence of 390625, which 12 times 200 candidates would rarely hit."""
  optimum = optima()
  assert (optimum[0] != optimum[1]).any() and (optimum[1] != optimum[2]).any()
  found = plan(agreement(optimum), iterations=12, candidates=200, elites=20)
  assert found.shape == [B, H, A] and found.dtype == tf.float32
  assert one_hot(found)
  np.testing.assert_array_equal(np.argmax(found, -1), optimum)


class Corridor(worlds.World):
  """Places 0 to 5 with the prize at the end: steps that lead away cost."""

  spec = Spec(actions=3, discrete=True, image=None)

  def step(self, state, action, seed=None):
    del seed
    move = tf.linalg.matvec(action, [-1.0, 0.0, 1.0])  # Left, nowhere, right.
    return {'place': tf.clip_by_value(state['place'] + move, 0.0, 5.0)}

  def reward(self, state):
    at = state['place']
    return tf.where(at == 5.0, 10.0, tf.where(at == 0.0, 0.0, -1.0))


def test_finds_what_only_a_sequence_is_worth():
  world, state = Corridor(), {'place': tf.constant([0.0, 2.0, 5.0])}
  found = plan(
    Problem(world, state, horizon=12),
    iterations=10,
    candidates=500,
    elites=50,
  )
  places = world.imagine(state, found)['place'].numpy()
  # Straight there, and to stay: 4, 2 and no steps are on the way.
  assert (places == 5).sum(1).tolist() == [8, 10, 12]


def test_is_that_of_numpy():
  """The algorithm written down a second time, with the same noise."""
  optimum = optima()
  weights = np.random.default_rng(1).uniform(1, 2, H)  # Else scores are equal.
  problem = agreement(optimum, weights[:, None])
  found = plan(problem, min_probability=0.05)
  seeds = tf.random.split(SEED, 3)
  odds = np.full([B, H, A], 1 / A)
  for index in range(3):
    drawn = tf.random.stateless_uniform([B, 40, H, 1], seeds[index]).numpy()
    for b in range(B):
      shown = 0.05 + (1 - A * 0.05) * odds[b]
      assert shown.min() >= 0.05 - 1e-9
      edges = shown.cumsum(-1)
      choice = np.array(
        [
          [np.searchsorted(edges[t], drawn[b, n, t, 0]) for t in range(H)]
          for n in range(40)
        ]
      )
      np.testing.assert_array_equal(problem.asked[index][b].argmax(-1), choice)
      worth = ((choice == optimum[b]) * weights).sum(1)
      elites = choice[np.argsort(worth)[-8:]]
      odds[b] = (elites[..., None] == np.arange(A)).mean(0)
  np.testing.assert_array_equal(np.argmax(found, -1), odds.argmax(-1))


def test_unlike_members_are_three_batches_of_one(same_noise):
  optimum = optima()
  together = plan(agreement(optimum))
  for b in range(B):
    alone = plan(agreement(optimum[b : b + 1]))
    np.testing.assert_array_equal(together[b], alone[0])
  assert np.ptp(together, 0).max() == 1


def test_no_noise_is_used_twice():
  problem = flat()
  plan(problem)
  assert len(problem.asked) == 3
  asked = np.stack(problem.asked)  # [iterations, B, N, H, A]
  assert one_hot(asked)
  sequences = asked.reshape([-1, H * A])
  # 360 of 390625: hardly two of them alike.
  assert len(np.unique(sequences, axis=0)) > 350
  assert (asked[0, 0] != asked[0, 1]).any() and (asked[0] != asked[1]).any()


@pytest.mark.parametrize('floor', [0.0, 0.05])
def test_the_start_decides_the_first_odds(floor):
  """None: all alike; one-hot: half of the candidates, and its even share."""
  start = np.zeros([B, H, A], np.float32)
  start[1, :, 2] = 1
  start[2] = [0.5, 0.5, 0, 0, 0]
  problem = flat(start=tf.constant(start))
  plan(problem, iterations=1, candidates=2000, min_probability=floor)
  shares = problem.asked[0].mean(1)  # [B, H, A]
  for b, odds in enumerate(
    ([0.2] * 5, [0.1, 0.1, 0.6, 0.1, 0.1], [0.35, 0.35, 0.1, 0.1, 0.1])
  ):
    expected = floor + (1 - A * floor) * np.array(odds)
    np.testing.assert_allclose(
      shares[b], np.broadcast_to(expected, [H, A]), atol=0.05
    )


def test_a_floor_keeps_it_looking():
  options = dict(iterations=6, candidates=2000, elites=20)
  for floor in (0.0, 0.1):
    problem = agreement(optima())
    plan(problem, min_probability=floor, **options)
    rarest = problem.asked[-1].mean(1).min(-1)  # [B, H]
    np.testing.assert_allclose(rarest, floor, atol=0.03)
    assert floor or (rarest == 0).all()


def test_the_plan_is_what_most_elites_do():
  problem = agreement(optima())
  found = plan(problem, iterations=1, candidates=9, elites=9)
  votes = problem.asked[0].sum(1)
  np.testing.assert_array_equal(np.argmax(found, -1), votes.argmax(-1))
  found = plan(problem, iterations=1, candidates=9, elites=1)
  asked = problem.asked[1]
  best = np.argmax(problem.score(tf.constant(asked)), 1)
  np.testing.assert_array_equal(found, asked[range(B), best])


def test_the_seed_decides():
  first = plan(flat())
  tf.random.set_seed(7)  # No other source of randomness.
  np.testing.assert_array_equal(first, plan(flat()))
  assert np.abs(first - plan(flat(), tf.constant([1, 3]))).max() == 1


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(elites=0), r'^elites is 0; .*\(40\)'),
    (dict(elites=41), r'^elites is 41; .*\(40\)'),
    (dict(min_probability=-0.1), '^min_probability is -0.1; of 5 choices'),
    (dict(min_probability=0.21), '^min_probability is 0.21; .*0 to 0.2$'),
  ],
)
def test_impossible_options_are_refused(options, message):
  with pytest.raises(errors.OptionError, match=message):
    plan(flat(), **options)


def test_a_negative_start_is_refused():
  with pytest.raises(tf.errors.InvalidArgumentError, match='start of a plan'):
    plan(flat(start=starts() - 0.1))


@pytest.mark.parametrize('choices', [1, 2])
def test_few_choices(choices):
  goals = tf.one_hot(tf.fill([B, H], choices - 1), choices)
  found = plan(worlds.Goals(worlds.product, goals, True).problem())
  np.testing.assert_array_equal(np.argmax(found, -1), choices - 1)
  assert one_hot(found)


def test_works_in_a_graph_of_unknown_batch():
  optimum = optima()

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, H, A]),
      tf.TensorSpec([None, H], tf.int64),
    ]
  )
  def graph(start, optimum):
    return plan(agreement(optimum, start=start))

  golden = plan(agreement(optimum))
  np.testing.assert_array_equal(graph(starts(), tf.constant(optimum)), golden)
  assert graph(starts(1), tf.constant(optimum[:1])).shape == [1, H, A]
  with pytest.raises(tf.errors.InvalidArgumentError, match='start of a plan'):
    graph(starts() - 0.1, tf.constant(optimum))
