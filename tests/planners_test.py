"""Every file in agents/planners is under these tests as soon as it exists.

What is asked of all is asked of those that plan one-hot actions too, with an
optimum that is one-hot; the bounds of the others and their one-hot vectors are
each a test of their own.
"""

import inspect
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from agents import planners
from agents import planning

NAMES = sorted(
  path.stem
  for path in pathlib.Path(planners.__file__).parent.glob('*.py')
  if path.stem != '__init__'
)
DISCRETE = [
  name for name in NAMES if getattr(planning.load(name), 'DISCRETE', False)
]
CONTINUOUS = [name for name in NAMES if name not in DISCRETE]
B, H = 3, 3
SEED = tf.constant([1, 2])

# What a planner is tested with, of these, is what its `plan` takes. One that
# needs something else is to have it here.
OPTIONS = dict(iterations=12, candidates=256, elites=24)


def size(name):
  """A."""
  return 4 if name in DISCRETE else 2


def plan(name, score, batch=B, seed=SEED):
  function = planning.load(name).plan
  known = inspect.signature(function).parameters
  options = {key: value for key, value in OPTIONS.items() if key in known}
  return function(score, tf.zeros([batch, H, size(name)]), seed, **options)


def optima(name):
  """Unlike ones: a member whose plan is another's has a wrong one."""
  if name in DISCRETE:
    return tf.one_hot([[3, 0, 1], [2, 1, 1], [0, 2, 3]], size(name))
  random = np.random.default_rng(0)
  return tf.constant(random.uniform(-0.7, 0.7, [B, H, size(name)]), tf.float32)


def flat(actions):
  return 0 * tf.reduce_sum(actions, [2, 3])


def quadratic(optimum):
  return lambda actions: (
    -tf.reduce_sum(tf.square(actions - optimum[:, None]), [2, 3])
  )


def test_the_planners_found_are_the_files_that_are_there():
  assert 'cem' in CONTINUOUS and 'categorical_cem' in DISCRETE
  assert planning.names() == NAMES
  with pytest.raises(ValueError, match="planner.name is 'cen'; it is one of"):
    planning.load('cen')


@pytest.mark.parametrize('name', NAMES)
def test_its_signature_is_the_planners(name):
  module = planning.load(name)
  assert module.__doc__ and module.plan.__doc__
  parameters = inspect.signature(module.plan).parameters.values()
  by_place = [x.name for x in parameters if x.kind != x.KEYWORD_ONLY]
  assert by_place == ['score', 'start', 'seed']
  needed = {x.name for x in parameters if x.default is x.empty}
  assert needed <= {*by_place, *OPTIONS}


@pytest.mark.parametrize('name', NAMES)
def test_each_member_gets_its_own_optimum(name):
  optimum = optima(name)
  found = plan(name, quadratic(optimum))
  assert found.shape == [B, H, size(name)] and found.dtype == tf.float32
  np.testing.assert_allclose(found, optimum, atol=0.1)
  # A batch of one is no other case.
  found = plan(name, quadratic(optimum[1:2]), batch=1)
  np.testing.assert_allclose(found, optimum[1:2], atol=0.1)


@pytest.mark.parametrize('name', CONTINUOUS)
def test_actions_stay_in_bounds(name):
  sign = tf.constant([1.0, -1.0, 1.0])[:, None]
  asked = []

  def outwards(actions):
    asked.append(tf.reduce_max(tf.abs(actions)))
    return sign * tf.reduce_sum(actions, [2, 3])

  found = plan(name, outwards).numpy()
  assert np.abs(found).max() <= 1.0
  assert max(map(float, asked)) <= 1.0
  assert found[0].mean() > 0.7 and found[1].mean() < -0.7


@pytest.mark.parametrize('name', DISCRETE)
def test_actions_are_one_hot(name):
  asked = []

  def score(actions):
    asked.append(actions.numpy().reshape([-1, size(name)]))
    return quadratic(optima(name))(actions)

  found = plan(name, score).numpy().reshape([-1, size(name)])
  for actions in (found, np.concatenate(asked)):
    assert set(np.unique(actions)) == {0.0, 1.0}
    np.testing.assert_array_equal(actions.sum(1), 1)


@pytest.mark.parametrize('name', NAMES)
def test_the_seed_decides(name):
  # A one-hot optimum is found from any seed, so chance shows where none is.
  score = flat if name in DISCRETE else quadratic(optima(name))
  first = plan(name, score)
  tf.random.set_seed(7)  # No other source of randomness.
  np.testing.assert_array_equal(first, plan(name, score))
  other = plan(name, score, seed=tf.constant([1, 3]))
  assert np.abs(first - other).max() > 0


@pytest.mark.parametrize('name', NAMES)
def test_members_do_not_share_their_chance(name):
  found = plan(name, flat).numpy()  # Nothing but chance is left.
  for b in range(B):
    assert np.abs(found[b] - found[b - 1]).max() > 0
  if name in CONTINUOUS:
    assert np.ptp(found, 0).min() > 0


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('number', [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error(name, number):
  def broken(actions):
    hit = tf.constant([False, True, False])[:, None]
    return tf.where(hit, number, tf.reduce_sum(actions, [2, 3]))

  with pytest.raises(tf.errors.InvalidArgumentError, match='score'):
    plan(name, broken)


@pytest.mark.parametrize('name', NAMES)
def test_works_in_a_graph(name):
  optimum = optima(name)
  graph = tf.function(lambda: plan(name, quadratic(optimum)))
  np.testing.assert_allclose(graph(), optimum, atol=0.1)
