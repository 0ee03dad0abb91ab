import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import distributions

BINS = tf.constant([-10.0, -1.0, 0.0, 1.0, 10.0])


def test_symlog_of_hand_worked_numbers():
  e = np.e
  x = tf.constant([0.0, e - 1, 1 - e, e**3 - 1, 1e-4])
  np.testing.assert_allclose(
    distributions.symlog(x), [0, 1, -1, 3, 1e-4], rtol=1e-4, atol=1e-7
  )


def test_symexp_is_the_inverse():
  x = tf.constant([-1e6, -3.0, -1e-3, 0.0, 0.5, 700.0])
  np.testing.assert_allclose(
    distributions.symexp(distributions.symlog(x)), x, rtol=1e-5, atol=1e-9
  )


@pytest.mark.parametrize(
  'value,golden',
  [
    (-10.0, [1, 0, 0, 0, 0]),
    (0.0, [0, 0, 1, 0, 0]),
    (10.0, [0, 0, 0, 0, 1]),
    (0.25, [0, 0, 0.75, 0.25, 0]),
    (5.5, [0, 0, 0, 0.5, 0.5]),
    (-3.25, [0.25, 0.75, 0, 0, 0]),
    (99.0, [0, 0, 0, 0, 1]),  # Past the end.
    (-99.0, [1, 0, 0, 0, 0]),
  ],
)
def test_two_hot_of_hand_worked_numbers(value, golden):
  found = distributions.two_hot(tf.constant([[value], [0.0]]), BINS)
  assert found.shape == [2, 1, 5]
  np.testing.assert_allclose(found[0, 0], golden, atol=1e-6)
  np.testing.assert_allclose(found[1, 0], [0, 0, 1, 0, 0], atol=1e-6)


def test_the_mean_of_a_two_hot_is_the_number():
  random = np.random.default_rng(0)
  values = tf.constant(random.uniform(-10, 10, [4, 50]), tf.float32)
  weights = distributions.two_hot(values, BINS)
  np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1, atol=1e-6)
  logits = tf.math.log(weights + 1e-20)
  np.testing.assert_allclose(
    distributions.TwoHot(logits, BINS).mean(), values, rtol=1e-4, atol=1e-4
  )


def test_log_prob_is_the_cross_entropy():
  logits = tf.constant([[0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
  found = distributions.TwoHot(logits, BINS).log_prob(tf.constant([0.25, 10.0]))
  row = np.exp([0, 1, 2, 3, 4]) / np.exp([0, 1, 2, 3, 4]).sum()
  golden = [0.75 * np.log(row[2]) + 0.25 * np.log(row[3]), np.log(0.2)]
  np.testing.assert_allclose(found, golden, rtol=1e-5)


def test_large_bins_leave_no_rounding_error_where_0_should_be():
  bins = distributions.exponential_bins(255, 20.0)
  np.testing.assert_allclose(
    distributions.symlog(bins), np.linspace(-20, 20, 255), atol=1e-4
  )
  even = distributions.TwoHot(tf.zeros([2, 255]), bins)
  assert abs(float(even.mean()[0])) < 1e-3
  # Bins that are not quite symmetric do leave one: this test can fail.
  uneven = distributions.symexp(tf.linspace(-20.0, 20.0, 255))
  assert abs(float(distributions.TwoHot(tf.zeros([255]), uneven).mean())) > 1e-3


def test_symlog_distribution_is_of_the_symlog():
  inner = tfp.distributions.Normal([1.0, -2.0], 1.0)
  found = distributions.Symlog(inner, distributions.symexp(inner.mean()))
  values = distributions.symexp(tf.constant([1.0, -1.0]))
  constant = -0.5 * np.log(2 * np.pi)
  np.testing.assert_allclose(
    found.log_prob(values), [constant, constant - 0.5], rtol=1e-5
  )
  np.testing.assert_allclose(found.mean(), [np.e - 1, 1 - np.exp(2)], rtol=1e-5)
