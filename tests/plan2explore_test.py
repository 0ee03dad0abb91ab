"""Plan2Explore: who collects by curiosity sees more than who acts at random.

Of agents/plan2explore.py; what every agent does is in agents_test.py. The task
is a corridor, so that coverage can be counted: a step moves by at most a tenth
of it, each episode begins at its left end, and there is no reward anywhere.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import objectives
from worldmodels.agents import plan2explore
from worldmodels.agents.runs import build
from worldmodels.configs.plan2explore import get_config
from worldmodels.spec import Spec

SPEC = Spec(actions=1, image=None, vectors={'place': 2})
STEPS, CELLS = 16, 20
NO, YES = tf.constant(False), tf.constant(True)
SEED = tf.constant([1, 2])
PARTICLES = [('tsinf', 'mean'), ('ts1', 'disagreement')]


def make(change=lambda config: None, spec=SPEC):
  config = get_config('debug')
  config.overshooting.steps = 0
  config.planner.update(horizon=6, iterations=3, candidates=48, elites=6)
  config.optimizer.update(rate=3e-3, average=0.0)
  config.curiosity.update(members=5, units=32)
  config.curiosity.optimizer.rate = 3e-3
  config.exploration = 0.1
  change(config)
  keras.utils.set_random_seed(0)
  return build.agent(config, spec)


def shown(place):
  """What is seen of a place from 0 to 1."""
  turn = np.pi * place
  return np.float32([np.cos(turn), np.sin(turn)])


def explore(act):
  """Plays an episode: rows, and the places that it came to."""
  place, rows, places = 0.0, [(shown(0.0), np.zeros(1, np.float32))], [0.0]
  for step in range(STEPS):
    action = np.asarray(act(rows[-1][0], step), np.float32)
    place = np.clip(place + 0.1 * action[0], 0.0, 1.0)
    rows.append((shown(place), action))
    places.append(place)
  seen, action = map(np.stack, zip(*rows))
  return {'place': seen, 'action': action}, places


def by_agent(agent, episode):
  state = agent.initial(1)

  def act(seen, step):
    nonlocal state
    observation = {
      'place': tf.constant(seen[None]),
      'is_first': tf.constant([step == 0]),
    }
    action, state = agent.policy(
      observation, state, YES, tf.constant([episode, step])
    )
    return action[0].numpy()

  return act


def batch_of(episodes, random, count=8):
  chosen = [episodes[i] for i in random.integers(len(episodes), size=count)]
  found = {key: np.stack([x[key] for x in chosen]) for key in chosen[0]}
  lead = found['action'].shape[:2]
  first = np.zeros(lead, bool)
  first[:, 0] = True
  ones, zeros = np.ones(lead, np.float32), np.zeros(lead, np.float32)
  return dict(
    {key: tf.constant(value) for key, value in found.items()},
    reward=tf.constant(zeros),
    discount=tf.constant(ones),
    mask=tf.constant(ones),
    is_first=tf.constant(first),
  )


def coverage(places):
  """Share of the cells of the corridor that were visited."""
  cells = np.minimum((np.array(places) * CELLS).astype(int), CELLS - 1)
  return len(np.unique(cells)) / CELLS


@pytest.fixture(scope='module')
def explored():
  """An agent after 8 episodes of its own, and the places that it came to."""
  agent, random = make(), np.random.default_rng(0)
  first, places = explore(lambda *_: random.uniform(-1, 1, 1))
  episodes, number = [first], 0
  for episode in range(8):
    for _ in range(25):
      agent.train(batch_of(episodes, random), tf.constant([0, number]))
      number += 1
    found, came = explore(by_agent(agent, episode))
    episodes.append(found)
    places += came
  return agent, places, episodes


def test_it_sees_more_of_a_corridor_than_noise_does(explored):
  _, places, _ = explored
  noise = []
  for seed in range(10):
    random = np.random.default_rng(seed)
    came = [
      place
      for _ in range(9)
      for place in explore(lambda *_: random.uniform(-1, 1, 1))[1]  # noqa: B023
    ]
    noise.append(coverage(came))
  # As many episodes; the best of ten such runs.
  assert max(noise) < 0.65
  assert coverage(places) >= 0.9 and coverage(places) > 1.4 * np.mean(noise)


def test_a_task_that_is_named_afterwards_is_planned_for(explored):
  """The reward was 0 wherever it went; now the right end is wanted."""
  agent, _, _ = explored

  def right(states, decoded):
    return -decoded['place'][..., 0]  # -cos: from -1 on the left to 1

  objectives.use(agent, right, 'right')
  try:
    state, actions = agent.initial(1), []
    # A graph of its own, with the objective.
    policy = tf.function(agent.policy.python_function)
    place = 0.0
    for step in range(STEPS):
      observation = {
        'place': tf.constant(shown(place)[None]),
        'is_first': tf.constant([step == 0]),
      }
      action, state = policy(observation, state, NO, SEED + step)
      actions.append(float(action[0, 0]))
      place = np.clip(place + 0.1 * actions[-1], 0.0, 1.0)
  finally:
    agent.planner.objective = None
  assert place > 0.9


def test_only_collecting_is_curious(explored):
  """Without exploring it plans as PlaNet does, for the reward."""
  agent, _, _ = explored
  assert isinstance(agent, plan2explore.Agent)
  state = agent.model.initial(3)
  seeds = tf.constant([[1, 2], [3, 4]])
  found = agent.choose(state, seeds, NO)
  np.testing.assert_array_equal(found, agent.plan(state, seeds).actions)
  other = agent.choose(state, seeds, YES)
  assert np.abs(other - found).max() > 0
  # What it plans to do is disputed more than what it would do else.
  curious = [
    float(tf.reduce_sum(agent.disagreement(state, plan[:, 0])))
    for plan in (other, found)
  ]
  assert curious[0] > curious[1]


def test_a_reset_teaches_the_ensemble_nothing(explored):
  """Rows that no action led to: their values change nothing."""
  agent, _, episodes = explored
  batch = batch_of(episodes, np.random.default_rng(1))
  first = batch['is_first'].numpy()
  first[:, 4] = True
  start = [x.numpy() for x in agent.state_variables]
  results = []
  for row, other in ((4, 0.0), (4, 0.7), (5, 0.7)):
    for variable, value in zip(agent.state_variables, start):
      variable.assign(value)
    action = batch['action'].numpy()
    action[:, row] = other
    found = agent.train(
      dict(batch, action=tf.constant(action), is_first=tf.constant(first)),
      SEED,
    )
    assert np.isfinite(found['curiosity_loss'])
    results.append([x.numpy() for x in agent.ensemble.variables])
  for one, two in zip(*results[:2]):
    np.testing.assert_array_equal(one, two)
  # Those of other rows do.
  assert any(np.any(one != two) for one, two in zip(*results[1:]))


def test_without_members_it_asks_the_dynamics():
  def change(config):
    config.curiosity.members = 0
    config.dynamics.update(kind='ensemble', members=3)

  agent = make(change)
  assert agent.ensemble is None and len(agent.optimized) == 1
  state, action = agent.model.initial(2), tf.ones([2, 1])
  found = agent.disagreement(state, action)
  np.testing.assert_array_equal(found, agent.model.disagreement(state, action))
  assert (found.numpy() > 0).all()
  alone = 'curiosity.members is 0, and the dynamics have one member'
  with pytest.raises(errors.UserError, match=alone):
    make(lambda config: config.curiosity.update(members=0))

  def one(config):
    config.curiosity.members = 0
    config.dynamics.update(kind='ensemble', members=1)

  with pytest.raises(errors.UserError, match=alone):
    make(one)


def test_it_learns_on_the_features_that_it_is_asked_about(
  explored, monkeypatch
):
  """Where averages of the weights act, on features of those."""
  agent = make(lambda config: config.optimizer.update(average=0.9))
  batch = batch_of(explored[2], np.random.default_rng(1))
  learned = []
  monkeypatch.setattr(
    agent.ensemble,
    'loss',
    lambda features, action, after: (
      learned.append(features)
      or (
        tf.reduce_sum(agent.ensemble.trainable_variables[0]) + 0 * after[:, 0]
      )
    ),
  )
  for number in range(3):
    agent.train.python_function(batch, tf.constant([0, number]))
  agent.use_averages()
  posterior, _ = agent.model.observe(batch, seed=tf.constant([0, 2]))
  features = agent.model.features(posterior)[:, :-1]
  np.testing.assert_allclose(
    learned[-1], tf.reshape(features, learned[-1].shape), atol=1e-4
  )


@pytest.mark.parametrize('propagation,risk', PARTICLES)
def test_it_explores_by_particles_of_an_ensemble(propagation, risk):
  def change(config):
    config.dynamics.update(kind='ensemble', members=3)
    config.planner.update(
      particles=3, propagation=propagation, risk=risk, sample=True
    )

  agent = make(change)
  state, seeds = agent.model.initial(2), tf.constant([[1, 2], [3, 4]])
  for explore in (YES, NO):
    found = agent.choose(state, seeds, explore)
    assert found.shape == (2, 6, 1) and np.isfinite(found).all()


def test_one_member_is_refused():
  with pytest.raises(errors.UserError, match='curiosity.members is 1; one al'):
    make(lambda config: config.curiosity.update(members=1))
