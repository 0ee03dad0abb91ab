"""Orders and counts the episodes of a store.

Files with foreign names come first, by name, then ours by number. Numbers go on
after a stop and may be missing: those of the oldest, deleted to keep within the
capacity, and those whose files were damaged and set aside.
"""

import bisect
import pathlib

import numpy as np

from worldmodels.data import rows
from worldmodels.data.episode_files import EpisodeFile
from worldmodels.data.metadata import Deleted
from worldmodels.data.metadata import StoreError


class Index:
  """The episodes of a store; base of `Store`.

  All counts include only episodes that are there, unless they say otherwise.
  What a run asks for at each episode or batch takes as long for many episodes
  as for few.

  Args:
    directory: of the files.
    action_repeat: env_steps per agent_step, of files that do not count them.
    deleted: the count of those that were deleted.
  """

  def __init__(
    self, directory: pathlib.Path, action_repeat: int, deleted: Deleted
  ):
    self.directory = directory
    self._action_repeat = action_repeat
    self._deleted = deleted
    self._files: list[EpisodeFile] = []  # in order
    self._own: list[int] = []  # numbers of our own, in order
    self._shapes: dict[str, tuple[int, ...]] = {}  # of rows, of common keys
    self._own_keys: set[str] = set()  # that all of our own have
    self._rows = 0
    self._steps = 0  # of the simulator
    self._others_steps = 0  # of those, in episodes of other origin
    self._bytes = 0
    self._rows_of_each: np.ndarray | None = None  # None after a change

  def __contains__(self, number: int) -> bool:
    place = bisect.bisect_left(self._own, number)
    return place < len(self._own) and self._own[place] == number

  @property
  def episodes(self) -> int:
    """Episodes on disk."""
    return len(self._files)

  @property
  def own_episodes(self) -> int:
    """Episodes on disk that are numbered: without those of other origin."""
    return len(self._own)

  @property
  def numbers(self) -> list[int | None]:
    """The number of each episode, in order; None for files of other origin."""
    return [None] * (len(self._files) - len(self._own)) + self._own

  @property
  def next_index(self) -> int:
    """The number of the next episode."""
    return self._own[-1] + 1 if self._own else self.episodes

  @property
  def agent_steps(self) -> int:
    """Actions taken: rows without those of the resets."""
    return self._rows - len(self._files)

  @property
  def env_steps(self) -> int:
    """Simulator steps."""
    return self._steps

  @property
  def deleted_episodes(self) -> int:
    """Those of our own that the capacity made way for."""
    return self._deleted.episodes

  @property
  def collected_episodes(self) -> int:
    """Our own episodes, those that the capacity made way for among them."""
    return self.own_episodes + self.deleted_episodes

  @property
  def collected_env_steps(self) -> int:
    """Simulator steps of `collected_episodes`."""
    return self.env_steps - self._others_steps + self._deleted.env_steps

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
    return self._bytes

  def before(self, number: int) -> int:
    """Counts the episodes before a number: its place, if it is there."""
    foreign = len(self._files) - len(self._own)
    return foreign + bisect.bisect_left(self._own, number)

  def return_of(self, number: int) -> float:
    """Returns the sum of rewards of the episode with a number."""
    return self._files[self.before(number)].total_reward

  def env_steps_before(self, number: int) -> int:
    """Counts the simulator steps of our own before a number, deleted ones too.

    What others did is no step of the run.
    """
    later = self._files[self.before(number) :]
    return self.collected_env_steps - sum(map(self._env_steps, later))

  def _env_steps(self, file: EpisodeFile) -> int:
    """Returns the simulator steps of an episode."""
    if file.env_steps is None:
      return (file.length - 1) * self._action_repeat
    return file.env_steps

  def _row_counts(self) -> np.ndarray:
    """Returns the rows of each episode as int64 [episodes]; not to change."""
    if self._rows_of_each is None:
      self._rows_of_each = np.array(self.lengths, np.int64)
    return self._rows_of_each

  def _add(self, file: EpisodeFile) -> None:
    """Adds an episode.

    Raises:
      StoreError: its rows have other shapes than those of the others, or it is
        of others and lacks what our own have, or its number is there already.
    """
    if file.index is not None and file.index in self:
      there = self._files[self.before(file.index)].path.name
      raise StoreError(
        f'{file.path} has the number of {there}: a file of another run needs a '
        'name without a number'
      )
    shapes = _learned(file.shapes)
    if file.index is not None:
      self._own_keys = self._own_keys & shapes.keys() or set(shapes)
    elif not self._own_keys <= shapes.keys():
      lacking = ', '.join(sorted(self._own_keys - shapes.keys()))
      raise StoreError(f'{file.path} lacks {lacking}')
    if not self._files:
      self._shapes = shapes
    elif self._shapes != shapes:
      self._check_shapes(shapes, file.path.name)
      common = self._shapes.keys() & shapes.keys()
      self._shapes = {k: v for k, v in self._shapes.items() if k in common}
    bisect.insort(self._files, file, key=lambda file: file.place)
    steps = self._env_steps(file)
    if file.index is not None:
      bisect.insort(self._own, file.index)
    else:
      self._others_steps += steps
    self._rows += file.length
    self._steps += steps
    self._bytes += file.nbytes
    self._rows_of_each = None

  def _drop(self, files: list[EpisodeFile]) -> None:
    """Takes episodes of our own out, not their files from the disk."""
    gone = set(files)
    self._files = [file for file in self._files if file not in gone]
    self._own = [file.index for file in self._files if file.index is not None]
    self._rows -= sum(file.length for file in files)
    self._steps -= sum(map(self._env_steps, files))
    self._bytes -= sum(file.nbytes for file in files)
    self._rows_of_each = None

  def _check_new(self, shapes: dict[str, tuple[int, ...]]) -> None:
    """Checks the shapes of the rows of an episode before it is written."""
    shapes = _learned(shapes)
    if self._own_keys:
      who, missing = 'the new episode lacks', self._own_keys - shapes.keys()
    else:  # Those that are there are all of others.
      who = 'episodes of others lack'
      missing = shapes.keys() - (self._shapes or shapes).keys()
    if missing:
      raise StoreError(f'{self.directory}: {who} {", ".join(sorted(missing))}')
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


def _learned(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of what is learned from; not all episodes count."""
  return {key: shape for key, shape in shapes.items() if key != rows.COUNT}
