"""A model with other weights is what a copy with these weights is."""

import batches
import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import reweighted
from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.configs.planet import get_config
from worldmodels.spec import Spec

B, T, A = 2, 5, 2
SPEC = Spec(actions=A)
SEED = tf.constant([1, 2])


@pytest.fixture(scope='module')
def agents():
  """Two agents whose weights differ, and the first with those of the second."""
  config = get_config('debug')
  first, second = (build.agent(config, SPEC) for _ in range(2))
  for variable in second.model.trainable_variables:
    variable.assign(variable + 0.1)
  return first, second


def figures(model):
  """Returns what a model makes of a batch: {name: array}."""
  batch = batches.chunks(SPEC, B, T)
  posterior, prior = model.observe(batch, seed=SEED)
  state = states.flatten(posterior)
  after = model.step(state, tf.fill([B * T, A], 0.5), SEED)
  found = {
    'prior': model.features(prior),
    'reward': model.reward(after),
    'discount': model.discount(after),
    'image': model.image(after),
  }
  return {name: np.asarray(value) for name, value in found.items()}


def test_it_is_a_copy_with_these_weights(agents):
  first, second = agents
  mixed = reweighted.Reweighted(first.model, second.model.trainable_variables)
  before, expected = figures(first.model), figures(second.model)
  for name, value in figures(mixed).items():
    np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)
    assert name == 'discount' or np.abs(value - before[name]).max() > 1e-3
  # The model itself is as before.
  for name, value in figures(first.model).items():
    np.testing.assert_array_equal(value, before[name])


def test_its_layers_have_these_weights_too(agents):
  first, second = agents
  mixed = reweighted.Reweighted(first.model, second.model.trainable_variables)
  state = second.model.initial(B)
  features = tf.random.stateless_normal([B, first.model.features_size], SEED)

  def found(model):
    batch = batches.chunks(SPEC, B, T)
    after = model.dynamics.step(state, tf.fill([B, A], 0.5), SEED)
    return [
      model.encoder(batch),
      model.dynamics.features(after),
      model.head('reward').mean(features),
      model.reward_head.mean(features),
    ]

  for value, expected, before in zip(
    *map(found, (mixed, second.model, first.model)), strict=True
  ):
    np.testing.assert_allclose(value, expected, atol=1e-5)
    assert np.abs(value - before).max() > 1e-3
  assert mixed.dynamics.features_size == first.model.features_size


def test_of_an_ensemble_its_members_are_told_apart():
  config = get_config('debug')
  config.dynamics.update(kind='ensemble', members=3)
  model = build.agent(config, SPEC).model
  random = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(random.normal(scale=0.3, size=variable.shape))
  weights = [keras.Variable(x) for x in model.trainable_variables]
  state, action = model.initial(B), tf.zeros([B, A])
  expected = disagreement.of_rewards(model, state, action)
  for variable in model.trainable_variables:
    variable.assign(tf.zeros_like(variable))
  mixed = reweighted.Reweighted(model, weights)
  found = disagreement.of_rewards(mixed, state, action)
  assert np.abs(found).min() > 0
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gradients_reach_actions_and_no_weights(agents):
  first, second = agents
  weights = second.model.trainable_variables
  mixed = reweighted.Reweighted(first.model, weights)
  action = tf.fill([B, A], 0.5)
  watched = [x.value for x in (*weights, *first.model.trainable_variables)]
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch([action, *watched])
    state = mixed.step(mixed.initial(B), action, SEED)
    total = tf.reduce_sum(mixed.features(state))
  by_action, *by_weights = tape.gradient(total, [action, *watched])
  assert np.abs(by_action).min() > 0
  assert not any(x is not None for x in by_weights)


def test_in_a_graph_it_follows_the_weights(agents):
  first, second = agents
  weights = second.model.trainable_variables
  mixed = reweighted.Reweighted(first.model, weights)
  state, action = mixed.initial(B), tf.fill([B, A], 0.5)

  @tf.function
  def features():
    return mixed.features(mixed.step(state, action, SEED))

  before = features()
  for variable in weights:
    variable.assign(variable + 0.1)
  expected = second.model.features(second.model.step(state, action, SEED))
  np.testing.assert_allclose(features(), expected, atol=1e-5)
  assert np.abs(features() - before).max() > 1e-3
