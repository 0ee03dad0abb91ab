"""The actor-critic on a linear-Gaussian world whose gradients are known.

    state' = state + action + SIGMA * noise,    reward(state) = -state^2

and a critic that says 0. The actor is tanh(w * state + b) plus noise of a fixed
deviation s, small enough that hardly a draw is clipped. With m the mean,

    E[R] of one step = -(state + m)^2 - s^2 - SIGMA^2,

so d E[R] / d m = -2 (state + m) and d E[R] / d s = -2 s.
"""

import numpy as np
import pytest
import tensorflow as tf

from agents import actor_critic

N = 40_000
SIGMA, GAMMA = 0.2, 0.9
OPTIMIZER = dict(rate=1e-3, epsilon=1e-8, clip=1e6)
SEED = tf.constant([5, 6])


class World:
  """What ActorCritic asks of a world model."""

  def __init__(self, going=1.0):
    self.rssm = self
    self.actions = 1
    self._going = going

  def features(self, state):
    return state['stoch']

  def imagine_step(self, state, action, seed):
    noise = tf.random.stateless_normal(tf.shape(action), seed)
    stoch = state['stoch'] + action + SIGMA * noise
    return {'deter': stoch, 'stoch': stoch}

  def reward(self, state):
    return -tf.square(state['stoch'][..., 0])

  def discount(self, state):
    return tf.fill(tf.shape(state['stoch'])[:-1], self._going)


def make(horizon=1, gradient='pathwise', critic=(), **options):
  made = actor_critic.ActorCritic(
    features=1,
    actions=1,
    discrete=False,
    actor=dict(
      kind='bounded_normal',
      distributions=dict(
        bounded_normal=dict(min_std=0.05, max_std=0.25)
      ),
      layers=0,
      optimizer=OPTIMIZER,
    ),
    critic=dict(
      kind='normal', layers=0, optimizer=OPTIMIZER, slow='none',
      slow_every=1, slow_share=1.0,
    )
    | dict(critic),
    horizon=horizon,
    gamma=GAMMA,
    lambda_=1.0,
    **dict(starts=0, mix=0.0, entropy=0.0, normalize=0.0, normalize_decay=0.9)
    | options,
    gradient=gradient,
  )
  kernel, bias = made.actor.variables
  kernel.assign([[0.3, 0.0]])
  bias.assign([-0.2, -2.0])  # sigmoid(-2 + 2) = 1/2: s = 0.15.
  for variable in made.critic.variables:
    variable.assign(tf.zeros_like(variable))
  return made


def start(values):
  stoch = tf.constant(np.resize(values, [N, 1]), tf.float32)
  return {'deter': stoch, 'stoch': stoch}


WORLD = World()


def found(made, state, world=WORLD):
  """The gradient of the objective by kernel and bias, and its error bars."""
  kernel, bias = made.actor.variables
  chunks = []
  for number in range(20):
    some = {
      key: value[number * N // 20 : (number + 1) * N // 20]
      for key, value in state.items()
    }
    with tf.GradientTape() as tape:
      dream = made.imagine(world, some, SEED + number)
      loss, _ = made.actor_loss(dream, tf.constant(1.0), SEED)
    by = tape.gradient(loss, [kernel.value, bias.value])
    chunks.append(-np.concatenate([np.ravel(x) for x in by]))
  return np.mean(chunks, 0), np.std(chunks, 0) / 20**0.5


def golden_of_one_step(states):
  states = np.asarray(states)
  mean = np.tanh(0.3 * states - 0.2)
  by_mean = -2 * (states + mean) * (1 - mean**2)
  # s = 0.05 + 0.2 sigmoid(x + 2) at x = -2: ds / dx = 0.2 / 4.
  by_std = -2 * 0.15 * 0.05
  return np.array([
    np.mean(by_mean * states),
    np.mean(by_std * states),
    np.mean(by_mean),
    by_std,
  ])


@pytest.mark.parametrize(
  'gradient,mix',
  [('pathwise', 0.0), ('reinforce', 0.0), ('mixed', 0.3)],
)
def test_the_estimators_find_the_gradient_of_closed_form(gradient, mix):
  states = [0.5, -0.25, 0.1, 0.8]
  value, error = found(make(gradient=gradient, mix=mix), start(states))
  golden = golden_of_one_step(states)
  assert (np.abs(value - golden) < 4 * error + 1e-5).all(), (
    value, golden, error,
  )
  assert (error < 0.05).all()


def golden_of_two_steps(state, more):
  """By the bias, of R_0 + more * GAMMA * R_1, with the kernel at zero."""
  mean = np.tanh(-0.2)
  first = -2 * (state + mean)
  second = -4 * (state + 2 * mean)  # d / dm of -(state + 2 m)^2
  return (first + (1 + more) * GAMMA * second) * (1 - mean**2) / (1 + GAMMA)


@pytest.mark.parametrize('gradient,more', [('reinforce', 0), ('pathwise', 1)])
def test_two_steps_are_those_of_closed_form(gradient, more):
  """Each action is told the reward of both steps that it leads to.

  Dreamer's pathwise objective sums the returns of all steps, so the second
  reward counts twice; that of reinforce is the gradient of the first return.
  """
  made = make(2, gradient)
  made.actor.variables[0].assign([[0.0, 0.0]])
  value, error = found(made, start([0.4]))
  golden = golden_of_two_steps(0.4, more)
  assert abs(value[2] - golden) < 4 * error[2] + 1e-5, (value, golden, error)
  assert error[2] < 0.1


def test_a_baseline_takes_noise_from_reinforce_and_not_from_its_mean():
  states = [0.8]
  plain = found(make(gradient='reinforce'), start(states))
  based = make(gradient='reinforce')
  # The critic says what is to be expected: -(0.8 + m)^2 - s^2 - SIGMA^2.
  expected = -(0.8 + np.tanh(0.04)) ** 2 - 0.15**2 - SIGMA**2
  based.critic.variables[-1].assign([expected])
  # Of the value after the step nothing is to be seen: it ends there.
  value, error = found(based, start(states), World(going=0.0))
  golden = golden_of_one_step(states)
  assert (np.abs(value - golden) < 4 * error + 1e-5).all()
  assert error[2] < 0.6 * plain[1][2]


def test_returns_bootstrap_from_the_critic_and_end_with_the_episode():
  made = make(2)
  made.critic.variables[-1].assign([7.0])
  dream = made.imagine(World(), start([0.4]), SEED)
  reward = dream['reward'].numpy()
  golden = reward[:, 0] + GAMMA * (reward[:, 1] + GAMMA * 7)
  np.testing.assert_allclose(dream['returns'][:, 0], golden, rtol=1e-5)
  np.testing.assert_allclose(
    dream['returns'][:, 1], reward[:, 1] + GAMMA * 7, rtol=1e-5
  )
  np.testing.assert_allclose(dream['weight'][0], [1, GAMMA], rtol=1e-6)


def test_entropy_is_weighed():
  made = make(entropy=0.5)
  dream = made.imagine(World(), start([0.4]), SEED)
  plain = make().actor_loss(dream, tf.constant(1.0), SEED)[0]
  loss, metrics = made.actor_loss(dream, tf.constant(1.0), SEED)
  entropy = 0.5 * np.log(2 * np.pi * np.e * 0.15**2)
  assert float(metrics['actor_entropy']) == pytest.approx(entropy, rel=1e-5)
  assert float(plain - loss) == pytest.approx(0.5 * entropy, rel=1e-4)


def test_returns_are_divided_by_their_spread_or_by_the_least():
  made = make(normalize=0.001)
  values = np.linspace(-1, 1, N)
  made.update(World(), start(values), tf.ones([N]), SEED)
  low, high = np.percentile(
    made.imagine(World(), start(values), SEED)['returns'], [5, 95]
  )
  np.testing.assert_allclose(made._range, [low, high], atol=0.05)
  # The second time counts a tenth.
  made.update(World(), start([0.0]), tf.ones([N]), SEED)
  np.testing.assert_allclose(made._range, [0.9 * low, 0.9 * high], atol=0.05)
  wide = make(normalize=100.0)
  metrics = wide.update(World(), start(values), tf.ones([N]), SEED)
  assert float(metrics['return_spread']) == 100.0


def test_the_critic_learns_the_returns():
  made = make(critic=dict(optimizer=dict(OPTIMIZER, rate=0.05)))
  made.actor_optimizer.minimize = lambda loss, tape, allow: loss  # Stays.
  made.actor.variables[0].assign([[0.0, 0.0]])
  for number in range(150):
    made.update(World(going=0.0), start([0.4]), tf.ones([N]), SEED + number)
  golden = -((0.4 + np.tanh(-0.2)) ** 2) - 0.15**2 - SIGMA**2
  value = made.value(World(), {'stoch': tf.constant([[0.4]])})
  np.testing.assert_allclose(value, [golden], atol=0.005)


@pytest.mark.parametrize('slow', ['none', 'target'])
def test_the_critic_is_trained_by_its_own_loss_and_no_returns(slow):
  made, found = make(2, critic=dict(slow=slow, slow_share=0.0)), []
  kernel, bias = made.critic.variables
  kernel.assign([[0.7]])
  bias.assign([-0.3])
  made.actor_optimizer.minimize = lambda loss, tape, allow: loss  # Stays.
  made.critic_optimizer.minimize = lambda loss, tape, allow: found.extend(
    tape.gradient(loss, [kernel.value, bias.value])
  )
  made.update(World(), start([0.4, -0.6]), tf.ones([N]), SEED)
  seed = tf.random.split(SEED, 2)[0]
  dream = made.imagine(World(), start([0.4, -0.6]), seed)
  states = dream['features'].numpy()[:, :-1, 0]
  # Of half the squared error, each step weighed as it counts.
  by_value = 0.7 * states - 0.3 - dream['returns'].numpy()
  weight = dream['weight'].numpy()
  weight /= weight.sum()
  golden = [(weight * by_value * states).sum(), (weight * by_value).sum()]
  found = np.concatenate([np.ravel(x) for x in found])
  np.testing.assert_allclose(found, golden, rtol=1e-3)


@pytest.mark.parametrize('slow', ['target', 'regularizer'])
def test_the_slow_critic_follows(slow):
  made = make(critic=dict(slow=slow, slow_every=2, slow_share=0.25))
  bias = made.slow_critic.variables[-1]
  made.slow_critic.variables[-1].assign([0.0])
  for number in (1, 2, 3):
    before = bias.numpy()
    made.update(World(), start([0.4]), tf.ones([N]), SEED + number)
    learned = made.critic.variables[-1].numpy()
    golden = 0.75 * before + 0.25 * learned if number == 2 else before
    np.testing.assert_allclose(bias, golden, atol=1e-7)
    assert (learned != bias.numpy()).all()


def test_what_the_slow_critic_is_for():
  for slow in ('none', 'target', 'regularizer'):
    made = make(critic=dict(slow=slow))
    if made.slow_critic is not None:
      kernel, bias = made.slow_critic.variables
      kernel.assign(tf.zeros_like(kernel))
      bias.assign([5.0])
    dream = made.imagine(World(), start([0.4]), SEED)
    value = 5.0 if slow == 'target' else 0.0
    np.testing.assert_allclose(dream['value'], value, atol=1e-6)
    # One with a target takes nothing from the pass that made the returns.
    plain = make(critic=dict(slow='target')).critic_loss(dream)
    more = 0.5 * 5.0**2 if slow == 'regularizer' else 0.0
    assert float(made.critic_loss(dream) - plain) == pytest.approx(
      more, abs=1e-3
    )


def test_starts_are_states_of_the_batch_without_padding_and_ends():
  random = np.random.default_rng(0)
  batch = {
    'mask': tf.constant([[1, 1, 0], [1, 1, 1]], tf.float32),
    'discount': tf.constant([[1, 1, 1], [1, 1, 0]], tf.float32),
  }
  values = tf.constant(random.normal(size=[2, 3, 4]), tf.float32)
  state = {'deter': values, 'stoch': values + 1}
  chosen, weight = make().choose(batch, state, SEED)
  np.testing.assert_array_equal(chosen['deter'], tf.reshape(values, [6, 4]))
  np.testing.assert_array_equal(weight, [1, 1, 0, 1, 1, 0])
  some, few = make(starts=2).choose(batch, state, SEED)
  flat = np.reshape(values, [6, 4])
  rows = [
    int(np.where((flat == x).all(-1))[0][0]) for x in some['deter'].numpy()
  ]
  assert len(set(rows)) == 2
  np.testing.assert_allclose(some['stoch'], flat[rows] + 1)
  np.testing.assert_array_equal(few, np.array([1, 1, 0, 1, 1, 0])[rows])


def test_starts_of_weight_0_teach_nothing():
  made, twin = make(), make()
  states = start([0.4, 0.9])
  weight = tf.constant(np.resize([1.0, 0.0], N), tf.float32)
  made.update(World(), states, weight, SEED)
  other = {key: tf.constant(np.resize([0.4, -3.0], [N, 1]), tf.float32)
           for key in states}
  twin.update(World(), other, weight, SEED)
  for a, b in zip(made.actor.variables, twin.actor.variables):
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_padding_counts_neither_as_a_start_nor_in_the_spread():
  made = make(normalize=0.001, starts=4)
  values = np.arange(20.0, dtype=np.float32).reshape([1, 20, 1])
  state = {'deter': tf.constant(values), 'stoch': tf.constant(values)}
  mask = np.zeros([1, 20], np.float32)
  mask[0, [2, 5, 7, 11, 13]] = 1
  batch = {'mask': tf.constant(mask), 'discount': tf.ones([1, 20])}
  for number in range(5):
    chosen, weight = made.choose(batch, state, SEED + number)
    np.testing.assert_array_equal(weight, 1)
    assert set(np.ravel(chosen['stoch'])) <= {2, 5, 7, 11, 13}
  far = start([0.1, 0.2, 0.3, 900.0])
  weight = tf.constant(np.resize([1.0, 1.0, 1.0, 0.0], N), tf.float32)
  metrics = made.update(World(), far, weight, SEED)
  assert float(metrics['return_spread']) < 2
  # Of nothing there is no spread, and the one before stays.
  before = made._range.numpy()
  made.update(World(), far, tf.zeros([N]), SEED)
  np.testing.assert_array_equal(made._range, before)


def test_nothing_changes_where_an_update_is_not_allowed():
  made = make(normalize=1.0, critic=dict(slow='target'))
  before = [x.numpy() for x in made.variables]
  made.update(
    World(), start([0.4]), tf.ones([N]), SEED, allow=tf.constant(False)
  )
  for variable, value in zip(made.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value, err_msg=variable.path)


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(gradient='straight'), "behaviour.gradient is 'straight'"),
    (dict(critic=dict(slow='fast')), "critic.slow is 'fast'"),
  ],
)
def test_what_there_is_not_is_named(options, message):
  with pytest.raises(ValueError, match=message):
    make(**options)
