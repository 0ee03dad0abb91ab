"""The collector of the house on Ray: episodes by number, in their order."""

import collections
import time
from collections.abc import Callable, Iterable, Iterator

from worldmodels.agents.cluster.leases import Job
from worldmodels.agents.cluster.pool import Payload
from worldmodels.agents.cluster.pool import Pool
from worldmodels.agents.runs.rollouts import Episode

# Of episodes that come before an earlier one, so many for each collector wait.
_WINDOW = 2
_SECONDS = 1.0


class Collector:
  """Collects episodes by number, as agents/runs/rollouts.py does.

  Args:
    pool: of collectors.
    kind: what the episodes are called.
    payload: returns what acts.
    random: whether that acts at random.
  """

  def __init__(
    self,
    pool: Pool,
    kind: str,
    payload: Callable[[], Payload] = Payload,
    random: bool = False,
  ):
    self._pool = pool
    self._kind = kind
    self._payload = payload
    self._random = random

  def stop(self) -> None:
    """Does nothing: what is under way ends with Ray."""

  def collect(
    self, numbers: Iterable[int], seed: Callable[[int], int], explore: bool
  ) -> Iterator[tuple[int, Episode]]:
    """Collects episodes, as many at once as there are collectors.

    Args:
      numbers: of the episodes.
      seed: from the number of an episode to its seed.
      explore: whether the agent adds exploration.

    Yields:
      (number, episode {key: [L, ...]}), in the order of `numbers`.

    Raises:
      ClusterError: the same episode failed too often.
    """
    left = collections.deque(numbers)
    if not left:
      return
    payload, start = self._payload(), time.monotonic()
    waiting: list[Job] = []
    come: dict[tuple, Episode] = {}
    while left or waiting:
      most = _WINDOW * self._pool.count
      while left and self._pool.idle and len(waiting) < most:
        number = left.popleft()
        job = Job(self._kind, number, seed(number), explore, self._random)
        self._pool.lease(job, payload)
        waiting.append(job)
      for answer in self._pool.poll(_SECONDS):
        come[answer.job.key] = answer.episode
      self._pool.waits(start)
      while waiting and waiting[0].key in come:
        job = waiting.pop(0)
        yield job.number, come.pop(job.key)
