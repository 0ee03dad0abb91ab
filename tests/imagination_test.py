import numpy as np
import pytest
import tensorflow as tf
from worlds import World

from worldmodels import imagination
from worldmodels import states
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel


@pytest.fixture(scope='module')
def model():
  head = dict(scale=1.0, units=6, layers=1, activation='elu')
  made = WorldModel(
    spec=Spec(actions=2, image=None, vectors={'place': 3}),
    encoder=dict(vector_units=4),
    dynamics=dict(kind='rssm', deter=5, stoch=3, hidden=6, activation='elu'),
    heads={
      'reward': dict(kind='normal', **head),
      'discount': dict(kind='bernoulli', **head),
    },
    kl=dict(scale=1.0),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0),
  )
  random = np.random.default_rng(0)
  for variable in made.trainable_variables:
    variable.assign(random.normal(scale=0.8, size=variable.shape))
  return made


@pytest.fixture(scope='module')
def start(model):
  """Unlike states [3, ...] that the model has been led to."""
  random = np.random.default_rng(1)
  actions = tf.constant(random.uniform(-1, 1, [3, 4, 2]), tf.float32)
  found = model.imagine(model.initial(3), actions, tf.constant([1, 2]))
  return states.at(found, -1)


SEED = tf.constant([1, 2])


def double(features, seed):
  """A policy that anyone can follow: of the features alone."""
  del seed
  return tf.tanh(features[:, :2] + 0.1), features[:, :1]


def test_a_rollout_is_a_chain_of_steps_that_the_policy_chose(model, start):
  found = imagination.rollout(model, double, start, 4, SEED)
  assert found.action.shape == [3, 4, 2]
  assert model.features(found.states).shape == [3, 4, model.features_size]
  now = start
  seeds = tf.reshape(tf.random.split(SEED, 8), [4, 2, 2])
  for step in range(4):
    chosen, made_of = double(model.features(now), None)
    np.testing.assert_allclose(found.action[:, step], chosen, atol=1e-6)
    np.testing.assert_allclose(found.outputs[:, step], made_of, atol=1e-6)
    # An action leads to the state of its own step, which is drawn.
    now = model.step(now, chosen, seeds[step, 1])
    after = states.at(found.states, step)
    tf.nest.map_structure(
      lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5),
      now,
      after,
    )
    mean = model.features(model.step(now, chosen))
    assert np.abs(mean - model.features(after)).max() > 1e-3
  assert np.ptp(found.action, 0).max() > 1e-3


def test_the_seed_of_a_rollout_decides_states_and_actions(model, start):
  def noisy(features, seed):
    shape = [features.shape[0], 2]
    return tf.random.stateless_uniform(shape, seed, -1.0, 1.0), features

  def roll(seed):
    found = imagination.rollout(model, noisy, start, 4, tf.constant(seed))
    return model.features(found.states), found.action

  (features, actions), (again, same) = roll([1, 2]), roll([1, 2])
  np.testing.assert_array_equal(actions, same)
  np.testing.assert_array_equal(features, again)
  other, different = roll([1, 3])
  assert np.abs(actions - different).min() > 0
  assert np.abs(features - other).max(-1).min() > 0
  for step in range(3):  # Each step has noise of its own.
    assert np.abs(actions[:, step] - actions[:, step + 1]).min() > 0


def test_no_two_draws_of_a_rollout_have_the_same_seed():
  class Seeds(World):
    """States are the seeds that they were drawn with."""

    def step(self, state, action, seed=None):
      return {'seed': tf.broadcast_to(seed, [2, 2])}

    def features(self, state):
      return tf.zeros([2, 1])

  def policy(features, seed):
    return features, tf.broadcast_to(seed, [features.shape[0], 2])

  start = {'seed': tf.zeros([2, 2], tf.int32)}
  found = imagination.rollout(Seeds(), policy, start, 5, SEED)
  seeds = np.concatenate([found.states['seed'][0], found.outputs[0]])
  assert len({tuple(seed) for seed in [*seeds, SEED.numpy()]}) == 11


def test_the_draws_of_states_are_not_those_of_actions(model, start):
  """A policy that draws nothing, in a model that does."""
  one = imagination.rollout(model, double, start, 4, SEED)
  other = imagination.rollout(model, double, start, 4, tf.constant([1, 3]))
  np.testing.assert_array_equal(one.action[:, 0], other.action[:, 0])
  far = np.abs(model.features(one.states) - model.features(other.states))
  assert far.max(-1).min() > 0
  # Its first features are those of the recurrence, which is a step behind.
  assert np.abs(one.action - other.action)[:, 2:].min() > 0


def test_gradients_of_a_rollout_go_forward_only(model, start):
  nudge = tf.zeros([3, 4, 2])
  with tf.GradientTape() as tape:
    tape.watch(nudge)
    found = imagination.rollout(model, double, start, 4, SEED, nudge)
    value = tf.reduce_sum(model.reward(found.states)[1, 1])
  by = np.abs(tape.gradient(value, nudge)).max(-1)
  assert by[1, :2].min() > 1e-7  # The actions before the state.
  by[1, :2] = 0
  assert by.max() == 0


def test_an_offset_is_added_to_what_the_policy_chose(model, start):
  plain = imagination.rollout(model, double, start, 4, SEED)
  offset = np.zeros([3, 4, 2], np.float32)
  offset[1, 2] = 0.5
  found = imagination.rollout(
    model, double, start, 4, SEED, tf.constant(offset)
  )
  far = np.abs(found.action - plain.action).max(-1)
  np.testing.assert_allclose(
    found.action[1, 2], plain.action[1, 2] + 0.5, atol=1e-6
  )
  far[1, 2:] = 0  # What comes after sees it.
  assert far.max() == 0


def test_a_rollout_of_an_unknown_number_of_starts(model, start):
  specs = states.apply(
    lambda value: tf.TensorSpec([None, *value.shape[1:]], value.dtype), start
  )

  @tf.function(input_signature=[specs])
  def run(start):
    return imagination.rollout(model, double, start, 4, SEED)

  found, golden = (
    function(start)
    for function in (
      run,
      lambda start: imagination.rollout(model, double, start, 4, SEED),
    )
  )
  np.testing.assert_allclose(found.action, golden.action, atol=1e-5)


# ------------------------------------------------------------------ starts ----

MASK = tf.constant([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
DISCOUNT = tf.constant([[1.0, 0.5, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
BATCH = {'mask': MASK, 'discount': DISCOUNT}
STATE = {
  'number': tf.reshape(tf.range(8), [2, 4]),
  'inner': {'place': tf.reshape(tf.range(16.0), [2, 4, 2])},
}
WEIGHT = [1, 0.5, 0, 0, 1, 1, 1, 0]


def test_all_states_are_starts_and_what_ends_has_no_weight():
  found, weight = imagination.starts(BATCH, STATE, 0, SEED)
  np.testing.assert_array_equal(found['number'], range(8))
  np.testing.assert_array_equal(
    found['inner']['place'], np.arange(16).reshape(8, 2)
  )
  np.testing.assert_array_equal(weight, WEIGHT)


@pytest.mark.parametrize('count', [1, 3, 5, 7])
def test_of_some_starts_those_with_a_weight_come_first(count):
  chosen = set()
  for seed in range(20):
    found, weight = imagination.starts(
      BATCH, STATE, count, tf.constant([0, seed])
    )
    numbers = found['number'].numpy()
    assert len(set(numbers)) == len(numbers) == count
    np.testing.assert_array_equal(weight, np.array(WEIGHT)[numbers])
    np.testing.assert_array_equal(found['inner']['place'][:, 0], 2 * numbers)
    # Five of them are worth it.
    assert np.count_nonzero(weight) == min(count, 5)
    chosen.add(tuple(sorted(numbers[weight.numpy() > 0])))
    same, _ = imagination.starts(BATCH, STATE, count, tf.constant([0, seed]))
    np.testing.assert_array_equal(same['number'], numbers)
  assert len(chosen) > 1 or count >= 5


def test_starts_have_no_gradient():
  place = tf.Variable(tf.ones([2, 4, 2]))
  with tf.GradientTape() as tape:
    state = {'place': tf.identity(place)}
    found, _ = imagination.starts(BATCH, state, 3, SEED)
    value = tf.reduce_sum(found['place'])
  assert tape.gradient(value, place) is None


def test_what_comes_after_the_end_of_an_episode_is_worth_nothing():
  class Ending:
    def discount(self, found):
      return found['alive']

  found = {'alive': tf.constant([[1.0, 0.5, 1.0], [0.0, 1.0, 1.0]])}
  worth = imagination.lasting(
    Ending(), found, lambda found: tf.ones_like(found['alive']) * 4.0
  )
  np.testing.assert_allclose(worth, [[4, 4, 2], [4, 0, 0]])
