import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import errors
from worldmodels import latents
from worldmodels import losses

S, C = 2, 3


def categorical(unimix=0.0):
  return latents.Categorical(S, C, unimix)


def statistics(*lead, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[*lead, S * C]), tf.float32)


def test_logits_are_normalized_and_mixed_with_the_uniform():
  # Probabilities 1/2, 1/4, 1/4, and nearly 1, 0, 0; a tenth is uniform.
  raw = tf.constant([[np.log(2), 0, 0, 50, 0, 0]], tf.float32)
  parts = categorical(0.1).state(raw, tf.zeros([1, S, C]))
  golden = np.array([[0.45, 0.225, 0.225], [0.9, 0, 0]]) + 0.1 / 3
  np.testing.assert_allclose(np.exp(parts['logits'][0]), golden, atol=1e-6)


@pytest.mark.parametrize('unimix', [0.0, 0.2])
def test_draws_have_the_probabilities_that_are_told(unimix):
  latent = categorical(unimix)
  raw = tf.repeat(statistics(2), 20_000, axis=0)  # Unlike members.
  (noise,) = latent.noise([3, 4], [40_000], 1)
  parts = latent.state(raw, noise)
  drawn = tf.reshape(parts['stoch'], [2, 20_000, S, C])
  np.testing.assert_allclose(
    tf.reduce_mean(drawn, 1),
    np.exp(tf.reshape(parts['logits'], [2, 20_000, S, C])[:, 0]),
    atol=0.015,
  )
  np.testing.assert_allclose(tf.reduce_max(drawn, -1), 1, atol=1e-6)
  np.testing.assert_allclose(tf.reduce_sum(drawn, -1), 1, atol=1e-6)


def test_without_a_seed_the_likeliest_class_is_taken():
  latent = categorical()
  (noise,) = latent.noise(None, [5], 1)
  parts = latent.state(statistics(5), noise)
  np.testing.assert_array_equal(
    tf.argmax(tf.reshape(parts['stoch'], [5, S, C]), -1),
    tf.argmax(tf.reshape(statistics(5), [5, S, C]), -1),
  )


def test_the_gradient_of_a_draw_is_that_of_the_probabilities():
  latent, raw = categorical(0.1), tf.Variable(statistics(4))
  (noise,) = latent.noise([1, 2], [4], 1)
  weight = tf.constant(np.random.default_rng(1).normal(size=[4, S * C]))
  weight = tf.cast(weight, tf.float32)
  with tf.GradientTape(persistent=True) as tape:
    parts = latent.state(raw.value(), noise)
    drawn = tf.reduce_sum(weight * parts['stoch'])
    smooth = tf.reduce_sum(
      weight * tf.reshape(tf.exp(parts['logits']), [4, S * C])
    )
  np.testing.assert_allclose(
    tape.gradient(drawn, raw), tape.gradient(smooth, raw), atol=1e-6
  )


def test_categorical_kl_of_hand_worked_numbers():
  a = np.log([[[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]])
  b = np.log([[[0.25, 0.5, 0.25], [0.2, 0.2, 0.6]]])
  # 0.5 ln 2 - 0.25 ln 2, and ln 5 - 2/3 ln 3 - ... worked out below.
  golden = 0.25 * np.log(2)
  golden += (2 * np.log(5 / 3) + np.log(5 / 9)) / 3
  found = losses.categorical_kl(tf.constant(a), tf.constant(b))
  np.testing.assert_allclose(found, [golden], rtol=1e-6)


def test_categorical_kl_is_that_of_the_distributions():
  latent = categorical(0.05)
  states = [
    latent.state(statistics(3, 4, seed=seed), tf.zeros([3, 4, S, C]))
    for seed in (1, 2)
  ]
  made = [tfp.distributions.Categorical(x['logits']) for x in states]
  np.testing.assert_allclose(
    latent.divergence(*states),
    tf.reduce_sum(tfp.distributions.kl_divergence(*made), -1),
    rtol=1e-4,
    atol=1e-6,
  )


# --------------------------------------------------------- all the latents ----

LATENTS = {
  'gaussian': {'stoch', 'mean', 'std'},
  'deterministic': {'stoch', 'mean', 'std'},
  'categorical': {'stoch', 'logits'},
}


def load(name, **options):
  options = dict(stoch=S, min_std=0.1, classes=C, unimix=0.01) | options
  return latents.load(name, **options)


def outputs(latent, *lead, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[*lead, latent.outputs]), tf.float32)


def test_every_latent_is_here():
  assert tuple(LATENTS) == latents.LATENTS
  with pytest.raises(
    errors.OptionError, match="^latent is 'gauss'; it is one of gaussian, det"
  ):
    load('gauss')


@pytest.mark.parametrize('name', LATENTS)
def test_initial_is_all_zero_and_has_the_parts_of_a_state(name):
  latent = load(name)
  initial = latent.initial(4)
  noise, _ = latent.noise(tf.constant([1, 2]), [4], 2)
  state = latent.state(outputs(latent, 4), noise)
  assert initial.keys() == state.keys() == LATENTS[name]
  for key, value in initial.items():
    assert value.shape == state[key].shape, key
    assert not np.any(value)
  assert state['stoch'].shape == [4, latent.size]


@pytest.mark.parametrize('name', LATENTS)
def test_any_leading_axes_and_every_member_for_itself(name):
  latent, raw = load(name), outputs(load(name), 2, 3)
  (noise,) = latent.noise(tf.constant([1, 2]), [2, 3], 1)
  whole = latent.state(raw, noise)
  for b, t in np.ndindex(2, 3):
    alone = latent.state(raw[b, t], noise[b, t])
    for key, value in alone.items():
      np.testing.assert_allclose(whole[key][b, t], value, atol=1e-6)


@pytest.mark.parametrize('name', ['gaussian', 'categorical'])
def test_noise_is_the_seeds_and_unlike_everywhere(name):
  latent, seed = load(name), tf.constant([1, 2])
  one, other = latent.noise(seed, [3, 4], 2)
  assert np.unique(np.stack([one, other])).size == 2 * one.numpy().size
  again, _ = latent.noise(seed, [3, 4], 2)
  np.testing.assert_array_equal(one, again)
  different, _ = latent.noise(tf.constant([1, 3]), [3, 4], 2)
  assert np.abs(one - different).min() > 0
  for zeros in latent.noise(None, [3, 4], 2):
    np.testing.assert_array_equal(zeros, np.zeros_like(one))


@pytest.mark.parametrize('name', LATENTS)
def test_divergence_is_zero_of_the_same_and_never_less(name):
  latent = load(name)
  zeros = latent.noise(None, [3, 4], 1)[0]
  one, other = (
    latent.state(outputs(latent, 3, 4, seed=seed), zeros) for seed in (1, 2)
  )
  assert latent.divergence(one, other).shape == [3, 4]
  np.testing.assert_allclose(latent.divergence(one, one), 0, atol=1e-6)
  assert np.min(latent.divergence(one, other)) > 0.01
  # It is of what is known, not of what was drawn.
  noise = latent.noise(tf.constant([1, 2]), [3, 4], 1)[0]
  drawn = latent.state(outputs(latent, 3, 4, seed=1), noise)
  np.testing.assert_allclose(
    latent.divergence(drawn, other), latent.divergence(one, other), rtol=1e-5
  )


# --------------------------------------------------------------- gaussians ----


def test_a_gaussian_is_its_mean_and_noise_times_its_deviation():
  latent = load('gaussian', min_std=0.3)
  raw = tf.constant([[1.0, -2.0, -9.0, 0.0]])
  state = latent.state(raw, tf.constant([[0.5, -1.0]]))
  std = np.log1p(np.exp([-9.0, 0.0])) + 0.3
  np.testing.assert_allclose(state['mean'], [[1, -2]])
  np.testing.assert_allclose(state['std'], [std], rtol=1e-5)
  np.testing.assert_allclose(
    state['stoch'], [[1 + 0.5 * std[0], -2 - std[1]]], rtol=1e-5
  )


def test_the_divergence_of_gaussians_is_that_of_the_distributions():
  latent = load('gaussian')
  states = [
    latent.state(outputs(latent, 3, 4, seed=seed), tf.zeros([3, 4, S]))
    for seed in (1, 2)
  ]
  made = [
    tfp.distributions.MultivariateNormalDiag(x['mean'], x['std'])
    for x in states
  ]
  np.testing.assert_allclose(
    latent.divergence(*states),
    tfp.distributions.kl_divergence(*made),
    rtol=1e-4,
  )


def test_a_deterministic_state_draws_nothing():
  latent = load('deterministic')
  raw = outputs(latent, 3)
  (noise,) = latent.noise(tf.constant([1, 2]), [3], 1)
  state = latent.state(raw, noise)
  np.testing.assert_array_equal(state['stoch'], raw[:, :S])
  np.testing.assert_array_equal(state['mean'], raw[:, :S])
  np.testing.assert_array_equal(state['std'], np.ones([3, S]))
  # Half the squared distance.
  other = latent.state(raw + 2.0, noise)
  np.testing.assert_allclose(
    latent.divergence(state, other), [0.5 * 4 * S] * 3, rtol=1e-5
  )
