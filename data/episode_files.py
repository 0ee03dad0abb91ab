"""Reads and writes episodes, one .npz file for each.

Files are plain zip archives without compression, so that rows can be read from
the middle of one and np.load reads them, as the loaders of PlaNet and Dreamer
do. Their files can be read too; compressed ones have to be read whole, and are
kept in a bounded cache.
"""

import collections
import dataclasses
import os
import pathlib
import re
import secrets
import threading
import time
import uuid
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from worldmodels.data import archive
from worldmodels.data import atomic
from worldmodels.data import reading
from worldmodels.data import rows

ENDING = '.npz'

# An episode of others may take so much memory, whatever the cache may.
_LEAST_MEMORY = 1 << 28  # bytes

_OWN_NAME = re.compile(r'([0-9]{6,})-[0-9a-f]{32}-[0-9]+\.npz')

Place = tuple[bool, int, str]
# For each key the dtype, and the shape of one row.
Columns = dict[str, tuple[np.dtype, tuple[int, ...]]]


def new_name(index: int, length: int) -> str:
  """Makes a file name for episode number `index` of `length` rows."""
  return f'{index:06d}-{uuid.uuid4().hex}-{length}{ENDING}'


def number_in(name: str) -> int | None:
  """Returns the number in the name of our own files, None for other names."""
  match = _OWN_NAME.fullmatch(name)
  return int(match[1]) if match else None


def index_of(path: pathlib.Path) -> int | None:
  """Returns the number in the name of our own files, None for other names."""
  return number_in(path.name)


def order(name: str) -> Place:
  """Returns the key of sorting: foreign files by name, then ours by number."""
  number = number_in(name)
  return (number is not None, number or 0, name)


def write(
  path: pathlib.Path, episode: dict[str, np.ndarray], compressed: bool = False
) -> None:
  """Writes an episode, whole or not at all.

  Args:
    path: of the file.
    episode: {key: [L, ...]}.
    compressed: makes a file that is smaller, and slower to read.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind.
  """

  def fill(file: BinaryIO) -> None:
    archive.write(file, episode, compressed)
    file.flush()
    # To the nanosecond, which the clock of a file system is not: whoever
    # changes the file a moment later leaves another time.
    now = time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)
    os.utime(file.fileno(), ns=(now, now))

  # Its name is new, so nothing can be left of it.
  atomic.write(path, fill, sweep=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
  """What is known of a file that was verified, as long as it does not change.

  Attributes:
    size, modified, changed: of the file; times in nanoseconds.
    length: L, rows.
    total_reward: sum of the rewards.
    env_steps: simulator steps, None where the file does not say.
    columns: what its arrays are; shared by all files that are alike.
    offsets: where they begin in the file, in the order of `columns`; None for
      one that has to be read whole.
  """

  size: int
  modified: int
  changed: int
  length: int
  total_reward: float
  env_steps: int | None
  columns: Columns
  offsets: tuple[int | None, ...]

  def match(self, status: os.stat_result) -> bool:
    """Says whether a file is still the one that was verified."""
    # Nobody can set the time of the change, so that an index that came with
    # the files of others is never believed.
    return (self.size, self.modified, self.changed) == (
      status.st_size,
      status.st_mtime_ns,
      status.st_ctime_ns,
    )


class EpisodeFile:
  """An episode on disk, verified when it is opened.

  Attributes:
    path: of the file.
    place: in the order of files.
    index: number of the episode, None for a foreign file.
    facts: what is known of it.
    length: L, rows.
    total_reward: sum of the rewards.
    env_steps: simulator steps, None where the file does not say.
    nbytes: of the file.
    shapes: for each key the shape of one row.

  Args:
    path: of the file.
    cache: of compressed files.
    facts: that still match; without them the file is verified.
    trusted: whether its values need not be verified.

  Raises:
    DamagedError: the archive is damaged.
    RowsError: it holds no episode.
    IrregularError: it is no regular file.
    OSError: it cannot be read.
  """

  __slots__ = (
    *('path', 'place', 'index', 'facts', 'length', 'total_reward'),
    *('env_steps', 'nbytes', '_cache', '_derived'),
  )

  def __init__(
    self,
    path: pathlib.Path,
    cache: 'Cache',
    facts: Facts | None = None,
    trusted: bool = False,
  ):
    self.path = path
    self.place = order(path.name)
    self.index = self.place[1] if self.place[0] else None
    self.facts = facts or _verify(path, cache.limit, trusted)
    self.length = self.facts.length
    self.total_reward = self.facts.total_reward
    self.env_steps = self.facts.env_steps
    self.nbytes = self.facts.size
    self._cache = cache
    self._derived: dict[str, np.ndarray] | None = None

  @property
  def shapes(self) -> dict[str, tuple[int, ...]]:
    """For each key the shape of one row."""
    shapes = {key: shape for key, (_, shape) in self.facts.columns.items()}
    return {**dict.fromkeys(rows.COLUMNS, ()), **shapes}

  def read(
    self, start: int, stop: int, keys: Iterable[str] | None = None
  ) -> dict[str, np.ndarray]:
    """Reads rows from start to stop of the given keys, or of all.

    Returns:
      {key: [stop - start, ...]}: uint8 images, bool flags, float32 otherwise.
    """
    shapes = self.shapes
    result = {
      key: np.empty((stop - start, *shapes[key]), rows.dtype_of(key))
      for key in (shapes if keys is None else keys)
    }
    self.read_into(result, start)
    return result

  def read_into(self, arrays: dict[str, np.ndarray], start: int) -> None:
    """Fills contiguous arrays {key: [N, ...]} with N rows from `start` on."""
    columns = self.facts.columns
    offsets = dict(zip(columns, self.facts.offsets))
    descriptor = reading.reopened(self.path)
    try:
      for key, out in arrays.items():
        span = slice(start, start + len(out))
        if key not in columns:
          out[:] = self._derive()[key][span]
        elif offsets[key] is None:
          out[:] = self._cache.load(self.path, key)[span]
        elif columns[key][0] == out.dtype:
          self._read(descriptor, offsets[key], start, out)
        else:
          stored = np.empty_like(out, columns[key][0])
          self._read(descriptor, offsets[key], start, stored)
          out[:] = stored
    finally:
      os.close(descriptor)

  def _read(
    self, descriptor: int, offset: int, start: int, out: np.ndarray
  ) -> None:
    """Reads rows from `start` on into a contiguous array [N, ...]."""
    view = memoryview(out.reshape(-1).view(np.uint8))
    begin = offset + start * (len(view) // len(out))
    while view:
      count = os.preadv(descriptor, [view], begin)
      if not count:
        raise OSError(f'{self.path} has become shorter')
      view, begin = view[count:], begin + count

  def _derive(self) -> dict[str, np.ndarray]:
    """Returns the discount and flags [L] that the file lacks."""
    if self._derived is None:
      stored = [key for key in rows.COLUMNS if key in self.facts.columns]
      known = self.read(0, self.length, stored)
      derived = rows.derive(known, self.length)
      self._derived = {k: v for k, v in derived.items() if k not in stored}
    return self._derived


def _verify(path: pathlib.Path, most: int, trusted: bool) -> Facts:
  found = archive.inspect(path, max(most, _LEAST_MEMORY), trusted)
  return Facts(
    size=found.status.st_size,
    modified=found.status.st_mtime_ns,
    changed=found.status.st_ctime_ns,
    length=found.length,
    total_reward=found.total_reward,
    env_steps=found.env_steps,
    columns={k: (a.dtype, a.shape[1:]) for k, a in found.arrays.items()},
    offsets=tuple(array.offset for array in found.arrays.values()),
  )


class Cache:
  """Arrays of compressed files, the least recently used dropped first.

  Attributes:
    limit: bytes to keep at most; one array is kept whatever its size.
    nbytes: kept now.
  """

  def __init__(self, limit: int):
    self.limit = limit
    self.nbytes = 0
    self._arrays: collections.OrderedDict[
      tuple[pathlib.Path, str], np.ndarray
    ] = collections.OrderedDict()
    self._lock = threading.Lock()

  def load(self, path: pathlib.Path, key: str) -> np.ndarray:
    """Loads the array of a file, from memory if it is there."""
    with self._lock:
      array = self._arrays.pop((path, key), None)
      if array is None:
        with np.load(path, allow_pickle=False) as archive:
          array = archive[key]
        self.nbytes += array.nbytes
      self._arrays[path, key] = array
      while len(self._arrays) > 1 and self.nbytes > self.limit:
        self.nbytes -= self._arrays.popitem(last=False)[1].nbytes
      return array
