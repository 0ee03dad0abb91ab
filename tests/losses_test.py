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


def divergence(posterior, prior):
  """KL(posterior || prior) of states that are Gaussian."""
  return losses.gaussian_kl(
    posterior['mean'], posterior['std'], prior['mean'], prior['std']
  )


def gradients(posterior, prior, **options):
  """(loss, kl, gradients by the means of posterior and prior) of kl_loss."""
  with tf.GradientTape() as tape:
    loss, kl = losses.kl_loss(divergence, posterior, prior, **options)
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
    kl = divergence(posterior, prior)
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
    together = losses.kl_loss(divergence, state(a, s), state(b, r), free=free)[
      0
    ]
    alone = [
      losses.kl_loss(
        divergence,
        state(a[i : i + 1], s[i : i + 1]),
        state(b[i : i + 1], r[i : i + 1]),
        free=free,
      )[0]
      for i in range(3)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5)


def test_an_unknown_form_of_free_nats_is_named():
  with pytest.raises(ValueError, match="'stp'; it is one of step, mean, s"):
    losses.kl_loss(divergence, state([[[1]]]), state([[[0]]]), free='stp')


def test_masked_mean():
  values = tf.constant([[1.0, 2.0, 99.0], [3.0, 99.0, 99.0]])
  mask = tf.constant([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
  assert float(losses.masked_mean(values, mask)) == pytest.approx(2.0)
  assert float(losses.masked_mean(values, tf.zeros_like(mask))) == 0.0


def test_the_divergence_of_any_states_is_balanced():
  """Nothing is known of a state but what `divergence` says."""
  posterior = {'inner': {'logits': tf.Variable([[[0.5], [-1.0]]])}}
  prior = {'inner': {'logits': tf.Variable([[[0.0], [1.0]]])}}
  logits = lambda state: tf.identity(state['inner']['logits'])  # noqa: E731

  def distance(one, other):
    return tf.reduce_sum(tf.square(logits(one) - logits(other)), -1)

  with tf.GradientTape() as tape:
    identity = lambda state: tf.nest.map_structure(tf.identity, state)  # noqa: E731
    loss, kl = losses.kl_loss(
      distance,
      identity(posterior),
      identity(prior),
      free_nats=0.0,
      prior_scale=1.0,
      posterior_scale=0.25,
    )
    total = tf.reduce_sum(loss)
  by = tape.gradient(total, tf.nest.flatten([posterior, prior]))
  np.testing.assert_allclose(kl, [[0.25, 4]])
  np.testing.assert_allclose(loss, [[0.25, 4]])
  np.testing.assert_allclose(by[0], [[[0.25], [-1.0]]])
  np.testing.assert_allclose(by[1], [[[-1.0], [4.0]]])


# ------------------------------------------------------ a share of the steps


def squares(features, values):
  return tf.square(features[:, 0] - values)


FEATURES = tf.reshape(tf.range(12.0), [2, 6, 1])
VALUES = tf.zeros([2, 6])


@pytest.mark.parametrize('share', [1.0, 2.5])
def test_all_of_the_steps_are_taken_as_they_are(share):
  seen = []

  def loss(features, values):
    seen.append((features, values))
    return tf.reduce_sum(features, -1) + values

  seed = tf.constant([0, 1])
  found = losses.of_some(loss, FEATURES, VALUES, share, seed)
  np.testing.assert_array_equal(found, FEATURES[..., 0])
  assert seen[0][0] is FEATURES and seen[0][1] is VALUES


def test_a_share_is_unbiased_and_every_step_has_its_own_values():
  values = -2.0 * FEATURES[..., 0]
  golden = np.square(FEATURES[..., 0] - values)
  found = np.stack(
    [
      losses.of_some(squares, FEATURES, values, 0.25, tf.constant([0, seed]))
      for seed in range(300)
    ]
  )
  chosen = found != 0
  # 3 of 12; the first costs nothing, so it is not seen to be chosen.
  assert set(chosen.sum((1, 2))) == {2, 3}
  scaled = np.broadcast_to(golden * 4, found.shape)
  np.testing.assert_allclose(found[chosen], scaled[chosen], rtol=1e-6)
  often = chosen.mean(0).ravel()[1:]
  # Four standard deviations of a mean of 300.
  assert np.abs(often - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 300)


def test_the_number_of_those_chosen_is_known_if_that_of_all_is():
  sizes = []

  def loss(features, values):
    sizes.append(values.shape[0])
    return squares(features, values)

  run = tf.function(
    lambda features, values: losses.of_some(
      loss, features, values, 0.25, tf.constant([0, 1])
    )
  )
  known = run(FEATURES, VALUES)
  unknown = tf.function(
    run.python_function,
    input_signature=[
      tf.TensorSpec([None, None, 1]),
      tf.TensorSpec([None, None]),
    ],
  )(FEATURES, VALUES)
  assert sizes == [3, None]
  np.testing.assert_allclose(known, unknown)


@pytest.mark.parametrize(
  'count,share,golden',
  [
    (256, 0.25, 64),
    (10, 0.25, 3),
    (1248, 0.25 / 6, 52),  # Which rounding makes a little more.
    (1, 0.01, 1),
  ],
)
def test_a_share_is_rounded_up(count, share, golden):
  assert losses.count_of(count, share) == golden
