"""Tests of what several processes that learn as one check of one another.

That they learn as one is seen by several_learners_test.
"""

import shutil
import types

import keras
import numpy as np
import pytest

from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import learning
from worldmodels.agents.runs import team
from worldmodels.agents.runs import team_member
from worldmodels.agents.runs import team_place
from worldmodels.agents.runs import team_workers
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.data.store import Store


def episode(length):
  return {
    'action': np.zeros([length, 1], np.float32),
    'reward': np.zeros(length, np.float32),
    'image': np.zeros([length, 4, 4, 3], np.uint8),
  }


@pytest.fixture
def store(tmp_path):
  made = Store(tmp_path / 'episodes')
  for length in (4, 6):
    made.append(episode(length))
  return made


def order(store, limit, weights=0.0):
  known = team_workers.fingerprint(store, limit)
  return team_workers.Order(0, 5, limit, known, weights)


def opened(store, told):
  config = planet.get_config('debug')
  return team_member.open_store(told, config, store.directory)


def test_a_store_with_the_same_episodes_is_opened(store):
  told = order(store, 2)
  store.append(episode(5))  # Beyond what is learned from.
  assert opened(store, told).lengths[:2] == [4, 6]


def test_another_store_is_one_line(store, tmp_path, monkeypatch):
  monkeypatch.setattr(team_member, '_FILE_SECONDS', 0)
  other = Store(tmp_path / 'other')
  other.append(episode(4))
  with pytest.raises(team_workers.TeamError, match='the same folder'):
    opened(other, order(store, 2))


def test_episodes_that_show_late_are_waited_for(store, monkeypatch):
  told = order(store, 2)
  store.append(episode(5))
  later = order(store, 3)
  assert told.episodes != later.episodes
  hidden = Store(store.directory, reading=True)
  seen = [hidden, Store(store.directory, reading=True)]
  hidden._files.pop()
  monkeypatch.setattr(team_member, 'Store', lambda *_, **__: seen.pop(0))
  monkeypatch.setattr(team_member, '_LOOK_SECONDS', 0.01)
  assert opened(store, later).episodes == 3
  # And so is the folder of all of them.
  missing = [FileNotFoundError(2, 'No such file'), store]
  monkeypatch.setattr(team_member, 'Store', lambda *_, **__: appears(missing))
  assert opened(store, later) is store and not missing


def appears(looks):
  """Raises or returns what is next."""
  found = looks.pop(0)
  if isinstance(found, Exception):
    raise found
  return found


def test_weights_that_differ_are_one_line():
  one = [keras.Variable([1.0, -2.0]), keras.Variable(3)]
  assert team_workers.measure(one) == 6.0
  told = team_workers.Order(0, 5, 2, 0, 6.0)
  team_member.check_weights(told, one)
  team_member.check_weights(told, [keras.Variable([3.0, 3.0001])])
  with pytest.raises(team_workers.TeamError, match='come apart'):
    team_member.check_weights(told, [keras.Variable([3.0, 3.1])])


def test_one_learner_has_the_whole_batch():
  alone = team.Alone()
  assert alone.leads and alone.count == 1
  assert alone.rows(6) == slice(0, 6)


def test_more_learners_than_devices_are_one_line():
  with pytest.raises(team_place.PlaceError, match='--learners=99'):
    team.Mirrored(99)


class Together(team_workers.Workers):
  """One of two learners, without servers: what is told comes at once."""

  def __init__(self, other=None):
    self.leads, self._other, self._processes = other is not None, other, None
    self.drawn = []

  def rows(self, batch):
    return slice(batch)  # All of them, to be compared.

  def update_of(self, agent):
    return lambda batch, seed: self.drawn.append(batch) or {}

  def _sum(self, numbers):
    if not self.leads:
      return self.told
    self._other.told = numbers
    self._other.on_order(self._other.hear())
    return numbers


class OnAMachine(team_workers.Workers):
  """Several learners of one machine: what they say is summed over them."""

  def __init__(self, local, said):
    self.leads, self._local, self._processes = True, local, None
    self._said = said
    self._summed = self._hear

  def _hear(self, numbers):
    if not self._said:
      self._said.append(numbers * self._local)  # In 64 bits, as TensorFlow's.
    return self._said[0]


@pytest.mark.parametrize('local', [1, 2, 4])
def test_what_is_told_bears_the_sum_over_a_machine(local, store):
  said, weights = [], [keras.Variable([123456.7, -0.1])]
  OnAMachine(local, said).begin(3, 5, store, 2, weights)
  heard = OnAMachine(local, said).hear()
  assert heard[:3] == (3, 5, 2)
  assert heard.episodes == team_workers.fingerprint(store, 2)
  assert heard.weights == team_workers.measure(weights)
  ended = []
  OnAMachine(local, ended).end()
  assert OnAMachine(local, ended).hear() is None


def learning_with(learners, directory, on_update):
  config = planet.get_config('debug')
  config.train.batch, config.train.length = 4, 3
  agent = types.SimpleNamespace(state_variables=[], skipped=(0, 0))
  return learning.Learning(
    *(config, RunDirectory(directory), agent, print, on_update, ''),
    learners=learners,
  )


def test_all_learn_from_the_episodes_of_the_beginning(store, tmp_path):
  """An episode that comes meanwhile is of the next updates."""
  other, orders = Together(), []
  other.on_order = lambda order: orders.append((order, opened(store, order)))
  store.append(episode(9), index=5)

  def come(updates):  # With numbers before one that is there, and behind it.
    store.append(episode(20 + updates), index=[3, 2, 4, 7][updates % 4])

  first = Together(other)
  one = learning_with(first, tmp_path, come)
  two = learning_with(other, tmp_path, lambda updates: None)
  one.learn(store, 0)  # Nothing is to be done: the others are not told.
  assert not orders
  for until in (8, 16):
    one.learn(store, until)
    order, seen = orders.pop()
    two.learn(seen, order.until, order.limit)
    assert seen.episodes == order.limit
  assert len(first.drawn) == len(other.drawn) == 16
  for mine, theirs in zip(first.drawn, other.drawn, strict=True):
    np.testing.assert_equal(mine, theirs)
  assert store.episodes == 7


def test_who_follows_learns_until_there_is_no_more(monkeypatch, tmp_path):
  done = []

  class Learners:
    leads = False

    def __init__(self):
      self.orders = [team_workers.Order(5, 7, 1, 0, 1.0), None]

    def told(self):
      return planet.get_config('debug'), None

    def scope(self):
      return team.Alone().scope()

    def hear(self):
      return self.orders.pop(0)

  class Learning:
    def __init__(self, _, directory, *__, start, **___):
      assert checkpoint_list.check(directory.checkpoints)['updates'] == start
      done.append(start)

    def learn(self, store, until, limit):
      done.append((store, until, limit))

  class Agent:
    state_variables = [keras.Variable([1.0])]

  directory = RunDirectory(tmp_path)

  def make_checkpoint(_):  # It is seen late.
    counters = dict(updates=5, wall_seconds=0.0)
    checkpoint.save(directory.checkpoints, Agent.state_variables, counters)

  monkeypatch.setattr(team_member.time, 'sleep', make_checkpoint)
  monkeypatch.setattr(team_member.build, 'agent', lambda *_: Agent())
  monkeypatch.setattr(team_member, 'Learning', Learning)
  monkeypatch.setattr(team_member, 'open_store', lambda *_: 'store')
  team_member.follow(Learners(), directory)
  assert done == [5, ('store', 7, 1)]
  # It is not waited for for ever.
  shutil.rmtree(directory.checkpoints)
  monkeypatch.setattr(team_member, '_FILE_SECONDS', -1)
  with pytest.raises(checkpoint_list.CheckpointError, match='of 5 updates'):
    team_member.follow(Learners(), directory)
