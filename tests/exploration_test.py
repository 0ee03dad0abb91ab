import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import exploration

SEED = tf.constant([1, 2])


def many(action, noise, discrete):
  """Each of two actions explored from 5000 times, [2, 5000, A]."""
  repeated = tf.repeat(action, 5000, axis=0)
  found = exploration.add_noise(repeated, noise, SEED, discrete)
  return found.numpy().reshape([2, 5000, -1])


def test_noise_on_continuous_actions_is_clipped():
  action = tf.constant([[0.0, 0.95], [-0.5, 0.2]])
  noisy = many(action, 0.3, False)
  assert np.abs(noisy).max() == 1.0
  assert noisy[0, :, 0].std() == pytest.approx(0.3, abs=0.02)
  assert noisy[1].mean(0) == pytest.approx([-0.5, 0.2], abs=0.03)


def test_noise_on_discrete_actions_is_another_choice():
  noisy = many(tf.one_hot([0, 2], 4), 0.4, True)
  np.testing.assert_array_equal(noisy.sum(-1), 1)
  np.testing.assert_allclose(noisy[0].mean(0), [0.7, 0.1, 0.1, 0.1], atol=0.03)
  np.testing.assert_allclose(noisy[1].mean(0), [0.1, 0.1, 0.7, 0.1], atol=0.03)


@pytest.mark.parametrize(
  'discrete,action', [(False, [[0.3, -1.0], [1.0, 0.0]]), (True, np.eye(2))]
)
def test_without_noise_actions_stay(discrete, action):
  action = tf.constant(action, tf.float32)
  found = exploration.add_noise(action, 0.0, SEED, discrete)
  np.testing.assert_array_equal(found, action)


def test_a_draw_that_is_one_hot_to_rounding_becomes_so_exactly():
  action = tf.constant([[1.0 - 1e-7, 1e-7], [1e-7, 1.0 - 1e-7]])
  found = exploration.add_noise(action, 0.0, SEED, True)
  np.testing.assert_array_equal(found, np.eye(2))


@pytest.mark.parametrize('discrete', [False, True])
def test_the_seed_decides(discrete):
  action = tf.one_hot([0, 1] * 20, 3)
  first = exploration.add_noise(action, 0.5, SEED, discrete)
  tf.random.set_seed(7)  # No other source of randomness.
  again = exploration.add_noise(action, 0.5, SEED, discrete)
  other = exploration.add_noise(action, 0.5, SEED + 1, discrete)
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 0
