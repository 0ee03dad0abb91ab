import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels.agents import sequences
from worldmodels.problem import Problem

B, N, H, A = 2, 5, 3, 2
SEED = tf.constant([1, 2])


def goals():
  random = np.random.default_rng(0)
  return tf.constant(random.uniform(-0.7, 0.7, [B, H, A]), tf.float32)


def candidates():
  random = np.random.default_rng(1)
  return tf.constant(random.uniform(-0.9, 0.9, [B, N, H, A]), tf.float32)


def test_the_best_are_those_of_each_member_best_first():
  scores = tf.constant([[1.0, 5.0, 3.0], [2.0, 0.0, 9.0]])
  actions = tf.reshape(tf.range(2 * 3 * 2.0), [2, 3, 2, 1])
  found, value = sequences.best(actions, scores, 2)
  np.testing.assert_array_equal(value, [[5, 3], [9, 2]])
  np.testing.assert_array_equal(
    found[0], np.stack([actions[0, 1], actions[0, 2]])
  )
  np.testing.assert_array_equal(
    found[1], np.stack([actions[1, 2], actions[1, 0]])
  )


def test_the_gradient_of_each_candidate_is_its_own():
  world = worlds.Goals(worlds.distance, goals())
  scores, gradient = sequences.climb(world.problem(), candidates(), 0)
  np.testing.assert_allclose(
    gradient, -2 * (candidates() - goals()[:, None]), atol=1e-5
  )
  golden = -np.square(candidates() - goals()[:, None]).sum((2, 3))
  np.testing.assert_allclose(scores, golden, rtol=1e-5)


def test_what_has_no_gradient_is_an_error_of_one_line():
  def step(state, action):
    return state, -np.abs(action.numpy()).sum(-1), 1.0

  problem = Problem.of_step(step, tf.zeros([B]), actions=A, horizon=H)
  with pytest.raises(
    sequences.GradientError, match='cem and its like'
  ) as found:
    sequences.climb(problem, candidates(), 0)
  assert '\n' not in str(found.value)
  assert isinstance(found.value, errors.UserError)


def test_a_step_has_its_length_whatever_the_scale():
  for scale in (1e-3, 1.0, 1e5):
    gradient = scale * tf.constant([1.0, -1.0, 0.0])
    memory = tf.zeros([3])
    for count in range(1, 4):
      step, memory = sequences.ascend(gradient, memory, float(count), 0.1)
      np.testing.assert_allclose(step, [0.1, -0.1, 0.0], rtol=1e-3)
  # Where gradients become small, so do the steps.
  step, _ = sequences.ascend(0.1 * gradient, memory, 4.0, 0.1)
  assert 0 < step[0] < 0.02


def test_candidates_are_around_the_mean_and_within_bounds():
  mean = tf.fill([B, H, A], 0.5)
  drawn = sequences.around(mean, 0.1, 2000, SEED)
  assert drawn.shape == [B, 2000, H, A]
  np.testing.assert_allclose(np.mean(drawn, 1), 0.5, atol=0.02)
  np.testing.assert_allclose(np.std(drawn, 1), 0.1, atol=0.01)
  std = tf.fill([B, H, A], 9.0)
  assert np.abs(sequences.around(mean, std, 50, SEED)).max() == 1


def test_proposals_come_after_the_candidates():
  world = worlds.Goals(worlds.distance, goals())
  proposals = tf.ones([B, 2, H, A])
  problem = world.problem(proposals=proposals)
  found = sequences.with_proposals(candidates(), problem)
  np.testing.assert_array_equal(found[:, :N], candidates())
  np.testing.assert_array_equal(found[:, N:], proposals)
  alone = sequences.with_proposals(candidates(), world.problem())
  np.testing.assert_array_equal(alone, candidates())


@pytest.mark.parametrize('elites', [0, 6])
def test_impossible_elites_are_refused(elites):
  with pytest.raises(
    errors.OptionError, match=rf'^elites is {elites}; .*\(5\)'
  ):
    sequences.check_elites(elites, 5)
