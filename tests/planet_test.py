import numpy as np
import pytest
import tensorflow as tf

from agents import planet
from agents.planners import cem
from worldmodels import imagination

B, T, A, SIZE = 3, 6, 2, 16
SEED = tf.constant([5, 6])
KEYS = ('deter', 'stoch', 'mean', 'std')
PLAN = dict(iterations=2, candidates=8, elites=3)
HEAD = dict(scale=1.0, units=6, layers=1, activation='elu')


def make(sample=False, **options):
  """A tiny agent that draws no images."""
  agent = planet.Agent(
    actions=A,
    size=SIZE,
    model=dict(
      encoder=dict(
        image='spatial_softmax', channels=(2,), points=3, center=True
      ),
      rssm=dict(deter=5, stoch=3, hidden=6, activation='elu'),
      heads={'reward': dict(kind='normal', **HEAD)},
      kl=dict(scale=1.0, free_nats=0.0),
      overshooting=dict(steps=2, kl=0.5, reward=1.0, image=0.0),
    ),
    optimizer=dict(rate=1e-2, epsilon=1e-5, clip=100.0),
    planner=dict(name='cem', horizon=3, sample=sample, **PLAN)
    | options.pop('planner', {}),
    exploration=0.3,
    **options,
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


def observe(first=(False, False, False), seed=0):
  random = np.random.default_rng(seed)
  image = random.integers(0, 256, [B, SIZE, SIZE, 3], np.uint8)
  return {'image': tf.constant(image), 'is_first': tf.constant(first)}


def state_of(agent, seed=1):
  random = np.random.default_rng(seed)
  return {
    key: tf.constant(random.uniform(-1, 1, value.shape), tf.float32)
    for key, value in agent.initial(B).items()
  }


def make_batch():
  random = np.random.default_rng(0)
  shape = [B, T]
  batch = {
    'image': random.integers(0, 256, [*shape, SIZE, SIZE, 3], np.uint8),
    'action': random.uniform(-1, 1, [*shape, A]).astype(np.float32),
    'reward': random.normal(size=shape).astype(np.float32),
    'is_first': np.arange(T)[None].repeat(B, 0) == 0,
    'mask': np.ones(shape, np.float32),
  }
  return {key: tf.constant(value) for key, value in batch.items()}


# ----------------------------------------------------------------- policy ----


@pytest.mark.parametrize('explore', [False, True])
@pytest.mark.parametrize('which', ['agent', 'sampling'])
def test_policy_filters_plans_and_explores(request, which, explore):
  """Algorithm 2 of PlaNet, put together a second time."""
  agent = request.getfixturevalue(which)
  seeds = tf.random.split(SEED, 4)
  draw = (seeds[0], seeds[1]) if which == 'sampling' else (None, None)
  observation = observe([False, True, False])
  before = state_of(agent)
  found, state = agent.policy(observation, before, tf.constant(explore), SEED)
  # The action that led to this image is the one taken last.
  posterior, _ = agent.model.rssm.observe_step(
    {key: before[key] for key in KEYS},
    agent.model.encoder(observation),
    before['action'],
    observation['is_first'],
    draw[0],
  )
  score = imagination.score(agent.model, posterior, draw[1])
  action = cem.plan(score, tf.zeros([B, 3, A]), seeds[2], **PLAN)[:, 0]
  if explore:
    noise = 0.3 * tf.random.stateless_normal([B, A], seeds[3])
    action = tf.clip_by_value(action + noise, -1.0, 1.0)
  np.testing.assert_allclose(found, action, atol=1e-4)
  for key in KEYS:
    np.testing.assert_allclose(state[key], posterior[key], atol=1e-4)
  # What was done is remembered, the noise included.
  np.testing.assert_array_equal(state['action'], found)


def test_unlike_members_are_filtered_like_batches_of_one(agent):
  observation, before = observe([False, True, False]), state_of(agent)
  explore = tf.constant(False)
  _, together = agent.policy(observation, before, explore, SEED)
  for index in range(B):
    one = slice(index, index + 1)
    _, alone = agent.policy(
      {key: value[one] for key, value in observation.items()},
      {key: value[one] for key, value in before.items()},
      explore,
      SEED,
    )
    for key in KEYS:
      np.testing.assert_allclose(together[key][index], alone[key][0], atol=1e-5)


def test_only_a_sampling_agent_draws_its_states(agent, sampling):
  for who, draws in ((agent, False), (sampling, True)):
    states = [
      who.policy(observe(), state_of(who), tf.constant(False), seed)[1]
      for seed in (SEED, SEED + 1)
    ]
    moved = np.abs(states[0]['stoch'] - states[1]['stoch']).max()
    assert (moved > 1e-3) == draws
    assert (np.abs(states[0]['stoch'] - states[0]['mean']).max() > 1e-3) == (
      draws
    )


def test_the_state_before_the_first_step(agent):
  state = agent.initial(B)
  assert {key: value.shape[1] for key, value in state.items()} == {
    'action': A,
    'deter': 5,
    **dict.fromkeys(('stoch', 'mean', 'std'), 3),
  }
  assert not any(np.any(value) for value in state.values())


# --------------------------------------------------------------- learning ----


def test_updates_lower_the_loss_and_say_what_it_is_made_of():
  agent, batch = make(), make_batch()
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


def test_begin_centers_the_images():
  agent = make()
  images = np.random.default_rng(0).integers(0, 256, [9, SIZE, SIZE, 3])
  agent.begin(images.astype(np.uint8))
  np.testing.assert_allclose(
    agent.model.encoder.mean_image,
    (images / 255 - 0.5).mean(0),
    atol=1e-5,
  )


def test_vectors_are_observed():
  agent = make(vectors={'speed': 2})
  observation = observe() | {'speed': tf.constant([[1.0, 2.0]] * B)}
  slow = observation | {'speed': tf.zeros([B, 2])}
  states = [
    agent.policy(x, agent.initial(B), tf.constant(False), SEED)[1]
    for x in (observation, slow)
  ]
  assert np.abs(states[0]['mean'] - states[1]['mean']).max() > 1e-3


def test_an_unknown_planner_is_named():
  with pytest.raises(ValueError, match="planner.name is 'cme'; it is one of"):
    make(planner=dict(name='cme'))
