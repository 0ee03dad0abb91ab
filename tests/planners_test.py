"""Every file in agents/planners is under these tests as soon as it exists.

What any planner has to do is in agents/planner_checks.py, which users have too;
here is what we ask of our own beside that.
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
from worldmodels.agents import planner_checks
from worldmodels.agents import planners
from worldmodels.agents.runs import stored_config
from worldmodels.configs import planet

PACKAGE = planners.__name__
NAMES = kinds.names(PACKAGE, 'plan')
B, H = 3, 3
SEED = tf.constant([1, 2])

# What a planner is tested with, of these, is what its `plan` takes. One that
# needs something else has it here.
OPTIONS = dict(iterations=12, candidates=256, elites=24)
OWN = {
  'categorical_gradient': dict(iterations=30, candidates=16),
  'gradient': dict(iterations=30, candidates=8),
  'gradient_cem': dict(iterations=20, candidates=32, elites=8),
  'random_shooting': dict(candidates=20_000),
}
# How near to an optimum a plan is, if that is another number than NEAR.
NEAR = 0.1
TOLERANCES = {'random_shooting': 0.4}


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


def options_of(name):
  return kinds.named(find(name), OPTIONS) | OWN.get(name, {})


def plan(name, problem, seed=SEED):
  return find(name)(problem, seed, **options_of(name))


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
def test_it_does_what_every_planner_has_to_do(name):
  options = options_of(name)
  if 'iterations' in options:  # That it comes nearer is another test.
    options['iterations'] //= 2
  planner_checks.check(find(name), tolerance=0.5, **options)


@pytest.mark.parametrize('name', NAMES)
def test_its_numbers_are_those_of_its_paper_and_its_config(name):
  """By keyword for those who call it, by config for runs: the same."""
  parameters = inspect.signature(find(name)).parameters.values()
  own = {x.name: x.default for x in parameters if x.kind == x.KEYWORD_ONLY}
  assert own.keys() <= {*planet.paper().planner.keys()}
  assert inspect.Parameter.empty not in own.values()
  later = stored_config.ADDED['planner']
  for key in own.keys() & later.keys():
    assert own[key] == planet.paper().planner[key] == later[key]
  # Nothing but defaults does something.
  found = find(name)(
    world(name, worlds.distance, optima(name)).problem(), SEED
  ).actions
  assert found.shape == [B, H, size(name)]


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
  near = TOLERANCES.get(name, NEAR)
  np.testing.assert_allclose(found, optimum, atol=near)


@pytest.mark.parametrize('name', NAMES)
def test_another_seed_is_another_plan(name):
  # A one-hot optimum is found from any seed, so chance shows where none is.
  worth = worlds.nothing if name in DISCRETE else worlds.distance
  first = actions_of(name, worth, optima(name))
  other = actions_of(name, worth, optima(name), tf.constant([1, 3]))
  assert np.abs(first - other).max() > 0


@pytest.mark.parametrize('name', NAMES)
def test_members_do_not_share_their_chance(name):
  # Nothing but chance is left.
  problem = world(name, worlds.nothing, optima(name)).problem()
  plan(name, problem)
  asked = problem.asked[0]
  for b in range(B):
    assert np.abs(asked[b] - asked[b - 1]).max() > 0
  if name in CONTINUOUS:
    # A start may be a candidate of all.
    assert (np.ptp(asked, 0) > 0).mean() > 0.8


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('number', [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error(name, number):
  hit = tf.constant([0.0, number, 0.0])[:, None, None]
  goals = tf.broadcast_to(hit, [B, H, size(name)])

  def broken(action, goal):
    return tf.reduce_sum(action, -1) + goal[..., 0]

  with pytest.raises(tf.errors.InvalidArgumentError, match='score'):
    actions_of(name, broken, goals)
