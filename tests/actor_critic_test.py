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
import worlds

from worldmodels import errors
from worldmodels.agents.learners import actor_critic
from worldmodels.spec import Spec

N = 40_000
SIGMA, GAMMA = 0.2, 0.9
OPTIMIZER = dict(rate=1e-3, epsilon=1e-8, clip=1e6)
SEED = tf.constant([5, 6])


WORLD = worlds.Line(SIGMA)
ENDING = worlds.Line(SIGMA, going=0.0)


def make(horizon=1, gradient='pathwise', critic=(), **options):
  made = actor_critic.Learner(
    features_size=1,
    spec=Spec(actions=1),
    actor=dict(
      kind='bounded_normal',
      distributions=dict(bounded_normal=dict(min_std=0.05, max_std=0.25)),
      layers=0,
      optimizer=OPTIMIZER,
    ),
    critic=dict(kind='normal', layers=0, optimizer=OPTIMIZER) | dict(critic),
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
  for variable in made.critic.head.variables:
    variable.assign(tf.zeros_like(variable))
  return made


def start(values):
  return {'place': tf.constant(np.resize(values, [N, 1]), tf.float32)}


def update(made, values, weight=1.0, seed=SEED, world=WORLD, enabled=True):
  """An update of chunks that are one step long, at these places."""
  mask = tf.constant(np.resize(weight, [N, 1]), tf.float32)
  posterior = {'place': start(values)['place'][:, None]}
  batch = {'mask': mask, 'discount': tf.ones([N, 1])}
  return made.update(world, batch, posterior, seed, enabled)


def imagine(made, values, seed=SEED, world=WORLD):
  return made.add_returns(made.imagine(world, start(values), seed))


def dreamt(seed):
  """The seed that an update with this one imagines with."""
  return tf.random.split(tf.random.split(seed, 3)[2], 2)[0]


def spread(made):
  """The 5th and the 95th percentile that returns are divided by."""
  (found,) = [
    x for x in made.extra_variables if x.path.endswith('return_scale/range')
  ]
  return found.numpy()


def found(made, state, world=WORLD):
  """The gradient of the objective by kernel and bias, and its error bars."""
  kernel, bias = made.actor.variables
  chunks = []
  for number in range(20):
    part = slice(number * N // 20, (number + 1) * N // 20)
    some = {'place': state['place'][part]}
    with tf.GradientTape() as tape:
      dream = made.add_returns(made.imagine(world, some, SEED + number))
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
  return np.array(
    [
      np.mean(by_mean * states),
      np.mean(by_std * states),
      np.mean(by_mean),
      by_std,
    ]
  )


@pytest.mark.parametrize(
  'gradient,mix',
  [('pathwise', 0.0), ('reinforce', 0.0), ('mixed', 0.3)],
)
def test_the_estimators_find_the_gradient_of_closed_form(gradient, mix):
  states = [0.5, -0.25, 0.1, 0.8]
  value, error = found(make(gradient=gradient, mix=mix), start(states))
  golden = golden_of_one_step(states)
  assert (np.abs(value - golden) < 4 * error + 1e-5).all(), (
    value,
    golden,
    error,
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
  # The critic says what is to be expected: -(0.8 + m)^2 - s^2 - SIGMA^2. It
  # says something else of the state after the step, which hangs on the action.
  expected = -((0.8 + np.tanh(0.04)) ** 2) - 0.15**2 - SIGMA**2
  kernel, bias = based.critic.head.variables
  kernel.assign([[0.7]])
  bias.assign([expected - 0.7 * 0.8])
  # Of the value after the step nothing is to be seen: it ends there.
  value, error = found(based, start(states), ENDING)
  golden = golden_of_one_step(states)
  assert (np.abs(value - golden) < 4 * error + 1e-5).all()
  assert error[2] < 0.6 * plain[1][2]


def test_returns_bootstrap_from_the_critic_and_end_with_the_episode():
  made = make(2)
  kernel, bias = made.critic.head.variables
  kernel.assign([[0.7]])  # Each state has a value of its own.
  bias.assign([7.0])
  dream = imagine(made, [0.4])
  reward, places = dream.reward.numpy(), dream.features.numpy()[..., 0]
  value = 0.7 * places + 7
  np.testing.assert_allclose(dream.value_before, value[:, :-1], rtol=1e-5)
  last = reward[:, 1] + GAMMA * value[:, 2]
  np.testing.assert_allclose(dream.returns[:, 1], last, rtol=1e-4)
  first = reward[:, 0] + GAMMA * last
  np.testing.assert_allclose(dream.returns[:, 0], first, rtol=1e-4)
  np.testing.assert_allclose(dream.weight[0], [1, GAMMA], rtol=1e-6)


class Slope(worlds.Line):
  """A line on which an episode goes on the likelier the farther right."""

  def discount(self, state):
    return 0.5 + 0.1 * state['place'][..., 0]


def test_the_gradient_of_a_dream_by_hand():
  """Along each draw: through the dynamics, by no input of the actor, and by no
  weight of a step.

  places s0, s1, s2; s' = s + m(s) + noise, m = tanh(k s + b)
  R0 = -s1^2 + c(s1) R1,  R1 = -s2^2,  c(s) = GAMMA (0.5 + 0.1 s)
  objective (R0 + c(s1) R1) / (1 + c(s1)), of which c(s1) as weight is given.
  """
  made, world = make(2), Slope(SIGMA)
  kernel, bias = (x.value for x in made.actor.variables)
  with tf.GradientTape() as tape:
    dream = imagine(made, [0.5, -0.25, 0.1, 0.8], world=world)
    loss, _ = made.actor_loss(dream, tf.constant(1.0), SEED)
  by_kernel, by_bias = tape.gradient(loss, [kernel, bias])
  s0, s1, s2 = dream.features.numpy()[:, :, 0].T
  c = GAMMA * (0.5 + 0.1 * s1)
  slope0, slope1 = (1 - np.tanh(0.3 * x - 0.2) ** 2 for x in (s0, s1))
  weight = 1 + c

  def golden(d0, d1):
    """Of the means' own derivatives by a parameter."""
    d_s1, d_s2 = d0, d0 + d1
    d_r1 = -2 * s2 * d_s2
    d_r0 = -2 * s1 * d_s1 + GAMMA * 0.1 * d_s1 * -(s2**2) + c * d_r1
    return -np.sum(d_r0 + c * d_r1) / np.sum(weight)

  found = [by_kernel[0, 0], by_bias[0]]
  right = [golden(slope0 * s0, slope1 * s1), golden(slope0, slope1)]
  np.testing.assert_allclose(found, right, rtol=1e-3)


def test_entropy_is_weighed():
  made = make(entropy=0.5)
  dream = imagine(made, [0.4])
  plain = make().actor_loss(dream, tf.constant(1.0), SEED)[0]
  loss, metrics = made.actor_loss(dream, tf.constant(1.0), SEED)
  entropy = 0.5 * np.log(2 * np.pi * np.e * 0.15**2)
  assert float(metrics['actor_entropy']) == pytest.approx(entropy, rel=1e-5)
  assert float(plain - loss) == pytest.approx(0.5 * entropy, rel=1e-4)


def test_returns_are_divided_by_their_spread_or_by_the_least():
  made = make(normalize=0.001)
  values = np.linspace(-1, 1, N)
  first = np.percentile(imagine(made, values, dreamt(SEED)).returns, [5, 95])
  update(made, values)
  np.testing.assert_allclose(spread(made), first, atol=0.001)
  # The second time counts a tenth.
  second = np.percentile(imagine(made, [0.0], dreamt(SEED)).returns, [5, 95])
  assert np.abs(second - first).max() > 1
  update(made, [0.0])
  np.testing.assert_allclose(
    spread(made), 0.9 * first + 0.1 * second, atol=0.001
  )
  wide = make(normalize=100.0)
  metrics = update(wide, values)
  assert float(metrics['return_spread']) == 100.0


def test_the_critic_learns_the_returns():
  made = make(critic=dict(optimizer=dict(OPTIMIZER, rate=0.05)))
  made.actor_optimizer.minimize = lambda loss, tape, enabled: loss  # Stays.
  made.actor.variables[0].assign([[0.0, 0.0]])
  in_a_graph = tf.function(
    lambda seed: update(made, [0.4], seed=seed, world=ENDING)
  )
  for number in range(150):
    in_a_graph(SEED + number)
  golden = -((0.4 + np.tanh(-0.2)) ** 2) - 0.15**2 - SIGMA**2
  np.testing.assert_allclose(
    made.value(tf.constant([[0.4]])), [golden], atol=0.005
  )


@pytest.mark.parametrize('slow', ['none', 'target'])
def test_the_critic_is_trained_by_its_own_loss_and_no_returns(slow):
  made, found = make(2, critic=dict(slow=slow, slow_share=0.0)), []
  kernel, bias = made.critic.head.variables
  kernel.assign([[0.7]])
  bias.assign([-0.3])
  made.actor_optimizer.minimize = lambda loss, tape, enabled: loss  # Stays.
  made.critic.optimizer.minimize = lambda loss, tape, enabled: found.extend(
    tape.gradient(loss, [kernel.value, bias.value])
  )
  update(made, [0.4, -0.6])
  dream = imagine(made, [0.4, -0.6], dreamt(SEED))
  places = dream.features.numpy()[:, :-1, 0]
  # Of half the squared error, each step weighed as it counts.
  by_value = 0.7 * places - 0.3 - dream.returns.numpy()
  weight = dream.weight.numpy()
  weight /= weight.sum()
  golden = [(weight * by_value * places).sum(), (weight * by_value).sum()]
  found = np.concatenate([np.ravel(x) for x in found])
  np.testing.assert_allclose(found, golden, rtol=1e-3)


@pytest.mark.parametrize('slow', ['target', 'regularizer'])
def test_the_slow_critic_follows(slow):
  made = make(critic=dict(slow=slow, slow_every=2, slow_share=0.25))
  bias = made.critic.slow_head.variables[-1]
  bias.assign([0.0])
  for number in (1, 2, 3):
    before = bias.numpy()
    update(made, [0.4], seed=SEED + number)
    learned = made.critic.head.variables[-1].numpy()
    golden = 0.75 * before + 0.25 * learned if number == 2 else before
    np.testing.assert_allclose(bias, golden, atol=1e-7)
    assert (learned != bias.numpy()).all()


@pytest.mark.parametrize('slow', ['none', 'target', 'regularizer'])
def test_returns_are_made_with_the_slow_critic_only_if_it_is_the_target(slow):
  made = make(critic=dict(slow=slow))
  if made.critic.slow_head is not None:
    kernel, bias = made.critic.slow_head.variables
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([5.0])
  dream = imagine(made, [0.4])
  value = 5.0 if slow == 'target' else 0.0
  np.testing.assert_allclose(dream.value_before, value, atol=1e-6)
  np.testing.assert_allclose(
    dream.returns, dream.reward + GAMMA * value, atol=1e-5
  )
  # One with a target takes nothing from the pass that made the returns.
  found, plain = (
    some.critic.loss(
      dream.features[:, :-1],
      dream.critic_outputs[:, :-1],
      dream.returns,
      dream.weight,
    )
    for some in (made, make(critic=dict(slow='target')))
  )
  more = 0.5 * 5.0**2 if slow == 'regularizer' else 0.0
  assert float(found - plain) == pytest.approx(more, abs=1e-3)


def starts_of(made, seed=SEED, **batch):
  """Where the rollouts of an update start, and their weights."""
  seen = {}

  def loss(dream, scale, seed, loss=made.actor_loss):
    seen['weight'] = dream.weight.numpy()
    seen['place'] = dream.features.numpy()[:, 0, 0]
    return loss(dream, scale, seed)

  made.actor_loss = loss
  posterior = {'place': tf.constant(batch.pop('place'))[..., None]}
  batch = {key: tf.constant(value) for key, value in batch.items()}
  made.update(WORLD, batch, posterior, seed)
  return seen['place'], seen['weight'][:, 0]


def test_starts_are_states_of_the_batch_without_padding_and_ends():
  random = np.random.default_rng(0)
  batch = {
    'mask': np.array([[1, 1, 0], [1, 1, 1]], np.float32),
    'discount': np.array([[1, 1, 1], [1, 1, 0]], np.float32),
    'place': random.normal(size=[2, 3]).astype(np.float32),
  }
  places, weight = starts_of(make(), **batch)
  np.testing.assert_array_equal(places, np.ravel(batch['place']))
  np.testing.assert_array_equal(weight, [1, 1, 0, 1, 1, 0])
  few, weight = starts_of(make(starts=2), **batch)
  rows = [int(np.where(places == x)[0][0]) for x in few]
  assert len(set(rows)) == 2 and {*rows} <= {0, 1, 3, 4}
  np.testing.assert_array_equal(weight, [1, 1])


def test_starts_of_weight_0_teach_nothing():
  made, twin = make(), make()
  update(made, [0.4, 0.9], [1.0, 0.0])
  update(twin, [0.4, -3.0], [1.0, 0.0])
  for a, b in zip(made.actor.variables, twin.actor.variables):
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_padding_counts_neither_as_a_start_nor_in_the_spread():
  mask = np.zeros([1, 20], np.float32)
  mask[0, [2, 5, 7, 11, 13]] = 1
  batch = {
    'mask': mask,
    'discount': np.ones([1, 20], np.float32),
    'place': np.arange(20.0, dtype=np.float32)[None],
  }
  for number in range(5):
    places, weight = starts_of(make(starts=4), seed=SEED + number, **batch)
    np.testing.assert_array_equal(weight, 1)
    assert {*places} <= {2, 5, 7, 11, 13}
  made, far = make(normalize=0.001), [0.1, 0.2, 0.3, 900.0]
  metrics = update(made, far, [1.0, 1.0, 1.0, 0.0])
  assert float(metrics['return_spread']) < 2
  # Of nothing there is no spread, and the one before stays.
  before = spread(made)
  update(made, far, 0.0)
  np.testing.assert_array_equal(spread(made), before)


def test_nothing_changes_where_an_update_is_not_enabled():
  made = make(normalize=1.0, critic=dict(slow='target'))
  before = [x.numpy() for x in made.variables]
  update(made, [0.4], enabled=tf.constant(False))
  for variable, value in zip(made.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value, err_msg=variable.path)


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(gradient='straight'), "^gradient is 'straight'; it is one of path"),
    (dict(critic=dict(slow='fast')), "^critic.slow is 'fast'"),
    (dict(critic=dict(kind='fast')), "^critic.kind is 'fast'"),
    (
      dict(critic=dict(optimizer=OPTIMIZER | dict(average=1.0))),
      '^critic.optimizer.average is 1.0',
    ),
  ],
)
def test_what_there_is_not_is_named(options, message):
  with pytest.raises(errors.OptionError, match=message):
    make(**options)
