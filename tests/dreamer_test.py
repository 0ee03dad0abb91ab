"""What is Dreamer's own; agents_test has what every agent does."""

import pathlib
import runpy
import types

import agents_test
import numpy as np
import pytest
import tensorflow as tf

from agents import dreamer
from agents.run import build

ROOT = pathlib.Path(__file__).parent.parent
B, A, SEED = agents_test.B, agents_test.A, agents_test.SEED
NO, YES = agents_test.NO, agents_test.YES


def config_of(preset='debug'):
  return runpy.run_path(str(ROOT / 'configs/dreamer.py'))['get_config'](preset)


def make(discrete=False, change=lambda config: None):
  config = config_of()
  change(config)
  return build.agent_for(config, A, {}, discrete)


def discrete(config):
  config.actor.kind = 'one_hot'
  config.planner.name = 'categorical_cem'
  config.exploration = 0.0


def values(layer):
  return {x.path: x.numpy() for x in layer.variables}


def changed(layer, before):
  return {
    path for path, x in values(layer).items()
    if not np.array_equal(x, before[path], equal_nan=True)
  }


def test_behaviour_does_not_train_the_model_nor_the_model_behaviour():
  agent, batch = make(), agents_test.make_batch()
  model, behaviour = values(agent.model), values(agent.behaviour)
  terms, posterior, _ = agent.train_model(batch, SEED)
  assert terms and not changed(agent.behaviour, behaviour)
  assert changed(agent.model, model)
  model = values(agent.model)
  start, weight = agent.behaviour.choose(batch, posterior, SEED)
  for number in range(2):  # The critic's last layer starts at zero.
    agent.behaviour.update(agent.model, start, weight, SEED + number)
  assert not changed(agent.model, model)
  for layer in (agent.behaviour.actor, agent.behaviour.critic):
    trained = {x.path for x in layer.trainable_variables}
    assert changed(layer, behaviour) == trained


def test_the_actor_loss_has_no_gradient_by_the_critic_that_is_applied():
  agent, batch = make(), agents_test.make_batch()
  _, posterior, _ = agent.train_model(batch, SEED)
  start, weight = agent.behaviour.choose(batch, posterior, SEED)
  before = values(agent.behaviour)
  agent.behaviour.critic_optimizer.minimize = lambda loss, tape, allow: loss
  agent.behaviour.update(agent.model, start, weight, SEED)
  assert not changed(agent.behaviour.critic, before)


def test_without_exploring_the_mode_is_done():
  agent = make()
  assert isinstance(agent, dreamer.Agent)
  observation, state = agents_test.observe(), agent.initial(B)
  action, after = agent.policy(observation, state, NO, SEED)
  again, _ = agent.policy(observation, state, NO, SEED + 1)
  features = agent.model.rssm.features(after)
  mode = agent.behaviour.actor.distribution(features).mode(SEED)
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
  assert (agent.diagnose is None) == (acting == 'planner')
  far, near = np.full([B, 4, A], 0.25), np.full([B, A], 0.75)
  agent.plan = lambda state, seeds: tf.constant(far, tf.float32)

  def draw(seed):
    return tf.constant(near, tf.float32)

  agent._actor = lambda state: types.SimpleNamespace(mode=draw, sample=draw)
  for explore, who in ((NO, acting), (YES, exploring)):
    action, after = agent.policy(
      agents_test.observe(), agent.initial(B), explore, SEED
    )
    expected = far[:, 0] if who == 'planner' else near
    np.testing.assert_array_equal(action, expected)
    np.testing.assert_array_equal(after['action'], expected)


@pytest.mark.parametrize('value', [False, True])
@pytest.mark.parametrize('proposals', [0, 3])
def test_the_planner_acts_with_actor_and_critic(value, proposals):
  def change(config):
    config.acting = 'planner'
    config.planner.update(value=value, proposals=proposals)

  agent = make(change=change)
  action, state = agent.policy(
    agents_test.observe(), agent.initial(B), NO, SEED
  )
  assert action.shape == [B, A] and np.abs(action).max() <= 1
  seeds = tf.constant([[1, 2], [3, 4]])
  state.pop('action')
  plan = agent.plan(state, seeds).numpy()
  # Each is asked if, and only if, the config says so.
  agent.behaviour.critic.variables[0].assign_add(
    tf.random.stateless_normal(
      agent.behaviour.critic.variables[0].shape, [1, 2]
    )
  )
  for variable in agent.behaviour.critic.variables:
    variable.assign(variable.numpy() + np.sin(np.arange(variable.shape[-1])))
  moved = agent.plan(state, seeds).numpy()
  assert np.array_equal(plan, moved) == (not value)
  for variable in agent.behaviour.actor.variables:
    variable.assign(variable.numpy() + 1.0)
  assert np.array_equal(moved, agent.plan(state, seeds)) == (not proposals)


def test_proposals_are_of_the_state_that_they_are_for():
  def change(config):
    config.acting = 'planner'
    config.planner.update(
      proposals=1, iterations=1, candidates=1, elites=1, spread=0.0, horizon=2
    )
    config.actor.distributions.truncated_normal.min_std = 1e-3

  agent = make(change=change)
  seen = {}

  def plan(model, state, seeds, value, proposals):
    seen['proposals'] = proposals
    return proposals[:, 0]

  agent._planning.plan = plan
  state = {
    key: tf.constant(
      np.random.default_rng(1).normal(size=x.shape), tf.float32
    )
    for key, x in agent.model.rssm.initial(B).items()
  }
  found = agent.plan(state, tf.constant([[1, 2], [3, 4]]))
  assert found.shape == [B, 2, A] and seen['proposals'].shape == [B, 1, 2, A]
  # With next to no noise the first action is the actor's mode.
  for variable in agent.behaviour.actor.variables[-2:]:
    value = variable.numpy()
    value[..., A:] = 0.0 if value.ndim > 1 else -60.0
    variable.assign(value)
  found = agent.plan(state, tf.constant([[1, 2], [3, 4]]))
  mode = agent.behaviour.actor.distribution(
    agent.model.rssm.features(state)
  ).mode(SEED)
  np.testing.assert_allclose(found[:, 0], mode, atol=0.01)
  assert np.ptp(mode, 0).max() > 0.1


@pytest.mark.parametrize('acting', dreamer.ACTING)
def test_discrete_actions_are_one_hot(acting):
  def change(config):
    discrete(config)
    config.update(acting=acting, exploring=acting)

  agent = make(True, change)
  state = agent.initial(B)
  for explore in (NO, YES):
    action, _ = agent.policy(agents_test.observe(), state, explore, SEED)
    np.testing.assert_allclose(np.sort(action), [[0, 1]] * B, atol=1e-6)
  batch = agents_test.make_batch()
  before = values(agent.behaviour.actor)
  for number in range(2):
    metrics = agent.train(batch, SEED + number)
  assert all(np.isfinite(x) for x in metrics.values())
  assert changed(agent.behaviour.actor, before)


@pytest.mark.parametrize('key', ['acting', 'exploring'])
def test_who_acts_is_by_name(key):
  message = f"{key} is 'dance'; it is one of policy"
  with pytest.raises(ValueError, match=message):
    make(change=lambda config: config.update({key: 'dance'}))


@pytest.mark.parametrize('preset', ['v2', 'v3'])
def test_the_presets_of_the_successors_learn_at_a_small_size(preset):
  config = config_of(preset)
  config.encoder.channels = (2, 2, 2, 2)
  layers = len(config.heads.image.channels)
  config.heads.image.update(linear=0, channels=(4, 3, 2, 2)[:layers])
  config.rssm.update(deter=8, hidden=8, stoch=3, classes=4)
  config.heads.reward.units = config.actor.units = config.critic.units = 8
  config.behaviour.update(horizon=3, starts=8)
  config.kl.free_nats = 0.0  # Or the prior of so small a model learns nothing.
  agent = build.agent_for(config, A, {})
  before = {x.path: x.numpy() for x in agent.trainable_variables}
  for number in range(3):
    metrics = agent.train(agents_test.make_batch(number), SEED + number)
  assert all(np.isfinite(x) for x in metrics.values()), metrics
  for variable in agent.trainable_variables:
    assert not np.array_equal(before[variable.path], variable), variable.path


def test_returns_that_are_not_finite_are_skipped_and_counted():
  agent, batch = make(), agents_test.make_batch()
  agent.train(batch, SEED)
  skipped, _ = agent.skipped
  kernel = agent.behaviour.critic.variables[0]
  kernel.assign(kernel.numpy() * np.nan)
  agent.behaviour.slow_critic.variables[0].assign(kernel)
  before = values(agent.behaviour)
  model = values(agent.model)
  agent.train(batch, SEED + 1)
  # Actor and critic, once each; the model goes on.
  assert agent.skipped == (skipped + 2, 1)
  assert changed(agent.model, model)
  trained = {x.path for x in agent.behaviour.trainable_variables}
  assert not changed(agent.behaviour, before) & trained
  np.testing.assert_array_equal(
    agent.behaviour._range, before[agent.behaviour._range.path]
  )


@pytest.mark.parametrize(
  'preset,key,value',
  [
    # P: paper, version 3; C: danijar/dreamer, dreamer.py.
    ('paper', 'optimizer.rate', 6e-4),
    ('paper', 'actor.optimizer.rate', 8e-5),
    ('paper', 'critic.optimizer.rate', 8e-5),
    ('paper', 'behaviour.horizon', 15),
    ('paper', 'behaviour.gamma', 0.99),
    ('paper', 'behaviour.lambda_', 0.95),
    ('paper', 'kl.free_nats', 3.0),
    ('paper', 'environment.action_repeat', 2),
    ('paper', 'exploration', 0.3),
    # danijar/dreamerv2, configs.yaml, defaults and dmc_vision.
    ('v2', 'optimizer.rate', 3e-4),
    ('v2', 'actor.optimizer.rate', 8e-5),
    ('v2', 'kl.prior_scale', 0.8),
    ('v2', 'behaviour.entropy', 1e-4),
    ('v2', 'critic.slow_every', 100),
    ('v2', 'rssm.classes', 32),
    # DreamerV3, first version.
    ('v3', 'optimizer.rate', 1e-4),
    ('v3', 'actor.optimizer.rate', 3e-5),
    ('v3', 'kl.posterior_scale', 0.1),
    ('v3', 'behaviour.entropy', 3e-4),
    ('v3', 'critic.slow_share', 0.02),
    ('v3', 'rssm.unimix', 0.01),
  ],
)
def test_published_values(preset, key, value):
  config = config_of(preset)
  for name in key.split('.'):
    config = config[name]
  assert config == value


@pytest.mark.parametrize(
  'key,value',
  [
    ('actor.kind', 'tanh_normal'),
    ('actor.kind', 'bounded_normal'),
    ('critic.kind', 'normal'),
    ('critic.kind', 'symlog'),
    ('critic.slow', 'none'),
    ('critic.slow', 'regularizer'),
    ('heads.reward.kind', 'two_hot'),
    ('heads.discount.kind', 'bernoulli'),
    ('rssm.kind', 'categorical'),
    ('behaviour.gradient', 'reinforce'),
    ('behaviour.gradient', 'mixed'),
    ('behaviour.normalize', 0.0),
    ('behaviour.starts', 0),
  ],
)
def test_each_part_by_itself(key, value):
  def change(config):
    config.update_from_flattened_dict({key: value})

  agent = make(change=change)
  metrics = agent.train(agents_test.make_batch(), SEED)
  assert agent.skipped == (0, 0)
  assert all(np.isfinite(x) for x in metrics.values()), metrics
  action, _ = agent.policy(
    agents_test.observe(), agent.initial(B), NO, SEED
  )
  assert np.isfinite(action).all()
