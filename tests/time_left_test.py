"""Runs of known length, on a clock of their own."""

import ml_collections
import pytest

from worldmodels.agents.runs import time_left
from worldmodels.agents.runs.schedule import Schedule

BUILD = 60.0  # of the graph, in the first update
UPDATE = 0.25
ACTING = 5.0  # of an episode
MEASURE = 3.0  # of an evaluation, beside its episodes


class Run:
  """A run whose parts take known times; seeds, updates and episodes."""

  def __init__(self, overlap=False, acting=ACTING, **train):
    self.now = 1000.0
    self.overlap, self.acting = overlap, acting
    self.slow_from = None  # update from which on updates take twice as long
    train = (
      dict(
        seed_episodes=2,
        episodes=22,
        updates=40,
        first_updates=0,
        overlap=overlap,
      )
      | train
    )
    evaluate = dict(every=5, episodes=2, last_episodes=10)
    self.schedule = Schedule(
      ml_collections.ConfigDict(train), ml_collections.ConfigDict(evaluate)
    )
    self.found = []  # (when, seconds left)

  def play(self, updates=0, random=0.5):
    """Plays it to its end; `random`: seconds of a random episode."""
    left = time_left.TimeLeft(self.schedule, updates, lambda: self.now)
    for done in range(1, 5) if not updates else ():
      self.now += random
      left.random(done)
    left.begin()
    built = False
    for episode in self.schedule.episodes(updates):
      evaluates = self.schedule.evaluates(episode)
      count = 1 + 2 * evaluates
      start = self.now
      while updates < self.schedule.updates_before(episode + 1):
        slow = self.slow_from is not None and updates >= self.slow_from
        self.now += UPDATE * (1 + slow) + BUILD * (not built)
        built = True
        updates += 1
        left.update(updates)
        self.found.append((self.now, left.seconds()))
      acted = self.acting * count
      if self.overlap:
        self.now = max(self.now, start + acted)
      else:
        self.now += acted
      self.now += MEASURE * evaluates
      left.episode(episode + 1, self.acting)
      self.found.append((self.now, left.seconds()))
    self.now += 10 * self.acting
    return self

  def shares(self, since):
    """Returns estimate / truth from `since` seconds after the first update."""
    first = self.found[0][0] + since
    return [
      seconds / (self.now - when)
      for when, seconds in self.found
      if when > first
    ]


def test_the_building_of_the_graph_is_no_update():
  run = Run().play()
  assert run.found[0][1] is None
  _, seconds = run.found[1]
  # 799 updates of 0.25 s, and not of 60 s. Acting is taken for that of the
  # random episodes as yet.
  assert 195 < seconds < 250


@pytest.mark.parametrize('overlap', [False, True])
@pytest.mark.parametrize('acting', [0.5, ACTING, 30.0])
@pytest.mark.parametrize('updates', [0, 80])
def test_a_minute_after_the_first_update_it_is_true(overlap, acting, updates):
  run = Run(overlap, acting).play(updates)
  shares = run.shares(since=60)
  assert len(shares) > 300
  assert 0.8 < min(shares) and max(shares) < 1.25, (min(shares), max(shares))


def test_a_slow_simulator_counts_before_anything_is_learned():
  run = Run(acting=30.0).play(random=30.0)
  assert 0.8 < min(run.shares(since=0)[1:])


def test_updates_before_the_first_episode_count():
  run = Run(acting=0.1, first_updates=2000).play(random=0.1)
  _, seconds = run.found[1]
  assert seconds == pytest.approx(2799 * UPDATE, rel=0.05)


def test_at_the_end_the_last_evaluation_is_left():
  run = Run().play()
  assert run.found[-1] == (run.now - 10 * ACTING, 10 * ACTING)


def test_it_follows_a_machine_that_slows_down():
  run = Run(acting=0.1)
  run.slow_from = 200
  run.play(random=0.1)
  late = [seconds / (run.now - when) for when, seconds in run.found[400:]]
  assert 0.8 < min(late) and max(late) < 1.25
