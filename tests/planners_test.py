"""Every file in agents/planners is under these tests as soon as it exists.

What is asked of all is asked of those that plan one-hot actions too, with an
optimum that is one-hot; the bounds of the others and their one-hot vectors are
each a test of their own.
"""

import inspect
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import planners
from worldmodels.problem import Plan

PACKAGE = planners.__name__
NAMES = kinds.names(PACKAGE, 'plan')
B, H = 3, 3
SEED = tf.constant([1, 2])

# What a planner is tested with, of these, is what its `plan` takes. One that
# needs something else is to have it here.
OPTIONS = dict(iterations=12, candidates=256, elites=24)


def find(name):
  return kinds.find(PACKAGE, name, 'plan')


def module_of(name):
  return sys.modules[find(name).__module__]


DISCRETE = [name for name in NAMES if getattr(module_of(name), 'DISCRETE', 0)]
CONTINUOUS = [name for name in NAMES if name not in DISCRETE]


def size(name):
  """A."""
  return 4 if name in DISCRETE else 2


def world(name, worth, goals):
  return worlds.Goals(worth, goals, discrete=name in DISCRETE)


def plan(name, problem, seed=SEED):
  return find(name)(problem, seed, **kinds.named(find(name), OPTIONS))


def actions_of(name, worth, goals, seed=SEED):
  return plan(name, world(name, worth, goals).problem(), seed).actions


def optima(name):
  """Unlike ones: a member whose plan is another's has a wrong one."""
  if name in DISCRETE:
    return tf.one_hot([[3, 0, 1], [2, 1, 1], [0, 2, 3]], size(name))
  random = np.random.default_rng(0)
  return tf.constant(random.uniform(-0.7, 0.7, [B, H, size(name)]), tf.float32)


def test_the_planners_found_are_the_files_that_are_there():
  assert 'cem' in CONTINUOUS and 'categorical_cem' in DISCRETE
  files = pathlib.Path(planners.__file__).parent.glob('*.py')
  assert NAMES == sorted({path.stem for path in files} - {'__init__'})
  with pytest.raises(errors.OptionError, match="^kind is 'cen'; it is one of"):
    find('cen')


@pytest.mark.parametrize('name', NAMES)
def test_its_signature_is_the_planners(name):
  assert module_of(name).__doc__ and find(name).__doc__
  parameters = inspect.signature(find(name)).parameters.values()
  by_place = [x.name for x in parameters if x.kind != x.KEYWORD_ONLY]
  assert by_place == ['problem', 'seed']
  needed = {x.name for x in parameters if x.default is x.empty}
  assert needed <= {*by_place, *OPTIONS}


@pytest.mark.parametrize('name', NAMES)
def test_its_plan_says_what_it_can_and_nothing_else(name):
  found = plan(name, world(name, worlds.distance, optima(name)).problem())
  assert isinstance(found, Plan)
  assert found.value is None or found.value.shape == [B]
  if found.policy is not None:
    assert found.policy.shape == [B, size(name)]
    np.testing.assert_allclose(tf.reduce_sum(found.policy, -1), 1, rtol=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_no_two_of_its_scores_share_the_noise_of_the_states(name):
  problem, draws = world(name, worlds.distance, optima(name)).problem(), []
  score = problem.score

  def record(actions, draw=None):
    draws.append(draw)
    return score(actions, draw)

  problem.score = record
  plan(name, problem)
  assert len(draws) == len({int(draw) for draw in draws if draw is not None})


@pytest.mark.parametrize('name', NAMES)
def test_each_member_gets_its_own_optimum(name):
  optimum = optima(name)
  found = actions_of(name, worlds.distance, optimum)
  assert found.shape == [B, H, size(name)] and found.dtype == tf.float32
  np.testing.assert_allclose(found, optimum, atol=0.1)
  # A batch of one is no other case.
  found = actions_of(name, worlds.distance, optimum[1:2])
  np.testing.assert_allclose(found, optimum[1:2], atol=0.1)


@pytest.mark.parametrize('name', CONTINUOUS)
def test_actions_stay_in_bounds(name):
  sign = tf.constant([1.0, -1.0, 1.0])[:, None, None]
  goals = sign * tf.ones([B, H, size(name)])
  problem = world(name, worlds.product, goals).problem()
  found = plan(name, problem).actions.numpy()
  assert np.abs(found).max() <= 1.0
  assert max(np.abs(asked).max() for asked in problem.asked) <= 1.0
  assert found[0].mean() > 0.7 and found[1].mean() < -0.7


@pytest.mark.parametrize('name', DISCRETE)
def test_actions_are_one_hot(name):
  problem = world(name, worlds.distance, optima(name)).problem()
  found = plan(name, problem).actions
  assert problem.asked
  for actions in (found, *problem.asked):
    actions = np.reshape(actions, [-1, size(name)])
    assert set(np.unique(actions)) == {0.0, 1.0}
    np.testing.assert_array_equal(actions.sum(1), 1)


@pytest.mark.parametrize('name', NAMES)
def test_the_seed_decides(name):
  # A one-hot optimum is found from any seed, so chance shows where none is.
  worth = worlds.nothing if name in DISCRETE else worlds.distance
  first = actions_of(name, worth, optima(name))
  tf.random.set_seed(7)  # No other source of randomness.
  again = actions_of(name, worth, optima(name))
  np.testing.assert_array_equal(first, again)
  other = actions_of(name, worth, optima(name), tf.constant([1, 3]))
  assert np.abs(first - other).max() > 0


@pytest.mark.parametrize('name', NAMES)
def test_members_do_not_share_their_chance(name):
  # Nothing but chance is left.
  found = actions_of(name, worlds.nothing, optima(name)).numpy()
  for b in range(B):
    assert np.abs(found[b] - found[b - 1]).max() > 0
  if name in CONTINUOUS:
    assert np.ptp(found, 0).min() > 0


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('number', [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error(name, number):
  hit = tf.constant([0.0, number, 0.0])[:, None, None]
  goals = tf.broadcast_to(hit, [B, H, size(name)])

  def broken(action, goal):
    return tf.reduce_sum(action, -1) + goal[..., 0]

  with pytest.raises(tf.errors.InvalidArgumentError, match='score'):
    actions_of(name, broken, goals)


@pytest.mark.parametrize('name', NAMES)
def test_works_in_a_graph(name):
  optimum = optima(name)
  graph = tf.function(lambda: actions_of(name, worlds.distance, optimum))
  np.testing.assert_allclose(graph(), optimum, atol=0.1)
