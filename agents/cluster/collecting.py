"""The loop where collectors are elsewhere: learning and collecting at once.

What a run does at which update is what agents/runs/loop.py does; that episodes
come from other processes is the difference. Episodes are stored as they come,
in whatever order, and learned from at once. The line of an episode and the
checkpoint after it are written in the order of numbers: what was learned in the
meantime waits for an episode that is late, and for an evaluation under way. So
whatever a checkpoint counts is on disk, and a run may go on with another number
of collectors, or with none.
"""

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np

from worldmodels.agents.cluster.ages import Ages
from worldmodels.agents.cluster.collector import Collector
from worldmodels.agents.cluster.leases import Job
from worldmodels.agents.cluster.limiter import Limiter
from worldmodels.agents.cluster.numbers import Numbers
from worldmodels.agents.cluster.pool import Answer
from worldmodels.agents.cluster.pool import Payload
from worldmodels.agents.cluster.pool import Pool
from worldmodels.agents.runs import loop
from worldmodels.agents.runs.learning import Values
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import workers

TRAIN, HELDOUT = 'episode', 'held-out episode'
RANDOM, LAST = 'random episode', 'episode of the last evaluation'

# Lines that may wait for an episode or an evaluation, for each collector.
_WAITING = 4
# Seconds between two looks at what has come, while updates are done, and how
# long one waits where there is nothing else to do.
_LOOK, _WAIT = 0.02, 1.0


@dataclasses.dataclass
class Evaluation:
  """An evaluation under way, before the episode of its number.

  Attributes:
    episode: that number.
    updates: that made the parameters.
    parameters: that act, of acting_variables.
    start: when it began, s.
  """

  episode: int
  updates: int
  parameters: list[np.ndarray]
  start: float


@dataclasses.dataclass
class Cycle:
  """The updates before an episode was due, until its line is written.

  Attributes:
    episode: its number.
    values: figures of the updates.
    updates: that there were after them.
    evaluation: that came before it, if there was one.
  """

  episode: int
  values: Values
  updates: int
  evaluation: Evaluation | None


class Training(loop.Training):
  """A run whose episodes are collected by a pool, see loop.Training.

  Args:
    config: as configs/*.py make it.
    directory: of the run, claimed.
    environment: a worker, which says what the task is; it is closed.
    pool: of collectors.
    **options: of the base class.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    environment: workers.Worker,
    pool: Pool,
    **options: Any,
  ):
    self._pool = pool
    self._waits: collections.deque[Cycle] = collections.deque()
    self._heldout: collections.deque[tuple[Job, Payload]] = collections.deque()
    self._published: Payload | None = None
    self._looked = self._waited = 0.0
    self._saved = 0  # Episodes that the newest checkpoint counts.
    super().__init__(config, directory, environment, **options)
    environment.close()
    pool.log = self.terminal.line
    self._limiter = Limiter(self.schedule, pool.count)
    self._ages = Ages(directory.collected)

  @property
  def acts_apart(self) -> bool:
    return True

  def collectors(self) -> tuple[Collector, Collector]:
    return (
      Collector(self._pool, RANDOM, random=True),
      Collector(self._pool, LAST, self._payload),
    )

  def updated(self, updates: int) -> None:
    super().updated(updates)
    if time.monotonic() - self._looked > _LOOK:
      self._look()

  def train(self) -> None:
    """Learns while episodes come, until the episodes or the budget end."""
    self._numbers = Numbers(
      self.experience.store, self.config.train, _WAITING * self._pool.count
    )
    self._note_saved()
    while self._goes_on(self.episodes):
      # Slow collectors: what a checkpoint counts is there only now.
      self._write_lines(_WAITING * self._pool.count)
      evaluation = None
      if self.schedule.evaluates(self.episodes):
        evaluation = self._begin_evaluation(self.episodes)
      self._look()
      learned = self.learn(self.episodes)
      learned['waiting_seconds'], self._waited = self._waited, 0.0
      cycle = Cycle(self.episodes, learned, self.learning.updates, evaluation)
      self._waits.append(cycle)
      self.episodes += 1
      self._write_lines(_WAITING * self._pool.count)
    self._write_lines(0)

  def learn(self, episode: int) -> Values:
    """Updates from all that is stored until `episode` may be due."""
    return self.learning.learn(
      self.experience.store, until=self.schedule.updates_before(episode + 1)
    )

  def _goes_on(self, episode: int) -> bool:
    """Waits until it is known whether `episode` is of the run.

    And until there are enough episodes for the updates before it.
    """
    if self.late or episode >= self.config.train.episodes:
      return False

    def known() -> bool:
      spent = self.schedule.spent(self.experience.store.collected_env_steps)
      if spent:  # Nothing new is leased: what is under way tells.
        return not self._jobs(TRAIN) and self._numbers.all_before(episode)
      allowed = self._limiter.most_updates(self._numbers.stored)
      return self.schedule.updates_before(episode + 1) <= allowed

    self._wait_until(known)
    return not self.experience.spent(episode)

  def _write_lines(self, most: int) -> None:
    """Writes what may be written; waits while more than `most` cycles wait.

    And for all of them where there was no checkpoint for long.
    """
    if self.episodes - self._saved > _WAITING * self._pool.count:
      most = 0
    while self._waits:
      cycle = self._waits[0]
      if not self._complete(cycle):
        if len(self._waits) <= most:
          return
        self._wait_until(lambda cycle=cycle: self._complete(cycle))
      self._waits.popleft()
      self._write(cycle)
      if not self._waits:
        self.save()
        self._note_saved()

  def _note_saved(self) -> None:
    """Takes in that the newest checkpoint counts the episodes of now."""
    self._saved = self.episodes
    self._numbers.counted(self.episodes)

  def _complete(self, cycle: Cycle) -> bool:
    """Whether all that the line of a cycle tells is there."""
    heldout = cycle.evaluation and self.experience.missing_heldout(
      cycle.episode
    )
    return not heldout and self._numbers.all_before(cycle.episode + 1)

  def _write(self, cycle: Cycle) -> None:
    """Writes the line of an episode, and of the evaluation before it."""
    evaluated = None
    if cycle.evaluation is not None:
      evaluated = self._end_evaluation(cycle.evaluation)
    number = cycle.episode
    values = {'return': self._numbers.return_of(number)}
    values |= self._ages.values(number)
    self.report(number + 1, cycle.values | values, evaluated, cycle.updates)

  def _begin_evaluation(self, episode: int) -> Evaluation:
    """Has held-out episodes collected with the parameters of now."""
    payload = self._payload(newest=True)
    self._heldout.extend(
      (
        Job(
          HELDOUT, index, self.experience.heldout_seed(episode, index), False
        ),
        payload,
      )
      for index in self.experience.missing_heldout(episode)
    )
    return Evaluation(
      episode, payload.version, self._parameters(), time.monotonic()
    )

  def _end_evaluation(self, evaluation: Evaluation) -> loop.Evaluated:
    """Measures the agent that was evaluated, on the episodes that have come."""
    variables = self.actor.acting_variables
    for variable, value in zip(variables, evaluation.parameters, strict=True):
      variable.assign(value)
    self._acting_updates = evaluation.updates
    counters, values = self.evaluate(evaluation.episode)
    values['evaluation_seconds'] = time.monotonic() - evaluation.start
    return counters, values

  def _parameters(self) -> list[np.ndarray]:
    """Returns the parameters that act now, of acting_variables."""
    self._act_as_learned()
    return [np.array(x.numpy()) for x in self.actor.acting_variables]

  def _payload(self, newest: bool = True) -> Payload:
    """Returns what acts: each version goes into the object store once.

    Args:
      newest: whether those of a few updates ago will not do.
    """
    updates, known = self.learning.updates, self._published
    few = 0 if newest else self.config.train.updates // (2 * self._pool.count)
    if known is None or updates > known.version + few:
      reference = self._pool.put(self._parameters())
      self._published = Payload(updates, reference)
    return self._published

  def _look(self, seconds: float = 0.0) -> None:
    """Stores what has come, and gives those who wait something to do."""
    for answer in self._pool.poll(seconds):
      self._store(answer)
    self._lease()
    self._looked = time.monotonic()

  def _store(self, answer: Answer) -> None:
    """Stores an episode that has come."""
    number, updates = answer.job.number, self.learning.updates
    if answer.job.kind == HELDOUT:
      self.experience.heldout.append(answer.episode, index=number)
      return
    self._ages.note(
      *(number, answer.version, updates, answer.seconds, answer.collector)
    )
    self._numbers.append(answer.episode, number)

  def _lease(self) -> None:
    """Gives those who wait held-out episodes, then what the limiter allows."""
    while self._pool.idle and self._heldout:
      self._pool.lease(*self._heldout.popleft())
    most = self._limiter.most_episodes(self.learning.updates)
    while self._pool.idle:
      under_way = [job.number for job in self._jobs(TRAIN)]
      number = self._numbers.next(most, under_way, due=self.episodes)
      if number is None or (self.late and number >= self.episodes):
        return
      job = Job(TRAIN, number, self.experience.seed(number), True)
      self._pool.lease(job, self._payload(newest=False))

  def _jobs(self, kind: str) -> list[Job]:
    return [job for job in self._pool.unanswered if job.kind == kind]

  def _wait_until(self, there: Callable[[], bool]) -> None:
    """Waits, and has all done that can be done meanwhile."""
    start = time.monotonic()
    self._look()
    while not there():
      self._look(_WAIT)
      self._pool.waits(start)
    self._waited += time.monotonic() - start
