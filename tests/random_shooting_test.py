"""Random shooting, of actions and of choices."""

import numpy as np
import tensorflow as tf
import worlds

from worldmodels.agents.planners import categorical_random_shooting
from worldmodels.agents.planners import random_shooting

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 3


def goals(discrete=False):
  random = np.random.default_rng(0)
  if discrete:
    return tf.one_hot(random.integers(0, A, [B, H]), A)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


def test_the_best_of_even_draws_is_the_plan():
  problem = worlds.Goals(worlds.distance, goals()).problem()
  found = random_shooting.plan(problem, SEED, candidates=3000)
  (asked,) = problem.asked
  scores = -np.square(asked - goals()[:, None]).sum((2, 3))
  np.testing.assert_array_equal(
    found.actions, asked[range(B), scores.argmax(1)]
  )
  np.testing.assert_allclose(found.value, scores.max(1), rtol=1e-5)
  drawn = asked[:, :3000]
  shares = np.histogram(drawn, 4, (-1, 1))[0] / drawn.size
  np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_start_and_proposals_are_candidates():
  world = worlds.Goals(worlds.distance, goals())
  found = random_shooting.plan(world.problem(start=goals()), SEED, candidates=2)
  np.testing.assert_array_equal(found.actions, goals())
  proposals = tf.stack([-goals(), goals()], 1)
  problem = world.problem(proposals=proposals)
  found = random_shooting.plan(problem, SEED, candidates=2)
  np.testing.assert_array_equal(found.actions, goals())


def test_the_best_of_even_choices_is_the_plan():
  problem = worlds.Goals(worlds.product, goals(True), True).problem()
  found = categorical_random_shooting.plan(problem, SEED, candidates=3000)
  (asked,) = problem.asked
  assert asked.shape == (B, 3001, H, A)
  np.testing.assert_allclose(asked.mean((0, 1)), 1 / A, atol=0.03)
  np.testing.assert_array_equal(found.actions, goals(True))
  np.testing.assert_allclose(found.value, [H] * B)


def test_a_start_of_choices_is_a_candidate_where_it_is_sure():
  world = worlds.Goals(worlds.product, goals(True), True)
  problem = world.problem(start=goals(True))
  found = categorical_random_shooting.plan(problem, SEED, candidates=1)
  np.testing.assert_array_equal(found.actions, goals(True))
  unsure = tf.concat([goals(True)[:, :2], tf.zeros([B, 2, A])], 1)
  problem = world.problem(start=unsure)
  categorical_random_shooting.plan(problem, SEED, candidates=1)
  begun = problem.asked[0][:, -1]
  np.testing.assert_array_equal(begun[:, :2], goals(True)[:, :2])
  np.testing.assert_array_equal(begun.sum(-1), 1)
