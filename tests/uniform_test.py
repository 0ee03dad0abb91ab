import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import uniform
from worldmodels.spec import Spec

SEED = tf.constant([1, 2])


def act(batch=2000, seed=SEED, explore=False):
  agent = uniform.Agent(spec=Spec(actions=3))
  return agent.policy({}, agent.initial(batch), tf.constant(explore), seed)


def test_actions_are_uniform_and_independent():
  action, state = act()
  assert action.shape == [2000, 3] and action.dtype == tf.float32
  np.testing.assert_array_equal(state['action'], action)
  action = action.numpy()
  assert -1 <= action.min() < -0.99 and 0.99 < action.max() <= 1
  # Four standard deviations of a mean and of a share of 2000.
  assert np.abs(action.mean(0)).max() < 4 * np.sqrt(1 / 3 / 2000)
  shares = [(action < edge).mean(0) for edge in (-0.5, 0.0, 0.5)]
  np.testing.assert_allclose(
    shares, np.array([[0.25], [0.5], [0.75]]).repeat(3, 1), atol=0.045
  )
  correlation = np.corrcoef(action.T) - np.eye(3)
  assert np.abs(correlation).max() < 0.1


def test_the_seed_decides_and_nothing_else():
  first, state = act(5)
  np.testing.assert_array_equal(first, act(5, explore=True)[0])
  agent = uniform.Agent(spec=Spec(actions=3))
  again, _ = agent.policy({'image': 1}, state, tf.constant(True), SEED)
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - act(5, tf.constant([1, 3]))[0]).max() > 0.1


@pytest.mark.parametrize('batch', [1, 4])
def test_any_batch(batch):
  assert act(batch)[0].shape == [batch, 3]


# ---------------------------------------------------------------- choices ----


def choose(batch=2000, seed=SEED, explore=False):
  agent = uniform.Agent(spec=Spec(actions=4, discrete=True))
  return agent.policy({}, agent.initial(batch), tf.constant(explore), seed)


def test_choices_are_one_hot_and_uniform():
  action, state = choose()
  assert action.shape == [2000, 4] and action.dtype == tf.float32
  np.testing.assert_array_equal(state['action'], action)
  action = action.numpy()
  assert set(np.unique(action)) == {0.0, 1.0}
  np.testing.assert_array_equal(action.sum(1), 1)
  # Four standard deviations of a share of 2000.
  assert np.abs(action.mean(0) - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 2000)
  # Members do not follow each other.
  same = (action[1:] * action[:-1]).sum(1).mean()
  assert abs(same - 0.25) < 0.04


def test_the_seed_decides_choices():
  first, _ = choose(50)
  np.testing.assert_array_equal(first, choose(50, explore=True)[0])
  assert np.abs(first - choose(50, tf.constant([1, 3]))[0]).max() == 1
  assert choose(1)[0].shape == [1, 4]
