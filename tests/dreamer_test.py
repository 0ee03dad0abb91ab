"""What is Dreamer's own; agents_test has what every agent does.

Most of it is computed step by step: to translate an agent into a graph takes
longer than all that is asked of it here. Those marked `in_a_graph` do that.
"""

import batches
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import dreamer
from worldmodels.agents.runs import build
from worldmodels.configs.dreamer import get_config
from worldmodels.problem import Plan
from worldmodels.spec import Spec

B, T, A = 3, 8, 2
SPEC = Spec(actions=A)
SEED, SEEDS = tf.constant([1, 2]), tf.constant([[1, 2], [3, 4]])
NO, YES = tf.constant(False), tf.constant(True)
PROPOSALS = True  # For `propose`.


@pytest.fixture(autouse=True)
def eagerly(request):
  """Computes step by step, but where a graph is asked for."""
  tf.config.run_functions_eagerly('in_a_graph' not in request.fixturenames)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.fixture
def in_a_graph():
  """Has functions translated into graphs, as programs do."""


def make(spec=SPEC, change=lambda config: None):
  config = get_config('debug')
  change(config)
  return build.agent(config, spec)


def discrete(config):
  config.learner.actor.kind = 'one_hot'
  config.planner.kind = 'categorical_cem'
  config.exploration = 0.0


def observe(spec=SPEC):
  return batches.observation(spec, [False] * B)


def make_batch(seed=0, spec=SPEC):
  return batches.chunks(spec, B, T, seed)


def values(layer):
  return {x.path: x.numpy() for x in layer.variables}


def changed(layer, before):
  return {
    path
    for path, x in values(layer).items()
    if not np.array_equal(x, before[path], equal_nan=True)
  }


def test_behavior_does_not_train_the_model_nor_the_model_behavior():
  agent, batch = make(), make_batch()
  model, learner = values(agent.model), values(agent.learner)
  terms, posterior, _ = agent.train_model(batch, SEED)
  assert terms and not changed(agent.learner, learner)
  assert changed(agent.model, model)
  model = values(agent.model)
  for number in range(2):  # The critic's last layer starts at zero.
    agent.learner.update(agent.model, batch, posterior, SEED + number)
  assert not changed(agent.model, model)
  for layer in (agent.learner.actor, agent.learner.critic.head):
    trained = {x.path for x in layer.trainable_variables}
    assert changed(layer, learner) == trained


@pytest.mark.parametrize('dreaming', dreamer.DREAMING)
def test_behavior_is_learned_in_the_weights_that_are_named(dreaming):
  def change(config):
    config.dreaming = dreaming
    config.optimizer.average = 0.9

  agent, batch, seen = make(change=change), make_batch(), {}

  def update(model, batch, posterior, seed, enabled):
    del batch, seed, enabled
    seen.update(posterior=posterior, reward=model.reward(posterior))
    return {}

  agent.learner.update = update
  agent.train(batch, SEED)
  state = seen['posterior']
  trained = agent.model.reward(state)
  agent.use_averages()
  averaged = agent.model.reward(state)
  assert np.abs(trained - averaged).max() > 1e-3
  if dreaming == 'trained':
    np.testing.assert_allclose(seen['reward'], trained, atol=1e-5)
    return
  np.testing.assert_allclose(seen['reward'], averaged, atol=1e-5)
  again, _ = agent.model.observe(batch, seed=tf.random.split(SEED, 3)[0])
  np.testing.assert_allclose(
    agent.model.features(state), agent.model.features(again), atol=1e-5
  )


def test_the_actor_loss_has_no_gradient_by_the_critic_that_is_applied():
  agent, batch = make(), make_batch()
  _, posterior, _ = agent.train_model(batch, SEED)
  critic = agent.learner.critic
  before = values(critic.head)
  critic.optimizer.minimize = lambda loss, tape, enabled: loss
  agent.learner.update(agent.model, batch, posterior, SEED)
  assert not changed(critic.head, before)


def test_without_exploring_the_mode_is_done():
  agent = make()
  assert isinstance(agent, dreamer.Agent)
  observation, state = observe(), agent.initial(B)
  action, after = agent.policy(observation, state, NO, SEED)
  again, _ = agent.policy(observation, state, NO, SEED + 1)
  features = agent.model.features(after['model'])
  mode = agent.learner.act(features, SEED, explore=False)
  np.testing.assert_allclose(action, mode, atol=1e-5)
  np.testing.assert_array_equal(action, again)
  other, _ = agent.policy(observation, state, YES, SEED)
  assert np.abs(other - action).min() > 0


@pytest.mark.parametrize('acting', dreamer.ACTING)
@pytest.mark.parametrize('exploring', dreamer.ACTING)
def test_who_acts_and_who_explores_are_asked_apart(acting, exploring):
  def change(config):
    config.update(acting=acting, exploring=exploring, exploration=0.0)

  agent = make(change=change)
  # Planned episodes say nothing about the learner.
  figures, states = agent.diagnose(make_batch(), 3, SEED)
  assert (states is None) == (not figures) == (acting == 'planner')
  far = np.full([B, 4, A], 0.25)
  agent.plan = lambda state, seeds: Plan(tf.constant(far, tf.float32))

  def act(features, seed, explore=True):
    del features, seed
    return tf.fill([B, A], 0.75 if explore else 0.5)

  agent.learner.act = act
  for explore, who, near in ((NO, acting, 0.5), (YES, exploring, 0.75)):
    action, after = agent.policy(observe(), agent.initial(B), explore, SEED)
    expected = far[:, 0] if who == 'planner' else np.full([B, A], near)
    np.testing.assert_array_equal(action, expected)
    np.testing.assert_array_equal(after['action'], expected)


@pytest.mark.parametrize('warm_start', [False, True])
def test_both_explore_from_a_reset_to_the_next(warm_start):
  def change(config):
    config.update(exploring='both', exploration=0.0)
    config.planner.warm_start = warm_start

  agent, plans = make(change=change), []
  agent.plan = lambda state, seeds, **warm: (
    plans.append(1) or Plan(tf.fill([B, 4, A], 0.25))
  )
  agent.learner.act = lambda features, seed, explore=True: tf.fill(
    [B, A], 0.75 if explore else 0.5
  )
  state, found = agent.initial(B), []
  for step in range(60):
    first = [step % 3 == 0] * (B - 1) + [step == 0]
    observation = dict(observe(), is_first=tf.constant(first))
    action, after = agent.policy(
      observation, state, YES, tf.constant([step, 7])
    )
    tf.nest.assert_same_structure(state, after)
    state = after
    found.append(action[:, 0].numpy())
  found = np.array(found)
  assert set(np.unique(found)) == {0.25, 0.75}
  # The last member has one episode, the others twenty of three steps.
  assert len(set(found[:, -1])) == 1
  each = found[:, 0].reshape(20, 3)
  assert (each == each[:, :1]).all()
  assert 5 <= (each[:, 0] == 0.25).sum() <= 15
  # Without exploring nobody takes turns.
  action, _ = agent.policy(observe(), agent.initial(B), NO, SEED)
  expected = 0.25 if agent.acting == 'planner' else 0.5
  np.testing.assert_array_equal(action, np.full([B, A], expected))


def test_pink_noise_lasts_from_step_to_step_and_rests_while_acting():
  def change(config):
    config.update(acting='policy', exploring='policy')
    config.update(exploration=0.1, exploration_color='pink')

  agent, found = make(change=change), []
  agent.learner.act = lambda features, seed, explore=True: tf.zeros([B, A])
  state = agent.initial(B)
  for step in range(40):
    observation = dict(observe(), is_first=tf.fill([B], step == 0))
    action, state = agent.policy(
      observation, state, YES, tf.constant([step, 7])
    )
    found.append(action.numpy())
  # Drawn anew at each step these would be about as far apart as they are large.
  found = np.array(found)
  steps = np.square(np.diff(found, axis=0)).mean()
  assert 0 < steps < 1.2 * np.square(found).mean()
  action, after = agent.policy(observation, state, NO, SEED)
  np.testing.assert_array_equal(action, np.zeros([B, A]))
  np.testing.assert_array_equal(after['noise'], state['noise'])


def record_calls(layer, *names):
  """Returns the set of those methods of `layer` that are called from now on."""
  called = set()

  def recorded(name, method):
    def call(*args, **kwargs):
      called.add(name)
      return method(*args, **kwargs)

    return call

  for name in names:
    setattr(layer, name, recorded(name, getattr(layer, name)))
  return called


@pytest.mark.parametrize('value', [False, True])
@pytest.mark.parametrize('proposals', [0, 3])
def test_the_planner_acts_with_actor_and_critic(value, proposals):
  def change(config):
    config.acting = 'planner'
    config.planner.update(value=value, proposals=proposals)

  agent = make(change=change)
  action, state = agent.policy(observe(), agent.initial(B), NO, SEED)
  assert action.shape == [B, A] and np.abs(action).max() <= 1
  # Each is asked if, and only if, the config says so.
  asked = record_calls(agent.learner, 'act', 'value')
  plan = agent.plan(state['model'], SEEDS).actions.numpy()
  expected = {'act': bool(proposals), 'value': value}
  assert asked == {name for name, wanted in expected.items() if wanted}
  critic = agent.learner.critic.head.variables
  critic[0].assign_add(tf.random.stateless_normal(critic[0].shape, [1, 2]))
  for variable in critic:
    variable.assign(variable.numpy() + np.sin(np.arange(variable.shape[-1])))
  moved = agent.plan(state['model'], SEEDS).actions.numpy()
  assert np.array_equal(plan, moved) == (not value)


def propose(problem, seed):
  """A planner that takes the first proposal, and shows prior and value."""
  del seed
  prior, value = problem.prior(problem.state), problem.value(problem.state)
  return Plan(problem.proposals[:, 0], value, prior)


def test_a_planner_is_told_what_the_learner_would_do_in_each_state():
  def change(config):
    config.acting = 'planner'
    config.planner.update(kind='dreamer_test:propose', proposals=1, horizon=2)
    config.learner.actor.distributions.truncated_normal.min_std = 1e-3

  agent = make(change=change)
  # With next to no noise the first action is the actor's mode.
  for variable in agent.learner.actor.variables[-2:]:
    value = variable.numpy()
    value[..., A:] = 0.0 if value.ndim > 1 else -60.0
    variable.assign(value)
  random = np.random.default_rng(1)
  for variable in agent.learner.critic.head.variables:
    variable.assign(random.normal(size=variable.shape))
  state = {
    key: tf.constant(random.normal(size=x.shape), tf.float32)
    for key, x in agent.model.initial(B).items()
  }
  plan = agent.plan(state, SEEDS)
  assert plan.actions.shape == [B, 2, A]
  features = agent.model.features(state)
  mode = agent.learner.act(features, SEED, explore=False)
  np.testing.assert_allclose(plan.actions[:, 0], mode, atol=0.01)
  assert np.ptp(mode, 0).max() > 0.1
  # A search is given the same, and what the states are worth.
  np.testing.assert_array_equal(plan.policy, agent.learner.prior(features))
  np.testing.assert_array_equal(plan.value, agent.learner.value(features))
  assert np.ptp(plan.value) > 0


def discount(problem, seed):
  """A planner that shows what comes after a step counts."""
  del seed
  action = tf.zeros([B, A])
  return Plan(problem.start, problem.step(problem.state, action)[2])


def test_a_planner_discounts_as_the_learner_does():
  def change(config):
    config.acting = 'planner'
    config.planner.kind = 'dreamer_test:discount'
    config.learner.gamma = 0.75

  agent = make(change=change)
  plan = agent.plan(agent.model.initial(B), SEEDS)
  np.testing.assert_allclose(plan.value, [0.75] * B)


@pytest.mark.parametrize('acting', dreamer.ACTING)
def test_discrete_actions_are_one_hot(acting):
  def change(config):
    discrete(config)
    config.update(acting=acting, exploring=acting)

  spec = Spec(actions=A, discrete=True)
  agent = make(spec, change)
  state = agent.initial(B)
  for explore in (NO, YES):
    action, _ = agent.policy(observe(spec), state, explore, SEED)
    np.testing.assert_allclose(np.sort(action), [[0, 1]] * B, atol=1e-6)
  batch = make_batch(spec=spec)
  before = values(agent.learner.actor)
  for number in range(2):
    metrics = agent.train(batch, SEED + number)
  assert all(np.isfinite(x) for x in metrics.values())
  assert changed(agent.learner.actor, before)


@pytest.mark.parametrize('key', ['acting', 'exploring'])
def test_who_acts_is_by_name(key):
  message = f"^{key} is 'dance'; it is one of policy"
  with pytest.raises(build.ConfigError, match=message):
    make(change=lambda config: config.update({key: 'dance'}))


@pytest.mark.parametrize('preset', ['v2', 'v3'])
def test_the_presets_of_the_successors_learn_at_a_small_size(preset):
  config = get_config(preset)
  config.encoder.channels = (2, 2, 2, 2)
  layers = len(config.heads.image.channels)
  config.heads.image.update(linear=0, channels=(4, 3, 2, 2)[:layers])
  config.dynamics.update(deter=8, hidden=8, stoch=3, classes=4)
  learner = config.learner
  for group in (config.heads.reward, learner.actor, learner.critic):
    group.units = 8
  learner.update(horizon=3, starts=8)
  config.kl.free_nats = 0.0  # Or the prior of so small a model learns nothing.
  agent = build.agent(config, SPEC)
  before = {x.path: x.numpy() for x in agent.trainable_variables}
  for number in range(3):
    metrics = agent.train(make_batch(number), SEED + number)
  assert all(np.isfinite(x) for x in metrics.values()), metrics
  for variable in agent.trainable_variables:
    assert not np.array_equal(before[variable.path], variable), variable.path


def test_returns_that_are_not_finite_are_skipped_and_counted():
  agent, batch = make(), make_batch()
  agent.train(batch, SEED)
  skipped, _ = agent.skipped
  critic = agent.learner.critic
  kernel = critic.head.variables[0]
  kernel.assign(kernel.numpy() * np.nan)
  critic.slow_head.variables[0].assign(kernel)
  before = values(agent.learner)
  model = values(agent.model)
  agent.train(batch, SEED + 1)
  # Actor and critic, once each; the model goes on.
  assert agent.skipped == (skipped + 2, 1)
  assert changed(agent.model, model)
  trained = {x.path for x in agent.learner.trainable_variables}
  (spread,) = [x for x in before if x.endswith('return_scale/range')]
  assert not changed(agent.learner, before) & (trained | {spread})


@pytest.mark.parametrize(
  'preset,key,value',
  [
    # P: paper, version 3; C: danijar/dreamer, dreamer.py.
    ('paper', 'optimizer.rate', 6e-4),
    ('paper', 'learner.actor.optimizer.rate', 8e-5),
    ('paper', 'learner.critic.optimizer.rate', 8e-5),
    ('paper', 'learner.horizon', 15),
    ('paper', 'learner.gamma', 0.99),
    ('paper', 'learner.lambda_', 0.95),
    ('paper', 'kl.free_nats', 3.0),
    ('paper', 'environment.action_repeat', 2),
    ('paper', 'exploration', 0.3),
    # danijar/dreamerv2, configs.yaml, defaults and dmc_vision.
    ('v2', 'optimizer.rate', 3e-4),
    ('v2', 'learner.actor.optimizer.rate', 8e-5),
    ('v2', 'kl.prior_scale', 0.8),
    ('v2', 'learner.entropy', 1e-4),
    ('v2', 'learner.critic.slow_every', 100),
    ('v2', 'dynamics.classes', 32),
    # DreamerV3, first version.
    ('v3', 'optimizer.rate', 1e-4),
    ('v3', 'learner.actor.optimizer.rate', 3e-5),
    ('v3', 'kl.posterior_scale', 0.1),
    ('v3', 'learner.entropy', 3e-4),
    ('v3', 'learner.critic.slow_share', 0.02),
    ('v3', 'dynamics.unimix', 0.01),
  ],
)
def test_published_values(preset, key, value):
  config = get_config(preset)
  for name in key.split('.'):
    config = config[name]
  assert config == value


PARTS = [
  ('learner.actor.kind', 'tanh_normal'),
  ('learner.actor.kind', 'bounded_normal'),
  ('learner.critic.kind', 'normal'),
  ('learner.critic.kind', 'symlog'),
  ('learner.critic.slow', 'none'),
  ('learner.critic.slow', 'regularizer'),
  ('heads.reward.kind', 'two_hot'),
  ('heads.discount.kind', 'bernoulli'),
  ('dynamics.latent', 'categorical'),
  ('learner.gradient', 'reinforce'),
  ('learner.gradient', 'mixed'),
  ('learner.normalize', 0.0),
  ('learner.starts', 0),
]


def check_parts(**parts):
  """An update and an action of an agent with these parts."""
  agent = make(change=lambda config: config.update_from_flattened_dict(parts))
  metrics = agent.train(make_batch(), SEED)
  assert agent.skipped == (0, 0)
  assert all(np.isfinite(x) for x in metrics.values()), metrics
  action, _ = agent.policy(observe(), agent.initial(B), NO, SEED)
  assert np.isfinite(action).all()


@pytest.mark.parametrize('key,value', PARTS)
def test_each_part_by_itself(key, value):
  check_parts(**{key: value})


@pytest.mark.parametrize('parts', [dict(PARTS), dict(PARTS[::-1])])
def test_all_parts_together_in_a_graph(parts, in_a_graph):
  """The last, or else the first, of each key: every one is in one of them."""
  check_parts(**parts)


def test_with_a_warm_start_a_plan_goes_on_from_the_one_before():
  def change(config):
    config.update(acting='planner', exploring='policy')
    config.planner.update(kind='planner_test:go_on', warm_start=True, horizon=4)

  agent = make(change=change)
  state, done = agent.initial(B), []
  for explore, first in (
    (NO, [True] * B),
    (YES, [False] * B),  # Nothing is planned: the plan becomes older.
    (NO, [False, True, False]),
  ):
    observation = batches.observation(SPEC, first)
    action, state = agent.policy(observation, state, explore, SEED)
    done.append(action[:, 0].numpy().tolist())
  assert done[0] == [1, 1, 1] and done[2] == [2, 1, 2]
  np.testing.assert_array_equal(state['plan'][0, :, 0], [2, 2, 1, 1])
  np.testing.assert_array_equal(state['plan'][1, :, 0], [1, 1, 1, 1])
  assert make().initial(B).keys() == {'action', 'model'}
