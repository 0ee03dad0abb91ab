import numpy as np
import pytest
import tensorflow as tf
from worlds import World

from worldmodels import cores
from worldmodels import problem
from worldmodels import states
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.trajectories import Sampling
from worldmodels.world_model import WorldModel


class Counter(World):
  """A world that adds up its actions; `limit` is where it ends."""

  def __init__(self, limit=None):
    self._limit = limit
    self.seeds = []

  def step(self, state, action, seed=None):
    self.seeds.append(seed)
    return {'sum': state['sum'] + action[..., 0]}

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


def pose(model, horizon=2, **options):
  return Problem(model, START, horizon=horizon, **options)


# ------------------------------------------------------------ what it says ----


def test_it_says_what_is_to_be_planned():
  class Choice(Counter):
    spec = Spec(actions=4, discrete=True, image=None)

  made = pose(Choice(), horizon=5)
  assert (made.actions, made.discrete, made.horizon) == (4, True, 5)
  assert made.state is START
  assert made.proposals is None
  np.testing.assert_array_equal(made.start, np.zeros([3, 5, 4]))
  assert not pose(Counter()).discrete


def test_start_and_proposals_are_those_that_are_given():
  start, proposals = tf.ones([3, 2, 1]), tf.ones([3, 7, 2, 1])
  made = pose(Counter(), start=start, proposals=proposals)
  assert made.start is start and made.proposals is proposals


def test_a_plan_may_say_no_more_than_its_actions():
  plan = Plan(tf.zeros([3, 2, 1]))
  assert plan.value is None and plan.policy is None


# ------------------------------------------------------------------ scores ----


def test_score_is_the_sum_of_what_is_imagined_from_its_own_state():
  actions = tf.constant([[[[1.0], [2.0]], [[0.0], [5.0]]]] * 3)
  found = pose(Counter()).score(actions)
  # 0 + 1 and 0 + 1 + 2; 0 and 5; and from 10 and from 100 on.
  np.testing.assert_array_equal(found, [[4, 5], [24, 25], [204, 205]])


def test_what_comes_after_the_end_does_not_count():
  actions = tf.constant([[[[1.0], [1.0], [1.0], [1.0]]]] * 3)
  found = pose(Counter(limit=3), 4).score(actions)
  # 1, 2, 3: the end, with its reward, and then nothing.
  np.testing.assert_array_equal(found[0], [1 + 2 + 3])
  np.testing.assert_array_equal(found[1], [11])


def test_a_probable_end_weighs_what_comes_after_it():
  model = Counter()
  model.discount = lambda state: tf.fill(state['sum'].shape, 0.5)
  actions = tf.zeros([3, 1, 3, 1])
  found = pose(model, 3).score(actions)
  weight = 1 + 0.5 + 0.25
  np.testing.assert_allclose(found[:, 0], [0, 10 * weight, 100 * weight])


def test_a_value_at_the_horizon_and_a_discount():
  actions = tf.constant([[[[1.0], [2.0]]]] * 3)
  value = lambda state: 2 * state['sum']  # noqa: E731
  found = pose(Counter(), gamma=0.5, value=value).score(actions)
  # Rewards 1 and 3, and a value of 6 after two steps.
  np.testing.assert_allclose(found[0], [1 + 0.5 * 3 + 0.25 * 6])
  np.testing.assert_allclose(found[1], [11 + 0.5 * 13 + 0.25 * 26])
  # Past the end there is no value either: 1, then 4 is the end.
  actions = tf.constant([[[[1.0], [3.0]]]] * 3)
  found = pose(Counter(3), gamma=0.5, value=value).score(actions)
  np.testing.assert_allclose(found[0], [1 + 0.5 * 4])


def test_the_seed_is_handed_on():
  model, seed = Counter(), tf.constant([1, 2])
  pose(model).score(tf.zeros([3, 1, 2, 1]))
  pose(model, seed=seed).score(tf.zeros([3, 1, 2, 1]))
  assert model.seeds[0] is None and model.seeds[1] is seed


def test_each_draw_has_a_seed_of_its_own():
  model, seed = Counter(), tf.constant([1, 2])
  made, actions = pose(model, seed=seed), tf.zeros([3, 1, 2, 1])
  for draw in (None, 0, 1, 0):
    made.score(actions, draw)
  plain, *numbered = (tuple(seed.numpy()) for seed in model.seeds)
  assert plain == (1, 2) and numbered[0] == numbered[2]
  assert len({plain, *numbered}) == 3
  # There is nothing to draw without a seed.
  pose(model).score(actions, 1)
  assert model.seeds[-1] is None


def test_another_objective_takes_the_place_of_the_reward():
  """As a user swaps it: a function of states, of many and of single steps."""
  actions = tf.constant([[[[1.0], [2.0]], [[0.0], [5.0]]]] * 3)
  made = pose(
    Counter(limit=200.0),
    gamma=0.5,
    objective=lambda state: -tf.square(state['sum']),
    value=lambda state: 1000.0 + 0.0 * state['sum'],
  )
  found = made.score(actions)
  np.testing.assert_allclose(found[0], [-1 - 0.5 * 9 + 250, -0.5 * 25 + 250])
  _, reward, discount = made.step(START, tf.ones([3, 1]))
  np.testing.assert_allclose(reward, [-1, -(11**2), -(101**2)])
  np.testing.assert_allclose(discount, [0.5] * 3)


# ----------------------------------------------- single steps, as a search ----


def test_a_step_is_a_state_its_reward_and_what_comes_after_counts():
  model, seed = Counter(limit=12), tf.constant([1, 2])
  made = pose(model, gamma=0.5, value=lambda state: 3 * state['sum'])
  action = tf.constant([[1.0], [1.0], [-100.0]])
  state, reward, discount = made.step(START, action, seed)
  np.testing.assert_array_equal(state['sum'], [1, 11, 0])
  np.testing.assert_array_equal(reward, [1, 11, 0])
  np.testing.assert_array_equal(discount, [0.5, 0.5, 0.5])
  np.testing.assert_array_equal(made.value(state), [3, 33, 0])
  assert model.seeds == [seed]
  # Where it ends nothing comes after.
  _, _, discount = made.step(state, tf.constant([[0.0], [1.0], [12.0]]))
  np.testing.assert_array_equal(discount, [0.5, 0, 0])
  assert model.seeds[1] is None


def test_a_score_is_that_of_single_steps_and_the_value():
  made = pose(
    Counter(limit=14), 4, gamma=0.9, value=lambda state: 7 + state['sum']
  )
  actions = tf.constant(
    np.random.default_rng(0).uniform(-1, 2, [3, 1, 4, 1]), tf.float32
  )
  state, golden, alive = START, 0.0, 1.0
  for step in range(4):
    state, reward, discount = made.step(state, actions[:, 0, step])
    golden += alive * reward
    alive *= discount
  golden += alive * made.value(state)
  np.testing.assert_allclose(made.score(actions)[:, 0], golden, rtol=1e-5)


def test_without_a_critic_and_an_actor_there_is_nothing_to_be_had():
  made = pose(Counter())
  np.testing.assert_array_equal(made.value(START), np.zeros(3))
  np.testing.assert_array_equal(made.prior(START), np.zeros([3, 1]))


def test_value_and_prior_are_those_that_are_given():
  made = pose(
    Counter(),
    value=lambda state: state['sum'] + 1,
    prior=lambda state: -state['sum'][:, None],
  )
  many = states.repeat(START, 2)
  np.testing.assert_array_equal(made.value(many), [1, 1, 11, 11, 101, 101])
  np.testing.assert_array_equal(
    made.prior(many)[:, 0], [0, 0, -10, -10, -100, -100]
  )


# ------------------------------------------------------ with a world model ----


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
def state(model):
  """Unlike states [3, ...] that the model has been led to."""
  random = np.random.default_rng(1)
  actions = tf.constant(random.uniform(-1, 1, [3, 4, 2]), tf.float32)
  found = model.imagine(model.initial(3), actions, tf.constant([1, 2]))
  return states.at(found, -1)


@pytest.fixture
def actions():
  random = np.random.default_rng(2)
  return tf.constant(random.uniform(-1, 1, [3, 4, 6, 2]), tf.float32)


def score(model, state, actions, **options):
  return Problem(model, state, horizon=6, **options).score(actions)


def test_unlike_members_are_three_batches_of_one(model, state, actions):
  together = score(model, state, actions)
  assert together.shape == [3, 4]
  for b in range(3):
    one = states.take(state, tf.constant([b]))
    alone = score(model, one, actions[b : b + 1])
    np.testing.assert_allclose(together[b], alone[0], atol=1e-5)
    for n in range(4):  # Nor do candidates meet.
      alone = score(model, one, actions[b : b + 1, n : n + 1])
      np.testing.assert_allclose(together[b, n], alone[0, 0], atol=1e-5)
  assert np.ptp(together, 0).min() > 1e-3 and np.ptp(together, 1).min() > 1e-3


def test_score_is_that_of_single_steps(model, state, actions):
  made = Problem(model, state, horizon=6)
  returns, alive, now = 0.0, 1.0, state
  for step in range(6):
    now, reward, discount = made.step(now, actions[:, 2, step])
    np.testing.assert_allclose(reward, model.reward(now))
    np.testing.assert_allclose(discount, model.discount(now))
    returns += alive * reward.numpy()
    alive *= discount.numpy()
  np.testing.assert_allclose(made.score(actions)[:, 2], returns, atol=1e-5)


def test_gradients_reach_the_actions(model, state, actions):
  with tf.GradientTape() as tape:
    tape.watch(actions)
    value = tf.reduce_sum(score(model, state, actions)[1, 2])
  by = np.abs(tape.gradient(value, actions)).max(-1)
  assert by[1, 2].min() > 1e-6
  by[1, 2] = 0
  assert by.max() == 0


def test_the_gradient_of_a_score_climbs(model, state, actions):
  made = Problem(model, state, horizon=6, seed=tf.constant([1, 2]))
  with tf.GradientTape() as tape:
    tape.watch(actions)
    before = made.score(actions)
  by = tape.gradient(before, actions)
  after = made.score(actions + 0.01 * by)
  assert np.min(after - before) > 0


def test_the_gradient_of_a_step_reaches_state_and_action(model, state):
  action = tf.constant([[0.1, 0.2], [0.3, -0.4], [-0.5, 0.6]])
  made = Problem(model, state, horizon=6)
  with tf.GradientTape() as tape:
    tape.watch([action, state])
    _, reward, _ = made.step(state, action)
    value = reward[1]
  by = np.abs(tape.gradient(value, action)).max(-1)
  assert by[1] > 1e-6 and by[0] == by[2] == 0


@pytest.mark.parametrize('seed', [None, [1, 2]])
def test_chains_of_candidates_are_scored_as_they_are_alone(
  model, state, monkeypatch, seed
):
  """As many chains as there are cores, at least LEAST_CHAIN in each."""
  available = 3
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(available))
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [])
  least = problem.LEAST_CHAIN
  count = 3 * least + 2
  assert cores.split(count, least) == [least, least, least + 2]
  random = np.random.default_rng(0)
  actions = tf.constant(random.uniform(-1, 1, [3, count, 6, 2]), tf.float32)
  seed = None if seed is None else tf.constant(seed)
  found = score(model, state, actions, seed=seed).numpy()
  assert found.shape == (3, count)
  available = 1
  whole = score(model, state, actions, seed=seed).numpy()
  if seed is None:
    np.testing.assert_allclose(found, whole, atol=1e-4)
  else:  # Other draws, of the same distribution; no two chains share theirs.
    assert np.abs(found - whole).max() > 1e-3
    error = (found - whole).std() / found.size**0.5
    assert abs(found.mean() - whole.mean()) < 4 * error
    same = tf.repeat(actions[:, :1], count, axis=1)
    available = 3
    scores = score(model, state, same, seed=seed).numpy()
    first, second = scores[:, :least], scores[:, least : 2 * least]
    assert np.abs(first - second).max() > 1e-4


@pytest.mark.parametrize('particles', [1, 2])
def test_candidates_may_share_their_draws(model, state, monkeypatch, particles):
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(3))
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [])
  count = 2 * problem.LEAST_CHAIN  # Of two chains.
  random = np.random.default_rng(0)
  actions = random.uniform(-1, 1, [3, 1, 6, 2])
  actions = tf.constant(np.repeat(actions, count, 1), tf.float32)
  shared, others = (
    score(
      *(model, state, actions),
      seed=tf.constant([1, 2]),
      sampling=Sampling(particles, common=common),
    ).numpy()
    for common in (True, False)
  )
  assert np.ptp(shared, 1).max() < 1e-4 < 1e-2 < np.ptp(others, 1).min()
  # It is a draw all the same, another for each state and refit.
  problems = Problem(
    *(model, state),
    **dict(horizon=6, seed=tf.constant([1, 2])),
    sampling=Sampling(particles, common=True),
  )
  again = problems.score(actions, tf.constant(1)).numpy()
  assert np.abs(again - shared).min() > 1e-4


def test_a_score_works_in_a_graph_of_unknown_numbers(model, state, actions):
  @tf.function(input_signature=[tf.TensorSpec([None, None, 6, 2])])
  def run(actions):
    return score(model, states.take(state, tf.constant([0, 1, 2])), actions)

  np.testing.assert_allclose(
    run(actions), score(model, state, actions), atol=1e-5
  )
