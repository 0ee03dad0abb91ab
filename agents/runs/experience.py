"""The episodes of a run: random ones, those of the agent, those held out.

What happens in each of them is a function of the seed of the run and of its
number, so that a run that was stopped collects what it would have collected.
"""

import concurrent.futures
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ml_collections
import numpy as np

from worldmodels.agents import uniform
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import rollouts
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs.collect import Actor
from worldmodels.agents.runs.collect import Collector
from worldmodels.agents.runs.collect import Episode
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.data import workers
from worldmodels.data.store import Store
from worldmodels.spec import Spec

COLLECT, HELDOUT, EVALUATE, TRAIN, SAMPLE = seeds.STREAMS

# How long a step may take when a run is stopped.
_STEP_SECONDS = 2
_IMAGES = 2000  # whose statistics the model is given


class Experience:
  """Collects the episodes of a run and keeps them in two stores.

  Attributes:
    store: of the episodes that are trained on.
    heldout: of those that are not: first random ones, then the agent's without
      noise.

  Args:
    config: of the run.
    directory: of the run.
    spec: of the task.
    actor: who acts, but for the random episodes.
    environment: a worker.
    log: called with a line of text.
    collectors: who collects, at random and as the actor does; by default both
      are here, with that worker.
    on_step: called with the number of each step that these take.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    spec: Spec,
    actor: Actor,
    environment: workers.Worker,
    log: Callable[[str], Any],
    collectors: tuple[rollouts.Collector, rollouts.Collector] | None = None,
    on_step: Callable[[int], Any] = lambda step: None,
  ):
    self._config = config
    self._has_image = spec.image is not None
    self._environment = environment
    self._schedule = Schedule(config.train, config.evaluate)
    self._random_collector, self._collector = collectors or (
      Collector(who, [environment], log, on_step)
      for who in (uniform.Agent(spec=spec), actor)
    )

    def opened(path: pathlib.Path, capacity: int) -> Store:
      return Store(
        path,
        capacity=capacity,
        metadata=dict(
          task=config.task,
          action_repeat=environment.action_repeat,
          quality=environment.quality,
          camera=config.environment.camera,
          crop=config.environment.crop,
          gray=config.environment.gray,
          size=config.environment.size if spec.image else 1,
        ),
        log=log,
        memory_bytes=config.store.memory_mb * 2**20,
      )

    self.store = opened(directory.episodes, config.store.capacity)
    self.heldout = opened(directory.heldout, 0)

  def collect_random(
    self, on_episode: Callable[[int, int], Any] = lambda done, count: None
  ) -> None:
    """Collects the random episodes that the two stores lack.

    Args:
      on_episode: called after each of them with how many were collected, and
        of how many.
    """
    count = self._config.train.seed_episodes
    done = 0
    for store, stream in ((self.store, COLLECT), (self.heldout, HELDOUT)):
      missing = [
        number
        for number in range(store.deleted_episodes, count)
        if number not in store
      ]
      for number, episode in self._random_collector.collect(
        missing, self._seed(stream), explore=True
      ):
        store.append(episode, index=number)
        done += 1
        on_episode(done, 2 * count)

  def stop(self, collected: concurrent.futures.Future) -> None:
    """Ends an episode that another thread collects.

    Like that of a run that is killed it is not stored, and collected again when
    the run goes on. The task may finish the step that is under way.

    Args:
      collected: what that thread has been told to do.
    """
    self._collector.stop()
    self._random_collector.stop()
    concurrent.futures.wait([collected], _STEP_SECONDS)
    if not collected.done():
      self._environment.interrupt()

  def random_images(self) -> np.ndarray:
    """Returns images of the random episodes, uint8 [N, h, w, c].

    At most about `_IMAGES`, at even distances; none, uint8 [0], where the task
    shows none.
    """
    if not self._has_image:
      return np.zeros([0], np.uint8)
    count = self._config.train.seed_episodes
    own = range(self.store.before(0), self.store.episodes)  # Not of others.
    places = own[:count]
    rows = sum(self.store.lengths[place] for place in places)
    apart = -(-rows // _IMAGES)
    seen = [self.store.episode(place)['image'][::apart] for place in places]
    return np.concatenate(seen)

  def spent(self, number: int) -> bool:
    """Returns whether the budget was spent before an episode."""
    return self._schedule.spent(self.store.env_steps_before(number))

  def ahead(self, updates: int) -> Iterator[int]:
    """Yields the numbers of the episodes to collect after so many updates."""
    for number in self._schedule.episodes(updates):
      if self.spent(number):
        return
      yield number

  def random_returns(self) -> list[float]:
    """Returns the returns of the random episodes that are kept."""
    count = self._config.train.seed_episodes
    return [
      store.return_of(number)
      for store in (self.store, self.heldout)
      for number in range(count)
      if number in store
    ]

  def collect(self, number: int) -> float:
    """Collects an episode, unless it is there; returns its return."""
    if number not in self.store:
      for index, episode in self._collected(
        [number], self._seed(COLLECT), explore=True
      ):
        self.store.append(episode, index=index)
    return self.store.return_of(number)

  def collect_heldout(self, number: int) -> tuple[list[int], list[float]]:
    """Collects the held-out episodes of the evaluation before an episode.

    Returns:
      (their positions in the store `heldout`, their returns).
    """
    numbers = self._schedule.heldout(number)
    missing = self.missing_heldout(number)
    for index, episode in self._collected(
      missing, self._seed(EVALUATE, number), explore=False
    ):
      self.heldout.append(episode, index=index)
    positions = [self.heldout.before(index) for index in numbers]
    return positions, [self.heldout.return_of(index) for index in numbers]

  def missing_heldout(self, number: int) -> list[int]:
    """Returns those of an evaluation's numbers that are not there yet."""
    numbers = self._schedule.heldout(number)
    return [index for index in numbers if index not in self.heldout]

  def seed(self, number: int) -> int:
    """Returns the seed of an episode that is trained on."""
    return self._seed(COLLECT)(number)

  def heldout_seed(self, number: int, index: int) -> int:
    """Returns the seed of held-out episode `index`, before an episode."""
    return self._seed(EVALUATE, number)(index)

  def last_returns(self, on_episode: Callable[[int], Any]) -> list[float]:
    """Runs the episodes of the evaluation at the end; returns their returns.

    Args:
      on_episode: called with the count of those that are done.
    """
    returns = []
    for number, episode in self._collected(
      range(self._config.evaluate.last_episodes),
      self._seed(EVALUATE, self._config.train.episodes),
      explore=False,
    ):
      returns.append(float(episode['reward'].sum()))
      on_episode(number + 1)
    return returns

  def _collected(
    self, numbers: Iterable[int], seed: Callable[[int], int], explore: bool
  ) -> Iterator[tuple[int, Episode]]:
    """Collects episodes of the agent, see Collector.collect."""
    with memory.during('choosing an action', self._config, memory.ACTING):
      yield from self._collector.collect(numbers, seed, explore)

  def _seed(self, *stream: int) -> Callable[[int], int]:
    """Returns the function from the number of an episode to its seed."""
    return functools.partial(seed_of, self._config.seed, *stream)
