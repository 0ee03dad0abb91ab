"""Which episodes are there, which are missing, and which is collected next.

Episodes come in any order and are stored by their numbers, so there may be gaps
for a while. Each number is collected once: the store says which are there, and
what was deleted since, beyond its capacity, is remembered.
"""

import math
from collections.abc import Sequence

import ml_collections

from worldmodels.agents.runs.rollouts import Episode
from worldmodels.data.store import Store


class Numbers:
  """The numbers of the episodes of a run, from the first that is not random.

  Args:
    store: of the episodes that are trained on; all random ones are there.
    train: group `train` of the config.
    window: how many numbers may be open at most, from the first that is
      missing to the last that is there.
  """

  def __init__(
    self, store: Store, train: ml_collections.ConfigDict, window: int
  ):
    self._store = store
    self._train = train
    self._window = window
    # The oldest make way first.
    self._first = max(train.seed_episodes, store.deleted_episodes)
    # Beyond `_first`, which are there; returns of those that were deleted.
    self._there = {
      number
      for number in store.numbers
      if number is not None and number >= self._first
    }
    self._returns: dict[int, float] = {}
    self._counted: float = math.inf
    self._close()

  @property
  def stored(self) -> int:
    """Episodes that were stored, random and deleted ones included."""
    return self._first + len(self._there)

  def append(self, episode: Episode, number: int) -> None:
    """Stores an episode, unless it is there."""
    if self._has(number):
      return
    self._store.append(episode, index=number)
    self._returns[number] = self._store.return_of(number)
    self._there.add(number)
    self._close()

  def counted(self, number: int) -> None:
    """Takes in that a checkpoint counts all before a number.

    Those after it are not deleted: their lines, and a run that goes on from
    that checkpoint, have yet to know of them.
    """
    self._counted = number
    self._close()

  def all_before(self, number: int) -> bool:
    """Returns whether all with smaller numbers were stored."""
    return self._first >= number

  def return_of(self, number: int) -> float:
    """Returns the return of an episode that was stored, once."""
    found = self._returns.pop(number, None)
    return self._store.return_of(number) if found is None else found

  def next(
    self, most: int, under_way: Sequence[int], due: int = 0
  ) -> int | None:
    """Returns the number to collect next, or None if none may be.

    Args:
      most: episodes that there may be, those under way included.
      under_way: numbers of those.
      due: smaller numbers are collected in any case.
    """
    taken = {*under_way} | self._there
    end = min(self._train.episodes, self._first + self._window)
    left = (x for x in range(self._first, end) if x not in taken)
    number = next(left, None)
    if number is None or number < due:
      return number
    full = self.stored + len(under_way) >= most
    return None if full or self._spends(len(under_way)) else number

  def _spends(self, under_way: int) -> bool:
    """Whether those under way are likely to spend the budget."""
    budget, store = self._train.env_steps, self._store
    if not budget:
      return False
    steps = store.collected_env_steps
    each = steps / max(1, store.collected_episodes)
    return steps + under_way * each >= budget

  def _has(self, number: int) -> bool:
    return number < self._first or number in self._there

  def _close(self) -> None:
    """Moves the first that is missing on."""
    while self._first in self._there:
      self._there.remove(self._first)
      self._first += 1
    self._store.missing = min(self._first, self._counted)
