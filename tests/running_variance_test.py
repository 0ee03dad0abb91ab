"""The variance of many batches, and not that of one."""

import numpy as np
import tensorflow as tf

from worldmodels.running_variance import RunningVariance
from worldmodels.running_variance import Units
from worldmodels.spec import Spec

B, T = 3, 8


def update(variance, values, mask=None):
  mask = np.ones([B, T]) if mask is None else mask
  variance.update(
    tf.constant(values, tf.float32), tf.constant(mask, tf.float32)
  )


def test_of_one_batch_it_is_its_own():
  random, variance = np.random.default_rng(0), RunningVariance((2,), 'variance')
  assert float(variance.value()) == 0.0
  mask = random.uniform(size=[B, T]) < 0.7
  values = random.normal([3.0, -1.0], [0.5, 4.0], [B, T, 2])
  expected = values[mask].var(0).mean()
  update(variance, np.where(mask[..., None], values, 900.0), mask)
  np.testing.assert_allclose(variance.value(), expected, rtol=1e-4)


def test_of_rare_rewards_it_is_that_of_all_batches():
  variance, found = RunningVariance((), 'variance'), []
  for number in range(400):
    values = np.zeros([B, T])
    if number % 10 == 9:
      values[0] = 6.0
    update(variance, values)
    found.append(float(variance.value()))
  # A thirtieth of the steps have 6; a batch by itself has 0 or 8.
  golden = 36 / 30 - (6 / 30) ** 2
  np.testing.assert_allclose(found[-20:], golden, rtol=0.1)


def test_what_is_long_ago_is_forgotten():
  variance = RunningVariance((), 'variance')
  values = np.tile([-1.0, 1.0], [B, T // 2])
  for scale in (10.0, 1.0):
    for _ in range(1000):
      update(variance, scale * values + 5.0)
  np.testing.assert_allclose(variance.value(), 1.0, rtol=0.02)


def test_a_batch_that_is_not_finite_changes_nothing():
  variance = RunningVariance((), 'variance')
  update(variance, np.arange(B * T).reshape(B, T))
  before = [x.numpy() for x in variance.variables]
  for wrong in (np.nan, np.inf, 1e30):
    update(variance, np.full([B, T], wrong))
  for variable, value in zip(variance.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


def test_a_key_may_have_a_slash():
  """As vectors of dm_control.composer have it."""
  spec = Spec(actions=1, image=None, vectors={'walker/pos': 3})
  units = Units({'walker/pos': 0.1}, spec)
  values = tf.constant([[[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]])
  units.update({'walker/pos': values, 'mask': tf.ones([1, 2])})
  assert np.isfinite(units.of('walker/pos'))
  assert all('/' not in x.name for x in units.variables)
