import batches
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import planet
from worldmodels.agents.planners import cem
from worldmodels.problem import Problem
from worldmodels.spec import Spec

B, T, A, SIZE = 3, 6, 2, 16
SEED = tf.constant([5, 6])
PLAN = dict(iterations=2, candidates=8, elites=3)
HEAD = dict(scale=1.0, units=6, layers=1, activation='elu')


def make(sample=False, vectors=(), planner=(), color='white'):
  """A tiny agent that draws no images."""
  agent = planet.Agent(
    spec=Spec(actions=A, image=(SIZE, SIZE, 3), vectors=dict(vectors)),
    model=dict(
      encoder=dict(
        kind='spatial_softmax', channels=(2,), points=3, center=True
      ),
      dynamics=dict(kind='rssm', deter=5, stoch=3, hidden=6, activation='elu'),
      heads={'reward': dict(kind='normal', **HEAD)},
      kl=dict(scale=1.0, free_nats=0.0),
      overshooting=dict(steps=2, kl=0.5, reward=1.0, image=0.0),
    ),
    optimizer=dict(rate=1e-2, epsilon=1e-5, clip=100.0),
    planner=dict(kind='cem', horizon=3, sample=sample, **PLAN) | dict(planner),
    exploration=0.3,
    exploration_color=color,
    sample_states=sample,
  )
  random = np.random.default_rng(0)
  for variable in agent.model.trainable_variables:
    variable.assign(random.normal(scale=0.8, size=variable.shape))
  return agent


@pytest.fixture(scope='module')
def agent():
  return make()


@pytest.fixture(scope='module')
def sampling():
  return make(sample=True)


def observe(agent, first=(False,) * B, seed=0):
  return batches.observation(agent.spec, first, seed)


def test_pink_noise_is_kept_for_the_next_step():
  agent = make(color='pink')
  state, yes = agent.initial(B), tf.constant(True)
  first = observe(agent, (True,) * B)
  _, state = agent.policy(first, state, yes, tf.constant([1, 2]))
  assert (np.abs(state['noise']) > 0).all()
  # The part with the longest memory hardly moves, that of another member does.
  _, after = agent.policy(observe(agent), state, yes, tf.constant([3, 4]))
  longest = np.abs(after['noise'] - state['noise'])[:, -1]
  assert longest.max() < 0.8 and longest.min() > 0


def state_of(agent, seed=1):
  random = np.random.default_rng(seed)
  return tf.nest.map_structure(
    lambda value: tf.constant(random.uniform(-1, 1, value.shape), tf.float32),
    agent.initial(B),
  )


def member(state, index):
  return tf.nest.map_structure(lambda value: value[index : index + 1], state)


def distance(state, other):
  """The largest difference of two states."""
  return max(
    np.abs(x - y).max()
    for x, y in zip(tf.nest.flatten(state), tf.nest.flatten(other), strict=True)
  )


# ----------------------------------------------------------------- policy ----


@pytest.mark.parametrize('explore', [False, True])
@pytest.mark.parametrize('which', ['agent', 'sampling'])
def test_policy_filters_plans_and_explores(request, which, explore):
  """Algorithm 2 of PlaNet, put together a second time."""
  agent = request.getfixturevalue(which)
  seeds = tf.random.split(SEED, 4)
  draw = (seeds[0], seeds[1]) if which == 'sampling' else (None, None)
  observation = observe(agent, [False, True, False])
  before = state_of(agent)
  found, state = agent.policy(observation, before, tf.constant(explore), SEED)
  # The action that led to this image is the one taken last.
  posterior = agent.model.observe_step(
    before['model'], observation, before['action'], draw[0]
  )
  problem = Problem(agent.model, posterior, horizon=3, seed=draw[1])
  action = cem.plan(problem, seeds[2], **PLAN).actions[:, 0]
  if explore:
    noise = 0.3 * tf.random.stateless_normal([B, A], seeds[3])
    action = tf.clip_by_value(action + noise, -1.0, 1.0)
  np.testing.assert_allclose(found, action, atol=1e-4)
  assert distance(state['model'], posterior) < 1e-4
  # What was done is remembered, the noise included.
  np.testing.assert_array_equal(state['action'], found)


def test_unlike_members_are_filtered_like_batches_of_one(agent):
  before = state_of(agent)
  observation = observe(agent, [False, True, False])
  explore = tf.constant(False)
  _, together = agent.policy(observation, before, explore, SEED)
  for index in range(B):
    _, alone = agent.policy(
      member(observation, index), member(before, index), explore, SEED
    )
    assert distance(member(together, index)['model'], alone['model']) < 1e-5


def test_only_a_sampling_agent_draws_its_states(agent, sampling):
  for who, draws in ((agent, False), (sampling, True)):
    states = [
      who.policy(observe(who), state_of(who), tf.constant(False), seed)[1]
      for seed in (SEED, SEED + 1)
    ]
    moved = distance(states[0]['model'], states[1]['model'])
    assert (moved > 1e-3) == draws
    mean = who.model.observe_step(
      state_of(who)['model'], observe(who), state_of(who)['action']
    )
    assert (distance(states[0]['model'], mean) > 1e-3) == draws


def test_the_state_before_the_first_step(agent):
  state = agent.initial(B)
  assert state.keys() == {'action', 'model'}
  assert state['action'].shape == [B, A]
  assert not any(np.any(value) for value in tf.nest.flatten(state))
  assert distance(state['model'], agent.model.initial(B)) == 0


# --------------------------------------------------------------- learning ----


def test_updates_lower_the_loss_and_say_what_it_is_made_of():
  agent = make()
  batch = batches.chunks(agent.spec, B, T)
  losses = []
  for update in range(25):
    values = agent.train(batch, tf.constant([0, update]))
    losses.append(float(values['loss']))
  assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
  assert values.keys() == {
    *('reward_loss', 'kl_loss', 'divergence'),
    *('overshoot_kl_loss', 'overshoot_reward_loss'),
    *('loss', 'gradient_norm'),
  }
  total = (
    values['reward_loss']
    + values['kl_loss']
    + 0.5 * values['overshoot_kl_loss']
    + values['overshoot_reward_loss']
  )
  assert float(total) == pytest.approx(losses[-1], rel=1e-5)
  assert float(values['gradient_norm']) > 0
  assert agent.skipped == (0, 0)


def test_the_seed_episodes_center_the_images():
  agent = make()
  images = np.random.default_rng(0).integers(0, 256, [9, SIZE, SIZE, 3])
  agent.fit_statistics(tf.constant(images, tf.uint8))
  np.testing.assert_allclose(
    agent.model.mean_image,
    (images / 255 - 0.5).mean(0),
    atol=1e-5,
  )


def test_vectors_are_observed():
  agent = make(vectors={'speed': 2})
  observation = observe(agent)
  slow = observation | {'speed': tf.zeros([B, 2])}
  states = [
    agent.policy(x, agent.initial(B), tf.constant(False), SEED)[1]['model']
    for x in (observation, slow)
  ]
  assert distance(*states) > 1e-3


def test_an_unknown_planner_is_named():
  with pytest.raises(
    errors.OptionError, match="^planner.kind is 'cme'; it is one of"
  ):
    make(planner=dict(kind='cme'))


# -------------------------------------------------------------- warm start ----


def test_with_a_warm_start_a_plan_goes_on_from_the_one_before():
  agent = make(planner=dict(kind='planner_test:go_on', warm_start=True))
  state, done = agent.initial(B), []
  assert state['plan'].shape == [B, 3, A]
  for first in ([True] * B, [False] * B, [False, True, False]):
    action, after = agent.policy(
      observe(agent, first), state, tf.constant(False), SEED
    )
    tf.nest.assert_same_structure(state, after)
    state = after
    done.append(action[:, 0].numpy().tolist())
  # Each plan is that before and 1; a reset is one of its own member.
  assert done == [[1, 1, 1], [2, 2, 2], [3, 1, 3]]


def test_without_one_every_plan_starts_from_nothing(agent):
  assert agent.initial(B).keys() == {'action', 'model'}
  agent = make(planner=dict(kind='planner_test:go_on'))
  state = agent.initial(B)
  for _ in range(2):
    action, state = agent.policy(
      observe(agent), state, tf.constant(False), SEED
    )
    np.testing.assert_array_equal(action, tf.ones([B, A]))
