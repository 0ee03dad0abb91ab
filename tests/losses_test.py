import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import losses

tfd = tfp.distributions


def state(mean, std=1.0):
  """A state of the means [B, T, S] given, as a dict of variables."""
  mean = np.asarray(mean, np.float32)
  std = np.broadcast_to(np.asarray(std, np.float32), mean.shape)
  return {'mean': tf.Variable(mean), 'std': tf.Variable(std)}


def gradients(posterior, prior, **options):
  """(loss, kl, gradients by the means of posterior and prior) of kl_loss."""
  with tf.GradientTape() as tape:
    loss, kl = losses.kl_loss(posterior, prior, **options)
    total = tf.reduce_sum(loss)
  by = tape.gradient(total, [posterior['mean'], prior['mean']])
  return loss.numpy(), kl.numpy(), *(x.numpy()[..., 0] for x in by)


# KL(N(a, s) || N(b, r)) = log(r / s) + (s^2 + (a - b)^2) / (2 r^2) - 1 / 2.
@pytest.mark.parametrize(
  'mean_a,std_a,mean_b,std_b,golden',
  [
    (0, 1, 0, 1, 0.0),
    (1, 1, 0, 1, 0.5),
    (0, 2, 0, 1, 0.8068528),  # 2 - 1/2 - log 2
    (0, 1, 0, 2, 0.3181472),  # log 2 + 1/8 - 1/2
    (3, 2, 1, 4, 0.4431472),  # log 2 + (4 + 4) / 32 - 1/2
  ],
)
def test_gaussian_kl_of_hand_worked_numbers(
  mean_a, std_a, mean_b, std_b, golden
):
  shape = [2, 3, 4]  # The last axis is summed.
  values = [tf.fill(shape, float(x)) for x in (mean_a, std_a, mean_b, std_b)]
  kl = losses.gaussian_kl(*values)
  assert kl.shape == [2, 3]
  np.testing.assert_allclose(kl, np.full([2, 3], 4 * golden), atol=1e-5)


def test_gaussian_kl_is_that_of_the_distributions():
  random = np.random.default_rng(0)
  a, b = random.normal(size=[2, 3, 2, 5]).astype(np.float32)
  s, r = random.uniform(0.1, 2, [2, 3, 2, 5]).astype(np.float32)
  truth = tfd.MultivariateNormalDiag(a, s).kl_divergence(
    tfd.MultivariateNormalDiag(b, r)
  )
  np.testing.assert_allclose(
    losses.gaussian_kl(a, s, b, r), truth, rtol=1e-4, atol=1e-5
  )


# Posterior means 1 and 3 against 0, all stds 1: KLs of 0.5 and 4.5 nats, whose
# gradients by the posterior's mean are 1 and 3, by the prior's -1 and -3.
@pytest.mark.parametrize(
  'options,loss,posterior,prior',
  [
    (dict(free_nats=0.0), [0.5, 4.5], [1, 3], [-1, -3]),
    (dict(free_nats=3.0), [0.0, 1.5], [0, 3], [0, -3]),
    (dict(free_nats=5.0), [0.0, 0.0], [0, 0], [0, 0]),
    (dict(free_nats=3.0, free='mean'), [3.0, 3.0], [0, 0], [0, 0]),
    (dict(free_nats=2.0, free='mean'), [2.5, 2.5], [1, 3], [-1, -3]),
    (dict(free_nats=3.0, free='side'), [6.0, 9.0], [0, 3], [0, -3]),
    (
      dict(free_nats=0.0, prior_scale=0.8, posterior_scale=0.2),
      [0.4, 3.6],
      [0.2, 0.6],
      [-0.8, -2.4],
    ),
    (
      dict(free_nats=3.0, prior_scale=1.0, posterior_scale=0.1),
      [0.0, 1.5],
      [0, 0.3],
      [0, -3],
    ),
    (
      dict(free_nats=2.0, free='mean', prior_scale=1.0, posterior_scale=0.1),
      [2.5, 2.5],
      [0.1, 0.3],
      [-1, -3],
    ),
    (
      dict(free_nats=3.0, free='side', prior_scale=0.5, posterior_scale=0.1),
      [1.8, 2.7],
      [0, 0.3],
      [0, -1.5],
    ),
  ],
)
def test_free_nats_and_balance_by_hand(options, loss, posterior, prior):
  found = gradients(state([[[1], [3]]]), state([[[0], [0]]]), **options)
  np.testing.assert_allclose(found[0], [loss], atol=1e-6)
  np.testing.assert_allclose(found[1], [[0.5, 4.5]], atol=1e-6)
  np.testing.assert_allclose(found[2], [posterior], atol=1e-6)
  np.testing.assert_allclose(found[3], [prior], atol=1e-6)


def test_the_published_gradient_of_step_is_that_of_the_paper():
  # PlaNet's paper has max(free, KL), its code max(KL - free, 0).
  random = np.random.default_rng(1)
  mean = random.normal(scale=2, size=[3, 4, 1])
  posterior, prior = state(mean), state(-mean)
  found = gradients(posterior, prior, free_nats=3.0)
  with tf.GradientTape() as tape:
    kl = losses.state_kl(posterior, prior)
    loss = tf.reduce_sum(tf.maximum(kl, 3.0))
  by = tape.gradient(loss, [posterior['mean'], prior['mean']])
  np.testing.assert_allclose(found[2], by[0][..., 0], atol=1e-5)
  np.testing.assert_allclose(found[3], by[1][..., 0], atol=1e-5)
  np.testing.assert_allclose(found[0], np.maximum(kl - 3.0, 0), atol=1e-5)


def test_free_nats_of_the_mean_are_not_paid_by_padding():
  posterior, prior = state([[[1], [3], [20]]]), state([[[0], [0], [0]]])
  mask = tf.constant([[1.0, 1.0, 0.0]])
  loss, _, by_posterior, _ = gradients(
    posterior, prior, free_nats=3.0, free='mean', mask=mask
  )
  np.testing.assert_allclose(loss[:, :2], [[3.0, 3.0]], atol=1e-6)
  np.testing.assert_allclose(by_posterior[:, :2], [[0, 0]], atol=1e-6)


def test_unlike_members_do_not_meet():
  random = np.random.default_rng(2)
  a, b = random.normal(size=[2, 3, 4, 2])
  s, r = random.uniform(0.1, 2, [2, 3, 4, 2])
  for free in ('step', 'side'):
    together = losses.kl_loss(state(a, s), state(b, r), free=free)[0]
    alone = [
      losses.kl_loss(
        state(a[i : i + 1], s[i : i + 1]),
        state(b[i : i + 1], r[i : i + 1]),
        free=free,
      )[0]
      for i in range(3)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5)


def test_an_unknown_form_of_free_nats_is_named():
  with pytest.raises(ValueError, match="'stp'; one of step, mean, side"):
    losses.kl_loss(state([[[1]]]), state([[[0]]]), free='stp')


def test_stop_stops_every_gradient():
  posterior, prior = state([[[1]]]), state([[[0]]])
  with tf.GradientTape() as tape:
    kl = losses.state_kl(losses.stop(posterior), prior)
  by = tape.gradient(kl, [*posterior.values(), *prior.values()])
  assert [x is None for x in by] == [True, True, False, False]


def test_masked_mean():
  values = tf.constant([[1.0, 2.0, 99.0], [3.0, 99.0, 99.0]])
  mask = tf.constant([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
  assert float(losses.masked_mean(values, mask)) == pytest.approx(2.0)
  assert float(losses.masked_mean(values, tf.zeros_like(mask))) == 0.0


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
  found = losses.lambda_return(
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
  found = losses.lambda_return(
    *map(tf.constant, (reward, discount, value)), lambda_
  )
  np.testing.assert_allclose(found, golden, rtol=1e-6)
