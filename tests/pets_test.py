"""Ensembles as presets, and as agents; vectors_test.py has a run of one."""

import numpy as np
import pytest
import tensorflow as tf
from batches import chunks

from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.configs import dreamer
from worldmodels.configs import pets
from worldmodels.spec import Spec

SEED = tf.constant([1, 2])
VECTORS = Spec(actions=1, image=None, vectors={'place': 2})


def counts(preset):
  """Episodes in all and random ones, and updates until the last of them."""
  config = pets.get_config(preset)
  train = config.train
  schedule = Schedule(train, config.evaluate)
  updates = schedule.updates_before(train.episodes)
  return train.episodes, train.seed_episodes, updates


@pytest.mark.parametrize(
  'versions',
  [
    ('open_loop', 'mpc', 'aggregate'),
    ('small_open_loop', 'small_mpc', 'small'),
  ],
)
def test_the_versions_learn_as_often_from_as_many_episodes(versions):
  open_loop, mpc, aggregate = map(pets.get_config, versions)
  found = [counts(version) for version in versions]
  assert found[0] == found[1]
  assert found[1][::2] == found[2][::2]
  # Once: all but the last episode are random, and learned from before it.
  episodes, random, _ = found[1]
  assert random == episodes - 1 and mpc.train.updates == 1
  assert not mpc.train.overlap
  assert open_loop.planner.replan == open_loop.planner.horizon > 12
  assert mpc.planner.replan == aggregate.planner.replan == 1
  assert mpc.planner.horizon == aggregate.planner.horizon
  for config in (open_loop, mpc, aggregate):
    assert config.dynamics.kind == 'ensemble' and config.dynamics.members == 5
    assert config.planner.propagation == 'tsinf' and config.planner.sample


def small(config):
  """An agent of several members that sees a vector, as small as it gets."""
  config.dynamics.update(kind='ensemble', members=3, deter=8, stoch=3, hidden=8)
  config.planner.update(
    *(), horizon=3, iterations=1, candidates=6, elites=2, particles=3,
    propagation='tsinf',
  )  # fmt: skip
  config.heads.reward.update(units=8, layers=1)
  return build.agent(config, VECTORS)


def test_members_are_learned_and_kept(tmp_path):
  agent, batch = small(dreamer.get_config('debug')), chunks(VECTORS, 2, 8)
  found = agent.train(batch, SEED)
  assert all(np.isfinite(value) for value in found.values())
  assert 0 < float(found['divergence'])
  before = [x.numpy().copy() for x in agent.state_variables]
  paths = [x.path for x in agent.state_variables]
  kernels = [x for x in paths if x.startswith('dynamics/member_')]
  assert len(kernels) == 4
  checkpoint.save(tmp_path, agent.state_variables, dict(updates=1), keep=1)
  agent.train(batch, SEED)
  changed = dict(zip(paths, agent.state_variables))
  for path in kernels:
    old = before[paths.index(path)]
    far = np.abs(changed[path].numpy() - old)
    assert far.reshape(3, -1).max(1).min() > 0, path  # Each of the members.
  after = [x.numpy().copy() for x in agent.state_variables]
  # What was kept goes on as it went.
  checkpoint.restore(tmp_path, agent.state_variables, print, keep=1)
  for variable, golden in zip(agent.state_variables, before):
    np.testing.assert_array_equal(variable, golden)
  agent.train(batch, SEED)
  for variable, golden in zip(agent.state_variables, after):
    np.testing.assert_array_equal(variable, golden)


def test_it_acts_and_plans_with_particles():
  agent, batch = small(pets.get_config('debug')), chunks(VECTORS, 2, 3)
  state = agent.initial(2)
  for step in range(2):
    now = {key: batch[key][:, step] for key in ('place', 'is_first')}
    action, after = agent.policy(now, state, tf.constant(True), SEED)
    tf.nest.assert_same_structure(state, after)
    state = after
  assert action.shape == [2, 1] and np.isfinite(action).all()
  found = agent.model.disagreement(state['model'], action)
  assert found.shape == [2] and np.min(found) > 0
  assert states.size(agent.model.particles(state['model'], 4, SEED)) == 8
