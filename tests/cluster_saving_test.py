"""Where collectors are slower than the learner there are checkpoints, too."""

import collections
import types

import pytest

from worldmodels.agents.cluster import collecting


class Slow(collecting.Training):
  """A run without agent, Ray and store: numbers come as they are waited for."""

  def __init__(self, order):
    self._order = list(order)  # in which the numbers come
    self._there = {0, 1}
    self.saved, self.episodes = [], 2
    self._pool = types.SimpleNamespace(count=1)
    self.counted = []
    self._waits = collections.deque()
    self._waited = 0.0
    self.experience = types.SimpleNamespace(store=None)
    self.config = types.SimpleNamespace(train=None)
    self.learning = types.SimpleNamespace(updates=0)
    self.schedule = types.SimpleNamespace(evaluates=lambda episode: False)

  def _goes_on(self, episode):
    while len(self._there) < min(episode, 14):
      self._there.add(self._order.pop(0))
    return episode < 14

  def _wait_until(self, there):
    while not there():
      self._there.add(self._order.pop(0))

  def _look(self, seconds=0.0):
    """Nothing has come meanwhile."""

  def learn(self, episode):
    return {}

  def _complete(self, cycle):
    return {*range(cycle.episode + 1)} <= self._there

  def _write(self, cycle):
    """Writes nothing."""

  def save(self):
    self.saved.append(self.episodes)


@pytest.mark.parametrize(
  'order,least',
  [
    (range(2, 14), 11),  # Each comes when it is waited for.
    ([3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12], 5),
    ([*range(3, 14), 2], 2),  # One is late all the time.
  ],
)
def test_slow_collectors(order, least, monkeypatch):
  run = Slow(order)
  numbers = types.SimpleNamespace(counted=run.counted.append)
  monkeypatch.setattr(collecting, 'Numbers', lambda *unused: numbers)
  run.train()
  assert len(run.saved) >= least, run.saved
  assert run.saved[-1] == 14 and not run._waits
  assert run.counted == [2, *run.saved]
