import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import exploration
from worldmodels.spec import Spec

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


# -------------------------------------------------- noise that lasts for steps


def pink(steps=400, count=60, deviation=0.1):
  """Noise of two actions in episodes side by side, [B, steps, 2]."""
  noise = exploration.Noise(deviation, 'pink', Spec(actions=2))
  state, found = noise.initial(count), []
  for step in range(steps):
    first = tf.fill([count], step in (0, 300))
    seed = tf.constant([3, step])
    noisy, state = noise.add(tf.zeros([count, 2]), state, first, seed)
    found.append(noisy)
  return tf.stack(found, 1).numpy() / deviation


def test_pink_noise_has_its_deviation_and_as_much_power_in_each_octave():
  found = pink()
  # At the first step and after a reset as at any other.
  for step in (0, 1, 150, 300, 399):
    assert found[:, step].std() == pytest.approx(1.0, abs=0.25)
  assert found.std() == pytest.approx(1.0, abs=0.1)
  power = np.abs(np.fft.rfft(found[:, :256], axis=1)) ** 2
  octaves = [power[:, low : 2 * low].sum(1).mean() for low in (4, 8, 16, 32)]
  np.testing.assert_allclose(octaves / np.mean(octaves), 1.0, atol=0.2)
  # Of white noise each has twice as much as the one before.
  assert np.abs(np.corrcoef(found[:, 5].T)[0, 1]) < 0.5


def test_pink_noise_begins_anew_with_an_episode_and_is_of_each_member():
  found = pink()

  def alike(one, other):
    return np.corrcoef(found[:, one].ravel(), found[:, other].ravel())[0, 1]

  assert alike(100, 101) > 0.4 and alike(100, 104) > 0.2
  assert abs(alike(299, 300)) < 0.3
  members = np.corrcoef(found[:, :300, 0])
  assert np.abs(members - np.eye(60)).mean() < 0.3


def test_noise_without_deviation_or_of_choices_keeps_nothing():
  discrete = Spec(actions=3, discrete=True)
  for noise in (
    exploration.Noise(0.0, 'pink', Spec(actions=3)),
    exploration.Noise(0.5, 'white', Spec(actions=3)),
    exploration.Noise(0.5, 'pink', discrete),
  ):
    assert noise.initial(2) == {} and noise.kept({'action': 1}) == {}
  action = tf.one_hot([0, 1] * 20, 3)
  found, kept = noise.add(action, {}, tf.fill([40], True), SEED)
  np.testing.assert_array_equal(
    found, exploration.add_noise(action, 0.5, SEED, True)
  )
  assert kept == {}


def test_another_color_is_refused():
  with pytest.raises(errors.OptionError, match="'red'.*white.*pink"):
    exploration.Noise(0.1, 'red', Spec(actions=1))
