import numpy as np
import pytest
import tensorflow as tf

from worldmodels import imagination
from worldmodels import world_model


class Counter:
  """A world that adds up its actions; `limit` is where it ends."""

  def __init__(self, limit=None):
    self._limit = limit
    self.seeds = []

  def imagine(self, state, action, seed=None):
    self.seeds.append(seed)
    assert state['sum'].shape[0] == action.shape[0]
    return {'sum': state['sum'][:, None] + tf.cumsum(action[..., 0], 1)}

  def reward(self, state):
    return state['sum']

  def discount(self, state):
    if self._limit is None:
      return tf.ones_like(state['sum'])
    return tf.cast(state['sum'] < self._limit, tf.float32)


START = {'sum': tf.constant([0.0, 10.0, 100.0])}


def test_score_is_the_sum_of_what_is_imagined_from_its_own_state():
  actions = tf.constant([[[[1.0], [2.0]], [[0.0], [5.0]]]] * 3)
  found = imagination.score(Counter(), START)(actions)
  # 0 + 1 and 0 + 1 + 2; 0 and 5; and from 10 and from 100 on.
  np.testing.assert_array_equal(found, [[4, 5], [24, 25], [204, 205]])


def test_what_comes_after_the_end_does_not_count():
  actions = tf.constant([[[[1.0], [1.0], [1.0], [1.0]]]] * 3)
  found = imagination.score(Counter(limit=3), START)(actions)
  # 1, 2, 3: the end, with its reward, and then nothing.
  np.testing.assert_array_equal(found[0], [1 + 2 + 3])
  np.testing.assert_array_equal(found[1], [11])


def test_a_probable_end_weighs_what_comes_after_it():
  model = Counter()
  model.discount = lambda state: tf.fill(state['sum'].shape, 0.5)
  actions = tf.zeros([3, 1, 3, 1])
  found = imagination.score(model, START)(actions)
  weight = 1 + 0.5 + 0.25
  np.testing.assert_allclose(found[:, 0], [0, 10 * weight, 100 * weight])


def test_the_seed_is_handed_on():
  model, seed = Counter(), tf.constant([1, 2])
  imagination.score(model, START)(tf.zeros([3, 1, 2, 1]))
  imagination.score(model, START, seed)(tf.zeros([3, 1, 2, 1]))
  assert model.seeds[0] is None and model.seeds[1] is seed


# ----------------------------------------------------- with a world model ----


@pytest.fixture(scope='module')
def model():
  head = dict(scale=1.0, units=6, layers=1, activation='elu')
  made = world_model.WorldModel(
    actions=2,
    size=16,
    encoder=dict(image='spatial_softmax', channels=(), points=2),
    rssm=dict(deter=5, stoch=3, hidden=6, activation='elu'),
    heads={
      'reward': dict(kind='normal', **head),
      'discount': dict(kind='bernoulli', **head),
    },
    kl=dict(scale=1.0),
    overshooting=dict(steps=0),
  )
  random = np.random.default_rng(0)
  for variable in made.trainable_variables:
    variable.assign(random.normal(scale=0.8, size=variable.shape))
  return made


def state_and_actions():
  random = np.random.default_rng(1)
  state = {
    key: tf.constant(random.normal(size=[3, size]), tf.float32)
    for key, size in (('deter', 5), ('stoch', 3), ('mean', 3), ('std', 3))
  }
  return state, tf.constant(random.uniform(-1, 1, [3, 4, 6, 2]), tf.float32)


def test_unlike_members_are_three_batches_of_one(model):
  state, actions = state_and_actions()
  together = imagination.score(model, state)(actions)
  assert together.shape == [3, 4]
  for b in range(3):
    one = {key: value[b : b + 1] for key, value in state.items()}
    alone = imagination.score(model, one)(actions[b : b + 1])
    np.testing.assert_allclose(together[b], alone[0], atol=1e-5)
    for n in range(4):  # Nor do candidates meet.
      alone = imagination.score(model, one)(actions[b : b + 1, n : n + 1])
      np.testing.assert_allclose(together[b, n], alone[0, 0], atol=1e-5)
  assert np.ptp(together, 0).min() > 1e-3 and np.ptp(together, 1).min() > 1e-3


def test_score_is_that_of_single_steps(model):
  state, actions = state_and_actions()
  found = imagination.score(model, state)(actions)
  returns, alive, now = 0.0, 1.0, state
  for step in range(6):
    now = model.rssm.imagine_step(now, actions[:, 2, step])
    returns += alive * model.reward(now).numpy()
    alive *= model.discount(now).numpy()
  np.testing.assert_allclose(found[:, 2], returns, atol=1e-5)


def test_gradients_reach_the_actions(model):
  state, actions = state_and_actions()
  with tf.GradientTape() as tape:
    tape.watch(actions)
    scores = imagination.score(model, state)(actions)
    value = tf.reduce_sum(scores[1, 2])
  by = np.abs(tape.gradient(value, actions)).max(-1)
  assert by[1, 2].min() > 1e-6
  by[1, 2] = 0
  assert by.max() == 0


def test_a_value_at_the_horizon_and_a_discount():
  actions = tf.constant([[[[1.0], [2.0]]]] * 3)
  value = lambda state: 2 * state['sum']  # noqa: E731
  found = imagination.score(Counter(), START, gamma=0.5, value=value)(actions)
  # Rewards 1 and 3, and a value of 6 after two steps.
  np.testing.assert_allclose(found[0], [1 + 0.5 * 3 + 0.25 * 6])
  np.testing.assert_allclose(found[1], [11 + 0.5 * 13 + 0.25 * 26])
  # Past the end there is no value either: 1, then 4 is the end.
  actions = tf.constant([[[[1.0], [3.0]]]] * 3)
  found = imagination.score(Counter(3), START, gamma=0.5, value=value)(actions)
  np.testing.assert_allclose(found[0], [1 + 0.5 * 4])


def double(features, seed):
  """A policy that anyone can follow: of the features alone."""
  del seed
  return tf.tanh(features[:, :2] + 0.1), features[:, :1]


def test_a_rollout_is_a_chain_of_steps_that_the_policy_chose(model):
  start, _ = state_and_actions()
  states, actions, outputs = imagination.rollout(
    model, double, start, 4, tf.constant([1, 2])
  )
  assert actions.shape == [3, 4, 2] and states['deter'].shape == [3, 4, 5]
  now = start
  for step in range(4):
    chosen, made_of = double(model.rssm.features(now), None)
    np.testing.assert_allclose(actions[:, step], chosen, atol=1e-6)
    np.testing.assert_allclose(outputs[:, step], made_of, atol=1e-6)
    after = model.rssm.imagine_step(now, chosen)
    for key in ('deter', 'mean', 'std'):  # What is not drawn.
      np.testing.assert_allclose(states[key][:, step], after[key], atol=1e-5)
    now = {key: value[:, step] for key, value in states.items()}
  assert np.ptp(actions, 0).max() > 1e-3


def test_the_seed_of_a_rollout_decides_states_and_actions(model):
  start, _ = state_and_actions()

  def noisy(features, seed):
    shape = [features.shape[0], 2]
    return tf.random.stateless_uniform(shape, seed, -1.0, 1.0), features

  def roll(seed):
    return imagination.rollout(model, noisy, start, 4, tf.constant(seed))

  (states, actions, _), (again, same, _) = roll([1, 2]), roll([1, 2])
  np.testing.assert_array_equal(actions, same)
  np.testing.assert_array_equal(states['stoch'], again['stoch'])
  other, different, _ = roll([1, 3])
  assert np.abs(actions - different).min() > 0
  assert np.abs(states['stoch'] - other['stoch']).min() > 0
  for step in range(3):  # Each step has noise of its own.
    assert np.abs(actions[:, step] - actions[:, step + 1]).min() > 0


def test_gradients_of_a_rollout_go_forward_only(model):
  start, _ = state_and_actions()
  nudge = tf.zeros([3, 4, 2])
  with tf.GradientTape() as tape:
    tape.watch(nudge)
    states, _, _ = imagination.rollout(
      model, double, start, 4, tf.constant([1, 2]), nudge
    )
    value = tf.reduce_sum(model.reward(states)[1, 1])
  by = np.abs(tape.gradient(value, nudge)).max(-1)
  assert by[1, :2].min() > 1e-7  # The actions before the state.
  by[1, :2] = 0
  assert by.max() == 0


@pytest.mark.parametrize('seed', [None, [1, 2]])
def test_chains_of_candidates_are_scored_as_they_are_alone(
  model, monkeypatch, seed
):
  """As many chains as there are cores, at least LEAST_CHAIN in each."""
  cores = 3
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(cores))
  state, _ = state_and_actions()
  count = 3 * imagination.LEAST_CHAIN + 2
  random = np.random.default_rng(0)
  actions = tf.constant(
    random.uniform(-1, 1, [3, count, 6, 2]), tf.float32
  )
  seed = None if seed is None else tf.constant(seed)
  found = imagination.score(model, state, seed)(actions).numpy()
  assert found.shape == (3, count)
  cores = 1
  whole = imagination.score(model, state, seed)(actions).numpy()
  if seed is None:
    np.testing.assert_allclose(found, whole, atol=1e-4)
  else:  # Other draws, of the same distribution; no two chains share theirs.
    assert np.abs(found - whole).max() > 1e-3
    error = (found - whole).std() / found.size**0.5
    assert abs(found.mean() - whole.mean()) < 4 * error
    same = tf.repeat(actions[:, :1], count, axis=1)
    cores = 3
    scores = imagination.score(model, state, seed)(same).numpy()
    least = imagination.LEAST_CHAIN
    first, second = scores[:, :least], scores[:, least : 2 * least]
    assert np.abs(first - second).max() > 1e-4
