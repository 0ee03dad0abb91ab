"""Chooses recorded episodes and cuts them into chunks.

Those of RUN/heldout were never trained on: the first are of random actions,
the later ones of the policy, added at each evaluation.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np

from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store

Episode = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Selection:
  """Some episodes of a run.

  Attributes:
    episodes: of {key: [L, ...]}.
    titles: a short name of each.
    source: in words, where they come from.
  """

  episodes: list[Episode]
  titles: list[str]
  source: str


def random_of(config: ml_collections.ConfigDict) -> int | None:
  """Returns how many held-out episodes of a run are of random actions.

  None where they were recorded by others, and nothing says so.
  """
  fitted = config.train.updates_total > 0
  return None if fitted else config.train.seed_episodes


def latest(
  directory: RunDirectory,
  random: int | None,
  count: int,
  shortest: int = 2,
  log: Callable[[str], Any] = print,
) -> Selection:
  """Returns the latest held-out episodes, else the latest of the run.

  Args:
    directory: a RunDirectory.
    random: how many of the held-out episodes are of random actions, as
      `random_of` says.
    count: of episodes, at most.
    shortest: rows; shorter episodes are passed over.
    log: called with a line for each damaged file.

  Returns:
    A Selection, in the order in which they were collected.

  Raises:
    RunError: there is none.
    StoreError: what is there are not episodes.
  """
  for path in (directory.heldout, directory.episodes):
    if not path.is_dir():
      continue
    store = Store(path, log=log, reading=True)
    long = [i for i, rows in enumerate(store.lengths) if rows >= shortest]
    places = long[-count:]
    if places:
      numbers = [store.numbers[place] for place in places]
      titles = [
        'of others' if number is None else f'episode {number}'
        for number in numbers
      ]
      note = (
        'which the model was trained on: no held-out episode has '
        f'{shortest} rows'
      )
      if path == directory.heldout:
        if random is not None:
          titles = [
            title.replace('episode', 'policy' if number >= random else 'random')
            for title, number in zip(titles, (n or 0 for n in numbers))
          ]
        note = 'never trained on'
      return Selection(
        [store.episode(place) for place in places],
        titles,
        f'{path}, {_spans(numbers)}, {note}',
      )
  raise RunError(
    f'{directory.path} holds no episode of at least {shortest} rows'
  )


def places_of_policy(heldout: Store, random: int) -> list[int]:
  """Returns where the held-out episodes of the policy are, the oldest first.

  Args:
    heldout: of a run.
    random: how many of its first numbers are of random actions.
  """
  return [
    place
    for place, number in enumerate(heldout.numbers)
    if number is not None and number >= random
  ]


def of_policy(
  directory: RunDirectory,
  random: int,
  count: int,
  shortest: int,
  log: Callable[[str], Any] = print,
) -> tuple[list[Episode], str]:
  """Returns the latest held-out episodes of the policy itself, without noise.

  Args:
    directory: a RunDirectory.
    random: how many of the held-out episodes are of random actions.
    count: of episodes, at most.
    shortest: rows; shorter episodes are passed over.
    log: called with a line for each damaged file.

  Returns:
    (episodes, in words where they come from).

  Raises:
    RunError: there is none.
    StoreError: what is there are not episodes.
  """
  places = []
  if directory.heldout.is_dir():
    store = Store(directory.heldout, log=log, reading=True)
    long = store.lengths
    places = [x for x in places_of_policy(store, random) if long[x] >= shortest]
    places = places[-count:]
  if not places:
    raise RunError(
      f'{directory.path} holds no held-out episode of the policy of at least '
      f'{shortest} rows'
    )
  numbers = [store.numbers[place] for place in places]
  return [store.episode(place) for place in places], (
    f'recorded, {_spans(numbers)}'
  )


def cut(episodes: Sequence[Episode], length: int, limit: int = 64) -> Episode:
  """Cuts episodes end to end into chunks.

  Args:
    episodes: list of {key: [L, ...]}; what is left over at an end is dropped.
    length: T, rows of a chunk.
    limit: of more chunks, about so many are taken at even distances.

  Returns:
    A batch {key: [B, T, ...]} of the keys that all have, with a `mask` of
    ones, float32 [B, T].
  """
  spans = [
    (episode, start)
    for episode in episodes
    for start in range(0, len(episode['reward']) - length + 1, length)
  ]
  if not spans:
    raise ValueError(f'no episode has {length} rows')
  spans = spans[:: -(-len(spans) // limit)]
  keys = set.intersection(*(set(episode) for episode in episodes))
  batch = {
    key: np.stack([episode[key][i : i + length] for episode, i in spans])
    for key in sorted(keys)
  }
  batch['mask'] = np.ones([len(spans), length], np.float32)
  return batch


def _spans(numbers: Sequence[int | None]) -> str:
  """Says `episode 4`, `episodes 4 to 6` or `episodes 1, 4, 6`."""
  if None in numbers:
    return f'{len(numbers)} episodes, some of others'
  if len(numbers) == 1:
    return f'episode {numbers[0]}'
  if numbers[-1] - numbers[0] == len(numbers) - 1:
    return f'episodes {numbers[0]} to {numbers[-1]}'
  return f'episodes {", ".join(map(str, numbers))}'
