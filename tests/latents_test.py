"""The categorical kind; rssm_test has the Gaussian ones."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import latents
from worldmodels import losses
from worldmodels import rssm

S, C = 2, 3


def categorical(unimix=0.0):
  return latents.Categorical(S, C, unimix)


def statistics(*lead, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[*lead, S * C]), tf.float32)


def test_logits_are_normalized_and_mixed_with_the_uniform():
  # Probabilities 1/2, 1/4, 1/4, and nearly 1, 0, 0; a tenth is uniform.
  raw = tf.constant([[np.log(2), 0, 0, 50, 0, 0]], tf.float32)
  parts = categorical(0.1).parts(raw, tf.zeros([1, S, C]))
  golden = np.array([[0.45, 0.225, 0.225], [0.9, 0, 0]]) + 0.1 / 3
  np.testing.assert_allclose(np.exp(parts['logits'][0]), golden, atol=1e-6)


@pytest.mark.parametrize('unimix', [0.0, 0.2])
def test_draws_have_the_probabilities_that_are_told(unimix):
  latent = categorical(unimix)
  raw = tf.repeat(statistics(2), 20_000, axis=0)  # Unlike members.
  (noise,) = latent.noise([3, 4], [40_000], 1)
  parts = latent.parts(raw, noise)
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
  parts = latent.parts(statistics(5), noise)
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
    parts = latent.parts(raw.value(), noise)
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
    latent.parts(statistics(3, 4, seed=seed), tf.zeros([3, 4, S, C]))
    for seed in (1, 2)
  ]
  made = [tfp.distributions.Categorical(x['logits']) for x in states]
  np.testing.assert_allclose(
    losses.state_kl(*states),
    tf.reduce_sum(tfp.distributions.kl_divergence(*made), -1),
    rtol=1e-4,
    atol=1e-6,
  )


def model():
  return rssm.RSSM(
    embed=3, actions=2, deter=4, stoch=S, classes=C, hidden=5,
    kind='categorical', cell='layer_norm_gru', activation='elu',
  )


def chunk(batch=3, steps=6):
  random = np.random.default_rng(0)
  first = np.zeros([batch, steps], bool)
  first[:, 0] = True
  first[1, 3] = True
  return dict(
    embed=tf.constant(random.normal(size=[batch, steps, 3]), tf.float32),
    action=tf.constant(random.uniform(-1, 1, [batch, steps, 2]), tf.float32),
    is_first=tf.constant(first),
  )


def test_the_rssm_observes_as_a_chain_of_steps():
  made, data = model(), chunk()
  posterior, prior = made.observe(**data)
  state = made.initial(3)
  assert posterior.keys() == state.keys() == {'deter', 'stoch', 'logits'}
  for t in range(6):
    state, before = made.observe_step(
      state, data['embed'][:, t], data['action'][:, t], data['is_first'][:, t]
    )
    for key in state:
      np.testing.assert_allclose(posterior[key][:, t], state[key], atol=1e-5)
      np.testing.assert_allclose(prior[key][:, t], before[key], atol=1e-5)
  assert made.size == 4 + S * C
  assert made.features(posterior).shape == [3, 6, made.size]


def test_the_rssm_imagines_on_from_what_it_observed():
  made, data = model(), chunk()
  posterior, _ = made.observe(**data)
  last = {key: value[:, 2] for key, value in posterior.items()}
  states = made.imagine(last, data['action'][:, 3:])
  step = last
  for t in range(3):
    step = made.imagine_step(step, data['action'][:, 3 + t])
    for key in step:
      np.testing.assert_allclose(states[key][:, t], step[key], atol=1e-5)


def test_every_variable_of_the_rssm_gets_a_gradient():
  made, data = model(), chunk()
  with tf.GradientTape() as tape:
    posterior, prior = made.observe(**data, seed=[1, 2])
    loss = tf.reduce_sum(losses.state_kl(posterior, prior)) + tf.reduce_sum(
      tf.square(made.features(posterior) + 0.3)
    )
  variables = made.trainable_variables
  for variable, gradient in zip(
    variables, tape.gradient(loss, [x.value for x in variables])
  ):
    assert np.abs(gradient).max() > 0, variable.path
