"""Rolls out episodes by number in local workers, without TensorFlow."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from worldmodels.data import rows
from worldmodels.data import workers

Episode = dict[str, np.ndarray]
# From (observation {key: [B, ...]}, is_first [B], step) to actions [B, A].
Act = Callable[[Episode, np.ndarray, int], np.ndarray]

# How often the same episode is tried before the run gives up.
ATTEMPTS = 3


class Stopped(Exception):
  """Raised in the middle of an episode that is not needed any more."""


class Collector:
  """Collects episodes by number, side by side in local workers.

  A worker that died, hung or raised is started anew, and its episodes are
  begun again from their seeds: they come out as they would have.

  Args:
    acts: function of (count of episodes at a time, whether to explore, seed)
      that makes the function `act` of `rollouts`.
    environments: workers; as many episodes are collected at a time.
    log: called with a line for each failure.
    on_step: called with the number of each step.
  """

  def __init__(
    self,
    acts: Callable[[int, bool, int], Act],
    environments: Sequence[workers.Worker],
    log: Callable[[str], Any],
    on_step: Callable[[int], Any] = lambda step: None,
  ):
    self._acts = acts
    self._on_step = on_step
    self._environments = environments
    self._log = log
    self._stopped = threading.Event()

  def stop(self) -> None:
    """Ends the episodes that another thread collects, after their next step.

    They are not stored; no worker is started anew from here on.
    """
    self._stopped.set()

  def collect(
    self, numbers: Iterable[int], seed: Callable[[int], int], explore: bool
  ) -> Iterator[tuple[int, Episode]]:
    """Collects episodes.

    Args:
      numbers: of the episodes.
      seed: from the number of an episode to its seed, so that it does not
        matter who collects it; the noise of a policy that has several at a time
        comes from the first of them.
      explore: whether the agent adds exploration.

    Yields:
      (number, episode {key: [L, ...]}), in the order of `numbers`.

    Raises:
      WorkerError: the same episode failed ATTEMPTS times.
      Stopped: `stop` was called.
    """
    numbers = iter(numbers)
    while some := list(itertools.islice(numbers, len(self._environments))):
      seeds = [seed(number) for number in some]
      yield from zip(some, self._try(seeds, explore), strict=True)

  def _try(self, seeds: list[int], explore: bool) -> list[Episode]:
    environments = self._environments[: len(seeds)]
    for attempt in range(1, ATTEMPTS + 1):
      try:
        act = self._acts(len(seeds), explore, seeds[0])
        return rollouts(self._watched(act), environments, seeds)
      except workers.WorkerError as error:
        if self._stopped.is_set():
          raise Stopped from error
        if attempt == ATTEMPTS:
          raise
        self._log(
          f'{error}; the episode starts over ({attempt} of {ATTEMPTS - 1})'
        )
        for environment in environments:
          environment.restart()
    raise AssertionError('unreachable')

  def _watched(self, act: Act) -> Act:
    """Returns `act` of `rollouts`, which tells its steps or raises Stopped."""

    def watched(
      observation: Episode, is_first: np.ndarray, step: int
    ) -> np.ndarray:
      if self._stopped.is_set():
        raise Stopped
      self._on_step(step)
      return act(observation, is_first, step)

    return watched


def rollouts(
  act: Act,
  environments: Sequence[workers.Worker],
  seeds: Sequence[int],
) -> list[Episode]:
  """Runs one episode in each environment, side by side.

  Args:
    act: function of (observation {key: [B, ...]}, is_first [B], step) that
      returns actions [B, A]; it is not asked about the episodes' last rows.
    environments: workers, B of them.
    seeds: the seed of each episode.

  Returns:
    list of episodes {key: [L, ...]}.
  """
  timesteps = [
    [environment.reset(seed)]
    for environment, seed in zip(environments, seeds, strict=True)
  ]
  taken = [[] for _ in environments]
  over = [False] * len(environments)
  for step in itertools.count():
    # Act on the newest observations.
    observation = {
      key: np.stack([past[-1].observation[key] for past in timesteps])
      for key in timesteps[0][-1].observation
    }
    actions = act(observation, np.full(len(over), step == 0), step)
    # Step those environments whose episodes go on.
    going = [index for index, done in enumerate(over) if not done]
    for index in going:
      environments[index].send(actions[index])
    for index in going:
      timesteps[index].append(environments[index].receive())
      taken[index].append(np.array(actions[index]))  # `act` may reuse its own.
      over[index] = timesteps[index][-1].last()
    if all(over):
      break
  return [rows.stack(*pair) for pair in zip(timesteps, taken, strict=True)]
