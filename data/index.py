"""Orders and counts the episodes of a store.

Files with foreign names come first, by name, then ours by number. Numbers go on
after a stop and may be missing: those of the oldest, deleted to keep within the
capacity, and those whose files were damaged and set aside.
"""

import bisect
import pathlib

from worldmodels.data.episode_files import EpisodeFile
from worldmodels.data.episode_files import order
from worldmodels.data.metadata import Deleted
from worldmodels.data.metadata import StoreError


class Index:
  """The episodes of a store; base of `Store`.

  All counts include only episodes that are there, unless they say otherwise.

  Args:
    directory: of the files.
    action_repeat: env_steps per agent_step.
    deleted: the count of those that were deleted.
  """

  def __init__(
    self, directory: pathlib.Path, action_repeat: int, deleted: Deleted
  ):
    self.directory = directory
    self._action_repeat = action_repeat
    self._deleted = deleted
    self._files: list[EpisodeFile] = []  # in order
    self._shapes: dict[str, tuple[int, ...]] = {}  # of rows, of common keys

  @property
  def episodes(self) -> int:
    """Episodes on disk."""
    return len(self._files)

  @property
  def numbers(self) -> list[int | None]:
    """The number of each episode, in order; None for files of other origin."""
    return [file.index for file in self._files]

  @property
  def next_index(self) -> int:
    """The number of the next episode."""
    own = [number for number in self.numbers if number is not None]
    return max(own) + 1 if own else self.episodes

  @property
  def agent_steps(self) -> int:
    """Actions taken: rows without those of the resets."""
    return sum(file.length - 1 for file in self._files)

  @property
  def env_steps(self) -> int:
    """Simulator steps: agent_steps times the action repeat."""
    return self.agent_steps * self._action_repeat

  @property
  def collected_episodes(self) -> int:
    """Episodes on disk and those that the capacity made way for."""
    return self.episodes + self._deleted.episodes

  @property
  def collected_env_steps(self) -> int:
    """Simulator steps of `collected_episodes`."""
    return self.env_steps + self._deleted.agent_steps * self._action_repeat

  @property
  def lengths(self) -> list[int]:
    """Rows of each episode, in order."""
    return [file.length for file in self._files]

  @property
  def returns(self) -> list[float]:
    """Sum of rewards of each episode, in order."""
    return [file.total_reward for file in self._files]

  @property
  def bytes_on_disk(self) -> int:
    """Size of all episodes."""
    return sum(file.nbytes for file in self._files)

  def before(self, number: int) -> int:
    """Counts the episodes before a number: its place, if it is there."""
    return sum(other is None or other < number for other in self.numbers)

  def env_steps_before(self, number: int) -> int:
    """Counts the simulator steps of all before a number, deleted ones too."""
    later = self.lengths[self.before(number) :]
    steps = sum(length - 1 for length in later)
    return self.collected_env_steps - steps * self._action_repeat

  def _add(self, file: EpisodeFile) -> None:
    """Adds an episode.

    Raises:
      StoreError: its rows have other shapes than those of the others.
    """
    self._check_shapes(file.shapes, file.path.name)
    if self._files:
      common = self._shapes.keys() & file.shapes.keys()
      self._shapes = {k: v for k, v in self._shapes.items() if k in common}
    else:
      self._shapes = file.shapes
    bisect.insort(self._files, file, key=lambda file: order(file.path))

  def _check_new(self, shapes: dict[str, tuple[int, ...]]) -> None:
    """Checks the shapes of the rows of an episode before it is written."""
    missing = self._shapes.keys() - shapes.keys()
    if missing:
      raise StoreError(
        f'{self.directory}: the new episode lacks {", ".join(sorted(missing))}'
      )
    self._check_shapes(shapes, 'new')

  def _check_shapes(
    self, shapes: dict[str, tuple[int, ...]], name: str
  ) -> None:
    for key, shape in shapes.items():
      if self._shapes.get(key, shape) != shape:
        raise StoreError(
          f'{self.directory}: {key} of episode {name} has rows of shape '
          f'{list(shape)}, the others {list(self._shapes[key])}'
        )
