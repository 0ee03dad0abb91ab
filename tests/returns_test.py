import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import returns

REWARD = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]], np.float32)
DISCOUNT = np.array([[0.5, 0.5, 0.5], [1.0, 0.0, 0.5]], np.float32)
VALUE = np.array([[10.0, 20.0, 40.0], [3.0, 5.0, 8.0]], np.float32)


@pytest.mark.parametrize(
  'lambda_,golden',
  [
    # One step: r + d v.
    (0.0, [[6, 12, 23], [3, 0, 8]]),
    # To the end: 3 + 0.5 * 40 = 23, 2 + 0.5 * 23, 1 + 0.5 * 13.5.
    (1.0, [[7.75, 13.5, 23], [0, 0, 8]]),
    # 2 + 0.5 (0.5 * 20 + 0.5 * 23), 1 + 0.5 (0.5 * 10 + 0.5 * 12.75).
    (0.5, [[6.6875, 12.75, 23], [1.5, 0, 8]]),
  ],
)
def test_lambda_return_of_hand_worked_numbers(lambda_, golden):
  found = returns.lambda_return(
    tf.constant(REWARD), tf.constant(DISCOUNT), tf.constant(VALUE), lambda_
  )
  np.testing.assert_allclose(found, golden, rtol=1e-6)


def test_lambda_return_is_the_mean_of_all_n_step_returns():
  """Sutton and Barto (2018), equation 12.3, of a finite horizon."""
  random = np.random.default_rng(0)
  reward, discount, value = random.uniform(0.1, 1, [3, 2, 6])
  lambda_, count = 0.7, 6
  golden = np.zeros([2, count])
  for start in range(count):
    for end in range(start, count):
      total, weight = 0.0, 1.0
      for step in range(start, end + 1):
        total = total + weight * reward[:, step]
        weight = weight * discount[:, step]
      steps = end - start
      share = lambda_**steps * (1 - lambda_ if end < count - 1 else 1)
      golden[:, start] += share * (total + weight * value[:, end])
  found = returns.lambda_return(
    *map(tf.constant, (reward, discount, value)), lambda_
  )
  np.testing.assert_allclose(found, golden, rtol=1e-6)


# ------------------------------------------------------------ percentiles ----


def test_percentiles_are_those_of_numpy_of_what_counts():
  random = np.random.default_rng(0)
  values = random.normal(size=[3, 7]).astype(np.float32)
  weight = (random.uniform(size=[3, 7]) < 0.6).astype(np.float32)
  shares = [0.0, 0.25, 0.5, 1.0]
  found = returns.percentiles(tf.constant(values), tf.constant(weight), shares)
  golden = np.percentile(
    values[weight > 0], 100 * np.array(shares), method='nearest'
  )
  np.testing.assert_array_equal(found, golden)


def test_percentiles_of_nothing_are_nan():
  found = returns.percentiles(tf.ones([2, 3]), tf.zeros([2, 3]), [0.1, 0.9])
  assert found.shape == [2] and np.isnan(found).all()


# ------------------------------------------------------------------ scale ----

# The 5th and the 95th percentile are -0.9 and 0.9.
VALUES = tf.linspace(-1.0, 1.0, 41)
ONES = tf.ones([41])


def range_of(scale):
  (variable,) = scale.variables
  assert variable.path.endswith('return_scale/range')
  return variable.numpy()


def test_the_scale_is_the_spread_averaged_over_updates():
  scale = returns.ReturnScale(0.001, 0.75)
  found = scale.update(VALUES, ONES, True)
  np.testing.assert_allclose(range_of(scale), [-0.9, 0.9], rtol=1e-6)
  assert float(found) == pytest.approx(1.8)
  # The second time counts a quarter.
  found = scale.update(VALUES + 10.0, ONES, True)
  np.testing.assert_allclose(range_of(scale), [1.6, 3.4], rtol=1e-5)
  assert float(found) == pytest.approx(1.8)


def test_there_is_a_least_scale_and_0_is_none():
  assert float(returns.ReturnScale(5.0, 0.9).update(VALUES, ONES, True)) == 5
  scale = returns.ReturnScale(0.0, 0.9)
  assert float(scale.update(100 * VALUES, ONES, True)) == 1
  np.testing.assert_array_equal(range_of(scale), 0)


def test_what_has_no_weight_does_not_count():
  scale = returns.ReturnScale(0.001, 0.9)
  values = tf.concat([VALUES, [900.0] * 9], 0)
  weight = tf.concat([ONES, tf.zeros([9])], 0)
  assert float(scale.update(values, weight, True)) == pytest.approx(1.8)
  # Of nothing there is no spread, and the one before stays.
  assert float(scale.update(values, 0.0 * weight, True)) == pytest.approx(1.8)
  np.testing.assert_allclose(range_of(scale), [-0.9, 0.9], rtol=1e-6)


@pytest.mark.parametrize(
  'values,enabled', [(VALUES * np.nan, True), (VALUES * 2, False)]
)
def test_neither_nan_nor_what_is_not_enabled_moves_it(values, enabled):
  scale = returns.ReturnScale(0.001, 0.9)
  scale.update(VALUES, ONES, True)
  found = scale.update(values, ONES, tf.constant(enabled))
  assert float(found) == pytest.approx(1.8)
  np.testing.assert_allclose(range_of(scale), [-0.9, 0.9], rtol=1e-6)


def test_the_scale_has_no_gradient():
  with tf.GradientTape() as tape:
    tape.watch(VALUES)
    found = returns.ReturnScale(0.001, 0.9).update(VALUES, ONES, True)
  assert tape.gradient(found, VALUES) is None
