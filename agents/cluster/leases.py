"""Who collects which episode, since when, and what becomes of it.

A number is leased to a collector until it answers. It is leased again when its
holder is lost or takes longer than the limit, and a second time beside the
first holder where that takes much longer than others do: so that a slow one
delays nobody. The first answer counts. Nothing here knows Ray or a clock.
"""

import collections
import dataclasses
import statistics
from collections.abc import Hashable
from typing import Any

# A lease is late after so many times the median of others, plus seconds.
_LATE, _LATE_SECONDS = 3.0, 2.0
# And these, of a holder that has done nothing of the sort yet: it may have to
# import TensorFlow and build graphs.
_FIRST_SECONDS = 60.0
# Of so many, the latest.
_MEDIAN_OF, _LEAST = 20, 3
# How often the same episode may fail before the run gives up: by what its task
# raises, and by the death of who collects it.
FAILURES, DEATHS = 3, 10


@dataclasses.dataclass(frozen=True)
class Job:
  """An episode to collect.

  Attributes:
    kind: of the episode: train, held-out, last.
    number: of the episode, among those of its kind.
    seed: of the episode.
    explore: whether the agent adds exploration.
    random: whether it acts at random.
  """

  kind: str
  number: int
  seed: int
  explore: bool
  random: bool = False

  @property
  def key(self) -> tuple[str, int, int]:
    """Tells the episode from all others."""
    return self.kind, self.number, self.seed


@dataclasses.dataclass(frozen=True)
class Lease:
  """A job in somebody's hands.

  Attributes:
    job: to do.
    holder: who does it.
    since: when it was given, s.
    payload: what it is done with.
  """

  job: Job
  holder: Hashable
  since: float
  payload: Any = None


class Leases:
  """Keeps the books of who does what.

  Args:
    limit: s, after which a holder is taken for hung.
  """

  def __init__(self, limit: float):
    self.limit = limit
    self._held: dict[Hashable, Lease] = {}  # by holder
    self._open: dict[
      tuple[str, int, int], Job
    ] = {}  # leased or to be, unanswered
    self._again: collections.deque[tuple[Job, Any]] = collections.deque()
    self._seconds: dict[str, collections.deque] = collections.defaultdict(
      lambda: collections.deque(maxlen=_MEDIAN_OF)
    )
    self._done: dict[Hashable, set[str]] = collections.defaultdict(set)
    self._trouble: collections.Counter = collections.Counter()

  @property
  def unanswered(self) -> list[Job]:
    """The jobs that were given out or wait to be, each of them once."""
    return [*self._open.values()]

  def wants(self, job: Job) -> bool:
    """Returns whether nobody has answered a job yet."""
    return job.key in self._open

  def holds(self, holder: Hashable) -> Lease | None:
    """Returns the lease of a holder, if it has one."""
    return self._held.get(holder)

  def give(
    self, job: Job, holder: Hashable, now: float, payload: object = None
  ) -> Lease:
    """Leases a job to a holder that has none."""
    if holder in self._held:
      raise ValueError(f'{holder} holds {self._held[holder].job}')
    lease = Lease(job, holder, now, payload)
    self._held[holder] = lease
    self._open[job.key] = job
    return lease

  def next(self, now: float) -> tuple[Job, Any] | None:
    """Returns a job that has to be given again, with what it is done with.

    First those that were lost; then, of those that are late, the oldest that
    only one holder has.
    """
    while self._again:
      job, payload = self._again.popleft()
      if job.key in self._open and not self._holders(job):
        return job, payload
    for lease in sorted(self._held.values(), key=lambda lease: lease.since):
      alone = len(self._holders(lease.job)) == 1
      if lease.job.key in self._open and alone and self._late(lease, now):
        return lease.job, lease.payload
    return None

  def answered(self, holder: Hashable, now: float) -> tuple[Lease, bool]:
    """Ends the lease of a holder that answered; whether it is the first."""
    lease = self._held.pop(holder)
    first = self._open.pop(lease.job.key, None) is not None
    sort = self._sort(lease.job)
    self._seconds[sort].append(now - lease.since)
    self._done[holder].add(sort)
    return lease, first

  def lost(self, holder: Hashable) -> Lease | None:
    """Ends the lease of a holder that will not answer; returns it.

    Unless another one has the job too, it is to be given again.
    """
    lease = self._held.pop(holder, None)
    self._done.pop(holder, None)
    if lease and lease.job.key in self._open and not self._holders(lease.job):
      self._again.append((lease.job, lease.payload))
    return lease

  def failed(self, job: Job, kind: str, most: int) -> int | None:
    """Counts a failure of a job; None once there were too many of its kind."""
    self._trouble[job.key, kind] += 1
    count = self._trouble[job.key, kind]
    return count if count < most else None

  def overdue(self, now: float) -> list[Lease]:
    """Returns the leases that are past the limit."""
    return [x for x in self._held.values() if now - x.since > self.limit]

  def _late(self, lease: Lease, now: float) -> bool:
    sort = self._sort(lease.job)
    if len(self._seconds[sort]) < _LEAST:
      return False
    usual = _LATE * statistics.median(self._seconds[sort]) + _LATE_SECONDS
    if sort not in self._done[lease.holder]:
      usual += _FIRST_SECONDS
    return now - lease.since > usual

  def _holders(self, job: Job) -> list[Hashable]:
    return [
      lease.holder for lease in self._held.values() if lease.job.key == job.key
    ]

  def _sort(self, job: Job) -> str:
    """Returns what takes about as long as the job does."""
    return 'random' if job.random else 'agent'
