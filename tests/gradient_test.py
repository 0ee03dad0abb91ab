"""Planners that climb: of actions, of choices, and between refits of CEM."""

import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels.agents.planners import categorical_gradient
from worldmodels.agents.planners import gradient
from worldmodels.agents.planners import gradient_cem

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 3


def goals(discrete=False):
  random = np.random.default_rng(0)
  if discrete:
    return tf.one_hot(random.integers(0, A, [B, H]), A)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


def quadratic(**options):
  return worlds.Goals(worlds.distance, goals()).problem(**options)


def scores_of(actions):
  return -np.square(actions - goals()).sum((1, 2))


@pytest.mark.parametrize('planner', [gradient, gradient_cem])
def test_the_value_of_a_plan_is_its_score(planner):
  found = planner.plan(quadratic(), SEED)
  np.testing.assert_allclose(found.value, scores_of(found.actions), rtol=1e-4)


def test_the_first_climbs_from_the_start_a_step_at_a_time():
  start = tf.clip_by_value(goals() + 0.5, -1, 1)
  problem = quadratic(start=start)
  gradient.plan(problem, SEED, iterations=3, candidates=4, rate=0.05)
  assert [x.shape for x in problem.asked] == [(B, 4, H, A)] * 4
  np.testing.assert_array_equal(problem.asked[0][:, 0], start)
  moved = problem.asked[1] - problem.asked[0]
  away = goals()[:, None] - problem.asked[0]
  np.testing.assert_allclose(moved, 0.05 * np.sign(away), atol=1e-4)


def test_a_plan_is_never_worse_than_its_start():
  # So long a step misses everything.
  options = dict(iterations=3, candidates=1, rate=10.0)
  problem = quadratic(start=goals() + 0.1)
  found = gradient.plan(problem, SEED, **options)
  np.testing.assert_array_equal(found.actions, goals() + 0.1)
  assert np.abs(problem.asked[1] - goals()[:, None]).max() > 1


def test_proposals_climb_as_well():
  proposals = tf.stack([-goals(), goals()], 1)
  problem = quadratic(proposals=proposals)
  found = gradient.plan(problem, SEED, iterations=2, candidates=2)
  np.testing.assert_allclose(found.actions, goals(), atol=1e-6)
  np.testing.assert_array_equal(problem.asked[0][:, -2:], proposals)


def test_a_hill_that_cem_has_to_find_is_climbed():
  """In 60 dimensions 8 sequences that climb are worth more than 8 samples."""
  random = np.random.default_rng(1)
  far = tf.constant(random.uniform(-0.8, 0.8, [B, 20, A]), tf.float32)
  world = worlds.Goals(worlds.distance, far)
  found = gradient.plan(world.problem(), SEED, iterations=30, candidates=8)
  np.testing.assert_allclose(found.actions, far, atol=0.2)


def test_elites_climb_and_the_others_are_drawn_anew():
  problem = quadratic()
  options = dict(iterations=2, candidates=30, elites=6, rate=0.05)
  gradient_cem.plan(problem, SEED, **options)
  first, second, last = problem.asked
  scores = -np.square(first - goals()[:, None]).sum((2, 3))
  order = np.argsort(-scores, 1)[:, :6]
  elites = np.take_along_axis(first, order[..., None, None], 1)
  climbed = elites + 0.05 * np.sign(goals()[:, None] - elites)
  climbed = np.clip(climbed, -1, 1)
  np.testing.assert_allclose(second[:, :6], climbed, atol=1e-4)
  drawn = second[:, 6:]
  assert drawn.shape[1] == 24 and len(np.unique(drawn)) > 0.8 * drawn.size
  error = climbed.std(1).mean() * 4 / 24**0.5
  np.testing.assert_allclose(drawn.mean(1), climbed.mean(1), atol=2 * error)
  # In the end the elites and their mean.
  assert last.shape[1] == 7
  np.testing.assert_allclose(last[:, -1], last[:, :-1].mean(1), atol=1e-6)


def test_choices_are_climbed_by_their_odds():
  world = worlds.Goals(worlds.product, goals(True), True)
  problem = world.problem()
  found = categorical_gradient.plan(problem, SEED, iterations=25, candidates=4)
  np.testing.assert_array_equal(found.actions, goals(True))
  np.testing.assert_allclose(found.value, [H] * B)
  best = goals(True).numpy()[:, None]
  right = [(x * best).sum() for x in problem.asked]
  assert right[-1] >= right[len(right) // 2] > right[0]


def test_a_start_is_preferred():
  start = tf.one_hot([[1] * H] * B, A)
  world = worlds.Goals(worlds.nothing, goals(True), True)
  found = categorical_gradient.plan(
    world.problem(start=start), SEED, iterations=1, candidates=9, spread=0.1
  )
  np.testing.assert_array_equal(found.actions, start)


@pytest.mark.parametrize('planner', [gradient, gradient_cem])
def test_a_gradient_that_is_not_finite_is_an_error(planner):
  def worth(action, goal):
    # 0 at its goal, whose slope there is infinite.
    return -tf.sqrt(tf.reduce_sum(tf.abs(action - goal), -1))

  world = worlds.Goals(worth, goals())
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='gradient of a plan'
  ):
    planner.plan(world.problem(start=goals()), SEED, iterations=1, spread=1e-30)
