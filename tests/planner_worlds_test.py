"""What whole sequences earn in these worlds is what their steps earn."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import planner_worlds
from worldmodels.agents.planner_worlds import B
from worldmodels.agents.planner_worlds import H


def worlds(discrete):
  going = tf.constant([1.0, 0.5, 0.25])
  return (
    planner_worlds.Goals(discrete, planner_worlds.optimum(discrete)),
    planner_worlds.Debt(discrete, going),
    planner_worlds.Idle(discrete, tf.constant([1.0, -1.0, 1.0])),
  )


@pytest.mark.parametrize('discrete', [False, True])
@pytest.mark.parametrize('index', range(3))
def test_a_sequence_is_its_steps(discrete, index):
  world = worlds(discrete)[index]
  random = np.random.default_rng(0)
  size = world.spec.actions
  actions = tf.constant(random.uniform(-1, 1, [B, H, size]), tf.float32)
  if discrete:
    actions = tf.one_hot(random.integers(0, size, [B, H]), size)
  options = {'value': world.worth} if index == 2 else {}
  problem = world.problem(gamma=0.9, **options)
  found = problem.score(actions[:, None])[:, 0]
  state, golden, alive = problem.state, 0.0, 1.0
  for step in range(H):
    state, reward, discount = problem.step(state, actions[:, step])
    golden += alive * reward
    alive *= discount
  golden += alive * problem.value(state)
  np.testing.assert_allclose(found, golden, rtol=1e-5)
  # What was asked is kept.
  assert [x.shape for x in problem.asked] == [(B, 1, H, size)] + [(B, size)] * H


@pytest.mark.parametrize('discrete', [False, True])
def test_the_optimum_is_the_best_and_no_two_are_alike(discrete):
  optimum = planner_worlds.optimum(discrete)
  problem = worlds(discrete)[0].problem()
  best = problem.score(optimum[:, None])
  others = problem.score(tf.stack([tf.roll(optimum, x, 0) for x in (1, 2)], 1))
  assert (best.numpy() > others.numpy()).all()
  # Doing nothing is far from each.
  assert discrete or np.abs(optimum).max((1, 2)).min() > 0.6
