"""Estimates how long a run will take yet.

A cycle is what a run does for one episode: updates, an evaluation now and
then, and the episode itself. Cycles that were seen tell how long the later
ones will take. Until there are any, the pace of the latest updates does,
together with the time that an episode took. The first update of a start, its
first cycle and its first evaluation build TensorFlow's graphs, and do not
count.
"""

import collections
import statistics
import time
from collections.abc import Callable

from worldmodels.agents.runs.schedule import Schedule

_UPDATES = 100  # the latest, whose pace is taken
_CYCLES = 3  # the latest of a sort, whose mean is taken


class TimeLeft:
  """Estimates the time left from when updates and episodes were done.

  Args:
    schedule: of the run.
    updates: that were done before this start.
    clock: returns the time in seconds.
  """

  def __init__(
    self,
    schedule: Schedule,
    updates: int = 0,
    clock: Callable[[], float] = time.monotonic,
  ):
    self._schedule = schedule
    self._clock = clock
    self._updates = updates
    self._start = self._cycle_start = self._last_update = clock()
    self._paces = collections.deque(maxlen=_UPDATES)
    self._acting = 0.0  # seconds of an episode
    self._built = False
    # Cycles without and with an evaluation: seconds, and which were built.
    self._cycles = {
      sort: collections.deque(maxlen=_CYCLES) for sort in (False, True)
    }
    self._seen = set()
    self._look_ahead(schedule.episodes_at(updates))

  def random(self, done: int) -> None:
    """Takes in that so many random episodes are done."""
    self._acting = (self._clock() - self._start) / done

  def begin(self) -> None:
    """Takes in that learning begins."""
    self._cycle_start = self._last_update = self._clock()

  def update(self, updates: int) -> None:
    """Takes in that there are so many updates."""
    now = self._clock()
    if self._built:
      self._paces.append(now - self._last_update)
    self._built = True
    self._updates, self._last_update = updates, now

  def episode(self, episodes: int, acting_seconds: float | None) -> None:
    """Takes in that a cycle is done.

    Args:
      episodes: that there are now.
      acting_seconds: that the newest of them took.
    """
    now = self._clock()
    sort = self._schedule.evaluates(episodes - 1)
    if sort in self._seen:
      self._cycles[sort].append(now - self._cycle_start)
    self._seen |= {sort, False}
    if acting_seconds is not None:
      self._acting = acting_seconds
    self._cycle_start = self._last_update = now
    self._look_ahead(episodes)

  def expect(self, schedule: Schedule) -> None:
    """Takes in that the run is likely to have other episodes than it had."""
    self._schedule = schedule

  def seconds(self) -> float | None:
    """Returns the seconds that are left, or None where nothing tells yet."""
    if not self._paces:
      return None
    left = self._schedule.evaluate.last_episodes * self._acting
    if self._current is not None:
      until, evaluated = self._current
      elapsed = self._clock() - self._cycle_start
      left += self._made_of(until - self._updates, evaluated, elapsed)
    for evaluated, count in self._later.items():
      left += count * self._cycle(evaluated)
    return left

  def _look_ahead(self, episode: int) -> None:
    """Notes which cycles come: that of `episode`, and those after it."""
    last = self._schedule.train.episodes
    self._current = None
    if episode < last:
      until = self._schedule.updates_before(episode + 1)
      self._current = until, self._schedule.evaluates(episode)
    later = range(episode + 1, last)
    evaluated = self._schedule.evaluations(later)
    self._later = {True: evaluated, False: len(later) - evaluated}

  def _cycle(self, evaluated: bool) -> float:
    """Returns the seconds of a whole cycle."""
    if self._cycles[evaluated]:
      return statistics.fmean(self._cycles[evaluated])
    return self._made_of(self._schedule.train.updates, evaluated)

  def _made_of(
    self, updates: int, evaluated: bool, elapsed: float = 0.0
  ) -> float:
    """Returns the seconds of so many updates and the episodes of a cycle."""
    learning = updates * statistics.fmean(self._paces)
    episodes = 1 + evaluated * self._schedule.evaluate.episodes
    acting = episodes * self._acting
    if self._schedule.train.overlap:  # Acting has begun with the cycle.
      return max(learning, acting - elapsed)
    return learning + acting
