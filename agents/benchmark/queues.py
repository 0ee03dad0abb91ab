"""Events, servers and rooms: what a simulation of waiting is made of.

Nothing here knows what is served: cluster_simulation.py says who waits for
what, and queues_test.py holds it to results that are known in closed form.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable

Then = Callable[[], None]


class Clock:
  """Simulated time, and what is to happen then.

  Attributes:
    now: seconds since the begin.
  """

  def __init__(self):
    self.now = 0.0
    self._events = []
    self._order = itertools.count()  # Events of one time stay in their order.

  def at(self, time: float, then: Then) -> None:
    """Calls `then` at a time."""
    heapq.heappush(self._events, (time, next(self._order), then))

  def run(self, over: Callable[[], bool]) -> None:
    """Lets time pass until `over` is true or nothing is to happen any more."""
    while self._events and not over():
      self.now, _, then = heapq.heappop(self._events)
      then()


class Server:
  """Serves one after the other, in the order in which they come.

  Attributes:
    busy: seconds of service that were asked for.
    waited: seconds that all have waited for their service to begin.
    served: how many were.
  """

  def __init__(self, clock: Clock):
    self._clock = clock
    self._free = 0.0
    self.busy = self.waited = 0.0
    self.served = 0

  def serve(self, seconds: float, then: Then) -> None:
    """Calls `then` after a service of so many seconds."""
    self.waited += max(0.0, self._free - self._clock.now)
    self.served += 1
    self.load(seconds)
    self._clock.at(self._free, then)

  def load(self, seconds: float) -> None:
    """Is busy for so many seconds, for which nobody waits."""
    self.busy += seconds
    self._free = max(self._clock.now, self._free) + seconds


class Room:
  """Holds so much and no more: who brings more waits, in order.

  Attributes:
    held: what is in it.
    most: that it ever held.
    waited: seconds that all have waited for room.
  """

  def __init__(self, clock: Clock, capacity: float):
    self._clock = clock
    self._capacity = capacity
    self._queue = deque()
    self.held = self.most = self.waited = 0.0

  def take(self, size: float, then: Then) -> None:
    """Calls `then` once there is room for `size`, which is then held."""
    if size > self._capacity:
      raise ValueError(f'{size} will never fit in {self._capacity}')
    self._queue.append((size, self._clock.now, then))
    self._admit()

  def give(self, size: float) -> None:
    """Gives back what was held."""
    self.held -= size
    self._admit()

  def _admit(self) -> None:
    while self._queue and self.held + self._queue[0][0] <= self._capacity:
      size, since, then = self._queue.popleft()
      self.held += size
      self.most = max(self.most, self.held)
      self.waited += self._clock.now - since
      self._clock.at(self._clock.now, then)
