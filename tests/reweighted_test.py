"""A model with other weights is what a copy with these weights is."""

import batches
import numpy as np
import pytest
import tensorflow as tf

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
