"""Collectors on Ray: gives them jobs, takes their answers, mends what dies.

As many episodes are under way as there are collectors, so no more than that
are in the object store. leases.py keeps the books, Ray starts actors anew.
Each thing that goes wrong is a line.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import leases
from worldmodels.agents.cluster.actors import Actors
from worldmodels.agents.cluster.actors import cause
from worldmodels.agents.cluster.actors import check_here
from worldmodels.agents.cluster.engine import ClusterError
from worldmodels.agents.cluster.engine import Engine
from worldmodels.agents.cluster.leases import Job
from worldmodels.agents.cluster.leases import Lease
from worldmodels.agents.cluster.ray_failures import guarded
from worldmodels.agents.runs.rollouts import Episode

if TYPE_CHECKING:
  import ray

# The head is lost when nobody answers there so often, so many seconds apart.
_LOST, _LOOK_SECONDS = 3, 5.0
# Without all collectors, or an answer, there is a line now and then.
_SILENCE = 30.0
_MOMENT = 0.1


@dataclasses.dataclass(frozen=True)
class Payload:
  """What acts in an episode.

  Attributes:
    version: updates that made the parameters.
    reference: of Ray, to the parameters; None to act at random.
  """

  version: int = 0
  reference: 'ray.ObjectRef | None' = None


@dataclasses.dataclass(frozen=True)
class Answer:
  """An episode that has come.

  Attributes:
    job: that it is of.
    episode: {key: [L, ...]}; not to be written to.
    version: of the parameters that acted.
    seconds: that it took.
    collector: number of who collected it.
  """

  job: Job
  episode: Episode
  version: int
  seconds: float
  collector: int


class Pool:
  """Collectors, numbered from 1.

  Args:
    engine: Ray.
    count: of the collectors.
    settings: that each is made from.
    limit: s that an episode may take.
    log: called with a line for all that goes wrong.
  """

  def __init__(
    self,
    engine: Engine,
    count: int,
    settings: actor.Settings,
    limit: float,
    log: Callable[[str], object],
  ):
    self._actors = Actors(engine, count, settings, log)
    self._ray = engine.ray
    self._books = leases.Leases(limit)
    self._running: dict[ray.ObjectRef, Lease] = {}
    self._idle: list[int] = []
    self._told = self._looked = self._whole = time.monotonic()
    self._engine = engine
    self._silent = 0
    self.count = count
    self.log = log

  @property
  def log(self) -> Callable[[str], object]:
    """What is called with a line for all that goes wrong."""
    return self._log

  @log.setter
  def log(self, log: Callable[[str], object]) -> None:
    self._log = self._actors.log = log

  @property
  def idle(self) -> int:
    """How many collectors wait for a job."""
    return len(self._idle)

  @property
  def unanswered(self) -> list[Job]:
    """The jobs that are under way, those to be given again among them."""
    return self._books.unanswered

  def close(self) -> None:
    """Ends the collectors; what is under way is lost."""
    self._actors.close()

  def put(self, parameters: list[np.ndarray]) -> 'ray.ObjectRef':
    """Puts parameters into the object store, once for all collectors."""
    return guarded(self._ray, self._ray.put)(parameters)

  def lease(self, job: Job, payload: Payload) -> None:
    """Gives a job to a collector that waits for one."""
    holder = self._idle.pop(0)
    lease = self._books.give(job, holder, time.monotonic(), payload)
    reference = self._actors[holder].collect.remote(
      job, payload.version, payload.reference
    )
    self._running[reference] = lease

  def poll(self, seconds: float = 0.0) -> list[Answer]:
    """Returns the episodes that have come, after so many seconds at most."""
    self._look_for_head()
    self._tell_missing()
    self._actors.ask()
    references = [*self._actors.asked, *self._running]
    if not references:  # They wait to be asked again, or for jobs.
      time.sleep(min(seconds, _MOMENT))
      return []
    wait = guarded(self._ray, self._ray.wait)
    ready, _ = wait(references, num_returns=1, timeout=seconds)
    if ready:
      ready, _ = wait(references, num_returns=len(references), timeout=0)
    answers = []
    for reference in ready:
      if reference in self._actors.asked:
        number = self._actors.answered(reference)
        self._idle += [] if number is None else [number]
      else:
        answers += self._take(reference)
    self._end_overdue()
    self._give_again()
    if answers:
      self._told = time.monotonic()
    return answers

  def waits(self, since: float) -> None:
    """Says now and then which answer is waited for, `since` then."""
    now = time.monotonic()
    oldest = min(self._running.values(), key=lambda x: x.since, default=None)
    if oldest and now - max(self._told, since) >= _SILENCE:
      self._told = now
      self.log(
        f'waiting: {_name(oldest.job)} is {now - oldest.since:.0f} s at '
        f'collector {oldest.holder}'
      )

  def _tell_missing(self) -> None:
    """Says now and then that not all are there, whatever the others do."""
    now, there = time.monotonic(), len(self._actors.places)
    if there == self.count:
      self._whole = now
    elif now - self._whole >= _SILENCE:
      self._whole = now
      self.log(
        f'waiting: {there} of {self.count} collectors are there; the others '
        'wait for a core of the cluster, or start'
      )

  def _look_for_head(self) -> None:
    """Raises ClusterError once the head is lost: Ray would end the process."""
    now = time.monotonic()
    if now - self._looked < _LOOK_SECONDS:
      return
    self._looked = now
    self._silent = 0 if self._engine.answers() else self._silent + 1
    if self._silent == _LOST:
      raise ClusterError(
        f'the head of the cluster, {self._engine.address}, does not answer any '
        'more; once it is there again, the same command continues'
      )

  def _take(self, reference: 'ray.ObjectRef') -> list[Answer]:
    """Takes an answer in, or what became of it instead."""
    lease = self._running.pop(reference)
    exceptions = self._ray.exceptions
    try:
      outcome = guarded(self._ray, self._ray.get)(reference)
    except exceptions.RayTaskError as error:
      self._failed(lease, cause(error))
      self._idle.append(lease.holder)
      return []
    except exceptions.RayError as error:
      check_here(error)
      self._died(lease, cause(error))
      return []
    self._idle.append(lease.holder)
    self._actors.seen(lease.holder, outcome.process)
    for line in outcome.lines:
      self.log(f'collector {lease.holder}: {line}')
    if outcome.episode is None:
      self._failed(lease, outcome.error)
      return []
    _, first = self._books.answered(lease.holder, time.monotonic())
    if not first:
      self.log(
        f'{_name(lease.job)} came twice: that of collector {lease.holder} is '
        'left out'
      )
      return []
    return [
      Answer(
        lease.job,
        outcome.episode,
        lease.payload.version,
        outcome.seconds,
        lease.holder,
      )
    ]

  def _failed(self, lease: Lease, cause: str) -> None:
    """Gives a job again that could not be done, unless that is hopeless."""
    self._books.lost(lease.holder)
    most = leases.FAILURES
    if not self._books.wants(lease.job):
      self.log(f'collector {lease.holder}: {cause}; another one had answered')
      return
    if self._books.failed(lease.job, 'raised', most) is None:
      raise ClusterError(
        f'{_name(lease.job)} failed {most} times, the last time at collector '
        f'{lease.holder}: {cause}'
      )
    self.log(
      f'collector {lease.holder}: {cause}; {_name(lease.job)} is leased again'
    )

  def _died(self, lease: Lease, cause: str) -> None:
    """Gives the job of a collector that died to another one."""
    holder = lease.holder
    self._books.lost(holder)
    self._actors.died(holder)
    most = leases.DEATHS
    if not self._books.wants(lease.job):
      self.log(f'collector {holder} died ({cause}) and is started anew')
      return
    if self._books.failed(lease.job, 'died', most) is None:
      raise ClusterError(
        f'{_name(lease.job)} was lost {most} times with who collected it, the '
        f'last time at collector {holder}: {cause}'
      )
    self.log(
      f'collector {holder} died ({cause}); {_name(lease.job)} is leased again, '
      'and the collector started anew'
    )

  def _end_overdue(self) -> None:
    """Kills those that hold a lease for longer than the limit."""
    overdue = self._books.overdue(time.monotonic())
    for lease in overdue:
      references = [x for x, held in self._running.items() if held is lease]
      for reference in references:
        del self._running[reference]
      self._actors.kill(lease.holder)
      limit = f'no answer for {self._books.limit:g} s, --lease_timeout'
      self._died(lease, f'{limit}; it was killed')

  def _give_again(self) -> None:
    """Leases what was lost, and what takes too long, to those who wait."""
    while self._idle:
      found = self._books.next(time.monotonic())
      if found is None:
        return
      job, payload = found
      there = [x for x in self._running.values() if x.job.key == job.key]
      for lease in there:
        self.log(
          f'{_name(job)} takes long at collector {lease.holder} '
          f'({time.monotonic() - lease.since:.0f} s): collector '
          f'{self._idle[0]} collects it too'
        )
      self.lease(job, payload)


def _name(job: Job) -> str:
  """Returns what an episode is called in a line."""
  return f'{job.kind} {job.number}'
